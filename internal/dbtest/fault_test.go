package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// TestNoFaultPartsAChangeFromItsEvents injects every fault at every call to the
// driver. Whatever happens, the events tell exactly what is in the database,
// nothing is half done, and the only connection comes back.
func TestNoFaultPartsAChangeFromItsEvents(t *testing.T) {
	t.Parallel()
	prepared, untransacted, both := quiet(), quiet(), quiet()
	prepared.PrepareStmt = true
	untransacted.SkipDefaultTransaction = true
	both.PrepareStmt, both.SkipDefaultTransaction = true, true
	// Servers take a while to give a new connection.
	server := []Fault{FaultError, FaultLostAfter, FaultConflict, FaultStall}
	for _, c := range []struct {
		name, database string
		store          newStore
		cfg            *gorm.Config
		// What is swept without -faults=all.
		scenarios []string
		faults    []Fault
	}{
		{"sqlite", "sqlite", storeInDatabase, quiet(), nil, AllFaults()},
		{
			"sqlite, no default transactions", "sqlite", storeInDatabase, untransacted,
			[]string{"create with elements", "update", "soft delete", "upsert", "elements replaced in a transaction"},
			AllFaults(),
		},
		{
			"sqlite, prepared statements", "sqlite", storeInDatabase, prepared,
			[]string{"create with elements", "bulk update", "transaction with a savepoint"},
			AllFaults(),
		},
		{
			"sqlite, store in memory", "sqlite", storeInMemory, quiet(),
			[]string{
				"create with elements", "delete with what follows", "transaction with a savepoint",
				"transaction that goes back to its savepoint", "transaction that outlives its savepoint",
			},
			AllFaults(),
		},
		{"postgres", "postgres", storeInDatabase, quiet(), []string{"upsert", "soft delete", "transaction with a savepoint"}, server},
		{"postgres, no default transactions, prepared statements", "postgres", storeInDatabase, both, []string{"update"}, server},
		{"mysql", "mysql", storeInDatabase, quiet(), []string{"upsert", "soft delete", "transaction with a savepoint"}, server},
		{"mysql, store in memory", "mysql", storeInMemory, quiet(), []string{"transaction that outlives its savepoint"}, []Fault{FaultConflict}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if *faultsFlag == "all" {
				c.scenarios, c.faults = nil, AllFaults()
			}
			if raced && *faultsFlag != "all" {
				// What is concurrent here is the end of a context; SQLite in Go is
				// fifty times slower under the race detector.
				c.faults = []Fault{FaultLostAfter, FaultCancelAfter, FaultStall}
				c.scenarios = []string{"update"}
			}
			r, runs := newRig(t, Open(t, c.database), c.store, nil, c.cfg), 0
			for _, s := range scenariosNamed(c.scenarios...) {
				for _, f := range c.faults {
					runs += r.sweep(t, s, f) + 1
				}
			}
			t.Logf("%d runs", runs)
		})
	}
}

// TestAFaultAtTheFirstWriteOfAllIsForgotten injects faults where a table is met
// for the first time, so that its columns have to be looked up.
func TestAFaultAtTheFirstWriteOfAllIsForgotten(t *testing.T) {
	t.Parallel()
	s := scenariosNamed("soft delete")[0]
	faults := AllFaults()
	if raced {
		faults = []Fault{FaultCancelAfter}
	}
	for _, f := range faults {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			clean := Open(t, "sqlite")
			r := newRig(t, clean, storeInDatabase, nil)
			want := r.expected(t, s)
			for n, more := 1, true; more; n++ {
				// What the columns are is known to the plugin, so it is made anew.
				rec, err := audit.New(r.store, &audit.Config{Now: r.clock.Now})
				require.NoError(t, err)
				faulty := *clean
				faulty.pool = r.pool
				r.db = openGorm(t, &faulty)
				require.NoError(t, r.db.Use(hooks.New(rec, officeModels()...)))
				_, _, more = r.run(t, s, n, f)
				a, _, _ := r.run(t, s, -1, 0)
				require.NoError(t, a.err)
				require.Equal(t, want, a.said, "and then it works")
			}
		})
	}
}

