package hooks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// mayConflict reports whether an INSERT may change or remove rows that exist.
func (c *capture) mayConflict() bool {
	if _, ok := c.db.Statement.Clauses["ON CONFLICT"]; ok {
		return true
	}
	return c.mayReplace()
}

// mayReplace reports whether an INSERT may remove rows, or how it meets those
// that exist is not known: INSERT OR REPLACE, INSERT IGNORE.
func (c *capture) mayReplace() bool {
	insert, _ := c.db.Statement.Clauses["INSERT"].Expression.(clause.Insert)
	return insert.Modifier != ""
}

// errAssignsKey is that of an upsert that may give a row another primary key.
func errAssignsKey(table string) error {
	return fmt.Errorf("an upsert that assigns the primary key of table %q cannot be recorded; look for the row first, then update or create it", table)
}

// checkKeys refuses an upsert that may give another primary key to a row that it
// meets, unless the new key is that of the row to be inserted, which can be looked
// for.
func (c *capture) checkKeys() error {
	on, _ := c.db.Statement.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	for _, a := range on.DoUpdates {
		name := c.layout.named(a.Column.Name)
		if !slices.Contains(c.table.keys, name) || c.keepsKey(name, a.Value) {
			continue
		}
		value, _ := a.Value.(clause.Column)
		inserted := value.Table == "excluded" && c.layout.named(value.Name) == name
		meets := slices.ContainsFunc(on.Columns, func(met clause.Column) bool { return c.layout.named(met.Name) == name })
		if !inserted || !meets && (c.plugin.dialect.name == "postgres" || !c.givesKeys()) {
			return errAssignsKey(c.table.name)
		}
		c.meetsByKey = c.plugin.dialect.name == "mysql" && !c.givesKeys()
	}
	return nil
}

// checkMet refuses an upsert of MySQL that assigns the primary key which it says it
// meets its rows by, and met one by another unique index: MySQL does not mind what
// an upsert says of that.
func (c *capture) checkMet(ctx context.Context) error {
	byKey, err := c.selectByValues(ctx, c.sets[:1], c.plugin.dialect.lock)
	if err == nil && len(byKey) < len(c.before) {
		err = errAssignsKey(c.table.name)
	}
	return err
}

// keepsKey reports whether a key is assigned to itself, which is how MySQL is told
// to do nothing, or to tell the key.
func (c *capture) keepsKey(name string, value any) bool {
	switch v := value.(type) {
	case clause.Column:
		return v.Table != "excluded" && c.layout.named(v.Name) == name
	case clause.Expr:
		text := strings.ToLower(strings.Join(strings.Fields(unquote.Replace(v.SQL)), ""))
		return len(v.Vars) == 0 && text == "last_insert_id("+strings.ToLower(name)+")"
	}
	return false
}

// givesKeys reports whether an INSERT has the keys of all its rows, and the database
// makes none.
func (c *capture) givesKeys() bool {
	v, s := c.values(), c.db.Statement.Schema
	at := places(v, c.table.keys)
	return at != nil && s != nil && (s.PrioritizedPrimaryField == nil || !s.PrioritizedPrimaryField.HasDefaultValue) &&
		!slices.ContainsFunc(v.Values, func(row []any) bool { return take(row, at) == nil })
}

// keySets are the sets of columns on which an INSERT may hit a row: the primary
// key first, then the unique indexes, those that the model does not know among
// them, and the columns that the statement names.
func (c *capture) keySets(ctx context.Context) ([][]string, error) {
	indexes, err := c.table.uniqueIndexes(ctx, c.plugin.dialect, c.tx)
	if err != nil {
		return nil, err
	}
	sets := [][]string{c.table.keys}
	add := func(columns []string) {
		own := make([]string, len(columns))
		for i := range columns {
			own[i] = c.layout.named(columns[i])
		}
		same := func(have []string) bool { return slices.Equal(have, own) }
		if len(own) > 0 && !slices.Contains(own, "") && !slices.ContainsFunc(sets, same) {
			sets = append(sets, own)
		}
	}
	for _, columns := range indexes {
		add(columns)
	}
	for _, columns := range c.table.unique {
		add(columns)
	}
	if on, ok := c.db.Statement.Clauses["ON CONFLICT"].Expression.(clause.OnConflict); ok {
		columns := make([]string, len(on.Columns))
		for i, col := range on.Columns {
			columns[i] = col.Name
		}
		add(columns)
	}
	return sets, nil
}

// selectConflicting reads, and locks, the rows that an upsert may hit.
func (c *capture) selectConflicting(ctx context.Context) (found []image, err error) {
	on, _ := c.db.Statement.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if on.DoNothing && c.tellsExisting() {
		return nil, nil // and only the others come back
	}
	if c.sets, err = c.keySets(ctx); err != nil {
		return nil, err
	}
	lock := c.plugin.dialect.lockForUpdate
	for _, a := range on.DoUpdates {
		if name := c.layout.named(a.Column.Name); slices.ContainsFunc(c.sets, func(set []string) bool { return slices.Contains(set, name) }) {
			lock = c.plugin.dialect.lock
		}
	}
	return c.selectByValues(ctx, c.sets, lock)
}

