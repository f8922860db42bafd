package sqlstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/gormtrail/audit"
)

// List implements [audit.Store].
func (s *Store) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	return s.ListTx(ctx, s.db, f, after, limit)
}

// minFetch is the least number of rows that is asked for when the database
// finds more than the filter wants, so that a small page does not cost a query
// per row that is passed over.
const minFetch = 100

// ListTx implements [audit.TxLister].
//
// Every row is compared with the filter once more in Go. The database finds all
// that match and rarely others: the name of a field inside of a value, a text
// that differs in trailing spaces on MySQL. JSON functions in SQL would be no
// better: they refuse values that are nested deeply, which MariaDB does at 32.
func (s *Store) ListTx(ctx context.Context, tx audit.DBTX, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	return s.list(ctx, tx, s.names.selectEvents, f, after, limit)
}

var _ audit.ReverseLister = (*Store)(nil)

// ListBefore implements [audit.ReverseLister].
func (s *Store) ListBefore(ctx context.Context, f audit.Filter, before audit.Position, limit int) ([]audit.Event, error) {
	found, err := s.list(ctx, s.db, s.names.selectBefore, f, before, limit)
	slices.Reverse(found)
	return found, err
}

// selection makes the statement that reads on from a position.
type selection func(f audit.Filter, from audit.Position, limit int) (string, []any)

func (s *Store) list(ctx context.Context, tx audit.DBTX, sel selection, f audit.Filter, from audit.Position, limit int) ([]audit.Event, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("sqlstore: limit is %d, must be at least 1", limit)
	}
	var found []audit.Event
	fetch := limit
	for {
		text, args := sel(f, from, fetch)
		last, n, err := s.fetch(ctx, tx, text, args, func(e *audit.Event) {
			if len(found) < limit && f.Matches(*e) {
				found = append(found, *e)
			}
		})
		if err != nil {
			return nil, err
		}
		if n < fetch || len(found) == limit {
			return found, nil
		}
		from, fetch = last, max(limit-len(found), minFetch)
	}
}

// fetch reads rows and returns the position of the last one and their number.
func (s *Store) fetch(ctx context.Context, tx audit.DBTX, text string, args []any, each func(*audit.Event)) (last audit.Position, n int, err error) {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return last, 0, fmt.Errorf("sqlstore: list events: %w", err)
	}
	defer rows.Close()
	row := newScanner()
	for rows.Next() {
		e, err := row.scan(rows)
		if err != nil {
			return last, 0, fmt.Errorf("sqlstore: list events: %w", err)
		}
		last = e.Position()
		n++
		each(e)
	}
	if err := rows.Err(); err != nil {
		return last, 0, fmt.Errorf("sqlstore: list events: %w", err)
	}
	return last, n, rows.Close()
}
