package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// triggerFunctions are the functions of triggers.sql, whose names begin with
// that of the events' table.
var triggerFunctions = []string{
	"quote", "escape", "compact", "is_json", "same", "shortened", "first_bytes", "bytes", "text", "json", "float", "time",
	"sensitive", "unquote", "mask", "hides", "as_text", "veil", "named", "object",
	"plain", "cut", "id", "side", "write", "truncated", "once", "twice", "passed", "as",
}

// publicFunctions are those that writers call, or have called for them.
var publicFunctions = []string{"passed", "as", "twice"}

// said is what a writer can say of itself and its reasons, by settings that begin
// with audit.
var said = []string{
	"workspace", "actor_kind", "actor_id", "actor_name", "initiator_kind", "initiator_id", "initiator_name",
	"origin", "reason", "change_set", "request_id", "request_address", "request_agent",
}

// pinned is what the triggers' functions run with, whatever the writer's session
// has set: where names are found, and how values are written.
const pinned = `SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET extra_float_digits = 1 SET DateStyle = 'ISO' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC' SET bytea_output = 'hex'`

// triggerNames are the names of what the triggers consist of.
type triggerNames struct {
	schema, events string
}

// of is the quoted name of a function or table.
func (n triggerNames) of(part string) string {
	name := identifier(n.events)
	if part != "" {
		name = identifier(n.events + "_" + part)
	}
	if n.schema == "" {
		return name
	}
	return identifier(n.schema) + "." + name
}

// functions is a pattern of the names of all functions.
func (n triggerNames) functions() string {
	return "^" + n.events + "_(" + strings.Join(triggerFunctions, "|") + "|of_[0-9a-f]{16})$"
}

// names finds out where the events are.
func (t *Triggers) names(ctx context.Context, conn audit.DBTX) (triggerNames, error) {
	n := triggerNames{events: t.store.names.events}
	err := conn.QueryRowContext(ctx, "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
		t.store.names.qualified(n.events)).Scan(&n.schema)
	if errors.Is(err, sql.ErrNoRows) {
		return n, fmt.Errorf("%w: there is no table %s; call Store.Migrate", audit.ErrSchema, t.store.names.qualified(n.events))
	}
	return n, err
}

