package dbtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/sqlstore"
)

// newDropper is a [forgetter] whose events are in partitions of all months in question.
func newDropper(t *testing.T, db *Database, folder string) (*forgetter, *sqlstore.Partitions) {
	t.Helper()
	store, partitions := partitioned(t, db, nil, expiredMonths[1], 3) // February to May 2024
	require.NoError(t, store.Protect(context.Background()))
	return &forgetter{store, archivesIn(t, folder)}, partitions
}

// dropper purges by a policy, at the time of these tests.
func dropper(t *testing.T, store audit.Store, cfg retention.Config) *retention.Keeper {
	t.Helper()
	cfg.Now = func() time.Time { return purgesBegin }
	rec, err := audit.New(store, &audit.Config{Now: cfg.Now})
	require.NoError(t, err)
	k, err := retention.New(rec, &cfg)
	require.NoError(t, err)
	return k
}

// purges are the events that tell of purges, by their changes.
func purges(t *testing.T, store audit.Store, workspace string) (told []string) {
	t.Helper()
	for _, e := range all(t, store, workspace) {
		if e.Operation == audit.Purged {
			require.Equal(t, audit.System, e.Actor)
			require.Equal(t, audit.Entity{Type: audit.TypeLog, ID: "*"}, e.Entity)
			told = append(told, string(audit.AppendChanges(nil, e.Changes)))
		}
	}
	slices.Sort(told)
	return told
}

func TestAMonthIsDroppedWhenAllOfItHasExpired(t *testing.T) {
	t.Parallel()
	for _, archived := range []bool{true, false} {
		t.Run(fmt.Sprintf("archived %t", archived), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			db := Open(t, "postgres")
			f, partitions := newDropper(t, db, t.TempDir())
			cfg := retention.Config{}
			if archived {
				cfg.Archive = f.archives
			}
			var want []audit.Event
			for i, w := range []string{"w1", "w2"} {
				expired, kept := aged(w, 100+i, expiredMonths...)
				f.append(t, append(slices.Clone(expired), kept...))
				want = append(want, all(t, f.store, w)...)
			}
			result, err := dropper(t, f.store, cfg).Purge(ctx)
			require.NoError(t, err)
			require.Empty(t, result.Undropped)
			require.Equal(t, []time.Time{expiredMonths[1], expiredMonths[1].AddDate(0, 1, 0), expiredMonths[0], expiredMonths[0].AddDate(0, 1, 0)}, result.Dropped)
			require.Equal(t, 2*101+2*102, result.Events)
			// What tells of it has no partition yet.
			require.Equal(t, "default:6", partitionsOf(t, db, partitions))
			for i, w := range []string{"w1", "w2"} {
				told := purges(t, f.store, w)
				require.Len(t, told, 2)
				for j, month := range []string{"2024-02-04", "2024-04-04"} {
					var changes []struct{ After json.RawMessage }
					require.NoError(t, json.Unmarshal([]byte(told[j]), &changes))
					require.Equal(t, fmt.Sprint(101+i), string(changes[0].After))
					require.Contains(t, string(changes[1].After), month)
					require.Contains(t, string(changes[2].After), month)
					if archived {
						require.Contains(t, string(changes[3].After), ".jsonl.gz")
						require.Contains(t, string(changes[3].After), `"sha256":"`)
					}
				}
			}
			if archived {
				isLog := func(e audit.Event) bool { return e.Entity.Type == audit.TypeLog }
				merged := audit.Merge(f.store, f.archives)
				got := slices.DeleteFunc(slices.Concat(all(t, merged, "w1"), all(t, merged, "w2")), isLog)
				require.Equal(t, want, got)
				// What is restored goes to the default partition, and may be moved again.
				n, err := archive.Restore(ctx, f.store, f.archives, audit.Filter{Workspace: "w1"})
				require.NoError(t, err)
				require.Equal(t, 202, n)
				n, err = archive.Restore(ctx, f.store, f.archives, audit.Filter{Workspace: "w1"})
				require.NoError(t, err)
				require.Zero(t, n)
				require.NoError(t, partitions.Ahead(ctx, purgesBegin, 0))
				require.Equal(t, "2024-02:101 2024-04:101 2025-06:6 default:0", partitionsOf(t, db, partitions))
				result, err = dropper(t, f.store, cfg).Purge(ctx)
				require.NoError(t, err)
				require.Equal(t, []time.Time{expiredMonths[1], expiredMonths[0]}, result.Dropped)
				require.Empty(t, result.Archives, "it is archived already")
				require.Len(t, purges(t, f.store, "w1"), 4)
			}
		})
	}
}

