package dbtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// tap is a driver that writes down every statement and hands it on.
type tap struct {
	driver.Connector
	mu         sync.Mutex
	statements []string
}

// tapInto returns another pool on the database, and what watches it.
func tapInto(t *testing.T, d *Database) (*Database, *tap) {
	t.Helper()
	s := &tap{}
	opener, ok := d.SQL().Driver().(driver.DriverContext)
	if ok {
		connector, err := opener.OpenConnector(d.DSN)
		require.NoError(t, err)
		s.Connector = connector
	} else {
		s.Connector = dsnConnector{d.SQL().Driver(), d.DSN}
	}
	pool := sql.OpenDB(s)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	watched := *d
	watched.pool = pool
	return &watched, s
}

type dsnConnector struct {
	driver driver.Driver
	dsn    string
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }

// Connect implements driver.Connector.
func (s *tap) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.Connector.Connect(ctx)
	return &tapConn{c, s}, err
}

func (s *tap) note(query string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements = append(s.statements, query)
}

// during are the statements of f that begin with one of the words.
func (s *tap) during(t *testing.T, f func() error, words ...string) (found []string) {
	t.Helper()
	s.mu.Lock()
	from := len(s.statements)
	s.mu.Unlock()
	require.NoError(t, f())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, query := range s.statements[from:] {
		for _, word := range words {
			if strings.HasPrefix(query, word) {
				found = append(found, query)
			}
		}
	}
	return found
}

// tapConn is a connection of the three drivers, which all have these abilities.
type tapConn struct {
	driver.Conn
	tap *tap
}

func (c *tapConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.tap.note("BEGIN")
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *tapConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.tap.note("PREPARE " + query)
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *tapConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.tap.note(query)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *tapConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.tap.note(query)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *tapConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *tapConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

// TestAStatementWritesItsEventsTogether counts what reaches the driver.
func TestAStatementWritesItsEventsTogether(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		watched, tap := tapInto(t, database)
		if database.Name == "mysql" {
			// Else the driver prepares what has arguments.
			watched, tap = tapInto(t, &Database{
				Name: database.Name, Dialect: database.Dialect, Driver: database.Driver, Namespace: database.Namespace,
				DSN: database.DSN + "&interpolateParams=true", pool: database.pool,
			})
		}
		o := newOffice(t, watched, storeInDatabase, nil)
		db := o.db.WithContext(o.ctx)
		inserts := func(f func() error) (events, all int) {
			for _, s := range tap.during(t, f, "INSERT", "WITH") {
				if strings.Contains(s, "audit_events") {
					events++
				}
				all++
			}
			return events, all
		}
		// On SQLite the store binds at most 400 variables for the columns in which
		// events differ; see sqlstore's insert.
		together := func(events, differing int) int {
			if size := 400 / differing; database.Name == "sqlite" {
				return (events + size - 1) / size
			}
			return 1
		}
		words := make([]Word, 512)
		for i := range words {
			words[i] = Word{ID: numbered("x", i), WorkspaceID: "w1"}
		}
		events, _ := inserts(func() error { return db.Create(&words).Error })
		require.Equal(t, together(512, 3), events, "512 created: id, record and values")
		events, all := inserts(func() error { return db.Model(&Word{}).Where("1 = 1").Update("name", "n").Error })
		require.Equal(t, together(512, 2), events, "512 updated: id and record")
		require.Equal(t, events, all, "and nothing else is inserted")
		events, _ = inserts(func() error { return db.Where("1 = 1").Delete(&Word{}).Error })
		require.Equal(t, together(512, 3), events, "512 deleted: id, record and values")
		events, _ = inserts(func() error {
			return db.Create(&Entry{ID: "e1", WorkspaceID: "w1", Words: []Word{{ID: "a", WorkspaceID: "w1"}, {ID: "b", WorkspaceID: "w1"}}}).Error
		})
		require.Equal(t, 1, events, "a record with its elements")

		many := make([]Word, 2500)
		for i := range many {
			many[i] = Word{ID: numbered("m", i), WorkspaceID: "w1"}
		}
		require.NoError(t, o.raw.CreateInBatches(&many, 500).Error)
		events, _ = inserts(func() error { return db.Model(&Word{}).Where("id LIKE ?", "m%").Update("name", "n").Error })
		require.LessOrEqual(t, events, together(2500, 2)+7, "2500 updated")
	})
}

// TestWhatIsNotRegisteredCostsNoStatement compares with GORM alone.
func TestWhatIsNotRegisteredCostsNoStatement(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		watched, tap := tapInto(t, database)
		o := newOffice(t, watched, storeInDatabase, nil)
		writes := func(db *gorm.DB, id string) func() error {
			return func() error {
				if err := db.Create(&Stray{ID: id}).Error; err != nil {
					return err
				}
				if err := db.Model(&Stray{ID: id}).Update("name", "x").Error; err != nil {
					return err
				}
				return db.Delete(&Stray{ID: id}).Error
			}
		}
		verbs := []string{"BEGIN", "INSERT", "UPDATE", "DELETE", "SELECT", "PREPARE", "SAVEPOINT", "WITH", "PRAGMA"}
		// The first delete looks into the catalogue whether anything follows it.
		require.Len(t, tap.during(t, func() error { return o.db.WithContext(o.ctx).Delete(&Stray{ID: "none"}).Error }, "SELECT"), 1)
		bare := tap.during(t, writes(o.raw, "same"), verbs...)
		require.Equal(t, bare, tap.during(t, writes(o.db.WithContext(o.ctx), "same"), verbs...))
	})
}
