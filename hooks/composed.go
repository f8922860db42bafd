package hooks

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
)

// On PostgreSQL a statement on one row records itself where nothing has to pass
// through Go in between: the row, its event and the answer to the application
// take one round trip.
//
//	WITH audit_row AS (the statement RETURNING its columns, old and new),
//	audit_event AS (SELECT what the event says FROM audit_row),
//	audit_written AS (INSERT INTO the events SELECT ... FROM audit_event)
//	SELECT ... FROM audit_event
//
// Everything else is left to the other forms: rows that may be several, labels of
// foreign keys, cascades, types of which PostgreSQL and Go might write different
// JSON, and gates that have to know the row. What only the values show, such as a
// text that has to be shortened, makes the row doubtful: no event is written, and
// the answer holds its images, from which Go makes the event as always.

// composed are the forms of a table's statements, by their text, which says
// whether one row is meant and which columns are assigned.
type composed struct {
	fits  atomic.Int32 // of tableFits: whether the table is one
	forms sync.Map     // string to string, which is empty if there is no such form
	count atomic.Int32
}

const (
	tableFits    = 1
	tableMisfits = 2
)

// maxComposed bounds the forms that are kept: texts with values in them are
// different each time.
const maxComposed = 500

// composable reports whether a statement could be composed, as far as that does
// not depend on its text.
func (c *capture) composable(ctx context.Context) bool {
	p, e, stmt := c.plugin, c.table.entity, c.db.Statement
	if p.composer == nil || p.spares || e == nil || len(e.joins) > 0 ||
		c.unit.owner != stmt || len(c.unit.events) > 0 || stmt.TableExpr != nil || stmt.Table != c.layout.table {
		return false
	}
	switch c.kind {
	case inserting:
		if len(e.references) > 0 || c.mayConflict() || len(c.values().Values) != 1 || c.wantsRows() && c.returning() == "" {
			return false
		}
	case updating:
		if len(e.rules) > 0 || c.wantsRows() || c.set == nil || c.setsKey() || c.namesLabels() {
			return false
		}
	case deleting:
		if len(e.rules) > 0 || len(e.references) > 0 || c.wantsRows() || c.table.hasDependents() {
			return false
		}
	}
	return c.layout.fits(ctx, c.tx, c.plugin.dialect.quote(c.table.name))
}

// namesLabels reports whether the event of an UPDATE shows labels of foreign
// keys: of those it assigns, of all if it deletes or restores.
func (c *capture) namesLabels() bool {
	if c.layout.deleted >= 0 && c.assigned(c.layout.columns[c.layout.deleted].name) {
		return len(c.table.entity.references) > 0
	}
	return slices.ContainsFunc(c.table.entity.references, func(r reference) bool { return c.assigned(r.field) })
}

// fits reports whether PostgreSQL can compose statements on the table and writes
// the same JSON for its columns as Go does.
func (l *layout) fits(ctx context.Context, tx audit.DBTX, table string) bool {
	switch l.composed.fits.Load() {
	case tableFits:
		return true
	case tableMisfits:
		return false
	}
	ok := true
	for i := range l.columns {
		c := &l.columns[i]
		_, can := c.jsonSQL("x")
		ok = ok && (can || c.redacted || !c.audited)
	}
	for _, i := range append([]int{l.workspace, l.owner, l.label}, l.keys...) {
		if i >= 0 {
			_, can := l.columns[i].plainSQL("x")
			ok = ok && can
		}
	}
	if l.deleted >= 0 {
		_, can := l.columns[l.deleted].deletedSQL("x")
		ok = ok && can
	}
	if ok {
		const plainTable = "SELECT relkind IN ('r','p') AND NOT relhasrules AND getdatabaseencoding()='UTF8' FROM pg_class WHERE oid=to_regclass($1)"
		if err := tx.QueryRowContext(ctx, plainTable, table).Scan(&ok); err != nil {
			return false // what is wrong shows in another form
		}
	}
	if ok {
		l.composed.fits.Store(tableFits)
	} else {
		l.composed.fits.Store(tableMisfits)
	}
	return ok
}

