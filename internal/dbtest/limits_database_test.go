package dbtest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit/hooks"
)

// withFurther are lands with a second column, and their towns.
var withFurther = []string{
	"CREATE TABLE lands (code varchar(9) PRIMARY KEY, size int DEFAULT 5)", usualLands[1],
	"INSERT INTO lands VALUES ('at', 4), ('be', 4), ('ch', 4)", usualLands[3],
}

// TestWhatTheDatabaseDoesByItself is the second table of docs/not-captured.md.
func TestWhatTheDatabaseDoesByItself(t *testing.T) {
	t.Parallel()
	const gone = "lands WHERE code = 'ch' AND NOT EXISTS (SELECT 1 FROM towns WHERE id = 1)"
	removed := func(code string) string { return `1/1 Jo deleted land ` + code + ` "": code "` + code + `" => -` }
	requireGaps(t, []gap{
		{"ON DELETE SET DEFAULT", "sqlite postgres", []string{
			usualLands[0], "CREATE TABLE towns (id int PRIMARY KEY, land varchar(9) DEFAULT 'ch' REFERENCES lands (code) ON DELETE SET DEFAULT)", usualLands[2], usualLands[3],
		}, func(db *gorm.DB) error { return db.Delete(&Land{Code: "at"}).Error }, []string{
			removed("at"), `2/1 System for Jo updated town 1 "" because of 1: land "at" => "ch"`,
		}, "towns WHERE id = 1 AND land = 'ch'"},
		{"a further table of a model that the program has not written to", "", []string{
			usualLands[0], usualLands[1], usualLands[2],
			"CREATE TABLE towns_2024 (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE)", "INSERT INTO towns_2024 VALUES (1, 'at')",
		}, func(db *gorm.DB) error { return db.Delete(&Land{Code: "at"}).Error }, []string{removed("at")}, "lands WHERE code = 'ch' AND NOT EXISTS (SELECT 1 FROM towns_2024)"},
		{"a further table of a model that the program has written to", "", []string{
			usualLands[0], usualLands[1], usualLands[2],
			"CREATE TABLE towns_2024 (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE)", "INSERT INTO towns_2024 VALUES (1, 'at')",
		}, func(db *gorm.DB) error {
			return errors.Join(db.Table("towns_2024").Where("id = 0").Delete(&Town{}).Error, db.Delete(&Land{Code: "at"}).Error)
		}, []string{
			removed("at"), `2/1 System for Jo deleted town 1 "" because of 1: id 1 => -; land "at" => -`,
		}, "lands WHERE code = 'ch' AND NOT EXISTS (SELECT 1 FROM towns_2024)"},
		{"a constraint that another program adds", "", []string{
			usualLands[0], "CREATE TABLE towns (id int PRIMARY KEY)", usualLands[2], "INSERT INTO towns VALUES (1), (2)",
		}, func(db *gorm.DB) error {
			return errors.Join(db.Delete(&Land{Code: "be"}).Error, besides(db).Exec(joins(db.Name())).Error,
				besides(db).Exec("UPDATE towns SET land = 'at' WHERE id = 1").Error, db.Delete(&Land{Code: "at"}).Error)
		}, []string{removed("be"), `2/2 Jo deleted land at "": code "at" => -`}, gone},
		{"an enum whose words the child has others for", "mysql", []string{
			"CREATE TABLE lands (code enum('at','be','ch') PRIMARY KEY)",
			"CREATE TABLE towns (id int PRIMARY KEY, land enum('x','y','z'), FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE)",
			usualLands[2], "INSERT INTO towns VALUES (1, 'x'), (2, 'y')",
		}, func(db *gorm.DB) error { return db.Delete(&Land{Code: "at"}).Error }, []string{removed("at")}, gone},
		{"REPLACE on SQLite, of which both tables tell", "sqlite", nil, inSQL("REPLACE INTO lands VALUES ('at')"), []string{
			`1/1 Jo executed land * "": statement - => "replace"; table - => "lands"; rows - => 1`, `2/1 Jo executed town * "": statement - => "replace"; table - => "lands"`,
		}, gone},
		{"REPLACE on MariaDB, of which both tables tell", "mysql", withFurther, inSQL("REPLACE INTO lands (code) VALUES ('at')"), []string{
			`1/1 Jo executed land * "": statement - => "replace"; table - => "lands"; rows - => 2`, `2/1 Jo executed town * "": statement - => "replace"; table - => "lands"`,
		}, gone},
		{"INSERT OR REPLACE", "sqlite", nil, inSQL("INSERT OR REPLACE INTO lands VALUES ('at')"), []string{
			`1/1 Jo executed land * "": statement - => "insert"; table - => "lands"; rows - => 1`,
		}, gone},
		{"a view of the parent by its name", "postgres mysql", []string{"CREATE VIEW views AS SELECT * FROM lands"}, func(db *gorm.DB) error {
			return db.Table("views").Where("code = 'at'").Delete(nil).Error
		}, nil, gone},
		{"a view of the parent by its model", "postgres mysql", []string{"CREATE VIEW views AS SELECT * FROM lands"}, func(db *gorm.DB) error {
			return db.Table("views").Delete(&Land{Code: "at"}).Error
		}, []string{removed("at")}, gone},
		{"a table that the parent inherits from by its name", "postgres", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", usualLands[1], "CREATE TABLE areas (code varchar(9))", "ALTER TABLE lands ALTER code SET NOT NULL, INHERIT areas", usualLands[2], usualLands[3],
		}, func(db *gorm.DB) error { return db.Table("areas").Where("code = 'at'").Delete(nil).Error }, nil, gone},
		{"a table that the parent inherits from by its model", "postgres", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", usualLands[1], "CREATE TABLE areas (code varchar(9))", "ALTER TABLE lands ALTER code SET NOT NULL, INHERIT areas", usualLands[2], usualLands[3],
		}, func(db *gorm.DB) error { return db.Table("areas").Delete(&Land{Code: "at"}).Error }, []string{removed("at")}, gone},
		{"ON UPDATE CASCADE of a column that the model does not say is unique", "", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY, size int NOT NULL UNIQUE)", "CREATE TABLE towns (id int PRIMARY KEY, land int, FOREIGN KEY (land) REFERENCES lands (size) ON UPDATE CASCADE)",
			"INSERT INTO lands VALUES ('at', 1)", "INSERT INTO towns VALUES (1, 1)",
		}, func(db *gorm.DB) error { return db.Table("lands").Where("code = 'at'").Update("size", 9).Error }, []string{`1/1 Jo updated land at "": size 1 => 9`}, "towns WHERE land = 9"},
		{"ON UPDATE CASCADE of a table that is not recorded", "", []string{
			"CREATE TABLE lands (code varchar(9))", "CREATE TABLE areas (code varchar(9) PRIMARY KEY)",
			"CREATE TABLE towns (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES areas (code) ON UPDATE CASCADE)",
			"INSERT INTO areas VALUES ('at')", "INSERT INTO towns VALUES (1, 'at')",
		}, func(db *gorm.DB) error { return db.Table("areas").Where("code = 'at'").Update("code", "xx").Error }, nil, "towns WHERE id = 1 AND land = 'xx'"},
		{"ON UPDATE CASCADE by an upsert", "sqlite mysql", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY, name varchar(9) UNIQUE)",
			"CREATE TABLE towns (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES lands (code) ON UPDATE CASCADE)",
			"INSERT INTO lands VALUES ('at', 'Austria')", "INSERT INTO towns VALUES (1, 'at')",
		}, func(db *gorm.DB) error {
			return db.Table("lands").Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"code"})}).
				Model(&Land{}).Create(map[string]any{"code": "xx", "name": "Austria"}).Error
		}, []string{`1/1 Jo deleted land at "": code "at" => -; name "Austria" => -`, `2/1 Jo created land xx "": code - => "xx"; name - => "Austria"`}, "towns WHERE id = 1 AND land = 'xx'"},
		{"a trigger that changes another table on SQLite", "sqlite", []string{
			"CREATE TRIGGER founds AFTER INSERT ON lands BEGIN INSERT INTO towns VALUES (9, NEW.code); END",
		}, func(db *gorm.DB) error { return db.Create(&Land{Code: "dk"}).Error }, []string{`1/1 Jo created land dk "": code - => "dk"`}, "towns WHERE id = 9"},
		{"a trigger that changes another table on MariaDB", "mysql", []string{
			"CREATE TRIGGER founds AFTER INSERT ON lands FOR EACH ROW INSERT INTO towns VALUES (9, NEW.code)",
		}, func(db *gorm.DB) error { return db.Create(&Land{Code: "dk"}).Error }, []string{`1/1 Jo created land dk "": code - => "dk"`}, "towns WHERE id = 9"},
		{"a trigger that changes another table on PostgreSQL", "postgres", []string{
			"CREATE FUNCTION founds() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO towns VALUES (9, NEW.code); RETURN NULL; END $$",
			"CREATE TRIGGER founds AFTER INSERT ON lands FOR EACH ROW EXECUTE FUNCTION founds()",
		}, func(db *gorm.DB) error { return db.Create(&Land{Code: "dk"}).Error }, []string{`1/1 Jo created land dk "": code - => "dk"`}, "towns WHERE id = 9"},
		{"a trigger that changes another row on SQLite", "sqlite", []string{
			"CREATE TRIGGER moves AFTER UPDATE ON towns WHEN NEW.id = 1 BEGIN UPDATE towns SET land = NEW.land WHERE id = 2; END",
		}, func(db *gorm.DB) error { return db.Model(&Town{ID: 1}).Update("land", "ch").Error }, []string{`1/1 Jo updated town 1 "": land "at" => "ch"`}, "towns WHERE id = 2 AND land = 'ch'"},
		{"a trigger that changes another row on PostgreSQL", "postgres", []string{
			"CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE towns SET land = NEW.land WHERE id = 2; RETURN NULL; END $$",
			"CREATE TRIGGER moves AFTER UPDATE ON towns FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION moves()",
		}, func(db *gorm.DB) error { return db.Model(&Town{ID: 1}).Update("land", "ch").Error }, []string{`1/1 Jo updated town 1 "": land "at" => "ch"`}, "towns WHERE id = 2 AND land = 'ch'"},
		{"an AFTER trigger that updates the same row on SQLite", "sqlite", []string{
			"CREATE TRIGGER moves AFTER UPDATE ON towns WHEN NEW.land = 'be' BEGIN UPDATE towns SET land = 'ch' WHERE id = NEW.id; END",
		}, func(db *gorm.DB) error { return db.Model(&Town{ID: 1}).Update("land", "be").Error }, []string{`1/1 Jo updated town 1 "": land "at" => "ch"`}, "towns WHERE id = 1 AND land = 'ch'"},
		{"an AFTER trigger that updates the same row on PostgreSQL", "postgres", []string{
			"CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE towns SET land = 'ch' WHERE id = NEW.id; RETURN NULL; END $$",
			"CREATE TRIGGER moves AFTER UPDATE ON towns FOR EACH ROW WHEN (NEW.land = 'be') EXECUTE FUNCTION moves()",
		}, func(db *gorm.DB) error { return db.Model(&Town{ID: 1}).Update("land", "be").Error }, []string{`1/1 Jo updated town 1 "": land "at" => "be"`}, "towns WHERE id = 1 AND land = 'ch'"},
	})
}

