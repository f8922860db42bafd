package dbtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// allOffice is an office that records every model but one, and one under a name
// of its own.
func allOffice(t *testing.T, database *Database, opts ...hooks.Option) *office {
	t.Helper()
	o := &office{database: database, raw: openGorm(t, database), db: openGorm(t, database), clock: newClock()}
	require.NoError(t, o.raw.AutoMigrate(officeTables()...))
	o.store = wire(t, o.db, database, storeInDatabase, &audit.Config{Now: o.clock.Now}, opts)
	o.ctx = audit.WithWorkspace(audit.WithActor(context.Background(), jo), "w1")
	return o
}

func TestAllRecordsEveryModelItMeets(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := allOffice(t, database, hooks.All(&Stray{}, Firm{}, "vaults"), hooks.Model[Word]("word"))
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"}, &Entry{ID: "e1", WorkspaceID: "w1", Note: "one", VentureID: text("v1")})
		require.Equal(t, []string{
			`1/1 Jo created word x1 "a": id - => "x1"; workspace_id - => "w1"; name - => "a"`,
			`2/2 Jo created steps s1 "Plan": id - => "s1"; workspace_id - => "w1"; name - => "Plan"; venture_id - => "v1" (Gemini)`,
			`3/3 Jo created entry_words e1/x1 "": entry_id - => "e1"; word_id - => "x1"`,
			`4/4 Jo deleted ventures v1 "Gemini": id "v1" => -; workspace_id "w1" => -; name "Gemini" => -; firm_id null => -`,
			`5/4 System for Jo updated entries e1 "one" of  (other) because of 4: venture_id "v1" (Gemini) => null`,
			`6/4 System for Jo deleted steps s1 "Plan" because of 4: id "s1" => -; workspace_id "w1" => -; name "Plan" => -; venture_id "v1" (Gemini) => -`,
		}, o.told(t, func(db *gorm.DB) error {
			return errors.Join(
				db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "a"}).Error,
				db.Create(&Step{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "v1"}).Error,
				db.Create(&Stray{ID: "1"}).Error, db.Create(&Firm{ID: "f1", WorkspaceID: "w1"}).Error, db.Create(&Vault{ID: "v1"}).Error,
				db.Model(&Entry{ID: "e1"}).Omit("Words.*").Association("Words").Append(&Word{ID: "x1"}),
				db.Delete(&Venture{ID: "v1"}).Error,
			)
		}))
		require.Equal(t, []string{`1/1 Jo executed steps * "": statement - => "insert"; table - => "steps"; rows - => 1`}, o.told(t, func(db *gorm.DB) error {
			return errors.Join(db.Create(&Stray{ID: "2"}).Error,
				db.Exec("INSERT INTO steps (id, workspace_id, name) SELECT id, 'w1', 'n' FROM strays WHERE id = '2'").Error)
		}))
	})
}

// TestAllMeetsAModelByItsDelete must not miss what the database deletes with its row.
func TestAllMeetsAModelByItsDelete(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := allOffice(t, database, hooks.All(), hooks.Model[Step]("step"))
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"}, &Step{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "v1"})
		require.Equal(t, []string{
			`1/1 Jo deleted ventures v1 "Gemini": id "v1" => -; workspace_id "w1" => -; name "Gemini" => -; firm_id null => -`,
			`2/1 System for Jo deleted step s1 "Plan" because of 1: id "s1" => -; workspace_id "w1" => -; name "Plan" => -; venture_id "v1" (Gemini) => -`,
		}, o.told(t, func(db *gorm.DB) error { return db.Delete(&Venture{ID: "v1"}).Error }))
	})
}

func TestAllMeetsModelsFromManySides(t *testing.T) {
	t.Parallel()
	o := allOffice(t, Open(t, "postgres"), hooks.All())
	o.clock.next()
	var wait sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			db, id := o.db.WithContext(o.ctx), fmt.Sprint(i)
			for _, row := range []any{&Word{ID: id, WorkspaceID: "w1"}, &Firm{ID: id, WorkspaceID: "w1"}, &Vault{ID: id}, &Stray{ID: id}, &Entry{ID: id, WorkspaceID: "w1"}} {
				errs <- db.Create(row).Error
			}
		}()
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, eventsSince(t, o.store, "w1", o.clock.Now()), 40)
	report, err := hooks.Coverage(context.Background(), o.db)
	require.NoError(t, err)
	for _, c := range report {
		require.Equal(t, len(c.Table) < 6 || c.Table[:6] != "audit_", c.Recorded(), c.Table)
	}
}

// TestTheStoresTablesAreNobodysModel also when there are more of them than today.
func TestTheStoresTablesAreNobodysModel(t *testing.T) {
	t.Parallel()
	o := allOffice(t, Open(t, "sqlite"), hooks.All())
	require.NoError(t, o.raw.Exec("CREATE TABLE audit_events_2026_01 (id varchar(20) PRIMARY KEY, workspace_id varchar(20), name varchar(20))").Error)
	require.Empty(t, o.told(t, func(db *gorm.DB) error {
		return db.Table("audit_events_2026_01").Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error
	}))
	report, err := hooks.Coverage(t.Context(), o.db)
	require.NoError(t, err)
	require.NotContains(t, report.String(), "audit_events")
}

func TestAllRefusesAnExceptionThatIsNoModel(t *testing.T) {
	t.Parallel()
	database := Open(t, "sqlite")
	rec, err := audit.New(storeInDatabase(t, database), nil)
	require.NoError(t, err)
	require.ErrorContains(t, openGorm(t, database).Use(hooks.New(rec, hooks.All(nil))), "nil exception")
	require.ErrorContains(t, openGorm(t, database).Use(hooks.New(rec, hooks.All(7))), "model")
}
