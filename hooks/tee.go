package hooks

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// insertReturning runs an INSERT of which GORM wants columns back, has it return
// our columns as well, and gives GORM its part. So what was inserted is known
// exactly, even where GORM gives the keys that come back to the wrong ones of
// the application's values, as it does for some upserts.
func (c *capture) insertReturning(ctx context.Context, text string, args []any) (_ *sql.Rows, err error) {
	defer recovered(&err)
	rows, err := c.tx.QueryContext(ctx, text+","+c.returned(), args...)
	if err != nil {
		return nil, err // the statement's own error, as it is without us
	}
	defer rows.Close()
	r := c.layout.reader(c.assigned)
	defer r.release()
	ours := append(r.dest, c.existedDest()...)
	theirs, err := newTee(rows, len(ours))
	if err != nil {
		return nil, failed(err)
	}
	dest := append(theirs.dest, ours...)
	for rows.Next() {
		r.reset()
		if err := rows.Scan(dest...); err != nil {
			return nil, failed(err)
		}
		theirs.keep()
		c.addReturned(r.image())
	}
	if theirs.err = rows.Err(); theirs.err != nil {
		// GORM meets the error where it does without us: after the rows.
		return theirs.open() //nolint:sqlclosecheck // GORM closes what it asked for
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	c.ran, c.complete = true, true
	c.trustKeys()
	return theirs.open() //nolint:sqlclosecheck // GORM closes what it asked for
}

// trustKeys has rows read again that an INSERT has returned: SQLite returns them as
// they were before its triggers, and MariaDB one row several times if an upsert names
// it so. Only the keys are sure.
func (c *capture) trustKeys() {
	if c.plugin.dialect.name != "sqlite" && (c.plugin.dialect.name != "mysql" || !c.mayConflict()) {
		return
	}
	c.complete, c.keys = false, make([][]any, len(c.after))
	for i := range c.after {
		c.keys[i] = c.after[i].args
	}
	c.after = nil
}

// tee holds rows that were read already, for somebody who wants a *sql.Rows. It
// is a driver of database/sql whose only query has them as its result.
type tee struct {
	columns []string
	types   []*sql.ColumnType
	dest    []any
	current []any
	rows    [][]driver.Value
	next    int
	err     error // follows the rows; nil means their end
}

// newTee takes all columns of rows but the last ones.
func newTee(rows *sql.Rows, but int) (*tee, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	n := len(columns) - but
	t := &tee{columns: columns[:n:n], types: types[:n], current: make([]any, n), dest: make([]any, n)}
	for i := range t.dest {
		t.dest[i] = &t.current[i]
	}
	return t, nil
}

// keep takes over the row that was scanned into dest.
func (t *tee) keep() {
	row := make([]driver.Value, len(t.current))
	for i, v := range t.current {
		row[i] = v
	}
	t.rows = append(t.rows, row)
}

// open gives the rows. The pool that it takes is closed at once: that ends its
// goroutine, and leaves the rows to be read.
func (t *tee) open() (*sql.Rows, error) {
	pool := sql.OpenDB(t)
	rows, err := pool.QueryContext(context.Background(), "")
	if err != nil {
		return nil, errors.Join(failed(err), pool.Close())
	}
	if err := pool.Close(); err != nil {
		return nil, errors.Join(failed(err), rows.Close()) //nolint:sqlclosecheck // else they are GORM's to close
	}
	return rows, nil
}

var (
	_ driver.Connector                      = (*tee)(nil)
	_ driver.QueryerContext                 = (*tee)(nil)
	_ driver.RowsColumnTypeScanType         = (*tee)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*tee)(nil)
)

// Connect implements driver.Connector.
func (t *tee) Connect(context.Context) (driver.Conn, error) { return teeConn{t}, nil }

// Driver implements driver.Connector.
func (t *tee) Driver() driver.Driver { return nil }

// QueryContext implements driver.QueryerContext.
func (t *tee) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return t, nil
}

// Columns implements driver.Rows.
func (t *tee) Columns() []string { return t.columns }

// Next implements driver.Rows.
func (t *tee) Next(dest []driver.Value) error {
	if t.next == len(t.rows) {
		return cmp.Or(t.err, io.EOF)
	}
	copy(dest, t.rows[t.next])
	t.next++
	return nil
}

// Close implements driver.Rows.
func (t *tee) Close() error { return nil }

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (t *tee) ColumnTypeScanType(i int) reflect.Type { return t.types[i].ScanType() }

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (t *tee) ColumnTypeDatabaseTypeName(i int) string { return t.types[i].DatabaseTypeName() }

// teeConn is a connection that has nothing but the rows.
type teeConn struct{ *tee }

var errTee = errors.New("audit: rows that were read already are no connection")

// Prepare implements driver.Conn.
func (teeConn) Prepare(string) (driver.Stmt, error) { return nil, errTee }

// Begin implements driver.Conn.
func (teeConn) Begin() (driver.Tx, error) { return nil, errTee }
