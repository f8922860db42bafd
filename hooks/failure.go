package hooks

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// failure is where a statement keeps the error of recording, its own or that of
// a statement for its associations.
const failure = "audit:failure"

// fail makes a statement fail because recording did.
func (p *Plugin) fail(db *gorm.DB, err error) {
	if err == nil || db.Error != nil && hopeless(err) {
		return // what failed first says why
	}
	err = failed(err)
	_ = db.AddError(err)
	p.refuse(db.Statement.Context, err)
}

// hopeless reports whether an error says no more than that the transaction
// cannot be committed any more: PostgreSQL answers so to every statement after
// one that failed, and so does a connection that is gone.
func hopeless(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && state.SQLState() == "25P02" ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ours is failed for what is read before a statement, but for errors that the
// statement itself would have met.
func ours(err error) error {
	if hopeless(err) || prevented(err) {
		return err
	}
	return failed(err)
}

// prevented reports whether a database refuses what a transaction does because of
// others, or of the way it was begun: a deadlock, a lock that is not given, a
// snapshot that is too old, a transaction that only reads, a time that is over, a connection that was ended.
func prevented(err error) bool {
	if err == nil {
		return false
	}
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		s := state.SQLState()
		return strings.HasPrefix(s, "40") || strings.HasPrefix(s, "08") || s == "55P03" || s == "25006" || s == "57014" || s == "57P01"
	}
	text := err.Error()
	return slices.ContainsFunc(preventions, func(part string) bool { return strings.Contains(text, part) })
}

// preventions are how the drivers of MariaDB, MySQL and SQLite say so.
var preventions = []string{
	"Error 1020 ", "Error 1205 ", "Error 1213 ", "Error 1317 ", "Error 1792 ", "Error 1969 ", "Error 3024 ", "database is locked", "readonly database", "invalid connection",
}

// failBefore is fail before a statement has run, with the errors that [ours] tells apart.
func (p *Plugin) failBefore(db *gorm.DB, err error) {
	if err = ours(err); errors.Is(err, audit.ErrAuditFailed) {
		p.fail(db, err)
		return
	}
	_ = db.AddError(err)
}

// refusal is an error of recording that makes a call fail.
type refusal struct {
	err  error
	told atomic.Bool // to the recorder
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// failed marks an error as one of recording; nil stays nil.
func failed(err error) error {
	if err == nil {
		return nil // before r takes room
	}
	var r *refusal
	if errors.As(err, &r) {
		return err
	}
	if !errors.Is(err, audit.ErrAuditFailed) {
		err = fmt.Errorf("%w: %w", audit.ErrAuditFailed, err)
	}
	return &refusal{err: err}
}

// refuse tells the recorder of an error of recording, if err is one, once: it may
// pass through the calls of several statements.
func (p *Plugin) refuse(ctx context.Context, err error) {
	if err == nil {
		return // before r takes room
	}
	var r *refusal
	if errors.As(err, &r) && r.told.CompareAndSwap(false, true) {
		p.rec.Refuse(ctx, r.err)
	}
}

// recovered turns a panic into an error: inside a callback of GORM it would leak
// the connection of the transaction.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = failed(fmt.Errorf("recovered from a panic with a %T", r))
	}
}
