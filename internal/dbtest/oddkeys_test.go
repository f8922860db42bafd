package dbtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// TestATableThatCannotBeReadFailsOnlyDeletionsThatLeadThroughIt though a recorded
// one refers to it.
func TestATableThatCannotBeReadFailsOnlyDeletionsThatLeadThroughIt(t *testing.T) {
	t.Parallel()
	t.Run("a table that is not there", func(t *testing.T) {
		db, recorded := found(t, Open(t, "sqlite"), "PRAGMA foreign_keys=OFF",
			"CREATE TABLE notes (id integer PRIMARY KEY, name text REFERENCES gone (name) ON DELETE CASCADE, memo text, junk text)")
		require.NoError(t, db.Create(&Note{ID: 1, Name: "n"}).Error)
		require.NoError(t, db.Delete(&Note{ID: 1}).Error)
		require.Len(t, recorded(), 2)
	})
	t.Run("a table without a privilege", func(t *testing.T) {
		database := Open(t, "postgres")
		owner := openGorm(t, database)
		for _, text := range []string{
			"CREATE TABLE hidden (name varchar(20) PRIMARY KEY)",
			"CREATE TABLE notes (id bigint PRIMARY KEY, name varchar(20) REFERENCES hidden (name) ON DELETE CASCADE, memo text, junk text)",
			"INSERT INTO hidden VALUES ('n')",
		} {
			require.NoError(t, owner.Exec(text).Error)
		}
		role := database.Namespace + "_clerk"
		clock := newClock()
		begin := clock.Now()
		db := openGorm(t, database)
		store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{hooks.Model[Note]("note")})
		for _, text := range []string{
			"CREATE ROLE " + role, "GRANT USAGE ON SCHEMA " + database.Namespace + " TO " + role,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON notes, audit_events TO " + role,
		} {
			require.NoError(t, owner.Exec(text).Error)
		}
		t.Cleanup(func() {
			require.NoError(t, owner.Exec("DROP OWNED BY "+role).Error)
			require.NoError(t, owner.Exec("DROP ROLE "+role).Error)
		})
		require.NoError(t, db.WithContext(audit.WithWorkspace(t.Context(), "w1")).Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Exec("SET LOCAL ROLE "+role).Error)
			require.NoError(t, tx.Create(&Note{ID: 1, Name: "n"}).Error)
			return tx.Delete(&Note{ID: 1}).Error
		}))
		require.Len(t, eventsSince(t, store, "w1", begin), 2)
	})
}

// Clashing has columns as the plugin names its own.
type Clashing struct {
	AuditID    uint   `gorm:"primaryKey"`
	AuditLabel string `gorm:"size:20;default:x"`
	Name       string `gorm:"size:20" audit:"label"`
}

// TableName implements GORM's Tabler.
func (Clashing) TableName() string { return "audit_row" }

func TestNamesMayBeAsThePluginsOwn(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database)
		require.NoError(t, db.AutoMigrate(&Clashing{}))
		clock := newClock()
		begin := clock.Now()
		store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{hooks.Model[Clashing]("row")})
		db = db.WithContext(audit.WithActor(audit.WithWorkspace(t.Context(), "w1"), jo))
		row := Clashing{Name: "n"}
		require.NoError(t, db.Create(&row).Error)
		require.NoError(t, db.Model(&row).Update("name", "m").Error)
		require.NoError(t, db.Model(&Clashing{}).Where("1 = 1").Update("audit_label", "y").Error)
		require.NoError(t, db.Delete(&row).Error)
		require.Equal(t, []string{
			`1/1 Jo created row 1 "n": audit_id - => 1; audit_label - => "x"; name - => "n"`,
			`2/2 Jo updated row 1 "m": name "n" => "m"`,
			`3/3 Jo updated row 1 "m": audit_label "x" => "y"`,
			`4/4 Jo deleted row 1 "m": audit_id 1 => -; audit_label "y" => -; name "m" => -`,
		}, say(eventsSince(t, store, "w1", begin)))
	})
}

