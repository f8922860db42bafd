package dbtest

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit/hooks"
)

func TestWritesRunNoMoreStatementsThanTheyNeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		write string
		do    func(db *gorm.DB) error
		// verbs of the statements that run on the row's table and the events'
		want map[string]string
	}{
		{
			"a record is created", func(db *gorm.DB) error { return db.Create(&Counter{ID: "new"}).Error },
			map[string]string{"sqlite": "INSERT SELECT INSERT", "postgres": "INSERT INSERT", "mysql": "INSERT INSERT"},
		},
		{
			"a record with a key that none had before is created", func(db *gorm.DB) error { return db.Create(&Counter{ID: uuid.NewString()}).Error },
			map[string]string{"sqlite": "INSERT SELECT INSERT", "postgres": "WITH", "mysql": "INSERT INSERT"},
		},
		{
			"a record is updated", func(db *gorm.DB) error { return db.Model(&Counter{ID: "1"}).Update("hits", 7).Error },
			map[string]string{"sqlite": "SELECT UPDATE SELECT INSERT", "postgres": "WITH", "mysql": "SELECT UPDATE SELECT INSERT"},
		},
		{
			"a record is deleted", func(db *gorm.DB) error { return db.Delete(&Counter{ID: "1"}).Error },
			map[string]string{"sqlite": "SELECT DELETE INSERT", "postgres": "WITH", "mysql": "DELETE INSERT"},
		},
		{
			"an update finds nothing", func(db *gorm.DB) error { return db.Model(&Counter{ID: "none"}).Update("hits", 7).Error },
			map[string]string{"sqlite": "SELECT UPDATE", "postgres": "WITH", "mysql": "SELECT UPDATE"},
		},
	} {
		t.Run("when "+c.write, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, d *Database) {
				watched, tap := tapInto(t, d)
				db := watched.Gorm(t)
				require.NoError(t, db.AutoMigrate(&Counter{}))
				wire(t, db, watched, storeInDatabase, nil, []hooks.Option{hooks.Model[Counter]("counter")})
				// The columns and the constraints are known from here on.
				require.NoError(t, db.Create(&Counter{ID: "1"}).Error)
				require.NoError(t, db.Delete(&Counter{ID: "none"}).Error)
				var verbs []string
				for _, query := range tap.during(t, func() error { return c.do(db) }, "SELECT", "INSERT", "UPDATE", "DELETE", "WITH") {
					verb, _, _ := strings.Cut(query, " ")
					verbs = append(verbs, verb)
				}
				require.Equal(t, c.want[d.Name], strings.Join(verbs, " "))
			})
		})
	}
}
