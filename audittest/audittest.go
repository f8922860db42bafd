// Package audittest is for the unit tests of programs that keep an audit log. A
// [Log] keeps the events of a test in memory, under a clock and with ids that
// are the same in every run, and tells by its Require methods what was recorded:
//
//	func TestRename(t *testing.T) {
//		log := audittest.New(nil)
//		db := open(t)
//		require.NoError(t, db.Use(hooks.New(log.Recorder(), app.Models()...)))
//
//		app.Rename(audit.WithActor(ctx, jo), db, "7", "Apollo")
//
//		log.Require(t, audittest.Event{
//			Operation: audit.Updated,
//			Entity:    audit.Entity{Type: audit.TypeProject, ID: "7"},
//			Actor:     jo,
//			Changes:   []audittest.Change{{Field: "name", Before: "Gemini", After: "Apollo"}},
//		})
//	}
//
// An expectation has the fields of [audit.Event]; those left zero are not looked
// at. An assertion that fails prints the expectation, the recorded event that
// comes nearest to it with each field in which they differ, and all that was
// recorded.
//
// Events of a transaction are recorded when it is committed: assert after that.
//
// Package hookstest, below hooks, checks that no model was forgotten. It is a
// package of its own because it needs GORM, which this one does not.
package audittest

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// TestingT is what an assertion needs of a test. A *testing.T is one, and so is
// what other testing libraries have in its place.
type TestingT interface {
	// Helper marks the caller as one whose line is not that of the failure.
	Helper()
	// Fatalf reports a failure and ends the test.
	Fatalf(format string, args ...any)
}

// Log is an audit log for one test, empty at first. Make one with [New]. A Log
// is safe for use by several goroutines at once.
type Log struct {
	store    memstore.Store
	recorder *audit.Recorder
	ticks    atomic.Int64
	ids      atomic.Uint64
}

// New returns an empty Log whose Recorder works by cfg; a nil cfg is the zero
// [audit.Config]. Unless cfg has a clock or ids of its own, the clock starts at
// [Start] and steps by a second each time it is read, once per statement, and
// the ids end in 1, 2, 3 and so on.
func New(cfg *audit.Config) *Log {
	l := &Log{}
	var c audit.Config
	if cfg != nil {
		c = *cfg
	}
	if c.Now == nil {
		c.Now = func() time.Time { return Start().Add(time.Duration(l.ticks.Add(1)-1) * time.Second) }
	}
	if c.NewID == nil {
		c.NewID = func(t time.Time) uuid.UUID { return idAt(t, l.ids.Add(1)) }
	}
	rec, err := audit.New(&l.store, &c)
	if err != nil {
		panic(err) // it fails for want of a store only
	}
	l.recorder = rec
	return l
}

// Start is when the clock of a [Log] begins: 2026-01-01 09:00 UTC.
func Start() time.Time { return time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC) }

// idAt is the nth version 7 UUID of a log.
func idAt(t time.Time, n uint64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(max(t.UnixMilli(), 0))<<16|0x7000)
	binary.BigEndian.PutUint64(id[8:], n|1<<63)
	return id
}

// Recorder returns what writes to the Log, for hooks.New or to record by hand.
func (l *Log) Recorder() *audit.Recorder { return l.recorder }

// Events returns every event of every workspace, oldest first.
func (l *Log) Events() []audit.Event { return l.store.All() }

// Reset forgets every event, such as those of a test's preparations. Clock and
// ids go on.
func (l *Log) Reset() { l.store.Reset() }

// Require ends the test unless an event was recorded that is as want says. It
// returns the newest such event, so that one can look at more of it.
func (l *Log) Require(t TestingT, want Event) audit.Event {
	t.Helper()
	events := l.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if want.compare(events[i]).equal() {
			return events[i]
		}
	}
	t.Fatalf("%s", notFound(want, events))
	return audit.Event{}
}

// RequireExactly ends the test unless as many events were recorded as are
// wanted, and each, oldest first, is as its counterpart says. Events that follow
// from others count like any. It returns the events.
func (l *Log) RequireExactly(t TestingT, want ...Event) []audit.Event {
	t.Helper()
	events := l.Events()
	same := len(events) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = want[i].compare(events[i]).equal()
	}
	if !same {
		t.Fatalf("%s", notExactly(want, events))
	}
	return events
}

// RequireNone ends the test if an event was recorded that is as one of unwanted
// says; if none is given, if any event was recorded at all.
func (l *Log) RequireNone(t TestingT, unwanted ...Event) {
	t.Helper()
	events := l.Events()
	if len(unwanted) == 0 && len(events) > 0 {
		t.Fatalf("%s", notEmpty(events))
		return
	}
	for _, u := range unwanted {
		for i, e := range events {
			if u.compare(e).equal() {
				t.Fatalf("%s", notWanted(u, i, events))
				return
			}
		}
	}
}
