package hooks

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// matching is the SELECT of the rows that an UPDATE or DELETE is going to change.
type matching struct {
	text   string
	vars   int    // how many of the last variables of the statement are its own
	random bool   // it would find others than the statement
	fickle bool   // it might: the statement is to be pinned
	tail   string // what the statement ends in, from its conditions on
	rest   string // of that, behind the conditions
	behind int    // how many variables that has
}

// readMatching reads, and locks, the rows that the statement at hand is going to
// change. Most end in the conditions of that SELECT. All of one text do so then,
// and the SELECT need not be built for each.
func (c *capture) readMatching(ctx context.Context, text string, args []any) ([]image, error) {
	m := c.layout.textsFor(c.assigned).matching.of(text, func() *matching { return c.matchingOf(text, len(args)) })
	if m.random {
		return nil, failed(fmt.Errorf("the conditions of a statement on table %q are random, so it would change other rows than were read before; read their keys first and name these", c.table.name))
	}
	c.matching = m
	if m.text == "" {
		return c.selectMatching(ctx)
	}
	return query(ctx, c.tx, c.layout, c.assigned, m.text, args[len(args)-m.vars:])
}

// matchingOf makes the SELECT for statements of a text; none if it is not sure
// which of their variables are those of the conditions.
func (c *capture) matchingOf(text string, args int) *matching {
	s, conditions := c.buildMatching()
	d := c.plugin.dialect
	m := &matching{random: isRandom(d.name, conditions), vars: len(s.Vars)}
	returning, _ := c.clauses("RETURNING")
	tail := strings.TrimRight(conditions+" "+returning, " ")
	if _, joined := c.joinedTables(); joined || !strings.HasSuffix(text, tail) {
		return m
	}
	if strings.Count(text, "?") == args && strings.Count(tail, "?") == len(s.Vars) {
		m.text = s.SQL.String()
	}
	rest, vars := returning, 0
	if d.name == "mysql" {
		rest, vars = c.clauses("ORDER BY", "LIMIT", "RETURNING")
	}
	_, limited := c.db.Statement.Clauses["LIMIT"]
	m.fickle = d.name != "sqlite" && (limited || mentions(d.name, conditions, "SELECT"))
	m.tail, m.rest, m.behind = tail, rest, vars
	return m
}

// clauses is what GORM makes of some clauses of the statement, and how many variables
// these have.
func (c *capture) clauses(names ...string) (string, int) {
	stmt := c.db.Statement
	s := &gorm.Statement{DB: c.db, Clauses: stmt.Clauses, Table: stmt.Table, TableExpr: stmt.TableExpr, Schema: stmt.Schema, Context: stmt.Context}
	s.Build(names...)
	return s.SQL.String(), len(s.Vars)
}

// mentions reports whether SQL has a word.
func mentions(dialect, text, word string) bool {
	l := &lexer{dialect: dialect, text: text}
	for t, ok := l.next(); ok; t, ok = l.next() {
		if t.is(word) {
			return true
		}
	}
	return false
}

// maxPinned bounds the keys that stand in place of conditions: databases take some
// ten thousand variables.
const maxPinned = 20000

// pinned is a statement with the keys of the rows that were read, and locked, in place
// of its conditions, if by these the database might choose others when it is asked
// again: with a LIMIT it takes rows as it finds them, and a subquery may pass over
// what somebody has locked.
func (c *capture) pinned(text string, args []any) (string, []any, bool) {
	m, n := c.matching, len(c.before)*len(c.table.keys)
	if m == nil || !m.fickle || n == 0 || n > maxPinned {
		return text, args, false
	}
	head := args[:len(args)-m.vars]
	values := make([][]any, len(c.before))
	for i := range c.before {
		values[i] = c.before[i].args
	}
	condition, keys := c.plugin.dialect.in(c.layout.keyNames, values, len(head))
	behind := args[len(args)-m.behind:]
	return strings.TrimSuffix(text, m.tail) + "WHERE " + condition + " " + m.rest, slices.Concat(head, keys, behind), true
}

// updateLock follows the SELECT of the rows of an UPDATE. PostgreSQL locks a row more
// strictly if a unique column gets another value, and who has locked it less must not
// ask for more then. Save, and other structs, assign all that they have, the same as
// a rule.
func (c *capture) updateLock() string {
	d, changes := c.plugin.dialect, func(columns []string) bool { return slices.ContainsFunc(columns, c.assigned.has) }
	named := reflect.Indirect(reflect.ValueOf(c.db.Statement.Dest)).Kind() == reflect.Map
	if c.setsKey() || named && slices.ContainsFunc(c.table.unique, changes) {
		return d.lock
	}
	return d.lockForUpdate
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
	if c.kind == updating {
		lock = c.updateLock()
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
		_, _ = s.WriteString("\nORDER BY " + d.list(c.table.keys))
	}
	_, _ = s.WriteString("\n" + lock)
	return s, conditions
}
