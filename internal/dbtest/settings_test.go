package dbtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

// steppedClock is a time that tests set.
type steppedClock struct{ micros atomic.Int64 }

func newSteppedClock() *steppedClock {
	c := &steppedClock{}
	c.micros.Store(time.Date(2024, 5, 1, 9, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *steppedClock) Now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *steppedClock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// settingsOn returns settings whose copies grow old by the clock.
func settingsOn(t *testing.T, store *sqlstore.Store, c *steppedClock) *sqlstore.Settings {
	t.Helper()
	settings, err := store.Settings(&sqlstore.SettingsConfig{Now: c.Now, Recorder: &audit.Config{Now: c.Now}})
	require.NoError(t, err)
	return settings
}

// requireRecords asks the gate whether projects are recorded.
func requireRecords(t *testing.T, want bool, settings *sqlstore.Settings, tx audit.DBTX, why string) {
	t.Helper()
	got, err := settings.Records(context.Background(), tx, "w1", audit.TypeProject)
	require.NoError(t, err)
	require.Equal(t, want, got, why)
}

func projectsOn(s *sqlstore.Switches) {
	s.Enabled = true
	s.Turn(true, audit.TypeProject)
}

func projectsOff(s *sqlstore.Switches) { s.Turn(false, audit.TypeProject) }

func TestSettingsAreOffUntilTurnedOn(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		settings := settingsOn(t, migrated(t, db, nil), newSteppedClock())
		requireRecords(t, false, settings, nil, "nothing was turned on")
		require.NoError(t, settings.Set(ctx, "w1", func(s *sqlstore.Switches) { s.Turn(true, audit.TypeProject) }))
		requireRecords(t, false, settings, nil, "the master switch is off")
		require.NoError(t, settings.Set(ctx, "w1", func(s *sqlstore.Switches) { s.Enabled = true }))
		requireRecords(t, true, settings, nil, "both are on, at once")

		for _, c := range []struct {
			workspace string
			t         audit.EntityType
		}{{"w1", audit.TypeTask}, {"w2", audit.TypeProject}, {"W1", audit.TypeProject}, {"w1 ", audit.TypeProject}} {
			got, err := settings.Records(ctx, nil, c.workspace, c.t)
			require.NoError(t, err)
			require.False(t, got, "%q %s", c.workspace, c.t)
		}

		got, err := settings.Get(ctx, "w1")
		require.NoError(t, err)
		require.Equal(t, sqlstore.Switches{Enabled: true, Types: map[audit.EntityType]bool{audit.TypeProject: true}}, got)
		got.Turn(false, audit.TypeProject)
		requireRecords(t, true, settings, nil, "what Get returns is the caller's")
	})
}

func TestEveryChangeOfSettingsIsAnEvent(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		c := newSteppedClock()
		store := migrated(t, db, nil)
		settings := settingsOn(t, store, c)
		ctx := audit.WithActor(context.Background(), audit.Actor{ID: "1", Name: "Ada"})
		ctx = audit.WithReason(ctx, "asked by the customer")

		require.NoError(t, settings.Set(ctx, "w1", func(*sqlstore.Switches) {}))
		requireStored(t, store)
		require.NoError(t, settings.Set(ctx, "w1", func(s *sqlstore.Switches) {
			s.Enabled = true
			s.Turn(true, audit.TypeTask, audit.TypeProject)
			s.Turn(false, audit.TypeTag)
		}))
		c.advance(time.Minute)
		require.NoError(t, settings.Set(ctx, "w1", func(s *sqlstore.Switches) {
			s.Enabled = false
			s.Turn(true, audit.TypeProject, audit.TypeTag)
			s.Turn(false, audit.TypeTask, audit.TypeClient)
		}))
		require.NoError(t, settings.Set(ctx, "w1", func(s *sqlstore.Switches) {
			s.Enabled = false
			s.Turn(false, audit.TypeExpense)
		}), "a change that changes nothing")

		value := func(on string) audit.Value { return audit.Value{JSON: json.RawMessage(on)} }
		event := func(at time.Time, op audit.Operation, changes ...audit.Change) audit.Event {
			return audit.Event{
				Time: at, Workspace: "w1", Operation: op,
				Actor:   audit.Actor{Kind: audit.KindUser, ID: "1", Name: "Ada"},
				Entity:  audit.Entity{Type: audit.TypeSettings, ID: "w1"},
				Reason:  "asked by the customer",
				Changes: changes, SchemaVersion: audit.SchemaVersion,
			}
		}
		want := []audit.Event{
			event(c.Now(), audit.Updated,
				audit.Change{Field: "enabled", Before: value("true"), After: value("false")},
				audit.Change{Field: "type.tag", Before: value("false"), After: value("true")},
				audit.Change{Field: "type.task", Before: value("true"), After: value("false")}),
			event(c.Now().Add(-time.Minute), audit.Created,
				audit.Change{Field: "enabled", After: value("true")},
				audit.Change{Field: "type.project", After: value("true")},
				audit.Change{Field: "type.task", After: value("true")}),
		}
		got, err := store.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 10)
		require.NoError(t, err)
		for i := range got {
			want[min(i, 1)].ID = got[i].ID
		}
		require.Equal(t, want, got)
	})
}

