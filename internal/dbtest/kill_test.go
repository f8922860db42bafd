package dbtest

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

var (
	kills    = flag.Int("kills", 10, "how many processes are killed on each database")
	killSeed = flag.Uint64("killseed", 0, "seed of the instants at which processes are killed; 0 picks one")
)

// The child learns from its environment what to do.
const (
	childDatabase = "AUDIT_TEST_CHILD" // one of Names; empty in a process that is no child
	childDSN      = "AUDIT_TEST_CHILD_DSN"
	childCycle    = "AUDIT_TEST_CHILD_CYCLE"
)

// What the child says, one word a line.
const (
	saysCall = "call" // one is about to be made to the driver
	saysDone = "done" // GORM has acknowledged a write
)

// TestAKilledProcessLeavesNoChangeWithoutItsEvents kills processes that write,
// without warning and at any call of the driver, and compares what they leave.
func TestAKilledProcessLeavesNoChangeWithoutItsEvents(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	for i, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("the instants are those of -killseed=%d", seed)
			k := newKiller(t, Open(t, name))
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for cycle := range *kills {
				k.cycle(t, cycle, random.IntN(12), random.IntN(40))
			}
			require.Positive(t, k.written, "nothing was ever written")
			t.Logf("%d processes killed, %d writes acknowledged", *kills, k.written)
		})
	}
}

// killer starts the processes and looks at what they leave.
type killer struct {
	database *Database
	oracle   *Oracle
	store    audit.Store
	written  int
}

