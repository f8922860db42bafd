package exportjob

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Store keeps jobs. It knows nothing of what they mean: [Queue] and [Worker]
// decide, and a change that somebody else has overtaken is refused. Memory is
// one, and so is sqlstore's Exports; package storetest has the tests that every
// Store must pass.
//
// A Store is safe for use by several goroutines at once.
type Store interface {
	// Add keeps a new job under Version 1. It returns [ErrConflict] if the id is
	// there already, or if another job of the same workspace and requester
	// (compared by kind and id) has the same Slot, unless that is 0.
	Add(ctx context.Context, job Job) error

	// Get returns the workspace's job of that id, else [ErrNotFound].
	Get(ctx context.Context, workspace string, id uuid.UUID) (Job, error)

	// List returns up to limit jobs of the requester in the workspace, the
	// newest first: by Created, then by id, both descending. An error may come
	// along with jobs, if some could not be read: see [DecodeJob].
	List(ctx context.Context, workspace string, requester audit.Actor, limit int) ([]Job, error)

	// Due returns up to limit jobs of all workspaces that are due at the time,
	// Due <= at, the longest due first. Those that are never due are not among
	// them. An error may come along with jobs, as for List.
	Due(ctx context.Context, at time.Time, limit int) ([]Job, error)

	// Update replaces the job of that workspace and id if its stored Version is
	// still job.Version, and returns it under the next Version. Workspace,
	// requester, id and Created stay as they are. It returns [ErrConflict] if
	// the version is another one, or if there is no such job.
	Update(ctx context.Context, job Job) (Job, error)
}

// Errors that callers may want to tell apart with errors.Is. Their messages are
// fit for the requester.
var (
	// ErrInvalid is returned for a request that cannot be done: no workspace, or
	// a filter of another one, no requester, an unknown format or time zone. A filter that cannot be answered is
	// [audit.ErrInvalidFilter].
	ErrInvalid = errors.New("exportjob: invalid request")
	// ErrUnsettled is returned for a request whose range begins after what can be
	// exported; see [Config.Lag]. One that only ends later is cut; see [Job].Bound.
	ErrUnsettled = errors.New("exportjob: the range is too recent to be exported")
	// ErrTooMany is returned if the requester has as many open jobs as allowed.
	ErrTooMany = errors.New("exportjob: too many exports are open")
	// ErrNotFound is returned for a job that there is not, or that belongs to
	// another workspace or requester, and for a link that does not fit.
	ErrNotFound = errors.New("exportjob: there is no such export")
	// ErrNotReady is returned for the file of a job that has none: not yet, or
	// never, since it failed or was cancelled.
	ErrNotReady = errors.New("exportjob: the export is not ready")
	// ErrExpired is returned for a file that is gone, or a link that is too old.
	ErrExpired = errors.New("exportjob: the export has expired")
	// ErrFinished is returned by [Queue.Cancel] for a job that is over.
	ErrFinished = errors.New("exportjob: the export is over")
	// ErrConflict is returned by a [Store] for a change that came too late.
	ErrConflict = errors.New("exportjob: the export was changed by somebody else")
)
