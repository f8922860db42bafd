package hooks

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// RawPolicy says what becomes of SQL that an application writes itself and gives
// to GORM, by db.Exec, db.Raw or gorm.G's Exec and Raw, if it writes to a table
// that is recorded. Such SQL has no model, so the plugin cannot tell which
// rows it changes. [Exec] runs it so that it can.
type RawPolicy uint8

const (
	// RecordRaw, the default, runs the SQL and leaves one event for each table
	// that it wrote to: that a statement was [Executed] on it, which verb it
	// was, and how many rows it affected. The text and its values are never
	// recorded. It is the default because it breaks nothing, and no change
	// is lost without a trace.
	RecordRaw RawPolicy = iota
	// AllowRaw runs the SQL and leaves no event.
	AllowRaw
	// RefuseRaw does not run the SQL; the call fails with [ErrRawSQL].
	RefuseRaw
)

// String is record, allow or refuse.
func (p RawPolicy) String() string {
	switch p {
	case RecordRaw:
		return "record"
	case AllowRaw:
		return "allow"
	case RefuseRaw:
		return "refuse"
	}
	return fmt.Sprintf("RawPolicy(%d)", uint8(p))
}

// Executed is the operation of an event that tells of raw SQL; see [RecordRaw].
// The id of its entity is [AnyRecord].
const Executed audit.Operation = "executed"

// AnyRecord is the entity id of an event that tells of a table and not of one
// record.
const AnyRecord = "*"

// ErrRawSQL is returned for raw SQL on a recorded table under [RefuseRaw].
var ErrRawSQL = errors.New("audit: raw SQL on a recorded table is refused")

// RawSQL sets what becomes of raw SQL that writes to a recorded table, which is
// [RecordRaw] without it.
//
// The tables are found by the words of the SQL; see [RecordRaw] for the event.
// An event and its change are committed together: outside of a transaction the
// plugin opens one, except on a connection that db.Connection gave out, for several
// statements of which one begins or ends a transaction or is a PRAGMA, whose event
// is written after them, and except for db.Raw with Scan, Row or Rows, whose rows the application reads
// after the callback: there the event is written first, so that one may
// tell of a statement that failed. A deletion that the database follows up in
// recorded tables by its constraints leaves an event for each of them too.
//
// What does not pass through GORM, what functions, procedures and triggers of the
// database do, and statements prepared by PREPARE are not seen. A statement that
// joins several tables and does not say whose columns it sets counts for all
// of them.
func RawSQL(p RawPolicy) Option {
	return func(s *settings) error {
		if p > RefuseRaw {
			return fmt.Errorf("audit: hooks.RawSQL got %s; use RecordRaw, AllowRaw or RefuseRaw", p)
		}
		s.raw = p
		return nil
	}
}

// rawRun is what there is to do when raw SQL has run.
type rawRun struct {
	found    []execution     // to be recorded
	steps    []savepointStep // that it takes
	migrates bool
}

// running keeps the rawRun of a statement.
const running = "audit:raw"

// raw watches the SQL that GORM runs as it is given; that of other queries it has
// not made yet. What is pending is written before a savepoint is set, so that going
// back to it takes away exactly what came after it. What changes a table makes its
// columns be looked up anew. What writes to a recorded one is treated by the policy.
func (p *Plugin) raw(treat func(db *gorm.DB) []execution) func(db *gorm.DB) {
	return func(db *gorm.DB) {
		if db.Error != nil || db.DryRun || db.Statement.SQL.Len() == 0 {
			return
		}
		text := db.Statement.SQL.String()
		run := rawRun{steps: savepointSteps(p.dialect.name, text)}
		for _, step := range run.steps {
			tx := connection(db.Statement.ConnPool)
			run.migrates = run.migrates || step.kind != setSavepoint && p.migrations.has(tx)
			u := unitFrom(db.Statement.Context, tx)
			switch {
			case u == nil:
			case step.kind == setSavepoint:
				p.flush(db.Statement.Context, db, u)
			case step.kind == rollbackToSavepoint, step.kind == rollbackAll:
				u.drop()
			}
		}
		run.found = treat(db)
		if changesTables(p.dialect.name, text) {
			p.forgetTables()
			if p.dialect.name != "mysql" { // which commits before and after it
				p.migrations.add(connection(db.Statement.ConnPool))
			}
			run.migrates = true
		}
		if run.migrates || len(run.found) > 0 || len(run.steps) > 0 {
			note(db, running, run)
		}
	}
}

