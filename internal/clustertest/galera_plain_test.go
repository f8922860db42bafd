//go:build linux

package clustertest

import (
	"context"
	"database/sql"
	"flag"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

var (
	plainRounds = flag.Int("plainrounds", 50, "how many transactions each writer tries without the library")
	prepared    = flag.Bool("prepared", false, "let the server prepare them, which loses some")
)

// testPlain has six writers change one row and write that down, without the
// library: what the server acknowledges must be there as a whole. It is not if the
// server prepares each statement: where it aborts a transaction between two of
// them, it may go on without one and tell nobody.
func testPlain(t *testing.T, nodes []*node) {
	for _, text := range []string{
		"CREATE TABLE plain (id int PRIMARY KEY, n int)", "CREATE TABLE plain_log (id bigint AUTO_INCREMENT PRIMARY KEY, n int)", "INSERT INTO plain VALUES (1, 0)",
	} {
		_, err := nodes[0].pool.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
	var acknowledged atomic.Int64
	var all errgroup.Group
	for w := range 2 * len(nodes) {
		n := nodes[w%len(nodes)]
		var there int
		require.NoError(t, n.seen.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM plain").Scan(&there))
		dsn := n.database(t).DSN
		if *prepared {
			dsn = strings.Replace(dsn, "interpolateParams=true", "interpolateParams=false", 1)
		}
		pool := n.open(t, dsn)
		all.Go(func() error {
			for range *plainRounds {
				switch err := plain(t.Context(), pool); {
				case err == nil:
					acknowledged.Add(1)
				case !again(err):
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, all.Wait())
	var updated, logged int64
	require.NoError(t, nodes[0].seen.QueryRowContext(t.Context(), "SELECT n FROM plain").Scan(&updated))
	require.NoError(t, nodes[0].seen.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM plain_log").Scan(&logged))
	t.Logf("of %d transactions %d were acknowledged, %d updates and %d inserts of them are there",
		2*len(nodes)**plainRounds, acknowledged.Load(), updated, logged)
	require.Equal(t, acknowledged.Load(), updated)
	require.Equal(t, acknowledged.Load(), logged)
}

// plain is what the library does to a row, in its simplest form.
func plain(ctx context.Context, pool *sql.DB) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT n FROM plain WHERE id = ? FOR UPDATE", 1).Scan(&n); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE plain SET n = n + 1 WHERE id = ?", 1); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT n FROM plain WHERE id = ?", 1).Scan(&n); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO plain_log (n) VALUES (?)", n); err != nil {
		return err
	}
	return tx.Commit()
}