func TestAJoinRowThatGoesToAnotherOwnerIsTakenFromTheFirst(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		o.have(t, &Word{ID: "x1", WorkspaceID: "w1", Name: "a"}, &Entry{ID: "e1", WorkspaceID: "w1", Note: "one", Words: []Word{{ID: "x1"}}}, &Entry{ID: "e2", WorkspaceID: "w1", Note: "two"})
		require.Equal(t, []string{
			`1/1 Jo updated entry e1 "one" of  (other): +words "x1" (a) => null`,
			`2/1 Jo updated entry e2 "two" of  (other): +words null => "x1" (a)`,
		}, o.told(t, func(db *gorm.DB) error {
			return db.Table("entry_words").Where("word_id = ?", "x1").Updates(map[string]any{"entry_id": "e2"}).Error
		}))
	})
}

// TestTheOnlyConnectionIsEnough to write and to record on, where the application
// has taken it.
func TestTheOnlyConnectionIsEnough(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db, recorded := found(t, database, "CREATE TABLE notes (id bigint PRIMARY KEY, name varchar(20), memo varchar(20), junk varchar(20))")
		database.SQL().SetMaxOpenConns(1)
		ctx, stop := context.WithTimeout(db.Statement.Context, 10*time.Second)
		defer stop()
		require.NoError(t, db.WithContext(ctx).Connection(func(only *gorm.DB) error {
			e := audit.Event{Operation: "approved", Entity: audit.Entity{Type: "note", ID: "1"}}
			return errors.Join(hooks.Record(only, e), hooks.RecordAttempt(only, e), only.Create(&Note{ID: 1, Name: "n"}).Error)
		}))
		require.Equal(t, []string{
			`1/1 Jo approved note 1 ""`,
			`2/2 Jo approved note 1 ""`,
			`3/3 Jo created note 1 "n": id - => 1; name - => "n"; memo - => - redacted`,
		}, recorded())
	})
}

// Place is in a list by its number.
type Place struct {
	List   string `gorm:"primaryKey;size:20"`
	Number int    `gorm:"primaryKey;autoIncrement:false"`
}

func TestAKeyMayBeComputed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			database := Open(t, name)
			db := openGorm(t, database)
			require.NoError(t, db.AutoMigrate(&Place{}))
			clock := newClock()
			begin := clock.Now()
			store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{hooks.Model[Place]("place")})
			db = db.WithContext(audit.WithActor(audit.WithWorkspace(t.Context(), "w1"), jo))
			require.NoError(t, db.Create(&Place{"a", 1}).Error)
			require.NoError(t, db.Model(&Place{}).Where("list = 'a'").Update("number", gorm.Expr("number + 1")).Error)
			require.Equal(t, []string{
				`1/1 Jo created place a/1 "": list - => "a"; number - => 1`,
				`2/2 Jo updated place a/1 "": number 1 => 2`,
			}, say(eventsSince(t, store, "w1", begin)))
		})
	}
}

func TestAKeyMayBeAssignedByAnySpellingOfItsColumn(t *testing.T) {
	t.Parallel()
	for name, spellings := range map[string][]string{"sqlite": {"number", "NUMBER"}, "mysql": {"number", "NUMBER", "places.number"}, "postgres": {"number"}} {
		t.Run(name, func(t *testing.T) {
			database := Open(t, name)
			db := openGorm(t, database)
			require.NoError(t, db.AutoMigrate(&Place{}))
			clock := newClock()
			store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{hooks.Model[Place]("place")})
			db = db.WithContext(audit.WithActor(audit.WithWorkspace(t.Context(), "w1"), jo))
			for _, spelling := range spellings {
				require.NoError(t, db.Create(&Place{"a", 1}).Error)
				clock.next()
				require.NoError(t, db.Model(&Place{}).Where("list = 'a'").Updates(map[string]any{spelling: 2}).Error)
				require.Equal(t, []string{`1/1 Jo updated place a/1 "": number 1 => 2`}, say(eventsSince(t, store, "w1", clock.Now())), spelling)
				require.NoError(t, db.Delete(&Place{"a", 2}).Error)
			}
			if name == "mysql" {
				require.NoError(t, db.Create(&Place{"a", 1}).Error)
				require.ErrorIs(t, db.Model(&Place{}).Where("list = 'a'").Updates(map[string]any{"Number": gorm.Expr("number + 1")}).Error, audit.ErrAuditFailed)
			}
		})
	}
}
