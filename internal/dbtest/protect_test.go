package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// What is tried on the events' table.
const (
	updateEvents   = "UPDATE audit_events SET actor_id = 'x'"
	deleteEvents   = "DELETE FROM audit_events"
	truncateEvents = "TRUNCATE TABLE audit_events"
)

// roles are made for one test.
type roles struct {
	sqlstore.Roles
	// The database as each of them sees it.
	application, purger, reader *Database
}

// granted makes three roles and runs what Grants gives for them, twice.
func granted(t *testing.T, db *Database, cfg *sqlstore.Config) roles {
	t.Helper()
	prefix := "audit_" + strings.ToLower(rand.Text()[:12])
	r := roles{Roles: sqlstore.Roles{Application: prefix + "_app", Purger: prefix + "_purge", Reader: prefix + "_read"}}
	r.application, r.purger, r.reader = role(t, db, r.Application), role(t, db, r.Purger), role(t, db, r.Reader)
	statements, err := sqlstore.Grants(db.Dialect, cfg, r.Roles)
	require.NoError(t, err)
	for range 2 {
		tx, err := db.SQL().Begin()
		require.NoError(t, err)
		for _, statement := range statements {
			_, err := tx.Exec(statement)
			require.NoError(t, err, statement)
		}
		require.NoError(t, tx.Commit())
	}
	return r
}

// role makes a role and returns the database as that role sees it.
func role(t *testing.T, db *Database, name string) *Database {
	t.Helper()
	create, drop := []string{`CREATE ROLE "` + name + `"`}, []string{`DROP OWNED BY "` + name + `"`, `DROP ROLE "` + name + `"`}
	dsn := db.DSN
	if db.Dialect == sqlstore.MySQL {
		password := rand.Text()
		create, drop = []string{"CREATE USER `" + name + "`@`%` IDENTIFIED BY '" + password + "'"}, []string{"DROP USER `" + name + "`@`%`"}
		cfg, err := mysqldriver.ParseDSN(dsn)
		require.NoError(t, err)
		cfg.User, cfg.Passwd = name, password
		dsn = cfg.FormatDSN()
	} else {
		create = append(create, `GRANT USAGE ON SCHEMA "`+db.Namespace+`" TO "`+name+`"`)
		dsn = asRole(t, dsn, name)
	}
	for _, statement := range create {
		_, err := db.SQL().Exec(statement)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		for _, statement := range drop {
			_, err := db.SQL().Exec(statement)
			require.NoError(t, err)
		}
	})
	pool, err := sql.Open(db.Driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	as := *db
	as.DSN, as.pool = dsn, pool
	return &as
}

// asRole makes connections of PostgreSQL begin as another role, which needs no
// password.
func asRole(t *testing.T, dsn, name string) string {
	t.Helper()
	if !strings.Contains(dsn, "://") {
		return dsn + " role=" + name
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	query := u.Query()
	query.Set("role", name)
	u.RawQuery = query.Encode()
	return u.String()
}

// storeAs returns a store without making its tables.
func storeAs(t *testing.T, db *Database, cfg *sqlstore.Config) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db.SQL(), db.Dialect, cfg)
	require.NoError(t, err)
	return store
}

// onServers runs f on the databases that are servers and have roles.
func onServers(t *testing.T, f func(t *testing.T, db *Database)) {
	t.Helper()
	for _, name := range []string{"postgres", "mysql"} {
		t.Run(name, func(t *testing.T) { f(t, Open(t, name)) })
	}
}

// requireDenied requires the database to say that the role lacks a privilege.
func requireDenied(t *testing.T, db *Database, statement string, args ...any) {
	t.Helper()
	_, err := db.SQL().Exec(statement, args...)
	if db.Dialect == sqlstore.Postgres {
		require.ErrorContains(t, err, "permission denied for table ", statement)
		return
	}
	require.ErrorContains(t, err, "Error 1142", statement)
}

