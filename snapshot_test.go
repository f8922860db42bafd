package audit_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// streaming is a store that yields its events and then an error.
type streaming struct {
	*memstore.Store
	events []audit.Event
	err    error
	ended  bool
}

func (s *streaming) Stream(context.Context, audit.Filter) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		defer func() { s.ended = true }()
		for _, e := range s.events {
			if !yield(e, nil) {
				return
			}
		}
		if s.err != nil {
			yield(audit.Event{}, s.err)
		}
	}
}

func TestASnapshotIsStreamedIfTheStoreCan(t *testing.T) {
	t.Parallel()
	ctx, broken := context.Background(), errors.New("the connection is lost")
	s := &streaming{Store: memstore.New(), events: []audit.Event{single(), single()}, err: broken}
	read := 0
	for e, err := range audit.Snapshot(ctx, s, audit.Filter{Workspace: "w1"}) {
		if read++; read <= 2 {
			require.NoError(t, err)
			require.Equal(t, single(), e)
			continue
		}
		require.ErrorIs(t, err, broken)
		require.Zero(t, e)
	}
	require.Equal(t, 3, read, "two events and the error")

	s.ended = false
	for _, err := range audit.Snapshot(ctx, s, audit.Filter{Workspace: "w1"}) {
		require.NoError(t, err)
		break
	}
	require.True(t, s.ended)
}

func TestASnapshotOfAnotherStoreIsAQuery(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	e := single()
	require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
	for got, err := range audit.Snapshot(context.Background(), store, audit.Filter{Workspace: e.Workspace}) {
		require.NoError(t, err)
		require.Equal(t, e.ID, got.ID)
	}
}

func TestASnapshotIsRefusedAsAQueryIs(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	refused := func(ctx context.Context, store audit.Store, f audit.Filter, want error) {
		t.Helper()
		n := 0
		for e, err := range audit.Snapshot(ctx, store, f) {
			n++
			require.Zero(t, e)
			if want != nil {
				require.ErrorIs(t, err, want)
			}
			require.Error(t, err)
		}
		require.Equal(t, 1, n)
	}
	for _, store := range []audit.Store{&streaming{Store: memstore.New(), events: []audit.Event{single()}}, memstore.New()} {
		refused(context.Background(), store, audit.Filter{}, audit.ErrInvalidFilter)
		refused(cancelled, store, audit.Filter{Workspace: "w1"}, context.Canceled)
	}
	refused(context.Background(), nil, audit.Filter{Workspace: "w1"}, nil)
}
