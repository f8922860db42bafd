package main

import (
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
