package audittest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Event is what a test expects of an event. Its fields mean what those of
// [audit.Event] do. A field left zero is not looked at, and so is each field
// left zero of Entity, Actor, Initiator and Request; the zero Event fits every
// event.
type Event struct {
	ID        uuid.UUID
	Time      time.Time
	Workspace string
	Actor     audit.Actor
	Initiator audit.Actor
	Operation audit.Operation
	Origin    audit.Origin
	Entity    audit.Entity
	Ownership audit.Ownership
	Cause     uuid.UUID
	Derived   bool
	ChangeSet uuid.UUID
	Request   audit.Request
	Reason    string

	// Changes are to be among the event's changes, in any order.
	Changes []Change
	// NoOtherChanges says that the event has no changes but Changes.
	NoOtherChanges bool
}

// Change is what a test expects of one change of an event.
type Change struct {
	// Field is the column, or the relation of an element. It is always looked
	// at.
	Field string
	// Before and After are the values, as Go values: "Apollo", 1500, true, a
	// time, a struct for a column of JSON. They are compared as
	// [audit.ValueOf] makes them: 1500 is 1500.0 and not "1500". Further:
	//
	//	nil                                    is not looked at
	//	audit.ValueOf(nil)                     null
	//	audit.Value{}                          not recorded
	//	audit.Value{Form: audit.FormRedacted}  withheld
	//	audit.Value{Label: "Apollo"}           a reference to what is called Apollo
	//
	// Of another [audit.Value], an empty label is not looked at.
	Before, After any
}

// String is the expectation on one line, for messages.
func (w Event) String() string {
	var parts []string
	for _, p := range w.compare(audit.Event{}).parts {
		parts = append(parts, p.path+" "+p.want)
	}
	for _, c := range w.Changes {
		parts = append(parts, c.String())
	}
	if w.NoOtherChanges {
		parts = append(parts, "no other changes")
	}
	if len(parts) == 0 {
		return "any event"
	}
	return strings.Join(parts, ", ")
}

// String is the expectation on one line, for messages.
func (c Change) String() string {
	if c.Before == nil && c.After == nil {
		return c.Field + ": any change"
	}
	return c.Field + ": " + window(inWords(c.Before), 0) + " → " + window(inWords(c.After), 0)
}

// comparison is what a look at an event found of what was expected.
type comparison struct {
	// parts are the fields that were looked at, without those of changes.
	parts []part
	// fitting is how many fields were found as expected, differing those that
	// were not.
	fitting   int
	differing []string
	// score is fitting, but what was done with which record counts more.
	score int
}

// part is one field in words.
type part struct{ path, want string }

func (c comparison) equal() bool { return len(c.differing) == 0 }

// near reports whether as much fits as does not.
func (c comparison) near() bool { return c.fitting > 0 && c.fitting >= len(c.differing) }

// look compares what was expected at a path. The zero value is not looked at.
func look[T comparable](c *comparison, path string, want, got T, word func(T) string) {
	var zero T
	if want == zero {
		return
	}
	c.parts = append(c.parts, part{path, word(want)})
	c.found(want == got, path, word(want), word(got))
}

func (c *comparison) found(same bool, path, want, got string) {
	if same {
		c.fitting++
		c.score++
		return
	}
	c.differing = append(c.differing, fmt.Sprintf("%s: expected %s, found %s", path, want, got))
}

// text compares texts of any type.
func text[T ~string](c *comparison, path string, want, got T) {
	look(c, path, want, got, func(s T) string { return strconv.QuoteToGraphic(string(s)) })
}

func (c *comparison) actor(path string, want, got audit.Actor) {
	text(c, path+".kind", want.Kind, got.Kind)
	text(c, path+".id", want.ID, got.ID)
	text(c, path+".name", want.Name, got.Name)
}

// compare looks at an event, in the order in which one would tell of it.
func (w Event) compare(got audit.Event) comparison {
	var c comparison
	text(&c, "operation", w.Operation, got.Operation)
	text(&c, "entity.type", w.Entity.Type, got.Entity.Type)
	text(&c, "entity.id", w.Entity.ID, got.Entity.ID)
	c.score *= 4
	text(&c, "entity.label", w.Entity.Label, got.Entity.Label)
	text(&c, "entity.owner", w.Entity.Owner, got.Entity.Owner)
	c.actor("actor", w.Actor, got.Actor)
	c.actor("initiator", w.Initiator, got.Initiator)
	text(&c, "workspace", w.Workspace, got.Workspace)
	text(&c, "origin", w.Origin, got.Origin)
	text(&c, "ownership", w.Ownership, got.Ownership)
	text(&c, "reason", w.Reason, got.Reason)
	text(&c, "request.id", w.Request.ID, got.Request.ID)
	text(&c, "request.address", w.Request.Address, got.Request.Address)
	text(&c, "request.agent", w.Request.Agent, got.Request.Agent)
	look(&c, "derived", w.Derived, got.Derived, strconv.FormatBool)
	look(&c, "id", w.ID, got.ID, uuid.UUID.String)
	look(&c, "cause", w.Cause, got.Cause, uuid.UUID.String)
	look(&c, "change_set", w.ChangeSet, got.ChangeSet, uuid.UUID.String)
	look(&c, "time", instant(w.Time), instant(got.Time), func(s string) string { return s })
	w.compareChanges(&c, got.Changes)
	return c
}

// instant is a time as text, so that two of different zones compare equal.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// compareChanges looks at the changes of an event.
func (w Event) compareChanges(c *comparison, got []audit.Change) {
	taken := pair(w.Changes, got)
	for i, want := range w.Changes {
		j := slices.Index(taken, i)
		if j < 0 {
			c.found(false, "changes", want.String(), "none of "+want.Field)
			continue
		}
		c.fitting++
		c.score++
		c.side(want.Field+", before", want.Before, got[j].Before)
		c.side(want.Field+", after", want.After, got[j].After)
	}
	for j, g := range got {
		if w.NoOtherChanges && taken[j] < 0 {
			c.found(false, "changes", "no other", g.String())
		}
	}
}

func (c *comparison) side(path string, want any, got audit.Value) {
	if want == nil {
		return
	}
	w, g := cut(inWords(want), shown(got))
	c.found(fits(want, got), path, w, g)
}

// pair gives each expected change a recorded one of its own: one that fits if
// that is possible for all at once (an event may have several changes of one
// relation), else any of the same field, to tell what differs. The result has
// for each recorded change the expected one, or -1.
func pair(want []Change, got []audit.Change) (taken []int) {
	taken = make([]int, len(got))
	for j := range taken {
		taken[j] = -1
	}
	var place func(i int, tried []bool) bool
	place = func(i int, tried []bool) bool {
		for j, g := range got {
			if tried[j] || !want[i].fits(g) {
				continue
			}
			tried[j] = true
			if taken[j] < 0 || place(taken[j], tried) {
				taken[j] = i
				return true
			}
		}
		return false
	}
	for i := range want {
		place(i, make([]bool, len(got)))
	}
	for i := range want {
		if slices.Contains(taken, i) {
			continue
		}
		for j, g := range got {
			if taken[j] < 0 && g.Field == want[i].Field {
				taken[j] = i
				break
			}
		}
	}
	return taken
}

func (c Change) fits(got audit.Change) bool {
	return c.Field == got.Field && (c.Before == nil || fits(c.Before, got.Before)) && (c.After == nil || fits(c.After, got.After))
}
