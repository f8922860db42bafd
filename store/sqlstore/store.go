package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gormtrail/audit"
)

// Store is an [audit.Store] in a database. It is safe for use by several
// goroutines at once.
type Store struct {
	db    *sql.DB
	names names
	sql   insert
	words words
	// buffers are for the JSON of a statement's changes.
	buffers sync.Pool
	// engine tells whether SQLite's joins texts, once it has been asked.
	engine atomic.Pointer[bool]
}

var (
	_ audit.TxStore        = (*Store)(nil)
	_ audit.TxLister       = (*Store)(nil)
	_ audit.Colocated      = (*Store)(nil)
	_ audit.SchemaVerifier = (*Store)(nil)
)

// New returns a Store in the database that db leads to. It does not look into
// the database: see [Store.Migrate] and [Store.VerifySchema]. A nil cfg is the
// zero [Config]. It returns an error for a nil db, an unknown dialect and a
// name that is not a plain identifier.
func New(db *sql.DB, d Dialect, cfg *Config) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlstore: New needs a database, got nil")
	}
	n, err := cfg.names(d)
	if err != nil {
		return nil, err
	}
	return &Store{
		db:      db,
		names:   n,
		sql:     newInsert(n),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}, nil
}

// Append implements [audit.Store]. It begins a transaction only for more
// events than one statement takes.
func (s *Store) Append(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	if len(events) == 1 {
		return s.appendOne(ctx, s.db, &events[0])
	}
	rows, err := s.encode(events)
	if err != nil {
		return err
	}
	if statements := s.sql.statements(rows, false); len(rows) == len(events) && len(statements) == 1 {
		return s.run(ctx, s.db, statements)
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sqlstore: append: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := s.AppendTx(ctx, tx, events); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlstore: append: commit: %w", err)
	}
	return nil
}

// AppendTx implements [audit.TxStore]. It runs one statement per 1,000 events
// or 1 MiB of changes, on SQLite one per 400 variables.
func (s *Store) AppendTx(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	if len(events) == 1 {
		return s.appendOne(ctx, tx, &events[0])
	}
	_, within := tx.(interface{ Commit() error })
	for len(events) > 0 {
		rows, err := s.encode(events)
		if err != nil {
			return err
		}
		if err := s.run(ctx, tx, s.sql.statements(rows, within)); err != nil {
			return err
		}
		events = events[len(rows):]
	}
	return nil
}

// appendOne is AppendTx of one event, of which most writes have no more.
func (s *Store) appendOne(ctx context.Context, tx audit.DBTX, event *audit.Event) error {
	e := encoder{dialect: s.names.dialect, words: &s.words, args: make([]any, 0, len(columns))}
	if err := e.add(event); err != nil {
		return err
	}
	buf := s.buffers.Get().(*[]byte)
	*buf = audit.AppendStored((*buf)[:0], event.Changes)
	e.args[changesColumn] = string(*buf)
	s.buffers.Put(buf)
	_, err := tx.ExecContext(ctx, s.sql.one, e.args...)
	if err != nil {
		return s.appendError(err)
	}
	return nil
}

// encode makes rows of as many of the first events as one statement may hold.
// All their changes are one string, of which each row has a part.
func (s *Store) encode(events []audit.Event) ([][]any, error) {
	n := min(len(events), maxRows)
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	e := encoder{dialect: s.names.dialect, words: &s.words, args: make([]any, 0, n*len(columns))}
	ends := make([]int, 0, n)
	*buf = (*buf)[:0]
	for i := range events[:n] {
		if err := e.add(&events[i]); err != nil {
			return nil, err
		}
		*buf = audit.AppendStored(*buf, events[i].Changes)
		ends = append(ends, len(*buf))
		if len(*buf) > maxBytes {
			break
		}
	}
	changes, from := string(*buf), 0
	rows := make([][]any, len(ends))
	for i, end := range ends {
		rows[i] = e.args[i*len(columns) : (i+1)*len(columns) : (i+1)*len(columns)]
		rows[i][changesColumn] = changes[from:end]
		from = end
	}
	return rows, nil
}

// run runs the statements that write some events.
func (s *Store) run(ctx context.Context, tx audit.DBTX, statements []statement) error {
	for _, q := range statements {
		if _, err := tx.ExecContext(ctx, q.text, q.args...); err != nil {
			return s.appendError(err)
		}
	}
	return nil
}

// appendError is the error of an INSERT of events.
func (s *Store) appendError(err error) error {
	if s.names.dialect.duplicate(err) {
		return fmt.Errorf("%w: %w", audit.ErrDuplicate, err)
	}
	return fmt.Errorf("sqlstore: append events: %w", err)
}

// maxBytes bounds the changes of one INSERT, far under the packet that MySQL
// takes.
const maxBytes = 1 << 20
