package hooks

import (
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
)

// namedRecord is a record as a statement of the application names it, by value.
type namedRecord struct{ id, workspace, owner string }

// recordsOf are the records that a statement names: those of its model, or of its
// destination.
func (t *table) recordsOf(stmt *gorm.Statement) []namedRecord {
	rows := reflect.Indirect(stmt.ReflectValue)
	if stmt.Schema == nil || t.entity == nil || !rows.IsValid() {
		return nil
	}
	if k := rows.Kind(); k != reflect.Slice && k != reflect.Array {
		return t.namedBy(stmt, rows, nil)
	}
	var all []namedRecord
	for i := range rows.Len() {
		all = t.namedBy(stmt, reflect.Indirect(rows.Index(i)), all)
	}
	return all
}

func (t *table) namedBy(stmt *gorm.Statement, row reflect.Value, all []namedRecord) []namedRecord {
	if !row.IsValid() || row.Type() != stmt.Schema.ModelType {
		return all
	}
	text := func(column string) string {
		f := stmt.Schema.FieldsByDBName[column]
		if f == nil {
			return ""
		}
		v, zero := f.ValueOf(stmt.Context, row)
		if zero {
			return ""
		}
		return fmt.Sprint(reflect.Indirect(reflect.ValueOf(v)))
	}
	n := namedRecord{workspace: text(t.entity.workspace), owner: text(t.entity.owner)}
	keys := make([]string, len(t.keys))
	for i, k := range t.keys {
		if keys[i] = text(k); keys[i] == "" || t.entity.redacts(k) {
			return append(all, n)
		}
		if len(keys) > 1 {
			keys[i] = idEscape.Replace(keys[i])
		}
	}
	n.id = strings.Join(keys, "/")
	return append(all, n)
}

// oneWorkspace is the workspace of all of them; empty if they have several.
func oneWorkspace(records []namedRecord) string {
	if len(records) == 0 {
		return ""
	}
	for _, n := range records {
		if n.workspace != records[0].workspace {
			return ""
		}
	}
	return records[0].workspace
}
