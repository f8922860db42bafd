package hooks

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// Under audit.Config.BestEffort nothing that recording does may harm what the
// application does. So every part of it runs within a savepoint of its own, and
// what a part did is taken back if it fails: PostgreSQL would refuse the rest of
// the transaction otherwise. A statement that was run in another form than GORM
// made it is then run as it was made. What is missing is counted when the
// statement has taken effect.

// spare runs a part of the recording. Lost is why it failed, if the transaction
// is as if it had not been run; err is why the call must fail.
func (p *Plugin) spare(ctx context.Context, tx audit.DBTX, part func() error) (lost, err error) {
	if !p.bestEffort {
		return nil, part()
	}
	if !inTransaction(tx) {
		return split(safely(part))
	}
	run := func(ctx context.Context, text string) error {
		_, err := tx.ExecContext(ctx, text)
		if held, ok := tx.(*heldTx); ok && err == nil {
			held.follow(savepointSteps(p.dialect.name, text))
		}
		return err
	}
	if err := run(ctx, "SAVEPOINT "+ourSavepoint); err != nil {
		if p.undone(ctx, tx) {
			return nil, err
		}
		return err, nil
	}
	err = safely(part)
	if err == nil {
		if err = run(ctx, "RELEASE SAVEPOINT "+ourSavepoint); err == nil {
			return nil, nil
		}
	}
	// The transaction may go on though the statement's context has ended.
	patient, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer stop()
	if back := run(patient, "ROLLBACK TO SAVEPOINT "+ourSavepoint); back != nil {
		return nil, err // there is no transaction any more to go on with
	}
	_ = run(patient, "RELEASE SAVEPOINT "+ourSavepoint) // else it ends with the transaction
	return split(err)
}

// ourSavepoint is set and released before the application can set one.
const ourSavepoint = "audit_recording"

// safely turns a panic into an error.
func safely(part func() error) (err error) {
	defer recovered(&err)
	return part()
}

// split tells what can be done without from rules that the application has set
// for its changes: those are not broken by best effort.
func split(err error) (lost, broken error) {
	if errors.Is(err, audit.ErrNoActor) || errors.Is(err, audit.ErrWorkspaceMismatch) {
		return nil, err
	}
	return err, nil
}

// lose counts events that are missing, by workspace.
func (p *Plugin) lose(db *gorm.DB, events map[string]int, lost error) {
	p.forgetOutdated(lost)
	if lost == nil || db.Error != nil && hopeless(lost) {
		return // what failed first says why
	}
	p.rec.Lose(db.Statement.Context, events, lost)
}

// flush writes the events of a unit.
func (p *Plugin) flush(ctx context.Context, db *gorm.DB, u *unit) {
	if len(u.events) == 0 {
		return
	}
	pendings := u.events
	lost, err := p.spare(ctx, u.tx, func() error { return u.flush(ctx) })
	if lost != nil {
		missing := map[string]int{}
		for i := range pendings {
			missing[pendings[i].Workspace]++
		}
		p.lose(db, missing, lost)
	}
	p.fail(db, err)
}

// tellLosses tells of what was lost now that recording works, or leaves it for the
// next time.
func (p *Plugin) tellLosses(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	_ = p.rec.TellLosses(ctx)
}

// patience is how long an application waits for what it has not asked for.
const patience = 10 * time.Second

// byWorkspace counts events.
func byWorkspace(events []audit.Event) map[string]int {
	n := map[string]int{}
	for i := range events {
		n[events[i].Workspace]++
	}
	return n
}

// spared stands before a capture, so that a statement is run as it was made if
// that is all that can be done.
type spared struct{ *capture }

// ExecContext implements gorm.ConnPool.
func (s *spared) ExecContext(ctx context.Context, text string, args ...any) (result sql.Result, err error) {
	c := s.capture
	if !c.own() {
		return c.ConnPool.ExecContext(ctx, text, args...)
	}
	if c.lost == nil {
		c.lost, err = c.plugin.spare(ctx, c.tx, func() (err error) {
			result, err = c.instead(ctx, text, args)
			return err
		})
		if err != nil || c.lost == nil && result != nil {
			return result, err
		}
	}
	result, err = c.ConnPool.ExecContext(ctx, text, args...)
	c.ran = err == nil
	return result, err
}

// QueryContext implements gorm.ConnPool.
func (s *spared) QueryContext(ctx context.Context, text string, args ...any) (rows *sql.Rows, err error) {
	c := s.capture
	if !c.own() {
		return c.ConnPool.QueryContext(ctx, text, args...) //nolint:sqlclosecheck // they are the caller's to close
	}
	if c.lost == nil {
		c.lost, err = c.plugin.spare(ctx, c.tx, func() (err error) {
			rows, err = c.insteadRows(ctx, text, args) //nolint:rowserrcheck,sqlclosecheck // GORM reads and closes them
			return err
		})
		if err != nil || c.lost == nil && rows != nil {
			return rows, err
		}
		if rows != nil {
			_ = rows.Close()
		}
	}
	rows, err = c.ConnPool.QueryContext(ctx, text, args...) //nolint:sqlclosecheck // GORM closes what it asked for
	c.ran = err == nil
	return rows, err
}

// finishOrLose is finish, or finishBystander, as best effort has it.
func (c *capture) finishOrLose(ctx context.Context, finish func(context.Context) error) (err error) {
	if !c.ran {
		return nil
	}
	u := c.unit
	before := len(u.events)
	if c.lost == nil {
		c.lost, err = c.plugin.spare(ctx, c.tx, func() error { return finish(ctx) })
	}
	if c.lost != nil {
		u.events, u.index = u.events[:before], nil
		c.plugin.lose(c.db, c.missing(), c.lost)
	}
	return err
}

// missing is how many events a statement owes that was not recorded: one for each
// row that it has affected, in the workspaces of the records that it names.
func (c *capture) missing() map[string]int {
	rows := int(c.db.RowsAffected)
	if rows < 0 {
		rows = 1 // the driver does not tell
	}
	named := c.table.recordsOf(c.db.Statement)
	if len(named) != rows {
		return map[string]int{oneWorkspace(named): rows}
	}
	missing := map[string]int{}
	for _, n := range named {
		missing[n.workspace]++
	}
	return missing
}

// unbegun is where a statement keeps why no transaction could be opened for it.
const unbegun = "audit:unbegun"

// unrecordable is why a statement cannot be recorded though it can be run; nil if
// it can.
func (p *Plugin) unrecordable(db *gorm.DB) error {
	if !p.bestEffort || inTransaction(db.Statement.ConnPool) {
		return nil
	}
	if err, ok := noted(db, unbegun).(error); ok {
		return err
	}
	return gorm.ErrInvalidTransaction
}

// constraintsOrLose is constraints for statements whose own table is not
// recorded, as a rule.
func (p *Plugin) constraintsOrLose(db *gorm.DB) (*catalogue, error) {
	if c := p.knownConstraints(); c != nil {
		return c, nil
	}
	ctx, tx := db.Statement.Context, connection(db.Statement.ConnPool)
	c := &catalogue{}
	lost, err := p.spare(ctx, tx, func() error {
		found, err := p.constraints(ctx, tx)
		if err == nil {
			c = found
		}
		return err
	})
	p.lose(db, map[string]int{"": 1}, lost) // whether anything follows is not known
	return c, err
}
