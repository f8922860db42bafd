package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

// How many times what the database's own tool takes an export may take, and
// how much memory, whatever its length.
const (
	maxCopied = 1 / .9
	maxDumped = 1 / .5
	maxPeak   = 32 // MiB
)

// exportLog is the table of what is exported.
const exportLog = "exported_events"

// exportDSN is the variable of the environment from which the program that only
// exports has its DSN: other users can see arguments.
const exportDSN = "AUDIT_BENCHMARK_EXPORT"

// exporter is a program that writes the log as CSV to nowhere.
type exporter struct {
	name    string
	most    float64 // times of its own time that ours may take
	missing string  // why it cannot be run
	command func(ctx context.Context) *exec.Cmd
}

// measureExport lets this program, in a process of its own as it is for the
// database's tool, export a short and a long log.
func (b *bench) measureExport(ctx context.Context, size size) error {
	store, err := sqlstore.New(b.database.SQL(), b.database.Dialect, &sqlstore.Config{Table: exportLog})
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	tool := b.exportTool()
	fmt.Printf("%s, CSV, each in a process of its own\n", b.database.Name)
	out := newTable([]string{"events", "runs", "ours", "events/s", "peak MiB", tool.name, "ours/" + tool.name})
	stored := 0
	for _, n := range size.exported {
		if err := fill(ctx, store, stored, n); err != nil {
			return err
		}
		stored = n
		if err := b.settleTable(exportLog); err != nil {
			return err
		}
		compared := tool
		if n < size.exported[1] { // most of it is the start of a process
			compared.most = 0
		}
		if err := b.tellExport(ctx, out, n, min(size.turns, 15), compared); err != nil {
			return err
		}
	}
	out.print()
	if tool.missing != "" {
		fmt.Printf("%s, CSV: SKIPPED, not compared with %s: %s\n\n", b.database.Name, tool.name, tool.missing)
	}
	return nil
}

// tellExport measures exports of n events.
func (b *bench) tellExport(ctx context.Context, out *table, n, turns int, tool exporter) error {
	ours, peak, err := b.ourExport(n)
	if err != nil {
		return err
	}
	r := result{"export", map[string][]time.Duration{}}
	for turn := range turns {
		order := []exporter{ours, tool}
		for k := range order {
			x := order[(turn+k)%2]
			if x.missing != "" {
				continue
			}
			took, err := timed(x.command(ctx))
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			r.times[x.name] = append(r.times[x.name], took)
		}
	}
	what := fmt.Sprintf("%s, CSV of %d events", b.database.Name, n)
	median, memory, toolMedian, ratio := r.median(ours.name), "unknown", "SKIPPED", "SKIPPED"
	if *peak > 0 {
		memory = b.limits.figure(what+", peak MiB", float64(*peak)/(1<<20), maxPeak)
	}
	if t := r.median(tool.name); t > 0 {
		toolMedian, ratio = micro(t), b.limits.figure(what+", ours/"+tool.name, divided(median, t), tool.most)
	}
	out.row(strconv.Itoa(n), strconv.Itoa(turns), micro(median), fmt.Sprintf("%.0f", float64(n)/median.Seconds()), memory, toolMedian, ratio)
	return nil
}

// timed runs a program and returns how long it took, its start included.
func timed(cmd *exec.Cmd) (time.Duration, error) {
	var complaints bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &complaints
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, complaints.String())
	}
	return time.Since(start), nil
}

// ourExport is this program, of which peak is the most memory that it had.
func (b *bench) ourExport(n int) (x exporter, peak *int64, err error) {
	program, err := os.Executable()
	peak = new(int64)
	return exporter{name: "ours", command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, "-csv", b.database.Name)
		cmd.Env = append(os.Environ(), exportDSN+"="+b.database.DSN)
		cmd.Stderr = tells(func(line string) error {
			var written int
			var memory int64
			if _, err := fmt.Sscanf(line, "%d %d", &written, &memory); err != nil || written != n {
				return fmt.Errorf("it tells %q instead of %d events", line, n)
			}
			*peak = max(*peak, memory)
			return nil
		})
		return cmd
	}}, peak, err
}

// tells is a writer for what is said in one piece.
type tells func(string) error

func (f tells) Write(p []byte) (int, error) { return len(p), f(string(p)) }

// exportCSV is the program that only exports. It tells how many events it has
// written and how many bytes of memory it had at most.
func exportCSV(ctx context.Context, name string) error {
	drivers := map[string]string{"sqlite": "sqlite", "postgres": "pgx", "mysql": "mysql"}
	dialects := map[string]sqlstore.Dialect{"sqlite": sqlstore.SQLite, "postgres": sqlstore.Postgres, "mysql": sqlstore.MySQL}
	pool, err := sql.Open(drivers[name], os.Getenv(exportDSN))
	if err != nil {
		return err
	}
	store, err := sqlstore.New(pool, dialects[name], &sqlstore.Config{Table: exportLog})
	if err != nil {
		return errors.Join(err, pool.Close())
	}
	n, err := audit.ExportCSV(ctx, os.Stdout, store, audit.Filter{Workspace: "w1"}, nil)
	if err == nil {
		fmt.Fprintf(os.Stderr, "%d %d\n", n, peakMemory())
	}
	return errors.Join(err, pool.Close())
}

