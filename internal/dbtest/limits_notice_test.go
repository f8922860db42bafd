package dbtest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// townsOnly is a database of the usual lands, whose towns are recorded unless the
// store is nil.
func townsOnly(t *testing.T, database *Database, store newStore, tables []string, opts ...gorm.Option) *gorm.DB {
	t.Helper()
	db := openGorm(t, database, opts...)
	for _, text := range tables {
		require.NoError(t, openGorm(t, database).Exec(text).Error)
	}
	if store != nil {
		wire(t, db, database, store, nil, []hooks.Option{hooks.Model[Town]("town")})
	}
	return db
}

// TestACallbackFindsAConnectionOfThePlugin if it is registered after the plugin, and
// immediately before GORM's own.
func TestACallbackFindsAConnectionOfThePlugin(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := townsOnly(t, database, nil, usualLands)
		found := map[string]string{}
		look := func(name string) {
			require.NoError(t, db.Callback().Update().Before("gorm:update").Register("app:"+name, func(tx *gorm.DB) {
				var n int
				require.NoError(t, tx.Statement.ConnPool.QueryRowContext(tx.Statement.Context, "SELECT count(*) FROM towns").Scan(&n))
				found[name] = fmt.Sprintf("%T sees %d", tx.Statement.ConnPool, n)
			}))
		}
		look("before the plugin")
		wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Town]("town")})
		look("after the plugin")
		require.NoError(t, db.Model(&Town{ID: 1}).Update("land", "be").Error)
		require.Equal(t, map[string]string{"before the plugin": "*sql.Tx sees 2", "after the plugin": "*hooks.capture sees 2"}, found)
	})
}

// TestACallbackMayWriteJustBeforeGORMsOwn in whatever way, and what it writes is of
// the same transaction.
func TestACallbackMayWriteJustBeforeGORMsOwn(t *testing.T) {
	t.Parallel()
	const updated = `Jo updated town 1 "": land "at" => "be"`
	writes := map[string]struct {
		write func(tx *gorm.DB) error
		want  []string
	}{
		"a create": {func(tx *gorm.DB) error { return tx.Create(&Land{Code: "xx"}).Error }, []string{`1/1 Jo created land xx "": code - => "xx"`, "2/1 " + updated}},
		"raw SQL": {func(tx *gorm.DB) error { return tx.Exec("INSERT INTO lands VALUES ('xx')").Error }, []string{
			`1/1 Jo executed land * "": statement - => "insert"; table - => "lands"; rows - => 1`, "2/1 " + updated,
		}},
		"hooks.Exec": {func(tx *gorm.DB) error {
			_, err := hooks.Exec(tx.Model(&Land{}).Where("code = 'ch'"), "DELETE FROM lands WHERE code = 'ch'")
			return err
		}, []string{`1/1 Jo deleted land ch "": code "ch" => -`, "2/1 " + updated}},
		"hooks.Record": {func(tx *gorm.DB) error {
			return hooks.Record(tx, audit.Event{Operation: audit.Created, Entity: audit.Entity{Type: "visit", ID: "v"}})
		}, []string{`1/1 Jo created visit v ""`, "2/1 " + updated}},
		"a transaction that is rolled back": {func(tx *gorm.DB) error {
			err := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(tx.Create(&Land{Code: "xx"}).Error, ErrHook) })
			if errors.Is(err, ErrHook) {
				return nil
			}
			return err
		}, []string{"1/1 " + updated}},
	}
	untransacted, prepared := quiet(), quiet()
	untransacted.SkipDefaultTransaction, prepared.PrepareStmt = true, true
	Each(t, func(t *testing.T, database *Database) {
		for mode, m := range map[string]struct {
			store      newStore
			opt        gorm.Option
			bestEffort bool
		}{
			"as usual": {storeInDatabase, quiet(), false}, "no default transactions": {storeInDatabase, untransacted, false}, "prepared statements": {storeInDatabase, prepared, false},
			"best effort": {storeInDatabase, quiet(), true}, "a store in memory": {storeInMemory, quiet(), false},
		} {
			for name, w := range writes {
				if mode != "as usual" && name != "a create" && name != "hooks.Record" {
					continue // they go the same ways
				}
				t.Run(mode+" "+name, func(t *testing.T) {
					database := Open(t, database.Name)
					for _, text := range usualLands {
						require.NoError(t, openGorm(t, database).Exec(text).Error)
					}
					db, clock := openGorm(t, database, m.opt), newClock()
					store := wire(t, db, database, m.store, &audit.Config{Now: clock.Now, Workspace: "w1", BestEffort: m.bestEffort}, []hooks.Option{hooks.Model[Land]("land"), hooks.Model[Town]("town")})
					require.NoError(t, db.Callback().Update().Before("gorm:update").Register("app:write", func(tx *gorm.DB) {
						_ = tx.AddError(w.write(tx.Session(&gorm.Session{NewDB: true})))
					}))
					write := func(err error) error {
						return db.WithContext(audit.WithActor(context.Background(), jo)).Transaction(func(tx *gorm.DB) error {
							return errors.Join(tx.Model(&Town{ID: 1}).Update("land", "be").Error, err)
						})
					}
					begin := clock.Now()
					require.ErrorIs(t, write(ErrHook), ErrHook)
					require.Empty(t, eventsSince(t, store, "w1", begin))
					require.NoError(t, db.WithContext(audit.WithActor(context.Background(), jo)).Model(&Town{ID: 1}).Update("land", "be").Error)
					require.Equal(t, w.want, say(eventsSince(t, store, "w1", begin)))
					require.Zero(t, database.SQL().Stats().InUse)
				})
			}
		}
	})
}

