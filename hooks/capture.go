package hooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
)

// capture stands in for the connection of one statement while GORM runs it.
// When GORM hands the finished SQL over, its conditions are final, with primary
// keys, soft delete, scopes and locks all merged: that is the moment to read
// the rows it is about to change.
//
// Everything the plugin runs itself goes to tx, the connection below GORM's
// cache of prepared statements, and so stays within the transaction, on the
// primary server, and out of GORM's hooks, scopes and log.
type capture struct {
	gorm.ConnPool            // the statement's own
	tx            audit.DBTX // what lies below it
	plugin        *Plugin
	db            *gorm.DB
	table         *table
	unit          *unit

	layout   *layout
	called   bool  // GORM has handed the statement over
	ran      bool  // it was run, and without an error
	recorded bool  // by the statement itself; see composed
	alone    bool  // in no transaction, as yet; see mayRunAlone
	lost     error // why it is not recorded; see spare
	kind     statementKind
	assigned assignments
	matching *matching // by which it was read before
	before   []image
	read     bool // the rows of a DELETE were read before it, even if there were none
	after    []image
	complete bool    // the statement itself gave its images: after, of a DELETE before
	joined   bool    // before and after are images of the same rows in order
	one      [1]pair // room for most

	// Of what deletes rows, and of an update of keys:
	catalogue *catalogue   // nil if no constraint matters
	followers []*dependent // that an update of keys has
	itself    bool         // rows of its own table may go with it, or follow it
	fallout   []*fallout

	// Of an INSERT:
	respelled []clause.Column // the names of its columns, if it writes them otherwise
	asks      bool            // for the keys of its rows; see makesKeys
	keys      [][]any         // of the rows that it has returned, if they are to be read again

	// Of an upsert:
	sets       [][]string // of columns on which it may hit a row
	meetsByKey bool       // or is to be refused; see checkMet
	versioned  bool       // see layout.isVersioned
	existed    bool       // whether the row at hand was there before
	found      []string   // keys of those that were
}

type statementKind uint8

const (
	inserting statementKind = iota + 1
	updating
	deleting
)

// Commit implements gorm.TxCommitter. Nobody commits here; but GORM begins no other
// transaction where one can be committed, and a callback of the application that sits
// between those of the plugin may write.
func (c *capture) Commit() error { return c.ConnPool.(gorm.TxCommitter).Commit() }

// Rollback implements gorm.TxCommitter.
func (c *capture) Rollback() error { return c.ConnPool.(gorm.TxCommitter).Rollback() }

// ExecContext implements gorm.ConnPool.
func (c *capture) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if !c.own() {
		return c.ConnPool.ExecContext(ctx, text, args...)
	}
	result, err := c.instead(ctx, text, args)
	if result != nil || err != nil {
		return result, err
	}
	result, err = c.ConnPool.ExecContext(ctx, text, args...)
	c.ran = err == nil
	return result, err
}

// instead does what has to be done before a statement runs, and runs it if it has
// a form by which the database gives its rows back. Else there is no result yet.
func (c *capture) instead(ctx context.Context, text string, args []any) (sql.Result, error) {
	askValues(args)
	if err := c.open(ctx, text); err != nil {
		return nil, err
	}
	if result, done, err := recordingItself(ctx, c, text, args, c.execComposed); done {
		return result, err
	}
	if text, ok := c.updateFrom(text); ok {
		return c.execUpdateFrom(ctx, text, args)
	}
	if err := c.prepare(ctx, text, args); err != nil {
		return nil, err
	}
	text, args, pinned := c.pinned(text, args)
	if c.canReturn() {
		return c.execReturning(ctx, text, args)
	}
	if !pinned {
		return nil, nil
	}
	result, err := c.tx.ExecContext(ctx, text, args...) // below GORM's cache of prepared statements
	c.ran = err == nil
	return result, err
}

// QueryContext implements gorm.ConnPool: GORM asks for columns back, so the new
// images can be read only after it has scanned them.
func (c *capture) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if !c.own() {
		return c.ConnPool.QueryContext(ctx, text, args...)
	}
	rows, err := c.insteadRows(ctx, text, args)
	if rows != nil || err != nil {
		return rows, err
	}
	rows, err = c.ConnPool.QueryContext(ctx, text, args...)
	c.ran = err == nil
	return rows, err
}

// insteadRows is instead for a statement that returns rows to GORM.
func (c *capture) insteadRows(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	askValues(args)
	if err := c.open(ctx, text); err != nil {
		return nil, err
	}
	if rows, done, err := recordingItself(ctx, c, text, args, c.queryComposed); done {
		return rows, err
	}
	if err := c.prepare(ctx, text, args); err != nil {
		return nil, err
	}
	if c.kind == inserting && c.wantsRows() && !c.mayReplace() {
		return c.insertReturning(ctx, text, args)
	}
	text, args, pinned := c.pinned(text, args)
	if !pinned {
		return nil, nil
	}
	rows, err := c.tx.QueryContext(ctx, text, args...)
	c.ran = err == nil
	return rows, err
}

