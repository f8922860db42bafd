package dbtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// Basket has a key that the application makes.
type Basket struct {
	ID   string `gorm:"primaryKey"`
	Name string `audit:"label"`
	Size int64
}

const baskets = "CREATE TABLE baskets (id text PRIMARY KEY, name text, size bigint)"

// basketYard is a database of PostgreSQL with hooks on baskets.
type basketYard struct {
	*Database
	raw   *gorm.DB // without them
	db    *gorm.DB
	store audit.Store
	clock *clock
}

// newBasketYard has the parameters in its DSN, and the tables that setup makes.
func newBasketYard(t *testing.T, parameters string, skip bool, store *sqlstore.Config, setup ...string) *basketYard {
	t.Helper()
	d := Open(t, "postgres")
	for _, text := range setup {
		_, err := d.SQL().Exec(text)
		require.NoError(t, err, text)
	}
	app := *d
	app.DSN += parameters
	watched, _ := tapInto(t, &app)
	cfg := quiet()
	cfg.SkipDefaultTransaction = skip
	y := &basketYard{d, openGorm(t, d), watched.Gorm(t, cfg), migrated(t, d, store), newClock()}
	rec, err := audit.New(y.store, &audit.Config{Now: y.clock.Now})
	require.NoError(t, err)
	require.NoError(t, y.db.Use(hooks.New(rec, hooks.Model[Basket]("basket"))))
	return y
}

// told are the operations that were recorded, with the labels, oldest first.
func (y *basketYard) told(t *testing.T) (told []string) {
	t.Helper()
	for _, e := range eventsSince(t, y.store, audit.DefaultWorkspace, time.Time{}) {
		told = append(told, string(e.Operation)+" "+e.Entity.Label)
	}
	return told
}

func TestARowOfAKeyThatWasUsedBeforeComesAfterItsDeletion(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		y := newBasketYard(t, "", skip, nil, baskets)
		require.NoError(t, y.db.Create(&Basket{key("c"), "old", 0}).Error)
		done := make(chan error, 1)
		begun := y.clock.Now()
		require.NoError(t, y.db.Transaction(func(tx *gorm.DB) error {
			y.clock.next()
			if err := tx.Delete(&Basket{ID: key("c")}).Error; err != nil {
				return err
			}
			y.clock.set(begun) // when the other one has begun
			go func() { done <- y.db.Create(&Basket{key("c"), "new", 0}).Error }()
			requireBlocks(t, tx, y.raw)
			y.clock.set(begun.Add(time.Hour))
			return nil
		}))
		require.NoError(t, <-done)
		require.Equal(t, []string{"created old", "deleted old", "created new"}, y.told(t))
	}
}

// TestUpdatesOfDifferentRowsPassUnderSerializable as they do without hooks.
func TestUpdatesOfDifferentRowsPassUnderSerializable(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		y := newBasketYard(t, "&default_transaction_isolation=serializable", skip, nil, baskets, "INSERT INTO baskets SELECT i, 'n', 0 FROM generate_series(1, 20000) i", "ANALYZE baskets")
		var wait sync.WaitGroup
		errs := make(chan error, 8)
		for i := range 8 {
			wait.Go(func() {
				var failed error
				for k := range 10 {
					failed = errors.Join(failed, y.db.Model(&Basket{ID: fmt.Sprint(1000 * (i + 1))}).Update("size", k+1).Error)
				}
				errs <- failed
			})
		}
		wait.Wait()
		for range 8 {
			require.NoError(t, <-errs)
		}
		require.Len(t, y.told(t), 80)
	}
}

func TestErrorsOfTablesWhoseNamesAreAlikeAreTheirOwn(t *testing.T) {
	t.Parallel()
	y := newBasketYard(t, "", false, &sqlstore.Config{Table: "bask"}, baskets)
	require.NoError(t, y.db.Create(&Basket{key("c"), "a bask", 0}).Error)
	err := y.db.Create(&Basket{key("c"), "b", 0}).Error
	require.ErrorContains(t, err, "baskets_pkey")
	require.NotErrorIs(t, err, audit.ErrAuditFailed)
	err = y.db.Model(&Basket{ID: key("c")}).Update("size", gorm.Expr("name::bigint")).Error
	require.ErrorContains(t, err, "a bask")
	require.NotErrorIs(t, err, audit.ErrAuditFailed)
	_, err = y.SQL().Exec("DROP TABLE bask")
	require.NoError(t, err)
	require.ErrorIs(t, y.db.Create(&Basket{key("d"), "d", 0}).Error, audit.ErrAuditFailed)
}

