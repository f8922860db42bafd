package dbtest

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// purgesBegin is when the tests of retention take place. It lies in the past, so
// that no server's clock is behind.
var purgesBegin = time.Date(2025, 6, 15, 12, 0, 0, 0, time.UTC)

// aged are events of a workspace: so many of each of some months that have expired,
// and some that are kept because they are young or on hold.
func aged(workspace string, perMonth int, months ...time.Time) (expired, kept []audit.Event) {
	n := 0
	add := func(at time.Time, entity string) audit.Event {
		n++
		id := uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s %d", workspace, n))
		return audit.Event{
			ID: id, Time: at.Add(time.Duration(n/2) * time.Millisecond), Workspace: workspace, Actor: jo, Operation: audit.Updated,
			Entity: audit.Entity{Type: audit.TypeProject, ID: entity, Label: "Apollo"},
			Changes: []audit.Change{
				{Field: "note", Before: audit.Value{JSON: json.RawMessage("{ \"a\" :\t1.50, \"b\":\"\\u0000\\u003c<\u2028😀\" }")}, After: audit.Value{JSON: json.RawMessage(`null`)}},
				{Field: "secret", After: audit.Value{Form: audit.FormRedacted}},
				{Field: "tags", Element: true, Before: audit.Value{JSON: json.RawMessage(`null`)}, After: audit.Value{JSON: json.RawMessage(`"t1"`), Label: "urgent\x00"}},
			},
			Reason: "  because \u202e", SchemaVersion: audit.SchemaVersion,
		}
	}
	for _, month := range months {
		for range perMonth {
			expired = append(expired, add(month.AddDate(0, 0, 3), "p1"))
		}
		kept = append(kept, add(month.AddDate(0, 0, 3), "held"))
	}
	return expired, append(kept, add(purgesBegin.Add(-time.Hour), "p1"))
}

var expiredMonths = []time.Time{time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)}

// forgetter is a protected store, its archive and what looks after both.
type forgetter struct {
	store    *sqlstore.Store
	archives *archive.Store
}

func newForgetter(t *testing.T, db *Database, folder string) *forgetter {
	t.Helper()
	store := migrated(t, db, nil)
	require.NoError(t, store.Protect(context.Background()))
	return &forgetter{store, archivesIn(t, folder)}
}

func archivesIn(t *testing.T, folder string) *archive.Store {
	t.Helper()
	archives, err := archive.New(archive.Folder(folder))
	require.NoError(t, err)
	return archives
}

// keeperOf purges one workspace of a store that may be on other connections.
func keeperOf(t *testing.T, store *sqlstore.Store, archives *archive.Store, workspaces ...string) *retention.Keeper {
	t.Helper()
	now := func() time.Time { return purgesBegin }
	rec, err := audit.New(store, &audit.Config{Now: now})
	require.NoError(t, err)
	k, err := retention.New(rec, &retention.Config{
		Policy:  retention.Policy{Holds: []audit.Filter{{Entities: []audit.Entity{{Type: audit.TypeProject, ID: "held"}}}}},
		Archive: archives, Workspaces: workspaces, Now: now,
	})
	require.NoError(t, err)
	return k
}

func (f *forgetter) append(t *testing.T, events []audit.Event) {
	t.Helper()
	require.NoError(t, f.store.Append(context.Background(), events))
}

// requireTold requires that what is gone was archived and told of, each event once,
// and that the rest is as it was. It returns how many are gone.
func (f *forgetter) requireTold(t *testing.T, workspace string, expired, kept []audit.Event, where string) int {
	t.Helper()
	var left []audit.Event
	told := 0
	for _, e := range all(t, f.store, workspace) {
		if e.Entity.Type != audit.TypeLog {
			left = append(left, e)
			continue
		}
		var n int
		require.NoError(t, json.Unmarshal(e.Changes[0].After.JSON, &n))
		told += n
	}
	there, archived := eventsByID(left), eventsByID(all(t, f.archives, workspace))
	var gone, want []audit.Event
	for _, e := range expired {
		if _, is := there[e.ID]; is {
			want = append(want, e)
			continue
		}
		gone = append(gone, e)
		require.True(t, archive.Equal(archived[e.ID], e), "%s: event %s is gone and in no archive", where, e.ID)
	}
	require.Len(t, gone, told, "%s: what is told is what is gone", where)
	want = append(want, kept...)
	require.Len(t, left, len(want), where)
	for _, e := range want {
		require.True(t, archive.Equal(there[e.ID], e), "%s: event %s is not as it was", where, e.ID)
	}
	return len(gone)
}