// own reports whether GORM is running the statement itself. A callback of the
// application that sits between those of the plugin may run others on the
// connection that it finds.
func (c *capture) own() bool {
	if c.called || c.db.Statement.SQL.Len() == 0 {
		return false
	}
	c.called = true
	return true
}

// open finds out what the statement is going to do.
func (c *capture) open(ctx context.Context, text string) (err error) {
	defer recovered(&err)
	if err := c.plugin.prove(ctx, c.tx); err != nil {
		return failed(err)
	}
	c.kind = kindOfStatement(text)
	if name := c.plugin.names.Load().misnamed(c.db.Statement, c.kind); name != "" {
		return failed(fmt.Errorf("a statement of table %q in which a clause names table %q cannot be recorded; name the table by db.Table", c.db.Statement.Table, name))
	}
	c.plugin.claim(ctx, c.tx, c.table.name)
	if c.layout, err = c.table.load(ctx, c.plugin, c.tx); err != nil {
		return err
	}
	switch c.kind {
	case inserting:
		c.assigned.all = true
	case updating:
		if joinsTables(c.db.Statement) {
			return failed(fmt.Errorf("an UPDATE of several tables, %q among them, cannot be recorded; update them one by one", c.table.name))
		}
		set, _ := c.db.Statement.Clauses["SET"].Expression.(clause.Set) // GORM drops it afterwards
		c.assigned = assignments{all: set == nil, set: set}
	case deleting:
	default:
		return failed(fmt.Errorf("a statement on table %q is neither INSERT, UPDATE nor DELETE", c.table.name))
	}
	if c.assignsUnknown() {
		c.table.forget()
		if c.layout, err = c.table.load(ctx, c.plugin, c.tx); err != nil {
			return err
		}
	}
	c.respell()
	if c.kind == updating {
		return c.findFollowers(ctx)
	}
	return nil
}

// prepare reads what has to be known before the statement runs. Where that takes
// the statement's own conditions, what is wrong with these shows here first, and
// the error is the statement's.
func (c *capture) prepare(ctx context.Context, text string, args []any) (err error) {
	defer recovered(&err)
	switch c.kind {
	case inserting:
		c.asks = c.makesKeys()
		if c.mayConflict() {
			if err := c.checkKeys(); err != nil {
				return failed(err)
			}
			if c.versioned, err = c.layout.isVersioned(ctx, c.tx); err == nil {
				c.before, err = c.selectConflicting(ctx)
			}
			if err == nil && c.meetsByKey && len(c.before) > 0 {
				err = c.checkMet(ctx)
			}
			if err == nil && c.mayReplace() && len(c.before) > 0 {
				err = c.readReplaced(ctx)
			}
			err = ours(err)
		}
	case updating:
		if c.before, err = c.readMatching(ctx, text, args); err != nil {
			return err
		}
		c.fallout, err = c.readFollowers(ctx, c.before)
		err = ours(err)
	case deleting:
		if c.returnsOnExec() && !c.hasDependents() && !c.wantsRows() {
			return nil
		}
		if c.before, err = c.readMatching(ctx, text, args); err != nil {
			return err
		}
		c.read = true
		c.fallout, err = c.readFallout(ctx, c.before)
		err = ours(err)
	}
	return err
}

// kindOfStatement reads the first word of a statement, passing over comments.
func kindOfStatement(text string) statementKind {
	text = strings.TrimLeft(text, " \t\r\n(")
	for strings.HasPrefix(text, "/*") {
		_, rest, found := strings.Cut(text, "*/")
		if !found {
			return 0
		}
		text = strings.TrimLeft(rest, " \t\r\n")
	}
	word := text[:min(len(text), 7)]
	switch {
	case len(word) >= 6 && strings.EqualFold(word[:6], "INSERT"), strings.EqualFold(word, "REPLACE"):
		return inserting
	case len(word) >= 6 && strings.EqualFold(word[:6], "UPDATE"):
		return updating
	case len(word) >= 6 && strings.EqualFold(word[:6], "DELETE"):
		return deleting
	}
	return 0
}

// wantsRows reports whether the application asked for columns back.
func (c *capture) wantsRows() bool {
	_, ok := c.db.Statement.Clauses["RETURNING"]
	return ok
}

// returnsOnExec reports whether the database gives the rows of the statement
// back if asked to.
func (c *capture) returnsOnExec() bool {
	d := c.plugin.dialect
	switch c.kind {
	case inserting:
		return d.returnsInsert
	case updating:
		return d.returnsUpdate
	}
	return d.returnsDelete
}

