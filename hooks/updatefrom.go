package hooks

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// oldName is the name of the k-th expression of a column of the old row.
func oldName(column, k int) string {
	return "audit_" + string("od"[k]) + strconv.Itoa(column)
}

// updateFrom rewrites an UPDATE so that it locks its rows, changes them and
// gives back their old and new images in one step. It saves a round trip, and
// no row that somebody else commits meanwhile can slip in between. It reports
// false where the database has no such form, or the statement is not a plain
// one: then the old rows are read first.
//
// Placeholders keep their numbers, because what is added has none, and
// PostgreSQL's bare column names in SET stay unambiguous, because the old row
// has none of them.
func (c *capture) updateFrom(text string) (string, bool) {
	stmt := c.db.Statement
	if c.plugin.dialect.name != "postgres" || len(c.layout.columns) > mostComposed || c.kind != updating || c.assigned.set == nil || c.setsKey() || len(c.followers) > 0 || c.layout.clashes ||
		stmt.TableExpr != nil || stmt.Table != c.layout.table || stmt.SQL.String() != text {
		return "", false
	}
	set, where, ok := c.split(text)
	if !ok {
		return "", false
	}
	t := c.layout.textsFor(c.assigned)
	return c.joinOld(set, where, t.old, "audit_old.*,"+t.qualified), true
}

// split parts an UPDATE before its conditions; false if it is not a plain one.
func (c *capture) split(text string) (set, where string, ok bool) {
	stmt := c.db.Statement
	if _, from := stmt.Clauses["FROM"]; from {
		return "", "", false
	}
	head := &gorm.Statement{
		DB: c.db, Clauses: stmt.Clauses, Table: stmt.Table, Schema: stmt.Schema, Context: stmt.Context,
		Model: stmt.Model, Dest: stmt.Dest, ReflectValue: stmt.ReflectValue,
	}
	head.SQL.Grow(200)
	head.Build("UPDATE", "SET")
	set = head.SQL.String()
	where, ok = strings.CutPrefix(text, set)
	return set, where, ok && (where == "" || strings.HasPrefix(where, " WHERE "))
}

// joinOld joins the rows of an UPDATE to what they were before, locked. Old are
// columns of the old row, the keys among them under their oldName.
func (c *capture) joinOld(set, where, old, returning string) string {
	d := c.plugin.dialect
	table := d.quote(c.layout.table)
	var b strings.Builder
	b.Grow(len(set) + len(where) + len(old) + len(returning) + 200)
	b.WriteString(set + "\nFROM (SELECT " + old + " FROM " + table + where + "\n" + c.updateLock() + ") audit_old WHERE ")
	for i, k := range c.layout.keys {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(table + "." + d.quote(c.layout.columns[k].name) + "=audit_old." + oldName(k, 0))
	}
	b.WriteString(" RETURNING " + returning)
	return b.String()
}

// execUpdateFrom runs what updateFrom has made.
func (c *capture) execUpdateFrom(ctx context.Context, text string, args []any) (_ sql.Result, err error) {
	defer recovered(&err)
	old, now := c.layout.reader(c.assigned), c.layout.reader(c.assigned)
	defer old.release()
	defer now.release()
	now.twin = old
	now.reset()
	err = scanRows(ctx, c.tx, text, args, func() {
		c.before, c.after = append(c.before, old.image()), append(c.after, now.image())
		now.reset()
	}, old, now.dest...)
	if err != nil {
		return nil, err
	}
	c.ran, c.complete, c.joined = true, true, true
	return affected(len(c.after)), nil
}
