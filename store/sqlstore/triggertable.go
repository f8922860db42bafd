package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

// generator writes the functions of tables.
type generator struct {
	triggerNames
	passes    string
	described []audit.Table
	tables    map[string]*triggerTable // by the name of the description
}

// triggerTable is a table as the database has it.
type triggerTable struct {
	schema, name string
	types        map[string]string // of its columns; that of a domain is what the domain is made of
}

func (t *triggerTable) quoted() string { return identifier(t.schema) + "." + identifier(t.name) }

// load looks a table up that is to have triggers.
func (g *generator) load(ctx context.Context, conn audit.DBTX, d audit.Table) error {
	t, err := g.find(ctx, conn, d.Name)
	if err != nil {
		return err
	}
	for _, c := range d.Columns {
		if t.types[c.Name] == "" {
			return fmt.Errorf("sqlstore: triggers on table %q: there is no column %q; describe the tables after their migration", d.Name, c.Name)
		}
	}
	return nil
}

// loadReferences looks up what a table refers to.
func (g *generator) loadReferences(ctx context.Context, conn audit.DBTX, d audit.Table) error {
	for _, r := range d.References {
		t, err := g.find(ctx, conn, r.Table)
		if err != nil {
			return err
		}
		if t.types[r.Key] == "" || t.types[r.Label] == "" {
			return fmt.Errorf("sqlstore: triggers on table %q: %q, to which it refers, has no column %q or %q", d.Name, r.Table, r.Key, r.Label)
		}
	}
	return nil
}

// find looks a table up by the name that GORM has for it.
func (g *generator) find(ctx context.Context, conn audit.DBTX, name string) (*triggerTable, error) {
	if t := g.tables[name]; t != nil {
		return t, nil
	}
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = identifier(parts[i])
	}
	t := &triggerTable{types: map[string]string{}}
	var oid int64
	var sort string
	err := conn.QueryRowContext(ctx, `SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`, strings.Join(parts, ".")).Scan(&oid, &t.schema, &t.name, &sort)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("sqlstore: there is no table %q", name)
	case err != nil:
		return nil, err
	case sort != "r" && sort != "p" && sort != "f":
		return nil, fmt.Errorf("sqlstore: %q is no table, so it can have no triggers for rows", name)
	}
	if err := t.loadTypes(ctx, conn, oid); err != nil {
		return nil, err
	}
	g.tables[name] = t
	return t, nil
}

