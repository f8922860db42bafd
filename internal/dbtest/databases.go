package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit/store/sqlstore"
)

// ErrUnavailable is returned by [New] for a server that does not answer. The
// error around it says how to start one.
var ErrUnavailable = errors.New("dbtest: the database server does not answer")

// Names are the databases in the order in which [Each] visits them.
func Names() []string { return []string{"sqlite", "postgres", "mysql"} }

// Database is an empty database that nobody else uses: a file of SQLite, a
// schema of PostgreSQL, a database of MariaDB.
type Database struct {
	// Name is one of [Names].
	Name string
	// Dialect is the same for sqlstore.
	Dialect sqlstore.Dialect
	// Driver and DSN open another pool on this database with sql.Open.
	Driver, DSN string
	// Namespace is the schema of PostgreSQL or the database of MariaDB that is
	// this Database's own. Empty for SQLite.
	Namespace string

	pool *sql.DB
}

// Clusters are what AUDIT_TEST_REQUIRE may name beside [Names]: servers that belong
// together, which a test starts itself; see [Missing].
func Clusters() []string { return []string{"galera", "replication"} }

// Missing skips a test for which something is missing, or fails it if
// AUDIT_TEST_REQUIRE has the name.
func Missing(tb testing.TB, name string, reason error) {
	tb.Helper()
	switch required, err := required(); {
	case err != nil:
		tb.Fatal(err)
	case required[name]:
		tb.Fatalf("AUDIT_TEST_REQUIRE names %s, which cannot be started: %v", name, reason)
	}
	tb.Skipf("SKIPPED, nothing was tested on %s: %v", name, reason)
}

// Each runs f as a subtest on every database. One that is missing is skipped
// with the reason, or fails if AUDIT_TEST_REQUIRE names it.
func Each(t *testing.T, f func(t *testing.T, db *Database)) {
	t.Helper()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) { f(t, Open(t, name)) })
	}
}

// Open returns a fresh database that is dropped when the test ends. If the
// server is missing, the test is skipped with the reason, or fails if
// AUDIT_TEST_REQUIRE (a comma-separated list of [Names]) names it.
func Open(tb testing.TB, name string) *Database {
	tb.Helper()
	required, err := required()
	if err != nil {
		tb.Fatal(err)
	}
	db, drop, err := openFor(tb, name)
	switch {
	case errors.Is(err, ErrUnavailable) && !required[name]:
		tb.Skipf("SKIPPED, nothing was tested on %s: %v", name, err)
	case err != nil:
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := drop(); err != nil {
			tb.Errorf("drop the test database: %v", err)
		}
	})
	return db
}

// openFor opens a database for a test or a benchmark.
func openFor(tb testing.TB, name string) (*Database, func() error, error) {
	if name != "sqlite" {
		return open(context.Background(), name, "")
	}
	if _, measures := tb.(*testing.B); measures {
		return openSQLite(tb.TempDir())
	}
	// What undoes a statement with triggers, as the oracle's, takes 64 KB from the
	// system each time if it may go to a file, which is a third of what tests take.
	// Statements on many rows are quicker with it.
	return openSQLite(tb.TempDir(), "temp_store(memory)")
}

// New is [Open] for programs that are not tests. The function it returns
// closes the database and drops it.
func New(ctx context.Context, name string) (*Database, func() error, error) {
	if name != "sqlite" {
		return open(ctx, name, "")
	}
	dir, err := os.MkdirTemp("", "dbtest")
	if err != nil {
		return nil, nil, err
	}
	db, drop, err := open(ctx, name, dir)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return db, func() error { return errors.Join(drop(), os.RemoveAll(dir)) }, nil
}

// Keep is [New] for a database that stays: the one at this path, as
// /var/tmp/long, is opened, or made if there is none. On a server it has the
// name with which the path ends. The function it returns closes the database.
func Keep(ctx context.Context, name, path string) (*Database, func() error, error) {
	var db *Database
	var err error
	if name == "sqlite" {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, nil, err
		}
		db, _, err = openSQLite(path)
	} else {
		db, _, err = openServer(ctx, name, filepath.Base(path))
	}
	if err != nil {
		return nil, nil, err
	}
	return db, db.pool.Close, nil
}

// SQL returns the database's pool. It is the same one every time.
func (d *Database) SQL() *sql.DB { return d.pool }

// Dialector returns GORM's dialect on the database's pool.
func (d *Database) Dialector() gorm.Dialector {
	switch d.Dialect {
	case sqlstore.Postgres:
		return postgres.New(postgres.Config{Conn: d.pool})
	case sqlstore.MySQL:
		return mysql.New(mysql.Config{Conn: d.pool})
	}
	return &sqlite.Dialector{Conn: d.pool}
}

// Gorm opens GORM on the database's pool. It is silent unless an option says
// otherwise.
func (d *Database) Gorm(tb testing.TB, opts ...gorm.Option) *gorm.DB {
	tb.Helper()
	opts = append([]gorm.Option{&gorm.Config{Logger: logger.Discard}}, opts...)
	db, err := gorm.Open(d.Dialector(), opts...)
	if err != nil {
		tb.Fatalf("open gorm on %s: %v", d.Name, err)
	}
	return db
}

// server is a database server that is there before the tests start.
type server struct {
	name, driver, env, fallback string
	// start tells how to start one.
	start string
	// create and drop take the quoted name of the namespace.
	create, drop string
	quote        string
	// within returns the DSN that leads into the namespace.
	within  func(dsn, namespace string) (string, error)
	dialect sqlstore.Dialect

	once  sync.Once
	admin *sql.DB
	err   error
}

