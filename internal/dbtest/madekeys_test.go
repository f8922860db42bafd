package dbtest

import (
	"errors"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Jot has a key that the database counts, a unique code, and a unique pair of which
// one may be left to its default.
type Jot struct {
	ID     uint
	Code   string `gorm:"size:20;uniqueIndex"`
	Text   string `gorm:"size:20" audit:"label"`
	UserID int    `gorm:"uniqueIndex:of_user"`
	Kind   string `gorm:"size:20;uniqueIndex:of_user;default:std"`
}

// JotRow is what an application writes of it, without the key.
type JotRow struct {
	Code   string
	Text   string
	UserID int
}

// Slug has a key that the database may compute.
type Slug struct {
	ID   string `gorm:"primaryKey;size:20"`
	Name string `gorm:"size:20" audit:"label"`
}

// jots records what is done to jots and slugs, and has the same without hooks.
func jots(t *testing.T, database *Database) (audited, bare *gorm.DB, recorded func() []string) {
	t.Helper()
	audited, bare = openGorm(t, database), openGorm(t, Open(t, database.Name))
	require.NoError(t, errors.Join(audited.AutoMigrate(&Jot{}, &Slug{}), bare.AutoMigrate(&Jot{}, &Slug{})))
	clock := newClock()
	store := wire(t, audited, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{hooks.Model[Jot]("jot"), hooks.Model[Slug]("slug")})
	begin := clock.Now()
	return audited.WithContext(audit.WithActor(audit.WithWorkspace(t.Context(), "w1"), jo)), bare,
		func() []string { return say(eventsSince(t, store, "w1", begin)) }
}

// alike runs writes with and without hooks: what GORM tells must be the same.
func alike(t *testing.T, audited, bare *gorm.DB, writes ...func(db *gorm.DB) outcome) {
	t.Helper()
	for i, write := range writes {
		require.Equal(t, write(bare), write(audited), "write %d", i+1)
	}
}

func TestKeysThatGORMDoesNotLearnAreAskedFor(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		audited, bare, recorded := jots(t, database)
		one, two := map[string]any{"code": "d", "text": "t", "user_id": 4}, []map[string]any{{"code": "e", "text": "t", "user_id": 5}, {"code": "f", "text": "t", "user_id": 6}}
		alike(t, audited, bare,
			func(db *gorm.DB) outcome {
				return did(db.Table("jots").Create(&JotRow{Code: "a", Text: "t", UserID: 1}))
			},
			func(db *gorm.DB) outcome {
				return did(db.Table("jots").Create(&[]JotRow{{Code: "b", Text: "t", UserID: 2}, {Code: "c", Text: "t", UserID: 3}}))
			},
			func(db *gorm.DB) outcome { m := maps.Clone(one); return did(db.Table("jots").Create(m), m) },
			func(db *gorm.DB) outcome {
				m := []map[string]any{maps.Clone(two[0]), maps.Clone(two[1])}
				return did(db.Table("jots").Create(&m), m)
			},
			func(db *gorm.DB) outcome {
				return did(db.Model(&Slug{}).Create(map[string]any{"id": gorm.Expr("lower(?)", "ABC"), "name": "n"}))
			},
		)
		require.Equal(t, []string{
			`1/1 Jo created jot 1 "t": id - => 1; code - => "a"; text - => "t"; user_id - => 1; kind - => "std"`,
			`2/2 Jo created jot 2 "t": id - => 2; code - => "b"; text - => "t"; user_id - => 2; kind - => "std"`,
			`3/2 Jo created jot 3 "t": id - => 3; code - => "c"; text - => "t"; user_id - => 3; kind - => "std"`,
			`4/3 Jo created jot 4 "t": id - => 4; code - => "d"; text - => "t"; user_id - => 4; kind - => "std"`,
			`5/4 Jo created jot 5 "t": id - => 5; code - => "e"; text - => "t"; user_id - => 5; kind - => "std"`,
			`6/4 Jo created jot 6 "t": id - => 6; code - => "f"; text - => "t"; user_id - => 6; kind - => "std"`,
			`7/5 Jo created slug abc "n": id - => "abc"; name - => "n"`,
		}, recorded())
	})
}

func TestUpsertsOfMapsTellTheRowsTheyMeet(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		audited, bare, recorded := jots(t, database)
		on := clause.OnConflict{Columns: []clause.Column{{Name: "code"}}, DoUpdates: clause.AssignmentColumns([]string{"text"})}
		alike(t, audited, bare,
			func(db *gorm.DB) outcome {
				return did(db.Create(&[]Jot{{Code: "a", Text: "1", UserID: 1}, {Code: "b", Text: "1", UserID: 2}}))
			},
			func(db *gorm.DB) outcome {
				return did(db.Table("jots").Clauses(on).Create(map[string]any{"code": "a", "text": "2", "user_id": 3}))
			},
			func(db *gorm.DB) outcome {
				return did(db.Model(&Jot{}).Clauses(clause.OnConflict{DoNothing: true}).Create(&[]map[string]any{
					{"code": "c", "text": "1", "user_id": 4}, {"code": "b", "text": "3", "user_id": 5}, {"code": "d", "text": "1", "user_id": 6},
				}))
			},
		)
		require.Equal(t, []string{
			`1/1 Jo created jot 1 "1": id - => 1; code - => "a"; text - => "1"; user_id - => 1; kind - => "std"`,
			`2/1 Jo created jot 2 "1": id - => 2; code - => "b"; text - => "1"; user_id - => 2; kind - => "std"`,
			`3/2 Jo updated jot 1 "2": text "1" => "2"`,
		}, recorded()[:3])
		require.Len(t, recorded(), 5)
	})
}

// TestAnUpsertMayMeetARowByADefault of a unique column that it does not name.
func TestAnUpsertMayMeetARowByADefault(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		audited, bare, recorded := jots(t, database)
		on := clause.OnConflict{Columns: []clause.Column{{Name: "user_id"}, {Name: "kind"}}, DoUpdates: clause.AssignmentColumns([]string{"text"})}
		alike(t, audited, bare,
			func(db *gorm.DB) outcome { return did(db.Create(&Jot{Code: "a", Text: "1", UserID: 1, Kind: "std"})) },
			func(db *gorm.DB) outcome {
				return did(db.Omit("Kind").Clauses(on).Create(&Jot{Code: "b", Text: "2", UserID: 1}))
			},
			func(db *gorm.DB) outcome {
				return did(db.Model(&Jot{}).Clauses(on).Create(map[string]any{"code": "c", "text": "3", "user_id": 1}))
			},
			func(db *gorm.DB) outcome {
				return did(db.Omit("Kind").Clauses(clause.OnConflict{DoNothing: true}).Create(&Jot{Code: "d", Text: "4", UserID: 1}))
			},
		)
		require.Equal(t, []string{
			`1/1 Jo created jot 1 "1": id - => 1; code - => "a"; text - => "1"; user_id - => 1; kind - => "std"`,
			`2/2 Jo updated jot 1 "2": text "1" => "2"`,
			`3/3 Jo updated jot 1 "3": text "2" => "3"`,
		}, recorded())
	})
}
