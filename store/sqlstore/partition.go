package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrBusy is returned if a table could not be locked, because others hold it for
// long. Nothing was changed by what failed; it may be tried again.
var ErrBusy = errors.New("sqlstore: others hold the events' table for too long")

// Partitions are the events' table of PostgreSQL in parts, one for each month (UTC)
// of the events' times. A month that has expired is dropped as a whole, which takes
// no longer for a million events than for ten, leaves no dead rows behind, and lets
// reports of some days look at small indexes.
//
//	partitions, err := store.Partitions()
//	err = partitions.Migrate(ctx)               // once: the plain table becomes the default partition
//	err = partitions.Ahead(ctx, time.Now(), 3)  // from time to time: this month's and those of three more
//
// Everything else of a [Store] works on this form as on the plain one. What has no
// partition of its own goes to the default one, so no write ever fails for the lack
// of a partition; the next Ahead moves it to its month.
//
// # What is different
//
// An id is unique in its month only, and within the default partition: PostgreSQL
// has no index over several. An event that is appended twice is refused as before,
// since it has the same time; another event with the same id and a time in another
// month is not.
//
// A statement without a range of times looks into each partition, and takes a lock
// on it. That costs some microseconds for each.
type Partitions struct{ store *Store }

// Partition is a part of the events' table.
type Partition struct {
	// Name is the name of its table, quoted and with its schema.
	Name string
	// From and To bound the times of its events: From <= time < To. A zero one is
	// no bound. The default partition has neither, and what is in no other one.
	From, To time.Time
}

// Partitions returns the partitions of the events' table, which may be none yet.
// The error wraps [errors.ErrUnsupported] if the store is not on PostgreSQL. Version
// 13 or newer is needed.
func (s *Store) Partitions() (*Partitions, error) {
	if s.names.dialect != Postgres {
		return nil, fmt.Errorf("sqlstore: there are no partitions for %q, only for PostgreSQL: %w", s.names.dialect, errors.ErrUnsupported)
	}
	return &Partitions{s}, nil
}

// List returns the partitions, oldest first and the default one last. There is none
// if the events are in one plain table.
func (p *Partitions) List(ctx context.Context) ([]Partition, error) {
	f, err := p.store.form(ctx, p.store.db)
	if err != nil || !f.partitioned {
		return nil, err
	}
	list := make([]Partition, 0, len(f.parts)+1)
	for _, part := range f.parts {
		list = append(list, part.public())
	}
	if f.rest != "" {
		list = append(list, Partition{Name: f.rest})
	}
	return list, nil
}

// Migrate makes a partitioned table of the plain one, which becomes its default
// partition: no event is moved, however many there are, until [Partitions.Ahead]
// does. It takes some tens of milliseconds, in which others wait. It may be called at every start
// after [Store.Migrate], and by several processes at once.
//
// Triggers, indexes and privileges are taken over. It returns an error that names
// what is in the way: views, foreign keys and publications that refer to the table,
// further unique indexes, row security. The role has to own the table and to be
// allowed to make others in its schema. It returns [ErrBusy] if others hold the table
// for long, and [audit.ErrSchema] if there is none.
func (p *Partitions) Migrate(ctx context.Context) error {
	if err := p.store.VerifySchema(ctx); err != nil {
		return err
	}
	f, err := p.store.form(ctx, p.store.db)
	if err != nil || f.partitioned {
		return err
	}
	err = p.store.patiently(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if f, err = p.store.form(ctx, tx); err != nil || f.partitioned {
			return err
		}
		if err := still(ctx, tx, f.of("")); err != nil {
			return err
		}
		if err := execAll(ctx, tx, "LOCK TABLE "+f.of("")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		if err := f.run(ctx, tx, "partition"); err != nil {
			return err
		}
		return p.settle(ctx, tx, f)
	})
	if err != nil {
		return fmt.Errorf("sqlstore: make partitions of %s: %w", p.store.names.qualified(p.store.names.events), err)
	}
	return nil
}

// settle makes new partitions like the others: protected, and nobody's own.
func (p *Partitions) settle(ctx context.Context, tx *sql.Tx, f form) error {
	if err := f.run(ctx, tx, "partition_leaves"); err != nil {
		return err
	}
	n := p.store.names
	var protected bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2 AND tgenabled <> 'D')",
		f.of(""), n.events+"_protect").Scan(&protected)
	if err != nil || !protected {
		return err
	}
	list, err := n.protection("protect")
	if err != nil {
		return err
	}
	for _, statement := range list {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
