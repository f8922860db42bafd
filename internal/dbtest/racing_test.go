package dbtest

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
)

// TestRacingWritersAreRecordedExactly mixes inserts, updates by condition and
// deletes on few rows, so that rows come and go between
// the statements of a writer. Whatever commits must be told as it was; what
// fails must leave nothing.
func TestRacingWritersAreRecordedExactly(t *testing.T) {
	t.Parallel()
	race(t, inserting, renaming, deleting, finishing, reopening, inTransaction)
}

// race runs writers that each choose among the kinds of writes.
func race(t *testing.T, kinds ...write) {
	t.Helper()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		w.seed(t)
		const writers, rounds = 8, 40
		seed := rand.Uint64()
		var group sync.WaitGroup
		failures := make(chan error, writers*rounds)
		for n := range writers {
			random := rand.New(rand.NewPCG(uint64(n), seed))
			group.Go(func() {
				db := w.db.WithContext(audit.WithActor(t.Context(), audit.Actor{ID: fmt.Sprint(n)})).Session(&gorm.Session{SkipDefaultTransaction: n%2 == 1})
				for i := range rounds {
					if err := kinds[random.IntN(len(kinds))](db, uint(100+random.IntN(4)), fmt.Sprint(n, " ", i)); err != nil {
						failures <- err
					}
				}
			})
		}
		group.Wait()
		close(failures)
		count := 0
		for err := range failures {
			count++
			require.True(t, forRetry(err), "%v", err)
		}
		t.Logf("seed %d: %d of %d writes failed and are for the application to repeat", seed, count, writers*rounds)
		truth, err := w.oracle.Read(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, truth)
		require.Empty(t, w.oracle.Compare(truth, w.events(t)))
		require.Zero(t, database.SQL().Stats().InUse)
	})
}

// TestADeleteIsForTheApplicationToRepeatIfItMeetsMoreThanWasThere lets another
// transaction give a parent the name that a DELETE asks for, after the DELETE's rows
// and their children were read and before it runs.
func TestADeleteIsForTheApplicationToRepeatIfItMeetsMoreThanWasThere(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, Open(t, "postgres"), storeInDatabase)
	w.seed(t)
	remove := func() error { return w.db.WithContext(w.ctx).Where("name = ?", "gone").Delete(&Crate{}).Error }

	other := w.raw.Begin()
	require.NoError(t, other.Exec("UPDATE crates SET name = 'gone' WHERE id = 1").Error)
	require.NoError(t, other.Exec("LOCK TABLE crates IN SHARE MODE").Error) // stops a DELETE, and no SELECT FOR UPDATE
	done := make(chan error, 1)
	go func() { done <- remove() }()
	require.Eventually(t, func() bool {
		var waiting bool
		return w.raw.Raw("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'crates'::regclass)").Scan(&waiting).Error == nil && waiting
	}, 30*time.Second, time.Millisecond)
	require.NoError(t, other.Commit().Error)
	require.ErrorContains(t, <-done, "try the transaction again")
	require.Empty(t, w.events(t))

	require.NoError(t, w.oracle.Reset(t.Context()))
	require.NoError(t, remove())
	truth, err := w.oracle.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, truth, 4, "the crate, its boxes and its lid")
	require.Empty(t, w.oracle.Compare(truth, w.events(t)))
}

// write changes an item or a customer in its own way.
type write func(db *gorm.DB, id uint, name string) error

func inserting(db *gorm.DB, id uint, name string) error {
	return db.Create(&Item{ID: id, Name: name}).Error
}

func insertingIfAbsent(db *gorm.DB, id uint, name string) error {
	return db.Clauses(clause.OnConflict{DoNothing: true}).Create(&Item{ID: id, Name: name}).Error
}

func upserting(db *gorm.DB, id uint, name string) error {
	return db.Clauses(onCode(clause.Set{assign("name", name)})).Create(&Customer{Name: name, Code: fmt.Sprint("code", id)}).Error
}

func renaming(db *gorm.DB, _ uint, name string) error {
	return db.Model(&Item{}).Where("id >= ?", 100).Update("name", name).Error
}

func deleting(db *gorm.DB, id uint, _ string) error {
	return db.Where("id = ?", id).Delete(&Item{}).Error
}

func finishing(db *gorm.DB, _ uint, _ string) error {
	return db.Model(&Item{}).Where("done = ?", false).Where("id >= ?", 100).Update("done", true).Error
}

func reopening(db *gorm.DB, id uint, name string) error {
	return db.Model(&Item{ID: id}).Updates(map[string]any{"name": name, "done": false}).Error
}

func inTransaction(db *gorm.DB, id uint, name string) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Model(&Item{ID: id}).Update("name", name).Error; err != nil {
			return err
		}
		return tx.Where("name = ?", name).Delete(&Item{}).Error
	})
}

// forRetry tells the failures that only mean that somebody else was faster.
func forRetry(err error) bool {
	text := strings.ToLower(err.Error())
	for _, known := range []string{"deadlock", "record has changed", "lock wait timeout", "changed by another", "at the same time", "try again", "repeat", "unique", "duplicate"} {
		if strings.Contains(text, known) {
			return true
		}
	}
	return false
}

// TestOtherTimeZonesChangeNothing works on connections whose zone is another.
func TestOtherTimeZonesChangeNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mysql"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := Open(t, name)
			dsn := database.DSN + "&loc=Asia%2FTokyo&time_zone=" + url.QueryEscape("'+09:00'")
			if name == "postgres" {
				dsn = database.DSN + "&timezone=Asia%2FTokyo"
			}
			pool, err := sql.Open(database.Driver, dsn)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			tokyo := *database
			tokyo.DSN, tokyo.pool = dsn, pool

			w := newWorkshop(t, &tokyo, storeInDatabase)
			r := w.do(t, operation{run: func(db *gorm.DB) outcome {
				return did(db.Model(&Device{ID: deviceID(1)}).Update("built", opTime)).
					and(did(db.Create(&Device{ID: deviceID(5), Built: seedTime, Seen: &seedTime, Day: seedTime}))).
					and(did(db.Delete(&Order{ID: 3})))
			}})
			require.Len(t, r.truth, 3, r.outcome)
			want := map[string]string{"postgres": "2026-03-29T01:02:03.987654Z", "mysql": "2026-03-29T01:02:03.987Z"}[name]
			require.Equal(t, []audit.Change{{
				Field:  "built",
				Before: raw(map[string]string{"postgres": `"2026-03-28T20:30:00.123456Z"`, "mysql": `"2026-03-28T20:30:00.123Z"`}[name]),
				After:  raw(`"` + want + `"`),
			}}, r.events[0].Changes)
			if name == "postgres" { // MariaDB's own texts do not name the zone
				require.Empty(t, w.oracle.Compare(r.truth, r.events))
			}
		})
	}
}
