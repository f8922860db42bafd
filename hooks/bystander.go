package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// newBystander returns a table that is not recorded, but whose deleted rows
// change recorded ones. Of its rows only the columns of foreign keys are read.
func newBystander(r relation) *table {
	name := r.name
	if !r.visible {
		name = r.full()
	}
	return &table{name: name, schema: &schema.Schema{Table: name}, entity: &entity{}, bystander: true}
}

// reads adds columns to those that are read of a bystander. Constraints may write
// one column in several ways.
func (t *table) reads(d dialect, columns []string) {
	if !t.bystander {
		return
	}
	for _, c := range columns {
		if d.place(t.keys, c) < 0 {
			t.keys = append(t.keys, c)
			t.schema.DBNames = t.keys
		}
	}
}

// place finds a column by its name, which constraints may write otherwise.
func (d dialect) place(columns []string, name string) int {
	return slices.IndexFunc(columns, func(c string) bool {
		return c == name || d.name != "postgres" && strings.EqualFold(c, name)
	})
}

// meet reports whether two lists of columns have one in common.
func (d dialect) meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(c string) bool { return d.place(b, c) >= 0 })
}

// loadBystander reads what the keys of a table are. One that cannot be read, as it
// is not there or for want of a privilege, fails those deletions that lead through
// it, and no others. PostgreSQL is asked before: after an error it would refuse the
// rest of the transaction.
func (t *table) loadBystander(ctx context.Context, p *Plugin, tx audit.DBTX) (*layout, error) {
	if p.dialect.name == "postgres" {
		var readable bool
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(has_table_privilege(to_regclass($1),'SELECT'),false)", p.dialect.quote(t.name)).Scan(&readable); err != nil {
			return nil, fmt.Errorf("ask for the privileges on table %q: %w", t.name, err)
		}
		if !readable {
			return nil, fmt.Errorf("the rows of table %q, with which the database deletes recorded ones, cannot be read; grant SELECT on it", t.name)
		}
	}
	return t.loadKeys(ctx, p.dialect, tx, p.newEdition())
}

// loadKeys makes a layout of nothing but the keys.
func (t *table) loadKeys(ctx context.Context, d dialect, tx audit.DBTX, edition string) (*layout, error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+edition+d.list(t.keys)+" FROM "+d.quote(t.name)+" WHERE 1=0")
	if err != nil {
		return nil, fmt.Errorf("read the foreign keys of table %q: %w", t.name, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	l, err := t.arrange(d, types, edition)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	t.layout.Store(l)
	return l, nil
}

// finishBystander is finish for rows that leave no events themselves.
func (c *capture) finishBystander(ctx context.Context) (err error) {
	defer recovered(&err)
	if !c.ran {
		return nil
	}
	if !c.complete && c.db.RowsAffected > int64(len(c.before)) {
		return errRowsMoved(c.table.name)
	}
	return c.addFallout(ctx, c.fallout)
}
