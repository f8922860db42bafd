package hooks

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// pluginName is the name under which GORM knows the plugin.
const pluginName = "audit"

// Plugin is a gorm.Plugin that records the changes of registered models. Make
// one with [New] and hand it to db.Use. A Plugin serves one *gorm.DB and all
// that is derived from it, and is safe for use by several goroutines at once.
type Plugin struct {
	rec  *audit.Recorder
	opts []Option

	txStore    audit.TxStore    // the store, if events join the transaction; nil if they are held
	composer   audit.TxComposer // nil if no statement can record itself
	policy     RawPolicy
	dialect    dialect
	tables     map[string]*table // that are registered, by name, with and without the database schema
	names      atomic.Pointer[names]
	met        met
	joins      []*join
	changeSets changeSets
	pools      pools
	deferred   bool // SQLite's transactions begin as readers
	bestEffort bool // audit.Config.BestEffort

	attempts, failedWrites bool // see the options

	catalogue  atomic.Pointer[catalogue] // nil until it is needed
	editions   atomic.Uint64             // see newEdition
	forgotten  atomic.Uint64             // how often tables were
	migrations migrations
	all        *everything // nil if only registered models are recorded
}

var _ gorm.Plugin = (*Plugin)(nil)

// New returns a plugin that records the models among opts by rec. What is wrong
// with the arguments is told by db.Use.
func New(rec *audit.Recorder, opts ...Option) *Plugin { return &Plugin{rec: rec, opts: opts} }

// Name implements gorm.Plugin. GORM refuses a second plugin of one name, and
// thereby a second registration.
func (p *Plugin) Name() string { return pluginName }

// Initialize implements gorm.Plugin; db.Use calls it. It reads the models,
// checks that the store is ready and, by an event that it rolls back, that the
// store writes and reads inside GORM's transactions, and registers the
// callbacks.
func (p *Plugin) Initialize(db *gorm.DB) (err error) {
	if p.rec == nil {
		return errors.New("audit: hooks.New needs a recorder, got nil")
	}
	if p.tables != nil && db.Plugins[pluginName] == gorm.Plugin(p) {
		return p.initializeFurther(db)
	}
	if p.tables != nil {
		return errors.New("audit: the plugin is in use already; make another with hooks.New")
	}
	if db.Callback().Update().Get("gorm:update") == nil {
		return errors.New("audit: GORM has no callbacks of its dialect; open the database with a dialector before db.Use")
	}
	s, err := collect(p.opts)
	if err != nil {
		return err
	}
	p.policy, p.bestEffort = s.raw, p.rec.BestEffort()
	p.attempts, p.failedWrites = s.attempts, s.failedWrites
	ctx := db.Statement.Context
	if p.dialect, err = dialectOf(ctx, db.Session(&gorm.Session{NewDB: true})); err != nil {
		return err
	}
	if err := p.register(db, s); err != nil {
		p.tables = nil
		return err
	}
	names, err := p.dialect.namesOf(ctx, db)
	if err != nil {
		p.tables = nil
		return err
	}
	for _, t := range p.tables {
		names.add(t)
	}
	p.names.Store(&names)
	if p.all = s.all; p.all != nil {
		if err := p.all.start(db, &names); err != nil {
			p.tables = nil
			return err
		}
	}
	if err := p.connect(ctx, db, s.separate); err != nil {
		p.tables = nil
		return err
	}
	p.findDeferred(ctx, db)
	tables := p.tables
	p.met.tables.Store(&tables)
	return p.addCallbacks(db)
}

// register reads the models.
func (p *Plugin) register(db *gorm.DB, s *settings) error {
	p.tables = map[string]*table{}
	parsed := make([]*table, len(s.models))
	for i, o := range s.models {
		sch, err := parse(db, o.value)
		if err != nil {
			return err
		}
		t, err := newTable(sch)
		if err != nil {
			return err
		}
		if have := p.tables[t.name]; have != nil {
			return fmt.Errorf("audit: table %q is registered twice, by %s and %s", t.name, have.schema.Name, sch.Name)
		}
		if err := t.readEntity(o); err != nil {
			return err
		}
		p.tables[t.name], parsed[i] = t, t
	}
	for _, t := range parsed {
		p.addJoins(db, t)
	}
	for i, t := range parsed {
		if err := p.addReferences(db, t, s.models[i]); err != nil {
			return err
		}
		for _, o := range s.models[i].cascades {
			child, err := p.registered(db, o.child)
			if err != nil {
				return fmt.Errorf("%w; hooks.Cascade of %s needs it", err, t.schema.Name)
			}
			if err := p.declare(t.entity, o, child); err != nil {
				return err
			}
		}
	}
	for _, t := range p.tables {
		if _, name, qualified := strings.Cut(t.name, "."); qualified && p.tables[name] == nil {
			p.tables[name] = t
		}
	}
	return nil
}

