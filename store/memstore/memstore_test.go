package memstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
	"github.com/gormtrail/audit/store/storetest"
)

func TestAllReturnsEveryWorkspaceOldestFirstAndResetForgets(t *testing.T) {
	ctx := context.Background()
	store := memstore.New()
	at := time.Date(2024, 5, 1, 9, 0, 0, 0, time.UTC)
	jo := audit.Actor{Kind: audit.KindUser, ID: "17"}
	newest := audit.Event{ID: uuid.UUID{1}, Actor: jo, Time: at.Add(time.Hour), Workspace: "w1"}
	oldest := audit.Event{ID: uuid.UUID{3}, Actor: jo, Time: at, Workspace: "w2"}
	middle := audit.Event{ID: uuid.UUID{2}, Actor: jo, Time: at.Add(time.Minute), Workspace: "w1"}
	require.NoError(t, store.Append(ctx, []audit.Event{newest, oldest}))
	require.NoError(t, store.Append(ctx, []audit.Event{middle}))
	require.Equal(t, []audit.Event{oldest, middle, newest}, store.All())

	store.Reset()
	require.Empty(t, store.All())
	require.NoError(t, store.Append(ctx, []audit.Event{newest}), "a forgotten id is free again")
}

func TestPublishingTwicePublishesOnce(t *testing.T) {
	store := memstore.New()
	publish, err := store.Stage(context.Background(), []audit.Event{{ID: uuid.UUID{1}, Workspace: "w1"}})
	require.NoError(t, err)
	publish()
	publish()
	require.Len(t, store.All(), 1)
}

func TestStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) audit.Store { return memstore.New() })
}
