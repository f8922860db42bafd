package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// newOutside is an office of PostgreSQL whose tables have triggers.
func newOutside(t *testing.T, cfg *sqlstore.TriggersConfig) *outside {
	t.Helper()
	database := Open(t, "postgres")
	require.NoError(t, openGorm(t, database).AutoMigrate(officeTables()...))
	return installTriggers(t, database, cfg, nil, officeModels())
}

// with is the database as connections with a further parameter see it.
func (d *Database) with(t *testing.T, parameter, value string) *Database {
	t.Helper()
	u, err := url.Parse(d.DSN)
	require.NoError(t, err)
	query := u.Query()
	query.Set(parameter, value)
	u.RawQuery = query.Encode()
	as := *d
	as.DSN = u.String()
	as.pool, err = sql.Open(d.Driver, as.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, as.pool.Close()) })
	return &as
}

// in runs statements in one transaction.
func (o *outside) in(t *testing.T, commit bool, do func(tx *sql.Tx)) {
	t.Helper()
	tx, err := o.database.SQL().Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	do(tx)
	if commit {
		require.NoError(t, tx.Commit())
	}
}

func run(t *testing.T, on audit.DBTX, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := on.ExecContext(context.Background(), s)
		require.NoError(t, err, s)
	}
}

const insertWord = "INSERT INTO words (id, workspace_id, name) VALUES ('x1', 'w1', 'a')"

func TestWritersOutsideAreKnownByWhatTheySay(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	set := uuid.MustParse("0198c5e0-0000-7000-8000-000000000001")
	ctx := audit.WithActor(t.Context(), audit.Actor{Kind: audit.KindKey, ID: "k1", Name: "Sync \x00\xff"})
	ctx = audit.WithInitiator(ctx, jo)
	ctx = audit.WithOrigin(ctx, audit.OriginQuickBooks)
	ctx = audit.WithWorkspace(ctx, "w1")
	ctx = audit.WithReason(ctx, strings.Repeat("ä", 3000))
	ctx = audit.WithRequest(ctx, audit.Request{ID: strings.Repeat("r", 300), Address: "192.0.2.7", Agent: "dropped"})
	ctx = audit.WithChangeSet(ctx, set)
	before := time.Now().Truncate(time.Microsecond)
	events := o.written(t, "w1", func() {
		o.in(t, true, func(tx *sql.Tx) {
			require.NoError(t, sqlstore.PassContext(ctx, tx))
			run(t, tx, insertWord)
		})
	})
	require.Len(t, events, 1)
	e := events[0]
	require.Equal(t, uuid.Version(7), e.ID.Version())
	require.Equal(t, uuid.RFC4122, e.ID.Variant())
	sec, nsec := e.ID.Time().UnixTime()
	require.Equal(t, e.Time.UnixMilli(), time.Unix(sec, nsec).UnixMilli(), "the id is of the event's time")
	require.WithinRange(t, e.Time, before, time.Now())

	// What is too long is cut as the Recorder cuts it.
	rec, err := audit.New(o.store, nil)
	require.NoError(t, err)
	want := audit.Event{ID: e.ID, Time: e.Time, Operation: audit.Created, Entity: audit.Entity{Type: "word", ID: "x1", Label: "a"}, Changes: []audit.Change{
		{Field: "id", After: raw(`"x1"`)}, {Field: "workspace_id", After: raw(`"w1"`)}, {Field: "name", After: raw(`"a"`)},
	}}
	stamped := []audit.Event{want}
	require.NoError(t, rec.Stamp(ctx, stamped))
	stamped[0].Actor.Name = "Sync \uFFFD\uFFFD"
	require.Equal(t, stamped[0], e)

	require.Equal(t, []string{
		`1/1 postgres updated word x1 "b": name "a" => "b"`,
		`2/2 Jo updated word x1 "c": name "b" => "c"`,
		`3/3 postgres deleted word x1 "c": id "x1" => -; workspace_id "w1" => -; name "c" => -`,
	}, say(o.written(t, "w1", func() {
		run(t, o.database.SQL(), "UPDATE words SET name = 'b'")
		o.in(t, true, func(tx *sql.Tx) {
			run(t, tx, "SELECT audit_events_as(actor_id => 'u1', actor_name => 'Jo')", "UPDATE words SET name = 'c'")
		})
		run(t, o.database.SQL(), "DELETE FROM words") // on a connection that had another's settings
	})))
	last := o.written(t, "w1", func() { run(t, o.database.SQL(), insertWord) })
	require.Equal(t, audit.Actor{Kind: sqlstore.KindDatabase, ID: "postgres", Name: "postgres"}, last[0].Actor)
	require.ErrorContains(t, sqlstore.PassContext(ctx, o.database.SQL()), "needs a transaction")
}