// TestADefaultWithinAKeyIsToldAsADeletion of the child that has got it.
func TestADefaultWithinAKeyIsToldAsADeletion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} { // InnoDB has no such rule
		t.Run(name, func(t *testing.T) {
			db, recorded := lands(t, Open(t, name), []string{
				"CREATE TABLE rails (code varchar(9) PRIMARY KEY, name varchar(9))",
				"CREATE TABLE sections (rail_id varchar(9) DEFAULT 'b' REFERENCES rails (code) ON UPDATE SET DEFAULT, number int, PRIMARY KEY (rail_id, number))",
				"CREATE TABLE towns (id int PRIMARY KEY, land text)", "INSERT INTO rails VALUES ('a', 'A'), ('b', 'B')", "INSERT INTO sections VALUES ('a', 1)",
			}, hooks.Model[Rail]("rail"), hooks.Model[Section]("section"))
			require.NoError(t, db.Model(&Rail{Code: "a"}).Update("code", "c").Error)
			require.Equal(t, []string{
				`1/1 Jo updated rail a "": code "a" => "c"`, `2/1 System for Jo deleted section a/1 "" because of 1: rail_id "a" => -; number 1 => -`,
			}, recorded())
			require.NoError(t, db.Take(&Section{}, "rail_id = 'b' AND number = 1").Error)
		})
	}
}

