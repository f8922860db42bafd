package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// manyEvents is more than any store writes with one statement.
const manyEvents = 2345

var appendRules = []rule[audit.Store]{
	{
		"Append/EventsComeBackAsTheyWere",
		"an event is read as it was appended, whether everything of it is set or only what is required",
		func(t *testing.T, store audit.Store) {
			minimal := audit.Event{ID: id(1), Time: epoch, Workspace: workspace, Actor: audit.Unknown, Operation: audit.Created, Entity: audit.Entity{Type: "x", ID: "1"}, SchemaVersion: 1}
			events := []audit.Event{minimal, full(2), event(3)}
			require.NoError(t, store.Append(context.Background(), events))
			requireEvents(t, store, events)
		},
	},
	{
		"Append/NothingDoesNothing",
		"appending no events does nothing and is no error",
		func(t *testing.T, store audit.Store) {
			require.NoError(t, store.Append(context.Background(), nil))
			require.NoError(t, store.Append(context.Background(), []audit.Event{}))
			requireEvents(t, store, nil)
		},
	},
	{
		"Append/AnyNumberAtOnce",
		"any number of events is appended by one call",
		func(t *testing.T, store audit.Store) {
			all := series(manyEvents)
			rest := all
			for _, n := range []int{1, 2, 3, 9, 10, 11, 99, 130} {
				require.NoError(t, store.Append(context.Background(), rest[:n]))
				rest = rest[n:]
			}
			require.NoError(t, store.Append(context.Background(), rest))
			requireEvents(t, store, all)
		},
	},
	{
		"Append/WhateverTheEventsOfACallHaveInCommon",
		"events come back as they were appended, whether those of one call are alike in all but their ids, in some parts or in none",
		func(t *testing.T, store audit.Store) {
			var all []audit.Event
			add := func(n int, change ...func(*audit.Event)) {
				all = append(all, event(len(all)+1, change...), full(len(all)+2))
				for range n {
					all = append(all, event(len(all)+1, change...))
				}
			}
			add(0)
			add(1, func(e *audit.Event) { e.ChangeSet = id(3_000_000) })
			add(40, func(e *audit.Event) { e.Reason = `"\'{NULL}` })
			add(40, func(e *audit.Event) { e.Time, e.Cause, e.Derived = epoch, e.ID, true })
			for from, n := 0, 1; from < len(all); from, n = from+n, 2*n {
				require.NoError(t, store.Append(context.Background(), all[from:min(from+n, len(all))]))
			}
			requireEvents(t, store, all)
		},
	},
	{
		"Append/ActorOfTheEmptyKind",
		"an actor of the empty kind comes back as a user, alone and among others",
		func(t *testing.T, store audit.Store) {
			by := func(kind audit.ActorKind) func(*audit.Event) {
				return func(e *audit.Event) { e.Actor = audit.Actor{Kind: kind, ID: "18"} }
			}
			require.NoError(t, store.Append(context.Background(), []audit.Event{event(1, by(""))}))
			require.NoError(t, store.Append(context.Background(), []audit.Event{event(2, by(audit.KindKey)), event(3, by(""))}))
			requireEvents(t, store, []audit.Event{event(1, by(audit.KindUser)), event(2, by(audit.KindKey)), event(3, by(audit.KindUser))})
		},
	},
	{
		"Append/DuplicateOfAStoredEvent",
		"an id that is there already is ErrDuplicate, in whatever workspace it is, and nothing of the call is written",
		func(t *testing.T, store audit.Store) {
			events := series(3)
			require.NoError(t, store.Append(context.Background(), events[1:2]))
			require.ErrorIs(t, store.Append(context.Background(), events), audit.ErrDuplicate)
			requireEvents(t, store, events[1:2])

			elsewhere := event(2, func(e *audit.Event) { e.Workspace = "w2" })
			require.ErrorIs(t, store.Append(context.Background(), []audit.Event{event(4), elsewhere}), audit.ErrDuplicate)
			requireEvents(t, store, events[1:2])
			require.Empty(t, list(t, store, audit.Filter{Workspace: "w2"}))
		},
	},
	{
		"Append/DuplicateWithinOneCall",
		"an id that is there twice in one call is ErrDuplicate, and nothing of the call is written",
		func(t *testing.T, store audit.Store) {
			require.ErrorIs(t, store.Append(context.Background(), []audit.Event{event(1), event(2), event(1)}), audit.ErrDuplicate)
			requireEvents(t, store, nil)
		},
	},
	{
		"Append/DuplicateAtTheEndOfMany",
		"all events of a call are written or none, however many they are",
		func(t *testing.T, store audit.Store) {
			events := append(series(manyEvents), event(1))
			require.ErrorIs(t, store.Append(context.Background(), events), audit.ErrDuplicate)
			requireEvents(t, store, nil)
			require.NoError(t, store.Append(context.Background(), events[:manyEvents]), "the store works on afterwards")
		},
	},
	{
		"Append/KeepsAndChangesNothingOfTheCallers",
		"Append does not keep or change the slice or what it refers to",
		func(t *testing.T, store audit.Store) {
			events := []audit.Event{event(1), full(2)}
			require.NoError(t, store.Append(context.Background(), events))
			require.Equal(t, []audit.Event{event(1), full(2)}, events, "Append changed its argument")
			scribble(events)
			requireEvents(t, store, []audit.Event{event(1), full(2)})
		},
	},
	{
		"List/WhatItReturnsIsTheCallers",
		"a caller who changes what List returned does not change what is stored",
		func(t *testing.T, store audit.Store) {
			require.NoError(t, store.Append(context.Background(), []audit.Event{event(1), full(2)}))
			scribble(list(t, store, audit.Filter{Workspace: workspace}))
			requireEvents(t, store, []audit.Event{event(1), full(2)})
		},
	},
	{
		"Append/CancelledContext",
		"a context that has ended makes an error that wraps the context's, and nothing is written",
		func(t *testing.T, store audit.Store) {
			require.ErrorIs(t, store.Append(cancelled(), series(1)), context.Canceled)
			require.ErrorIs(t, store.Append(cancelled(), series(manyEvents)), context.Canceled)
			requireEvents(t, store, nil)
			_, err := store.List(cancelled(), audit.Filter{Workspace: workspace}, audit.Position{}, 1)
			require.ErrorIs(t, err, context.Canceled)
		},
	},
	{
		"Append/Concurrently",
		"a store is safe for use by several goroutines at once: every event is there once",
		func(t *testing.T, store audit.Store) {
			const goroutines, calls, perCall = 8, 10, 3
			all := series(goroutines * calls * perCall)
			chunks := slices.Collect(slices.Chunk(all, perCall))
			var wg sync.WaitGroup
			errs := make(chan error, len(chunks))
			for g := range goroutines {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := range calls {
						if err := store.Append(context.Background(), chunks[i*goroutines+g]); err != nil {
							errs <- fmt.Errorf("append: %w", err)
						}
						if _, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, audit.Position{}, 5); err != nil {
							errs <- fmt.Errorf("list: %w", err)
						}
					}
				}()
			}
			wg.Wait()
			close(errs)
			for err := range errs {
				require.NoError(t, err)
			}
			requireEvents(t, store, all)
		},
	},
}
