package dbtest

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// gap is a row of docs/not-captured.md: a write of which the log says less than
// the database does, on lands and their towns. Whoever lifts one takes it out of
// the document, too.
type gap struct {
	name, databases string   // all if none are named
	tables          []string // beside the usual ones; or, if they begin with lands, instead of these
	write           func(db *gorm.DB) error
	want            []string
	there           string // what the database holds in the end: a table and a condition that finds one row
}

// usualLands have a town each, which goes with it.
var usualLands = []string{
	"CREATE TABLE lands (code varchar(9) PRIMARY KEY)",
	"CREATE TABLE towns (id int PRIMARY KEY, land varchar(9), CONSTRAINT of_land FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE)",
	"INSERT INTO lands VALUES ('at'), ('be'), ('ch')", "INSERT INTO towns VALUES (1, 'at'), (2, 'be')",
}

func requireGaps(t *testing.T, limits []gap) {
	t.Helper()
	Each(t, func(t *testing.T, database *Database) {
		for _, l := range limits {
			if l.databases != "" && !strings.Contains(l.databases, database.Name) {
				continue
			}
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				tables := l.tables
				if len(tables) == 0 || !strings.HasPrefix(tables[0], "CREATE TABLE lands ") {
					tables = append(usualLands[:len(usualLands):len(usualLands)], tables...)
				}
				database := Open(t, database.Name)
				db, recorded := lands(t, database, tables, hooks.Model[Land]("land"))
				require.NoError(t, l.write(db))
				require.Equal(t, l.want, recorded())
				var n int64
				require.NoError(t, openGorm(t, database).Raw("SELECT count(*) FROM "+l.there).Scan(&n).Error)
				require.EqualValues(t, 1, n, l.there)
				require.Zero(t, database.SQL().Stats().InUse)
			})
		}
	})
}

// besides is another *gorm.DB on the database of one.
func besides(db *gorm.DB) *gorm.DB {
	other, err := gorm.Open(db.Dialector, quiet())
	if err != nil {
		panic(err)
	}
	return other
}

// inSQL runs statements one after the other on one connection.
func inSQL(statements ...string) func(db *gorm.DB) error {
	return func(db *gorm.DB) error {
		return db.Connection(func(tx *gorm.DB) (err error) {
			for _, s := range statements {
				err = errors.Join(err, tx.Exec(s).Error)
			}
			return err
		})
	}
}

