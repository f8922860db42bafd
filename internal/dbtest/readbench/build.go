package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/sqlstore"
)

// minEvents is the length from which on every question has an answer.
const minEvents = 15_000

// subject is a log in a database.
type subject struct {
	name     string
	n        int
	database *dbtest.Database
	close    func() error
	store    *sqlstore.Store
	// watched is the store as the handler has it.
	watched  *stopwatch
	handler  http.Handler
	expected *expectations
	places   []places
	times    map[string][]time.Duration
	// sizes are the most bytes of a report, and sent the same as they are sent.
	sizes, sent map[string]int
}

func (s *subject) wrap(err error) error {
	return fmt.Errorf("%s, %d events: %w", s.name, s.n, err)
}

// open opens a log, and builds it if there is none.
func (o options) open(ctx context.Context, name string, n int) (_ *subject, err error) {
	open := func() (*dbtest.Database, func() error, error) { return dbtest.New(ctx, name) }
	if o.keep != "" {
		open = func() (*dbtest.Database, func() error, error) {
			return dbtest.Keep(ctx, name, fmt.Sprintf("%s_%d", o.keep, n))
		}
	}
	db, end, err := open()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	s := &subject{name: name, n: n, database: db, close: end, times: map[string][]time.Duration{}, sizes: map[string]int{}, sent: map[string]int{}}
	if s.store, err = sqlstore.New(db.SQL(), db.Dialect, nil); err != nil {
		return nil, err
	}
	s.watched = &stopwatch{Store: s.store}
	s.handler, err = report.NewHandler(s.watched, &report.Options{Authorize: authorize})
	if err != nil {
		return nil, err
	}
	complete, err := s.complete(ctx)
	if err != nil || complete {
		return s, err
	}
	start := time.Now()
	if err := s.build(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "%s: a log of %d events was made in %s\n", name, n, time.Since(start).Round(time.Second))
	return s, nil
}

// made is the table that a log gets when it is complete.
const made = "readbench_made"

// complete reports whether the log is there. Half a log is an error.
func (s *subject) complete(ctx context.Context) (bool, error) {
	var n int
	err := s.database.SQL().QueryRowContext(ctx, "SELECT max(n) FROM "+made).Scan(&n)
	if err == nil {
		if n != s.n {
			return false, fmt.Errorf("the log that was kept has %d events", n)
		}
		return true, s.store.VerifySchema(ctx)
	}
	if err := s.database.SQL().QueryRowContext(ctx, "SELECT count(*) FROM "+sqlstore.DefaultTable).Scan(&n); err == nil {
		return false, errors.New("the making of the log that was kept was interrupted; remove its folder or database")
	}
	return false, nil
}

// perTransaction is how many events are written before a commit.
const perTransaction = 50_000

// build writes the log through the store, so that its rows are the store's. The
// indexes come last, where that is possible: then they are sorted once.
func (s *subject) build(ctx context.Context) error {
	if err := s.tables(ctx); err != nil {
		return err
	}
	conn, err := s.database.SQL().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := run(ctx, conn, map[sqlstore.Dialect][]string{
		sqlstore.SQLite:   {"PRAGMA synchronous = OFF", "PRAGMA cache_size = -500000"},
		sqlstore.Postgres: {"SET synchronous_commit = off", "SET maintenance_work_mem = '1GB'"},
	}[s.database.Dialect]...); err != nil {
		return err
	}
	y := newYear(s.n)
	for y.made < s.n {
		if err := s.append(ctx, conn, y); err != nil {
			return err
		}
	}
	return s.finish(ctx, conn)
}

// append writes a part of the year.
func (s *subject) append(ctx context.Context, conn *sql.Conn, y *year) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	batch := make([]audit.Event, 0, 1000)
	for from := y.made; y.made < s.n && y.made-from < perTransaction; {
		batch = append(batch[:0], y.next()...)
		for len(batch) < 900 && y.made < s.n {
			batch = append(batch, y.next()...)
		}
		if err := s.store.AppendTx(ctx, tx, batch); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// tables makes the tables, without indexes that can be made later.
func (s *subject) tables(ctx context.Context) error {
	if s.database.Dialect == sqlstore.MySQL { // where they are part of the table
		return s.store.Migrate(ctx)
	}
	texts, err := sqlstore.Migrations(s.database.Dialect, nil)
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(strings.Join(texts, "\n"), ";\n") {
		if !strings.Contains("\n"+statement, "\nCREATE TABLE") {
			continue
		}
		if _, err := s.database.SQL().ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the indexes, and what a server does by itself in the hours after.
func (s *subject) finish(ctx context.Context, conn *sql.Conn) error {
	if err := s.store.Migrate(ctx); err != nil {
		return err
	}
	return run(ctx, conn, append(map[sqlstore.Dialect][]string{
		sqlstore.SQLite:   {"PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA synchronous = FULL", "PRAGMA cache_size = -2000"},
		sqlstore.Postgres: {"RESET ALL", "VACUUM (FREEZE, ANALYZE) " + sqlstore.DefaultTable, "CHECKPOINT"},
		sqlstore.MySQL:    {"ANALYZE TABLE " + sqlstore.DefaultTable},
	}[s.database.Dialect],
		fmt.Sprintf("CREATE TABLE %s AS SELECT %d AS n", made, s.n))...)
}

func run(ctx context.Context, conn *sql.Conn, statements ...string) error {
	for _, text := range statements {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}
