package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit/store/sqlstore"
)

// readyLog is the log of ready events.
const readyLog = "ready_events"

// ready writes what GORM writes and then, in the same transaction, as many events
// as are owed, by one statement that makes nothing of them: their keys are counted
// up, and their changes are a text that is always the same. Before a row changes on
// a database that has no other way to tell what it was, it is read, and nothing is
// made of that either. No audit trail with a log of these columns and indexes can do
// with less; what it takes is the price of the log, and the rest is the price of
// finding out what has changed.
type ready[T any] struct {
	through[T]
	dialect sqlstore.Dialect
	last    *int64 // number of the last event
}

func readyEntries(db *gorm.DB, d sqlstore.Dialect) variant {
	entries := target[readyEntry]{"ready events", db, func(e Entry) readyEntry { return readyEntry{e} }, readyLog}
	return ready[readyEntry]{through[readyEntry]{entries}, d, new(int64)}
}

// What the changes of events are about as long as: those of all columns, and of
// one.
const (
	readyImage  = `[{"f":"id","a":"00000000-0000-4000-8000-000000000000"},{"f":"workspace_id","a":"w1"},{"f":"user_id","a":"u1"},{"f":"crowd","a":1},{"f":"description","a":"Weekly planning"},{"f":"billable","a":false},{"f":"amount","a":1250},{"f":"started","a":"2026-01-02T15:04:05.123Z"},{"f":"ended","a":null},{"f":"deleted_at","a":null}]`
	readyChange = `[{"f":"amount","b":1250,"a":1251}]`
)

func (v ready[T]) create(ctx context.Context, entries []Entry) error {
	w := where{crowd: passing}
	if len(entries) == 1 {
		w = where{id: entries[0].ID}
	}
	return v.within(ctx, func(tx ready[T]) error {
		if err := tx.through.create(ctx, entries); err != nil {
			return err
		}
		return tx.insert(ctx, w, "created", readyImage)
	})
}

func (v ready[T]) update(ctx context.Context, w where, amount int64) error {
	return v.within(ctx, func(tx ready[T]) error {
		if err := tx.read(ctx, w); err != nil {
			return err
		}
		if err := tx.through.update(ctx, w, amount); err != nil {
			return err
		}
		return tx.insert(ctx, w, "updated", readyChange)
	})
}

func (v ready[T]) remove(ctx context.Context, w where, hard bool) error {
	return v.within(ctx, func(tx ready[T]) error {
		if err := tx.read(ctx, w); err != nil {
			return err
		}
		if err := tx.insert(ctx, w, "deleted", readyImage); err != nil {
			return err
		}
		return tx.through.remove(ctx, w, hard)
	})
}

func (v ready[T]) within(ctx context.Context, do func(ready[T]) error) error {
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		v.db = tx
		return do(v)
	})
}

// read reads what SQLite cannot tell otherwise.
func (v ready[T]) read(ctx context.Context, w where) error {
	if v.dialect != sqlstore.SQLite {
		return nil
	}
	condition, value := w.condition()
	rows, err := v.db.Statement.ConnPool.QueryContext(ctx, "SELECT * FROM "+v.table()+" WHERE "+condition, value)
	if err != nil {
		return fmt.Errorf("ready events: %w", err)
	}
	defer rows.Close()
	for rows.Next() { //nolint:revive // and nothing is made of it
	}
	return rows.Err()
}

// readyColumns are those that ready events fill.
const readyColumns = " INTO " + readyLog + " (id, time, workspace, actor_kind, actor_id, actor_name, operation, origin, entity_type, entity_id," +
	" entity_label, entity_owner, ownership, changes, derived, schema_version) "

// insert writes the events of rows, past GORM.
func (v ready[T]) insert(ctx context.Context, w where, operation, changes string) error {
	text, args := v.one(w, operation, changes)
	if w.id == "" {
		text, args = v.all(w, operation, changes)
	}
	if v.dialect == sqlstore.Postgres {
		text = withDollars(text)
	}
	done, err := v.db.Statement.ConnPool.ExecContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("ready events: %w", err)
	}
	n, err := done.RowsAffected()
	*v.last += n
	return err
}

// one is the INSERT of the event of one row.
func (v ready[T]) one(w where, operation, changes string) (string, []any) {
	number := *v.last + 1
	id := any(fmt.Appendf(nil, "%016x", number))
	switch v.dialect {
	case sqlstore.Postgres:
		id = fmt.Sprintf("%032x", number)
	case sqlstore.MySQL:
		id = binary.BigEndian.AppendUint64(make([]byte, 8), uint64(number))
	}
	return "INSERT" + readyColumns + "VALUES (?,?,'w1','user','u1','Jo',?,'manual','time_entry',?,'Weekly planning','u1','self',?,0,1)",
		[]any{id, time.Now().UnixMicro(), operation, w.id, changes}
}

// all is the INSERT of the events of many rows.
func (v ready[T]) all(w where, operation, changes string) (string, []any) {
	number, key, verb := "(? + row_number() OVER ())", "", "INSERT"
	switch v.dialect {
	case sqlstore.Postgres:
		key = "CAST(lpad(to_hex(CAST(? AS bigint) + row_number() OVER ()), 32, '0') AS uuid)"
	case sqlstore.MySQL:
		key = "UNHEX(LPAD(HEX" + number + ", 32, '0'))"
	default:
		key = "CAST(printf('%016x', " + number + ") AS BLOB)"
		verb = "INSERT OR FAIL" // as package sqlstore has it
	}
	condition, value := w.condition()
	return verb + readyColumns + "SELECT " + key + ", ?, workspace_id, 'user', user_id, 'Jo', ?, 'manual', 'time_entry', id, description, user_id, 'self', ?, 0, 1 FROM " +
		v.table() + " WHERE " + condition, []any{*v.last, time.Now().UnixMicro(), operation, changes, value}
}

// withDollars writes the variables of a statement as PostgreSQL wants them.
func withDollars(text string) string {
	parts := strings.Split(text, "?")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		fmt.Fprintf(&b, "$%d%s", i+1, part)
	}
	return b.String()
}
