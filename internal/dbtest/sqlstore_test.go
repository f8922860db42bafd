package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
	"github.com/gormtrail/audit/store/storetest"
)

func TestSQLStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	// A table for each rule is quicker than a database for each.
	newStore := func(db *Database) func(t *testing.T) *sqlstore.Store {
		var tables atomic.Int64
		return func(t *testing.T) *sqlstore.Store {
			return migrated(t, db, &sqlstore.Config{Table: fmt.Sprintf("events_%d", tables.Add(1))})
		}
	}
	t.Run("store", func(t *testing.T) {
		Each(t, func(t *testing.T, db *Database) {
			empty := newStore(db)
			storetest.Run(t, func(t *testing.T) audit.Store { return empty(t) })
		})
	})
	t.Run("transactions", func(t *testing.T) {
		Each(t, func(t *testing.T, db *Database) {
			empty := newStore(db)
			storetest.RunTx(t, func(t *testing.T) (audit.TxStore, *sql.DB) {
				store := empty(t)
				t.Cleanup(func() { db.SQL().SetMaxOpenConns(8) })
				return store, db.SQL()
			})
		})
	})
}

// migrated returns a store with its tables.
func migrated(tb testing.TB, db *Database, cfg *sqlstore.Config) *sqlstore.Store {
	tb.Helper()
	store, err := sqlstore.New(db.SQL(), db.Dialect, cfg)
	require.NoError(tb, err)
	require.NoError(tb, store.Migrate(context.Background()))
	return store
}

func TestConfigsThatCannotWorkAreRefused(t *testing.T) {
	db := new(sql.DB)
	for name, c := range map[string]struct {
		db      *sql.DB
		dialect sqlstore.Dialect
		cfg     *sqlstore.Config
		want    string
	}{
		"no database":       {nil, sqlstore.SQLite, nil, "sqlstore: New needs a database, got nil"},
		"no dialect":        {db, "", nil, `sqlstore: unknown dialect "", use sqlstore.SQLite, Postgres or MySQL`},
		"an unknown one":    {db, "oracle", nil, `sqlstore: unknown dialect "oracle", use sqlstore.SQLite, Postgres or MySQL`},
		"a quote":           {db, sqlstore.Postgres, &sqlstore.Config{Table: `a"b`}, `sqlstore: Table "a\"b" must be up to 40 letters, digits and underscores, not beginning with a digit`},
		"a digit first":     {db, sqlstore.MySQL, &sqlstore.Config{Table: "1a"}, `sqlstore: Table "1a" must be up to 40 letters, digits and underscores, not beginning with a digit`},
		"too long a table":  {db, sqlstore.MySQL, &sqlstore.Config{Table: strings.Repeat("a", 41)}, `sqlstore: Table "` + strings.Repeat("a", 41) + `" must be up to 40 letters, digits and underscores, not beginning with a digit`},
		"schema of SQLite":  {db, sqlstore.SQLite, &sqlstore.Config{Schema: "main"}, `sqlstore: Schema is "main" but SQLite has none, leave it empty`},
		"schema with a dot": {db, sqlstore.Postgres, &sqlstore.Config{Schema: "a.b"}, `sqlstore: Schema "a.b" must be up to 63 letters, digits and underscores, not beginning with a digit`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlstore.New(c.db, c.dialect, c.cfg)
			require.EqualError(t, err, c.want)
			if c.db != nil {
				_, err = sqlstore.Migrations(c.dialect, c.cfg)
				require.EqualError(t, err, c.want)
			}
		})
	}
}

func TestMigrateMayRunAgainAndAtOnce(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		const processes = 4
		errs := make([]error, processes)
		var wg sync.WaitGroup
		for i := range processes {
			wg.Add(1)
			go func() {
				defer wg.Done()
				pool, err := sql.Open(db.Driver, db.DSN)
				if err != nil {
					errs[i] = err
					return
				}
				defer func() { _ = pool.Close() }()
				store, err := sqlstore.New(pool, db.Dialect, nil)
				if err != nil {
					errs[i] = err
					return
				}
				errs[i] = store.Migrate(context.Background())
			}()
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		store := migrated(t, db, nil)
		require.NoError(t, store.VerifySchema(context.Background()))
		require.NoError(t, store.Append(context.Background(), []audit.Event{sample(1)}))
		require.NoError(t, store.Migrate(context.Background()))
		requireStored(t, store, sample(1))
	})
}

func TestMigrationsMayBeRunByOtherTools(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		cfg := &sqlstore.Config{Table: "trail"}
		texts, err := sqlstore.Migrations(db.Dialect, cfg)
		require.NoError(t, err)
		for range 2 {
			for _, text := range texts {
				require.NotContains(t, text, "{")
				for statement := range strings.SplitSeq(text, ";\n") {
					if strings.TrimSpace(statement) == "" {
						continue
					}
					_, err := db.SQL().ExecContext(context.Background(), statement)
					require.NoError(t, err)
				}
			}
		}
		store, err := sqlstore.New(db.SQL(), db.Dialect, cfg)
		require.NoError(t, err)
		require.NoError(t, store.VerifySchema(context.Background()))
	})
}

