package report

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/gormtrail/audit"
)

// The sizes of pages.
const (
	defaultSize = audit.DefaultPageSize
	maxSize     = 200
)

// listing is one page of the events that a filter asks for.
type listing struct {
	events []audit.Event
	// newest, newer, older and oldest are the cursors of other pages. Nil if
	// there is no such page.
	newest, newer, older, oldest *string
}

// size is the number of events that the reader wants on a page.
func (q *request) size() (int, error) {
	text := q.values.Get("size")
	if text == "" {
		return defaultSize, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSize {
		return 0, badParameter("size", "A page has 1 to %d events, not %q.", maxSize, clip(text, maxQuoted))
	}
	return n, nil
}

// page is which page of a filter's events the URL asks for.
func (q *request) page(f audit.Filter) (size int, at place, err error) {
	if size, err = q.size(); err != nil {
		return 0, place{}, err
	}
	at, err = q.signer.place(q.values.Get("page"), f)
	return size, at, err
}

// list reads the page that the URL asks for, of what the scope may see.
func (q *request) list(f audit.Filter) (listing, error) {
	f.Workspace = q.scope.Workspace
	if err := f.Validate(); err != nil {
		return listing{}, err
	}
	size, at, err := q.page(f)
	if err != nil {
		return listing{}, err
	}
	scoped, any := q.scope.apply(f)
	if !any {
		return listing{}, nil
	}
	scoped = scoped.Stored()
	var l listing
	var newer, older bool
	if at.way == before || at.way == oldest {
		l.events, newer, older, err = q.backward(scoped, at, size)
	} else {
		l.events, older, err = q.forward(scoped, at, size)
		newer = at.way == after
	}
	if err != nil {
		return listing{}, err
	}
	q.link(&l, f, newer, older)
	return l, nil
}

// forward reads a page from a place on and tells whether there are older events.
func (q *request) forward(scoped audit.Filter, at place, size int) (events []audit.Event, older bool, err error) {
	events, err = q.store.List(q.r.Context(), scoped, at.at, size+1)
	if err == nil && len(events) > size {
		return events[:size], true, nil
	}
	return events, false, err
}

// backward reads the page that ends at a place and tells what lies around it.
func (q *request) backward(scoped audit.Filter, at place, size int) (events []audit.Event, newer, older bool, err error) {
	back, can := q.store.(audit.ReverseLister)
	if !can {
		return nil, false, false, badParameter("page", "This store reads from the newest event on only. Start again at the first page.")
	}
	events, err = back.ListBefore(q.r.Context(), scoped, at.at, size+1)
	switch {
	case err != nil:
		return nil, false, false, err
	case len(events) > size:
		return events[len(events)-size:], true, at.way == before, nil
	case at.way == oldest:
		return events, false, false, nil
	}
	// What is left is less than a page. The first page has all of it.
	events, older, err = q.forward(scoped, place{}, size)
	return events, false, older, err
}

// link makes the cursors of the pages around a listing.
func (q *request) link(l *listing, f audit.Filter, newer, older bool) {
	_, canGoBack := q.store.(audit.ReverseLister)
	var top, end audit.Position
	if n := len(l.events); n > 0 {
		top, end = l.events[0].Position(), l.events[n-1].Position()
	}
	for _, c := range []struct {
		into   **string
		wanted bool
		p      place
	}{
		{&l.newest, newer, place{}},
		{&l.newer, newer && canGoBack && len(l.events) > 0, place{before, top}},
		{&l.older, older && len(l.events) > 0, place{after, end}},
		{&l.oldest, older && canGoBack, place{way: oldest}},
	} {
		if c.wanted {
			text := q.signer.cursor(c.p, f)
			*c.into = &text
		}
	}
}

// read returns up to limit events of a filter within the scope, newest first.
func (q *request) read(f audit.Filter, limit int) ([]audit.Event, error) {
	scoped, any := q.scope.apply(f)
	if !any {
		return nil, nil
	}
	return q.store.List(q.r.Context(), scoped.Stored(), audit.Position{}, limit)
}

// pager are the links to other pages.
type pager struct{ Newest, Newer, Older, Oldest string }

// pager makes links of cursors: the URL with other parameters.
func (l listing) pager(values url.Values) pager {
	href := func(cursor *string) string {
		if cursor == nil {
			return ""
		}
		to := url.Values{}
		for name, v := range values {
			if name != "page" {
				to[name] = slices.Clone(v)
			}
		}
		if *cursor != "" {
			to.Set("page", *cursor)
		}
		return "?" + to.Encode()
	}
	return pager{href(l.newest), href(l.newer), href(l.older), href(l.oldest)}
}

// Any reports whether there is another page.
func (p pager) Any() bool { return p != pager{} }
