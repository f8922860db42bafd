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

// through writes as any application does; whether it is audited is up to db.
type through[T interface {
	bareEntry | hookEntry | plainEntry
}] struct {
	label string
	db    *gorm.DB
}

func (v through[T]) name() string { return v.label }

func (v through[T]) table() string {
	return map[string]string{"bare": "bare_entries", "hooks": "hook_entries", "plain": "plain_entries"}[v.label]
}

func (v through[T]) create(ctx context.Context, entries []Entry) error {
	rows := make([]T, len(entries))
	for i, e := range entries {
		rows[i] = T{e}
	}
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

// handEvent is the row that auditing by hand writes.
type handEvent struct {
	ID        string    `gorm:"primaryKey;size:36"`
	Time      time.Time `gorm:"index:by_time,priority:2"`
	Workspace string    `gorm:"size:36;index:by_time,priority:1;index:by_entity,priority:1"`
	ActorID   string    `gorm:"size:36"`
	ActorName string    `gorm:"size:100"`
	Operation string    `gorm:"size:20"`
	Type      string    `gorm:"size:40;index:by_entity,priority:2"`
	EntityID  string    `gorm:"size:36;index:by_entity,priority:3"`
	Changes   string    `gorm:"type:text"`
}

// byHand is auditing as a team writes it itself.
type byHand struct {
	db      *gorm.DB
	dialect sqlstore.Dialect
}

func (byHand) name() string  { return "hand" }
func (byHand) table() string { return "hand_entries" }

// sides are a field's values.
type sides struct {
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`
}

func (v byHand) create(ctx context.Context, entries []Entry) error {
	rows := make([]handEntry, len(entries))
	for i, e := range entries {
		rows[i] = handEntry{e}
	}
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&rows).Error; err != nil {
			return err
		}
		return v.insert(ctx, tx, audit.Created, rows, func(e *handEntry) map[string]sides {
			return e.all(func(value any) sides { return sides{After: value} })
		})
	})
}

func (v byHand) update(ctx context.Context, w where, amount int64) error {
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		old, err := v.lock(tx, w)
		if err != nil {
			return err
		}
		if err := w.apply(tx.Model(&handEntry{})).Update("amount", amount).Error; err != nil {
			return err
		}
		return v.insert(ctx, tx, audit.Updated, old, func(e *handEntry) map[string]sides {
			return map[string]sides{"amount": {Before: e.Amount, After: amount}}
		})
	})
}

func (v byHand) remove(ctx context.Context, w where, hard bool) error {
	return v.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		old, err := v.lock(tx, w)
		if err != nil {
			return err
		}
		deletion := w.apply(tx)
		if hard {
			deletion = deletion.Unscoped()
		}
		if err := deletion.Delete(&handEntry{}).Error; err != nil {
			return err
		}
		return v.insert(ctx, tx, audit.Deleted, old, func(e *handEntry) map[string]sides {
			return e.all(func(value any) sides { return sides{Before: value} })
		})
	})
}

// lock reads the rows that are about to change.
func (v byHand) lock(tx *gorm.DB, w where) (old []handEntry, err error) {
	query := w.apply(tx)
	if v.dialect != sqlstore.SQLite {
		query = query.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	return old, query.Find(&old).Error
}

func (e *handEntry) all(side func(any) sides) map[string]sides {
	return map[string]sides{
		"id": side(e.ID), "workspace_id": side(e.WorkspaceID), "user_id": side(e.UserID), "crowd": side(e.Crowd),
		"description": side(e.Description), "billable": side(e.Billable), "amount": side(e.Amount),
		"started": side(e.Started), "ended": side(e.Ended), "deleted_at": side(e.DeletedAt),
	}
}

// insert writes the events by one statement.
func (v byHand) insert(ctx context.Context, tx *gorm.DB, op audit.Operation, rows []handEntry, changes func(*handEntry) map[string]sides) error {
	const columns = 9
	actor, now := audit.ActorFrom(ctx), time.Now().UTC()
	var b strings.Builder
	b.WriteString("INSERT INTO hand_events (id, time, workspace, actor_id, actor_name, operation, type, entity_id, changes) VALUES ")
	args := make([]any, 0, columns*len(rows))
	for i := range rows {
		e := &rows[i]
		told, err := json.Marshal(changes(e))
		if err != nil {
			return err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		v.tuple(&b, i, columns)
		args = append(args, id.String(), now, e.WorkspaceID, actor.ID, actor.Name, string(op), "time_entry", e.ID, string(told))
	}
	_, err := tx.Statement.ConnPool.ExecContext(ctx, b.String(), args...)
	return err
}

// tuple writes the placeholders of a row.
func (v byHand) tuple(b *strings.Builder, row, columns int) {
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
