package dbtest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Nickname is a model with a unique column.
type Nickname struct {
	ID   string `gorm:"primaryKey;size:36"`
	Name string `gorm:"size:50;uniqueIndex"`
}

func TestErrorsOfTheDatabaseStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, d *Database) {
		db := d.Gorm(t, &gorm.Config{TranslateError: true, Logger: logger.Discard})
		require.NoError(t, db.AutoMigrate(&Nickname{}))
		wire(t, db, d, storeInDatabase, nil, []hooks.Option{hooks.Model[Nickname]("nickname")})
		require.NoError(t, db.Create(&[]Nickname{{ID: "1", Name: "a"}, {ID: "2", Name: "b"}}).Error)

		for name, write := range map[string]func() error{
			"an insert":          func() error { return db.Create(&Nickname{ID: "3", Name: "a"}).Error },
			"an update":          func() error { return db.Model(&Nickname{ID: "2"}).Update("name", "a").Error },
			"an update of a key": func() error { return db.Model(&Nickname{ID: "2"}).Update("id", "1").Error },
		} {
			err := write()
			require.ErrorIs(t, err, gorm.ErrDuplicatedKey, name)
			require.NotErrorIs(t, err, audit.ErrAuditFailed, "it is not recording that failed")
		}
	})
}
