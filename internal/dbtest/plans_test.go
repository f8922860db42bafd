package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// planRows is how the database answers a query: EXPLAIN's table.
func planRows(t *testing.T, db *Database, text string, args ...any) [][]string {
	t.Helper()
	how := map[string]string{"sqlite": "EXPLAIN QUERY PLAN ", "postgres": "EXPLAIN (COSTS OFF) ", "mysql": "EXPLAIN "}[db.Name]
	rows, err := db.SQL().Query(how+text, args...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var table [][]string
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		dest := make([]any, len(columns))
		for i := range cells {
			dest[i] = &cells[i]
		}
		require.NoError(t, rows.Scan(dest...))
		line := make([]string, len(columns))
		for i, c := range cells {
			line[i] = c.String
		}
		table = append(table, line)
	}
	require.NoError(t, rows.Err())
	return table
}

// plan is the same as one text, row by row.
func plan(t *testing.T, db *Database, text string, args ...any) string {
	t.Helper()
	var b strings.Builder
	for _, line := range planRows(t, db, text, args...) {
		b.WriteString(strings.Join(line, " ") + " \n")
	}
	return b.String()
}

// planned is a question that reports ask, and the index that answers it.
type planned struct {
	name  string
	f     audit.Filter
	after audit.Position
	// index is the one that is used, parts times, and bound what of it is on
	// SQLite.
	index, bound string
	parts        int
}

// second is a time, counted from the first event.
func second(n int) time.Time { return sample(0).Time.Add(time.Duration(n) * time.Second) }

func plannedQuestions() []planned {
	page := audit.Position{Time: second(17000), ID: uuid.UUID{0: 1, 15: 7}}
	from, to := second(500), second(19000)
	var five []audit.Actor
	for i := range 5 {
		five = append(five, audit.Actor{ID: fmt.Sprint(2 * i)})
	}
	project := audit.Entity{Type: audit.TypeProject, ID: "p2"}
	updated := []audit.Action{{Type: audit.TypeProject, Operation: audit.Updated}, {Operation: audit.Deleted}}
	return []planned{
		{"a plain report", audit.Filter{}, audit.Position{}, "time", "workspace=?", 1},
		{"a report of some days", audit.Filter{From: from, To: to}, audit.Position{}, "time", "workspace=? AND time>? AND time<?", 1},
		{"its next page", audit.Filter{From: from, To: to}, page, "time", "workspace=? AND time>? AND (time,id)<(?,?)", 1},
		{"a report of types", audit.Filter{Types: []audit.EntityType{audit.TypeProject}}, page, "time", "workspace=? AND (time,id)<(?,?)", 1},
		{"a report of actions", audit.Filter{Actions: updated, From: from}, page, "time", "workspace=? AND time>? AND (time,id)<(?,?)", 1},
		{"a report of a text in labels", audit.Filter{Text: "apollo", From: from, To: to}, audit.Position{}, "time", "workspace=? AND time>? AND time<?", 1},
		{"a report of one author", audit.Filter{Actors: five[:1], From: from}, page, "actor", "workspace=? AND actor_kind=? AND actor_id=? AND time>? AND (time,id)<(?,?)", 1},
		{"a report of actions and authors", audit.Filter{Actors: five, Actions: updated, From: from, To: to}, audit.Position{}, "actor", "workspace=? AND actor_kind=? AND actor_id=? AND time>? AND time<?", 5},
		{"its next page", audit.Filter{Actors: five, Actions: updated, From: from, To: to}, page, "actor", "workspace=? AND actor_kind=? AND actor_id=? AND time>? AND (time,id)<(?,?)", 5},
		{"a record's history", audit.Filter{Entities: []audit.Entity{project}}, audit.Position{}, "entity", "workspace=? AND entity_type=? AND entity_id=?", 1},
		{"its next page", audit.Filter{Entities: []audit.Entity{project}}, page, "entity", "workspace=? AND entity_type=? AND entity_id=? AND (time,id)<(?,?)", 1},
	}
}

// statement is what the store asks the database.
func (p planned) statement(t *testing.T, db *Database) *spy {
	t.Helper()
	f := p.f
	f.Workspace = "w1"
	s := &spy{DBTX: db.SQL()}
	_, err := migrated(t, db, nil).ListTx(context.Background(), s, f, p.after, 51)
	require.NoError(t, err)
	return s
}

