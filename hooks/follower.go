package hooks

import (
	"cmp"
	"context"
	"database/sql/driver"
	"reflect"
	"slices"
	"strconv"

	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
)

// Rows that follow an UPDATE are those that the database gives another key, or
// none, because what they refer to has got one: ON UPDATE CASCADE, SET NULL and SET
// DEFAULT. Only an UPDATE that assigns a column of the primary key, or one that the
// model says is unique, is looked at: others refer to no other columns, as a rule.

// findFollowers finds the foreign keys that refer to what an UPDATE assigns.
func (c *capture) findFollowers(ctx context.Context) error {
	assigns := func(columns []string) bool { return slices.ContainsFunc(columns, c.assigned.has) }
	if !assigns(c.table.keys) && !slices.ContainsFunc(c.table.unique, assigns) {
		return nil
	}
	catalogue, err := c.plugin.constraints(ctx, c.tx)
	if err != nil {
		return ours(err)
	}
	for _, d := range catalogue.followers[c.table] {
		if slices.ContainsFunc(d.refers, func(name string) bool { return c.assigned.has(c.layout.named(name)) }) {
			c.catalogue, c.followers = catalogue, append(c.followers, d)
		}
	}
	return nil
}

// readFollowers reads, and locks, the rows that refer to rows about to be changed,
// but for those that have events of their own.
func (c *capture) readFollowers(ctx context.Context, own []image) ([]*fallout, error) {
	if len(c.followers) == 0 {
		return nil, nil
	}
	r := &falloutReader{c, seenRows{}}
	r.seen.fresh(c.table, "", own)
	moving := slices.DeleteFunc(slices.Clone(c.before), func(row image) bool { return !c.mayMove(&row) })
	return r.readFollowing(ctx, c.table, c.layout, moving, c.followers, nil)
}

// mayMove reports whether a row may get another value of what others refer to: Save
// assigns all that it has, the same as a rule.
func (c *capture) mayMove(row *image) bool {
	return slices.ContainsFunc(c.followers, func(d *dependent) bool {
		return slices.ContainsFunc(d.refers, func(refers string) bool {
			name := c.layout.named(refers)
			at, column := c.layout.find(name), func(a clause.Assignment) bool { return a.Column.Name == name }
			i := slices.IndexFunc(c.assigned.set, column)
			if at < 0 || c.assigned.all {
				return true
			}
			return i >= 0 && (row.cells[at].form != audit.FormPlain || !isText(c.assigned.set[i].Value, plain(row.cells[at])))
		})
	})
}

// isText reports whether a value is a text or a number that is written so; false if
// that is not easily told.
func isText(value any, text string) bool {
	if _, converts := value.(driver.Valuer); converts {
		return false
	}
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String() == text
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10) == text
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10) == text
	}
	return false
}

func (r *falloutReader) readFollowing(ctx context.Context, t *table, l *layout, rows []image, by []*dependent, above *fallout) ([]*fallout, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var found []*fallout
	for _, d := range by {
		f := &fallout{dependent: d, parent: t, above: above, parents: map[string]*image{}}
		err := r.readReferring(ctx, f, l, rows)
		if err != nil {
			return nil, err
		}
		r.itself = r.itself || d.table == r.table && len(f.rows) > 0
		f.rows = r.seen.fresh(d.table, "", f.rows)
		next := slices.DeleteFunc(slices.Clone(r.catalogue.followers[d.table]), func(n *dependent) bool {
			return !r.plugin.dialect.meet(d.columns, n.refers)
		})
		if f.below, err = r.readFollowing(ctx, d.table, f.layout, f.rows, next, f); err != nil {
			return nil, err
		}
		if len(f.rows) > 0 {
			found = append(found, f)
		}
	}
	return found, nil
}

// addFollowing adds the events of the rows that followed others.
func (c *capture) addFollowing(ctx context.Context, found []*fallout, parents []pair, l *layout) error {
	for _, f := range found {
		pairs, err := c.pairFollowing(ctx, f, parents, l)
		if err != nil {
			return err
		}
		if !f.table.bystander {
			if err := c.addPairs(ctx, f, pairs); err != nil {
				return err
			}
		}
		if err := c.addFollowing(ctx, f.below, pairs, f.layout); err != nil {
			return err
		}
	}
	return nil
}

// pairFollowing joins what rows were before and after. Their own keys change if what
// they refer by is part of them. Then they are found by what they refer to now, and
// known by that and the rest of their keys.
func (c *capture) pairFollowing(ctx context.Context, f *fallout, parents []pair, l *layout) ([]pair, error) {
	left, err := c.readLeft(ctx, f)
	if err != nil {
		return nil, err
	}
	pairs := make([]pair, len(f.rows))
	for i := range f.rows {
		pairs[i] = pair{&f.rows[i], left[f.rows[i].key]}
	}
	d := c.plugin.dialect
	if !d.meet(f.layout.keyNames, f.columns) {
		return pairs, nil
	}
	was := keysOf(f.rows)
	moved, origin := map[string]*image{}, map[string]*image{}
	now := &fallout{dependent: f.dependent, parent: f.parent, parents: map[string]*image{}}
	var after []image
	for _, p := range parents {
		if p.after != nil {
			after = append(after, *p.after)
			origin[p.after.key] = cmp.Or(p.before, p.after)
		}
		if p.before != nil {
			moved[p.before.key] = p.after
		}
	}
	r := &falloutReader{capture: c}
	if err := r.readReferring(ctx, now, l, after); err != nil {
		return nil, err
	}
	var rest []int
	for _, k := range f.layout.keys {
		if d.place(f.columns, f.layout.columns[k].name) < 0 {
			rest = append(rest, k)
		}
	}
	name := func(parent, row *image) string { return parent.key + " " + joinKey(row.cells, rest) }
	arrived := map[string]*image{}
	for i := range now.rows {
		row := &now.rows[i]
		if !was[row.key] && now.parents[row.key] != nil {
			arrived[name(now.parents[row.key], row)] = row
			f.parents[row.key] = origin[now.parents[row.key].key] // by which its event is found
		}
	}
	for i := range pairs {
		of := f.parents[pairs[i].before.key]
		if of == nil || moved[of.key] == nil {
			continue
		}
		if at := name(moved[of.key], pairs[i].before); pairs[i].after == nil {
			pairs[i].after = arrived[at]
			delete(arrived, at)
		}
	}
	for i := range now.rows {
		row := &now.rows[i]
		if parent := now.parents[row.key]; parent != nil && arrived[name(parent, row)] == row {
			pairs = append(pairs, pair{nil, row})
		}
	}
	return pairs, nil
}