func TestWhatIsKeptOfAMonthKeepsItsPartition(t *testing.T) {
	t.Parallel()
	february, april := expiredMonths[1], expiredMonths[0]
	tag := func(month time.Time) audit.Event {
		e := at(sample(9), month.AddDate(0, 0, 20))
		e.ID, e.Entity = uuid.NewSHA1(uuid.Nil, []byte(month.String())), audit.Entity{Type: audit.TypeTag, ID: "t1", Label: "urgent"}
		return e
	}
	held := []audit.Filter{{Workspace: "w1", Entities: []audit.Entity{{Type: audit.TypeProject, ID: "held"}}, From: april, To: april.AddDate(0, 1, 0)}}
	const long = 3 * 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		cfg  retention.Config
		want string
		left int // of w1 and w2, what is told apart
	}{
		"nothing":                 {retention.Config{}, "default:6", 2},
		"a hold":                  {retention.Config{Policy: retention.Policy{Holds: held}}, "2024-04:1 default:6", 3},
		"a hold of one workspace": {retention.Config{Policy: retention.Policy{Holds: []audit.Filter{{Workspace: "w2"}}}}, "2024-02:21 2024-04:21 default:4", 44},
		"a longer time of a type": {retention.Config{Policy: retention.Policy{Rules: []retention.Rule{{Types: []audit.EntityType{audit.TypeTag}, Keep: long}}}}, "2024-02:1 default:6", 3},
		"a shorter time of a type": {
			retention.Config{Policy: retention.Policy{Keep: long, Rules: []retention.Rule{{Types: []audit.EntityType{audit.TypeTag}, Keep: 24 * time.Hour}}}},
			"2024-02:42 2024-03:0 2024-04:42 2024-05:0 default:3", 86,
		},
		"a longer time of a workspace": {retention.Config{Policy: retention.Policy{Rules: []retention.Rule{{Workspaces: []string{"w2"}, Keep: long}}}}, "2024-02:21 2024-04:21 default:4", 44},
		"another workspace":            {retention.Config{Workspaces: []string{"w1"}}, "2024-02:21 2024-04:21 default:4", 44},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			db := Open(t, "postgres")
			f, partitions := newDropper(t, db, t.TempDir())
			for _, w := range []string{"w1", "w2"} {
				expired, kept := aged(w, 20, expiredMonths...)
				f.append(t, append(slices.Clone(expired), kept...))
			}
			f.append(t, []audit.Event{tag(february)})
			c.cfg.Archive = f.archives
			before := slices.Concat(all(t, f.store, "w1"), all(t, f.store, "w2"))
			result, err := dropper(t, f.store, c.cfg).Purge(ctx)
			require.NoError(t, err)
			require.Empty(t, result.Undropped)
			isLog := func(e audit.Event) bool { return e.Entity.Type == audit.TypeLog }
			left := slices.DeleteFunc(slices.Concat(all(t, f.store, "w1"), all(t, f.store, "w2")), isLog)
			require.Len(t, left, c.left)
			require.Equal(t, len(before)-len(left), result.Events)
			require.Equal(t, c.want, partitionsOf(t, db, partitions))
			for _, e := range left {
				require.Contains(t, before, e)
			}
			merged := audit.Merge(f.store, f.archives)
			require.Equal(t, before, slices.DeleteFunc(slices.Concat(all(t, merged, "w1"), all(t, merged, "w2")), isLog))
		})
	}
}