func TestSettingsAndTheirEventAreOneTransaction(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store := migrated(t, db, nil)
		refusing, err := store.Settings(&sqlstore.SettingsConfig{Recorder: &audit.Config{RequireActor: true}})
		require.NoError(t, err)
		require.ErrorIs(t, refusing.Set(ctx, "w1", projectsOn), audit.ErrNoActor)
		requireRecords(t, false, refusing, nil, "the event could not be written, so the change was not made")

		settings := settingsOn(t, store, newSteppedClock())
		elsewhere := audit.WithWorkspace(ctx, "w2")
		require.ErrorIs(t, settings.Set(elsewhere, "w1", projectsOn), audit.ErrWorkspaceMismatch)
		requireRecords(t, false, settings, nil, "a context of another workspace changes nothing")

		require.Panics(t, func() { _ = settings.Set(ctx, "w1", func(*sqlstore.Switches) { panic("mine") }) })
		require.Zero(t, db.SQL().Stats().InUse, "a panic leaves no connection behind")
		require.Error(t, settings.Set(ctx, "", projectsOn))
		require.Error(t, settings.Set(ctx, strings.Repeat("w", 192), projectsOn))
		requireStored(t, store)
	})
}

func TestCopiesOfSettingsAreASecondOldAtMost(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		c := newSteppedClock()
		store := migrated(t, db, nil)
		here, there := settingsOn(t, store, c), settingsOn(t, store, c)
		requireRecords(t, false, here, nil, "")

		require.NoError(t, there.Set(ctx, "w1", projectsOn))
		c.advance(999 * time.Millisecond)
		requireRecords(t, false, here, failing{}, "the copy is fresh and no statement is run")
		c.advance(time.Millisecond)
		requireRecords(t, true, here, nil, "the copy is a second old")
		c.advance(-time.Hour)
		require.NoError(t, there.Set(ctx, "w1", projectsOff))
		requireRecords(t, false, here, nil, "a clock that was set back makes nothing fresh")

		c.advance(time.Second)
		_, err := here.Records(ctx, failing{}, "w1", audit.TypeProject)
		require.ErrorIs(t, err, errFailing, "an error is never taken for a no")
	})
}

var errFailing = errors.New("no statement may be run here")

// failing is a connection that fails.
type failing struct{}

func (failing) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errFailing
}

func (failing) QueryContext(context.Context, string, ...any) (*sql.Rows, error) {
	return nil, errFailing
}

func (failing) QueryRowContext(context.Context, string, ...any) *sql.Row {
	// A *sql.Row with an error of one's own cannot be made, but by a pool whose
	// connector fails.
	return sql.OpenDB(failingConnector{}).QueryRowContext(context.Background(), "")
}

// failingConnector is a driver.Connector that never connects.
type failingConnector struct{}

func (failingConnector) Connect(context.Context) (driver.Conn, error) { return nil, errFailing }
func (failingConnector) Driver() driver.Driver                        { return nil }

