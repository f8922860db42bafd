package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Migrant is recorded while its table is migrated.
type Migrant struct {
	ID   int    `gorm:"primaryKey;autoIncrement:false"`
	Name string `gorm:"size:20" audit:"label"`
}

// migrants is a table with one row, which was written through the plugin: its
// columns are known.
type migrants struct {
	raw, db *gorm.DB
	store   audit.Store
	clock   *clock
}

func newMigrants(t *testing.T, database *Database, opts ...hooks.Option) *migrants {
	t.Helper()
	m := &migrants{raw: openGorm(t, database), db: openGorm(t, database), clock: newClock()}
	require.NoError(t, m.raw.AutoMigrate(&Migrant{}))
	m.store = wire(t, m.db, database, storeInDatabase, &audit.Config{Now: m.clock.Now}, append(opts, hooks.Model[Migrant]("migrant")))
	m.db = m.db.WithContext(audit.WithActor(context.Background(), jo))
	require.NoError(t, m.db.Create(&Migrant{ID: 1, Name: "a"}).Error)
	return m
}

// say tells what a write leaves in the log.
func (m *migrants) say(t *testing.T, write func(db *gorm.DB) error) []string {
	t.Helper()
	m.clock.next()
	require.NoError(t, write(m.db))
	return say(eventsSince(t, m.store, audit.DefaultWorkspace, m.clock.Now()))
}

// setColumn sets a column that the model does not know.
func setColumn(column string) func(db *gorm.DB) error {
	return func(db *gorm.DB) error { return db.Model(&Migrant{ID: 1}).Update(column, "x").Error }
}

func TestAMigrationIsSeenHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		m := newMigrants(t, database)
		for _, c := range []struct{ column, sql string }{
			{"c1", "ALTER\nTABLE migrants ADD COLUMN c1 varchar(20)"},
			{"c2", "-- add it\nALTER TABLE migrants ADD COLUMN c2 varchar(20)"},
			{"c3", "/* add it */ ALTER TABLE migrants ADD COLUMN c3 varchar(20)"},
		} {
			require.NoError(t, m.db.Exec(c.sql).Error)
			require.Equal(t, []string{`1/1 Jo updated migrant 1 "a": ` + c.column + ` null => "x"`}, m.say(t, setColumn(c.column)))
		}
	})
}

func TestAMigrationIsSeenAmongOtherStatements(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} { // MySQL's driver runs one at a time
		t.Run(name, func(t *testing.T) {
			m := newMigrants(t, Open(t, name))
			require.NoError(t, m.db.Exec("SELECT ';'; ALTER TABLE migrants ADD COLUMN extra varchar(20)").Error)
			require.Equal(t, []string{`1/1 Jo updated migrant 1 "a": extra null => "x"`}, m.say(t, setColumn("extra")))
		})
	}
}

// TestAMigrationThatWaitsForAWriterIsSeen has the writer look the columns up
// again while the migration waits.
func TestAMigrationThatWaitsForAWriterIsSeen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mysql"} { // SQLite has one writer
		t.Run(name, func(t *testing.T) {
			m := newMigrants(t, Open(t, name))
			tx := m.db.Begin()
			require.NoError(t, tx.Create(&Migrant{ID: 2, Name: "b"}).Error)
			done := make(chan error, 1)
			go func() { done <- m.db.Exec("ALTER TABLE migrants ADD COLUMN extra varchar(20)").Error }()
			requireWaiting(t, m.raw, name)
			require.NoError(t, tx.Create(&Migrant{ID: 3, Name: "c"}).Error)
			require.NoError(t, tx.Commit().Error)
			require.NoError(t, <-done)
			require.Equal(t, []string{`1/1 Jo updated migrant 1 "a": extra null => "x"`}, m.say(t, setColumn("extra")))
		})
	}
}

// requireWaiting waits until somebody waits for the lock of a table.
func requireWaiting(t *testing.T, db *gorm.DB, database string) {
	t.Helper()
	waits := map[string]string{
		"postgres": "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IN (SELECT oid FROM pg_class WHERE relnamespace=current_schema()::regnamespace)",
		"mysql":    "SELECT count(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock' AND DB=DATABASE()",
	}[database]
	require.Eventually(t, func() bool {
		var n int64
		return db.Raw(waits).Scan(&n).Error == nil && n > 0
	}, 10*time.Second, 10*time.Millisecond)
}

