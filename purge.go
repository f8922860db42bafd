package audit

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Purged is the operation of an event that tells of others which were deleted
// because they had been kept for long enough. Its entity is of [TypeLog], with the
// id "*". Its changes are
//
//	events   how many were deleted
//	from     the time of the oldest of them
//	to       the time of the newest
//	archive  the files that hold them, each with name and sha256, if they were archived
//
// It is of the workspace whose events are gone, and is written in the transaction
// that deletes them.
const Purged Operation = "purged"

// ErrMissing is returned by a [Purger] for an event that is not there, or not
// there any more.
var ErrMissing = errors.New("audit: an event is not there")

// PurgeBatch is what a [Purger] does in one transaction.
type PurgeBatch struct {
	// Workspace is the workspace of the events. It is required.
	Workspace string
	// From and To bound their times: From <= time < To. A zero From is open, To is
	// required.
	From, To time.Time
	// IDs are the events that are deleted, each named once: from 1 to
	// [MaxPageSize].
	IDs []uuid.UUID
	// Tell are the events that are appended; see [Purged]. May be empty.
	Tell []Event
}

// Validate returns an error that wraps [ErrInvalidFilter] and names the field if
// the batch lacks something.
func (b PurgeBatch) Validate() error {
	switch {
	case b.Workspace == "":
		return invalidFilter("PurgeBatch.Workspace is empty")
	case b.To.IsZero():
		return invalidFilter("PurgeBatch.To is zero")
	case len(b.IDs) == 0 || len(b.IDs) > MaxPageSize:
		return invalidFilter("PurgeBatch.IDs has %d elements; from 1 to %d are possible", len(b.IDs), MaxPageSize)
	}
	return nil
}

// Purger is a [Store] that can delete events. Package retention needs it; there is
// no fallback, since a store that cannot delete keeps everything.
type Purger interface {
	// Purge deletes the events of the batch and appends those that tell of it, in
	// one transaction: all of it is done or nothing. It counts what it deletes in
	// that transaction and returns [ErrMissing] if an id is not that of an event
	// in the workspace and within the times, or is named twice; [ErrDuplicate] as
	// [Store.Append] does; and the error of [PurgeBatch.Validate].
	//
	// After another error it may have been done, if a connection was lost at the
	// end.
	Purge(ctx context.Context, b PurgeBatch) error
}

// WorkspaceLister is a [Store] that knows of which workspaces it has events. It
// looks across workspaces and is for the operator's work only, such as purging;
// without it, whoever needs the workspaces has to be told.
type WorkspaceLister interface {
	// ListWorkspaces returns up to limit workspaces that follow after, each once,
	// in an order of the store's own; the empty text comes before the first. It
	// returns fewer than limit only if there are no more. A limit under 1 is an
	// error.
	ListWorkspaces(ctx context.Context, after string, limit int) ([]string, error)
}

// Timekeeper is a [Store] that has a clock of its own, which may be on another
// machine. Without it nobody contradicts the program's clock.
type Timekeeper interface {
	// Time returns the time by the store's clock.
	Time(ctx context.Context) (time.Time, error)
}
