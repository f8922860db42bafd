package hooks

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// unit collects the events of one call to GORM: of its own statement and of
// those that save its associations. They are written together, before GORM
// runs the hooks that follow a write and before it commits, so that a record
// created with its tags is one event and the whole call is one INSERT.
//
// It belongs to one connection; a statement on another one that inherits the
// context does not join it.
//
// It is the context of the call's statements, so that those of associations find
// it.
type unit struct {
	context.Context // of the call

	plugin  *Plugin
	tx      audit.DBTX
	events  []pending
	one     [1]pending        // room for most
	index   map[recordKey]int // events by record, made when it is needed
	gates   map[gateKey]bool
	labels  map[labelKey]string
	changes slab[audit.Change]

	owner  *gorm.Statement // the call's own statement
	own    capture         // that of the call's own statement
	closed bool
}

// pending is an event before it is written.
type pending struct {
	audit.Event
	entity *entity
	key    string // of the record, as image.key
	args   []any  // the record's primary key
	cause  int    // place of the event that led to it plus one, 0 for none, or unrecorded
}

type recordKey struct {
	entity *entity
	key    string
}

type gateKey struct {
	workspace string
	kind      audit.EntityType
}

type unitKey struct{}

// Value implements context.Context.
func (u *unit) Value(key any) any {
	if key == (unitKey{}) {
		return u
	}
	return u.Context.Value(key)
}

// unitFrom returns the unit of the context if it is still open and belongs to
// the connection.
func unitFrom(ctx context.Context, tx audit.DBTX) *unit {
	u, _ := ctx.Value(unitKey{}).(*unit)
	if u == nil || u.tx != tx || u.closed {
		return nil
	}
	return u
}

func newUnit(ctx context.Context, p *Plugin, tx audit.DBTX) *unit {
	u := &unit{Context: ctx, plugin: p, tx: tx}
	u.events = u.one[:0]
	return u
}

// String hides the values that are collected from who prints a context.
func (u *unit) String() string { return "audit: the context of a call" }

// records asks the gate, if there is one, once per workspace and type.
func (u *unit) records(ctx context.Context, workspace string, kind audit.EntityType) (bool, error) {
	if !u.plugin.rec.Gated() {
		return true, nil
	}
	key := gateKey{workspace, kind}
	if on, ok := u.gates[key]; ok {
		return on, nil
	}
	on, err := u.plugin.rec.Records(ctx, u.tx, workspace, kind)
	if err == nil {
		if u.gates == nil {
			u.gates = map[gateKey]bool{}
		}
		u.gates[key] = on
	}
	return on, err
}

// know keeps the label of a record for references to it.
func (u *unit) know(key labelKey, label string) {
	if u.labels == nil {
		u.labels = map[labelKey]string{}
	}
	u.labels[key] = label
}

// addRow adds the event of one row, if it is recorded and anything changed.
// Cause is as in pending; an event that has one is the system's.
func (u *unit) addRow(ctx context.Context, e *entity, l *layout, p pair, cause int) error {
	row := p.before
	if row == nil {
		row = p.after
	}
	// Rows of one statement have much in common, and with who changes them.
	likelyWorkspace, likelyOwner := audit.WorkspaceFrom(ctx), ""
	if n := len(u.events); n > 0 {
		likelyWorkspace, likelyOwner = u.events[n-1].Workspace, u.events[n-1].Entity.Owner
	} else {
		likelyOwner = audit.ActorFrom(ctx).ID
	}
	workspace, err := u.plugin.rec.Workspace(ctx, l.text(row, l.workspace, likelyWorkspace))
	if err != nil {
		return err
	}
	on, err := u.records(ctx, workspace, e.kind)
	if err != nil || !on {
		return err
	}
	event, changed := e.change(l, p.before, p.after, &u.changes, likelyOwner)
	if !changed {
		return nil
	}
	event.Workspace = workspace
	if p.after == nil && event.Entity.Label != "" && e.table.referred.Load() && len(e.table.keys) == 1 {
		// Nobody can look it up any more.
		u.know(labelKey{e.table.name, e.table.keys[0], row.key}, event.Entity.Label)
	}
	u.add(ctx, pending{Event: event, entity: e, key: row.key, args: row.args, cause: cause})
	return nil
}

