package hooks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// entity is what a registered model means: how its rows become events.
type entity struct {
	kind  audit.EntityType
	table *table
	model *entity // that of the model's own table; nil if it is this one

	// Columns with a meaning; empty if there is none.
	workspace, owner, label, deleted string

	alive *time.Time // what deleted holds in rows that are not, beside null and zero; may be nil

	ignored, redacted, shown map[string]bool

	references []reference // foreign keys whose label is recorded
	rules      []*rule     // what follows when a row of it changes
	joins      []*join     // its many-to-many relations
}

// redacts reports whether the values of a column are withheld.
func (e *entity) redacts(column string) bool {
	return e.redacted[column] || audit.Sensitive(column) && !e.shown[column]
}

// means reports whether a column is read for what it means though it is not
// audited.
func (e *entity) means(column string) bool {
	return column == e.workspace || column == e.owner || column == e.label || column == e.deleted
}

// readEntity makes the entity of a table by the tags and options of its model.
func (t *table) readEntity(o *modelOptions) error {
	e := &entity{kind: o.kind, table: t, ignored: map[string]bool{}, redacted: map[string]bool{}, shown: map[string]bool{}}
	t.entity = e
	if err := e.readEmbedded(t.schema, t.schema.ModelType, nil); err != nil {
		return err
	}
	for _, f := range t.schema.Fields {
		if err := e.readTag(f, f.Tag.Get("audit")); err != nil {
			return err
		}
		if f.DBName != "" && e.deleted == "" && isSoftDelete(f) {
			e.deleted, e.alive = f.DBName, aliveOf(f)
		}
	}
	column := func(name string) (string, error) { return columnOf(t.schema, name) }
	for _, s := range []struct {
		name string
		to   *string
	}{{o.workspace, &e.workspace}, {o.owner, &e.owner}, {o.label, &e.label}} {
		if s.name == "" {
			continue
		}
		c, err := column(s.name)
		if err != nil {
			return err
		}
		*s.to = c
	}
	for _, s := range []struct {
		names []string
		to    map[string]bool
	}{{o.ignore, e.ignored}, {o.redact, e.redacted}, {o.show, e.shown}} {
		for _, name := range s.names {
			c, err := column(name)
			if err != nil {
				return err
			}
			s.to[c] = true
		}
	}
	return nil
}

// meaningOf is what is known of the columns of a model: by its tags alone if it
// is not registered.
func meaningOf(s *schema.Schema, registered map[string]*table) *entity {
	if t := registered[s.Table]; t != nil && t.entity != nil {
		return t.entity
	}
	e := &entity{ignored: map[string]bool{}, redacted: map[string]bool{}, shown: map[string]bool{}}
	// A mistake in a tag is nothing to those who do not register the model.
	_ = e.readEmbedded(s, s.ModelType, nil)
	for _, f := range s.Fields {
		_ = e.readTag(f, f.Tag.Get("audit"))
	}
	return e
}

// readEmbedded takes in the audit tags of embedded structs, which are those of all
// their fields. Path leads to the type from the model.
func (e *entity) readEmbedded(s *schema.Schema, of reflect.Type, path []string) error {
	for i := range of.NumField() {
		field := of.Field(i)
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		within := append(slices.Clone(path), field.Name)
		fields := embedded(s, within)
		if inner.Kind() != reflect.Struct || len(fields) == 0 {
			continue
		}
		tag := field.Tag.Get("audit")
		if len(fields) > 1 && meansOne(tag) {
			return fmt.Errorf("audit: %s.%s holds several columns, so the tag audit:%q does not fit it; tag the field that is meant", s.Name, strings.Join(within, "."), tag)
		}
		for _, f := range fields {
			if err := e.readTag(f, tag); err != nil {
				return err
			}
		}
		if err := e.readEmbedded(s, inner, within); err != nil {
			return err
		}
	}
	return nil
}

// meansOne reports whether a tag is for one column of a model.
func meansOne(tag string) bool {
	return slices.ContainsFunc(strings.Split(tag, ","), func(word string) bool {
		return slices.Contains([]string{"workspace", "owner", "label"}, strings.TrimSpace(word))
	})
}

