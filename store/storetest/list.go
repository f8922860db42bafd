package storetest

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

var listRules = []rule[audit.Store]{
	{
		"List/EmptyStore",
		"a store without matching events returns none and no error",
		func(t *testing.T, store audit.Store) {
			require.Empty(t, list(t, store, audit.Filter{Workspace: workspace}))
			require.NoError(t, store.Append(context.Background(), series(1)))
			require.Empty(t, list(t, store, audit.Filter{Workspace: "w2"}))
		},
	},
	{
		"List/RefusesWhatIsNotValid",
		"a filter that is not valid gets the error of Filter.Validate, a limit under 1 an error",
		func(t *testing.T, store audit.Store) {
			ctx := context.Background()
			for name, f := range map[string]audit.Filter{
				"no workspace":         {},
				"From after To":        {Workspace: workspace, From: epoch.Add(1), To: epoch},
				"an empty field":       {Workspace: workspace, Fields: []string{""}},
				"an empty type":        {Workspace: workspace, Types: []audit.EntityType{""}},
				"too many owners":      {Workspace: workspace, Owners: make([]string, 1001)},
				"an action of nothing": {Workspace: workspace, Actions: []audit.Action{{}}},
			} {
				_, err := store.List(ctx, f, audit.Position{}, 1)
				require.ErrorIs(t, err, audit.ErrInvalidFilter, name)
			}
			for _, limit := range []int{0, -1, math.MinInt} {
				_, err := store.List(ctx, audit.Filter{Workspace: workspace}, audit.Position{}, limit)
				require.Error(t, err, "limit %d", limit)
			}
		},
	},
	{
		"List/NewestFirst",
		"events come newest first, whatever the order in which they were appended",
		func(t *testing.T, store audit.Store) {
			for _, n := range []int{3, 1, 5, 2, 4} {
				require.NoError(t, store.Append(context.Background(), []audit.Event{event(n)}))
			}
			require.Equal(t, []int{5, 4, 3, 2, 1}, numbers(list(t, store, audit.Filter{Workspace: workspace})))
		},
	},
	{
		"List/EqualTimesById",
		"events of one time are ordered by the bytes of their ids, descending",
		func(t *testing.T, store audit.Store) {
			ids := []uuid.UUID{{0: 0xff}, {0: 0x80}, {0: 0x7f, 15: 0x80}, {0: 0x7f, 15: 0x7f}, {0: 0x7f}, {15: 1}}
			want := make([]audit.Event, len(ids))
			for i, id := range ids {
				want[i] = event(0, func(e *audit.Event) { e.ID = id })
			}
			require.NoError(t, store.Append(context.Background(), []audit.Event{want[3], want[0], want[5], want[4], want[1], want[2]}))
			requireSame(t, want, list(t, store, audit.Filter{Workspace: workspace}))
			for i := range want {
				rest, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, want[i].Position(), 10)
				require.NoError(t, err)
				requireSame(t, want[i+1:], rest)
			}
		},
	},
	{
		"List/Limit",
		"List returns the first limit events, fewer only if there are no more, whatever the limit",
		func(t *testing.T, store audit.Store) {
			events := series(7)
			require.NoError(t, store.Append(context.Background(), events))
			for _, limit := range []int{1, 2, 6, 7, 8, 1000, math.MaxInt32, math.MaxInt} {
				page, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, audit.Position{}, limit)
				require.NoError(t, err, "limit %d", limit)
				requireSame(t, newestFirst(events)[:min(limit, 7)], page)
			}
		},
	},
	{
		"List/PagesHaveNoGapAndNoRepeat",
		"reading on from the last event of a page gives the next events, without gap or repeat",
		func(t *testing.T, store audit.Store) {
			var events []audit.Event
			for n := range 40 {
				events = append(events, event(n, func(e *audit.Event) {
					e.Time = epoch.Add(time.Duration(n/7) * time.Microsecond) // seven of each time
					if n%3 == 0 {
						e.Entity.Type = audit.TypeTag
					}
				}))
			}
			require.NoError(t, store.Append(context.Background(), events))
			var tags []audit.Event
			for _, e := range events {
				if e.Entity.Type == audit.TypeTag {
					tags = append(tags, e)
				}
			}
			for size := 1; size <= 41; size += 3 {
				requireSame(t, newestFirst(events), pages(t, store, audit.Filter{Workspace: workspace}, size))
				requireSame(t, newestFirst(tags), pages(t, store, audit.Filter{Workspace: workspace, Types: []audit.EntityType{audit.TypeTag}}, size))
			}
		},
	},
	{
		"List/NewEventsDoNotDisturbLaterPages",
		"events appended behind a position do not show on the pages after it",
		func(t *testing.T, store audit.Store) {
			require.NoError(t, store.Append(context.Background(), series(4)))
			first, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, audit.Position{}, 2)
			require.NoError(t, err)
			require.NoError(t, store.Append(context.Background(), []audit.Event{event(9)}))
			second, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, first[1].Position(), 2)
			require.NoError(t, err)
			require.Equal(t, []int{2, 1}, numbers(second))
		},
	},
	{
		"List/PositionsBetweenEvents",
		"a position need not be an event's: what is older comes after it",
		func(t *testing.T, store audit.Store) {
			require.NoError(t, store.Append(context.Background(), series(3)))
			at := event(2).Time
			for name, c := range map[string]struct {
				after audit.Position
				want  []int
			}{
				"newer than every event":           {audit.Position{Time: at.Add(time.Hour)}, []int{3, 2, 1}},
				"older than every event":           {audit.Position{Time: at.Add(-time.Hour)}, []int{}},
				"the time of an event, larger id":  {audit.Position{Time: at, ID: id(3)}, []int{2, 1}},
				"the time of an event, smaller id": {audit.Position{Time: at, ID: id(1)}, []int{1}},
				"the time of an event, no id":      {audit.Position{Time: at}, []int{1}},
				"a microsecond later, no id":       {audit.Position{Time: at.Add(time.Microsecond)}, []int{2, 1}},
				"a nanosecond later, no id":        {audit.Position{Time: at.Add(time.Nanosecond)}, []int{2, 1}},
				"another zone":                     {audit.Position{Time: at.In(time.FixedZone("", 3600)), ID: id(2)}, []int{1}},
				"the year 1, an id":                {audit.Position{ID: id(1)}, []int{}},
			} {
				page, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, c.after, 10)
				require.NoError(t, err, name)
				require.Equal(t, c.want, numbers(page), name)
			}
		},
	},
	{
		"List/PositionsBetweenMicroseconds",
		"a position between two microseconds comes after all events of the later one, whatever its id",
		func(t *testing.T, store audit.Store) {
			later := event(2, func(e *audit.Event) { e.Time = event(1).Time.Add(time.Microsecond) })
			require.NoError(t, store.Append(context.Background(), []audit.Event{event(1), later}))
			for _, i := range []int{0, 99} {
				after := audit.Position{Time: event(1).Time.Add(time.Nanosecond), ID: id(i)}
				page, err := store.List(context.Background(), audit.Filter{Workspace: workspace}, after, 10)
				require.NoError(t, err)
				require.Equal(t, []int{1}, numbers(page))
			}
		},
	},
	{
		"List/PositionAndDates",
		"a position never widens the filter's dates, nor do these undo the position",
		func(t *testing.T, store audit.Store) {
			require.NoError(t, store.Append(context.Background(), series(9)))
			f := audit.Filter{Workspace: workspace, From: event(3).Time, To: event(7).Time}
			for name, c := range map[string]struct {
				after audit.Position
				want  []int
			}{
				"no position":       {audit.Position{}, []int{6, 5, 4, 3}},
				"newer than To":     {event(8).Position(), []int{6, 5, 4, 3}},
				"at To":             {event(7).Position(), []int{6, 5, 4, 3}},
				"at To, large id":   {audit.Position{Time: event(7).Time, ID: id(99)}, []int{6, 5, 4, 3}},
				"between":           {event(5).Position(), []int{4, 3}},
				"at From":           {event(3).Position(), []int{}},
				"at From, large id": {audit.Position{Time: event(3).Time, ID: id(99)}, []int{3}},
				"older than From":   {event(1).Position(), []int{}},
			} {
				page, err := store.List(context.Background(), f, c.after, 10)
				require.NoError(t, err, name)
				require.Equal(t, c.want, numbers(page), name)
			}
		},
	},
}

// pages reads everything, size events at a time.
func pages(t *testing.T, store audit.Store, f audit.Filter, size int) []audit.Event {
	t.Helper()
	var all []audit.Event
	var after audit.Position
	for range 1000 {
		page, err := store.List(context.Background(), f, after, size)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), size)
		all = append(all, page...)
		if len(page) < size {
			return all
		}
		after = page[len(page)-1].Position()
	}
	require.Fail(t, "the pages never end")
	return nil
}
