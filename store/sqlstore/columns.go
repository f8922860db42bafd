package sqlstore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// columns are the columns of the events' table in the order in which encoder.add
// writes them.
var columns = [...]string{
	"id", "time", "workspace",
	"actor_kind", "actor_id", "actor_name",
	"initiator_kind", "initiator_id", "initiator_name",
	"operation", "origin",
	"entity_type", "entity_id", "entity_label", "entity_owner",
	"ownership", "changes", "cause", "derived", "change_set",
	"request_id", "request_address", "request_agent",
	"reason", "schema_version",
}

// changesColumn is the place of "changes" in columns.
var changesColumn = slices.Index(columns[:], "changes")

// maxName is the length in bytes of what indexes hold. [audit.Recorder] keeps
// to it.
const maxName = audit.MaxIDBytes

// encoder makes variables of events, a row after the other.
type encoder struct {
	dialect Dialect
	words   *words
	args    []any

	cause, set known // those of the row before
}

// known is an id that has been made a variable.
type known struct {
	id  uuid.UUID
	arg any
}

// add appends an event's columns, all but the changes.
func (r *encoder) add(e *audit.Event) error {
	for _, name := range [...]string{e.Workspace, e.Actor.ID, string(e.Entity.Type), e.Entity.ID} {
		if len(name) > maxName {
			return fmt.Errorf("%w: event %s has an id, type or workspace of %d bytes, more than %d; audit.Recorder shortens them", audit.ErrInvalidEvent, e.ID, len(name), maxName)
		}
	}
	id := r.dialect.uuid(&e.ID)
	if r.set.arg == nil {
		r.set = known{e.ID, id} // as hooks choose a change set
	}
	r.args = append(r.args, id, e.Time.UnixMicro())
	r.word(e.Workspace)
	r.word(string(cmp.Or(e.Actor.Kind, audit.KindUser)))
	actor := r.text(e.Actor.ID)
	r.optional(e.Actor.Name)
	r.optional(string(e.Initiator.Kind))
	r.optional(e.Initiator.ID)
	r.optional(e.Initiator.Name)
	r.word(string(e.Operation))
	r.word(string(e.Origin))
	r.word(string(e.Entity.Type))
	r.text(e.Entity.ID)
	r.optional(e.Entity.Label)
	if e.Entity.Owner == e.Actor.ID {
		r.args = append(r.args, actor)
	} else {
		r.text(e.Entity.Owner)
	}
	r.word(string(e.Ownership))
	r.args = append(r.args, nil) // changes
	r.shared(&r.cause, &e.Cause)
	r.args = append(r.args, flag(e.Derived))
	r.shared(&r.set, &e.ChangeSet)
	r.optional(e.Request.ID)
	r.optional(e.Request.Address)
	r.optional(e.Request.Agent)
	r.optional(e.Reason)
	r.args = append(r.args, int64(e.SchemaVersion))
	return nil
}

// text appends s and returns it as a variable. Most columns are alike in the
// events of one statement, so the row before often has the same text, already in
// an interface.
func (r *encoder) text(s string) any {
	v, same := r.above(s)
	if !same {
		v = s
	}
	r.args = append(r.args, v)
	return v
}

// word is text for what the events of other statements have, too.
func (r *encoder) word(s string) {
	v, same := r.above(s)
	if !same {
		v = r.words.of(s)
	}
	r.args = append(r.args, v)
}

// above is what the row before has in the next column, if that is s.
func (r *encoder) above(s string) (v any, same bool) {
	at := len(r.args) - len(columns)
	if at < 0 {
		return nil, false
	}
	text, ok := r.args[at].(string)
	return r.args[at], ok && text == s
}

// optional appends s, or NULL if it is empty.
func (r *encoder) optional(s string) {
	if s == "" {
		r.args = append(r.args, nil)
		return
	}
	r.text(s)
}

// shared appends an id that events of one statement have in common, or NULL if
// it is zero.
func (r *encoder) shared(k *known, id *uuid.UUID) {
	switch {
	case *id == uuid.Nil:
		*k = known{}
	case k.id == *id:
	default:
		*k = known{*id, r.dialect.uuid(id)}
	}
	r.args = append(r.args, k.arg)
}

// uuid is id as the database takes it.
func (d Dialect) uuid(id *uuid.UUID) any {
	if d == Postgres {
		return id.String()
	}
	return id[:]
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}
