package storetest

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// RunTx tests a store that writes inside the caller's transaction. newStore
// returns an empty store each time, and the pool of the database it keeps its
// events in, whose transactions must know savepoints.
func RunTx(t *testing.T, newStore func(t *testing.T) (audit.TxStore, *sql.DB)) {
	t.Helper()
	for _, r := range txRules {
		r.run(t, func(t *testing.T) txStore {
			store, pool := newStore(t)
			return txStore{store, pool}
		})
	}
}

type txStore struct {
	audit.TxStore
	pool *sql.DB
}

// begin returns a transaction that is rolled back when the test ends, if it
// was not ended before.
func (s txStore) begin(t *testing.T) *sql.Tx {
	t.Helper()
	tx, err := s.pool.BeginTx(context.Background(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// run runs a statement in a transaction.
func run(t *testing.T, tx *sql.Tx, query string) {
	t.Helper()
	_, err := tx.ExecContext(context.Background(), query)
	require.NoError(t, err)
}

// onlyDBTX hides what is behind it, as GORM's pools do.
type onlyDBTX struct{ audit.DBTX }

var txRules = []rule[txStore]{
	{
		"AppendTx/CommittedWithTheTransaction",
		"events appended on a transaction are there once it is committed, and not before for others",
		func(t *testing.T, s txStore) {
			events := []audit.Event{event(1), full(2), event(3)}
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(context.Background(), tx, events[:2]))
			require.NoError(t, s.AppendTx(context.Background(), tx, events[2:]))
			requireEvents(t, s, nil)
			require.NoError(t, tx.Commit())
			requireEvents(t, s, events)
		},
	},
	{
		"AppendTx/RolledBackWithTheTransaction",
		"a rolled-back transaction leaves nothing, however many events there were",
		func(t *testing.T, s txStore) {
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(context.Background(), tx, series(manyEvents)))
			require.NoError(t, tx.Rollback())
			requireEvents(t, s, nil)
			require.NoError(t, s.Append(context.Background(), series(2)), "the ids are free again")
		},
	},
	{
		"AppendTx/RolledBackWithASavepoint",
		"a rolled-back savepoint leaves nothing of what was appended after it, and all that was before",
		func(t *testing.T, s txStore) {
			ctx := context.Background()
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(ctx, tx, []audit.Event{event(1)}))
			run(t, tx, "SAVEPOINT storetest")
			require.NoError(t, s.AppendTx(ctx, tx, []audit.Event{event(2), event(3)}))
			run(t, tx, "ROLLBACK TO SAVEPOINT storetest")
			require.NoError(t, s.AppendTx(ctx, tx, []audit.Event{event(3), event(4)}))
			require.NoError(t, tx.Commit())
			requireEvents(t, s, []audit.Event{event(1), event(3), event(4)})
		},
	},
	{
		"AppendTx/FailedWithinASavepoint",
		"what an append has written before it failed goes with the savepoint before it, and the transaction goes on",
		func(t *testing.T, s txStore) {
			ctx := context.Background()
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(ctx, tx, series(2)))
			run(t, tx, "SAVEPOINT storetest")
			require.ErrorIs(t, s.AppendTx(ctx, tx, []audit.Event{event(3), event(4), event(2), event(5)}), audit.ErrDuplicate)
			run(t, tx, "ROLLBACK TO SAVEPOINT storetest")
			require.NoError(t, s.AppendTx(ctx, tx, []audit.Event{event(4)}))
			require.NoError(t, tx.Commit())
			requireEvents(t, s, []audit.Event{event(1), event(2), event(4)})
		},
	},
	{
		"AppendTx/NeitherCommitsNorRollsBack",
		"AppendTx leaves the transaction open, also if it fails",
		func(t *testing.T, s txStore) {
			require.NoError(t, s.Append(context.Background(), series(1)))
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(context.Background(), tx, nil))
			require.ErrorIs(t, s.AppendTx(context.Background(), tx, []audit.Event{event(2), event(1)}), audit.ErrDuplicate)
			require.NoError(t, tx.Rollback(), "the transaction was ended by the store")
			requireEvents(t, s, series(1))
		},
	},
	{
		"AppendTx/OnWhateverRunsSQL",
		"AppendTx works on a pool, a connection, a transaction, and on what wraps one of them",
		func(t *testing.T, s txStore) {
			ctx := context.Background()
			conn, err := s.pool.Conn(ctx)
			require.NoError(t, err)
			require.NoError(t, s.AppendTx(ctx, conn, []audit.Event{event(1)}))
			require.NoError(t, conn.Close())
			require.NoError(t, s.AppendTx(ctx, s.pool, []audit.Event{event(2)}))
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(ctx, onlyDBTX{tx}, []audit.Event{event(3)}))
			require.NoError(t, tx.Commit())
			requireEvents(t, s, series(3))
		},
	},
	{
		"AppendTx/NeedsNoSecondConnection",
		"what is done on a transaction uses its connection alone: a pool may have only one",
		func(t *testing.T, s txStore) {
			s.pool.SetMaxOpenConns(1)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(ctx, tx, series(3)))
			if lister, ok := s.TxStore.(audit.TxLister); ok {
				_, err := lister.ListTx(ctx, tx, audit.Filter{Workspace: workspace}, audit.Position{}, 10)
				require.NoError(t, err)
			}
			require.NoError(t, tx.Commit())
			requireEvents(t, s, series(3))
		},
	},
	{
		"AppendTx/CancelledContext",
		"a context that has ended makes an error that wraps the context's",
		func(t *testing.T, s txStore) {
			tx := s.begin(t)
			require.ErrorIs(t, s.AppendTx(cancelled(), tx, series(1)), context.Canceled)
			require.NoError(t, tx.Rollback())
			requireEvents(t, s, nil)
		},
	},
	{
		"ListTx/SeesWhatTheTransactionAppended",
		"ListTx sees what its transaction appended; otherwise it is List",
		func(t *testing.T, s txStore) {
			lister, ok := s.TxStore.(audit.TxLister)
			if !ok {
				t.Skipf("%T is not an audit.TxLister", s.TxStore)
			}
			ctx := context.Background()
			require.NoError(t, s.Append(ctx, series(2)))
			tx := s.begin(t)
			require.NoError(t, s.AppendTx(ctx, tx, []audit.Event{event(3), full(4)}))
			got, err := lister.ListTx(ctx, tx, audit.Filter{Workspace: workspace}, audit.Position{}, 10)
			require.NoError(t, err)
			requireSame(t, []audit.Event{full(4), event(3), event(2), event(1)}, got)
			got, err = lister.ListTx(ctx, tx, audit.Filter{Workspace: workspace, To: event(4).Time}, event(3).Position(), 1)
			require.NoError(t, err)
			requireSame(t, []audit.Event{event(2)}, got)
			_, err = lister.ListTx(ctx, tx, audit.Filter{}, audit.Position{}, 10)
			require.ErrorIs(t, err, audit.ErrInvalidFilter)
			_, err = lister.ListTx(ctx, tx, audit.Filter{Workspace: workspace}, audit.Position{}, 0)
			require.Error(t, err)
			require.NoError(t, tx.Rollback())
			requireEvents(t, s, series(2))
		},
	},
	{
		"SameDatabase/KnowsItsOwnPool",
		"SameDatabase reports true for the pool of the store's database, with one connection too",
		func(t *testing.T, s txStore) {
			colocated, ok := s.TxStore.(audit.Colocated)
			if !ok {
				t.Skipf("%T is not an audit.Colocated", s.TxStore)
			}
			s.pool.SetMaxOpenConns(1)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			same, err := colocated.SameDatabase(ctx, s.pool)
			require.NoError(t, err)
			require.True(t, same)
		},
	},
}
