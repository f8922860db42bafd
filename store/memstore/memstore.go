// Package memstore keeps audit events in memory: for tests, for trying things
// out, and for programs that need their events no longer than they run.
//
//	store := memstore.New()
//	rec, err := audit.New(store, nil)
//
// A memstore is outside of every transaction, but it can promise an append
// (see [audit.Stager]), so hooks publish the events of a transaction exactly
// if it is committed. What it holds is lost when the program ends.
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Store is an [audit.Store] in memory. It copies what goes in and what comes
// out, so that nobody can change an event it holds. Appending the newest event
// takes constant time; a page is found by binary search and read from there.
//
// The zero Store is empty and ready for use. A Store is safe for use by
// several goroutines at once and must not be copied after first use.
type Store struct {
	mu sync.RWMutex
	// events are sorted oldest first, so that the newest go to the end.
	events []audit.Event
	ids    map[uuid.UUID]struct{}
}

var (
	_ audit.Store         = (*Store)(nil)
	_ audit.Stager        = (*Store)(nil)
	_ audit.ActorLister   = (*Store)(nil)
	_ audit.ReverseLister = (*Store)(nil)
)

// New returns an empty Store.
func New() *Store { return &Store{} }

// Append implements [audit.Store].
func (s *Store) Append(ctx context.Context, events []audit.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	events = prepare(events)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(events); err != nil {
		return err
	}
	s.insert(events)
	return nil
}

// Stage implements [audit.Stager]. Publishing twice publishes once. If an id
// was stored between staging and publishing, the event stored first stays.
func (s *Store) Stage(ctx context.Context, events []audit.Event) (publish func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	events = prepare(events)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.check(events); err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.insert(events)
	}, nil
}

// List implements [audit.Store].
func (s *Store) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("memstore: limit is %d, must be at least 1", limit)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var page []audit.Event
	for i := s.before(after, f.To) - 1; i >= 0 && len(page) < limit; i-- {
		e := &s.events[i]
		if !f.From.IsZero() && e.Time.Before(f.From) {
			break
		}
		if f.Matches(*e) {
			page = append(page, clone(*e))
		}
	}
	return page, nil
}

// ListBefore implements [audit.ReverseLister].
func (s *Store) ListBefore(ctx context.Context, f audit.Filter, before audit.Position, limit int) ([]audit.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("memstore: limit is %d, must be at least 1", limit)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	start := sort.Search(len(s.events), func(i int) bool {
		e := &s.events[i]
		return (f.From.IsZero() || !e.Time.Before(f.From)) && (before.IsZero() || e.Position().Compare(before) < 0)
	})
	var page []audit.Event
	for i := start; i < len(s.events) && len(page) < limit; i++ {
		e := &s.events[i]
		if !f.To.IsZero() && !e.Time.Before(f.To) {
			break
		}
		if f.Matches(*e) {
			page = append(page, clone(*e))
		}
	}
	slices.Reverse(page)
	return page, nil
}

// ListActors implements [audit.ActorLister]. It goes through all events.
func (s *Store) ListActors(ctx context.Context, workspace string, limit int) ([]audit.Actor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := (audit.Filter{Workspace: workspace}).Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("memstore: limit is %d, must be at least 1", limit)
	}
	type author struct {
		kind audit.ActorKind
		id   string
	}
	names := make(map[author]string)
	s.mu.RLock()
	for _, e := range s.events { // newer events overwrite older ones
		if e.Workspace == workspace {
			a := author{e.Actor.Kind, e.Actor.ID}
			names[a] = e.Actor.Name
		}
	}
	s.mu.RUnlock()
	actors := make([]audit.Actor, 0, len(names))
	for a, name := range names {
		actors = append(actors, audit.Actor{Kind: a.kind, ID: a.id, Name: name})
	}
	slices.SortFunc(actors, func(a, b audit.Actor) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return actors[:min(limit, len(actors))], nil
}

// All returns every event of every workspace, oldest first. It is meant for
// tests; a report reads with [audit.Query].
func (s *Store) All() []audit.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]audit.Event, len(s.events))
	for i, e := range s.events {
		all[i] = clone(e)
	}
	return all
}

// Reset forgets every event.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.ids = nil, nil
}

// before returns how many events are older than both bounds. A zero bound is
// open.
func (s *Store) before(after audit.Position, to time.Time) int {
	return sort.Search(len(s.events), func(i int) bool {
		e := &s.events[i]
		return !to.IsZero() && !e.Time.Before(to) ||
			!after.IsZero() && after.Compare(e.Position()) >= 0
	})
}

// check returns [audit.ErrDuplicate] if an id is there already.
func (s *Store) check(events []audit.Event) error {
	seen := make(map[uuid.UUID]struct{}, len(events))
	for _, e := range events {
		_, stored := s.ids[e.ID]
		_, repeated := seen[e.ID]
		if stored || repeated {
			return fmt.Errorf("%w: id %s", audit.ErrDuplicate, e.ID)
		}
		seen[e.ID] = struct{}{}
	}
	return nil
}

// insert keeps the order. It passes over ids that are there already.
func (s *Store) insert(events []audit.Event) {
	if s.ids == nil {
		s.ids = make(map[uuid.UUID]struct{}, len(events))
	}
	for _, e := range events {
		if _, stored := s.ids[e.ID]; stored {
			continue
		}
		s.ids[e.ID] = struct{}{}
		at := len(s.events)
		if at > 0 && compare(s.events[at-1], e) > 0 {
			at, _ = slices.BinarySearchFunc(s.events, e, compare)
		}
		s.events = slices.Insert(s.events, at, e)
	}
}

// compare orders oldest first.
func compare(a, b audit.Event) int {
	if c := a.Time.Compare(b.Time); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

// prepare copies events as they are to be stored.
func prepare(events []audit.Event) []audit.Event {
	copies := make([]audit.Event, len(events))
	for i, e := range events {
		copies[i] = clone(e)
		copies[i].Time = e.Time.UTC().Truncate(time.Microsecond)
		copies[i].Actor.Kind = cmp.Or(e.Actor.Kind, audit.KindUser)
	}
	return copies
}

// clone shares no memory with e.
func clone(e audit.Event) audit.Event {
	if len(e.Changes) == 0 {
		e.Changes = nil
		return e
	}
	e.Changes = slices.Clone(e.Changes)
	for i := range e.Changes {
		c := &e.Changes[i]
		c.Before.JSON = slices.Clone(c.Before.JSON)
		c.After.JSON = slices.Clone(c.After.JSON)
	}
	return e
}
