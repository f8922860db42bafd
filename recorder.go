package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// DefaultWorkspace is the workspace of programs that have one tenant.
const DefaultWorkspace = "default"

// Config is how a [Recorder] works. The zero Config, and a nil one, record
// everything into the workspace [DefaultWorkspace].
type Config struct {
	// Gate decides what is recorded. Nil records everything that reaches the
	// Recorder; with hooks that is every registered type.
	Gate Gate

	// Workspace is the workspace of what names none, neither by its record nor
	// by its context. Defaults to DefaultWorkspace.
	Workspace string

	// Now is the clock. It is cut to microseconds and read once per statement.
	// Defaults to time.Now.
	Now func() time.Time

	// NewID makes the id of an event from the event's own time. It must never
	// make one twice. Defaults to version 7 UUIDs, which rise within a
	// Recorder even if the clock steps back.
	NewID func(t time.Time) uuid.UUID

	// RequireActor makes a change without an actor in its context fail with
	// ErrNoActor. Defaults to recording Unknown as the actor.
	RequireActor bool

	// AllowWorkspaceMismatch lets a record be changed from the context of
	// another workspace; the event belongs to the record's. Defaults to
	// refusing that with ErrWorkspaceMismatch.
	AllowWorkspaceMismatch bool

	// RecordAgent keeps Request.Agent. Defaults to dropping it: it is personal
	// data of little use.
	RecordAgent bool

	// ShortenAddresses keeps of Request.Address only the network: the first
	// three bytes of an IPv4 address, the first six of an IPv6 one. An address
	// that does not parse is dropped. Defaults to keeping it whole.
	ShortenAddresses bool

	// BestEffort lets a change that hooks cannot record go through. What is
	// missing is counted ([Recorder.Stats]), reported to OnError, and told of in
	// the log by an event of its own ([Lost]) once recording works again; until
	// then it is remembered in memory only. Defaults to strict: the change fails
	// with ErrAuditFailed.
	//
	// What the application asks for itself still fails: ErrNoActor,
	// ErrWorkspaceMismatch, and what the Recorder's methods and hooks.Exec are
	// called for. So does what ends the change without us: a context that is
	// over, a connection that is lost, a deadlock.
	BestEffort bool

	// OnError is told of every error of recording, once, in both modes: an error
	// that wraps ErrLost means that a change went through without its event, any
	// other that a call failed. It is called in the goroutine that made the
	// change, maybe within its transaction: it must not use the database, and
	// return soon. A panic in it is dropped. Defaults to telling nobody.
	OnError func(ctx context.Context, err error)
}

// Recorder completes events and hands them to a [Store]. Applications that use
// hooks make one and pass it on; what no hook can see they record themselves,
// with [Recorder.Record] or [Recorder.RecordTx].
//
// A Recorder is safe for use by several goroutines at once, and starts none.
type Recorder struct {
	store Store
	cfg   Config
	ids   idSource

	losses losses
}

// New returns a Recorder that writes to store. A nil cfg is the zero [Config].
// A nil store is an error.
func New(store Store, cfg *Config) (*Recorder, error) {
	if store == nil {
		return nil, errors.New("audit: New needs a store, got nil")
	}
	r := &Recorder{store: store}
	if cfg != nil {
		r.cfg = *cfg
	}
	if r.cfg.Workspace == "" {
		r.cfg.Workspace = DefaultWorkspace
	}
	if r.cfg.Now == nil {
		r.cfg.Now = time.Now
	}
	return r, nil
}

// Store returns the store that the Recorder writes to.
func (r *Recorder) Store() Store { return r.store }

// Record completes the events as [Recorder.Stamp] does and appends those that
// the gate lets through, all or none. It is for what no hook sees: a login, an
// approval, a change in another system.
//
// It returns [ErrInvalidEvent], [ErrNoActor] and [ErrWorkspaceMismatch] as they
// are: the caller has to mend the events or the context. An error of the gate or
// the store wraps [ErrAuditFailed], is counted in [Stats].Refused and told to
// [Config.OnError]. Through hooks the former do so, too, since a change fails by
// them.
func (r *Recorder) Record(ctx context.Context, events ...Event) error {
	err := r.record(ctx, events)
	if errors.Is(err, ErrAuditFailed) {
		r.Refuse(ctx, err)
	}
	return err
}

func (r *Recorder) record(ctx context.Context, events []Event) error {
	events, err := r.Admit(ctx, nil, events)
	if err != nil || len(events) == 0 {
		return err
	}
	if err := r.append(ctx, events); err != nil {
		return err
	}
	_ = r.TellLosses(ctx) // or the next time
	return nil
}

