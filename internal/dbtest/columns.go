package dbtest

import (
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// Removed is a soft delete that is a number: 0 while the record lives, 1 after
// it was deleted. It works as GORM's own, with clauses that change statements.
type Removed uint8

// QueryClauses hides deleted records.
func (Removed) QueryClauses(f *schema.Field) []clause.Interface {
	return []clause.Interface{removedClause{field: f}}
}

// UpdateClauses leaves deleted records alone.
func (Removed) UpdateClauses(f *schema.Field) []clause.Interface {
	return []clause.Interface{removedClause{field: f}}
}

// DeleteClauses makes an update of a delete.
func (Removed) DeleteClauses(f *schema.Field) []clause.Interface {
	return []clause.Interface{removedClause{field: f, deletes: true}}
}

type removedClause struct {
	field   *schema.Field
	deletes bool
}

func (removedClause) Name() string               { return "" }
func (removedClause) Build(clause.Builder)       {}
func (removedClause) MergeClause(*clause.Clause) {}

// ModifyStatement implements gorm.StatementModifier.
func (c removedClause) ModifyStatement(stmt *gorm.Statement) {
	if stmt.SQL.Len() > 0 || stmt.Unscoped {
		return
	}
	if c.deletes {
		stmt.AddClause(clause.Set{{Column: clause.Column{Name: c.field.DBName}, Value: 1}})
		stmt.SetColumn(c.field.DBName, 1, true)
		c.whereKeys(stmt)
	}
	if _, done := stmt.Clauses["removed"]; !done {
		alive := clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: c.field.DBName}, Value: 0}
		stmt.AddClause(clause.Where{Exprs: []clause.Expression{alive}})
		stmt.Clauses["removed"] = clause.Clause{}
	}
	if c.deletes {
		stmt.AddClauseIfNotExists(clause.Update{})
		stmt.Build(stmt.Callback().Update().Clauses...)
	}
}

// whereKeys adds the keys of the records that are to be deleted.
func (c removedClause) whereKeys(stmt *gorm.Statement) {
	if stmt.Schema == nil {
		return
	}
	_, keys := schema.GetIdentityFieldValuesMap(stmt.Context, stmt.ReflectValue, stmt.Schema.PrimaryFields)
	if column, values := schema.ToQueryValues(stmt.Table, stmt.Schema.PrimaryFieldDBNames, keys); len(values) > 0 {
		stmt.AddClause(clause.Where{Exprs: []clause.Expression{clause.IN{Column: column, Values: values}}})
	}
}

// Version is an optimistic lock: an update of a record that was read at one
// version misses it if it has another by then.
type Version int64

// CreateClauses starts at version 1.
func (Version) CreateClauses(f *schema.Field) []clause.Interface {
	return []clause.Interface{versionClause{field: f, creates: true}}
}

// UpdateClauses asks for the version that was read and raises it.
func (Version) UpdateClauses(f *schema.Field) []clause.Interface {
	return []clause.Interface{versionClause{field: f}}
}

type versionClause struct {
	field   *schema.Field
	creates bool
}

func (versionClause) Name() string               { return "" }
func (versionClause) Build(clause.Builder)       {}
func (versionClause) MergeClause(*clause.Clause) {}

// ModifyStatement implements gorm.StatementModifier.
func (c versionClause) ModifyStatement(stmt *gorm.Statement) {
	switch {
	case stmt.SQL.Len() > 0:
	case c.creates:
		stmt.SetColumn(c.field.DBName, 1, true)
	case stmt.ReflectValue.Kind() == reflect.Struct && stmt.Schema != nil:
		if _, done := stmt.Clauses["version"]; done {
			return
		}
		stmt.Clauses["version"] = clause.Clause{}
		if read, zero := c.field.ValueOf(stmt.Context, stmt.ReflectValue); !zero {
			same := clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: c.field.DBName}, Value: read}
			stmt.AddClause(clause.Where{Exprs: []clause.Expression{same}})
		}
		// GORM cannot raise a column by an expression from a struct.
		set := assignments(stmt)
		set[c.field.DBName] = gorm.Expr("? + 1", clause.Column{Name: c.field.DBName})
		stmt.Dest = set
	}
}

// assignments is what the statement sets, as a map.
func assignments(stmt *gorm.Statement) map[string]any {
	set := map[string]any{}
	if dest, ok := stmt.Dest.(map[string]any); ok {
		for column, value := range dest {
			set[column] = value
		}
		return set
	}
	dest := reflect.Indirect(reflect.ValueOf(stmt.Dest))
	selected, restricted := stmt.SelectAndOmitColumns(false, true)
	for _, f := range stmt.Schema.Fields {
		if f.DBName == "" || f.PrimaryKey || !f.Updatable {
			continue
		}
		value, zero := f.ValueOf(stmt.Context, dest)
		if chosen, named := selected[f.DBName]; named && chosen || !named && !restricted && !zero {
			set[f.DBName] = value
		}
	}
	return set
}
