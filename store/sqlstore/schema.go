package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// schemaFiles are the migrations: schema/<dialect>/<version>.sql.
//
//go:embed schema
var schemaFiles embed.FS

// schemaVersion is the version of the tables that this program works with.
const schemaVersion = 2

// Migrations returns the SQL that makes the tables, one text for each version
// in their order, for those who use a migration tool of their own. It is the
// SQL that [Store.Migrate] runs. A text holds several statements, each ending
// in a semicolon at the end of a line, that are run on one connection. It may be
// run again without harm.
func Migrations(d Dialect, cfg *Config) ([]string, error) {
	n, err := cfg.names(d)
	if err != nil {
		return nil, err
	}
	return n.migrations()
}

func (n names) migrations() ([]string, error) {
	texts := make([]string, schemaVersion)
	for i := range texts {
		text, err := schemaFiles.ReadFile("schema/" + string(n.dialect) + "/" + strconv.Itoa(i+1) + ".sql")
		if err != nil {
			return nil, err
		}
		texts[i] = n.render(string(text))
	}
	return texts, nil
}

// statements cuts a migration into what drivers take one by one.
func statements(text string) []string {
	var list []string
	for s := range strings.SplitSeq(text, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// Migrate makes the tables, or brings older ones up to date. It may be called
// at every start and by several processes at once: one does the work, the
// others wait for it and find it done. It returns an error that wraps
// [audit.ErrSchema] if the tables are newer than the program.
func (s *Store) Migrate(ctx context.Context) error {
	switch err := s.VerifySchema(ctx); {
	case err == nil:
		return nil
	case !errors.Is(err, audit.ErrSchema):
		return err
	}
	err := s.exclusively(ctx, s.migrate)
	for again := 0; lostToANode(err) && again < 10; again++ {
		err = s.exclusively(ctx, s.migrate)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	return s.VerifySchema(ctx)
}

// lostToANode reports whether another node of Galera has written the same, since
// locks are a node's own. It goes by the text in which the driver, which is not
// known here, tells the server's number.
func lostToANode(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Error 1213 ")
}

// migrate runs what is missing, on a connection that has the lock.
func (s *Store) migrate(ctx context.Context, conn audit.DBTX) error {
	version, err := s.version(ctx, conn)
	if err != nil {
		return err
	}
	if version > schemaVersion {
		return s.newer(version)
	}
	texts, err := s.names.migrations()
	if err != nil {
		return err
	}
	// What was run is run again, which does no harm: a table may have been lost.
	for _, text := range texts {
		for _, statement := range statements(text) {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// exclusively runs do on one connection while no other process does the same.
func (s *Store) exclusively(ctx context.Context, do func(context.Context, audit.DBTX) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	begin, commit, rollback := "BEGIN", "COMMIT", "ROLLBACK"
	switch s.names.dialect {
	case SQLite:
		begin = "BEGIN IMMEDIATE" // takes the only lock there is
	case MySQL:
		// Statements that make tables end transactions, so the lock is the
		// connection's.
		name := "audit " + strconv.FormatInt(s.names.lock(), 10)
		if _, err := conn.ExecContext(ctx, "DO GET_LOCK(?, 3600)", name); err != nil {
			return err
		}
		defer func() {
			_, released := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(?)", name)
			err = errors.Join(err, released)
		}()
		return do(ctx, conn)
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, undone := conn.ExecContext(context.WithoutCancel(ctx), rollback)
			err = errors.Join(err, undone)
		}
	}()
	if s.names.dialect == Postgres {
		// Two CREATE TABLE IF NOT EXISTS at once can fail on PostgreSQL.
		lock := "SELECT pg_advisory_xact_lock(" + strconv.FormatInt(s.names.lock(), 10) + ")"
		if _, err := conn.ExecContext(ctx, lock); err != nil {
			return err
		}
	}
	if err := do(ctx, conn); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, commit)
	return err
}

// lock is the number of the lock of these tables on PostgreSQL and MySQL.
func (n names) lock() int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("github.com/gormtrail/audit " + n.qualified(n.events)))
	return int64(h.Sum64())
}

// VerifySchema implements [audit.SchemaVerifier]: it returns an error that
// wraps [audit.ErrSchema] and names the remedy if a table is missing, or older
// or newer than the program.
func (s *Store) VerifySchema(ctx context.Context) error {
	n := s.names
	for _, table := range []string{n.version, n.events, n.settings, n.exports} {
		there, err := s.exists(ctx, s.db, table)
		if err != nil {
			return fmt.Errorf("sqlstore: verify schema: %w", err)
		}
		if !there {
			return fmt.Errorf("%w: there is no table %s; call Store.Migrate, or run the SQL of sqlstore.Migrations", audit.ErrSchema, n.qualified(table))
		}
	}
	version, err := s.version(ctx, s.db)
	switch {
	case err != nil:
		return fmt.Errorf("sqlstore: verify schema: %w", err)
	case version > schemaVersion:
		return s.newer(version)
	case version < schemaVersion:
		return fmt.Errorf("%w: the tables of %s are at version %d, this program needs %d; call Store.Migrate, or run the SQL of sqlstore.Migrations", audit.ErrSchema, n.qualified(n.events), version, schemaVersion)
	}
	return nil
}

func (s *Store) newer(version int) error {
	return fmt.Errorf("%w: the tables of %s are at version %d, this program knows %d; upgrade github.com/gormtrail/audit", audit.ErrSchema, s.names.qualified(s.names.events), version, schemaVersion)
}

// version is the version of the tables, 0 if there are none.
func (s *Store) version(ctx context.Context, tx audit.DBTX) (version int, err error) {
	there, err := s.exists(ctx, tx, s.names.version)
	if err != nil || !there {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM "+s.names.qualified(s.names.version)).Scan(&version)
	return version, err
}

// exists asks the catalog for a table, because the error of a missing one
// differs from driver to driver.
func (s *Store) exists(ctx context.Context, tx audit.DBTX, table string) (bool, error) {
	var text string
	args := []any{table}
	switch s.names.dialect {
	case SQLite:
		text = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE"
	case Postgres:
		text = "SELECT count(to_regclass($1))"
		args[0] = s.names.qualified(table)
	default:
		text = "SELECT count(*) FROM information_schema.tables WHERE table_name = ? AND table_schema = COALESCE(NULLIF(?, ''), DATABASE())"
		args = append(args, s.names.schema)
	}
	var n int
	err := tx.QueryRowContext(ctx, text, args...).Scan(&n)
	return n > 0, err
}
