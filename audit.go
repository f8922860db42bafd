package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// SchemaVersion is the version of the event's form that this package writes.
// It is stored with every event, so that a later version can still read it.
const SchemaVersion = 1

// Event says that somebody changed one record: who, what, when, on which
// record, from which value to which value, and why it happened.
//
// An event is a value. It is written once and never changed afterwards. The
// zero Event is not valid; [Recorder] fills in what the caller leaves out.
type Event struct {
	// ID is a version 7 UUID made from Time, unless the caller or [Config.NewID]
	// made it. Those of events to which a Recorder gave the time rise.
	ID uuid.UUID
	// Time is when the change was made, in UTC with microseconds. It lies
	// before the commit of the transaction that made the change.
	Time time.Time
	// Workspace is the tenant the record belongs to. It is never empty.
	Workspace string
	// Actor is who made the change; Clockify calls it the author.
	Actor Actor
	// Initiator is the user behind an event of [System], for example the one
	// who renamed the project that made its time entries change. Zero if
	// there is none or if the actor acted on their own behalf.
	Initiator Actor
	// Operation is what was done with the record.
	Operation Operation
	// Origin is the way by which the change came in. Empty if not known.
	Origin Origin
	// Entity is the record that was changed.
	Entity Entity
	// Ownership tells whether the actor owns the record.
	Ownership Ownership
	// Changes are the fields that the operation touched. A created event
	// holds every field, a deleted one every field the record had, an updated
	// one those that changed. See [Change].
	Changes []Change
	// Cause is the event that led to this one. Zero if none did.
	Cause uuid.UUID
	// Derived marks an event whose own record did not change: only what it
	// shows did, as the name of its project. Those who replay or compare
	// rows pass over derived events.
	Derived bool
	// ChangeSet is shared by all events of one transaction, or of several
	// joined by [WithChangeSet]. Zero if not known.
	ChangeSet uuid.UUID
	// Request tells from where the change came. Zero outside of a request.
	Request Request
	// Reason is the explanation the author gave. Empty if none was given.
	Reason string
	// SchemaVersion is the version of the event's form; see [SchemaVersion].
	SchemaVersion int
}

// Entity is a record as an event refers to it.
type Entity struct {
	// Type is the kind of record.
	Type EntityType `json:"type"`
	// ID is the record's primary key as text. Parts of a composite key are
	// joined by a slash. The id of an empty key is two double quotes.
	ID string `json:"id"`
	// Label is what people call the record, as it was called at the time.
	Label string `json:"label,omitempty"`
	// Owner is the id of the user whom the record belongs to. Empty if nobody.
	Owner string `json:"owner,omitempty"`
}

// EntityType is a kind of record. It is an open set: an application adds its
// own names, and their labels by [Catalog.With].
type EntityType string

// The entity types of Clockify's audit log.
const (
	TypeTimeEntry EntityType = "time_entry"
	TypeProject   EntityType = "project"
	TypeTask      EntityType = "task"
	TypeClient    EntityType = "client"
	TypeTag       EntityType = "tag"
	TypeExpense   EntityType = "expense"
)

// TypeSettings is the entity type of the audit log's own settings: what each
// workspace records. Its events are written whatever a [Gate] says.
const TypeSettings EntityType = "audit_settings"

// Operation is what was done with a record. It is an open set.
type Operation string

// The operations that are captured. Restored is the undoing of a deletion; in
// GORM, deleted_at going from set to null.
const (
	Created  Operation = "created"
	Updated  Operation = "updated"
	Deleted  Operation = "deleted"
	Restored Operation = "restored"
)

// Origin is the way by which a change came in. It is an open set. The empty
// Origin means that it is not known.
type Origin string

// Origins that have labels of their own in the [Catalog].
const (
	OriginTimer      Origin = "timer"
	OriginManual     Origin = "manual"
	OriginImport     Origin = "import"
	OriginKiosk      Origin = "kiosk"
	OriginQuickBooks Origin = "quickbooks"
	OriginAPI        Origin = "api"
)

