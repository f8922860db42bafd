package dbtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

// What records itself in one statement, and what does not, is recorded in partitions as
// it is elsewhere.
func TestHooksWriteToPartitions(t *testing.T) {
	t.Parallel()
	var partitions *sqlstore.Partitions
	r := newRig(t, Open(t, "postgres"), func(t *testing.T, database *Database) audit.Store {
		var store *sqlstore.Store
		store, partitions = partitioned(t, database, nil, newClock().Now(), 1)
		return store
	}, nil)
	for _, s := range scenariosNamed() {
		r.expected(t, s)
	}
	require.True(t, strings.HasSuffix(partitionsOf(t, r.database, partitions), " 2026-05:0 default:0"))
}

// Triggers that were there before the table was partitioned, and those that came after,
// write to the partitions and refuse what would be told twice.
func TestTriggersWriteToPartitions(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprintf("made before %t", before), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			o := newOutside(t, nil)
			partitions, err := o.store.Partitions()
			require.NoError(t, err)
			if !before {
				require.NoError(t, o.triggers.Uninstall(ctx))
			}
			require.NoError(t, partitions.Migrate(ctx))
			require.NoError(t, partitions.Ahead(ctx, time.Now(), 0))
			if !before {
				require.NoError(t, o.triggers.Install(ctx))
			}
			require.NoError(t, o.triggers.Verify(ctx))
			require.NoError(t, partitions.Ahead(ctx, time.Now(), 1))
			require.NoError(t, o.triggers.Verify(ctx))
			events := o.written(t, "w1", func() { o.exec(t, insertWord) })
			require.Len(t, events, 1)
			require.Equal(t, audit.Created, events[0].Operation)
			require.Equal(t, "x1", events[0].Entity.ID)
			require.Contains(t, partitionsOf(t, o.database, partitions), ":1 ")

			tx, err := o.database.SQL().Begin()
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			run(t, tx, "UPDATE words SET name = 'b'")
			twice := events[0]
			twice.ID = uuid.New()
			require.ErrorContains(t, o.store.AppendTx(ctx, tx, []audit.Event{twice}), "are recorded by triggers, and by the application too")
			require.NoError(t, tx.Rollback())
			require.NoError(t, o.triggers.Uninstall(ctx))
			require.NoError(t, partitions.Ahead(ctx, time.Now(), 2))
		})
	}
}

// Who has rights on the log has none on its partitions, whatever is granted on new
// tables.
func TestRolesHaveTheirRightsOnTheWholeLogAlone(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("granted before %t", first), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			db := Open(t, "postgres")
			_, err := db.SQL().Exec("ALTER DEFAULT PRIVILEGES IN SCHEMA " + db.Namespace + " GRANT ALL ON TABLES TO PUBLIC")
			require.NoError(t, err)
			store := migrated(t, db, nil)
			partitions, err := store.Partitions()
			require.NoError(t, err)
			split := func() {
				require.NoError(t, partitions.Migrate(ctx))
				require.NoError(t, partitions.Ahead(ctx, sampled, 1))
			}
			if !first {
				split()
			}
			r := granted(t, db, nil)
			application, purger, reader := storeAs(t, r.application, nil), storeAs(t, r.purger, nil), storeAs(t, r.reader, nil)
			require.NoError(t, application.Append(ctx, []audit.Event{sample(1), at(sample(2), sampled.AddDate(0, 2, 0))}))
			if first {
				split()
			}
			require.NoError(t, partitions.Ahead(ctx, sampled, 2))
			require.Equal(t, "2024-05:1 2024-06:0 2024-07:1 default:0", partitionsOf(t, db, partitions))
			require.NoError(t, application.VerifySchema(ctx))
			require.NoError(t, application.Append(ctx, []audit.Event{sample(3), at(sample(4), sampled.AddDate(0, 9, 0))}))
			requireStored(t, reader, at(sample(4), sampled.AddDate(0, 9, 0)), at(sample(2), sampled.AddDate(0, 2, 0)), sample(3), sample(1))
			list, err := partitions.List(ctx)
			require.NoError(t, err)
			tables := []string{"audit_events"}
			for _, p := range list {
				tables = append(tables, p.Name)
			}
			for i, table := range tables {
				for _, as := range []*Database{r.application, r.purger, r.reader} {
					requireDenied(t, as, "UPDATE "+table+" SET actor_id = 'x'")
					requireDenied(t, as, "TRUNCATE TABLE "+table)
					if as != r.purger || i > 0 {
						requireDenied(t, as, "DELETE FROM "+table)
					}
					if i > 0 {
						requireDenied(t, as, "SELECT FROM "+table)
					}
				}
			}
			b := audit.PurgeBatch{Workspace: "w1", To: sampled.AddDate(0, 1, 0), IDs: []uuid.UUID{sample(1).ID}, Tell: []audit.Event{sample(5)}}
			require.Error(t, application.Purge(ctx, b))
			require.Error(t, reader.Purge(ctx, b))
			require.NoError(t, purger.Purge(ctx, b))
		})
	}
}

