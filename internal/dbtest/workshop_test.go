package dbtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
)

// workshop is a database with the models of this package, the oracle that
// watches it and, unless it is bare, the hooks and their store.
type workshop struct {
	database *Database
	db       *gorm.DB
	// raw is GORM on the same pool without hooks.
	raw    *gorm.DB
	oracle *Oracle
	store  audit.Store
	ctx    context.Context
	clock  *clock

	dirty  bool
	seeded Snapshot
}

// clock is the Recorder's.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC), step: time.Minute}
}

// Now stands still until next.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// set puts it forward or back.
func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// next goes on by a step.
func (c *clock) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
}

// newWorkshop makes the tables and the triggers. A nil store leaves the hooks
// out.
func newWorkshop(t *testing.T, database *Database, store newStore, opts ...gorm.Option) *workshop {
	t.Helper()
	w := &workshop{database: database, raw: openGorm(t, database), clock: newClock(), dirty: true}
	require.NoError(t, Migrate(w.raw))
	var err error
	w.oracle, err = InstallOracle(context.Background(), w.raw, Watches()...)
	require.NoError(t, err)
	if w.database.Name == "mysql" {
		for _, table := range w.oracle.tables {
			if table.counted() {
				require.NoError(t, w.raw.Exec("ALTER TABLE "+table.name+" AUTO_INCREMENT = 1000").Error)
			}
		}
	}
	w.db = openGorm(t, database, opts...)
	require.NoError(t, Setup(w.db))
	w.ctx = audit.WithActor(context.Background(), audit.Actor{ID: "7", Name: "Jo"})
	if store != nil {
		w.store = wire(t, w.db, database, store, &audit.Config{Now: w.clock.Now}, workshopModels())
	}
	return w
}

// quiet is GORM's config with a clock that stands still.
func quiet() *gorm.Config {
	return &gorm.Config{Logger: logger.Discard, NowFunc: func() time.Time { return opTime }}
}

// openGorm opens GORM with the config [quiet], unless another is given.
func openGorm(t *testing.T, database *Database, opts ...gorm.Option) *gorm.DB {
	t.Helper()
	return database.Gorm(t, append([]gorm.Option{quiet()}, opts...)...)
}

// seed puts the rows back to what [Seed] says, if anything changed them, and
// returns them.
func (w *workshop) seed(t *testing.T) Snapshot {
	t.Helper()
	ctx := context.Background()
	if !w.dirty {
		require.NoError(t, w.rewind())
		require.NoError(t, w.oracle.Reset(ctx))
		return w.seeded
	}
	require.NoError(t, w.raw.Transaction(w.reseed))
	require.NoError(t, w.rewind())
	require.NoError(t, w.oracle.Reset(ctx))
	if w.seeded == nil {
		var err error
		w.seeded, err = w.oracle.Snapshot(ctx)
		require.NoError(t, err)
	}
	return w.seeded
}

// rewind puts the sequences back, which a rollback does not. MariaDB's go on,
// alike with and without hooks.
func (w *workshop) rewind() error {
	switch w.database.Name {
	case "postgres":
		var sequences []string
		for _, t := range w.oracle.tables {
			if t.counted() {
				sequences = append(sequences, "setval('"+t.name+"_id_seq', 1000)")
			}
		}
		return w.raw.Exec("SELECT " + strings.Join(sequences, ", ")).Error
	case "sqlite":
		return w.raw.Exec("UPDATE sqlite_sequence SET seq = 1000 WHERE name <> 'truth'").Error
	}
	return nil
}

// counted reports whether the database makes the keys.
func (t *oracleTable) counted() bool {
	return slices.Equal(t.key, []string{"id"}) && t.columns[0].kind == kindInt
}

func (w *workshop) reseed(tx *gorm.DB) error {
	statements := []string{"UPDATE folders SET parent_id = NULL", "DELETE FROM order_labels", "DELETE FROM shift_marks"}
	for _, t := range slices.Backward(w.oracle.tables) {
		if t.Type != "" {
			statements = append(statements, "DELETE FROM "+t.name)
		}
	}
	for _, s := range statements {
		if err := tx.Exec(s).Error; err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	rows := tx.Session(&gorm.Session{SkipHooks: true}).Omit(clause.Associations).Session(&gorm.Session{})
	for _, s := range Seed() {
		if err := rows.Create(s).Error; err != nil {
			return fmt.Errorf("seed %T: %w", s, err)
		}
	}
	return tx.Exec(joinRows).Error
}

// events are those since the clock's last step, oldest first.
func (w *workshop) events(t *testing.T) []audit.Event {
	t.Helper()
	if w.store == nil {
		return nil
	}
	return eventsSince(t, w.store, audit.DefaultWorkspace, w.clock.Now())
}

func eventsSince(t *testing.T, store audit.Store, workspace string, from time.Time) []audit.Event {
	t.Helper()
	events, err := store.List(context.Background(), audit.Filter{Workspace: workspace, From: from}, audit.Position{}, 100_000)
	require.NoError(t, err)
	slices.Reverse(events)
	return events
}
