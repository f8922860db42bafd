package hooks

import (
	"cmp"
	"slices"

	"github.com/gormtrail/audit"
)

// Registration is a table that the plugin records.
type Registration struct {
	// Table is the table's name as GORM says it, with the database schema if
	// the model names one.
	Table string
	// Type is the entity type of the table's events. Rows of a join table show
	// in the events of the model that declares the relation; for it, Type is
	// that model's.
	Type audit.EntityType
	// Relation is the name under which those events show the rows of a join
	// table. Empty for the table of a model.
	Relation string
}

// Registered returns the tables that the plugin records, by name. Before db.Use
// there are none.
func (p *Plugin) Registered() []Registration {
	var all []Registration
	for name, t := range p.known() {
		switch {
		case t == nil: // met, and not to be recorded
		case name != t.name: // the same without its database schema
		case t.join != nil:
			all = append(all, Registration{Table: name, Type: t.join.owner.kind, Relation: t.join.field})
		case t.entity != nil:
			all = append(all, Registration{Table: name, Type: t.entity.kind})
		}
	}
	slices.SortFunc(all, func(a, b Registration) int { return cmp.Compare(a.Table, b.Table) })
	return all
}