func TestSettingsOfAnOpenTransactionAreNotKept(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		c := newSteppedClock()
		store := migrated(t, db, nil)
		settings := settingsOn(t, store, c)
		begin := func() *sql.Tx {
			tx, err := db.SQL().BeginTx(ctx, nil)
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback() })
			return tx
		}

		tx := begin()
		require.NoError(t, settings.SetTx(ctx, tx, "w1", projectsOn))
		requireRecords(t, true, settings, tx, "the transaction sees its own change")
		c.advance(time.Minute)
		requireRecords(t, true, settings, tx, "still")
		require.NoError(t, tx.Rollback())
		requireRecords(t, false, settings, nil, "it was rolled back")
		requireStored(t, store)

		tx = begin()
		require.NoError(t, settings.SetTx(ctx, tx, "w1", projectsOn))
		requireRecords(t, false, settings, tx, "the copy is fresh")
		c.advance(time.Second)
		requireRecords(t, true, settings, tx, "the transaction sees its own change")
		require.NoError(t, tx.Commit())
		c.advance(time.Second)
		other := begin()
		requireRecords(t, true, settings, other, "it was committed")
		var err error
		for range 50 { // on a busy machine the look for it may take too long, and is repeated
			if _, err = settings.Records(ctx, failing{}, "w1", audit.TypeProject); err == nil {
				break
			}
			c.advance(time.Second)
			requireRecords(t, true, settings, other, "it was committed")
		}
		require.NoError(t, err)
		require.NoError(t, other.Rollback())
		requireRecords(t, true, settings, failing{}, "it was seen to be committed, so a copy is kept")
		got, err := store.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 10)
		require.NoError(t, err)
		require.Len(t, got, 1)

		tx = begin()
		_, err = tx.ExecContext(ctx, "SAVEPOINT here")
		require.NoError(t, err)
		require.NoError(t, settings.SetTx(ctx, tx, "w1", projectsOff))
		_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT here")
		require.NoError(t, err)
		c.advance(time.Second)
		requireRecords(t, true, settings, tx, "the savepoint was rolled back")
		require.NoError(t, tx.Commit())
	})
}

func TestSettingsNeedNoSecondConnection(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		db.SQL().SetMaxOpenConns(1)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c := newSteppedClock()
		settings := settingsOn(t, migrated(t, db, nil), c)
		tx, err := db.SQL().BeginTx(ctx, nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		requireRecords(t, false, settings, tx, "")
		require.NoError(t, settings.SetTx(ctx, tx, "w1", projectsOn))
		for range 3 {
			c.advance(time.Second)
			requireRecords(t, true, settings, tx, "")
		}
		require.NoError(t, tx.Commit())
		requireRecords(t, true, settings, nil, "")
	})
}

func TestAnOldSnapshotBringsNoOldSettingsBack(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		if db.Name == "sqlite" {
			t.Skip("a transaction of SQLite that writes has no old snapshot")
		}
		ctx := context.Background()
		c := newSteppedClock()
		settings := settingsOn(t, migrated(t, db, nil), c)
		require.NoError(t, settings.Set(ctx, "w1", projectsOn))

		old, err := db.SQL().BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		require.NoError(t, err)
		defer func() { _ = old.Rollback() }()
		c.advance(time.Second)
		requireRecords(t, true, settings, old, "the snapshot is taken here")

		require.NoError(t, settings.Set(ctx, "w1", projectsOff))
		c.advance(time.Second)
		requireRecords(t, false, settings, old, "the newer settings are known already")
		requireRecords(t, false, settings, nil, "and stay so")
	})
}

func TestSettingsOfABackupCountAgain(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		c := newSteppedClock()
		settings := settingsOn(t, migrated(t, db, nil), c)
		require.NoError(t, settings.Set(ctx, "w1", projectsOn))
		requireRecords(t, true, settings, nil, "")
		_, err := db.SQL().ExecContext(ctx, "DELETE FROM audit_events_settings")
		require.NoError(t, err)
		c.advance(time.Second)
		requireRecords(t, false, settings, nil, "read outside of a transaction, the table is right")
	})
}

func TestSettingsInUseByMany(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		c := newSteppedClock()
		store := migrated(t, db, nil)
		const admins, changes = 4, 10
		var wg sync.WaitGroup
		errs := make(chan error, admins*changes*3)
		for a := range admins {
			settings := settingsOn(t, store, c) // as in processes of their own
			mine := audit.EntityType(fmt.Sprintf("type_%d", a))
			wg.Add(2)
			go func() {
				defer wg.Done()
				for i := range changes {
					if err := settings.Set(ctx, "w1", func(s *sqlstore.Switches) {
						s.Enabled = true
						s.Turn(i%2 == 0, mine)
					}); err != nil {
						errs <- err
					}
					c.advance(300 * time.Millisecond)
				}
			}()
			go func() {
				defer wg.Done()
				for range changes {
					if _, err := settings.Records(ctx, nil, "w1", mine); err != nil {
						errs <- err
					}
				}
			}()
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
		// No change was lost: each turned its own type on and off in turn.
		events, err := store.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 1000)
		require.NoError(t, err)
		require.Len(t, events, admins*changes)
		created, err := store.List(ctx, audit.Filter{Workspace: "w1", Actions: []audit.Action{{Operation: audit.Created}}}, audit.Position{}, 10)
		require.NoError(t, err)
		require.Len(t, created, 1)
		got, err := settingsOn(t, store, c).Get(ctx, "w1")
		require.NoError(t, err)
		require.Equal(t, sqlstore.Switches{Enabled: true, Types: map[audit.EntityType]bool{}}, got)
	})
}
