package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ErrUnnamedRows is returned by [Exec] for a statement that changed, or may have
// changed, rows that the caller did not name. What it did was rolled back.
var ErrUnnamedRows = errors.New("audit: the statement changes rows that were not named")

// Exec runs an INSERT, UPDATE or DELETE that the application writes itself, and
// records each row that it changes with its old and its new values, as if GORM had
// made the statement. It returns the number of rows affected.
//
// The model is that of db, and must be registered. For an UPDATE and a DELETE the
// conditions of db name the rows that the statement may change; they are locked
// and read before it runs:
//
//	n, err := hooks.Exec(db.Model(&Task{}).Where("project_id = ?", id),
//		"UPDATE tasks SET hours = hours + e.sum FROM sums e WHERE e.task_id = tasks.id AND tasks.project_id = ?", id)
//
// The statement may leave some of them alone. If it changes any other row of the
// table, Exec fails with [ErrUnnamedRows]. It knows by the keys that the database
// returns; for an UPDATE on MySQL or MariaDB, which returns none, by the number of
// rows affected, which must be that of the named rows that differ afterwards.
// Conditions that name every row must be meant, as in GORM: without any, Exec
// fails with gorm.ErrMissingWhereClause unless AllowGlobalUpdate is set. Soft-deleted
// rows that meet the conditions are among those named.
//
// All runs in the transaction of db, within a savepoint, or in one of its own; an
// error leaves nothing behind. Arguments are bound as by db.Exec.
//
// It refuses what it could not record: several statements in one text, one that
// also writes to other tables within its WITH, an INSERT that may replace or
// change rows that exist (GORM's clause.OnConflict is recorded), RETURNING, and a
// new value for a primary key. Events that the statement causes in other tables by
// triggers are not seen; those by foreign keys are recorded.
func Exec(db *gorm.DB, sql string, args ...any) (rowsAffected int64, err error) {
	p, ok := db.Config.Plugins[pluginName].(*Plugin)
	if !ok {
		return 0, errors.New("audit: hooks.Exec needs a *gorm.DB that uses the plugin")
	}
	if db.Error != nil {
		return 0, db.Error
	}
	if db.Statement.Model == nil {
		return 0, errors.New("audit: hooks.Exec needs a model; name it with db.Model")
	}
	sch, err := parse(db, db.Statement.Model)
	if err != nil {
		return 0, err
	}
	of := &gorm.Statement{DB: db, Schema: sch, Table: cmp.Or(db.Statement.Table, sch.Table), TableExpr: db.Statement.TableExpr}
	t := p.tableOf(of)
	if t == nil || t.entity == nil {
		return 0, fmt.Errorf("audit: model %s is not registered; add hooks.Model[%s], or use db.Exec", sch.Name, sch.Name)
	}
	err = db.Session(&gorm.Session{NewDB: true}).Transaction(func(tx *gorm.DB) error {
		x, err := p.newExecutor(db, tx, t, sql, args)
		if err != nil {
			return err
		}
		rowsAffected, err = x.run(tx.Statement.Context)
		return err
	})
	if err != nil {
		p.refuse(db.Statement.Context, err)
		p.forgetOutdated(err)
		return 0, err
	}
	return rowsAffected, nil
}

// executor runs one statement for [Exec].
type executor struct {
	capture
	write written
	text  string
	args  []any
	keys  *table // the same table, reduced to its primary key
}

