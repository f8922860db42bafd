package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

func TestExecRecordsTheRowsThatItsSQLChanges(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		run  func(db *gorm.DB) (int64, error)
		want []string
		rows int64
		in   string // a database with this form; empty for all
	}{
		{"an update of what the conditions name", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("id < ?", "x3"), "UPDATE words SET name = ? WHERE id IN ?", "n", []string{"x1", "x2"})
		}, []string{`1/1 Jo updated word x1 "n": name "a" => "n"`, `2/1 Jo updated word x2 "n": name "b" => "n"`}, 2, ""},
		{"an update of a part, by a scope", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Scopes(func(db *gorm.DB) *gorm.DB { return db.Where("workspace_id = @w", map[string]any{"w": "w1"}) }),
				"/* why */ UPDATE words SET name = UPPER(name) WHERE id = 'x1'; -- and so")
		}, []string{`1/1 Jo updated word x1 "A": name "a" => "A"`}, 1, ""},
		{"an update of the model itself", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{ID: "x1"}), "UPDATE words SET name = 'n' WHERE id = 'x1'")
		}, []string{`1/1 Jo updated word x1 "n": name "a" => "n"`}, 1, ""},
		{"an update with a join", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("1 = 1"), "UPDATE words AS w SET name = v.id FROM vaults v WHERE v.name = w.name")
		}, []string{`1/1 Jo updated word x1 "v1": name "a" => "v1"`}, 1, "postgres sqlite"},
		{"an update with MySQL's join", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("1 = 1"), "UPDATE words w JOIN vaults v ON v.name = w.name SET w.name = v.id")
		}, []string{`1/1 Jo updated word x1 "v1": name "a" => "v1"`}, 1, "mysql"},
		{"an update with a query before it", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("1 = 1"), "WITH v AS (SELECT name FROM vaults) UPDATE words SET name = 'n' WHERE name IN (SELECT name FROM v)")
		}, []string{`1/1 Jo updated word x1 "n": name "a" => "n"`}, 1, "postgres sqlite"},
		{"an update of what is not audited leaves none", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Vault{}).Where("id = 'v1'"), "UPDATE vaults SET scratch = 'other'")
		}, nil, 1, ""},
		{"a redacted column", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Vault{}).Where("id = 'v1'"), "UPDATE vaults SET memo = 'canary'")
		}, []string{`1/1 Jo updated vault v1 "a": memo - redacted => - redacted`}, 1, ""},
		{"a soft-deleted row", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Entry{}).Where("id = 'e2'"), "UPDATE entries SET note = 'n' WHERE id = 'e2'")
		}, []string{`1/1 Jo updated entry e2 "n" of  (other): note "gone" => "n"`}, 1, ""},
		{"a delete, and what follows it", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Step{}).Where("venture_id = 'g'"), "DELETE FROM steps WHERE id = 's1'")
		}, []string{
			`1/1 Jo deleted step s1 "Plan": id "s1" => -; workspace_id "w1" => -; name "Plan" => -; venture_id "g" (Gemini) => -`,
			`2/1 System for Jo updated entry e1 "one" of  (other) because of 1: step_id "s1" (Plan) => null`,
		}, 1, ""},
		{"an insert from a query", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}), "INSERT INTO words (id, workspace_id, name) SELECT id, ?, name FROM vaults", "w1")
		}, []string{`1/1 Jo created word v1 "a": id - => "v1"; workspace_id - => "w1"; name - => "a"`}, 1, ""},
		{"an insert with an alias", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}), "INSERT INTO words AS w (id, workspace_id, name) VALUES ('x5', 'w1', 'e')")
		}, []string{`1/1 Jo created word x5 "e": id - => "x5"; workspace_id - => "w1"; name - => "e"`}, 1, "postgres sqlite"},
		{"a delete with MySQL's join", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("1 = 1"), "DELETE w FROM words w JOIN vaults v ON v.name = w.name")
		}, []string{`1/1 Jo deleted word x1 "a": id "x1" => -; workspace_id "w1" => -; name "a" => -`}, 1, "mysql"},
		{"a delete with MySQL's USING", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("1 = 1"), "DELETE FROM words USING words JOIN vaults v ON v.name = words.name")
		}, []string{`1/1 Jo deleted word x1 "a": id "x1" => -; workspace_id "w1" => -; name "a" => -`}, 1, "mysql"},
		{"words that deal with conflicts elsewhere", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("id = 'x1'"), "UPDATE words SET name = (SELECT conflict.name FROM words AS conflict WHERE conflict.id = 'x2') WHERE id = 'x1'")
		}, []string{`1/1 Jo updated word x1 "b": name "a" => "b"`}, 1, "postgres sqlite"},
		{"in a transaction with others", func(db *gorm.DB) (n int64, err error) {
			err = db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Create(&Word{ID: "x4", WorkspaceID: "w1"}).Error; err != nil {
					return err
				}
				n, err = hooks.Exec(tx.Model(&Word{}).Where("1 = 1"), "UPDATE words SET name = 'n' WHERE id IN ('x1', 'x4')")
				return err
			})
			return n, err
		}, []string{
			`1/1 Jo created word x4 "": id - => "x4"; workspace_id - => "w1"; name - => ""`,
			`2/1 Jo updated word x1 "n": name "a" => "n"`, `3/1 Jo updated word x4 "n": name "" => "n"`,
		}, 2, ""},
		{"a statement that finds nothing", func(db *gorm.DB) (int64, error) {
			return hooks.Exec(db.Model(&Word{}).Where("1 = 1"), "UPDATE words SET name = 'n' WHERE id = 'none'")
		}, nil, 0, ""},
	}
	Each(t, func(t *testing.T, database *Database) {
		for _, c := range cases {
			if c.in != "" && !strings.Contains(c.in, database.Name) {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				o := execOffice(t, Open(t, database.Name), storeInDatabase)
				var rows int64
				got := o.told(t, func(db *gorm.DB) (err error) {
					rows, err = c.run(db)
					return err
				})
				require.ElementsMatch(t, c.want, got)
				require.Equal(t, c.rows, rows)
			})
		}
		t.Run("with a store in memory", func(t *testing.T) {
			o := execOffice(t, Open(t, database.Name), storeInMemory)
			require.Equal(t, []string{`1/1 Jo updated word x1 "n": name "a" => "n"`}, o.told(t, func(db *gorm.DB) error {
				_, err := hooks.Exec(db.Model(&Word{ID: "x1"}), "UPDATE words SET name = 'n' WHERE id = 'x1'")
				return err
			}))
		})
	})
}

