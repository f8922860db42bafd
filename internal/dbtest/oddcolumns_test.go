package dbtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// recorder returns a database that records the models of some options, and what
// the events of a write say.
func recorder(t *testing.T, database *Database, models ...hooks.Option) (recorded func(func(db *gorm.DB) error) []string) {
	t.Helper()
	clock, db := newClock(), openGorm(t, database)
	store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now, Workspace: "w1"}, models)
	db = db.WithContext(audit.WithActor(context.Background(), jo))
	return func(write func(db *gorm.DB) error) []string {
		t.Helper()
		clock.next()
		require.NoError(t, write(db))
		return say(eventsSince(t, store, "w1", clock.Now()))
	}
}

// Lasting is deleted at another time than the first.
type Lasting struct {
	ID        uint
	Name      string         `gorm:"size:20" audit:"label"`
	DeletedAt gorm.DeletedAt `gorm:"zeroValue:1970-01-01 00:00:01;default:'1970-01-01 00:00:01';not null"`
}

// TestASoftDeleteMayHaveAZeroValueOfItsOwn in the time zone of the connection.
func TestASoftDeleteMayHaveAZeroValueOfItsOwn(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		require.NoError(t, openGorm(t, database).AutoMigrate(&Lasting{}))
		recorded := recorder(t, database, hooks.Model[Lasting]("lasting"))
		require.Contains(t, recorded(func(db *gorm.DB) error { return db.Create(&Lasting{ID: 1, Name: "a"}).Error })[0], "created")
		require.Equal(t, []string{`1/1 Jo updated lasting 1 "b": name "a" => "b"`},
			recorded(func(db *gorm.DB) error { return db.Model(&Lasting{ID: 1}).Update("name", "b").Error }))
		require.Contains(t, recorded(func(db *gorm.DB) error { return db.Delete(&Lasting{ID: 1}).Error })[0],
			`1/1 Jo deleted lasting 1 "b": id 1 => -; name "b" => -; deleted_at "1970-01-01T00:00:01Z" => "2026-03-29T01:02:03.987`)
		restore := func(db *gorm.DB) error {
			return db.Unscoped().Model(&Lasting{ID: 1}).Update("deleted_at", gorm.Expr("'1970-01-01 00:00:01'")).Error
		}
		restored := `1/1 Jo restored lasting 1 "b": id - => 1; name - => "b"; deleted_at "2026-03-29T01:02:03.987`
		if database.Name == "postgres" {
			here := restore
			restore = func(db *gorm.DB) error {
				return db.Transaction(func(tx *gorm.DB) error {
					return errors.Join(tx.Exec("SET LOCAL TIME ZONE 'Asia/Tokyo'").Error, here(tx))
				})
			}
		}
		require.Contains(t, recorded(restore)[0], restored)
	})
}

// binaryKey is a key of 16 bytes that are no text.
type binaryKey [16]byte

func (k binaryKey) Value() (driver.Value, error) { return k[:], nil }

func (k *binaryKey) Scan(v any) error {
	if b, ok := v.([]byte); ok && len(b) == len(k) {
		copy(k[:], b)
		return nil
	}
	return fmt.Errorf("no key of %d bytes: %v", len(k), v)
}

func (binaryKey) GormDBDataType(db *gorm.DB, _ *schema.Field) string {
	return map[string]string{"sqlite": "blob", "postgres": "bytea", "mysql": "binary(16)"}[db.Name()]
}

// Album has a binary key, and so has what it refers to.
type Album struct {
	ID      binaryKey  `gorm:"primaryKey"`
	Name    string     `gorm:"size:20" audit:"label"`
	CoverID *binaryKey // of a photo
	Cover   *Photo
	Photos  []Photo `gorm:"many2many:album_photos"`
}

// Photo is in albums.
type Photo struct {
	ID   binaryKey `gorm:"primaryKey"`
	Name string    `gorm:"size:20" audit:"label"`
}