func TestVerifySchemaNamesTheRemedy(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store, err := sqlstore.New(db.SQL(), db.Dialect, nil)
		require.NoError(t, err)
		quoted := func(table string) string {
			if db.Dialect == sqlstore.MySQL {
				return "`" + table + "`"
			}
			return `"` + table + `"`
		}
		requireSchema := func(want string) {
			t.Helper()
			err := store.VerifySchema(ctx)
			require.ErrorIs(t, err, audit.ErrSchema)
			require.EqualError(t, err, "audit: store schema does not fit: "+want)
		}
		exec := func(statement string) {
			t.Helper()
			_, err := db.SQL().ExecContext(ctx, statement)
			require.NoError(t, err)
		}
		const remedy = "; call Store.Migrate, or run the SQL of sqlstore.Migrations"
		requireSchema("there is no table " + quoted("audit_events_schema") + remedy)
		require.NoError(t, store.Migrate(ctx))
		require.NoError(t, store.VerifySchema(ctx))

		exec("DROP TABLE audit_events")
		requireSchema("there is no table " + quoted("audit_events") + remedy)
		require.NoError(t, store.Migrate(ctx), "a lost table is made again")

		exec("DELETE FROM audit_events_schema")
		requireSchema("the tables of " + quoted("audit_events") + " are at version 0, this program needs 2" + remedy)
		require.NoError(t, store.Migrate(ctx))

		exec("INSERT INTO audit_events_schema (version) VALUES (3)")
		requireSchema("the tables of " + quoted("audit_events") + " are at version 3, this program knows 2; upgrade github.com/gormtrail/audit")
		require.ErrorIs(t, store.Migrate(ctx), audit.ErrSchema)
	})
}

func TestTablesMayHaveOtherNamesAndAnotherSchema(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		cfg := &sqlstore.Config{Table: "Order_select_" + strings.Repeat("x", 27)}
		if db.Namespace != "" {
			other := Open(t, db.Name)
			cfg.Schema = other.Namespace
		}
		store := migrated(t, db, cfg)
		require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
		requireStored(t, store, sample(1))
		same, err := store.SameDatabase(ctx, db.SQL())
		require.NoError(t, err)
		require.True(t, same)

		beside := migrated(t, db, nil)
		requireStored(t, beside)
	})
}

func TestSameDatabase(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		open := func(driver, dsn string) *sql.DB {
			pool, err := sql.Open(driver, dsn)
			require.NoError(t, err)
			t.Cleanup(func() { _ = pool.Close() })
			pool.SetMaxOpenConns(1)
			return pool
		}
		store := migrated(t, db, nil)
		same := func(pool *sql.DB) bool {
			t.Helper()
			is, err := store.SameDatabase(ctx, pool)
			require.NoError(t, err)
			return is
		}
		require.True(t, same(db.SQL()), "the store's own pool")
		require.True(t, same(open(db.Driver, db.DSN)), "another pool on the same database")

		other := Open(t, db.Name)
		require.False(t, same(other.SQL()), "another database")
		migrated(t, other, nil)
		require.False(t, same(other.SQL()), "another database with a table of the same name")

		_, err := store.SameDatabase(ctx, nil)
		require.EqualError(t, err, "sqlstore: SameDatabase needs a connection, got nil")
	})
	t.Run("SQLite in memory is the same only for its own pool", func(t *testing.T) {
		one, err := sql.Open("sqlite", ":memory:")
		require.NoError(t, err)
		defer func() { _ = one.Close() }()
		two, err := sql.Open("sqlite", ":memory:")
		require.NoError(t, err)
		defer func() { _ = two.Close() }()
		store, err := sqlstore.New(one, sqlstore.SQLite, nil)
		require.NoError(t, err)
		is, err := store.SameDatabase(context.Background(), one)
		require.NoError(t, err)
		require.True(t, is)
		is, err = store.SameDatabase(context.Background(), two)
		require.NoError(t, err)
		require.False(t, is)
	})
}

func TestErrorsOfAClosedDatabaseHoldNoDSN(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		pool, err := sql.Open(db.Driver, db.DSN)
		require.NoError(t, err)
		store, err := sqlstore.New(pool, db.Dialect, nil)
		require.NoError(t, err)
		require.NoError(t, pool.Close())
		_, listed := store.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 1)
		_, same := store.SameDatabase(ctx, db.SQL())
		for _, err := range []error{
			store.Append(ctx, []audit.Event{sample(1)}), store.Migrate(ctx), store.VerifySchema(ctx), listed, same,
		} {
			require.ErrorContains(t, err, "sqlstore: ")
			require.NotErrorIs(t, err, audit.ErrSchema)
			require.NotContains(t, err.Error(), db.DSN)
			require.NotContains(t, err.Error(), "127.0.0.1")
		}
	})
}