func eventsByID(events []audit.Event) map[uuid.UUID]audit.Event {
	m := make(map[uuid.UUID]audit.Event, len(events))
	for _, e := range events {
		m[e.ID] = e
	}
	return m
}

// all are the events of a workspace.
func all(t *testing.T, store audit.Store, workspace string) []audit.Event {
	t.Helper()
	var list []audit.Event
	for e, err := range audit.Query(context.Background(), store, audit.Filter{Workspace: workspace}) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

// finish purges what is left and requires that all is as if nothing had happened.
func (f *forgetter) finish(t *testing.T, workspace string, expired, kept []audit.Event, where string) {
	t.Helper()
	_, err := keeperOf(t, f.store, f.archives, workspace).Purge(context.Background())
	require.NoError(t, err, where)
	require.Equal(t, len(expired), f.requireTold(t, workspace, expired, kept, where), where)
	archived := all(t, f.archives, workspace)
	require.Len(t, archived, len(expired), "%s: nothing is in two archives", where)
}

// TestWhatIsPurgedIsReadFromTheArchiveAsItWas compares the merged log with the one
// before, and restores it.
func TestWhatIsPurgedIsReadFromTheArchiveAsItWas(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		f := newForgetter(t, db, t.TempDir())
		expired, kept := aged("w1", 350, expiredMonths...)
		f.append(t, append(slices.Clone(expired), kept...))
		before := all(t, f.store, "w1")
		f.finish(t, "w1", expired, kept, "")
		isLog := func(e audit.Event) bool { return e.Entity.Type == audit.TypeLog }
		require.Equal(t, before, slices.DeleteFunc(all(t, audit.Merge(f.store, f.archives), "w1"), isLog))
		n, err := archive.Restore(ctx, f.store, f.archives, audit.Filter{Workspace: "w1"})
		require.NoError(t, err)
		require.Equal(t, len(expired), n)
		require.Equal(t, before, slices.DeleteFunc(all(t, f.store, "w1"), isLog))
		n, err = archive.Restore(ctx, f.store, f.archives, audit.Filter{Workspace: "w1"})
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// TestAPurgeThatIsInterruptedAnywhereGoesOnWhereItStopped lets each call of the
// driver go wrong, the first, the second and so on, on the only connection there is.
func TestAPurgeThatIsInterruptedAnywhereGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	usual := map[string][]Fault{"sqlite": {FaultError, FaultLostAfter, FaultCancelAfter}, "postgres": {FaultConflict, FaultLostAfter}, "mysql": {FaultConflict, FaultLostAfter}}
	for _, name := range Names() {
		faults := usual[name]
		if *faultsFlag == "all" {
			faults = AllFaults()
		}
		for _, fault := range faults {
			t.Run(name+"/"+fault.String(), func(t *testing.T) {
				t.Parallel()
				db := Open(t, name)
				f := newForgetter(t, db, t.TempDir())
				injected, err := NewFaults(db)
				require.NoError(t, err)
				pool := sql.OpenDB(injected)
				pool.SetMaxOpenConns(1)
				t.Cleanup(func() { require.NoError(t, pool.Close()) })
				faulty, err := sqlstore.New(pool, db.Dialect, nil)
				require.NoError(t, err)
				for n := 1; ; n++ {
					workspace := fmt.Sprintf("w%d", n)
					expired, kept := aged(workspace, 2, expiredMonths...)
					f.append(t, append(slices.Clone(expired), kept...))
					ctx, end := context.WithCancel(context.Background())
					injected.Arm(n, fault, end)
					_, failed := keeperOf(t, faulty, f.archives, workspace).Purge(ctx)
					hit, reached := injected.Disarm()
					end()
					require.NoError(t, pool.PingContext(context.Background()))
					require.Zero(t, pool.Stats().InUse)
					where := fmt.Sprintf("%s at call %d, %s: %v", fault, n, hit, failed)
					gone := f.requireTold(t, workspace, expired, kept, where)
					f.finish(t, workspace, expired, kept, where)
					if !reached {
						require.NoError(t, failed)
						require.Equal(t, len(expired), gone)
						require.Greater(t, n, 20)
						return
					}
					require.Less(t, n, 1000, "this has no end")
				}
			})
		}
	}
}

// The child that purges learns from its environment what to do.
const (
	childPurges       = "AUDIT_TEST_PURGES" // one of Names; empty in a process that is no child
	childPurgesFolder = "AUDIT_TEST_PURGES_FOLDER"
)

// TestAKilledPurgeGoesOnWhereItStopped kills processes that purge, without warning
// and at any call of the driver.
func TestAKilledPurgeGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	for i, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("the instants are those of -killseed=%d", seed)
			db, folder := Open(t, name), t.TempDir()
			db.SQL().SetMaxIdleConns(0) // so that SQLite recovers its log
			f := newForgetter(t, db, folder)
			expired, kept := aged("w1", 400, expiredMonths...)
			f.append(t, append(slices.Clone(expired), kept...))
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			gone, kills := 0, 0
			for range 4 {
				if killPurger(t, db, folder, 5+random.IntN(30)) {
					kills++
				}
				waitForSession(t, db)
				now := f.requireTold(t, "w1", expired, kept, "killed")
				require.GreaterOrEqual(t, now, gone)
				gone = now
			}
			require.Positive(t, kills, "every process was done before it could be killed")
			t.Logf("%d of %d events were gone after the last of %d kills", gone, len(expired), kills)
			f.finish(t, "w1", expired, kept, "at last")
		})
	}
}

