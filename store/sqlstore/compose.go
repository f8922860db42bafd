package sqlstore

import (
	"strings"

	"github.com/gormtrail/audit"
)

var _ audit.TxComposer = (*Store)(nil)

// Composes implements [audit.TxComposer].
func (s *Store) Composes(store audit.Store) bool { return store == audit.Store(s) }

// computed is the expression for a column; empty if the column is not computed.
func computed(column string, c audit.ComputedEvent) string {
	switch column {
	case "workspace":
		return c.Workspace
	case "operation":
		return c.Operation
	case "origin":
		return c.Origin
	case "ownership":
		return c.Ownership
	case "entity_id":
		return c.EntityID
	case "entity_label":
		return "NULLIF(" + c.EntityLabel + ",'')"
	case "entity_owner":
		return c.EntityOwner
	case "changes":
		return c.Changes
	}
	return ""
}

// ComposeText implements [audit.TxComposer].
func (s *Store) ComposeText(source string, c audit.ComputedEvent, variables int) string {
	var b strings.Builder
	b.WriteString(s.sql.head + "SELECT ")
	for i, name := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		if e := computed(name, c); e != "" {
			b.WriteString(e)
			continue
		}
		variables++
		s.sql.decoded(&b, i, s.sql.dialect.placeholder(variables))
	}
	b.WriteString(" FROM " + source)
	return b.String()
}

// everything is an event of which all is computed that can be.
var everything = audit.ComputedEvent{Workspace: "x", Operation: "x", Origin: "x", Ownership: "x", EntityID: "x", EntityLabel: "x", EntityOwner: "x", Changes: "x"}

// given are the places of the columns that are not computed.
var given = func() (places []int) {
	for i, name := range columns {
		if computed(name, everything) == "" {
			places = append(places, i)
		}
	}
	return places
}()

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

// ComposedError implements [audit.TxComposer]. PostgreSQL names the table.
func (s *Store) ComposedError(err error) error {
	if !strings.Contains(err.Error(), s.names.events) {
		return nil
	}
	return s.appendError(err)
}
