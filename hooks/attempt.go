package hooks

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// Attempts lets [RecordAttempt] work inside transactions: those begun by GORM are
// watched for their end. They are no *sql.Tx then for those who look at
// db.Statement.ConnPool.
func Attempts() Option {
	return func(s *settings) error { s.attempts = true; return nil }
}

// FailedWrites records by itself that a create, update or delete of a registered
// model has failed: by a constraint, a hook of the application that refused it, a
// condition that is missing, or because it could not be recorded. Such an event
// has the operation of [audit.Event.Attempted], and no values: its only change
// tells the [audit.ErrorClass]. It is written as [RecordAttempt] does it, and
// implies [Attempts].
//
// The record is the one that the statement names by value; if it names several or
// none, its id is [AnyRecord]. Of a call that fails because of an association or
// within a hook of the model, there is one event, of the call's own record. Raw
// SQL, [Exec], a panic, a write that met no row (as an optimistic lock has it) and
// a transaction that is rolled back though its statements succeeded leave none:
// see [audit.Recorder.Attempt] for these. A COMMIT whose answer was lost counts as
// failed.
func FailedWrites() Option {
	return func(s *settings) error { s.attempts, s.failedWrites = true, true; return nil }
}

// RecordAttempt records what must be known even if the transaction of db is
// rolled back, such as that somebody was refused something:
//
//	err := hooks.RecordAttempt(tx, audit.Event{
//		Operation: audit.NotAllowedToDelete,
//		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7"},
//		Reason:    "only managers delete projects",
//	})
//
// The events are completed at once, and written when the transaction has ended,
// by whatever end, on a connection of the store's own; outside of a transaction
// they are written at once. So they never wait for the transaction's locks or for
// its connection. They are lost if the program ends before the transaction does.
// If they cannot be written then, they are lost as under audit.Config.BestEffort,
// whatever the mode.
//
// In a transaction it needs the option [Attempts]. It returns
// audit.ErrInvalidEvent, audit.ErrNoActor and audit.ErrWorkspaceMismatch as
// [audit.Recorder.Record] does.
func RecordAttempt(db *gorm.DB, events ...audit.Event) error {
	p, ok := db.Config.Plugins[pluginName].(*Plugin)
	if !ok {
		return errors.New("audit: hooks.RecordAttempt needs a *gorm.DB that uses the plugin")
	}
	ctx := db.Statement.Context
	if !inTransaction(db.Statement.ConnPool) {
		return Record(db, events...)
	}
	held, ok := connection(db.Statement.ConnPool).(*heldTx)
	if !ok {
		return errors.New("audit: hooks.RecordAttempt in a transaction that is not watched; add the option hooks.Attempts, and begin it by the *gorm.DB that uses the plugin")
	}
	return p.attempted(ctx, held, events)
}

// attempt is events to be written when a transaction has ended.
type attempt struct {
	ctx    context.Context
	events []audit.Event
}

// attempted keeps events for the end of a transaction.
func (p *Plugin) attempted(ctx context.Context, held *heldTx, events []audit.Event) error {
	a := attempt{ctx, make([]audit.Event, len(events))}
	copy(a.events, events)
	for i := range a.events {
		var err error
		if a.events[i].Workspace, err = p.rec.Workspace(ctx, a.events[i].Workspace); err != nil {
			return err
		}
	}
	if err := p.rec.Stamp(ctx, a.events); err != nil {
		return err
	}
	if len(a.events) > 0 {
		set := p.changeSets.of(held, a.events[0].ID)
		for i := range a.events {
			if a.events[i].ChangeSet == uuid.Nil {
				a.events[i].ChangeSet = set
			}
		}
	}
	held.mu.Lock()
	defer held.mu.Unlock()
	held.attempts = append(held.attempts, a)
	return nil
}

// call marks the contexts of statements that GORM, or a hook of a model, runs
// within a call of the application.
type call struct {
	statement *gorm.Statement
	outer     context.Context
}

type callKey struct{}

// enter marks the context of a call, if it is the outermost.
func (p *Plugin) enter(db *gorm.DB) {
	stmt := db.Statement
	if db.Error == nil && !db.DryRun && stmt.Context.Value(callKey{}) == nil {
		stmt.Context = context.WithValue(stmt.Context, callKey{}, &call{stmt, stmt.Context})
	}
}

// leave records the failure of a call that was entered.
func (p *Plugin) leave(db *gorm.DB, operation audit.Operation) {
	stmt := db.Statement
	c, _ := stmt.Context.Value(callKey{}).(*call)
	if c == nil || c.statement != stmt {
		return
	}
	stmt.Context = c.outer
	t := p.tableOf(stmt)
	if db.Error == nil || t == nil || t.join != nil || t.bystander {
		return
	}
	e := t.attempt(stmt, operation).Attempted(db.Error)
	held, watched := connection(stmt.ConnPool).(*heldTx)
	if !watched {
		p.rec.RecordOrLose(stmt.Context, e)
		return
	}
	if err := p.attempted(stmt.Context, held, []audit.Event{e}); err != nil {
		p.rec.Lose(stmt.Context, map[string]int{e.Workspace: 1}, err)
	}
}

// attempt is the event of a statement as far as the statement tells it.
func (t *table) attempt(stmt *gorm.Statement, operation audit.Operation) audit.Event {
	e := audit.Event{Operation: operation, Entity: audit.Entity{Type: t.entity.kind, ID: AnyRecord}}
	records := t.recordsOf(stmt)
	e.Workspace = oneWorkspace(records)
	if len(records) == 1 {
		e.Entity.Owner = records[0].owner
		if records[0].id != "" {
			e.Entity.ID = records[0].id
		}
	}
	if t.entity.owner != "" && e.Entity.Owner == "" {
		e.Ownership = audit.OwnershipOther // it could have an owner
	}
	return e
}