// TestMariaDBMayTellOfMoreDeadlocks where rows go with parents: the gap before them is
// locked, and a row may have to go there.
func TestMariaDBMayTellOfMoreDeadlocks(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]newStore{"bare": nil, "audited": storeInDatabase} {
		t.Run(name, func(t *testing.T) {
			database := Open(t, "mysql")
			db := townsOnly(t, database, store, []string{
				usualLands[0], usualLands[1], "INSERT INTO lands VALUES ('at'), ('be'), ('ch')", "INSERT INTO towns VALUES (1, 'at'), (2, 'at'), (3, 'be'), (4, 'be')",
			})
			one, two := db.Begin(), db.Begin()
			defer one.Rollback()
			defer two.Rollback()
			require.NoError(t, one.Delete(&Land{Code: "be"}).Error)
			require.NoError(t, two.Delete(&Land{Code: "ch"}).Error)
			done := make(chan error, 1)
			go func() { done <- one.Create(&Town{ID: 5, Land: "ch"}).Error }()
			waits := "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE 'INSERT INTO `towns`%' AND TIME_MS > 100"
			require.Eventually(t, func() bool {
				var n int
				return openGorm(t, database).Raw(waits).Scan(&n).Error == nil && n > 0
			}, 10*time.Second, 10*time.Millisecond)
			err := two.Create(&Town{ID: 6, Land: "at"}).Error
			if err == nil {
				require.NoError(t, two.Commit().Error)
			}
			other := <-done
			if name == "audited" {
				require.ErrorContains(t, errors.Join(err, other), "Deadlock found")
			} else {
				require.NoError(t, err)
				require.ErrorContains(t, other, "foreign key constraint fails")
			}
		})
	}
}