// Ownership tells whether the one who made a change owns the record. It is
// settled when the event is written, and kept even if the owner changes later.
type Ownership string

// The three answers. A record without an owner, such as a project, has
// OwnershipNone. A record that could have an owner but has none, such as an
// unassigned task, is OwnershipOther. An event of [System] is judged by its
// initiator; without one it is OwnershipOther.
const (
	OwnershipNone  Ownership = ""
	OwnershipSelf  Ownership = "self"
	OwnershipOther Ownership = "other"
)

// ActorKind tells what an actor is. It is an open set. The empty kind means
// [KindUser].
type ActorKind string

// The kinds of actors this package knows.
const (
	KindUser    ActorKind = "user"
	KindSystem  ActorKind = "system"
	KindKey     ActorKind = "key" // an API key or a service account
	KindUnknown ActorKind = "unknown"
)

// Actor is who made a change. Two actors are the same if kind and id are: a
// user whose id is "system" is not [System]. The zero Actor means that nobody
// was named.
type Actor struct {
	// Kind is what the actor is; empty means [KindUser].
	Kind ActorKind `json:"kind,omitempty"`
	// ID is the actor's id in the application.
	ID string `json:"id,omitempty"`
	// Name is what people call the actor, as it was at the time.
	Name string `json:"name,omitempty"`
}

// System is the application itself, the author of what no user asked for
// directly (Clockify, Audit log: "System").
var System = Actor{Kind: KindSystem, Name: "System"}

// Unknown is the author of a change that was made without an actor in its
// context.
var Unknown = Actor{Kind: KindUnknown, Name: "Unknown"}

// IsZero reports whether nobody is named.
func (a Actor) IsZero() bool { return a == Actor{} }

// Same reports whether a and b are one actor: kind and id are equal. Names are
// not compared, because people change theirs.
func (a Actor) Same(b Actor) bool { return a.kind() == b.kind() && a.ID == b.ID }

// kind is Kind with the empty one spelled out.
func (a Actor) kind() ActorKind {
	if a.Kind == "" {
		return KindUser
	}
	return a.Kind
}

// String is the name, else the id, else the kind.
func (a Actor) String() string {
	switch {
	case a.Name != "":
		return a.Name
	case a.ID != "":
		return a.ID
	case a.Kind != "":
		return string(a.Kind)
	}
	return ""
}

// Request tells from where a change came.
type Request struct {
	// ID is the request's id, as the application's logs know it.
	ID string `json:"id,omitempty"`
	// Address is the network address of the client.
	Address string `json:"address,omitempty"`
	// Agent is the client's program as it calls itself. It is recorded only
	// if [Config.RecordAgent] says so.
	Agent string `json:"agent,omitempty"`
}

// Change is what happened to one field of a record.
//
// Which sides are recorded depends on the event. Created and restored: After.
// Deleted: Before. Updated: both. Where a soft delete or a restore changed the
// stored row, the changed columns have both sides, so that the events alone
// can rebuild every row.
type Change struct {
	// Field is the column's name in the database, or the name of a
	// many-to-many relation if Element is set.
	Field string
	// Before and After are the values as the database held them.
	Before, After Value
	// Element marks a change of a many-to-many relation: one element was
	// added (Before is null) or removed (After is null). An event may hold
	// several of them for one field.
	Element bool
}

// Value is one side of a [Change]. The zero Value means "not recorded", which
// is not the same as null.
type Value struct {
	// JSON is the value in JSON. Nil means that it was not recorded or, with
	// FormRedacted, withheld; null means that the column was null.
	JSON json.RawMessage
	// Label is what a reference pointed at was called at the time, for example
	// the project's name beside its id. Empty for what is not a reference.
	Label string
	// Form tells how JSON stands for the value. Empty means: as it is.
	Form Form
}

// Form tells how [Value.JSON] stands for a value.
type Form string

