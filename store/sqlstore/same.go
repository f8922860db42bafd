package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/gormtrail/audit"
)

// SameDatabase implements [audit.Colocated]. Two connections lead to one database
// if the events' table that each of them finds is the same one. Databases of
// SQLite in memory are the same only if conn is the store's own pool.
func (s *Store) SameDatabase(ctx context.Context, conn audit.DBTX) (bool, error) {
	if conn == nil {
		return false, errors.New("sqlstore: SameDatabase needs a connection, got nil")
	}
	if conn == audit.DBTX(s.db) {
		return true, nil
	}
	identify := s.identity
	if s.names.dialect == SQLite {
		identify = identityOfFile
	}
	own, err := identify(ctx, s.db)
	if err != nil {
		return false, fmt.Errorf("sqlstore: identify the store's database: %w", err)
	}
	other, err := identify(ctx, conn)
	if err != nil {
		return false, fmt.Errorf("sqlstore: identify the other database: %w", err)
	}
	if s.names.dialect == SQLite {
		return sameFile(own, other)
	}
	return own != "" && own == other, nil
}

// identity describes the events' table as one connection finds it, and the
// server. It is empty if there is none.
//
// The time at which PostgreSQL started tells servers apart, replicas too, as
// no address does: one server may be reached by several. MySQL does not show
// that time to everybody, so its name and directory have to do.
func (s *Store) identity(ctx context.Context, tx audit.DBTX) (string, error) {
	n := s.names
	text := `SELECT COALESCE((SELECT d.oid::text || ' ' || to_regclass($1)::oid::text || ' ' || extract(epoch FROM pg_postmaster_start_time())::text
		FROM pg_database d WHERE d.datname = current_database()), '')`
	args := []any{n.qualified(n.events)}
	if n.dialect == MySQL {
		text = `SELECT CONCAT_WS('\n', @@hostname, @@port, @@server_id, @@datadir, table_schema, table_name, create_time)
			FROM information_schema.tables WHERE table_name = ? AND table_schema = COALESCE(NULLIF(?, ''), DATABASE())`
		args = []any{n.events, n.schema}
	}
	var identity string
	err := tx.QueryRowContext(ctx, text, args...).Scan(&identity)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return identity, err
}

// identityOfFile is the path of SQLite's file, empty for one in memory.
func identityOfFile(ctx context.Context, tx audit.DBTX) (path string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT COALESCE(file, '') FROM pragma_database_list WHERE name = 'main'").Scan(&path)
	return path, err
}

// sameFile compares files, not paths: there may be links.
func sameFile(a, b string) (bool, error) {
	if a == "" || b == "" {
		return false, nil
	}
	if a == b {
		return true, nil
	}
	one, err := os.Stat(a)
	if err != nil {
		return false, fmt.Errorf("sqlstore: find the store's file: %w", err)
	}
	two, err := os.Stat(b)
	if err != nil {
		return false, fmt.Errorf("sqlstore: find the other database's file: %w", err)
	}
	return os.SameFile(one, two), nil
}
