package hooks

import (
	"context"
	"slices"
	"strings"
)

// fallout is the rows that a DELETE, or an UPDATE of a key, may change beside its
// own by one foreign key, as they were before it.
type fallout struct {
	*dependent
	parent  *table
	above   *fallout // by which the parents are changed; nil for the statement's own
	layout  *layout
	rows    []image
	parents map[string]*image // by the keys of the rows that refer to them
	below   []*fallout        // what the change of these rows changes in turn
}

// readFallout reads, and locks, the rows that refer to rows about to be deleted, but
// for those that have events of their own.
func (c *capture) readFallout(ctx context.Context, own []image) ([]*fallout, error) {
	if !c.hasDependents() {
		return nil, nil
	}
	r := &falloutReader{c, seenRows{}}
	r.seen.fresh(c.table, "", own)
	r.seen.fresh(c.table, removed, c.before)
	found, err := r.read(ctx, c.table, c.layout, c.before, nil)
	if err != nil {
		// It may be out of date: read while a migration was not committed.
		c.plugin.catalogue.Store(nil)
	}
	return found, err
}

// readReplaced is readFallout for an INSERT that deletes the rows which it meets.
func (c *capture) readReplaced(ctx context.Context) (err error) {
	if c.catalogue, err = c.plugin.constraints(ctx, c.tx); err == nil {
		c.fallout, err = c.readFallout(ctx, c.before)
	}
	return err
}

type falloutReader struct {
	*capture
	seen seenRows
}