// TestConnectionsAreOfThePluginsTypesIfTheStoreCannotJoinTransactions and only then.
func TestConnectionsAreOfThePluginsTypesIfTheStoreCannotJoinTransactions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store newStore
		want  []string
	}{
		"a store in the database": {storeInDatabase, []string{"*sql.DB", "*sql.Tx"}},
		"a store in memory":       {storeInMemory, []string{"*hooks.heldPool", "*hooks.heldTx"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := townsOnly(t, Open(t, "sqlite"), c.store, usualLands)
			tx := db.Begin()
			require.Equal(t, c.want, []string{fmt.Sprintf("%T", db.Statement.ConnPool), fmt.Sprintf("%T", tx.Statement.ConnPool)})
			require.NoError(t, tx.Rollback().Error)
		})
	}
}

// TestASubqueryIsRenderedTwice as a dry run, once for the rows that are read before.
func TestASubqueryIsRenderedTwice(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		var runs [2]int
		for i, store := range []newStore{nil, storeInDatabase} {
			db := townsOnly(t, Open(t, database.Name), store, usualLands)
			require.NoError(t, db.Callback().Query().Register("app:count", func(tx *gorm.DB) {
				require.True(t, tx.DryRun)
				runs[i]++
			}))
			require.NoError(t, db.Model(&Town{}).Where("land IN (?)", db.Model(&Land{}).Select("code")).Update("land", "be").Error)
		}
		// PostgreSQL's UPDATE needs no SELECT before it.
		require.Equal(t, [2]int{1, map[string]int{"sqlite": 2, "postgres": 1, "mysql": 2}[database.Name]}, runs)
	})
}

// TestStatementsThatReturnTheirRowsAreNotPreparedByGORM and what the plugin runs is
// not, either.
func TestStatementsThatReturnTheirRowsAreNotPreparedByGORM(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		cfg := quiet()
		cfg.PrepareStmt = true
		var cached [2][]string
		for i, store := range []newStore{nil, storeInDatabase} {
			db := townsOnly(t, Open(t, database.Name), store, usualLands, cfg)
			require.NoError(t, db.Create(&Town{ID: 3, Land: "at"}).Error)
			require.NoError(t, db.Model(&Town{ID: 3}).Update("land", "be").Error)
			require.NoError(t, db.Delete(&Town{ID: 3}).Error)
			cached[i] = prepared(db)
		}
		require.Len(t, cached[0], 3)
		require.ElementsMatch(t, slices.DeleteFunc(cached[0], func(text string) bool {
			return database.Name == "postgres" || database.Name == "mysql" && !strings.HasPrefix(text, "UPDATE")
		}), cached[1])
	})
}

// jumpyExpression panics while GORM builds the statement.
type jumpyExpression struct{}

// Build implements clause.Expression.
func (jumpyExpression) Build(clause.Builder) { panic("in GORM's own code") }

// TestATransactionOfThePluginIsLeftOpenWhereGORMsOwnIs and nowhere else.
func TestATransactionOfThePluginIsLeftOpenWhereGORMsOwnIs(t *testing.T) {
	t.Parallel()
	untransacted := quiet()
	untransacted.SkipDefaultTransaction = true
	for name, c := range map[string]struct {
		cfg   *gorm.Config
		store newStore
		open  int
	}{
		"no transaction":                  {untransacted, nil, 0},
		"GORM's own":                      {quiet(), nil, 1},
		"GORM's own with the plugin":      {quiet(), storeInDatabase, 1},
		"no transaction but the plugin's": {untransacted, storeInDatabase, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				cfg := *c.cfg
				db := townsOnly(t, database, c.store, usualLands, &cfg)
				ctx, end := context.WithCancel(t.Context())
				require.Panics(t, func() {
					db.WithContext(ctx).Model(&Town{ID: 1}).Update("land", jumpyExpression{})
				})
				open := c.open
				if database.Name == "postgres" && cfg.SkipDefaultTransaction {
					open = 0 // none is begun before the statement is there
				}
				require.Equal(t, open, database.SQL().Stats().InUse, "until the context ends")
				end()
				database.SQL().SetMaxOpenConns(1)
				require.NoError(t, db.Model(&Town{ID: 1}).Update("land", "be").Error)
			})
		})
	}
}