func (t *triggerTable) loadTypes(ctx context.Context, conn audit.DBTX, oid int64) error {
	rows, err := conn.QueryContext(ctx, `WITH RECURSIVE base(attname, type) AS (
		SELECT attname, atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1::bigint::oid AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT b.attname, y.typbasetype FROM base b JOIN pg_catalog.pg_type y ON y.oid = b.type WHERE y.typtype = 'd'
	) SELECT b.attname, CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace THEN y.typname ELSE '?' END
	FROM base b JOIN pg_catalog.pg_type y ON y.oid = b.type WHERE y.typtype <> 'd'`, oid)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var column, typ string
		if err := rows.Scan(&column, &typ); err != nil {
			return err
		}
		t.types[column] = typ
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// statements make the triggers of one table.
func (g *generator) statements(d audit.Table) ([]string, error) {
	t := g.tables[d.Name]
	var text string
	if d.Relation != "" {
		of := slices.IndexFunc(g.described, func(o audit.Table) bool { return o.Name == d.Of && o.Relation == "" })
		if of < 0 {
			return nil, fmt.Errorf("sqlstore: triggers on table %q show on records of %q, which is not described", d.Name, d.Of)
		}
		text = g.joinBody(d, g.described[of])
	} else {
		text = g.rowBody(d)
	}
	function := g.function(t)
	quoted := g.of(function) + "()"
	create := func(name, event, level, function string) string {
		return "CREATE TRIGGER " + identifier(g.events+"_"+name) + " AFTER " + event + " ON " + t.quoted() +
			" FOR EACH " + level + " WHEN (NOT (" + g.passes + ")) EXECUTE FUNCTION " + function
	}
	truncated := g.of("truncated") + "(" + literal(string(d.Type)) + ", " + literal(fmt.Sprint(d.Owner != "")) + ", " + literal(d.Name) + ")"
	return []string{
		"-- Table " + strings.ReplaceAll(t.quoted(), "\n", " ") + "\nCREATE FUNCTION " + quoted + " RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER " + pinned + " AS " + body(text),
		"REVOKE ALL ON FUNCTION " + quoted + " FROM PUBLIC",
		create("record", "INSERT OR UPDATE OR DELETE", "ROW", quoted),
		create("truncate", "TRUNCATE", "STATEMENT", truncated),
	}, nil
}

// cell is a column of a row in a trigger's function.
type cell struct {
	g *generator
	audit.Column
	pg   string // its type
	wide bool
}

func (g *generator) cell(d audit.Table, name string) cell {
	c := cell{g: g, Column: audit.Column{Name: name}}
	if i := slices.IndexFunc(d.Columns, func(c audit.Column) bool { return c.Name == name }); i >= 0 {
		c.Column = d.Columns[i]
	}
	c.pg = g.tables[d.Name].types[name]
	c.wide = slices.Contains([]string{"text", "varchar", "bytea", "json", "jsonb"}, c.pg) && !slices.Contains(d.Key, name)
	return c
}

// text is the column of a row as text. Of most types only their output is the
// text that a driver gets, not what a cast makes of it.
func (c cell) text(row string) string {
	x := c.of(row)
	switch c.pg {
	case "text", "varchar", "uuid", "numeric", "json", "jsonb", "int2", "int4", "int8", "oid", "bool", "float4", "float8":
		return x + "::text"
	}
	return "CASE WHEN " + x + " IS DISTINCT FROM NULL THEN concat(" + x + ") END"
}

func (c cell) of(row string) string { return row + "." + identifier(c.Name) }

// value is the column of a row as events show it; see triggers.sql. Digest is
// whether a long one gets a digest.
func (c cell) value(row, digest string) string {
	if c.Redacted {
		return "chr(1) || 'redacted'"
	}
	whole := c.whole(row, digest)
	if c.Parts == nil {
		return whole
	}
	p := c.Parts
	return c.g.of("veil") + "(" + whole + ", " + fmt.Sprint(p.Opaque) + ", " + fmt.Sprint(!p.Shown) + ", " + textArray(p.Withheld) + ", " + textArray(p.Told) + ")"
}

// textArray is texts as an array of SQL.
func textArray(texts []string) string {
	list := make([]string, len(texts))
	for i, s := range texts {
		list[i] = literal(s)
	}
	return "ARRAY[" + strings.Join(list, ", ") + "]::text[]"
}

// whole is a value with the secrets within it.
func (c cell) whole(row, digest string) string {
	x, wide := c.of(row), fmt.Sprint(c.wide)
	kind := string(c.Kind)
	switch c.pg {
	case "bool":
		return "COALESCE(" + x + "::text, 'null')"
	case "int2", "int4", "int8":
		if c.Kind == audit.ColumnBool {
			x = "(" + x + " <> 0)"
		}
		return "COALESCE(" + x + "::text, 'null')"
	case "oid", "xid", "cid":
		kind = string(audit.ColumnNumber)
	case "float4", "float8":
		return c.g.of("float") + "(" + x + ", " + x + "::text)"
	case "date":
		return c.g.of("time") + "(" + x + "::timestamp, '-MM-DD')"
	case "timestamp":
		return c.g.of("time") + "(" + x + `, '-MM-DD"T"HH24:MI:SS')`
	case "timestamptz":
		return c.g.of("time") + "(" + x + ` AT TIME ZONE 'UTC', '-MM-DD"T"HH24:MI:SS')`
	case "bytea":
		return c.g.of("bytes") + "(" + x + ", " + digest + ")"
	case "json", "jsonb":
		return "COALESCE(" + c.g.of("json") + "(" + c.text(row) + ", " + wide + ", " + digest + "), 'null')"
	}
	return c.g.of("text") + "(" + c.text(row) + ", " + literal(kind) + ", " + wide + ", " + digest + ")"
}

// ordinary is the condition that a text means itself: it is short, no character
// of it is escaped in JSON, and it cannot hold a secret. Empty if the column may
// have no such text. Most texts are ordinary, and the look at one is cheaper than
// the calls of functions that it saves.
func (c cell) ordinary(x string) string {
	if c.pg != "text" && c.pg != "varchar" || c.Kind != audit.ColumnText || c.Redacted || c.Parts != nil && c.Parts.Opaque {
		return ""
	}
	return "octet_length(" + x + ") < 256 AND " + x + ` !~ '^[{\[ ]|[\x01-\x1f"\\\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]'`
}

// side is one side of a change of the column, with its label.
func (c cell) side(d audit.Table, side, row, digest string) string {
	value, label, x := c.value(row, digest), c.label(d, row), c.of(row)
	call := c.g.of("side") + "('" + side + "', " + value + ", " + label + ")"
	if label != "NULL" || c.Redacted {
		return call
	}
	head := ",\"" + side + "\":"
	if c.Parts == nil && slices.Contains([]string{"bool", "int2", "int4", "int8", "float4", "float8", "date", "timestamp", "timestamptz"}, c.pg) {
		return literal(head) + " || " + value
	}
	if ordinary := c.ordinary(x); ordinary != "" {
		return "CASE WHEN " + ordinary + " THEN " + literal(head+`"`) + " || " + x + ` || '"' ELSE ` + call + " END"
	}
	return call
}

// plain is the column of a row as plain text; empty for what is withheld and for
// a column that is not there.
func (c cell) plain(row string) string {
	if c.Name == "" || c.Redacted {
		return "''"
	}
	if (c.pg == "text" || c.pg == "varchar") && c.Kind == audit.ColumnText && c.Parts == nil || c.pg == "uuid" {
		return "COALESCE(" + c.text(row) + ", '')" // a key, which is short
	}
	if c.Kind != audit.ColumnBool && slices.Contains([]string{"int2", "int4", "int8"}, c.pg) && c.Parts == nil {
		return "COALESCE(" + c.text(row) + ", '')"
	}
	if ordinary := c.ordinary(c.of(row)); ordinary != "" {
		return "CASE WHEN " + ordinary + " THEN " + c.of(row) + " ELSE " + c.g.of("plain") + "(" + c.value(row, "false") + ") END"
	}
	return c.g.of("plain") + "(" + c.value(row, "false") + ")"
}

// key is a column of a primary key as part of an id: one that is withheld is
// known by a digest.
func (c cell) key(row string) string {
	if !c.Redacted {
		return c.plain(row)
	}
	c.Redacted = false
	return "'sha256:' || encode(substring(sha256(convert_to(" + c.plain(row) + ", 'UTF8')) FROM 1 FOR 16), 'hex')"
}

// differs is whether the column differs between OLD and NEW.
func (c cell) differs() string {
	switch {
	case c.Kind == audit.ColumnBool && c.pg != "bool":
		return c.whole("OLD", "false") + " IS DISTINCT FROM " + c.whole("NEW", "false")
	case c.pg == "numeric" && c.Kind == audit.ColumnNumber, c.pg == "float8" && c.Kind == audit.ColumnNumber,
		slices.Contains([]string{"bool", "int2", "int4", "int8", "date", "timestamp", "timestamptz", "bytea", "uuid"}, c.pg):
		return c.of("OLD") + " IS DISTINCT FROM " + c.of("NEW")
	case c.Kind == audit.ColumnJSON, c.Kind == audit.ColumnNumber && c.pg != "float4":
		old, now := c.text("OLD"), c.text("NEW")
		return old + " IS DISTINCT FROM " + now + " AND NOT " + c.g.of("same") + "(" + literal(string(c.Kind)) + ", " + old + ", " + now + ")"
	}
	return c.text("OLD") + " IS DISTINCT FROM " + c.text("NEW")
}

// label is what the column of a row points at; NULL if it is no reference.
func (c cell) label(d audit.Table, row string) string {
	i := slices.IndexFunc(d.References, func(r audit.Reference) bool { return r.Column == c.Name })
	if i < 0 || c.Redacted {
		return "NULL"
	}
	r := d.References[i]
	to := c.g.tables[r.Table]
	key, x := "r."+identifier(r.Key), c.of(row)
	if !alike(to.types[r.Key], c.pg) {
		key, x = key+"::text", x+"::text"
	}
	return "(SELECT " + c.g.of("named") + "(substr(r." + identifier(r.Label) + "::text, 1, 500)) FROM " + to.quoted() + " r WHERE " + key + " = " + x + " LIMIT 1)"
}

// alike reports whether columns of two types can be compared as they are.
func alike(a, b string) bool {
	for _, family := range [][]string{{"int2", "int4", "int8"}, {"text", "varchar", "bpchar"}} {
		if slices.Contains(family, a) && slices.Contains(family, b) {
			return true
		}
	}
	return a == b && a != "?"
}

// record is the columns of a row that name its record, as the arguments of
// "write" that follow the operation: its label is that of another image.
func (g *generator) record(d audit.Table, row, label string) string {
	parts := make([]string, len(d.Key))
	for i, k := range d.Key {
		parts[i] = g.cell(d, k).key(row)
		if len(d.Key) > 1 {
			parts[i] = "replace(replace(" + parts[i] + ", '%', '%25'), '/', '%2F')"
		}
	}
	return literal(string(d.Type)) + ", " + strings.Join(parts, " || '/' || ") + ", " + g.cell(d, d.Label).plain(label) + ", " +
		g.cell(d, d.Owner).plain(row) + ", " + fmt.Sprint(d.Owner != "")
}

// rowBody is the function for the table of a model.
func (g *generator) rowBody(d audit.Table) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w("\nDECLARE")
	w("	op text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'deleted' ELSE 'updated' END;")
	w("	changed boolean;")
	w("	changes text := '';")
	w("	me record; -- what the event says of its record")
	w("	named record; -- what it is called")
	w("	own text;")
	w("BEGIN")
	if d.Deleted != "" {
		c := g.cell(d, d.Deleted)
		alive := `IN ('null', '0', 'false', '""')`
		w("	IF TG_OP = 'UPDATE' AND (%s %s) <> (%s %s) THEN", c.whole("OLD", "false"), alive, c.whole("NEW", "false"), alive)
		w("		op := CASE WHEN %s %s THEN 'restored' ELSE 'deleted' END;", c.whole("NEW", "false"), alive)
		w("	END IF;")
	}
	for _, column := range d.Columns {
		if column.Ignored {
			continue
		}
		c := g.cell(d, column.Name)
		old, now := c.side(d, "b", "OLD", "changed AND TG_OP = 'UPDATE'"), c.side(d, "a", "NEW", "changed")
		w("	changed := TG_OP <> 'UPDATE' OR %s;", c.differs())
		w("	IF changed OR op <> 'updated' THEN")
		w("		changes := changes || %s", literal(`,{"f":`+string(audit.AppendJSONString(nil, column.Name))))
		w("			|| CASE WHEN TG_OP = 'INSERT' OR op = 'restored' AND NOT changed THEN '' ELSE %s END", old)
		w("			|| CASE WHEN TG_OP = 'DELETE' OR op = 'deleted' AND NOT changed THEN '' ELSE %s END || '}';", now)
		w("	END IF;")
	}
	w("	IF changes = '' THEN")
	w("		RETURN NULL;")
	w("	END IF;")
	w("	IF op IN ('created', 'restored') THEN me := NEW; ELSE me := OLD; END IF;")
	w("	IF op = 'deleted' THEN named := OLD; ELSE named := NEW; END IF;")
	workspace := g.cell(d, d.Workspace)
	w("	IF TG_OP = 'INSERT' THEN own := %s; ELSE own := %s; END IF;", workspace.plain("NEW"), workspace.plain("OLD"))
	w("	PERFORM %s(op, %s, own, '[' || substr(changes, 2) || ']');", g.of("write"), g.record(d, "me", "named"))
	w("	RETURN NULL;")
	w("END ")
	return b.String()
}

