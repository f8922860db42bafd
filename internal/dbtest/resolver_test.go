package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/plugin/dbresolver"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// resolved is an office whose statements dbresolver leads to one of several
// databases. The replica is a second database with the same keys and other
// values, so that whatever is read from it shows.
type resolved struct {
	*office
	replica *office
}

// resolverSetup says how the plugins are put together.
type resolverSetup struct {
	store         newStore
	resolverFirst bool
	config        func(t *testing.T, primary, replica *Database) *dbresolver.DBResolver
	gorm          *gorm.Config
}

// aReplica is the usual configuration: GORM's own connections for what writes,
// another database for what reads.
func aReplica(_ *testing.T, _, replica *Database) *dbresolver.DBResolver {
	return dbresolver.Register(dbresolver.Config{Replicas: []gorm.Dialector{replica.Dialector()}})
}

func newResolved(t *testing.T, primary, replica *Database, s resolverSetup) *resolved {
	t.Helper()
	cfg := quiet()
	if s.gorm != nil {
		cfg.PrepareStmt, cfg.SkipDefaultTransaction = s.gorm.PrepareStmt, s.gorm.SkipDefaultTransaction
	}
	r := &resolved{
		office:  &office{database: primary, raw: openGorm(t, primary), db: openGorm(t, primary, cfg), clock: newClock()},
		replica: &office{database: replica, raw: openGorm(t, replica)},
	}
	r.ctx = audit.WithActor(context.Background(), jo)
	require.NoError(t, r.raw.AutoMigrate(officeTables()...))
	require.NoError(t, r.replica.raw.AutoMigrate(officeTables()...))
	if s.resolverFirst && s.config != nil {
		require.NoError(t, r.db.Use(s.config(t, primary, replica)))
	}
	r.store = wire(t, r.db, primary, s.store, &audit.Config{Now: r.clock.Now}, officeModels())
	if !s.resolverFirst && s.config != nil {
		require.NoError(t, r.db.Use(s.config(t, primary, replica)))
	}
	r.have(t, resolverRows("current")...)
	r.replica.have(t, resolverRows("stale")...)
	return r
}

// resolverRows are rows whose values tell which database they are in.
func resolverRows(where string) []any {
	return []any{
		&Firm{ID: "f1", WorkspaceID: "w1", Name: "firm " + where},
		&Venture{ID: "v1", WorkspaceID: "w1", Name: "venture " + where, FirmID: text("f1")},
		&Step{ID: "s1", WorkspaceID: "w1", Name: "step " + where, VentureID: "v1"},
		&Step{ID: "s2", WorkspaceID: "w1", Name: "second " + where, VentureID: "v1"},
		&Entry{ID: "e1", WorkspaceID: "w1", Note: "entry " + where, VentureID: text("v1"), StepID: text("s1"), UserID: text("u1")},
		&Word{ID: "w1", WorkspaceID: "w1", Name: "word " + where},
	}
}

// resolverWrites are writes of every kind on the rows of resolverRows, with the
// clauses by which a statement chooses its connections.
func resolverWrites() []func(db *gorm.DB) error {
	return []func(db *gorm.DB) error{
		func(db *gorm.DB) error { return db.Model(&Step{ID: "s1"}).Update("name", "a").Error },
		func(db *gorm.DB) error { return db.Model(&Step{}).Where("name <> ?", "a").Update("name", "b").Error },
		func(db *gorm.DB) error {
			return db.Clauses(dbresolver.Read).Model(&Step{ID: "s2"}).Update("name", "c").Error
		},
		func(db *gorm.DB) error {
			return db.Clauses(dbresolver.Write).Model(&Step{ID: "s2"}).Update("name", "d").Error
		},
		func(db *gorm.DB) error {
			return db.Create(&Entry{ID: "e2", WorkspaceID: "w1", VentureID: text("v1"), Words: []Word{{ID: "w2", WorkspaceID: "w1", Name: "new"}}}).Error
		},
		func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Word{ID: "w1", WorkspaceID: "w1", Name: "upserted"}).Error
		},
		func(db *gorm.DB) error {
			return db.Model(&Entry{ID: "e1"}).Association("Words").Append(&Word{ID: "w1", WorkspaceID: "w1"})
		},
		func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Model(&Firm{ID: "f1"}).Update("name", "inside").Error; err != nil {
					return err
				}
				undone := tx.Transaction(func(tx *gorm.DB) error {
					if err := tx.Model(&Firm{ID: "f1"}).Update("name", "undone").Error; err != nil {
						return err
					}
					return gorm.ErrInvalidData
				})
				if undone == nil {
					return gorm.ErrInvalidTransaction
				}
				return tx.Delete(&Step{ID: "s1"}).Error
			})
		},
		func(db *gorm.DB) error { return db.Exec("UPDATE words SET name = 'raw' WHERE id = 'w1'").Error },
		func(db *gorm.DB) error {
			_, err := hooks.Exec(db.Model(&Word{}).Where("id = ?", "w1"), "UPDATE words SET name = 'exec' WHERE id = 'w1'")
			return err
		},
		func(db *gorm.DB) error { return db.Delete(&Entry{ID: "e1"}).Error },
		func(db *gorm.DB) error { return db.Delete(&Venture{ID: "v1"}).Error },
	}
}