func TestEachRoleDoesItsPartAndNothingElse(t *testing.T) {
	onServers(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		migrated(t, db, nil)
		r := granted(t, db, nil)

		application := storeAs(t, r.application, nil)
		require.NoError(t, application.VerifySchema(ctx))
		require.NoError(t, application.Migrate(ctx), "there is nothing to do")
		require.NoError(t, application.Append(ctx, []audit.Event{sample(1)}))
		requireStored(t, application, sample(1))
		for _, statement := range []string{
			updateEvents, deleteEvents, truncateEvents,
			"DELETE FROM audit_events_settings", "DELETE FROM audit_events_schema", "UPDATE audit_events_schema SET version = 2",
		} {
			requireDenied(t, r.application, statement)
		}
		settings := settingsOn(t, application, newSteppedClock())
		require.NoError(t, settings.Set(ctx, "w2", func(s *sqlstore.Switches) { s.Enabled = true }))
		require.NoError(t, settings.Set(ctx, "w2", func(s *sqlstore.Switches) { s.Enabled = false }))

		reader := storeAs(t, r.reader, nil)
		require.NoError(t, reader.VerifySchema(ctx))
		requireStored(t, reader, sample(1))
		read, err := settingsOn(t, reader, newSteppedClock()).Get(ctx, "w2")
		require.NoError(t, err)
		require.False(t, read.Enabled)
		require.Error(t, reader.Append(ctx, []audit.Event{sample(2)}))
		for _, statement := range []string{
			updateEvents, deleteEvents, truncateEvents,
			"INSERT INTO audit_events_settings (workspace, version, switches) VALUES ('w3', 1, '{}')",
			"UPDATE audit_events_settings SET version = 9", "DELETE FROM audit_events_settings",
		} {
			requireDenied(t, r.reader, statement)
		}

		purger := storeAs(t, r.purger, nil)
		require.NoError(t, purger.VerifySchema(ctx))
		requireStored(t, purger, sample(1))
		for _, statement := range []string{updateEvents, truncateEvents, "UPDATE audit_events_settings SET version = 9"} {
			requireDenied(t, r.purger, statement)
		}
		batch := audit.PurgeBatch{Workspace: sample(1).Workspace, To: sample(1).Time.Add(1), IDs: []uuid.UUID{sample(1).ID}, Tell: []audit.Event{sample(2)}}
		require.Error(t, application.Purge(ctx, batch))
		require.Error(t, reader.Purge(ctx, batch))
		requireStored(t, application, sample(1))
		require.NoError(t, purger.Purge(ctx, batch))
		requireStored(t, application, sample(2))
	})
}

func TestGrantsTakeBackWhatARoleHadOnTheTables(t *testing.T) {
	onServers(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		require.NoError(t, store.Append(context.Background(), []audit.Event{sample(1)}))
		r := granted(t, db, nil)
		account := `"` + r.Application + `"`
		if db.Dialect == sqlstore.MySQL {
			account = "`" + r.Application + "`@`%`"
		}
		_, err := db.SQL().Exec("GRANT ALL PRIVILEGES ON TABLE audit_events TO " + account)
		require.NoError(t, err)
		_, err = r.application.SQL().Exec(updateEvents + " WHERE 1 = 0")
		require.NoError(t, err)

		statements, err := sqlstore.Grants(db.Dialect, nil, sqlstore.Roles{Application: r.Application})
		require.NoError(t, err)
		for _, statement := range statements {
			_, err := db.SQL().Exec(statement)
			require.NoError(t, err, statement)
		}
		for _, statement := range []string{updateEvents, deleteEvents, truncateEvents} {
			requireDenied(t, r.application, statement)
		}
		requireStored(t, storeAs(t, r.application, nil), sample(1))
	})
}

