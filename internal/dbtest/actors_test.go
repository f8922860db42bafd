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

// byManyAuthors are n events: two thirds by System, the others by so many users.
func byManyAuthors(n, users int) []audit.Event {
	events := make([]audit.Event, n)
	for i := range events {
		e := sample(1)
		e.ID = uuid.UUID{0: 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
		e.Time = e.Time.Add(time.Duration(i) * time.Second)
		e.Entity.ID = fmt.Sprintf("p%d", i%1000)
		e.Actor = audit.System
		if i%3 == 0 {
			e.Actor = audit.Actor{Kind: audit.KindUser, ID: fmt.Sprint(i / 3 % users), Name: fmt.Sprintf("Jo %d", i)}
		}
		events[i] = e
	}
	return events
}

func TestTheListOfAuthorsGoesFromOneToTheNextInAnIndex(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		watched, tap := tapInto(t, db)
		store := migrated(t, watched, nil)
		require.NoError(t, store.Append(context.Background(), byManyAuthors(3000, 20)))
		if db.Name == "postgres" {
			_, err := db.SQL().Exec("VACUUM ANALYZE audit_events")
			require.NoError(t, err)
		}
		var actors []audit.Actor
		statements := tap.during(t, func() (err error) {
			actors, err = store.ListActors(context.Background(), "w1", 100)
			return err
		}, "SELECT", "WITH")
		require.Len(t, actors, 21)
		require.Len(t, statements, 1)
		args := slices.Repeat([]any{"w1"}, strings.Count(statements[0], "workspace = ")+strings.Count(statements[0], "CAST(?"))
		how := plan(t, db, statements[0], args...)
		switch db.Name {
		case "sqlite":
			require.Contains(t, how, "SEARCH e USING COVERING INDEX audit_events_actor (workspace=? AND actor_kind=? AND actor_id<?)")
			require.Contains(t, how, "SEARCH e USING COVERING INDEX audit_events_actor (workspace=? AND actor_kind<?)")
			require.NotContains(t, how, "TEMP B-TREE")
		case "postgres":
			require.Contains(t, how, "Index Scan Backward using audit_events_actor on audit_events e")
			require.Contains(t, how, "Index Cond: ((workspace = 'w1'::text) AND (ROW(actor_kind, actor_id) < ROW(a.actor_kind, a.actor_id)))")
			require.NotContains(t, how, "Sort")
		default:
			require.Contains(t, how, "Using index for group-by")
			require.Regexp(t, `DEPENDENT SUBQUERY e ref audit_events_actor \S+ \d+ const,a\.actor_kind,a\.actor_id \d+ Using where \n`, how, "and no filesort")
		}
	})
}

func TestTablesOfTheFirstVersionAreBroughtUpToDate(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		texts, err := sqlstore.Migrations(db.Dialect, nil)
		require.NoError(t, err)
		conn, err := db.SQL().Conn(ctx)
		require.NoError(t, err)
		for statement := range strings.SplitSeq(texts[0], ";\n") {
			if strings.TrimSpace(statement) != "" {
				_, err := conn.ExecContext(ctx, statement)
				require.NoError(t, err)
			}
		}
		require.NoError(t, conn.Close())
		store, err := sqlstore.New(db.SQL(), db.Dialect, nil)
		require.NoError(t, err)
		require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
		require.ErrorIs(t, store.VerifySchema(ctx), audit.ErrSchema)
		require.NoError(t, store.Migrate(ctx))
		require.NoError(t, store.VerifySchema(ctx))
		requireStored(t, store, sample(1))
		actors, err := store.ListActors(ctx, "w1", 10)
		require.NoError(t, err)
		require.Equal(t, []audit.Actor{sample(1).Actor}, actors)
	})
}

// A page about one event, one transaction or what an event led to reads those
// rows and no others.
func TestSingleEventsAndChangeSetsAreFoundByTheirIndexes(t *testing.T) {
	filters := map[string]audit.Filter{
		"id":         {IDs: []uuid.UUID{{0: 1, 15: 7}}},
		"cause":      {Causes: []uuid.UUID{{0: 9, 15: 7}}},
		"change_set": {ChangeSets: []uuid.UUID{{0: 8, 15: 7}}},
	}
	Each(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		events := byManyAuthors(3000, 20)
		for i := range events {
			events[i].Cause, events[i].ChangeSet = events[i].ID, events[i].ID
			events[i].Cause[0], events[i].ChangeSet[0] = 9, 8
		}
		if db.Name != "sqlite" { // whose planner does not look at the rows unless it is told to
			require.NoError(t, store.Append(context.Background(), events))
		}
		for _, analyze := range map[string][]string{"postgres": {"VACUUM ANALYZE audit_events"}, "mysql": {"ANALYZE TABLE audit_events"}}[db.Name] {
			_, err := db.SQL().Exec(analyze)
			require.NoError(t, err)
		}
		for name, f := range filters {
			f.Workspace = "w1"
			s := &spy{DBTX: db.SQL()}
			_, err := store.ListTx(context.Background(), s, f, audit.Position{}, 50)
			require.NoError(t, err)
			how := plan(t, db, s.text, s.args...)
			indexes := map[string][]string{
				"id":         {"sqlite_autoindex_audit_events_1", "audit_events_pkey", "PRIMARY"},
				"cause":      {"audit_events_cause"},
				"change_set": {"audit_events_change_set"},
			}[name]
			require.True(t, slices.ContainsFunc(indexes, func(i string) bool { return strings.Contains(how, i) }), "%s: %s", name, how)
		}
	})
}

// BenchmarkListActors lists 200 authors among ever more events.
func BenchmarkListActors(b *testing.B) {
	for _, n := range []int{3_000, 30_000, 300_000} {
		for _, name := range Names() {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				db := Open(b, name)
				store := migrated(b, db, nil)
				for part := range slices.Chunk(byManyAuthors(n, 200), 10_000) {
					require.NoError(b, store.Append(context.Background(), part))
				}
				for b.Loop() {
					actors, err := store.ListActors(context.Background(), "w1", 1000)
					require.NoError(b, err)
					require.Len(b, actors, 201)
				}
			})
		}
	}
}
