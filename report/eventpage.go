package report

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// eventPage is the page of one event, under its permalink.
type eventPage struct {
	Event *eventView
	// Facts are what is known of the event, by name.
	Facts []fact
	// Cause is the event that led to this one. Nil if there is none that may be
	// seen.
	Cause *eventView
	// Linked are the events that this one led to.
	Linked []*eventView
	Pager  pager
}

// fact is something known of an event.
type fact struct{ Name, Text, Href string }

// event serves one event.
func (q *request) event() error {
	if err := q.only("tz", "size", "page"); err != nil {
		return err
	}
	if err := q.readZone(); err != nil {
		return err
	}
	found, err := q.read(audit.Filter{IDs: ids(q.id)}, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return notFound()
	}
	e := found[0]
	l, err := q.list(audit.Filter{Causes: ids(e.ID)})
	if err != nil {
		return err
	}
	if q.json {
		return q.writeListing(l, reportJSON{Event: &e, Sentence: q.sentence(e)})
	}
	view := eventPage{Event: q.view(e, true), Facts: q.facts(e), Pager: l.pager(q.kept())}
	if e.Cause != uuid.Nil {
		causes, err := q.read(audit.Filter{IDs: ids(e.Cause)}, 1)
		if err != nil {
			return err
		}
		if len(causes) > 0 {
			view.Cause = q.view(causes[0], false)
		}
	}
	last := day(e.Time.In(q.location))
	for _, follower := range l.events {
		v := q.view(follower, false)
		v.under(e)
		if d := day(follower.Time.In(q.location)); d != last {
			v.Day, last = d, d
		}
		view.Linked = append(view.Linked, v)
	}
	return q.write(http.StatusOK, "event", view.Event.Sentence, view, nil)
}

// facts are what is known of an event besides its changes.
func (q *request) facts(e audit.Event) []fact {
	at := e.Time.In(q.location)
	all := []fact{
		{"Time", at.Format("Monday, 2 January 2006, 15:04:05.000000 -07:00") + " (" + q.location.String() + ")", ""},
		{"Time in UTC", e.Time.UTC().Format("2006-01-02 15:04:05.000000"), ""},
		{"Author", actorFact(e.Actor), ""},
		{"On behalf of", actorFact(e.Initiator), ""},
		{"Action", q.opts.Catalog.Label(e) + " · " + q.opts.Catalog.Code(e), ""},
		{"Record", q.opts.Catalog.Noun(e.Entity.Type) + " " + name(e.Entity), q.recordHref(e.Entity)},
		{"Record id", e.Entity.ID, ""},
		{"Owner", e.Entity.Owner, ""},
		{"Whose", whose(e.Ownership), ""},
		{"Origin", string(e.Origin), ""},
		{"Reason", e.Reason, ""},
		{"Request", e.Request.ID, ""},
		{"Address", e.Request.Address, ""},
		{"Agent", e.Request.Agent, ""},
	}
	if e.ChangeSet != uuid.Nil {
		all = append(all, fact{"Change set", e.ChangeSet.String(), q.href("changeset/"+e.ChangeSet.String(), nil)})
	}
	if e.Derived {
		all = append(all, fact{"Derived", "The record itself did not change, only what it shows.", ""})
	}
	var known []fact
	for _, f := range all {
		if f.Text != "" {
			f.Text = visible(f.Text, true)
			known = append(known, f)
		}
	}
	return known
}

// actorFact is an author with all that tells one from another.
func actorFact(a audit.Actor) string {
	if a.IsZero() {
		return ""
	}
	kind := a.Kind
	if kind == "" {
		kind = audit.KindUser
	}
	text := a.String() + " (" + string(kind)
	if a.ID != "" {
		text += " " + a.ID
	}
	return text + ")"
}

func whose(o audit.Ownership) string {
	switch o {
	case audit.OwnershipSelf:
		return "the author’s own"
	case audit.OwnershipOther:
		return "of another than the author"
	}
	return ""
}

func ids(id uuid.UUID) []uuid.UUID { return []uuid.UUID{id} }