func execOffice(t *testing.T, database *Database, store newStore) *office {
	t.Helper()
	o := newOffice(t, database, store, nil)
	o.ctx = audit.WithWorkspace(o.ctx, "w1")
	o.db.Config.NowFunc = milliseconds
	o.have(t, &Venture{ID: "g", WorkspaceID: "w1", Name: "Gemini"}, &[]Step{{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "g"}, {ID: "s2", WorkspaceID: "w1", VentureID: "g"}},
		&[]Word{{ID: "x1", WorkspaceID: "w1", Name: "a"}, {ID: "x2", WorkspaceID: "w1", Name: "b"}, {ID: "x3", WorkspaceID: "w1", Name: "c"}},
		&Vault{ID: "v1", Name: "a"}, &[]Entry{{ID: "e1", WorkspaceID: "w1", Note: "one", StepID: text("s1")}, {ID: "e2", WorkspaceID: "w1", Note: "gone"}})
	require.NoError(t, o.raw.Delete(&Entry{ID: "e2"}).Error)
	return o
}

// TestExecNeverRecordsLessThanItsSQLChanges asks for what cannot be recorded.
func TestExecNeverRecordsLessThanItsSQLChanges(t *testing.T) {
	t.Parallel()
	named := func(db *gorm.DB) *gorm.DB { return db.Model(&Word{}).Where("id = 'x1'") }
	cases := []struct {
		name string
		sql  string
		from func(db *gorm.DB) *gorm.DB
		want error
	}{
		{"more rows than are named", "UPDATE words SET name = 'n'", named, hooks.ErrUnnamedRows},
		{"other rows than are named", "UPDATE words SET name = 'n' WHERE id = 'x2'", named, hooks.ErrUnnamedRows},
		{"a deletion of other rows", "DELETE FROM words WHERE id IN ('x1', 'x2')", named, hooks.ErrUnnamedRows},
		{"a new key", "UPDATE words SET id = 'x9' WHERE id = 'x1'", named, hooks.ErrUnnamedRows},
		{"no conditions", "UPDATE words SET name = 'n'", func(db *gorm.DB) *gorm.DB { return db.Model(&Word{}) }, gorm.ErrMissingWhereClause},
		{"another table", "UPDATE vaults SET name = 'n'", named, nil},
		{"several statements", "UPDATE words SET name = 'n' WHERE id = 'x1'; DELETE FROM words", named, nil},
		{"no write", "SELECT * FROM words", named, nil},
		{"an upsert", "INSERT INTO words (id, workspace_id, name) VALUES ('x1', 'w1', 'n') ON CONFLICT (id) DO UPDATE SET name = 'n'", named, nil},
		{"an upsert of MySQL", "INSERT INTO words (id, workspace_id, name) VALUES ('x1', 'w1', 'n') ON DUPLICATE KEY UPDATE name = 'n'", named, nil},
		{"a replacement", "REPLACE INTO words (id, workspace_id, name) VALUES ('x1', 'w1', 'n')", named, nil},
		{"a RETURNING", "DELETE FROM words WHERE id = 'x1' RETURNING id", named, nil},
		{"writes within WITH", "WITH x AS (DELETE FROM words RETURNING id) DELETE FROM words WHERE id = 'x1'", named, nil},
		{"a model that is not registered", "UPDATE strays SET name = 'n'", func(db *gorm.DB) *gorm.DB { return db.Model(&Stray{}).Where("1 = 1") }, nil},
		{"no model", "UPDATE words SET name = 'n'", func(db *gorm.DB) *gorm.DB { return db }, nil},
		{"SQL that is wrong", "UPDATE words SET nothing = 'n' WHERE id = 'x1'", named, nil},
	}
	Each(t, func(t *testing.T, database *Database) {
		o := execOffice(t, database, storeInDatabase)
		var before []Word
		require.NoError(t, o.raw.Order("id").Find(&before).Error)
		unchanged := func(t *testing.T) {
			var after []Word
			require.NoError(t, o.raw.Order("id").Find(&after).Error)
			require.Equal(t, before, after)
			require.Zero(t, o.database.SQL().Stats().InUse)
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				got := o.told(t, func(db *gorm.DB) error {
					n, err := hooks.Exec(c.from(db), c.sql)
					require.Zero(t, n)
					require.Error(t, err)
					if c.want != nil {
						require.ErrorIs(t, err, c.want)
					}
					return nil
				})
				require.Empty(t, got)
				unchanged(t)
			})
			t.Run(c.name+" in a transaction that goes on", func(t *testing.T) {
				require.NoError(t, o.db.WithContext(o.ctx).Transaction(func(tx *gorm.DB) error {
					_, err := hooks.Exec(c.from(tx), c.sql)
					require.Error(t, err)
					return nil
				}))
				unchanged(t)
			})
		}
		require.ErrorContains(t, func() error {
			_, err := hooks.Exec(o.raw.Model(&Word{}), "DELETE FROM words")
			return err
		}(), "plugin")
	})
}

