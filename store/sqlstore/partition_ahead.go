package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gormtrail/audit"
)

const (
	// maxAhead is how many months partitions are made ahead at most.
	maxAhead = 120
	// maxBehind is how many months back events are moved to partitions of their own.
	maxBehind = 120
	// moveBatch is how many events are copied at once, in tens of milliseconds.
	moveBatch = 1000
	// moveLocked is how many may be left for the end, when others have to wait.
	moveLocked = 100
	// maxSurprises is how often an event may come into a month just before its
	// partition does.
	maxSurprises = 10
)

// Ahead makes the partitions of the month of now and of so many months after it, from
// 0 to 120, if they are not there, and moves the events of the default partition to
// partitions of their months; those of more than 10 years ago, and of months further
// ahead, stay in it. Call it at every start and some times a month; if there is
// nothing to do, it asks the catalog and looks into the empty default partition.
//
// Events are moved while others write: they are copied in batches of 1,000, with rests
// between, and a trigger on the default partition notes what changes meanwhile. Until
// the copies take its place all at once, events are read where they were. Others have
// to wait then for some tens of milliseconds, and up to 100 more for those that hold
// the table. The copies need as much room as what is copied. A transaction of the
// level REPEATABLE READ that began before, and reads events for the first time
// afterwards, does not find those that were copied in between.
//
// It may be interrupted anywhere: the log is whole then, and the next call goes on. It
// may be called by several processes at once. It returns [ErrBusy] if others hold the
// table for long, and [audit.ErrSchema] if the table is not partitioned; see
// [Partitions.Migrate]. The role has to own the table.
func (p *Partitions) Ahead(ctx context.Context, now time.Time, months int) error {
	if months < 0 || months > maxAhead {
		return fmt.Errorf("sqlstore: %d months ahead, must be from 0 to %d", months, maxAhead)
	}
	w := work{Store: p.store, partitions: p, first: monthOf(now).AddDate(0, -maxBehind, 0), this: monthOf(now), end: monthOf(now).AddDate(0, months+1, 0)}
	for surprises := 0; ; {
		var done bool
		begin := time.Now()
		err := p.store.patiently(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			w.swapped = nil
			done, err = w.step(ctx, tx)
			return err
		})
		if err == nil {
			err = w.analyze(ctx)
		}
		if hasState(err, "23514") && surprises < maxSurprises {
			surprises++
			continue
		}
		if err != nil {
			return fmt.Errorf("sqlstore: make partitions of %s ahead: %w", p.store.names.qualified(p.store.names.events), err)
		}
		if done {
			return nil
		}
		if err := pause(ctx, time.Since(begin)); err != nil {
			return err
		}
	}
}

// work is what one call of Ahead does, step by step. What was done before, it finds
// in the catalog.
type work struct {
	*Store
	partitions *Partitions
	// first is the month from which on events are moved, this the one from which on
	// partitions are made in any case, end the one before which both end.
	first, this, end time.Time
	// swapped are the partitions that have got events.
	swapped []bounded
}

// step does a part of the work in a transaction and reports whether it was the last.
func (w *work) step(ctx context.Context, tx *sql.Tx) (done bool, err error) {
	f, err := w.form(ctx, tx)
	if err != nil {
		return false, err
	}
	if !f.partitioned {
		return false, fmt.Errorf("%w: the events are in one plain table; call Partitions.Migrate", audit.ErrSchema)
	}
	if f.staged {
		current, err := f.current(ctx, tx)
		if err != nil {
			return false, err
		}
		if !current {
			return false, w.abandon(ctx, tx, f)
		}
		return false, w.move(ctx, tx, f)
	}
	crowded, err := w.crowded(ctx, tx, f)
	if err != nil {
		return false, err
	}
	var missing []bounded
	for month := w.this; month.Before(w.end); month = month.AddDate(0, 1, 0) {
		if b := f.month(month); f.free(b) {
			missing = append(missing, b)
		}
	}
	if len(crowded) > 0 {
		return false, w.stage(ctx, tx, f, union(missing, crowded))
	}
	if len(missing) == 0 {
		return true, nil
	}
	return true, w.attachEmpty(ctx, tx, f, missing)
}

func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// month is the partition of a month.
func (f form) month(m time.Time) bounded {
	return bounded{f.of(m.Format("p2006_01")), m.UnixMicro(), m.AddDate(0, 1, 0).UnixMicro()}
}

// free reports whether no partition has any of these times.
func (f form) free(b bounded) bool {
	return !slices.ContainsFunc(f.parts, func(p bounded) bool { return p.from < b.to && b.from < p.to })
}

