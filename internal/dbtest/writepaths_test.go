package dbtest

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// operation is one way to write, on the rows of [Seed].
type operation struct {
	name string
	run  func(db *gorm.DB) outcome
	// blind marks what triggers do not see on every database; the truth is
	// then taken from snapshots.
	blind bool
}

// outcome is what GORM tells its caller: everything that must be the same with
// and without hooks.
type outcome struct {
	Rows   int64
	Err    string
	Values []any
}

func did(tx *gorm.DB, values ...any) outcome {
	o := failed(tx.Error, values...)
	o.Rows = tx.RowsAffected
	return o
}

func failed(err error, values ...any) outcome {
	o := outcome{Values: values}
	if err != nil {
		o.Err = err.Error()
	}
	return o
}

// and joins the outcomes of two steps.
func (o outcome) and(next outcome) outcome { return outcome{Values: []any{o, next}} }

func operations() []operation {
	return slices.Concat(creates(), updates(), deletes(), associations())
}

// TestEveryWriteIsRecordedExactly runs every operation with hooks on one
// database and without them on another. The events must tell what row triggers
// saw, and the application must not notice any difference.
func TestEveryWriteIsRecordedExactly(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exact(t, "writepaths", newWorkshop(t, Open(t, name), storeInDatabase), newWorkshop(t, Open(t, name), nil), operations())
		})
	}
	prepared, untransacted := quiet(), quiet()
	prepared.PrepareStmt = true
	untransacted.SkipDefaultTransaction = true
	for name, c := range map[string]struct {
		database string
		store    newStore
		cfg      *gorm.Config
	}{
		"sqlite, store in memory":                        {"sqlite", storeInMemory, quiet()},
		"sqlite, prepared statements":                    {"sqlite", storeInDatabase, prepared},
		"postgres, prepared statements, store in memory": {"postgres", storeInMemory, prepared},
		"sqlite, no default transactions":                {"sqlite", storeInDatabase, untransacted},
		"postgres, no default transactions":              {"postgres", storeInDatabase, untransacted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := *c.cfg
			exact(t, "writepaths", newWorkshop(t, Open(t, c.database), c.store, &cfg), newWorkshop(t, Open(t, c.database), nil, c.cfg), operations())
		})
	}
}

func exact(t *testing.T, file string, audited, bare *workshop, operations []operation) {
	summaries := map[string]string{}
	for _, op := range operations {
		require.NotContains(t, summaries, op.name, "operations have names of their own")
		// A leaked connection holds locks that every further operation would
		// wait for.
		require.Zero(t, audited.database.SQL().Stats().InUse+bare.database.SQL().Stats().InUse)
		t.Run(op.name, func(t *testing.T) {
			got, want := audited.do(t, op), bare.do(t, op)
			summaries[op.name] = summary(got.truth)
			require.Equal(t, want.outcome, got.outcome, "what GORM tells its caller")
			if bare.db.SkipDefaultTransaction && len(got.truth) == 0 && strings.Contains(got.outcome, `"Err": "`) && !strings.Contains(got.outcome, `"Err": ""`) {
				// Hooks open a transaction of their own, so that what fails halfway
				// leaves nothing, where GORM alone would leave a half.
				require.Empty(t, got.events)
				return
			}
			require.Equal(t, want.after, got.after, "what is in the database")
			for _, complaint := range audited.oracle.Compare(got.truth, got.events) {
				t.Error(complaint)
			}
		})
	}
	if len(summaries) == len(operations) { // else -run chose some of them
		golden(t, file+"."+audited.database.Name, summaries)
	}
}

// golden compares how many rows each operation changes with what is on file, so
// that no operation can turn into one that does nothing.
func golden(t *testing.T, name string, summaries map[string]string) {
	t.Helper()
	var b strings.Builder
	for _, op := range slices.Sorted(maps.Keys(summaries)) {
		fmt.Fprintf(&b, "%s: %s\n", op, summaries[op])
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "run with -update if the change is meant")
}

// summary counts changes by table and operation.
func summary(truth []RowChange) string {
	counts := map[string]int{}
	for _, c := range truth {
		switch {
		case c.Before == nil:
			counts[c.Table+" inserted"]++
		case c.After == nil:
			counts[c.Table+" deleted"]++
		default:
			counts[c.Table+" updated"]++
		}
	}
	if len(counts) == 0 {
		return "nothing"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return strings.Join(parts, ", ")
}

// result is what an operation did.
type result struct {
	outcome string
	truth   []RowChange
	events  []audit.Event
	after   Snapshot
}

// do runs an operation on seeded rows and looks at what it did.
func (w *workshop) do(t *testing.T, op operation) result {
	t.Helper()
	ctx := context.Background()
	before := w.seed(t)
	w.clock.next()
	r := result{outcome: w.attempt(op)}
	require.Zero(t, w.database.SQL().Stats().InUse, "connections that never came back after %s", r.outcome)

	var err error
	r.truth, err = w.oracle.Read(ctx)
	require.NoError(t, err)
	r.after, err = w.oracle.Snapshot(ctx)
	require.NoError(t, err)
	net := r.after.Since(before)
	w.dirty = len(net) > 0 || len(r.truth) > 0
	if op.blind {
		r.truth = net
	}
	r.events = w.events(t)
	return r
}

// attempt runs the operation and returns its outcome as JSON. A panic is an
// outcome too.
func (w *workshop) attempt(op operation) (told string) {
	defer func() {
		if p := recover(); p != nil {
			told = fmt.Sprintf("panic: %v", p)
		}
	}()
	b, err := json.MarshalIndent(op.run(w.db.WithContext(w.ctx)), "", " ")
	if err != nil {
		return err.Error()
	}
	// MariaDB names the database in some errors.
	return strings.ReplaceAll(string(b), cmp.Or(w.database.Namespace, "?"), "?")
}
