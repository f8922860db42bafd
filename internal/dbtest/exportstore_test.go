package dbtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/store/sqlstore"
	"github.com/gormtrail/audit/store/storetest"
)

func TestStoredExportsKeepTheContract(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, name)
			store, err := sqlstore.New(db.SQL(), db.Dialect, nil)
			require.NoError(t, err)
			require.NoError(t, store.Migrate(context.Background()))
			storetest.RunExports(t, func(t *testing.T) exportjob.Store {
				_, err := db.SQL().Exec("DELETE FROM audit_events_exports")
				require.NoError(t, err)
				return store.Exports()
			})
		})
	}
}

// A row that only a newer program understands must neither be exported as if what
// is not understood were not there, nor hide the rows that are understood.
func TestAnExportOfANewerProgramIsLeftToIt(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store, err := sqlstore.New(db.SQL(), db.Dialect, nil)
		require.NoError(t, err)
		require.NoError(t, store.Migrate(ctx))
		newer, older := exportOf("jo", 1), exportOf("jo", 2)
		for _, job := range []exportjob.Job{newer, older} {
			require.NoError(t, store.Exports().Add(ctx, job))
		}
		placeholder := "?"
		if db.Dialect == sqlstore.Postgres {
			placeholder = "$1"
		}
		_, err = db.SQL().Exec(`UPDATE audit_events_exports SET job = REPLACE(job, '"filter":{', '"filter":{"Unless":["u17"],') WHERE slot = `+placeholder, 1)
		require.NoError(t, err)

		const unknown = `json: unknown field "Unless"`
		jobs, err := store.Exports().Due(ctx, newer.Due, 10)
		require.ErrorContains(t, err, unknown)
		require.Len(t, jobs, 1)
		require.Equal(t, older.ID, jobs[0].ID)
		jobs, err = store.Exports().List(ctx, "w1", newer.Requester, 10)
		require.ErrorContains(t, err, unknown)
		require.Len(t, jobs, 1)
		_, err = store.Exports().Get(ctx, "w1", newer.ID)
		require.ErrorContains(t, err, unknown)
	})
}

// exportOf is a queued job of w1 in the requester's nth slot.
func exportOf(requester string, slot int) exportjob.Job {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return exportjob.Job{
		ID: [16]byte{15: byte(slot)}, Workspace: "w1", Requester: audit.Actor{Kind: audit.KindUser, ID: requester},
		Filter: audit.Filter{Workspace: "w1"}, Format: exportjob.CSV, Created: at, Bound: at.Add(-time.Hour),
		State: exportjob.Queued, Slot: slot, Due: at,
	}
}