func TestTriggersGiveATransactionOneChangeSet(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	require.Equal(t, []string{
		`1/1 postgres created word x1 "a": id - => "x1"; workspace_id - => "w1"; name - => "a"`,
		`2/1 postgres updated word x1 "d": name "a" => "d"`,
		`3/2 postgres updated word x1 "e": name "d" => "e"`,
	}, say(o.written(t, "w1", func() {
		o.in(t, true, func(tx *sql.Tx) {
			run(t, tx, insertWord, "SAVEPOINT s", "UPDATE words SET name = 'c'", "ROLLBACK TO s",
				"UPDATE words SET name = 'd'", "UPDATE words SET name = 'd'")
		})
		o.in(t, false, func(tx *sql.Tx) { run(t, tx, "UPDATE words SET name = 'rolled back'") })
		run(t, o.database.SQL(), "UPDATE words SET name = 'e'")
	})))
}

func TestWhatHooksRecordTriggersPassOver(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	app := o.database.with(t, "audit.recorded_by_hooks", "on")
	db := openGorm(t, app)
	wire(t, db, app, storeInDatabase, nil, officeModels())
	db = db.WithContext(audit.WithActor(t.Context(), jo))
	require.Equal(t, []string{
		`1/1 Jo created word x1 "a": id - => "x1"; workspace_id - => "w1"; name - => "a"`,
		`2/2 postgres updated word x1 "b": name "a" => "b"`,
		`3/3 Jo updated word x1 "c": name "b" => "c"`,
		`4/4 Jo executed word * "": statement - => "update"; table - => "words"; rows - => 1`,
	}, say(o.written(t, "w1", func() {
		require.NoError(t, db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "a"}).Error)
		run(t, o.database.SQL(), "UPDATE words SET name = 'b'")
		require.NoError(t, db.Model(&Word{ID: "x1"}).Update("name", "c").Error)
		require.NoError(t, db.WithContext(audit.WithWorkspace(db.Statement.Context, "w1")).Exec("UPDATE words SET name = 'd'").Error)
	})))
}

// TestNothingIsRecordedTwice forgets the parameter of the connections.
func TestNothingIsRecordedTwice(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	db := openGorm(t, o.database)
	rec, err := audit.New(o.store, nil)
	require.NoError(t, err)
	require.ErrorContains(t, db.Use(hooks.New(rec, officeModels()...)), "add audit.recorded_by_hooks=on to the data source name")
	require.NoError(t, o.store.VerifyConnection(t.Context(), o.database.with(t, "options", "-c audit.recorded_by_hooks=on").SQL()))

	// The triggers come while the application is running.
	require.NoError(t, o.triggers.Uninstall(t.Context()))
	require.NoError(t, db.Use(hooks.New(rec, officeModels()...)))
	require.NoError(t, o.triggers.Install(t.Context()))
	require.Empty(t, o.written(t, "w1", func() {
		err := db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "a"}).Error
		require.ErrorIs(t, err, audit.ErrAuditFailed)
		require.ErrorContains(t, err, "add audit.recorded_by_hooks=on")
	}))
	require.ErrorIs(t, db.First(&Word{}, "id = ?", "x1").Error, gorm.ErrRecordNotFound)

	// What no trigger records may be recorded by hand beside what they do.
	require.Len(t, o.written(t, "w1", func() {
		o.in(t, true, func(tx *sql.Tx) {
			run(t, tx, insertWord)
			require.NoError(t, rec.RecordTx(t.Context(), tx, audit.Event{Workspace: "w1", Operation: "approved", Entity: audit.Entity{Type: "word", ID: "x1"}}))
		})
	}), 2)
}

