package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// Exports are the jobs of exports that are made in the background, kept in the
// store's database for package exportjob. They are safe for use by several
// goroutines at once.
type Exports struct{ store *Store }

var _ exportjob.Store = (*Exports)(nil)

// Exports returns the jobs kept in the store's database.
func (s *Store) Exports() *Exports { return &Exports{s} }

// Add implements [exportjob.Store].
func (x *Exports) Add(ctx context.Context, job exportjob.Job) error {
	text, err := exportjob.EncodeJob(job)
	if err != nil {
		return fmt.Errorf("sqlstore: add an export: %w", err)
	}
	q := x.query()
	q.write("INSERT INTO ", x.table(), " (id, workspace, requester_kind, requester_id, slot, created, state, due, version, job) VALUES ")
	for i, v := range []any{
		q.dialect.uuid(&job.ID), job.Workspace, string(kindOf(job.Requester)), job.Requester.ID,
		slot(job), job.Created.UnixMicro(), string(job.State), due(job), int64(1), string(text),
	} {
		q.WriteByte("(,"[min(i, 1)])
		q.arg(v)
	}
	q.write(")")
	switch _, err := x.store.db.ExecContext(ctx, q.String(), q.args...); {
	case err == nil:
		return nil
	case q.dialect.duplicate(err):
		return exportjob.ErrConflict
	default:
		return fmt.Errorf("sqlstore: add an export: %w", err)
	}
}

// Get implements [exportjob.Store].
func (x *Exports) Get(ctx context.Context, workspace string, id uuid.UUID) (exportjob.Job, error) {
	q := x.query()
	q.write("SELECT version, job FROM ", x.table(), " WHERE id = ")
	q.arg(q.dialect.uuid(&id))
	q.write(" AND workspace = ")
	q.arg(workspace)
	job, err := scanExport(x.store.db.QueryRowContext(ctx, q.String(), q.args...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return exportjob.Job{}, exportjob.ErrNotFound
	case err != nil:
		return exportjob.Job{}, fmt.Errorf("sqlstore: get an export: %w", err)
	}
	return job, nil
}

// List implements [exportjob.Store].
func (x *Exports) List(ctx context.Context, workspace string, requester audit.Actor, limit int) ([]exportjob.Job, error) {
	q := x.query()
	q.write("SELECT version, job FROM ", x.table(), " WHERE workspace = ")
	q.arg(workspace)
	q.write(" AND requester_kind = ")
	q.arg(string(kindOf(requester)))
	q.write(" AND requester_id = ")
	q.arg(requester.ID)
	q.write(" ORDER BY created DESC, id DESC LIMIT ", strconv.Itoa(limit))
	return x.some(ctx, q)
}

// Due implements [exportjob.Store].
func (x *Exports) Due(ctx context.Context, at time.Time, limit int) ([]exportjob.Job, error) {
	q := x.query()
	q.write("SELECT version, job FROM ", x.table(), " WHERE due <= ")
	q.arg(at.UnixMicro())
	q.write(" ORDER BY due, id LIMIT ", strconv.Itoa(limit))
	return x.some(ctx, q)
}

// Update implements [exportjob.Store].
func (x *Exports) Update(ctx context.Context, job exportjob.Job) (exportjob.Job, error) {
	text, err := exportjob.EncodeJob(job)
	if err != nil {
		return exportjob.Job{}, fmt.Errorf("sqlstore: update an export: %w", err)
	}
	q := x.query()
	q.write("UPDATE ", x.table(), " SET slot = ")
	q.arg(slot(job))
	q.write(", state = ")
	q.arg(string(job.State))
	q.write(", due = ")
	q.arg(due(job))
	q.write(", job = ")
	q.arg(string(text))
	q.write(", version = version + 1 WHERE id = ")
	q.arg(q.dialect.uuid(&job.ID))
	q.write(" AND workspace = ")
	q.arg(job.Workspace)
	q.write(" AND version = ")
	q.arg(job.Version)
	result, err := x.store.db.ExecContext(ctx, q.String(), q.args...)
	if err != nil {
		return exportjob.Job{}, fmt.Errorf("sqlstore: update an export: %w", err)
	}
	switch n, err := result.RowsAffected(); {
	case err != nil:
		return exportjob.Job{}, fmt.Errorf("sqlstore: update an export: %w", err)
	case n == 0:
		return exportjob.Job{}, exportjob.ErrConflict
	}
	job.Version++
	return job, nil
}

// some reads jobs. One that this version of the program cannot read does not
// hide the others.
func (x *Exports) some(ctx context.Context, q *query) ([]exportjob.Job, error) {
	rows, err := x.store.db.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list exports: %w", err)
	}
	defer rows.Close()
	var (
		jobs       []exportjob.Job
		unreadable error
	)
	for rows.Next() {
		job, err := scanExport(rows)
		if err != nil {
			unreadable = errors.Join(unreadable, fmt.Errorf("sqlstore: list exports: %w", err))
			continue
		}
		jobs = append(jobs, job)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlstore: list exports: %w", err)
	}
	return jobs, errors.Join(unreadable, rows.Close())
}

func (x *Exports) query() *query { return &query{dialect: x.store.names.dialect} }

func (x *Exports) table() string { return x.store.names.qualified(x.store.names.exports) }

func scanExport(row interface{ Scan(dest ...any) error }) (exportjob.Job, error) {
	var (
		version int64
		text    []byte
	)
	if err := row.Scan(&version, &text); err != nil {
		return exportjob.Job{}, err
	}
	job, err := exportjob.DecodeJob(text)
	job.Version = version
	return job, err
}

// kindOf spells the empty kind out, so that a column can be compared.
func kindOf(a audit.Actor) audit.ActorKind {
	if a.Kind == "" {
		return audit.KindUser
	}
	return a.Kind
}

// slot is the job's slot, or NULL, of which there may be many.
func slot(job exportjob.Job) any {
	if job.Slot == 0 {
		return nil
	}
	return int64(job.Slot)
}

// due is when the job is due, or NULL for never.
func due(job exportjob.Job) any {
	if job.Due.IsZero() {
		return nil
	}
	return job.Due.UnixMicro()
}
