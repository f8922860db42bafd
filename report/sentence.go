package report

import (
	"strconv"

	"github.com/gormtrail/audit"
)

// sentence is the event as people would tell it: Jo renamed project “Gemini” to
// “Apollo”. It has no full stop.
func (q *request) sentence(e audit.Event) string {
	noun := visible(q.opts.Catalog.Noun(e.Entity.Type), false)
	record := noun + " " + name(e.Entity)
	if e.Derived && len(e.Changes) == 1 {
		c := e.Changes[0]
		return capital(record) + " shows " + asText(c.After) + " where it showed " + asText(c.Before) + " as its " + fieldName(c.Field)
	}
	who := person(e.Actor)
	if !e.Initiator.IsZero() {
		who += ", for " + person(e.Initiator) + ","
	}
	switch e.Operation {
	case audit.Updated:
		return who + " " + updated(e, record, noun)
	case audit.Exported, audit.Downloaded:
		return who + " " + string(e.Operation) + " the audit log as " + name(e.Entity)
	}
	s := who + " " + visible(spaced(string(e.Operation)), false) + " " + record
	if e.Origin != "" && e.Operation == audit.Created {
		s += " by " + visible(string(e.Origin), false)
	}
	return s
}

// updated tells of an update by what it changed.
func updated(e audit.Event, record, noun string) string {
	for _, c := range e.Changes {
		// A text that now is what people call the record is its name.
		if !c.Element && c.After.Label == "" && c.Before.Form == audit.FormPlain && c.After.Text() == e.Entity.Label && e.Entity.Label != "" && c.Before.Text() != "" {
			s := "renamed " + noun + " " + quoted(c.Before.Text()) + " to " + quoted(c.After.Text())
			if n := len(e.Changes) - 1; n > 0 {
				s += " and changed " + fields(e.Changes, c.Field)
			}
			return s
		}
	}
	if len(e.Changes) != 1 {
		return "changed " + fields(e.Changes, "") + " of " + record
	}
	c := e.Changes[0]
	switch {
	case c.Element && c.Before.IsNull():
		return "added " + asText(c.After) + " to " + fieldName(c.Field) + " of " + record
	case c.Element && c.After.IsNull():
		return "removed " + asText(c.Before) + " from " + fieldName(c.Field) + " of " + record
	case !c.Before.Recorded():
		return "set " + fieldName(c.Field) + " of " + record + " to " + asText(c.After)
	}
	return "changed " + fieldName(c.Field) + " of " + record + " from " + asText(c.Before) + " to " + asText(c.After)
}

// fields are the names of what changed, three at most, without one.
func fields(changes []audit.Change, without string) string {
	const most = 3
	var names []string
	for _, c := range changes {
		if name := fieldName(c.Field); c.Field != without && !contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return "nothing that was recorded"
	case len(names) > most+1:
		names = append(names[:most:most], strconv.Itoa(len(names)-most)+" more fields")
	}
	return listed(names)
}

func fieldName(field string) string { return visible(clip(field, maxLine), false) }

// asText is a value in a sentence.
func asText(v audit.Value) string {
	view := valueOf(v, audit.Value{}, false)
	switch {
	case view.Word != "":
		return view.Word
	case view.Code:
		return visible(clip(view.Text, maxLine), false)
	}
	return quoted(v.Text())
}

// name is what a record is called in a sentence.
func name(e audit.Entity) string {
	if e.Label != "" {
		return quoted(e.Label)
	}
	return visible(clip(e.ID, maxLine), false)
}

// person is an actor by name, or by kind and id.
func person(a audit.Actor) string {
	if a.Name == "" && a.ID != "" && a.Kind != "" && a.Kind != audit.KindUser {
		return visible(clip(string(a.Kind)+" "+a.ID, maxLine), false)
	}
	if s := a.String(); s != "" {
		return visible(clip(s, maxLine), false)
	}
	return "Somebody"
}