// append appends completed events on a connection of the store's own.
func (r *Recorder) append(ctx context.Context, events []Event) (err error) {
	defer recovered(&err, "store")
	err = r.store.Append(ctx, events)
	if err == nil {
		err = ctx.Err() // drivers of SQLite report success for what this has kept from running
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAuditFailed, err)
	}
	r.Count(len(events))
	return nil
}

// RecordTx is [Recorder.Record] inside the caller's transaction: the events
// exist if and only if tx is committed. Its errors are the same, and
// errors.ErrUnsupported if the store is not a [TxStore].
func (r *Recorder) RecordTx(ctx context.Context, tx DBTX, events ...Event) error {
	err := r.recordTx(ctx, tx, events)
	if errors.Is(err, ErrAuditFailed) {
		r.Refuse(ctx, err)
	}
	return err
}

func (r *Recorder) recordTx(ctx context.Context, tx DBTX, events []Event) error {
	store, ok := r.store.(TxStore)
	if !ok {
		return fmt.Errorf("audit: a store of type %T cannot write inside a transaction, use Record: %w", r.store, errors.ErrUnsupported)
	}
	events, err := r.Admit(ctx, tx, events)
	if err != nil || len(events) == 0 {
		return err
	}
	if err := store.AppendTx(ctx, tx, events); err != nil {
		return fmt.Errorf("%w: %w", ErrAuditFailed, err)
	}
	r.Count(len(events))
	return nil
}

// Admit is the first half of [Recorder.Record]: it returns stamped copies of the
// events that the gate lets through, with values that every store can keep. It
// is for those who append them in a way of their own, as hooks do. The events
// passed to it are left as they are.
//
// A change whose JSON is not valid is recorded as that text, a value that is too
// long as [FormShortened]; neither makes it fail. It returns [ErrInvalidEvent]
// for an event without entity type, entity id or operation, and for a change
// without a field, whether or not the gate would let it through.
func (r *Recorder) Admit(ctx context.Context, tx DBTX, events []Event) ([]Event, error) {
	admitted := make([]Event, 0, len(events))
	for i, e := range events {
		if err := e.check(i, len(events)); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Field == "" }) {
			return nil, invalidEvent("a change of event %d of %d needs the name of its field", i+1, len(events))
		}
		workspace, err := r.Workspace(ctx, e.Workspace)
		if err != nil {
			return nil, err
		}
		on, err := r.Records(ctx, tx, workspace, e.Entity.Type)
		if err != nil {
			return nil, err
		}
		if on {
			e.Workspace = workspace
			e.Changes = slices.Clone(e.Changes) // stamping cleans them
			for i := range e.Changes {
				e.Changes[i].settle()
			}
			admitted = append(admitted, e)
		}
	}
	if err := r.Stamp(ctx, admitted); err != nil {
		return nil, err
	}
	return admitted, nil
}

// check sees to it that the event, the i-th of n, says what was done with what.
func (e *Event) check(i, n int) error {
	if e.Entity.Type == "" || e.Entity.ID == "" || e.Operation == "" {
		return invalidEvent("event %d of %d needs an entity type, an entity id and an operation", i+1, n)
	}
	return nil
}

// Records asks the gate; see [Gate.Records]. Events of the log's own types,
// [TypeSettings], [TypeExport] and [TypeLog], are always recorded. A gate that fails or panics makes an
// error that wraps [ErrAuditFailed].
func (r *Recorder) Records(ctx context.Context, tx DBTX, workspace string, t EntityType) (on bool, err error) {
	if r.cfg.Gate == nil || t == TypeSettings || t == TypeExport || t == TypeLog {
		return true, nil
	}
	defer recovered(&err, "gate")
	on, err = r.cfg.Gate.Records(ctx, tx, workspace, t)
	if err != nil {
		return false, fmt.Errorf("%w: gate: %w", ErrAuditFailed, err)
	}
	return on, nil
}

// Workspace settles the workspace of a record: its own if it names one, else
// the context's, else [Config.Workspace]. It returns [ErrWorkspaceMismatch] if
// record and context name different ones, unless the config allows it.
func (r *Recorder) Workspace(ctx context.Context, own string) (string, error) {
	of := WorkspaceFrom(ctx)
	switch {
	case own == "" && of == "":
		return r.cfg.Workspace, nil
	case own == "":
		return of, nil
	case of != "" && of != own && !r.cfg.AllowWorkspaceMismatch:
		return "", fmt.Errorf("%w; set audit.WithWorkspace to the record's, or Config.AllowWorkspaceMismatch", ErrWorkspaceMismatch)
	}
	return own, nil
}

// ExpectedWorkspace returns the workspace of records that do not name their own,
// and whether only records of that workspace are let through; see
// [Recorder.Workspace].
func (r *Recorder) ExpectedWorkspace(ctx context.Context) (workspace string, only bool) {
	if workspace = WorkspaceFrom(ctx); workspace == "" {
		return r.cfg.Workspace, false
	}
	return workspace, !r.cfg.AllowWorkspaceMismatch
}

