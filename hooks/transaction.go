package hooks

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// connection is what lies below GORM's cache of prepared statements, so that
// our SQL makes no entry in it.
func connection(pool gorm.ConnPool) audit.DBTX {
	for {
		switch p := pool.(type) {
		case *gorm.PreparedStmtTX:
			pool = p.Tx
		case *gorm.PreparedStmtDB:
			pool = p.ConnPool // which may be another: of a session of its own
		case untransacted:
			pool = p.ConnPool
		case *capture:
			return p.tx
		case *spared:
			return p.tx
		default:
			return pool
		}
	}
}

// inTransaction reports whether a connection can be committed.
func inTransaction(pool any) bool {
	_, ok := pool.(gorm.TxCommitter)
	return ok
}

// transactionOf returns the transaction that a connection is; nil if it is none of
// database/sql.
func transactionOf(conn audit.DBTX) *sql.Tx {
	if h, ok := conn.(*heldTx); ok {
		tx, _ := h.Tx.(*sql.Tx)
		return tx
	}
	tx, _ := conn.(*sql.Tx)
	return tx
}

// isOver reports whether the end of a transaction has begun. A transaction does not
// say so of itself unless it is asked for something, and that may have to wait.
func isOver(tx *sql.Tx) bool {
	if f := reflect.ValueOf(tx).Elem().FieldByName("done"); f.IsValid() && f.Type() == reflect.TypeFor[atomic.Bool]() {
		return (*atomic.Bool)(f.Addr().UnsafePointer()).Load()
	}
	return errors.Is(tx.StmtContext(context.Background(), &sql.Stmt{}).Close(), sql.ErrTxDone) //nolint:sqlclosecheck // nothing is prepared
}

// borrows reports whether a pool is the one connection of db.Connection, on which
// events can be written. It may be the only one there is: to wait for another would
// be for ever.
func (p *Plugin) borrows(pool any) bool {
	_, borrowed := pool.(*sql.Conn)
	return borrowed && !p.holds()
}

// ownTransaction marks a statement whose transaction is ours.
const ownTransaction = "audit:transaction"

// begin opens a transaction for a statement that has none, as under
// SkipDefaultTransaction: otherwise a change could outlive its event.
func (p *Plugin) begin(db *gorm.DB) {
	if p.tableOf(db.Statement) != nil && !p.mayRunAlone(db.Statement) {
		p.openTransaction(db)
	}
}

// openTransaction is begin for a statement that is known to need one.
func (p *Plugin) openTransaction(db *gorm.DB) {
	if db.Error != nil || db.DryRun || inTransaction(db.Statement.ConnPool) {
		return
	}
	p.hold(db)
	err := p.openTransactionOn(db)
	if err == nil {
		return
	}
	if p.bestEffort {
		note(db, unbegun, err)
		return
	}
	_ = db.AddError(err) // as of GORM's own transaction
}

// openTransactionOn puts a transaction in the place of a statement's connection.
func (p *Plugin) openTransactionOn(db *gorm.DB) error {
	pool := db.Statement.ConnPool
	tx := db.Begin()
	if tx.Error != nil {
		return tx.Error
	}
	db.Statement.ConnPool = tx.Statement.ConnPool
	note(db, ownTransaction, pool)
	return nil
}

// commit closes the transaction that begin has opened. Like GORM's own part of
// such a call it comes before the model's hooks that follow a write, which may
// fail or panic: no connection is left behind then.
func (p *Plugin) commit(db *gorm.DB) {
	pool, ok := noted(db, ownTransaction).(gorm.ConnPool)
	if !ok {
		return
	}
	if db.Error != nil {
		db.Rollback()
	} else if tx := connection(db.Statement.ConnPool); db.Commit().Error != nil && p.dialect.name == "sqlite" {
		p.rollBackIdle(db.Statement.Context, poolOf(tx))
	}
	db.Statement.ConnPool = pool
}

// rollBackIdle ends the transaction that SQLite has left open on a connection since
// it refused to commit it: a deferred foreign key may be violated. The drivers in
// pure Go give such a connection back to the pool, where no other has a transaction.
func (p *Plugin) rollBackIdle(ctx context.Context, pool *sql.DB) {
	if pool == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer stop()
	for n := pool.Stats().Idle; n > 0; n-- {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // so that the next one is another
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err == nil {
			return
		}
	}
}

// undone reports whether the database has rolled a transaction back by itself
// after an error, as MySQL does after a deadlock. What a connection is told then
// is no longer in a transaction: events written there would outlive their rows.
// When in doubt they are dropped, for they tell of a call that has failed.
func (p *Plugin) undone(ctx context.Context, tx audit.DBTX) bool {
	ctx = context.WithoutCancel(ctx)
	switch p.dialect.name {
	case "mysql":
		var open bool
		err := tx.QueryRowContext(ctx, "SELECT @@in_transaction").Scan(&open) // MariaDB; MySQL has no such variable
		return err != nil || !open
	case "sqlite":
		if _, err := tx.ExecContext(ctx, "BEGIN"); err != nil {
			return !strings.Contains(err.Error(), "within a transaction")
		}
		_, _ = tx.ExecContext(ctx, "ROLLBACK") // of what this BEGIN has begun
		return true
	}
	return false
}
