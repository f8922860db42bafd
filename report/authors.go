package report

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

const (
	// maxAuthors bounds the authors that are listed; others are found by the
	// query.
	maxAuthors = 500
	// fewAuthors is how many the report itself offers. Where there are more, it
	// offers those of the events it shows, and leads to the list of all: two
	// hundred names would be half of the page.
	fewAuthors = 12
)

// authors are people to choose from, by their texts in a URL.
type authors struct {
	choices map[string]choice
	chosen  []audit.Actor
}

func newAuthors(chosen []string) authors {
	s := authors{choices: map[string]choice{}}
	for _, text := range chosen {
		if a, ok := parseActor(text); ok {
			s.chosen = append(s.chosen, a)
		}
	}
	return s
}

// add adds a choice, for an author who can be one.
func (s authors) add(a audit.Actor, archived bool) {
	if !hasText(a) {
		return
	}
	text := actorText(a)
	c := s.choices[text]
	if c.Label == "" || a.Name != "" {
		c.Label = person(a)
	}
	c.Value, c.Ticked, c.Archived = text, slices.ContainsFunc(s.chosen, a.Same), c.Archived || archived
	if c.Archived {
		c.Note = "archived"
	}
	s.choices[text] = c
}

// sorted are the choices, System and those who are chosen among them, by their
// names.
func (s authors) sorted() []choice {
	s.add(audit.System, false)
	for _, a := range s.chosen {
		if s.choices[actorText(a)].Value == "" {
			s.add(a, false)
		}
	}
	all := make([]choice, 0, len(s.choices))
	named := map[string]int{}
	for _, c := range s.choices {
		named[c.Label]++
	}
	for _, c := range s.choices {
		if named[c.Label] > 1 { // two of one name are told apart by their ids
			c.Note = strings.TrimPrefix(c.Note+", "+visible(clip(c.Value, maxLine), false), ", ")
		}
		all = append(all, c)
	}
	system := actorText(audit.System)
	slices.SortFunc(all, func(a, b choice) int {
		return cmp.Or(
			-compareBool(a.Value == system, b.Value == system),
			compareBool(a.Archived, b.Archived),
			cmp.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)),
			cmp.Compare(a.Value, b.Value),
		)
	})
	return all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// known are those whom the log and the application name, up to a number of the
// log's, and whether that are all. A limited scope is told of no other users
// than those of the log that it may see, for the same reason as in authorsOfLog.
func (q *request) known(ctx context.Context, chosen []string, most int) (s authors, all bool, err error) {
	s = newAuthors(chosen)
	listed, err := q.authorsOfLog(ctx, most+1)
	if err != nil {
		return s, false, err
	}
	for _, a := range listed {
		s.add(a, false)
	}
	all = len(listed) <= most
	if q.opts.Authors == nil {
		return s, all, nil
	}
	users, err := q.opts.Authors(ctx, q.scope.Workspace)
	for _, u := range users {
		if q.scope.Only == nil || s.choices[actorText(u.Actor)].Value != "" {
			s.add(u.Actor, u.Archived)
		}
	}
	return s, all, err
}

// few are the authors that the report offers: all if they are few, else those of
// the events at hand.
func (q *request) few(ctx context.Context, chosen []string, events []audit.Event) (list []choice, all bool, err error) {
	s, all, err := q.known(ctx, chosen, fewAuthors)
	if err != nil || all && len(s.choices) <= fewAuthors {
		return s.sorted(), all, err
	}
	here := newAuthors(chosen)
	for i := 0; i < len(events) && len(here.choices) < fewAuthors; i++ {
		text := actorText(events[i].Actor)
		here.add(events[i].Actor, s.choices[text].Archived)
	}
	return here.sorted(), false, nil
}

// authorsOfLog lists those whom the scope may know of. The list of a whole
// workspace would tell a limited scope who else works there, so that one gets
// the authors of the newest events it may see.
func (q *request) authorsOfLog(ctx context.Context, most int) ([]audit.Actor, error) {
	if q.scope.Only == nil {
		return audit.QueryActors(ctx, q.store, q.scope.Workspace, most)
	}
	events, err := q.read(audit.Filter{}, audit.MaxPageSize)
	if err != nil {
		return nil, err
	}
	var actors []audit.Actor
	for _, e := range events {
		if len(actors) < most && !slices.ContainsFunc(actors, e.Actor.Same) {
			actors = append(actors, e.Actor)
		}
	}
	return actors, nil
}

// authorsView is the page of all authors: the rest of the report's form, and
// whom it can be limited to.
type authorsView struct {
	Authors []choice
	// Kept are the other parameters of the report, which the form hands on.
	Kept []parameter
	// Cut is set if there are more than the page lists.
	Cut bool
	// Back leads to the report as it was.
	Back string
}

// authorJSON is an author for programs.
type authorJSON struct {
	// Actor is the value of the parameter "actor".
	Actor    string `json:"actor"`
	Name     string `json:"name"`
	Archived bool   `json:"archived,omitempty"`
}

// allAuthors serves the list of all authors, which leads back to the report.
func (q *request) allAuthors() error {
	if _, err := q.wholly(formParameters); err != nil {
		return err
	}
	s, all, err := q.known(q.r.Context(), nonEmpty(q.values["actor"]), maxAuthors)
	if err != nil {
		return err
	}
	list := s.sorted()
	if q.json {
		found := make([]authorJSON, len(list))
		for i, c := range list {
			found[i] = authorJSON{Actor: c.Value, Name: c.Label, Archived: c.Archived}
		}
		return q.writeJSON(http.StatusOK, map[string]any{"authors": found, "complete": all})
	}
	back := q.root + query(q.values)
	q.values.Del("actor")
	q.values.Del("page") // of a report with other authors
	return q.write(http.StatusOK, "authors", "Authors", authorsView{Authors: list, Kept: listedParameters(q.values), Cut: !all, Back: back}, nil)
}

// query is the end of a URL with these parameters.
func query(values url.Values) string {
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}
