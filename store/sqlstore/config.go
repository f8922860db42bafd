package sqlstore

import (
	"fmt"
	"strings"
)

// DefaultTable is the name of the events' table.
const DefaultTable = "audit_events"

// Config says where the tables are. The zero Config, and a nil one, mean the
// table [DefaultTable] where the connection looks first.
type Config struct {
	// Table is the name of the events' table, of up to 40 letters, digits and
	// underscores. The other tables and the indexes have names that begin with
	// it. Defaults to DefaultTable.
	Table string

	// Schema is the schema of PostgreSQL, or the database of MySQL, that holds
	// the tables. It must exist. Defaults to the one in which the connection
	// works. It must be empty on SQLite.
	Schema string
}

// maxTable leaves room for the endings of other names: identifiers have up to
// 63 bytes in PostgreSQL and 64 in MySQL.
const maxTable = 40

// names are the tables' names.
type names struct {
	dialect Dialect
	schema  string
	// events, settings, exports and version are bare names.
	events, settings, exports, version string
}

// names validates the config.
func (c *Config) names(d Dialect) (names, error) {
	if !d.valid() {
		return names{}, fmt.Errorf("sqlstore: unknown dialect %q, use sqlstore.SQLite, Postgres or MySQL", string(d))
	}
	n := names{dialect: d, events: DefaultTable}
	if c != nil {
		n.schema = c.Schema
		if c.Table != "" {
			n.events = c.Table
		}
	}
	if !isIdentifier(n.events, maxTable) {
		return names{}, fmt.Errorf("sqlstore: Table %q must be up to %d letters, digits and underscores, not beginning with a digit", n.events, maxTable)
	}
	if n.schema != "" && d == SQLite {
		return names{}, fmt.Errorf("sqlstore: Schema is %q but SQLite has none, leave it empty", n.schema)
	}
	if n.schema != "" && !isIdentifier(n.schema, 63) {
		return names{}, fmt.Errorf("sqlstore: Schema %q must be up to 63 letters, digits and underscores, not beginning with a digit", n.schema)
	}
	n.settings = n.events + "_settings"
	n.exports = n.events + "_exports"
	n.version = n.events + "_schema"
	return n, nil
}

// qualified is the quoted name of a table, with its schema if there is one.
func (n names) qualified(table string) string {
	if n.schema == "" {
		return n.dialect.quote(table)
	}
	return n.dialect.quote(n.schema) + "." + n.dialect.quote(table)
}

// render puts the names into the text of a migration.
func (n names) render(text string) string {
	index := func(of string) string { return n.dialect.quote(n.events + "_" + of) }
	return strings.NewReplacer(
		"{events}", n.qualified(n.events),
		"{settings}", n.qualified(n.settings),
		"{exports}", n.qualified(n.exports),
		"{schema}", n.qualified(n.version),
		"{events_time}", index("time"),
		"{events_entity}", index("entity"),
		"{events_actor}", n.dialect.quote(n.actorIndex()),
		"{events_cause}", index("cause"),
		"{events_change_set}", index("change_set"),
		"{exports_slot}", index("exports_slot"),
		"{exports_created}", index("exports_created"),
		"{exports_due}", index("exports_due"),
	).Replace(text)
}

// actorIndex is the bare name of the index that lists authors.
func (n names) actorIndex() string { return n.events + "_actor" }

func isIdentifier(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return true
}
