package hooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// pools are the pools of connections that are known to lead to the store's
// database. A plugin such as gorm.io/plugin/dbresolver may run a statement, or
// begin a transaction, on others than those that db.Use has looked at.
type pools struct {
	first *sql.DB // that of db.Use
	more  sync.Map
}

// initializeFurther is Initialize for a *gorm.DB that another plugin opens with
// the configuration of the first one, as dbresolver does for each of its
// databases. Of a store that joins transactions each is proved when it is
// written to: it may be one that is only read.
func (p *Plugin) initializeFurther(db *gorm.DB) error {
	if db.Name() != p.dialect.name {
		return fmt.Errorf("audit: the plugin is in use on %s and cannot serve %s as well; make another with hooks.New", p.dialect.name, db.Name())
	}
	if p.watches() {
		pool := p.holding(db.Config.ConnPool)
		db.Config.ConnPool, db.Statement.ConnPool = pool, pool
	}
	return p.addCallbacks(db)
}

// prove refuses connections that lead to another database than the store's: an
// event would be written where nobody looks for it.
func (p *Plugin) prove(ctx context.Context, tx audit.DBTX) error {
	store, ok := p.txStore.(audit.Colocated)
	if !ok {
		return nil
	}
	pool := poolOf(tx)
	if pool == nil || pool == p.pools.first {
		return nil
	}
	if _, known := p.pools.more.Load(pool); known {
		return nil
	}
	same, err := store.SameDatabase(ctx, tx)
	if err != nil {
		return fmt.Errorf("cannot tell whether a connection that is not that of db.Use leads to the store's database: %w", err)
	}
	if !same {
		return errors.New("a plugin of GORM has chosen connections that lead to another database than the store's; " + separateRemedy)
	}
	p.pools.more.Store(pool, nil)
	return nil
}

// poolOf returns the pool that a connection was taken from; nil if it cannot be
// told. A transaction does not show its pool. Asking the database instead would
// cost each transaction a statement.
func poolOf(tx audit.DBTX) *sql.DB {
	switch tx := tx.(type) {
	case *sql.DB:
		return tx
	case *heldTx:
		return poolOf(tx.Tx)
	case *sql.Tx, *sql.Conn:
		v := reflect.ValueOf(tx)
		if v.IsNil() {
			return nil
		}
		if f := v.Elem().FieldByName("db"); f.IsValid() && f.Type() == reflect.TypeFor[*sql.DB]() {
			return (*sql.DB)(f.UnsafePointer())
		}
	}
	return nil
}

// hold makes a statement's transaction one that holds its events, for a store
// that cannot join it, where another plugin has chosen the connections.
func (p *Plugin) hold(db *gorm.DB) {
	if p.watches() && !inTransaction(db.Statement.ConnPool) {
		db.Statement.ConnPool = p.holding(db.Statement.ConnPool)
	}
}

// holding returns the pool whose transactions hold their events. It lies below
// GORM's cache of prepared statements, as all that the plugin runs does.
func (p *Plugin) holding(pool gorm.ConnPool) gorm.ConnPool {
	switch pool := pool.(type) {
	case *heldPool:
		return pool
	case *gorm.PreparedStmtDB:
		return &gorm.PreparedStmtDB{ConnPool: p.holding(pool.ConnPool), Mux: pool.Mux, Stmts: pool.Stmts}
	}
	return &heldPool{ConnPool: pool, plugin: p}
}