func (p *Plugin) newExecutor(db, tx *gorm.DB, t *table, sql string, args []any) (*executor, error) {
	built := tx.Session(&gorm.Session{DryRun: true}).Exec(sql, args...)
	if built.Error != nil {
		return nil, built.Error
	}
	x := &executor{
		args: built.Statement.Vars,
		keys: &table{name: t.name, schema: t.schema, keys: slices.Clone(t.keys), entity: &entity{}},
	}
	if err := x.understand(p, t, built.Statement.SQL.String()); err != nil {
		return nil, err
	}
	conn := connection(tx.Statement.ConnPool)
	x.capture = capture{
		ConnPool: tx.Statement.ConnPool, tx: conn, plugin: p, table: t, unit: newUnit(tx.Statement.Context, p, conn),
		kind: kindOfStatement(x.write.verb), assigned: assignments{all: true},
	}
	if x.kind == inserting {
		x.db = tx
		return x, nil
	}
	// GORM itself works out the conditions, scopes among them.
	model := db.Statement.Model
	if v := reflect.ValueOf(model); v.Kind() != reflect.Pointer {
		addressable := reflect.New(v.Type())
		addressable.Elem().Set(v)
		model = addressable.Interface()
	}
	x.db = db.Session(&gorm.Session{DryRun: true, SkipHooks: true}).Unscoped().Find(model)
	if x.db.Error != nil {
		return nil, x.db.Error
	}
	where, _ := x.db.Statement.Clauses["WHERE"].Expression.(clause.Where)
	if len(where.Exprs) == 0 && !db.AllowGlobalUpdate {
		return nil, gorm.ErrMissingWhereClause
	}
	return x, nil
}

// understand finds out what the statement does, and refuses what could not be
// recorded.
func (x *executor) understand(p *Plugin, t *table, text string) error {
	refuse := func(why string) error {
		return fmt.Errorf("audit: hooks.Exec on table %q: %s", t.name, why)
	}
	l := &lexer{dialect: p.dialect.name, text: text}
	var previous token
	for tok, ok := l.next(); ok; tok, ok = l.next() {
		switch {
		case previous.kind == ';' && tok.kind != ';':
			return refuse("it runs one statement at a time")
		case tok.is("RETURNING"):
			return refuse("leave RETURNING out")
		case previous.is("ON") && (tok.is("CONFLICT") || tok.is("DUPLICATE")), previous.is("INSERT") && (tok.is("OR") || tok.is("IGNORE")),
			previous.is("UPDATE") && tok.is("OR"):
			return refuse("a statement that deals with conflicts may change rows that nobody named; use GORM's clause.OnConflict")
		}
		previous = tok
		if tok.kind != ';' {
			x.text = text[:len(text)-len(l.text)]
		}
	}
	writes := writesOf(p.dialect.name, text)
	if len(writes) != 1 || !writes[0].main || p.inSQL(writes[0].table) != t {
		return refuse("the statement must write to this table, and to no other")
	}
	switch x.write = writes[0]; x.write.verb {
	case "insert", "update", "delete":
		return nil
	}
	return refuse("it runs INSERT, UPDATE and DELETE")
}

func (x *executor) run(ctx context.Context) (n int64, err error) {
	defer recovered(&err)
	askValues(x.args)
	askValues(x.db.Statement.Vars)
	if err := x.plugin.prove(ctx, x.tx); err != nil {
		return 0, failed(err)
	}
	x.plugin.claim(ctx, x.tx, x.table.name)
	if x.layout, err = x.table.load(ctx, x.plugin, x.tx); err != nil {
		return 0, failed(err)
	}
	if x.kind != inserting {
		if x.before, err = x.selectMatching(ctx); err != nil {
			return 0, failed(err)
		}
	}
	switch x.kind {
	case updating:
		if err := x.findFollowers(ctx); err != nil {
			return 0, failed(err)
		}
		if x.fallout, err = x.readFollowers(ctx, nil); err != nil {
			return 0, failed(err)
		}
	case deleting:
		if x.catalogue, err = x.plugin.constraints(ctx, x.tx); err != nil {
			return 0, failed(err)
		}
		if x.fallout, err = x.readFallout(ctx, nil); err != nil {
			return 0, failed(err)
		}
	}
	if x.returnsKeys() {
		n, err = x.runReturning(ctx)
	} else {
		n, err = x.runCounting(ctx)
	}
	if err != nil {
		return 0, err
	}
	withoutTold(x.fallout, x.table, keysOf(x.before))
	x.ran, x.complete = true, true
	if err := x.finish(ctx); err != nil {
		return 0, failed(err)
	}
	if err := x.unit.flush(ctx); err != nil {
		return 0, failed(err)
	}
	return n, nil
}

// returnsKeys reports whether the database tells which rows the statement meets.
func (x *executor) returnsKeys() bool {
	return x.plugin.dialect.name == "sqlite" || x.returnsOnExec() && !(x.write.joined && x.plugin.dialect.name == "mysql")
}

