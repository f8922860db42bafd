package sqlstore

import (
	"context"
	"errors"
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

// selection makes the statement that reads columns on from a position.
type selection func(columns string, f audit.Filter, from audit.Position, limit int) (string, []any)

func (s *Store) list(ctx context.Context, tx audit.DBTX, sel selection, f audit.Filter, from audit.Position, limit int) ([]audit.Event, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("sqlstore: limit is %d, must be at least 1", limit)
	}
	joined, err := s.joins(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list events: %w", err)
	}
	var found []audit.Event
	fetch := limit
	for {
		b := batch{joined: joined, f: f, from: from, found: found, most: limit}
		text, args := sel(s.names.dialect.form(joined), f, from, fetch)
		n, err := b.fetch(ctx, tx, text, args)
		if errors.Is(err, errAmbiguous) {
			joined = false
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sqlstore: list events: %w", err)
		}
		if found = b.found; n < fetch || len(found) == limit {
			return found, nil
		}
		from, fetch = b.from, max(limit-len(found), minFetch)
	}
}

// batch are rows that are read by one statement.
type batch struct {
	joined bool
	f      audit.Filter
	from   audit.Position // where it ended
	found  []audit.Event  // of those that match, as many as are wanted
	most   int
}

// fetch reads the rows and returns their number.
func (b *batch) fetch(ctx context.Context, tx audit.DBTX, text string, args []any) (n int, err error) {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	row, err := newScanner(rows, b.joined, audit.ParseStored)
	if err != nil {
		return 0, err
	}
	for ; rows.Next(); n++ {
		e, err := row.scan(rows)
		if err != nil {
			return 0, err
		}
		b.from = e.Position()
		if b.found == nil {
			b.found = make([]audit.Event, 0, min(b.most, 512))
		}
		if len(b.found) < b.most && b.f.Matches(*e) {
			b.found = append(b.found, *e)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	return n, rows.Close()
}
