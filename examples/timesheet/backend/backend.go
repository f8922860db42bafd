// Package backend is the service code of a small time tracker. It knows
// nothing of auditing but the context: who acts, in which workspace, and by
// which way the change came in. What is recorded follows from the models.
package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/timesheet"
)

// ErrNotFound is returned for a record that the workspace does not have.
var ErrNotFound = errors.New("backend: not found")

// ErrInvalid is returned for what cannot be done as asked.
var ErrInvalid = errors.New("backend: invalid")

// Backend is the time tracker's service. Every method runs in one transaction,
// acts as the user of audit.WithActor and in the workspace of
// audit.WithWorkspace.
type Backend struct {
	db    *gorm.DB
	newID func() string
}

// New returns a Backend on db, whose clock is that of db's config. newID makes
// the keys of new records; nil makes random ones.
func New(db *gorm.DB, newID func() string) *Backend {
	if newID == nil {
		newID = uuid.NewString
	}
	return &Backend{db: db, newID: newID}
}

// now is the backend's clock, the one that GORM uses too.
func (b *Backend) now() time.Time { return b.db.NowFunc().UTC() }

// write runs fn in a transaction, which it commits if fn returns nil.
func (b *Backend) write(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return b.db.WithContext(ctx).Transaction(fn)
}

// in limits a statement to the context's workspace.
func in(ctx context.Context) func(*gorm.DB) *gorm.DB {
	return func(db *gorm.DB) *gorm.DB {
		return db.Where(clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "workspace_id"}, Value: audit.WorkspaceFrom(ctx)})
	}
}

// actor is the id of the user who acts.
func actor(ctx context.Context) string { return audit.ActorFrom(ctx).ID }

// create inserts one record.
func create[T any](ctx context.Context, b *Backend, record *T) error {
	return b.write(ctx, func(tx *gorm.DB) error { return tx.Create(record).Error })
}

// change sets columns of one record.
func change[T any](ctx context.Context, b *Backend, id string, columns map[string]any) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		return one[T](id, tx.Model(new(T)).Scopes(in(ctx)).Where("id = ?", id).Updates(columns))
	})
}

// remove deletes one record.
func remove[T any](ctx context.Context, b *Backend, id string) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		return one[T](id, tx.Scopes(in(ctx)).Where("id = ?", id).Delete(new(T)))
	})
}

// restore undoes the deletion of one record that is deleted softly.
func restore[T any](ctx context.Context, b *Backend, id string) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		return one[T](id, tx.Unscoped().Model(new(T)).Scopes(in(ctx)).
			Where("id = ? AND deleted_at IS NOT NULL", id).Update("deleted_at", nil))
	})
}

// one is the error of a statement that should have met one record.
func one[T any](id string, tx *gorm.DB) error {
	if tx.Error == nil && tx.RowsAffected == 0 {
		return fmt.Errorf("%w: %T %q", ErrNotFound, *new(T), id)
	}
	return tx.Error
}

// EnsureUser finds the user with an address, or adds them.
func (b *Backend) EnsureUser(ctx context.Context, name, email string) (timesheet.User, error) {
	u, err := find[timesheet.User](ctx, b, "email", email)
	if errors.Is(err, ErrNotFound) {
		u = timesheet.User{ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), Name: name, Email: email}
		err = create(ctx, b, &u)
	}
	return u, err
}

// find reads the record in which a column has a value.
func find[T any](ctx context.Context, b *Backend, column, value string) (T, error) {
	var record T
	err := b.db.WithContext(ctx).Scopes(in(ctx)).Where(clause.Eq{Column: column, Value: value}).Take(&record).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = fmt.Errorf("%w: %T with %s %q", ErrNotFound, record, column, value)
	}
	return record, err
}

// list reads the records of the workspace, by name.
func list[T any](ctx context.Context, b *Backend) ([]T, error) {
	var records []T
	err := b.db.WithContext(ctx).Scopes(in(ctx)).Order("name, id").Find(&records).Error
	return records, err
}

// Users lists the users, by name.
func (b *Backend) Users(ctx context.Context) ([]timesheet.User, error) {
	return list[timesheet.User](ctx, b)
}

// User finds a user by id.
func (b *Backend) User(ctx context.Context, id string) (timesheet.User, error) {
	return find[timesheet.User](ctx, b, "id", id)
}