func newKiller(t *testing.T, database *Database) *killer {
	t.Helper()
	// No connection of ours is open while a child dies, so that SQLite has to
	// recover its log.
	database.SQL().SetMaxIdleConns(0)
	db := openGorm(t, database)
	require.NoError(t, db.AutoMigrate(officeTables()...))
	oracle, err := InstallOracle(context.Background(), db, officeWatches()...)
	require.NoError(t, err)
	k := &killer{database: database, oracle: oracle, store: storeInDatabase(t, database)}
	require.NoError(t, db.Create([]*Word{{ID: "x1", WorkspaceID: "w1", Name: "urgent"}}).Error)
	require.NoError(t, db.Create(&Firm{ID: "f1", WorkspaceID: "w1", Name: "Acme"}).Error)
	require.NoError(t, db.Create(&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini", FirmID: text("f1")}).Error)
	require.NoError(t, db.Create(&Entry{ID: "e", WorkspaceID: "w1", VentureID: text("v1")}).Error)
	return k
}

// cycle starts a child, kills it once it has made so many writes and then so
// many calls to its driver, and compares.
func (k *killer) cycle(t *testing.T, cycle, writes, calls int) {
	t.Helper()
	ctx := context.Background()
	require.NoError(t, k.oracle.Reset(ctx))
	_, err := k.database.SQL().ExecContext(ctx, "DELETE FROM audit_events")
	require.NoError(t, err)

	done := killChild(t, k.database, cycle, writes, calls)
	k.written += done
	waitForSession(t, k.database)

	// Everything from here on is by connections that did not exist before.
	truth, err := k.oracle.Read(ctx)
	require.NoError(t, err)
	events := eventsSince(t, k.store, "w1", time.Time{})
	where := fmt.Sprintf("cycle %d, killed %d calls after write %d", cycle, calls, writes)
	require.Empty(t, k.oracle.Compare(truth, events), where)
	sets := map[uuid.UUID]bool{}
	for _, e := range events {
		sets[e.ChangeSet] = true
	}
	require.GreaterOrEqual(t, len(sets), done, "%s: what was acknowledged is there", where)
	require.LessOrEqual(t, len(sets), done+1, "%s: and at most one that was not", where)
}

// killChild returns how many writes the child has acknowledged before it died.
// A child dies with its parent, because its input ends.
func killChild(t *testing.T, database *Database, cycle, writes, calls int) (done int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChildProcess$", "-test.timeout=2m")
	child.Env = append(os.Environ(), childDatabase+"="+database.Name, childDSN+"="+database.DSN, fmt.Sprintf("%s=%d", childCycle, cycle))
	input, err := child.StdinPipe()
	require.NoError(t, err)
	defer input.Close()
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	var complaints strings.Builder
	child.Stderr = &complaints
	require.NoError(t, child.Start())
	killed := false
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
		require.True(t, killed, "the child ended by itself: %s", complaints.String())
	}()
	var other strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() { // what it has said before it died is still to be read
		switch lines.Text() {
		case saysDone:
			done++
		case saysCall:
			if done >= writes {
				calls--
			}
		default:
			fmt.Fprintln(&other, lines.Text())
		}
		if done >= writes && calls <= 0 && !killed {
			require.NoError(t, child.Process.Kill())
			killed = true
		}
	}
	require.NoError(t, lines.Err())
	require.True(t, killed, "the child ended by itself: %s", other.String())
	return done
}

// TestChildProcess is the process that is killed. It is no test.
func TestChildProcess(t *testing.T) {
	name := os.Getenv(childDatabase)
	if name == "" {
		t.Skip("it is the child of TestAKilledProcessLeavesNoChangeWithoutItsEvents")
	}
	go func() { // the parent is gone, however it went
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	db, database := openChild(t, name)
	db = db.WithContext(audit.WithActor(context.Background(), jo))
	takeSession(t, database)
	for i := 0; ; i++ {
		require.NoError(t, childWrite(db, os.Getenv(childCycle), i))
		_, err := fmt.Println(saysDone)
		require.NoError(t, err)
	}
}

// openChild opens the database by one connection whose calls are told.
func openChild(t *testing.T, name string) (*gorm.DB, *Database) {
	t.Helper()
	database := &Database{Name: name, Driver: "sqlite", Dialect: sqlstore.SQLite, DSN: os.Getenv(childDSN)}
	if s := servers[name]; s != nil {
		database.Driver, database.Dialect = s.driver, s.dialect
	}
	pool, err := sql.Open(database.Driver, database.DSN)
	require.NoError(t, err)
	database.pool = pool
	faults, err := NewFaults(database)
	require.NoError(t, err)
	faults.Watch = func(Call) { fmt.Println(saysCall) }
	database.pool = sql.OpenDB(faults)
	database.pool.SetMaxOpenConns(1)
	db := openGorm(t, database)
	store, err := sqlstore.New(database.pool, database.Dialect, nil)
	require.NoError(t, err)
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.NoError(t, db.Use(hooks.New(rec, officeModels()...)))
	return db, database
}

// childWrite is the i-th write of a child, one transaction that always changes
// something.
func childWrite(db *gorm.DB, cycle string, i int) error {
	id := func(back int) string { return fmt.Sprintf("c%s-%d", cycle, i-back) }
	switch i % 6 {
	case 0:
		return db.Create(&Entry{ID: id(0), WorkspaceID: "w1", VentureID: text("v1"), Words: []Word{{ID: "x1"}, {ID: id(0), WorkspaceID: "w1"}}}).Error
	case 1:
		return db.Model(&Entry{}).Where("id IN ?", []string{id(1), "e"}).Update("note", id(0)).Error
	case 2:
		return db.Model(&Venture{ID: "v1"}).Update("name", id(0)).Error // others show it
	case 3:
		return db.Delete(&Entry{ID: id(3)}).Error
	case 4:
		return db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Create(&Word{ID: id(0), WorkspaceID: "w1"}).Error; err != nil {
				return err
			}
			_ = tx.Transaction(func(tx *gorm.DB) error {
				_ = tx.Create(&Word{ID: id(0) + "b", WorkspaceID: "w1"}).Error
				return ErrHook
			})
			return tx.Model(&Word{ID: id(4)}).Update("name", id(0)).Error
		})
	}
	return db.Unscoped().Select("Words").Delete(&Entry{ID: id(5)}).Error
}

// sessionLock is a lock that the child's connection holds as long as the server
// keeps it: a COMMIT that was on its way may still be done after the kill.
func sessionLock(database *Database) (lock, unlock string) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(database.DSN))
	switch database.Name {
	case "postgres":
		return fmt.Sprintf("SELECT pg_advisory_lock(%d)", h.Sum32()), fmt.Sprintf("SELECT pg_advisory_unlock(%d)", h.Sum32())
	case "mysql":
		return fmt.Sprintf("SELECT GET_LOCK('child%d', 60)", h.Sum32()), fmt.Sprintf("SELECT RELEASE_LOCK('child%d')", h.Sum32())
	}
	return "", "" // a lock on a file ends with its process
}

func takeSession(t *testing.T, database *Database) {
	t.Helper()
	if lock, _ := sessionLock(database); lock != "" {
		_, err := database.SQL().ExecContext(context.Background(), lock)
		require.NoError(t, err)
	}
}

// waitForSession returns once the server has done with the child.
func waitForSession(t *testing.T, database *Database) {
	t.Helper()
	lock, unlock := sessionLock(database)
	if lock == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	conn, err := database.SQL().Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	for _, text := range []string{lock, unlock} {
		_, err := conn.ExecContext(ctx, text)
		require.NoError(t, err)
	}
}
