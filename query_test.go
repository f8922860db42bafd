package audit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// numbered returns event n of workspace w1; three at a time share their time.
func numbered(n int) audit.Event {
	e := renamed()
	e.ID = uuid.UUID{6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)}
	e.Time = noon.Add(time.Duration(n/3) * time.Second)
	e.Entity.ID = fmt.Sprint(n)
	return e
}

// filled returns a store with n numbered events, and one of another workspace.
func filled(t *testing.T, n int) *memstore.Store {
	t.Helper()
	store := memstore.New()
	events := make([]audit.Event, n, n+1)
	for i := range events {
		events[i] = numbered(i)
	}
	foreign := numbered(n)
	foreign.Workspace = "w2"
	require.NoError(t, store.Append(context.Background(), append(events, foreign)))
	return store
}

// watched counts what is read from a store and can spoil it.
type watched struct {
	audit.Store
	limits []int
	spoil  func(events []audit.Event) ([]audit.Event, error)
}

func (s *watched) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	s.limits = append(s.limits, limit)
	events, err := s.Store.List(ctx, f, after, limit)
	if err == nil && s.spoil != nil {
		return s.spoil(events)
	}
	return events, err
}

func TestQueryYieldsEveryEventNewestFirst(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 600, 601, 1300} {
		want := n
		for e, err := range audit.Query(context.Background(), filled(t, n), audit.Filter{Workspace: "w1"}) {
			require.NoError(t, err)
			want--
			require.Equal(t, numbered(want), e)
		}
		require.Zero(t, want, "all of %d events", n)
	}
}

func TestQueryAppliesTheFilter(t *testing.T) {
	t.Parallel()
	f := audit.Filter{Workspace: "w1", Entities: []audit.Entity{{Type: "project", ID: "3"}, {Type: "project", ID: "900"}, {Type: "project", ID: "1000"}}}
	var ids []string
	for e, err := range audit.Query(context.Background(), filled(t, 1000), f) {
		require.NoError(t, err)
		ids = append(ids, e.Entity.ID)
	}
	require.Equal(t, []string{"900", "3"}, ids)
}

func TestQueryReadsInBatchesAndStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	store := &watched{Store: filled(t, 1300)}
	query := audit.Query(context.Background(), store, audit.Filter{Workspace: "w1"})
	require.Empty(t, store.limits, "nothing is read before somebody ranges")
	n := 0
	for _, err := range query {
		require.NoError(t, err)
		if n++; n == 100 {
			break
		}
	}
	require.Equal(t, []int{100}, store.limits, "what nobody asks for is not read")
	for _, err := range query {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, []int{100, 100, 500, 500, 500}, store.limits)
	require.Equal(t, 1400, n, "ranging again reads again")
}

func TestQueryYieldsAnErrorOnceAndStops(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	w1 := audit.Filter{Workspace: "w1"}
	fails := func(at int) *watched {
		s := &watched{Store: filled(t, 1000)}
		s.spoil = func(events []audit.Event) ([]audit.Event, error) {
			if len(s.limits) >= at {
				return nil, broken
			}
			return events, nil
		}
		return s
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		store   audit.Store
		filter  audit.Filter
		events  int
		is      error
		message string
	}{
		{"a filter that is not valid", context.Background(), filled(t, 1), audit.Filter{}, 0, audit.ErrInvalidFilter, "audit: invalid filter: Workspace is empty; every read names its workspace"},
		{"no store", context.Background(), nil, w1, 0, nil, "audit: a query needs a store, got nil"},
		{"a context that was cancelled", cancelled, filled(t, 1), w1, 0, context.Canceled, "audit: query: context canceled"},
		{"a store that fails at once", context.Background(), fails(1), w1, 0, broken, "audit: query: the disk is gone"},
		{"a store that fails later", context.Background(), fails(2), w1, 100, broken, "audit: query: the disk is gone"},
		{"a store that repeats itself", context.Background(), &watched{
			Store: filled(t, 200),
			spoil: func(events []audit.Event) ([]audit.Event, error) { events[1] = events[0]; return events, nil },
		}, w1, 0, nil, "audit: the store returned an event that does not lie after the one before it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events, errs := 0, 0
			for e, err := range audit.Query(tt.ctx, tt.store, tt.filter) {
				if err == nil {
					events++
					continue
				}
				errs++
				require.Equal(t, audit.Event{}, e)
				require.EqualError(t, err, tt.message)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
			}
			require.Equal(t, tt.events, events)
			require.Equal(t, 1, errs)

			_, err := audit.QueryPage(tt.ctx, tt.store, tt.filter, audit.Cursor{}, 0)
			if tt.events == 0 {
				require.EqualError(t, err, tt.message, "QueryPage fails alike")
			}
		})
	}
}

func TestQueryStopsWhenItsContextIsCancelledMeanwhile(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := 0
	var last error
	for _, err := range audit.Query(ctx, filled(t, 1000), audit.Filter{Workspace: "w1"}) {
		if events++; events == 7 {
			cancel()
		}
		last = err
	}
	require.Equal(t, 101, events, "what is in memory is yielded, and then the error")
	require.ErrorIs(t, last, context.Canceled)
}

func TestPagesOfAnySizeMakeUpTheWholeAnswer(t *testing.T) {
	t.Parallel()
	const n = 120
	store := filled(t, n)
	for _, size := range []int{1, 2, 3, 7, 40, 60, 119, 120, 121, 1000, 0} {
		want, pages := n, 0
		var at audit.Cursor
		for {
			p, err := audit.QueryPage(context.Background(), store, audit.Filter{Workspace: "w1"}, at, size)
			require.NoError(t, err)
			pages++
			for _, e := range p.Events {
				want--
				require.Equal(t, numbered(want), e)
			}
			require.Equal(t, want > 0, p.More(), "size %d: Next is set if and only if there is more", size)
			if !p.More() {
				break
			}
			at = p.Next
		}
		require.Zero(t, want, "size %d", size)
		if size == 0 {
			size = 50
		}
		require.Equal(t, (n+size-1)/size, pages, "size %d", size)
	}
}

func TestAnEmptyAnswerIsAnEmptyPage(t *testing.T) {
	t.Parallel()
	p, err := audit.QueryPage(context.Background(), filled(t, 0), audit.Filter{Workspace: "w1"}, audit.Cursor{}, 0)
	require.NoError(t, err)
	require.Empty(t, p.Events)
	require.False(t, p.More())
}

func TestPagesDoNotShiftWhenEventsAreAdded(t *testing.T) {
	t.Parallel()
	store := filled(t, 10)
	at := cursorOf(t, store, audit.Filter{Workspace: "w1"})
	require.NoError(t, store.Append(context.Background(), []audit.Event{numbered(20), numbered(21)}))
	p, err := audit.QueryPage(context.Background(), store, audit.Filter{Workspace: "w1"}, at, 3)
	require.NoError(t, err)
	require.Equal(t, []audit.Event{numbered(8), numbered(7), numbered(6)}, p.Events)
}

func TestAPageHasAtMostAThousandEvents(t *testing.T) {
	t.Parallel()
	for _, size := range []int{-1, 1001} {
		_, err := audit.QueryPage(context.Background(), filled(t, 1), audit.Filter{Workspace: "w1"}, audit.Cursor{}, size)
		require.ErrorIs(t, err, audit.ErrInvalidFilter)
		require.EqualError(t, err, fmt.Sprintf("audit: invalid filter: a page cannot have %d events; from 1 to 1000 are possible, and 0 stands for 50", size))
	}
}
