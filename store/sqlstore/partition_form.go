package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// form is how the events' table is made.
type form struct {
	triggerNames
	partitioned bool
	// parts are the partitions that have bounds, oldest first. Rest is the default
	// one, and may be empty.
	parts []bounded
	rest  string
	// staged tells that events are being moved out of the default partition.
	staged bool
}

// bounded is a partition with its bounds, in microseconds since 1970.
type bounded struct {
	name     string // quoted, with its schema
	from, to int64
}

func (b bounded) public() Partition {
	p := Partition{Name: b.name}
	if b.from != math.MinInt64 {
		p.From = time.UnixMicro(b.from).UTC()
	}
	if b.to != math.MaxInt64 {
		p.To = time.UnixMicro(b.to).UTC()
	}
	return p
}

// form finds out how the events' table is made.
func (s *Store) form(ctx context.Context, tx audit.DBTX) (form, error) {
	f := form{triggerNames: triggerNames{events: s.names.events}}
	var err error
	for there := true; there; {
		err = tx.QueryRowContext(ctx, `SELECT n.nspname, c.relkind = 'p' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE c.oid = to_regclass($1)`, s.names.qualified(s.names.events)).Scan(&f.schema, &f.partitioned)
		if !errors.Is(err, sql.ErrNoRows) {
			break
		}
		// A name leads to the table of now, the rest is as of when the statement
		// began: somebody may have put a partitioned table in the place of the plain
		// one meanwhile.
		var lookup error
		if there, lookup = s.exists(ctx, tx, s.names.events); lookup != nil {
			err = lookup
		}
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return f, fmt.Errorf("%w: there is no table %s; call Store.Migrate", audit.ErrSchema, s.names.qualified(s.names.events))
	case err == nil && strings.ContainsAny(f.schema, `'%${}`):
		return f, fmt.Errorf("sqlstore: the schema %q has a name that cannot be part of a function", f.schema)
	case err == nil && f.partitioned:
		f.parts, f.rest, err = partsOf(ctx, tx, f.of(""))
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", f.of("staged")).Scan(&f.staged)
	}
	if err != nil {
		return f, fmt.Errorf("sqlstore: look for partitions: %w", err)
	}
	return f, nil
}

// partsOf are the partitions of a table.
func partsOf(ctx context.Context, tx audit.DBTX, table string) (parts []bounded, rest string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT format('%I.%I', n.nspname, c.relname), pg_get_expr(c.relpartbound, c.oid)
		FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE i.inhparent = to_regclass($1)`, table)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var bounds sql.NullString
		if err := rows.Scan(&name, &bounds); err != nil {
			return nil, "", err
		}
		if !bounds.Valid { // somebody has dropped it since the statement began
			continue
		}
		if bounds.String == "DEFAULT" {
			rest = name
			continue
		}
		b, err := boundsOf(name, bounds.String)
		if err != nil {
			return nil, "", err
		}
		parts = append(parts, b)
	}
	slices.SortFunc(parts, func(a, b bounded) int { return cmp.Compare(a.from, b.from) })
	return parts, rest, rows.Err()
}

var boundsText = regexp.MustCompile(`^FOR VALUES FROM \((?:'(-?\d+)'|MINVALUE)\) TO \((?:'(-?\d+)'|MAXVALUE)\)$`)

// boundsOf reads bounds as PostgreSQL shows them.
func boundsOf(name, text string) (b bounded, err error) {
	b = bounded{name: name, from: math.MinInt64, to: math.MaxInt64}
	found := boundsText.FindStringSubmatch(text)
	if found == nil {
		return b, fmt.Errorf("the partition %s is not one of a range of times: %s", name, text)
	}
	if found[1] != "" {
		b.from, err = strconv.ParseInt(found[1], 10, 64)
	}
	if found[2] != "" && err == nil {
		b.to, err = strconv.ParseInt(found[2], 10, 64)
	}
	return b, err
}

// run runs the statements of a file, which blank lines part.
func (f form) run(ctx context.Context, tx *sql.Tx, file string) error {
	text, err := schemaFiles.ReadFile("schema/postgres/" + file + ".sql")
	if err != nil {
		return err
	}
	bare := func(part string) string { return identifier(f.events + "_" + part) }
	rendered := strings.NewReplacer(
		"{events}", f.of(""),
		"{events_literal}", literal(f.of("")),
		"{events_name}", literal(f.events),
		"{default}", cmp.Or(f.rest, f.of("default")),
		"{default_bare}", bare("default"),
		"{default_name}", literal(f.events+"_default"),
		"{staged}", f.of("staged"),
		"{touched}", f.of("touched"),
		"{touch}", f.of("touch"),
		"{touch_bare}", bare("touch"),
		"{touch_all}", bare("touch_all"),
	).Replace(string(text))
	for statement := range strings.SplitSeq(rendered, "\n\n") {
		if _, err := tx.ExecContext(ctx, strings.TrimSuffix(strings.TrimSpace(statement), ";")); err != nil {
			return err
		}
	}
	return nil
}

const (
	// lockTimeout is how long others may have to wait behind a lock that is
	// waited for.
	lockTimeout = 100 * time.Millisecond
	// lockTries is how often a lock is tried to get.
	lockTries = 60
	// vacuumTimeout is how long is waited for an autovacuum, which gives way after
	// PostgreSQL's deadlock_timeout of a second. Nobody waits behind that.
	vacuumTimeout = 3 * time.Second
)

// patiently runs do in a transaction, which waits for no lock longer than
// lockTimeout, and again if it did not get one. Meanwhile others do not do the same.
func (s *Store) patiently(ctx context.Context, do func(ctx context.Context, tx *sql.Tx) error) error {
	for try := 1; ; try++ {
		err := s.alone(ctx, do)
		if !locked(err) {
			return err
		}
		if try == lockTries {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		if err := pause(ctx, time.Duration(min(try, 10))*lockTimeout); err != nil {
			return err
		}
	}
}

// alone runs do in a transaction, with what [Store.Migrate] locks.
func (s *Store) alone(ctx context.Context, do func(ctx context.Context, tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+strconv.FormatInt(s.names.lock(), 10)+")"); err != nil {
		return err
	}
	if err := limitLocks(ctx, tx, lockTimeout); err != nil {
		return err
	}
	if err := do(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// limitLocks makes the transaction wait for no lock longer than that.
func limitLocks(ctx context.Context, tx *sql.Tx, d time.Duration) error {
	return execAll(ctx, tx, "SET LOCAL lock_timeout = "+strconv.FormatInt(d.Milliseconds(), 10))
}

// still sends autovacuum away from tables that are to be locked, and keeps it away.
// It does not keep readers and writers away.
func still(ctx context.Context, tx *sql.Tx, tables ...string) error {
	if err := limitLocks(ctx, tx, vacuumTimeout); err != nil {
		return err
	}
	for _, table := range tables {
		if table == "" {
			continue
		}
		if err := execAll(ctx, tx, "LOCK TABLE ONLY "+table+" IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
			return err
		}
	}
	return limitLocks(ctx, tx, lockTimeout)
}

func execAll(ctx context.Context, tx *sql.Tx, statements ...string) error {
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// locked reports whether a lock could not be had: it took too long, or others
// waited for it in a circle.
func locked(err error) bool { return hasState(err, "55P03", "40P01") }

// hasState reports whether PostgreSQL gave the error one of the states.
func hasState(err error, states ...string) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && slices.Contains(states, state.SQLState())
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err() // both may have happened
	}
}
