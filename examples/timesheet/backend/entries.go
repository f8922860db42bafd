package backend

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/timesheet"
)

// NewEntry is what a time entry is made from.
type NewEntry struct {
	// User whose time it is. Defaults to the one who acts.
	User        string
	Description string
	Project     string
	Task        string
	Tags        []string
	Billable    bool
	// Start defaults to now. End is nil for a timer that runs.
	Start time.Time
	End   *time.Time
	Kiosk string
	// Fields are the workspace's custom fields.
	Fields map[string]any
}

// StartTimer starts the timer of the user who acts, and stops the one that
// runs already.
func (b *Backend) StartTimer(ctx context.Context, e NewEntry) (string, error) {
	ctx = audit.WithOrigin(ctx, audit.OriginTimer)
	e.User, e.Start, e.End = actor(ctx), time.Time{}, nil
	var id string
	err := b.write(ctx, func(tx *gorm.DB) (err error) {
		if err := b.stop(ctx, tx, e.User).Error; err != nil {
			return err
		}
		id, err = b.insert(ctx, tx, e)
		return err
	})
	return id, err
}

// StopTimer stops the timer of the user who acts.
func (b *Backend) StopTimer(ctx context.Context) error {
	ctx = audit.WithOrigin(ctx, audit.OriginTimer)
	return b.write(ctx, func(tx *gorm.DB) error {
		return one[timesheet.TimeEntry]("running", b.stop(ctx, tx, actor(ctx)))
	})
}

// stop ends what a user has running.
func (b *Backend) stop(ctx context.Context, tx *gorm.DB, user string) *gorm.DB {
	return tx.Model(&timesheet.TimeEntry{}).Scopes(in(ctx)).
		Where("user_id = ?", user).Where(clause.Eq{Column: "end"}).Update("end", b.now())
}

// AddManual adds time that was worked already, one's own or another's.
func (b *Backend) AddManual(ctx context.Context, e NewEntry) (string, error) {
	if e.Start.IsZero() || e.End == nil || e.End.Before(e.Start) {
		return "", fmt.Errorf("%w: time that is added needs a start and a later end", ErrInvalid)
	}
	return b.add(audit.WithOrigin(ctx, audit.OriginManual), e)
}

// KioskIn clocks a user in at a kiosk.
func (b *Backend) KioskIn(ctx context.Context, kiosk, project string) (string, error) {
	return b.add(audit.WithOrigin(ctx, audit.OriginKiosk), NewEntry{Kiosk: kiosk, Project: project})
}

// KioskOut clocks the user out.
func (b *Backend) KioskOut(ctx context.Context) error {
	ctx = audit.WithOrigin(ctx, audit.OriginKiosk)
	return b.write(ctx, func(tx *gorm.DB) error {
		return one[timesheet.TimeEntry]("running", b.stop(ctx, tx, actor(ctx)))
	})
}

func (b *Backend) add(ctx context.Context, e NewEntry) (id string, err error) {
	err = b.write(ctx, func(tx *gorm.DB) error {
		id, err = b.insert(ctx, tx, e)
		return err
	})
	return id, err
}

func (b *Backend) insert(ctx context.Context, tx *gorm.DB, e NewEntry) (string, error) {
	tags, err := b.tags(ctx, tx, e.Tags)
	if err != nil {
		return "", err
	}
	entry := timesheet.TimeEntry{
		ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), UserID: e.User, Description: e.Description,
		Billable: e.Billable, ProjectID: nullable(e.Project), TaskID: nullable(e.Task), Tags: tags,
		Start: e.Start.UTC(), End: e.End, Type: timesheet.EntryRegular, KioskID: nullable(e.Kiosk), CustomFields: e.Fields,
	}
	if entry.UserID == "" {
		entry.UserID = actor(ctx)
	}
	if e.Start.IsZero() {
		entry.Start = b.now()
	}
	if err := tx.Omit("Tags.*").Create(&entry).Error; err != nil {
		return "", err
	}
	return entry.ID, nil
}

