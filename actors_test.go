package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// plainStore hides what a store can do beyond Store.
type plainStore struct{ audit.Store }

func TestActorsAreThoseOfTheLogByTheirNewestNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store := memstore.New()
	add := func(n byte, workspace string, a audit.Actor) {
		e := renamed()
		e.ID, e.Workspace, e.Actor, e.Time = id(n), workspace, a, noon.Add(time.Duration(n)*time.Minute)
		require.NoError(t, store.Append(ctx, []audit.Event{e}))
	}
	add(1, "w1", audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"})
	add(2, "w1", audit.System)
	add(3, "w1", audit.Actor{Kind: audit.KindUser, ID: "18", Name: "Kim"})
	add(4, "w1", audit.Actor{ID: "17", Name: "Joanna"})
	add(5, "w2", audit.Actor{Kind: audit.KindUser, ID: "19", Name: "Lee"})
	for name, s := range map[string]audit.Store{"a store that lists actors": store, "a store that does not": plainStore{store}} {
		actors, err := audit.QueryActors(ctx, s, "w1", 10)
		require.NoError(t, err, name)
		require.Equal(t, []audit.Actor{
			audit.System,
			{Kind: audit.KindUser, ID: "17", Name: "Joanna"},
			{Kind: audit.KindUser, ID: "18", Name: "Kim"},
		}, actors, name)
		actors, err = audit.QueryActors(ctx, s, "w1", 2)
		require.NoError(t, err, name)
		require.Len(t, actors, 2, name)
		actors, err = audit.QueryActors(ctx, s, "w3", 2)
		require.NoError(t, err, name)
		require.Empty(t, actors, name)

		_, err = audit.QueryActors(ctx, s, "", 2)
		require.ErrorIs(t, err, audit.ErrInvalidFilter, name)
		_, err = audit.QueryActors(ctx, s, "w1", 0)
		require.ErrorIs(t, err, audit.ErrInvalidFilter, name)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err = audit.QueryActors(ended, s, "w1", 1)
		require.ErrorIs(t, err, context.Canceled, name)
	}
	_, err := audit.QueryActors(ctx, nil, "w1", 1)
	require.EqualError(t, err, "audit: a query needs a store, got nil")
	_, err = audit.QueryActors(ctx, plainStore{brokenStore{}}, "w1", 1)
	require.EqualError(t, err, "audit: query: the disk is gone")
}

type brokenStore struct{ audit.Store }

func (brokenStore) List(context.Context, audit.Filter, audit.Position, int) ([]audit.Event, error) {
	return nil, errors.New("the disk is gone")
}