// joinBody is the function for the table of a many-to-many relation, whose rows
// are elements of a record of another table. One that moves to another record is
// taken from the first.
func (g *generator) joinBody(d, of audit.Table) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w("\nDECLARE")
	w("	was text := 'null';")
	w("	now text := 'null';")
	w("	was_called text;")
	w("	now_called text;")
	w("	me record;")
	w("BEGIN")
	w("	IF TG_OP <> 'INSERT' THEN was := %s; was_called := %s; END IF;", g.element(d, "OLD"), g.elementLabel(d, "OLD"))
	w("	IF TG_OP <> 'DELETE' THEN now := %s; now_called := %s; END IF;", g.element(d, "NEW"), g.elementLabel(d, "NEW"))
	var moved []string
	for _, k := range d.OfKey {
		moved = append(moved, g.cell(d, k).differs())
	}
	element := func(was, wasCalled, now, nowCalled string) string {
		return literal(`[{"f":`+string(audit.AppendJSONString(nil, d.Relation))) + " || " + g.of("side") + "('b', " + was + ", " + wasCalled + ") || " +
			g.of("side") + "('a', " + now + ", " + nowCalled + `) || ',"e":true}]'`
	}
	write := func(row, changes string) {
		w("		%s", g.owner(d, of, row))
		w("		IF FOUND THEN")
		w("			PERFORM %s('updated', %s, %s, %s);", g.of("write"), g.record(of, "me", "me"), g.cell(of, of.Workspace).plain("me"), changes)
		w("		END IF;")
	}
	w("	IF TG_OP = 'UPDATE' AND (%s) THEN", strings.Join(moved, " OR "))
	write("OLD", element("was", "was_called", "'null'", "NULL"))
	write("NEW", element("'null'", "NULL", "now", "now_called"))
	w("	ELSIF TG_OP = 'DELETE' THEN")
	write("OLD", element("was", "was_called", "now", "now_called"))
	w("	ELSIF was <> now THEN")
	write("NEW", element("was", "was_called", "now", "now_called"))
	w("	END IF;")
	w("	RETURN NULL;")
	w("END ")
	return b.String()
}