// manyEvents are enough of them for a planner to care: of two workspaces, and
// of ten authors and records each.
func manyEvents() []audit.Event {
	events := make([]audit.Event, 20_000)
	for i := range events {
		e := sample(0)
		e.ID = uuid.UUID{0: 1, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
		e.Time = second(i)
		e.Workspace = fmt.Sprintf("w%d", 1+i%2)
		e.Actor = audit.Actor{Kind: audit.KindUser, ID: fmt.Sprint(i % 20), Name: "Jo"}
		e.Entity.ID = fmt.Sprintf("p%d", i*7%20)
		events[i] = e
	}
	return events
}

func TestReportsAreReadFromAnIndexInOrder(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		db := Open(t, "sqlite") // empty, and never analyzed, as many are
		for _, p := range plannedQuestions() {
			t.Run(p.name, func(t *testing.T) {
				s := p.statement(t, db)
				how := plan(t, db, s.text, s.args...)
				search := "SEARCH audit_events USING INDEX audit_events_" + p.index + " (" + p.bound + ")"
				require.Equal(t, p.parts, strings.Count(how, search), how)
				require.Equal(t, p.parts, strings.Count(how, "SEARCH"), how)
				require.Equal(t, p.parts-1, strings.Count(how, "MERGE (UNION ALL)"), how)
				require.NotRegexp(t, "SCAN|TEMP B-TREE", how)
			})
		}
	})
	t.Run("postgres", func(t *testing.T) {
		db := Open(t, "postgres")
		require.NoError(t, migrated(t, db, nil).Append(context.Background(), manyEvents()))
		_, err := db.SQL().Exec("VACUUM ANALYZE audit_events")
		require.NoError(t, err)
		sorts := regexp.MustCompile(`(?m)^ *(-> +)?(Incremental )?Sort *$`)
		for _, p := range plannedQuestions() {
			t.Run(p.name, func(t *testing.T) {
				s := p.statement(t, db)
				how := plan(t, db, s.text, s.args...)
				require.Equal(t, p.parts, strings.Count(how, "Index Scan Backward using audit_events_"+p.index+" on "), how)
				require.NotRegexp(t, sorts, how)
				require.NotRegexp(t, "Seq Scan|Bitmap", how)
			})
		}
	})
	t.Run("mysql", func(t *testing.T) {
		db := Open(t, "mysql")
		require.NoError(t, migrated(t, db, nil).Append(context.Background(), manyEvents()))
		_, err := db.SQL().Exec("ANALYZE TABLE audit_events")
		require.NoError(t, err)
		const table, access, key, extra = 2, 3, 5, 9 // columns
		for _, p := range plannedQuestions() {
			t.Run(p.name, func(t *testing.T) {
				s := p.statement(t, db)
				parts := 0
				for _, line := range planRows(t, db, s.text, s.args...) {
					if line[table] != "audit_events" {
						require.Regexp(t, "^<union", line[table], line) // the pages of the parts are sorted
						continue
					}
					parts++
					require.Equal(t, "audit_events_"+p.index, line[key], line)
					want := "^(ref|range)$"
					if strings.Contains(s.text, " AND time ") { // by which a ref would look at each event
						want = "^range$"
					}
					require.Regexp(t, want, line[access], line)
					require.NotRegexp(t, "filesort|temporary", line[extra], line)
				}
				require.Equal(t, p.parts, parts)
			})
		}
	})
}

// A plan that is kept was often made while the table was empty and nothing was known
// of it. It must not read a workspace from beginning to end for each write later on.
func TestAPlanThatIsKeptFindsTheNewestEventOfARecord(t *testing.T) {
	for _, partitioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("partitioned %t", partitioned), func(t *testing.T) {
			ctx := context.Background()
			db := Open(t, "postgres")
			store := migrated(t, db, nil)
			if partitioned {
				partitions, err := store.Partitions()
				require.NoError(t, err)
				require.NoError(t, partitions.Migrate(ctx))
				require.NoError(t, partitions.Ahead(ctx, time.Now(), 1))
			}
			conn, err := db.SQL().Conn(ctx)
			require.NoError(t, err)
			defer conn.Close()
			for _, statement := range []string{
				"SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off",
				"PREPARE newer (text, text, text, bigint) AS SELECT " + store.ComposeNewer("$1", "$2", "$3", "$4"),
			} {
				_, err := conn.ExecContext(ctx, statement)
				require.NoError(t, err)
			}
			rows, err := conn.QueryContext(ctx, "EXPLAIN (COSTS OFF) EXECUTE newer ('w1', 'project', '7', 1)")
			require.NoError(t, err)
			defer rows.Close()
			scans := 0
			for rows.Next() {
				var line string
				require.NoError(t, rows.Scan(&line))
				if _, condition, found := strings.Cut(line, "Index Cond: "); found {
					scans++
					require.Equal(t, `((workspace = $1) AND (entity_type = $2) AND (entity_id = $3) AND ("time" >= $4))`, condition)
				}
			}
			require.NoError(t, rows.Err())
			require.Equal(t, map[bool]int{false: 1, true: 3}[partitioned], scans)
		})
	}
}
