package report

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gormtrail/audit"
)

// historyView is a page of events that belong together: a record's history, or
// a change set.
type historyView struct {
	Heading string
	// Note says what there is to know of the whole.
	Note   string
	ID     string
	Events []*eventView
	Pager  pager
	Zone   string
	Back   string
}

// record serves the history of a record, from its first event to its last, also
// of one that is deleted.
func (q *request) record() error {
	if err := q.only("type", "id", "tz", "size", "page"); err != nil {
		return err
	}
	if err := q.readZone(); err != nil {
		return err
	}
	e := audit.Entity{Type: audit.EntityType(q.values.Get("type")), ID: q.values.Get("id")}
	if e.Type == "" || e.ID == "" {
		return badParameter("id", "A record is found by its type and its id, as in record?type=project&id=7.")
	}
	for parameter, text := range map[string]string{"type": string(e.Type), "id": e.ID} {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return badParameter(parameter, "This is not valid UTF-8 or has a NUL, and no record has such a name.")
		}
	}
	l, err := q.list(audit.Filter{Entities: []audit.Entity{e}})
	if err != nil {
		return err
	}
	if len(l.events) == 0 {
		return notFound()
	}
	newest := l.events[0]
	if q.json {
		return q.writeListing(l, reportJSON{Record: &newest.Entity})
	}
	noun := visible(q.opts.Catalog.Noun(e.Type), false)
	view := historyView{
		Heading: "History of " + noun + " " + name(newest.Entity), ID: visible(e.ID, false),
		Zone: q.location.String(), Back: q.href("", nil),
	}
	if l.newest == nil {
		switch newest.Operation {
		case audit.Deleted:
			view.Note = "This " + noun + " is deleted."
		case audit.Restored:
			view.Note = "This " + noun + " was deleted and restored."
		}
	}
	return q.history(l, view)
}

// changeSet serves everything that one transaction did.
func (q *request) changeSet() error {
	if err := q.only("tz", "size", "page"); err != nil {
		return err
	}
	if err := q.readZone(); err != nil {
		return err
	}
	l, err := q.list(audit.Filter{ChangeSets: ids(q.id)})
	if err != nil {
		return err
	}
	if len(l.events) == 0 {
		return notFound()
	}
	if q.json {
		return q.writeListing(l, reportJSON{})
	}
	return q.history(l, historyView{
		Heading: "Everything that was done together", ID: q.id.String(), Zone: q.location.String(), Back: q.href("", nil),
		Note: "One change set: all events of one transaction, or of several that belong to one story.",
	})
}

// history writes a page of events that belong together.
func (q *request) history(l listing, view historyView) (err error) {
	if view.Events, err = q.linked(l.events); err != nil {
		return err
	}
	view.Pager = l.pager(q.kept())
	return q.write(http.StatusOK, "history", view.Heading, view, nil)
}

// kept are the parameters of the URL that its other pages have too.
func (q *request) kept() url.Values {
	values := url.Values{}
	for name, v := range q.values {
		if name != "page" && v[0] != "" {
			values[name] = v
		}
	}
	return values
}