func TestABinaryKeyIsFoundAgain(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		raw := openGorm(t, database)
		require.NoError(t, raw.AutoMigrate(&Photo{}, &Album{}))
		album, sea, sky := Album{ID: binaryKey{1, 0xff}, Name: "album"}, Photo{ID: binaryKey{2, 0xff}, Name: "sea"}, Photo{ID: binaryKey{3, 0xff}, Name: "sky"}
		require.NoError(t, errors.Join(raw.Create(&album).Error, raw.Create(&[]Photo{sea, sky}).Error))
		recorded := recorder(t, database, hooks.Model[Album]("album"), hooks.Model[Photo]("photo", hooks.Cascade[Album]("Photos")))
		photos := func(db *gorm.DB) *gorm.Association { return db.Model(&album).Association("Photos") }

		const ofAlbum, ofSea, ofSky = `Af8AAAAAAAAAAAAAAAAAAA==`, `Av8AAAAAAAAAAAAAAAAAAA==`, `A/8AAAAAAAAAAAAAAAAAAA==`
		require.Equal(t, []string{`1/1 Jo updated album ` + ofAlbum + ` "album": ` +
			`+photos null => "` + ofSea + `" base64 (sea); +photos null => "` + ofSky + `" base64 (sky)`},
			recorded(func(db *gorm.DB) error { return photos(db).Append(&sea, &sky) }))
		require.Equal(t, []string{`1/1 Jo updated album ` + ofAlbum + ` "album": cover_id null => "` + ofSea + `" base64 (sea)`},
			recorded(func(db *gorm.DB) error { return db.Model(&album).Update("cover_id", sea.ID).Error }))
		require.Equal(t, []string{
			`1/1 Jo updated photo ` + ofSea + ` "lake": name "sea" => "lake"`,
			`2/1 System for Jo updated album ` + ofAlbum + ` "album" derived because of 1: +photos "` + ofSea + `" (sea) => "` + ofSea + `" (lake)`,
		}, recorded(func(db *gorm.DB) error { return db.Model(&sea).Update("name", "lake").Error }))
		require.Equal(t, []string{`1/1 Jo updated album ` + ofAlbum + ` "album": +photos "` + ofSea + `" base64 (lake) => null`},
			recorded(func(db *gorm.DB) error { return photos(db).Delete(&sea) }))
		require.Equal(t, []string{`1/1 Jo updated album ` + ofAlbum + ` "album": +photos "` + ofSky + `" base64 (sky) => null`},
			recorded(func(db *gorm.DB) error { return photos(db).Clear() }))
	})
}

// Stone has a key of bytes in a column for text.
type Stone struct {
	ID   []byte `gorm:"type:varchar(16);primaryKey"`
	Name string `gorm:"size:20" audit:"label"`
}

func TestAKeyOfBytesInAColumnOfTextIsFoundAgain(t *testing.T) {
	t.Parallel()
	database := Open(t, "sqlite")
	require.NoError(t, openGorm(t, database).AutoMigrate(&Stone{}))
	recorded := recorder(t, database, hooks.Model[Stone]("stone"))
	for key, id := range map[string]string{"key": "key", "\x01\xff": "Af8="} {
		stone, form := Stone{ID: []byte(key), Name: "a"}, ""
		if id != key {
			form = " base64"
		}
		require.Equal(t, []string{`1/1 Jo created stone ` + id + ` "a": id - => "` + id + `"` + form + `; name - => "a"`},
			recorded(func(db *gorm.DB) error { return db.Create(&stone).Error }))
		require.Equal(t, []string{`1/1 Jo updated stone ` + id + ` "b": name "a" => "b"`},
			recorded(func(db *gorm.DB) error { return db.Model(&stone).Update("name", "b").Error }))
		require.Equal(t, []string{`1/1 Jo deleted stone ` + id + ` "b": id "` + id + `"` + form + ` => -; name "b" => -`},
			recorded(func(db *gorm.DB) error { return db.Delete(&stone).Error }))
	}
}

// Gauge measures in four bytes.
type Gauge struct {
	ID    uint
	Value float32 `gorm:"type:float"`
}

// TestAFloatOfMariaDBIsExact whether the driver prepares the statement or writes
// its variables into it.
func TestAFloatOfMariaDBIsExact(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"", "&interpolateParams=true"} {
		database := Open(t, "mysql")
		require.NoError(t, openGorm(t, database).AutoMigrate(&Gauge{}))
		pool, err := sql.Open(database.Driver, database.DSN+parameters)
		require.NoError(t, err)
		defer pool.Close()
		database.pool = pool
		recorded := recorder(t, database, hooks.Model[Gauge]("gauge"))
		require.Equal(t, []string{`1/1 Jo created gauge 1 "": id - => 1; value - => 1234567.8`},
			recorded(func(db *gorm.DB) error { return db.Create(&Gauge{Value: 1234567.8}).Error }))
		require.Equal(t, []string{`1/1 Jo updated gauge 1 "": value 1234567.8 => 1234569`},
			recorded(func(db *gorm.DB) error { return db.Model(&Gauge{ID: 1}).Update("value", 1234569.0).Error }))
		require.Equal(t, []string{`1/1 Jo deleted gauge 1 "": id 1 => -; value 1234569 => -`},
			recorded(func(db *gorm.DB) error { return db.Where("id = 1").Delete(&Gauge{}).Error }))
	}
}

