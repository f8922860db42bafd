package hooks

import (
	"context"
	"slices"
	"strings"
)

// fallout is the rows that a DELETE may change beside its own by one foreign
// key, as they were before it.
type fallout struct {
	*dependent
	parent  *table
	parents map[string]*image // of the rows that are deleted, by what refers to them
	above   *fallout          // by which the parents are deleted; nil for the statement's own
	layout  *layout
	rows    []image
	below   []*fallout // what the removal of rows changes in turn
}

// readFallout reads, and locks, the rows that refer to rows about to be deleted.
func (c *capture) readFallout(ctx context.Context, t *table, l *layout, rows []image, seen seenRows) ([]*fallout, error) {
	catalogue, err := c.plugin.constraints(ctx, c.tx)
	if err != nil || len(catalogue.dependents[t]) == 0 {
		return nil, err
	}
	seen.fresh(t, "", rows) // they have events of their own
	seen.fresh(t, removed, rows)
	r := &falloutReader{c, catalogue, seen}
	found, err := r.read(ctx, t, l, rows, nil)
	if err != nil {
		// It may be out of date: read while a migration was not committed.
		c.plugin.catalogue.Store(nil)
	}
	return found, err
}

type falloutReader struct {
	*capture
	catalogue *catalogue
	seen      seenRows
}

func (r *falloutReader) read(ctx context.Context, t *table, l *layout, rows []image, above *fallout) ([]*fallout, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var found []*fallout
	for _, d := range r.catalogue.dependents[t] {
		f := &fallout{dependent: d, parent: t, above: above}
		values, err := r.referred(ctx, f, l, rows)
		if err != nil {
			return nil, err
		}
		if f.layout, err = d.table.load(ctx, r.plugin, r.tx); err != nil {
			return nil, err
		}
		if f.rows, err = f.layout.selectBy(ctx, r.tx, assignments{}, d.columns, values, r.plugin.dialect.lock); err != nil {
			return nil, err
		}
		if d.removes {
			going := r.seen.fresh(d.table, removed, f.rows)
			if f.below, err = r.read(ctx, d.table, f.layout, going, f); err != nil {
				return nil, err
			}
		}
		if f.rows = r.seen.fresh(d.table, "", f.rows); len(f.rows)+len(f.below) > 0 {
			found = append(found, f)
		}
	}
	return found, nil
}

// removed is the purpose of following rows further because they go.
const removed = "removed "

// seenRows are the rows met while fallout is read: one that is reached by
// several ways changes once.
type seenRows map[*table]map[string]bool

// fresh returns the rows not met before for a purpose.
func (s seenRows) fresh(t *table, purpose string, rows []image) []image {
	if s[t] == nil {
		s[t] = map[string]bool{}
	}
	var fresh []image
	for _, row := range rows {
		if key := purpose + row.key; !s[t][key] {
			s[t][key] = true
			fresh = append(fresh, row)
		}
	}
	return fresh
}

// referred are the values by which others refer to rows of a layout. They are
// part of the primary key, as a rule; else they are read.
func (r *falloutReader) referred(ctx context.Context, f *fallout, l *layout, rows []image) ([][]any, error) {
	f.parents = make(map[string]*image, len(rows))
	at := make([]int, len(f.refers))
	for i, name := range f.refers {
		if at[i] = r.keyPlace(f.parent.keys, name); at[i] < 0 {
			return r.readReferred(ctx, f, l, rows)
		}
	}
	values := make([][]any, 0, len(rows))
	for i := range rows {
		var json []byte
		value := make([]any, len(at))
		for n, k := range at {
			value[n] = rows[i].args[k]
			json = append(append(json, rows[i].cells[l.keys[k]].json...), ',')
		}
		f.parents[string(json)] = &rows[i]
		if !slices.Contains(value, nil) {
			values = append(values, value)
		}
	}
	return values, nil
}

// keyPlace finds a column, whose name the catalogue may write otherwise.
func (c *capture) keyPlace(columns []string, name string) int {
	return slices.IndexFunc(columns, func(k string) bool {
		return k == name || c.plugin.dialect.name != "postgres" && strings.EqualFold(k, name)
	})
}

