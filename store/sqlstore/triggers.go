package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// KindDatabase is the kind of an actor whom nothing but the database knows: the
// role that was logged in when a trigger recorded a change. It is the actor's
// id and name too.
const KindDatabase audit.ActorKind = "database"

// TriggersConfig is how [Triggers] work. The zero TriggersConfig, and a nil one,
// record everything and believe everybody.
type TriggersConfig struct {
	// Recorder is the config of the application's Recorder, so that triggers
	// do as hooks do: Workspace, AllowWorkspaceMismatch, RequireActor and
	// RecordAgent mean the same. Under ShortenAddresses triggers keep no
	// address. The Gate is nil or the store's [Settings], which triggers look
	// up for each event; another one is an error, since the database cannot
	// ask it. Now and NewID are not used. Defaults to the zero audit.Config.
	Recorder *audit.Config

	// Trusted are the roles whose settings are believed: who acts, and that
	// hooks record what they write. What another role writes is always
	// recorded, as its own doing. A role is the one that has logged in; SET
	// ROLE does not change it. Defaults to all roles.
	Trusted []string
}

// Triggers record on PostgreSQL what is written past the hooks: by psql, by other
// services, by migrations. A trigger on each table writes the event that hooks
// would have written, in the writer's transaction, with the rights of the role
// that has installed it: the writer needs none for the events.
//
//	tables, err := hooks.Tables(ctx, db)
//	triggers, err := store.Triggers(tables, nil)
//	err = triggers.Install(ctx) // or run what triggers.SQL returns
//
// # Who records what
//
// Triggers pass over connections on which the setting audit.recorded_by_hooks
// is on. An application that uses hooks puts it into its data source name,
//
//	postgres://app@db/app?audit.recorded_by_hooks=on
//	host=db user=app options='-c audit.recorded_by_hooks=on'
//
// or has it set for its role, which poolers between need,
//
//	ALTER ROLE app SET audit.recorded_by_hooks = on
//
// so that no statement costs more than the look at a setting. If it is missing,
// nothing is told twice: db.Use fails if the triggers are there, and if they
// came later the database refuses the hooks' own event of a change that a trigger
// has recorded in the same transaction. Raw SQL of such an application is left
// to hooks.RawSQL and hooks.Exec, as without triggers.
//
// # Who acts
//
// A writer says it by settings, which end with its transaction: audit.actor_id,
// actor_name and actor_kind, initiator_id, initiator_name and initiator_kind,
// workspace, origin, reason, change_set, request_id, request_address and
// request_agent. In Go [PassContext] does it, elsewhere
//
//	SELECT set_config('audit.actor_id', '17', true)
//	SELECT audit_events_as(actor_id => '17', reason => 'asked for by Jo')
//
// of which the second is a function that comes with the triggers and has the
// name of the events' table. Without it the actor is of [KindDatabase].
//
// # What differs from hooks
//
// Each row leaves an event of its own, that of a join table too, in the order in
// which the rows were written; the events of a transaction share a change set. Rows
// that the database removes with a parent are events of the same actor and have
// no cause. There are no derived events. TRUNCATE leaves one event of the
// operation "executed", as raw SQL does. The label of a reference whose record
// was deleted just before is empty. A time in a column of text stays a text.
//
// Superusers and owners of tables can switch triggers off, and
// session_replication_role does; neither leaves an event.
type Triggers struct {
	store  *Store
	tables []audit.Table
	cfg    TriggersConfig
	rec    audit.Config
}

