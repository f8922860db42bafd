package dbtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// withPolicy is an office whose plugin treats raw SQL by a policy.
func withPolicy(t *testing.T, database *Database, store newStore, policy hooks.RawPolicy, opts ...gorm.Option) *office {
	t.Helper()
	o := &office{database: database, raw: openGorm(t, database), db: openGorm(t, database, opts...), clock: newClock()}
	require.NoError(t, o.raw.AutoMigrate(officeTables()...))
	o.store = wire(t, o.db, database, store, &audit.Config{Now: o.clock.Now}, append(officeModels(), hooks.RawSQL(policy)))
	o.ctx = audit.WithWorkspace(audit.WithActor(context.Background(), jo), "w1")
	o.have(t, &[]Word{{ID: "x1", WorkspaceID: "w1", Name: "a"}, {ID: "x2", WorkspaceID: "w1", Name: "b"}}, &[]Vault{{ID: "x1", Name: "a"}, {ID: "x2", Name: "b"}}, &Stray{ID: "s"})
	return o
}

// rawWrites are ways to write by raw SQL, and what they leave.
var rawWrites = []struct {
	name  string
	write func(db *gorm.DB) error
	want  []string
	not   string // databases without it, and "prepared" if it cannot be
}{
	{"Exec", func(db *gorm.DB) error { return db.Exec("UPDATE vaults SET name = ?", "canary").Error }, []string{
		`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"; rows - => 2`,
	}, ""},
	{"Exec of a generic", func(db *gorm.DB) error {
		return gorm.G[Vault](db).Exec(db.Statement.Context, "DELETE FROM vaults WHERE id = 'x1'")
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"; rows - => 1`}, ""},
	{"Exec that finds nothing", func(db *gorm.DB) error { return db.Exec("DELETE FROM vaults WHERE id = 'none'").Error }, nil, ""},
	{"Exec with named arguments", func(db *gorm.DB) error {
		return db.Exec("UPDATE vaults SET name = @name WHERE id IN @ids", map[string]any{"name": "n", "ids": []string{"x1", "x2"}}).Error
	}, []string{`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"; rows - => 2`}, ""},
	{"Exec in a transaction with a savepoint that is rolled back", func(db *gorm.DB) error {
		return db.Transaction(func(tx *gorm.DB) error {
			inner := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(tx.Exec("DELETE FROM vaults").Error, ErrHook) })
			if !errors.Is(inner, ErrHook) {
				return inner
			}
			return errors.Join(tx.Exec("UPDATE vaults SET name = 'n' WHERE id = 'x2'").Error, tx.Create(&Word{ID: "x3", WorkspaceID: "w1"}).Error)
		})
	}, []string{
		`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"; rows - => 1`,
		`2/1 Jo created word x3 "": id - => "x3"; workspace_id - => "w1"; name - => ""`,
	}, ""},
	{"Raw with Find", func(db *gorm.DB) error {
		var vaults []Vault
		err := db.Raw("DELETE FROM vaults WHERE id = 'x1' RETURNING *").Find(&vaults).Error
		if len(vaults) != 1 || vaults[0].Name != "a" {
			err = errors.Join(err, errors.New("the application does not get its row"))
		}
		return err
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, ""},
	{"Raw with First that finds nothing", func(db *gorm.DB) error {
		if err := db.Raw("DELETE FROM vaults WHERE id = 'none' RETURNING *").First(&Vault{}).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
			return errors.Join(err, errors.New("not GORM's error"))
		}
		return nil
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, ""},
	{"Raw with Scan", func(db *gorm.DB) error {
		var id string
		err := db.Raw("DELETE FROM vaults WHERE id = 'x1' RETURNING id").Scan(&id).Error
		if id != "x1" {
			err = errors.Join(err, errors.New("the application does not get its row"))
		}
		return err
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, ""},
	{"Raw with Scan in a transaction", func(db *gorm.DB) error {
		return db.Transaction(func(tx *gorm.DB) error {
			var id string
			return tx.Raw("DELETE FROM vaults WHERE id = 'x1' RETURNING id").Scan(&id).Error
		})
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, ""},
	{"Raw with WITH", func(db *gorm.DB) error {
		return db.Raw("WITH gone AS (DELETE FROM vaults RETURNING id), w2 AS (UPDATE firms SET name = '' RETURNING id) SELECT count(*) FROM gone").Scan(new(int)).Error
	}, []string{
		`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`,
		`2/1 Jo executed firm * "": statement - => "update"; table - => "firms"`,
	}, "sqlite mysql"},
	{"WITH that gives a subquery the name of a verb", func(db *gorm.DB) error {
		return db.Exec("WITH replace AS (SELECT 'x1' AS id) DELETE FROM vaults WHERE id IN (SELECT id FROM replace)").Error
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"; rows - => 1`}, "mysql"},
	{"WITH that gives a subquery the name of its own verb", func(db *gorm.DB) error {
		return db.Exec("WITH update AS (UPDATE vaults SET name = 'n' RETURNING id), delete AS (SELECT 1) INSERT INTO vaults SELECT id || 'b' FROM update").Error
	}, []string{
		`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"`,
		`2/1 Jo executed vault * "": statement - => "insert"; table - => "vaults"`,
	}, "sqlite mysql"},
	{"a parent whose children the database changes", func(db *gorm.DB) error {
		return db.Exec("DELETE FROM steps WHERE id = 's1'").Error
	}, []string{
		`1/1 Jo executed step * "": statement - => "delete"; table - => "steps"; rows - => 1`,
		`2/1 Jo executed entry * "" of  (other): statement - => "delete"; table - => "steps"`,
	}, ""},
	{"a parent that is not there", func(db *gorm.DB) error {
		return db.Exec("DELETE FROM steps WHERE id = 'none'").Error
	}, nil, ""},
	{"SQL that fails", func(db *gorm.DB) error {
		if db.Exec("INSERT INTO vaults (id) VALUES ('x1')").Error == nil {
			return errors.New("it did not fail")
		}
		return nil
	}, nil, ""},
	{"a name between the marks of a text", func(db *gorm.DB) error { return db.Exec("UPDATE 'vaults' SET name = 'n'").Error }, []string{
		`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"; rows - => 2`,
	}, "postgres mysql"},
	{"a name in other signs", func(db *gorm.DB) error { return db.Exec(`UPDATE U&"v\0061ults" SET name = 'n'`).Error }, []string{
		`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"; rows - => 2`,
	}, "sqlite mysql"},
	{"a block of PostgreSQL", func(db *gorm.DB) error {
		return db.Exec("DO $$ BEGIN IF EXISTS (SELECT 1 FROM strays) THEN DELETE FROM vaults; END IF; END $$").Error
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, "sqlite mysql"},
	{"a block of PostgreSQL that is not the first statement", func(db *gorm.DB) error {
		return db.Exec(`SET lock_timeout = '5s'; DO $$ BEGIN PERFORM 1; END $$; DO E'BEGIN\n\tUPDATE vaults SET name = \'n\'; END'`).Error
	}, []string{`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"`}, "sqlite mysql prepared"},
	{"a block of MariaDB", func(db *gorm.DB) error {
		return db.Exec("BEGIN NOT ATOMIC IF EXISTS (SELECT 1 FROM strays) THEN DELETE FROM vaults; END IF; END").Error
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, "sqlite postgres"},
	{"a statement that is explained", func(db *gorm.DB) error {
		return db.Exec(map[string]string{"postgres": "EXPLAIN (ANALYZE, FORMAT JSON)", "mysql": "ANALYZE FORMAT=JSON"}[db.Name()] + " DELETE FROM vaults").Error
	}, []string{`1/1 Jo executed vault * "": statement - => "delete"; table - => "vaults"`}, "sqlite"},
	{"a statement that is explained without being run", func(db *gorm.DB) error {
		return errors.Join(db.Exec("EXPLAIN (ANALYZE false) DELETE FROM vaults").Error, db.Exec("EXPLAIN (COSTS off, ANALYZE 0) DELETE FROM vaults").Error)
	}, nil, "sqlite mysql"},
	{"a statement for no version of MariaDB", func(db *gorm.DB) error {
		return db.Exec("/*!999999 DELETE FROM vaults; */ SELECT 1").Error
	}, nil, "sqlite postgres"},
	{"a borrowed connection", func(db *gorm.DB) error {
		return db.Connection(func(tx *gorm.DB) error { return tx.Exec("UPDATE vaults SET name = 'n'").Error })
	}, []string{`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"; rows - => 2`}, ""},
}

// TestRawSQLMayControlItsTransactionItself where the plugin would open one.
func TestRawSQLMayControlItsTransactionItself(t *testing.T) {
	t.Parallel()
	for text, database := range controlsItself {
		t.Run(text, func(t *testing.T) {
			database := Open(t, database)
			o := withPolicy(t, database, storeInDatabase, hooks.RecordRaw)
			require.Equal(t, []string{`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"`}, o.told(t, func(db *gorm.DB) error {
				return db.Exec(text).Error
			}))
			require.Zero(t, database.SQL().Stats().InUse)
			requireRenamedVaults(t, o)
		})
	}
}

// controlsItself is raw SQL that begins or ends a transaction, or is not for within
// one, and the database that runs it.
var controlsItself = map[string]string{
	"PRAGMA foreign_keys=0; BEGIN; UPDATE vaults SET name = 'n'; COMMIT; PRAGMA foreign_keys=1":        "sqlite",
	"UPDATE vaults SET name = 'n'; VACUUM":                                                             "sqlite",
	"BEGIN; UPDATE vaults SET name = 'n'; COMMIT":                                                      "postgres",
	"DO $$BEGIN UPDATE vaults SET name = 'n'; COMMIT; END$$":                                           "postgres",
	`DO E'BEGIN UPDATE vaults SET name = \'n\'; COMMIT; END'`:                                          "postgres",
	"BEGIN NOT ATOMIC SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; UPDATE vaults SET name = 'n'; END": "mysql",
}

func requireRenamedVaults(t *testing.T, o *office) {
	t.Helper()
	var changed int64
	require.NoError(t, o.raw.Model(&Vault{}).Where("name = 'n'").Count(&changed).Error)
	require.EqualValues(t, 2, changed)
}

// TestRawSQLThatControlsItsTransactionMayLoseItsEvent to a crash, here that of the
// log, or to an error in a later statement.
func TestRawSQLThatControlsItsTransactionMayLoseItsEvent(t *testing.T) {
	t.Parallel()
	for text, database := range controlsItself {
		t.Run(text, func(t *testing.T) {
			database := Open(t, database)
			o := withPolicy(t, database, storeInDatabase, hooks.RecordRaw)
			require.NoError(t, o.raw.Exec("ALTER TABLE audit_events RENAME TO lost_events").Error)
			require.ErrorIs(t, o.db.WithContext(o.ctx).Exec(text).Error, audit.ErrAuditFailed)
			require.NoError(t, o.raw.Exec("ALTER TABLE lost_events RENAME TO audit_events").Error)
			require.Empty(t, eventsSince(t, o.store, "w1", o.clock.Now()))
			requireRenamedVaults(t, o)
			require.Zero(t, database.SQL().Stats().InUse)
			if database.Name == "mysql" || strings.HasPrefix(text, "DO") {
				return // it is one statement
			}
			require.Empty(t, o.told(t, func(db *gorm.DB) error {
				require.ErrorContains(t, db.Exec(text+"; DELETE FROM nowhere").Error, "nowhere")
				return nil
			}))
			requireRenamedVaults(t, o)
		})
	}
}

func TestSeveralStatementsLeaveAnEventWhateverTheLastOneFinds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} { // MySQL's driver runs one at a time
		t.Run(name, func(t *testing.T) {
			o := withPolicy(t, Open(t, name), storeInDatabase, hooks.RecordRaw)
			require.Equal(t, []string{`1/1 Jo executed vault * "": statement - => "update"; table - => "vaults"`}, o.told(t, func(db *gorm.DB) error {
				return db.Exec("UPDATE vaults SET name = 'n'; UPDATE strays SET id = 's' WHERE id = 'none'").Error
			}))
		})
	}
}

func TestRawSQLLeavesAnEventOfTheStatement(t *testing.T) {
	t.Parallel()
	untransacted := quiet()
	untransacted.SkipDefaultTransaction = true
	prepared := quiet()
	prepared.PrepareStmt = true
	for name, c := range map[string]struct {
		store newStore
		cfg   *gorm.Config
	}{
		"store in the database":   {storeInDatabase, quiet()},
		"store in memory":         {storeInMemory, quiet()},
		"no default transactions": {storeInDatabase, untransacted},
		"prepared statements":     {storeInDatabase, prepared},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				for _, w := range rawWrites {
					if strings.Contains(w.not, database.Name) || c.cfg.PrepareStmt && strings.Contains(w.not, "prepared") {
						continue
					}
					t.Run(w.name, func(t *testing.T) {
						cfg := *c.cfg
						o := withPolicy(t, Open(t, database.Name), c.store, hooks.RecordRaw, &cfg)
						o.have(t, &Venture{ID: "v1", WorkspaceID: "w1"}, &Step{ID: "s1", WorkspaceID: "w1", VentureID: "v1"})
						o.clock.next()
						require.NoError(t, w.write(o.db.WithContext(o.ctx)))
						require.Zero(t, o.database.SQL().Stats().InUse)
						require.Equal(t, w.want, say(eventsSince(t, o.store, "w1", o.clock.Now())))
					})
				}
			})
		})
	}
}

func TestRawSQLIsRefusedIfThePolicySaysSo(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := withPolicy(t, database, storeInDatabase, hooks.RefuseRaw)
		db := o.db.WithContext(o.ctx)
		for name, write := range map[string]func() error{
			"Exec":          func() error { return db.Exec("UPDATE words SET name = 'canary'").Error },
			"Raw with Scan": func() error { return db.Raw("DELETE FROM words RETURNING id").Scan(new(string)).Error },
			"Raw with Find": func() error { return db.Raw("DELETE FROM words RETURNING id").Find(&[]Word{}).Error },
			"Raw with Row": func() error {
				rows, err := db.Raw("DELETE FROM words RETURNING id").Rows()
				if rows != nil {
					defer rows.Close()
					return errors.Join(err, rows.Err())
				}
				return err
			},
			"a join table":            func() error { return db.Exec("DELETE FROM `entry_words`").Error },
			"a name of another case":  func() error { return db.Exec("delete from WORDS").Error },
			"what follows a SELECT":   func() error { return db.Exec("SELECT 1; DELETE FROM words").Error },
			"what follows a deletion": func() error { return db.Exec("DELETE FROM firms").Error },
		} {
			if name == "a join table" && database.Name == "postgres" {
				continue // which quotes otherwise
			}
			err := write()
			require.ErrorIs(t, err, hooks.ErrRawSQL, name)
			require.NotContains(t, err.Error(), "canary")
		}
		var n int64
		require.NoError(t, db.Model(&Word{}).Count(&n).Error)
		require.EqualValues(t, 2, n)
		require.Zero(t, database.SQL().Stats().InUse)

		require.NoError(t, db.Exec("UPDATE strays SET name = 'n'").Error)
		require.NoError(t, db.Raw("SELECT count(*) FROM words").Scan(&n).Error)
		require.NoError(t, db.Model(&Word{ID: "x1"}).Update("name", "by GORM").Error)
		require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
			return errors.Join(tx.SavePoint("sp").Error, tx.RollbackTo("sp").Error)
		}))
		require.Len(t, eventsSince(t, o.store, "w1", o.clock.Now()), 1)
	})
}

