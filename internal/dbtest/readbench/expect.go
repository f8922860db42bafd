package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// targets is how many workspaces are asked about, each of them about a month
// and people of its own.
const targets = 8

// The questions that are filters.
const (
	month     = "month"
	narrow    = "narrow"
	rare      = "rare"
	history   = "history"
	oneAuthor = "author"
	inLabels  = "text"
	inFew     = "rare text"
	nowhere   = "nowhere"
	changeSet = "change set"
)

// target is what is asked about one workspace.
type target struct {
	workspace string
	from, to  time.Time
	filters   map[string]audit.Filter
	// ids are the events that each filter finds, oldest first.
	ids map[string][]uuid.UUID
	// authors are all of the workspace's.
	authors []audit.Actor
}

// expectations are the right answers.
type expectations struct{ targets []*target }

// check returns an error if a question has no answer anywhere, so that a wrong
// one would not show.
func (x *expectations) check() error {
	for name := range x.targets[0].filters {
		if name != nowhere && name != rare && !slices.ContainsFunc(x.targets, func(t *target) bool { return len(t.ids[name]) > 0 }) {
			return fmt.Errorf("the log is too short: it has no event for the question %q", name)
		}
	}
	return nil
}

// expect makes the year once more and keeps what is asked for.
func expect(n int) *expectations {
	x := &expectations{}
	byWorkspace := map[string]*target{}
	seen := map[string]map[audit.Actor]bool{}
	for i := range targets {
		t := newTarget(i)
		x.targets = append(x.targets, t)
		byWorkspace[t.workspace] = t
		seen[t.workspace] = map[audit.Actor]bool{}
	}
	y := newYear(n)
	for events := y.next(); len(events) > 0; events = y.next() {
		t := byWorkspace[events[0].Workspace]
		if t == nil {
			continue
		}
		if _, known := t.filters[changeSet]; !known && len(events) > 3 && y.made > n/8 {
			t.filters[changeSet] = audit.Filter{Workspace: t.workspace, ChangeSets: []uuid.UUID{events[0].ChangeSet}}
		}
		for _, e := range events {
			seen[t.workspace][e.Actor] = true
			for name, f := range t.filters {
				if f.Matches(e) {
					t.ids[name] = append(t.ids[name], e.ID)
				}
			}
		}
	}
	for _, t := range x.targets {
		for a := range seen[t.workspace] {
			t.authors = append(t.authors, a)
		}
		slices.SortFunc(t.authors, func(a, b audit.Actor) int {
			return strings.Compare(string(a.Kind)+a.ID, string(b.Kind)+b.ID)
		})
	}
	return x
}

// newTarget asks about the workspace w, in one of the months of 30 days, because
// a report is not longer by default.
func newTarget(w int) *target {
	m := []time.Month{time.April, time.June, time.September, time.November}[w%4]
	t := &target{workspace: workspaceID(w), from: time.Date(begin.Year(), m, 1, 0, 0, 0, 0, time.UTC), ids: map[string][]uuid.UUID{}}
	t.to = t.from.AddDate(0, 1, 0)
	within := audit.Filter{Workspace: t.workspace, From: t.from, To: t.to}
	with := func(change func(f *audit.Filter)) audit.Filter {
		f := within
		change(&f)
		return f
	}
	var five []audit.Actor
	for i := range 5 {
		five = append(five, author(w, (17*w+31*i)%authors))
	}
	t.filters = map[string]audit.Filter{
		month: within,
		narrow: with(func(f *audit.Filter) {
			f.Actors, f.Actions = five, actions("UPDATE_TIME_PERSONAL", "UPDATE_TIME_FOR_OTHER", "DELETE_TIME_PERSONAL", "UPDATE_PROJECT", "CREATE_TASK", "CREATE_EXPENSE")
		}),
		rare: with(func(f *audit.Filter) {
			f.Actors, f.Actions = five, actions("CREATE_TASK", "DELETE_TASK", "CREATE_TAG", "DELETE_CLIENT", "CREATE_EXPENSE", "UPDATE_PROJECT")
		}),
		history:   {Workspace: t.workspace, Entities: []audit.Entity{{Type: audit.TypeProject, ID: projectID(w, 0)}}},
		oneAuthor: {Workspace: t.workspace, From: begin, To: t.to, Actors: five[:1]},
		inLabels:  with(func(f *audit.Filter) { f.Text = "SUPPORT" }),
		inFew:     with(func(f *audit.Filter) { f.Text = strings.ToLower(customer(w)) }),
		nowhere:   with(func(f *audit.Filter) { f.Text = "nobody wrote this" }),
	}
	return t
}

func actions(codes ...string) []audit.Action {
	all, err := audit.DefaultCatalog().Actions(codes...)
	if err != nil {
		panic(err) // the codes stand above
	}
	return all
}

// page are a page's events: the size newest of all but the first skip.
func page(ids []uuid.UUID, skip, size int) []uuid.UUID {
	newest := ids[max(0, len(ids)-skip-size):max(0, len(ids)-skip)]
	newest = slices.Clone(newest)
	slices.Reverse(newest)
	return newest
}
