package dbtest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gormtrail/audit/store/sqlstore"
)

// ErrFault is in the chain of every error that [Faults] makes up.
var ErrFault = errors.New("dbtest: injected fault")

// Fault is what goes wrong at a call of the driver.
type Fault uint8

// The faults. None of them takes time.
const (
	// FaultError fails without the call being made. A transaction whose COMMIT
	// or ROLLBACK fails so is rolled back.
	FaultError Fault = iota + 1
	// FaultLostBefore loses the connection before the call has its effect, by
	// an error with which database/sql tries another connection if it may.
	FaultLostBefore
	// FaultLostAfter loses the connection after the call had its effect, so
	// that nobody learns of it.
	FaultLostAfter
	// FaultConflict is a serialization failure or a deadlock: the database does
	// to the transaction what it does in that case, and the error has its
	// SQLSTATE.
	FaultConflict
	// FaultCancel ends the caller's context, then makes the call.
	FaultCancel
	// FaultCancelAfter makes the call, then ends the caller's context.
	FaultCancelAfter
	// FaultStall hangs until the call's context ends, which it does as soon as
	// the call hangs. The call is not made.
	FaultStall
)

// AllFaults returns every fault.
func AllFaults() []Fault {
	return []Fault{FaultError, FaultLostBefore, FaultLostAfter, FaultConflict, FaultCancel, FaultCancelAfter, FaultStall}
}

func (f Fault) String() string {
	return [...]string{
		"no fault", "error", "connection lost before", "connection lost after", "conflict",
		"context cancelled before", "context cancelled after", "stall",
	}[f]
}

// The kinds of a [Call].
const (
	CallBegin     = "begin"
	CallExec      = "exec"
	CallQuery     = "query"
	CallNext      = "next row"
	CallPrepare   = "prepare"
	CallCommit    = "commit"
	CallRollback  = "rollback"
	CallSavepoint = "savepoint"
)

// Call is one call of the driver.
type Call struct {
	// Kind is one of the constants above.
	Kind string
	// Text is the SQL, if the call has any.
	Text string
}

func (c Call) String() string {
	if c.Text == "" {
		return c.Kind
	}
	return c.Kind + ": " + cut(c.Text)
}

// Faults is a driver.Connector that leads to a database and counts the calls
// that are made to its driver. At one of them it injects a [Fault].
type Faults struct {
	connector driver.Connector
	dialect   sqlstore.Dialect
	// Watch, if set before the first connection, is told of every call just
	// before it is made.
	Watch func(Call)

	mu    sync.Mutex
	armed bool
	at    int
	fault Fault
	end   func()
	calls int
	hit   Call
}

var _ driver.Connector = (*Faults)(nil)

// NewFaults returns Faults in front of a database. Until [Faults.Arm] nothing
// goes wrong.
func NewFaults(d *Database) (*Faults, error) {
	drv := d.SQL().Driver()
	f := &Faults{connector: plainConnector{drv, d.DSN}, dialect: d.Dialect}
	if opener, ok := drv.(driver.DriverContext); ok {
		var err error
		if f.connector, err = opener.OpenConnector(d.DSN); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// plainConnector is a connector of a driver that has none.
type plainConnector struct {
	driver driver.Driver
	dsn    string
}

func (c plainConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c plainConnector) Driver() driver.Driver                        { return c.driver }

// Arm starts counting anew: the call with the given number, counted from 1,
// will suffer the fault. End ends the context of the calls that are made.
func (f *Faults) Arm(at int, fault Fault, end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.at, f.fault, f.end, f.calls, f.hit = true, at, fault, end, 0, Call{}
}

// Disarm returns the call that has suffered the fault, if it was reached.
func (f *Faults) Disarm() (hit Call, reached bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.hit, f.calls >= f.at
}

// next counts a call and returns what is to go wrong with it.
func (f *Faults) next(call Call) (fault Fault, end func()) {
	if f.Watch != nil {
		f.Watch(call)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return 0, nil
	}
	if f.calls++; f.calls != f.at {
		return 0, nil
	}
	f.hit = call
	return f.fault, f.end
}

// Driver implements driver.Connector.
func (f *Faults) Driver() driver.Driver { return f.connector.Driver() }

// Connect implements driver.Connector.
func (f *Faults) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := f.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	modern, ok := conn.(modernConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("dbtest: a connection of type %T lacks methods that take a context", conn), conn.Close())
	}
	return &faultyConn{modernConn: modern, faults: f}, nil
}

