package hooks

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// emptyDatabase has transactions, and nothing that could be done in them.
type emptyDatabase struct{}

func (d emptyDatabase) Connect(context.Context) (driver.Conn, error) { return d, nil }

func (emptyDatabase) Driver() driver.Driver { return nil }

func (d emptyDatabase) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }

func (emptyDatabase) Close() error { return nil }

func (d emptyDatabase) Begin() (driver.Tx, error) { return d, nil }

func (emptyDatabase) Commit() error { return nil }

func (emptyDatabase) Rollback() error { return nil }

// begunTransactions are transactions of such a database, one after the other.
func begunTransactions(t testing.TB) func() *sql.Tx {
	pool := sql.OpenDB(emptyDatabase{})
	t.Cleanup(func() { _ = pool.Close() })
	return func() *sql.Tx {
		tx, err := pool.Begin()
		require.NoError(t, err)
		return tx
	}
}

func TestATransactionIsOverOnceItsEndHasBegun(t *testing.T) {
	begin := begunTransactions(t)
	committed, rolledBack := begin(), begin()
	require.False(t, isOver(committed))
	require.False(t, isOver(rolledBack))
	require.NoError(t, committed.Commit())
	require.NoError(t, rolledBack.Rollback())
	require.True(t, isOver(committed))
	require.True(t, isOver(rolledBack))
}

func TestChangeSetsKeepOneForEachTransaction(t *testing.T) {
	var sets changeSets
	begin := begunTransactions(t)
	txs := make([]*sql.Tx, 10*minSwept)
	ids := make([]uuid.UUID, len(txs))
	for i := range txs {
		txs[i], ids[i] = begin(), uuid.New()
		require.Equal(t, ids[i], sets.of(txs[i], ids[i]))
	}
	for i, tx := range txs {
		require.Equal(t, ids[i], sets.of(tx, uuid.New()))
	}
}

func TestChangeSetsForgetTransactionsThatAreOver(t *testing.T) {
	var sets changeSets
	begin := begunTransactions(t)
	kept := begin()
	want := sets.of(kept, uuid.New())
	for i := range 10 * minSwept {
		tx := begin()
		sets.of(tx, uuid.New())
		require.LessOrEqual(t, len(sets.byTx), minSwept, i)
		require.NoError(t, tx.Commit())
	}
	require.Equal(t, want, sets.of(kept, uuid.New()))

	many := make([]*sql.Tx, 100*minSwept)
	for i := range many {
		many[i] = begin()
		sets.of(many[i], uuid.New())
	}
	for _, tx := range many {
		require.NoError(t, tx.Rollback())
	}
	for range 300 * minSwept {
		tx := begin()
		sets.of(tx, uuid.New())
		require.NoError(t, tx.Commit())
	}
	require.LessOrEqual(t, len(sets.byTx), minSwept)
	require.Equal(t, want, sets.of(kept, uuid.New()))
}
