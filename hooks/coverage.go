package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// TableCoverage says what is recorded of one table, and what is not.
type TableCoverage struct {
	// Table is the table's name; with its schema if the model names one.
	Table string
	// Type is the entity type of the table's events. Empty if the table is not
	// recorded.
	Type audit.EntityType
	// Relation is set for the table of a many-to-many relation, whose rows show
	// under this name in the events of the records that have them.
	Relation string
	// Missing tells that the database has no such table, though its model is
	// registered.
	Missing bool
	// Ignored are columns that are not recorded, Redacted those of which only
	// the fact that they changed is.
	Ignored, Redacted []string
	// Shown are the records that are told of a change of what these are
	// called, as type and field.
	Shown []string
	// Changes and Removes are foreign keys of recorded tables, as table and
	// columns, by which the database itself changes or removes rows when one
	// of this table is deleted. Their rows are recorded, even if the table
	// itself is not.
	Changes, Removes []string
	// Follows are foreign keys of recorded tables by which the database itself
	// changes rows when what they refer to in this table is changed. Their rows
	// are recorded if the table itself is and its model says that the column is
	// unique.
	Follows []string
	// Triggers are the table's triggers, but for those of Outside. What a BEFORE trigger changes in the
	// row at hand is recorded. What an AFTER trigger changes in it is recorded on
	// SQLite; on PostgreSQL the event may show the row as it was before. What
	// triggers change elsewhere is not.
	Triggers []string
	// Outside are the triggers of sqlstore.Triggers, by which PostgreSQL
	// records what is written past the hooks.
	Outside []string
	// Raw is what becomes of raw SQL on the table.
	Raw RawPolicy
}

// Recorded reports whether changes of the table's rows are recorded.
func (c TableCoverage) Recorded() bool { return c.Type != "" && !c.Missing }

// CoverageReport is what [Coverage] returns, by the names of the tables.
type CoverageReport []TableCoverage