// TestWritesThatThePluginDoesNotSee is the first table of docs/not-captured.md.
func TestWritesThatThePluginDoesNotSee(t *testing.T) {
	t.Parallel()
	const move, moved = "UPDATE towns SET land = 'be' WHERE id = 1", "towns WHERE id = 1 AND land = 'be'"
	of2024 := []string{"CREATE TABLE towns_2024 (id int PRIMARY KEY, land varchar(9))", "INSERT INTO towns_2024 VALUES (1, 'at')"}
	requireGaps(t, []gap{
		{
			"a function of PostgreSQL", "postgres",
			[]string{"CREATE FUNCTION move() RETURNS void LANGUAGE sql AS '" + strings.ReplaceAll(move, "'", "''") + "'"},
			inSQL("SELECT move()"), nil, moved,
		},
		{"a function of MariaDB", "mysql", []string{"CREATE FUNCTION move() RETURNS int BEGIN " + move + "; RETURN 1; END"}, func(db *gorm.DB) error {
			return db.Raw("SELECT move()").Scan(new(int)).Error
		}, nil, moved},
		{"a procedure of PostgreSQL", "postgres", []string{"CREATE PROCEDURE move() LANGUAGE sql AS '" + strings.ReplaceAll(move, "'", "''") + "'"}, inSQL("CALL move()"), nil, moved},
		{"a procedure of MariaDB", "mysql", []string{"CREATE PROCEDURE move() " + move}, inSQL("CALL move()"), nil, moved},
		{"what PREPARE prepared on PostgreSQL", "postgres", nil, inSQL("PREPARE move AS "+move, "EXECUTE move", "DEALLOCATE move"), nil, moved},
		{"what PREPARE prepared on MariaDB", "mysql", nil, inSQL(`PREPARE move FROM "`+move+`"`, "EXECUTE move"), nil, moved},
		{"a text that is executed on PostgreSQL", "postgres", nil, inSQL("DO $do$ BEGIN EXECUTE $$" + move + "$$; END $do$"), nil, moved},
		{"a text that is executed on MariaDB", "mysql", nil, inSQL(`EXECUTE IMMEDIATE "` + move + `"`), nil, moved},
		{"a handler of a block", "mysql", nil, inSQL("BEGIN NOT ATOMIC DECLARE EXIT HANDLER FOR SQLEXCEPTION " + move + "; SIGNAL SQLSTATE '45000'; END"), nil, moved},
		{
			"a handler that is a block, which is seen", "mysql", nil, inSQL("BEGIN NOT ATOMIC DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN " + move + "; END; SIGNAL SQLSTATE '45000'; END"),
			[]string{`1/1 Jo executed town * "": statement - => "update"; table - => "towns"`},
			moved,
		},
		{"a table of that name elsewhere, which is taken for the recorded one", "sqlite", nil, func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Exec("CREATE TEMP TABLE towns (id int)").Error, tx.Exec("INSERT INTO temp.towns VALUES (9)").Error, tx.Exec("DROP TABLE temp.towns").Error)
			})
		}, []string{`1/1 Jo executed town * "": statement - => "insert"; table - => "temp.towns"; rows - => 1`}, "lands WHERE code = 'at' AND NOT EXISTS (SELECT 1 FROM towns WHERE id = 9)"},
		{"the pool below GORM", "", nil, func(db *gorm.DB) error {
			pool, err := db.DB()
			if err == nil {
				_, err = pool.Exec(move)
			}
			return err
		}, nil, moved},
		{"another *gorm.DB", "", nil, func(db *gorm.DB) error { return besides(db).Model(&Town{ID: 1}).Update("land", "be").Error }, nil, moved},
		{"a table without a model to which no model was written", "", of2024, func(db *gorm.DB) error {
			return db.Table("towns_2024").Where("id = 1").Updates(map[string]any{"land": "be"}).Error
		}, nil, "towns_2024 WHERE land = 'be'"},
		{"a table without a model after a model was written to it", "", of2024, func(db *gorm.DB) error {
			return errors.Join(db.Table("towns_2024").Create(&Town{ID: 2, Land: "ch"}).Error, db.Table("towns_2024").Where("id = 1").Updates(map[string]any{"land": "be"}).Error)
		}, []string{
			`1/1 Jo created town 2 "": id - => 2; land - => "ch"`, `2/2 Jo updated town 1 "": land "at" => "be"`,
		}, "towns_2024 WHERE land = 'be'"},
		{"a table without a model that a model has", "", nil, func(db *gorm.DB) error {
			return db.Table("towns").Where("id = 1").Updates(map[string]any{"land": "be"}).Error
		}, []string{`1/1 Jo updated town 1 "": land "at" => "be"`}, moved},
		{"reading", "", nil, func(db *gorm.DB) error {
			lock := map[string]string{"postgres": " FOR UPDATE", "mysql": " FOR UPDATE"}[db.Name()]
			return errors.Join(db.First(&Town{}).Error, db.Find(&[]Land{}).Error, db.Raw("SELECT * FROM towns"+lock).Scan(&[]Town{}).Error)
		}, nil, "towns WHERE land = 'at'"},
	})
}

// TestSeveralOfGORMMayShareARecorder each with a plugin of its own.
func TestSeveralOfGORMMayShareARecorder(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		for _, text := range usualLands {
			require.NoError(t, openGorm(t, database).Exec(text).Error)
		}
		clock := newClock()
		store := storeInDatabase(t, database)
		rec, err := audit.New(store, &audit.Config{Now: clock.Now, Workspace: "w1"})
		require.NoError(t, err)
		for _, land := range []string{"be", "ch"} {
			db := openGorm(t, database)
			require.NoError(t, db.Use(hooks.New(rec, hooks.Model[Town]("town"))))
			require.NoError(t, db.WithContext(audit.WithActor(t.Context(), jo)).Model(&Town{ID: 1}).Update("land", land).Error)
		}
		require.Equal(t, []string{`1/1 Jo updated town 1 "": land "at" => "be"`, `2/2 Jo updated town 1 "": land "be" => "ch"`},
			say(eventsSince(t, store, "w1", clock.Now())))
	})
}

