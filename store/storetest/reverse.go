package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// reverseRules are the rules of [audit.ReverseLister].
var reverseRules = []rule[audit.Store]{
	{
		"ListBefore/IsTheOtherSideOfList",
		"ListBefore returns the events nearest before a position, newest first, and with the zero position the oldest ones",
		func(t *testing.T, store audit.Store) {
			reverse := ability[audit.ReverseLister](t, store)
			var events []audit.Event
			for n := range 30 {
				events = append(events, event(n, func(e *audit.Event) {
					e.Time = epoch.Add(time.Duration(n/7) * time.Microsecond) // seven of each time
					if n%3 == 0 {
						e.Entity.Type = audit.TypeTag
					}
				}))
			}
			require.NoError(t, store.Append(context.Background(), events))
			for _, f := range []audit.Filter{
				{Workspace: workspace},
				{Workspace: workspace, Types: []audit.EntityType{audit.TypeTag}},
				{Workspace: workspace, From: epoch.Add(time.Microsecond), To: epoch.Add(4 * time.Microsecond)},
				{Workspace: workspace, From: epoch.Add(time.Nanosecond), To: epoch.Add(3*time.Microsecond + time.Nanosecond)},
			} {
				all := list(t, store, f)
				require.NotEmpty(t, all)
				for _, limit := range []int{1, 2, 5, 7, 100} {
					last, err := reverse.ListBefore(context.Background(), f, audit.Position{}, limit)
					require.NoError(t, err)
					requireSame(t, all[max(0, len(all)-limit):], last)
					for i := range all {
						page, err := reverse.ListBefore(context.Background(), f, all[i].Position(), limit)
						require.NoError(t, err)
						requireSame(t, all[max(0, i-limit):i], page)
					}
				}
			}
		},
	},
	{
		"ListBefore/PositionsAndDates",
		"a position need not be an event's; it never widens the filter's dates, nor do these undo the position",
		func(t *testing.T, store audit.Store) {
			reverse := ability[audit.ReverseLister](t, store)
			require.NoError(t, store.Append(context.Background(), series(9)))
			f := audit.Filter{Workspace: workspace, From: event(3).Time, To: event(7).Time}
			for name, c := range map[string]struct {
				before audit.Position
				want   []int
			}{
				"no position":               {audit.Position{}, []int{6, 5, 4, 3}},
				"newer than To":             {event(8).Position(), []int{}},
				"between":                   {event(4).Position(), []int{6, 5}},
				"a time, larger id":         {audit.Position{Time: event(4).Time, ID: id(99)}, []int{6, 5}},
				"a time, no id":             {audit.Position{Time: event(4).Time}, []int{6, 5, 4}},
				"a nanosecond later, an id": {audit.Position{Time: event(4).Time.Add(time.Nanosecond), ID: id(99)}, []int{6, 5}},
				"at From":                   {event(3).Position(), []int{6, 5, 4}},
				"older than From":           {event(1).Position(), []int{6, 5, 4, 3}},
				"newer than every event":    {audit.Position{Time: event(9).Time.Add(time.Hour)}, []int{}},
			} {
				page, err := reverse.ListBefore(context.Background(), f, c.before, 10)
				require.NoError(t, err, name)
				require.Equal(t, c.want, numbers(page), name)
			}
			ancient := event(10, func(e *audit.Event) { e.Time, e.Workspace = time.Time{}.Add(-time.Hour), "ancient" })
			require.NoError(t, store.Append(context.Background(), []audit.Event{ancient}))
			page, err := reverse.ListBefore(context.Background(), audit.Filter{Workspace: "ancient"}, ancient.Position(), 10)
			require.NoError(t, err)
			require.Empty(t, page, "a position before the zero time is one, too")
		},
	},
	{
		"ListBefore/RefusesWhatListRefuses",
		"ListBefore returns the errors of List",
		func(t *testing.T, store audit.Store) {
			reverse := ability[audit.ReverseLister](t, store)
			_, err := reverse.ListBefore(context.Background(), audit.Filter{}, audit.Position{}, 1)
			require.ErrorIs(t, err, audit.ErrInvalidFilter)
			_, err = reverse.ListBefore(context.Background(), audit.Filter{Workspace: workspace}, audit.Position{}, 0)
			require.Error(t, err)
			_, err = reverse.ListBefore(cancelled(), audit.Filter{Workspace: workspace}, audit.Position{}, 1)
			require.ErrorIs(t, err, context.Canceled)
		},
	},
}