// nullable is nil for an empty id.
func nullable(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// Edit says what to change of a time entry; what is nil stays.
type Edit struct {
	Description *string
	// Project is the new project; empty takes the entry out of its own.
	Project  *string
	Billable *bool
	Start    *time.Time
	End      *time.Time
	Fields   map[string]any
}

func (e Edit) entry() (entry timesheet.TimeEntry, columns []string) {
	if e.Description != nil {
		entry.Description, columns = *e.Description, append(columns, "description")
	}
	if e.Project != nil {
		entry.ProjectID, columns = nullable(*e.Project), append(columns, "project_id", "task_id")
	}
	if e.Billable != nil {
		entry.Billable, columns = *e.Billable, append(columns, "billable")
	}
	if e.Start != nil {
		entry.Start, columns = e.Start.UTC(), append(columns, "start")
	}
	if e.End != nil {
		entry.End, columns = e.End, append(columns, "end")
	}
	if e.Fields != nil {
		entry.CustomFields, columns = e.Fields, append(columns, "custom_fields")
	}
	return entry, columns
}

// EditEntry changes a time entry.
func (b *Backend) EditEntry(ctx context.Context, id string, e Edit) error {
	return b.BulkEdit(ctx, []string{id}, e)
}

// BulkEdit changes several time entries alike, in one statement. If one of
// them does not exist, none is changed.
func (b *Backend) BulkEdit(ctx context.Context, ids []string, e Edit) error {
	entry, columns := e.entry()
	if len(ids) == 0 || len(columns) == 0 {
		return fmt.Errorf("%w: nothing to edit", ErrInvalid)
	}
	return b.write(ctx, func(tx *gorm.DB) error {
		res := tx.Model(&timesheet.TimeEntry{}).Scopes(in(ctx)).Where("id IN ?", ids).Select(columns).Updates(&entry)
		if res.Error == nil && res.RowsAffected != int64(len(ids)) {
			return fmt.Errorf("%w: %d of %d time entries", ErrNotFound, len(ids)-int(res.RowsAffected), len(ids))
		}
		return res.Error
	})
}

// DeleteEntry deletes a time entry; RestoreEntry brings it back.
func (b *Backend) DeleteEntry(ctx context.Context, id string) error {
	return remove[timesheet.TimeEntry](ctx, b, id)
}

// RestoreEntry undoes DeleteEntry.
func (b *Backend) RestoreEntry(ctx context.Context, id string) error {
	return restore[timesheet.TimeEntry](ctx, b, id)
}

// TagEntry marks a time entry with tags.
func (b *Backend) TagEntry(ctx context.Context, id string, names ...string) error {
	return b.retag(ctx, id, names, func(a *gorm.Association, tags []timesheet.Tag) error { return a.Append(tags) })
}

// UntagEntry takes tags off a time entry.
func (b *Backend) UntagEntry(ctx context.Context, id string, names ...string) error {
	return b.retag(ctx, id, names, func(a *gorm.Association, tags []timesheet.Tag) error { return a.Delete(tags) })
}

func (b *Backend) retag(ctx context.Context, id string, names []string, do func(*gorm.Association, []timesheet.Tag) error) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		var entry timesheet.TimeEntry
		if err := tx.Scopes(in(ctx)).Take(&entry, "id = ?", id).Error; err != nil {
			return fmt.Errorf("%w: time entry %q: %w", ErrNotFound, id, err)
		}
		tags, err := b.tags(ctx, tx, names)
		if err != nil {
			return err
		}
		return do(tx.Model(&entry).Omit("Tags.*").Association("Tags"), tags)
	})
}

// tags finds tags by their names.
func (b *Backend) tags(ctx context.Context, tx *gorm.DB, names []string) ([]timesheet.Tag, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var tags []timesheet.Tag
	if err := tx.Scopes(in(ctx)).Where("name IN ?", names).Order("name").Find(&tags).Error; err != nil {
		return nil, err
	}
	if len(tags) != len(names) {
		return nil, fmt.Errorf("%w: one of the tags %q", ErrNotFound, names)
	}
	return tags, nil
}
