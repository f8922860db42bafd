package audit

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// FormatQuery returns the text that asks for what f does, its workspace aside:
// [ParseQuery] with the same options makes of it a filter that finds the same
// events. Days, names of actions and words without quotes are used where they
// say exactly the same, and what ParseQuery accepts comes back as it was, if not
// by the same words.
//
// A filter that is not valid, has a time beyond the years 0 to 9999, or needs
// more than [MaxQueryBytes] gets a text that ParseQuery refuses, never one
// that asks for something else.
func FormatQuery(f Filter, opts *QueryOptions) string {
	q := queryWriter{QueryOptions: opts.complete()}
	terms := q.terms(f)
	for _, x := range f.Except {
		left := q.terms(x)
		term := strings.Join(left, " ")
		if len(left) != 1 {
			term = "(" + term + ")"
		}
		terms = append(terms, "-"+term)
	}
	return strings.Join(terms, " ")
}

// queryWriter writes filters as text.
type queryWriter struct{ QueryOptions }

// terms are the filter's terms, what it leaves out aside.
func (q *queryWriter) terms(f Filter) []string {
	entityTypes := keyEntity
	if len(f.Entities) > 0 {
		entityTypes = keyType
	}
	var terms []string
	term := func(key string, values []string) {
		if len(values) > 0 {
			terms = append(terms, key+":"+strings.Join(values, ","))
		}
	}
	term(keyActor, mapped(f.Actors, q.actor))
	term(keyAction, q.actions(f.Actions))
	term(entityTypes, mapped(f.Types, q.entityType))
	term(keyEntity, mapped(f.Entities, func(e Entity) string { return q.entityType(e.Type) + "/" + bare(e.ID, "./:") }))
	term(keyOwner, mapped(f.Owners, orNone))
	term(keyOrigin, mapped(f.Origins, func(o Origin) string { return orNone(string(o)) }))
	term(keyField, mapped(f.Fields, func(s string) string { return bare(s, "./:") }))
	term(keyID, mapped(f.IDs, uuid.UUID.String))
	term(keyCause, mapped(f.Causes, idOrNone))
	term(keyChangeSet, mapped(f.ChangeSets, idOrNone))
	if !f.From.IsZero() || !f.To.IsZero() {
		term(keyCreated, []string{q.created(f.From, f.To)})
	}
	if f.Text != "" {
		terms = append(terms, inQuotes(f.Text))
	}
	return terms
}

// inQuotes is the text in quotes.
func inQuotes(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// bare is the text, without quotes if it has only letters, digits and what means
// nothing where it stands.
func bare(s, also string) string {
	special := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-@"+also, r)
	}
	if s == "" || strings.ContainsFunc(s, special) {
		return inQuotes(s)
	}
	return s
}

// unless is a word, in quotes if it is one of the reserved.
func unless(s, word string, reserved ...string) string {
	if slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, s) }) {
		return inQuotes(s)
	}
	return word
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return unless(s, bare(s, "./:"), none)
}

func idOrNone(id uuid.UUID) string {
	if id == uuid.Nil {
		return none
	}
	return id.String()
}

func (q *queryWriter) actor(a Actor) string {
	kind := string(a.kind())
	switch a.kind() {
	case KindUser:
		return unless(a.ID, bare(a.ID, "./"), string(KindSystem), string(KindUnknown), string(KindUser), string(KindKey))
	case KindSystem, KindUnknown:
		if a.ID == "" {
			return kind
		}
	case KindKey:
	default:
		kind = inQuotes(kind)
	}
	return kind + ":" + bare(a.ID, "./:")
}

func (q *queryWriter) entityType(t EntityType) string {
	if !slices.Contains(q.Catalog.typeNames(), string(t)) {
		return inQuotes(string(t))
	}
	return bare(string(t), ".")
}

// actions are named by labels where these stand for exactly the same, and else
// by their parts.
func (q *queryWriter) actions(actions []Action) []string {
	var values []string
	for len(actions) > 0 {
		label, n := q.label(actions)
		switch {
		case n > 0:
			values = append(values, inQuotes(label))
			actions = actions[n:]
		case len(actions[0].Origins) > 1:
			actions = append(eachOrigin(actions[0]), actions[1:]...)
		default:
			values = append(values, q.actionParts(actions[0]))
			actions = actions[1:]
		}
	}
	return values
}

