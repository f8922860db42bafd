package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// many is how many rows a bulk operation writes.
const many = 1000

// Entry is what is written. GORM embeds exported structs only. Each variant has a table of its own.
type Entry struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	UserID      string `gorm:"size:36;not null" audit:"owner"`
	Crowd       int    `gorm:"index"`
	Description string `gorm:"size:200" audit:"label"`
	Billable    bool
	Amount      int64
	Started     time.Time
	Ended       *time.Time
	DeletedAt   gorm.DeletedAt
}

// The tables.
type (
	bareEntry  struct{ Entry }
	handEntry  struct{ Entry }
	hookEntry  struct{ Entry }
	plainEntry struct{ Entry }
)

// variant is one way to write.
type variant interface {
	name() string
	create(ctx context.Context, entries []Entry) error
	update(ctx context.Context, w where, amount int64) error
	remove(ctx context.Context, w where, hard bool) error
	table() string
}

// where says which rows are meant: one by its key, else those of a crowd.
type where struct {
	id    string
	crowd int
}

func (w where) apply(db *gorm.DB) *gorm.DB {
	if w.id != "" {
		return db.Where("id = ?", w.id)
	}
	return db.Where("crowd = ?", w.crowd)
}

// bench is a database with all variants.
type bench struct {
	database *dbtest.Database
	raw      *gorm.DB // without hooks
	variants []variant
	owed     int
}

func newBench(ctx context.Context, database *dbtest.Database) (*bench, error) {
	raw, err := open(database)
	if err != nil {
		return nil, err
	}
	if err := raw.AutoMigrate(&bareEntry{}, &handEntry{}, &hookEntry{}, &plainEntry{}, &handEvent{}); err != nil {
		return nil, err
	}
	store, err := sqlstore.New(database.SQL(), database.Dialect, nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	rec, err := audit.New(store, nil)
	if err != nil {
		return nil, err
	}
	hooked, err := open(database)
	if err != nil {
		return nil, err
	}
	if err := hooked.Use(hooks.New(rec, hooks.Model[hookEntry](audit.TypeTimeEntry))); err != nil {
		return nil, err
	}
	return &bench{database: database, raw: raw, variants: []variant{
		through[bareEntry]{"bare", raw},
		byHand{raw, database.Dialect},
		through[hookEntry]{"hooks", hooked},
		through[plainEntry]{"plain", hooked},
	}}, nil
}

func open(database *dbtest.Database) (*gorm.DB, error) {
	return gorm.Open(database.Dialector(), &gorm.Config{Logger: logger.Discard})
}

// recorded counts the events that hooks wrote.
func (b *bench) recorded(ctx context.Context) (n int, err error) {
	err = b.database.SQL().QueryRowContext(ctx, "SELECT count(*) FROM "+sqlstore.DefaultTable).Scan(&n)
	return n, err
}

// operation is one thing to measure. Prepare and clean work outside the clock.
type operation struct {
	name    string
	rows    int
	prepare func(b *bench, table string, i int) error
	run     func(ctx context.Context, v variant, i int) error
}

// Crowds of rows: the first stays, the others come and go.
const (
	standing = 1
	passing  = 2
)

// standingID is the one row that stays.
const standingID = "00000000-0000-4000-8000-000000000001"

func operations() []operation {
	one, crowd := where{id: standingID}, where{crowd: standing}
	return []operation{
		{"create", 1, clear, func(ctx context.Context, v variant, _ int) error {
			return v.create(ctx, newEntries(1))
		}},
		{"update", 1, revive, func(ctx context.Context, v variant, i int) error { return v.update(ctx, one, int64(i+1)) }},
		{"soft delete", 1, revive, func(ctx context.Context, v variant, _ int) error { return v.remove(ctx, one, false) }},
		{"hard delete", 1, renew, func(ctx context.Context, v variant, _ int) error { return v.remove(ctx, one, true) }},
		{"create 1000", many, clear, func(ctx context.Context, v variant, _ int) error {
			return v.create(ctx, newEntries(many))
		}},
		{"update 1000", many, revive, func(ctx context.Context, v variant, i int) error { return v.update(ctx, crowd, int64(i+1)) }},
		{"soft delete 1000", many, revive, func(ctx context.Context, v variant, _ int) error { return v.remove(ctx, crowd, false) }},
		{"hard delete 1000", many, renew, func(ctx context.Context, v variant, _ int) error { return v.remove(ctx, crowd, true) }},
	}
}

// newEntries are rows that pass.
func newEntries(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{
			ID: uuid.NewString(), WorkspaceID: "w1", UserID: "u1", Crowd: passing, Description: "Weekly planning",
			Amount: 1250, Started: time.Now().UTC().Truncate(time.Millisecond),
		}
	}
	return entries
}

// clear takes away what passed.
func clear(b *bench, table string, _ int) error {
	return b.raw.Exec("DELETE FROM "+table+" WHERE crowd = ?", passing).Error
}

// revive undoes soft deletes and updates.
func revive(b *bench, table string, _ int) error {
	if err := clear(b, table, 0); err != nil {
		return err
	}
	var n int64
	if err := b.raw.Table(table).Where("crowd = ? AND deleted_at IS NULL", standing).Count(&n).Error; err != nil {
		return err
	}
	if n == many {
		return b.raw.Exec("UPDATE "+table+" SET amount = 0 WHERE crowd = ? AND amount <> 0", standing).Error
	}
	if err := b.raw.Exec("UPDATE "+table+" SET deleted_at = NULL, amount = 0 WHERE crowd = ?", standing).Error; err != nil {
		return err
	}
	return renew(b, table, 0)
}

// renew puts back the rows that stay.
func renew(b *bench, table string, _ int) error {
	var n int64
	if err := b.raw.Table(table).Where("crowd = ? AND deleted_at IS NULL", standing).Count(&n).Error; err != nil || n == many {
		return err
	}
	if err := b.raw.Exec("DELETE FROM " + table).Error; err != nil {
		return err
	}
	entries := newEntries(many)
	for i := range entries {
		entries[i].Crowd = standing
	}
	entries[0].ID = standingID
	return b.raw.Table(table).Create(&entries).Error
}

// measure runs every operation n times, the bulk ones a tenth of it, in turn for
// every variant.
func (b *bench) measure(ctx context.Context, n int) ([]result, error) {
	ctx = audit.WithActor(audit.WithWorkspace(ctx, "w1"), audit.Actor{ID: "u1", Name: "Jo"})
	var results []result
	for _, op := range operations() {
		runs := n
		if op.rows > 1 {
			runs = max(3, n/10)
		}
		r := result{op.name, op.rows, map[string][]time.Duration{}}
		for i := -1; i < runs; i++ { // one to warm up
			for k := range b.variants {
				v := b.variants[(i+1+k)%len(b.variants)] // nobody always follows the same one
				if err := op.prepare(b, v.table(), i); err != nil {
					return nil, fmt.Errorf("prepare %s of %s: %w", op.name, v.name(), err)
				}
				start := time.Now()
				err := op.run(ctx, v, i+1)
				took := time.Since(start)
				if err != nil {
					return nil, fmt.Errorf("%s of %s: %w", op.name, v.name(), err)
				}
				if i >= 0 {
					r.times[v.name()] = append(r.times[v.name()], took)
				}
				if v.name() == "hooks" {
					b.owed += op.rows
				}
			}
		}
		results = append(results, r)
	}
	return results, nil
}