// union are the partitions of both lists, each once.
func union(a, b []bounded) []bounded {
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}

// crowded are the months that have events in the default partition and could have a
// partition of their own.
func (w *work) crowded(ctx context.Context, tx *sql.Tx, f form) (list []bounded, err error) {
	if f.rest == "" {
		return nil, nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT CAST(extract(epoch FROM date_trunc('month', to_timestamp(time / 1000000) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') AS bigint) FROM "+
		f.rest+" WHERE time >= $1 AND time < $2", w.first.UnixMicro(), w.end.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var seconds int64
		if err := rows.Scan(&seconds); err != nil {
			return nil, err
		}
		if b := f.month(time.Unix(seconds, 0).UTC()); f.free(b) {
			list = append(list, b)
		}
	}
	return list, rows.Err()
}

// attachEmpty makes partitions of months of which there are no events.
func (w *work) attachEmpty(ctx context.Context, tx *sql.Tx, f form, missing []bounded) error {
	for _, b := range missing {
		if err := execAll(ctx, tx, "CREATE TABLE "+b.name+" (LIKE "+f.of("")+
			" INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING INDEXES, PRIMARY KEY (id))"); err != nil {
			return err
		}
	}
	if err := still(ctx, tx, f.rest); err != nil {
		return err
	}
	// A writer who is not kept away would find its event's month taken from the
	// default partition, and fail.
	if err := execAll(ctx, tx, "LOCK TABLE ONLY "+f.of("")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	for _, b := range missing {
		if err := execAll(ctx, tx, "ALTER TABLE "+f.of("")+" ATTACH PARTITION "+b.name+" "+b.values()); err != nil {
			return err
		}
	}
	return w.partitions.settle(ctx, tx, f)
}

// values are the bounds as SQL has them.
func (b bounded) values() string {
	return "FOR VALUES FROM (" + strconv.FormatInt(b.from, 10) + ") TO (" + strconv.FormatInt(b.to, 10) + ")"
}

// stage makes what takes the place of the default partition, and begins to note what
// changes in that.
func (w *work) stage(ctx context.Context, tx *sql.Tx, f form, months []bounded) error {
	if err := f.run(ctx, tx, "partition_stage"); err != nil {
		return err
	}
	for _, b := range months {
		// The check spares the look at all events when the partition changes hands.
		check := "CONSTRAINT month CHECK (time >= " + strconv.FormatInt(b.from, 10) + " AND time < " + strconv.FormatInt(b.to, 10) + ")"
		if err := execAll(ctx, tx, "CREATE TABLE "+b.name+" PARTITION OF "+f.of("staged")+" ("+check+", PRIMARY KEY (id)) "+b.values()); err != nil {
			return err
		}
	}
	if err := execAll(ctx, tx, "CREATE TABLE "+f.of("next")+" PARTITION OF "+f.of("staged")+" (PRIMARY KEY (id)) DEFAULT"); err != nil {
		return err
	}
	if err := still(ctx, tx, f.rest); err != nil {
		return err
	}
	// This waits for those who have written to the default partition and are not
	// done: all that is not noted is there to be copied.
	return f.run(ctx, tx, "partition_watch")
}

// current reports whether the copies have the columns and indexes that the log has: it
// may have been upgraded since a move was interrupted.
func (f form) current(ctx context.Context, tx *sql.Tx) (is bool, err error) {
	made := func(table string) string {
		return `(SELECT concat(
			(SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = to_regclass(` + table + `) AND attnum > 0 AND NOT attisdropped),
			(SELECT string_agg(d, ', ' ORDER BY d) FROM (SELECT regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '') AS d FROM pg_index WHERE indrelid = to_regclass(` + table + `)) AS x)))`
	}
	err = tx.QueryRowContext(ctx, "SELECT "+made("$1")+" = "+made("$2"), f.of(""), f.of("staged")).Scan(&is)
	return is, err
}

// abandon drops the copies, so that the move begins anew.
func (w *work) abandon(ctx context.Context, tx *sql.Tx, f form) error {
	if err := still(ctx, tx, f.rest); err != nil {
		return err
	}
	return execAll(ctx, tx, "DROP FUNCTION "+f.of("touch")+"() CASCADE", "DROP TABLE "+f.of("staged")+", "+f.of("touched"))
}

// move copies some events, or puts the copies in their place if all are copied.
//
// Events are copied in the order of their ids, so that the largest id of the copies
// tells how far it went. What has changed behind that is copied anew.
func (w *work) move(ctx context.Context, tx *sql.Tx, f form) error {
	last := ""
	err := tx.QueryRowContext(ctx, "SELECT COALESCE((SELECT id FROM "+f.of("staged")+" ORDER BY id DESC LIMIT 1)::text, '')").Scan(&last)
	if err != nil {
		return err
	}
	noted := 0
	if last != "" {
		if noted, err = w.refresh(ctx, tx, f, last, moveBatch); err != nil {
			return err
		}
	}
	copied, err := w.copy(ctx, tx, f, last)
	if err != nil || copied == moveBatch || noted > moveLocked {
		return err
	}
	return w.swap(ctx, tx, f)
}

// copy copies the events that follow an id, and returns how many they are.
func (w *work) copy(ctx context.Context, tx *sql.Tx, f form, last string) (int64, error) {
	where, args := "", []any{}
	if last != "" {
		where, args = " WHERE id > $1::text::uuid", []any{last}
	}
	result, err := tx.ExecContext(ctx, "INSERT INTO "+f.of("staged")+" SELECT * FROM "+f.rest+where+" ORDER BY id LIMIT "+strconv.Itoa(moveBatch), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// refresh copies anew some of the events that were noted, up to an id if it is not
// empty, and returns how many.
func (w *work) refresh(ctx context.Context, tx *sql.Tx, f form, last string, limit int) (int, error) {
	rows, err := tx.QueryContext(ctx, "DELETE FROM "+f.of("touched")+" WHERE ctid = ANY (ARRAY(SELECT ctid FROM "+f.of("touched")+" LIMIT "+strconv.Itoa(limit)+")) RETURNING id::text")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var ids [][]any
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		ids = append(ids, []any{id})
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return 0, err
	}
	// ANY would read the list anew for each row that it is compared with.
	const listed = "id IN (SELECT unnest($1::text::uuid[]))"
	list := array(ids, 0)
	if _, err := tx.ExecContext(ctx, "DELETE FROM "+f.of("staged")+" WHERE "+listed, list); err != nil {
		return 0, err
	}
	text, args := "INSERT INTO "+f.of("staged")+" SELECT * FROM "+f.rest+" WHERE "+listed, []any{list}
	if last != "" {
		text, args = text+" AND id <= $2::text::uuid", append(args, last)
	}
	_, err = tx.ExecContext(ctx, text, args...)
	return len(ids), err
}

// swap puts the copies in the place of the default partition.
func (w *work) swap(ctx context.Context, tx *sql.Tx, f form) error {
	parts, rest, err := partsOf(ctx, tx, f.of("staged"))
	if err != nil {
		return err
	}
	tables := []string{f.rest, rest}
	for _, b := range parts {
		tables = append(tables, b.name)
	}
	if err := still(ctx, tx, tables...); err != nil {
		return err
	}
	if err := execAll(ctx, tx, "LOCK TABLE ONLY "+f.of("")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	if _, err := w.refresh(ctx, tx, f, "", math.MaxInt32); err != nil {
		return err
	}
	events := "ALTER TABLE " + f.of("")
	statements := []string{events + " DETACH PARTITION " + f.rest}
	for _, b := range parts {
		statements = append(statements,
			"ALTER TABLE "+f.of("staged")+" DETACH PARTITION "+b.name,
			events+" ATTACH PARTITION "+b.name+" "+b.values(),
			"ALTER TABLE "+b.name+" DROP CONSTRAINT month")
	}
	statements = append(statements,
		"ALTER TABLE "+f.of("staged")+" DETACH PARTITION "+rest,
		events+" ATTACH PARTITION "+rest+" DEFAULT",
		"DROP TABLE "+f.rest+", "+f.of("staged")+", "+f.of("touched"),
		"DROP FUNCTION "+f.of("touch")+"()",
		"ALTER TABLE "+rest+" RENAME TO "+identifier(f.events+"_default"))
	if err := execAll(ctx, tx, statements...); err != nil {
		return err
	}
	w.swapped = parts
	return w.partitions.settle(ctx, tx, f)
}

// analyze lets PostgreSQL count what was moved, which it would do within a minute:
// until then it would guess how to read it.
func (w *work) analyze(ctx context.Context) error {
	for _, b := range w.swapped {
		if _, err := w.db.ExecContext(ctx, "ANALYZE "+b.name); err != nil && !hasState(err, "42P01") { // was dropped since
			return err
		}
	}
	w.swapped = nil
	return nil
}