// TestWritesRecoverFromAMigrationThatWasRolledBack has the columns looked up
// within the transaction.
func TestWritesRecoverFromAMigrationThatWasRolledBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} { // MySQL commits before
		t.Run(name, func(t *testing.T) {
			m := newMigrants(t, Open(t, name))
			require.ErrorIs(t, m.db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("ALTER TABLE migrants ADD COLUMN extra varchar(20)").Error)
				require.NoError(t, setColumn("extra")(tx))
				return ErrHook
			}), ErrHook)
			requireRecovered(t, m)
			require.NoError(t, m.db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.SavePoint("before").Error)
				require.NoError(t, tx.Exec("ALTER TABLE migrants ADD COLUMN extra varchar(20)").Error)
				require.NoError(t, setColumn("extra")(tx))
				require.NoError(t, tx.RollbackTo("before").Error)
				return tx.Model(&Migrant{ID: 1}).Update("name", "z").Error
			}))
		})
	}
}

// joins is the SQL that makes towns go with the land they refer to.
func joins(database string) string {
	if database == "sqlite" {
		return "ALTER TABLE towns ADD COLUMN land text REFERENCES lands (code) ON DELETE CASCADE"
	}
	return "ALTER TABLE towns ADD COLUMN land varchar(9), ADD FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE"
}

// migrates are the ways in which GORM is given the SQL of a migration, and the
// database that knows them if it is one.
var migrates = []struct {
	name, in string
	run      func(db *gorm.DB, text string) error
}{
	{"Exec", "", func(db *gorm.DB, text string) error { return db.Exec(text).Error }},
	{"Exec on a borrowed connection", "", func(db *gorm.DB, text string) error {
		return db.Connection(func(tx *gorm.DB) error { return tx.Exec(text).Error })
	}},
	{"Raw with Scan", "", func(db *gorm.DB, text string) error { return db.Raw(text).Scan(&[]int{}).Error }},
	{"Raw with Scan in a transaction", "", func(db *gorm.DB, text string) error {
		return db.Transaction(func(tx *gorm.DB) error { return tx.Raw(text).Scan(&[]int{}).Error })
	}},
	{"Raw with Find", "", func(db *gorm.DB, text string) error { return db.Raw(text).Find(&[]Land{}).Error }},
	{"Raw with First", "", func(db *gorm.DB, text string) error {
		if err := db.Raw(text).First(&Land{}).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
			return errors.Join(err, errors.New("it has found something"))
		}
		return nil
	}},
	{"Raw with Rows", "", func(db *gorm.DB, text string) error {
		rows, err := db.Raw(text).Rows()
		if err != nil {
			return err
		}
		rows.Next()
		return errors.Join(rows.Err(), rows.Close())
	}},
	{"Raw with Row", "", func(db *gorm.DB, text string) error {
		if err := db.Raw(text).Row().Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
			return errors.Join(err, errors.New("it has found something"))
		}
		return nil
	}},
	{"several statements", "postgres", func(db *gorm.DB, text string) error {
		return db.Exec("SET lock_timeout='5s'; DO $$ BEGIN " + text + "; END $$").Error
	}},
	{"a block", "mysql", func(db *gorm.DB, text string) error { return db.Exec("BEGIN NOT ATOMIC " + text + "; END").Error }},
	{"a condition", "mysql", func(db *gorm.DB, text string) error {
		return db.Exec("IF NOT EXISTS (SELECT 1 FROM towns) THEN " + text + "; END IF").Error
	}},
	{"a setting for one statement", "mysql", func(db *gorm.DB, text string) error {
		return db.Exec("SET STATEMENT lock_wait_timeout=5 FOR " + text).Error
	}},
}

