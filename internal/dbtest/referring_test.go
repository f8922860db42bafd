package dbtest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Land is known by a code. Towns refer to it, each in its own spelling.
type Land struct {
	Code string `gorm:"primaryKey;size:9"`
}

// Town goes with its land.
type Town struct {
	ID   int    `gorm:"primaryKey;autoIncrement:false"`
	Land string `gorm:"size:9"`
}

// lands is a database with both, of which towns are recorded, and lands, too, if
// they are given.
func lands(t *testing.T, database *Database, tables []string, models ...hooks.Option) (*gorm.DB, func() []string) {
	t.Helper()
	raw, db := openGorm(t, database), openGorm(t, database)
	for _, text := range tables {
		require.NoError(t, raw.Exec(text).Error)
	}
	clock := newClock()
	store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, append(models, hooks.Model[Town]("town")))
	begin := clock.Now()
	return db.WithContext(audit.WithActor(audit.WithWorkspace(context.Background(), "w1"), jo)),
		func() []string { return say(eventsSince(t, store, "w1", begin)) }
}

// TestRowsThatReferInOtherWordsGoWithTheirParents compares keys as the constraint
// does.
func TestRowsThatReferInOtherWordsGoWithTheirParents(t *testing.T) {
	t.Parallel()
	const fill = "INSERT INTO lands VALUES ('at'), ('be'), ('ch')"
	const refers = " REFERENCES lands (code) ON DELETE CASCADE)"
	collation := "CREATE COLLATION ci (provider=icu, locale='und-u-ks-level2', deterministic=false)"
	cases := []struct {
		name, database string
		tables         []string
		gone           []string // lands, as the towns write them
	}{
		{"letters on SQLite", "sqlite", []string{
			"CREATE TABLE lands (code text COLLATE NOCASE PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land text" + refers, fill,
			"INSERT INTO towns VALUES (1, 'AT'), (2, 'Be'), (3, 'CH')",
		}, []string{"AT", "Be"}},
		{"letters on MariaDB", "mysql", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land)" + refers, fill,
			"INSERT INTO towns VALUES (1, 'AT'), (2, 'Be'), (3, 'CH')",
		}, []string{"AT", "Be"}},
		{"spaces behind on MariaDB", "mysql", []string{
			"CREATE TABLE lands (code varchar(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land)" + refers, fill,
			"INSERT INTO towns VALUES (1, 'at  '), (2, 'be'), (3, 'ch')",
		}, []string{"at  ", "be"}},
		{"fixed length on PostgreSQL", "postgres", []string{
			"CREATE TABLE lands (code char(9) PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land varchar(9)" + refers, fill,
			"INSERT INTO towns VALUES (1, 'at  '), (2, 'be'), (3, 'ch')",
		}, []string{"at  ", "be"}},
		{"the parent's collation on PostgreSQL", "postgres", []string{
			collation, "CREATE TABLE lands (code text COLLATE ci PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land text" + refers, fill,
			"INSERT INTO towns VALUES (1, 'AT'), (2, 'Be'), (3, 'CH')",
		}, []string{"AT", "Be"}},
		{"two collations on PostgreSQL", "postgres", []string{
			`CREATE TABLE lands (code text COLLATE "C" PRIMARY KEY)`, `CREATE TABLE towns (id int PRIMARY KEY, land text COLLATE "POSIX"` + refers, fill,
			"INSERT INTO towns VALUES (1, 'at'), (2, 'be'), (3, 'ch')",
		}, []string{"at", "be"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := []string{
				`1/1 Jo deleted land at "": code "at" => -`,
				`2/1 Jo deleted land be "": code "be" => -`,
				`3/1 System for Jo deleted town 1 "" because of 1: id 1 => -; land "` + c.gone[0] + `" => -`,
				`4/1 System for Jo deleted town 2 "" because of 2: id 2 => -; land "` + c.gone[1] + `" => -`,
			}
			if c.name == "fixed length on PostgreSQL" {
				want[0], want[1] = `1/1 Jo deleted land at        "": code "at       " => -`, `2/1 Jo deleted land be        "": code "be       " => -`
			}
			db, recorded := lands(t, Open(t, c.database), c.tables, hooks.Model[Land]("land"))
			require.NoError(t, db.Where("code IN ?", []string{"at", "be"}).Delete(&Land{}).Error)
			var left []int
			require.NoError(t, db.Model(&Town{}).Pluck("id", &left).Error)
			require.Equal(t, []int{3}, left)
			require.Equal(t, want, recorded())
		})
	}
}