// TestAFaultWhileThePluginIsPutInLeavesGORMAsItWas injects faults into db.Use.
func TestAFaultWhileThePluginIsPutInLeavesGORMAsItWas(t *testing.T) {
	t.Parallel()
	faults := []Fault{FaultError, FaultLostBefore, FaultLostAfter, FaultConflict, FaultStall}
	if raced {
		faults = []Fault{FaultStall}
	}
	for _, f := range faults {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			clean := Open(t, "sqlite")
			r := newRig(t, clean, storeInDatabase, nil)
			faulty := *clean
			faulty.pool = r.pool
			recorded := 0
			for n, reached := 1, true; reached; n++ {
				rec, err := audit.New(r.store, nil)
				require.NoError(t, err)
				db := openGorm(t, &faulty)
				ctx, end := context.WithCancel(context.Background())
				r.faults.Arm(n, f, end)
				err = db.WithContext(ctx).Use(hooks.New(rec, officeModels()...))
				var hit Call
				hit, reached = r.faults.Disarm()
				end()
				patient, stop := context.WithTimeout(context.Background(), patience)
				require.NoError(t, r.pool.PingContext(patient), "%s: %v", hit, err)
				stop()
				require.Zero(t, r.pool.Stats().InUse, hit)
				if !reached {
					require.NoError(t, err)
				}
				r.refresh(t)
				r.dirty = true
				require.NoError(t, db.Model(&Word{ID: "x3"}).Update("name", numbered("n", n)).Error, "%s: %v", hit, err)
				if err == nil {
					recorded++
				}
				require.Len(t, eventsSince(t, r.store, "w1", time.Time{}), recorded, "%s: %v", hit, err)
				require.Empty(t, eventsSince(t, r.store, "probe", time.Time{}))
			}
		})
	}
}

// TestTheFaultyDriverCountsEveryCall is what the sweeps stand on.
func TestTheFaultyDriverCountsEveryCall(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		faults, err := NewFaults(database)
		require.NoError(t, err)
		var calls []string
		faults.Watch = func(c Call) { calls = append(calls, c.Kind) }
		pool := sql.OpenDB(faults)
		defer pool.Close()
		pool.SetMaxOpenConns(1)
		db, ctx := pool, context.Background()
		_, err = db.ExecContext(ctx, "CREATE TABLE counted (n INTEGER PRIMARY KEY)")
		require.NoError(t, err)
		insert := func(n string) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			for _, text := range []string{"SAVEPOINT here", "INSERT INTO counted VALUES (" + n + ")"} {
				if _, err := tx.ExecContext(ctx, text); err != nil {
					_ = tx.Rollback()
					return err
				}
			}
			return tx.Commit()
		}
		count := func() (n int) {
			require.NoError(t, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM counted").Scan(&n))
			return n
		}
		calls = nil
		require.NoError(t, insert("1"))
		require.Equal(t, 1, count())
		require.Equal(t, []string{CallBegin, CallSavepoint, CallExec, CallCommit, CallQuery, CallNext}, calls[:6])

		for i, c := range []struct {
			fault Fault
			at    int
			left  int // rows that are there afterwards
			fails bool
		}{
			{FaultError, 3, 1, true},
			{FaultError, 4, 1, true},
			{FaultLostBefore, 1, 2, false}, // database/sql begins on another connection
			{FaultLostBefore, 3, 2, true},
			{FaultLostBefore, 4, 2, true},
			{FaultLostAfter, 3, 2, true},
			{FaultLostAfter, 4, 3, true}, // committed, and nobody knows
			{FaultConflict, 3, 3, true},
			{FaultConflict, 4, 3, true},
		} {
			faults.Arm(c.at, c.fault, func() {})
			err := insert(fmt.Sprint(i + 2))
			hit, reached := faults.Disarm()
			require.True(t, reached)
			require.Equal(t, c.fails, err != nil, "%s at %s: %v", c.fault, hit, err)
			if c.fails {
				require.ErrorIs(t, err, ErrFault)
			}
			require.Equal(t, c.left, count(), "%s at %s", c.fault, hit)
			require.Zero(t, db.Stats().InUse)
		}
	})
}

// scenariosNamed picks scenarios; all without a name.
func scenariosNamed(names ...string) []scenario {
	all := scenarios()
	if len(names) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(s scenario) bool { return !slices.Contains(names, s.name) })
}