// peakMemory is the most memory that the process had, the program itself
// included; 0 if the system does not tell.
func peakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

// exportTool is the database's own tool. It writes the columns of the table,
// newest events first.
func (b *bench) exportTool() exporter {
	columns := "SELECT id, time, workspace, actor_kind, actor_id, actor_name, initiator_kind, initiator_id, initiator_name, operation, origin, " +
		"entity_type, entity_id, entity_label, entity_owner, ownership, changes, cause, derived, change_set, " +
		"request_id, request_address, request_agent, reason, schema_version FROM "
	const order = " WHERE workspace = 'w1' ORDER BY time DESC, id DESC"
	x := exporter{}
	program := ""
	switch b.database.Dialect {
	case sqlstore.Postgres:
		x.name, x.most, program = `psql \copy`, maxCopied, "psql"
		env, err := psqlEnv(b.database.DSN)
		if err != nil {
			x.missing = err.Error()
			return x
		}
		text := `\copy (` + columns + `"` + b.database.Namespace + `".` + exportLog + order + `) TO '` + os.DevNull + `' CSV HEADER`
		x.command = func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, program, "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command="+text)
			cmd.Env = append(os.Environ(), env...)
			return cmd
		}
	case sqlstore.SQLite:
		x.name, x.most, program = "sqlite3 -csv", maxDumped, "sqlite3"
		path, _, _ := strings.Cut(strings.TrimPrefix(b.database.DSN, "file:"), "?")
		x.command = func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, program, "-readonly", "-header", "-csv", path, columns+exportLog+order)
		}
	default:
		x.name, x.missing = "a tool", "there is none that writes CSV"
		return x
	}
	if _, err := exec.LookPath(program); err != nil {
		x.missing = err.Error()
	}
	return x
}

// psqlEnv is how psql is told of a DSN.
func psqlEnv(dsn string) ([]string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the DSN is no URL with a host")
	}
	password, _ := u.User.Password()
	env := []string{"PGHOST=" + u.Hostname(), "PGUSER=" + u.User.Username(), "PGPASSWORD=" + password, "PGDATABASE=" + strings.TrimPrefix(u.Path, "/")}
	if u.Port() != "" {
		env = append(env, "PGPORT="+u.Port())
	}
	if mode := u.Query().Get("sslmode"); mode != "" {
		env = append(env, "PGSSLMODE="+mode)
	}
	return env, nil
}

// fill appends events until there are n.
func fill(ctx context.Context, store audit.Store, from, n int) error {
	for from < n {
		events := make([]audit.Event, min(1000, n-from))
		for i := range events {
			events[i] = exported(from + i)
		}
		if err := store.Append(ctx, events); err != nil {
			return err
		}
		from += len(events)
	}
	return nil
}

// exported is the i-th event: of ten, nine are updates of one field, and one
// creates a row of 13 columns.
func exported(i int) audit.Event {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
	author := "u" + strconv.Itoa(i%200)
	e := audit.Event{
		ID: idOf(at, 1, i), Time: at, Workspace: "w1", Actor: audit.Actor{Kind: audit.KindUser, ID: author, Name: "Author " + author}, Operation: audit.Updated,
		Origin: audit.OriginManual, Entity: audit.Entity{Type: audit.TypeTimeEntry, ID: idOf(at, 2, i/10).String(), Label: "Weekly planning", Owner: author},
		Ownership: audit.OwnershipSelf, ChangeSet: idOf(at, 3, i), SchemaVersion: audit.SchemaVersion,
	}
	text := func(s string) audit.Value { return audit.Value{JSON: []byte(`"` + s + `"`)} }
	if i%10 > 0 {
		e.Changes = []audit.Change{{Field: "description", Before: text("Planning"), After: text("Weekly planning")}}
		return e
	}
	e.Operation = audit.Created
	created := func(field string, v audit.Value) {
		e.Changes = append(e.Changes, audit.Change{Field: field, After: v})
	}
	created("id", text(e.Entity.ID))
	created("workspace_id", text("w1"))
	created("user_id", audit.Value{JSON: []byte(`"` + author + `"`), Label: e.Actor.Name})
	created("project_id", audit.Value{JSON: []byte(`"` + idOf(at, 4, i%50).String() + `"`), Label: "Apollo"})
	for _, field := range []string{"task_id", "deleted_at", "rate"} {
		created(field, audit.Value{JSON: []byte("null")})
	}
	created("description", text("Planning"))
	created("billable", audit.Value{JSON: []byte("true")})
	created("amount", audit.Value{JSON: []byte("12500")})
	for _, field := range []string{"started", "ended", "created_at"} {
		created(field, text(at.Format(time.RFC3339)))
	}
	return e
}

// idOf is an id of a time, as a database gets them.
func idOf(at time.Time, kind byte, i int) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|0x7000) //nolint:gosec // after 1970
	binary.BigEndian.PutUint64(id[8:], 1<<63|uint64(kind)<<40|uint64(i))  //nolint:gosec // not negative
	return id
}