// TestCascadesInOtherDatabases are seen on MariaDB, where the recorded tables lead
// to them, and not in one that is attached to SQLite.
func TestCascadesInOtherDatabases(t *testing.T) {
	t.Parallel()
	t.Run("two databases of MariaDB", func(t *testing.T) {
		database, other := Open(t, "mysql"), Open(t, "mysql")
		towns, further := other.Namespace+".towns", other.Namespace+".lands"
		db, recorded := lands(t, database, []string{
			usualLands[0], usualLands[2], "CREATE TABLE " + further + " (code varchar(9) PRIMARY KEY)", "INSERT INTO " + further + " VALUES ('xx')",
			"CREATE TABLE " + towns + " (id int PRIMARY KEY, land varchar(9), own varchar(9), FOREIGN KEY (land) REFERENCES " + database.Namespace + ".lands (code) ON DELETE CASCADE ON UPDATE CASCADE," +
				" FOREIGN KEY (own) REFERENCES " + further + " (code) ON DELETE SET NULL ON UPDATE CASCADE)",
		}, hooks.Model[Land]("land"))
		require.NoError(t, db.Table(towns).Model(&Town{}).Create(map[string]any{"id": 1, "land": "at", "own": "xx"}).Error)
		require.NoError(t, db.Table(further).Model(&Land{Code: "xx"}).Update("code", "yy").Error)
		require.NoError(t, db.Table(further).Delete(&Land{Code: "yy"}).Error)
		require.NoError(t, db.Model(&Land{Code: "at"}).Update("code", "zz").Error)
		require.NoError(t, db.Delete(&Land{Code: "zz"}).Error)
		require.Equal(t, []string{
			`1/1 Jo created town 1 "": id - => 1; land - => "at"; own - => "xx"`,
			`2/2 Jo updated land xx "": code "xx" => "yy"`, `3/2 System for Jo updated town 1 "" because of 2: own "xx" => "yy"`,
			`4/3 Jo deleted land yy "": code "yy" => -`, `5/3 System for Jo updated town 1 "" because of 4: own "yy" => null`,
			`6/4 Jo updated land at "": code "at" => "zz"`, `7/4 System for Jo updated town 1 "" because of 6: land "at" => "zz"`,
			`8/5 Jo deleted land zz "": code "zz" => -`, `9/5 System for Jo deleted town 1 "" because of 8: id 1 => -; land "zz" => -; own null => -`,
		}, recorded())
		require.ErrorIs(t, db.Table(towns).Take(&Town{}).Error, gorm.ErrRecordNotFound)
	})
	t.Run("by way of a database of MariaDB in which no table is recorded", func(t *testing.T) {
		database, other := Open(t, "mysql"), Open(t, "mysql")
		areas := other.Namespace + ".areas"
		db, recorded := lands(t, database, []string{
			usualLands[0], usualLands[2],
			"CREATE TABLE " + areas + " (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES " + database.Namespace + ".lands (code) ON DELETE CASCADE)",
			"CREATE TABLE towns (id int PRIMARY KEY, land int, FOREIGN KEY (land) REFERENCES " + areas + " (id) ON DELETE CASCADE)",
			"INSERT INTO " + areas + " VALUES (7, 'at')", "INSERT INTO towns VALUES (1, 7)",
		}, hooks.Model[Land]("land"))
		require.NoError(t, db.Delete(&Land{Code: "at"}).Error)
		require.Equal(t, []string{`1/1 Jo deleted land at "": code "at" => -`}, recorded())
		require.ErrorIs(t, db.Take(&Town{}).Error, gorm.ErrRecordNotFound)
		require.NoError(t, openGorm(t, database).Exec("DROP TABLE towns").Error) // else neither database could be dropped first
	})
	t.Run("an attached database of SQLite", func(t *testing.T) {
		database := Open(t, "sqlite")
		database.SQL().SetMaxOpenConns(1)
		for _, text := range []string{
			"ATTACH DATABASE ':memory:' AS further", "CREATE TABLE further.lands (code text PRIMARY KEY)",
			"CREATE TABLE further.towns (id int PRIMARY KEY, land text REFERENCES lands (code) ON DELETE CASCADE)", "INSERT INTO further.lands VALUES ('at')",
		} {
			require.NoError(t, openGorm(t, database).Exec(text).Error)
		}
		require.Equal(t, []string{`1/1 Jo created town 1 "": id - => 1; land - => "at"`, `2/2 Jo deleted land at "": code "at" => -`},
			recorder(t, database, hooks.Model[FurtherLand]("land"), hooks.Model[FurtherTown]("town"))(func(db *gorm.DB) error {
				return errors.Join(db.Create(&FurtherTown{Town{ID: 1, Land: "at"}}).Error, db.Delete(&FurtherLand{Land{Code: "at"}}).Error)
			}))
		require.ErrorIs(t, openGorm(t, database).Take(&FurtherTown{}).Error, gorm.ErrRecordNotFound)
	})
}

// FurtherLand and FurtherTown are in another database.
type (
	FurtherLand struct{ Land }
	FurtherTown struct{ Town }
)

// TableName implements GORM's Tabler.
func (FurtherLand) TableName() string { return "further.lands" }

// TableName implements GORM's Tabler.
func (FurtherTown) TableName() string { return "further.towns" }