// killPurger starts a child that purges and kills it at its nth call of the driver;
// it reports false if the child is done before.
func killPurger(t *testing.T, db *Database, folder string, n int) bool {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestPurgingChild$", "-test.timeout=2m")
	child.Env = append(os.Environ(), childPurges+"="+db.Name, childDSN+"="+db.DSN, childPurgesFolder+"="+folder)
	input, err := child.StdinPipe()
	require.NoError(t, err)
	defer input.Close()
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	var complaints strings.Builder
	child.Stderr = &complaints
	require.NoError(t, child.Start())
	killed, done := false, false
	for lines := bufio.NewScanner(output); lines.Scan(); {
		switch lines.Text() {
		case saysDone:
			done = true
		case saysCall:
			if n--; n == 0 {
				require.NoError(t, child.Process.Kill())
				killed = true
			}
		}
	}
	_ = child.Wait()
	require.True(t, killed || done, "the child failed: %s", complaints.String())
	return killed
}

// TestPurgingChild is the process that is killed. It is no test.
func TestPurgingChild(t *testing.T) {
	name := os.Getenv(childPurges)
	if name == "" {
		t.Skip("it is the child of TestAKilledPurgeGoesOnWhereItStopped")
	}
	go func() { // the parent is gone, however it went
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	driver, dialect := "sqlite", sqlstore.SQLite
	if s := servers[name]; s != nil {
		driver, dialect = s.driver, s.dialect
	}
	pool, err := sql.Open(driver, os.Getenv(childDSN))
	require.NoError(t, err)
	defer pool.Close()
	db := &Database{Name: name, Driver: driver, DSN: os.Getenv(childDSN), Dialect: dialect, pool: pool}
	injected, err := NewFaults(db)
	require.NoError(t, err)
	injected.Watch = func(c Call) {
		if c.Kind != CallNext {
			fmt.Println(saysCall)
		}
	}
	db.pool = sql.OpenDB(injected)
	db.pool.SetMaxOpenConns(1)
	defer db.pool.Close()
	takeSession(t, db)
	store, err := sqlstore.New(db.pool, dialect, nil)
	require.NoError(t, err)
	_, err = keeperOf(t, store, archivesIn(t, os.Getenv(childPurgesFolder)), "w1").Purge(context.Background())
	require.NoError(t, err)
	fmt.Println(saysDone)
}

// TestSeveralPurgeWhileOthersWrite lets three Keepers purge the same workspaces at
// once, and writers append to them.
func TestSeveralPurgeWhileOthersWrite(t *testing.T) {
	t.Parallel()
	for _, archived := range []bool{true, false} {
		t.Run(fmt.Sprintf("archived %t", archived), func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, db *Database) {
				ctx := context.Background()
				folder := t.TempDir()
				f := newForgetter(t, db, folder)
				workspaces := []string{"w1", "w2"}
				expired, kept := map[string][]audit.Event{}, map[string][]audit.Event{}
				for _, w := range workspaces {
					expired[w], kept[w] = aged(w, 250, expiredMonths...)
					f.append(t, append(slices.Clone(expired[w]), kept[w]...))
				}
				var (
					wg      sync.WaitGroup
					errs    [3]error
					results [3]retention.Result
					written [2]error
				)
				for i := range errs {
					archives := f.archives
					if !archived {
						archives = nil
					}
					k := keeperOf(t, f.store, archives)
					wg.Add(1)
					go func() {
						defer wg.Done()
						results[i], errs[i] = k.Purge(ctx)
					}()
				}
				const more = 60
				young := func(w string, n int) audit.Event {
					_, last := aged(w, 0)
					e := last[0]
					e.ID, e.Time = uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "young %s %d", w, n)), e.Time.Add(time.Duration(n)*time.Second)
					return e
				}
				for i, w := range workspaces {
					wg.Add(1)
					go func() {
						defer wg.Done()
						for n := range more {
							written[i] = errors.Join(written[i], f.store.Append(ctx, []audit.Event{young(w, n)}))
						}
					}()
				}
				wg.Wait()
				for _, err := range errs {
					require.NoError(t, err)
				}
				sum := 0
				for i, w := range workspaces {
					require.NoError(t, written[i])
					for n := range more {
						kept[w] = append(kept[w], young(w, n))
					}
					if archived {
						require.Equal(t, len(expired[w]), f.requireTold(t, w, expired[w], kept[w], w))
						require.Len(t, all(t, f.archives, w), len(expired[w]))
					}
				}
				for _, r := range results {
					sum += r.Events
				}
				require.Equal(t, 2*len(expired["w1"]), sum, "each event is deleted by one of them")
				parts, err := filepath.Glob(filepath.Join(folder, "*.part"))
				require.NoError(t, err)
				require.Empty(t, parts)
			})
		})
	}
}

