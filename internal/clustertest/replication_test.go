//go:build linux

package clustertest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/sqlstore"
)

// What the document tells to run: on the primary, on the replica, and on the
// primary to learn how far the replica is.
const (
	publish   = "CREATE PUBLICATION audit FOR TABLE audit_events, audit_events_settings"
	subscribe = "CREATE SUBSCRIPTION audit CONNECTION 'host=primary dbname=app user=replicator' PUBLICATION audit"
	copied    = "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'"
	position  = "SELECT pg_current_wal_lsn()"
	arrived   = "SELECT confirmed_flush_lsn >= $1 FROM pg_replication_slots WHERE slot_name = 'audit'"
	lag       = "SELECT COALESCE(replay_lag, '0') FROM pg_stat_replication WHERE application_name = 'audit'"
)

// And if the events' table is to be partitioned though it is published already.
const (
	unpublish = "ALTER PUBLICATION audit DROP TABLE audit_events"
	identity  = "ALTER TABLE audit_events REPLICA IDENTITY FULL"
	asOne     = "ALTER PUBLICATION audit SET (publish_via_partition_root)"
	republish = "ALTER PUBLICATION audit ADD TABLE audit_events"
	refresh   = "ALTER SUBSCRIPTION audit REFRESH PUBLICATION"
)

// replicated is an application that writes to a primary, and a replica for its
// reports.
type replicated struct {
	primary, replica *side
	db               *gorm.DB
	rec              *audit.Recorder
	oracle           *dbtest.Oracle
}

// side is one of the two servers.
type side struct {
	server *dbtest.OwnServer
	pool   *sql.DB
	store  *sqlstore.Store
}

func newSide(t *testing.T, options ...string) *side {
	t.Helper()
	s := &side{server: dbtest.NewOwnServer(t, "postgres", options...)}
	s.server.Install(t)
	s.server.Start(t)
	s.pool = s.server.Open(t).SQL()
	var err error
	s.store, err = sqlstore.New(s.pool, sqlstore.Postgres, nil)
	require.NoError(t, err)
	require.NoError(t, s.store.Migrate(t.Context()))
	return s
}

func (s *side) exec(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		_, err := s.pool.ExecContext(t.Context(), text)
		require.NoError(t, err, text)
	}
}

// newReplicated starts both, with some events that are older than the replication.
func newReplicated(t *testing.T) *replicated {
	t.Helper()
	if err := dbtest.FindOwnServer("postgres"); err != nil {
		dbtest.Missing(t, "replication", err)
	}
	r := &replicated{
		primary: newSide(t, "-c", "wal_level=logical", "-c", "deadlock_timeout=20ms"),
		replica: newSide(t, "-c", "wal_retrieve_retry_interval=100ms"),
	}
	var err error
	r.db, err = gorm.Open(postgres.New(postgres.Config{Conn: r.primary.pool}), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	require.NoError(t, r.db.AutoMigrate(&Project{}))
	r.oracle, err = dbtest.InstallOracle(t.Context(), r.db, dbtest.Watch{Model: &Project{}, Type: audit.TypeProject})
	require.NoError(t, err)
	r.rec, err = audit.New(r.primary.store, nil)
	require.NoError(t, err)
	require.NoError(t, r.db.Use(hooks.New(r.rec, hooks.Model[Project](audit.TypeProject))))
	r.db = r.db.WithContext(audit.WithActor(context.Background(), jo))
	require.NoError(t, r.db.Create([]*Project{{ID: "hot0"}, {ID: "hot1"}, {ID: "p1", Name: "Gemini"}}).Error)

	r.primary.exec(t, publish)
	r.replica.exec(t, strings.Replace(subscribe, "host=primary dbname=app user=replicator", r.primary.server.DSN("ours"), 1))
	return r
}

// wait returns when the replica has what the primary has.
func (r *replicated) wait(t *testing.T) {
	t.Helper()
	var lsn string
	require.NoError(t, r.primary.pool.QueryRowContext(t.Context(), position).Scan(&lsn))
	eventually(t, "the replica has it all", func() bool {
		var all, there bool
		return r.replica.pool.QueryRowContext(t.Context(), copied).Scan(&all) == nil && all &&
			r.primary.pool.QueryRowContext(t.Context(), arrived, lsn).Scan(&there) == nil && there
	})
}

// listed are all events of a store, newest first.
func listed(t *testing.T, store audit.Store) (events []audit.Event) {
	t.Helper()
	for e, err := range audit.Query(t.Context(), store, audit.Filter{Workspace: audit.DefaultWorkspace}) {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

// requireSame proves that the replica has the same events in the same order, be
// they read at once or by pages.
func (r *replicated) requireSame(t *testing.T) {
	t.Helper()
	r.wait(t)
	want := listed(t, r.primary.store)
	require.Equal(t, want, listed(t, r.replica.store))
	var pages []audit.Event
	for at := (audit.Cursor{}); ; {
		page, err := audit.QueryPage(t.Context(), r.replica.store, audit.Filter{Workspace: audit.DefaultWorkspace}, at, 7)
		require.NoError(t, err)
		pages = append(pages, page.Events...)
		if at = page.Next; !page.More() {
			break
		}
	}
	require.Equal(t, want, pages)
}

// TestReplication reads reports from a replica, which has nothing but the log.
func TestReplication(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	// Each of the following goes on with what the former one has left.
	for _, part := range []struct {
		name string
		test func(t *testing.T, r *replicated)
	}{
		{"events arrive whole, though the replica is killed", testArrival},
		{"a late commit shows behind what is there already", testLate},
		{"reports are read from the replica and exports are recorded on the primary", testReports},
		{"nobody but the replication writes to the replica", testGuarded},
		{"what retention deletes is deleted on the replica", testForgotten},
		{"a log in partitions is replicated to one table", testPartitioned},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, r) }) {
			return
		}
	}
}

