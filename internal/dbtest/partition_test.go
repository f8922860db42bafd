package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
	"github.com/gormtrail/audit/store/storetest"
)

// sampled is the month of the events that sample makes.
var sampled = time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)

// partitioned returns a store on PostgreSQL whose events are in partitions: that of
// the month, those of so many that follow, and the default one.
func partitioned(tb testing.TB, db *Database, cfg *sqlstore.Config, month time.Time, months int) (*sqlstore.Store, *sqlstore.Partitions) {
	tb.Helper()
	store := migrated(tb, db, cfg)
	partitions, err := store.Partitions()
	require.NoError(tb, err)
	require.NoError(tb, partitions.Migrate(context.Background()))
	require.NoError(tb, partitions.Ahead(context.Background(), month, months))
	return store, partitions
}

// partitionsOf are the partitions in short: their months and how many events each has.
func partitionsOf(t *testing.T, db *Database, p *sqlstore.Partitions) string {
	t.Helper()
	list, err := p.List(context.Background())
	require.NoError(t, err)
	var b strings.Builder
	for _, part := range list {
		name := "default"
		if !part.From.IsZero() {
			name = part.From.Format("2006-01")
			require.Equal(t, part.From.AddDate(0, 1, 0), part.To)
		}
		var n int
		require.NoError(t, db.SQL().QueryRow("SELECT count(*) FROM "+part.Name).Scan(&n))
		fmt.Fprintf(&b, "%s:%d ", name, n)
	}
	return strings.TrimSpace(b.String())
}

// requireNothingBeside requires that no table or function is left of a move.
func requireNothingBeside(t *testing.T, db *Database) {
	t.Helper()
	var left string
	require.NoError(t, db.SQL().QueryRow(`SELECT COALESCE(string_agg(name, ' '), '') FROM (
		SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname ~ '_(staged|next|touched)$'
		UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname ~ '_touch$') AS found (name)`).Scan(&left))
	require.Empty(t, left)
}

func TestAPartitionedStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	db := Open(t, "postgres")
	var tables atomic.Int64
	empty := func(t *testing.T) *sqlstore.Store {
		store, _ := partitioned(t, db, &sqlstore.Config{Table: fmt.Sprintf("events_%d", tables.Add(1))}, sampled, 1)
		return store
	}
	storetest.Run(t, func(t *testing.T) audit.Store { return empty(t) })
	storetest.RunTx(t, func(t *testing.T) (audit.TxStore, *sql.DB) {
		store := empty(t)
		t.Cleanup(func() { db.SQL().SetMaxOpenConns(8) })
		return store, db.SQL()
	})
}

func TestOnlyPostgreSQLHasPartitions(t *testing.T) {
	for _, d := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.MySQL} {
		store, err := sqlstore.New(new(sql.DB), d, nil)
		require.NoError(t, err)
		_, err = store.Partitions()
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.EqualError(t, err, fmt.Sprintf("sqlstore: there are no partitions for %q, only for PostgreSQL: unsupported operation", d))
		months, err := store.PartitionMonths(context.Background())
		require.NoError(t, err)
		require.Empty(t, months)
		require.ErrorIs(t, store.DropMonth(context.Background(), sampled, nil, nil), audit.ErrMissing)
	}
}

func TestPartitionsAreMadeOnceHoweverManyAsk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	stores := make([]*sqlstore.Partitions, 4)
	for i := range stores {
		pool, err := sql.Open(db.Driver, db.DSN)
		require.NoError(t, err)
		t.Cleanup(func() { _ = pool.Close() })
		store, err := sqlstore.New(pool, db.Dialect, nil)
		require.NoError(t, err)
		stores[i], err = store.Partitions()
		require.NoError(t, err)
	}
	require.ErrorIs(t, stores[0].Migrate(ctx), audit.ErrSchema, "there is no table")
	store := migrated(t, db, nil)
	list, err := stores[0].List(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
	err = stores[0].Ahead(ctx, sampled, 1)
	require.ErrorIs(t, err, audit.ErrSchema)
	require.ErrorContains(t, err, "the events are in one plain table; call Partitions.Migrate")
	for _, months := range []int{-1, 121} {
		require.ErrorContains(t, stores[0].Ahead(ctx, sampled, months), "must be from 0 to 120")
	}
	require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))

	errs := make([]error, len(stores))
	var wg sync.WaitGroup
	for i, p := range stores {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = errors.Join(p.Migrate(ctx), p.Ahead(ctx, sampled, 2), store.Migrate(ctx))
		}()
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, "2024-05:1 2024-06:0 2024-07:0 default:0", partitionsOf(t, db, stores[0]))
	requireNothingBeside(t, db)
	requireStored(t, store, sample(1))
	require.NoError(t, store.VerifySchema(ctx))

	// What was there is left alone.
	var before, after string
	const sums = "SELECT string_agg(oid || ' ' || relname, ',' ORDER BY oid) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
	require.NoError(t, db.SQL().QueryRow(sums).Scan(&before))
	for range 2 {
		require.NoError(t, store.Migrate(ctx))
		require.NoError(t, stores[1].Migrate(ctx))
		require.NoError(t, stores[1].Ahead(ctx, sampled.AddDate(0, 0, 20), 2))
	}
	require.NoError(t, db.SQL().QueryRow(sums).Scan(&after))
	require.Equal(t, before, after)
	require.NoError(t, stores[1].Ahead(ctx, sampled.AddDate(0, 1, 0), 2))
	require.Equal(t, "2024-05:1 2024-06:0 2024-07:0 2024-08:0 default:0", partitionsOf(t, db, stores[0]))
}

