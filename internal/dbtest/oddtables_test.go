package dbtest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Note is of a table that an application finds there.
type Note struct {
	ID   uint   `gorm:"primaryKey;autoIncrement:false"`
	Name string `gorm:"size:20" audit:"label"`
	Memo string `gorm:"size:20" audit:"redact"`
	Junk string `gorm:"size:20" audit:"-"`
}

// found records what is done to notes, in a table that some SQL has made.
func found(t *testing.T, database *Database, tables ...string) (*gorm.DB, func() []string) {
	t.Helper()
	db := openGorm(t, database)
	for _, text := range tables {
		require.NoError(t, db.Exec(text).Error)
	}
	clock := newClock()
	store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{hooks.Model[Note]("note")})
	begin := clock.Now()
	return db.WithContext(audit.WithActor(audit.WithWorkspace(context.Background(), "w1"), jo)),
		func() []string { return say(eventsSince(t, store, "w1", begin)) }
}

func TestTagsAreOfColumnsInWhateverLetters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "mysql"} {
		t.Run(name, func(t *testing.T) {
			db, recorded := found(t, Open(t, name), "CREATE TABLE notes (ID INTEGER PRIMARY KEY, Name varchar(20), Memo varchar(20), Junk varchar(20))")
			require.NoError(t, db.Create(&Note{ID: 1, Name: "n", Memo: "top secret", Junk: "j"}).Error)
			require.NoError(t, db.Model(&Note{ID: 1}).Updates(map[string]any{"junk": "k", "memo": "another secret"}).Error)
			require.NoError(t, db.Model(&Note{ID: 1}).Update("junk", "l").Error)
			require.NoError(t, db.Delete(&Note{ID: 1}).Error)
			require.Equal(t, []string{
				`1/1 Jo created note 1 "n": id - => 1; name - => "n"; memo - => - redacted`,
				`2/2 Jo updated note 1 "n": memo - redacted => - redacted`,
				`3/3 Jo deleted note 1 "n": id 1 => -; name "n" => -; memo - redacted => -`,
			}, recorded())
		})
	}
}

func TestTextsThatAreEqualToTheDatabaseChangeAllTheSame(t *testing.T) {
	t.Parallel()
	db, recorded := found(t, Open(t, "postgres"), "CREATE COLLATION ci (provider=icu, locale='und-u-ks-level2', deterministic=false)",
		"CREATE TABLE notes (id bigint PRIMARY KEY, name text COLLATE ci, memo text, junk text)")
	require.NoError(t, db.Create(&Note{ID: 1, Name: "anna"}).Error)
	require.NoError(t, db.Model(&Note{ID: 1}).Update("name", "ANNA").Error)
	require.NoError(t, db.Model(&Note{}).Where("junk = ''").Update("name", "Anna").Error)
	require.Equal(t, []string{
		`1/1 Jo created note 1 "anna": id - => 1; name - => "anna"; memo - => - redacted`,
		`2/2 Jo updated note 1 "ANNA": name "anna" => "ANNA"`,
		`3/3 Jo updated note 1 "Anna": name "ANNA" => "Anna"`,
	}, recorded())
}

func TestAnUpsertOfATableWithoutVersionsIsRecorded(t *testing.T) {
	t.Parallel()
	const columns = " (id bigint PRIMARY KEY, name text, memo text, junk text)"
	for name, tables := range map[string][]string{
		"partitions": {
			"CREATE TABLE notes" + columns + " PARTITION BY RANGE (id)",
			"CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (100)", "CREATE TABLE notes_2 PARTITION OF notes FOR VALUES FROM (100) TO (200)",
		},
		"a view": {"CREATE TABLE all_notes" + columns, "CREATE VIEW notes AS SELECT * FROM all_notes"},
	} {
		t.Run(name, func(t *testing.T) {
			db, recorded := found(t, Open(t, "postgres"), tables...)
			upsert := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, UpdateAll: true}
			require.NoError(t, db.Clauses(upsert).Create(&[]Note{{ID: 1, Name: "a"}, {ID: 150, Name: "b"}}).Error)
			require.NoError(t, db.Clauses(upsert).Create(&[]Note{{ID: 1, Name: "c"}, {ID: 2, Name: "d"}}).Error)
			require.NoError(t, db.Save(&Note{ID: 3, Name: "e"}).Error)
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&Note{ID: 3, Name: "f"}).Error)
			require.Equal(t, []string{
				`1/1 Jo created note 1 "a": id - => 1; name - => "a"; memo - => - redacted`,
				`2/1 Jo created note 150 "b": id - => 150; name - => "b"; memo - => - redacted`,
				`3/2 Jo updated note 1 "c": name "a" => "c"`,
				`4/2 Jo created note 2 "d": id - => 2; name - => "d"; memo - => - redacted`,
				`5/3 Jo created note 3 "e": id - => 3; name - => "e"; memo - => - redacted`,
			}, recorded())
		})
	}
}

// Private is embedded; what is within is as private as the whole.
type Private struct {
	IBAN string                 `gorm:"size:30"`
	More struct{ Phone string } `gorm:"embedded"`
}

