package report

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gormtrail/audit"
)

// reportView is the page of the report.
type reportView struct {
	Form formView
	// Ran is set if there is a result, be it an empty one.
	Ran bool
	// Range and Zone say what was asked for.
	Range, Zone string
	Events      []*eventView
	// Count is the number of events on the page.
	Count   string
	Pager   pager
	Exports []link
}

// formView is the form as the page shows it.
type formView struct {
	form
	Presets []link
	Zones   []string
	Zone    string
	Types   []choice
	Authors []choice
	// AllAuthors leads to the list of all, if Authors are not all.
	AllAuthors string
	Actions    []choiceGroup
	// AuthorCount and ActionCount are the numbers of those that are ticked.
	AuthorCount, ActionCount int
	// More is set if a control is in use that the page folds away.
	More bool
	// Whole is the whole report in the query language.
	Whole string
	Size  string
	// Wrong is the parameter that an error is about.
	Wrong   string
	Origins []string
}

// report serves the report: the form, and the events that it asks for.
func (q *request) report() error {
	fm := readForm(q.values)
	f, preset, l, err := q.run(fm)
	var frozen url.Values
	if err == nil && !q.json {
		frozen, err = q.frozen(f)
	}
	if err != nil {
		p := q.problem(err)
		if q.json {
			return p
		}
		view := reportView{Form: q.formView(fm, nil, nil, "", p.parameter)}
		shown := p.view(fm.Query)
		if p.status == http.StatusBadRequest {
			shown.Title = "This report cannot be run"
		}
		return q.write(p.status, "report", "Report", view, shown)
	}
	if q.json {
		return q.writeListing(l, reportJSON{
			Query: audit.FormatQuery(f, q.language()), From: rfc(f.From), To: rfc(f.To), Zone: q.location.String(),
		})
	}
	events, err := q.linked(l.events)
	if err != nil {
		return err
	}
	view := reportView{
		Form: q.formView(q.formOf(f, preset), frozen, l.events, audit.FormatQuery(f, q.language()), ""), Ran: true,
		Range: q.rangeText(f), Zone: q.location.String(), Events: events, Count: plural(len(l.events), "event", "events"),
		Pager: l.pager(frozen),
	}
	if q.scope.Export {
		view.Exports = []link{
			{Text: "CSV", Href: "export?" + with(frozen, "format", "csv")},
			{Text: "JSON Lines", Href: "export?" + with(frozen, "format", "jsonl")},
			{Text: "Options…", Href: "export?" + frozen.Encode()},
		}
	}
	return q.write(http.StatusOK, "report", "Report", view, nil)
}

// frozen are the parameters of a report whose range does not move on, for its
// links. One whose links would be refused is refused itself.
func (q *request) frozen(f audit.Filter) (url.Values, error) {
	values := q.parameters(q.formOf(f, ""))
	if len(values.Encode()) > maxLinkBytes || len(values.Get("q")) > audit.MaxQueryBytes {
		return nil, badParameter("", "This report asks for more than the addresses of its pages can hold. Ask for fewer authors, or for less in the query.")
	}
	return values, nil
}

// run reads the page of the report that the URL asks for.
func (q *request) run(fm form) (f audit.Filter, preset string, l listing, err error) {
	f, preset, err = q.asked(fm, formParameters)
	if err == nil {
		l, err = q.list(f)
	}
	return f, preset, l, err
}

// wholly is what the URL asks for, for an answer that has no pages. Those of the
// report are checked all the same: a wrong parameter is never passed over.
func (q *request) wholly(parameters []string) (audit.Filter, error) {
	f, _, err := q.asked(readForm(q.values), parameters)
	if err == nil {
		_, _, err = q.page(f)
	}
	return f, err
}

// asked is what the URL asks for, if it has none but those parameters.
func (q *request) asked(fm form, parameters []string) (f audit.Filter, preset string, err error) {
	if err := errors.Join(q.only(parameters...), q.readZone()); err != nil {
		return f, "", err
	}
	return q.filter(fm)
}

// parameters are those of a form's URL, with zone and size of page.
func (q *request) parameters(fm form) url.Values {
	values := fm.values()
	if zone := q.zone(); zone != "" {
		values.Set("tz", zone)
	}
	if size := q.values.Get("size"); size != "" {
		values.Set("size", size)
	}
	return values
}

// with is a query with one parameter more, or another value of it.
func with(values url.Values, name, value string) string {
	more := url.Values{name: {value}}
	for k, v := range values {
		if k != name {
			more[k] = v
		}
	}
	return more.Encode()
}

// formView is the form with what there is to choose from. The values are those
// of its URL, and the events those that it has found, both nil if it is wrong.
func (q *request) formView(fm form, values url.Values, events []audit.Event, whole, wrong string) formView {
	v := formView{form: fm, Zones: commonZones, Zone: q.location.String(), Whole: whole, Wrong: wrong, Size: q.values.Get("size")}
	if whole == "" {
		v.Whole = fm.Query
		if tz := q.values.Get("tz"); wrong == "tz" {
			v.Zone = tz
		}
	}
	for _, p := range q.presets() {
		v.Presets = append(v.Presets, link{Text: p.Label, Href: p.Name, Current: p.Name == fm.Range})
		if p.Name == fm.Range {
			v.From, v.To = p.from.Format(time.DateOnly), p.to.Format(time.DateOnly)
		}
	}
	authors, all, err := q.few(q.r.Context(), fm.Actors, events)
	if err != nil {
		q.log(err) // the report is worth more than the list
	}
	if v.Authors = authors; !all && whole != "" { // the list of all refuses a wrong report too
		v.AllAuthors = q.root + "authors" + query(values)
	}
	v.Actions = q.choices.ticked(fm.Actions)
	v.AuthorCount = len(fm.Actors)
	for _, g := range v.Actions {
		v.ActionCount += g.Count
		v.Types = append(v.Types, choice{Value: string(g.Type), Label: g.Name, Ticked: string(g.Type) == fm.Type})
	}
	v.More = fm.Owner != "" || fm.Origin != "" || fm.Field != "" || fm.Query != "" || fm.Record != "" || fm.Type != ""
	for _, o := range []audit.Origin{audit.OriginTimer, audit.OriginManual, audit.OriginImport, audit.OriginKiosk, audit.OriginQuickBooks, audit.OriginAPI} {
		v.Origins = append(v.Origins, string(o))
	}
	return v
}

// reportJSON is a page of events for programs.
type reportJSON struct {
	Query    string        `json:"query,omitempty"`
	From     string        `json:"from,omitempty"`
	To       string        `json:"to,omitempty"`
	Zone     string        `json:"time_zone,omitempty"`
	Record   *audit.Entity `json:"record,omitempty"`
	Event    *audit.Event  `json:"event,omitempty"`
	Sentence string        `json:"sentence,omitempty"`
	Events   []audit.Event `json:"events"`
	// Next is the cursor of the page with older events, Previous that of the
	// page with newer ones. They are missing where there is none; an empty
	// Previous is the first page.
	Next     *string `json:"next,omitempty"`
	Previous *string `json:"previous,omitempty"`
}

// writeListing answers a program with a page of events.
func (q *request) writeListing(l listing, j reportJSON) error {
	j.Events, j.Next, j.Previous = l.events, l.older, l.newer
	if j.Previous == nil {
		j.Previous = l.newest
	}
	if j.Events == nil {
		j.Events = []audit.Event{}
	}
	return q.writeJSON(http.StatusOK, j)
}

func rfc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
