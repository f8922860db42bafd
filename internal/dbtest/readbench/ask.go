package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/sqlstore"
)

// size is that of a page.
const size = audit.DefaultPageSize

// question is one thing to measure.
type question struct {
	name string
	// goal is what the median should stay under. 0 is none.
	goal time.Duration
	// grows tells that the answer takes longer the more events there are, as
	// one that reads all events of a month.
	grows bool
	// ask asks about a target and returns an error if the answer is wrong.
	ask func(ctx context.Context, s *subject, target int) (answer, error)
}

// answer is how long it took to come.
type answer struct {
	took time.Duration
	// bytes are the size of a report, sent is the same as it is sent, and store
	// is for how long it waited for its store.
	bytes, sent int
	store       time.Duration
}

// The goals.
const (
	pageGoal    = 2 * time.Millisecond
	narrowGoal  = 10 * time.Millisecond
	authorsGoal = 10 * time.Millisecond
	// besidesGoal is what a report may take besides its store.
	besidesGoal = 5 * time.Millisecond
	// htmlGoal is the size of a report in bytes, as it is sent.
	htmlGoal = 50 << 10
	// growthGoal is by how much ten times the events may take longer, and
	// spreadGoal how far the pages of a month may lie apart.
	growthGoal = 1.5
	spreadGoal = 2.0
)

// The names by which the table compares.
const (
	firstPage, middlePage, lastPage, fromTheEnd = "first page of a month", "middle page", "last page", "last page, from the end"
	firstHTML, lastHTML                         = "report, first page, HTML", "report, last page, HTML"
	firstJSON, lastJSON                         = "report, first page, JSON", "report, last page, JSON"
)

func questions() []question {
	return []question{
		{name: firstPage, goal: pageGoal, ask: listed(month)},
		{name: middlePage, goal: pageGoal, ask: func(ctx context.Context, s *subject, target int) (answer, error) {
			return s.page(ctx, target, month, s.places[target].middle, s.middle(target), size)
		}},
		{name: lastPage, goal: pageGoal, ask: func(ctx context.Context, s *subject, target int) (answer, error) {
			return s.page(ctx, target, month, s.places[target].last, len(s.target(target).ids[month])-size, size)
		}},
		{name: fromTheEnd, goal: pageGoal, ask: lastFromTheEnd},
		{name: "6 actions and 5 authors", goal: narrowGoal, ask: listed(narrow)},
		{name: "6 rare actions and 5 authors", goal: narrowGoal, grows: true, ask: listed(rare)},
		{name: "a record's history", goal: pageGoal, ask: listed(history)},
		{name: "one author", goal: pageGoal, ask: listed(oneAuthor)},
		{name: "text in labels within a month", ask: listed(inLabels)},
		{name: "text that few labels have", grows: true, ask: listed(inFew)},
		{name: "text that no label has", grows: true, ask: listed(nowhere)},
		{name: "one change set", goal: pageGoal, ask: listed(changeSet)},
		{name: "the list of authors", goal: authorsGoal, ask: listAuthors},
		{name: firstHTML, ask: reported("text/html", func(places) string { return "" }, 0)},
		{name: lastHTML, ask: reported("text/html", func(p places) string { return p.oldest }, -1)},
		{name: firstJSON, ask: reported("application/json", func(places) string { return "" }, 0)},
		{name: lastJSON, ask: reported("application/json", func(p places) string { return p.oldest }, -1)},
	}
}

// places are the cursors of pages that are not the first.
type places struct {
	middle, last audit.Cursor
	// oldest is the report's.
	oldest string
}

func (s *subject) target(i int) *target { return s.expected.targets[i] }

// middle is how many events lie before the middle page.
func (s *subject) middle(target int) int { return len(s.target(target).ids[month])/2 - size/2 }

// listed asks for the first page of a filter.
func listed(filter string) func(context.Context, *subject, int) (answer, error) {
	return func(ctx context.Context, s *subject, target int) (answer, error) {
		return s.page(ctx, target, filter, audit.Cursor{}, 0, size)
	}
}

// page asks for a page and compares its events with those that were written.
func (s *subject) page(ctx context.Context, target int, filter string, at audit.Cursor, skip, size int) (answer, error) {
	t := s.target(target)
	start := time.Now()
	found, err := audit.QueryPage(ctx, s.store, t.filters[filter], at, size)
	a := answer{took: time.Since(start)}
	if err != nil {
		return a, err
	}
	return a, same(found.Events, page(t.ids[filter], skip, size))
}

func same(found []audit.Event, want []uuid.UUID) error {
	ids := make([]uuid.UUID, len(found))
	for i, e := range found {
		ids[i] = e.ID
	}
	if !slices.Equal(ids, want) {
		return fmt.Errorf("the answer is wrong: it has the %d events %v, written were %d: %v", len(ids), ids, len(want), want)
	}
	return nil
}

func lastFromTheEnd(ctx context.Context, s *subject, target int) (answer, error) {
	t := s.target(target)
	start := time.Now()
	found, err := s.store.ListBefore(ctx, t.filters[month], audit.Position{}, size+1)
	a := answer{took: time.Since(start)}
	if err != nil {
		return a, err
	}
	return a, same(found, page(t.ids[month], len(t.ids[month])-size-1, size+1))
}

