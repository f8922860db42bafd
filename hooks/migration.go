package hooks

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// changesTables reports whether SQL changes what tables look like, by the words
// that its statements begin with. Of what PostgreSQL's DO runs nothing is known,
// so it is taken for a migration, too.
func changesTables(dialect, text string) bool {
	l := &lexer{dialect: dialect, text: text}
	begins := true
	for t, ok := l.next(); ok; t, ok = l.next() {
		if begins && t.isOne([]string{"ALTER", "CREATE", "DROP", "RENAME", "DO"}) {
			return true
		}
		begins = t.kind == ';'
	}
	return false
}

// forgetTables makes all that is known of tables be looked up anew.
func (p *Plugin) forgetTables() {
	p.forgotten.Add(1)
	for _, t := range p.known() {
		if t != nil {
			t.forget()
		}
	}
	p.catalogue.Store(nil)
}

// migration marks a statement that changes tables.
const migration = "audit:migration"

// afterMigration forgets once more what was looked up while a migration waited for
// those who used the tables: they have seen them as they were. Failed or not, it
// may have changed some.
func (p *Plugin) afterMigration(db *gorm.DB) {
	if migrated, _ := noted(db, migration).(bool); migrated {
		p.forgetTables()
	}
}

// migrations are the transactions in which tables are changed. Until they end,
// they and all others see different tables; what was looked up before is forgotten
// then.
type migrations struct {
	open atomic.Int32 // how many there are
	mu   sync.Mutex   // guards the rest
	txs  []*sql.Tx
}

// add takes in the transaction that a connection is, if it is one.
func (m *migrations) add(conn audit.DBTX) {
	tx := transactionOf(conn)
	m.mu.Lock()
	defer m.mu.Unlock()
	if tx != nil && !slices.Contains(m.txs, tx) {
		m.txs = append(m.txs, tx)
		m.open.Store(int32(len(m.txs)))
	}
}

// has reports whether tables were changed in the transaction that a connection is.
func (m *migrations) has(conn audit.DBTX) bool {
	if m.open.Load() == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.txs, transactionOf(conn))
}

// settleMigrations forgets the tables once a transaction that has changed them is
// over.
func (p *Plugin) settleMigrations() {
	m := &p.migrations
	if m.open.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.txs)
	if m.txs = slices.DeleteFunc(m.txs, isOver); len(m.txs) < n {
		p.forgetTables()
		m.open.Store(int32(len(m.txs))) // behind, since others do not wait if there is none
	}
}

// awaitMigrations has a delete wait for the transactions that may be changing its
// table before the constraints are read: it would wait for them afterwards, and
// follow theirs. The error is that of the statement itself.
func (p *Plugin) awaitMigrations(db *gorm.DB) error {
	if p.knownConstraints() != nil || p.migrations.open.Load() == 0 {
		return nil
	}
	p.openTransaction(db)
	if p.dialect.name != "postgres" || db.Error != nil || !inTransaction(db.Statement.ConnPool) {
		return nil // SQLite has waited
	}
	tx := connection(db.Statement.ConnPool)
	_, err := tx.ExecContext(db.Statement.Context, "LOCK TABLE "+p.dialect.quote(p.names.Load().of(db.Statement))+" IN ROW EXCLUSIVE MODE")
	return err
}

// forgetOutdated forgets the tables if a statement failed because one of them has
// other columns than those that were looked up: somebody else has migrated it. So
// the next call recovers.
func (p *Plugin) forgetOutdated(err error) {
	if outdated(err) {
		p.forgetTables()
	}
}

// outdated reports whether the database does not know a column, or, as PostgreSQL
// says of what was prepared before, whether it has another type.
func outdated(err error) bool {
	if err == nil {
		return false
	}
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState() == "42703" || state.SQLState() == "0A000"
	}
	text := err.Error()
	return errors.Is(err, gorm.ErrInvalidField) || // as GORM translates it
		strings.Contains(text, "Error 1054 ") || strings.Contains(text, "no such column")
}

// assignsUnknown reports whether the statement sets a column that the table did
// not have when it was looked up: somebody else has added it.
func (c *capture) assignsUnknown() bool {
	for i := range c.assigned.set {
		if c.layout.named(c.assigned.set[i].Column.Name) == "" {
			return true
		}
	}
	if c.kind != inserting {
		return false
	}
	for _, column := range c.values().Columns {
		if c.layout.named(column.Name) == "" {
			return true
		}
	}
	return false
}

// forget makes the table be looked up anew: it may have been migrated.
func (t *table) forget() {
	t.layout.Store(nil)
	t.indexes.Store(nil)
	t.defaults.Store(nil)
}
