package dbtest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Street and House are of the models that have associations.
type Street struct {
	ID   string `gorm:"primaryKey"`
	Name string
}

type House struct {
	ID       string `gorm:"primaryKey"`
	Name     string
	StreetID *string
	Street   *Street
	Rooms    []Room
}

type Room struct {
	ID      string `gorm:"primaryKey"`
	HouseID string
}

func TestARowNeedsNoTransactionWhereItsStatementRecordsIt(t *testing.T) {
	t.Parallel()
	street := func(name string) *string { return new(key(name)) }
	for _, c := range []struct {
		name string
		do   func(db *gorm.DB) error
		want []string // the first words of what runs
		told []string
	}{
		{
			"a create", func(db *gorm.DB) error { return db.Create(&House{ID: key("a"), Name: "a"}).Error },
			[]string{"WITH"},
			[]string{`1/1 Jo created house a "": id - => "a"; name - => "a"; street_id - => null`},
		},
		{
			"an update", func(db *gorm.DB) error { return db.Model(&House{ID: key("there")}).Update("name", "b").Error },
			[]string{"WITH"},
			[]string{`1/1 Jo updated house there "": name "there" => "b"`},
		},
		{
			"a save", func(db *gorm.DB) error { return db.Save(&House{ID: key("there"), Name: "b"}).Error },
			[]string{"WITH"},
			[]string{`1/1 Jo updated house there "": name "there" => "b"; street_id "t" => null`},
		},
		{
			"an update that finds nothing", func(db *gorm.DB) error { return db.Model(&House{ID: key("none")}).Update("name", "b").Error },
			[]string{"WITH"},
			nil,
		},
		{
			"a delete with its rooms", func(db *gorm.DB) error { return db.Select("Rooms").Delete(&House{ID: key("there")}).Error },
			[]string{"BEGIN", "SELECT", "DELETE", "INSERT", "WITH"},
			[]string{`1/1 Jo deleted room q "": id "q" => -; house_id "there" => -`, `2/1 Jo deleted house there "": id "there" => -; name "there" => -; street_id "t" => -`},
		},
		{
			"a delete", func(db *gorm.DB) error { return db.Delete(&House{ID: key("there")}).Error },
			[]string{"WITH"},
			[]string{`1/1 Jo deleted house there "": id "there" => -; name "there" => -; street_id "t" => -`},
		},
		{
			"a doubtful row", func(db *gorm.DB) error { return db.Model(&House{ID: key("there")}).Update("name", "\u2028").Error },
			[]string{"WITH", "BEGIN", "WITH", "INSERT"},
			[]string{`1/1 Jo updated house there "": name "there" => "\u2028"`},
		},
		{
			"an update of several rows", func(db *gorm.DB) error {
				return db.Model(&House{}).Where("name LIKE ?", "th%").Update("name", "b").Error
			},
			[]string{"BEGIN", "UPDATE", "INSERT"},
			[]string{`1/1 Jo updated house there "": name "there" => "b"`},
		},
		{
			"a create with what it belongs to", func(db *gorm.DB) error {
				return db.Create(&House{ID: key("a"), Name: "a", Street: &Street{ID: key("s"), Name: "s"}}).Error
			},
			[]string{"BEGIN", "INSERT", "INSERT", "WITH"},
			[]string{`1/1 Jo created street s "": id - => "s"; name - => "s"`, `2/1 Jo created house a "": id - => "a"; name - => "a"; street_id - => "s"`},
		},
		{
			"a create with what it has", func(db *gorm.DB) error {
				return db.Create(&House{ID: key("a"), Name: "a", Rooms: []Room{{ID: key("r")}}}).Error
			},
			[]string{"BEGIN", "WITH", "SELECT", "INSERT", "INSERT"},
			[]string{`1/1 Jo created house a "": id - => "a"; name - => "a"; street_id - => null`, `2/1 Jo created room r "": id - => "r"; house_id - => "a"`},
		},
		{
			"a create of several", func(db *gorm.DB) error { return db.Create([]House{{ID: key("a"), Name: "a"}, {ID: key("b")}}).Error },
			[]string{"BEGIN", "INSERT", "INSERT"},
			[]string{`1/1 Jo created house a "": id - => "a"; name - => "a"; street_id - => null`, `2/1 Jo created house b "": id - => "b"; name - => ""; street_id - => null`},
		},
		{
			"an update of what it belongs to by a map", func(db *gorm.DB) error {
				return db.Model(&House{ID: key("there")}).Updates(map[string]any{"name": "b", "Street": &Street{ID: key("s"), Name: "s"}}).Error
			},
			[]string{"BEGIN", "INSERT", "INSERT", "WITH"},
			[]string{`1/1 Jo created street s "": id - => "s"; name - => "s"`, `2/1 Jo updated house there "": name "there" => "b"; street_id "t" => "s"`},
		},
		{
			"a row of a transaction", func(db *gorm.DB) error {
				return db.Transaction(func(tx *gorm.DB) error {
					return tx.Create(&House{ID: key("a"), Name: "a", StreetID: street("none")}).Error
				})
			},
			[]string{"BEGIN", "WITH"},
			nil, // the street is missed when it is committed
		},
		{
			"a row that breaks a deferred constraint", func(db *gorm.DB) error {
				return db.Create(&House{ID: key("a"), Name: "a", StreetID: street("none")}).Error
			},
			[]string{"WITH"},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := Open(t, "postgres")
			watched, tap := tapInto(t, d)
			cfg := quiet()
			cfg.SkipDefaultTransaction, cfg.DisableForeignKeyConstraintWhenMigrating = true, true
			db := watched.Gorm(t, cfg)
			require.NoError(t, db.AutoMigrate(&Street{}, &House{}, &Room{}))
			require.NoError(t, db.Exec("ALTER TABLE houses ADD FOREIGN KEY (street_id) REFERENCES streets DEFERRABLE INITIALLY DEFERRED").Error)
			clock := newClock()
			store := wire(t, db, watched, storeInDatabase, &audit.Config{Now: clock.Now},
				[]hooks.Option{hooks.Model[House]("house"), hooks.Model[Street]("street"), hooks.Model[Room]("room")})
			db = db.WithContext(audit.WithActor(context.Background(), jo))
			// The columns and the constraints are known from here on.
			require.NoError(t, db.Create(&House{ID: key("there"), Name: "there", Street: &Street{ID: key("t")}, Rooms: []Room{{ID: key("q")}}}).Error)
			require.NoError(t, db.Delete(&House{ID: key("none")}).Error)
			clock.next()

			var err error
			ran := tap.during(t, func() error { err = c.do(db); return nil }, "BEGIN", "SELECT", "INSERT", "UPDATE", "DELETE", "WITH audit_row")
			for i, text := range ran {
				ran[i], _, _ = strings.Cut(text, " ")
			}
			require.Equal(t, c.want, ran)
			if c.told == nil && err != nil {
				require.ErrorContains(t, err, "houses_street_id_fkey")
			} else {
				require.NoError(t, err)
			}
			told := say(eventsSince(t, store, audit.DefaultWorkspace, clock.Now()))
			for i := range told {
				for _, name := range []string{"a", "b", "s", "t", "r", "q", "there"} {
					told[i] = strings.ReplaceAll(told[i], key(name), name)
				}
			}
			require.Equal(t, c.told, told)
			var n int64
			require.NoError(t, db.Model(&House{}).Where("street_id = ?", key("none")).Count(&n).Error)
			require.Zero(t, n)
			require.Zero(t, watched.SQL().Stats().InUse)
		})
	}
}