// generate makes the statements. The last one keeps their digest.
func (t *Triggers) generate(ctx context.Context, conn audit.DBTX) (install, uninstall []string, err error) {
	n, err := t.names(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if uninstall, err = t.fixed(n, "untriggers"); err != nil {
		return nil, nil, err
	}
	install = slices.Clone(uninstall)
	helpers, err := t.fixed(n, "triggers")
	if err != nil {
		return nil, nil, err
	}
	install = append(install, helpers...)
	var closed []string
	for _, f := range triggerFunctions {
		if !slices.Contains(publicFunctions, f) {
			closed = append(closed, n.of(f))
		}
	}
	install = append(install, "REVOKE ALL ON FUNCTION "+strings.Join(closed, ", ")+" FROM PUBLIC")
	g := &generator{triggerNames: n, passes: t.passes(), described: t.tables, tables: map[string]*triggerTable{}}
	for _, table := range t.tables {
		if err := g.load(ctx, conn, table); err != nil {
			return nil, nil, err
		}
	}
	for _, table := range t.tables {
		if err := g.loadReferences(ctx, conn, table); err != nil {
			return nil, nil, err
		}
		statements, err := g.statements(table)
		if err != nil {
			return nil, nil, err
		}
		install = append(install, statements...)
	}
	install = append(install, g.guard(t.tables))
	install = append(install, "COMMENT ON FUNCTION "+n.of("passed")+"() IS '"+digest(install)+"'")
	return install, uninstall, nil
}

// passes is the condition under which triggers leave a row to the hooks.
func (t *Triggers) passes() string {
	return "COALESCE(pg_catalog.current_setting('audit.recorded_by_hooks', true), '') IN ('on', 'true', '1') AND " + t.trusted()
}

// trusted is the condition that the writer's settings are believed.
func (t *Triggers) trusted() string {
	if len(t.cfg.Trusted) == 0 {
		return "true"
	}
	roles := make([]string, len(t.cfg.Trusted))
	for i, role := range t.cfg.Trusted {
		roles[i] = literal(role)
	}
	return "session_user::text IN (" + strings.Join(roles, ", ") + ")"
}

// fixed reads a file of statements, which blank lines part.
func (t *Triggers) fixed(n triggerNames, file string) ([]string, error) {
	text, err := schemaFiles.ReadFile("schema/postgres/" + file + ".sql")
	if err != nil {
		return nil, err
	}
	boolean := strconv.FormatBool
	pairs := []string{
		"{events}", n.of(""),
		"{settings}", n.of("settings"),
		"{namespace}", literal(identifier(n.schema)),
		"{functions}", literal(n.functions()),
		"{columns}", strings.Join(columns[:], ", "),
		"{schema_version}", strconv.Itoa(audit.SchemaVersion),
		"{most}", strconv.Itoa(audit.MaxValueBytes),
		"{pinned}", pinned,
		"{workspace}", literal(t.rec.Workspace),
		"{gated}", boolean(t.rec.Gate != nil),
		"{require_actor}", boolean(t.rec.RequireActor),
		"{allow_mismatch}", boolean(t.rec.AllowWorkspaceMismatch),
		"{agents}", boolean(t.rec.RecordAgent),
		"{addresses}", boolean(!t.rec.ShortenAddresses),
		"{trusted}", t.trusted(),
		"{passes}", t.passes(),
	}
	for _, f := range triggerFunctions {
		pairs = append(pairs, "{"+f+"}", n.of(f))
	}
	for _, name := range said {
		pairs = append(pairs, "{said."+name+"}", "CASE WHEN believed THEN COALESCE(current_setting('audit."+name+"', true), '') ELSE '' END")
	}
	rendered := strings.NewReplacer(pairs...)
	var list []string
	for s := range strings.SplitSeq(string(text), "\n\n") {
		s = rendered.Replace(strings.TrimSuffix(strings.TrimSpace(s), ";"))
		switch strings.Count(s, "$audit$") {
		case 0: // a comment of its own
		case 2:
			list = append(list, s)
		default:
			return nil, fmt.Errorf("sqlstore: the schema %q, the workspace or a trusted role has a name that cannot be part of a function", n.schema)
		}
	}
	return list, nil
}

// guard makes the database refuse an event of hooks for what triggers record.
func (g *generator) guard(tables []audit.Table) string {
	var kinds []string
	for _, t := range tables {
		if kind := literal(string(t.Type)); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		kinds = []string{"NULL"}
	}
	return "CREATE TRIGGER " + identifier(g.events+"_once") + " BEFORE INSERT ON " + g.of("") + " FOR EACH ROW WHEN (NOT (" + g.passes +
		") AND pg_catalog.pg_trigger_depth() = 0 AND NEW.derived = 0" +
		" AND NEW.operation IN ('created', 'updated', 'deleted', 'restored') AND NEW.entity_type IN (" + strings.Join(kinds, ", ") +
		")) EXECUTE FUNCTION " + g.of("once") + "()"
}

// function is the name of the function for a table, whose own name may be too
// long or too strange to be part of it.
func (g *generator) function(t *triggerTable) string {
	sum := sha256.Sum256([]byte(t.schema + "\x00" + t.name))
	return "of_" + hex.EncodeToString(sum[:8])
}

// identifier quotes any name.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal quotes any text, whatever standard_conforming_strings is.
func literal(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return ` E'` + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}

// body quotes the text of a function.
func body(s string) string {
	tag := "$audit$"
	for i := 1; strings.Contains(s, tag); i++ {
		tag = "$audit" + strconv.Itoa(i) + "$"
	}
	return tag + s + tag
}
