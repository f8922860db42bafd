package hooks

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
)

// On PostgreSQL a statement on one row records itself where nothing has to pass
// through Go in between: the row, its event and the answer to the application
// take one round trip.
//
//	WITH audit_row AS (the statement RETURNING its columns, old and new, and what the event says),
//	audit_event AS (SELECT that, and whether it is in doubt, FROM audit_row),
//	audit_written AS (INSERT INTO the events SELECT ... FROM audit_event)
//	SELECT ... FROM audit_event
//
// Everything else is left to the other forms: rows that may be several, labels of
// foreign keys, cascades, types of which PostgreSQL and Go might write different
// JSON, and gates that have to know the row. What only the values show, such as a
// text that has to be shortened, makes the row doubtful: no event is written, and
// the answer holds its images, from which Go makes the event as always.
//
// The event's time is taken before the row is locked, while the other forms take
// it afterwards, so that a record's events are in the order of its changes. Hence
// a row is doubtful, too, if somebody changed it meanwhile: if its version was not
// there when the statement began, or if it has an event that is not older. Keys
// that can be used again after a row was deleted are left to the other forms.

// composed are the forms of a table's statements, by their text, which says
// whether one row is meant and which columns are assigned.
type composed struct {
	fits  atomic.Int32 // of tableFits: whether the table is one
	forms kept[string] // empty if there is no such form
	alone kept[string] // the same for statements that are in no transaction
	rows  sync.Pool    // of *composedRow
}

const (
	tableFits    = 1
	tableMisfits = 2
)

// composable reports whether a statement could be composed, as far as that does
// not depend on its text.
func (c *capture) composable(ctx context.Context) bool {
	p, e, stmt := c.plugin, c.table.entity, c.db.Statement
	if p.composer == nil || p.bestEffort || c.layout.clashes || e == nil || len(e.joins) > 0 ||
		c.unit.owner != stmt || len(c.unit.events) > 0 || stmt.TableExpr != nil || stmt.Table != c.layout.table {
		return false
	}
	switch c.kind {
	case inserting:
		if len(e.references) > 0 || c.mayConflict() || !c.isNew() || c.wantsRows() && c.returning() == "" {
			return false
		}
	case updating:
		if len(e.rules) > 0 || c.wantsRows() || c.assigned.set == nil || c.setsKey() || len(c.followers) > 0 || c.namesLabels() {
			return false
		}
	case deleting:
		if len(e.rules) > 0 || len(e.references) > 0 || c.wantsRows() || c.hasDependents() {
			return false
		}
	}
	return c.layout.fits(ctx, c.tx, c.table.name)
}

// isNew reports whether an INSERT is of one row whose key no other row ever had:
// a UUID, or one that the database makes.
func (c *capture) isNew() bool {
	v := c.values()
	if len(v.Values) != 1 || len(c.table.keys) != 1 {
		return false
	}
	at := places(v, c.table.keys)
	if at == nil {
		return true
	}
	switch key := v.Values[0][at[0]].(type) {
	case uuid.UUID, *uuid.UUID:
		return true
	case string:
		return len(key) == 36 && uuid.Validate(key) == nil
	}
	return false
}

