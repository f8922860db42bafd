package hooks

import (
	"cmp"
	"context"
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
// it needs none; then one constraint's action, and a row for each column.
var foreignKeyQueries = map[string]string{
	"postgres": `SELECT cn.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), pn.nspname, p.relname, pg_catalog.pg_table_is_visible(p.oid),
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
		if t != nil && t.entity != nil {
			t.entity.dependents.Store(len(c.dependents[t]) > 0)
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
			if err := t.loadKeys(ctx, p.dialect, tx); err != nil {
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
	t.entity.dependents.Store(true)
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

// loadKeys makes a layout of nothing but the keys.
func (t *table) loadKeys(ctx context.Context, d dialect, tx audit.DBTX) error {
	rows, err := tx.QueryContext(ctx, "SELECT "+d.list(t.keys)+" FROM "+d.quote(t.name)+" WHERE 1=0")
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
	l, err := t.arrange(d, types)
	if err != nil {
		return err
	}
	t.layout.Store(l)
	return rows.Close()
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
	if removesRows(db.Statement) {
		if _, err := p.constraints(db.Statement.Context, connection(db.Statement.ConnPool)); err != nil {
			_ = db.AddError(failed(err))
			return
		}
	}
	if p.deleted(db.Statement) != nil {
		p.open(db)
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
		return c.bystanders[p.dialect.fold(tableName(stmt))]
	}
	return nil
}

// hasDependents reports whether deleting a row changes others.
func (t *table) hasDependents() bool { return t.entity != nil && t.entity.dependents.Load() }

// fallout is the rows that a DELETE may change beside its own by one foreign
// key, as they were before it.
type fallout struct {
	*dependent
	parent  *table
	parents map[string]*image // of the rows that are deleted, by what refers to them
	above   *fallout          // by which the parents are deleted; nil for the statement's own
	layout  *layout
	rows    []image
	below   []*fallout // what the removal of rows changes in turn
}

// readFallout reads, and locks, the rows that refer to rows about to be deleted.
func (c *capture) readFallout(ctx context.Context, t *table, l *layout, rows []image, seen seenRows) ([]*fallout, error) {
	catalogue, err := c.plugin.constraints(ctx, c.tx)
	if err != nil {
		return nil, err
	}
	seen.fresh(t, "", rows) // they have events of their own
	seen.fresh(t, removed, rows)
	r := &falloutReader{c, catalogue, seen}
	found, err := r.read(ctx, t, l, rows, nil)
	if err != nil {
		// It may be out of date: read while a migration was not committed.
		c.plugin.catalogue.Store(nil)
	}
	return found, err
}

type falloutReader struct {
	*capture
	catalogue *catalogue
	seen      seenRows
}

func (r *falloutReader) read(ctx context.Context, t *table, l *layout, rows []image, above *fallout) ([]*fallout, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var found []*fallout
	for _, d := range r.catalogue.dependents[t] {
		f := &fallout{dependent: d, parent: t, above: above}
		values, err := r.referred(ctx, f, l, rows)
		if err != nil {
			return nil, err
		}
		dialect := r.plugin.dialect
		if f.layout, err = d.table.load(ctx, dialect, r.tx); err != nil {
			return nil, err
		}
		if f.rows, err = d.table.selectBy(ctx, dialect, r.tx, f.layout, nil, d.columns, values, dialect.lock); err != nil {
			return nil, err
		}
		if d.removes {
			going := r.seen.fresh(d.table, removed, f.rows)
			if f.below, err = r.read(ctx, d.table, f.layout, going, f); err != nil {
				return nil, err
			}
		}
		if f.rows = r.seen.fresh(d.table, "", f.rows); len(f.rows)+len(f.below) > 0 {
			found = append(found, f)
		}
	}
	return found, nil
}

// removed is the purpose of following rows further because they go.
const removed = "removed "

// seenRows are the rows met while fallout is read: one that is reached by
// several ways changes once.
type seenRows map[*table]map[string]bool

// fresh returns the rows not met before for a purpose.
func (s seenRows) fresh(t *table, purpose string, rows []image) []image {
	if s[t] == nil {
		s[t] = map[string]bool{}
	}
	var fresh []image
	for _, row := range rows {
		if key := purpose + row.key; !s[t][key] {
			s[t][key] = true
			fresh = append(fresh, row)
		}
	}
	return fresh
}

// referred are the values by which others refer to rows of a layout. They are
// part of the primary key, as a rule; else they are read.
func (r *falloutReader) referred(ctx context.Context, f *fallout, l *layout, rows []image) ([][]any, error) {
	f.parents = make(map[string]*image, len(rows))
	at := make([]int, len(f.refers))
	for i, name := range f.refers {
		if at[i] = r.keyPlace(f.parent.keys, name); at[i] < 0 {
			return r.readReferred(ctx, f, rows)
		}
	}
	values := make([][]any, 0, len(rows))
	for i := range rows {
		var json []byte
		value := make([]any, len(at))
		for n, k := range at {
			value[n] = rows[i].args[k]
			json = append(append(json, rows[i].cells[l.keys[k]].json...), ',')
		}
		f.parents[string(json)] = &rows[i]
		if !slices.Contains(value, nil) {
			values = append(values, value)
		}
	}
	return values, nil
}

// keyPlace finds a column, whose name the catalogue may write otherwise.
func (c *capture) keyPlace(columns []string, name string) int {
	return slices.IndexFunc(columns, func(k string) bool {
		return k == name || c.plugin.dialect.name != "postgres" && strings.EqualFold(k, name)
	})
}

// readReferred reads columns that are no part of the primary key.
func (r *falloutReader) readReferred(ctx context.Context, f *fallout, rows []image) ([][]any, error) {
	keys := slices.Clone(f.parent.keys)
	t := &table{name: f.parent.name, schema: f.parent.schema, keys: slices.Clone(keys), entity: &entity{}}
	t.reads(f.refers)
	d := r.plugin.dialect
	if err := t.loadKeys(ctx, d, r.tx); err != nil {
		return nil, err
	}
	byKey := make(map[string]*image, len(rows))
	selected := make([][]any, len(rows))
	for i := range rows {
		selected[i], byKey[rows[i].key] = rows[i].args, &rows[i]
	}
	l := t.layout.Load()
	found, err := t.selectBy(ctx, d, r.tx, l, nil, keys, selected, "")
	if err != nil {
		return nil, err
	}
	values := make([][]any, 0, len(found))
	for i := range found {
		var json []byte
		value := make([]any, len(f.refers))
		for n, name := range f.refers {
			k := r.keyPlace(t.keys, name)
			value[n] = found[i].args[k]
			json = append(append(json, found[i].cells[l.keys[k]].json...), ',')
		}
		own := &layout{keys: l.keys[:len(keys)]}
		f.parents[string(json)] = byKey[own.keyOf(found[i].cells)]
		if !slices.Contains(value, nil) {
			values = append(values, value)
		}
	}
	return values, nil
}

// addFallout adds the events of the rows that a DELETE has changed beside its
// own; those it has left as they were have none.
func (c *capture) addFallout(ctx context.Context, found []*fallout) error {
	for _, f := range found {
		if !f.table.bystander() {
			if err := c.addChanged(ctx, f); err != nil {
				return err
			}
		}
		if err := c.addFallout(ctx, f.below); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) addChanged(ctx context.Context, f *fallout) error {
	values := make([][]any, len(f.rows))
	for i := range f.rows {
		values[i] = f.rows[i].args
	}
	after, err := f.table.selectBy(ctx, c.plugin.dialect, c.tx, f.layout, nil, f.table.keys, values, c.plugin.dialect.again)
	if err != nil {
		return err
	}
	left := make(map[string]*image, len(after))
	for i := range after {
		left[after[i].key] = &after[i]
	}
	pairs := make([]pair, len(f.rows))
	for i := range f.rows {
		pairs[i] = pair{&f.rows[i], left[f.rows[i].key]}
	}
	if f.table.join != nil {
		return c.unit.addElements(ctx, f.table.join, f.layout, pairs, func(p pair) int { return c.causeOf(f, p.before) })
	}
	for _, p := range pairs {
		if err := c.unit.addRow(ctx, f.table.entity, f.layout, p, c.causeOf(f, p.before)); err != nil {
			return err
		}
	}
	return nil
}

// unrecorded is the cause of what the database changed because of a record
// whose own type is not recorded.
const unrecorded = -1

// causeOf finds the event of the deleted record that a row referred to, or of
// the nearest one above it that has an event.
func (c *capture) causeOf(f *fallout, row *image) int {
	var json []byte
	for _, name := range f.columns {
		i := f.layout.find(name)
		if i < 0 {
			i = slices.IndexFunc(f.layout.columns, func(col column) bool { return strings.EqualFold(col.name, name) })
		}
		if i < 0 {
			break // it is not audited
		}
		json = append(append(json, row.cells[i].json...), ',')
	}
	parent := f.parents[string(json)]
	if parent == nil && len(f.parents) == 1 {
		for _, only := range f.parents {
			parent = only
		}
	}
	if parent == nil {
		return unrecorded
	}
	if at := c.unit.find(f.parent.entity, parent.key); at > 0 {
		return at
	}
	if f.above != nil {
		return c.causeOf(f.above, parent)
	}
	return unrecorded
}
