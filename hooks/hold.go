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

// heldPool stands in for GORM's pool of connections if the end of transactions
// matters: if the store cannot write inside them, so that they hold their events
// until they are committed; for what is told when they are over, which is attempts
// and, in best effort, what was lost.
type heldPool struct {
	gorm.ConnPool
	plugin *Plugin
}

// holds reports whether events are held until their transaction is committed.
func (p *Plugin) holds() bool { return p.txStore == nil }

// watches reports whether the end of transactions matters.
func (p *Plugin) watches() bool { return p.holds() || p.bestEffort || p.attempts }

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
	return &heldTx{Tx: tx, ctx: ctx, plugin: p.plugin, recorded: p.plugin.rec.Stats().Recorded}, nil
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
// of a savepoint that is rolled back. Attempts it holds until its end.
type heldTx struct {
	gorm.Tx
	ctx    context.Context
	plugin *Plugin

	mu         sync.Mutex
	events     []audit.Event
	savepoints []savepoint
	attempts   []attempt
	recorded   uint64 // how many events there were when it began
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

// follow drops what steps take back that have been taken.
func (t *heldTx) follow(steps []savepointStep) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, step := range steps {
		t.take(step)
	}
}

func (t *heldTx) take(step savepointStep) {
	switch step.kind {
	case setSavepoint:
		t.savepoints = append(t.savepoints, savepoint{step.name, len(t.events)})
		return
	case rollbackAll:
		t.events, t.savepoints = nil, nil
		return
	}
	for i := len(t.savepoints) - 1; i >= 0; i-- {
		if t.savepoints[i].name != step.name {
			continue
		}
		if step.kind == releaseSavepoint {
			t.savepoints = t.savepoints[:i]
			return
		}
		t.events = t.events[:t.savepoints[i].events]
		t.savepoints = t.savepoints[:i+1] // it stays, those after it are gone
		return
	}
}

// Commit implements gorm.TxCommitter: the store is asked first whether it can
// take the events, and shows them once the transaction is committed.
func (t *heldTx) Commit() error {
	t.mu.Lock()
	events := t.events
	t.events = nil
	t.mu.Unlock()
	publish, err := t.stage(events)
	if err != nil {
		err = failed(err)
		t.plugin.refuse(t.ctx, err)
		return errors.Join(err, t.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		t.ended()
		return err
	}
	publish()
	t.ended()
	if t.plugin.rec.Stats().Recorded > t.recorded { // so recording works
		t.plugin.tellLosses(t.ctx)
	}
	return nil
}

// Rollback implements gorm.TxCommitter.
func (t *heldTx) Rollback() error {
	err := t.Tx.Rollback()
	t.ended()
	return err
}

// stage hands events over to the store, which shows them when they are published,
// or at once if it can do no better.
func (t *heldTx) stage(events []audit.Event) (publish func(), err error) {
	publish = func() {}
	if len(events) == 0 {
		return publish, nil
	}
	store, ctx := t.plugin.rec.Store(), context.WithoutCancel(t.ctx)
	err = safely(func() (err error) {
		if s, ok := store.(audit.Stager); ok {
			publish, err = s.Stage(ctx, events)
			return err
		}
		return store.Append(ctx, events)
	})
	switch {
	case err == nil:
		t.plugin.rec.Count(len(events))
		return publish, nil
	case t.plugin.bestEffort:
		t.plugin.rec.Lose(t.ctx, byWorkspace(events), err)
		return func() {}, nil
	}
	return nil, err
}

// ended writes what was to be written after the transaction, whatever its end.
func (t *heldTx) ended() {
	t.mu.Lock()
	attempts := t.attempts
	t.attempts = nil
	t.mu.Unlock()
	for _, a := range attempts {
		t.plugin.rec.RecordOrLose(a.ctx, a.events...)
	}
}

type savepointKind uint8

const (
	notSavepoint savepointKind = iota
	setSavepoint
	rollbackToSavepoint
	releaseSavepoint
	rollbackAll
)

// savepointStep is what a statement does to savepoints.
type savepointStep struct {
	kind savepointKind
	name string
}

// savepointSteps recognises the statements of a text that set a savepoint, go back
// to it or forget it, with their names, and those that take all back.
func savepointSteps(dialect, text string) []savepointStep {
	var (
		steps []savepointStep
		words []token
	)
	l := &lexer{dialect: dialect, text: text}
	for {
		t, more := l.next()
		if more && t.kind != ';' {
			if len(words) < longestStep {
				words = append(words, t)
			}
			continue
		}
		if step := stepOf(words); step.kind != notSavepoint {
			steps = append(steps, step)
		}
		if !more {
			return steps
		}
		words = words[:0]
	}
}

// longestStep is how many words such a statement has at most, which is enough of
// any: ROLLBACK TRANSACTION TO SAVEPOINT name.
const longestStep = 5

func stepOf(words []token) savepointStep {
	is := func(i int, w string) bool { return i < len(words) && words[i].is(w) }
	last := func() string { return strings.ToLower(words[len(words)-1].text) }
	switch {
	case is(0, "SAVEPOINT") && len(words) == 2:
		return savepointStep{setSavepoint, last()}
	case is(0, "ROLLBACK") && (is(1, "TO") || is(2, "TO")):
		return savepointStep{rollbackToSavepoint, last()}
	case is(0, "ROLLBACK"), is(0, "ABORT"):
		return savepointStep{rollbackAll, ""}
	case is(0, "RELEASE") && len(words) <= 3:
		return savepointStep{releaseSavepoint, last()}
	}
	return savepointStep{}
}