// Club is known to its members by its code.
type Club struct {
	ID      uint   `gorm:"primaryKey;autoIncrement:false"`
	Code    string `gorm:"size:20;uniqueIndex"`
	Members []Hand `gorm:"many2many:club_members;foreignKey:Code;references:ID"`
}

func TestElementsOfAnOwnerThatIsNotKnownByItsPrimaryKeyAreNotSeen(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database)
		require.NoError(t, db.AutoMigrate(&Club{}, &Hand{}))
		club := Club{ID: 1, Code: "c", Members: []Hand{{ID: 1, Name: "Jan"}}}
		require.Equal(t, []string{
			`1/1 Jo created club 1 "": id - => 1; code - => "c"`, `2/1 Jo created hand 1 "Jan": id - => 1; name - => "Jan"`,
		}, recorder(t, database, hooks.Model[Club]("club"), hooks.Model[Hand]("hand"))(func(audited *gorm.DB) error {
			db = audited
			return errors.Join(db.Create(&club).Error, db.Model(&club).Association("Members").Clear())
		}))
		report, err := hooks.Coverage(t.Context(), db)
		require.NoError(t, err)
		require.Contains(t, report.String(), "club_members: NOT RECORDED\n")
	})
}

// TestWhatIsMissingIsForgottenIfTheProgramEnds before recording works again.
func TestWhatIsMissingIsForgottenIfTheProgramEnds(t *testing.T) {
	t.Parallel()
	var s *spoiler
	b := newBoth(t, "sqlite", func(t *testing.T, d *Database) audit.Store {
		s = &spoiler{Store: storeInDatabase(t, d).(*sqlstore.Store)}
		return s
	}, &audit.Config{BestEffort: true}, quiet())
	s.broken.Store(true)
	require.NoError(t, b.db.WithContext(b.ctx).Create(&Word{ID: "x8", WorkspaceID: "w1"}).Error)
	s.broken.Store(false)
	rec, err := audit.New(s, &audit.Config{BestEffort: true})
	require.NoError(t, err)
	restarted := openGorm(t, b.database)
	require.NoError(t, restarted.Use(hooks.New(rec, officeModels()...)))
	require.NoError(t, restarted.WithContext(b.ctx).Create(&Word{ID: "x9", WorkspaceID: "w1", Name: "n"}).Error)
	require.Equal(t, []string{`1/1 Jo created word x9 "n": id - => "x9"; workspace_id - => "w1"; name - => "n"`}, say(eventsSince(t, s, "w1", time.Time{})))
	require.Zero(t, noticed(t, s))
}

// Wide is [Town] with another type and one more column, by which SQLite's table is
// made anew.
type Wide struct {
	ID   int    `gorm:"primaryKey;autoIncrement:false"`
	Land string `gorm:"size:90"`
	More string `gorm:"size:9;default:'x'"`
}

// TableName makes it the same table.
func (Wide) TableName() string { return "towns" }

// TestMigrationsLeaveNoEvents though they change rows.
func TestMigrationsLeaveNoEvents(t *testing.T) {
	t.Parallel()
	requireGaps(t, []gap{
		{"a table that GORM migrates", "", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land varchar(9))", "INSERT INTO towns VALUES (1, 'at')",
		}, func(db *gorm.DB) error {
			return errors.Join(db.AutoMigrate(&Wide{}), db.Migrator().AlterColumn(&Wide{}, "Land"), db.Migrator().DropColumn(&Wide{}, "Land"))
		}, nil, "towns WHERE id = 1 AND more = 'x'"},
		{
			"a table that SQL migrates", "postgres", nil, inSQL("ALTER TABLE towns DROP CONSTRAINT of_land", "ALTER TABLE towns ALTER COLUMN land TYPE text USING upper(land)"), nil,
			"towns WHERE land = 'AT'",
		},
		{"a parent that GORM makes anew on SQLite", "sqlite", nil, func(db *gorm.DB) error {
			return db.Migrator().AlterColumn(&WideLand{}, "Code")
		}, nil, "lands WHERE code = 'at' AND EXISTS (SELECT 1 FROM towns)"},
		{"the same in a transaction, where GORM cannot spare the children", "sqlite", nil, func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error { return tx.Migrator().AlterColumn(&WideLand{}, "Code") })
		}, nil, "lands WHERE code = 'at' AND NOT EXISTS (SELECT 1 FROM towns)"},
	})
}

