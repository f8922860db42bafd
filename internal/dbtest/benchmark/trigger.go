package main

import (
	"context"
	"strings"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// The logs of triggers.
const (
	triggerLog = "trigger_events"
	oursLog    = "ours_events"
)

// triggerEntries are audited by a row trigger as a competent team writes it: it
// writes a row with the old and the new image as JSON into a log that is as wide
// as that of package sqlstore and has its most important indexes. On servers it
// takes the actor from a variable of the session, which the application would
// have to set by one more statement in each transaction; that is not measured.
func triggerEntries(db *gorm.DB) variant {
	return through[triggerEntry]{target[triggerEntry]{"row trigger", db, func(e Entry) triggerEntry { return triggerEntry{e} }, triggerLog}}
}

// oursEntries are audited by the triggers that package sqlstore generates.
func oursEntries(db *gorm.DB) variant {
	return through[oursEntry]{target[oursEntry]{"our trigger", db, func(e Entry) oursEntry { return oursEntry{e} }, oursLog}}
}

// triggerTable is the log of the hand-written trigger; its key and its time
// have types of their own on each database.
const triggerTable = `CREATE TABLE trigger_events (
	{key}, {time}, workspace VARCHAR(36) NOT NULL,
	actor_kind VARCHAR(20) NOT NULL, actor_id VARCHAR(100) NOT NULL, actor_name VARCHAR(200),
	initiator_kind VARCHAR(20), initiator_id VARCHAR(100), initiator_name VARCHAR(200),
	operation VARCHAR(20) NOT NULL, origin VARCHAR(20) NOT NULL,
	entity_type VARCHAR(40) NOT NULL, entity_id VARCHAR(100) NOT NULL, entity_label VARCHAR(200), entity_owner VARCHAR(36) NOT NULL,
	old_row {json}, new_row {json},
	change_set VARCHAR(36), request_id VARCHAR(100), request_address VARCHAR(100), request_agent VARCHAR(200), reason VARCHAR(200))`

const (
	triggerTimeIndex   = "CREATE INDEX trigger_events_time ON trigger_events (workspace, time, id)"
	triggerEntityIndex = "CREATE INDEX trigger_events_entity ON trigger_events (workspace, entity_type, entity_id, time, id)"
	triggerActorIndex  = "CREATE INDEX trigger_events_actor ON trigger_events (workspace, actor_kind, actor_id, time, id)"
)

// postgresTrigger is one function for everything.
const postgresTrigger = `CREATE FUNCTION trigger_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE r trigger_entries := COALESCE(NEW, OLD);
BEGIN
	INSERT INTO trigger_events (workspace, actor_kind, actor_id, operation, origin, entity_type, entity_id, entity_label, entity_owner, old_row, new_row)
	VALUES (r.workspace_id, 'user', COALESCE(current_setting('app.actor_id', true), ''), lower(TG_OP), 'direct', 'time_entry', r.id, r.description, r.user_id,
		to_jsonb(OLD), to_jsonb(NEW));
	RETURN NULL;
END $$`

// rowTrigger is one trigger for each operation, on SQLite and MariaDB.
const rowTrigger = `CREATE TRIGGER trigger_{operation} AFTER {operation} ON trigger_entries FOR EACH ROW BEGIN
	INSERT INTO trigger_events ({set}workspace, actor_kind, actor_id, operation, origin, entity_type, entity_id, entity_label, entity_owner, old_row, new_row)
	VALUES ({now}{row}.workspace_id, 'user', {actor}, '{operation}', 'direct', 'time_entry', {row}.id, {row}.description, {row}.user_id, {old}, {new});
END`

// installTrigger makes the log and the trigger.
func (b *bench) installTrigger() error {
	var key, time, json, now, actor string
	statements := []string{triggerTimeIndex, triggerEntityIndex, triggerActorIndex}
	switch b.database.Dialect {
	case sqlstore.Postgres:
		key, time, json = "id BIGSERIAL PRIMARY KEY", "time TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()", "JSONB"
		statements = append(statements, postgresTrigger,
			"CREATE TRIGGER trigger_log AFTER INSERT OR UPDATE OR DELETE ON trigger_entries FOR EACH ROW EXECUTE FUNCTION trigger_log()")
	case sqlstore.MySQL:
		key, time, json = "id BIGINT AUTO_INCREMENT PRIMARY KEY", "time DATETIME(6) NOT NULL", "LONGTEXT"
		now, actor = "NOW(6)", "COALESCE(@actor_id, '')"
		statements = append(statements, rowTriggers(now, actor)...)
	default:
		key, time, json = "id INTEGER PRIMARY KEY", "time TEXT NOT NULL", "TEXT"
		now, actor = "strftime('%Y-%m-%d %H:%M:%f', 'now')", "''"
		statements = append(statements, rowTriggers(now, actor)...)
	}
	table := strings.NewReplacer("{key}", key, "{time}", time, "{json}", json).Replace(triggerTable)
	for _, text := range append([]string{table}, statements...) {
		if err := b.raw.Exec(text).Error; err != nil {
			return err
		}
	}
	return nil
}

// rowTriggers are those for INSERT, UPDATE and DELETE.
func rowTriggers(now, actor string) []string {
	image := func(row string) string {
		var pairs []string
		for _, c := range []string{"id", "workspace_id", "user_id", "crowd", "description", "billable", "amount", "started", "ended", "deleted_at"} {
			pairs = append(pairs, "'"+c+"', "+row+"."+c)
		}
		return "json_object(" + strings.Join(pairs, ", ") + ")"
	}
	texts := make([]string, 0, 3)
	for _, t := range []struct{ operation, row, old, new string }{
		{"insert", "NEW", "NULL", image("NEW")},
		{"update", "NEW", image("OLD"), image("NEW")},
		{"delete", "OLD", image("OLD"), "NULL"},
	} {
		texts = append(texts, strings.NewReplacer("{operation}", t.operation, "{row}", t.row, "{old}", t.old, "{new}", t.new,
			"{set}", "time, ", "{now}", now+", ", "{actor}", actor).Replace(rowTrigger))
	}
	return texts
}

// installOurs makes the triggers of package sqlstore, with a log of their own.
func (b *bench) installOurs(ctx context.Context) error {
	store, err := sqlstore.New(b.database.SQL(), b.database.Dialect, &sqlstore.Config{Table: oursLog})
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	rec, err := audit.New(store, nil)
	if err != nil {
		return err
	}
	described, err := open(b.database, b.database.SQL()) // never written by
	if err != nil {
		return err
	}
	if err := described.Use(hooks.New(rec, hooks.Model[oursEntry](audit.TypeTimeEntry))); err != nil {
		return err
	}
	tables, err := hooks.Tables(ctx, described)
	if err != nil {
		return err
	}
	triggers, err := store.Triggers(tables, nil)
	if err != nil {
		return err
	}
	return triggers.Install(ctx)
}