func (r *falloutReader) read(ctx context.Context, t *table, l *layout, rows []image, above *fallout) ([]*fallout, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var found []*fallout
	for _, d := range r.catalogue.dependents[t] {
		f := &fallout{dependent: d, parent: t, above: above, parents: map[string]*image{}}
		err := r.readReferring(ctx, f, l, rows)
		if err != nil {
			return nil, err
		}
		r.itself = r.itself || d.table == r.table && len(f.rows) > 0
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

// readReferring reads, and locks, the rows that refer to others. The database is
// asked for both together, since it may compare two keys otherwise than by what
// they look like: in other letters, with spaces behind them, as numbers.
func (r *falloutReader) readReferring(ctx context.Context, f *fallout, l *layout, parents []image) (err error) {
	if f.layout, err = f.table.load(ctx, r.plugin, r.tx); err != nil {
		return err
	}
	d := r.plugin.dialect
	known := f.known(d, l)
	names, list := make([]string, len(known)), make([]string, len(known))
	for i, k := range known {
		names[i] = f.parentName() + "." + l.columns[k].name
		list[i] = d.selected(&l.columns[k], f.parentName(), false)[0]
	}
	byKey := make(map[string]*image, len(parents))
	var values [][]any
	for i := range parents {
		value := make([]any, len(known))
		for n, k := range known {
			value[n] = parents[i].args[slices.Index(l.keys, k)]
		}
		byKey[joinKey(parents[i].cells, known)] = &parents[i]
		if !slices.Contains(value, nil) {
			values = append(values, value)
		}
	}
	text := "SELECT " + f.layout.lean.qualified + "," + strings.Join(list, ",") + " FROM " + f.join(d, l) + " WHERE "
	reader := f.layout.reader(assignments{})
	defer reader.release()
	of := &keyReader{cells: make([]cell, len(l.columns)), layout: l, columns: known}
	for len(values) > 0 {
		n := min(len(values), keysPerQuery/len(known))
		condition, args := d.in(names, values[:n], 0)
		err := scanRows(ctx, r.tx, text+condition+f.lock(d), args, func() {
			row := reader.image()
			f.rows = append(f.rows, row)
			if parent := byKey[joinKey(of.cells, known)]; f.parents[row.key] == nil {
				f.parents[row.key] = parent
			}
		}, reader, of.dest()...)
		if err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// parentName is what the table that is referred to is called: the other may be the
// same.
func (f *fallout) parentName() string {
	if name := ourPrefix + "parent"; f.layout.table != name {
		return name
	}
	return ourPrefix + "other"
}

// known are the columns that tell the parents apart: those that the constraint
// refers to, if all of them were read with the rows, else the primary key.
func (f *fallout) known(d dialect, l *layout) []int {
	known := make([]int, len(f.refers))
	for i, name := range f.refers {
		at := d.place(l.keyNames, name)
		if at < 0 {
			return l.keys
		}
		known[i] = l.keys[at]
	}
	return known
}

// join is the two tables, joined as the constraint joins them. The parent's column
// stands first, since SQLite compares by its collation then.
func (f *fallout) join(d dialect, l *layout) string {
	var b strings.Builder
	b.WriteString(l.from + " AS " + d.quote(f.parentName()))
	if d.name == "mysql" {
		b.WriteString(" STRAIGHT_JOIN ") // so that no rows are locked but those that refer
	} else {
		b.WriteString(" JOIN ")
	}
	b.WriteString(f.layout.from)
	for i, name := range f.columns {
		b.WriteString([...]string{" ON ", " AND "}[min(i, 1)])
		b.WriteString(d.quote(f.parentName()+"."+f.refers[i]) + "=" + d.quote(f.layout.table+"."+name) + f.as[i])
	}
	return b.String()
}

// lock follows the SELECT of both tables. The parents are locked already.
func (f *fallout) lock(d dialect) string {
	lock := d.lockForUpdate
	changes := func(columns []string) bool { return d.meet(columns, f.columns) }
	if f.removes || changes(f.layout.keyNames) || slices.ContainsFunc(f.table.unique, changes) {
		lock = d.lock // see updateLock
	}
	if d.name == "postgres" {
		lock += " OF " + d.quote(f.layout.table)
	}
	return lock
}

// keyReader reads the columns that tell a parent apart.
type keyReader struct {
	layout  *layout
	columns []int
	cells   []cell // in the order of the layout's columns
}

func (r *keyReader) dest() []any {
	dest := make([]any, len(r.columns))
	for i, k := range r.columns {
		dest[i] = &keyPart{&r.cells[k], r.layout.columns[k].kind}
	}
	return dest
}

type keyPart struct {
	cell *cell
	kind kind
}

// Scan implements sql.Scanner.
func (p *keyPart) Scan(src any) error {
	p.cell.json, p.cell.form = appendCanonical(p.cell.json[:0], p.kind, src)
	return nil
}

// withoutTold leaves out rows of a table that have events of their own; in lists of
// their own, since what follows these refers to them.
func withoutTold(found []*fallout, t *table, told map[string]bool) {
	for _, f := range found {
		if f.table == t {
			f.rows = slices.DeleteFunc(slices.Clone(f.rows), func(row image) bool { return told[row.key] })
		}
		withoutTold(f.below, t, told)
	}
}

// addFallout adds the events of the rows that a DELETE has changed beside its
// own; those it has left as they were have none.
func (c *capture) addFallout(ctx context.Context, found []*fallout) error {
	for _, f := range found {
		if !f.table.bystander {
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
	left, err := c.readLeft(ctx, f)
	if err != nil {
		return err
	}
	pairs := make([]pair, len(f.rows))
	for i := range f.rows {
		pairs[i] = pair{&f.rows[i], left[f.rows[i].key]}
	}
	return c.addPairs(ctx, f, pairs)
}

// readLeft reads the rows of a fallout again, by their keys.
func (c *capture) readLeft(ctx context.Context, f *fallout) (map[string]*image, error) {
	values := make([][]any, len(f.rows))
	for i := range f.rows {
		values[i] = f.rows[i].args
	}
	after, err := f.layout.selectAgain(ctx, c.tx, assignments{}, values)
	if err != nil {
		return nil, err
	}
	left := make(map[string]*image, len(after))
	for i := range after {
		left[after[i].key] = &after[i]
	}
	return left, nil
}

// addPairs adds the events of a fallout's rows.
func (c *capture) addPairs(ctx context.Context, f *fallout, pairs []pair) error {
	cause := func(p pair) int {
		if p.before == nil {
			return c.causeOf(f, p.after)
		}
		return c.causeOf(f, p.before)
	}
	if f.table.join != nil {
		return c.unit.addElements(ctx, f.table.join, f.layout, pairs, cause)
	}
	for _, p := range pairs {
		if err := c.unit.addRow(ctx, f.table.entity, f.layout, p, cause(p)); err != nil {
			return err
		}
	}
	return nil
}

// unrecorded is the cause of what the database changed because of a record
// whose own type is not recorded.
const unrecorded = -1

// causeOf finds the event of the record that a row referred to, or of
// the nearest one above it that has an event.
func (c *capture) causeOf(f *fallout, row *image) int {
	parent := f.parents[row.key]
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