var servers = map[string]*server{
	"postgres": {
		name: "PostgreSQL", driver: "pgx", env: "AUDIT_TEST_POSTGRES",
		fallback: "postgres://postgres@127.0.0.1:5432/test?sslmode=disable",
		start:    "docker run --rm -p 127.0.0.1:5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust -e POSTGRES_DB=test postgres:15",
		create:   "CREATE SCHEMA IF NOT EXISTS %s", drop: "DROP SCHEMA IF EXISTS %s CASCADE", quote: `"`,
		within: withinSchema, dialect: sqlstore.Postgres,
	},
	"mysql": {
		name: "MariaDB", driver: "mysql", env: "AUDIT_TEST_MYSQL",
		fallback: "root@tcp(127.0.0.1:3306)/test",
		start:    "docker run --rm -p 127.0.0.1:3306:3306 -e MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 -e MARIADB_DATABASE=test mariadb:10.11",
		create:   "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4", drop: "DROP DATABASE IF EXISTS %s", quote: "`",
		within: withinDatabase, dialect: sqlstore.MySQL,
	},
}

// probeTimeout bounds the one look for each server. A server on the same
// machine answers in milliseconds.
const probeTimeout = 3 * time.Second

// connect looks for the server once per process and keeps the answer.
func (s *server) connect() (*sql.DB, error) {
	s.once.Do(func() {
		dsn := os.Getenv(s.env)
		if dsn == "" {
			dsn = s.fallback
		}
		if s.admin, s.err = sql.Open(s.driver, dsn); s.err != nil {
			s.err = fmt.Errorf("dbtest: %s cannot be read: %w", s.env, s.err)
			return
		}
		s.admin.SetMaxOpenConns(2)
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		defer cancel()
		if err := s.admin.PingContext(ctx); err != nil {
			s.err = fmt.Errorf("%w: %s: %w; set %s to the DSN of one, or start one with: %s", ErrUnavailable, s.name, err, s.env, s.start)
		}
	})
	return s.admin, s.err
}

// open makes the database. The directory is for SQLite's file.
func open(ctx context.Context, name, dir string) (*Database, func() error, error) {
	if name == "sqlite" {
		return openSQLite(dir)
	}
	return openServer(ctx, name, "audit_test_"+strings.ToLower(rand.Text()))
}

// openServer makes a namespace on a server, if there is none of that name.
func openServer(ctx context.Context, name, namespace string) (*Database, func() error, error) {
	s, ok := servers[name]
	if !ok {
		return nil, nil, fmt.Errorf("dbtest: there is no database %q, only %s", name, strings.Join(Names(), ", "))
	}
	admin, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	quoted := s.quote + namespace + s.quote
	if _, err := admin.ExecContext(ctx, fmt.Sprintf(s.create, quoted)); err != nil {
		return nil, nil, fmt.Errorf("dbtest: %s: make a namespace of our own: %w", s.name, err)
	}
	drop := func() error {
		_, err := admin.ExecContext(context.Background(), fmt.Sprintf(s.drop, quoted))
		return err
	}
	dsn := os.Getenv(s.env)
	if dsn == "" {
		dsn = s.fallback
	}
	if dsn, err = s.within(dsn, namespace); err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	db := &Database{Name: name, Dialect: s.dialect, Driver: s.driver, DSN: dsn, Namespace: namespace}
	return db.connect(drop)
}

func openSQLite(dir string, pragmas ...string) (*Database, func() error, error) {
	// The timeout comes first, because switching to WAL takes a lock. A
	// transaction that begins as a reader cannot wait to become a writer,
	// hence immediate.
	query := url.Values{
		"_pragma": append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)"}, pragmas...),
		"_txlock": {"immediate"},
	}
	dsn := "file:" + filepath.ToSlash(filepath.Join(dir, "test.db")) + "?" + query.Encode()
	db := &Database{Name: "sqlite", Dialect: sqlstore.SQLite, Driver: "sqlite", DSN: dsn}
	db, drop, err := db.connect(func() error { return nil })
	if err != nil {
		return nil, nil, err
	}
	// The first connection makes the file one with WAL. Two that did so at once
	// would not wait for each other.
	if err := db.pool.Ping(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("dbtest: open SQLite: %w", err), drop())
	}
	return db, drop, nil
}

// connect opens the pool and returns what closes it and drops the database.
func (d *Database) connect(drop func() error) (*Database, func() error, error) {
	pool, err := sql.Open(d.Driver, d.DSN)
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	// Enough for tests of concurrency, few enough for many tests at once on a
	// server that allows a hundred connections.
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	d.pool = pool
	return d, func() error { return errors.Join(pool.Close(), drop()) }, nil
}

// withinSchema sets the search path in a DSN of either form.
func withinSchema(dsn, schema string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " search_path=" + schema, nil
	}
	u, err := url.Parse(dsn)
	if err != nil {
		// url.Error repeats the DSN and with it the password.
		return "", errors.New("dbtest: AUDIT_TEST_POSTGRES is not a URL that can be read")
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// withinDatabase replaces the database in a DSN.
func withinDatabase(dsn, database string) (string, error) {
	cfg, err := mysqldriver.ParseDSN(dsn)
	if err != nil {
		return "", fmt.Errorf("dbtest: AUDIT_TEST_MYSQL: %w", err)
	}
	cfg.DBName = database
	cfg.ParseTime = true
	cfg.Loc = time.UTC
	return cfg.FormatDSN(), nil
}

// required reads AUDIT_TEST_REQUIRE.
func required() (map[string]bool, error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(os.Getenv("AUDIT_TEST_REQUIRE"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if known := append(Names(), Clusters()...); !slices.Contains(known, name) {
			return nil, fmt.Errorf("dbtest: AUDIT_TEST_REQUIRE names %q, but there are only %s", name, strings.Join(known, ", "))
		}
		wanted[name] = true
	}
	return wanted, nil
}
