package audit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The operations of attempts that changed nothing. An event with one of them
// says that somebody tried; those who rebuild records from events pass over it.
const (
	FailedToCreate  Operation = "failed_to_create"
	FailedToUpdate  Operation = "failed_to_update"
	FailedToDelete  Operation = "failed_to_delete"
	FailedToRestore Operation = "failed_to_restore"

	NotAllowedToCreate  Operation = "was_not_allowed_to_create"
	NotAllowedToUpdate  Operation = "was_not_allowed_to_update"
	NotAllowedToDelete  Operation = "was_not_allowed_to_delete"
	NotAllowedToRestore Operation = "was_not_allowed_to_restore"
)

// ErrDenied is in the chain of an error by which an application refuses
// something to somebody. An attempt that ends so is recorded as not allowed
// instead of failed; see [Denied].
var ErrDenied = errors.New("audit: not allowed")

// Denied returns an error that wraps [ErrDenied]. The reason is recorded as that
// of the attempt, so it must hold nothing that the log must not.
//
//	return audit.Denied("only managers delete projects")
func Denied(reason string) error { return &denial{reason} }

type denial struct{ reason string }

func (d *denial) Error() string { return ErrDenied.Error() + ": " + d.reason }
func (d *denial) Unwrap() error { return ErrDenied }

// unsuccessful is the operation of an attempt at o that ended with err.
func (o Operation) unsuccessful(err error) Operation {
	denied := errors.Is(err, ErrDenied)
	switch o {
	case Created, Updated, Deleted, Restored:
		verb := Operation(strings.TrimSuffix(string(o), "d"))
		if denied {
			return "was_not_allowed_to_" + verb
		}
		return "failed_to_" + verb
	}
	if denied {
		return "denied_" + o
	}
	return "failed_" + o
}

// Attempted is the event of an attempt at e that ended with err. Its operation
// is one of the constants such as [FailedToDelete] and [NotAllowedToDelete], or
// "failed_" or "denied_" before one of the application's own; its reason that of
// [Denied] if e has none; and its only change, of the field "error", tells the
// [ErrorClass].
func (e Event) Attempted(err error) Event {
	e.Operation = e.Operation.unsuccessful(err)
	if d := (*denial)(nil); e.Reason == "" && errors.As(err, &d) {
		e.Reason = d.reason
	}
	class, _ := json.Marshal(ErrorClass(err)) // of a text
	e.Changes = []Change{{Field: "error", After: Value{JSON: class}}}
	return e
}

// Attempt runs do, which tries what e says: the operation, such as [Deleted], and
// the entity. If do returns an error, or panics, the attempt is recorded as e
// with [Event.Attempted], and the error is returned as it is. If do succeeds,
// nothing is recorded but what do records itself.
//
//	err := rec.Attempt(ctx, audit.Event{
//		Operation: audit.Deleted,
//		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7"},
//	}, func(ctx context.Context) error {
//		return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { ... })
//	})
//
// The event is written when do has returned, on a connection of the store's own,
// so it outlives every transaction within do. Call Attempt outside of
// transactions: within one it might wait for a connection that never comes free.
// It is written even if ctx has ended, and is lost if the program ends first. If
// it cannot be written, it is lost as under [Config.BestEffort], whatever the
// mode: nothing is left that could be undone.
//
// It returns [ErrInvalidEvent], and does not run do, for an e without entity
// type, entity id or operation.
func (r *Recorder) Attempt(ctx context.Context, e Event, do func(ctx context.Context) error) error {
	if err := e.check(0, 1); err != nil {
		return err
	}
	returned := false
	defer func() {
		if !returned {
			r.RecordOrLose(ctx, e.Attempted(errPanic))
		}
	}()
	err := do(ctx)
	returned = true
	if err != nil {
		r.RecordOrLose(ctx, e.Attempted(err))
	}
	return err
}

// errPanic stands for what ended an attempt without an error.
var errPanic = errors.New("panic")

// RecordOrLose is [Recorder.Record] for what is over, so that no error could
// change anything: events that cannot be recorded are lost as under
// [Config.BestEffort]. The end of ctx does not keep them from being written. It
// must be called outside of transactions.
func (r *Recorder) RecordOrLose(ctx context.Context, events ...Event) {
	late, stop := patient(ctx)
	defer stop()
	if err := r.record(late, events); err != nil {
		lost := map[string]int{}
		for _, e := range events {
			lost[e.Workspace]++
		}
		r.Lose(ctx, lost, err)
	}
}

// ErrorClass tells of an error what the log may hold: a kind and never a value.
// It is "denied", "panic", "canceled", "timeout", "connection lost", what a
// sentinel of this package says, the database's own code, such as "SQLSTATE
// 23505", or else the type of the innermost error.
func ErrorClass(err error) string {
	for _, known := range []struct {
		is    error
		class string
	}{
		{ErrDenied, "denied"},
		{errPanic, "panic"},
		{context.Canceled, "canceled"},
		{context.DeadlineExceeded, "timeout"},
		{driver.ErrBadConn, "connection lost"},
		{sql.ErrConnDone, "connection lost"},
		{ErrNoActor, "no actor"},
		{ErrWorkspaceMismatch, "workspace mismatch"},
		{ErrInvalidEvent, "invalid event"},
		{ErrDuplicate, "duplicate event"},
		{ErrSchema, "store schema does not fit"},
	} {
		if errors.Is(err, known.is) {
			return known.class
		}
	}
	var (
		state  interface{ SQLState() string } // PostgreSQL's drivers
		number interface{ Code() int }        // SQLite's
	)
	switch {
	case errors.As(err, &state) && state.SQLState() != "":
		return "SQLSTATE " + clip(state.SQLState(), 16)
	case errors.As(err, &number):
		return fmt.Sprintf("code %d", number.Code())
	}
	last := innermost(err)
	var code int
	var standard string
	if n, _ := fmt.Sscanf(last.Error(), "Error %d (%5s)", &code, &standard); n > 0 { // MySQL's tells it in its text only
		return fmt.Sprintf("error %d", code)
	}
	if errors.Is(err, ErrAuditFailed) {
		return "not recorded"
	}
	return fmt.Sprintf("%T", last)
}

// innermost is the last error of a chain, by the last branch of each fork.
func innermost(err error) error {
	for {
		var next error
		switch e := err.(type) { //nolint:errorlint // the chain itself is walked
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				next = all[len(all)-1]
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}
