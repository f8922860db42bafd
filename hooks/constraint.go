package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// catalogue is what the database says of foreign keys by which it removes or
// changes rows on its own when those they refer to are deleted: ON DELETE
// CASCADE, SET NULL and SET DEFAULT. It is read from the database and not from
// the models' tags, which may not tell what is there. It is read at the first
// hard delete, because tables may be migrated after the plugin is registered,
// and forgotten when the plugin sees a statement that changes tables.
//
// Only keys that lead to recorded rows are kept, be it by way of tables that
// are not recorded.
type catalogue struct {
	dependents map[*table][]*dependent
	bystanders map[string]*table // by folded name
}

// dependent is one such foreign key.
type dependent struct {
	table   *table   // whose rows refer
	columns []string // by these
	refers  []string // to these of the parent
	removes bool     // a row goes with the one it refers to
}

// foreignKey is a constraint as the database tells it.
type foreignKey struct {
	child, parent   relation
	columns, refers []string
	removes         bool
}

// relation is a table as the database names it. A visible one needs no schema.
type relation struct {
	schema, name string
	visible      bool
}

func (r relation) full() string {
	if r.schema == "" {
		return r.name
	}
	return r.schema + "." + r.name
}

// The catalogues of the databases: child and parent, each with schema and whether
// it needs none, which PostgreSQL does not know of a table that was dropped just
// now; then one constraint's action, and a row for each column.
var foreignKeyQueries = map[string]string{
	"postgres": `SELECT cn.nspname, c.relname, COALESCE(pg_catalog.pg_table_is_visible(c.oid), false), pn.nspname, p.relname, COALESCE(pg_catalog.pg_table_is_visible(p.oid), false),
	k.oid::text, CASE k.confdeltype WHEN 'c' THEN 'CASCADE' ELSE 'SET' END, ca.attname, pa.attname
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid=k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid=c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid=k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid=p.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(child, parent, place)
JOIN pg_catalog.pg_attribute ca ON ca.attrelid=k.conrelid AND ca.attnum=u.child
JOIN pg_catalog.pg_attribute pa ON pa.attrelid=k.confrelid AND pa.attnum=u.parent
WHERE k.contype='f' AND k.conparentid=0 AND k.confdeltype IN ('c','n','d')
ORDER BY k.oid, u.place`,
	"mysql": `SELECT '', k.TABLE_NAME, TRUE, '', k.REFERENCED_TABLE_NAME, TRUE,
	CONCAT(k.TABLE_NAME, ' ', k.CONSTRAINT_NAME), r.DELETE_RULE, k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME
FROM information_schema.REFERENTIAL_CONSTRAINTS r
JOIN information_schema.KEY_COLUMN_USAGE k
	ON k.CONSTRAINT_SCHEMA=r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME=r.CONSTRAINT_NAME AND k.TABLE_NAME=r.TABLE_NAME
WHERE r.CONSTRAINT_SCHEMA=DATABASE() AND k.CONSTRAINT_SCHEMA=DATABASE() AND k.REFERENCED_TABLE_SCHEMA=DATABASE()
	AND r.DELETE_RULE IN ('CASCADE','SET NULL','SET DEFAULT')
ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`,
	"sqlite": `SELECT '', m.name, 1, '', f."table", 1, m.name||' '||f.id, f.on_delete, f."from",
	COALESCE(f."to", (SELECT i.name FROM pragma_table_info(f."table") i WHERE i.pk=f.seq+1), '')
FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type='table' AND f.on_delete IN ('CASCADE','SET NULL','SET DEFAULT')
ORDER BY m.name, f.id, f.seq`,
}