// The forms of a value.
const (
	// FormPlain is the value itself.
	FormPlain Form = ""
	// FormBase64 is a JSON string with the base64 of bytes that are not text.
	FormBase64 Form = "base64"
	// FormShortened is an object that stands for a value over
	// [MaxValueBytes]: {"length": bytes, "prefix": its beginning} and, where
	// the database makes it cheaply, "sha256". "prefix_base64" replaces
	// "prefix" for bytes that are not text. The prefix is missing where
	// reading it would mean to read the whole value, as SQLite does, though
	// the statement did not set it.
	FormShortened Form = "shortened"
	// FormRedacted is a value that was withheld: the log shows that it
	// changed and never what it was. JSON is nil.
	FormRedacted Form = "redacted"
	// FormPartial is JSON of which parts were withheld: what stands under a
	// name that [Sensitive] tells, or under one that is tagged audit:"redact".
	// In the place of each is the string "[withheld]". Two equal sides of this
	// form say that what changed was withheld.
	FormPartial Form = "partial"
)

// MaxValueBytes is the length over which a value is recorded as [FormShortened]:
// that of a text or of bytes as they are, and of anything else as JSON.
const MaxValueBytes = 64 << 10

// Recorded reports whether the value is known to the log: as JSON, shortened,
// or withheld.
func (v Value) Recorded() bool { return len(v.JSON) > 0 || v.Form != FormPlain }

// IsNull reports whether the value is recorded as null.
func (v Value) IsNull() bool { return v.Form == FormPlain && string(v.JSON) == "null" }

// Store keeps events. It is written to by a [Recorder] and read by [Query] and
// [QueryPage]; applications rarely call it themselves. Package storetest holds
// the tests that every Store must pass.
//
// A Store is safe for use by several goroutines at once.
type Store interface {
	// Append writes the events, all or none, in their order. They are complete,
	// as [Recorder.Stamp] leaves them; a store need not check that. It returns
	// [ErrDuplicate] if one of the ids is there already, and may return
	// [ErrInvalidEvent] for an event that it cannot keep. Appending no events
	// does nothing. It does not keep or change the slice or what it refers to.
	// Events come back as they went in, but an actor of the empty kind as
	// [KindUser].
	Append(ctx context.Context, events []Event) error

	// List returns up to limit events that match f and lie after the given
	// position, newest first: by time, then by id, both descending. The zero
	// Position starts at the newest. It returns fewer than limit events only
	// if there are no more, and the error of [Filter.Validate] for a filter
	// that is not valid. A limit under 1 is an error.
	List(ctx context.Context, f Filter, after Position, limit int) ([]Event, error)
}

// TxStore is a [Store] that can write inside the caller's transaction, so that
// a change and its events are committed together or not at all.
type TxStore interface {
	Store
	// AppendTx is [Store.Append] on tx. It neither commits nor rolls back: after
	// an error some of the events may be there, until the caller rolls back tx,
	// or a savepoint before them.
	AppendTx(ctx context.Context, tx DBTX, events []Event) error
}

// TxLister is a [Store] that can read inside a transaction and sees what that
// transaction appended. Without it hooks cannot prove at registration that an
// event is found where it was written, and leave that check out.
type TxLister interface {
	// ListTx is [Store.List] on tx.
	ListTx(ctx context.Context, tx DBTX, f Filter, after Position, limit int) ([]Event, error)
}

// TxComposer is a [TxStore] that writes an event as a part of a larger
// statement, so that on PostgreSQL a row and its event take one round trip.
// Without it, or on another database, hooks write the event by a statement of
// its own.
type TxComposer interface {
	// Composes reports whether store is this one: a store that embeds it may
	// have an AppendTx of its own, which must not be passed over.
	Composes(store Store) bool
	// ComposeText returns an INSERT that writes an event for each row of the
	// relation named source. Its variables are those of ComposeArgs; the first
	// one follows the given number of others.
	ComposeText(source string, computed ComputedEvent, variables int) string
	// ComposeArgs appends to args the variables for the parts of e that are
	// not computed. It returns [ErrInvalidEvent] as AppendTx does.
	ComposeArgs(args []any, e Event) ([]any, error)
	// ComposeNewer returns a condition: that a record, whose workspace, entity
	// type and id the expressions tell, has an event at a time, in microseconds
	// since 1970, or after it.
	ComposeNewer(workspace, kind, id, micros string) string
	// ComposedError returns the error of such a statement as AppendTx would, if
	// the event could not be written, and nil if it is not about the event.
	ComposedError(err error) error
}