// execution is what a statement of raw SQL did to one recorded table.
type execution struct {
	entity *entity
	write  written
	alone  bool // it is all that the statement does itself
	counts bool // the statement's rows are this table's
}

// executions finds the recorded tables that a raw statement writes to.
func (p *Plugin) executions(db *gorm.DB) ([]execution, error) {
	if p.policy == AllowRaw || db.Error != nil || db.DryRun || db.Statement.SQL.Len() == 0 {
		return nil, nil
	}
	writes := writesOf(p.dialect.name, db.Statement.SQL.String())
	var found []execution
	add := func(t *table, w written, own bool) {
		alone := len(writes) == 1 && w.main
		e := t.entity
		if t.join != nil {
			e = t.join.owner
		}
		same := func(x execution) bool { return x.entity == e && x.write.verb == w.verb && x.write.table == w.table }
		if !t.bystander && !slices.ContainsFunc(found, same) {
			found = append(found, execution{e, w, alone, alone && own})
		}
	}
	for _, w := range writes {
		t := p.inSQL(w.table)
		if t != nil {
			add(t, w, true)
		}
		if w.verb == "delete" || w.verb == "replace" || w.verb == "truncate" {
			p.claimUnread(db, w.table)
			c, err := p.constraintsOrLose(db)
			if err != nil {
				return nil, err
			}
			if t == nil {
				t = c.bystanders[p.dialect.fold(p.names.Load().short(w.table))]
			}
			c.reached(t, map[*table]bool{}, func(t *table) { add(t, w, false) })
		}
	}
	return found, nil
}

// reached calls f for the tables that a deletion changes beside its own.
func (c *catalogue) reached(t *table, seen map[*table]bool, f func(*table)) {
	if seen[t] {
		return
	}
	seen[t] = true
	for _, d := range c.dependents[t] {
		f(d.table)
		if d.removes {
			c.reached(d.table, seen, f)
		}
	}
}

// inSQL finds a registered table by its name in raw SQL. Unlike names.find it takes
// one of the same name in another schema for it: rather an event too many.
func (p *Plugin) inSQL(name string) *table {
	tables := p.known()
	if t := tables[name]; t != nil {
		return t
	}
	last, qualified := cutLast(name)
	if t := tables[last]; t != nil && (!qualified || !strings.Contains(t.name, ".")) {
		return t
	}
	if p.dialect.name != "postgres" {
		for known, t := range tables {
			if t != nil && (strings.EqualFold(known, name) || strings.EqualFold(known, last)) {
				return t
			}
		}
	}
	return nil
}

// event tells of the execution. Rows under 0 are not known.
func (x execution) event(rows int64) audit.Event {
	e := audit.Event{Operation: Executed, Entity: audit.Entity{Type: x.entity.kind, ID: AnyRecord}}
	field := func(name string, v any) {
		e.Changes = append(e.Changes, audit.Change{Field: name, After: audit.ValueOf(v)})
	}
	field("statement", x.write.verb)
	field("table", x.write.table)
	if x.counts && rows >= 0 {
		field("rows", rows)
	}
	if x.entity.owner != "" {
		e.Ownership = audit.OwnershipOther // whose records they were is not known
	}
	return e
}

// refused is the error of [RefuseRaw].
func refused(x execution) error {
	return fmt.Errorf("%w: %s on table %q, whose changes are recorded as %s; use GORM's own methods, hooks.Exec, or the option hooks.RawSQL(hooks.RecordRaw)", ErrRawSQL, x.write.verb, x.write.table, x.entity.kind)
}

// beforeRaw looks at SQL that is about to run, and opens a transaction for it and
// its events, which are to be written afterwards, if it has none.
func (p *Plugin) beforeRaw(db *gorm.DB) []execution {
	found, err := p.executions(db)
	switch {
	case err != nil:
		p.fail(db, err)
	case len(found) == 0:
	case p.policy == RefuseRaw:
		_ = db.AddError(refused(found[0]))
	default:
		if _, borrowed := db.Statement.ConnPool.(*sql.Conn); !borrowed && !controlsItself(p.dialect.name, db.Statement.SQL.String()) {
			p.openTransaction(db)
		}
		return found
	}
	return nil
}

