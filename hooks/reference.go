package hooks

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// reference is a field whose value is the key of another record, and that
// carries the other's label in events, because names outlive deletions only in
// the log.
type reference struct {
	field   string
	element bool
	inside  string // the column within an element that is an object

	table, key, label string // where the label is found
}

// newReference returns a reference to the records of a model; false if they
// have no label.
func newReference(field, key string, parent *schema.Schema, registered map[string]*table) (reference, bool) {
	e := meaningOf(parent, registered)
	r := reference{field: field, table: parent.Table, key: key, label: e.label}
	if t := registered[parent.Table]; t != nil {
		t.referred.Store(true)
	}
	return r, r.label != "" && !e.redacts(r.label) && !e.redacts(key)
}

// veil withholds the foreign keys that hold a primary key which is withheld.
func (e *entity) veil(registered map[string]*table) {
	for _, rel := range e.table.schema.Relationships.BelongsTo {
		for _, ref := range rel.References {
			if ref.PrimaryKey != nil && meaningOf(rel.FieldSchema, registered).redacts(ref.PrimaryKey.DBName) {
				e.redacted[ref.ForeignKey.DBName] = true
			}
		}
	}
	for _, j := range e.joins {
		for i, column := range j.elementColumns {
			if meaningOf(j.element, registered).redacts(j.elementKeys[i]) {
				j.meaning.redacted[column] = true
			}
		}
	}
}

// labelKey is one record that is referred to: its key as JSON in a column of a
// table.
type labelKey struct{ table, column, json string }

// refersTo returns the key of the record that a value refers to; nil if it
// refers to none.
func (r reference) refersTo(v audit.Value) json.RawMessage {
	id := v.JSON
	if r.element && len(id) > 0 && id[0] == '{' {
		var object map[string]json.RawMessage
		if json.Unmarshal(id, &object) != nil {
			return nil
		}
		id = object[r.inside]
	}
	if v.Form != audit.FormPlain && v.Form != audit.FormBase64 && !(r.element && v.Form == audit.FormPartial) || id == nil || string(id) == "null" {
		return nil
	}
	return id
}

// label puts labels beside the references in events, with one SELECT per table
// that is referred to.
func (u *unit) label(ctx context.Context, events []pending) error {
	wanted := map[reference][][]any{}
	u.eachReference(events, func(r reference, v *audit.Value, id json.RawMessage) {
		key := labelKey{r.table, r.key, string(id)}
		if _, known := u.labels[key]; !known {
			u.know(key, "")
			one := reference{table: r.table, key: r.key, label: r.label}
			wanted[one] = append(wanted[one], []any{cell{json: id, form: v.Form}.arg()})
		}
	})
	for r, keys := range wanted {
		if err := u.readLabels(ctx, r, keys); err != nil {
			return err
		}
	}
	u.eachReference(events, func(r reference, v *audit.Value, id json.RawMessage) {
		v.Label = u.labels[labelKey{r.table, r.key, string(id)}]
	})
	return nil
}

// eachReference calls f for every value of the events that refers to a record
// and has no label yet.
func (u *unit) eachReference(events []pending, f func(reference, *audit.Value, json.RawMessage)) {
	for i := range events {
		e := &events[i]
		for _, r := range e.entity.references {
			for k := range e.Changes {
				c := &e.Changes[k]
				if c.Field != r.field || c.Element != r.element {
					continue
				}
				for _, v := range [...]*audit.Value{&c.Before, &c.After} {
					if id := r.refersTo(*v); id != nil && v.Label == "" {
						f(r, v, id)
					}
				}
			}
		}
	}
}

// labelChars is how much of a label is read; the recorder cuts it further.
const labelChars = "500"

func (u *unit) readLabels(ctx context.Context, r reference, keys [][]any) error {
	d := u.plugin.dialect
	label := d.quote(r.label)
	if d.name == "postgres" {
		label += "::text"
	}
	head := "SELECT " + d.quote(r.key) + ",SUBSTR(" + label + ",1," + labelChars + ") FROM " + d.quote(r.table) + " WHERE "
	for len(keys) > 0 {
		n := min(len(keys), keysPerQuery)
		condition, args := d.in([]string{r.key}, keys[:n], 0)
		keys = keys[n:]
		if err := u.readLabelsOf(ctx, r, head+condition, args); err != nil {
			return fmt.Errorf("read the labels of table %q: %w", r.table, err)
		}
	}
	return nil
}

func (u *unit) readLabelsOf(ctx context.Context, r reference, text string, args []any) error {
	k := kindNumber // as the references have it; MySQL gives numbers as text
	switch args[0].(type) {
	case string:
		k = kindText
	case []byte:
		k = kindBytes
	}
	rows, err := u.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, label any
		if err := rows.Scan(&id, &label); err != nil {
			return err
		}
		key, _ := appendCanonical(nil, k, id)
		name, form := appendCanonical(nil, kindText, label)
		if c := (cell{json: name, form: form}); (&secrets{}).tells(c) {
			u.know(labelKey{r.table, r.key, string(key)}, plain(c))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}