// TestExecCannotCountOnRowsThatAreMerelyFound as MariaDB tells them if it is asked to.
func TestExecCannotCountOnRowsThatAreMerelyFound(t *testing.T) {
	t.Parallel()
	database := Open(t, "mysql")
	pool, err := sql.Open(database.Driver, database.DSN+"&clientFoundRows=true")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	database.pool = pool
	o := execOffice(t, database, storeInDatabase)
	for name, c := range map[string]struct {
		where string
		want  []string
		err   error
	}{
		"a row is left as it was": {"id IN ('x1', 'x2')", nil, hooks.ErrUnnamedRows},
		"all rows are changed":    {"id = 'x2'", []string{`1/1 Jo updated word x2 "a": name "b" => "a"`}, nil},
	} {
		require.Equal(t, c.want, o.told(t, func(db *gorm.DB) error {
			_, err := hooks.Exec(db.Model(&Word{}).Where(c.where), "UPDATE words SET name = 'a' WHERE "+c.where)
			require.ErrorIs(t, err, c.err, name)
			return db.Model(&Word{}).Where("id = 'none'").Update("name", "z").Error
		}), name)
	}
}

// TestExecHasRightOldValuesUnderConcurrentWriters counts up from many sides.
func TestExecHasRightOldValuesUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		w.seed(t)
		w.clock.next()
		errs := make(chan error, 4)
		for range 4 {
			go func() {
				var all error
				for range 10 {
					_, err := hooks.Exec(w.db.WithContext(context.Background()).Model(&Customer{}).Where("id < 3"), "UPDATE customers SET visits = visits + 1 WHERE id = 1")
					all = errors.Join(all, err)
				}
				errs <- all
			}()
		}
		for range 4 {
			require.NoError(t, <-errs)
		}
		truth, err := w.oracle.Read(context.Background())
		require.NoError(t, err)
		require.Len(t, truth, 40)
		require.Empty(t, w.oracle.Compare(truth, w.events(t)))
	})
}
