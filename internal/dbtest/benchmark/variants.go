package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

// variant is one way to write.
type variant interface {
	name() string
	table() string
	// log is the table of its events; empty if it has none.
	log() string
	create(ctx context.Context, entries []Entry) error
	update(ctx context.Context, w where, amount int64) error
	remove(ctx context.Context, w where, hard bool) error
}

// target is what a variant writes to: the table of T.
type target[T any] struct {
	label string
	db    *gorm.DB
	of    func(Entry) T
	into  string // the log
}

func (v target[T]) name() string { return v.label }

func (v target[T]) log() string { return v.into }

func (v target[T]) table() string {
	stmt := &gorm.Statement{DB: v.db}
	if err := stmt.Parse(new(T)); err != nil {
		return err.Error() // which is no table
	}
	return stmt.Table
}

func (v target[T]) rows(entries []Entry) []T {
	rows := make([]T, len(entries))
	for i, e := range entries {
		rows[i] = v.of(e)
	}
	return rows
}

// through writes as any application does; whether it is audited is up to the
// *gorm.DB and the table.
type through[T any] struct{ target[T] }

func (v through[T]) create(ctx context.Context, entries []Entry) error {
	rows := v.rows(entries)
	if len(rows) == 1 {
		return v.db.WithContext(ctx).Create(&rows[0]).Error
	}
	return v.db.WithContext(ctx).Create(&rows).Error
}

func (v through[T]) update(ctx context.Context, w where, amount int64) error {
	return w.apply(v.db.WithContext(ctx).Model(new(T))).Update("amount", amount).Error
}

func (v through[T]) remove(ctx context.Context, w where, hard bool) error {
	db := v.db.WithContext(ctx)
	if hard {
		db = db.Unscoped()
	}
	return w.apply(db).Delete(new(T)).Error
}

// byHand is auditing as a team writes it itself. It looks no labels up. Its log
// has the columns and indexes of package sqlstore's, for what a log has to answer
// costs the same whoever writes it.
type byHand[T any] struct {
	target[T]
	entry   func(*T) *Entry
	dialect sqlstore.Dialect
}

const handLog = "hand_events"

// sides are a field's values.
type sides struct {
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`
}

func (v byHand[T]) create(ctx context.Context, entries []Entry) error {
	rows := v.rows(entries)
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&rows).Error; err != nil {
			return err
		}
		return v.insert(ctx, tx, audit.Created, rows, func(e *Entry) map[string]sides {
			return e.all(func(value any) sides { return sides{After: value} })
		})
	})
}

func (v byHand[T]) update(ctx context.Context, w where, amount int64) error {
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		old, err := v.lock(tx, w)
		if err != nil {
			return err
		}
		if err := w.apply(tx.Model(new(T))).Update("amount", amount).Error; err != nil {
			return err
		}
		return v.insert(ctx, tx, audit.Updated, old, func(e *Entry) map[string]sides {
			return map[string]sides{"amount": {Before: e.Amount, After: amount}}
		})
	})
}

func (v byHand[T]) remove(ctx context.Context, w where, hard bool) error {
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		old, err := v.lock(tx, w)
		if err != nil {
			return err
		}
		deletion := w.apply(tx)
		if hard {
			deletion = deletion.Unscoped()
		}
		if err := deletion.Delete(new(T)).Error; err != nil {
			return err
		}
		return v.insert(ctx, tx, audit.Deleted, old, func(e *Entry) map[string]sides {
			return e.all(func(value any) sides { return sides{Before: value} })
		})
	})
}

// lock reads the rows that are about to change.
func (v byHand[T]) lock(tx *gorm.DB, w where) (old []T, err error) {
	query := w.apply(tx)
	if v.dialect != sqlstore.SQLite {
		query = query.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	return old, query.Find(&old).Error
}

func (e *Entry) all(side func(any) sides) map[string]sides {
	return map[string]sides{
		"id": side(e.ID), "workspace_id": side(e.WorkspaceID), "user_id": side(e.UserID), "crowd": side(e.Crowd),
		"description": side(e.Description), "billable": side(e.Billable), "amount": side(e.Amount),
		"started": side(e.Started), "ended": side(e.Ended), "deleted_at": side(e.DeletedAt),
	}
}

// handColumns are those that auditing by hand fills.
const handColumns = "id, time, workspace, actor_kind, actor_id, actor_name, operation, origin, entity_type, entity_id, entity_owner, ownership, " +
	"changes, derived, change_set, schema_version"

// insert writes the events by one statement.
func (v byHand[T]) insert(ctx context.Context, tx *gorm.DB, op audit.Operation, rows []T, changes func(*Entry) map[string]sides) error {
	columns := strings.Count(handColumns, ",") + 1
	actor, now := audit.ActorFrom(ctx), time.Now().UnixMicro()
	var b strings.Builder
	b.WriteString("INSERT INTO " + handLog + " (" + handColumns + ") VALUES ")
	args := make([]any, 0, columns*len(rows))
	var changeSet any
	for i := range rows {
		e := v.entry(&rows[i])
		told, err := json.Marshal(changes(e))
		if err != nil {
			return err
		}
		id, err := v.newID()
		if err != nil {
			return err
		}
		if changeSet == nil {
			changeSet = id
		}
		v.tuple(&b, i, columns)
		args = append(args, id, now, e.WorkspaceID, "user", actor.ID, actor.Name, string(op), "manual", "time_entry", e.ID, e.UserID, "self",
			string(told), 0, changeSet, 1)
	}
	_, err := tx.Statement.ConnPool.ExecContext(ctx, b.String(), args...)
	return err
}

// newID is a new key as the database takes it.
func (v byHand[T]) newID() (any, error) {
	id, err := uuid.NewV7()
	if v.dialect == sqlstore.Postgres {
		return id.String(), err
	}
	return id[:], err
}

// tuple writes the placeholders of a row.
func (v byHand[T]) tuple(b *strings.Builder, row, columns int) {
	if row > 0 {
		b.WriteByte(',')
	}
	for c := range columns {
		b.WriteByte("(,"[min(c, 1)])
		if v.dialect == sqlstore.Postgres {
			fmt.Fprintf(b, "$%d", row*columns+c+1)
		} else {
			b.WriteByte('?')
		}
	}
	b.WriteByte(')')
}
