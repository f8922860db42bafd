package audit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// errFull is what a store says that takes nothing.
var errFull = errors.New("the store holds something secret")

// fragile is a memstore that can be broken.
type fragile struct {
	*memstore.Store
	broken bool
	panics bool
}

func (s *fragile) Append(ctx context.Context, events []audit.Event) error {
	if s.panics {
		panic("something secret")
	}
	if s.broken {
		return errFull
	}
	return s.Store.Append(ctx, events)
}

// listener collects what OnError is told.
type listener struct {
	mu   sync.Mutex
	told []error
}

func (l *listener) hear(_ context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, err)
}

func TestAnErrorOfRecordingIsCountedAndReportedOnce(t *testing.T) {
	t.Parallel()
	var l listener
	store := &fragile{Store: memstore.New()}
	r, err := audit.New(store, &audit.Config{OnError: l.hear, Now: clock})
	require.NoError(t, err)
	require.NoError(t, r.Record(context.Background(), approved(), approved()))
	require.Equal(t, audit.Stats{Recorded: 2}, r.Stats())

	store.broken = true
	err = r.Record(context.Background(), approved())
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	require.ErrorIs(t, err, errFull)
	require.Equal(t, audit.Stats{Recorded: 2, Refused: 1}, r.Stats())
	require.Equal(t, []error{err}, l.told)
	require.NotErrorIs(t, l.told[0], audit.ErrLost)

	store.panics = true
	require.ErrorIs(t, r.Record(context.Background(), approved()), audit.ErrAuditFailed)
	require.NotContains(t, l.told[1].Error(), "secret")
	store.panics, l.told = false, l.told[:1]

	require.ErrorIs(t, r.Record(context.Background(), audit.Event{}), audit.ErrInvalidEvent)
	require.Equal(t, audit.Stats{Recorded: 2, Refused: 2}, r.Stats(), "a mistake of the caller is told to the caller")
	require.Len(t, l.told, 1)
}

func TestLossesAreToldInTheLogOnceRecordingWorksAgain(t *testing.T) {
	t.Parallel()
	var l listener
	at := noon
	store := &fragile{Store: memstore.New(), broken: true}
	r, err := audit.New(store, &audit.Config{OnError: l.hear, NewID: numberedIDs(), Now: func() time.Time { return at }, BestEffort: true})
	require.NoError(t, err)
	require.True(t, r.BestEffort())
	ctx := audit.WithActor(audit.WithWorkspace(context.Background(), "w2"), jo)
	r.Lose(ctx, map[string]int{"w1": 2, "": 1, "w3": 0}, errFull)
	at = at.Add(time.Minute)
	r.Lose(ctx, map[string]int{"w1": 1}, context.DeadlineExceeded)
	require.Equal(t, audit.Stats{Lost: 4, Untold: 4}, r.Stats())
	require.Len(t, l.told, 2)
	for i, because := range []error{errFull, context.DeadlineExceeded} {
		require.ErrorIs(t, l.told[i], audit.ErrLost)
		require.ErrorIs(t, l.told[i], because)
	}

	require.ErrorIs(t, r.TellLosses(ctx), errFull)
	require.Equal(t, audit.Stats{Lost: 4, Untold: 4}, r.Stats(), "they stay untold")

	store.broken = false
	at = at.Add(time.Minute)
	require.NoError(t, r.Record(ctx, approved()))
	require.Equal(t, audit.Stats{Recorded: 3, Lost: 4}, r.Stats())
	lost := func(e audit.Event, n, from, to, class string) audit.Event {
		e.Time, e.Actor, e.Operation, e.Entity, e.SchemaVersion = at, audit.System, audit.Lost, audit.Entity{Type: audit.TypeLog, ID: "*"}, 1
		for _, c := range [][2]string{{"events", n}, {"from", from}, {"to", to}, {"error", class}} {
			e.Changes = append(e.Changes, audit.Change{Field: c[0], After: audit.Value{JSON: []byte(c[1])}})
		}
		return e
	}
	all := store.All()
	require.Len(t, all, 3)
	require.Equal(t, audit.Operation("approved"), all[0].Operation)
	require.Equal(t, []audit.Event{
		lost(audit.Event{ID: id(4), Workspace: "w1"}, "3", `"2026-11-22T12:00:00Z"`, `"2026-11-22T12:01:00Z"`, `"timeout"`),
		lost(audit.Event{ID: id(5), Workspace: "w2"}, "1", `"2026-11-22T12:00:00Z"`, `"2026-11-22T12:00:00Z"`, `"*errors.errorString"`),
	}, all[1:])
	require.Equal(t, "Lost audit log", (*audit.Catalog)(nil).Label(all[1]))

	require.NoError(t, r.Record(ctx, approved()))
	require.Len(t, store.All(), 4, "and they are told once")
}

func TestALossIsCountedThoughTheClockAndTheListenerPanic(t *testing.T) {
	t.Parallel()
	r, _ := newRecorder(t, &audit.Config{
		Now:     func() time.Time { panic("no time") },
		OnError: func(context.Context, error) { panic("no ear") },
	})
	r.Lose(context.Background(), map[string]int{"": 1}, errFull)
	require.ErrorIs(t, r.TellLosses(context.Background()), audit.ErrAuditFailed)
	require.Equal(t, audit.Stats{Lost: 1, Untold: 1}, r.Stats())
}

func TestManyLoseAndTellAtOnceAndNothingIsForgotten(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 200 {
				r.Lose(context.Background(), map[string]int{"w1": 1}, errFull)
				_ = r.Record(context.Background(), approved())
			}
		}()
	}
	wg.Wait()
	require.NoError(t, r.TellLosses(context.Background()))
	told := 0
	for _, e := range store.All() {
		if e.Operation == audit.Lost {
			told += number(t, e.Changes[0].After)
		}
	}
	require.Equal(t, 1600, told)
	require.Equal(t, uint64(1600), r.Stats().Lost)
	require.Zero(t, r.Stats().Untold)
}
