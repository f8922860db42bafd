package dbtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// recorded is a change of a row as an event should tell it, or an element of a
// many-to-many relation if element is set.
type recorded struct {
	op      audit.Operation
	entity  audit.EntityType
	id      string
	columns map[string]sides
	element string
}

// sides are a column's values before and after, in canonical text.
type sides struct{ before, after string }

// Compare holds events against the truth and returns what is wrong with them in
// sentences, nothing if they are exact: every row change has its event with
// exactly the columns that it should have, every element of a many-to-many
// relation shows on its owner, and there is nothing else. Both are taken as
// multisets. Derived events are left out of it.
func (o *Oracle) Compare(truth []RowChange, events []audit.Event) []string {
	want := o.expected(truth)
	got, wrong := o.told(events)
	// What fits exactly goes first, so that the rest pairs up by record.
	want, got = strike(want, got, func(w, g recorded) bool { return len(o.differences(w, g)) == 0 })
	var left []recorded
	for _, w := range want {
		i := slices.IndexFunc(got, func(g recorded) bool {
			return g.entity == w.entity && g.id == w.id && w.element == "" && g.element == ""
		})
		if i < 0 {
			left = append(left, w)
			continue
		}
		wrong = append(wrong, fmt.Sprintf("wrong: %s: %s", w, strings.Join(o.differences(w, got[i]), "; ")))
		got = slices.Delete(got, i, i+1)
	}
	for _, w := range left {
		wrong = append(wrong, "missed: "+w.String()+w.detail())
	}
	for _, g := range got {
		wrong = append(wrong, "phantom: "+g.String()+g.detail())
	}
	return wrong
}

// strike removes the pairs that fit and returns what is left of both.
func strike(want, got []recorded, fits func(w, g recorded) bool) (_, _ []recorded) {
	var left []recorded
	got = slices.Clone(got)
	for _, w := range want {
		if i := slices.IndexFunc(got, func(g recorded) bool { return fits(w, g) }); i >= 0 {
			got = slices.Delete(got, i, i+1)
		} else {
			left = append(left, w)
		}
	}
	return left, got
}

// expected is what events should tell of the truth.
func (o *Oracle) expected(truth []RowChange) []recorded {
	var want []recorded
	for _, c := range truth {
		t := o.table(c.Table)
		if t.Type != "" {
			if r, ok := t.expect(c); ok {
				want = append(want, r)
			}
		}
		if t.join != nil {
			want = append(want, t.expectElements(c)...)
		}
	}
	return want
}

func (t *oracleTable) expect(c RowChange) (recorded, bool) {
	r := recorded{entity: t.Type, columns: map[string]sides{}, op: t.operation(c)}
	r.id = c.Before.id(t.key)
	if c.Before == nil {
		r.id = c.After.id(t.key)
	}
	for _, col := range t.columns {
		if slices.Contains(t.Ignore, col.name) {
			continue
		}
		before, after := unrecorded, unrecorded
		if c.Before != nil {
			before = c.Before[col.name]
		}
		if c.After != nil {
			after = c.After[col.name]
		}
		same := before == after
		if slices.Contains(t.Redact, col.name) {
			before, after = redacted(before), redacted(after)
		}
		switch {
		case r.op == audit.Updated && same:
			continue
		case r.op == audit.Deleted && same:
			after = unrecorded
		case r.op == audit.Restored && same:
			before = unrecorded
		}
		r.columns[col.name] = sides{before, after}
	}
	return r, r.op != audit.Updated || len(r.columns) > 0
}

func redacted(value string) string {
	if value == unrecorded {
		return value
	}
	return "redacted"
}

// operation classifies by the row's states, whatever the statement was.
func (t *oracleTable) operation(c RowChange) audit.Operation {
	switch {
	case c.Before == nil:
		return audit.Created
	case c.After == nil:
		return audit.Deleted
	case t.Deleted == "":
		return audit.Updated
	}
	unset := func(v string) bool { return v == null || v == "0" || v == "false" }
	was, is := c.Before[t.Deleted], c.After[t.Deleted]
	switch {
	case unset(was) && !unset(is):
		return audit.Deleted
	case !unset(was) && unset(is):
		return audit.Restored
	}
	return audit.Updated
}

// expect is what a change of a join table's row means for the owner. An update
// that moves a row to another owner takes it from the one and gives it to the
// other.
func (t *oracleTable) expectElements(c RowChange) []recorded {
	was, is := c.Before.id(t.join.ownerKey), c.After.id(t.join.ownerKey)
	if c.Before != nil && c.After != nil && was != is {
		return append(t.expectElements(RowChange{Table: c.Table, Before: c.Before}),
			t.expectElements(RowChange{Table: c.Table, After: c.After})...)
	}
	if c.Before == nil {
		was = is
	}
	return []recorded{{
		op: audit.Updated, entity: t.join.owner, id: was,
		element: fmt.Sprintf("%s from %s to %s", t.join.field, t.element(c.Before), t.element(c.After)),
	}}
}

