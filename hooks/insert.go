package hooks

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// values is what an INSERT writes, as GORM has built it; empty if it was built
// otherwise.
func (c *capture) values() clause.Values {
	v, _ := c.db.Statement.Clauses["VALUES"].Expression.(clause.Values)
	if c.respelled != nil {
		v.Columns = c.respelled
	}
	return v
}

// places finds columns among those inserted; nil if one is not among them.
func places(v clause.Values, columns []string) []int {
	at := make([]int, len(columns))
	for i, name := range columns {
		at[i] = slices.IndexFunc(v.Columns, func(c clause.Column) bool { return c.Name == name })
		if at[i] < 0 {
			return nil
		}
	}
	return at
}

// take picks values out of an inserted row; nil if the database computes one.
func take(row []any, at []int) []any {
	key := make([]any, len(at))
	for i, j := range at {
		if j < 0 || !isPlain(row[j]) {
			return nil
		}
		key[i] = row[j]
	}
	return key
}

// isPlain reports whether a value is bound as it is, and not computed by the
// database.
func isPlain(v any) bool {
	switch v.(type) {
	case nil, clause.Expression, clause.Interface, gorm.Valuer, *gorm.DB, []any:
		return false
	case driver.Valuer:
		return true
	}
	k := reflect.Indirect(reflect.ValueOf(v)).Kind()
	return k != reflect.Slice || reflect.TypeOf(v).Elem().Kind() == reflect.Uint8
}

// selectInserted reads the rows that an INSERT has left: by the keys it named,
// by those that GORM got back from the database, and, for an upsert, by those
// of the rows that were there before.
func (c *capture) selectInserted(ctx context.Context) ([]image, error) {
	keys := c.insertedKeys(ctx)
	if !c.mayConflict() {
		found, err := c.selectByKeys(ctx, keys)
		if err == nil && int64(len(found)) != c.db.RowsAffected {
			err = fmt.Errorf("table %q was given %d rows of which %d can be found again; the database does not tell their keys", c.table.name, c.db.RowsAffected, len(found))
		}
		return found, err
	}
	for i := range c.before {
		keys = append(keys, c.before[i].args)
	}
	found, err := c.selectByKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	more, err := c.selectByValues(ctx, c.sets[1:], c.plugin.dialect.again)
	return once(append(found, more...)), err
}

func (c *capture) selectByKeys(ctx context.Context, keys [][]any) ([]image, error) {
	found, err := c.layout.selectAgain(ctx, c.tx, c.assigned, keys)
	return once(found), err // a key may have been named twice
}