// TestTablesThatCannotBeComposedAreRecordedAllTheSame tries what the database has and
// the model does not say.
func TestTablesThatCannotBeComposedAreRecordedAllTheSame(t *testing.T) {
	t.Parallel()
	many := "CREATE TABLE baskets (id text PRIMARY KEY, name text, size bigint"
	for i := range 420 {
		many += fmt.Sprintf(", c%d text", i)
	}
	for name, c := range map[string]struct {
		parameters string
		setup      []string
	}{
		"the key is unique within a partition": {"", []string{
			"CREATE TABLE baskets (id text, name text, size bigint, PRIMARY KEY (id, name)) PARTITION BY LIST (name)", "CREATE TABLE rest PARTITION OF baskets DEFAULT",
		}},
		"the key is not unique":           {"", []string{"CREATE TABLE baskets (id text, name text, size bigint)"}},
		"the key is unique among some":    {"", []string{"CREATE TABLE baskets (id text, name text, size bigint)", "CREATE UNIQUE INDEX ON baskets (id) WHERE size > 0"}},
		"the table has children":          {"", []string{baskets, "CREATE TABLE children () INHERITS (baskets)"}},
		"a function is called as one":     {"", []string{baskets, `CREATE FUNCTION to_json(text) RETURNS json LANGUAGE sql AS $$ SELECT '"mine"'::json $$`}},
		"there are very many columns":     {"", []string{many + ")"}},
		"a backslash escapes in literals": {"&standard_conforming_strings=off", []string{`CREATE TABLE baskets (id text PRIMARY KEY, name text, size bigint, "a\s" text, "b""" text)`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, skip := range []bool{false, true} {
				y := newBasketYard(t, c.parameters, skip, nil, c.setup...)
				require.NoError(t, y.db.Create(&Basket{key("c"), "one", 0}).Error)
				require.NoError(t, y.db.Model(&Basket{ID: key("c")}).Update("size", 1).Error)
				require.NoError(t, y.db.Delete(&Basket{ID: key("c")}).Error)
				require.Equal(t, []string{"created one", "updated one", "deleted one"}, y.told(t))
				changes := eventsSince(t, y.store, audit.DefaultWorkspace, time.Time{})[1].Changes
				require.JSONEq(t, `[{"field":"size","before":0,"after":1}]`, string(audit.AppendChanges(nil, changes)))
			}
		})
	}
}

func TestConditionsMayEndInAComment(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, d *Database) {
		db := openGorm(t, d)
		require.NoError(t, db.AutoMigrate(&Basket{}))
		store := wire(t, db, d, storeInDatabase, nil, []hooks.Option{hooks.Model[Basket]("basket")})
		for i := range 4 {
			require.NoError(t, db.Create(&Basket{fmt.Sprint(i), "a", int64(i)}).Error)
		}
		from := time.Now().UTC().Truncate(time.Microsecond)
		for _, write := range []func() *gorm.DB{
			func() *gorm.DB {
				return db.Model(&Basket{}).Where("id = ?", "0").Where("name = 'a' -- why").Update("size", 9)
			},
			func() *gorm.DB { return db.Model(&Basket{}).Where("size < 9 -- why").Update("name", "b") },
			func() *gorm.DB { return db.Where("id = ?", "0").Where("name = 'a' -- why").Delete(&Basket{}) },
			func() *gorm.DB { return db.Where("size < 9 -- why").Delete(&Basket{}) },
		} {
			done := write()
			require.NoError(t, done.Error)
			events := eventsSince(t, store, audit.DefaultWorkspace, from)
			require.Len(t, events, int(done.RowsAffected))
			require.NotEmpty(t, events)
			from = time.Now().UTC().Truncate(time.Microsecond)
		}
		var n int64
		require.NoError(t, db.Model(&Basket{}).Count(&n).Error)
		require.Zero(t, n)
	})
}

func TestColumnsMayBeGrantedOneByOne(t *testing.T) {
	t.Parallel()
	d := Open(t, "postgres")
	role := "granted_" + d.Namespace
	t.Cleanup(func() { _, _ = d.SQL().Exec(`DROP OWNED BY "` + role + `"; DROP ROLE "` + role + `"`) })
	store := migrated(t, d, nil)
	for _, text := range []string{
		`CREATE ROLE "` + role + `"`, `GRANT USAGE ON SCHEMA "` + d.Namespace + `" TO "` + role + `"`, baskets,
		`GRANT SELECT (id, name, size), UPDATE (name, size), INSERT (id, name, size), DELETE ON baskets TO "` + role + `"`,
		`GRANT SELECT, INSERT ON audit_events, audit_events_settings, audit_events_schema TO "` + role + `"`,
	} {
		_, err := d.SQL().Exec(text)
		require.NoError(t, err, text)
	}
	app := *d
	app.DSN += "&role=" + role
	watched, _ := tapInto(t, &app)
	db := watched.Gorm(t)
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.NoError(t, db.Use(hooks.New(rec, hooks.Model[Basket]("basket"))))
	require.NoError(t, db.Create(&Basket{key("c"), "one", 0}).Error)
	require.NoError(t, db.Model(&Basket{ID: key("c")}).Update("size", 1).Error)
	require.NoError(t, db.Delete(&Basket{ID: key("c")}).Error)
	require.Len(t, eventsSince(t, store, audit.DefaultWorkspace, time.Time{}), 3)
}

// TestATransactionThatRawSQLBeginsIsCommittedByAWriteThatNeedsOne is a limit: nobody
// tells the plugin of it.
func TestATransactionThatRawSQLBeginsIsCommittedByAWriteThatNeedsOne(t *testing.T) {
	t.Parallel()
	y := newBasketYard(t, "", true, nil, baskets)
	require.NoError(t, y.db.Connection(func(tx *gorm.DB) error {
		one := func() *gorm.DB { return tx.Session(&gorm.Session{NewDB: true}) }
		return errors.Join(one().Exec("BEGIN").Error, one().Create(&[]Basket{{key("a"), "a", 0}, {key("b"), "b", 0}}).Error, one().Exec("ROLLBACK").Error)
	}))
	var n int64
	require.NoError(t, y.raw.Model(&Basket{}).Count(&n).Error)
	require.EqualValues(t, 2, n)
	require.Equal(t, []string{"created a", "created b"}, y.told(t), "but row and event are there together")
}