func TestProtectedEventsAreNeverChanged(t *testing.T) {
	for name, table := range map[string]string{
		"with the usual name": "audit_events",
		"with a long name":    "Order_select_" + strings.Repeat("x", 27),
	} {
		t.Run(name, func(t *testing.T) {
			Each(t, func(t *testing.T, db *Database) {
				ctx := context.Background()
				cfg := &sqlstore.Config{Table: table}
				store := migrated(t, db, cfg)
				require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
				for range 2 {
					require.NoError(t, store.Protect(ctx))
				}
				require.NoError(t, store.VerifySchema(ctx))
				require.NoError(t, store.Migrate(ctx))

				quoted := `"` + table + `"`
				if db.Dialect == sqlstore.MySQL {
					quoted = "`" + table + "`"
				}
				refused := func(want, statement string, args ...any) {
					t.Helper()
					_, err := db.SQL().Exec(statement, args...)
					require.ErrorContains(t, err, "audit: events in "+table+want, statement)
				}
				const changed, deleted = " are never changed", " are deleted only within Store.AllowDeletes of sqlstore"
				refused(changed, "UPDATE "+quoted+" SET actor_id = 'x'")
				refused(deleted, "DELETE FROM "+quoted)
				columns := " (id, time, workspace, actor_kind, actor_id, operation, origin, entity_type, entity_id, entity_owner, ownership, changes, derived, schema_version)" +
					" SELECT id, time, workspace, actor_kind, 'x', operation, origin, entity_type, entity_id, entity_owner, ownership, changes, derived, schema_version FROM " + quoted
				switch db.Dialect {
				case sqlstore.Postgres:
					refused(deleted, "TRUNCATE TABLE "+quoted)
					refused(deleted, "TRUNCATE TABLE "+quoted+" CASCADE")
					refused(changed, "INSERT INTO "+quoted+columns+" ON CONFLICT (id) DO UPDATE SET actor_id = 'x'")
				case sqlstore.MySQL:
					// Which trigger of two comes first is the server's affair.
					refused(" are ", "REPLACE INTO "+quoted+columns)
					refused(changed, "INSERT INTO "+quoted+columns+" ON DUPLICATE KEY UPDATE actor_id = 'x'")
				case sqlstore.SQLite:
					for _, statement := range []string{
						"INSERT OR REPLACE INTO " + quoted + columns,
						"INSERT INTO " + quoted + columns + " WHERE true ON CONFLICT (id) DO UPDATE SET actor_id = 'x'",
					} {
						_, err := db.SQL().Exec(statement)
						require.ErrorContains(t, err, "UNIQUE constraint failed: "+table+".id", statement)
					}
				}
				require.NoError(t, store.Append(ctx, []audit.Event{sample(2), sample(3)}))
				require.ErrorIs(t, store.Append(ctx, []audit.Event{sample(4), sample(2)}), audit.ErrDuplicate)
				requireStored(t, store, sample(3), sample(2), sample(1))

				for range 2 {
					require.NoError(t, store.Unprotect(ctx))
				}
				_, err := db.SQL().Exec("UPDATE " + quoted + " SET request_id = NULL")
				require.NoError(t, err)
				_, err = db.SQL().Exec("DELETE FROM " + quoted)
				require.NoError(t, err)
				requireStored(t, store)
			})
		})
	}
}

func TestProtectedEventsAreDeletedOnlyWhereItIsAllowed(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store := migrated(t, db, nil)
		require.NoError(t, store.Append(ctx, []audit.Event{sample(1), sample(2), sample(3)}))
		// One connection, so that what is left behind on it is seen.
		db.SQL().SetMaxOpenConns(1)
		in := func(do func(tx *sql.Tx)) {
			t.Helper()
			tx, err := db.SQL().Begin()
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }() // or nobody could drop the tables
			do(tx)
		}
		refused := func(on audit.DBTX) {
			t.Helper()
			_, err := on.ExecContext(ctx, deleteEvents)
			require.ErrorContains(t, err, "audit: events in audit_events are deleted only within")
		}
		old := " WHERE time < " + strconv.FormatInt(sample(3).Time.UnixMicro(), 10)
		deletes := func(tx *sql.Tx) func() error {
			return func() error {
				result, err := tx.Exec(deleteEvents + old)
				require.NoError(t, err)
				deleted, err := result.RowsAffected()
				require.EqualValues(t, 2, deleted)
				return err
			}
		}

		in(func(tx *sql.Tx) {
			require.NoError(t, store.AllowDeletes(ctx, tx, deletes(tx)), "nothing is protected yet")
		})
		require.NoError(t, store.Protect(ctx))
		refused(db.SQL())

		in(func(tx *sql.Tx) {
			require.NoError(t, store.AllowDeletes(ctx, tx, deletes(tx)))
			refused(tx) // in the same transaction
		})
		in(func(tx *sql.Tx) {
			err := store.AllowDeletes(ctx, tx, func() error { _, err := tx.Exec(updateEvents); return err })
			require.ErrorContains(t, err, "audit: events in audit_events are never changed", "not even there")
		})
		refused(db.SQL()) // after the error
		in(func(tx *sql.Tx) {
			require.PanicsWithValue(t, "mine", func() { _ = store.AllowDeletes(ctx, tx, func() error { panic("mine") }) })
			refused(tx)
		})
		in(func(tx *sql.Tx) {
			canceled, cancel := context.WithCancel(ctx)
			require.NoError(t, store.AllowDeletes(canceled, tx, func() error { cancel(); return nil }))
			refused(tx)
			require.ErrorIs(t, store.AllowDeletes(canceled, tx, deletes(tx)), context.Canceled)
		})
		requireStored(t, store, sample(3), sample(2), sample(1))

		tx, err := db.SQL().Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }() // after a commit it does nothing
		require.NoError(t, store.AllowDeletes(ctx, tx, deletes(tx)))
		require.NoError(t, tx.Commit())
		refused(db.SQL())
		requireStored(t, store, sample(3))
	})
}