// returning are the columns that GORM wants back; empty if it does not name them.
func (c *capture) returning() string {
	r, _ := c.db.Statement.Clauses["RETURNING"].Expression.(clause.Returning)
	names := make([]string, len(r.Columns))
	for i, column := range r.Columns {
		names[i] = c.plugin.dialect.quote(column.Name)
		if column.Name == "" || column.Raw || column.Alias != "" || column.Table != "" {
			return ""
		}
	}
	return strings.Join(names, ",")
}

// compose returns the form of a statement that records itself and its
// variables; an empty text if there is none.
func (c *capture) compose(ctx context.Context, text string, args []any) (_ string, _ []any, err error) {
	defer recovered(&err)
	if !c.composable(ctx) {
		return "", nil, nil
	}
	kept, known := c.layout.composed.forms.Load(text)
	if !known {
		kept = c.composeText(text, len(args))
		if c.layout.composed.count.Add(1) <= maxComposed {
			c.layout.composed.forms.Store(text, kept)
		}
	}
	if kept == "" {
		return "", nil, nil
	}
	more, err := c.composeArgs(ctx)
	if err != nil || more == nil {
		return "", nil, err
	}
	return kept.(string), slices.Concat(args, more), nil
}

// composeArgs are the variables that follow those of the statement; nil if the
// row has to be seen before it is known whether it is recorded.
func (c *capture) composeArgs(ctx context.Context) ([]any, error) {
	p, e := c.plugin, c.table.entity
	workspace, only := p.rec.ExpectedWorkspace(ctx)
	if p.rec.Gated() {
		if c.layout.workspace >= 0 && !only {
			return nil, nil
		}
		if on, err := c.unit.records(ctx, workspace, e.kind); err != nil || !on {
			return nil, err
		}
	}
	operation := audit.Updated
	if c.kind == inserting {
		operation = audit.Created
	}
	// What is not computed, as if the actor owned the record.
	actor, initiator := audit.ActorFrom(ctx), audit.InitiatorFrom(ctx)
	var self any
	for _, id := range [...]string{actor.ID, initiator.ID} {
		if audit.OwnershipFor(actor, initiator, id) == audit.OwnershipSelf {
			self = id
		}
	}
	event := [1]audit.Event{{Workspace: workspace, Operation: operation, Entity: audit.Entity{Type: e.kind, ID: "0"}}}
	if self != nil {
		event[0].Entity.Owner = self.(string)
	}
	if err := (&writer{unit: c.unit}).stamp(ctx, event[:]); err != nil {
		return nil, err
	}
	args, err := p.composer.ComposeArgs(event[0])
	if err != nil {
		return nil, err
	}
	var bound any
	if only {
		bound = workspace
	}
	return append([]any{workspace, bound, self, string(event[0].Origin), string(audit.OriginFrom(ctx))}, args...), nil
}

// pinsKey reports whether the conditions of a statement name one primary key.
func (c *capture) pinsKey() bool {
	where, _ := c.db.Statement.Clauses["WHERE"].Expression.(clause.Where)
	pinned := map[string]bool{}
	if !c.pins(where.Exprs, pinned) {
		return false
	}
	for _, k := range c.table.keys {
		if !pinned[k] {
			return false
		}
	}
	return true
}

// pins collects the key columns that conditions, joined by "and", set equal to
// one value. It reports false if there is an "or" among them.
func (c *capture) pins(conditions []clause.Expression, pinned map[string]bool) bool {
	pin := func(column any, value any) {
		if !isPlain(value) {
			return
		}
		switch v := column.(type) {
		case string:
			pinned[v] = true
		case clause.Column:
			switch v.Name {
			case clause.PrimaryKey:
				if s := c.db.Statement.Schema; s != nil && s.PrioritizedPrimaryField != nil {
					pinned[s.PrioritizedPrimaryField.DBName] = true
				}
			default:
				pinned[v.Name] = !v.Raw
			}
		}
	}
	for _, condition := range conditions {
		switch e := condition.(type) {
		case clause.OrConditions:
			return false
		case clause.AndConditions:
			if !c.pins(e.Exprs, pinned) {
				return false
			}
		case clause.Eq:
			pin(e.Column, e.Value)
		case clause.IN:
			if len(e.Values) == 1 {
				pin(e.Column, e.Values[0])
			}
		case clause.Expr:
			for _, k := range c.table.keys {
				if len(e.Vars) == 1 && c.isEquality(e.SQL, k) {
					pin(k, e.Vars[0])
				}
			}
		}
	}
	return true
}