// modernConn is what all drivers here have.
type modernConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

// faultyConn is a connection that can be lost. It is closed when database/sql
// has closed all that was opened on it, as drivers demand.
type faultyConn struct {
	modernConn
	faults *Faults
	lost   bool
}

var (
	_ modernConn               = (*faultyConn)(nil)
	_ driver.NamedValueChecker = (*faultyConn)(nil)
	_ driver.SessionResetter   = (*faultyConn)(nil)
	_ driver.Validator         = (*faultyConn)(nil)
	_ driver.Pinger            = (*faultyConn)(nil)
)

// fail makes the error of a fault.
func (c *faultyConn) fail(f Fault, call Call) error {
	err := &faultError{fault: f, call: call.Kind}
	switch f {
	case FaultLostBefore:
		c.lost = true
		err.cause = driver.ErrBadConn
	case FaultLostAfter:
		c.lost = true
		err.cause = io.ErrUnexpectedEOF
	case FaultConflict:
		err.state = "40001"
	}
	return err
}

// faultError is an error that [Faults] has made up.
type faultError struct {
	fault Fault
	call  string
	state string
	cause error
}

func (e *faultError) Error() string { return fmt.Sprintf("%v: %s at %s", ErrFault, e.fault, e.call) }

// SQLState is how drivers tell a conflict.
func (e *faultError) SQLState() string { return e.state }

func (e *faultError) Unwrap() []error {
	if e.cause == nil {
		return []error{ErrFault}
	}
	return []error{ErrFault, e.cause}
}

// made makes a call on a connection, with the fault that is due.
func made[T any](ctx context.Context, c *faultyConn, call Call, run func(context.Context) (T, error)) (T, error) {
	return madeOr(ctx, c, call, run, func(fault Fault) error {
		if fault == FaultConflict {
			c.abort()
		}
		return nil
	})
}

// madeOr is [made] for calls with an effect of their own on the transaction if
// they fail, which refused has.
func madeOr[T any](ctx context.Context, c *faultyConn, call Call, run func(context.Context) (T, error), refused func(Fault) error) (T, error) {
	var none T
	if c.lost {
		return none, driver.ErrBadConn
	}
	fault, end := c.faults.next(call)
	switch fault {
	case FaultError, FaultConflict:
		return none, errors.Join(c.fail(fault, call), refused(fault))
	case FaultLostBefore:
		return none, c.fail(fault, call)
	case FaultLostAfter:
		v, err := run(ctx)
		if err != nil && !errors.Is(err, io.EOF) {
			return v, err
		}
		if closer, ok := any(v).(io.Closer); ok {
			_ = closer.Close()
		}
		return none, c.fail(fault, call)
	case FaultCancel:
		end()
	case FaultCancelAfter:
		defer end()
	case FaultStall:
		end()
		return none, c.stall(ctx, call)
	}
	return run(ctx)
}

// patience bounds a stall that nobody ends.
const patience = 30 * time.Second

// stall waits for the context. Drivers of servers then give the connection up,
// for its state is not known; so does everybody at the end of a transaction.
func (c *faultyConn) stall(ctx context.Context, call Call) error {
	c.lost = c.faults.dialect != sqlstore.SQLite || call.Kind == CallCommit || call.Kind == CallRollback
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("%w: a call hung for %s because its context is not the caller's", ErrFault, patience)
	}
}

// abort does to a transaction what the database does at a conflict: MariaDB
// rolls it back and goes on without one, PostgreSQL refuses what follows.
// SQLite does nothing.
func (c *faultyConn) abort() {
	text := map[sqlstore.Dialect]string{sqlstore.Postgres: "SELECT 1/0", sqlstore.MySQL: "ROLLBACK"}[c.faults.dialect]
	if text != "" {
		_, _ = c.modernConn.ExecContext(context.Background(), text, nil)
	}
}