func TestTriggersAskTheSettings(t *testing.T) {
	t.Parallel()
	database := Open(t, "postgres")
	require.NoError(t, openGorm(t, database).AutoMigrate(officeTables()...))
	store := storeInDatabase(t, database).(*sqlstore.Store)
	settings, err := store.Settings(nil)
	require.NoError(t, err)
	_, err = store.Triggers(nil, &sqlstore.TriggersConfig{Recorder: &audit.Config{Gate: &audit.Switch{}}})
	require.ErrorContains(t, err, "cannot ask a gate of type *audit.Switch")
	o := installTriggers(t, database, &sqlstore.TriggersConfig{Recorder: &audit.Config{Gate: settings}}, nil, officeModels())
	require.Empty(t, o.written(t, "w1", func() { run(t, database.SQL(), insertWord) }))
	turn := func(enabled, word bool) {
		_, err := database.SQL().Exec("DELETE FROM audit_events_settings")
		require.NoError(t, err)
		other, err := store.Settings(nil)
		require.NoError(t, err)
		require.NoError(t, other.Set(t.Context(), "w1", func(s *audit.Switches) { s.Enabled = enabled; s.Turn(word, "word") }))
	}
	rename := func() { run(t, database.SQL(), "UPDATE words SET name = name || 'x'") }
	for _, c := range []struct{ enabled, word bool }{{true, true}, {true, false}, {false, true}} {
		turn(c.enabled, c.word)
		require.Equal(t, c.enabled && c.word, len(o.written(t, "w1", rename)) == 1, "%+v", c)
	}
}

func TestTriggersFollowTheRecordersConfig(t *testing.T) {
	t.Parallel()
	o := newOutside(t, &sqlstore.TriggersConfig{Recorder: &audit.Config{Workspace: "it's", RequireActor: true, RecordAgent: true, ShortenAddresses: true}})
	_, err := o.database.SQL().Exec(insertWord)
	require.ErrorContains(t, err, "audit: no actor")
	as := func(statements ...string) func() {
		return func() {
			o.in(t, true, func(tx *sql.Tx) {
				run(t, tx, "SELECT audit_events_as(actor_id => 'u1')", "SET LOCAL audit.request_agent = 'psql'", "SET LOCAL audit.request_address = '192.0.2.7'")
				run(t, tx, statements...)
			})
		}
	}
	events := o.written(t, "it's", as("INSERT INTO vaults (id, name) VALUES ('v', 'v')"))
	require.Len(t, events, 1)
	require.Equal(t, audit.Request{Agent: "psql"}, events[0].Request)
	o.in(t, false, func(tx *sql.Tx) {
		run(t, tx, "SELECT audit_events_as(actor_id => 'u1', workspace => 'w2')")
		_, err := tx.Exec(insertWord)
		require.ErrorContains(t, err, "audit: record and context belong to different workspaces")
	})
}