// The events of a batch are found one by one: to read all that are of its time would
// take the longer the more there are.
func TestAPurgeFindsItsEventsByTheirIds(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		watched, tap := tapInto(t, db)
		store := migrated(t, watched, nil)
		expired, _ := aged("w1", 10_000, expiredMonths...)
		require.NoError(t, store.Append(ctx, expired))
		batch := audit.PurgeBatch{Workspace: "w1", From: expiredMonths[1], To: purgesBegin}
		for _, e := range expired[:100] {
			batch.IDs = append(batch.IDs, e.ID)
		}
		statements := tap.during(t, func() error { return store.Purge(ctx, batch) }, "DELETE")
		statement := statements[len(statements)-1]
		args := []any{"w1", batch.From.UnixMicro(), batch.To.UnixMicro()}
		for _, id := range batch.IDs {
			if db.Name == "postgres" {
				args = append(args, id.String())
			} else {
				args = append(args, id[:])
			}
		}
		how := plan(t, db, statement, args...)
		switch db.Name {
		case "sqlite":
			require.Contains(t, how, "SEARCH audit_events USING INDEX sqlite_autoindex_audit_events_1 (id=?)")
		case "postgres":
			require.Contains(t, how, "audit_events_pkey")
			require.NotContains(t, how, "audit_events_time")
			require.NotContains(t, how, "Seq Scan")
		default:
			require.Contains(t, how, " range PRIMARY ")
		}
	})
}
