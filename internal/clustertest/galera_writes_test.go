//go:build linux

package clustertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// TestGalera writes through three nodes at once, which all have the same rows.
func TestGalera(t *testing.T) {
	t.Parallel()
	nodes := newCluster(t)
	nodes[0].server.Open(t)
	for _, n := range nodes {
		n.connect(t)
	}
	// Each of the following goes on with what the former one has left.
	for _, part := range []struct {
		name string
		test func(t *testing.T, nodes []*node)
	}{
		{"all nodes make the tables at once", testTables},
		{"what the server acknowledges is there as a whole", testPlain},
		{"a change that loses against another node leaves no event", testLost},
		{"a commit whose answer is lost is made once", testOnce},
		{"of two purges of the same events one wins", testPurges},
		{"a store on another node than the rows' is refused", testRefused},
		{"a killed node leaves every change with its event on all nodes", testKilled},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, nodes) }) {
			return
		}
	}
}

func testTables(t *testing.T, nodes []*node) {
	for _, table := range []string{sqlstore.DefaultTable, "others1", "others2", "others3", "others4", "others5", "others6", "others7"} {
		var all errgroup.Group
		for _, n := range nodes {
			store, err := sqlstore.New(n.pool, sqlstore.MySQL, &sqlstore.Config{Table: table})
			require.NoError(t, err)
			all.Go(func() error { return store.Migrate(t.Context()) })
		}
		require.NoError(t, all.Wait())
	}
	require.NoError(t, nodes[0].db.AutoMigrate(&Project{}, &Request{}))
	oracle, err := dbtest.InstallOracle(t.Context(), nodes[0].db, dbtest.Watch{Model: &Project{}, Type: audit.TypeProject})
	require.NoError(t, err)
	for _, n := range nodes {
		n.oracle = oracle.On(n.seen)
		_, err := n.oracle.Read(t.Context()) // which waits for the tables
		require.NoError(t, err)
		n.use(t)
	}
	require.NoError(t, nodes[0].db.Create([]*Project{{ID: "hot0"}, {ID: "hot1"}, {ID: "p1"}}).Error)
	requireExact(t, nodes...)
}

// testLost has two nodes write to one row: the first one to commit wins, and the
// other learns of it at its COMMIT at the latest.
func testLost(t *testing.T, nodes []*node) {
	_, err := nodes[0].oracle.Snapshot(t.Context()) // node 1 has what was committed
	require.NoError(t, err)
	tx := nodes[0].db.Begin()
	require.NoError(t, tx.Error)
	require.NoError(t, tx.Create(&Project{ID: "p2", Name: "loser's"}).Error)
	require.NoError(t, tx.Model(&Project{ID: "p1"}).Update("name", "loser").Error)
	require.NoError(t, nodes[1].db.Model(&Project{ID: "p1"}).Update("name", "winner").Error)
	require.EqualValues(t, 1213, code(tx.Commit().Error))
	require.Zero(t, nodes[0].pool.Stats().InUse)
	requireExact(t, nodes...)
	require.Equal(t, "winner", nodes[2].events(t, audit.DefaultWorkspace)[0].Entity.Label)

	require.NoError(t, nodes[0].db.Model(&Project{ID: "p1"}).Update("name", "loser").Error)
	requireExact(t, nodes...)
	require.Equal(t, "loser", nodes[2].events(t, audit.DefaultWorkspace)[0].Entity.Label)
}

// testOnce loses the connection to the first node at each call in turn, before or
// after the call has its effect, and at COMMIT too.
func testOnce(t *testing.T, nodes []*node) {
	faults, err := dbtest.NewFaults(nodes[0].database(t))
	require.NoError(t, err)
	faulty := new(node)
	faulty.apply(t, sql.OpenDB(faults))
	defer faulty.pool.Close()
	faulty.use(t)
	for _, fault := range []dbtest.Fault{dbtest.FaultLostBefore, dbtest.FaultLostAfter} {
		commits := 0
		for at := 1; ; at++ {
			request := uuid.NewString()
			faults.Arm(at, fault, func() {})
			err := once(t.Context(), []*gorm.DB{faulty.db, nodes[1].db}, request, func(tx *gorm.DB) error {
				if err := hit(tx, "hot0", request); err != nil {
					return err
				}
				return tx.Create(&Project{ID: request}).Error
			})
			call, reached := faults.Disarm()
			require.NoError(t, err, "%s at %s", fault, call)
			var told int
			for _, e := range nodes[2].events(t, audit.DefaultWorkspace) {
				if e.Entity.ID == request || e.Entity.Label == request {
					told++
				}
			}
			require.Equal(t, 2, told, "%s at %s", fault, call)
			if !reached {
				break
			}
			if call.Kind == dbtest.CallCommit {
				commits++
			}
		}
		require.Positive(t, commits)
	}
	requireExact(t, nodes...)
}

// hit changes a row that others change too.
func hit(tx *gorm.DB, id, by string) error {
	return tx.Model(&Project{}).Where("id = ?", id).Updates(map[string]any{"hits": gorm.Expr("hits + 1"), "name": by}).Error
}