// embedded are the columns that come from within a struct.
func embedded(s *schema.Schema, path []string) (fields []*schema.Field) {
	for _, f := range s.Fields {
		if f.DBName != "" && len(f.BindNames) > len(path) && slices.Equal(f.BindNames[:len(path)], path) {
			fields = append(fields, f)
		}
	}
	return fields
}

// readTag takes in an audit tag for one field.
func (e *entity) readTag(f *schema.Field, tag string) error {
	if tag == "" {
		return nil
	}
	for word := range strings.SplitSeq(tag, ",") {
		word = strings.TrimSpace(word)
		if f.DBName == "" {
			if word == "-" {
				continue // a relation; see manyToMany
			}
			return fmt.Errorf("audit: %s.%s is no column, so the tag audit:%q does not fit it", f.Schema.Name, f.Name, tag)
		}
		switch word {
		case "workspace":
			e.workspace = f.DBName
		case "owner":
			e.owner = f.DBName
		case "label":
			e.label = f.DBName
		case "-":
			e.ignored[f.DBName] = true
		case "redact":
			e.redacted[f.DBName] = true
		case "show":
			e.shown[f.DBName] = true
		default:
			return fmt.Errorf("audit: %s.%s has the tag audit:%q; known are workspace, owner, label, redact, show and -", f.Schema.Name, f.Name, tag)
		}
	}
	return nil
}

// columnOf finds a column by its name in the database or by its Go field.
func columnOf(s *schema.Schema, name string) (string, error) {
	if f := s.LookUpField(name); f != nil && f.DBName != "" {
		return f.DBName, nil
	}
	return "", fmt.Errorf("audit: model %s has no column %q", s.Name, name)
}

// isSoftDelete reports whether a field makes GORM mark rows instead of deleting
// them: gorm.DeletedAt, and the flags of plugins in its manner.
func isSoftDelete(f *schema.Field) bool {
	if f.IndirectFieldType == nil {
		return false
	}
	_, ok := reflect.New(f.IndirectFieldType).Interface().(schema.DeleteClausesInterface)
	return ok
}

// aliveOf is the time that a soft delete with the tag zeroValue has in rows that
// are not deleted; nil if it is null in them.
func aliveOf(f *schema.Field) *time.Time {
	if t, ok := parseTime(f.TagSettings["ZEROVALUE"]); ok {
		return &t
	}
	return nil
}

// change makes the event of one row from its old and its new image. It reports
// false if nothing that is audited has changed. Owner is a likely one.
func (e *entity) change(l *layout, before, after *image, changes *slab[audit.Change], owner string) (audit.Event, bool) {
	event := audit.Event{Operation: operationOf(l, before, after)}
	row, called := before, before
	switch event.Operation {
	case audit.Created, audit.Restored:
		row, called = after, after
	case audit.Updated:
		called = after // from now on
	}
	event.Entity = audit.Entity{Type: e.kind, ID: l.id(row), Label: l.text(called, l.label, ""), Owner: l.text(row, l.owner, owner)}
	likely := len(l.columns)
	if event.Operation == audit.Updated {
		likely = 2 // what the application sets, and when
	}
	event.Changes = changes.open(likely)
	for i := range l.columns {
		c := &l.columns[i]
		if !c.audited {
			continue
		}
		changed := before == nil || after == nil || !sameCell(c, before.cells[i], after.cells[i])
		if !changed && event.Operation == audit.Updated {
			continue
		}
		event.Changes = append(event.Changes, audit.Change{Field: c.name})
		ch := &event.Changes[len(event.Changes)-1]
		if before != nil && (changed || event.Operation != audit.Restored) {
			ch.Before = valueOf(c, before.cells[i])
		}
		if after != nil && (changed || event.Operation != audit.Deleted) {
			ch.After = valueOf(c, after.cells[i])
		}
	}
	event.Changes = changes.keep(event.Changes)
	return event, len(event.Changes) > 0
}