// TestTriggersWorkForThoseWhoMayNotWriteEvents has a writer with no rights but
// to one table, whom nothing it says of itself is believed.
func TestTriggersWorkForThoseWhoMayNotWriteEvents(t *testing.T) {
	t.Parallel()
	o := newOutside(t, &sqlstore.TriggersConfig{Trusted: []string{"app's \\ role"}})
	name := "audit_" + strings.ToLower(rand.Text()[:12])
	create := []string{`CREATE ROLE "` + name + `" LOGIN`, `GRANT USAGE, CREATE ON SCHEMA "` + o.database.Namespace + `" TO "` + name + `"`, `GRANT ALL ON words TO "` + name + `"`}
	run(t, o.database.SQL(), create...)
	t.Cleanup(func() { run(t, o.database.SQL(), `DROP OWNED BY "`+name+`"`, `DROP ROLE "`+name+`"`) })
	u, err := url.Parse(o.database.DSN)
	require.NoError(t, err)
	u.User = url.User(name)
	writer, err := sql.Open(o.database.Driver, u.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, writer.Close()) })
	require.Error(t, writer.QueryRow("SELECT 1 FROM audit_events").Err())

	events := o.written(t, "w1", func() {
		tx, err := writer.Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		// Functions and tables of its own in the way, and settings.
		run(t, tx, "SET LOCAL audit.recorded_by_hooks = on", "SET LOCAL audit.actor_id = 'boss'", "SET LOCAL standard_conforming_strings = off",
			"SET LOCAL extra_float_digits = -15", "CREATE TEMP TABLE audit_events (id text)", "CREATE TEMP TABLE words_of_mine (id text)",
			"CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'",
			"SET LOCAL search_path = pg_temp, "+o.database.Namespace+", pg_catalog", insertWord, "UPDATE words SET name = E'a\\\\\"b'")
		require.NoError(t, tx.Commit())
	})
	require.Equal(t, []string{
		`1/1 ` + name + ` created word x1 "a": id - => "x1"; workspace_id - => "w1"; name - => "a"`,
		`2/1 ` + name + ` updated word x1 "a\\\"b": name "a" => "a\\\"b"`,
	}, say(events))
	require.Equal(t, sqlstore.KindDatabase, events[0].Actor.Kind)
	for _, forged := range []string{
		"SELECT audit_events_write('created', 'word', 'x', '', '', false, 'w1', '[]')",
		"CREATE TABLE mine (id text); CREATE TRIGGER t AFTER TRUNCATE ON mine EXECUTE FUNCTION audit_events_truncated('word', 'false', 'x')",
	} {
		_, err := writer.Exec(forged)
		require.ErrorContains(t, err, "permission denied", forged)
	}
	require.ErrorContains(t, o.store.VerifyConnection(t.Context(), o.database.with(t, "audit.recorded_by_hooks", "on").SQL()), "Trusted")
}

func TestTriggersComeAndGo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := newOutside(t, nil)
	pool := o.database.SQL()
	left := func() (n int) {
		require.NoError(t, pool.QueryRow(`SELECT (SELECT count(*) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE NOT tgisinternal AND c.relnamespace = $1::regnamespace)
			+ (SELECT count(*) FROM pg_proc WHERE pronamespace = $1::regnamespace)`, o.database.Namespace).Scan(&n))
		return n
	}
	installed := left()
	require.NoError(t, o.triggers.Install(ctx))
	require.Equal(t, installed, left())

	// Nobody is waited for if all is there.
	o.in(t, false, func(tx *sql.Tx) {
		run(t, tx, insertWord)
		soon, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		require.NoError(t, o.triggers.Install(soon))
	})

	// The statements may be run by others, twice too.
	install, uninstall, err := o.triggers.SQL(ctx)
	require.NoError(t, err)
	for range 2 {
		o.in(t, true, func(tx *sql.Tx) { run(t, tx, install...) })
	}
	require.NoError(t, o.triggers.Verify(ctx))
	require.Equal(t, installed, left())

	run(t, pool, "ALTER TABLE words DISABLE TRIGGER ALL")
	require.ErrorIs(t, o.triggers.Verify(ctx), audit.ErrSchema)
	require.NoError(t, o.triggers.Install(ctx))
	require.NoError(t, o.triggers.Verify(ctx))

	fewer, err := o.store.Triggers(nil, nil)
	require.NoError(t, err)
	require.ErrorIs(t, fewer.Verify(ctx), audit.ErrSchema)
	require.NoError(t, fewer.Install(ctx))
	require.Less(t, left(), installed)
	require.ErrorContains(t, o.triggers.Verify(ctx), "made for other columns or by another config")
	require.NoError(t, o.triggers.Install(ctx))

	for range 2 {
		require.NoError(t, o.triggers.Uninstall(ctx))
		require.Zero(t, left())
	}
	require.ErrorIs(t, o.triggers.Verify(ctx), audit.ErrSchema)
	o.in(t, true, func(tx *sql.Tx) { run(t, tx, uninstall...) })
	require.Empty(t, o.written(t, "w1", func() { run(t, pool, insertWord) }))
}