func TestPartitionsMayHaveOtherNamesAndAnotherSchema(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, other := Open(t, "postgres"), Open(t, "postgres")
	cfg := &sqlstore.Config{Table: "Order_select_" + strings.Repeat("x", 27), Schema: other.Namespace}
	store, partitions := partitioned(t, db, cfg, sampled, 0)
	require.NoError(t, store.Append(ctx, []audit.Event{sample(1), at(sample(2), sampled.AddDate(0, 1, 0))}))
	require.Equal(t, "2024-05:1 default:1", partitionsOf(t, db, partitions))
	require.NoError(t, store.Protect(ctx))
	require.NoError(t, partitions.Ahead(ctx, sampled, 1))
	require.Equal(t, "2024-05:1 2024-06:1 default:0", partitionsOf(t, db, partitions))
	requireNothingBeside(t, other)
	requireStored(t, store, at(sample(2), sampled.AddDate(0, 1, 0)), sample(1))
	require.NoError(t, store.Migrate(ctx))
	beside := migrated(t, db, nil)
	requireStored(t, beside)
}

// at is an event at another time.
func at(e audit.Event, t time.Time) audit.Event {
	e.Time = t
	return e
}

// What an index over all partitions would refuse, and what is refused without one.
func TestAnIdIsUniqueInItsMonth(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, _ := partitioned(t, db, nil, sampled, 1)
	late := at(sample(1), sampled.AddDate(0, 1, 3))
	require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
	require.ErrorIs(t, store.Append(ctx, []audit.Event{sample(1)}), audit.ErrDuplicate)
	require.ErrorIs(t, store.Append(ctx, []audit.Event{at(sample(1), sampled)}), audit.ErrDuplicate, "at another time of the month")
	require.NoError(t, store.Append(ctx, []audit.Event{late}), "this is what is lost")
	requireStored(t, store, late, sample(1))
	err := store.Purge(ctx, audit.PurgeBatch{Workspace: "w1", From: sampled, To: sampled.AddDate(0, 1, 0), IDs: []uuid.UUID{sample(1).ID}})
	require.NoError(t, err, "the months of retention keep them apart")
	requireStored(t, store, late)
}

func TestWhatRefersToThePlainTableIsNamedAndNothingIsChanged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store := migrated(t, db, nil)
	require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
	partitions, err := store.Partitions()
	require.NoError(t, err)
	publication := "audit_test_" + db.Namespace[len(db.Namespace)-8:]
	for _, c := range []struct{ make, drop, want string }{
		{"CREATE VIEW latest AS SELECT * FROM audit_events", "DROP VIEW latest", "view latest"},
		{"CREATE TABLE notes (event uuid CONSTRAINT of_event REFERENCES audit_events)", "DROP TABLE notes", "foreign key of_event of notes"},
		{"CREATE UNIQUE INDEX once ON audit_events (change_set, entity_id)", "DROP INDEX once", "unique index once"},
		{"CREATE TABLE more () INHERITS (audit_events)", "DROP TABLE more", "inheritance"},
		{"ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY", "ALTER TABLE audit_events DISABLE ROW LEVEL SECURITY", "row security"},
		{"GRANT SELECT (time) ON audit_events TO PUBLIC", "REVOKE SELECT (time) ON audit_events FROM PUBLIC", `privileges on column "time"`},
		{"CREATE PUBLICATION " + publication + " FOR TABLE audit_events", "DROP PUBLICATION " + publication, "publication " + publication},
	} {
		_, err := db.SQL().Exec(c.make)
		require.NoError(t, err)
		err = partitions.Migrate(ctx)
		require.ErrorContains(t, err, "remove these from the events' table, and make them anew afterwards: "+c.want)
		_, err = db.SQL().Exec(c.drop)
		require.NoError(t, err)
	}
	list, err := partitions.List(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
	requireStored(t, store, sample(1))
	require.NoError(t, partitions.Migrate(ctx))
	require.Equal(t, "default:1", partitionsOf(t, db, partitions))
}