// Whoever drops a month, its events are archived, told and counted once.
func TestSeveralDropTheSameMonthsWhileOthersWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	f, partitions := newDropper(t, db, t.TempDir())
	expired, kept := map[string][]audit.Event{}, map[string][]audit.Event{}
	for _, w := range []string{"w1", "w2"} {
		expired[w], kept[w] = aged(w, 60, expiredMonths...)
		last := len(kept[w]) - 1
		expired[w], kept[w] = append(expired[w], kept[w][:last]...), kept[w][last:] // nothing is on hold
		f.append(t, append(slices.Clone(expired[w]), kept[w]...))
	}
	var wait sync.WaitGroup
	var results [3]retention.Result
	var errs [4]error
	for i := range results {
		k := dropper(t, f.store, retention.Config{Archive: f.archives})
		wait.Go(func() { results[i], errs[i] = k.Purge(ctx) })
	}
	wait.Go(func() {
		for n := range 60 {
			e := at(sample(n), purgesBegin.Add(-time.Duration(n+1)*time.Minute))
			e.ID = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, "young", n))
			kept["w1"] = append(kept["w1"], e)
			errs[3] = errors.Join(errs[3], f.store.Append(ctx, []audit.Event{e}))
		}
	})
	wait.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	sum, dropped := 0, 0
	for _, r := range results {
		sum, dropped = sum+r.Events, dropped+len(r.Dropped)
	}
	require.Equal(t, len(expired["w1"])+len(expired["w2"]), sum)
	require.LessOrEqual(t, dropped, 4)
	for w := range expired {
		require.Equal(t, len(expired[w]), f.requireTold(t, w, expired[w], kept[w], w))
		require.Len(t, all(t, f.archives, w), len(expired[w]))
	}
	_, err := dropper(t, f.store, retention.Config{Archive: f.archives}).Purge(ctx)
	require.NoError(t, err)
	require.Regexp(t, `^default:\d+$`, partitionsOf(t, db, partitions), "what was deleted in batches has left empty partitions")
}

// meddler is a store in which somebody does something just before a month is dropped.
type meddler struct {
	*sqlstore.Store
	meddle func()
}

func (m meddler) DropMonth(ctx context.Context, month time.Time, tell []audit.Event, same func(left iter.Seq2[audit.Event, error]) error) error {
	m.meddle()
	return m.Store.DropMonth(ctx, month, tell, same)
}

// What was not looked at before is not dropped, whatever else has gone meanwhile.
func TestWhatComesBeforeAMonthIsDroppedStays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	f, partitions := newDropper(t, db, t.TempDir())
	expired, _ := aged("w1", 20, expiredMonths[0])
	f.append(t, expired)
	late := at(sample(1), expiredMonths[0].AddDate(0, 0, 9))
	meddled := 0
	m := meddler{f.store, func() {
		if meddled++; meddled > 1 { // of February, March, April and May only April has events
			return
		}
		require.NoError(t, f.store.Append(ctx, []audit.Event{late}))
		require.NoError(t, f.store.Purge(ctx, audit.PurgeBatch{Workspace: "w1", To: purgesBegin, IDs: []uuid.UUID{expired[3].ID}}))
	}}
	for _, month := range []time.Time{expiredMonths[1], expiredMonths[1].AddDate(0, 1, 0), expiredMonths[0].AddDate(0, 1, 0)} {
		require.NoError(t, f.store.DropMonth(ctx, month, nil, func(left iter.Seq2[audit.Event, error]) error {
			for e, err := range left {
				return fmt.Errorf("an empty month has the event %s: %w", e.ID, err)
			}
			return nil
		}))
	}
	require.Equal(t, "2024-04:20 default:0", partitionsOf(t, db, partitions))
	result, err := dropper(t, m, retention.Config{Archive: f.archives, MaxGap: -1}).Purge(ctx)
	require.NoError(t, err)
	require.Empty(t, result.Dropped)
	require.Len(t, result.Undropped, 1)
	require.ErrorContains(t, result.Undropped[0], "retention: the events of 2024-04 are deleted in batches: sqlstore: drop the partition of 2024-04: others have written or deleted events of the month meanwhile")
	require.Equal(t, 20, result.Events, "the batches have archived the late one too")
	require.Len(t, all(t, f.archives, "w1"), 21)
	require.Equal(t, "2024-04:0 default:1", partitionsOf(t, db, partitions))
	result, err = dropper(t, m, retention.Config{Archive: f.archives, MaxGap: -1}).Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, []time.Time{expiredMonths[0]}, result.Dropped, "an empty one")
	require.Zero(t, result.Events)
	require.Equal(t, "default:1", partitionsOf(t, db, partitions))
}