func parse(db *gorm.DB, model any) (*schema.Schema, error) {
	stmt := &gorm.Statement{DB: db}
	if err := stmt.Parse(model); err != nil {
		return nil, fmt.Errorf("audit: GORM cannot parse the model %T: %w", model, err)
	}
	return stmt.Schema, nil
}

// registered finds the entity of a model.
func (p *Plugin) registered(db *gorm.DB, model any) (*entity, error) {
	sch, err := parse(db, model)
	if err != nil {
		return nil, err
	}
	if t := p.tables[sch.Table]; t != nil && t.entity != nil {
		return t.entity, nil
	}
	return nil, fmt.Errorf("audit: model %s is not registered; add hooks.Model[%s]", sch.Name, sch.Name)
}

// addJoins registers the join tables of a model's many-to-many relations. One
// that is a registered model itself has events of its own instead.
func (p *Plugin) addJoins(db *gorm.DB, t *table) {
	for _, rel := range t.schema.Relationships.Many2Many {
		if rel.JoinTable == nil || p.tables[rel.JoinTable.Table] != nil || rel.Field.Tag.Get("audit") == "-" {
			continue
		}
		if j := newJoin(t.entity, rel, db.NamingStrategy.ColumnName("", rel.Name)); j != nil {
			p.tables[j.table.name] = j.table
			p.joins = append(p.joins, j)
			t.entity.joins = append(t.entity.joins, j)
		}
	}
}

// addReferences finds the foreign keys of a model whose labels are recorded.
func (p *Plugin) addReferences(db *gorm.DB, t *table, o *modelOptions) error {
	add := func(r reference, ok bool) {
		if ok {
			t.entity.references = append(t.entity.references, r)
		}
	}
	t.entity.refer(p.tables)
	for _, j := range t.entity.joins {
		if len(j.elementColumns) == 1 {
			r, ok := newReference(j.field, j.elementKeys[0], j.element, p.tables)
			r.element, r.inside = true, j.elementColumns[0]
			add(r, ok)
		}
	}
	for _, ref := range o.references {
		column, err := columnOf(t.schema, ref.column)
		if err != nil {
			return err
		}
		parent, err := parse(db, ref.parent)
		if err != nil {
			return err
		}
		if len(parent.PrimaryFieldDBNames) != 1 {
			return fmt.Errorf("audit: hooks.Reference of %s.%s: model %s needs a primary key of one column", t.schema.Name, column, parent.Name)
		}
		r, ok := newReference(column, parent.PrimaryFieldDBNames[0], parent, p.tables)
		if !ok {
			return fmt.Errorf("audit: hooks.Reference of %s.%s: model %s has no label; tag one of its fields audit:\"label\"", t.schema.Name, column, parent.Name)
		}
		add(r, true)
	}
	return nil
}

// addCallbacks puts the callbacks where they sit immediately around GORM's SQL
// and inside its transaction: what is registered after "gorm:create" would run
// after the commit.
func (p *Plugin) addCallbacks(db *gorm.DB) error {
	create, update, del := db.Callback().Create(), db.Callback().Update(), db.Callback().Delete()
	raw, query, row := db.Callback().Raw(), db.Callback().Query(), db.Callback().Row()
	if p.watches() && !db.SkipDefaultTransaction { // else GORM has no such callbacks, and begin does it
		for _, register := range []func(string, func(*gorm.DB)) error{
			create.Before("gorm:begin_transaction").Register,
			update.Before("gorm:begin_transaction").Register,
			del.Before("gorm:begin_transaction").Register,
		} {
			if err := register("audit:hold", p.hold); err != nil {
				return err
			}
		}
	}
	if p.failedWrites {
		if err := errors.Join(
			create.Before("*").Register("audit:enter", p.enter),
			update.Before("*").Register("audit:enter", p.enter),
			del.Before("*").Register("audit:enter", p.enter),
		); err != nil {
			return err
		}
	}
	return errors.Join(
		create.Before("gorm:save_before_associations").Register("audit:begin", p.begin),
		create.Before("gorm:create").Register("audit:before", p.before("INSERT")),
		create.Before("gorm:save_after_associations").Register("audit:after", p.after),
		create.Before("gorm:after_create").Register("audit:write", p.write),
		create.After("*").Register("audit:end", p.end(audit.Created)),

		update.Before("gorm:save_before_associations").Register("audit:begin", p.begin),
		update.Before("gorm:update").Register("audit:before", p.before("UPDATE")),
		update.Before("gorm:save_after_associations").Register("audit:after", p.after),
		update.Before("gorm:after_update").Register("audit:write", p.write),
		update.After("*").Register("audit:end", p.end(audit.Updated)),

		del.Before("gorm:delete_before_associations").Register("audit:begin", p.beginDelete),
		del.Before("gorm:delete").Register("audit:before", p.beforeDelete),
		del.Before("gorm:after_delete").Register("audit:after", func(db *gorm.DB) { p.after(db); p.write(db) }),
		del.After("*").Register("audit:end", p.end(audit.Deleted)),

		raw.Before("gorm:raw").Register("audit:raw", p.raw(p.beforeRaw)),
		raw.After("*").Register("audit:end", p.afterRaw(true)),
		query.Before("gorm:query").Register("audit:raw", p.raw(p.beforeRaw)),
		query.After("*").Register("audit:end", p.afterRaw(false)),
		row.Before("gorm:row").Register("audit:raw", p.raw(p.beforeRow)),
		row.After("*").Register("audit:end", p.afterRaw(false)),
	)
}