// element is a join table's row as an element of the relation: the element's
// id or, if the row holds more, an object of all that it holds beside the
// owner's key.
func (t *oracleTable) element(row Row) string {
	if row == nil {
		return null
	}
	var members []string
	for _, c := range t.columns {
		if slices.Contains(t.join.ownerKey, c.name) {
			continue
		}
		value := row[c.name]
		if c.kind == kindText {
			value = string(audit.AppendJSONString(nil, plain(value)))
		}
		if len(t.columns) == len(t.join.ownerKey)+1 {
			return value
		}
		members = append(members, strconv.Quote(c.name)+":"+value)
	}
	slices.Sort(members)
	return "{" + strings.Join(members, ",") + "}"
}

// told is what events tell, and what is wrong with them in themselves.
func (o *Oracle) told(events []audit.Event) (got []recorded, wrong []string) {
	for _, e := range events {
		if e.Derived {
			continue
		}
		r := recorded{op: e.Operation, entity: e.Entity.Type, id: e.Entity.ID, columns: map[string]sides{}}
		t := o.tableOf(e.Entity.Type)
		elements := 0
		for _, c := range e.Changes {
			if c.Element {
				elements++
				element, err := elementOf(c)
				if err != nil {
					wrong = append(wrong, fmt.Sprintf("wrong: %s: %v", r, err))
				}
				got = append(got, recorded{op: audit.Updated, entity: r.entity, id: r.id, element: element})
				continue
			}
			s, err := t.sides(c)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("wrong: %s: %s: %v", r, c.Field, err))
			}
			if _, twice := r.columns[c.Field]; twice {
				wrong = append(wrong, fmt.Sprintf("wrong: %s: %s is there twice", r, c.Field))
			}
			r.columns[c.Field] = s
		}
		if r.op != audit.Updated || len(r.columns) > 0 || elements == 0 {
			got = append(got, r)
		}
	}
	return got, wrong
}

func (t *oracleTable) sides(c audit.Change) (s sides, err error) {
	if t == nil {
		return s, fmt.Errorf("no table has this entity type")
	}
	i := slices.IndexFunc(t.columns, func(col oracleColumn) bool { return col.name == c.Field })
	if i < 0 {
		return s, fmt.Errorf("the table has no such column")
	}
	k := t.columns[i].kind
	if s.before, err = k.fromEvent(c.Before); err != nil {
		return s, err
	}
	s.after, err = k.fromEvent(c.After)
	return s, err
}

// elementOf is the text of an element's change as expectElements makes it.
func elementOf(c audit.Change) (string, error) {
	if c.Before.IsNull() && c.After.IsNull() {
		return "", fmt.Errorf("an element of %s goes from null to null", c.Field)
	}
	before, err := canonicalJSON(string(c.Before.JSON))
	if err != nil {
		return "", err
	}
	after, err := canonicalJSON(string(c.After.JSON))
	return fmt.Sprintf("%s from %s to %s", c.Field, plain(before), plain(after)), err
}

// differences tells where an event departs from what it should be.
func (o *Oracle) differences(want, got recorded) []string {
	var all []string
	if want.entity != got.entity || want.id != got.id || want.op != got.op || want.element != got.element {
		all = append(all, fmt.Sprintf("told as %s", got))
	}
	for _, column := range slices.Sorted(maps.Keys(want.columns)) {
		w := want.columns[column]
		g, there := got.columns[column]
		switch {
		case !there:
			all = append(all, fmt.Sprintf("%s should be %s and is absent", column, w))
		case !o.fits(w.before, g.before) || !o.fits(w.after, g.after):
			all = append(all, fmt.Sprintf("%s should be %s and is %s", column, w, g))
		}
	}
	for _, column := range slices.Sorted(maps.Keys(got.columns)) {
		if _, there := want.columns[column]; !there {
			all = append(all, fmt.Sprintf("%s should be absent and is %s", column, got.columns[column]))
		}
	}
	return all
}

// fits reports whether got, as an event tells it, stands for want. SQLite would
// have to read a whole long value for its beginning, which is only done for a
// value that is being written.
func (o *Oracle) fits(want, got string) bool {
	return want == got || strings.HasPrefix(got, "partial ") && partialFits(got, want) ||
		strings.HasPrefix(got, "shortened ") && shortenedFits(got, want, o.dialect == "sqlite")
}

func (r recorded) String() string {
	if r.element != "" {
		return fmt.Sprintf("%s %s: %s", r.entity, r.id, r.element)
	}
	return fmt.Sprintf("%s %s %s", r.entity, r.id, r.op)
}

func (r recorded) detail() string {
	var b strings.Builder
	for _, column := range slices.Sorted(maps.Keys(r.columns)) {
		fmt.Fprintf(&b, " %s: %s", column, r.columns[column])
	}
	return b.String()
}

func (s sides) String() string { return cut(s.before) + " => " + cut(s.after) }

// cut keeps failures readable where values are huge.
func cut(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%s... (%d bytes)", s[:100], len(s))
	}
	return s
}
