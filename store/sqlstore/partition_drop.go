package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/gormtrail/audit"
)

// PartitionMonths returns the months (UTC) that have a partition of their own, oldest
// first; none if the events are in one plain table or not on PostgreSQL. Package
// retention asks for them.
func (s *Store) PartitionMonths(ctx context.Context) ([]time.Time, error) {
	if s.names.dialect != Postgres {
		return nil, nil
	}
	f, err := s.form(ctx, s.db)
	if err != nil {
		return nil, err
	}
	var months []time.Time
	for _, p := range f.parts {
		if month := monthOf(p.public().From); p.from == month.UnixMicro() && p.to == month.AddDate(0, 1, 0).UnixMicro() {
			months = append(months, month)
		}
	}
	return months, nil
}

// DropMonth drops the partition of a month (UTC) with all its events, and appends those
// that tell of it, in one transaction. Before, while nobody can write to the partition,
// it calls same with each event that is left, of which only ID, Time and Workspace
// are set, in no order; if same returns an error, DropMonth returns it and drops
// nothing. [Store.Protect] does not refuse it, as it cannot refuse DROP TABLE.
//
// Who reads and writes other events has to wait for some milliseconds, and up to 100
// more for those that hold the table. It returns [ErrBusy] if they do for long, and
// an error that wraps [audit.ErrMissing] if the month has no partition. The role has
// to own the table.
func (s *Store) DropMonth(ctx context.Context, month time.Time, tell []audit.Event, same func(left iter.Seq2[audit.Event, error]) error) error {
	err := s.dropMonth(ctx, monthOf(month), tell, same)
	switch {
	case locked(err) && !errors.Is(err, ErrBusy):
		err = fmt.Errorf("%w: %w", ErrBusy, err)
	case hasState(err, "42P01"): // another process has just dropped it
		err = fmt.Errorf("%w: %w", audit.ErrMissing, err)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: drop the partition of %s: %w", month.UTC().Format("2006-01"), err)
	}
	return nil
}

func (s *Store) dropMonth(ctx context.Context, month time.Time, tell []audit.Event, same func(left iter.Seq2[audit.Event, error]) error) error {
	name, rest, err := s.partitionOf(ctx, month)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := still(ctx, tx, name, rest); err != nil {
		return err
	}
	// Keeps writers away from this partition alone.
	if err := s.lockPatiently(ctx, tx, name+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return err
	}
	if err := same(keysOf(ctx, tx, name)); err != nil {
		return err
	}
	// Keeps everybody away from all of them.
	if err := s.lockPatiently(ctx, tx, "ONLY "+s.names.qualified(s.names.events)+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	if err := s.AppendTx(ctx, tx, tell); err != nil {
		return err
	}
	if err := execAll(ctx, tx, "DROP TABLE "+name); err != nil {
		return err
	}
	return tx.Commit()
}

// partitionOf is the partition of a month, and the default one.
func (s *Store) partitionOf(ctx context.Context, month time.Time) (name, rest string, err error) {
	if s.names.dialect != Postgres {
		return "", "", fmt.Errorf("%w: %q has no partitions", audit.ErrMissing, s.names.dialect)
	}
	f, err := s.form(ctx, s.db)
	if err != nil {
		return "", "", err
	}
	for _, p := range f.parts {
		if p.from == month.UnixMicro() && p.to == month.AddDate(0, 1, 0).UnixMicro() {
			return p.name, f.rest, nil
		}
	}
	return "", "", fmt.Errorf("%w: the month has no partition", audit.ErrMissing)
}

// lockPatiently locks a table, giving way to others again and again.
func (s *Store) lockPatiently(ctx context.Context, tx *sql.Tx, what string) error {
	for try := 1; ; try++ {
		if err := execAll(ctx, tx, "SAVEPOINT audit_lock"); err != nil {
			return err
		}
		err := execAll(ctx, tx, "LOCK TABLE "+what)
		if err == nil {
			return execAll(ctx, tx, "RELEASE SAVEPOINT audit_lock")
		}
		if !locked(err) {
			return err
		}
		if err := execAll(ctx, tx, "ROLLBACK TO SAVEPOINT audit_lock"); err != nil {
			return err
		}
		if try == dropTries {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		if err := pause(ctx, lockTimeout); err != nil {
			return err
		}
	}
}

// dropTries is how often a lock is tried to get while another one is held.
const dropTries = 20

// keysOf are the events of a partition, by what is needed to tell them apart.
func keysOf(ctx context.Context, tx *sql.Tx, name string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		rows, err := tx.QueryContext(ctx, "SELECT id, time, workspace FROM "+name)
		if err != nil {
			yield(audit.Event{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var e audit.Event
			var micro int64
			if err := rows.Scan(&e.ID, &micro, &e.Workspace); err != nil {
				yield(audit.Event{}, err)
				return
			}
			e.Time = time.UnixMicro(micro).UTC()
			if !yield(e, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(audit.Event{}, err)
		}
	}
}