// TestTriggersAfterAMigration adds a column and drops another.
func TestTriggersAfterAMigration(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	run(t, o.database.SQL(), insertWord, "ALTER TABLE words ADD COLUMN color text DEFAULT 'red'")
	require.NoError(t, o.triggers.Verify(t.Context()), "what is described is there")
	again := func() {
		db := openGorm(t, o.database.with(t, "audit.recorded_by_hooks", "on"))
		wire(t, db, o.database, storeInDatabase, nil, officeModels())
		tables, err := hooks.Tables(t.Context(), db)
		require.NoError(t, err)
		o.triggers, err = o.store.Triggers(tables, nil)
		require.NoError(t, err)
		require.ErrorIs(t, o.triggers.Verify(t.Context()), audit.ErrSchema)
		require.NoError(t, o.triggers.Install(t.Context()))
	}
	again()
	require.Equal(t, []string{`1/1 postgres updated word x1 "a": color "red" => "blue"`},
		say(o.written(t, "w1", func() { run(t, o.database.SQL(), "UPDATE words SET color = 'blue'") })))

	run(t, o.database.SQL(), "ALTER TABLE words DROP COLUMN color")
	_, err := o.database.SQL().Exec("UPDATE words SET name = 'b'")
	require.ErrorContains(t, err, `has no field "color"`)
	require.ErrorContains(t, o.triggers.Verify(t.Context()), `there is no column "color"`)
	again()
	run(t, o.database.SQL(), "UPDATE words SET name = 'b'")
}

func TestTruncatingIsRecorded(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	require.Equal(t, []string{`1/1 postgres executed word * "": statement - => "truncate"; table - => "words"`},
		say(o.written(t, audit.DefaultWorkspace, func() { run(t, o.database.SQL(), "TRUNCATE words CASCADE") }))[:1])
}

func TestConcurrentWritersOutside(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	run(t, o.database.SQL(), insertWord)
	const writers, rounds = 6, 20
	events := o.written(t, "w1", func() {
		var group sync.WaitGroup
		for n := range writers {
			group.Go(func() {
				ctx := audit.WithActor(context.Background(), audit.Actor{ID: numbered("u", n)})
				for range rounds {
					tx, err := o.database.SQL().Begin()
					if err != nil {
						t.Error(err)
						return
					}
					err = sqlstore.PassContext(ctx, tx)
					if err == nil {
						_, err = tx.Exec("UPDATE words SET name = txid_current() || ' ' || $1", numbered("u", n))
					}
					if err != nil {
						t.Error(err)
					}
					if err := tx.Commit(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
	})
	require.Len(t, events, writers*rounds)
	sets, last := map[uuid.UUID]bool{}, map[string]bool{}
	for _, e := range events {
		sets[e.ChangeSet] = true
		require.Contains(t, string(e.Changes[0].After.JSON), e.Actor.ID+`"`, "the author is another")
		require.False(t, last[string(e.Changes[0].Before.JSON)], "two have replaced the same value")
		last[string(e.Changes[0].Before.JSON)] = true
	}
	require.Len(t, sets, writers*rounds)
}
