package report

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// form is what the controls of the report hold, as text: the parameters of its
// URL. A form and a [audit.Filter] can be made of each other.
type form struct {
	// Range is one of the presets. Empty for From and To.
	Range string
	// From and To are the first and the last day.
	From, To string
	// Actors and Actions are those that are ticked.
	Actors, Actions []string
	// Type and Record name a record or, without Record, all of a type.
	Type, Record string
	Owner        string
	Origin       string
	Field        string
	Text         string
	// Query holds in the query language what no control can show.
	Query string
}

// formParameters are the names of the form in the URL.
var formParameters = []string{
	"range", "from", "to", "tz", "actor", "action", "type", "record", "owner", "origin", "field", "text", "q", "size", "page",
}

// repeatable reports whether a parameter may be there more than once.
func repeatable(name string) bool { return name == "actor" || name == "action" }

// readForm reads the form that a URL holds.
func readForm(values url.Values) form {
	one := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	// The text and the query are as they were sent: spaces belong to what is
	// searched for, and to the places that errors name.
	return form{
		Range: one("range"), From: one("from"), To: one("to"), Actors: nonEmpty(values["actor"]), Actions: nonEmpty(values["action"]),
		Type: one("type"), Record: one("record"), Owner: one("owner"), Origin: one("origin"), Field: one("field"), Text: values.Get("text"), Query: values.Get("q"),
	}
}

func nonEmpty(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.TrimSpace(s) == "" })
}

// values are the parameters of the form's URL, without those that are empty.
func (fm form) values() url.Values {
	values := url.Values{}
	for _, p := range []struct{ name, value string }{
		{"range", fm.Range},
		{"from", fm.From},
		{"to", fm.To},
		{"type", fm.Type},
		{"record", fm.Record},
		{"owner", fm.Owner},
		{"origin", fm.Origin},
		{"field", fm.Field},
		{"text", fm.Text},
		{"q", fm.Query},
	} {
		if p.value != "" {
			values.Set(p.name, p.value)
		}
	}
	for name, list := range map[string][]string{"actor": fm.Actors, "action": fm.Actions} {
		if len(list) > 0 {
			values[name] = list
		}
	}
	return values
}

// parameter is one of a URL.
type parameter struct{ Name, Value string }

// listedParameters are those of a URL, for a form that hands them on.
func listedParameters(values url.Values) []parameter {
	var list []parameter
	for name, all := range values {
		for _, value := range all {
			list = append(list, parameter{name, value})
		}
	}
	slices.SortFunc(list, func(a, b parameter) int { return strings.Compare(a.Name+"="+a.Value, b.Name+"="+b.Value) })
	return list
}

// language is how texts of the query language are understood.
func (q *request) language() *audit.QueryOptions {
	return &audit.QueryOptions{Catalog: q.opts.Catalog, Location: q.location}
}

// filter is what the form asks for, within the range that is allowed, and the
// preset of its range if it has one.
func (q *request) filter(fm form) (f audit.Filter, preset string, err error) {
	f, err = audit.ParseQuery(fm.Query, q.language())
	if err != nil {
		return f, "", badQuery(err)
	}
	inQuery := f
	for _, text := range fm.Actors {
		a, ok := parseActor(text)
		if !ok {
			return f, "", badParameter("actor", "%q names no author. Write user:17, system, or another kind and id.", clip(text, maxQuoted))
		}
		f.Actors = append(f.Actors, a)
	}
	actions, err := q.choices.actions(fm.Actions)
	if err != nil {
		return f, "", badParameter("action", "%s", asSentence(err))
	}
	f.Actions = q.choices.sorted(append(f.Actions, actions...)) // cursors belong to an order
	switch {
	case fm.Record != "" && fm.Type == "":
		return f, "", badParameter("type", "A record is found by its type and its id. Choose the type of record %q too.", clip(fm.Record, maxQuoted))
	case fm.Record != "":
		f.Entities = append(f.Entities, audit.Entity{Type: audit.EntityType(fm.Type), ID: fm.Record})
	case fm.Type != "":
		f.Types = append(f.Types, audit.EntityType(fm.Type))
	}
	if fm.Owner != "" {
		f.Owners = append(f.Owners, fm.Owner)
	}
	if fm.Origin != "" {
		f.Origins = append(f.Origins, audit.Origin(fm.Origin))
	}
	if fm.Field != "" {
		f.Fields = append(f.Fields, fm.Field)
	}
	if fm.Text != "" && f.Text != "" {
		return f, "", badParameter("text", "The text is given twice, in the form and in the query. Leave one of them empty.")
	}
	f.Text += fm.Text
	if preset, err = q.setRange(&f, fm); err != nil {
		return f, "", err
	}
	f.Workspace = q.scope.Workspace
	return f, preset, q.validate(f, inQuery, fm)
}