// Triggers returns the triggers for the tables; they are made by
// [Triggers.Install]. A nil cfg is the zero [TriggersConfig]. The error wraps
// errors.ErrUnsupported if the store is not on PostgreSQL; there is one, too, if the
// config cannot be followed.
func (s *Store) Triggers(tables []audit.Table, cfg *TriggersConfig) (*Triggers, error) {
	if s.names.dialect != Postgres {
		return nil, fmt.Errorf("sqlstore: there are no triggers for %q, only for PostgreSQL: %w", s.names.dialect, errors.ErrUnsupported)
	}
	t := &Triggers{store: s, tables: slices.Clone(tables)}
	if cfg != nil {
		t.cfg = *cfg
	}
	if t.cfg.Recorder != nil {
		t.rec = *t.cfg.Recorder
	}
	if t.rec.Workspace == "" {
		t.rec.Workspace = audit.DefaultWorkspace
	}
	if g, ok := t.rec.Gate.(*Settings); t.rec.Gate != nil && (!ok || g.store.names != s.names) {
		return nil, fmt.Errorf("sqlstore: triggers cannot ask a gate of type %T; use the Settings of the same store, or leave Gate nil to record everything", t.rec.Gate)
	}
	for _, table := range t.tables {
		if table.Name == "" || table.Type == "" || len(table.Key) == 0 {
			return nil, fmt.Errorf("sqlstore: triggers on table %q need its name, entity type and primary key; take what hooks.Tables returns", table.Name)
		}
	}
	return t, nil
}

// SQL returns the statements that make the triggers, and those that remove them,
// to be read and run by those who may. Each text is one statement without a
// semicolon at its end. Run them in one transaction: the first ones remove what
// an earlier run has made. The text depends on the tables' columns, which are
// looked up, so make it anew after a migration.
func (t *Triggers) SQL(ctx context.Context) (install, uninstall []string, err error) {
	return t.generate(ctx, t.store.db)
}

// Install makes the triggers, or brings them up to date: call it after the
// migrations. It does nothing if [Triggers.Verify] finds nothing missing; else it
// waits for those who are writing to the tables. The caller has to own the tables
// or be a superuser, and may make functions where the events are. It returns an
// error that wraps [audit.ErrSchema] if there is no table of events.
func (t *Triggers) Install(ctx context.Context) error {
	if err := t.store.VerifySchema(ctx); err != nil {
		return err
	}
	err := t.store.exclusively(ctx, func(ctx context.Context, conn audit.DBTX) error {
		install, _, err := t.generate(ctx, conn)
		if err != nil {
			return err
		}
		if missing, err := t.missing(ctx, conn, install); err != nil || missing == "" {
			return err
		}
		return runAll(ctx, conn, install)
	})
	return triggersError("install", err)
}

// Uninstall removes the triggers from all tables, those that are no longer
// described too, and their functions. It may be called if there are none.
func (t *Triggers) Uninstall(ctx context.Context) error {
	err := t.store.exclusively(ctx, func(ctx context.Context, conn audit.DBTX) error {
		_, uninstall, err := t.generate(ctx, conn)
		if err != nil {
			return err
		}
		return runAll(ctx, conn, uninstall)
	})
	return triggersError("uninstall", err)
}

// Verify returns an error that wraps [audit.ErrSchema] if a trigger is missing or
// disabled, or if the tables have other columns, or the config says something
// else, than when the triggers were made.
func (t *Triggers) Verify(ctx context.Context) error {
	install, _, err := t.generate(ctx, t.store.db)
	if err != nil {
		return triggersError("verify", err)
	}
	missing, err := t.missing(ctx, t.store.db, install)
	if err != nil {
		return triggersError("verify", err)
	}
	if missing != "" {
		return fmt.Errorf("%w: %s; call Triggers.Install, or run what Triggers.SQL returns", audit.ErrSchema, missing)
	}
	return nil
}

func triggersError(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: %s triggers: %w", doing, err)
}

