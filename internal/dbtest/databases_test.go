package dbtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachDatabaseIsEmptyAndIsolated(t *testing.T) {
	Each(t, func(t *testing.T, first *Database) {
		second := Open(t, first.Name)
		ctx := context.Background()
		for _, db := range []*Database{first, second} {
			_, err := db.SQL().ExecContext(ctx, "CREATE TABLE things (id int PRIMARY KEY, at timestamp)")
			require.NoError(t, err, "the table must not be there yet")
		}
		_, err := first.SQL().ExecContext(ctx, "INSERT INTO things (id) VALUES (1)")
		require.NoError(t, err)

		var n int
		require.NoError(t, second.SQL().QueryRowContext(ctx, "SELECT count(*) FROM things").Scan(&n))
		require.Zero(t, n)

		var through int64
		require.NoError(t, first.Gorm(t).Table("things").Count(&through).Error)
		require.EqualValues(t, 1, through, "GORM works on the same pool")
	})
}

func TestNewDropsWhatItMade(t *testing.T) {
	db, drop, err := New(context.Background(), "sqlite")
	require.NoError(t, err)
	var seq int
	var name, file string
	require.NoError(t, db.SQL().QueryRow("PRAGMA database_list").Scan(&seq, &name, &file))
	require.FileExists(t, file)
	require.NoError(t, drop())
	require.NoDirExists(t, filepath.Dir(file))

	_, _, err = New(context.Background(), "oracle")
	require.EqualError(t, err, `dbtest: there is no database "oracle", only sqlite, postgres, mysql`)
}

func TestSQLiteEnforcesForeignKeysAndWritesAhead(t *testing.T) {
	db := Open(t, "sqlite").SQL()
	for pragma, want := range map[string]string{"foreign_keys": "1", "journal_mode": "wal", "busy_timeout": "10000", "temp_store": "2"} {
		var got string
		require.NoError(t, db.QueryRow("PRAGMA "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
}

func TestServersThatDoNotAnswerAreNamedWithARemedy(t *testing.T) {
	t.Setenv("AUDIT_TEST_NOWHERE", "postgres://postgres:hunter2@127.0.0.1:1/test?sslmode=disable")

	s := server{name: "PostgreSQL", driver: "pgx", env: "AUDIT_TEST_NOWHERE", start: servers["postgres"].start}
	_, err := s.connect()
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "PostgreSQL")
	require.ErrorContains(t, err, "AUDIT_TEST_NOWHERE")
	require.ErrorContains(t, err, "docker run")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestDSNsLeadIntoTheNamespace(t *testing.T) {
	for name, c := range map[string]struct {
		within    func(string, string) (string, error)
		dsn, want string
	}{
		"a URL of PostgreSQL":           {withinSchema, "postgres://u@h/d?sslmode=disable", "postgres://u@h/d?search_path=s&sslmode=disable"},
		"key and value of PostgreSQL":   {withinSchema, "host=h user=u", "host=h user=u search_path=s"},
		"a DSN of MariaDB":              {withinDatabase, "u@tcp(h:1)/d", "u@tcp(h:1)/s?parseTime=true"},
		"a DSN with a query of its own": {withinDatabase, "u@tcp(h:1)/d?loc=Local", "u@tcp(h:1)/s?parseTime=true"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.within(c.dsn, "s")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestRequiredNamesAreChecked(t *testing.T) {
	t.Setenv("AUDIT_TEST_REQUIRE", "postgres, mysql,galera")
	got, err := required()
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"postgres": true, "mysql": true, "galera": true}, got)

	t.Setenv("AUDIT_TEST_REQUIRE", "postgress")
	_, err = required()
	require.EqualError(t, err, `dbtest: AUDIT_TEST_REQUIRE names "postgress", but there are only sqlite, postgres, mysql, galera, replication`)
	require.NotErrorIs(t, err, ErrUnavailable)
}

// told is a test that only keeps what it is told.
type told struct {
	testing.TB
	fatal, skipped string
}

func (m *told) Fatalf(format string, args ...any) { m.fatal = fmt.Sprintf(format, args...) }

func (m *told) Skipf(format string, args ...any) { m.skipped = fmt.Sprintf(format, args...) }

func TestWhatIsRequiredMayNotBeMissing(t *testing.T) {
	reason := errors.New("no such program")
	t.Setenv("AUDIT_TEST_REQUIRE", "mysql")
	m := &told{TB: t}
	Missing(m, "galera", reason)
	require.Equal(t, told{TB: t, skipped: "SKIPPED, nothing was tested on galera: no such program"}, *m)

	t.Setenv("AUDIT_TEST_REQUIRE", "mysql,galera")
	m = &told{TB: t}
	Missing(m, "galera", reason)
	require.Equal(t, "AUDIT_TEST_REQUIRE names galera, which cannot be started: no such program", m.fatal)
}
