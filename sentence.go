package audit

import (
	"cmp"
	"strings"
)

// maxShownChanges is how many changes a sentence names.
const maxShownChanges = 6

// String is the event as a sentence that people can read, such as
//
//	Jo updated project "Apollo": name: "Gemini" → "Apollo"
//	System (for Jo) updated time entry "Standup": project_id: "Gemini" → "Apollo"
//	Jo created time entry "Standup" (timer): description: "Standup", tags: added "daily"
//
// It names the author, the operation, the record, and up to six changes. Time
// and workspace are left out. Texts are quoted and escaped as [Value.String]
// does. A [Catalog] has the labels for a table.
//
// It is for people and may change; programs read the event's fields.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(person(e.Actor))
	if !e.Initiator.IsZero() {
		b.WriteString(" (for " + person(e.Initiator) + ")")
	}
	b.WriteString(" " + word(string(e.Operation)) + " " + word(string(e.Entity.Type)) + " ")
	if e.Entity.Label != "" {
		b.WriteString(quote(e.Entity.Label, 0))
	} else {
		b.WriteString(fold(escape(cmp.Or(e.Entity.ID, "?"))))
	}
	if e.Origin != "" {
		b.WriteString(" (" + word(string(e.Origin)) + ")")
	}
	for i, c := range e.Changes {
		switch {
		case i == 0:
			b.WriteString(": ")
		case i == maxShownChanges:
			b.WriteString(", …")
		default:
			b.WriteString(", ")
		}
		if i == maxShownChanges {
			break
		}
		b.WriteString(e.sentence(c))
	}
	if e.Reason != "" {
		b.WriteString("; reason: " + quote(e.Reason, 0))
	}
	return b.String()
}

// sentence is a change as part of the event. Where the operation explains why a
// side is not recorded, that need not be said.
func (e Event) sentence(c Change) string {
	field := fold(escape(c.Field)) + ": "
	switch {
	case !c.Before.Recorded() && e.Operation.onlyAfter():
		return field + c.After.String()
	case !c.After.Recorded() && e.Operation == Deleted:
		return field + c.Before.String()
	}
	return c.String()
}

// person is an actor by name, or by kind and id.
func person(a Actor) string {
	switch {
	case a.Name != "":
		return fold(escape(a.Name))
	case a.ID != "":
		return word(string(a.kind())) + " " + fold(escape(a.ID))
	case a.IsZero():
		return "somebody"
	}
	return word(string(a.kind()))
}

// word is one of the words of an open set as it stands in a sentence.
func word(s string) string {
	if s == "" {
		return "?"
	}
	return fold(escape(strings.ReplaceAll(s, "_", " ")))
}
