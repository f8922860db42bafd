package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// TestMergedStoresReadAsOne spreads events over stores at random, some into
// several, and compares every page with that of one store.
func TestMergedStoresReadAsOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		one, parts := memstore.New(), []*memstore.Store{memstore.New(), memstore.New(), memstore.New()}
		for i := range 60 {
			e := audit.Event{
				ID: uuid.UUID{15: byte(i)}, Time: time.Date(2024, 5, 1, 0, random.IntN(20), 0, 0, time.UTC), Workspace: "w1",
				Entity: audit.Entity{Type: audit.EntityType([]string{"a", "b"}[random.IntN(2)]), ID: "1"}, Operation: audit.Created,
			}
			require.NoError(t, one.Append(ctx, []audit.Event{e}))
			first := random.IntN(3)
			for j, part := range parts {
				if j == first || random.IntN(4) == 0 {
					require.NoError(t, part.Append(ctx, []audit.Event{e}))
				}
			}
		}
		all := audit.Merge(parts[0], nil, parts[1], parts[2])
		for _, f := range []audit.Filter{
			{Workspace: "w1"},
			{Workspace: "w1", Types: []audit.EntityType{"a"}},
			{Workspace: "w1", From: time.Date(2024, 5, 1, 0, 3, 0, 0, time.UTC), To: time.Date(2024, 5, 1, 0, 11, 0, 0, time.UTC)},
			{Workspace: "w2"},
		} {
			for _, limit := range []int{1, 7, 60, 100} {
				var after audit.Position
				for {
					want, err := one.List(ctx, f, after, limit)
					require.NoError(t, err)
					got, err := all.List(ctx, f, after, limit)
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(want), fmt.Sprint(got), "seed %d", seed)
					if len(got) < limit {
						break
					}
					after = got[limit-1].Position()
				}
			}
		}
	}
}

func TestMergedStoresAreReadOnlyAndPassErrorsOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	all := audit.Merge(memstore.New(), unreadable{})
	require.ErrorIs(t, all.Append(ctx, nil), errors.ErrUnsupported)
	_, err := all.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 1)
	require.ErrorIs(t, err, errBroken)
	_, err = all.List(ctx, audit.Filter{}, audit.Position{}, 1)
	require.ErrorIs(t, err, audit.ErrInvalidFilter)
	_, err = all.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 0)
	require.Error(t, err)
	none := slices.Collect(func(yield func(audit.Event) bool) {
		for e, err := range audit.Query(ctx, audit.Merge(), audit.Filter{Workspace: "w1"}) {
			require.NoError(t, err)
			_ = yield(e)
		}
	})
	require.Empty(t, none)
}

var errBroken = errors.New("it is broken")

type unreadable struct{ audit.Store }

func (unreadable) List(context.Context, audit.Filter, audit.Position, int) ([]audit.Event, error) {
	return nil, errBroken
}