// selectByValues reads the rows that have the inserted values in one of the sets
// of columns, each row once.
func (c *capture) selectByValues(ctx context.Context, sets [][]string, tail string) ([]image, error) {
	var images []image
	v := c.values()
	for _, set := range sets {
		at, err := c.placesOrDefaults(ctx, v, set)
		if err != nil {
			return nil, err
		}
		if at == nil {
			continue
		}
		var plain [][]any
		for _, row := range v.Values {
			if key := take(row, at); key != nil {
				plain = append(plain, key)
				continue
			}
			found, err := c.selectComputed(ctx, set, row, at, tail)
			if err != nil {
				return nil, err
			}
			images = append(images, found...)
		}
		found, err := c.layout.selectBy(ctx, c.tx, c.assigned, set, plain, tail)
		if err != nil {
			return nil, err
		}
		images = append(images, found...)
	}
	return once(images), nil
}

// placesOrDefaults finds columns among those inserted; -1 for one that is left to
// its default, and nil if one is left out that has none: null meets nothing.
func (c *capture) placesOrDefaults(ctx context.Context, v clause.Values, set []string) ([]int, error) {
	if at := places(v, set); at != nil {
		return at, nil
	}
	defaults, err := c.table.columnDefaults(ctx, c.plugin.dialect, c.tx)
	if err != nil {
		return nil, err
	}
	at := make([]int, len(set))
	for i, name := range set {
		if one := places(v, set[i:i+1]); one != nil {
			at[i] = one[0]
		} else if at[i] = -1; defaults[name] == "" {
			return nil, nil
		}
	}
	return at, nil
}

// selectComputed reads the rows that have values which the database computes, such
// as UPPER(?) or the default of a column, by having it compute them once more. At
// are the places of the set's columns in the row; -1 for one that it leaves out.
func (c *capture) selectComputed(ctx context.Context, set []string, row []any, at []int, tail string) ([]image, error) {
	stmt := c.db.Statement
	s := &gorm.Statement{DB: c.db, Clauses: map[string]clause.Clause{}, Table: stmt.Table, Schema: stmt.Schema, Context: stmt.Context}
	_, _ = s.WriteString("SELECT " + c.layout.textsFor(c.assigned).list + " FROM " + c.layout.from + " WHERE ")
	for i, j := range at {
		if i > 0 {
			_, _ = s.WriteString(" AND ")
		}
		_, _ = s.WriteString(c.plugin.dialect.quote(set[i]) + "=")
		if j >= 0 && (isPlain(row[j]) || isComputed(row[j])) {
			s.AddVar(s, row[j])
			continue
		}
		if e, _ := row[max(j, 0)].(clause.Expr); j >= 0 && !strings.EqualFold(e.SQL, "DEFAULT") {
			return nil, nil // null meets nothing
		}
		defaults, err := c.table.columnDefaults(ctx, c.plugin.dialect, c.tx)
		if err != nil {
			return nil, err
		}
		if defaults[set[i]] == "" {
			return nil, nil
		}
		_, _ = s.WriteString(defaults[set[i]])
	}
	_, _ = s.WriteString(tail)
	return query(ctx, c.tx, c.layout, c.assigned, s.SQL.String(), s.Vars)
}

// once leaves out images of rows that are there already.
func once(images []image) []image {
	seen := make(map[string]bool, len(images))
	return slices.DeleteFunc(images, func(row image) bool {
		was := seen[row.key]
		seen[row.key] = true
		return was
	})
}

// returned is the list of columns that an INSERT is made to return: ours and,
// for an upsert on PostgreSQL, whether the row existed.
func (c *capture) returned() string {
	list := c.layout.textsFor(c.assigned).list
	if c.tellsExisting() {
		list += ",xmax<>0"
	}
	return list
}

// tellsExisting reports whether the database tells the rows that an upsert has
// changed from those it has inserted: PostgreSQL does for plain tables, which have
// the system column that it takes.
func (c *capture) tellsExisting() bool { return c.versioned && c.mayConflict() }

// existedDest is where the answer to that is scanned.
func (c *capture) existedDest() []any {
	if c.tellsExisting() {
		return []any{&c.existed}
	}
	return nil
}

// addReturned takes in a row that an INSERT has returned.
func (c *capture) addReturned(row image) {
	c.after = append(c.after, row)
	if c.existed {
		c.found = append(c.found, row.key)
	}
}

// settleUpsert compares what an upsert has returned with what was there before.
// A row that it has changed and that was not there was inserted by somebody else
// meanwhile: its old values are not known, and it must not pass for a new one.
// A row that was there and did not come back was left as it was.
func (c *capture) settleUpsert() error {
	there := keysOf(c.before)
	for _, key := range c.found {
		if !there[key] {
			return fmt.Errorf("an upsert of table %q met a row that it had not found: either another transaction has just inserted it, then try the transaction again, or the database knows it by a unique index on more than columns, then look for the row first", c.table.name)
		}
	}
	back := keysOf(c.after)
	c.leaveOut(func(row image) bool { return !back[row.key] })
	return nil
}