// Renamed is [Word] with another column and another type of an old one.
type Renamed struct {
	ID          string `gorm:"primaryKey;size:20"`
	WorkspaceID string `gorm:"size:30;not null;default:'w'"`
	Name        string `gorm:"size:90"`
	Color       string `gorm:"size:5;default:'red'"`
}

// TableName makes it the same table.
func (Renamed) TableName() string { return "words" }

func TestTheMigratorsOwnStatementsAreNotRefused(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := withPolicy(t, database, storeInDatabase, hooks.RefuseRaw)
		db := o.db.WithContext(o.ctx)
		require.NoError(t, db.AutoMigrate(officeTables()...))
		require.NoError(t, db.AutoMigrate(&Renamed{}))
		require.NoError(t, db.Migrator().AlterColumn(&Renamed{}, "Name"))
		require.NoError(t, db.Migrator().DropColumn(&Renamed{}, "Color"))
		require.NoError(t, db.Migrator().DropTable(&Vault{}))
	})
}

func TestRawSQLMayBeAllowed(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := withPolicy(t, database, storeInDatabase, hooks.AllowRaw)
		db := o.db.WithContext(o.ctx)
		require.NoError(t, db.Exec("UPDATE words SET name = 'n'").Error)
		require.Empty(t, eventsSince(t, o.store, "w1", o.clock.Now()))
	})
}

func TestRawSQLAndItsEventAreAtomic(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := withPolicy(t, database, storeInDatabase, hooks.RecordRaw)
		require.NoError(t, o.raw.Exec("DROP TABLE audit_events").Error)
		db := o.db.WithContext(o.ctx)
		require.ErrorIs(t, db.Exec("DELETE FROM words").Error, audit.ErrAuditFailed)
		require.ErrorIs(t, db.Raw("DELETE FROM words RETURNING id").Find(&[]Word{}).Error, audit.ErrAuditFailed)
		require.ErrorIs(t, db.Raw("DELETE FROM words RETURNING id").Scan(new(string)).Error, audit.ErrAuditFailed)
		var n int64
		require.NoError(t, o.raw.Model(&Word{}).Count(&n).Error)
		require.EqualValues(t, 2, n)
		require.Zero(t, database.SQL().Stats().InUse)
	})
}
