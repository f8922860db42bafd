package dbtest

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// Counter is a row that many writers change at once.
type Counter struct {
	ID   string `gorm:"primaryKey;size:36"`
	Hits int
}

func TestConcurrentUpdatesEachRecordWhatTheyChanged(t *testing.T) {
	t.Parallel()
	const writers, rounds = 4, 25
	Each(t, func(t *testing.T, d *Database) {
		db := d.Gorm(t)
		require.NoError(t, db.AutoMigrate(&Counter{}))
		store := wire(t, db, d, storeInDatabase, nil, []hooks.Option{hooks.Model[Counter]("counter")})
		require.NoError(t, db.Create(&Counter{ID: "c"}).Error)

		errs := make(chan error, writers)
		for n := range writers {
			db := db.Session(&gorm.Session{SkipDefaultTransaction: n%2 == 1})
			go func() {
				for range rounds {
					err := db.Model(&Counter{ID: "c"}).Update("hits", gorm.Expr("hits + 1")).Error
					if err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range writers {
			require.NoError(t, <-errs)
		}

		var befores []int
		for e, err := range audit.Query(context.Background(), store, audit.Filter{Workspace: audit.DefaultWorkspace}) {
			require.NoError(t, err)
			if e.Operation != audit.Updated {
				continue
			}
			require.Len(t, e.Changes, 1)
			before, err := strconv.Atoi(string(e.Changes[0].Before.JSON))
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(before+1), string(e.Changes[0].After.JSON), "each update adds one to what it found")
			befores = append(befores, before)
		}
		slices.Sort(befores)
		want := make([]int, writers*rounds)
		for i := range want {
			want[i] = i
		}
		require.Equal(t, want, befores, "every value is left exactly once")
	})
}

// TestAnElementShowsOnAnOwnerThatCameLater has a transaction of MariaDB see the
// row of a join table, which it locks, but not the owner, which came after it had
// looked first.
func TestAnElementShowsOnAnOwnerThatCameLater(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mysql"} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t, Open(t, name), storeInDatabase)
			w.seed(t)
			tx := w.db.WithContext(w.ctx).Begin()
			defer tx.Rollback()
			require.NoError(t, tx.Take(&Customer{}).Error)
			require.NoError(t, w.raw.Create(&Shift{ID: 40, Note: "late", Marks: []Label{{ID: 40, Name: "m"}}}).Error)
			require.NoError(t, w.oracle.Reset(t.Context()))
			require.NoError(t, tx.Model(&ShiftMark{}).Where("label_id = ?", 40).Update("weight", 6).Error)
			require.NoError(t, tx.Commit().Error)
			truth, err := w.oracle.Read(t.Context())
			require.NoError(t, err)
			require.Len(t, truth, 1)
			require.Empty(t, w.oracle.Compare(truth, w.events(t)))
		})
	}
}
