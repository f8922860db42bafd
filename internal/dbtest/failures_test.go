package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/memstore"
	"github.com/gormtrail/audit/store/sqlstore"
)

// errStore is what the store of brokenStore says.
var errStore = errors.New("the store is full")

// brokenStore fails once it is told to.
type brokenStore struct {
	*sqlstore.Store
	broken atomic.Bool
}

func (s *brokenStore) AppendTx(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	if s.broken.Load() {
		return errStore
	}
	return s.Store.AppendTx(ctx, tx, events)
}

// brokenMemory cannot join a transaction and fails once it is told to.
type brokenMemory struct {
	*memstore.Store
	broken atomic.Bool
}

func (s *brokenMemory) Stage(ctx context.Context, events []audit.Event) (func(), error) {
	if s.broken.Load() {
		return nil, errStore
	}
	return s.Store.Stage(ctx, events)
}

// TestAChangeThatCannotBeRecordedFails is the contract of a strict recorder:
// both or neither, with and without GORM's own transactions.
func TestAChangeThatCannotBeRecordedFails(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB) error{
		"create": func(db *gorm.DB) error { return db.Create(&Word{ID: "x9", WorkspaceID: "w1"}).Error },
		"update": func(db *gorm.DB) error {
			return db.Model(&Word{}).Where("id = ?", "x1").Update("name", "changed").Error
		},
		"delete":      func(db *gorm.DB) error { return db.Delete(&Word{ID: "x2"}).Error },
		"soft delete": func(db *gorm.DB) error { return db.Delete(&Entry{ID: "e1"}).Error },
		"elements": func(db *gorm.DB) error {
			return db.Create(&Entry{ID: "e9", WorkspaceID: "w1", Words: []Word{{ID: "x1"}, {ID: "x8", WorkspaceID: "w1"}}}).Error
		},
		"prepared": func(db *gorm.DB) error {
			return db.Session(&gorm.Session{PrepareStmt: true}).Model(&Word{ID: "x1"}).Update("name", "changed").Error
		},
	}
	bare := quiet()
	bare.SkipDefaultTransaction = true
	configs := map[string]*gorm.Config{"with GORM's transactions": quiet(), "without GORM's transactions": bare}
	Each(t, func(t *testing.T, database *Database) {
		for name, cfg := range configs {
			for kind, store := range map[string]func(*testing.T, *Database) (audit.Store, *atomic.Bool){
				"store in the database": func(t *testing.T, database *Database) (audit.Store, *atomic.Bool) {
					s := &brokenStore{Store: storeInDatabase(t, database).(*sqlstore.Store)}
					return s, &s.broken
				},
				"store in memory": func(*testing.T, *Database) (audit.Store, *atomic.Bool) {
					s := &brokenMemory{Store: memstore.New()}
					return s, &s.broken
				},
			} {
				t.Run(name+", "+kind, func(t *testing.T) {
					var broken *atomic.Bool
					o := newOffice(t, Open(t, database.Name), func(t *testing.T, d *Database) (s audit.Store) {
						s, broken = store(t, d)
						return s
					}, nil, cfg)
					o.have(t, &[]Word{{ID: "x1", WorkspaceID: "w1"}, {ID: "x2", WorkspaceID: "w1"}}, &Entry{ID: "e1", WorkspaceID: "w1"})
					before := o.rows(t)
					for write, run := range writes {
						broken.Store(true)
						err := run(o.db.WithContext(o.ctx))
						require.ErrorIs(t, err, audit.ErrAuditFailed, write)
						require.ErrorIs(t, err, errStore, write)
						require.Equal(t, before, o.rows(t), "%s left a change without its event", write)
						require.Zero(t, o.database.SQL().Stats().InUse, write)
					}
					require.Empty(t, eventsSince(t, o.store, "w1", time.Time{}))
					broken.Store(false)
					require.NoError(t, writes["update"](o.db.WithContext(o.ctx)), "and it works again")
					require.Len(t, eventsSince(t, o.store, "w1", time.Time{}), 1)
				})
			}
		}
	})
}

// rows are what is in the tables that the writes change.
func (o *office) rows(t *testing.T) (all []map[string]any) {
	t.Helper()
	for _, table := range []string{"words", "entries", "entry_words"} {
		var rows []map[string]any
		require.NoError(t, o.raw.Table(table).Find(&rows).Error)
		all = append(all, rows...)
	}
	return all
}

func TestCallbacksOfTheApplicationMayFailOrPanic(t *testing.T) {
	t.Parallel()
	gates := map[string]audit.GateFunc{
		"fails": func(context.Context, audit.DBTX, string, audit.EntityType) (bool, error) { return false, errStore },
		"panics": func(context.Context, audit.DBTX, string, audit.EntityType) (bool, error) {
			panic("with something secret")
		},
	}
	for name, gate := range gates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, Open(t, "sqlite"), storeInDatabase, &audit.Config{Gate: gate})
			err := o.db.WithContext(o.ctx).Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error
			require.ErrorIs(t, err, audit.ErrAuditFailed)
			require.NotContains(t, err.Error(), "secret")
			require.Empty(t, o.rows(t))
			require.Zero(t, o.database.SQL().Stats().InUse)
		})
	}
}

