package hooks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

// catalogue is what the database says of foreign keys by which it removes or
// changes rows on its own when those they refer to are deleted, or get another key:
// ON DELETE and ON UPDATE CASCADE, SET NULL and SET DEFAULT. It is read from the
// database and not from the models' tags, which may not tell what is there. It is
// read at the first hard delete or update of a key, because tables may be migrated
// after the plugin is registered, and forgotten when the plugin sees a statement
// that changes tables.
//
// Only keys that lead to recorded rows are kept, be it by way of tables that
// are not recorded.
type catalogue struct {
	dependents map[*table][]*dependent // ON DELETE
	followers  map[*table][]*dependent // ON UPDATE
	bystanders map[string]*table       // that have dependents, by folded name
}

// dependent is one such foreign key.
type dependent struct {
	table   *table   // whose rows refer
	columns []string // by these
	refers  []string // to these of the parent
	as      []string // what follows each of the columns, so that it is compared as the constraint does
	removes bool     // a row goes with the one it refers to
}

// foreignKey is a constraint as the database tells it.
type foreignKey struct {
	child, parent       relation
	columns, refers, as []string
	onDelete, onUpdate  bool // something happens then
	removes             bool
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
// now; then one constraint's actions, and a row for each column. PostgreSQL compares
// as its operator says, so to a char(n) it compares another text as one, which
// has no name but with a modifier of -1; of two collations it takes the child's,
// unless equal texts may differ in the parent's.
var foreignKeyQueries = map[string]string{
	"postgres": `SELECT cn.nspname, c.relname, COALESCE(pg_catalog.pg_table_is_visible(c.oid), false), pn.nspname, p.relname, COALESCE(pg_catalog.pg_table_is_visible(p.oid), false),
	k.oid::text, k.confdeltype IN ('c','n','d'), k.confupdtype IN ('c','n','d'), k.confdeltype='c', ca.attname, pa.attname,
	CASE WHEN o.oprright<>ca.atttypid AND t.typtype<>'p' THEN '::'||pg_catalog.format_type(o.oprright,-1) ELSE '' END||
	CASE WHEN ca.attcollation<>pa.attcollation THEN COALESCE(' COLLATE '||pg_catalog.quote_ident(ln.nspname)||'.'||pg_catalog.quote_ident(l.collname),'') ELSE '' END
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid=k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid=c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid=k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid=p.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, place)
JOIN pg_catalog.pg_attribute ca ON ca.attrelid=k.conrelid AND ca.attnum=u.child
JOIN pg_catalog.pg_attribute pa ON pa.attrelid=k.confrelid AND pa.attnum=u.parent
JOIN pg_catalog.pg_operator o ON o.oid=u.operator JOIN pg_catalog.pg_type t ON t.oid=o.oprright
LEFT JOIN pg_catalog.pg_collation pl ON pl.oid=pa.attcollation
LEFT JOIN pg_catalog.pg_collation l ON l.oid=CASE WHEN pl.collisdeterministic THEN ca.attcollation ELSE pa.attcollation END
LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid=l.collnamespace
WHERE k.contype='f' AND k.conparentid=0 AND (k.confdeltype IN ('c','n','d') OR k.confupdtype IN ('c','n','d'))
ORDER BY k.oid, u.place`,
	"mysql": `SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.TABLE_SCHEMA=DATABASE(), k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_TABLE_SCHEMA=DATABASE(),
	CONCAT(k.TABLE_NAME, ' ', k.CONSTRAINT_NAME), r.DELETE_RULE IN ('CASCADE','SET NULL','SET DEFAULT'), r.UPDATE_RULE IN ('CASCADE','SET NULL','SET DEFAULT'), r.DELETE_RULE='CASCADE',
	k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME, ''
FROM information_schema.REFERENTIAL_CONSTRAINTS r
JOIN information_schema.KEY_COLUMN_USAGE k
	ON k.CONSTRAINT_SCHEMA=r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME=r.CONSTRAINT_NAME AND k.TABLE_NAME=r.TABLE_NAME
WHERE r.CONSTRAINT_SCHEMA=COALESCE(NULLIF(?,''),DATABASE()) AND k.CONSTRAINT_SCHEMA=r.CONSTRAINT_SCHEMA AND k.REFERENCED_TABLE_NAME IS NOT NULL
	AND (r.DELETE_RULE IN ('CASCADE','SET NULL','SET DEFAULT') OR r.UPDATE_RULE IN ('CASCADE','SET NULL','SET DEFAULT'))
ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`,
	"sqlite": `SELECT '', m.name, 1, '', f."table", 1, m.name||' '||f.id,
	f.on_delete IN ('CASCADE','SET NULL','SET DEFAULT'), f.on_update IN ('CASCADE','SET NULL','SET DEFAULT'), f.on_delete='CASCADE', f."from",
	COALESCE(f."to", (SELECT i.name FROM pragma_table_info(f."table") i WHERE i.pk=f.seq+1), ''), ''
FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type='table' AND (f.on_delete IN ('CASCADE','SET NULL','SET DEFAULT') OR f.on_update IN ('CASCADE','SET NULL','SET DEFAULT'))
ORDER BY m.name, f.id, f.seq`,
}

// foreignKeys reads the constraints: of MySQL's databases, the connection's own and
// those of recorded tables.
func (d dialect) foreignKeys(ctx context.Context, tx audit.DBTX, n *names, recorded map[string]*table) ([]foreignKey, error) {
	if d.name != "mysql" {
		return d.foreignKeysOf(ctx, tx)
	}
	databases := []string{""}
	for name := range recorded {
		database, _, named := strings.Cut(name, ".")
		if database = n.fold(database); named && database != n.fold(n.home) && !slices.Contains(databases, database) {
			databases = append(databases, database)
		}
	}
	var keys []foreignKey
	for _, database := range databases {
		more, err := d.foreignKeysOf(ctx, tx, database)
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

func (d dialect) foreignKeysOf(ctx context.Context, tx audit.DBTX, args ...any) ([]foreignKey, error) {
	rows, err := tx.QueryContext(ctx, foreignKeyQueries[d.name], args...)
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
			k                        foreignKey
			name, column, refers, as string
		)
		if err := rows.Scan(&k.child.schema, &k.child.name, &k.child.visible, &k.parent.schema, &k.parent.name, &k.parent.visible,
			&name, &k.onDelete, &k.onUpdate, &k.removes, &column, &refers, &as); err != nil {
			return nil, err
		}
		if len(keys) == 0 || name != last {
			last, keys = name, append(keys, k)
		}
		at := &keys[len(keys)-1]
		at.columns, at.refers, at.as = append(at.columns, column), append(at.refers, refers), append(at.as, as)
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

// constraints returns the catalogue, and reads it if it is not known. What is read
// while tables change is for once.
func (p *Plugin) constraints(ctx context.Context, tx audit.DBTX) (*catalogue, error) {
	if c := p.knownConstraints(); c != nil {
		return c, nil
	}
	forgotten, tables := p.forgotten.Load(), p.known()
	keys, err := p.dialect.foreignKeys(ctx, tx, p.names.Load(), tables)
	if err != nil {
		return nil, fmt.Errorf("read the database's foreign keys: %w", err)
	}
	descents, err := p.dialect.descents(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("read the database's partitions: %w", err)
	}
	c := p.arrange(keys, descents, tables)
	if p.migrations.open.Load() > 0 {
		return c, nil
	}
	p.catalogue.Store(c)
	if p.forgotten.Load() != forgotten || len(p.known()) != len(tables) { // a table was changed or met meanwhile
		p.catalogue.Store(nil)
	}
	return c, nil
}

// knownConstraints returns the catalogue; nil if it is to be read.
func (p *Plugin) knownConstraints() *catalogue {
	p.settleMigrations()
	return p.catalogue.Load()
}

// arrange finds out which of the keys matter: those by which rows that are deleted,
// or given another key, take recorded ones along or change them.
func (p *Plugin) arrange(keys []foreignKey, descents []descent, recorded map[string]*table) *catalogue {
	a := &arrangement{
		catalogue: &catalogue{dependents: map[*table][]*dependent{}, followers: map[*table][]*dependent{}, bystanders: map[string]*table{}},
		dialect:   p.dialect, recorded: make(map[string]*table, len(recorded)), tables: map[relation]*table{},
	}
	for name, t := range recorded {
		a.recorded[p.dialect.fold(name)] = t
	}
	keys = a.spread(keys, descents)
	for _, k := range a.leading(keys, func(k foreignKey) bool { return k.onDelete }, func(k, _ foreignKey) bool { return k.removes }) {
		parent, d := a.add(k)
		a.dependents[parent] = append(a.dependents[parent], d)
		if parent.bystander {
			a.bystanders[a.dialect.fold(k.parent.full())] = parent
			if k.parent.visible {
				a.bystanders[a.dialect.fold(k.parent.name)] = parent
			}
		}
	}
	for _, k := range a.leading(keys, func(k foreignKey) bool { return k.onUpdate }, func(k, next foreignKey) bool { return a.dialect.meet(k.columns, next.refers) }) {
		parent, d := a.add(k)
		a.followers[parent] = append(a.followers[parent], d)
	}
	for _, dependents := range a.dependents {
		// What is changed comes before what is removed: a row reached by both
		// ways is told as the nearest cause has it.
		slices.SortFunc(dependents, func(a, b *dependent) int {
			if a.removes != b.removes {
				return cmp.Compare(order(a.removes), order(b.removes))
			}
			return compareDependents(a, b)
		})
	}
	for _, followers := range a.followers {
		slices.SortFunc(followers, compareDependents)
	}
	return a.catalogue
}

func compareDependents(a, b *dependent) int {
	return cmp.Or(cmp.Compare(a.table.name, b.table.name), slices.Compare(a.columns, b.columns))
}

// leading are those of some keys that lead to recorded rows: their own rows are, or
// others go on from there.
func (a *arrangement) leading(keys []foreignKey, some func(foreignKey) bool, goesOn func(k, next foreignKey) bool) []foreignKey {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k foreignKey) bool { return !some(k) })
	leads, of := make([]bool, len(keys)), map[relation][]int{}
	for i, k := range keys {
		of[k.parent] = append(of[k.parent], i)
	}
	for grown := true; grown; {
		grown = false
		for i, k := range keys {
			if !leads[i] {
				leads[i] = a.registered(k.child) != nil || slices.ContainsFunc(of[k.child], func(n int) bool { return leads[n] && goesOn(k, keys[n]) })
				grown = grown || leads[i]
			}
		}
	}
	var found []foreignKey
	for i, k := range keys {
		if leads[i] {
			found = append(found, k)
		}
	}
	return found
}

func order(later bool) int {
	if later {
		return 1
	}
	return 0
}

// arrangement is a catalogue that is being made.
type arrangement struct {
	*catalogue
	dialect  dialect
	recorded map[string]*table   // by folded name
	tables   map[relation]*table // those that the catalogue knows
}

// registered returns the recorded table that a relation is, if it is one.
func (a *arrangement) registered(r relation) *table {
	if t := a.recorded[a.dialect.fold(r.full())]; t != nil || !r.visible {
		return t
	}
	t := a.recorded[a.dialect.fold(r.name)]
	if t != nil && strings.Contains(t.name, ".") {
		return nil // of that name, in another schema
	}
	return t
}

// table returns the table that a relation is, a bystander if it is not recorded.
func (a *arrangement) table(r relation) *table {
	t := a.tables[r]
	if t == nil {
		if t = a.registered(r); t == nil {
			t = newBystander(r)
		}
		a.tables[r] = t
	}
	return t
}

// add makes both tables of a key known.
func (a *arrangement) add(k foreignKey) (parent *table, d *dependent) {
	parent, child := a.table(k.parent), a.table(k.child)
	parent.reads(a.dialect, k.refers)
	child.reads(a.dialect, k.columns)
	return parent, &dependent{child, k.columns, k.refers, k.as, k.removes}
}
