//go:build linux

package clustertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// galera is where Debian's package galera-4 has the replication.
const galera = "/usr/lib/galera/libgalera_smm.so"

// Project is what is written to. Rows that several nodes write to are hit.
type Project struct {
	ID   string `gorm:"primaryKey;size:36"`
	Name string `gorm:"size:100" audit:"label"`
	Hits int
}

// node is one of the servers of a cluster, and an application that uses it.
type node struct {
	server  *dbtest.OwnServer
	options []string
	// pool is the application's, db its GORM with the plugin.
	pool  *sql.DB
	db    *gorm.DB
	store *sqlstore.Store
	rec   *audit.Recorder
	// seen shows what any node has committed, and the oracle of it.
	seen   *sql.DB
	oracle *dbtest.Oracle
}

// newCluster starts three nodes, with the tables and the oracle in them.
func newCluster(t *testing.T) []*node {
	t.Helper()
	_, err := os.Stat(galera)
	if err := errors.Join(err, dbtest.FindOwnServer("mysql")); err != nil {
		dbtest.Missing(t, "galera", err)
	}
	nodes := make([]*node, 3)
	addresses := make([]string, len(nodes))
	for i := range nodes {
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", dbtest.FreePort(t))
	}
	for i := range nodes {
		nodes[i] = &node{
			server: dbtest.NewOwnServer(t, "mysql", "--innodb-log-file-size=16M", "--innodb-buffer-pool-size=32M"),
			options: []string{
				"--wsrep-on=ON", "--wsrep-provider=" + galera, "--wsrep-cluster-name=ours", fmt.Sprintf("--wsrep-node-name=node%d", i+1),
				"--wsrep-cluster-address=gcomm://" + strings.Join(addresses, ","), "--wsrep-node-address=127.0.0.1",
				fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://%s;base_host=127.0.0.1;base_port=%s;ist.recv_addr=127.0.0.1:%d;gcache.size=32M",
					addresses[i], addresses[i][len("127.0.0.1:"):], dbtest.FreePort(t)),
				"--wsrep-sst-method=rsync", fmt.Sprintf("--wsrep-sst-receive-address=127.0.0.1:%d", dbtest.FreePort(t)),
				"--wsrep-slave-threads=2", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
			},
		}
	}
	nodes[0].server.Install(t) // the others get their files from it
	nodes[0].start(t, "--wsrep-new-cluster")
	for _, n := range nodes[1:] {
		n.start(t)
	}
	waitForSize(t, nodes, len(nodes))
	return nodes
}

// start returns when the node takes part in the cluster.
func (n *node) start(t *testing.T, options ...string) {
	t.Helper()
	n.server.Start(t, append(n.options, options...)...)
	pool, err := sql.Open("mysql", n.server.DSN(""))
	require.NoError(t, err)
	defer pool.Close()
	eventually(t, "a node is Synced", func() bool { return status(pool, "wsrep_local_state_comment") == "Synced" })
}

// status is a value that the server tells of itself, empty if it does not answer.
func status(pool *sql.DB, name string) (value string) {
	if err := pool.QueryRow("SELECT variable_value FROM information_schema.global_status WHERE variable_name = ?", name).Scan(&value); err != nil {
		return ""
	}
	return value
}

// waitForSize returns when all of the nodes know of so many.
func waitForSize(t *testing.T, nodes []*node, size int) {
	t.Helper()
	for _, n := range nodes {
		pool, err := sql.Open("mysql", n.server.DSN(""))
		require.NoError(t, err)
		defer pool.Close()
		eventually(t, fmt.Sprintf("a node knows of %d", size), func() bool {
			return status(pool, "wsrep_cluster_size") == fmt.Sprint(size) && status(pool, "wsrep_ready") == "ON"
		})
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !yes() {
		select {
		case <-again.C:
		case <-ctx.Done():
			require.Fail(t, "waited in vain until "+what)
		}
	}
}

// database is the one of the application, on a node that may not have it yet. The
// driver puts values into the text of statements itself, since the server forgets
// to tell that it has aborted a transaction where statements are prepared.
func (n *node) database(t *testing.T) *dbtest.Database {
	t.Helper()
	database := n.server.Reopen(t)
	database.DSN += "&interpolateParams=true"
	eventually(t, "the node has the database", func() bool { return database.SQL().PingContext(t.Context()) == nil })
	return database
}

// connect opens what an application has on a node.
func (n *node) connect(t *testing.T) {
	t.Helper()
	database := n.database(t)
	n.apply(t, n.open(t, database.DSN))
	// A statement waits until the node has done what was committed anywhere before.
	n.seen = n.open(t, database.DSN+"&wsrep_sync_wait=1")
}

func (n *node) open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	pool, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

// apply is the application on a pool.
func (n *node) apply(t *testing.T, pool *sql.DB) {
	t.Helper()
	var err error
	n.pool = pool
	n.db, err = gorm.Open(mysql.New(mysql.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	n.store, err = sqlstore.New(pool, sqlstore.MySQL, nil)
	require.NoError(t, err)
	n.rec, err = audit.New(n.store, nil)
	require.NoError(t, err)
}

// use makes the plugin record what is written by n.db.
func (n *node) use(t *testing.T) {
	t.Helper()
	require.NoError(t, n.db.Use(hooks.New(n.rec, hooks.Model[Project](audit.TypeProject))))
	n.db = n.db.WithContext(audit.WithActor(context.Background(), jo))
}

// events are those of a workspace as a node shows them, newest first.
func (n *node) events(t *testing.T, workspace string) (events []audit.Event) {
	t.Helper()
	store, err := sqlstore.New(n.seen, sqlstore.MySQL, nil)
	require.NoError(t, err)
	for e, err := range audit.Query(t.Context(), store, audit.Filter{Workspace: workspace}) {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

// requireExact proves that each of the nodes has every committed change with one
// event, exactly, and that all have the same.
func requireExact(t *testing.T, nodes ...*node) {
	t.Helper()
	var first []audit.Event
	var rows dbtest.Snapshot
	for i, n := range nodes {
		truth, err := n.oracle.Read(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, truth)
		events := n.events(t, audit.DefaultWorkspace)
		require.Empty(t, n.oracle.Compare(truth, events), "node %d of %d", i+1, len(nodes))
		snapshot, err := n.oracle.Snapshot(t.Context())
		require.NoError(t, err)
		if i == 0 {
			first, rows = events, snapshot
		}
		require.Equal(t, first, events)
		require.Equal(t, rows, snapshot)
	}
}
