package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// Tables describes what is registered, by the names of the tables, for those who
// record the same rows by other means, such as the triggers of sqlstore. The
// columns are those that the tables have now, so call it after a migration. The
// plugin must be in use on db. A table that is missing is an error.
func Tables(ctx context.Context, db *gorm.DB) ([]audit.Table, error) {
	p, ok := db.Config.Plugins[pluginName].(*Plugin)
	if !ok {
		return nil, errors.New("audit: hooks.Tables needs a *gorm.DB that uses the plugin")
	}
	var all []audit.Table
	for name, t := range p.known() {
		if t == nil || name != t.name || t.bystander {
			continue
		}
		// Not t.load: the layout that is known may be older than the table.
		fresh := &table{name: t.name, schema: t.schema, keys: t.keys, entity: t.entity, join: t.join}
		l, err := fresh.load(ctx, p, connection(db.Statement.ConnPool))
		if err != nil {
			return nil, fmt.Errorf("audit: read the columns of table %q: %w", t.name, err)
		}
		all = append(all, t.describe(l))
	}
	slices.SortFunc(all, func(a, b audit.Table) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// describe is the table as others see it.
func (t *table) describe(l *layout) audit.Table {
	d := audit.Table{Name: t.name, Key: slices.Clone(t.keys)}
	for _, c := range l.columns {
		d.Columns = append(d.Columns, audit.Column{
			Name: c.name, Kind: c.kind.public(), Ignored: !c.audited, Redacted: c.redacted, Parts: c.secrets.describe(),
		})
	}
	if t.join != nil {
		t.join.describe(&d)
		return d
	}
	e := t.entity
	d.Type = e.kind
	d.Workspace, d.Owner, d.Label, d.Deleted = e.workspace, e.owner, e.label, e.deleted
	for _, r := range e.references {
		if !r.element && l.find(r.field) >= 0 {
			d.References = append(d.References, audit.Reference{Column: r.field, Table: r.table, Key: r.key, Label: r.label})
		}
	}
	return d
}

// describe says whose elements the rows of the table are.
func (j *join) describe(d *audit.Table) {
	d.Type, d.Relation, d.Of, d.OfKey = j.owner.kind, j.field, j.owner.table.name, slices.Clone(j.ownerColumns)
	for _, r := range j.owner.references {
		if r.element && r.field == j.field {
			d.References = append(d.References, audit.Reference{Column: r.inside, Table: r.table, Key: r.key, Label: r.label})
		}
	}
}

// describe is the secrets as others see them.
func (s *secrets) describe() *audit.Parts {
	if s == nil {
		return nil
	}
	p := &audit.Parts{Shown: s.shown, Opaque: s.typed}
	for _, name := range slices.Sorted(maps.Keys(s.told)) {
		if s.told[name] {
			p.Withheld = append(p.Withheld, name)
		} else {
			p.Told = append(p.Told, name)
		}
	}
	return p
}

// public is the kind as others see it: what it leaves out, the type of the
// column in the database tells.
func (k kind) public() audit.ColumnKind {
	switch k {
	case kindBool:
		return audit.ColumnBool
	case kindNumber, kindFloat32:
		return audit.ColumnNumber
	case kindTime, kindDate, kindDay:
		return audit.ColumnTime
	case kindJSON:
		return audit.ColumnJSON
	case kindBytes:
		return audit.ColumnBytes
	}
	return audit.ColumnText
}