// testArrival kills the replica while four write to the primary.
func testArrival(t *testing.T, r *replicated) {
	r.requireSame(t)
	var all errgroup.Group
	var done atomic.Int64
	enough, killed := make(chan struct{}), make(chan struct{})
	for w := range 4 {
		all.Go(func() error {
			for i, left := 0, 10; left > 0; i++ {
				err := r.db.Transaction(func(tx *gorm.DB) error { return write(tx, w, i) })
				if err != nil && !strings.Contains(err.Error(), "40P01") { // a deadlock, which leaves nothing
					return err
				}
				if done.Add(1) == 20 {
					close(enough)
				}
				select {
				case <-killed:
					left--
				default:
				}
			}
			return nil
		})
	}
	<-enough
	r.wait(t) // what follows meets a replica that has begun
	r.replica.server.Kill()
	close(killed)
	require.NoError(t, all.Wait())
	r.replica.server.Start(t)
	r.requireSame(t)

	truth, err := r.oracle.Read(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(truth), 50)
	require.Empty(t, r.oracle.Compare(truth, listed(t, r.replica.store)))
	var behind string
	require.NoError(t, r.primary.pool.QueryRowContext(t.Context(), lag).Scan(&behind))
}

// testLate has a change committed after another one that began later. Its event
// has the time at which it was written.
func testLate(t *testing.T, r *replicated) {
	late := r.db.Begin()
	require.NoError(t, late.Error)
	require.NoError(t, late.Model(&Project{ID: "p1"}).Update("name", "late").Error)
	require.NoError(t, r.db.Model(&Project{ID: "hot0"}).Update("name", "soon").Error)
	r.requireSame(t)
	require.Equal(t, "soon", listed(t, r.replica.store)[0].Entity.Label)
	require.NoError(t, late.Commit().Error)
	r.requireSame(t)
	require.Equal(t, "late", listed(t, r.replica.store)[1].Entity.Label)
}

// jo is who does what is done.
var jo = audit.Actor{ID: "17", Name: "Jo"}

// reporter gives a role that may only read to the replica, and returns the store
// of a program that has it.
func (r *replicated) reporter(t *testing.T) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	grants, err := sqlstore.Grants(sqlstore.Postgres, nil, sqlstore.Roles{Reader: "reporter"})
	require.NoError(t, err)
	r.replica.exec(t, "DO $$ BEGIN IF to_regrole('reporter') IS NULL THEN CREATE ROLE reporter LOGIN; END IF; END $$")
	r.replica.exec(t, grants...)
	dsn, err := url.Parse(r.replica.server.DSN("ours"))
	require.NoError(t, err)
	dsn.User = url.User("reporter")
	pool, err := sql.Open("pgx", dsn.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	store, err := sqlstore.New(pool, sqlstore.Postgres, nil)
	require.NoError(t, err)
	return store, pool
}

func testReports(t *testing.T, r *replicated) {
	replica, _ := r.reporter(t)
	settings, err := r.primary.store.Settings(nil)
	require.NoError(t, err)
	options := report.Options{
		Authorize: func(*http.Request) (report.Scope, error) {
			return report.Scope{Workspace: audit.DefaultWorkspace, Actor: jo, Read: true, Export: true, Administer: true}, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	}
	get := func(path string) *httptest.ResponseRecorder {
		page, err := report.NewHandler(replica, &options)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	require.Contains(t, get("/?text=late").Body.String(), "Gemini")
	refused := get("/export?format=csv&text=late")
	require.Equal(t, http.StatusInternalServerError, refused.Code, "the replica takes no event of the export")
	require.NotContains(t, refused.Body.String(), "Gemini")

	options.Recorder, options.Settings = r.rec, settings // both write to the primary
	export := get("/export?format=csv&text=late")
	require.Equal(t, http.StatusOK, export.Code)
	require.Contains(t, export.Body.String(), "Gemini")
	require.Equal(t, http.StatusOK, get("/settings").Code)
	r.requireSame(t)
	require.Equal(t, audit.Exported, listed(t, replica)[0].Operation)

	require.NoError(t, settings.Set(t.Context(), audit.DefaultWorkspace, func(s *sqlstore.Switches) { s.Enabled = true }))
	r.requireSame(t)
	there, err := r.replica.store.Settings(nil)
	require.NoError(t, err)
	switches, err := there.Get(t.Context(), audit.DefaultWorkspace)
	require.NoError(t, err)
	require.True(t, switches.Enabled)
}

func testGuarded(t *testing.T, r *replicated) {
	require.NoError(t, r.replica.store.Protect(t.Context()))
	store, pool := r.reporter(t)
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.ErrorContains(t, rec.Record(t.Context(), audit.Event{Workspace: "w", Operation: "x", Entity: audit.Entity{Type: "x", ID: "1"}}), "42501")
	for _, by := range []*sql.DB{pool, r.replica.pool} {
		for _, text := range []string{"DELETE FROM audit_events", "UPDATE audit_events SET reason = 'x'", "TRUNCATE audit_events"} {
			_, err := by.ExecContext(t.Context(), text)
			require.ErrorContains(t, err, "42501", text)
		}
	}
	// Hooks want a store of the server that they write to.
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: r.primary.pool}), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	there, err := audit.New(r.replica.store, nil)
	require.NoError(t, err)
	require.ErrorContains(t, db.Use(hooks.New(there, hooks.Model[Project](audit.TypeProject))), "another database")
	r.requireSame(t)
}