func TestACancelledContextChangesNothing(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		ctx, cancel := context.WithCancel(o.ctx)
		cancel()
		err := o.db.WithContext(ctx).Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, o.rows(t))
		require.Empty(t, eventsSince(t, o.store, "w1", time.Time{}))
		require.Zero(t, database.SQL().Stats().InUse)
	})
}

// nowhere has no table, keyless no key.
type (
	Keyless struct {
		Name string
	}
	Orphan struct {
		ID   string `gorm:"primaryKey;size:20"`
		Name string `audit:"lable"`
	}
)

func TestRegistrationNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	word := hooks.Model[Word]("word")
	inDatabase := func(t *testing.T, d *Database) audit.Store { return storeInDatabase(t, d) }
	cases := map[string]struct {
		store newStore
		opts  []hooks.Option
		is    error
		want  []string
	}{
		"a child that is not registered": {inDatabase, []hooks.Option{hooks.Model[Firm]("firm", hooks.Cascade[Venture]("firm_id"))}, nil, []string{"Venture", "not registered"}},
		"a child without such a column":  {inDatabase, []hooks.Option{hooks.Model[Firm]("firm", hooks.Cascade[Venture]("firm")), hooks.Model[Venture]("venture")}, nil, []string{"Venture", `"firm"`}},
		"what is no model":               {inDatabase, []hooks.Option{hooks.Model[string]("text")}, nil, []string{"string", "struct"}},
		"an interface":                   {inDatabase, []hooks.Option{hooks.Model[any]("text")}, nil, []string{"struct"}},
		"a model without a primary key":  {inDatabase, []hooks.Option{hooks.Model[Keyless]("keyless")}, nil, []string{"Keyless", "primary key"}},
		"a model that is named twice":    {inDatabase, []hooks.Option{word, hooks.Model[Word]("again")}, nil, []string{"Word", "twice"}},
		"a model without a type":         {inDatabase, []hooks.Option{hooks.Model[Word]("")}, nil, []string{"Word", "entity type"}},
		"a tag that means nothing":       {inDatabase, []hooks.Option{hooks.Model[Orphan]("orphan")}, nil, []string{"Orphan", "lable"}},
		"an option for no column":        {inDatabase, []hooks.Option{hooks.Model[Word]("word", hooks.Ignore("namex"))}, nil, []string{"Word", "namex"}},
		"a nil option":                   {inDatabase, []hooks.Option{nil}, nil, []string{"nil option"}},
		"a store without its table": {func(t *testing.T, d *Database) audit.Store {
			s, err := sqlstore.New(d.SQL(), d.Dialect, nil)
			require.NoError(t, err)
			return s
		}, []hooks.Option{word}, audit.ErrSchema, []string{"Migrate"}},
		"a store in another database": {func(t *testing.T, d *Database) audit.Store {
			return storeInDatabase(t, Open(t, d.Name))
		}, []hooks.Option{word}, nil, []string{"another database", "hooks.SeparateDatabase"}},
	}
	Each(t, func(t *testing.T, database *Database) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				d := Open(t, database.Name)
				rec, err := audit.New(c.store(t, d), nil)
				require.NoError(t, err)
				db := openGorm(t, d)
				require.NoError(t, db.AutoMigrate(&Firm{}, &Venture{}, &Word{}))
				err = db.Use(hooks.New(rec, c.opts...))
				require.Error(t, err)
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				for _, want := range c.want {
					require.ErrorContains(t, err, want)
				}
				require.NotContains(t, err.Error(), d.DSN)
				require.NoError(t, db.Create(&Word{ID: "x"}).Error, "GORM is as it was")
				require.Zero(t, d.SQL().Stats().InUse)
			})
		}
	})
}

func TestRegistrationNeedsARecorderAndHappensOnce(t *testing.T) {
	t.Parallel()
	d := Open(t, "sqlite")
	require.ErrorContains(t, openGorm(t, d).Use(hooks.New(nil)), "needs a recorder, got nil")

	rec, err := audit.New(storeInDatabase(t, d), nil)
	require.NoError(t, err)
	db, plugin := openGorm(t, d), hooks.New(rec, hooks.Model[Word]("word"))
	require.NoError(t, db.Use(plugin))
	require.ErrorIs(t, db.Use(hooks.New(rec, hooks.Model[Word]("word"))), gorm.ErrRegistered)
	require.ErrorContains(t, openGorm(t, d).Use(plugin), "in use already")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, openGorm(t, d).WithContext(ctx).Use(hooks.New(rec, hooks.Model[Word]("word"))), context.Canceled)
}