func TestDeletesAreAllowedToNoOtherTransaction(t *testing.T) {
	// SQLite has one writer at a time.
	onServers(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store := migrated(t, db, nil)
		require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
		require.NoError(t, store.Protect(ctx))
		refused := func(on audit.DBTX) {
			t.Helper()
			_, err := on.ExecContext(ctx, deleteEvents)
			require.ErrorContains(t, err, "audit: events in audit_events are deleted only within")
		}
		tx, err := db.SQL().Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		require.NoError(t, store.AllowDeletes(ctx, tx, func() error { refused(db.SQL()); return nil }))
		require.NoError(t, tx.Rollback())

		conn, err := db.SQL().Conn(ctx)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		left := []string{"SET @audit_events_purge = UNIX_TIMESTAMP() - 1", "SET @audit_events_purge = 'on'"}
		if db.Dialect == sqlstore.Postgres {
			left = []string{"SET audit_purge.audit_events = 'on'", "SELECT set_config('audit_purge.audit_events', txid_current()::text, false)"}
		}
		for _, statement := range left {
			_, err := conn.ExecContext(ctx, statement)
			require.NoError(t, err)
			refused(conn) // what a session was left with does not count
		}
		requireStored(t, store, sample(1))
	})
}

func TestOnlyThePurgerDeletesProtectedEvents(t *testing.T) {
	onServers(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store := migrated(t, db, nil)
		require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
		require.NoError(t, store.Protect(ctx))
		r := granted(t, db, nil)
		purge := func(as *Database) error {
			tx, err := as.SQL().Begin()
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }() // after a commit it does nothing
			err = storeAs(t, as, nil).AllowDeletes(ctx, tx, func() error { _, err := tx.Exec(deleteEvents); return err })
			if err != nil {
				return err
			}
			return tx.Commit()
		}
		for _, as := range []*Database{r.application, r.reader} {
			require.Error(t, purge(as), "AllowDeletes grants nothing")
			requireStored(t, store, sample(1))
		}
		_, err := r.purger.SQL().Exec(deleteEvents)
		require.ErrorContains(t, err, "audit: events in audit_events are deleted only within")
		require.NoError(t, purge(r.purger))
		requireStored(t, store)
	})
}

func TestProtectNamesWhatIsMissing(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		store := storeAs(t, db, nil)
		require.ErrorIs(t, store.Protect(context.Background()), audit.ErrSchema)
		require.ErrorIs(t, store.Unprotect(context.Background()), audit.ErrSchema)
	})
}

