package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// restoreBatch is the number of events that are appended at once.
const restoreBatch = 500

// Restore appends to a store what the filter finds in another, usually an archive,
// and returns how many events were not there before. It may be run again, and be
// interrupted: an event that is there already, equal in all its parts, is passed
// over. If another event has the same id, the error wraps [audit.ErrDuplicate] and
// names it.
//
// It goes on in batches of 500, so a part may have been restored when it returns an
// error. What a policy of package retention does not keep, the next purge deletes
// again; name it in a hold first.
func Restore(ctx context.Context, to, from audit.Store, f audit.Filter) (int, error) {
	if to == nil || from == nil {
		return 0, errors.New("archive: Restore needs two stores")
	}
	restored := 0
	batch := make([]audit.Event, 0, restoreBatch)
	flush := func() error {
		n, err := restore(ctx, to, batch)
		restored += n
		batch = batch[:0]
		return err
	}
	for e, err := range audit.Query(ctx, from, f) {
		if err != nil {
			return restored, err
		}
		if batch = append(batch, e); len(batch) == restoreBatch {
			if err := flush(); err != nil {
				return restored, err
			}
		}
	}
	return restored, flush()
}

// restore appends those of some events that are not there.
func restore(ctx context.Context, to audit.Store, events []audit.Event) (int, error) {
	for before := len(events) + 1; len(events) > 0; {
		missing, err := absent(ctx, to, events)
		if err != nil || len(missing) == 0 {
			return 0, err
		}
		err = to.Append(ctx, missing)
		switch {
		case err == nil:
			return len(missing), nil
		case !errors.Is(err, audit.ErrDuplicate) || len(missing) >= before:
			// An id that is there, but not in this workspace, stays missing.
			return 0, fmt.Errorf("archive: restore: %w", err)
		}
		before = len(missing) // somebody else appended one meanwhile
	}
	return 0, nil
}

// absent returns those of some events of one workspace that a store does not have.
func absent(ctx context.Context, store audit.Store, events []audit.Event) ([]audit.Event, error) {
	f := audit.Filter{Workspace: events[0].Workspace}
	for _, e := range events {
		f.IDs = append(f.IDs, e.ID)
	}
	there := make(map[uuid.UUID]audit.Event, len(events))
	for e, err := range audit.Query(ctx, store, f) {
		if err != nil {
			return nil, err
		}
		there[e.ID] = e
	}
	var missing []audit.Event
	for _, e := range events {
		same, is := there[e.ID]
		switch {
		case !is:
			missing = append(missing, e)
		case !Equal(same, e):
			return nil, fmt.Errorf("archive: restore: %w: another one has the id %s", audit.ErrDuplicate, e.ID)
		}
	}
	return missing, nil
}

// Equal reports whether two events are the same in all their parts, as JSON tells
// them.
func Equal(a, b audit.Event) bool {
	return bytes.Equal(a.AppendJSON(nil), b.AppendJSON(nil))
}
