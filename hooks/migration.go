package hooks

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// changesTables reports whether SQL changes what tables look like, by the words
// that its statements begin with, also those within MySQL's blocks and behind its SET
// STATEMENT. Of what PostgreSQL's DO runs nothing is known, so it is taken for a
// migration, too.
func changesTables(dialect, text string) bool {
	l := &lexer{dialect: dialect, text: text}
	begins := true
	for t, ok := l.next(); ok; t, ok = l.next() {
		if begins && t.isOne([]string{"ALTER", "CREATE", "DROP", "RENAME", "DO"}) {
			return true
		}
		begins = t.kind == ';' || dialect == "mysql" && (t.isOne(blockSteps) || t.is("FOR"))
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

// migrations are the transactions in which tables are changed. Until they end,
// they and all others see different tables; what was looked up before is forgotten
// then.
type migrations struct {
	open    atomic.Int32 // how many there are, those that are ending among them
	running atomic.Int32 // how many are not ending
	mu      sync.Mutex   // guards the rest
	txs     []migrating
}

// migrating is one of them.
type migrating struct {
	tx   *sql.Tx
	over time.Time // when it was first seen to end; zero until then
}

// ending is how long the end of a transaction may take from its beginning on.
const ending = 5 * time.Second

// of finds a transaction; -1 if tables were not changed in it.
func (m *migrations) of(tx *sql.Tx) int {
	return slices.IndexFunc(m.txs, func(t migrating) bool { return t.tx == tx })
}

// add takes in the transaction that a connection is, if it is one.
func (m *migrations) add(conn audit.DBTX) {
	tx := transactionOf(conn)
	m.mu.Lock()
	defer m.mu.Unlock()
	if tx != nil && m.of(tx) < 0 {
		m.txs = append(m.txs, migrating{tx: tx})
		m.open.Store(int32(len(m.txs)))
		m.running.Add(1)
	}
}

// has reports whether tables were changed in the transaction that a connection is.
func (m *migrations) has(conn audit.DBTX) bool {
	if m.open.Load() == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(transactionOf(conn)) >= 0
}

// settleMigrations forgets the tables when a transaction that has changed them ends,
// and once more when it must be over for the database, too.
func (p *Plugin) settleMigrations() {
	m := &p.migrations
	if m.open.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, settled := time.Now(), false
	m.txs = slices.DeleteFunc(m.txs, func(t migrating) bool { return !t.over.IsZero() && now.Sub(t.over) > ending })
	for i := range m.txs {
		if t := &m.txs[i]; t.over.IsZero() && isOver(t.tx) {
			t.over, settled = now, true
			m.running.Add(-1)
		}
	}
	if settled || len(m.txs) < int(m.open.Load()) {
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
	name := p.names.Load().of(db.Statement)
	if strings.ContainsFunc(name, func(r rune) bool { return !isWord(r) && r != '.' }) {
		return nil // whatever it is, it is none that others know
	}
	tx, there := connection(db.Statement.ConnPool), false
	if err := tx.QueryRowContext(db.Statement.Context, "SELECT to_regclass($1) IS NOT NULL", p.dialect.quote(name)).Scan(&there); err != nil || !there {
		return err
	}
	_, err := tx.ExecContext(db.Statement.Context, "LOCK TABLE "+p.dialect.quote(name)+" IN ROW EXCLUSIVE MODE")
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
