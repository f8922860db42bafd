package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gormtrail/audit"
)

var _ audit.Streamer = (*Store)(nil)

// Stream implements [audit.Streamer]. It runs one statement, on PostgreSQL and
// MySQL in a transaction that only reads.
func (s *Store) Stream(ctx context.Context, f audit.Filter, each func(*audit.Event) error) error {
	if err := s.stream(ctx, f, each); err != nil {
		return fmt.Errorf("sqlstore: stream events: %w", err)
	}
	return nil
}

func (s *Store) stream(ctx context.Context, f audit.Filter, each func(*audit.Event) error) error {
	if err := f.Validate(); err != nil {
		return err
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	var tx audit.DBTX = conn            // where a statement that is being read is a snapshot
	if s.names.dialect != SQLite {
		snapshot, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = snapshot.Rollback() }() // it has written nothing
		tx = snapshot
	}
	joined, err := s.joins(ctx, tx)
	if err != nil {
		return err
	}
	return s.streamFrom(ctx, tx, f, audit.Position{}, joined, each)
}

// streamFrom goes on after a position.
func (s *Store) streamFrom(ctx context.Context, tx audit.DBTX, f audit.Filter, from audit.Position, joined bool, each func(*audit.Event) error) error {
	text, args := s.names.selectEvents(s.names.dialect.form(joined), f, from, 0)
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	row, err := newScanner(rows, joined, new(audit.StoredParser).Parse)
	if err != nil {
		return err
	}
	for rows.Next() {
		e, err := row.scan(rows)
		if errors.Is(err, errAmbiguous) {
			// SQLite's snapshot ends with these rows, others begin no statement before
			// that.
			if s.names.dialect != SQLite {
				if err := rows.Close(); err != nil {
					return err
				}
			}
			return s.streamFrom(ctx, tx, f, from, false, each)
		}
		if err != nil {
			return err
		}
		if from = e.Position(); f.Matches(*e) {
			if err := each(e); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}
