//go:build linux

package dbtest

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

var serverKills = flag.Int("serverkills", 2, "how often each database server is killed")

// TestAKilledServerLeavesNoChangeWithoutItsEvents kills servers of our own while
// they are written to, and compares what they have when they are back.
func TestAKilledServerLeavesNoChangeWithoutItsEvents(t *testing.T) {
	t.Parallel()
	for _, name := range Names()[1:] { // SQLite dies with its process
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := started(t, name)
			database := server.Open(t)
			k := newKiller(t, database)
			db := openGorm(t, database)
			rec, err := audit.New(k.store, nil)
			require.NoError(t, err)
			require.NoError(t, db.Use(hooks.New(rec, officeModels()...)))
			db = db.WithContext(audit.WithActor(context.Background(), jo))
			for cycle := range *serverKills {
				k.serverCycle(t, server, db, cycle)
			}
		})
	}
}

// started is a server of our own with its files, and running.
func started(t *testing.T, name string, options ...string) *OwnServer {
	t.Helper()
	server := NewOwnServer(t, name, options...)
	server.Install(t)
	server.Start(t)
	return server
}

// serverCycle has two write until the server is gone.
func (k *killer) serverCycle(t *testing.T, server *OwnServer, db *gorm.DB, cycle int) {
	t.Helper()
	require.NoError(t, k.oracle.Reset(t.Context()))
	_, err := k.database.SQL().ExecContext(t.Context(), "DELETE FROM audit_events")
	require.NoError(t, err)
	var done atomic.Int64
	var killed atomic.Bool
	enough := make(chan struct{})
	ended := make(chan error, 2)
	until := int64(20 + 17*cycle)
	write := func(one func(i int) error) {
		for i := 0; !killed.Load(); i++ {
			if err := one(i); err != nil {
				ended <- err
				return
			}
			if done.Add(1) == until {
				close(enough)
			}
		}
		ended <- nil // it was between two connections
	}
	go write(func(i int) error { return childWrite(db, fmt.Sprint(cycle), i) })
	go write(func(i int) error {
		return db.Create(&Word{ID: fmt.Sprintf("o%d-%d", cycle, i), WorkspaceID: "w1"}).Error
	})
	select {
	case <-enough:
	case err := <-ended:
		require.NoError(t, err, "before the server was killed")
	}
	if backend := k.backend(t, cycle); backend > 0 {
		// The death of one connection takes all of them down with it, and the
		// server comes back by itself.
		require.NoError(t, syscall.Kill(backend, syscall.SIGKILL))
	} else {
		server.Kill()
	}
	killed.Store(true)
	for range 2 {
		err := <-ended
		t.Logf("cycle %d: a writer ended with %v", cycle, err)
	}
	server.Start(t)

	truth, err := k.oracle.Read(t.Context())
	require.NoError(t, err)
	events := eventsSince(t, k.store, "w1", time.Time{})
	require.Empty(t, k.oracle.Compare(truth, events), "cycle %d", cycle)
	sets := map[uuid.UUID]bool{}
	for _, e := range events {
		sets[e.ChangeSet] = true
	}
	require.GreaterOrEqual(t, len(sets), int(done.Load()), "what was acknowledged is there")
	require.LessOrEqual(t, len(sets), int(done.Load())+2, "and at most one of each that was not")
}

// backend is the process of PostgreSQL that serves a writer, in every other
// cycle; 0 for the server as a whole.
func (k *killer) backend(t *testing.T, cycle int) (pid int) {
	t.Helper()
	if k.database.Name != "postgres" || cycle%2 == 0 {
		return 0
	}
	require.Eventually(t, func() bool { // a writer may be between two connections
		err := k.database.SQL().QueryRowContext(t.Context(),
			"SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start DESC LIMIT 1").Scan(&pid)
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return pid
}
