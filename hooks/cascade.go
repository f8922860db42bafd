package hooks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// rule says what follows for a child when a parent's row changes. A declared
// rule follows [audit.Cascade]; every rule is a place where the database itself
// may change rows when a parent is deleted.
type rule struct {
	audit.Cascade
	declared bool
	child    *entity
	join     *join  // for a many-to-many relation
	column   string // else: the child's foreign key,
	refers   string // and the parent's column it refers to
	removes  bool   // by its constraint, the child goes with its parent
}

// table is the table whose rows refer to the parent.
func (r *rule) table() *table {
	if r.join != nil {
		return r.join.table
	}
	return r.child.table
}

// referring is the column of that table which refers to the parent.
func (r *rule) referring() string {
	if r.join != nil {
		return r.join.elementColumns[0]
	}
	return r.column
}

// declare adds the rules that the options of a model name.
func (p *Plugin) declare(parent *entity, o cascadeOption, child *entity) error {
	r := &rule{
		Cascade:  audit.Cascade{Parent: parent.kind, Child: child.kind, Field: o.field},
		declared: true, child: child,
	}
	for _, name := range o.on {
		column, err := columnOf(parent.table.schema, name)
		if err != nil {
			// What a chain shows of the parent's own parent is no column.
			if !strings.Contains(name, ".") {
				return err
			}
			column = name
		}
		r.On = append(r.On, column)
	}
	for _, j := range p.joins {
		if j.owner == child && (j.field == o.field || strings.EqualFold(j.field, o.field)) {
			if len(j.elementColumns) != 1 || j.element.Table != parent.table.name {
				return fmt.Errorf("audit: the relation %q of %s does not lead to %s", o.field, child.table.schema.Name, parent.table.schema.Name)
			}
			r.join, r.Element, r.Field, r.refers = j, true, j.field, j.elementKeys[0]
			parent.addRule(r)
			return nil
		}
	}
	column, err := columnOf(child.table.schema, o.field)
	if err != nil {
		return fmt.Errorf("audit: hooks.Cascade of %s: %s has neither a column nor a many-to-many relation %q", parent.table.schema.Name, child.table.schema.Name, o.field)
	}
	if len(parent.table.keys) != 1 {
		return fmt.Errorf("audit: hooks.Cascade of %s: a parent with a composite primary key is not supported", parent.table.schema.Name)
	}
	r.column, r.Field, r.refers = column, column, parent.table.keys[0]
	parent.addRule(r)
	return nil
}

// derive adds the rules that GORM's relations imply: a constraint by which the
// database removes or changes rows together with the one they refer to.
func (p *Plugin) derive(s *schema.Schema) {
	for _, rel := range s.Relationships.Relations {
		if rel.Field == nil || rel.JoinTable != nil {
			continue
		}
		con := rel.ParseConstraint()
		if con == nil || con.Schema == nil || con.ReferenceSchema == nil || len(con.ForeignKeys) != 1 {
			continue
		}
		action := strings.ToUpper(con.OnDelete)
		child, parent := p.tables[con.Schema.Table], p.tables[con.ReferenceSchema.Table]
		if child == nil || parent == nil || child.entity == nil || parent.entity == nil ||
			action != "CASCADE" && action != "SET NULL" && action != "SET DEFAULT" {
			continue
		}
		parent.entity.addRule(&rule{
			Cascade: audit.Cascade{Parent: parent.entity.kind, Child: child.entity.kind, Field: con.ForeignKeys[0].DBName},
			child:   child.entity, column: con.ForeignKeys[0].DBName, refers: con.References[0].DBName, removes: action == "CASCADE",
		})
	}
	for _, j := range p.joins {
		if element := p.tables[j.element.Table]; element != nil && element.entity != nil && len(j.elementColumns) == 1 {
			element.entity.addRule(&rule{
				Cascade: audit.Cascade{Parent: element.entity.kind, Child: j.owner.kind, Field: j.field, Element: true},
				child:   j.owner, join: j, refers: j.elementKeys[0],
			})
		}
	}
}

// addRule adds a rule, or what it knows more to the one that is there already.
func (e *entity) addRule(r *rule) {
	for _, have := range e.rules {
		if have.child == r.child && have.join == r.join && have.column == r.column {
			have.declared = have.declared || r.declared
			have.removes = have.removes || r.removes
			if r.declared {
				have.On = r.On
			}
			return
		}
	}
	e.rules = append(e.rules, r)
}

// hasDependents reports whether deleting a row may change others.
func (t *table) hasDependents() bool {
	return t.entity != nil && (len(t.entity.rules) > 0 || len(t.entity.joins) > 0)
}

// fallout is the rows that a DELETE may change beside its own, as they were
// before it.
type fallout struct {
	parent *table
	rule   *rule // nil for the elements of a deleted owner
	join   *join
	table  *table
	layout *layout
	rows   []image
	below  []*fallout // what the removal of rows may change in turn
}

