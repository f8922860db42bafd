package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

const (
	// written is how many events are written to measure an index, a hundred by
	// a statement.
	written = 2000
	// turns is how often each index is left out.
	turns = 11
)

// measureIndexes prints what each index takes and what it costs a write: it
// writes the same events with all indexes and with one left out, in turn, and
// takes them back.
func (o options) measureIndexes(ctx context.Context) error {
	for _, name := range o.databases {
		if name == "mysql" {
			fmt.Println("mysql: SKIPPED, it does not tell how an index is made again")
			continue
		}
		s, err := o.open(ctx, name, o.events[0])
		if errors.Is(err, dbtest.ErrUnavailable) {
			fmt.Printf("%s: SKIPPED, nothing was measured: %v\n", name, err)
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(s.measureIndexes(ctx), s.close()); err != nil {
			return s.wrap(err)
		}
	}
	return nil
}

func (s *subject) measureIndexes(ctx context.Context) error {
	indexes, err := s.indexes(ctx)
	if err != nil {
		return err
	}
	var all []time.Duration
	costs := map[string][]time.Duration{}
	events := s.further()
	for range turns {
		for _, x := range indexes {
			with, err := s.write(ctx, events)
			if err != nil {
				return err
			}
			without, err := s.writeWithout(ctx, x, events)
			if err != nil {
				return err
			}
			all = append(all, with)
			costs[x.name] = append(costs[x.name], with-without)
		}
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\n%s, %d events\tbytes per event\tmicroseconds per write\t\n", s.name, s.n)
	fmt.Fprintf(t, "the table and all indexes\t\t%s\t\n", perWrite(dbtest.Median(all)))
	for _, x := range indexes {
		fmt.Fprintf(t, "%s\t%d\t%s\t\n", x.name, x.size/s.n, perWrite(dbtest.Median(costs[x.name])))
	}
	return t.Flush()
}

func perWrite(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Nanoseconds())/written/1000, 'f', 1, 64)
}

// index is one that is no primary key.
type index struct {
	name, definition string
	size             int
}

func (s *subject) indexes(ctx context.Context) (indexes []index, err error) {
	query := `SELECT name, sql, (SELECT sum(pgsize) FROM dbstat d WHERE d.name = m.name) FROM sqlite_master m
		WHERE type = 'index' AND tbl_name = 'audit_events' AND sql IS NOT NULL ORDER BY name`
	if s.database.Dialect == sqlstore.Postgres {
		query = `SELECT c.relname, pg_get_indexdef(c.oid), pg_relation_size(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE i.indrelid = 'audit_events'::regclass AND NOT i.indisprimary ORDER BY 1`
	}
	rows, err := s.database.SQL().QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x index
		if err := rows.Scan(&x.name, &x.definition, &x.size); err != nil {
			return nil, err
		}
		indexes = append(indexes, x)
	}
	return indexes, rows.Err()
}

// further are events of the days after the year.
func (s *subject) further() []audit.Event {
	y := newYear(s.n)
	var events []audit.Event
	for len(events) < written {
		events = append(events, y.next()...)
	}
	events = events[:written]
	for i := range events {
		e := &events[i]
		e.Time = e.Time.Add(length)
		e.ID[0]++ // later, too
		e.ChangeSet[0]++
		if e.Cause != uuid.Nil {
			e.Cause[0]++
		}
	}
	return events
}

// writeWithout writes events while an index is not there.
func (s *subject) writeWithout(ctx context.Context, x index, events []audit.Event) (took time.Duration, err error) {
	if _, err := s.database.SQL().ExecContext(ctx, "DROP INDEX "+x.name); err != nil {
		return 0, err
	}
	defer func() {
		_, made := s.database.SQL().ExecContext(ctx, x.definition)
		err = errors.Join(err, made)
	}()
	return s.write(ctx, events)
}

// write writes events and takes them back, twice, because the first to come
// finds nothing in memory.
func (s *subject) write(ctx context.Context, events []audit.Event) (took time.Duration, err error) {
	if _, err := s.writeOnce(ctx, events); err != nil {
		return 0, err
	}
	return s.writeOnce(ctx, events)
}

func (s *subject) writeOnce(ctx context.Context, events []audit.Event) (took time.Duration, err error) {
	tx, err := s.database.SQL().BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	start := time.Now()
	for part := range slices.Chunk(events, 100) {
		if err := s.store.AppendTx(ctx, tx, part); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}
