package report

import (
	"net/url"
	"time"

	"github.com/gormtrail/audit"
)

// eventView is an event as the page shows it.
type eventView struct {
	ID   string
	Href string
	// Day is set on the first event of a day in a list.
	Day string
	// Time is the time of day.
	Time   string
	Author string
	// Behalf is the one for whom System acted.
	Behalf string
	Action string
	// Operation is one of those that have a sign, else empty.
	Operation  string
	Record     string
	RecordHref string
	Sentence   string
	// Gist is what changed, in one line.
	Gist    string
	Changes []changeView
	// Before and After tell which sides the event has.
	Before, After bool
	// Hidden is the number of changes that a list does not show.
	Hidden  int
	Reason  string
	Derived bool
	// Shown is false for a cause that is there for its consequences only.
	Shown bool
	// Linked are the events that this one led to.
	Linked []*eventView

	event audit.Event
}

// changeView is a change as the page shows it.
type changeView struct {
	Field         string
	Before, After *valueView
	// Element is what became of an element: added, removed.
	Element string
}

// How many changes a list shows of one event: of an update nearly all, of a
// record that was created or deleted as many as tell it from others.
const (
	maxUpdated = 10
	maxListed  = 6
)

// view shows an event: as the row of a list, or in full.
func (q *request) view(e audit.Event, full bool) *eventView {
	at := e.Time.In(q.location)
	v := &eventView{
		ID: e.ID.String(), Href: q.href("event/"+e.ID.String(), nil), Shown: true,
		Time:   clock(at),
		Author: person(e.Actor), Action: visible(q.opts.Catalog.Label(e), false), Operation: sign(e.Operation),
		Record: visible(clip(e.Entity.Label, maxLine), false), Sentence: q.sentence(e), Gist: gist(e),
		RecordHref: q.recordHref(e.Entity), Reason: visible(e.Reason, true), Derived: e.Derived, event: e,
	}
	if v.Record == "" {
		v.Record = visible(clip(e.Entity.ID, maxLine), false)
	}
	if !e.Initiator.IsZero() {
		v.Behalf = person(e.Initiator)
	}
	v.Changes, v.Hidden = changesOf(e, full)
	for _, c := range v.Changes {
		v.Before = v.Before || c.Before != nil
		v.After = v.After || c.After != nil
	}
	return v
}

// recordHref is the history of a record.
func (q *request) recordHref(e audit.Entity) string {
	return q.href("record", url.Values{"type": {string(e.Type)}, "id": {e.ID}})
}

// href is a path from the handler's root, with the reader's time zone.
func (q *request) href(to string, values url.Values) string {
	if values == nil {
		values = url.Values{}
	}
	if zone := q.zone(); zone != "" {
		values.Set("tz", zone)
	}
	if len(values) > 0 {
		to += "?" + values.Encode()
	}
	return q.root + to
}

// changesOf are the changes of an event. On a list those without content come
// last, and what is too much is left out.
func changesOf(e audit.Event, full bool) (views []changeView, left int) {
	var hollow []changeView
	for _, c := range e.Changes {
		v := changeView{Field: fieldName(c.Field)}
		if tellsBefore(e.Operation, c) {
			before := valueOf(c.Before, c.After, full)
			v.Before = &before
		}
		if tellsAfter(e.Operation, c) {
			after := valueOf(c.After, c.Before, full)
			v.After = &after
		}
		if c.Element {
			switch {
			case v.Before == nil:
				v.Element = "added"
			case v.After == nil:
				v.Element = "removed"
			}
		}
		if !full && isHollow(v.Before) && isHollow(v.After) {
			hollow = append(hollow, v)
			continue
		}
		views = append(views, v)
	}
	views = append(views, hollow...)
	most := maxListed
	if e.Operation == audit.Updated {
		most = maxUpdated
	}
	if !full && len(views) > most+1 {
		return views[:most], len(views) - most
	}
	return views, 0
}

// isHollow reports whether a side holds nothing that one would look for.
func isHollow(v *valueView) bool { return v == nil || v.Kind == "none" || v.Kind == "empty" }

// tellsBefore reports whether there is anything to say about the previous value:
// a record just created has none, and an added element was not there.
func tellsBefore(op audit.Operation, c audit.Change) bool {
	switch {
	case c.Element && c.Before.IsNull():
		return c.After.IsNull()
	case c.Before.Recorded():
		return true
	}
	return op != audit.Created && op != audit.Restored && op != audit.Exported && op != audit.Downloaded
}

// tellsAfter is the same for the new value.
func tellsAfter(op audit.Operation, c audit.Change) bool {
	switch {
	case c.Element && c.After.IsNull():
		return c.Before.IsNull()
	case c.After.Recorded():
		return true
	}
	return op != audit.Deleted
}

// gist is what an update changed, in one line.
func gist(e audit.Event) string {
	if e.Operation != audit.Updated || len(e.Changes) == 0 {
		return ""
	}
	if len(e.Changes) > 1 {
		return fields(e.Changes, "")
	}
	c := e.Changes[0]
	field := fieldName(c.Field)
	switch {
	case c.Element && c.Before.IsNull():
		return field + ": added " + asText(c.After)
	case c.Element && c.After.IsNull():
		return field + ": removed " + asText(c.Before)
	}
	return field + ": " + asText(c.Before) + " → " + asText(c.After)
}

// sign is the operation if the page has a sign for it.
func sign(op audit.Operation) string {
	switch op {
	case audit.Created, audit.Updated, audit.Deleted, audit.Restored:
		return string(op)
	}
	return ""
}

// clock is a time of day; on a day that has an hour twice or lacks one, with
// its offset.
func clock(t time.Time) string {
	y, m, d := t.Date()
	_, morning := audit.StartOfDay(y, m, d, t.Location()).Zone()
	_, evening := audit.StartOfDay(y, m, d+1, t.Location()).Zone()
	if morning != evening {
		return t.Format("15:04:05 -07:00")
	}
	return t.Format("15:04:05")
}

// day is the heading of a day.
func day(t time.Time) string { return t.Format("Monday, 2 January 2006") }

// fewLinked is how many linked events a list shows without being asked.
const fewLinked = 5

// FewLinked reports whether there is room for the linked events.
func (v *eventView) FewLinked() bool { return len(v.Linked) <= fewLinked }

// LinkedText says how many linked events follow.
func (v *eventView) LinkedText() string {
	text := plural(len(v.Linked), "linked change", "linked changes")
	if !v.Shown {
		return text + " on this page"
	}
	return text
}
