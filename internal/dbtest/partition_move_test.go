package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

// seeds are events of a workspace over three months, as many in each.
func seeds(workspace string, month time.Time, perMonth int) []audit.Event {
	list := make([]audit.Event, 3*perMonth)
	for i := range list {
		e := at(sample(i), month.AddDate(0, i%3, 0).Add(time.Duration(i)*time.Second))
		e.ID, e.Workspace = uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s %d", workspace, i)), workspace
		list[i] = e
	}
	return list
}

// newestFirst are events in the order in which they are read.
func newestFirst(events []audit.Event) []audit.Event {
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b audit.Event) int { return a.Position().Compare(b.Position()) })
	return events
}

// mover is a log that others use while it becomes a partitioned one.
type mover struct {
	database *Database
	store    *sqlstore.Store
	first    time.Time // month of the oldest events
	over     atomic.Bool
	wait     sync.WaitGroup

	mu    sync.Mutex
	errs  []error
	words []string // whose events are expected
	late  []audit.Event
}

// while runs do again and again, for n = 0, 1, 2 and so on, until the move is over.
func (m *mover) while(do func(n int) error) {
	m.wait.Go(func() {
		for n := 0; n < 10 || !m.over.Load(); n++ {
			if err := do(n); err != nil {
				m.mu.Lock()
				m.errs = append(m.errs, err)
				m.mu.Unlock()
				return
			}
		}
	})
}

// writeWords lets an application write by hooks.
func (m *mover) writeWords(t *testing.T, writers int) {
	t.Helper()
	db := openGorm(t, m.database)
	require.NoError(t, db.AutoMigrate(officeTables()...))
	wire(t, db, m.database, func(*testing.T, *Database) audit.Store { return m.store }, nil, officeModels())
	for w := range writers {
		m.while(func(n int) error {
			id := fmt.Sprintf("%d.%d", w, n)
			db := db.WithContext(audit.WithActor(context.Background(), jo))
			err := errors.Join(db.Create(&Word{ID: id, WorkspaceID: "words", Name: "a"}).Error,
				db.Model(&Word{ID: id}).Update("name", "b").Error, db.Delete(&Word{ID: id}).Error)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.words = append(m.words, id)
			return err
		})
	}
}

// writeLate appends events of the months that are being moved, one at a time.
func (m *mover) writeLate() {
	m.while(func(n int) error {
		e := at(sample(n), m.first.AddDate(0, n%3, 5).Add(time.Duration(n)*time.Second))
		e.ID, e.Workspace = uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "late %d", n)), "late"
		m.mu.Lock()
		m.late = append(m.late, e)
		m.mu.Unlock()
		return m.store.Append(context.Background(), []audit.Event{e})
	})
}

// read reads events that are there all the time.
func (m *mover) read(workspace string, want []audit.Event) {
	m.while(func(int) error {
		n := 0
		for e, err := range audit.Query(context.Background(), m.store, audit.Filter{Workspace: workspace}) {
			if err != nil {
				return err
			}
			if n >= len(want) || e.ID != want[n].ID {
				return fmt.Errorf("event %d of %d is %s", n, len(want), e.ID)
			}
			n++
		}
		if n != len(want) {
			return fmt.Errorf("%d events are missing", len(want)-n)
		}
		return nil
	})
}

// purge deletes events, a few at a time.
func (m *mover) purge(events []audit.Event) {
	rest := events
	m.while(func(int) error {
		if len(rest) == 0 {
			return nil
		}
		b := audit.PurgeBatch{Workspace: rest[0].Workspace, To: time.Now()}
		for _, e := range rest[:min(10, len(rest))] {
			b.IDs = append(b.IDs, e.ID)
		}
		rest = rest[len(b.IDs):]
		return m.store.Purge(context.Background(), b)
	})
}

// TestAPlainTableIsMovedToPartitionsWhileOthersUseIt lets hooks, late writers,
// readers and a purge work on the log all the time.
func TestAPlainTableIsMovedToPartitionsWhileOthersUseIt(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	database := Open(t, "postgres")
	database.SQL().SetMaxOpenConns(12)
	now := time.Now().UTC()
	this := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	m := &mover{database: database, store: migrated(t, database, nil), first: this.AddDate(0, -3, 0)}
	require.NoError(t, m.store.Protect(ctx))
	kept, gone := seeds("kept", m.first, 700), seeds("gone", m.first, 500)
	require.NoError(t, m.store.Append(ctx, kept))
	require.NoError(t, m.store.Append(ctx, gone))
	m.writeWords(t, 2)
	m.writeLate()
	m.read("kept", newestFirst(kept))
	m.purge(gone)
	partitions, err := m.store.Partitions()
	require.NoError(t, err)
	err = partitions.Migrate(ctx)
	if err == nil {
		err = partitions.Ahead(ctx, now, 2)
	}
	m.over.Store(true)
	m.wait.Wait()
	require.NoError(t, err)
	require.Empty(t, m.errs)
	t.Logf("%d words and %d late events were written meanwhile", len(m.words), len(m.late))

	require.Equal(t, newestFirst(kept), all(t, m.store, "kept"))
	require.Equal(t, newestFirst(m.late), all(t, m.store, "late"))
	told := map[string]int{}
	for _, e := range all(t, m.store, "words") {
		told[e.Entity.ID+" "+string(e.Operation)]++
	}
	require.Len(t, told, 3*len(m.words))
	for _, id := range m.words {
		for _, op := range []audit.Operation{audit.Created, audit.Updated, audit.Deleted} {
			require.Equal(t, 1, told[id+" "+string(op)], "%s %s", id, op)
		}
	}
	left := all(t, m.store, "gone")
	require.Less(t, len(left), len(gone))
	for _, e := range left {
		require.Contains(t, gone, e)
	}
	requireNothingBeside(t, database)
	shape := partitionsOf(t, database, partitions)
	require.True(t, strings.HasSuffix(shape, "default:0"), shape)
	require.Len(t, strings.Fields(shape), 7, shape)
	_, err = database.SQL().Exec(deleteEvents)
	require.ErrorContains(t, err, "are deleted only within Store.AllowDeletes")
}

