package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// sqliteFile opens a file of SQLite with a busy timeout and WAL, and what else
// the DSN is to say.
func sqliteFile(t *testing.T, further url.Values) *Database {
	t.Helper()
	query := url.Values{"_pragma": {"busy_timeout(20000)", "journal_mode(WAL)", "foreign_keys(1)"}}
	for k, v := range further {
		query[k] = v
	}
	dsn := "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "test.db")) + "?" + query.Encode()
	return sqliteAt(t, dsn)
}

func sqliteAt(t *testing.T, dsn string) *Database {
	t.Helper()
	pool, err := sql.Open("sqlite", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	pool.SetMaxOpenConns(8)
	require.NoError(t, pool.Ping())
	return &Database{Name: "sqlite", Dialect: sqlstore.SQLite, Driver: "sqlite", DSN: dsn, pool: pool}
}

// warnings is a logger that keeps them.
type warnings struct {
	logger.Interface
	mu    sync.Mutex
	lines []string
}

func (w *warnings) Warn(_ context.Context, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

const deferredWarning = `audit: this SQLite database begins its transactions as deferred: one that reads before it writes ` +
	`fails with "database is locked" where it could have waited; add _txlock=immediate to the DSN`

// TestDeferredTransactionsOfSQLiteAreWarnedOf registers the plugin on databases
// that begin transactions in every way.
func TestDeferredTransactionsOfSQLiteAreWarnedOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		open  func(t *testing.T) *Database
		store newStore
		want  []string
	}{
		"immediate":              {func(t *testing.T) *Database { return sqliteFile(t, url.Values{"_txlock": {"immediate"}}) }, storeInDatabase, nil},
		"exclusive":              {func(t *testing.T) *Database { return sqliteFile(t, url.Values{"_txlock": {"exclusive"}}) }, storeInDatabase, nil},
		"nothing said":           {func(t *testing.T) *Database { return sqliteFile(t, nil) }, storeInDatabase, []string{deferredWarning}},
		"deferred":               {func(t *testing.T) *Database { return sqliteFile(t, url.Values{"_txlock": {"deferred"}}) }, storeInDatabase, []string{deferredWarning}},
		"with a store in memory": {func(t *testing.T) *Database { return sqliteFile(t, nil) }, storeInMemory, []string{deferredWarning}},
		"without WAL": {func(t *testing.T) *Database {
			return sqliteFile(t, url.Values{"_pragma": {"busy_timeout(20000)"}})
		}, storeInDatabase, []string{deferredWarning}},
		"immediate without WAL": {func(t *testing.T) *Database {
			return sqliteFile(t, url.Values{"_pragma": {"busy_timeout(20000)"}, "_txlock": {"immediate"}})
		}, storeInDatabase, nil},
		"one connection": {func(t *testing.T) *Database {
			d := sqliteFile(t, nil)
			d.pool.SetMaxOpenConns(1)
			return d
		}, storeInDatabase, []string{deferredWarning}},
		"in memory": {func(t *testing.T) *Database {
			d := sqliteAt(t, ":memory:")
			d.pool.SetMaxOpenConns(1)
			return d
		}, storeInDatabase, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := c.open(t)
			log := &warnings{Interface: logger.Discard}
			db := database.Gorm(t, &gorm.Config{Logger: log})
			require.NoError(t, db.AutoMigrate(&Counter{}))
			wire(t, db, database, c.store, nil, []hooks.Option{hooks.Model[Counter]("counter")})
			require.NoError(t, db.Create(&Counter{ID: "c"}).Error)
			require.NoError(t, db.Delete(&Counter{ID: "c"}).Error)
			require.Equal(t, c.want, log.lines)
			require.Zero(t, database.pool.Stats().InUse)
		})
	}
}

// TestNoBusyDatabaseThatWouldNotBeBusyWithoutTheHooks has many writers on one
// file, all of which write first in their transactions, as GORM itself does.
func TestNoBusyDatabaseThatWouldNotBeBusyWithoutTheHooks(t *testing.T) {
	t.Parallel()
	const writers, rounds = 6, 12
	writes := []func(db *gorm.DB, own string) error{
		func(db *gorm.DB, _ string) error {
			return db.Model(&Counter{ID: "c"}).Update("hits", gorm.Expr("hits + 1")).Error
		},
		func(db *gorm.DB, own string) error { return db.Create(&Counter{ID: own}).Error },
		func(db *gorm.DB, own string) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Counter{ID: own, Hits: 2}).Error
		},
		func(db *gorm.DB, own string) error { return db.Save(&Counter{ID: own, Hits: 3}).Error },
		func(db *gorm.DB, own string) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Model(&Counter{ID: own}).Update("hits", 4).Error; err != nil {
					return err
				}
				return tx.Model(&Counter{ID: "c"}).Update("hits", gorm.Expr("hits + 1")).Error
			})
		},
		func(db *gorm.DB, own string) error {
			return db.Exec("UPDATE counters SET hits = 5 WHERE id = ?", own).Error
		},
		func(db *gorm.DB, own string) error { return db.Delete(&Counter{ID: own}).Error },
	}
	for name, further := range map[string]url.Values{
		"immediate": {"_txlock": {"immediate"}},
		"deferred":  {},
	} {
		for _, hooked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hooks %t", name, hooked), func(t *testing.T) {
				database := sqliteFile(t, further)
				db := database.Gorm(t)
				require.NoError(t, db.AutoMigrate(&Counter{}))
				if hooked {
					wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Counter]("counter")})
				}
				require.NoError(t, database.Gorm(t).Create(&Counter{ID: "c"}).Error)
				errs := make([]error, writers)
				var wait sync.WaitGroup
				for i := range writers {
					wait.Go(func() {
						for range rounds {
							for _, write := range writes {
								if errs[i] = write(db, fmt.Sprint("own", i)); errs[i] != nil {
									return
								}
							}
						}
					})
				}
				wait.Wait()
				for _, err := range errs {
					require.NoError(t, err)
				}
				var c Counter
				require.NoError(t, db.First(&c, "id = ?", "c").Error)
				require.Equal(t, 2*writers*rounds, c.Hits)
			})
		}
	}
}

// TestATransactionThatReadsFirstIsAsBusyAsWithoutTheHooks is what the warning is
// about: the application's own SELECT makes it a reader.
func TestATransactionThatReadsFirstIsAsBusyAsWithoutTheHooks(t *testing.T) {
	t.Parallel()
	texts := map[bool]string{}
	for _, hooked := range []bool{false, true} {
		database := sqliteFile(t, nil)
		db := database.Gorm(t)
		require.NoError(t, db.AutoMigrate(&Counter{}))
		if hooked {
			wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Counter]("counter")})
		}
		require.NoError(t, db.Create(&Counter{ID: "c"}).Error)
		err := db.Transaction(func(tx *gorm.DB) error {
			if err := tx.First(&Counter{}, "id = ?", "c").Error; err != nil {
				return err
			}
			if err := db.Model(&Counter{ID: "c"}).Update("hits", 1).Error; err != nil {
				return err // another connection
			}
			return tx.Model(&Counter{ID: "c"}).Update("hits", 2).Error
		})
		require.Error(t, err)
		require.NotErrorIs(t, err, audit.ErrAuditFailed)
		texts[hooked] = err.Error()
	}
	require.Equal(t, texts[false], texts[true])
}
