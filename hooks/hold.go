package hooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// heldPool stands in for GORM's pool of connections if the store cannot write
// inside the application's transactions. Its transactions hold their events
// until they are committed.
type heldPool struct {
	gorm.ConnPool
	store audit.Store
}

// BeginTx implements gorm.ConnPoolBeginner.
func (p *heldPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	var (
		inner gorm.ConnPool
		err   error
	)
	switch b := p.ConnPool.(type) {
	case gorm.TxBeginner:
		inner, err = b.BeginTx(ctx, opts)
	case gorm.ConnPoolBeginner:
		inner, err = b.BeginTx(ctx, opts)
	default:
		return nil, gorm.ErrInvalidTransaction
	}
	if err != nil {
		return nil, err
	}
	tx, ok := inner.(gorm.Tx)
	if !ok {
		return nil, fmt.Errorf("audit: a transaction of type %T cannot be watched for its commit: %w", inner, gorm.ErrInvalidTransaction)
	}
	return &heldTx{Tx: tx, ctx: context.WithoutCancel(ctx), store: p.store}, nil
}

// GetDBConn implements gorm.GetDBConnector, so that db.DB() works as before.
func (p *heldPool) GetDBConn() (*sql.DB, error) {
	switch c := p.ConnPool.(type) {
	case *sql.DB:
		return c, nil
	case gorm.GetDBConnector:
		return c.GetDBConn()
	}
	return nil, gorm.ErrInvalidDB
}

// Ping lets GORM check the connection as it does without us.
func (p *heldPool) Ping() error {
	db, err := p.GetDBConn()
	if err != nil {
		return err
	}
	return db.Ping()
}

// heldTx is a transaction that holds events until its commit and drops those
// of a savepoint that is rolled back.
type heldTx struct {
	gorm.Tx
	ctx   context.Context
	store audit.Store

	mu         sync.Mutex
	events     []audit.Event
	savepoints []savepoint
}

// savepoint is how many events were held when it was set.
type savepoint struct {
	name   string
	events int
}

// hold keeps events until the commit.
func (t *heldTx) hold(events []audit.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, events...)
}

// ExecContext implements gorm.ConnPool and watches for savepoints.
func (t *heldTx) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	result, err := t.Tx.ExecContext(ctx, text, args...)
	if err == nil {
		t.watch(text)
	}
	return result, err
}

func (t *heldTx) watch(text string) {
	kind, name := savepointStatement(text)
	if kind == notSavepoint {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if kind == setSavepoint {
		t.savepoints = append(t.savepoints, savepoint{name, len(t.events)})
		return
	}
	for i := len(t.savepoints) - 1; i >= 0; i-- {
		if t.savepoints[i].name == name {
			t.events = t.events[:t.savepoints[i].events]
			t.savepoints = t.savepoints[:i+1] // it stays, those after it are gone
			return
		}
	}
}

// Commit implements gorm.TxCommitter: the store is asked first whether it can
// take the events, and shows them once the transaction is committed.
func (t *heldTx) Commit() error {
	t.mu.Lock()
	events := t.events
	t.events = nil
	t.mu.Unlock()
	if len(events) == 0 {
		return t.Tx.Commit()
	}
	publish := func() {}
	var err error
	if s, ok := t.store.(audit.Stager); ok {
		publish, err = s.Stage(t.ctx, events)
	} else {
		err = t.store.Append(t.ctx, events)
	}
	if err != nil {
		return errors.Join(failed(err), t.Tx.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	publish()
	return nil
}

type savepointKind uint8

const (
	notSavepoint savepointKind = iota
	setSavepoint
	rollbackToSavepoint
)

// savepointStatement recognises the statements that set a savepoint or go back
// to it, and their names.
func savepointStatement(text string) (savepointKind, string) {
	if len(text) > 200 {
		return notSavepoint, ""
	}
	words := strings.Fields(strings.TrimRight(strings.TrimSpace(text), ";"))
	is := func(i int, w string) bool { return i < len(words) && strings.EqualFold(words[i], w) }
	last := func() string { return strings.ToLower(strings.Trim(words[len(words)-1], "`\"[]")) }
	switch {
	case is(0, "SAVEPOINT") && len(words) == 2:
		return setSavepoint, last()
	case is(0, "ROLLBACK") && (is(1, "TO") || is(2, "TO")):
		return rollbackToSavepoint, last()
	}
	return notSavepoint, ""
}
