package main

import (
	"context"

	"gorm.io/gorm"

	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// The variants that write entries.

func bareEntries(db *gorm.DB) variant { return bareEntriesAs("bare", db) }

func bareEntriesAs(name string, db *gorm.DB) variant {
	return through[bareEntry]{target[bareEntry]{name, db, func(e Entry) bareEntry { return bareEntry{e} }, ""}}
}

func handEntries(db *gorm.DB, d *dbtest.Database) variant {
	return byHand[handEntry]{
		target[handEntry]{"by hand", db, func(e Entry) handEntry { return handEntry{e} }, handLog},
		func(e *handEntry) *Entry { return &e.Entry }, d.Dialect,
	}
}

func hookEntries(db *gorm.DB) variant { return hookEntriesAs("hooks", db) }

func hookEntriesAs(name string, db *gorm.DB) variant {
	return through[hookEntry]{target[hookEntry]{name, db, func(e Entry) hookEntry { return hookEntry{e} }, sqlstore.DefaultTable}}
}

// plainEntries are of a model that is not registered.
func plainEntries(hooked *gorm.DB) variant {
	return through[plainEntry]{target[plainEntry]{"not registered", hooked, func(e Entry) plainEntry { return plainEntry{e} }, ""}}
}

// measureEntries measures every operation in every way.
func (b *bench) measureEntries(ctx context.Context, size size) error {
	hooked, err := openHooked(b.database, b.database.SQL())
	if err != nil {
		return err
	}
	if err := b.installTrigger(); err != nil {
		return err
	}
	variants := []variant{bareEntries(b.raw), handEntries(b.raw, b.database), hookEntries(hooked), triggerEntries(b.raw), readyEntries(b.raw, b.database.Dialect)}
	columns := []string{"bare", "by hand", "hooks", "row trigger", "hooks/bare", "hooks/by hand", "by hand/bare", "row trigger/bare", "ready events/bare", "ready events/by hand"}
	if b.database.Dialect == sqlstore.Postgres {
		if err := b.installOurs(ctx); err != nil {
			return err
		}
		variants, columns = append(variants, oursEntries(b.raw)), append(columns, "our trigger/bare")
	}
	results, err := b.measure(ctx, append(single(), bulk()...), variants, size.n)
	if err != nil {
		return err
	}
	b.print("keys set by the application, no labels", results, columns, localGoals(b.database.Name))
	return nil
}

// maxPlain is how many times GORM alone a model may take that is not registered.
const maxPlain = 1.03

// measurePlain measures writes of a model that is not registered.
func (b *bench) measurePlain(ctx context.Context, size size) error {
	hooked, err := openHooked(b.database, b.database.SQL())
	if err != nil {
		return err
	}
	results, err := b.measure(ctx, single(), []variant{bareEntries(b.raw), plainEntries(hooked)}, 5*size.n)
	if err != nil {
		return err
	}
	const ratio = "not registered/bare"
	b.print("not registered", results, []string{"bare", "not registered", ratio}, each(single(), ratio, maxPlain))
	return nil
}