func runAll(ctx context.Context, conn audit.DBTX, statements []string) error {
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// digest stands for all statements of an installation. It is kept in the
// database beside it.
func digest(install []string) string {
	sum := sha256.Sum256([]byte(strings.Join(install, ";\n")))
	return hex.EncodeToString(sum[:])
}

// missing tells what is not as the statements would make it; empty if all is.
func (t *Triggers) missing(ctx context.Context, conn audit.DBTX, install []string) (string, error) {
	n, err := t.names(ctx, conn)
	if err != nil {
		return "", err
	}
	var kept string
	err = conn.QueryRowContext(ctx, "SELECT COALESCE(obj_description(to_regprocedure($1), 'pg_proc'), '')", n.of("passed")+"()").Scan(&kept)
	switch {
	case err != nil:
		return "", err
	case kept == "":
		return "there are no triggers for " + n.events, nil
	case kept != digest(install[:len(install)-1]):
		return "the triggers for " + n.events + " were made for other columns or by another config", nil
	}
	var enabled int
	err = conn.QueryRowContext(ctx, `SELECT count(*) FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
		WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled IN ('O', 'A') AND p.pronamespace = $1::text::regnamespace AND p.proname ~ $2`,
		identifier(n.schema), n.functions()).Scan(&enabled)
	if err == nil && enabled != 2*len(t.tables)+1 {
		return "a trigger for " + n.events + " is missing or disabled", nil
	}
	return "", err
}

// VerifyConnection implements [audit.ConnectionVerifier]: it returns an error if
// [Triggers] record what is written on tx, which hooks are about to record as well.
func (s *Store) VerifyConnection(ctx context.Context, tx audit.DBTX) error {
	if s.names.dialect != Postgres {
		return nil
	}
	n := triggerNames{schema: s.names.schema, events: s.names.events}
	var there, passed bool
	err := tx.QueryRowContext(ctx, "SELECT to_regprocedure($1) IS NOT NULL", n.of("passed")+"()").Scan(&there)
	if err != nil || !there {
		return triggersError("look for", err)
	}
	if err := tx.QueryRowContext(ctx, "SELECT "+n.of("passed")+"()").Scan(&passed); err != nil {
		return triggersError("look for", err)
	}
	if !passed {
		return errors.New("sqlstore: triggers record what is written on this connection, and so would hooks: add audit.recorded_by_hooks=on to the data source name, or run ALTER ROLE ... SET audit.recorded_by_hooks = on; if TriggersConfig.Trusted is set, it must name the role")
	}
	return nil
}

// PassContext hands on to [Triggers] what the context says of a change: actor,
// initiator, workspace, origin, reason, request and change set. It is for
// programs that write by SQL without hooks. It holds for the transaction tx,
// and replaces what was said in it before; tx may not be a pool.
func PassContext(ctx context.Context, tx audit.DBTX) error {
	if _, begins := tx.(interface{ PingContext(context.Context) error }); begins {
		return errors.New("sqlstore: PassContext needs a transaction, whose end is the end of what is passed")
	}
	actor, initiator, request := audit.ActorFrom(ctx), audit.InitiatorFrom(ctx), audit.RequestFrom(ctx)
	story := ""
	if id := audit.ChangeSetFrom(ctx); id != [16]byte{} {
		story = id.String()
	}
	var calls []string
	var args []any
	for _, setting := range [...][2]string{
		{"actor_kind", string(actor.Kind)},
		{"actor_id", actor.ID},
		{"actor_name", actor.Name},
		{"initiator_kind", string(initiator.Kind)},
		{"initiator_id", initiator.ID},
		{"initiator_name", initiator.Name},
		{"workspace", audit.WorkspaceFrom(ctx)},
		{"origin", string(audit.OriginFrom(ctx))},
		{"reason", audit.ReasonFrom(ctx)},
		{"change_set", story},
		{"request_id", request.ID},
		{"request_address", request.Address},
		{"request_agent", request.Agent},
	} {
		args = append(args, strings.ReplaceAll(strings.ToValidUTF8(setting[1], "\uFFFD"), "\x00", "\uFFFD"))
		calls = append(calls, "pg_catalog.set_config('audit."+setting[0]+"', $"+strconv.Itoa(len(args))+", true)")
	}
	if _, err := tx.ExecContext(ctx, "SELECT "+strings.Join(calls, ", "), args...); err != nil {
		return fmt.Errorf("sqlstore: pass the context: %w", err)
	}
	return nil
}
