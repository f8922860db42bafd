package audit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Filter says which events are wanted. Its fields are joined by "and", the
// elements of one field by "or"; an empty field asks for nothing. Only
// Workspace is required: an event is never found from another workspace.
//
// The zero Filter is not valid. A Filter is a value; it is never changed by
// what it is passed to. A field has up to 1,000 elements, and all Except together
// as many values; see [Filter.Validate].
type Filter struct {
	// Workspace is the workspace that is read.
	Workspace string
	// From and To bound the time: From <= time < To. Zero is open.
	From, To time.Time
	// IDs are the events themselves.
	IDs []uuid.UUID
	// Actors are the authors, compared by kind and id; see [Actor.Same].
	Actors []Actor
	// Actions are kinds of actions; see [Catalog.Actions] for those that
	// people name by a label or a code.
	Actions []Action
	// Types are the entity types.
	Types []EntityType
	// Entities are the records, compared by type and id.
	Entities []Entity
	// Owners are the ids of the users whom the records belonged to.
	Owners []string
	// Origins are the ways by which changes came in; the empty Origin finds
	// events of unknown origin.
	Origins []Origin
	// Fields are the names of changed fields; see [Change.Field].
	Fields []string
	// Causes are the events that led to those wanted.
	Causes []uuid.UUID
	// ChangeSets are the transactions, or the stories joined by [WithChangeSet].
	ChangeSets []uuid.UUID
	// Text is a part of the record's label. ASCII letters are compared without
	// regard to case; whether others are is up to the database.
	Text string
	// Except leaves out what the other fields ask for: an event is not found
	// if one of these filters finds it. They have the workspace of the filter
	// they belong to and name none, ask for something, and leave out nothing
	// themselves.
	Except []Filter
}

// Action is a kind of action: what an event's parts have to be. An empty part
// asks for nothing, except that an empty Origin within Origins finds events of
// unknown origin.
type Action struct {
	Type      EntityType
	Operation Operation
	Origins   []Origin
	Ownership Ownership
}

// Position is a place in the order of events: newest first, by time, then by
// id. The zero Position lies before the newest event.
type Position struct {
	Time time.Time
	ID   uuid.UUID
}

// Position returns the event's place in the order of events.
func (e Event) Position() Position { return Position{Time: e.Time, ID: e.ID} }

// IsZero reports whether p lies before the newest event.
func (p Position) IsZero() bool { return p.Time.IsZero() && p.ID == uuid.Nil }

// Compare orders positions as reports do: it is negative if p comes before q,
// which is to say that p is newer.
func (p Position) Compare(q Position) int {
	switch {
	case p == q:
		return 0
	case p.IsZero():
		return -1
	case q.IsZero():
		return 1
	}
	if c := q.Time.Compare(p.Time); c != 0 {
		return c
	}
	return bytes.Compare(q.ID[:], p.ID[:])
}

// maxFilterValues bounds the elements of one field of a filter, so that no
// database refuses the statement for its number of variables.
const maxFilterValues = 1000

// maxActionOrigins bounds the origins of all actions together.
const maxActionOrigins = 10 * maxFilterValues

// invalidFilter names what is wrong with a filter.
func invalidFilter(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidFilter, fmt.Sprintf(format, args...))
}

// Validate returns an error that wraps [ErrInvalidFilter] and names the field
// if the filter cannot be answered. It does not know which entity types and
// operations exist, for both are open sets; [Catalog.Validate] does.
func (f Filter) Validate() error {
	if f.Workspace == "" {
		return invalidFilter("Workspace is empty; every read names its workspace")
	}
	for _, n := range f.counts() {
		if n.count > maxFilterValues {
			return invalidFilter("%s has %d elements, more than %d", n.field, n.count, maxFilterValues)
		}
	}
	if err := f.validateValues(""); err != nil {
		return err
	}
	excepted := 0
	for i, x := range f.Except {
		field := fmt.Sprintf("Except[%d]", i)
		switch {
		case x.Workspace != "":
			return invalidFilter("%s names a workspace; it has that of its filter", field)
		case len(x.Except) > 0:
			return invalidFilter("%s has an Except itself", field)
		case x.isEmpty():
			return invalidFilter("%s is empty and would leave out everything", field)
		}
		if err := x.validateValues(field + "."); err != nil {
			return err
		}
		excepted += x.values()
	}
	if excepted > maxFilterValues {
		return invalidFilter("Except has %d values, more than %d", excepted, maxFilterValues)
	}
	for field, text := range f.texts {
		if !storable(text) {
			return invalidFilter("%s holds text that is not valid UTF-8 or has a NUL; no event holds such", field)
		}
	}
	return nil
}