// Person has embedded structs with tags.
type Person struct {
	ID      string `gorm:"size:36"`
	Name    string `audit:"label"`
	Private `audit:"redact"`
	Other   *Private `gorm:"embedded;embeddedPrefix:other_" audit:"-"`
}

// Torn has a tag that fits one column at two.
type Torn struct {
	ID   string  `gorm:"size:36"`
	Both Private `gorm:"embedded" audit:"label"`
}

func TestATagOfAnEmbeddedStructIsThatOfItsFields(t *testing.T) {
	t.Parallel()
	database := Open(t, "sqlite")
	db := openGorm(t, database)
	require.NoError(t, db.AutoMigrate(&Person{}))
	store := wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Person]("person")})
	clock := newClock()
	p := Person{ID: "p1", Name: "Jo", Private: Private{IBAN: "DE1"}, Other: &Private{IBAN: "DE2"}}
	p.More.Phone, p.Other.More.Phone = "1", "2"
	db = db.WithContext(audit.WithActor(audit.WithWorkspace(context.Background(), "w1"), jo))
	require.NoError(t, errors.Join(db.Create(&p).Error, db.Model(&p).Updates(map[string]any{"iban": "DE3", "other_phone": "3"}).Error))
	require.Equal(t, []string{
		`1/1 Jo created person p1 "Jo": id - => "p1"; name - => "Jo"; iban - => - redacted; phone - => - redacted`,
		`2/2 Jo updated person p1 "Jo": iban - redacted => - redacted`,
	}, say(eventsSince(t, store, "w1", clock.Now())))

	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.EqualError(t, openGorm(t, database).Use(hooks.New(rec, hooks.Model[Torn]("torn"))),
		`audit: Torn.Both holds several columns, so the tag audit:"label" does not fit it; tag the field that is meant`)
}

func TestRandomConditionsAreRefusedWhereTheyWouldBeReadTwice(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db, recorded := found(t, database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, name varchar(20), memo varchar(20), junk varchar(20))")
		require.NoError(t, db.Create(&[]Note{{ID: 1, Name: "a"}, {ID: 2, Name: "a"}}).Error)
		created := recorded()
		random := map[string]string{"sqlite": "abs(random()) >= 0", "postgres": "random() >= 0", "mysql": "RAND() >= 0"}[database.Name]
		updated := db.Model(&Note{}).Where(random).Update("name", "b")
		const refused = `the conditions of a statement on table "notes" are random, so it would change other rows than were read before; read their keys first and name these`
		if database.Name == "postgres" {
			require.NoError(t, updated.Error)
			require.Equal(t, append(created, `3/2 Jo updated note 1 "b": name "a" => "b"`, `4/2 Jo updated note 2 "b": name "a" => "b"`), recorded())
			return
		}
		require.ErrorContains(t, updated.Error, refused)
		if database.Name == "sqlite" {
			require.ErrorContains(t, db.Where(random).Delete(&Note{}).Error, refused)
			require.ErrorContains(t, db.Where("id = (SELECT id FROM notes WHERE "+random+" LIMIT 1)").Delete(&Note{}).Error, refused)
		} else { // which gives back what it deletes
			require.ErrorContains(t, db.Model(&Note{}).Where("id > 0").Order("RAND()").Limit(1).Update("name", "b").Error, refused)
		}
		require.Equal(t, created, recorded())
		// A value may be random, and a column may be called so.
		value := map[string]string{"sqlite": "hex(randomblob(8))", "mysql": "LEFT(UUID(), 8)"}[database.Name]
		require.NoError(t, db.Model(&Note{}).Where("id = 1 AND name <> 'rand('").Update("junk", gorm.Expr(value)).Error)
	})
}

// Elsewhere is of a table that is named with its database.
type Elsewhere struct {
	ID   uint   `gorm:"primaryKey"`
	Code string `gorm:"size:20"`
	Name string `gorm:"size:20"`
}

func TestUniqueIndexesOfATableThatIsNamedWithItsDatabaseAreKnown(t *testing.T) {
	t.Parallel()
	database := Open(t, "mysql")
	db := openGorm(t, database, &gorm.Config{NamingStrategy: schema.NamingStrategy{TablePrefix: database.Namespace + "."}})
	require.NoError(t, db.Exec("CREATE TABLE elsewheres (id bigint AUTO_INCREMENT PRIMARY KEY, code varchar(20) UNIQUE, name varchar(20))").Error)
	store := wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Elsewhere]("elsewhere")})
	begin := newClock().Now()
	db = db.WithContext(audit.WithActor(audit.WithWorkspace(context.Background(), "w1"), jo))
	upsert := clause.OnConflict{DoUpdates: clause.AssignmentColumns([]string{"name"})}
	for _, name := range []string{"a", "b"} {
		require.NoError(t, db.Clauses(upsert).Create(&Elsewhere{Code: "x", Name: name}).Error)
	}
	require.Equal(t, []string{
		`1/1 Jo created elsewhere 1 "": id - => 1; code - => "x"; name - => "a"`,
		`2/2 Jo updated elsewhere 1 "": name "a" => "b"`,
	}, say(eventsSince(t, store, "w1", begin)))
}