// namesLabels reports whether the event of an UPDATE shows labels of foreign
// keys: of those it assigns, of all if it deletes or restores.
func (c *capture) namesLabels() bool {
	if c.layout.deleted >= 0 && c.assigned.has(c.layout.columns[c.layout.deleted].name) {
		return len(c.table.entity.references) > 0
	}
	return slices.ContainsFunc(c.table.entity.references, func(r reference) bool { return c.assigned.has(r.field) })
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
			ok = ok && can && !(l.columns[i].key && l.columns[i].redacted) // whose digest is taken
		}
	}
	if l.deleted >= 0 {
		_, can := l.columns[l.deleted].deletedSQL("x")
		ok = ok && can && l.alive == nil
	}
	if ok {
		// Texts of a collation that is not deterministic compare as equal though
		// they are not. Rows have versions for those who may read the table, and one
		// row has a key if there is an index that says so.
		const plainTable = "SELECT relkind IN ('r','p') AND NOT relhasrules AND getdatabaseencoding()='UTF8' AND NOT EXISTS (SELECT 1 FROM pg_attribute a" +
			" JOIN pg_collation o ON o.oid=a.attcollation WHERE a.attrelid=c.oid AND a.attnum>0 AND to_jsonb(o)->>'collisdeterministic'='false')" +
			" AND has_table_privilege(oid,'SELECT') AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent=c.oid AND relkind='r')" +
			" AND EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid=c.oid AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL AND indnkeyatts=array_length($2::text[],1)" +
			" AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid=c.oid AND a.attnum=ANY(i.indkey[0:indnkeyatts-1]) AND a.attname::text<>ALL($2::text[])))" +
			" FROM pg_class c WHERE oid=to_regclass($1)"
		if err := tx.QueryRowContext(ctx, plainTable, l.dialect.quote(table), arraySQL(l.keyNames)).Scan(&ok); err != nil {
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
		if column.Name == "" || column.Raw || column.Alias != "" || column.Table != "" ||
			strings.Contains(column.Name, ".") || slices.Contains(names[:i], names[i]) {
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
	forms := &c.layout.composed.forms
	if c.alone {
		forms = &c.layout.composed.alone
	}
	form := forms.of(text, func() string { return c.composeText(text, len(args)) })
	if form == "" {
		return "", nil, nil
	}
	const stored = 25 // about as many as the store has
	more, err := c.composeArgs(ctx, append(make([]any, 0, len(args)+ownVariables+stored), args...))
	if err != nil || more == nil {
		return "", nil, err
	}
	return form, more, nil
}

// composeArgs adds its variables to those of the statement; nil if the row has to
// be seen before it is known whether it is recorded.
func (c *capture) composeArgs(ctx context.Context, args []any) ([]any, error) {
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
	self, owns := "", false
	for _, id := range [...]string{actor.ID, initiator.ID} {
		if audit.OwnershipFor(actor, initiator, id) == audit.OwnershipSelf {
			self, owns = id, true
		}
	}
	events := []audit.Event{{Workspace: workspace, Operation: operation, Entity: audit.Entity{Type: e.kind, ID: "0", Owner: self}}}
	event := &events[0]
	if err := (&writer{unit: c.unit}).stamp(ctx, events); err != nil {
		return nil, err
	}
	// The variables are as they are stored, of which stamping sees to it.
	var bound, owner any
	if only {
		bound = event.Workspace
	}
	if owns {
		owner = event.Entity.Owner
	}
	origin := audit.OriginFrom(ctx)
	if origin != "" {
		origin = event.Origin
	}
	args = append(args, event.Workspace, bound, owner, string(event.Origin), string(origin), event.Time.UnixMicro())
	return p.composer.ComposeArgs(args, *event)
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
	capture  *capture
	doubtful bool
	eventful bool  // something is recorded
	dest     []any // where the answer is scanned, after what GORM wants
	theirs   int   // how much that is
}

// newComposedRow makes room for an answer, which has images only if it is
// doubtful. It is to be released.
func (c *capture) newComposedRow(images int) *composedRow {
	r, ok := c.layout.composed.rows.Get().(*composedRow)
	if !ok {
		r = &composedRow{}
	}
	r.capture = c
	r.dest = append(slices.Grow(r.dest, images+2), &r.doubtful, &r.eventful)
	for range images {
		r.dest = append(r.dest, nothing{})
	}
	return r
}

// release lets the room be used again.
func (r *composedRow) release() {
	dest, rows := r.dest, &r.capture.layout.composed.rows
	clear(dest)
	*r = composedRow{dest: dest[:0]}
	rows.Put(r)
}

// after puts what GORM wants before the rest.
func (r *composedRow) after(theirs []any) {
	r.theirs, r.dest = len(theirs), slices.Concat(theirs, r.dest)
}

// take takes the row at hand in.
func (r *composedRow) take(rows *sql.Rows) error {
	if err := rows.Scan(r.dest...); err != nil || !r.doubtful {
		return err
	}
	c := r.capture
	was, is := c.layout.reader(c.assigned), c.layout.reader(c.assigned)
	defer was.release()
	defer is.release()
	was.reset()
	is.reset()
	dest := slices.Clone(r.dest[:r.theirs+2])
	if c.kind != inserting {
		dest = append(dest, was.dest...)
	}
	if c.kind != deleting {
		dest = append(dest, is.dest...)
	}
	if err := rows.Scan(dest...); err != nil {
		return err
	}
	if c.kind != inserting {
		c.before = append(c.before, was.image())
	}
	if c.kind != deleting {
		c.after = append(c.after, is.image())
	}
	return nil
}

// images is the number of values in the images of a row, of which a statement on its
// own returns none.
func (c *capture) images() int {
	if c.alone {
		return 0
	}
	n := len(c.layout.columns)
	for i := range c.layout.columns {
		if c.layout.columns[i].wide {
			n++
		}
	}
	if c.kind == updating {
		n *= 2
	}
	return n
}

// settled says what is left to do once the answer is read.
func (c *capture) settled(r *composedRow) {
	c.ran, c.recorded = true, !r.doubtful
	c.complete, c.joined = true, c.kind == updating
	if r.eventful && c.recorded {
		c.plugin.rec.Count(1)
	}
}

// execComposed runs a statement of which GORM wants no rows.
func (c *capture) execComposed(ctx context.Context, text string, args []any) (_ sql.Result, err error) {
	defer recovered(&err)
	rows, err := c.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, c.composedError(err)
	}
	defer rows.Close()
	r, n := c.newComposedRow(c.images()), 0
	defer r.release()
	for ; rows.Next(); n++ {
		if err := r.take(rows); err != nil {
			return nil, failed(err)
		}
	}
	if err := rows.Err(); err != nil { // they are closed behind the last one
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
	r := c.newComposedRow(c.images())
	defer r.release()
	theirs, err := newTee(rows, len(r.dest))
	if err != nil {
		return nil, failed(err)
	}
	r.after(theirs.dest)
	for rows.Next() {
		if err := r.take(rows); err != nil {
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
	if c.alone && isDoubtful(err) {
		return errDoubtful
	}
	if ours := c.plugin.composer.ComposedError(err); ours != nil {
		return failed(ours)
	}
	return err
}