// readFallout reads, and locks, the rows that refer to rows about to be deleted.
func (c *capture) readFallout(ctx context.Context, t *table, l *layout, rows []image, seen seenRows) ([]*fallout, error) {
	if !t.hasDependents() || len(rows) == 0 {
		return nil, nil
	}
	var found []*fallout
	for _, j := range t.entity.joins {
		values := make([][]any, len(rows))
		for i := range rows {
			values[i] = rows[i].args
		}
		f := &fallout{parent: t, join: j, table: j.table}
		if err := c.readReferring(ctx, f, j.ownerColumns, values); err != nil {
			return nil, err
		}
		if f.rows = seen.fresh(f.table, "", f.rows); len(f.rows) > 0 {
			found = append(found, f)
		}
	}
	for _, r := range t.entity.rules {
		values, err := referred(l, r, rows)
		if err != nil {
			return nil, err
		}
		f := &fallout{parent: t, rule: r, join: r.join, table: r.table()}
		if err := c.readReferring(ctx, f, []string{r.referring()}, values); err != nil {
			return nil, err
		}
		if r.removes {
			going := seen.fresh(f.table, "removed ", f.rows)
			if f.below, err = c.readFallout(ctx, f.table, f.layout, going, seen); err != nil {
				return nil, err
			}
		}
		if f.rows = seen.fresh(f.table, "", f.rows); len(f.rows)+len(f.below) > 0 {
			found = append(found, f)
		}
	}
	return found, nil
}

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

// referred are the values by which children refer to rows.
func referred(l *layout, r *rule, rows []image) ([][]any, error) {
	at := l.find(r.refers)
	if at < 0 {
		return nil, fmt.Errorf("the column %q that %s refers to is not read", r.refers, r.child.kind)
	}
	values := make([][]any, 0, len(rows))
	for i := range rows {
		if cell := rows[i].cells[at]; string(cell.json) != "null" {
			values = append(values, []any{cell.arg()})
		}
	}
	return values, nil
}

func (c *capture) readReferring(ctx context.Context, f *fallout, columns []string, values [][]any) (err error) {
	d := c.plugin.dialect
	if f.layout, err = f.table.load(ctx, d, c.tx); err != nil {
		return err
	}
	f.rows, err = f.table.selectBy(ctx, d, c.tx, f.layout, nil, columns, values, d.lock)
	return err
}

