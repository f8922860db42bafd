// Package storetest tests implementations of [audit.Store]. A store passes if
// it keeps every rule that audit's interfaces state; a failure names the rule.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) audit.Store { return mystore.New() })
//	}
//
// A store that writes inside the caller's transaction is tested by [RunTx]
// also.
package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// Run tests a store, each rule as a subtest of its own. It calls newStore for
// most of the subtests; newStore returns an empty store each time and cleans up
// by t.Cleanup. What the store implements beyond [audit.Store] is tested too,
// except for what needs a transaction; see [RunTx].
func Run(t *testing.T, newStore func(t *testing.T) audit.Store) {
	t.Helper()
	run := func(cases []rule[audit.Store]) {
		for _, c := range cases {
			c.run(t, newStore)
		}
	}
	run(appendRules)
	run(listRules)
	run(valueRules)
	run(abilityRules)
	run(actorRules)
	run(reverseRules)
	run(streamRules)
	run(purgeRules)
	t.Run("Filter", func(t *testing.T) { runFilter(t, newStore(t)) })
}

// rule is one rule of a contract and the test of it.
type rule[S any] struct {
	name string
	// text is the rule in words, shown when the test fails.
	text string
	test func(t *testing.T, store S)
}

func (r rule[S]) run(t *testing.T, newStore func(t *testing.T) S) {
	t.Run(r.name, func(t *testing.T) {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the rule that was broken: %s", r.text)
			}
		})
		r.test(t, newStore(t))
	})
}

// abilityRules are the rules of what a store may implement beyond Store.
var abilityRules = []rule[audit.Store]{
	{
		"Stage/PublishedEventsAreThere",
		"staged events become visible when they are published, and not before",
		func(t *testing.T, store audit.Store) {
			stager := ability[audit.Stager](t, store)
			events := series(3)
			publish, err := stager.Stage(context.Background(), events)
			require.NoError(t, err)
			requireEvents(t, store, nil)
			publish()
			requireEvents(t, store, events)
		},
	},
	{
		"Stage/UnpublishedEventsAreForgotten",
		"events that are not published are forgotten, and their ids stay free",
		func(t *testing.T, store audit.Store) {
			stager := ability[audit.Stager](t, store)
			events := series(2)
			_, err := stager.Stage(context.Background(), events)
			require.NoError(t, err)
			requireEvents(t, store, nil)
			require.NoError(t, store.Append(context.Background(), events))
			requireEvents(t, store, events)
		},
	},
	{
		"Stage/ChecksAsAppendDoes",
		"Stage returns the errors that Append would return",
		func(t *testing.T, store audit.Store) {
			stager := ability[audit.Stager](t, store)
			events := series(2)
			require.NoError(t, store.Append(context.Background(), events[:1]))
			_, err := stager.Stage(context.Background(), events)
			require.ErrorIs(t, err, audit.ErrDuplicate)
			_, err = stager.Stage(cancelled(), events[1:])
			require.ErrorIs(t, err, context.Canceled)
			requireEvents(t, store, events[:1])
		},
	},
	{
		"Stage/KeepsNothingOfTheCallers",
		"what the caller does with the events after Stage does not change what is published",
		func(t *testing.T, store audit.Store) {
			stager := ability[audit.Stager](t, store)
			events, want := series(1), series(1)
			publish, err := stager.Stage(context.Background(), events)
			require.NoError(t, err)
			scribble(events)
			publish()
			requireEvents(t, store, want)
		},
	},
	{
		"VerifySchema/AcceptsAnEmptyStore",
		"VerifySchema returns nil for a store that works",
		func(t *testing.T, store audit.Store) {
			require.NoError(t, ability[audit.SchemaVerifier](t, store).VerifySchema(context.Background()))
		},
	},
}

// ability returns the store as an interface beyond Store or skips the test.
func ability[A any](t *testing.T, store audit.Store) A {
	t.Helper()
	a, ok := store.(A)
	if !ok {
		t.Skipf("%T does not implement it", store)
	}
	return a
}

// cancelled returns a context that has ended.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