// add puts an event into the unit.
func (u *unit) add(ctx context.Context, p pending) {
	if p.entity.owner != "" && p.Entity.Owner == "" {
		p.Ownership = audit.OwnershipOther // it could have an owner
	}
	if p.cause != 0 {
		p.Actor, p.Initiator = audit.System, initiator(ctx)
	}
	u.events = append(u.events, p)
	if u.index != nil {
		u.index[recordKey{p.entity.own(), p.key}] = len(u.events)
	}
}

// initiator is the one on whose behalf the system acts.
func initiator(ctx context.Context) audit.Actor {
	if who := audit.InitiatorFrom(ctx); !who.IsZero() {
		return who
	}
	if who := audit.ActorFrom(ctx); !who.Same(audit.System) {
		return who
	}
	return audit.Actor{}
}

// find returns the place of the last event of a record, plus one, or zero.
func (u *unit) find(e *entity, key string) int {
	if u.index == nil {
		u.index = make(map[recordKey]int, len(u.events))
		for i := range u.events {
			u.index[recordKey{u.events[i].entity.own(), u.events[i].key}] = i + 1
		}
	}
	return u.index[recordKey{e.own(), key}]
}

// drop forgets what has not been written: its statements were rolled back.
func (u *unit) drop() { u.events, u.index = nil, nil }

// flush writes the events and what follows from them.
func (u *unit) flush(ctx context.Context) (err error) {
	defer recovered(&err)
	if len(u.events) == 0 {
		return nil
	}
	pendings := u.events
	u.events, u.index = nil, nil
	if err := u.label(ctx, pendings); err != nil {
		return err
	}
	events := make([]audit.Event, len(pendings))
	for i := range pendings {
		events[i] = pendings[i].Event
	}
	w := &writer{unit: u}
	if err := w.stamp(ctx, events); err != nil {
		return err
	}
	for i := range pendings {
		if c := pendings[i].cause; c > 0 {
			events[i].Cause = events[c-1].ID
		}
		pendings[i].Event = events[i]
	}
	if err := w.write(ctx, events); err != nil {
		return err
	}
	if err := w.follow(ctx, pendings, 0); err != nil {
		return err
	}
	return w.flush(ctx)
}

// writer writes events in portions, so that a change that touches very many
// records does not hold them all in memory.
type writer struct {
	unit   *unit
	events []audit.Event
}

// eventsPerWrite is the size of a portion.
const eventsPerWrite = 1000

// stamp completes events; all of one transaction share a change set, which has
// the id of the first of them.
func (w *writer) stamp(ctx context.Context, events []audit.Event) error {
	if err := w.unit.plugin.rec.Stamp(ctx, events); err != nil {
		return err
	}
	if len(events) == 0 || events[0].ChangeSet != uuid.Nil {
		return nil
	}
	set := w.unit.plugin.changeSets.of(w.unit.tx, events[0].ID)
	for i := range events {
		events[i].ChangeSet = set
	}
	return nil
}

// write takes events over and writes them once there are enough.
func (w *writer) write(ctx context.Context, events []audit.Event) error {
	if len(w.events) > 0 && len(w.events)+len(events) > eventsPerWrite {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	if w.events == nil {
		w.events = events
	} else {
		w.events = append(w.events, events...)
	}
	if len(w.events) >= eventsPerWrite {
		return w.flush(ctx)
	}
	return nil
}

func (w *writer) flush(ctx context.Context) error {
	events := w.events
	w.events = nil
	if len(events) == 0 {
		return nil
	}
	return w.unit.plugin.append(ctx, w.unit.tx, events)
}

// appendChange adds a change to an event of the unit. The changes may share
// their array with others, so they are copied when they grow.
func (p *pending) appendChange(c audit.Change) { p.Changes = append(slices.Clip(p.Changes), c) }