// foreignKeys reads the constraints.
func (d dialect) foreignKeys(ctx context.Context, tx audit.DBTX) ([]foreignKey, error) {
	rows, err := tx.QueryContext(ctx, foreignKeyQueries[d.name])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var (
		keys []foreignKey
		last string
	)
	for rows.Next() {
		var (
			k                          foreignKey
			name, rule, column, refers string
		)
		if err := rows.Scan(&k.child.schema, &k.child.name, &k.child.visible, &k.parent.schema, &k.parent.name, &k.parent.visible,
			&name, &rule, &column, &refers); err != nil {
			return nil, err
		}
		if len(keys) == 0 || name != last {
			k.removes, last = rule == "CASCADE", name
			keys = append(keys, k)
		}
		at := &keys[len(keys)-1]
		at.columns, at.refers = append(at.columns, column), append(at.refers, refers)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return keys, rows.Close()
}

// fold is a table's name as the database compares names.
func (d dialect) fold(name string) string {
	if d.name == "postgres" {
		return name
	}
	return strings.ToLower(name)
}

// constraints returns the catalogue, and reads it if it is not known.
func (p *Plugin) constraints(ctx context.Context, tx audit.DBTX) (*catalogue, error) {
	if c := p.catalogue.Load(); c != nil {
		return c, nil
	}
	keys, err := p.dialect.foreignKeys(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("read the database's foreign keys: %w", err)
	}
	tables := p.known()
	c, err := p.arrange(ctx, tx, keys, tables)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t != nil {
			t.dependents.Store(len(c.dependents[t]) > 0)
		}
	}
	p.catalogue.Store(c)
	if len(p.known()) != len(tables) {
		p.catalogue.Store(nil) // another was met meanwhile
	}
	return c, nil
}

// arrange finds out which of the keys matter: those by which deleted rows take
// recorded ones along or change them.
func (p *Plugin) arrange(ctx context.Context, tx audit.DBTX, keys []foreignKey, recorded map[string]*table) (*catalogue, error) {
	byName := make(map[string]*table, len(recorded))
	for name, t := range recorded {
		byName[p.dialect.fold(name)] = t
	}
	registered := func(r relation) *table {
		if t := byName[p.dialect.fold(r.full())]; t != nil || !r.visible {
			return t
		}
		t := byName[p.dialect.fold(r.name)]
		if t != nil && strings.Contains(t.name, ".") {
			return nil // of that name, in another schema
		}
		return t
	}
	// A table matters if deleting its rows changes recorded ones.
	matters := map[relation]bool{}
	leads := func(k foreignKey) bool { return registered(k.child) != nil || k.removes && matters[k.child] }
	for grown := true; grown; {
		grown = false
		for _, k := range keys {
			if !matters[k.parent] && leads(k) {
				matters[k.parent], grown = true, true
			}
		}
	}
	c := &catalogue{dependents: map[*table][]*dependent{}, bystanders: map[string]*table{}}
	tables := map[relation]*table{}
	node := func(r relation) *table {
		if tables[r] == nil {
			tables[r] = registered(r)
		}
		if tables[r] == nil {
			t := newBystander(r)
			tables[r], c.bystanders[p.dialect.fold(r.full())] = t, t
			if r.visible {
				c.bystanders[p.dialect.fold(r.name)] = t
			}
		}
		return tables[r]
	}
	for _, k := range keys {
		if !leads(k) {
			continue
		}
		parent, child := node(k.parent), node(k.child)
		c.dependents[parent] = append(c.dependents[parent], &dependent{child, k.columns, k.refers, k.removes})
		parent.reads(k.refers)
		child.reads(k.columns)
	}
	for _, t := range tables {
		if t.bystander() {
			if err := p.loadBystander(ctx, t, tx); err != nil {
				return nil, err
			}
		}
		// What is changed comes before what is removed: a row reached by both
		// ways is told as the nearest cause has it.
		slices.SortFunc(c.dependents[t], func(a, b *dependent) int {
			if a.removes != b.removes {
				return cmp.Compare(order(a.removes), order(b.removes))
			}
			return cmp.Or(cmp.Compare(a.table.name, b.table.name), slices.Compare(a.columns, b.columns))
		})
	}
	return c, nil
}

func order(later bool) int {
	if later {
		return 1
	}
	return 0
}

// newBystander returns a table that is not recorded, but whose deleted rows
// change recorded ones. Of its rows only the columns of foreign keys are read.
func newBystander(r relation) *table {
	name := r.name
	if !r.visible {
		name = r.full()
	}
	t := &table{name: name, schema: &schema.Schema{Table: name}, entity: &entity{}}
	t.dependents.Store(true)
	return t
}