// validate names the parameter for which a filter cannot be answered.
func (q *request) validate(f, inQuery audit.Filter, fm form) error {
	var types []audit.EntityType
	if fm.Type != "" {
		types = append(types, audit.EntityType(fm.Type))
	}
	for _, part := range []struct {
		parameter string
		filter    audit.Filter
	}{
		{"q", inQuery},
		{"actor", audit.Filter{Actors: f.Actors}},
		{"action", audit.Filter{Actions: f.Actions}},
		{"type", audit.Filter{Types: types}},
		{"record", audit.Filter{Entities: f.Entities}},
		{"owner", audit.Filter{Owners: f.Owners}},
		{"origin", audit.Filter{Origins: f.Origins}},
		{"field", audit.Filter{Fields: f.Fields}},
		{"text", audit.Filter{Text: f.Text}},
		{"q", f}, // what is left is its range, which may end before it begins
	} {
		part.filter.Workspace = f.Workspace
		if err := q.opts.Catalog.Validate(part.filter); err != nil {
			return badParameter(part.parameter, "%s", asSentence(err))
		}
	}
	return nil
}

// formOf is the form that asks for what a filter does. The name is the preset
// of its range, if it has one.
func (q *request) formOf(f audit.Filter, preset string) form {
	var fm form
	actors := f.Actors
	fm.Range = preset
	if preset == "" {
		fm.From, fm.To = q.wholeDays(f)
	}
	if preset != "" || fm.From != "" {
		f.From, f.To = time.Time{}, time.Time{}
	}
	if !slices.ContainsFunc(f.Actors, func(a audit.Actor) bool { return !hasText(a) }) {
		for _, a := range f.Actors {
			fm.Actors = append(fm.Actors, actorText(a))
		}
		f.Actors = nil
	}
	fm.Actions, f.Actions = q.choices.names(f.Actions)
	switch {
	case len(f.Entities) == 1 && len(f.Types) == 0 && shown(string(f.Entities[0].Type)) && shown(f.Entities[0].ID):
		fm.Type, fm.Record = string(f.Entities[0].Type), f.Entities[0].ID
		f.Entities = nil
	case len(f.Entities) == 0:
		fm.Type = only(&f.Types)
	}
	fm.Owner = only(&f.Owners)
	fm.Origin = only(&f.Origins)
	fm.Field = only(&f.Fields)
	if shown(f.Text) {
		fm.Text, f.Text = f.Text, ""
	}
	f.Workspace = ""
	fm.Query = audit.FormatQuery(f, q.language())
	if len(q.parameters(fm).Encode()) > maxLinkBytes && len(f.Actors) == 0 {
		f.Actors, fm.Actors = actors, nil // a query needs less for each of them
		fm.Query = audit.FormatQuery(f, q.language())
	}
	return fm
}

// only takes the element of a list that has one, if a control can show it.
func only[T ~string](list *[]T) string {
	if len(*list) != 1 {
		return ""
	}
	text := string((*list)[0])
	if !shown(text) {
		return ""
	}
	*list = nil
	return text
}

// shown reports whether a text comes back from a control as it is. Others stay
// in the query.
func shown(text string) bool { return text != "" && strings.TrimSpace(text) == text }

// actorText is an author in a URL: the kind, and the id if there is one.
func actorText(a audit.Actor) string {
	kind := a.Kind
	if kind == "" {
		kind = audit.KindUser
	}
	if a.ID == "" {
		return string(kind)
	}
	return string(kind) + ":" + a.ID
}

// hasText reports whether actorText names the author so that parseActor finds the
// same. That of a kind with a colon, or of none that is known and without an id,
// would be another's.
func hasText(a audit.Actor) bool {
	read, ok := parseActor(actorText(a))
	return ok && read.Same(a)
}

// parseActor reads what actorText wrote. A text without a kind is a user's id,
// unless it is the name of a kind itself.
func parseActor(text string) (audit.Actor, bool) {
	kind, id, found := strings.Cut(text, ":")
	if !found {
		switch audit.ActorKind(text) {
		case audit.KindSystem:
			return audit.System, true
		case audit.KindUnknown:
			return audit.Unknown, true
		case audit.KindKey, audit.KindUser:
			return audit.Actor{Kind: audit.ActorKind(text)}, true
		}
		kind, id = string(audit.KindUser), text
	}
	return audit.Actor{Kind: audit.ActorKind(kind), ID: id}, kind != "" && id != ""
}
