package dbtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
)

// diary is what an application can see of GORM at work: the lines of its logger,
// and each statement as callbacks of a plugin of its own meet it.
type diary struct {
	logger.Interface
	mu    sync.Mutex
	lines []string
}

// savepointName is one that GORM makes up.
var savepointName = regexp.MustCompile(`\bsp\d+`)

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// Trace implements logger.Interface.
func (d *diary) Trace(_ context.Context, _ time.Time, line func() (string, int64), err error) {
	text, rows := line()
	d.note("log: %s: %d rows, error %v", text, rows, err)
}

// Warn implements logger.Interface.
func (d *diary) Warn(_ context.Context, format string, args ...any) {
	d.note("warning: "+format, args...)
}

// Error implements logger.Interface.
func (d *diary) Error(_ context.Context, format string, args ...any) {
	d.note("error: "+format, args...)
}

// read returns what was noted since the last time, on a database whose name is
// left out.
func (d *diary) read(database *Database) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], cmp.Or(database.Namespace, "?"), "?")
		lines[i] = savepointName.ReplaceAllString(lines[i], "sp")
	}
	return lines
}

// Name implements gorm.Plugin.
func (d *diary) Name() string { return "diary" }

// Initialize implements gorm.Plugin. Its callbacks are where applications put
// theirs: at both ends, around GORM's own SQL, and beside the hooks of models.
func (d *diary) Initialize(db *gorm.DB) error {
	type place struct {
		processor, name string
		register        func(name string, fn func(*gorm.DB)) error
	}
	c := db.Callback()
	places := []place{
		{"create", "first", c.Create().Before("*").Register},
		{"create", "before create", c.Create().Before("gorm:create").Register},
		{"create", "after create", c.Create().After("gorm:create").Register},
		{"create", "before its hooks", c.Create().Before("gorm:before_create").Register},
		{"create", "after its hooks", c.Create().After("gorm:after_create").Register},
		{"create", "last", c.Create().After("*").Register},
		{"update", "first", c.Update().Before("*").Register},
		{"update", "before update", c.Update().Before("gorm:update").Register},
		{"update", "after update", c.Update().After("gorm:update").Register},
		{"update", "last", c.Update().After("*").Register},
		{"delete", "first", c.Delete().Before("*").Register},
		{"delete", "before delete", c.Delete().Before("gorm:delete").Register},
		{"delete", "after delete", c.Delete().After("gorm:delete").Register},
		{"delete", "last", c.Delete().After("*").Register},
		{"query", "first", c.Query().Before("*").Register},
		{"query", "last", c.Query().After("*").Register},
		{"row", "first", c.Row().Before("*").Register},
		{"row", "last", c.Row().After("*").Register},
		{"raw", "first", c.Raw().Before("*").Register},
		{"raw", "last", c.Raw().After("*").Register},
	}
	for _, p := range places {
		name := p.processor + ", " + p.name
		see := func(db *gorm.DB) {
			switch {
			case db.DryRun: // subqueries are rendered once more for the old rows
			case strings.HasPrefix(p.name, "before "+p.processor):
				// Here the connection is the plugin's, for it watches what GORM runs
				// next. Whatever else is run on it must work as ever.
				d.note("%s: %s; labels %s", name, describe(db), countLabels(db))
			default:
				d.note("%s: %s, pool %T", name, describe(db), db.Statement.ConnPool)
			}
		}
		if err := p.register("diary:"+p.name, see); err != nil {
			return err
		}
	}
	return nil
}

// countLabels runs a statement on the connection of another one.
func countLabels(db *gorm.DB) string {
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, "SELECT count(*) FROM labels")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }()
	var n int
	for rows.Next() {
		err = errors.Join(err, rows.Scan(&n))
	}
	return fmt.Sprint(n, errors.Join(err, rows.Err()))
}

// address is that of a statement, which InstanceSet puts before its keys.
var address = regexp.MustCompile(`^0x[0-9a-f]+`)

// describe is what a callback can see of a statement.
func describe(db *gorm.DB) string {
	s := db.Statement
	var settings []string
	s.Settings.Range(func(k, v any) bool {
		if key, ok := k.(string); ok {
			settings = append(settings, fmt.Sprintf("%s=%T", address.ReplaceAllString(key, ""), v))
		}
		return true
	})
	slices.Sort(settings)
	return fmt.Sprintf("table %q, model %T, dest %T, value %v, clauses %q, settings %q, skip %t, unscoped %t, actor %v, sql %q with %v, %d rows, error %v",
		s.Table, s.Model, s.Dest, s.ReflectValue.IsValid(), slices.Sorted(maps.Keys(s.Clauses)), settings, s.SkipHooks, s.Unscoped,
		audit.ActorFrom(s.Context), s.SQL.String(), len(s.Vars), db.RowsAffected, db.Error)
}

// TestGORMBehavesTheSameWithAndWithoutTheHooks runs every operation on two
// databases, with hooks and without, before the eyes of an application that
// looks at everything. It must see the same.
func TestGORMBehavesTheSameWithAndWithoutTheHooks(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]bool{"sqlite": false, "sqlite, prepared statements": true, "postgres, prepared statements": true, "mysql": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, _, _ := strings.Cut(name, ",")
			var twins [2]*workshop
			var diaries [2]*diary
			for i, store := range []newStore{storeInDatabase, nil} {
				diaries[i] = &diary{Interface: logger.Discard}
				cfg := quiet()
				cfg.Logger, cfg.PrepareStmt = diaries[i], prepare
				twins[i] = newWorkshop(t, Open(t, database), store, cfg)
				require.NoError(t, twins[i].db.Use(diaries[i]))
				diaries[i].read(twins[i].database)
			}
			for _, op := range operations() {
				t.Run(op.name, func(t *testing.T) {
					var seen, cached [2][]string
					var outcomes [2]string
					for i, w := range twins {
						w.dirty = true
						w.seed(t)
						w.clock.next()
						outcomes[i] = w.attempt(op)
						seen[i] = diaries[i].read(w.database)
						cached[i] = prepared(w.db)
					}
					require.Equal(t, outcomes[1], outcomes[0], "what GORM tells its caller")
					if op.name == "delete with selected relations" { // in an order of a map
						slices.Sort(seen[0])
						slices.Sort(seen[1])
					}
					require.Equal(t, seen[1], seen[0], "what its logger and callbacks see")
					// What the plugin makes return its rows is prepared by nobody.
					require.Subset(t, cached[1], cached[0], "its cache of prepared statements")
				})
			}
		})
	}
}

// prepared are the statements in GORM's cache.
func prepared(db *gorm.DB) []string {
	if p, ok := db.ConnPool.(*gorm.PreparedStmtDB); ok {
		return slices.Sorted(slices.Values(p.Stmts.Keys()))
	}
	return nil
}