// Batches need no lock that others hold, and no right but that to delete.
func TestWhatCannotBeDroppedIsDeletedInBatchesAndTold(t *testing.T) {
	t.Parallel()
	t.Run("while somebody holds the log", func(t *testing.T) {
		t.Parallel()
		ctx := context.Background()
		db := Open(t, "postgres")
		f, partitions := newDropper(t, db, t.TempDir())
		expired, kept := aged("w1", 20, expiredMonths...)
		f.append(t, append(expired, kept...))
		tx, err := db.SQL().Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = f.store.ListTx(ctx, tx, audit.Filter{Workspace: "w1"}, audit.Position{}, 1)
		require.NoError(t, err)
		k := dropper(t, f.store, retention.Config{})
		result, err := k.Purge(ctx)
		require.NoError(t, err)
		require.Empty(t, result.Dropped)
		require.Len(t, result.Undropped, 1)
		require.ErrorIs(t, result.Undropped[0], sqlstore.ErrBusy)
		require.ErrorContains(t, result.Undropped[0], "retention: the events of 2024-02 and of later months are deleted in batches")
		require.Equal(t, 42, result.Events)
		require.NoError(t, tx.Rollback())
		require.Equal(t, "2024-02:0 2024-03:0 2024-04:0 2024-05:0 default:3", partitionsOf(t, db, partitions))
		result, err = k.Purge(ctx)
		require.NoError(t, err)
		require.Len(t, result.Dropped, 4)
		require.Zero(t, result.Events)
	})
	t.Run("by a role that does not own the table", func(t *testing.T) {
		t.Parallel()
		ctx := context.Background()
		db := Open(t, "postgres")
		f, partitions := newDropper(t, db, t.TempDir())
		expired, kept := aged("w1", 20, expiredMonths...)
		f.append(t, append(expired, kept...))
		r := granted(t, db, nil)
		result, err := dropper(t, storeAs(t, r.purger, nil), retention.Config{}).Purge(ctx)
		require.NoError(t, err)
		require.Len(t, result.Undropped, 1)
		require.ErrorContains(t, result.Undropped[0], "permission denied")
		require.Equal(t, 42, result.Events)
		require.Equal(t, "2024-02:0 2024-03:0 2024-04:0 2024-05:0 default:3", partitionsOf(t, db, partitions))
	})
}

