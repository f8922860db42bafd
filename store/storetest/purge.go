package storetest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// batch is one that purges some events of a series.
func batch(tell []audit.Event, events ...audit.Event) audit.PurgeBatch {
	b := audit.PurgeBatch{Workspace: workspace, To: epoch.Add(24 * time.Hour), Tell: tell}
	for _, e := range events {
		b.IDs = append(b.IDs, e.ID)
	}
	return b
}

// purgeRules are the rules of [audit.Purger], [audit.WorkspaceLister] and
// [audit.Timekeeper].
var purgeRules = []rule[audit.Store]{
	{
		"Purge/DeletesTheseAndTellsOfIt",
		"Purge deletes the events of the batch, no other ones, and appends those that tell of it; the ids are free again",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			events := series(6)
			require.NoError(t, store.Append(context.Background(), events))
			require.NoError(t, purger.Purge(context.Background(), batch([]audit.Event{full(100)}, events[4], events[1], events[2])))
			requireEvents(t, store, []audit.Event{events[0], events[3], events[5], full(100)})
			require.NoError(t, purger.Purge(context.Background(), batch(nil, events[0])))
			requireEvents(t, store, []audit.Event{events[3], events[5], full(100)})
			require.NoError(t, store.Append(context.Background(), events[:3]))
			requireEvents(t, store, []audit.Event{events[0], events[1], events[2], events[3], events[5], full(100)})
		},
	},
	{
		"Purge/WithoutFromThereIsNoFirstTime",
		"a zero From is no bound: what is older than the zero time is listed, from either end, and purged",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			oldest := event(1, func(e *audit.Event) { e.Time = time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC) })
			events := []audit.Event{oldest, event(2)}
			require.NoError(t, store.Append(context.Background(), events))
			requireEvents(t, store, events)
			if back, can := store.(audit.ReverseLister); can {
				found, err := back.ListBefore(context.Background(), audit.Filter{Workspace: workspace}, audit.Position{}, 10)
				require.NoError(t, err)
				require.Equal(t, []audit.Event{event(2), oldest}, found)
			}
			require.NoError(t, purger.Purge(context.Background(), batch(nil, oldest)))
			requireEvents(t, store, events[1:])
		},
	},
	{
		"Purge/AsManyAsABatchMayHave",
		"a batch may name as many events as a page may have",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			events := series(audit.MaxPageSize + 1)
			require.NoError(t, store.Append(context.Background(), events))
			require.ErrorIs(t, purger.Purge(context.Background(), batch(nil, events...)), audit.ErrInvalidFilter)
			require.NoError(t, purger.Purge(context.Background(), batch(nil, events[1:]...)))
			requireEvents(t, store, events[:1])
		},
	},
	{
		"Purge/AllOrNothing",
		"if an event of the batch is not there, in another workspace, outside of the times or named twice, Purge returns ErrMissing and nothing is deleted or appended",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			elsewhere := event(9, func(e *audit.Event) { e.Workspace = "w2" })
			events := series(4)
			require.NoError(t, store.Append(context.Background(), append(slices.Clone(events), elsewhere)))
			tell := []audit.Event{event(100)}
			first, last := events[0].Time, events[3].Time
			for name, b := range map[string]audit.PurgeBatch{
				"not there":     batch(tell, events[0], event(5)),
				"elsewhere":     batch(tell, events[0], elsewhere),
				"before From":   {Workspace: workspace, From: first.Add(time.Microsecond), To: last.Add(time.Hour), IDs: []uuid.UUID{id(1), id(2)}, Tell: tell},
				"not before To": {Workspace: workspace, To: last, IDs: []uuid.UUID{id(3), id(4)}, Tell: tell},
				"named twice":   batch(tell, events[0], events[0]),
			} {
				require.ErrorIs(t, purger.Purge(context.Background(), b), audit.ErrMissing, name)
				requireEvents(t, store, events)
				requireSame(t, []audit.Event{elsewhere}, list(t, store, audit.Filter{Workspace: "w2"}))
			}
			within := audit.PurgeBatch{Workspace: workspace, From: first, To: last.Add(time.Microsecond), IDs: []uuid.UUID{id(1), id(4)}}
			require.NoError(t, purger.Purge(context.Background(), within), "From <= time < To")
			requireEvents(t, store, events[1:3])
		},
	},
	{
		"Purge/NothingIsDeletedUntold",
		"if the events that tell of it cannot be appended, nothing is deleted",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			events := series(3)
			require.NoError(t, store.Append(context.Background(), events))
			require.ErrorIs(t, purger.Purge(context.Background(), batch([]audit.Event{events[2]}, events[0])), audit.ErrDuplicate)
			requireEvents(t, store, events)
		},
	},
	{
		"Purge/RefusesWhatIsIncomplete",
		"a batch without workspace, end or ids is ErrInvalidFilter, and a context that has ended makes its error",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			events := series(2)
			require.NoError(t, store.Append(context.Background(), events))
			for _, spoil := range []func(*audit.PurgeBatch){
				func(b *audit.PurgeBatch) { b.Workspace = "" },
				func(b *audit.PurgeBatch) { b.To = time.Time{} },
				func(b *audit.PurgeBatch) { b.IDs = nil },
			} {
				b := batch(nil, events[0])
				spoil(&b)
				require.ErrorIs(t, purger.Purge(context.Background(), b), audit.ErrInvalidFilter)
			}
			require.ErrorIs(t, purger.Purge(cancelled(), batch(nil, events[0])), context.Canceled)
			requireEvents(t, store, events)
		},
	},
	{
		"Purge/EachEventOnce",
		"of two who purge the same events at once, one does and the other gets an error, so that what is told is what was deleted",
		func(t *testing.T, store audit.Store) {
			purger := ability[audit.Purger](t, store)
			const goroutines, batches = 4, 5
			events := series(batches * 10)
			require.NoError(t, store.Append(context.Background(), events))
			var (
				wg   sync.WaitGroup
				errs [goroutines][batches]error
			)
			for g := range goroutines {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := range batches {
						tell := event(1000+g*batches+i, func(e *audit.Event) { e.Reason = strconv.Itoa(i) })
						errs[g][i] = purger.Purge(context.Background(), batch([]audit.Event{tell}, events[i*10:(i+1)*10]...))
					}
				}()
			}
			wg.Wait()
			told := list(t, store, audit.Filter{Workspace: workspace})
			require.Len(t, told, batches, "nothing but what tells of the batches is left")
			for i := range batches {
				succeeded := 0
				for g := range goroutines {
					if errs[g][i] == nil {
						succeeded++
					}
				}
				require.Equal(t, 1, succeeded, "batch %d", i)
				require.True(t, slices.ContainsFunc(told, func(e audit.Event) bool { return e.Reason == strconv.Itoa(i) }))
			}
		},
	},
	{
		"ListWorkspaces/EachOnceInPages",
		"ListWorkspaces returns each workspace that has events once, a page after the other",
		func(t *testing.T, store audit.Store) {
			lister := ability[audit.WorkspaceLister](t, store)
			none, err := lister.ListWorkspaces(context.Background(), "", 10)
			require.NoError(t, err)
			require.Empty(t, none)
			names := []string{"w1", "a", "W", "ö", "10", "9", "a-b", "0"}
			for i, name := range names {
				for j := range 3 {
					require.NoError(t, store.Append(context.Background(), []audit.Event{event(10*i+j+1, func(e *audit.Event) { e.Workspace = name })}))
				}
			}
			for _, size := range []int{1, 3, 8, 100} {
				var all []string
				for after := ""; ; after = all[len(all)-1] {
					page, err := lister.ListWorkspaces(context.Background(), after, size)
					require.NoError(t, err)
					require.LessOrEqual(t, len(page), size)
					all = append(all, page...)
					if len(page) < size {
						break
					}
				}
				require.ElementsMatch(t, names, all)
			}
			_, err = lister.ListWorkspaces(context.Background(), "", 0)
			require.Error(t, err)
			_, err = lister.ListWorkspaces(cancelled(), "", 1)
			require.ErrorIs(t, err, context.Canceled)
		},
	},
	{
		"Time/IsNow",
		"Time returns the present time, as far as the clocks of machines agree",
		func(t *testing.T, store audit.Store) {
			now, err := ability[audit.Timekeeper](t, store).Time(context.Background())
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), now, time.Hour)
			_, err = store.(audit.Timekeeper).Time(cancelled())
			require.ErrorIs(t, err, context.Canceled)
		},
	},
}