// mostAuthors is how many the report lists.
const mostAuthors = 500

func listAuthors(ctx context.Context, s *subject, target int) (answer, error) {
	t := s.target(target)
	start := time.Now()
	found, err := audit.QueryActors(ctx, s.store, t.workspace, mostAuthors)
	a := answer{took: time.Since(start)}
	if err == nil && !slices.Equal(found, t.authors) {
		err = fmt.Errorf("the answer is wrong: there are the authors %v, written were %v", found, t.authors)
	}
	return a, err
}

// reported asks the report for a page that begins or ends where the month does.
func reported(accept string, cursor func(places) string, end int) func(context.Context, *subject, int) (answer, error) {
	return func(ctx context.Context, s *subject, target int) (answer, error) {
		t := s.target(target)
		s.watched.took = 0
		start := time.Now()
		w := s.report(ctx, t, accept, cursor(s.places[target]))
		a := answer{took: time.Since(start), sent: w.Body.Len(), store: s.watched.took}
		body, err := unpack(w)
		if err != nil {
			return a, err
		}
		a.bytes = len(body)
		skip := 0
		if end < 0 {
			skip = len(t.ids[month]) - size
		}
		for _, id := range page(t.ids[month], skip, size) {
			if !strings.Contains(body, id.String()) {
				return a, fmt.Errorf("the report is wrong: it lacks event %s", id)
			}
		}
		return a, nil
	}
}

// workspaceKey is where a request says which workspace it may see.
type workspaceKey struct{}

func authorize(r *http.Request) (report.Scope, error) {
	workspace, _ := r.Context().Value(workspaceKey{}).(string)
	return report.Scope{Workspace: workspace, Actor: audit.Actor{ID: "u1", Name: "Jo"}, Read: true, Export: true}, nil
}

// report asks as browsers do, which read what is compressed.
func (s *subject) report(ctx context.Context, t *target, accept, cursor string) *httptest.ResponseRecorder {
	address := "/?from=" + t.from.Format(time.DateOnly) + "&to=" + t.to.AddDate(0, 0, -1).Format(time.DateOnly)
	if cursor != "" {
		address += "&page=" + cursor
	}
	r := httptest.NewRequestWithContext(context.WithValue(ctx, workspaceKey{}, t.workspace), http.MethodGet, address, nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func unpack(w *httptest.ResponseRecorder) (string, error) {
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		return "", fmt.Errorf("the report answers %d and is not compressed: %w", w.Code, err)
	}
	body, err := io.ReadAll(z)
	if err == nil && w.Code != http.StatusOK {
		err = fmt.Errorf("the report answers %d: %s", w.Code, body)
	}
	return string(body), err
}

// stopwatch is a store that knows how long the report has waited for it.
type stopwatch struct {
	*sqlstore.Store
	took time.Duration
}

func (s *stopwatch) since(start time.Time) { s.took += time.Since(start) }

func (s *stopwatch) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	defer s.since(time.Now())
	return s.Store.List(ctx, f, after, limit)
}

func (s *stopwatch) ListBefore(ctx context.Context, f audit.Filter, before audit.Position, limit int) ([]audit.Event, error) {
	defer s.since(time.Now())
	return s.Store.ListBefore(ctx, f, before, limit)
}

func (s *stopwatch) ListActors(ctx context.Context, workspace string, limit int) ([]audit.Actor, error) {
	defer s.since(time.Now())
	return s.Store.ListActors(ctx, workspace, limit)
}

var oldestLink = regexp.MustCompile(`<a href="[^"]*page=([^"&]+)[^"]*">Oldest`)

// prepare finds the pages that are not the first, and compares some events with
// what was written.
func (s *subject) prepare(ctx context.Context) error {
	for i, t := range s.expected.targets {
		total := len(t.ids[month])
		middle, err := s.walk(ctx, i, s.middle(i))
		if err != nil {
			return err
		}
		last, err := s.walk(ctx, i, total-size)
		if err != nil {
			return err
		}
		body, err := unpack(s.report(ctx, t, "text/html", ""))
		if err != nil {
			return err
		}
		link := oldestLink.FindStringSubmatch(body)
		if link == nil {
			return errors.New("the report has no link to its oldest page")
		}
		s.places = append(s.places, places{middle, last, link[1]})
	}
	return s.readBack(ctx)
}

// walk pages through a month until so many events lie before the cursor.
func (s *subject) walk(ctx context.Context, target, skip int) (at audit.Cursor, err error) {
	t := s.target(target)
	for passed := 0; passed < skip; {
		p, err := audit.QueryPage(ctx, s.store, t.filters[month], at, min(skip-passed, audit.MaxPageSize))
		if err != nil {
			return at, err
		}
		if err := same(p.Events, page(t.ids[month], passed, len(p.Events))); err != nil {
			return at, err
		}
		passed += len(p.Events)
		if at = p.Next; !p.More() {
			return at, fmt.Errorf("the answer is wrong: a month ends after %d events", passed)
		}
	}
	return at, nil
}