// owner reads the record that has a row of a join table.
func (g *generator) owner(d, of audit.Table, row string) string {
	var conditions []string
	for i, k := range of.Key {
		key, c := "o."+identifier(k), g.cell(d, d.OfKey[i])
		x := c.of(row)
		if !alike(g.tables[of.Name].types[k], c.pg) {
			key, x = key+"::text", x+"::text"
		}
		conditions = append(conditions, key+" = "+x)
	}
	return "SELECT * INTO me FROM " + g.tables[of.Name].quoted() + " o WHERE " + strings.Join(conditions, " AND ") + ";"
}

// element is a row of a join table as an element of the relation: the
// element's id or, if the row holds more, an object of all that it holds beside
// the record's own key.
func (g *generator) element(d audit.Table, row string) string {
	others := slices.DeleteFunc(slices.Clone(d.Columns), func(c audit.Column) bool { return slices.Contains(d.OfKey, c.Name) })
	names, values := make([]string, len(others)), make([]string, len(others))
	for i := range others {
		c := g.cell(d, others[i].Name)
		names[i], values[i] = string(audit.AppendJSONString(nil, c.Name)), c.value(row, "false")
		if slices.Contains(d.Key, c.Name) { // it names the element
			values[i] = "split_part(" + c.whole(row, "false") + ", chr(1), 1)"
			if c.Redacted {
				values[i] = g.of("quote") + "(" + c.key(row) + ")"
			}
		}
	}
	if len(others) == 1 {
		return values[0]
	}
	return g.of("object") + "(" + textArray(names) + ", ARRAY[" + strings.Join(values, ", ") + "])"
}

// elementLabel is what the element of a row of a join table is called.
func (g *generator) elementLabel(d audit.Table, row string) string {
	if len(d.References) == 0 {
		return "NULL"
	}
	return g.cell(d, d.References[0].Column).label(d, row)
}