// fieldCount is the number of elements in a field.
type fieldCount struct {
	field string
	count int
}

// counts are the numbers of elements in the fields that are lists of values.
func (f Filter) counts() []fieldCount {
	return []fieldCount{
		{"IDs", len(f.IDs)},
		{"Actors", len(f.Actors)},
		{"Actions", len(f.Actions)},
		{"Types", len(f.Types)},
		{"Entities", len(f.Entities)},
		{"Owners", len(f.Owners)},
		{"Origins", len(f.Origins)},
		{"Fields", len(f.Fields)},
		{"Causes", len(f.Causes)},
		{"ChangeSets", len(f.ChangeSets)},
	}
}

// values is the number of all that the filter compares with, its workspace
// aside.
func (f Filter) values() int {
	n := 0
	for _, c := range f.counts() {
		n += c.count
	}
	for _, a := range f.Actions {
		n += len(a.Origins)
	}
	for _, set := range []bool{!f.From.IsZero(), !f.To.IsZero(), f.Text != ""} {
		if set {
			n++
		}
	}
	return n
}

// isEmpty reports whether f asks for nothing, be it in a workspace.
func (f Filter) isEmpty() bool { return f.values() == 0 && len(f.Except) == 0 }

// validateValues checks what does not depend on other filters. The prefix
// stands before the names of fields.
func (f Filter) validateValues(prefix string) error {
	invalid := func(format string, args ...any) error {
		return invalidFilter("%s%s", prefix, fmt.Sprintf(format, args...))
	}
	if !f.From.IsZero() && !f.To.IsZero() && f.From.After(f.To) {
		return invalid("From %s is after To %s", f.From.Format(time.RFC3339), f.To.Format(time.RFC3339))
	}
	for i, a := range f.Actors {
		if a.IsZero() {
			return invalid("Actors[%d] names nobody; use audit.Unknown for events without an author", i)
		}
	}
	origins := 0
	for i, a := range f.Actions {
		origins += len(a.Origins)
		if a.isEmpty() {
			return invalid("Actions[%d] is empty; leave it out to ask for every action", i)
		}
		if a.Ownership != OwnershipNone && a.Ownership != OwnershipSelf && a.Ownership != OwnershipOther {
			return invalid("Actions[%d] has the unknown ownership %q, use self or other", i, cleanText(string(a.Ownership), MaxIDBytes))
		}
	}
	if origins > maxActionOrigins {
		return invalid("Actions have %d origins, more than %d", origins, maxActionOrigins)
	}
	for i, e := range f.Entities {
		if e.Type == "" || e.ID == "" {
			return invalid("Entities[%d] needs a type and an id", i)
		}
	}
	if slices.Contains(f.Types, "") {
		return invalid("Types holds an empty type")
	}
	if slices.Contains(f.Fields, "") {
		return invalid("Fields holds an empty name")
	}
	return nil
}

// texts calls yield with every text of the filter and its field's name.
func (f Filter) texts(yield func(field, text string) bool) {
	_ = yield("Workspace", f.Workspace) && yield("Text", f.Text) &&
		each(f.Actors, func(a Actor) bool { return yield("Actors", string(a.Kind)) && yield("Actors", a.ID) }) &&
		each(f.Actions, func(a Action) bool {
			return yield("Actions", string(a.Type)) && yield("Actions", string(a.Operation)) &&
				each(a.Origins, func(o Origin) bool { return yield("Actions", string(o)) })
		}) &&
		each(f.Types, func(t EntityType) bool { return yield("Types", string(t)) }) &&
		each(f.Entities, func(e Entity) bool { return yield("Entities", string(e.Type)) && yield("Entities", e.ID) }) &&
		each(f.Owners, func(s string) bool { return yield("Owners", s) }) &&
		each(f.Origins, func(o Origin) bool { return yield("Origins", string(o)) }) &&
		each(f.Fields, func(s string) bool { return yield("Fields", s) }) &&
		each(f.Except, func(x Filter) bool {
			going := true
			x.texts(func(_, text string) bool {
				going = yield("Except", text)
				return going
			})
			return going
		})
}