// Partitions are insert-only as the whole is, also those that come later.
func TestPartitionsAreProtected(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, partitions := partitioned(t, db, nil, sampled, 0)
	require.NoError(t, store.Protect(ctx))
	require.NoError(t, store.Append(ctx, []audit.Event{sample(1), at(sample(2), sampled.AddDate(0, 1, 0)), at(sample(3), sampled.AddDate(1, 0, 0))}))
	require.NoError(t, partitions.Ahead(ctx, sampled, 1))
	require.NoError(t, partitions.Ahead(ctx, sampled, 2))
	require.Equal(t, "2024-05:1 2024-06:1 2024-07:0 default:1", partitionsOf(t, db, partitions))
	each := func(check func(table string)) {
		check("audit_events")
		list, err := partitions.List(ctx)
		require.NoError(t, err)
		for _, p := range list {
			check(p.Name)
		}
	}
	each(func(table string) {
		for _, statement := range []string{"DELETE FROM " + table, "TRUNCATE " + table, "UPDATE " + table + " SET actor_id = 'x'"} {
			_, err := db.SQL().Exec(statement)
			require.ErrorContains(t, err, "audit: events in audit_events are ", statement)
		}
	})
	b := audit.PurgeBatch{Workspace: "w1", To: sampled.AddDate(0, 1, 0), IDs: []uuid.UUID{sample(1).ID}}
	require.NoError(t, store.Purge(ctx, b))
	require.NoError(t, store.Unprotect(ctx))
	each(func(table string) {
		_, err := db.SQL().Exec("DELETE FROM " + table)
		require.NoError(t, err)
	})
	require.NoError(t, partitions.Ahead(ctx, sampled, 3), "what is not protected is not made so")
	_, err := db.SQL().Exec("TRUNCATE audit_events")
	require.NoError(t, err)
}

// explained is the plan of a report, which reads so many events at most.
func explained(t *testing.T, db *Database, store *sqlstore.Store, f audit.Filter, after audit.Position) string {
	t.Helper()
	f.Workspace = "w1"
	s := &spy{DBTX: db.SQL()}
	_, err := store.ListTx(context.Background(), s, f, after, 50)
	require.NoError(t, err)
	return plan(t, db, s.text, s.args...)
}

