package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/gormtrail/audit/internal/dbtest"
)

// tape is a driver in front of a database's own. It records what the database
// answers to the statements of an operation, and plays that back without the
// database, as often as the operation is run: what is left of the costs is that
// of the program. It serves one goroutine.
type tape struct {
	driver.Connector
	track   *track // nil: nothing is recorded or played
	playing bool
	at      int
}

// track is the statements of one operation, which are in one transaction, and
// their answers.
type track []answered

type answered struct {
	text    string
	args    []any
	query   bool
	result  driver.Result // if it is no query
	columns []answeredColumn
	rows    [][]driver.Value
}

type answeredColumn struct {
	name, typeName string
	scanType       reflect.Type
}

// newTape returns a tape in front of a database.
func newTape(database *dbtest.Database) (*tape, error) {
	connector, err := dbtest.NewFaults(database) // which injects none until it is told to
	if err != nil {
		return nil, err
	}
	return &tape{Connector: connector}, nil
}

// record runs an operation on the database and returns its track.
func (t *tape) record(run func() error) (track, error) {
	recorded := track{}
	t.track, t.playing = &recorded, false
	defer func() { t.track = nil }()
	err := run()
	return recorded, err
}

// play runs an operation of which the track is known, n times.
func (t *tape) play(known track, n int, run func() error) error {
	t.track, t.playing = &known, true
	defer func() { t.track = nil }()
	for range n {
		t.at = 0
		if err := run(); err != nil {
			return err
		}
		if t.at != len(known) {
			return fmt.Errorf("an operation of %d statements ran %d when it was played", len(known), t.at)
		}
	}
	return nil
}

// byHand runs the statements of a track by database/sql alone.
func (k track) byHand(ctx context.Context, pool *sql.DB) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	for i := range k {
		a := &k[i]
		if !a.query {
			if _, err := tx.ExecContext(ctx, a.text, a.args...); err != nil {
				return err
			}
			continue
		}
		if err := a.read(ctx, tx); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// read runs a query and scans its rows as they come.
func (a *answered) read(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, a.text, a.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	dest := slices.Repeat([]any{nothing{}}, len(a.columns))
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// nothing takes a value and does nothing with it.
type nothing struct{}

// Scan implements sql.Scanner.
func (nothing) Scan(any) error { return nil }

// Connect implements driver.Connector.
func (t *tape) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := t.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &tapedConn{conn.(contextConn), t}, nil
}

// contextConn is what the connections of all drivers here can do.
type contextConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
}

type tapedConn struct {
	contextConn
	tape *tape
}

// BeginTx implements driver.ConnBeginTx.
func (c *tapedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.tape.track != nil && c.tape.playing {
		return playedTx{}, nil
	}
	return c.contextConn.BeginTx(ctx, opts)
}

type playedTx struct{}

func (playedTx) Commit() error   { return nil }
func (playedTx) Rollback() error { return nil }

// ExecContext implements driver.ExecerContext.
func (c *tapedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	a, err := c.answer(ctx, text, args, false)
	if err != nil {
		return nil, err
	}
	return a.result, nil
}

// QueryContext implements driver.QueryerContext.
func (c *tapedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	a, err := c.answer(ctx, text, args, true)
	if err != nil {
		return nil, err
	}
	return &playedRows{answered: a}, nil
}

// answer answers a statement: from the track if that is played, else from the
// database.
func (c *tapedConn) answer(ctx context.Context, text string, args []driver.NamedValue, query bool) (*answered, error) {
	t := c.tape
	if t.track != nil && t.playing {
		if t.at == len(*t.track) || (*t.track)[t.at].text != text || (*t.track)[t.at].query != query {
			return nil, fmt.Errorf("an operation does not run the statements when it is played that it ran before: %q", text)
		}
		t.at++
		return &(*t.track)[t.at-1], nil
	}
	a := &answered{text: text, query: query}
	for _, v := range args {
		a.args = append(a.args, v.Value)
	}
	if err := a.ask(ctx, c.contextConn, args); err != nil {
		return nil, err
	}
	if t.track != nil {
		*t.track = append(*t.track, *a)
	}
	return a, nil
}

// ask has the database answer. Drivers that skip the call want the statement
// prepared.
func (a *answered) ask(ctx context.Context, conn contextConn, args []driver.NamedValue) (err error) {
	var rows driver.Rows
	if a.query {
		rows, err = conn.QueryContext(ctx, a.text, args)
	} else {
		a.result, err = conn.ExecContext(ctx, a.text, args)
	}
	if errors.Is(err, driver.ErrSkip) {
		var stmt driver.Stmt
		if stmt, err = conn.PrepareContext(ctx, a.text); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stmt.Close()) }()
		if a.query {
			rows, err = stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		} else {
			a.result, err = stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		}
	}
	if err != nil || !a.query {
		return err
	}
	return errors.Join(a.keep(rows), rows.Close())
}

// keep reads all rows.
func (a *answered) keep(rows driver.Rows) error {
	for i, name := range rows.Columns() {
		a.columns = append(a.columns, answeredColumn{
			name:     name,
			typeName: rows.(driver.RowsColumnTypeDatabaseTypeName).ColumnTypeDatabaseTypeName(i),
			scanType: rows.(driver.RowsColumnTypeScanType).ColumnTypeScanType(i),
		})
	}
	for {
		row := make([]driver.Value, len(a.columns))
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				row[i] = slices.Clone(b) // the driver's memory
			}
		}
		a.rows = append(a.rows, row)
	}
}

// playedRows are the rows of an answer.
type playedRows struct {
	*answered
	next int
}

var (
	_ driver.RowsColumnTypeScanType         = (*playedRows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*playedRows)(nil)
)

// Columns implements driver.Rows.
func (r *playedRows) Columns() []string {
	names := make([]string, len(r.columns))
	for i := range r.columns {
		names[i] = r.columns[i].name
	}
	return names
}

// Next implements driver.Rows.
func (r *playedRows) Next(dest []driver.Value) error {
	if r.next == len(r.rows) {
		return io.EOF
	}
	copy(dest, r.rows[r.next])
	r.next++
	return nil
}

// Close implements driver.Rows.
func (r *playedRows) Close() error { return nil }

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *playedRows) ColumnTypeScanType(i int) reflect.Type { return r.columns[i].scanType }

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *playedRows) ColumnTypeDatabaseTypeName(i int) string { return r.columns[i].typeName }