// WideLand is [Land] with another type.
type WideLand struct {
	Code string `gorm:"primaryKey;size:90"`
}

// TableName makes it the same table.
func (WideLand) TableName() string { return "lands" }

// TestAColumnThatAnotherProgramAddsIsToldOnceAStatementSetsIt and not before.
func TestAColumnThatAnotherProgramAddsIsToldOnceAStatementSetsIt(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		m := newMigrants(t, database)
		require.NoError(t, m.raw.Exec("ALTER TABLE migrants ADD COLUMN extra varchar(20) DEFAULT 'd'").Error)
		add := func(id int) func(db *gorm.DB) error {
			return func(db *gorm.DB) error { return db.Create(&Migrant{ID: id, Name: "b"}).Error }
		}
		require.Equal(t, []string{`1/1 Jo created migrant 2 "b": id - => 2; name - => "b"`}, m.say(t, add(2)))
		require.Equal(t, []string{`1/1 Jo updated migrant 1 "a": extra "d" => "x"`}, m.say(t, setColumn("extra")))
		require.Equal(t, []string{`1/1 Jo created migrant 3 "b": id - => 3; name - => "b"; extra - => "d"`}, m.say(t, add(3)))
	})
}

// TestWhatTriggersOfPostgreSQLDoNotTell is their part of the table.
func TestWhatTriggersOfPostgreSQLDoNotTell(t *testing.T) {
	t.Parallel()
	fill := []string{
		"INSERT INTO ventures (id, workspace_id, name) VALUES ('v1', 'w1', 'Gemini')",
		"INSERT INTO steps (id, workspace_id, name, venture_id) VALUES ('s1', 'w1', 'Plan', 'v1')", insertWord,
	}
	const rename = "UPDATE words SET name = 'b'"
	for name, c := range map[string]struct {
		statements, want []string
	}{
		"a session of replication":           {[]string{"SET LOCAL session_replication_role = replica", rename}, nil},
		"triggers that are disabled":         {[]string{"ALTER TABLE words DISABLE TRIGGER ALL", rename, "ALTER TABLE words ENABLE TRIGGER ALL"}, nil},
		"a connection that claims the hooks": {[]string{"SET LOCAL audit.recorded_by_hooks = on", rename}, nil},
		"rows that go with a parent, each without a cause": {[]string{"DELETE FROM ventures"}, []string{
			`1/1 postgres deleted venture v1 "Gemini": id "v1" => -; workspace_id "w1" => -; name "Gemini" => -; firm_id null => -`,
			`2/1 postgres deleted step s1 "Plan": id "s1" => -; workspace_id "w1" => -; name "Plan" => -; venture_id "v1" => -`,
		}},
		"a table that is emptied": {[]string{"TRUNCATE words CASCADE"}, []string{
			`1/1 postgres executed word * "": statement - => "truncate"; table - => "words"`,
			`2/1 postgres executed entry * "": statement - => "truncate"; table - => "entry_words"`,
		}},
		"a name that others show": {[]string{"UPDATE ventures SET name = 'Apollo'"}, []string{
			`1/1 postgres updated venture v1 "Apollo": name "Gemini" => "Apollo"`,
		}},
		"a column that was added": {[]string{"ALTER TABLE words ADD COLUMN color text DEFAULT 'red'", "UPDATE words SET color = 'blue'"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutside(t, nil)
			run(t, o.database.SQL(), fill...)
			write := func() {
				o.in(t, true, func(tx *sql.Tx) { run(t, tx, c.statements...) })
			}
			require.Equal(t, c.want, append(say(o.written(t, "w1", write)), say(eventsSince(t, o.store, audit.DefaultWorkspace, time.Time{}))...))
		})
	}
}
