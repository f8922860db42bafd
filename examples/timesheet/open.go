package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/glebarez/sqlite"
	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/backend"
	"github.com/gormtrail/audit/examples/timesheet/week"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/timesheet"
	"github.com/gormtrail/audit/store/sqlstore"
)

// tracker is the time tracker with its database and its audit trail.
type tracker struct {
	path     string
	db       *gorm.DB
	store    *sqlstore.Store
	clock    *week.Clock
	settings *sqlstore.Settings
	rec      *audit.Recorder
	backend  *backend.Backend
	imported backend.Imported
}

// open opens the database of a path, which mode says how: rwc or ro.
func open(path, mode string) (*tracker, error) {
	t := &tracker{path: path, clock: new(week.Clock)}
	t.clock.Set(week.Monday)
	// Auditing reads before it writes, so a transaction must not begin as a
	// reader: it might find no way to become a writer.
	file := url.URL{Path: filepath.ToSlash(path)}
	dsn := "file:" + file.EscapedPath() + "?mode=" + mode + "&_txlock=immediate&_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)"
	var err error
	t.db, err = gorm.Open(sqlite.Open(dsn), &gorm.Config{NowFunc: t.clock.Now, Logger: logger.Discard})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool, err := t.db.DB()
	if err != nil {
		return nil, err
	}
	t.store, err = sqlstore.New(pool, sqlstore.SQLite, nil)
	return t, err
}

// setUp makes the tables and has everything recorded that the backend writes.
// This is all that an application does to be audited.
func (t *tracker) setUp(ctx context.Context) error {
	if err := timesheet.Migrate(t.db.WithContext(ctx)); err != nil {
		return err
	}
	if err := t.store.Migrate(ctx); err != nil {
		return err
	}
	var err error
	t.settings, err = t.store.Settings(&sqlstore.SettingsConfig{Now: t.clock.Now, Recorder: &audit.Config{Now: t.clock.Now, RequireActor: true}})
	if err != nil {
		return err
	}
	t.rec, err = audit.New(t.store, &audit.Config{Gate: t.settings, Now: t.clock.Now, RequireActor: true})
	if err != nil {
		return err
	}
	if err := t.db.Use(hooks.New(t.rec, timesheet.AuditModels()...)); err != nil {
		return err
	}
	t.backend = backend.New(t.db, keys())
	return nil
}

// Close closes the database.
func (t *tracker) Close() error {
	pool, err := t.db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// keys makes the keys of the example's records: the same in each run, so that
// two runs can be compared.
func keys() func() string {
	n := uint64(0)
	return func() string {
		n++
		var id uuid.UUID
		for i := range 8 {
			id[15-i] = byte(n >> (8 * i))
		}
		id[6], id[8] = 0x80, 0x80 // version 8: made by a rule of one's own
		return id.String()
	}
}
