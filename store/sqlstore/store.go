package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gormtrail/audit"
)

// Store is an [audit.Store] in a database. It is safe for use by several
// goroutines at once.
type Store struct {
	db    *sql.DB
	names names
	sql   insertSQL
	// buffers are for the JSON of a statement's changes.
	buffers sync.Pool
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
		sql:     newInsertSQL(n),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}, nil
}

// Append implements [audit.Store]. It begins a transaction only for more
// events than one statement takes.
func (s *Store) Append(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	b := s.encode(events)
	if b.err != nil {
		return b.err
	}
	if b.n == len(events) {
		return s.insert(ctx, s.db, b)
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
// (32 on SQLite) or 1 MiB of changes; on PostgreSQL a few more, so that caches
// of statements see few texts.
func (s *Store) AppendTx(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	for len(events) > 0 {
		b := s.encode(events)
		if b.err != nil {
			return b.err
		}
		if err := s.insert(ctx, tx, b); err != nil {
			return err
		}
		events = events[b.n:]
	}
	return nil
}

// batch is one INSERT.
type batch struct {
	n    int
	args []any
	err  error
}

// encode makes one INSERT of as many of the first events as it may hold. All
// their changes are one string, of which each row has a part.
func (s *Store) encode(events []audit.Event) batch {
	n := s.sql.size(len(events))
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	r := rows{dialect: s.names.dialect, args: make([]any, 0, n*len(columns))}
	ends := make([]int, 0, n)
	*buf = (*buf)[:0]
	for i := range events[:n] {
		if err := r.add(&events[i]); err != nil {
			return batch{err: err}
		}
		*buf = audit.AppendChanges(*buf, events[i].Changes)
		ends = append(ends, len(*buf))
		if len(*buf) > maxBytes {
			break
		}
	}
	n = s.sql.size(len(ends))
	changes, from := string((*buf)[:ends[n-1]]), 0
	for i, end := range ends[:n] {
		r.args[i*len(columns)+changesColumn] = changes[from:end]
		from = end
	}
	return batch{n: n, args: r.args[:n*len(columns)]}
}

func (s *Store) insert(ctx context.Context, tx audit.DBTX, b batch) error {
	_, err := tx.ExecContext(ctx, s.sql.text(b.n), b.args...)
	switch {
	case err == nil:
		return nil
	case s.names.dialect.duplicate(err):
		return fmt.Errorf("%w: %w", audit.ErrDuplicate, err)
	}
	return fmt.Errorf("sqlstore: append %d events: %w", b.n, err)
}

// maxBytes bounds the changes of one INSERT, far under the packet that MySQL
// takes.
const maxBytes = 1 << 20

// insertSQL is the text of every INSERT: that of n rows is the beginning of
// the longest one, so none has to be built or looked up when events are
// written.
type insertSQL struct {
	dialect Dialect
	longest string
	// ends are the lengths of the texts of 1, 2, ... rows.
	ends []int
}

func newInsertSQL(n names) insertSQL {
	var b strings.Builder
	q := insertSQL{dialect: n.dialect}
	b.WriteString("INSERT INTO " + n.qualified(n.events) + " (" + strings.Join(columns[:], ", ") + ") VALUES ")
	arg := 0
	for row := range n.dialect.maxRows() {
		if row > 0 {
			b.WriteByte(',')
		}
		for i := range columns {
			b.WriteByte("(,"[min(i, 1)])
			arg++
			b.WriteString(n.dialect.placeholder(arg))
		}
		b.WriteByte(')')
		q.ends = append(q.ends, b.Len())
	}
	q.longest = b.String()
	return q
}

// text is the INSERT of n rows.
func (q *insertSQL) text(n int) string { return q.longest[:q.ends[n-1]] }

// size is the number of rows to write at once if there are n. PostgreSQL's
// driver keeps a prepared statement per text, so there are few sizes.
func (q *insertSQL) size(n int) int {
	switch {
	case n >= len(q.ends):
		return len(q.ends)
	case q.dialect != Postgres || n <= 16:
		return n
	}
	size := 16
	for size*2 <= n {
		size *= 2
	}
	return size
}
