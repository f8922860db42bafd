package dbtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

// Replay rebuilds tables from events alone: what a log is worth if the tables
// are lost. Make one with [Oracle.Replay]. It is not safe for use by several
// goroutines at once.
type Replay struct {
	oracle *Oracle
	tables Snapshot
}

// Replay returns empty tables to play events on.
func (o *Oracle) Replay() *Replay {
	r := &Replay{oracle: o, tables: Snapshot{}}
	for _, t := range o.tables {
		r.tables[t.name] = map[string]Row{}
	}
	return r
}

// withheld stands for a value that an event does not show.
const withheld = "redacted"

// Apply plays events in the given order, which must be the one in which they
// were recorded. It returns what cannot be in sentences: a record that is
// created twice or changed before it is there, an old value that the record
// did not have. Derived events are passed over.
func (r *Replay) Apply(events []audit.Event) []string {
	var wrong []string
	for _, e := range events {
		if e.Derived {
			continue
		}
		for _, complaint := range r.apply(e) {
			wrong = append(wrong, fmt.Sprintf("%s %s %s: %s", e.Entity.Type, e.Entity.ID, e.Operation, complaint))
		}
	}
	return wrong
}

func (r *Replay) apply(e audit.Event) (wrong []string) {
	t := r.oracle.tableOf(e.Entity.Type)
	if t == nil {
		return []string{"no table has this entity type"}
	}
	rows := r.tables[t.name]
	row, there := rows[e.Entity.ID]
	if there == (e.Operation == audit.Created) {
		wrong = append(wrong, map[bool]string{true: "it is there already", false: "it is not there"}[there])
	}
	if row == nil {
		row = Row{}
	}
	gone := e.Operation == audit.Deleted
	for _, c := range e.Changes {
		if c.Element {
			wrong = append(wrong, r.element(t, e.Entity.ID, c)...)
			continue
		}
		s, err := t.sides(c)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", c.Field, err))
			continue
		}
		if before, known := row[c.Field]; known && s.before != unrecorded && s.before != before && !veiled(s.before) && !veiled(before) {
			wrong = append(wrong, fmt.Sprintf("%s was %s and not %s", c.Field, cut(before), cut(s.before)))
		}
		if s.after != unrecorded {
			row[c.Field] = s.after
			gone = false // a soft delete leaves the row
		}
	}
	delete(rows, e.Entity.ID)
	if !gone {
		rows[row.id(t.key)] = row // the key itself may have changed
	}
	return wrong
}

// veiled reports whether a value is one of which an event does not show all.
func veiled(value string) bool {
	return value == withheld || strings.HasPrefix(value, "shortened ") || strings.HasPrefix(value, "partial ")
}

// element adds a row to a join table, takes one away or changes it.
func (r *Replay) element(owner *oracleTable, id string, c audit.Change) (wrong []string) {
	i := slices.IndexFunc(r.oracle.tables, func(t *oracleTable) bool {
		return t.join != nil && t.join.owner == owner.Type && t.join.field == c.Field
	})
	if i < 0 {
		return []string{fmt.Sprintf("it has no relation %q", c.Field)}
	}
	t := r.oracle.tables[i]
	rows := r.tables[t.name]
	if !c.Before.IsNull() {
		row, err := t.joinRow(owner, id, c.Before)
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", c.Field, err)}
		}
		key := row.id(t.key)
		if !maps.Equal(rows[key], row) {
			wrong = append(wrong, fmt.Sprintf("%s held %s and not %s", c.Field, t.element(rows[key]), c.Before.JSON))
		}
		delete(rows, key)
	}
	if !c.After.IsNull() {
		row, err := t.joinRow(owner, id, c.After)
		if err != nil {
			return append(wrong, fmt.Sprintf("%s: %v", c.Field, err))
		}
		key := row.id(t.key)
		if rows[key] != nil {
			wrong = append(wrong, fmt.Sprintf("%s has %s already", c.Field, c.After.JSON))
		}
		rows[key] = row
	}
	return wrong
}

// joinRow is the row of a join table that an element stands for.
func (t *oracleTable) joinRow(owner *oracleTable, id string, element audit.Value) (Row, error) {
	parts := []string{id}
	if len(owner.key) > 1 {
		parts = strings.Split(id, "/")
	}
	if len(parts) != len(t.join.ownerKey) {
		return nil, fmt.Errorf("%q is no key of %s", id, owner.name)
	}
	values := map[string]json.RawMessage{}
	if len(t.columns) > len(t.join.ownerKey)+1 {
		if err := json.Unmarshal(element.JSON, &values); err != nil {
			return nil, err
		}
	} else {
		values[t.join.elements[0]] = element.JSON
	}
	row := Row{}
	for _, c := range t.columns {
		var err error
		if k := slices.Index(t.join.ownerKey, c.name); k >= 0 {
			part := parts[k]
			if len(parts) > 1 {
				part = strings.NewReplacer("%2F", "/", "%25", "%").Replace(part)
			}
			row[c.name], err = c.kind.canonical(part)
		} else {
			row[c.name], err = c.kind.fromEvent(audit.Value{JSON: values[c.name]})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return row, nil
}

// Compare holds the real tables against the rebuilt ones, column by column, and
// returns the differences in sentences. Columns that events do not tell, and
// values that they withhold or shorten, are left out of it.
func (r *Replay) Compare(real Snapshot) []string {
	var wrong []string
	for _, t := range r.oracle.tables {
		if t.Type == "" && t.join == nil {
			continue
		}
		have := r.tables[t.name]
		for _, id := range slices.Sorted(maps.Keys(real[t.name])) {
			row, ok := have[id]
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s %s is in the table only", t.name, id))
				continue
			}
			for _, c := range t.columns {
				want, got := real[t.name][id][c.name], row[c.name]
				if !slices.Contains(t.Ignore, c.name) && got != withheld && !r.oracle.fits(want, got) {
					wrong = append(wrong, fmt.Sprintf("%s %s: %s is %s and was rebuilt as %q", t.name, id, c.name, cut(want), cut(got)))
				}
			}
		}
		for _, id := range slices.Sorted(maps.Keys(have)) {
			if real[t.name][id] == nil {
				wrong = append(wrong, fmt.Sprintf("%s %s is in the log only", t.name, id))
			}
		}
	}
	return wrong
}