// each calls f with every element, until one is refused.
func each[T any](list []T, f func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !f(v) })
}

// Stored returns the filter with its names and ids as a [Recorder] writes them, which
// replaces what no database stores and cuts what is very long to a digest. [Query],
// [QueryPage] and [Snapshot] ask the store for that; who calls a [Store] passes it.
func (f Filter) Stored() Filter {
	f.Workspace = cleanID(f.Workspace)
	f.Types = cleaned(f.Types, cleanName)
	f.Origins = cleaned(f.Origins, cleanName)
	f.Owners = cleaned(f.Owners, cleanID)
	f.Actors = cleaned(f.Actors, cleanActor)
	f.Entities = cleaned(f.Entities, func(e Entity) Entity {
		e.Type, e.ID = cleanName(e.Type), cleanID(e.ID)
		return e
	})
	f.Fields = cleaned(f.Fields, cleanID)
	f.Actions = cleaned(f.Actions, func(a Action) Action {
		a.Type, a.Operation, a.Origins = cleanName(a.Type), cleanName(a.Operation), cleaned(a.Origins, cleanName)
		return a
	})
	f.Except = cleaned(f.Except, Filter.Stored)
	return f
}

// cleaned is a copy of the list in which each element was cleaned.
func cleaned[T any](list []T, clean func(T) T) []T {
	if list == nil {
		return nil
	}
	made := make([]T, len(list))
	for i, v := range list {
		made[i] = clean(v)
	}
	return made
}

// Matches reports whether the filter finds the event. Stores that do not
// translate the filter into a language of their own use it.
func (f Filter) Matches(e Event) bool {
	return e.Workspace == f.Workspace && f.asksFor(&e) &&
		!slices.ContainsFunc(f.Except, func(x Filter) bool { return x.asksFor(&e) })
}

// asksFor is Matches without the workspace and Except.
func (f *Filter) asksFor(e *Event) bool {
	return (f.From.IsZero() || !e.Time.Before(f.From)) &&
		(f.To.IsZero() || e.Time.Before(f.To)) &&
		in(f.IDs, e.ID) &&
		oneOf(f.Actors, e.Actor.Same) &&
		oneOf(f.Actions, func(a Action) bool { return a.matches(e) }) &&
		in(f.Types, e.Entity.Type) &&
		oneOf(f.Entities, func(n Entity) bool { return n.Type == e.Entity.Type && n.ID == e.Entity.ID }) &&
		in(f.Owners, e.Entity.Owner) &&
		in(f.Origins, e.Origin) &&
		oneOf(f.Fields, func(name string) bool {
			return slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Field == name })
		}) &&
		in(f.Causes, e.Cause) &&
		in(f.ChangeSets, e.ChangeSet) &&
		(f.Text == "" || strings.Contains(lowerASCII(e.Entity.Label), lowerASCII(f.Text)))
}

// isEmpty reports whether a asks for nothing.
func (a Action) isEmpty() bool {
	return a.Type == "" && a.Operation == "" && len(a.Origins) == 0 && a.Ownership == ""
}

func (a Action) matches(e *Event) bool {
	return a.covers(e.Entity.Type, e.Operation, e.Origin, e.Ownership)
}

func (a Action) covers(t EntityType, op Operation, origin Origin, whose Ownership) bool {
	return (a.Type == "" || a.Type == t) &&
		(a.Operation == "" || a.Operation == op) &&
		in(a.Origins, origin) &&
		(a.Ownership == "" || a.Ownership == whose)
}

// equal reports whether a and b ask for the same, in whatever order.
func (a Action) equal(b Action) bool {
	return a.Type == b.Type && a.Operation == b.Operation && a.Ownership == b.Ownership &&
		len(a.Origins) == len(b.Origins) &&
		!slices.ContainsFunc(a.Origins, func(o Origin) bool { return !slices.Contains(b.Origins, o) })
}

func in[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }

func oneOf[T any](wanted []T, is func(T) bool) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, is)
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