// ComputedEvent are the parts of an event that the database computes: an SQL
// expression over the source for each of them. Its texts are not null, and an
// event's limits have been kept already.
type ComputedEvent struct {
	Workspace, Operation, Origin, Ownership string
	EntityID, EntityLabel, EntityOwner      string
	Changes                                 string // a JSON array; see AppendStored
}

// Colocated is a [TxStore] that can tell whether other connections lead to the
// database it keeps its events in. Without it hooks take the
// application's word for it.
type Colocated interface {
	// SameDatabase reports whether conn, a pool, a connection or a transaction,
	// leads to the store's own database. A pool must have no transaction open
	// meanwhile, because it may have one connection only.
	SameDatabase(ctx context.Context, conn DBTX) (bool, error)
}

// SchemaVerifier is a [Store] whose tables may be missing or older than the
// program. Without it a wrong table shows at the first write.
type SchemaVerifier interface {
	// VerifySchema returns an error that wraps [ErrSchema] and names the
	// remedy if the store cannot work with its tables as they are.
	VerifySchema(ctx context.Context) error
}

// Stager is a [Store] outside the application's database that can promise an
// append. Hooks stage the events of a transaction before its commit and
// publish them after it, so that neither a failed append nor a failed commit
// leaves one without the other. For a store without it, hooks append just
// before the commit; a commit that fails then leaves events without a change.
type Stager interface {
	// Stage checks the events as [Store.Append] does and returns a function
	// that makes them visible and cannot fail. Events that are not published
	// are forgotten.
	Stage(ctx context.Context, events []Event) (publish func(), err error)
}

// DBTX is what runs SQL: a *sql.DB, *sql.Tx or *sql.Conn, or GORM's ConnPool.
type DBTX interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var (
	_ DBTX = (*sql.DB)(nil)
	_ DBTX = (*sql.Tx)(nil)
	_ DBTX = (*sql.Conn)(nil)
)

// Errors that callers may want to tell apart with errors.Is. Their messages
// never hold a value of an audited field, nor a data source name.
var (
	// ErrAuditFailed wraps every error of recording that made a call fail. The
	// change was rolled back, but for raw SQL whose event is written after it
	// outside of a transaction (docs/not-captured.md); Recorder.Record has no
	// change to take back.
	ErrAuditFailed = errors.New("audit: the event could not be recorded")
	// ErrInvalidEvent is returned for an event that lacks a required field, or
	// that JSON or the store cannot keep.
	ErrInvalidEvent = errors.New("audit: invalid event")
	// ErrInvalidFilter is returned for a filter that cannot be answered: no
	// workspace, From after To, an unknown action.
	ErrInvalidFilter = errors.New("audit: invalid filter")
	// ErrInvalidCursor is returned for a cursor that is damaged or that
	// belongs to another filter.
	ErrInvalidCursor = errors.New("audit: invalid cursor")
	// ErrDuplicate is returned by a store for an event id it already holds.
	ErrDuplicate = errors.New("audit: event exists already")
	// ErrSchema is returned for a store whose tables are missing, older or
	// newer than the program.
	ErrSchema = errors.New("audit: store schema does not fit")
	// ErrNoActor is returned for a change without an actor in its context if
	// [Config.RequireActor] is set.
	ErrNoActor = errors.New("audit: no actor in the context")
	// ErrWorkspaceMismatch is returned if a record belongs to another
	// workspace than its context, unless [Config.AllowWorkspaceMismatch] is
	// set.
	ErrWorkspaceMismatch = errors.New("audit: record and context belong to different workspaces")
)

// invalidEvent names what is wrong with an event.
func invalidEvent(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidEvent, fmt.Sprintf(format, args...))
}