// old records events as they were so long ago.
func (r *replicated) old(t *testing.T, n, days int) {
	t.Helper()
	at := time.Now().AddDate(0, 0, -days)
	rec, err := audit.New(r.primary.store, &audit.Config{Now: func() time.Time { return at }})
	require.NoError(t, err)
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = audit.Event{Operation: "approved", Entity: audit.Entity{Type: audit.TypeProject, ID: fmt.Sprint(i)}}
	}
	require.NoError(t, rec.Record(t.Context(), events...))
}

// purge has a keeper delete from the primary what has expired.
func (r *replicated) purge(t *testing.T, cfg *retention.Config) retention.Result {
	t.Helper()
	keeper, err := retention.New(r.rec, cfg)
	require.NoError(t, err)
	result, err := keeper.Purge(t.Context())
	require.NoError(t, err)
	return result
}

func testForgotten(t *testing.T, r *replicated) {
	require.NoError(t, r.primary.store.Protect(t.Context()))
	r.old(t, 30, 400)
	r.requireSame(t)
	n := len(listed(t, r.replica.store))
	require.Equal(t, 30, r.purge(t, nil).Events)
	r.requireSame(t)
	left := listed(t, r.replica.store)
	require.Less(t, len(left), n)
	require.Equal(t, audit.Purged, left[0].Operation)
}

// testPartitioned makes partitions of the primary's table, which is published
// already, and keeps the replica's as it is.
func testPartitioned(t *testing.T, r *replicated) {
	partitions, err := r.primary.store.Partitions()
	require.NoError(t, err)
	require.ErrorContains(t, partitions.Migrate(t.Context()), "publication audit")
	r.primary.exec(t, unpublish)
	r.replica.exec(t, refresh)
	require.NoError(t, partitions.Migrate(t.Context()))
	r.primary.exec(t, identity, asOne, republish)
	require.NoError(t, r.replica.store.Unprotect(t.Context()))
	r.replica.exec(t, "TRUNCATE audit_events", refresh)
	require.NoError(t, r.replica.store.Protect(t.Context()))
	r.requireSame(t)

	r.old(t, 30, 400)
	require.NoError(t, partitions.Ahead(t.Context(), time.Now(), 1))
	require.NoError(t, r.db.Model(&Project{ID: "p1"}).Update("name", "in a partition").Error)
	r.requireSame(t)
	var partitioned, full int
	require.NoError(t, r.primary.pool.QueryRowContext(t.Context(), `SELECT count(*), count(*) FILTER (WHERE relreplident = 'f')
		FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'audit_events'::regclass AND relkind = 'r'`).Scan(&partitioned, &full))
	require.GreaterOrEqual(t, partitioned, 3)
	require.Zero(t, full, "a deleted row is told by its id, not by all of its columns")

	held := &retention.Config{Policy: retention.Policy{Holds: []audit.Filter{{Entities: []audit.Entity{{Type: audit.TypeProject, ID: "1"}}}}}}
	result := r.purge(t, held)
	require.Equal(t, 29, result.Events)
	require.Empty(t, result.Dropped, "the month holds an event that is kept")
	r.requireSame(t)

	result = r.purge(t, nil)
	require.Len(t, result.Dropped, 1)
	r.wait(t)
	require.Len(t, listed(t, r.replica.store), len(listed(t, r.primary.store))+1, "nobody tells the replica of a table that is dropped")
	require.NoError(t, forget(t.Context(), r.replica.pool, r.replica.store, result.Dropped))
	r.requireSame(t)
}

// forget deletes from the replica the months that a purge of the primary has dropped.
func forget(ctx context.Context, pool *sql.DB, replica *sqlstore.Store, months []time.Time) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	err = replica.AllowDeletes(ctx, tx, func() error {
		for _, month := range months {
			if _, err := tx.ExecContext(ctx, "DELETE FROM audit_events WHERE time >= $1 AND time < $2",
				month.UnixMicro(), month.AddDate(0, 1, 0).UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Commit()
}