func (r *resolved) tell(t *testing.T) (all [][]string) {
	t.Helper()
	for _, write := range resolverWrites() {
		all = append(all, r.told(t, write))
	}
	return all
}

// TestImagesComeFromThePrimary runs the same writes with dbresolver and without
// it: the events must be the same, in whatever order the plugins are put in.
func TestImagesComeFromThePrimary(t *testing.T) {
	t.Parallel()
	configs := map[string]func(t *testing.T, primary, replica *Database) *dbresolver.DBResolver{
		"a replica": aReplica,
		"a source of its own and a replica": func(t *testing.T, primary, replica *Database) *dbresolver.DBResolver {
			return dbresolver.Register(dbresolver.Config{
				Sources: []gorm.Dialector{secondPool(t, primary)}, Replicas: []gorm.Dialector{replica.Dialector()},
			})
		},
		"several sources": func(t *testing.T, primary, replica *Database) *dbresolver.DBResolver {
			return dbresolver.Register(dbresolver.Config{
				Sources: []gorm.Dialector{secondPool(t, primary), primary.Dialector()}, Replicas: []gorm.Dialector{replica.Dialector()},
			})
		},
		"for some models": func(t *testing.T, primary, replica *Database) *dbresolver.DBResolver {
			return dbresolver.Register(dbresolver.Config{
				Sources: []gorm.Dialector{secondPool(t, primary)}, Replicas: []gorm.Dialector{replica.Dialector()},
			}, &Step{}, "words").Register(dbresolver.Config{Replicas: []gorm.Dialector{replica.Dialector()}}, "entries")
		},
	}
	stores := map[string]newStore{"store in database": storeInDatabase, "store in memory": storeInMemory}
	gorms := map[string]*gorm.Config{
		"": {}, ", prepared statements": {PrepareStmt: true},
		", no default transactions": {SkipDefaultTransaction: true}, ", both": {PrepareStmt: true, SkipDefaultTransaction: true},
	}
	Each(t, func(t *testing.T, database *Database) {
		want := map[string][][]string{}
		for name, store := range stores {
			want[name] = newResolved(t, Open(t, database.Name), Open(t, database.Name), resolverSetup{store: store}).tell(t)
		}
		for configName, config := range configs {
			for storeName, store := range stores {
				for gormName, g := range gorms {
					plain := !g.PrepareStmt && !g.SkipDefaultTransaction
					if database.Name != "sqlite" && !plain && (configName != "a replica" || g.PrepareStmt != g.SkipDefaultTransaction) {
						continue // the servers take their time to make tables
					}
					for order, first := range map[string]bool{"resolver first": true, "hooks first": false} {
						t.Run(fmt.Sprintf("%s, %s, %s%s", configName, storeName, order, gormName), func(t *testing.T) {
							t.Parallel()
							r := newResolved(t, Open(t, database.Name), Open(t, database.Name), resolverSetup{store, first, config, g})
							require.Equal(t, want[storeName], r.tell(t))
							r.requireStale(t)
						})
					}
				}
			}
		}
	})
}

// TestOtherDatabasesAreRefused has a source that is another database. The store
// would not find the events there, though tables for them are.
func TestOtherDatabasesAreRefused(t *testing.T) {
	t.Parallel()
	elsewhere := func(t *testing.T, _, other *Database) *dbresolver.DBResolver {
		return dbresolver.Register(dbresolver.Config{Sources: []gorm.Dialector{other.Dialector()}}, &Word{})
	}
	writes := map[string]func(db *gorm.DB) error{
		"a write": func(db *gorm.DB) error { return db.Model(&Word{ID: "w1"}).Update("name", "x").Error },
		"a manual transaction": func(db *gorm.DB) error {
			tx := db.Model(&Word{}).Clauses(dbresolver.Use("words"), dbresolver.Write).Begin()
			defer tx.Rollback()
			if err := tx.Session(&gorm.Session{NewDB: true}).Model(&Word{ID: "w1"}).Update("name", "x").Error; err != nil {
				return err
			}
			return tx.Commit().Error
		},
		"an event recorded by hand": func(db *gorm.DB) error {
			tx := db.Model(&Word{}).Clauses(dbresolver.Use("words"), dbresolver.Write).Begin()
			defer tx.Rollback()
			return hooks.Record(tx, audit.Event{Workspace: "w1", Operation: "approved", Entity: audit.Entity{Type: "word", ID: "w1"}})
		},
		"raw SQL": func(db *gorm.DB) error { return db.Exec("UPDATE words SET name = 'x' WHERE id = 'w1'").Error },
		"hooks.Exec in a manual transaction": func(db *gorm.DB) error {
			tx := db.Model(&Word{}).Clauses(dbresolver.Use("words"), dbresolver.Write).Begin()
			defer tx.Rollback()
			_, err := hooks.Exec(tx.Session(&gorm.Session{NewDB: true}).Model(&Word{}).Where("id = 'w1'"), "UPDATE words SET name = 'x' WHERE id = 'w1'")
			return err
		},
	}
	Each(t, func(t *testing.T, database *Database) {
		for order, first := range map[string]bool{"resolver first": true, "hooks first": false} {
			other := Open(t, database.Name)
			storeInDatabase(t, other)
			r := newResolved(t, Open(t, database.Name), other, resolverSetup{storeInDatabase, first, elsewhere, nil})
			for name, write := range writes {
				t.Run(order+", "+name, func(t *testing.T) {
					err := write(r.db.WithContext(r.ctx))
					require.ErrorIs(t, err, audit.ErrAuditFailed)
					require.ErrorContains(t, err, "another database than the store's; give the store the database")
					require.ErrorContains(t, err, "hooks.SeparateDatabase")
					require.Zero(t, other.SQL().Stats().InUse)
					r.requireStale(t)
					require.Empty(t, eventsSince(t, r.store, "w1", time.Time{}))
				})
			}
			require.Len(t, r.told(t, func(db *gorm.DB) error { return db.Model(&Step{ID: "s2"}).Update("name", "x").Error }), 1)
		}
	})
}