// operationOf classifies a change by the states of its row, not by the
// statement that made it: a soft delete is an UPDATE.
func operationOf(l *layout, before, after *image) audit.Operation {
	switch {
	case before == nil:
		return audit.Created
	case after == nil:
		return audit.Deleted
	}
	was, is := l.isDeleted(before), l.isDeleted(after)
	switch {
	case !was && is:
		return audit.Deleted
	case was && !is:
		return audit.Restored
	}
	return audit.Updated
}

// isDeleted reports whether a row is marked as deleted: its mark is neither
// null nor zero, nor what the model says instead.
func (l *layout) isDeleted(row *image) bool {
	if l.deleted < 0 {
		return false
	}
	mark := row.cells[l.deleted]
	switch string(mark.json) {
	case "null", "0", "false", `""`:
		return false
	}
	return l.alive == nil || !isAbout(plain(mark), *l.alive)
}

// isAbout reports whether a text is a time as a model gives it. The model names no
// zone: the database takes its connection's, which is not known here. No zone is
// further from UTC than fourteen hours.
func isAbout(text string, t time.Time) bool {
	is, ok := parseTime(text)
	return ok && is.Sub(t).Abs() <= 14*time.Hour
}

// sameCell reports whether a column has not changed. Of two long values without
// a digest that look alike nobody can tell; they are the same unless a
// statement set them, which is what makes the description carry more.
func sameCell(c *column, a, b cell) bool {
	return a.form == b.form && sameJSON(c.kind, a.json, b.json) && !(a.form == audit.FormShortened && a.doubtful && b.doubtful)
}

// valueOf is a cell as an event shows it.
func valueOf(c *column, v cell) audit.Value {
	if c.redacted {
		return audit.Value{Form: audit.FormRedacted}
	}
	return c.secrets.value(v)
}

// entityOf names the record of a row.
func (e *entity) entityOf(l *layout, row *image) audit.Entity {
	return audit.Entity{Type: e.kind, ID: l.id(row), Label: l.text(row, l.label, ""), Owner: l.text(row, l.owner, "")}
}

// emptyID is the id of a record whose key is the empty text, or null.
const emptyID = `""`

// id is the primary key as text, see keyText; the parts of a composite one are
// joined by a slash, and a slash or a percent sign within them is escaped. An event
// is refused without an id, so that of an empty key is [emptyID].
func (l *layout) id(row *image) string {
	return cmp.Or(l.keyTexts(row), emptyID)
}

// keyTexts are the texts of the primary key, joined.
func (l *layout) keyTexts(row *image) string {
	if len(l.keys) == 1 {
		if n := len(row.key); n > 1 && row.key[0] == '"' && !l.columns[l.keys[0]].redacted && strings.IndexByte(row.key, '\\') < 0 {
			return row.key[1 : n-1] // as plain
		}
		return keyText(&l.columns[l.keys[0]], row.cells[l.keys[0]])
	}
	parts := make([]string, len(l.keys))
	for i, k := range l.keys {
		parts[i] = idEscape.Replace(keyText(&l.columns[k], row.cells[k]))
	}
	return strings.Join(parts, "/")
}

// text is a cell as plain text; empty for null, for what is withheld and for a
// column that is not there. Likely is a text that it may be, and that need not
// be made again then.
func (l *layout) text(row *image, i int, likely string) string {
	if i < 0 || l.columns[i].redacted || !l.columns[i].secrets.tells(row.cells[i]) {
		return ""
	}
	c := row.cells[i]
	if n := len(c.json); n == len(likely)+2 && c.json[0] == '"' && string(c.json[1:n-1]) == likely && strings.IndexByte(likely, '\\') < 0 {
		return likely
	}
	return plain(c)
}

var idEscape = strings.NewReplacer("%", "%25", "/", "%2F")

// plain is a cell as text, without the marks of JSON.
func plain(c cell) string {
	if c.form == audit.FormShortened {
		var s struct{ Prefix string }
		_ = json.Unmarshal(c.json, &s) // made here, so it parses
		return s.Prefix
	}
	if n := len(c.json); n > 1 && c.json[0] == '"' && bytes.IndexByte(c.json, '\\') < 0 {
		return string(c.json[1 : n-1]) // nearly every text, without the cost of a parser
	}
	return audit.Value{JSON: c.json}.Text()
}
