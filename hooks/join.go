package hooks

import (
	"context"
	"encoding/json"
	"slices"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// join is a table that joins the records of two models, many to many. Its rows
// have no events of their own: they show as elements on the owner, the model
// that declares the relation.
type join struct {
	table *table
	owner *entity
	field string // the relation as events name it

	meaning *entity // of the table's columns

	ownerColumns   []string // of the join table, in the order of the owner's primary key
	elementColumns []string
	element        *schema.Schema
	elementKeys    []string // what elementColumns refer to
}

// newJoin returns the join of a many-to-many relation; nil if it has no table
// of the usual form.
func newJoin(owner *entity, rel *schema.Relationship, field string) *join {
	j := &join{owner: owner, field: field, element: rel.FieldSchema}
	for _, key := range owner.table.keys {
		for _, ref := range rel.References {
			if ref.OwnPrimaryKey && ref.PrimaryKey != nil && ref.PrimaryKey.DBName == key {
				j.ownerColumns = append(j.ownerColumns, ref.ForeignKey.DBName)
			}
		}
	}
	for _, ref := range rel.References {
		if !ref.OwnPrimaryKey && ref.PrimaryKey != nil {
			j.elementColumns = append(j.elementColumns, ref.ForeignKey.DBName)
			j.elementKeys = append(j.elementKeys, ref.PrimaryKey.DBName)
		}
	}
	if len(j.ownerColumns) != len(owner.table.keys) || len(j.elementColumns) == 0 {
		return nil
	}
	keys := rel.JoinTable.PrimaryFieldDBNames
	if len(keys) == 0 {
		keys = append(slices.Clone(j.ownerColumns), j.elementColumns...)
	}
	j.table = &table{name: rel.JoinTable.Table, schema: rel.JoinTable, keys: keys, join: j}
	j.meaning = meaningOf(rel.JoinTable, nil)
	for _, column := range slices.Concat(j.ownerColumns, j.elementColumns) {
		// Whether they are told is for the keys to say that they hold; see veil.
		j.meaning.shown[column] = true
		delete(j.meaning.ignored, column)
		delete(j.meaning.redacted, column)
	}
	return j
}

// ownerKey is the key of the owner of a row, as image.key, and its values.
func (j *join) ownerKey(l *layout, row *image) (string, []any) {
	args := make([]any, len(j.ownerColumns))
	var key []byte
	for i, name := range j.ownerColumns {
		c := row.cells[l.find(name)]
		args[i] = c.arg()
		if len(j.ownerColumns) == 1 {
			return string(c.json), args
		}
		key = append(append(key, c.json...), ',')
	}
	return string(key), args
}

// value is a row as one element: the element's id or, if the row holds more, an
// object of all that it holds beside the owner's.
func (j *join) value(l *layout, row *image) audit.Value {
	if row == nil {
		return audit.Value{JSON: json.RawMessage("null")}
	}
	if len(l.columns) == len(j.ownerColumns)+1 && len(j.elementColumns) == 1 {
		return j.id(l, row, l.find(j.elementColumns[0]))
	}
	object := audit.Value{JSON: []byte{'{'}}
	for i := range l.columns {
		name := l.columns[i].name
		if slices.Contains(j.ownerColumns, name) {
			continue
		}
		v := valueOf(&l.columns[i], row.cells[i])
		switch {
		case slices.Contains(j.elementColumns, name):
			v = j.id(l, row, i)
		case v.Form == audit.FormRedacted:
			v.JSON, object.Form = json.RawMessage(withheldPart), audit.FormPartial
		case v.Form == audit.FormPartial:
			object.Form = audit.FormPartial
		}
		if len(object.JSON) > 1 {
			object.JSON = append(object.JSON, ',')
		}
		object.JSON = append(audit.AppendJSONString(object.JSON, name), ':')
		object.JSON = append(object.JSON, v.JSON...)
	}
	object.JSON = append(object.JSON, '}')
	return object
}

// id is what names the element in one column.
func (j *join) id(l *layout, row *image, i int) audit.Value {
	if c := &l.columns[i]; c.redacted {
		return audit.Value{JSON: audit.AppendJSONString(nil, keyText(c, row.cells[i]))}
	}
	return audit.Value{JSON: json.RawMessage(row.cells[i].json), Form: row.cells[i].form}
}

// addElements adds the changes of a join table to the events of the owners. An
// owner that has no event in the unit yet gets one.
func (u *unit) addElements(ctx context.Context, j *join, l *layout, pairs []pair, cause func(pair) int) error {
	var missing []pending
	at := map[string]int{}
	for _, p := range j.parted(l, pairs) {
		if p.before != nil && p.after != nil && sameRow(l, p.before, p.after) {
			continue
		}
		row := p.after
		if row == nil {
			row = p.before
		}
		change := audit.Change{Field: j.field, Element: true, Before: j.value(l, p.before), After: j.value(l, p.after)}
		key, args := j.ownerKey(l, row)
		if i := u.find(j.owner, key); i > 0 {
			u.events[i-1].appendChange(change)
			continue
		}
		i, ok := at[key]
		if !ok {
			i = len(missing)
			at[key] = i
			missing = append(missing, pending{entity: j.owner, key: key, args: args, cause: cause(p)})
		}
		missing[i].appendChange(change)
	}
	return u.addOwners(ctx, j.owner, missing)
}

// parted are pairs in which nothing goes from one owner to another: it is taken
// from the one and given to the other.
func (j *join) parted(l *layout, pairs []pair) []pair {
	moved := func(p pair) bool {
		if p.before == nil || p.after == nil {
			return false
		}
		from, _ := j.ownerKey(l, p.before)
		to, _ := j.ownerKey(l, p.after)
		return from != to
	}
	if !slices.ContainsFunc(pairs, moved) {
		return pairs
	}
	var parted []pair
	for _, p := range pairs {
		if moved(p) {
			parted = append(parted, pair{p.before, nil}, pair{nil, p.after})
		} else {
			parted = append(parted, p)
		}
	}
	return parted
}

func sameRow(l *layout, a, b *image) bool {
	for i := range l.columns {
		if !sameCell(&l.columns[i], a.cells[i], b.cells[i]) {
			return false
		}
	}
	return true
}

// addOwners adds events of records whose own rows did not change, after reading
// what the records are called and whose they are. A record that is gone is
// passed over: its own event tells that.
func (u *unit) addOwners(ctx context.Context, e *entity, events []pending) error {
	if len(events) == 0 {
		return nil
	}
	d := u.plugin.dialect
	l, err := e.table.load(ctx, u.plugin, u.tx)
	if err != nil {
		return err
	}
	byKey := make(map[string]*image, len(events))
	// What a transaction of MySQL sees without locking is as old as its first
	// look: a row may be there whose owner it does not see.
	for _, lock := range slices.Compact([]string{"", d.again}) {
		var keys [][]any
		for i := range events {
			if byKey[events[i].key] == nil {
				keys = append(keys, events[i].args)
			}
		}
		rows, err := l.selectBy(ctx, u.tx, assignments{}, e.table.keys, keys, lock)
		if err != nil {
			return err
		}
		for i := range rows {
			byKey[rows[i].key] = &rows[i]
		}
	}
	for _, p := range events {
		row := byKey[p.key]
		if row == nil {
			continue
		}
		if p.Workspace, err = u.plugin.rec.Workspace(ctx, l.text(row, l.workspace, "")); err != nil {
			return err
		}
		on, err := u.records(ctx, p.Workspace, e.kind)
		if err != nil {
			return err
		}
		if on {
			p.Operation, p.Entity, p.args = audit.Updated, e.entityOf(l, row), row.args
			u.add(ctx, p)
		}
	}
	return nil
}
