package hooks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

// rule says what follows for a child that shows a parent when the parent's row
// changes. What the database itself does to children is told by [dependent].
type rule struct {
	audit.Cascade
	child  *entity
	join   *join  // for a many-to-many relation
	column string // else: the child's foreign key
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
	r := &rule{Cascade: audit.Cascade{Parent: parent.kind, Child: child.kind, Field: o.field}, child: child}
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
			r.join, r.Element, r.Field = j, true, j.field
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
	r.column, r.Field = column, column
	parent.addRule(r)
	return nil
}

// addRule adds a rule; of two that say the same the later one counts.
func (e *entity) addRule(r *rule) {
	for _, have := range e.rules {
		if have.child == r.child && have.join == r.join && have.column == r.column {
			have.On = r.On
			return
		}
	}
	e.rules = append(e.rules, r)
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
			if len(r.Follows(e.Event, e.entity.label)) == 0 {
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
	l, err := t.load(ctx, u.plugin, u.tx)
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
	head := "SELECT " + l.lean.list + " FROM " + l.from + " WHERE " + condition
	tail := " ORDER BY " + d.list(t.keys) + fmt.Sprintf(" LIMIT %d", eventsPerWrite)
	for after := []any(nil); ; {
		text, bound := head, args
		if after != nil {
			more, vars := d.beyond(t.keys, after, len(args))
			text, bound = head+" AND "+more, append(slices.Clone(args), vars...)
		}
		rows, err := query(ctx, u.tx, l, assignments{}, text+tail, bound)
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
	if own := l.text(row, l.workspace, ""); own != "" {
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
	ol, err := j.owner.table.load(ctx, u.plugin, u.tx)
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
	found, err := ol.selectBy(ctx, u.tx, assignments{}, j.owner.table.keys, keys, "")
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
