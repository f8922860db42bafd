package sqlstore

import (
	"strings"

	"github.com/gormtrail/audit"
)

var _ audit.TxComposer = (*Store)(nil)

// Composes implements [audit.TxComposer].
func (s *Store) Composes(store audit.Store) bool { return store == audit.Store(s) }

// computed are the columns that are computed, with their expressions.
var computed = map[string]func(audit.ComputedEvent) string{
	"workspace":    func(c audit.ComputedEvent) string { return c.Workspace },
	"operation":    func(c audit.ComputedEvent) string { return c.Operation },
	"origin":       func(c audit.ComputedEvent) string { return c.Origin },
	"ownership":    func(c audit.ComputedEvent) string { return c.Ownership },
	"entity_id":    func(c audit.ComputedEvent) string { return c.EntityID },
	"entity_label": func(c audit.ComputedEvent) string { return "NULLIF(" + c.EntityLabel + ",'')" },
	"entity_owner": func(c audit.ComputedEvent) string { return c.EntityOwner },
	"changes":      func(c audit.ComputedEvent) string { return c.Changes },
}

// given are the places of the other columns.
var given = func() (places []int) {
	for i, name := range columns {
		if computed[name] == nil {
			places = append(places, i)
		}
	}
	return places
}()

// ComposeText implements [audit.TxComposer].
func (s *Store) ComposeText(source string, c audit.ComputedEvent, variables int) string {
	var b strings.Builder
	b.WriteString(s.sql.head + "SELECT ")
	for i, name := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		if expression := computed[name]; expression != nil {
			b.WriteString(expression(c))
			continue
		}
		variables++
		s.sql.decoded(&b, i, s.sql.dialect.placeholder(variables))
	}
	b.WriteString(" FROM " + source)
	return b.String()
}

// ComposeArgs implements [audit.TxComposer].
func (s *Store) ComposeArgs(args []any, e audit.Event) ([]any, error) {
	e.Workspace, e.Operation, e.Origin, e.Ownership = "", "", "", "" // as the rest is empty already
	e.Entity = audit.Entity{Type: e.Entity.Type}
	row, from := encoder{dialect: s.names.dialect, words: &s.words, args: args}, len(args)
	if err := row.add(&e); err != nil {
		return nil, err
	}
	args = row.args[:from]
	for _, i := range given {
		args = append(args, s.sql.encoded(i, row.args[from+i]))
	}
	return args, nil
}

// ComposeNewer implements [audit.TxComposer], by the index of a record's history.
func (s *Store) ComposeNewer(workspace, kind, id, micros string) string {
	return "EXISTS (SELECT 1 FROM " + s.names.qualified(s.names.events) + " e WHERE e.workspace=" + workspace + " AND e.entity_type=" + kind +
		" AND e.entity_id=" + id + " AND e.time>=" + micros + ")"
}

// ComposedError implements [audit.TxComposer]. PostgreSQL names the table, and
// constraints that are called after it, in quotes; but where it denies access.
func (s *Store) ComposedError(err error) error {
	text, name := err.Error(), s.names.events
	if strings.Contains(text, `"`+name+`"`) || strings.Contains(text, `"`+name+"_") || strings.Contains(text, "permission denied for table "+name) {
		return s.appendError(err)
	}
	return nil
}