func TestAConstraintIsSeenHoweverItIsAdded(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		for _, c := range migrates {
			if c.in != "" && c.in != database.Name {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				database := Open(t, database.Name)
				db, recorded := lands(t, database, []string{"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY)", "INSERT INTO lands VALUES ('at'), ('be')"})
				require.NoError(t, db.Delete(&Land{Code: "be"}).Error) // for which the constraints are looked up
				require.NoError(t, c.run(db, joins(database.Name)))
				require.NoError(t, db.Create(&Town{ID: 1, Land: "at"}).Error)
				require.NoError(t, db.Delete(&Land{Code: "at"}).Error)
				require.Equal(t, []string{
					`1/1 Jo created town 1 "": id - => 1; land - => "at"`,
					`2/2 System for Jo deleted town 1 "": id 1 => -; land "at" => -`,
				}, recorded())
				require.Zero(t, database.SQL().Stats().InUse)
			})
		}
	})
}

// TestAConstraintCountsFromTheCommitThatAddsIt has the constraints read by others
// and by the transaction itself before it ends.
func TestAConstraintCountsFromTheCommitThatAddsIt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} { // MySQL commits before
		t.Run(name, func(t *testing.T) {
			database := Open(t, name)
			db, recorded := lands(t, database, []string{"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY)", "CREATE TABLE strays (id int)", "INSERT INTO lands VALUES ('at'), ('be')"})
			require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec(joins(name)).Error)
				require.NoError(t, tx.Delete(&Land{Code: "be"}).Error)
				return ErrHook
			}), ErrHook)
			require.NoError(t, db.Delete(&Land{Code: "be"}).Error)
			tx := db.Begin()
			require.NoError(t, tx.Exec(joins(name)).Error)
			require.NoError(t, tx.Create(&Town{ID: 1, Land: "at"}).Error)
			if name == "sqlite" { // which has one writer
				report, err := hooks.Coverage(t.Context(), db)
				require.NoError(t, err)
				require.Empty(t, report[0].Removes, report[0].Table)
			} else {
				require.NoError(t, db.Table("strays").Where("id = 1").Delete(nil).Error)
			}
			require.NoError(t, tx.Commit().Error)
			require.NoError(t, db.Delete(&Land{Code: "at"}).Error)
			require.Equal(t, []string{
				`1/1 Jo created town 1 "": id - => 1; land - => "at"`,
				`2/2 System for Jo deleted town 1 "": id 1 => -; land "at" => -`,
			}, recorded())
		})
	}
}

// TestADeleteThatWaitsForAConstraintFollowsIt though the constraint was not there
// when it began.
func TestADeleteThatWaitsForAConstraintFollowsIt(t *testing.T) {
	t.Parallel()
	database := Open(t, "postgres")
	db, recorded := lands(t, database, []string{"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY)", "INSERT INTO lands VALUES ('at')"})
	for _, session := range []*gorm.Session{{}, {SkipDefaultTransaction: true}} {
		tx := db.Begin()
		require.NoError(t, tx.Exec(joins("postgres")).Error)
		require.NoError(t, tx.Create(&Town{ID: 1, Land: "at"}).Error)
		done := make(chan error, 1)
		go func() { done <- db.Session(session).Delete(&Land{Code: "at"}).Error }()
		requireWaiting(t, openGorm(t, database), "postgres")
		require.NoError(t, tx.Commit().Error)
		require.NoError(t, <-done)
		require.NoError(t, db.Exec("ALTER TABLE towns DROP COLUMN land").Error)
		require.NoError(t, db.Exec("INSERT INTO lands VALUES ('at')").Error)
	}
	require.Equal(t, []string{
		`1/1 Jo created town 1 "": id - => 1; land - => "at"`,
		`2/2 System for Jo deleted town 1 "": id 1 => -; land "at" => -`,
		`3/3 Jo created town 1 "": id - => 1; land - => "at"`,
		`4/4 System for Jo deleted town 1 "": id 1 => -; land "at" => -`,
	}, recorded())
	require.Zero(t, database.SQL().Stats().InUse)
}

