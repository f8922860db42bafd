package hooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// connect settles how events reach the store, and proves that they do.
func (p *Plugin) connect(ctx context.Context, db *gorm.DB, separate bool) error {
	store := p.rec.Store()
	if v, ok := store.(audit.SchemaVerifier); ok {
		if err := v.VerifySchema(ctx); err != nil {
			return fmt.Errorf("audit: the store is not ready: %w", err)
		}
	}
	tx, joins := store.(audit.TxStore)
	if !joins || separate {
		pool := p.holding(db.Config.ConnPool)
		db.Config.ConnPool, db.Statement.ConnPool = pool, pool
		return nil
	}
	p.txStore = tx
	if c, ok := store.(audit.TxComposer); ok && p.dialect.name == "postgres" && c.Composes(store) {
		p.composer = c
	}
	if err := p.probe(ctx, db); err != nil {
		return err
	}
	if p.watches() {
		pool := p.holding(db.Config.ConnPool)
		db.Config.ConnPool, db.Statement.ConnPool = pool, pool
	}
	return nil
}

const separateRemedy = "give the store the database that GORM uses, or add the option hooks.SeparateDatabase, which gives up that a change and its event are committed together"

// probe proves that the store keeps its events in the database of db: that its
// own connections lead there, and that an event appended to a transaction of
// GORM's is seen by the store within it. The transaction is rolled back.
func (p *Plugin) probe(ctx context.Context, db *gorm.DB) error {
	if c, ok := p.txStore.(audit.Colocated); ok {
		pool, err := db.DB()
		if err != nil {
			return fmt.Errorf("audit: GORM does not tell its connections (%w), so it cannot be proved that the store shares its database; %s", err, separateRemedy)
		}
		same, err := c.SameDatabase(ctx, pool)
		if err != nil {
			return fmt.Errorf("audit: cannot tell whether the store shares GORM's database: %w", err)
		}
		p.pools.first = pool
		if !same {
			return errors.New("audit: the store keeps its events in another database; " + separateRemedy)
		}
	}
	tx := db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Begin(&sql.TxOptions{})
	if tx.Error != nil {
		return fmt.Errorf("audit: begin a transaction to try the store: %w", tx.Error)
	}
	err := p.probeTx(ctx, connection(tx.Statement.ConnPool))
	if rollback := tx.Rollback().Error; err == nil && rollback != nil {
		err = fmt.Errorf("audit: roll back the transaction that tried the store: %w", rollback)
	}
	return err
}

func (p *Plugin) probeTx(ctx context.Context, tx audit.DBTX) error {
	if v, ok := p.txStore.(audit.ConnectionVerifier); ok {
		if err := v.VerifyConnection(ctx, tx); err != nil {
			return err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	e := audit.Event{
		ID: id, Time: time.Now().UTC().Truncate(time.Microsecond), Workspace: "probe", Actor: audit.System,
		Operation: "probed", Entity: audit.Entity{Type: "audit_probe", ID: "1"}, SchemaVersion: audit.SchemaVersion,
	}
	if err := p.txStore.AppendTx(ctx, tx, []audit.Event{e}); err != nil {
		return fmt.Errorf("audit: the store cannot write on GORM's connection: %w; %s", err, separateRemedy)
	}
	l, ok := p.txStore.(audit.TxLister)
	if !ok {
		return nil
	}
	found, err := l.ListTx(ctx, tx, audit.Filter{Workspace: e.Workspace, IDs: []uuid.UUID{id}}, audit.Position{}, 1)
	if err != nil {
		return fmt.Errorf("audit: the store cannot read on GORM's connection: %w", err)
	}
	if len(found) != 1 || found[0].ID != id {
		return errors.New("audit: the store does not find an event that it wrote on GORM's connection; " + separateRemedy)
	}
	return nil
}

// append writes stamped events by the connection of the statement they are of.
func (p *Plugin) append(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	if !p.holds() {
		err := p.txStore.AppendTx(ctx, tx, events)
		if err == nil {
			p.rec.Count(len(events))
		}
		return err
	}
	held, ok := tx.(*heldTx)
	if !ok {
		return errors.New("the store cannot join the transaction, and it was not begun by GORM: begin it by db.Begin or db.Transaction of the *gorm.DB that uses the plugin, without a clause that chooses other connections")
	}
	held.hold(events)
	return nil
}

// Record records events that no hook can see, such as an approval, on the
// connection of db: inside its transaction if it is one. The plugin must be in
// use on db. Completion, gate and errors are those of [audit.Recorder.Record].
func Record(db *gorm.DB, events ...audit.Event) error {
	p, ok := db.Config.Plugins[pluginName].(*Plugin)
	if !ok {
		return errors.New("audit: hooks.Record needs a *gorm.DB that uses the plugin")
	}
	ctx := db.Statement.Context
	if c, ok := captureOf(db.Statement.ConnPool); ok && c.alone { // a callback just before GORM's own
		if err := c.begin(); err != nil {
			return err
		}
		db.Statement.ConnPool = c
	}
	if !inTransaction(db.Statement.ConnPool) && !p.borrows(db.Statement.ConnPool) {
		return p.rec.Record(ctx, events...)
	}
	err := p.recordOn(ctx, connection(db.Statement.ConnPool), events)
	if errors.Is(err, audit.ErrAuditFailed) {
		err = failed(err)
		p.refuse(ctx, err)
	}
	return err
}

// record records events on the connection of a statement if it can write there,
// else apart from it.
func (p *Plugin) record(db *gorm.DB, events []audit.Event) error {
	ctx, pool := db.Statement.Context, db.Statement.ConnPool
	if !inTransaction(pool) && !p.borrows(pool) {
		return p.recordApart(ctx, events)
	}
	return p.recordOn(ctx, connection(pool), events)
}

// recordApart is audit.Recorder.Record for those who tell of errors themselves.
func (p *Plugin) recordApart(ctx context.Context, events []audit.Event) error {
	admitted, err := p.rec.Admit(ctx, nil, events)
	if err != nil || len(admitted) == 0 {
		return err
	}
	if err := p.rec.Store().Append(ctx, admitted); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // drivers of SQLite report success for what this has kept from running
	}
	p.rec.Count(len(admitted))
	return nil
}

// recordOn records events on a connection that they can be written on.
func (p *Plugin) recordOn(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	if err := p.prove(ctx, tx); err != nil {
		return failed(err)
	}
	u := newUnit(ctx, p, tx)
	admitted, err := p.rec.Admit(ctx, tx, events)
	if err != nil {
		return err
	}
	for _, e := range admitted {
		u.add(ctx, pending{Event: e, entity: &entity{kind: e.Entity.Type}})
	}
	return failed(u.flush(ctx))
}