// Stamp completes events in place, as those of one statement: what the caller
// left out comes from the context and the config. It sets time, id, workspace,
// actor, initiator, origin, change set, request, reason, schema version and,
// if the entity has an owner, the ownership. It does not ask the gate and does
// not write; hooks do that.
//
// A time entry created by its owner without an origin is manual.
//
// It returns [ErrNoActor] as [Config.RequireActor] says, and [ErrInvalidEvent]
// for an event without entity type, entity id or operation.
func (r *Recorder) Stamp(ctx context.Context, events []Event) (err error) {
	if len(events) == 0 {
		return nil
	}
	defer recovered(&err, "clock or id")
	from := carried(ctx)
	from.request = r.personal(from.request)
	now := r.cfg.Now().UTC().Truncate(time.Microsecond)
	if now.IsZero() {
		return fmt.Errorf("%w: Config.Now returned the zero time", ErrAuditFailed)
	}
	tick := int64(0)
	if r.cfg.NewID == nil {
		tick = r.ids.take(now, len(events))
	}
	for i := range events {
		e := &events[i]
		if err := e.check(i, len(events)); err != nil {
			return err
		}
		if err := r.identify(e, now, tick+int64(i)); err != nil {
			return err
		}
		if e.Workspace == "" {
			if e.Workspace, err = r.Workspace(ctx, ""); err != nil {
				return err
			}
		}
		if err := r.attribute(e, from); err != nil {
			return err
		}
		e.clean()
	}
	return nil
}

// identify sets time, id and version of an event that lacks them.
func (r *Recorder) identify(e *Event, now time.Time, tick int64) error {
	own := !e.Time.IsZero()
	if own {
		e.Time = e.Time.UTC().Truncate(time.Microsecond)
	} else {
		e.Time = now
	}
	if e.ID == uuid.Nil {
		switch {
		case r.cfg.NewID != nil:
			e.ID = r.cfg.NewID(e.Time)
		case own: // an event of another time does not move the source
			e.ID = idAt(tickOf(e.Time))
		default:
			e.ID = idAt(tick)
		}
		if e.ID == uuid.Nil {
			return fmt.Errorf("%w: Config.NewID returned the zero id", ErrAuditFailed)
		}
	}
	e.SchemaVersion = SchemaVersion
	return nil
}

// attribute sets who made the change, whence and why.
func (r *Recorder) attribute(e *Event, from carrier) error {
	if e.Actor.nobody() {
		e.Actor = from.actor
	}
	if e.Actor.nobody() {
		if r.cfg.RequireActor {
			return fmt.Errorf("%w: set one with audit.WithActor before %s %s", ErrNoActor, e.Entity.Type, e.Operation)
		}
		e.Actor = Unknown
	}
	e.Actor.Kind = e.Actor.kind()
	if e.Initiator.IsZero() {
		e.Initiator = from.initiator
	}
	if !e.Initiator.IsZero() {
		e.Initiator.Kind = e.Initiator.kind()
	}
	if e.Origin == "" {
		e.Origin = from.origin
	}
	if e.ChangeSet == uuid.Nil {
		e.ChangeSet = from.changeSet
	}
	if e.Request == (Request{}) {
		e.Request = from.request
	} else {
		e.Request = r.personal(e.Request)
	}
	if e.Reason == "" {
		e.Reason = from.reason
	}
	if e.Ownership == OwnershipNone && e.Entity.Owner != "" {
		e.Ownership = OwnershipFor(e.Actor, e.Initiator, e.Entity.Owner)
	}
	if e.Entity.Type == TypeTimeEntry && e.Operation == Created && e.Ownership == OwnershipSelf && e.Origin == "" {
		e.Origin = OriginManual
	}
	return nil
}

// nobody reports whether a names no one: a user without id and name is none.
func (a Actor) nobody() bool { return a.kind() == KindUser && a.ID == "" && a.Name == "" }

// OwnershipFor settles whether a change of a record that can have an owner was
// made by that owner. An actor who is not a user is judged by the initiator. A
// record whose owner is not set (owner is empty) is [OwnershipOther].
func OwnershipFor(actor, initiator Actor, owner string) Ownership {
	who := actor
	if who.kind() != KindUser {
		who = initiator
	}
	if owner != "" && !who.IsZero() && who.Same(Actor{ID: owner}) {
		return OwnershipSelf
	}
	return OwnershipOther
}

// recovered turns a panic of the application's callback into an error, because
// a panic inside GORM's callbacks would leak the transaction's connection.
// The panic's value is not repeated: it may hold anything.
func recovered(err *error, callback string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: the %s callback panicked with a %T", ErrAuditFailed, callback, p)
	}
}