// TestDeletingAParentTakesTheRightToUpdate it and what depends on it, on PostgreSQL.
func TestDeletingAParentTakesTheRightToUpdate(t *testing.T) {
	t.Parallel()
	database := Open(t, "postgres")
	owner := openGorm(t, database)
	for _, text := range usualLands {
		require.NoError(t, owner.Exec(text).Error)
	}
	db, role := openGorm(t, database), database.Namespace+"_clerk"
	wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Land]("land"), hooks.Model[Town]("town")})
	for _, text := range []string{
		"CREATE ROLE " + role, "GRANT USAGE ON SCHEMA " + database.Namespace + " TO " + role, "GRANT SELECT, INSERT, DELETE ON lands, towns, audit_events TO " + role,
	} {
		require.NoError(t, owner.Exec(text).Error)
	}
	t.Cleanup(func() {
		require.NoError(t, owner.Exec("DROP OWNED BY "+role).Error)
		require.NoError(t, owner.Exec("DROP ROLE "+role).Error)
	})
	remove := func(db *gorm.DB, row any) error {
		return db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("SET LOCAL ROLE " + role).Error; err != nil {
				return err
			}
			return tx.Delete(row).Error
		})
	}
	require.NoError(t, remove(db, &Town{ID: 2}), "on which nothing depends")
	require.NoError(t, remove(openGorm(t, database), &Land{Code: "be"}), "without the plugin")
	for _, table := range []string{"lands", "towns"} {
		err := remove(db, &Land{Code: "at"})
		require.ErrorContains(t, err, "permission denied for table "+table)
		require.NoError(t, owner.Exec("GRANT UPDATE ON "+table+" TO "+role).Error)
	}
	require.NoError(t, remove(db, &Land{Code: "at"}))
}

// jumpyValue panics when it is bound.
type jumpyValue struct{}

// Value implements driver.Valuer.
func (jumpyValue) Value() (driver.Value, error) { panic("in a Valuer") }

// jumpyPointer panics if it is nil, which database/sql asks it all the same.
type jumpyPointer struct{ text string }

// Value implements driver.Valuer.
func (p *jumpyPointer) Value() (driver.Value, error) { return p.text, nil }

// TestAPanicOfAValueComesBack though database/sql would wait for itself when the
// transaction of a query that has panicked is rolled back.
func TestAPanicOfAValueComesBack(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		for _, write := range []func(db *gorm.DB) error{
			func(db *gorm.DB) error { return db.Model(&Town{ID: 1}).Update("land", jumpyValue{}).Error },
			func(db *gorm.DB) error {
				return db.Model(&Town{}).Create(map[string]any{"id": 9, "land": jumpyValue{}}).Error
			},
			func(db *gorm.DB) error { return db.Where("land = ?", jumpyValue{}).Delete(&Town{}).Error },
			func(db *gorm.DB) error { return db.Model(&Town{ID: 1}).Update("land", (*jumpyPointer)(nil)).Error },
			func(db *gorm.DB) error { return db.Delete(&Land{}, "code = ?", jumpyValue{}).Error },
		} {
			database := Open(t, database.Name)
			db, recorded := lands(t, database, usualLands, hooks.Model[Land]("land"))
			require.Panics(t, func() { _ = db.Transaction(write) })
			for _, conditions := range []any{"a", jumpyValue{}} {
				_, err := hooks.Exec(db.Model(&Town{}).Where("land = ?", conditions), "UPDATE towns SET land = ? WHERE id = 1", jumpyValue{})
				require.ErrorIs(t, err, audit.ErrAuditFailed)
			}
			require.Zero(t, database.SQL().Stats().InUse)
			require.NoError(t, db.Model(&Town{ID: 1}).Update("land", "be").Error)
			require.Equal(t, []string{`1/1 Jo updated town 1 "": land "at" => "be"`}, recorded())
		}
	})
}
