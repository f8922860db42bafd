package main

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit/store/sqlstore"
)

// readyLog is the log of ready events.
const readyLog = "ready_events"

// ready writes what GORM writes and then, in the same transaction, as many events
// as are owed, by one statement that makes nothing of them: their keys are counted
// up, and their changes are a text that is always the same. No audit trail with a
// log of these columns and indexes can be faster; what it takes is the price of
// the log, and the rest is the price of finding out what has changed.
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
		return tx.insert(w, "created", readyImage)
	})
}

func (v ready[T]) update(ctx context.Context, w where, amount int64) error {
	return v.within(ctx, func(tx ready[T]) error {
		if err := tx.through.update(ctx, w, amount); err != nil {
			return err
		}
		return tx.insert(w, "updated", readyChange)
	})
}

func (v ready[T]) remove(ctx context.Context, w where, hard bool) error {
	return v.within(ctx, func(tx ready[T]) error {
		if err := tx.insert(w, "deleted", readyImage); err != nil {
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

// insert writes the events of rows.
func (v ready[T]) insert(w where, operation, changes string) error {
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
	condition, value := "crowd = ?", any(w.crowd)
	if w.id != "" {
		condition, value = "id = ?", w.id
	}
	done := v.db.Exec(verb+" INTO "+readyLog+" (id, time, workspace, actor_kind, actor_id, actor_name, operation, origin, entity_type, entity_id,"+
		" entity_label, entity_owner, ownership, changes, derived, schema_version) SELECT "+key+
		", ?, workspace_id, 'user', user_id, 'Jo', ?, 'manual', 'time_entry', id, description, user_id, 'self', ?, 0, 1 FROM "+v.table()+
		" WHERE "+condition, *v.last, time.Now().UnixMicro(), operation, changes, value)
	if done.Error != nil {
		return fmt.Errorf("ready events: %w", done.Error)
	}
	*v.last += done.RowsAffected
	return nil
}