// tableOf finds the table of a statement among those registered; nil if it is
// not among them, which costs a look-up.
func (p *Plugin) tableOf(stmt *gorm.Statement) *table {
	names := p.names.Load()
	name := names.of(stmt)
	if t := names.find(name); t != nil && (p.all == nil || stmt.Schema == nil || !t.standsInFor(stmt.Schema)) {
		return t
	}
	return p.meet(stmt, name)
}

// before puts a capture in the place of the statement's connection. The clause is
// the one that may name another table than the statement's.
func (p *Plugin) before(clause string) func(db *gorm.DB) {
	return func(db *gorm.DB) {
		t, names := p.tableOf(db.Statement), p.names.Load()
		if t == nil {
			t = names.joined(db.Statement) // which is refused
		}
		elsewhere := inClause(db.Statement, clause)
		if t == nil && elsewhere != "" {
			t = names.find(elsewhere)
		}
		if t != nil {
			p.capture(db, t, nil)
		}
	}
}

func (p *Plugin) capture(db *gorm.DB, t *table, followed *catalogue) {
	if db.Error != nil || db.DryRun {
		return
	}
	stmt := db.Statement
	tx := connection(stmt.ConnPool)
	u := unitFrom(stmt.Context, tx)
	var c *capture
	if u == nil {
		u = newUnit(stmt.Context, p, tx)
		u.owner, stmt.Context, c = stmt, u, &u.own
	} else {
		c = new(capture)
	}
	c.ConnPool, c.tx, c.plugin, c.db, c.table, c.unit, c.catalogue = stmt.ConnPool, tx, p, db, t, u, followed
	var pool gorm.ConnPool = c
	if p.bestEffort {
		c.lost = p.unrecordable(db)
		pool = &spared{c}
	}
	if !inTransaction(stmt.ConnPool) {
		pool, c.alone = untransacted{pool}, !p.bestEffort
	}
	stmt.ConnPool = pool
}

// after takes the capture out again and reads what the statement has done. It
// does so after an error, too, if the statement had run: the application may go
// on in its transaction and commit what is there.
func (p *Plugin) after(db *gorm.DB) {
	c, ok := captureOf(db.Statement.ConnPool)
	if !ok {
		return
	}
	db.Statement.ConnPool = c.ConnPool
	finish := c.finish
	if c.table.bystander {
		finish = c.finishBystander
	}
	if p.bestEffort {
		p.fail(db, c.finishOrLose(db.Statement.Context, finish))
	} else {
		p.fail(db, finish(db.Statement.Context))
	}
	c.before, c.after, c.fallout, c.followers, c.catalogue = nil, nil, nil, nil, nil // the unit keeps the capture while associations are saved
}

// write writes the events of a call once its associations are saved, and ends
// the transaction that begin has opened.
func (p *Plugin) write(db *gorm.DB) {
	if u, _ := db.Statement.Context.Value(unitKey{}).(*unit); u != nil && u.owner == db.Statement {
		db.Statement.Context = u.Context
		u.closed = true
		if db.Error != nil && len(u.events) > 0 && p.undone(u.Context, u.tx) {
			u.drop()
		}
		p.flush(u.Context, db, u)
	}
	if errors.Is(db.Error, audit.ErrAuditFailed) {
		note(db, failure, db.Error)
	}
	p.commit(db)
}

// end is for what can be told only when a call is over.
func (p *Plugin) end(operation audit.Operation) func(db *gorm.DB) {
	return func(db *gorm.DB) {
		p.recall(db)
		p.refuse(db.Statement.Context, db.Error)
		p.forgetOutdated(db.Error)
		if p.failedWrites {
			p.leave(db, operation)
		}
	}
}

// recall puts the error of recording back to where errors.Is finds it: GORM keeps
// only the text of an error if the rollback fails as well.
func (p *Plugin) recall(db *gorm.DB) {
	err, ok := noted(db, failure).(error)
	if !ok {
		return
	}
	if db.Error != nil && !errors.Is(db.Error, audit.ErrAuditFailed) {
		db.Error = fmt.Errorf("%w; %w", err, db.Error)
	}
}
