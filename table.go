package audit

import "context"

// Table describes a table whose rows are recorded, so that something else than
// hooks can record them in the same form: hooks.Tables makes it of what is
// registered, and sqlstore makes triggers of it.
type Table struct {
	// Name is the table's name, with its database schema before a dot if the
	// model names one.
	Name string
	// Type is the entity type of the table's events.
	Type EntityType
	// Key is the columns of the primary key, in its order.
	Key []string
	// Workspace, Owner and Label are the columns that hold what an event says
	// of its record, and Deleted the one that a soft delete sets: the row lives
	// while it is null, zero, false or empty. Empty if there is none.
	Workspace, Owner, Label, Deleted string
	// Columns are those of the table in the order of the database. One that is
	// not audited is missing, unless it is among those above.
	Columns []Column
	// References are the columns beside which events tell what they point at.
	References []Reference

	// Relation is set for the table of a many-to-many relation: its rows show
	// under this name as elements of the record that has them, a row of the
	// table Of, which is described too. Empty for the table of a model.
	Relation string
	// Of is the name of the table of the records that have the relation.
	Of string
	// OfKey is the columns that hold the primary key of Of, in its order.
	OfKey []string
}

// Column is a column of a [Table].
type Column struct {
	Name string
	// Kind is what the column holds, as the application sees it.
	Kind ColumnKind
	// Ignored marks a column that is read for what it means and not audited.
	Ignored bool
	// Redacted marks a column whose values are withheld. Of one that is part of
	// the primary key, records are known by a digest.
	Redacted bool
	// Parts tells what is withheld within the column's values. Nil if they hold
	// no parts.
	Parts *Parts
}

// Parts tells which parts of the values of a column are withheld, if these are
// JSON: what stands under a name that [Sensitive] tells, but for the names given
// here.
type Parts struct {
	// Withheld and Told are names whose values are withheld, and are told,
	// whatever Sensitive says.
	Withheld, Told []string
	// Shown turns off that names are judged by Sensitive.
	Shown bool
	// Opaque marks values that are withheld as a whole if they are no JSON.
	Opaque bool
}

// ColumnKind is what a column holds. The zero ColumnKind is a text.
type ColumnKind string

// The kinds of columns. They decide how a value is written where the database
// holds it as something else: a list in a column of text as JSON, if the
// application keeps JSON in it.
const (
	ColumnText   ColumnKind = ""
	ColumnBool   ColumnKind = "bool"
	ColumnNumber ColumnKind = "number"
	ColumnTime   ColumnKind = "time"
	ColumnJSON   ColumnKind = "json"
	ColumnBytes  ColumnKind = "bytes"
)

// Reference is a column that points at another record.
type Reference struct {
	// Column is the column that points.
	Column string
	// Table and Key are the table and the column that it points at.
	Table, Key string
	// Label is the column of Table that tells what the record is called.
	Label string
}

// ConnectionVerifier is a [TxStore] beside which the database itself may record
// what comes by a connection. Without it hooks assume that nobody but they do.
type ConnectionVerifier interface {
	// VerifyConnection returns an error that names the remedy if what is
	// written on tx would be recorded by the database and by hooks.
	VerifyConnection(ctx context.Context, tx DBTX) error
}