// Coverage lists all tables of the database that db leads to, on PostgreSQL those
// of the schema in use, and what is recorded of each; but for the tables of the
// events and what belongs to them, if they have their usual names. The plugin must
// be in use on db. Print it, or let a test compare it with what is on file, so that nobody adds
// a table without a thought of its audit trail.
func Coverage(ctx context.Context, db *gorm.DB) (CoverageReport, error) {
	p, ok := db.Config.Plugins[pluginName].(*Plugin)
	if !ok {
		return nil, errors.New("audit: hooks.Coverage needs a *gorm.DB that uses the plugin")
	}
	// A replica may not have all tables yet; dbresolver keeps to the primary then.
	db = db.Session(&gorm.Session{NewDB: true, Context: ctx}).Set("gorm:db_resolver:write", struct{}{})
	there, err := db.Migrator().GetTables()
	if err != nil {
		return nil, fmt.Errorf("audit: list the tables of the database: %w", err)
	}
	conn := connection(db.Statement.ConnPool)
	triggers, err := p.dialect.triggers(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("audit: list the triggers of the database: %w", err)
	}
	constraints, err := p.constraints(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	found := map[*table]bool{}
	var report CoverageReport
	for _, name := range there {
		t := p.inSQL(name)
		if t == nil && (p.dialect.name == "sqlite" && strings.HasPrefix(name, "sqlite_") || isStoresTable(name)) {
			continue
		}
		c := TableCoverage{Table: name}
		for _, t := range triggers[name] {
			if t.outside {
				c.Outside = append(c.Outside, t.name)
			} else {
				c.Triggers = append(c.Triggers, t.name)
			}
		}
		if t != nil {
			found[t] = true
			if err := p.cover(ctx, conn, t, &c); err != nil {
				return nil, err
			}
		} else {
			t = constraints.bystanders[p.dialect.fold(name)]
		}
		c.follow(constraints.dependents[t], constraints.followers[t])
		report = append(report, c)
	}
	for _, t := range p.known() {
		if t == nil || found[t] {
			continue
		}
		found[t] = true
		c := TableCoverage{Table: t.name}
		if err := p.cover(ctx, conn, t, &c); err != nil {
			c = TableCoverage{Table: t.name, Missing: true, Type: c.Type, Relation: c.Relation}
		}
		report = append(report, c)
	}
	slices.SortFunc(report, func(a, b TableCoverage) int { return cmp.Compare(a.Table, b.Table) })
	return report, nil
}

// cover says what is recorded of a registered table.
func (p *Plugin) cover(ctx context.Context, conn audit.DBTX, t *table, c *TableCoverage) error {
	c.Raw = p.policy
	if t.join != nil {
		c.Type, c.Relation = t.join.owner.kind, t.join.field
		return nil
	}
	c.Type = t.entity.kind
	c.Ignored = slices.Sorted(maps.Keys(t.entity.ignored))
	for _, r := range t.entity.rules {
		c.Shown = append(c.Shown, fmt.Sprintf("%s %s", r.Child, r.Field))
	}
	l, err := t.load(ctx, p, conn)
	if err != nil {
		return fmt.Errorf("audit: read the columns of table %q: %w", t.name, err)
	}
	for _, col := range l.columns {
		if col.redacted && col.audited {
			c.Redacted = append(c.Redacted, col.name)
		}
	}
	return nil
}

// follow says what the database does to others when rows are deleted or changed.
func (c *TableCoverage) follow(dependents, followers []*dependent) {
	said := func(d *dependent) string {
		name := d.table.name + "." + strings.Join(d.columns, "+")
		if d.table.bystander {
			name += " (and what follows)"
		}
		return name
	}
	for _, d := range followers {
		c.Follows = append(c.Follows, said(d))
	}
	for _, d := range dependents {
		name := said(d)
		if d.removes {
			c.Removes = append(c.Removes, name)
		} else {
			c.Changes = append(c.Changes, name)
		}
	}
}

// trigger is one of a table. Outside tells that it is of sqlstore.Triggers.
type trigger struct {
	name    string
	outside bool
}

// triggers lists the triggers of the tables that need no schema.
func (d dialect) triggers(ctx context.Context, conn audit.DBTX) (map[string][]trigger, error) {
	query := map[string]string{
		"postgres": `SELECT c.relname, t.tgname, t.tgname ~ '_record$' AND p.proname ~ '_of_[0-9a-f]{16}$' OR t.tgname ~ '_truncate$' AND p.proname ~ '_truncated$'
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid=t.tgrelid JOIN pg_catalog.pg_proc p ON p.oid=t.tgfoid
WHERE NOT t.tgisinternal AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2`,
		"mysql":  "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, FALSE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=DATABASE() ORDER BY 1,2",
		"sqlite": "SELECT tbl_name, name, FALSE FROM sqlite_master WHERE type='trigger' ORDER BY 1,2",
	}[d.name]
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string][]trigger{}
	for rows.Next() {
		var table string
		var t trigger
		if err := rows.Scan(&table, &t.name, &t.outside); err != nil {
			return nil, err
		}
		found[table] = append(found[table], t)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return found, rows.Close()
}

// String is the report in sentences, for people.
func (r CoverageReport) String() string {
	var b strings.Builder
	for _, c := range r {
		switch {
		case c.Missing:
			fmt.Fprintf(&b, "%s: registered as %s, but there is no such table\n", c.Table, c.Type)
		case c.Relation != "":
			fmt.Fprintf(&b, "%s: recorded as %s of %s\n", c.Table, c.Relation, c.Type)
		case c.Type != "":
			fmt.Fprintf(&b, "%s: recorded as %s\n", c.Table, c.Type)
		default:
			fmt.Fprintf(&b, "%s: NOT RECORDED\n", c.Table)
		}
		list := func(what string, names []string) {
			if len(names) > 0 {
				fmt.Fprintf(&b, "  %s: %s\n", what, strings.Join(names, ", "))
			}
		}
		list("columns not recorded", c.Ignored)
		list("values withheld", c.Redacted)
		list("shown by", c.Shown)
		list("a deletion changes", c.Changes)
		list("a deletion removes", c.Removes)
		list("a change of key changes", c.Follows)
		list("triggers, whose changes of other tables are not seen", c.Triggers)
		list("triggers that record what is written past the hooks", c.Outside)
		if c.Recorded() {
			fmt.Fprintf(&b, "  raw SQL: %s\n", map[RawPolicy]string{
				RecordRaw: "recorded as a statement, without rows", AllowRaw: "NOT RECORDED", RefuseRaw: "refused",
			}[c.Raw])
		}
	}
	return b.String()
}
