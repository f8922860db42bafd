package hooks

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/gormtrail/audit"
)

// Option is a part of what [New] is told: a model to record, or how to record.
type Option func(*settings) error

// settings is what the options add up to.
type settings struct {
	models   []*modelOptions
	separate bool
	raw      RawPolicy
	all      *everything

	attempts, failedWrites bool
}

// ModelOption says something of one model, as a struct tag would. It is for
// models whose source one cannot edit, and wins over their tags.
type ModelOption func(*modelOptions)

// modelOptions is what is known of a model before GORM has parsed it.
type modelOptions struct {
	kind       audit.EntityType
	value      any // a pointer to the zero model
	workspace  string
	owner      string
	label      string
	ignore     []string
	redact     []string
	show       []string
	cascades   []cascadeOption
	references []referenceOption
}

type cascadeOption struct {
	child any
	field string
	on    []string
}

type referenceOption struct {
	parent any
	column string
}

// Model registers the model T: its changes are recorded as those of an entity
// of type t. What the fields mean is said by struct tags,
//
//	ID          string `gorm:"primaryKey"`
//	WorkspaceID string `audit:"workspace"` // whose event it is
//	UserID      string `audit:"owner"`     // whose record it is
//	Name        string `audit:"label"`     // what people call the record
//	UpdatedAt   time.Time `audit:"-"`      // not audited
//	Note        string `audit:"redact"`    // that it changed is recorded, never the values
//	TokenKind   string `audit:"show"`      // not withheld, though its name sounds secret
//
// or by options. A field whose name is sensitive by [audit.Sensitive], such as
// a password, is redacted without being told, unless it is tagged
// audit:"show". A tag may hold several words, separated by commas.
//
// T may have more tables than its own, one for each year, say, that statements name
// by db.Table: their rows are records of the same type. A table that has several
// models, or whose records other models refer to, is better registered by a type of
// its own.
//
// Using the plugin fails if T is not a struct GORM can parse, has no primary
// key, is registered twice, or if a tag or an option names what T does not
// have.
func Model[T any](t audit.EntityType, opts ...ModelOption) Option {
	return func(s *settings) error {
		var zero T
		typ := reflect.TypeOf(zero)
		for typ != nil && typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ == nil || typ.Kind() != reflect.Struct {
			return fmt.Errorf("audit: hooks.Model[%s] needs a struct that GORM knows as a model", reflect.TypeFor[T]())
		}
		if t == "" {
			return fmt.Errorf("audit: hooks.Model[%s] needs an entity type", typ)
		}
		m := &modelOptions{kind: t, value: reflect.New(typ).Interface()}
		for _, o := range opts {
			if o == nil {
				return fmt.Errorf("audit: hooks.Model[%s] got a nil option", typ)
			}
			o(m)
		}
		s.models = append(s.models, m)
		return nil
	}
}

// Workspace names the column, or the Go field, that holds the workspace of a
// record. Without it and without the tag a record belongs to the workspace of
// its context, else to that of the recorder's config.
func Workspace(field string) ModelOption { return func(m *modelOptions) { m.workspace = field } }

// Owner names the column, or the Go field, that holds the id of the user whom a
// record belongs to. It settles whether a change is personal or for other.
func Owner(field string) ModelOption { return func(m *modelOptions) { m.owner = field } }

// Label names the column, or the Go field, that holds what people call a
// record. References to the record carry it too.
func Label(field string) ModelOption { return func(m *modelOptions) { m.label = field } }

// Ignore names columns or Go fields that are not audited. A change of nothing
// else leaves no event.
func Ignore(fields ...string) ModelOption {
	return func(m *modelOptions) { m.ignore = append(m.ignore, fields...) }
}

// Redact names columns or Go fields of which only the fact that they changed is
// recorded, never a value.
func Redact(fields ...string) ModelOption {
	return func(m *modelOptions) { m.redact = append(m.redact, fields...) }
}

// Show names columns or Go fields that are recorded though [audit.Sensitive]
// takes their names for those of secrets, such as token_count.
func Show(fields ...string) ModelOption {
	return func(m *modelOptions) { m.show = append(m.show, fields...) }
}

// Cascade declares that records of the model Child show the label of this one,
// by their foreign key of that name or by their many-to-many relation: when
// this one is renamed, deleted or restored, each Child gets an event of its
// own, caused by this one's; see [audit.Cascade]. On names further fields of
// this model that a Child shows, such as the client of a project on a time
// entry. Child must be registered too.
//
// Rows that the database itself changes when a parent is deleted or gets another key
// (ON DELETE and ON UPDATE CASCADE, SET NULL or SET DEFAULT, whatever the models'
// tags say of it) are recorded without being declared.
func Cascade[Child any](field string, on ...string) ModelOption {
	return func(m *modelOptions) {
		m.cascades = append(m.cascades, cascadeOption{child: new(Child), field: field, on: on})
	}
}

// Reference declares that a column, or a Go field, holds the primary key of a
// Parent, so that events carry the parent's label beside it. It is not needed
// where GORM knows the relation.
func Reference[Parent any](field string) ModelOption {
	return func(m *modelOptions) {
		m.references = append(m.references, referenceOption{parent: new(Parent), column: field})
	}
}

// SeparateDatabase allows a store that keeps its events in another database
// than the one GORM writes to. It gives up atomicity: events are held in memory
// until the commit of their transaction and written just before it, so that a
// crash or a lost connection between the two leaves one without the other.
func SeparateDatabase() Option {
	return func(s *settings) error { s.separate = true; return nil }
}

// collect applies options to fresh settings.
func collect(opts []Option) (*settings, error) {
	s := &settings{}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("audit: hooks.New got a nil option")
		}
		if err := o(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}
