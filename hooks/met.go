package hooks

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// met is the tables that are recorded, by name: those that were registered and
// those that were met at run time. They are found without a lock: the map is never
// changed, but replaced by a larger one.
type met struct {
	mu     sync.Mutex // guards replacing
	tables atomic.Pointer[map[string]*table]
}

// known is all tables that are recorded, by name. It must not be changed.
func (p *Plugin) known() map[string]*table {
	if tables := p.met.tables.Load(); tables != nil {
		return *tables
	}
	return nil
}

// meet returns the table of a statement that was not registered; nil if it is not
// to be recorded: it is one more table of a registered model, or any if all are
// recorded.
func (p *Plugin) meet(stmt *gorm.Statement, name string) *table {
	names, s := p.names.Load(), stmt.Schema
	name = names.short(name)
	if s != nil && names.fold(s.Table) == names.fold(name) {
		if name = s.Table; p.all == nil {
			return nil // as nearly always
		}
	}
	t, known := p.known()[name]
	if s == nil || known && (t == nil && s.Table != name || t != nil && !t.standsInFor(s)) || strings.ContainsAny(name, "(),?;'\"") {
		return t
	}
	own := p.registeredAs(s)
	if p.all == nil && own == nil || p.all != nil && p.all.excepts(names, name, s) {
		return nil
	}
	p.met.mu.Lock()
	defer p.met.mu.Unlock()
	tables := maps.Clone(p.known())
	switch t := tables[name]; {
	case t != nil && !t.standsInFor(s): // somebody else was faster
	case own != nil:
		tables[name] = own.under(name)
	default:
		delete(tables, name)
		p.introduce(tables, name, s)
	}
	for name, t := range tables {
		if t != nil && p.names.Load().find(name) != t {
			p.names.Store(p.names.Load().with(t))
		}
	}
	p.met.tables.Store(&tables)
	p.catalogue.Store(nil) // it knows only of those that were recorded before
	return tables[name]
}

// standsInFor reports whether a table is known only by a struct that is not the
// model whose own table it is: db.Table("tags").Create(&row). That model says more.
func (t *table) standsInFor(s *schema.Schema) bool {
	return s.Table == t.name && t.schema.Table != t.name && t.entity != nil && t.entity.model == nil
}

// registeredAs finds the table under which a model was registered; nil if it was not.
func (p *Plugin) registeredAs(s *schema.Schema) *table {
	if t := p.tables[s.Table]; t != nil && t.entity != nil && t.schema.ModelType == s.ModelType {
		return t
	}
	return nil
}

// under is one more table of the same model, as db.Table names one: a year's, a
// tenant's. Its records are of the same type. Other models refer to the records of
// the model's own table, which may have the same keys, so nothing follows from
// changes here.
func (t *table) under(name string) *table {
	e := *t.entity
	e.model, e.rules = t.entity, nil
	e.table = &table{name: name, schema: t.schema, keys: t.keys, unique: t.unique, entity: &e}
	return e.table
}

// own is the entity of the model's own table.
func (e *entity) own() *entity {
	if e.model != nil {
		return e.model
	}
	return e
}