func TestProtectionsMayBeRunByOtherTools(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		cfg := &sqlstore.Config{Table: "trail", Schema: db.Namespace}
		store := migrated(t, db, cfg)
		require.NoError(t, store.Append(ctx, []audit.Event{sample(1)}))
		protect, unprotect, err := sqlstore.Protections(db.Dialect, cfg)
		require.NoError(t, err)
		run := func(statements []string) {
			t.Helper()
			for range 2 {
				for _, statement := range statements {
					_, err := db.SQL().Exec(statement)
					require.NoError(t, err, statement)
				}
			}
		}
		run(protect)
		_, err = db.SQL().Exec("DELETE FROM trail")
		require.ErrorContains(t, err, "audit: events in trail are deleted only within")
		require.NoError(t, store.Protect(ctx))
		run(unprotect)
		_, err = db.SQL().Exec("DELETE FROM trail")
		require.NoError(t, err)
	})
}

func TestProtectMakesADisabledTriggerAnew(t *testing.T) {
	ctx := context.Background()
	db := Open(t, "postgres")
	store := migrated(t, db, nil)
	require.NoError(t, store.Protect(ctx))
	_, err := db.SQL().Exec("ALTER TABLE audit_events DISABLE TRIGGER ALL")
	require.NoError(t, err)
	_, err = db.SQL().Exec(truncateEvents)
	require.NoError(t, err)
	require.NoError(t, store.Protect(ctx))
	_, err = db.SQL().Exec(truncateEvents)
	require.ErrorContains(t, err, "audit: events in audit_events are deleted only within")
}

func TestProtectWaitsForNobodyIfAllIsThere(t *testing.T) {
	onServers(t, func(t *testing.T, db *Database) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		store := migrated(t, db, nil)
		require.NoError(t, store.Protect(ctx))
		tx, err := db.SQL().Begin()
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback()) }()
		require.NoError(t, store.AppendTx(ctx, tx, []audit.Event{sample(1)}))
		require.NoError(t, store.Protect(ctx), "somebody is writing")
	})
}

func TestHooksRecordIntoProtectedTables(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		require.NoError(t, store.Protect(context.Background()))
		require.NoError(t, db.Gorm(t).AutoMigrate(&Customer{}))
		requireHooksRecord(t, db)
	})
}

func TestHooksRecordAsTheApplicationsRole(t *testing.T) {
	onServers(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		require.NoError(t, store.Protect(context.Background()))
		require.NoError(t, db.Gorm(t).AutoMigrate(&Customer{}))
		r := granted(t, db, nil)
		account := `"` + r.Application + `"`
		grants := []string{"GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO " + account, "GRANT USAGE ON SEQUENCE customers_id_seq TO " + account}
		if db.Dialect == sqlstore.MySQL {
			grants = []string{"GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO `" + r.Application + "`@`%`"}
		}
		for _, statement := range grants {
			_, err := db.SQL().Exec(statement)
			require.NoError(t, err)
		}
		requireHooksRecord(t, r.application)
	})
}

// requireHooksRecord uses the hooks on a database that is ready, and requires
// each write to be recorded, and nothing else.
func requireHooksRecord(t *testing.T, database *Database) {
	t.Helper()
	ctx := context.Background()
	db := database.Gorm(t)
	store := storeAs(t, database, nil)
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.NoError(t, db.Use(hooks.New(rec, hooks.Model[Customer]("customer"))))

	probed, err := store.List(ctx, audit.Filter{Workspace: "probe"}, audit.Position{}, 10)
	require.NoError(t, err)
	require.Empty(t, probed, "what db.Use tries is rolled back")

	customer := Customer{Name: "Ada", Code: "a"}
	require.NoError(t, db.Create(&customer).Error)
	require.NoError(t, db.Model(&customer).Update("name", "Bea").Error)
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error { return tx.Delete(&customer).Error }))
	events, err := store.List(ctx, audit.Filter{Workspace: audit.DefaultWorkspace}, audit.Position{}, 10)
	require.NoError(t, err)
	var got []string
	for _, e := range events {
		got = append(got, string(e.Operation)+" "+e.Entity.Label)
	}
	require.Equal(t, []string{"deleted Bea", "updated Bea", "created Ada"}, got)
	var count int
	require.NoError(t, database.SQL().QueryRow("SELECT count(*) FROM audit_events").Scan(&count))
	require.Equal(t, 3, count)
}