// eachOrigin is the action once for each of its origins.
func eachOrigin(a Action) []Action {
	return mapped(a.Origins, func(o Origin) Action {
		return Action{Type: a.Type, Operation: a.Operation, Origins: []Origin{o}, Ownership: a.Ownership}
	})
}

// label is the one that stands for the first n of the actions, if there is one.
func (q *queryWriter) label(actions []Action) (label string, n int) {
	a := actions[0]
	if a.Type == "" || a.Operation == "" || len(a.Origins) == 0 {
		return "", 0
	}
	label, _ = q.Catalog.namesOf(a.Type, a.Operation, a.Origins[0], a.Ownership)
	meant := q.Catalog.actions(label)
	if len(meant) == 0 || len(meant) > len(actions) || !slices.EqualFunc(meant, actions[:len(meant)], Action.equal) {
		return "", 0
	}
	return label, len(meant)
}

// actionParts are the parts of an action that has one origin at most.
func (q *queryWriter) actionParts(a Action) string {
	part := func(s string, known []string) string {
		switch {
		case s == "":
			return "*"
		case slices.Contains(known, s):
			return unless(s, bare(s, ""), none)
		}
		return inQuotes(s)
	}
	origin := "*"
	if slices.Contains(a.Origins, "") {
		origin = none
	} else if len(a.Origins) > 0 {
		origin = part(string(a.Origins[0]), q.Catalog.originNames())
	}
	parts := []string{
		part(string(a.Type), q.Catalog.typeNames()), part(string(a.Operation), q.Catalog.operationNames()),
		origin, part(string(a.Ownership), []string{string(OwnershipSelf), string(OwnershipOther)}),
	}
	if short, ok := q.shortened(parts); ok {
		return short
	}
	for len(parts) > 2 && parts[len(parts)-1] == "*" {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, ".")
}

// shortened leaves out the stars, if what remains has the same meaning.
func (q *queryWriter) shortened(parts []string) (string, bool) {
	short := strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "*" }), ".")
	if strings.ContainsAny(short, `"`) || slices.Contains(parts, none) {
		return "", false
	}
	p := queryParser{QueryOptions: q.QueryOptions}
	var read, exact queryBuilder
	if p.action(&read, queryWord{text: short}) != nil || p.action(&exact, queryWord{text: strings.Join(parts, ".")}) != nil {
		return "", false
	}
	return short, slices.EqualFunc(read.Actions, exact.Actions, Action.equal)
}

// created is a range, by days where its ends are those of days.
func (q *queryWriter) created(from, to time.Time) string {
	var first, last string
	if !from.IsZero() {
		first = q.moment(from)
	}
	if !to.IsZero() {
		last = q.moment(to)
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return first + ".." + last // nothing lies within, so no day does
	}
	if day, ok := q.day(from, from, 0); ok {
		first = day
	}
	if day, ok := q.day(to.Add(-1), to, 1); ok {
		last = day
	}
	if first == last {
		return first
	}
	return first + ".." + last
}

// day is the day that t lies in, if the one so many days later begins at limit.
func (q *queryWriter) day(t, limit time.Time, later int) (string, bool) {
	y, m, d := t.In(q.Location).Date()
	text := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	return text, !limit.IsZero() && isDay(text) && StartOfDay(y, m, d+later, q.Location).Equal(limit)
}

// moment is a time in the query's zone, or in UTC if the zone then had seconds,
// which the form of times leaves out.
func (q *queryWriter) moment(t time.Time) string {
	text := t.In(q.Location).Format(time.RFC3339Nano)
	if read, err := time.Parse(time.RFC3339Nano, text); err != nil || !read.Equal(t) {
		return t.UTC().Format(time.RFC3339Nano)
	}
	return text
}

// mapped are the elements as f makes them.
func mapped[T, U any](list []T, f func(T) U) []U {
	var made []U
	for _, v := range list {
		made = append(made, f(v))
	}
	return made
}
