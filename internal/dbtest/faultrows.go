package dbtest

import (
	"context"
	"database/sql/driver"
	"reflect"
)

// faultyRows are rows of which one may be the last to come. What they tell of
// their columns is the driver's.
type faultyRows struct {
	driver.Rows
	conn   *faultyConn
	ctx    context.Context
	text   string
	closed bool
}

var (
	_ driver.RowsColumnTypeScanType         = (*faultyRows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*faultyRows)(nil)
	_ driver.RowsColumnTypeNullable         = (*faultyRows)(nil)
)

// Next implements driver.Rows.
func (r *faultyRows) Next(dest []driver.Value) error {
	_, err := madeOr(r.ctx, r.conn, Call{CallNext, r.text}, func(context.Context) (any, error) { return nil, r.Rows.Next(dest) },
		func(fault Fault) error {
			if fault == FaultConflict {
				_ = r.Close() // a connection does one thing at a time
				r.conn.abort()
			}
			return nil
		})
	return err
}

// Close implements driver.Rows. The driver is asked once.
func (r *faultyRows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return r.Rows.Close()
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *faultyRows) ColumnTypeScanType(i int) reflect.Type {
	if t, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return t.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *faultyRows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return t.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *faultyRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return t.ColumnTypeNullable(i)
	}
	return false, false
}
