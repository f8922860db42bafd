package backend_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/backend"
	"github.com/gormtrail/audit/examples/timesheet/clockify"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/timesheet"
	"github.com/gormtrail/audit/store/memstore"
)

// bundle is a backend with an empty database and what is recorded of it.
type bundle struct {
	ctx     context.Context
	db      *gorm.DB
	store   *memstore.Store
	backend *backend.Backend
}

func setup(t *testing.T) bundle {
	t.Helper()
	dsn := filepath.Join(t.TempDir(), "test.db") + "?_txlock=immediate&_pragma=foreign_keys(1)"
	db, err := gorm.Open(sqlite.Open(dsn), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	require.NoError(t, timesheet.Migrate(db))
	store := memstore.New()
	rec, err := audit.New(store, &audit.Config{RequireActor: true})
	require.NoError(t, err)
	require.NoError(t, db.Use(hooks.New(rec, timesheet.AuditModels()...)))
	ctx := audit.WithWorkspace(audit.WithActor(t.Context(), audit.Actor{ID: "admin", Name: "Admin"}), "w1")
	return bundle{ctx, db, store, backend.New(db, nil)}
}

// rows counts what is in the tables.
func (b bundle) rows(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for name, model := range map[string]any{
		"users": &timesheet.User{}, "clients": &timesheet.Client{}, "projects": &timesheet.Project{},
		"tasks": &timesheet.Task{}, "tags": &timesheet.Tag{}, "entries": &timesheet.TimeEntry{},
	} {
		var n int64
		require.NoError(t, b.db.Unscoped().Model(model).Count(&n).Error)
		counts[name] = n
	}
	var n int64
	require.NoError(t, b.db.Table("time_entry_tags").Count(&n).Error)
	counts["tagged"] = n
	return counts
}

func entries(n int) []clockify.Entry {
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	list := make([]clockify.Entry, n)
	for i := range list {
		list[i] = clockify.Entry{
			Line: i + 2, Project: fmt.Sprintf("Project %d", i%3), Client: "Acme", Description: fmt.Sprintf("Work %d", i), Task: "Plan",
			User: "Jo", Email: "Jo@example.com", Tags: []string{"a", "b"}, Billable: true,
			Start: start.Add(time.Duration(i) * time.Hour), End: start.Add(time.Duration(i+1) * time.Hour), Type: "REGULAR", Rate: 5000, Currency: "EUR",
		}
	}
	return list
}

func TestImportAddsWhatTheEntriesName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var told []string
	n, err := b.backend.Import(b.ctx, entries(450), func(done, total int) { told = append(told, fmt.Sprint(done, "/", total)) })
	require.NoError(t, err)
	require.Equal(t, backend.Imported{Users: 1, Clients: 1, Projects: 3, Tasks: 3, Tags: 2, Entries: 450}, n)
	require.Equal(t, []string{"200/450", "400/450", "450/450"}, told)
	require.Equal(t, map[string]int64{"users": 1, "clients": 1, "projects": 3, "tasks": 3, "tags": 2, "entries": 450, "tagged": 900}, b.rows(t))

	labels := map[string]int{}
	for _, e := range b.store.All() {
		labels[audit.DefaultCatalog().Label(e)]++
	}
	require.Equal(t, map[string]int{
		"Created client (import)": 1, "Created project (import)": 3, "Created task (import)": 3, "Created tag (import)": 2,
		"Created time (import)": 450,
	}, labels)
}

func TestASecondImportFindsWhatTheFirstAdded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.backend.Import(b.ctx, entries(3), nil)
	require.NoError(t, err)
	more := entries(3)
	more[2].Client, more[2].Email = "Other", "" // another client's project of the same name; known by name alone
	n, err := b.backend.Import(b.ctx, more, nil)
	require.NoError(t, err)
	require.Equal(t, backend.Imported{Users: 1, Clients: 1, Projects: 1, Tasks: 1, Entries: 3}, n)
}

func TestAnImportThatIsInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx)
	_, err := b.backend.Import(ctx, entries(450), func(done, _ int) {
		if done == 400 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, map[string]int64{"users": 0, "clients": 0, "projects": 0, "tasks": 0, "tags": 0, "entries": 0, "tagged": 0}, b.rows(t))
	require.Empty(t, b.store.All())
}

func TestARefusedRequestLeavesNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.backend.Import(b.ctx, entries(1), nil)
	require.NoError(t, err)
	recorded := len(b.store.All())
	ctx := audit.WithWorkspace(b.ctx, "another workspace")
	var entry timesheet.TimeEntry
	require.NoError(t, b.db.Take(&entry).Error)

	for name, err := range map[string]error{
		"an edit from another workspace":     b.backend.EditEntry(ctx, entry.ID, backend.Edit{Billable: new(bool)}),
		"a deletion from another workspace":  b.backend.DeleteEntry(ctx, entry.ID),
		"tags from another workspace":        b.backend.TagEntry(ctx, entry.ID, "a"),
		"a tag that does not exist":          b.backend.TagEntry(b.ctx, entry.ID, "c"),
		"a restore of what is not deleted":   b.backend.RestoreEntry(b.ctx, entry.ID),
		"a stop without a timer":             b.backend.StopTimer(b.ctx),
		"a rename of what does not exist":    b.backend.RenameProject(b.ctx, "none", "X"),
		"an archive of what does not exist":  b.backend.ArchiveProject(b.ctx, "none"),
		"one of two that does not exist":     b.backend.BulkEdit(b.ctx, []string{entry.ID, "none"}, backend.Edit{Billable: new(bool)}),
		"an expense of a category of nobody": second(b.backend.AddExpense(b.ctx, backend.NewExpense{Category: "none"})),
	} {
		require.ErrorIs(t, err, backend.ErrNotFound, name)
	}
	require.ErrorIs(t, b.backend.BulkEdit(b.ctx, nil, backend.Edit{}), backend.ErrInvalid)
	require.ErrorIs(t, second(b.backend.AddManual(b.ctx, backend.NewEntry{})), backend.ErrInvalid)
	require.Len(t, b.store.All(), recorded)
}

func second(_ string, err error) error { return err }