// controlsItself reports whether one of several statements, or of a block, begins or
// ends a transaction, or is none for within one: a PRAGMA, VACUUM, SET TRANSACTION.
func controlsItself(dialect, text string) bool {
	if !strings.Contains(text, ";") {
		return false
	}
	l := &lexer{dialect: dialect, text: text}
	var last token
	begins, does := true, false
	for t, ok := l.next(); ok; t, ok = l.next() {
		switch {
		case last.is("BEGIN") && !t.is("NOT"), last.is("SET") && t.is("TRANSACTION"),
			begins && t.isOne([]string{"START", "COMMIT", "ROLLBACK", "PRAGMA", "VACUUM"}),
			does && t.kind == otherToken && endsWithin(dialect, t.text):
			return true
		}
		does = does && t.kind != ';' || begins && dialect == "postgres" && t.is("DO")
		last = token{}
		if begins || t.is("SET") {
			last = t
		}
		begins = t.kind == ';'
	}
	return false
}

// endsWithin reports whether the body of DO ends the transaction it runs in.
func endsWithin(dialect, body string) bool {
	l := &lexer{dialect: dialect, text: body}
	for t, ok := l.next(); ok; t, ok = l.next() {
		if t.isOne([]string{"COMMIT", "ROLLBACK"}) {
			return true
		}
	}
	return false
}

// afterRaw does what there is to do when raw SQL has run. Counted tells whether GORM
// knows the rows affected. What was looked up while a migration waited for those who
// used the tables is forgotten once more: they have seen them as they were. Failed or
// not, it may have changed some.
func (p *Plugin) afterRaw(counted bool) func(db *gorm.DB) {
	return func(db *gorm.DB) {
		run, _ := noted(db, running).(rawRun)
		if held, ok := connection(db.Statement.ConnPool).(*heldTx); ok && len(run.steps) > 0 && succeeded(db) {
			held.follow(run.steps)
		}
		if len(run.found) > 0 {
			p.finishRaw(db, run.found, counted)
		}
		if run.migrates {
			p.forgetTables()
		}
	}
}

// succeeded reports whether a statement has run. Its rows may be read later.
func succeeded(db *gorm.DB) bool {
	if row, ok := db.Statement.Dest.(*sql.Row); ok && row.Err() != nil {
		return false
	}
	return db.Error == nil || errors.Is(db.Error, gorm.ErrRecordNotFound)
}

// finishRaw records SQL that has run and closes the transaction that was opened
// for it.
func (p *Plugin) finishRaw(db *gorm.DB, found []execution, counted bool) {
	missing := db.Error // no failure, and no reason to undo anything
	if errors.Is(missing, gorm.ErrRecordNotFound) {
		db.Error = nil
	}
	if db.Error == nil {
		rows := int64(-1)
		if counted {
			rows = db.RowsAffected
		}
		p.recordOrLose(db, found, rows)
	}
	p.commit(db)
	if db.Error == nil {
		db.Error = missing
	}
}

// recordOrLose is recordExecutions as best effort has it. Of one statement, one
// event a table is missing.
func (p *Plugin) recordOrLose(db *gorm.DB, found []execution, rows int64) {
	lost, err := p.spare(db.Statement.Context, connection(db.Statement.ConnPool), func() error {
		return p.recordExecutions(db, found, rows)
	})
	p.lose(db, map[string]int{"": len(found)}, lost)
	p.fail(db, err)
}

func (p *Plugin) recordExecutions(db *gorm.DB, found []execution, rows int64) (err error) {
	defer recovered(&err)
	var events []audit.Event
	for _, x := range found {
		if !x.alone || rows != 0 {
			events = append(events, x.event(rows))
		}
	}
	return p.record(db, events)
}

// beforeRow is for SQL whose rows the application reads when the callbacks are
// over: a transaction could not be closed, nor anything be written then. It leaves
// nothing to be recorded afterwards.
func (p *Plugin) beforeRow(db *gorm.DB) []execution {
	found, err := p.executions(db)
	switch {
	case err != nil:
		p.fail(db, err)
	case len(found) == 0:
	case p.policy == RefuseRaw:
		_ = db.AddError(refused(found[0]))
	default:
		p.recordOrLose(db, found, -1)
	}
	return nil
}