// TestKeysOfRareTypesAreBoundAsTheyAreKept has records be found again by keys that
// a driver reads as something else than it takes for them.
func TestKeysOfRareTypesAreBoundAsTheyAreKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		database, columnType, key string
		other                     any
		told, changed             string
	}{
		{"mysql", "bit(8)", "65", 66, `"A"`, `"B"`},
		{"mysql", "bit(64)", "0x4142434445464748", 0x4142434445464749, `"ABCDEFGH"`, `"ABCDEFGI"`},
		{"mysql", "enum('a','b')", "'a'", "b", `"a"`, `"b"`},
		{"mysql", "set('a','b')", "'a,b'", "b", `"a,b"`, `"b"`},
		{"mysql", "decimal(9,3)", "1.5", "2", `"1.500"`, `"2.000"`},
		{"mysql", "datetime(3)", "'2024-01-02 03:04:05.1'", "2025-01-02 03:04:05.120", `"2024-01-02T03:04:05.1Z"`, `"2025-01-02T03:04:05.12Z"`},
		{"sqlite", "datetime", "'2024-01-02 03:04:05'", "2024-01-02T03:04", `"2024-01-02T03:04:05Z"`, `"2024-01-02T03:04:00Z"`},
		{"sqlite", "timestamp", "'2024-01-02T03:04:05Z'", "2025-01-02 03:04:05.120+01:00", `"2024-01-02T03:04:05Z"`, `"2025-01-02T02:04:05.12Z"`},
		{"sqlite", "date", "'2024-01-02'", "2024-01-02 03:04:05", `"2024-01-02"`, `"2024-01-02T03:04:05Z"`},
		{"sqlite", "datetime", "1704164645", 1704164645.5, "1704164645", "1704164645.5"},
		{"postgres", "bit(8)", "B'01000001'", "01000010", `"01000001"`, `"01000010"`},
		{"postgres", "interval", "'1 day'", "2 days", `"1 day"`, `"2 days"`},
		{"postgres", "numeric", "1.50", "2", `"1.50"`, `"2"`},
		{"postgres", "timestamptz", "'2024-01-02 03:04:05.123456+01'", "infinity", `"2024-01-02T02:04:05.123456Z"`, `"infinity"`},
	} {
		t.Run(c.database+" "+c.columnType+" "+c.key, func(t *testing.T) {
			t.Parallel()
			db, recorded := lands(t, Open(t, c.database), []string{
				"CREATE TABLE lands (code " + c.columnType + " PRIMARY KEY, size int)",
				"CREATE TABLE towns (id int PRIMARY KEY, land " + c.columnType + ", FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE ON UPDATE CASCADE)",
				"INSERT INTO lands VALUES (" + c.key + ", 1)", "INSERT INTO towns VALUES (1, " + c.key + ")",
			}, hooks.Model[Land]("land"))
			table := func() *gorm.DB { return db.Table("lands") }
			require.NoError(t, table().Where("code = "+c.key).Update("size", 2).Error)
			require.NoError(t, table().Where("code = "+c.key).Update("code", c.other).Error)
			require.NoError(t, table().Where("code = ?", c.other).Delete(nil).Error)
			was, is := strings.Trim(c.told, `"`), strings.Trim(c.changed, `"`)
			require.Equal(t, []string{
				`1/1 Jo updated land ` + was + ` "": size 1 => 2`,
				`2/2 Jo updated land ` + was + ` "": code ` + c.told + ` => ` + c.changed,
				`3/2 System for Jo updated town 1 "" because of 2: land ` + c.told + ` => ` + c.changed,
				`4/3 Jo deleted land ` + is + ` "": code ` + c.changed + ` => -; size 2 => -`,
				`5/3 System for Jo deleted town 1 "" because of 4: id 1 => -; land ` + c.changed + ` => -`,
			}, recorded())
		})
	}
}

