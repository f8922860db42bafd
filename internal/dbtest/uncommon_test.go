package dbtest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

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