// TestAStoreElsewhereWorksIfTheProgramSaysSo gives up atomicity and nothing
// else: what is rolled back still leaves nothing.
func TestAStoreElsewhereWorksIfTheProgramSaysSo(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		store := storeInDatabase(t, Open(t, "sqlite"))
		rec, err := audit.New(store, nil)
		require.NoError(t, err)
		db := openGorm(t, database)
		require.NoError(t, db.AutoMigrate(&Word{}))
		require.NoError(t, db.Use(hooks.New(rec, hooks.Model[Word]("word"), hooks.SeparateDatabase())))
		require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
			return errors.Join(tx.Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error, ErrHook)
		}), ErrHook)
		require.Empty(t, eventsSince(t, store, "w1", time.Time{}))
		require.NoError(t, db.Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error)
		require.Len(t, eventsSince(t, store, "w1", time.Time{}), 1)
	})
}

// TestTwoFilesOfSQLiteAreTwoDatabases is the mistake that goes unnoticed
// longest: the same file name in another directory.
func TestTwoFilesOfSQLiteAreTwoDatabases(t *testing.T) {
	t.Parallel()
	first, second := Open(t, "sqlite"), Open(t, "sqlite")
	require.Equal(t, filepath.Base(first.DSN)[:7], filepath.Base(second.DSN)[:7])
	rec, err := audit.New(storeInDatabase(t, second), nil)
	require.NoError(t, err)
	storeInDatabase(t, first) // the table is there, too
	require.ErrorContains(t, openGorm(t, first).Use(hooks.New(rec, hooks.Model[Word]("word"))), "another database")
}

// TestWhatEndsAStatementIsNotTakenForAFailureToRecord compares errors with GORM's.
func TestWhatEndsAStatementIsNotTakenForAFailureToRecord(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		over := func(db *gorm.DB) *gorm.DB {
			tx := db.Begin()
			require.NoError(t, tx.Rollback().Error)
			return tx
		}
		ended := func(db *gorm.DB) *gorm.DB {
			ctx, end := context.WithCancel(db.Statement.Context)
			end()
			return db.WithContext(ctx).Session(&gorm.Session{SkipDefaultTransaction: true})
		}
		upsert := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, UpdateAll: true}
		for _, write := range []func(db *gorm.DB) error{
			func(db *gorm.DB) error { return over(db).Clauses(upsert).Create(&Label{ID: 1, Name: "a"}).Error },
			func(db *gorm.DB) error { return over(db).Delete(&Venture{ID: "1"}).Error },
			func(db *gorm.DB) error { return ended(db).Create(&Label{ID: 1, Name: "a"}).Error },
			func(db *gorm.DB) error { return ended(db).Delete(&Venture{ID: "1"}).Error },
		} {
			err := write(w.db.WithContext(w.ctx))
			require.ErrorIs(t, err, write(w.raw.WithContext(w.ctx)))
			require.NotErrorIs(t, err, audit.ErrAuditFailed)
		}
		if database.Name != "sqlite" { // whose transactions all write
			for _, write := range []func(db *gorm.DB) error{
				func(db *gorm.DB) error { return db.Clauses(upsert).Create(&Label{ID: 1, Name: "a"}).Error },
				func(db *gorm.DB) error { return db.Delete(&Customer{ID: 1}).Error },
			} {
				tx := w.db.WithContext(w.ctx).Begin(&sql.TxOptions{ReadOnly: true})
				err := write(tx)
				require.Error(t, err)
				require.NotErrorIs(t, err, audit.ErrAuditFailed)
				require.NoError(t, tx.Rollback().Error)
			}
		}
		require.Zero(t, database.SQL().Stats().InUse)
	})
}

// TestARefusedCommitOfSQLiteLeavesNoTransactionBehind has a deferred foreign key
// refuse the plugin's own transactions.
func TestARefusedCommitOfSQLiteLeavesNoTransactionBehind(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "sqlite"), []string{
		"CREATE TABLE lands (code text PRIMARY KEY)", "CREATE TABLE towns (id int PRIMARY KEY, land text REFERENCES lands (code) DEFERRABLE INITIALLY DEFERRED)",
		"INSERT INTO lands VALUES ('at')",
	})
	require.ErrorContains(t, db.Exec("INSERT INTO towns VALUES (1, 'none')").Error, "FOREIGN KEY")
	db = db.Session(&gorm.Session{SkipDefaultTransaction: true})
	require.ErrorContains(t, db.Create(&Town{ID: 1, Land: "none"}).Error, "FOREIGN KEY")
	for range 3 {
		require.NoError(t, db.Create(&Town{ID: 1, Land: "at"}).Error)
		require.NoError(t, db.Delete(&Town{ID: 1}).Error)
	}
	require.Len(t, recorded(), 6)
}