func TestReportsLookIntoThePartitionsOfTheirTimes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, partitions := partitioned(t, db, nil, sampled.AddDate(0, -8, 0), 8)
	var events []audit.Event
	for i := range 6000 {
		e := at(sample(i), sampled.AddDate(0, -i%9, 0).Add(time.Duration(i)*time.Minute))
		e.ID = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i))
		e.Actor.ID, e.Entity.ID = fmt.Sprint(i%20), fmt.Sprintf("p%d", i%300)
		e.ChangeSet, e.Cause = e.ID, e.ID
		events = append(events, e)
	}
	require.NoError(t, store.Append(ctx, events))
	_, err := db.SQL().Exec("VACUUM ANALYZE audit_events")
	require.NoError(t, err)
	shape := partitionsOf(t, db, partitions)
	require.True(t, strings.HasSuffix(shape, " default:0"), shape)
	march := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	mid := audit.Position{Time: march.AddDate(0, 0, 3), ID: uuid.Max}
	days := audit.Filter{From: march, To: march.AddDate(0, 0, 20)}
	of := func(f, more audit.Filter) audit.Filter {
		more.From, more.To = f.From, f.To
		return more
	}
	const sort, read = "->  Sort", "Seq Scan on audit_events_p"
	record := audit.Filter{Entities: []audit.Entity{{Type: audit.TypeProject, ID: "p7"}}}
	author := audit.Filter{Actors: []audit.Actor{{ID: "7"}}}
	for name, c := range map[string]struct {
		f       audit.Filter
		after   audit.Position
		within  string // the only partitions, if it says so
		without string // what the plan lacks
	}{
		"a report of some days":              {days, audit.Position{}, "p2024_03", sort},
		"a report of 30 days":                {audit.Filter{From: march.AddDate(0, 0, 10), To: march.AddDate(0, 0, 40)}, audit.Position{}, "p2024_03 p2024_04", sort},
		"its next page":                      {days, mid, "", sort},
		"a record's history of some days":    {of(days, record), audit.Position{}, "p2024_03", read},
		"one author of some days":            {of(days, author), audit.Position{}, "p2024_03", read},
		"a plain report":                     {audit.Filter{}, audit.Position{}, "", sort},
		"its page from a time on":            {audit.Filter{}, mid, "", sort},
		"a record's history":                 {record, audit.Position{}, "", read},
		"one author":                         {author, audit.Position{}, "", read},
		"one event":                          {audit.Filter{IDs: []uuid.UUID{events[7].ID}}, audit.Position{}, "", read},
		"what else happened in a change set": {audit.Filter{ChangeSets: []uuid.UUID{events[7].ID}}, audit.Position{}, "", read},
		"what an event led to":               {audit.Filter{Causes: []uuid.UUID{events[7].ID}}, audit.Position{}, "", read},
	} {
		t.Run(name, func(t *testing.T) {
			how := explained(t, db, store, c.f, c.after)
			require.NotContains(t, how, c.without)
			if c.within == "" {
				return
			}
			list, err := partitions.List(ctx)
			require.NoError(t, err)
			for _, p := range list {
				_, suffix, _ := strings.Cut(p.Name, "audit_events_")
				require.Equal(t, strings.Contains(c.within, suffix), strings.Contains(how, "on audit_events_"+suffix), "%s: %s", suffix, how)
			}
		})
	}
}

func TestTheListOfAuthorsGoesThroughTheIndexesOfPartitions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	watched, tap := tapInto(t, Open(t, "postgres"))
	store, _ := partitioned(t, watched, nil, sampled.AddDate(0, -2, 0), 2)
	events := byManyAuthors(3000, 20)
	for i := range events {
		events[i].Time = sampled.AddDate(0, -i%3, 0).Add(time.Duration(i) * time.Minute)
	}
	require.NoError(t, store.Append(ctx, events))
	_, err := watched.SQL().Exec("VACUUM ANALYZE audit_events")
	require.NoError(t, err)
	var actors []audit.Actor
	statements := tap.during(t, func() (err error) {
		actors, err = store.ListActors(ctx, "w1", 100)
		return err
	}, "SELECT", "WITH")
	require.Len(t, actors, 21)
	require.Len(t, statements, 1)
	how := plan(t, watched, statements[0], slices.Repeat([]any{"w1"}, strings.Count(statements[0], "workspace = "))...)
	require.NotContains(t, how, "->  Sort")
	next := "Index Cond: ((workspace = 'w1'::text) AND (ROW(actor_kind, actor_id) < ROW(a.actor_kind, a.actor_id)))"
	require.Equal(t, 4, strings.Count(how, next), how) // three months and the default partition
}

// A later version of the tables is made of partitioned ones as of plain ones.
func TestPartitionedTablesAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, partitions := partitioned(t, db, nil, sampled, 1)
	require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
	run(t, db.SQL(), "DROP INDEX audit_events_time", "DELETE FROM audit_events_schema")
	require.ErrorIs(t, store.VerifySchema(ctx), audit.ErrSchema)
	require.NoError(t, store.Migrate(ctx))
	require.NoError(t, store.VerifySchema(ctx))
	require.NoError(t, partitions.Ahead(ctx, sampled, 2))
	var n int
	require.NoError(t, db.SQL().QueryRow("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events_time'::regclass").Scan(&n))
	require.Equal(t, 4, n, "each partition has it")
	requireStored(t, store, sample(1))
}

// The tables beside the events are not concerned.
func TestSettingsAndExportsAreBesideThePartitions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := Open(t, "postgres")
	store, _ := partitioned(t, db, nil, sampled, 0)
	settings := settingsOn(t, store, newSteppedClock())
	require.NoError(t, settings.Set(ctx, "w1", func(s *sqlstore.Switches) { s.Enabled = true }))
	got, err := settings.Get(ctx, "w1")
	require.NoError(t, err)
	require.True(t, got.Enabled)
	same, err := store.SameDatabase(ctx, db.SQL())
	require.NoError(t, err)
	require.True(t, same)
}
