package dbtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/timesheet"
)

// TestTheTimeTrackerIsRecordedExactly writes to the models of a real backend as
// it would, and holds each step against the database.
func TestTheTimeTrackerIsRecordedExactly(t *testing.T) {
	t.Parallel()
	noTimes := []string{"created_at", "updated_at"}
	watches := []Watch{
		{Model: &timesheet.User{}},
		{Model: &timesheet.Client{}, Type: audit.TypeClient, Ignore: noTimes},
		{Model: &timesheet.Project{}, Type: audit.TypeProject, Ignore: noTimes},
		{Model: &timesheet.Task{}, Type: audit.TypeTask, Ignore: noTimes},
		{Model: &timesheet.Tag{}, Type: audit.TypeTag, Ignore: noTimes},
		{Model: &timesheet.Category{}, Type: timesheet.TypeCategory, Ignore: noTimes},
		{Model: &timesheet.TimeEntry{}, Type: audit.TypeTimeEntry, Ignore: noTimes, Deleted: "deleted_at"},
		{Model: &timesheet.Expense{}, Type: audit.TypeExpense, Ignore: noTimes, Deleted: "deleted_at"},
	}
	entry := func(id, note string, tags ...timesheet.Tag) timesheet.TimeEntry {
		end := seedTime.Add(time.Hour)
		return timesheet.TimeEntry{
			ID: id, WorkspaceID: "w1", UserID: "u1", Description: note, ProjectID: text("p1"), TaskID: text("t1"), Tags: tags, Start: seedTime, End: &end,
			Type: timesheet.EntryRegular, HourlyRate: timesheet.Money{Amount: 1250, Currency: "EUR"}, CustomFields: map[string]any{"po": "4711", "n": 1.5},
		}
	}
	tag := func(id string) timesheet.Tag { return timesheet.Tag{ID: id, WorkspaceID: "w1", Name: id} }
	steps := []struct {
		name  string
		write func(db *gorm.DB) error
		// net compares with what changed in all: where foreign keys change rows,
		// twice on some databases and unseen by triggers on MariaDB.
		net bool
	}{
		{"set up", func(db *gorm.DB) error {
			return errors.Join(
				db.Create(&[]timesheet.User{{ID: "u1", WorkspaceID: "w1", Name: "Jo"}, {ID: "u2", WorkspaceID: "w1", Name: "Al"}}).Error,
				db.Create(&timesheet.Client{ID: "c1", WorkspaceID: "w1", Name: "Acme", Currency: "EUR"}).Error,
				db.Create(&timesheet.Project{ID: "p1", WorkspaceID: "w1", Name: "Gemini", ClientID: text("c1"), Members: []timesheet.User{{ID: "u1"}, {ID: "u2"}}}).Error,
				db.Create(&timesheet.Task{ID: "t1", WorkspaceID: "w1", ProjectID: "p1", Name: "Plan", Status: timesheet.TaskActive, AssigneeID: text("u2")}).Error,
				db.Create(&timesheet.Category{ID: "k1", WorkspaceID: "w1", Name: "Miles", Unit: "km", Price: timesheet.Money{Amount: 30, Currency: "EUR"}}).Error)
		}, false},
		{"entries with tags", func(db *gorm.DB) error {
			es := []timesheet.TimeEntry{entry("e1", "one", tag("x"), tag("y")), entry("e2", "two", tag("y")), entry("e3", "three")}
			return db.Create(&es).Error
		}, false},
		{"a timer is stopped", func(db *gorm.DB) error {
			return db.Model(&timesheet.TimeEntry{ID: "e3"}).Update("end", seedTime.Add(2*time.Hour)).Error
		}, false},
		{"a bulk edit", func(db *gorm.DB) error {
			return db.Model(&timesheet.TimeEntry{}).Where("description LIKE ?", "t%").Updates(map[string]any{"billable": true, "hourly_rate_amount": gorm.Expr("hourly_rate_amount * 2")}).Error
		}, false},
		{"tags replaced", func(db *gorm.DB) error {
			x, z := tag("x"), tag("z")
			return db.Model(&timesheet.TimeEntry{ID: "e1"}).Association("Tags").Replace(&x, &z)
		}, false},
		{"custom fields", func(db *gorm.DB) error {
			return db.Model(&timesheet.TimeEntry{ID: "e1"}).Select("CustomFields").Updates(timesheet.TimeEntry{CustomFields: map[string]any{"n": 1.5, "po": "4712"}}).Error
		}, false},
		{"a member's rate", func(db *gorm.DB) error {
			return db.Model(&timesheet.Membership{}).Where("user_id = ?", "u1").Update("hourly_rate_amount", 900).Error
		}, false},
		{"an expense, deleted and restored", func(db *gorm.DB) error {
			x := timesheet.Expense{ID: "x1", WorkspaceID: "w1", UserID: "u1", Date: seedTime, ProjectID: text("p1"), CategoryID: text("k1"), Quantity: 12.5, Total: timesheet.Money{Amount: 375, Currency: "EUR"}}
			return errors.Join(db.Create(&x).Error, db.Delete(&timesheet.Expense{ID: "x1"}).Error,
				db.Unscoped().Model(&timesheet.Expense{ID: "x1"}).Update("deleted_at", nil).Error)
		}, false},
		{"an entry is deleted", func(db *gorm.DB) error { return db.Delete(&timesheet.TimeEntry{ID: "e2"}).Error }, false},
		{"renames", func(db *gorm.DB) error {
			return errors.Join(db.Model(&timesheet.Project{ID: "p1"}).Update("name", "Apollo").Error,
				db.Model(&timesheet.Client{ID: "c1"}).Update("name", "Best").Error, db.Model(&timesheet.Tag{ID: "x"}).Update("name", "xx").Error)
		}, false},
		{"a tag is deleted", func(db *gorm.DB) error { return db.Delete(&timesheet.Tag{ID: "x"}).Error }, true},
		{"a category is deleted", func(db *gorm.DB) error { return db.Delete(&timesheet.Category{ID: "k1"}).Error }, true},
		{"a project is deleted with its tasks", func(db *gorm.DB) error { return db.Delete(&timesheet.Project{ID: "p1"}).Error }, true},
		{"a client is deleted", func(db *gorm.DB) error { return db.Where("name = ?", "Best").Delete(&timesheet.Client{}).Error }, true},
	}
	Each(t, func(t *testing.T, database *Database) {
		db, clock, ctx := openGorm(t, database), newClock(), context.Background()
		require.NoError(t, timesheet.Migrate(db))
		oracle, err := InstallOracle(ctx, db, watches...)
		require.NoError(t, err)
		store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, timesheet.AuditModels())
		for _, step := range steps {
			t.Run(step.name, func(t *testing.T) {
				clock.next()
				require.NoError(t, oracle.Reset(ctx))
				before, err := oracle.Snapshot(ctx)
				require.NoError(t, err)
				require.NoError(t, step.write(db.WithContext(audit.WithActor(ctx, jo))))
				after, err := oracle.Snapshot(ctx)
				require.NoError(t, err)
				truth, err := oracle.Read(ctx)
				require.NoError(t, err)
				if step.net {
					truth = after.Since(before)
				}
				require.NotEmpty(t, truth)
				require.Empty(t, oracle.Compare(truth, eventsSince(t, store, "w1", clock.Now())))
			})
		}
	})
}
