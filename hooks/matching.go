package hooks

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// matching is the SELECT of the rows that an UPDATE or DELETE is going to change.
type matching struct {
	text   string
	vars   int  // how many of the last variables of the statement are its own
	random bool // it would find others than the statement
}

// readMatching reads, and locks, the rows that the statement at hand is going to
// change. Most end in the conditions of that SELECT. All of one text do so then,
// and the SELECT need not be built for each.
func (c *capture) readMatching(ctx context.Context, text string, args []any) ([]image, error) {
	m := c.layout.textsFor(c.assigned).matching.of(text, func() matching { return c.matchingOf(text, len(args)) })
	if m.random {
		return nil, failed(fmt.Errorf("the conditions of a statement on table %q are random, so it would change other rows than were read before; read their keys first and name these", c.table.name))
	}
	if m.text == "" {
		return c.selectMatching(ctx)
	}
	return query(ctx, c.tx, c.layout, c.assigned, m.text, args[len(args)-m.vars:])
}

// matchingOf makes the SELECT for statements of a text; none if it is not sure
// which of their variables are those of the conditions.
func (c *capture) matchingOf(text string, args int) matching {
	s, conditions := c.buildMatching()
	m := matching{random: isRandom(c.plugin.dialect.name, conditions)}
	_, joined := c.joinedTables()
	if !joined && strings.Count(text, "?") == args && strings.HasSuffix(text, conditions) && strings.Count(conditions, "?") == len(s.Vars) {
		m.text, m.vars = s.SQL.String(), len(s.Vars)
	}
	return m
}

// isRandom reports whether conditions call a function that gives something else
// each time.
func isRandom(dialect, conditions string) bool {
	l := &lexer{dialect: dialect, text: conditions}
	last, ok := l.next()
	for ok {
		var t token
		if t, ok = l.next(); ok && t.kind == '(' && last.isOne([]string{"random", "rand", "randomblob", "gen_random_uuid", "uuid"}) {
			return true
		}
		last = t
	}
	return false
}

// selectMatching is readMatching by the very clauses that the statement was built
// from.
func (c *capture) selectMatching(ctx context.Context) ([]image, error) {
	s, _ := c.buildMatching()
	found, err := query(ctx, c.tx, c.layout, c.assigned, s.SQL.String(), s.Vars)
	if _, joined := c.joinedTables(); joined {
		found = once(found) // a row may be joined with several
	}
	return found, err
}

// buildMatching builds the SELECT. Conditions is the part of it that GORM has
// built the statement with.
func (c *capture) buildMatching() (s *gorm.Statement, conditions string) {
	stmt := c.db.Statement
	s = &gorm.Statement{
		DB: c.db, Clauses: stmt.Clauses, Table: stmt.Table, TableExpr: stmt.TableExpr, Schema: stmt.Schema,
		Context: stmt.Context, Model: stmt.Model, Dest: stmt.Dest, ReflectValue: stmt.ReflectValue,
	}
	s.SQL.Grow(400)
	d := c.plugin.dialect
	clauses := []string{"WHERE"} // most have neither order nor limit in an UPDATE or DELETE
	if d.name == "mysql" {
		clauses = []string{"WHERE", "ORDER BY", "LIMIT"}
	}
	lock := d.lock
	if c.kind == updating && !c.setsKey() {
		lock = d.lockForUpdate
	}
	from, joined := c.joinedTables()
	if joined {
		_, _ = s.WriteString("SELECT " + c.list() + " FROM ")
		s.WriteQuoted(clause.Table{Name: clause.CurrentTable})
		_ = s.WriteByte(',')
		from.Build(s)
		if lock != "" {
			lock += " OF " + d.quote(stmt.Table)
		}
	} else {
		_, _ = s.WriteString("SELECT " + c.list() + " FROM ")
		s.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	}
	_ = s.WriteByte(' ')
	head := s.SQL.Len()
	s.Build(clauses...)
	conditions = s.SQL.String()[head:]
	if d.name == "postgres" && !joined {
		// Two that lock the same rows must not wait for each other.
		_, _ = s.WriteString(" ORDER BY " + d.list(c.table.keys))
	}
	_, _ = s.WriteString(lock)
	return s, conditions
}