// isEquality reports whether an application's condition is that a column equals
// a value.
func (c *capture) isEquality(condition, column string) bool {
	name, found := strings.CutSuffix(strings.ReplaceAll(condition, " ", ""), "=?")
	if !found {
		return false
	}
	name = strings.ReplaceAll(name, `"`, "")
	return name == column || name == c.layout.table+"."+column
}

// composedRow is the answer of a statement that records itself.
type composedRow struct {
	doubtful bool
	written  int // events
	images   []any
	old, new *reader
}

func (c *capture) newComposedRow() *composedRow {
	r := &composedRow{old: newReader(c.layout, c.assigned), new: newReader(c.layout, c.assigned)}
	if c.kind != inserting {
		r.images = append(r.images, r.old.dest...)
	}
	if c.kind != deleting {
		r.images = append(r.images, r.new.dest...)
	}
	return r
}

// nothing takes a value that is not needed.
type nothing struct{}

func (nothing) Scan(any) error { return nil }

// dest is where the answer is scanned: its images only when it is doubtful.
func (r *composedRow) dest() []any {
	dest := []any{&r.doubtful, &r.written}
	for range r.images {
		dest = append(dest, nothing{})
	}
	return dest
}

// take takes the row at hand in. What comes before it goes to theirs.
func (r *composedRow) take(c *capture, rows *sql.Rows, theirs []any) error {
	dest := append(slices.Clone(theirs), r.dest()...)
	if err := rows.Scan(dest...); err != nil || !r.doubtful {
		return err
	}
	r.old.reset()
	r.new.reset()
	if err := rows.Scan(slices.Concat(theirs, []any{nothing{}, nothing{}}, r.images)...); err != nil {
		return err
	}
	if c.kind != inserting {
		c.before = append(c.before, r.old.image())
	}
	if c.kind != deleting {
		c.after = append(c.after, r.new.image())
	}
	return nil
}

// settled says what is left to do once the answer is read.
func (c *capture) settled(r *composedRow) {
	c.ran, c.recorded = true, !r.doubtful
	c.complete, c.joined = true, c.kind == updating
	c.plugin.rec.Count(r.written)
}

// execComposed runs a statement of which GORM wants no rows.
func (c *capture) execComposed(ctx context.Context, text string, args []any) (_ sql.Result, err error) {
	defer recovered(&err)
	rows, err := c.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, c.composedError(err)
	}
	defer rows.Close()
	r, n := c.newComposedRow(), 0
	for ; rows.Next(); n++ {
		if err := r.take(c, rows, nil); err != nil {
			return nil, failed(err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, c.composedError(err)
	}
	c.settled(r)
	return affected(n), nil
}

// queryComposed runs an INSERT of which GORM wants columns back.
func (c *capture) queryComposed(ctx context.Context, text string, args []any) (_ *sql.Rows, err error) {
	defer recovered(&err)
	rows, err := c.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, c.composedError(err)
	}
	defer rows.Close()
	r := c.newComposedRow()
	theirs, err := newTee(rows, len(r.dest()))
	if err != nil {
		return nil, failed(err)
	}
	for rows.Next() {
		if err := r.take(c, rows, theirs.dest); err != nil {
			return nil, failed(err)
		}
		theirs.keep()
	}
	if theirs.err = rows.Err(); theirs.err != nil {
		return theirs.open() //nolint:sqlclosecheck // GORM closes what it asked for
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	c.settled(r)
	return theirs.open() //nolint:sqlclosecheck // GORM closes what it asked for
}

// composedError tells an error of recording from one of the statement.
func (c *capture) composedError(err error) error {
	if ours := c.plugin.composer.ComposedError(err); ours != nil {
		return failed(ours)
	}
	return err
}