// readReferred reads columns that are no part of the primary key.
func (r *falloutReader) readReferred(ctx context.Context, f *fallout, l *layout, rows []image) ([][]any, error) {
	keys := slices.Clone(f.parent.keys)
	t := &table{name: f.parent.name, schema: f.parent.schema, keys: slices.Clone(keys), entity: &entity{}}
	t.reads(f.refers)
	if err := t.loadKeys(ctx, r.plugin.dialect, r.tx, l.edition); err != nil {
		return nil, err
	}
	byKey := make(map[string]*image, len(rows))
	selected := make([][]any, len(rows))
	for i := range rows {
		selected[i], byKey[rows[i].key] = rows[i].args, &rows[i]
	}
	own := t.layout.Load()
	found, err := own.selectBy(ctx, r.tx, assignments{}, keys, selected, "")
	if err != nil {
		return nil, err
	}
	values := make([][]any, 0, len(found))
	for i := range found {
		var json []byte
		value := make([]any, len(f.refers))
		for n, name := range f.refers {
			k := r.keyPlace(t.keys, name)
			value[n] = found[i].args[k]
			json = append(append(json, found[i].cells[own.keys[k]].json...), ',')
		}
		key := &layout{keys: own.keys[:len(keys)]}
		f.parents[string(json)] = byKey[key.keyOf(found[i].cells)]
		if !slices.Contains(value, nil) {
			values = append(values, value)
		}
	}
	return values, nil
}

// addFallout adds the events of the rows that a DELETE has changed beside its
// own; those it has left as they were have none.
func (c *capture) addFallout(ctx context.Context, found []*fallout) error {
	for _, f := range found {
		if !f.table.bystander() {
			if err := c.addChanged(ctx, f); err != nil {
				return err
			}
		}
		if err := c.addFallout(ctx, f.below); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) addChanged(ctx context.Context, f *fallout) error {
	values := make([][]any, len(f.rows))
	for i := range f.rows {
		values[i] = f.rows[i].args
	}
	after, err := f.layout.selectAgain(ctx, c.tx, assignments{}, values)
	if err != nil {
		return err
	}
	left := make(map[string]*image, len(after))
	for i := range after {
		left[after[i].key] = &after[i]
	}
	pairs := make([]pair, len(f.rows))
	for i := range f.rows {
		pairs[i] = pair{&f.rows[i], left[f.rows[i].key]}
	}
	if f.table.join != nil {
		return c.unit.addElements(ctx, f.table.join, f.layout, pairs, func(p pair) int { return c.causeOf(f, p.before) })
	}
	for _, p := range pairs {
		if err := c.unit.addRow(ctx, f.table.entity, f.layout, p, c.causeOf(f, p.before)); err != nil {
			return err
		}
	}
	return nil
}

// unrecorded is the cause of what the database changed because of a record
// whose own type is not recorded.
const unrecorded = -1

// causeOf finds the event of the deleted record that a row referred to, or of
// the nearest one above it that has an event.
func (c *capture) causeOf(f *fallout, row *image) int {
	var json []byte
	for _, name := range f.columns {
		i := f.layout.find(name)
		if i < 0 {
			i = slices.IndexFunc(f.layout.columns, func(col column) bool { return strings.EqualFold(col.name, name) })
		}
		if i < 0 {
			break // it is not audited
		}
		json = append(append(json, row.cells[i].json...), ',')
	}
	parent := f.parents[string(json)]
	if parent == nil && len(f.parents) == 1 {
		for _, only := range f.parents {
			parent = only
		}
	}
	if parent == nil {
		return unrecorded
	}
	owner, key := f.parent.entity, parent.key
	if j := f.parent.join; j != nil {
		l := c.layout
		if f.above != nil {
			l = f.above.layout
		}
		owner = j.owner
		key, _ = j.ownerKey(l, parent)
	}
	if at := c.unit.find(owner, key); at > 0 {
		return at
	}
	if f.above != nil {
		return c.causeOf(f.above, parent)
	}
	return unrecorded
}