// BeginTx implements driver.ConnBeginTx.
func (c *faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return made(ctx, c, Call{Kind: CallBegin}, func(ctx context.Context) (driver.Tx, error) {
		tx, err := c.modernConn.BeginTx(ctx, opts)
		if err != nil {
			return nil, err
		}
		return &faultyTx{tx, c, ctx}, nil
	})
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *faultyConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	return made(ctx, c, Call{CallPrepare, text}, func(ctx context.Context) (driver.Stmt, error) {
		stmt, err := c.modernConn.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		return &faultyStmt{stmt, c, text}, nil
	})
}

// unprepared reports whether the driver asks database/sql to prepare a
// statement first, which is no call yet.
func (c *faultyConn) unprepared(args []driver.NamedValue) bool {
	return c.faults.dialect == sqlstore.MySQL && len(args) > 0
}

// ExecContext implements driver.ExecerContext.
func (c *faultyConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if c.unprepared(args) {
		return nil, driver.ErrSkip
	}
	return made(ctx, c, execCall(text), func(ctx context.Context) (driver.Result, error) {
		return c.modernConn.ExecContext(ctx, text, args)
	})
}

func execCall(text string) Call {
	if strings.Contains(text, "SAVEPOINT ") {
		return Call{CallSavepoint, text}
	}
	return Call{CallExec, text}
}

// QueryContext implements driver.QueryerContext.
func (c *faultyConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if c.unprepared(args) {
		return nil, driver.ErrSkip
	}
	return c.rows(ctx, text, func(ctx context.Context) (driver.Rows, error) {
		return c.modernConn.QueryContext(ctx, text, args)
	})
}

func (c *faultyConn) rows(ctx context.Context, text string, run func(context.Context) (driver.Rows, error)) (driver.Rows, error) {
	return made(ctx, c, Call{CallQuery, text}, func(ctx context.Context) (driver.Rows, error) {
		rows, err := run(ctx)
		if err != nil {
			return nil, err
		}
		return &faultyRows{Rows: rows, conn: c, ctx: ctx, text: text}, nil
	})
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.modernConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// ResetSession implements driver.SessionResetter.
func (c *faultyConn) ResetSession(ctx context.Context) error {
	if c.lost {
		return driver.ErrBadConn
	}
	if r, ok := c.modernConn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

// IsValid implements driver.Validator.
func (c *faultyConn) IsValid() bool {
	if v, ok := c.modernConn.(driver.Validator); ok && !v.IsValid() {
		return false
	}
	return !c.lost
}

// Ping implements driver.Pinger.
func (c *faultyConn) Ping(ctx context.Context) error {
	if c.lost {
		return driver.ErrBadConn
	}
	if p, ok := c.modernConn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

type faultyTx struct {
	driver.Tx
	conn *faultyConn
	ctx  context.Context
}

// Commit implements driver.Tx.
func (t *faultyTx) Commit() error { return t.close(Call{Kind: CallCommit}, t.Tx.Commit) }

// Rollback implements driver.Tx.
func (t *faultyTx) Rollback() error { return t.close(Call{Kind: CallRollback}, t.Tx.Rollback) }

func (t *faultyTx) close(call Call, run func() error) error {
	_, err := madeOr(t.ctx, t.conn, call, func(context.Context) (any, error) { return nil, run() }, func(Fault) error { return t.Tx.Rollback() })
	return err
}

type faultyStmt struct {
	driver.Stmt
	conn *faultyConn
	text string
}

// CheckNamedValue implements driver.NamedValueChecker.
func (s *faultyStmt) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}

// ExecContext implements driver.StmtExecContext.
func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return made(ctx, s.conn, execCall(s.text), func(ctx context.Context) (driver.Result, error) {
		return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	})
}

// QueryContext implements driver.StmtQueryContext.
func (s *faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.rows(ctx, s.text, func(ctx context.Context) (driver.Rows, error) {
		return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	})
}