// Ticket has words as its values that would be numbers, and some that sound like types.
type Ticket struct {
	ID   uint
	Kind string `gorm:"type:enum('binary','print','json')"`
	Rate string `gorm:"type:enum('1.0','1.00','point')"`
}

func TestAnEnumIsTextWhateverItsWords(t *testing.T) {
	t.Parallel()
	database := Open(t, "mysql")
	require.NoError(t, openGorm(t, database).AutoMigrate(&Ticket{}))
	recorded := recorder(t, database, hooks.Model[Ticket]("ticket"))
	require.Equal(t, []string{`1/1 Jo created ticket 1 "": id - => 1; kind - => "print"; rate - => "1.0"`},
		recorded(func(db *gorm.DB) error { return db.Create(&Ticket{Kind: "print", Rate: "1.0"}).Error }))
	require.Equal(t, []string{`1/1 Jo updated ticket 1 "": kind "print" => "json"; rate "1.0" => "1.00"`},
		recorded(func(db *gorm.DB) error {
			return db.Model(&Ticket{ID: 1}).Updates(Ticket{Kind: "json", Rate: "1.00"}).Error
		}))
}

// Blank has a key that may be empty.
type Blank struct {
	ID   string `gorm:"primaryKey;size:20"`
	Name string `gorm:"size:20" audit:"label"`
}

func TestAnEmptyKeyIsAKey(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		require.NoError(t, openGorm(t, database).AutoMigrate(&Blank{}))
		recorded := recorder(t, database, hooks.Model[Blank]("blank"))
		require.Equal(t, []string{`1/1 Jo created blank "" "a": id - => ""; name - => "a"`},
			recorded(func(db *gorm.DB) error { return db.Create(&Blank{Name: "a"}).Error }))
		require.Equal(t, []string{`1/1 Jo updated blank "" "b": name "a" => "b"`},
			recorded(func(db *gorm.DB) error { return db.Model(&Blank{}).Where("id = ''").Update("name", "b").Error }))
		require.Equal(t, []string{`1/1 Jo updated blank "" "c": name "b" => "c"`}, // by one round trip of PostgreSQL
			recorded(func(db *gorm.DB) error {
				return db.Model(&Blank{}).Where(clause.Eq{Column: "id", Value: ""}).Update("name", "c").Error
			}))
		require.Equal(t, []string{`1/1 Jo deleted blank "" "c": id "" => -; name "c" => -`},
			recorded(func(db *gorm.DB) error { return db.Where(map[string]any{"id": ""}).Delete(&Blank{}).Error }))
	})
}

// Letter has a column that only those see who name it.
type Letter struct {
	ID     uint
	Name   string `gorm:"size:20" audit:"label"`
	Inside string `gorm:"size:20"`
	Absent string `gorm:"->;size:20"`
}

func TestAnInvisibleColumnIsRecorded(t *testing.T) {
	t.Parallel()
	database := Open(t, "mysql")
	require.NoError(t, openGorm(t, database).Exec("CREATE TABLE letters (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20), inside varchar(20) INVISIBLE)").Error)
	recorded := recorder(t, database, hooks.Model[Letter]("letter"))
	require.Equal(t, []string{`1/1 Jo created letter 1 "a": id - => 1; name - => "a"; inside - => "x"`},
		recorded(func(db *gorm.DB) error { return db.Create(&Letter{Name: "a", Inside: "x"}).Error }))
	require.Equal(t, []string{`1/1 Jo updated letter 1 "a": inside "x" => "y"`},
		recorded(func(db *gorm.DB) error { return db.Model(&Letter{ID: 1}).Update("inside", "y").Error }))
	require.Equal(t, []string{`1/1 Jo deleted letter 1 "a": id 1 => -; name "a" => -; inside "y" => -`},
		recorded(func(db *gorm.DB) error { return db.Delete(&Letter{ID: 1}).Error }))
}
