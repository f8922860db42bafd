package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/gormtrail/audit"
)

// Protections returns the SQL that makes the events' table insert-only, and the
// SQL that undoes it, for those who use a migration tool of their own. It is
// what [Store.Protect] and [Store.Unprotect] run, after the SQL of
// [Migrations]. Each text is one statement, which may hold semicolons but does
// not end in one, and may be run again without harm.
func Protections(d Dialect, cfg *Config) (protect, unprotect []string, err error) {
	n, err := cfg.names(d)
	if err != nil {
		return nil, nil, err
	}
	if protect, err = n.protection("protect"); err != nil {
		return nil, nil, err
	}
	unprotect, err = n.protection("unprotect")
	return protect, unprotect, err
}

// protection reads one of the files, in which blank lines part the statements.
func (n names) protection(file string) ([]string, error) {
	text, err := schemaFiles.ReadFile("schema/" + string(n.dialect) + "/" + file + ".sql")
	if err != nil {
		return nil, err
	}
	var list []string
	for s := range strings.SplitSeq(n.renderProtection(string(text)), "\n\n") {
		list = append(list, strings.TrimSuffix(strings.TrimSpace(s), ";"))
	}
	return list, nil
}

// renderProtection puts names and messages into the text of a protection.
// MySQL takes messages of up to 128 characters.
func (n names) renderProtection(text string) string {
	trigger := n.events + "_protect"
	return strings.NewReplacer(
		"{name}", n.events,
		"{switch}", n.deleteSwitch(),
		"{function}", n.qualified(trigger),
		"{trigger}", n.dialect.quote(trigger),
		"{trigger_name}", trigger,
		"{no_update}", n.qualified(n.events+"_no_update"),
		"{no_delete}", n.qualified(n.events+"_no_delete"),
		"{no_replace}", n.qualified(n.events+"_no_replace"),
		"{changed}", "audit: events in "+n.events+" are never changed",
		"{deleted}", "audit: events in "+n.events+" are deleted only within Store.AllowDeletes of sqlstore",
	).Replace(n.render(text))
}

// deleteSwitch is what the triggers look at before a DELETE: a setting of
// PostgreSQL, a variable of MySQL, a table of SQLite.
func (n names) deleteSwitch() string {
	switch n.dialect {
	case Postgres:
		return "audit_purge." + n.events
	case MySQL:
		return "@" + n.dialect.quote(n.events+"_purge")
	}
	return n.qualified(n.events + "_purge")
}

// Protect makes the events' table insert-only, by triggers: UPDATE always
// fails, DELETE fails outside of [Store.AllowDeletes], and so does TRUNCATE on
// PostgreSQL. INSERT works as before, the other tables are not concerned, and
// [Store.Migrate] and [Store.VerifySchema] take no notice. It may be called at
// every start.
//
// The triggers hold for everybody, the owner of the tables too, but they are a
// guard against mistakes: who may make triggers may drop them. Against somebody
// who has the application's password, see [Grants], and let another role own
// the tables and call Protect.
//
// What no trigger can refuse remains: DROP TABLE everywhere, TRUNCATE on MySQL,
// and on SQLite every program that may write to the file.
//
// The caller needs the right to make triggers. MySQL has to be 8.0.29 or newer;
// with a binary log it wants log_bin_trust_function_creators too. Protect
// returns an error that wraps [audit.ErrSchema] if there are no tables.
func (s *Store) Protect(ctx context.Context) error {
	if err := s.VerifySchema(ctx); err != nil {
		return err
	}
	if s.names.dialect == MySQL {
		// Making a trigger waits for all who write to the table and lets
		// nobody else begin, even if it is there.
		there, err := s.hasTriggers(ctx)
		if err != nil {
			return fmt.Errorf("sqlstore: protect: %w", err)
		}
		if there {
			return nil
		}
	}
	return s.runProtection(ctx, "protect")
}

// hasTriggers reports whether MySQL has both triggers.
func (s *Store) hasTriggers(ctx context.Context) (bool, error) {
	n := s.names
	var count int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM information_schema.triggers
		WHERE event_object_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND event_object_table = ? AND trigger_name IN (?, ?)`,
		n.schema, n.events, n.events+"_no_update", n.events+"_no_delete").Scan(&count)
	return count == 2, err
}

// Unprotect undoes [Store.Protect]. It may be called if nothing is protected,
// but needs the tables.
func (s *Store) Unprotect(ctx context.Context) error {
	if err := s.VerifySchema(ctx); err != nil {
		return err
	}
	return s.runProtection(ctx, "unprotect")
}

func (s *Store) runProtection(ctx context.Context, file string) error {
	list, err := s.names.protection(file)
	if err != nil {
		return err
	}
	err = s.exclusively(ctx, func(ctx context.Context, conn audit.DBTX) error {
		for _, statement := range list {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlstore: %s %s: %w", file, s.names.qualified(s.names.events), err)
	}
	return nil
}

// AllowDeletes runs do, in which tx may delete events although [Store.Protect]
// has made their table insert-only. tx is a transaction; for others, and on tx
// after do, deleting stays refused. It grants nothing: tx needs the privilege
// to delete. Without protection it just runs do, whose error it returns.
//
// Other programs may do what it does. On PostgreSQL, in a transaction and for
// the table audit_events:
//
//	SELECT set_config('audit_purge.audit_events', txid_current()::text, true)
//
// On MySQL, for the session and until the time it is set to. AllowDeletes sets a
// minute, in which the last DELETE has to begin; a connection whose transaction
// ended within do may go on deleting until then:
//
//	SET @audit_events_purge = UNIX_TIMESTAMP() + 60
//	... and then
//	SET @audit_events_purge = NULL
//
// On SQLite, in one transaction with the DELETE:
//
//	INSERT INTO audit_events_purge VALUES (1)
//	... and then
//	DELETE FROM audit_events_purge
func (s *Store) AllowDeletes(ctx context.Context, tx audit.DBTX, do func() error) (err error) {
	allow, refuse := s.names.allowDeletes()
	if s.names.dialect == SQLite {
		protected, err := s.exists(ctx, tx, s.names.events+"_purge")
		if err != nil {
			return fmt.Errorf("sqlstore: allow deletes: %w", err)
		}
		if !protected {
			return do()
		}
	}
	if _, err := tx.ExecContext(ctx, allow); err != nil {
		return fmt.Errorf("sqlstore: allow deletes: %w", err)
	}
	defer func() {
		// A transaction that failed may take no more statements; it ends what
		// was allowed when it is rolled back, except on MySQL, where every
		// connection that is left takes them.
		_, refused := tx.ExecContext(context.WithoutCancel(ctx), refuse)
		if err == nil && refused != nil {
			err = fmt.Errorf("sqlstore: refuse deletes again: %w", refused)
		}
	}()
	return do()
}

// allowDeletes are the statements that turn the switch.
func (n names) allowDeletes() (allow, refuse string) {
	s := n.deleteSwitch()
	switch n.dialect {
	case Postgres:
		return "SELECT set_config('" + s + "', txid_current()::text, true)", "SELECT set_config('" + s + "', '', true)"
	case MySQL:
		return "SET " + s + " = UNIX_TIMESTAMP() + 60", "SET " + s + " = NULL"
	}
	return "INSERT INTO " + s + " VALUES (1)", "DELETE FROM " + s
}