// TestAMoveThatIsInterruptedAnywhereLeavesAWorkingLog lets calls of the driver go
// wrong, the first, the twelfth and so on.
func TestAMoveThatIsInterruptedAnywhereLeavesAWorkingLog(t *testing.T) {
	t.Parallel()
	faults, every := []Fault{FaultLostAfter, FaultCancelAfter}, 11
	if *faultsFlag == "all" {
		faults, every = AllFaults(), 1
	}
	for _, fault := range faults {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			db := Open(t, "postgres")
			injected, err := NewFaults(db)
			require.NoError(t, err)
			pool := sql.OpenDB(injected)
			pool.SetMaxOpenConns(1)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			hits := 0
			for n := 1; ; n += every {
				cfg := &sqlstore.Config{Table: fmt.Sprintf("t%d", n)}
				store := migrated(t, db, cfg)
				events := seeds("w1", sampled, 400) // more than are copied at once
				require.NoError(t, store.Append(context.Background(), events))
				faulty, err := sqlstore.New(pool, db.Dialect, cfg)
				require.NoError(t, err)
				move := func(ctx context.Context, store *sqlstore.Store) error {
					p, err := store.Partitions()
					require.NoError(t, err)
					if err := p.Migrate(ctx); err != nil {
						return err
					}
					return p.Ahead(ctx, sampled.AddDate(0, 3, 0), 1)
				}
				ctx, end := context.WithCancel(context.Background())
				injected.Arm(n, fault, end)
				failed := move(ctx, faulty)
				hit, reached := injected.Disarm()
				end()
				where := fmt.Sprintf("%s at call %d, %s: %v", fault, n, hit, failed)
				require.NoError(t, pool.PingContext(context.Background()), where)
				require.Zero(t, pool.Stats().InUse, where)
				require.Equal(t, newestFirst(events), all(t, store, "w1"), where)

				// The log goes on being used before the move does.
				more := seeds("w2", sampled, 2)
				require.NoError(t, store.Append(context.Background(), more), where)
				require.NoError(t, store.Purge(context.Background(), audit.PurgeBatch{Workspace: "w1", To: time.Now(), IDs: []uuid.UUID{events[0].ID, events[1].ID}}), where)
				require.NoError(t, store.Migrate(context.Background()), where)
				require.NoError(t, move(context.Background(), store), where)
				require.Equal(t, newestFirst(events[2:]), all(t, store, "w1"), where)
				require.Equal(t, newestFirst(more), all(t, store, "w2"), where)
				partitions, err := store.Partitions()
				require.NoError(t, err)
				require.Equal(t, "2024-05:401 2024-06:401 2024-07:402 2024-08:0 2024-09:0 default:0", partitionsOf(t, db, partitions), where)
				requireNothingBeside(t, db)
				if !reached {
					require.NoError(t, failed)
					require.Greater(t, hits, 5)
					return
				}
				hits++
			}
		})
	}
}

// A move that was interrupted does not put copies of an older form in place.
func TestAMoveBeginsAnewIfTheTablesWereUpgradedMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, partitions := partitioned(t, db, nil, sampled, 0)
	for _, upgrade := range []string{"ALTER TABLE audit_events ADD COLUMN more text", "CREATE INDEX audit_events_more ON audit_events (workspace, more)"} {
		events := seeds("w1", sampled.AddDate(0, 1, 0), 400)
		require.NoError(t, store.Append(ctx, events))
		injected, err := NewFaults(db)
		require.NoError(t, err)
		interrupted, end := context.WithCancel(ctx)
		injected.Watch = func(c Call) {
			if strings.Contains(c.Text, "SELECT * FROM") { // the first copies
				end()
			}
		}
		pool := sql.OpenDB(injected)
		t.Cleanup(func() { require.NoError(t, pool.Close()) })
		faulty, err := sqlstore.New(pool, db.Dialect, nil)
		require.NoError(t, err)
		moving, err := faulty.Partitions()
		require.NoError(t, err)
		require.Error(t, moving.Ahead(interrupted, sampled.AddDate(0, 3, 0), 0))
		run(t, db.SQL(), upgrade)
		require.NoError(t, partitions.Ahead(ctx, sampled.AddDate(0, 3, 0), 0))
		require.Equal(t, "2024-05:0 2024-06:400 2024-07:400 2024-08:400 default:0", partitionsOf(t, db, partitions))
		requireNothingBeside(t, db)
		require.Equal(t, newestFirst(events), all(t, store, "w1"))
		run(t, db.SQL(), "DELETE FROM audit_events", "DROP TABLE audit_events_p2024_06, audit_events_p2024_07, audit_events_p2024_08")
	}
}