// canReturn reports whether the statement at hand, which asks for no rows, may
// be made to return its rows to us.
func (c *capture) canReturn() bool {
	if c.asks {
		return true
	}
	if !c.returnsOnExec() {
		return c.kind == updating && c.plugin.dialect.name == "sqlite" && c.setsKey() && (len(c.before) > 1 || c.computesKey())
	}
	switch c.kind {
	case inserting:
		// GORM asks a result for LastInsertId if the database makes the key.
		s := c.db.Statement.Schema
		return (!c.mayConflict() || c.tellsExisting()) && (s == nil && c.plugin.dialect.name == "postgres" ||
			s != nil && (s.PrioritizedPrimaryField == nil || !s.PrioritizedPrimaryField.HasDefaultValue))
	case deleting:
		return len(c.fallout) == 0 && !c.itself // MariaDB returns no row that a constraint has removed before its turn
	}
	return true
}

// execReturning runs the statement with a list of columns to return, reads the
// images from it, and tells GORM how many rows there were. The list begins a line of
// its own, here and wherever something follows an application's conditions: these may
// end in a comment.
func (c *capture) execReturning(ctx context.Context, text string, args []any) (_ sql.Result, err error) {
	defer recovered(&err)
	if c.kind == inserting {
		r := c.layout.reader(c.assigned)
		defer r.release()
		err = scanRows(ctx, c.tx, text+"\nRETURNING "+c.returned(), args, func() { c.addReturned(r.image()) }, r, c.existedDest()...)
		if err == nil && c.asks {
			return c.inserted(ctx)
		}
	} else {
		var images []image
		images, err = query(ctx, c.tx, c.layout, c.assigned, text+"\nRETURNING "+c.list(), args)
		if c.kind == deleting {
			if err == nil && c.read && !sameRows(c.before, images) { // what else goes with them was not read
				return nil, failed(errRowsMoved(c.table.name))
			}
			c.before = images
		} else {
			c.after = images
		}
	}
	if err != nil {
		return nil, err
	}
	c.ran, c.complete = true, true
	if c.kind == deleting {
		return affected(len(c.before)), nil
	}
	return affected(len(c.after)), nil
}

// sameRows reports whether two lists are of the same rows, in whatever order.
func sameRows(a, b []image) bool {
	of := keysOf(a)
	return len(a) == len(b) && !slices.ContainsFunc(b, func(row image) bool { return !of[row.key] })
}

// affected is the result of a statement that was run for its rows.
type affected int64

func (n affected) RowsAffected() (int64, error) { return int64(n), nil }

func (n affected) LastInsertId() (int64, error) {
	return 0, errors.New("audit: the statement has no LastInsertId")
}

// joinedTables are the further tables that an UPDATE ... FROM joins.
func (c *capture) joinedTables() (clause.From, bool) {
	from, ok := c.db.Statement.Clauses["FROM"].Expression.(clause.From)
	return from, ok && c.kind == updating && len(from.Tables) > 0 && c.plugin.dialect.name != "mysql"
}

// list is the columns that the statement's images are made of.
func (c *capture) list() string {
	t := c.layout.textsFor(c.assigned)
	if _, joined := c.joinedTables(); !joined {
		return t.list
	}
	if name := c.db.Statement.Table; name != c.layout.table {
		return c.layout.qualified(c.layout.mask(c.assigned), name) // an alias
	}
	return t.qualified
}

// setsKey reports whether an UPDATE assigns a column of the primary key.
func (c *capture) setsKey() bool {
	return slices.ContainsFunc(c.assigned.set, func(a clause.Assignment) bool { return slices.Contains(c.table.keys, a.Column.Name) })
}

// computesKey reports whether an UPDATE has the database compute a column of the
// primary key.
func (c *capture) computesKey() bool {
	return slices.ContainsFunc(c.assigned.set, func(a clause.Assignment) bool {
		return slices.Contains(c.table.keys, a.Column.Name) && !isPlain(a.Value)
	})
}

// assignments are the columns that a statement sets: all if they are not known.
// The zero value is none.
type assignments struct {
	all bool
	set clause.Set
}

func (a assignments) has(column string) bool {
	if a.all {
		return true
	}
	for i := range a.set {
		if a.set[i].Column.Name == column {
			return true
		}
	}
	return false
}

// captureOf finds the capture in the place of a statement's connection.
func captureOf(pool gorm.ConnPool) (*capture, bool) {
	switch p := pool.(type) {
	case untransacted:
		return captureOf(p.ConnPool)
	case *spared:
		return p.capture, true
	case *capture:
		return p, true
	}
	return nil, false
}
