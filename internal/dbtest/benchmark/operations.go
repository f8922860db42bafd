package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// many is how many rows a bulk operation writes.
const many = 1000

// operation is one thing to measure. What prepares it works outside the clock.
type operation struct {
	name    string
	rows    int
	prepare func(b *bench, table string, i int) error
	run     func(ctx context.Context, v variant, i int) error
}

// where says which rows are meant: one by its key, else those of a crowd.
type where struct {
	id    string
	crowd int
}

// condition is the one that chooses rows, with its variable.
func (w where) condition() (string, any) {
	if w.id != "" {
		return "id = ?", w.id
	}
	return "crowd = ?", w.crowd
}

func (w where) apply(db *gorm.DB) *gorm.DB { return db.Where(w.condition()) }

// Crowds of rows.
const (
	standing = iota + 1 // stay
	passing             // are created and taken away
	alone               // one row of a run
	filling             // are there to be many
)

// loneID is the key of the one row of a run: another one each time, so that no
// database has to pass over what earlier runs have left of it.
func loneID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

// newAmount is what a run sets: what no row has, so that each of them changes.
func newAmount(i int) int64 { return int64(2*firstAmount + i) }

const firstAmount = 1250

// single are the operations on one row, bulk those on many.
func single() []operation {
	one := func(i int) where { return where{id: loneID(i)} }
	return []operation{
		{"create", 1, clear, func(ctx context.Context, v variant, _ int) error { return v.create(ctx, newEntries(1)) }},
		{"update", 1, renewOne, func(ctx context.Context, v variant, i int) error { return v.update(ctx, one(i), newAmount(i)) }},
		{"soft delete", 1, renewOne, func(ctx context.Context, v variant, i int) error { return v.remove(ctx, one(i), false) }},
		{"hard delete", 1, renewOne, func(ctx context.Context, v variant, i int) error { return v.remove(ctx, one(i), true) }},
	}
}

func bulk() []operation {
	crowd := where{crowd: standing}
	return []operation{
		createMany(),
		{"update 1000", many, revive, func(ctx context.Context, v variant, i int) error { return v.update(ctx, crowd, newAmount(i)) }},
		{"soft delete 1000", many, revive, func(ctx context.Context, v variant, _ int) error { return v.remove(ctx, crowd, false) }},
		{"hard delete 1000", many, revive, func(ctx context.Context, v variant, _ int) error { return v.remove(ctx, crowd, true) }},
	}
}

func createMany() operation {
	return operation{"create 1000", many, clear, func(ctx context.Context, v variant, _ int) error { return v.create(ctx, newEntries(many)) }}
}

// newEntries are rows that pass.
func newEntries(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{ID: uuid.NewString(), Work: Work{
			WorkspaceID: "w1", UserID: "u1", Crowd: passing, Description: "Weekly planning",
			Amount: firstAmount, Started: time.Now().UTC().Truncate(time.Millisecond),
		}}
	}
	return entries
}

// exec prepares, and counts the rows that this changes.
func (b *bench) exec(table, text string, args ...any) error {
	return b.count(table, b.raw.Exec(text, args...))
}

func (b *bench) count(table string, done *gorm.DB) error {
	b.changed[table] += int(done.RowsAffected)
	return done.Error
}

// sweep takes away what passed.
func sweep(b *bench, table string, _ int) error {
	return b.exec(table, "DELETE FROM "+table+" WHERE crowd = ?", passing)
}

// clear takes away what passed, and sees to it that the others are there.
func clear(b *bench, table string, i int) error {
	if err := sweep(b, table, i); err != nil {
		return err
	}
	return stand(b, table)
}

// stand puts back the rows that stay.
func stand(b *bench, table string) error {
	var n int64
	if err := b.raw.Table(table).Where("crowd = ?", standing).Count(&n).Error; err != nil || n == many {
		return err
	}
	entries := newEntries(many)
	for i := range entries {
		entries[i].Crowd = standing
	}
	return b.count(table, b.raw.Table(table).Create(&entries))
}

// renewOne makes the one row of a run.
func renewOne(b *bench, table string, i int) error {
	if err := stand(b, table); err != nil {
		return err
	}
	if err := b.exec(table, "DELETE FROM "+table+" WHERE id = ?", loneID(i)); err != nil {
		return err
	}
	entry := newEntries(1)[0]
	entry.ID, entry.Crowd = loneID(i), alone
	return b.count(table, b.raw.Table(table).Create(&entry))
}

// revive undoes what was done to the rows that stay.
func revive(b *bench, table string, i int) error {
	if err := clear(b, table, i); err != nil {
		return err
	}
	return b.exec(table, "UPDATE "+table+" SET deleted_at = NULL, amount = 0 WHERE crowd = ? AND (deleted_at IS NOT NULL OR amount <> 0)", standing)
}
