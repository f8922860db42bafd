// Package week plays a working week of a small agency through the backend's
// own code, as its users would.
package week

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/backend"
	"github.com/gormtrail/audit/internal/timesheet"
	"github.com/gormtrail/audit/store/sqlstore"
)

// Workspace is the workspace that the week is played in.
const Workspace = "agency"

// Monday is the first day of the week. Recording is switched on, and the past
// is imported, on the evening before.
var Monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// Types are the entity types that the agency records.
var Types = []audit.EntityType{
	audit.TypeTimeEntry, audit.TypeProject, audit.TypeTask, audit.TypeClient, audit.TypeTag, audit.TypeExpense,
	timesheet.TypeCategory,
}

// Clock is the time of the story. It moves only when it is set, until it runs.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	running time.Time // since when; zero if it stands still
}

// Now returns the time of the story.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running.IsZero() {
		return c.now.Add(time.Since(c.running))
	}
	return c.now
}

// Run sets the clock and lets it run on from there.
func (c *Clock) Run(from time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.running = from, time.Now()
}

// Set moves the clock.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Story is a week that is being played.
type Story struct {
	backend  *backend.Backend
	settings *sqlstore.Settings
	clock    *Clock
	// users are those who act, by a word of the story.
	users map[string]timesheet.User
	// ids are the records that the story comes back to, by another.
	ids map[string]string
}

// people are those who act in the week, by the word the story has for them.
// Those whom the workspace does not know are added.
var people = map[string]string{
	"maya":   "Maya Lindqvist", // runs the agency
	"ben":    "Ben Okafor",
	"chloe":  "Chloé Martin",
	"daniel": "Daniel Weiss",
	"farid":  "Farid Haddad",
}

// New prepares a week. The clock must be the one that the backend's database,
// the settings and the recorder use.
func New(b *backend.Backend, s *sqlstore.Settings, c *Clock) *Story {
	return &Story{backend: b, settings: s, clock: c, users: map[string]timesheet.User{}, ids: map[string]string{}}
}

// Sunday switches recording on, in the evening before the week.
func (s *Story) Sunday(ctx context.Context) error {
	if err := s.meet(ctx); err != nil {
		return err
	}
	return s.play(ctx, Monday.AddDate(0, 0, -1), []step{
		{"20:00", "maya", func(ctx context.Context) error {
			return s.settings.Set(ctx, Workspace, func(sw *sqlstore.Switches) {
				sw.Enabled = true
				sw.Turn(true, Types...)
			})
		}},
	})
}

// Import runs fn, which imports the past, as Maya on Sunday evening.
func (s *Story) Import(ctx context.Context, fn func(context.Context) error) error {
	return s.play(ctx, Monday.AddDate(0, 0, -1), []step{{"20:30", "maya", fn}})
}

// Play plays the week from Monday to Friday.
func (s *Story) Play(ctx context.Context) error {
	for i, day := range [][]step{s.monday(), s.tuesday(), s.wednesday(), s.thursday(), s.friday()} {
		if err := s.play(ctx, Monday.AddDate(0, 0, i), day); err != nil {
			return err
		}
	}
	return nil
}

// step is what one user does at a time of the day.
type step struct {
	at  string
	who string
	do  func(ctx context.Context) error
}

func (s *Story) play(ctx context.Context, day time.Time, steps []step) error {
	for _, st := range steps {
		at, err := time.Parse("15:04", st.at)
		if err != nil {
			return err
		}
		s.clock.Set(day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute))
		user, ok := s.users[st.who]
		if !ok {
			return fmt.Errorf("nobody is called %q", st.who)
		}
		// This is what a middleware does for each request of a user.
		ctx := audit.WithWorkspace(ctx, Workspace)
		ctx = audit.WithActor(ctx, audit.Actor{ID: user.ID, Name: user.Name})
		if err := st.do(ctx); err != nil {
			return fmt.Errorf("%s, %s, %s: %w", day.Weekday(), st.at, user.Name, err)
		}
	}
	return nil
}

// meet finds those who act, or adds them.
func (s *Story) meet(ctx context.Context) error {
	ctx = audit.WithActor(audit.WithWorkspace(ctx, Workspace), audit.System)
	for _, word := range slices.Sorted(maps.Keys(people)) {
		user, err := s.backend.EnsureUser(ctx, people[word], word+"@example.com")
		if err != nil {
			return err
		}
		s.users[word] = user
	}
	return nil
}

// turn switches the recording of entity types on or off.
func (s *Story) turn(ctx context.Context, on bool, types ...audit.EntityType) error {
	return s.settings.Set(ctx, Workspace, func(sw *sqlstore.Switches) { sw.Turn(on, types...) })
}

// keep remembers the id of a new record under a word of the story.
func (s *Story) keep(word string) func(id string, err error) error {
	return func(id string, err error) error {
		s.ids[word] = id
		return err
	}
}

// hour is a time of the week: day 0 is Monday.
func hour(day int, clock string) time.Time {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		panic(err) // a slip in this file, which the tests would meet
	}
	return Monday.AddDate(0, 0, day).Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
}

func ptr[T any](v T) *T { return &v }
