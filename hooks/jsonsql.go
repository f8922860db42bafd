package hooks

import (
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// The functions of this file write SQL for PostgreSQL that makes the JSON of an
// event from columns, as appendCanonical and entity.change make it from what a
// driver gives, for the types of which both are sure to say the same. Functions that
// take any type are named with their schema: an application may have one of its own
// for a type, which would be closer.

// jsonSQL is an expression for the JSON of a column's value x, which is never
// null; false if only Go can make it.
func (c *column) jsonSQL(x string) (string, bool) {
	value, ok := "pg_catalog.to_json("+x+")::text", false
	switch c.typeName {
	case "BOOL":
		ok = c.kind == kindBool
	case "INT2", "INT4", "INT8":
		value, ok = x+"::text", c.kind == kindNumber
	case "NUMERIC":
		ok = c.kind == kindNumber
	case "TEXT", "VARCHAR", "UUID":
		ok = c.kind == kindText && (c.secrets == nil || !c.secrets.typed)
	case "DATE":
		ok = c.kind == kindDate
	case "TIMESTAMP":
		value, ok = "rtrim("+value+`,'"')||'Z"'`, c.kind == kindTime
	case "TIMESTAMPTZ":
		value, ok = "rtrim(pg_catalog.to_json("+x+` AT TIME ZONE 'UTC')::text,'"')||'Z"'`, c.kind == kindTime
	}
	if bytes := c.bytesSQL(x); bytes != "" { // or much work would be done for nothing: it is in doubt
		value = "CASE WHEN " + bytes + "<=" + strconv.Itoa(audit.MaxValueBytes) + " THEN " + value + " END"
	}
	return "COALESCE(" + value + ",'null')", ok
}

// bytesSQL is the length of a value that may be over the limit, whatever the model
// says of it; empty if it cannot be.
func (c *column) bytesSQL(x string) string {
	switch c.typeName {
	case "NUMERIC":
		return "octet_length(" + x + "::text)"
	case "TEXT", "VARCHAR":
		return "octet_length(" + x + ")"
	}
	return ""
}

// doubtSQL reports whether Go has to make the JSON of this value: one that is
// shortened, one that may be JSON with a secret in it, and a time that is none.
// Empty if there is no such value.
func (c *column) doubtSQL(x string) string {
	if c.redacted {
		return ""
	}
	var doubts []string
	if c.kind == kindTime || c.kind == kindDate {
		doubts = append(doubts, x+" NOT BETWEEN '0001-01-02' AND '9999-12-30'")
	}
	if bytes := c.bytesSQL(x); bytes != "" {
		doubts = append(doubts, bytes+">"+strconv.Itoa(audit.MaxValueBytes))
	}
	if c.secrets != nil && c.typeName != "UUID" {
		doubts = append(doubts, "ascii("+x+") IN (9,10,13,32,91,123,65279)") // what a document begins with
	}
	return strings.Join(doubts, " OR ")
}

// hiddenSQL finds the characters that [audit.AppendJSONString] escapes and
// PostgreSQL does not.
const hiddenSQL = `[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]`

// sideSQL are the arguments of concat for one side of a change, with the comma
// before it.
func (c *column) sideSQL(side, x string) []string {
	if c.redacted {
		return []string{`',"` + side + `f":"redacted"'`}
	}
	value, _ := c.jsonSQL(x)
	return []string{`',"` + side + `":'`, value}
}

// differsSQL reports whether a column has changed. A long value that the
// statement did not assign is not read.
func (c *column) differsSQL(was, is string, assigned bool) string {
	if !c.wide || assigned {
		return was + " IS DISTINCT FROM " + is
	}
	long := "octet_length(" + was + ")>" + strconv.Itoa(audit.MaxValueBytes)
	return "CASE WHEN " + long + " THEN octet_length(" + is + ") IS DISTINCT FROM octet_length(" + was + ") ELSE " + was + " IS DISTINCT FROM " + is + " END"
}

// plainSQL is a column as plain text, as the function plain makes it; empty for
// null and for what is redacted, unless it is a key; see keyText.
func (c *column) plainSQL(x string) (string, bool) {
	if c.redacted {
		return "''", !c.key
	}
	switch c.typeName {
	case "INT2", "INT4", "INT8":
		return "COALESCE(" + x + "::text,'')", c.kind == kindNumber
	case "TEXT", "VARCHAR", "UUID":
		return "COALESCE(" + x + "::text,'')", c.kind == kindText
	}
	return "", false
}

// deletedSQL reports whether a column marks its row as deleted; see
// layout.isDeleted.
func (c *column) deletedSQL(x string) (string, bool) {
	switch c.typeName {
	case "BOOL":
		return "COALESCE(" + x + ",false)", true
	case "INT2", "INT4", "INT8":
		return "COALESCE(" + x + ",0)<>0", true
	case "TIMESTAMP", "TIMESTAMPTZ", "DATE":
		return x + " IS NOT NULL", true
	}
	return "", false
}

// literalSQL is a text as a literal, whatever standard_conforming_strings says.
func literalSQL(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return "E'" + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}

// arraySQL is a list of texts as PostgreSQL reads it.
func arraySQL(texts []string) string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// concatSQL joins texts; a function of PostgreSQL takes 100 arguments.
func concatSQL(parts []string) string {
	const most = 90
	for len(parts) > most {
		parts = append([]string{"pg_catalog.concat(" + strings.Join(parts[:most], ",") + ")"}, parts[most:]...)
	}
	return "pg_catalog.concat(" + strings.Join(parts, ",") + ")"
}