// TestRowsGoWithTheirParentsByWayOfPartitions deletes through a table of which the
// constraint does not speak.
func TestRowsGoWithTheirParentsByWayOfPartitions(t *testing.T) {
	t.Parallel()
	parts := []string{
		"CREATE TABLE lands (code text PRIMARY KEY) PARTITION BY LIST (code)",
		"CREATE TABLE lands_a PARTITION OF lands FOR VALUES IN ('at', 'au') PARTITION BY LIST (code)",
		"CREATE TABLE lands_at PARTITION OF lands_a FOR VALUES IN ('at')", "CREATE TABLE lands_au PARTITION OF lands_a FOR VALUES IN ('au')",
	}
	const fill, fillTowns = "INSERT INTO lands VALUES ('at'), ('au')", "INSERT INTO towns VALUES (1, 'at'), (2, 'au')"
	towns := []string{"CREATE TABLE towns (id int PRIMARY KEY, land text REFERENCES lands (code) ON DELETE CASCADE)", fill, fillTowns}
	bare := []string{`1/1 System for Jo deleted town 1 "": id 1 => -; land "at" => -`}
	cases := []struct {
		name    string
		tables  []string
		options []hooks.Option
		write   func(db *gorm.DB) error
		want    []string
	}{
		{"a partition of a table that is not recorded", append(parts, towns...), nil, func(db *gorm.DB) error {
			return db.Table("lands_at").Where("code = 'at'").Delete(nil).Error
		}, bare},
		{"a partition that has some itself", append(parts, towns...), nil, func(db *gorm.DB) error {
			return db.Table("lands_a").Where("code = 'at'").Delete(nil).Error
		}, bare},
		{"a partition of a table that is recorded", append(parts, towns...), []hooks.Option{hooks.Model[Land]("land")}, func(db *gorm.DB) error {
			return db.Table("lands_at").Delete(&Land{Code: "at"}).Error
		}, []string{`1/1 Jo deleted land at "": code "at" => -`, `2/1 System for Jo deleted town 1 "" because of 1: id 1 => -; land "at" => -`}},
		{"a constraint that speaks of a partition", append(parts, "CREATE TABLE towns (id int PRIMARY KEY, land text REFERENCES lands_at (code) ON DELETE CASCADE)",
			fill, "INSERT INTO towns VALUES (1, 'at'), (2, 'at')", "DELETE FROM towns WHERE id = 2"), []hooks.Option{hooks.Model[Land]("land")}, func(db *gorm.DB) error {
			return db.Delete(&Land{Code: "at"}).Error
		}, []string{`1/1 Jo deleted land at "": code "at" => -`, `2/1 System for Jo deleted town 1 "" because of 1: id 1 => -; land "at" => -`}},
		{"a constraint of a table of which only a partition is recorded", append(parts,
			"CREATE TABLE places (id int, land text REFERENCES lands (code) ON DELETE CASCADE) PARTITION BY RANGE (id)",
			"CREATE TABLE towns PARTITION OF places (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (9)", fill, fillTowns), nil, func(db *gorm.DB) error {
			return db.Delete(&Land{Code: "at"}).Error
		}, bare},
		{"a constraint of a partition of the table that is recorded", append(parts,
			"CREATE TABLE towns (id int PRIMARY KEY, land text) PARTITION BY RANGE (id)", "CREATE TABLE towns_0 PARTITION OF towns FOR VALUES FROM (0) TO (9)",
			"ALTER TABLE towns_0 ADD FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE", fill, fillTowns), nil, func(db *gorm.DB) error {
			return db.Delete(&Land{Code: "at"}).Error
		}, bare},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db, recorded := lands(t, Open(t, "postgres"), c.tables, c.options...)
			require.NoError(t, c.write(db))
			require.Equal(t, c.want, recorded())
		})
	}
}

func TestRowsGoWithAParentThatIsReplaced(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "sqlite"), []string{
		"CREATE TABLE lands (code text PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land text REFERENCES lands (code) ON DELETE CASCADE)",
		"INSERT INTO lands VALUES ('at'), ('be')", "INSERT INTO towns VALUES (1, 'at'), (2, 'be')",
	}, hooks.Model[Land]("land"))
	for _, modifier := range []string{"OR IGNORE", "OR REPLACE"} {
		require.NoError(t, db.Clauses(clause.Insert{Modifier: modifier}).Create(&[]Land{{Code: "at"}, {Code: "ch"}}).Error)
	}
	require.Equal(t, []string{
		`1/1 Jo created land ch "": code - => "ch"`,
		`2/2 System for Jo deleted town 1 "": id 1 => -; land "at" => -`,
	}, recorded())
}

// TestParentsAreKnownByAllTheirNames deletes from a table that is not recorded.
func TestParentsAreKnownByAllTheirNames(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		home := map[string]string{"sqlite": "main", "postgres": database.Namespace, "mysql": database.Namespace}[database.Name]
		db, recorded := lands(t, database, usualLands)
		require.NoError(t, db.Table(home+".lands").Where("code = 'at'").Delete(nil).Error)
		require.NoError(t, db.Exec("DELETE FROM "+home+".lands WHERE code = 'be'").Error)
		require.Equal(t, []string{
			`1/1 System for Jo deleted town 1 "": id 1 => -; land "at" => -`,
			`2/2 Jo executed town * "": statement - => "delete"; table - => "` + home + `.lands"`,
		}, recorded())
	})
}

// AuditParent has a name that a statement of the plugin's gives to another.
type AuditParent struct {
	ID   int    `gorm:"primaryKey;autoIncrement:false"`
	Land string `gorm:"size:9"`
}

func TestAChildMayHaveTheNameOfTheParentInAStatement(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db, recorded := lands(t, database, []string{
			usualLands[0], "CREATE TABLE audit_parents (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE)",
			"CREATE TABLE audit_parent (id int PRIMARY KEY, land varchar(9), FOREIGN KEY (land) REFERENCES lands (code) ON DELETE CASCADE)",
			usualLands[2], "INSERT INTO audit_parent VALUES (1, 'at')",
		}, hooks.Model[AuditParent]("stray"))
		require.NoError(t, db.Table("audit_parent").Where("id = 0").Delete(&AuditParent{}).Error)
		require.NoError(t, db.Delete(&Land{Code: "at"}).Error)
		require.Equal(t, []string{`1/1 System for Jo deleted stray 1 "": id 1 => -; land "at" => -`}, recorded())
	})
}