// The default partition is for what is far from now, and for what nobody has made
// partitions for; only the latter is moved.
func TestEventsOfTheDefaultPartitionAreMovedWhenTheirMonthIsMade(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, partitions := partitioned(t, db, nil, sampled, 0)
	far := []audit.Event{
		at(sample(1), time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC)), at(sample(2), time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)),
		at(sample(3), time.Date(2014, 4, 30, 23, 59, 59, 999999000, time.UTC)),
	}
	near := []audit.Event{
		at(sample(4), time.Date(2014, 5, 1, 0, 0, 0, 0, time.UTC)), at(sample(5), sampled.Add(-time.Microsecond)), at(sample(6), sampled.AddDate(0, 1, 0)),
		at(sample(7), sampled.AddDate(0, 2, 0).Add(-time.Microsecond)),
	}
	require.NoError(t, store.Append(ctx, slices.Concat(far, near, []audit.Event{at(sample(8), sampled.AddDate(0, 3, 0))})))
	want := newestFirst(all(t, store, "w1"))
	require.Equal(t, "2024-05:0 default:8", partitionsOf(t, db, partitions))
	require.NoError(t, partitions.Ahead(ctx, sampled, 1))
	require.Equal(t, "2014-05:1 2024-04:1 2024-05:0 2024-06:2 default:4", partitionsOf(t, db, partitions))
	require.Equal(t, want, all(t, store, "w1"))
	require.NoError(t, partitions.Ahead(ctx, sampled, 3))
	require.Equal(t, "2014-05:1 2024-04:1 2024-05:0 2024-06:2 2024-07:0 2024-08:1 default:3", partitionsOf(t, db, partitions))
	require.Equal(t, want, all(t, store, "w1"))
	requireNothingBeside(t, db)
}

// While somebody holds the table, others go on; who is to wait is told.
func TestAMoveWaitsForNobodyForLong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, partitions := partitioned(t, db, nil, sampled, 0)
	tx, err := db.SQL().Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	require.NoError(t, store.AppendTx(ctx, tx, []audit.Event{sample(1)}))
	waiting, end := context.WithCancel(ctx)
	result := make(chan error)
	go func() { result <- partitions.Ahead(waiting, sampled, 1) }()
	for n := 2; n < 12; n++ { // each waits behind the move for a tenth of a second at most
		require.NoError(t, store.Append(ctx, []audit.Event{sample(n)}))
	}
	end()
	require.Error(t, <-result)
	require.NoError(t, tx.Commit())
	require.NoError(t, partitions.Ahead(ctx, sampled, 1))
	require.Equal(t, "2024-05:11 2024-06:0 default:0", partitionsOf(t, db, partitions))
}

// BenchmarkWritingDuringAMove tells how long appending an event takes while a log of
// 100,000 events is moved to partitions.
func BenchmarkWritingDuringAMove(b *testing.B) {
	const events = 100_000
	for _, moving := range []bool{false, true} {
		b.Run(fmt.Sprintf("moving %t", moving), func(b *testing.B) {
			ctx := context.Background()
			for range b.N {
				b.StopTimer()
				db := Open(b, "postgres")
				store := migrated(b, db, nil)
				now := time.Now().UTC()
				for part := range slices.Chunk(seeds("w1", now.AddDate(0, -6, 0), events/3), 10_000) {
					require.NoError(b, store.Append(ctx, part))
				}
				partitions, err := store.Partitions()
				require.NoError(b, err)
				done := make(chan error, 1)
				b.StartTimer()
				go func() {
					if !moving {
						done <- nil
						return
					}
					err := partitions.Migrate(ctx)
					if err == nil {
						err = partitions.Ahead(ctx, now, 3)
					}
					done <- err
				}()
				var took []time.Duration
				for moved := false; !moved || len(took) < 5000; {
					begin := time.Now()
					require.NoError(b, store.Append(ctx, []audit.Event{{
						ID: uuid.Must(uuid.NewV7()), Time: begin, Workspace: "w2", Actor: jo, Operation: audit.Updated, Entity: audit.Entity{Type: "x", ID: "1"}, SchemaVersion: 1,
					}}))
					took = append(took, time.Since(begin))
					select {
					case err := <-done:
						require.NoError(b, err)
						moved = true
					default:
					}
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "max-ms")
				b.ReportMetric(float64(len(took)), "writes")
			}
		})
	}
}