// runReturning runs the statement for the keys of the rows that it meets.
func (x *executor) runReturning(ctx context.Context) (int64, error) {
	d := x.plugin.dialect
	l, err := x.keys.loadKeys(ctx, d, x.tx, x.layout.edition)
	if err != nil {
		return 0, failed(err)
	}
	list := d.list(x.keys.keys)
	if d.name == "postgres" { // other tables may have columns of these names
		qualified := make([]string, len(x.keys.keys))
		table := d.quote(x.write.table)
		if x.write.alias != "" {
			table = d.quote(x.write.alias)
		}
		for i, k := range x.keys.keys {
			qualified[i] = table + "." + d.quote(k)
		}
		list = strings.Join(qualified, ",")
	}
	met, err := query(ctx, x.tx, l, assignments{}, x.text+"\nRETURNING "+l.edition+list, x.args)
	if err != nil {
		return 0, err
	}
	keys := make([][]any, len(met))
	isMet := make(map[string]bool, len(met))
	for i := range met {
		keys[i], isMet[met[i].key] = met[i].args, true
	}
	named := keysOf(x.before)
	if x.kind != inserting {
		for key := range isMet {
			if !named[key] {
				return 0, x.unnamed("met", len(met))
			}
		}
		x.leaveOut(func(row image) bool { return !isMet[row.key] })
	}
	switch x.kind {
	case inserting:
		x.after, err = x.layout.selectAgain(ctx, x.tx, x.assigned, keys)
		if err == nil && len(x.after) != len(met) {
			err = fmt.Errorf("table %q was given %d rows of which %d can be found again", x.table.name, len(met), len(x.after))
		}
	case updating:
		x.after, err = x.layout.selectAgain(ctx, x.tx, x.assigned, keys)
	}
	if err != nil {
		return 0, failed(err)
	}
	return int64(len(met)), nil
}

// runCounting runs the statement where the database returns no keys, and proves
// by numbers that no other rows than those named changed: the named rows that
// differ afterwards are among those affected, and if they are as many, they
// are all of them.
func (x *executor) runCounting(ctx context.Context) (int64, error) {
	if x.kind == inserting {
		return 0, fmt.Errorf("audit: hooks.Exec on table %q: this database does not tell the keys of inserted rows; use GORM's Create", x.table.name)
	}
	// All columns count, those too that are not audited.
	whole := x.capture
	whole.table = &table{name: x.table.name, schema: x.table.schema, keys: x.table.keys, entity: &entity{}}
	var err error
	if whole.layout, err = whole.table.load(ctx, x.plugin, x.tx); err != nil {
		return 0, failed(err)
	}
	if whole.before, err = whole.selectMatching(ctx); err != nil {
		return 0, failed(err)
	}
	result, err := x.tx.ExecContext(ctx, x.text, x.args...)
	if err != nil {
		return 0, err
	}
	affected, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	keys := make([][]any, len(x.before))
	for i := range x.before {
		keys[i] = x.before[i].args
	}
	now, err := whole.layout.selectAgain(ctx, x.tx, x.assigned, keys)
	if err != nil {
		return 0, failed(err)
	}
	left := make(map[string]*image, len(now))
	for i := range now {
		left[now[i].key] = &now[i]
	}
	changed := 0
	for i := range whole.before {
		is := left[whole.before[i].key]
		if is == nil && x.kind == updating {
			return 0, x.unnamed("affected", int(affected)) // its key is another now
		}
		if is == nil || !sameRow(whole.layout, &whole.before[i], is) {
			changed++
		}
	}
	if int64(changed) != affected {
		return 0, x.unnamed("affected", int(affected))
	}
	if x.kind == deleting {
		x.leaveOut(func(row image) bool { return left[row.key] != nil })
		return affected, nil
	}
	if x.after, err = x.layout.selectAgain(ctx, x.tx, x.assigned, keys); err != nil {
		return 0, failed(err)
	}
	return affected, nil
}

func (x *executor) unnamed(how string, n int) error {
	return fmt.Errorf("%w: %s on table %q %s %d rows, not all of them among the %d that the conditions of db name; let these name all rows that it changes, and it change the row's primary key never",
		ErrUnnamedRows, x.write.verb, x.table.name, how, n, len(x.before))
}