func TestWritesRecoverFromAMigrationElsewhere(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		m := newMigrants(t, database)
		require.NoError(t, m.raw.Exec("ALTER TABLE migrants ADD COLUMN extra varchar(20)").Error)
		require.Equal(t, []string{`1/1 Jo updated migrant 1 "a": extra null => "x"`}, m.say(t, setColumn("extra")))
		require.NoError(t, m.raw.Exec("ALTER TABLE migrants ADD COLUMN more varchar(20)").Error)
		require.Equal(t, []string{`1/1 Jo created migrant 4 "d": id - => 4; name - => "d"; extra - => null; more - => "y"`}, m.say(t, func(db *gorm.DB) error {
			return db.Model(&Migrant{}).Create(map[string]any{"id": 4, "name": "d", "more": "y"}).Error
		}))
		require.NoError(t, m.raw.Exec("ALTER TABLE migrants DROP COLUMN extra").Error)
		require.NoError(t, m.raw.Exec("ALTER TABLE migrants DROP COLUMN more").Error)
		require.Error(t, m.db.Model(&Migrant{ID: 1}).Update("name", "b").Error)
		requireRecovered(t, m)
	})
}

// requireRecovered writes in every way to a table as it was at first.
func requireRecovered(t *testing.T, m *migrants) {
	t.Helper()
	require.Equal(t, []string{
		`1/1 Jo created migrant 2 "b": id - => 2; name - => "b"`,
		`2/2 Jo updated migrant 2 "c": name "b" => "c"`,
		`3/3 Jo deleted migrant 2 "c": id 2 => -; name "c" => -`,
	}, m.say(t, func(db *gorm.DB) error {
		return errors.Join(
			db.Create(&Migrant{ID: 2, Name: "b"}).Error,
			db.Model(&Migrant{ID: 2}).Update("name", "c").Error,
			db.Delete(&Migrant{ID: 2}).Error,
		)
	}))
}

// MigrantWithExtra is [Migrant] after a migration.
type MigrantWithExtra struct {
	Migrant
	Extra string `gorm:"size:20"`
}

// TableName makes it the same table.
func (MigrantWithExtra) TableName() string { return "migrants" }

// TestWhatWasPreparedBeforeAMigrationDoesNotFailAfterIt migrates on the
// connection that the writes use.
func TestWhatWasPreparedBeforeAMigrationDoesNotFailAfterIt(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		database.SQL().SetMaxOpenConns(1)
		m := newMigrants(t, database)
		writes := func(db *gorm.DB) error {
			return errors.Join(
				db.Create(&Migrant{ID: 2, Name: "b"}).Error,
				db.Model(&Migrant{ID: 2}).Update("name", "c").Error,
				db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Migrant{ID: 2, Name: "d"}).Error,
				db.Delete(&Migrant{ID: 2}).Error,
				renamedTwice(db),
			)
		}
		before := []string{
			`1/1 Jo created migrant 2 "b": id - => 2; name - => "b"`,
			`2/2 Jo updated migrant 2 "c": name "b" => "c"`,
			`3/3 Jo updated migrant 2 "d": name "c" => "d"`,
			`4/4 Jo deleted migrant 2 "d": id 2 => -; name "d" => -`,
			`5/5 Jo updated migrant 1 "e": name "a" => "e"`,
			`6/6 Jo updated migrant 1 "a": name "e" => "a"`,
		}
		after := slices.Clone(before)
		after[0] += "; extra - => null"
		after[3] += "; extra null => -"
		require.Equal(t, before, m.say(t, writes))
		require.NoError(t, m.db.AutoMigrate(&MigrantWithExtra{}))
		require.Equal(t, after, m.say(t, writes))
		if database.Name == "postgres" {
			require.NoError(t, m.db.Exec("ALTER TABLE migrants ALTER COLUMN name TYPE text, ALTER COLUMN id TYPE bigint").Error)
			require.Equal(t, after, m.say(t, writes))
		}
	})
}

// renamedTwice changes a row by [hooks.Exec], and changes it back.
func renamedTwice(db *gorm.DB) error {
	for _, name := range []string{"e", "a"} {
		if _, err := hooks.Exec(db.Model(&Migrant{}).Where("id = ?", 1), "UPDATE migrants SET name = ? WHERE id = ?", name, 1); err != nil {
			return err
		}
	}
	return nil
}