// bystander reports whether the rows of the table leave no events.
func (t *table) bystander() bool { return t.entity != nil && t.entity.kind == "" }

// finishBystander is finish for rows that leave no events themselves.
func (c *capture) finishBystander(ctx context.Context) (err error) {
	defer recovered(&err)
	if !c.ran {
		return nil
	}
	if !c.complete && c.db.RowsAffected > int64(len(c.before)) {
		return errRowsMoved(c.table.name)
	}
	return c.addFallout(ctx, c.fallout)
}

// reads adds columns to those that are read of a bystander.
func (t *table) reads(columns []string) {
	if !t.bystander() {
		return
	}
	for _, c := range columns {
		if !slices.Contains(t.keys, c) {
			t.keys = append(t.keys, c)
		}
	}
}

// loadBystander reads what the keys of a table are. One that cannot be read, as it
// is not there or for want of a privilege, fails those deletions that lead through
// it, and no others. PostgreSQL is asked before: after an error it would refuse the
// rest of the transaction.
func (p *Plugin) loadBystander(ctx context.Context, t *table, tx audit.DBTX) error {
	if p.dialect.name != "postgres" {
		t.unreadable = t.loadKeys(ctx, p.dialect, tx, "")
		return nil
	}
	var readable bool
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(has_table_privilege(to_regclass($1),'SELECT'),false)", p.dialect.quote(t.name)).Scan(&readable); err != nil {
		return fmt.Errorf("ask for the privileges on table %q: %w", t.name, err)
	}
	if !readable {
		t.unreadable = fmt.Errorf("the rows of table %q, with which the database deletes recorded ones, cannot be read; grant SELECT on it", t.name)
		return nil
	}
	return t.loadKeys(ctx, p.dialect, tx, p.newEdition())
}

// loadKeys makes a layout of nothing but the keys.
func (t *table) loadKeys(ctx context.Context, d dialect, tx audit.DBTX, edition string) error {
	rows, err := tx.QueryContext(ctx, "SELECT "+edition+d.list(t.keys)+" FROM "+d.quote(t.name)+" WHERE 1=0")
	if err != nil {
		return fmt.Errorf("read the foreign keys of table %q: %w", t.name, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for i := range types {
		t.keys[i] = types[i].Name() // which a constraint may write otherwise
	}
	l, err := t.arrange(d, types, edition)
	if err != nil {
		return err
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	t.layout.Store(l)
	return nil
}

// removesRows reports whether a statement of GORM's delete processor is a DELETE:
// a soft delete is an UPDATE, which no constraint follows.
func removesRows(stmt *gorm.Statement) bool {
	return stmt.Schema == nil || stmt.Unscoped || len(stmt.Schema.DeleteClauses) == 0
}

// beginDelete is begin for a delete, which may change recorded rows though its
// own table is not recorded.
func (p *Plugin) beginDelete(db *gorm.DB) {
	if db.Error != nil || db.DryRun {
		return
	}
	p.tableOf(db.Statement) // which may be met now, before the constraints are read
	if removesRows(db.Statement) {
		p.claimUnread(db, p.names.Load().of(db.Statement))
		if _, err := p.constraintsOrLose(db); err != nil {
			p.fail(db, err)
			return
		}
	}
	if p.deleted(db.Statement) != nil {
		p.openTransaction(db)
	}
}

// beforeDelete is before for a delete.
func (p *Plugin) beforeDelete(db *gorm.DB) {
	if t := p.deleted(db.Statement); t != nil {
		p.capture(db, t)
	}
}

// deleted returns the table of a delete whose rows, or those that follow them,
// are recorded; nil if none are.
func (p *Plugin) deleted(stmt *gorm.Statement) *table {
	if t := p.tableOf(stmt); t != nil || !removesRows(stmt) {
		return t
	}
	if c := p.catalogue.Load(); c != nil && len(c.bystanders) > 0 {
		return c.bystanders[p.dialect.fold(p.names.Load().of(stmt))]
	}
	return nil
}

// hasDependents reports whether deleting a row changes others.
func (t *table) hasDependents() bool { return t.dependents.Load() }