// addFallout adds the events of the rows that a DELETE has changed beside its
// own; those it has left as they were have none of their own.
func (c *capture) addFallout(ctx context.Context, found []*fallout) error {
	for _, f := range found {
		values := make([][]any, len(f.rows))
		for i := range f.rows {
			values[i] = f.rows[i].args
		}
		after, err := f.table.selectBy(ctx, c.plugin.dialect, c.tx, f.layout, nil, f.table.keys, values, "")
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
		cause := func(p pair) int { return c.unit.causeOf(f, p) }
		if f.join != nil {
			err = c.unit.addElements(ctx, f.join, f.layout, pairs, cause)
		} else {
			err = c.addRows(ctx, f, pairs, cause)
		}
		if err != nil {
			return err
		}
		if err := c.addFallout(ctx, f.below); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) addRows(ctx context.Context, f *fallout, pairs []pair, cause func(pair) int) error {
	for _, p := range pairs {
		if err := c.unit.addRow(ctx, f.rule.child, f.layout, p, cause(p)); err != nil {
			return err
		}
	}
	return nil
}

// unrecorded is the cause of what the database changed because of a record
// whose own type is not recorded.
const unrecorded = -1

// causeOf finds the event of the deleted parent that a row referred to.
func (u *unit) causeOf(f *fallout, p pair) int {
	if f.rule == nil {
		return 0
	}
	key := p.before.cells[f.layout.find(f.rule.referring())].json
	if at := u.find(f.parent.entity, string(key)); at > 0 {
		return at
	}
	return unrecorded
}

// causeless is the cause of what a statement changed directly.
func causeless(pair) int { return 0 }

// maxCascadeDepth ends chains of rules that lead back to where they began.
const maxCascadeDepth = 10

// follow writes the events of those who show something else now that the given
// records have changed, and of those who show these in turn.
func (w *writer) follow(ctx context.Context, events []pending, depth int) error {
	if depth >= maxCascadeDepth {
		return nil
	}
	byRule := map[*rule][]*pending{}
	var order []*rule
	for i := range events {
		e := &events[i]
		for _, r := range e.entity.rules {
			if !r.declared || len(r.Follows(e.Event, e.entity.label)) == 0 {
				continue
			}
			if byRule[r] == nil {
				order = append(order, r)
			}
			byRule[r] = append(byRule[r], e)
		}
	}
	for _, r := range order {
		parents := byRule[r]
		for len(parents) > 0 {
			n := min(len(parents), keysPerQuery)
			if err := w.followRule(ctx, r, parents[:n], depth); err != nil {
				return err
			}
			parents = parents[n:]
		}
	}
	return nil
}

// followRule writes the events of the children of some parents, a portion at a
// time.
func (w *writer) followRule(ctx context.Context, r *rule, parents []*pending, depth int) error {
	u := w.unit
	d := u.plugin.dialect
	t := r.table()
	l, err := t.load(ctx, d, u.tx)
	if err != nil {
		return err
	}
	byKey := make(map[string]*pending, len(parents))
	values := make([][]any, len(parents))
	for i, p := range parents {
		byKey[p.key] = p
		values[i] = p.args
	}
	condition, args := d.in([]string{r.referring()}, values, 0)
	head := "SELECT " + l.lean + " FROM " + d.quote(t.name) + " WHERE " + condition
	tail := " ORDER BY " + d.list(t.keys) + fmt.Sprintf(" LIMIT %d", eventsPerWrite)
	for after := []any(nil); ; {
		text, bound := head, args
		if after != nil {
			more, vars := d.beyond(t.keys, after, len(args))
			text, bound = head+" AND "+more, append(slices.Clone(args), vars...)
		}
		rows, err := query(ctx, u.tx, l, nil, text+tail, bound)
		if err != nil {
			return err
		}
		if err := w.followRows(ctx, r, l, rows, byKey, depth); err != nil {
			return err
		}
		if len(rows) < eventsPerWrite {
			return nil
		}
		after = rows[len(rows)-1].args
	}
}

// followRows writes the events of one portion of children.
func (w *writer) followRows(ctx context.Context, r *rule, l *layout, rows []image, parents map[string]*pending, depth int) error {
	u := w.unit
	at := l.find(r.referring())
	var children []pending
	if r.join != nil {
		var err error
		if children, err = w.owners(ctx, r.join, l, rows, func(row *image) *pending { return parents[string(row.cells[at].json)] }, r); err != nil {
			return err
		}
	} else {
		for i := range rows {
			parent := parents[string(rows[i].cells[at].json)]
			if parent == nil || l.isDeleted(&rows[i]) {
				continue
			}
			children = append(children, r.derived(parent, l, &rows[i]))
		}
	}
	recorded := children[:0]
	for _, c := range children {
		on, err := u.records(ctx, c.Workspace, r.child.kind)
		if err != nil {
			return err
		}
		if on {
			recorded = append(recorded, c)
		}
	}
	if len(recorded) == 0 {
		return nil
	}
	events := make([]audit.Event, len(recorded))
	for i := range recorded {
		events[i] = recorded[i].Event
	}
	if err := w.stamp(ctx, events); err != nil {
		return err
	}
	for i := range recorded {
		recorded[i].Event = events[i]
	}
	if err := w.write(ctx, events); err != nil {
		return err
	}
	return w.follow(ctx, recorded, depth+1)
}

// derived makes the event of a child whose row did not change.
func (r *rule) derived(parent *pending, l *layout, row *image) pending {
	e := r.child
	event := r.Derive(parent.Event, e.entityOf(l, row), r.Follows(parent.Event, parent.entity.label))
	if own := l.text(row, l.workspace); own != "" {
		event.Workspace = own
	}
	if e.owner != "" && event.Entity.Owner == "" {
		event.Ownership = audit.OwnershipOther
	}
	return pending{Event: event, entity: e, key: row.key, args: row.args}
}

// owners makes the events of the owners of rows of a join table.
func (w *writer) owners(ctx context.Context, j *join, l *layout, rows []image, parentOf func(*image) *pending, r *rule) ([]pending, error) {
	u := w.unit
	d := u.plugin.dialect
	ol, err := j.owner.table.load(ctx, d, u.tx)
	if err != nil {
		return nil, err
	}
	parents := map[string][]*pending{}
	var keys [][]any
	for i := range rows {
		parent := parentOf(&rows[i])
		if parent == nil {
			continue
		}
		key, args := j.ownerKey(l, &rows[i])
		if parents[key] == nil {
			keys = append(keys, args)
		}
		parents[key] = append(parents[key], parent)
	}
	found, err := j.owner.table.selectBy(ctx, d, u.tx, ol, nil, j.owner.table.keys, keys, "")
	if err != nil {
		return nil, err
	}
	var children []pending
	for i := range found {
		if ol.isDeleted(&found[i]) {
			continue
		}
		for _, parent := range parents[found[i].key] {
			children = append(children, r.derived(parent, ol, &found[i]))
		}
	}
	return children, nil
}

// list is columns, quoted, with commas.
func (d dialect) list(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = d.quote(c)
	}
	return strings.Join(quoted, ",")
}

// beyond is the condition that a key follows another one in order.
func (d dialect) beyond(columns []string, key []any, bound int) (string, []any) {
	marks := make([]string, len(columns))
	for i := range columns {
		marks[i] = d.bind(bound + i + 1)
	}
	return "(" + d.list(columns) + ")>(" + strings.Join(marks, ",") + ")", key
}