func testPurges(t *testing.T, nodes []*node) {
	events := make([]audit.Event, 20)
	for i := range events {
		events[i] = audit.Event{Workspace: "old", Operation: "approved", Entity: audit.Entity{Type: audit.TypeProject, ID: "p1"}}
	}
	require.NoError(t, nodes[0].rec.Record(t.Context(), events...))
	require.NoError(t, nodes[0].store.Protect(t.Context()))
	batch := audit.PurgeBatch{Workspace: "old", To: time.Now().Add(time.Hour)}
	for _, n := range nodes {
		batch.IDs = nil
		for _, e := range n.events(t, "old") {
			batch.IDs = append(batch.IDs, e.ID)
		}
		require.Len(t, batch.IDs, len(events))
		_, err := n.pool.ExecContext(t.Context(), "DELETE FROM audit_events")
		require.ErrorContains(t, err, "Store.AllowDeletes")
	}
	var won atomic.Int64
	var all errgroup.Group
	for _, n := range nodes {
		all.Go(func() error {
			b := batch
			b.Tell = []audit.Event{{
				ID: uuid.New(), Time: time.Now().UTC().Truncate(time.Microsecond), Workspace: "old", Actor: audit.System, Operation: audit.Purged,
				Entity: audit.Entity{Type: audit.TypeLog, ID: "*"}, SchemaVersion: audit.SchemaVersion,
			}}
			err := n.store.Purge(t.Context(), b)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, audit.ErrMissing) && !again(err):
				return err
			}
			return nil
		})
	}
	require.NoError(t, all.Wait())
	require.EqualValues(t, 1, won.Load())
	for _, n := range nodes {
		left := n.events(t, "old")
		require.Len(t, left, 1)
		require.Equal(t, audit.Purged, left[0].Operation)
	}
}

func testRefused(t *testing.T, nodes []*node) {
	other := new(node)
	other.apply(t, nodes[0].pool)
	require.ErrorContains(t, other.db.Use(hooks.New(nodes[1].rec, hooks.Model[Project](audit.TypeProject))), "another database")
}

// testKilled has two writers on each node, of which one is killed. Its writers go
// to another one.
func testKilled(t *testing.T, nodes []*node) {
	before := hits(t, nodes[0])
	ctx, end := context.WithTimeout(t.Context(), 90*time.Second)
	defer end()
	var done, hit atomic.Int64
	enough, killed := make(chan struct{}), make(chan struct{})
	all, ctx := errgroup.WithContext(ctx)
	for w := range 2 * len(nodes) {
		var dbs []*gorm.DB
		for i := range nodes {
			dbs = append(dbs, nodes[(w+i)%len(nodes)].db)
		}
		all.Go(func() error {
			for i, left := 0, 10; left > 0; i++ {
				request := fmt.Sprintf("%d-%d", w, i)
				if err := once(ctx, dbs, request, func(tx *gorm.DB) error { return write(tx, w, i) }); err != nil {
					return fmt.Errorf("change %s: %w", request, err)
				}
				hit.Add(int64(i % 4 % 3))
				if done.Add(1) == 100 {
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
	select {
	case <-enough:
	case <-ctx.Done():
	}
	nodes[2].server.Kill()
	close(killed)
	require.NoError(t, all.Wait())
	t.Logf("%d changes, of which %d to rows that all write to", done.Load(), hit.Load())

	rest := nodes[:2]
	waitForSize(t, rest, len(rest))
	requireExact(t, rest...)
	require.Equal(t, hit.Load(), hits(t, nodes[0])-before, "each change was made once")
	conflicts := 0
	for _, n := range rest {
		for _, name := range []string{"wsrep_local_cert_failures", "wsrep_local_bf_aborts"} {
			count, err := strconv.Atoi(status(n.pool, name))
			require.NoError(t, err)
			conflicts += count
		}
	}
	require.Positive(t, conflicts)

	nodes[2].start(t)
	waitForSize(t, nodes, len(nodes))
	requireExact(t, nodes...)
	require.NoError(t, nodes[2].db.Model(&Project{ID: "p1"}).Update("name", "back").Error)
	requireExact(t, nodes...)
}

// write is the i-th change of a writer: of rows of its own, or of those that all
// write to, of each two in an order of its own. It hits i % 4 % 3 of them.
func write(tx *gorm.DB, writer, i int) error {
	id := func(back int) string { return fmt.Sprintf("%d-%d", writer, i-back) }
	switch i % 4 {
	case 1:
		return hit(tx, "hot0", id(0))
	case 2:
		for k := range 2 {
			if err := hit(tx, fmt.Sprintf("hot%d", (writer+k)%2), id(0)); err != nil {
				return err
			}
		}
		return nil
	case 3:
		return tx.Delete(&Project{ID: id(3)}).Error
	}
	return tx.Create(&Project{ID: id(0), Name: id(0)}).Error
}

func hits(t *testing.T, n *node) (sum int64) {
	t.Helper()
	require.NoError(t, n.seen.QueryRowContext(t.Context(), "SELECT SUM(hits) FROM projects").Scan(&sum))
	return sum
}