// insertedKeys returns the primary keys that the statement named, and those that
// GORM wrote back into the application's values.
func (c *capture) insertedKeys(ctx context.Context) [][]any {
	v := c.values()
	at := places(v, c.table.keys)
	keys := make([][]any, 0, len(v.Values))
	for r, row := range v.Values {
		var key []any
		if at != nil {
			key = take(row, at)
		}
		if key == nil {
			key = c.destKey(ctx, r)
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// makesKeys reports whether the database makes keys that GORM does not learn: it was
// given a struct without the key, or a map, which on SQLite may get the key of an
// earlier row from an upsert; or the key is an expression. The rows are asked for
// them then.
func (c *capture) makesKeys() bool {
	d, v, s := c.plugin.dialect, c.values(), c.db.Statement.Schema
	if !d.returnsKeys || len(v.Values) == 0 || c.mayReplace() || c.mayConflict() && d.name != "sqlite" {
		return false
	}
	at := places(v, c.table.keys)
	if at == nil {
		return s == nil || c.mayConflict() && c.isMap() ||
			slices.ContainsFunc(c.table.keys, func(k string) bool { return s.FieldsByDBName[k] == nil })
	}
	return slices.ContainsFunc(v.Values, func(row []any) bool {
		return slices.ContainsFunc(at, func(i int) bool { return isComputed(row[i]) })
	})
}

// isMap reports whether GORM was given maps to insert.
func (c *capture) isMap() bool {
	switch c.db.Statement.Dest.(type) {
	case map[string]any, *map[string]any, []map[string]any, *[]map[string]any:
		return true
	}
	return false
}

// isComputed reports whether a value is an expression, and not what GORM writes
// for none.
func isComputed(v any) bool {
	if v == nil || isPlain(v) {
		return false
	}
	e, ok := v.(clause.Expr)
	return !ok || !strings.EqualFold(e.SQL, "DEFAULT") && !strings.EqualFold(e.SQL, "NULL")
}

// inserted is the result of an INSERT that has returned its rows, with the
// LastInsertId that it would have had otherwise.
func (c *capture) inserted(ctx context.Context) (sql.Result, error) {
	query := "SELECT last_insert_rowid()"
	if c.plugin.dialect.name == "mysql" {
		query = "SELECT LAST_INSERT_ID()"
	}
	result := insertedRows{rows: int64(len(c.after))}
	if err := c.tx.QueryRowContext(ctx, query).Scan(&result.last); err != nil {
		return nil, failed(err)
	}
	if c.plugin.dialect.name == "mysql" && (len(c.after) == 0 || len(c.after[0].args) != 1 || fmt.Sprint(c.after[0].args[0]) != fmt.Sprint(result.last)) {
		result.last = 0 // it is of another statement
	}
	c.ran, c.complete = true, true
	c.trustKeys()
	return result, nil
}

// insertedRows is a result of inserted.
type insertedRows struct{ rows, last int64 }

func (r insertedRows) RowsAffected() (int64, error) { return r.rows, nil }

func (r insertedRows) LastInsertId() (int64, error) { return r.last, nil }

// destKey reads the primary key of the r-th value that was given to Create; nil
// if it holds none.
func (c *capture) destKey(ctx context.Context, r int) []any {
	switch d := c.db.Statement.Dest.(type) {
	case map[string]any:
		return c.mapKey(d)
	case *map[string]any:
		return c.mapKey(*d)
	case []map[string]any:
		return c.mapKey(lastOf(d, r, len(c.values().Values)))
	case *[]map[string]any:
		return c.mapKey(lastOf(*d, r, len(c.values().Values)))
	}
	row := c.db.Statement.ReflectValue
	if k := row.Kind(); k == reflect.Slice || k == reflect.Array {
		if r >= row.Len() {
			return nil
		}
		row = row.Index(r)
	}
	row = reflect.Indirect(row)
	s := c.db.Statement.Schema
	if s == nil || row.Kind() != reflect.Struct {
		return nil
	}
	return keyValues(ctx, s, c.table.keys, row)
}

// lastOf is the r-th of the last n maps: GORM appends what the database returns
// to the maps it was given.
func lastOf(maps []map[string]any, r, n int) map[string]any {
	if len(maps) < n {
		return nil
	}
	return maps[len(maps)-n+r]
}

// keyValues reads the key columns of a struct; nil if one is not set.
func keyValues(ctx context.Context, s *schema.Schema, columns []string, row reflect.Value) []any {
	key := make([]any, len(columns))
	for i, name := range columns {
		f := s.FieldsByDBName[name]
		if f == nil {
			return nil
		}
		v, zero := f.ValueOf(ctx, row)
		if zero && f.HasDefaultValue {
			return nil
		}
		key[i] = v
	}
	return key
}

// mapKey reads the key columns of a map, where GORM keeps a key that the
// database made under "@id" if it does not know the model.
func (c *capture) mapKey(m map[string]any) []any {
	key := make([]any, len(c.table.keys))
	for i, name := range c.table.keys {
		v, ok := m[name]
		if f := c.table.schema.FieldsByDBName[name]; !ok && f != nil {
			v, ok = m[f.Name]
		}
		if !ok && len(c.table.keys) == 1 {
			v, ok = m["@id"]
		}
		if !ok || !isPlain(v) {
			return nil
		}
		key[i] = v
	}
	return key
}
