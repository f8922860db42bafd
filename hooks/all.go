package hooks

import (
	"errors"
	"reflect"
	"strings"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// All records every model that GORM writes, under the name of its table as entity
// type, except those given: models, or names of tables. It is for programs that
// want a trail before they have thought about each model. Those registered by
// [Model] keep their types and options; tags mean what they mean there, but
// there are no rules of [Cascade].
//
// A model is met at the first statement on it in the process, and with it those
// that its relations lead to. So what the database itself changes in tables that
// no model met so far leads to is not recorded. Rows of a join table have events
// of their own, unless the model that declares the relation is registered. A
// statement on a table alone, without a model, is recorded once a model of the
// table was met. A struct that is written to the table of another model, as by
// db.Table("tags").Create(&row), stands in for that model until the first statement
// on it. What has no primary key cannot be recorded. [Coverage] tells what is.
//
// A store's own tables, audit_events and those that begin so, are passed over; one
// of another name is to be named as an exception if it has a model. Using the
// plugin fails for an exception that is no model and no name.
func All(except ...any) Option {
	return func(s *settings) error {
		s.all = &everything{except: map[string]bool{}}
		for _, e := range except {
			if e == nil {
				return errors.New("audit: hooks.All got a nil exception; name a model or a table")
			}
			s.all.models = append(s.all.models, e)
		}
		return nil
	}
}

// isStoresTable reports whether sqlstore keeps a table for itself, by its usual name.
func isStoresTable(name string) bool {
	const events = "audit_events"
	return name == events || strings.HasPrefix(name, events+"_")
}

// everything is what [All] does not record.
type everything struct {
	models []any // that are excepted
	except map[string]bool
	types  map[reflect.Type]bool // of those models

	unfit sync.Map // the types of models that cannot be recorded
}

// excepts reports whether a table is not recorded, or not for a model.
func (a *everything) excepts(n *names, table string, s *schema.Schema) bool {
	_, unfit := a.unfit.Load(s.ModelType)
	name := n.fold(table)
	return unfit || isStoresTable(name) || a.except[name] || a.types[s.ModelType]
}

// start takes in the exceptions.
func (a *everything) start(db *gorm.DB, n *names) error {
	a.types = map[reflect.Type]bool{}
	for _, m := range a.models {
		if name, ok := m.(string); ok {
			a.except[n.fold(n.short(name))] = true
			continue
		}
		if v := reflect.ValueOf(m); v.Kind() != reflect.Pointer {
			p := reflect.New(v.Type())
			p.Elem().Set(v)
			m = p.Interface()
		}
		sch, err := parse(db, m)
		if err != nil {
			return err
		}
		a.except[n.fold(n.short(sch.Table))], a.types[sch.ModelType] = true, true
	}
	return nil
}

// introduce adds a table, and those that its model leads to. What cannot be
// recorded is remembered as nil.
func (p *Plugin) introduce(tables map[string]*table, name string, sch *schema.Schema) {
	if _, met := tables[name]; met || p.all.excepts(p.names.Load(), name, sch) {
		return
	}
	tables[name] = nil
	t, err := newTable(sch)
	if err == nil {
		t.name = name
		err = t.readEntity(&modelOptions{kind: audit.EntityType(name)})
	}
	if err == nil {
		t.referred.Store(true) // by models that were registered before, perhaps
		tables[name] = t
	} else {
		p.all.unfit.Store(sch.ModelType, true)
	}
	for _, rel := range sch.Relationships.Relations {
		if rel.JoinTable != nil {
			p.introduce(tables, rel.JoinTable.Table, rel.JoinTable)
		}
		if rel.FieldSchema != nil {
			p.introduce(tables, rel.FieldSchema.Table, rel.FieldSchema)
		}
	}
	if t := tables[name]; t != nil {
		t.entity.refer(tables)
	}
}

// refer finds the foreign keys whose labels are recorded, among GORM's relations.
func (e *entity) refer(tables map[string]*table) {
	e.veil(tables)
	for _, rel := range e.table.schema.Relationships.BelongsTo {
		if len(rel.References) == 1 && rel.References[0].PrimaryKey != nil && rel.Polymorphic == nil {
			ref := rel.References[0]
			if r, ok := newReference(ref.ForeignKey.DBName, ref.PrimaryKey.DBName, rel.FieldSchema, tables); ok {
				e.references = append(e.references, r)
			}
		}
	}
}