// spy keeps the statement that is run on it.
type spy struct {
	audit.DBTX
	text string
	args []any
}

func (s *spy) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s.text, s.args = text, args
	return s.DBTX.QueryContext(ctx, text, args...)
}

func TestTheDatabaseDoesTheFiltering(t *testing.T) {
	// Go compares once more what the database found; see Store.ListTx. These
	// filters leave it nothing to sort out.
	wanted := sample(1)
	wanted.ID = uuid.UUID{0: 9}
	wanted.Time = sample(50).Time
	wanted.Actor = audit.System
	wanted.Operation, wanted.Origin, wanted.Ownership = audit.Deleted, audit.OriginAPI, audit.OwnershipOther
	wanted.Entity = audit.Entity{Type: audit.TypeTag, ID: "t1", Label: "Urgent", Owner: "18"}
	wanted.Changes = []audit.Change{{Field: "rate", After: audit.Value{JSON: []byte("1")}}}
	wanted.Cause, wanted.ChangeSet = uuid.UUID{0: 7}, uuid.UUID{0: 8}
	filters := map[string]audit.Filter{
		"From":       {From: wanted.Time, To: sample(59).Time},
		"To":         {To: wanted.Time.Add(1), From: wanted.Time.Add(-1)},
		"IDs":        {IDs: []uuid.UUID{wanted.ID}},
		"Actors":     {Actors: []audit.Actor{audit.System}},
		"Actions":    {Actions: []audit.Action{{Type: audit.TypeTag, Operation: audit.Updated}, {Operation: audit.Deleted}}},
		"Origins of": {Actions: []audit.Action{{Origins: []audit.Origin{audit.OriginAPI}}}},
		"Ownership":  {Actions: []audit.Action{{Ownership: audit.OwnershipOther}}},
		"Types":      {Types: []audit.EntityType{audit.TypeTag}},
		"Entities":   {Entities: []audit.Entity{wanted.Entity}},
		"Owners":     {Owners: []string{"18"}},
		"Origins":    {Origins: []audit.Origin{audit.OriginAPI}},
		"Fields":     {Fields: []string{"rate"}},
		"Causes":     {Causes: []uuid.UUID{wanted.Cause}},
		"ChangeSets": {ChangeSets: []uuid.UUID{wanted.ChangeSet}},
		"Text":       {Text: "RGEN"},
	}
	Each(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		foreign := wanted
		foreign.ID, foreign.Workspace = uuid.UUID{0: 10}, "w2"
		require.NoError(t, store.Append(context.Background(), []audit.Event{sample(1), sample(2), wanted, sample(3), sample(59), foreign}))
		for name, f := range filters {
			f.Workspace = "w1"
			for _, after := range []audit.Position{{}, {Time: wanted.Time.Add(time.Hour)}, {Time: wanted.Time, ID: foreign.ID}} {
				s := &spy{DBTX: db.SQL()}
				got, err := store.ListTx(context.Background(), s, f, after, 50)
				require.NoError(t, err, name)
				require.Equal(t, []audit.Event{wanted}, got, name)
				var n int
				require.NoError(t, db.SQL().QueryRow("SELECT count(*) FROM ("+s.text+") AS found", s.args...).Scan(&n), name)
				require.Equal(t, 1, n, "%s: the database found events that are not wanted", name)
			}
		}
	})
}

func TestIdsThatAreTooLongAreRefusedAlike(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		e := sample(1)
		e.Entity.ID = strings.Repeat("x", 192)
		require.ErrorIs(t, store.Append(context.Background(), []audit.Event{sample(2), e}), audit.ErrInvalidEvent)
		requireStored(t, store)
	})
}

// sample is an event of the workspace w1.
func sample(n int) audit.Event {
	return audit.Event{
		ID:            uuid.UUID{0: 1, 14: byte(n >> 8), 15: byte(n)},
		Time:          time.Date(2024, 5, 1, 9, 0, n, 0, time.UTC),
		Workspace:     "w1",
		Actor:         audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"},
		Operation:     audit.Updated,
		Entity:        audit.Entity{Type: audit.TypeProject, ID: "p1", Label: "Apollo"},
		Changes:       []audit.Change{{Field: "name", Before: audit.Value{JSON: []byte(`"Gemini"`)}, After: audit.Value{JSON: []byte(`"Apollo"`)}}},
		SchemaVersion: audit.SchemaVersion,
	}
}

// requireStored requires the workspace w1 to hold these events, newest first.
func requireStored(t *testing.T, store audit.Store, want ...audit.Event) {
	t.Helper()
	got, err := store.List(context.Background(), audit.Filter{Workspace: "w1"}, audit.Position{}, 1000)
	require.NoError(t, err)
	if len(want) == 0 {
		require.Empty(t, got)
		return
	}
	require.Equal(t, want, got)
}