// TestEventsOfOtherDatabasesAreHeld has the same source and a store that does
// not join transactions, which may be anywhere.
func TestEventsOfOtherDatabasesAreHeld(t *testing.T) {
	t.Parallel()
	elsewhere := func(_ *testing.T, _, other *Database) *dbresolver.DBResolver {
		return dbresolver.Register(dbresolver.Config{Sources: []gorm.Dialector{other.Dialector()}}, &Word{})
	}
	write := func(db *gorm.DB) error { return db.Model(&Word{ID: "w1"}).Update("name", "x").Error }
	manual := func(db *gorm.DB) error {
		tx := db.Model(&Word{}).Clauses(dbresolver.Use("words"), dbresolver.Write).Begin()
		defer tx.Rollback()
		if err := tx.Session(&gorm.Session{NewDB: true}).Model(&Word{ID: "w1"}).Update("name", "y").Error; err != nil {
			return err
		}
		return tx.Commit().Error
	}
	Each(t, func(t *testing.T, database *Database) {
		for order, first := range map[string]bool{"resolver first": true, "hooks first": false} {
			t.Run(order, func(t *testing.T) {
				r := newResolved(t, Open(t, database.Name), Open(t, database.Name), resolverSetup{storeInMemory, first, elsewhere, nil})
				require.Equal(t, []string{`1/1 Jo updated word w1 "x": name "word stale" => "x"`}, r.told(t, write))
				if !first {
					require.Equal(t, []string{`1/1 Jo updated word w1 "y": name "x" => "y"`}, r.told(t, manual))
					return
				}
				// The resolver has taken connections that nobody watches.
				err := manual(r.db.WithContext(r.ctx))
				require.ErrorIs(t, err, audit.ErrAuditFailed)
				require.ErrorContains(t, err, "without a clause that chooses other connections")
			})
		}
	})
}

// TestAConfigurationMayOpenSeveral opens a second *gorm.DB with the
// configuration of the first, whose plugin it brings along.
func TestAConfigurationMayOpenSeveral(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		cfg := *o.db.Config
		second, err := gorm.Open(secondPool(t, database), &cfg)
		require.NoError(t, err)
		require.Len(t, o.told(t, func(*gorm.DB) error {
			return second.WithContext(o.ctx).Create(&Word{ID: "w1", WorkspaceID: "w1"}).Error
		}), 1)

		cfg = *o.db.Config
		further := map[string]string{"sqlite": "postgres", "postgres": "sqlite", "mysql": "sqlite"}[database.Name]
		_, err = gorm.Open(Open(t, further).Dialector(), &cfg)
		require.ErrorContains(t, err, "in use on "+database.Name+" and cannot serve "+further)
	})
}

// requireStale proves that nothing was written to the replica, and that reads
// go there: else nothing above would be proved.
func (r *resolved) requireStale(t *testing.T) {
	t.Helper()
	var words []string
	require.NoError(t, r.replica.raw.Model(&Word{}).Pluck("name", &words).Error)
	require.Equal(t, []string{"word stale"}, words)
	var read []string
	require.NoError(t, r.db.Model(&Word{}).Pluck("name", &read).Error)
	require.Equal(t, []string{"word stale"}, read)
}

// secondPool returns GORM's dialect on another pool on a database.
func secondPool(t *testing.T, d *Database) gorm.Dialector {
	t.Helper()
	other := *d
	pool, err := sql.Open(d.Driver, d.DSN)
	require.NoError(t, err)
	pool.SetMaxOpenConns(4)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	other.pool = pool
	return other.Dialector()
}