// TestADropThatIsInterruptedAnywhereIsWholeOrNotAtAll lets calls of the driver go
// wrong, on the only connection there is.
func TestADropThatIsInterruptedAnywhereIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	faults := []Fault{FaultLostAfter, FaultCancelAfter}
	if *faultsFlag == "all" {
		faults = AllFaults()
	}
	for _, fault := range faults {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			db := Open(t, "postgres")
			f, partitions := newDropper(t, db, t.TempDir())
			injected, err := NewFaults(db)
			require.NoError(t, err)
			pool := sql.OpenDB(injected)
			pool.SetMaxOpenConns(1)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			faulty, err := sqlstore.New(pool, db.Dialect, nil)
			require.NoError(t, err)
			month := expiredMonths[0]
			for n := 1; ; n++ {
				workspace := fmt.Sprintf("w%d", n)
				expired, _ := aged(workspace, 2, month)
				expired = append(expired, at(sample(1), month)) // of w1
				f.append(t, expired)
				require.NoError(t, partitions.Ahead(context.Background(), month, 0))
				tell := at(sample(2), purgesBegin)
				tell.ID, tell.Workspace = uuid.NewSHA1(uuid.Nil, []byte(workspace)), "log"
				ctx, end := context.WithCancel(context.Background())
				injected.Arm(n, fault, end)
				failed := faulty.DropMonth(ctx, month, []audit.Event{tell}, func(left iter.Seq2[audit.Event, error]) error {
					for _, err := range left {
						if err != nil {
							return err
						}
					}
					return nil
				})
				hit, reached := injected.Disarm()
				end()
				where := fmt.Sprintf("%s at call %d, %s: %v", fault, n, hit, failed)
				require.NoError(t, pool.PingContext(context.Background()), where)
				require.Zero(t, pool.Stats().InUse, where)
				told := slices.ContainsFunc(all(t, f.store, "log"), func(e audit.Event) bool { return e.ID == tell.ID })
				left := len(all(t, f.store, workspace))
				require.True(t, told && left == 0 || !told && left > 0, "%s: told %t, left %d", where, told, left)
				if !reached {
					require.NoError(t, failed)
					require.True(t, told)
					require.Greater(t, n, 10)
					return
				}
				if !told {
					require.Error(t, failed, where)
					require.NoError(t, f.store.DropMonth(context.Background(), month, nil, func(iter.Seq2[audit.Event, error]) error { return nil }), where)
				}
			}
		})
	}
}

// TestPartitionsAreListedWhileTheyAreDropped looks again and again, for a partition
// that goes meanwhile is one of which PostgreSQL knows the name and nothing else.
func TestPartitionsAreListedWhileTheyAreDropped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	_, partitions := partitioned(t, db, nil, expiredMonths[1], 100)
	list, err := partitions.List(ctx)
	require.NoError(t, err)
	var wait sync.WaitGroup
	var errs [3]error
	dropped := make(chan struct{})
	for i := range errs {
		wait.Go(func() {
			for {
				select {
				case <-dropped:
					return
				default:
				}
				if _, err := partitions.List(ctx); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	for _, part := range list {
		if !part.From.IsZero() {
			_, err := db.SQL().Exec("DROP TABLE " + part.Name)
			require.NoError(t, err)
		}
	}
	close(dropped)
	wait.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	list, err = partitions.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 1, "the default one")
}

func TestAHoldThatIsSetWhileAMonthIsArchivedKeepsItsPartition(t *testing.T) {
	t.Parallel()
	db := Open(t, "postgres")
	f, partitions := newDropper(t, db, t.TempDir())
	ctx := context.Background()
	expired, kept := aged("w1", 100, expiredMonths...)
	f.append(t, append(expired, kept...))
	want := all(t, f.store, "w1")
	asked := 0
	result, err := dropper(t, f.store, retention.Config{Archive: f.archives, Holds: func(context.Context) ([]audit.Filter, error) {
		if asked++; asked == 1 { // the purge begins
			return nil, nil
		}
		return []audit.Filter{{Workspace: "w1"}}, nil
	}}).Purge(ctx)
	require.NoError(t, err)
	require.Zero(t, result.Events)
	require.Equal(t, want, all(t, f.store, "w1"))
	require.Equal(t, "2024-02:101 2024-04:101 default:1", partitionsOf(t, db, partitions), "those without events are dropped")
}
