package audit

import (
	"context"
	"fmt"
)

// Streamer is a [Store] that reads all that a filter finds in one go. Without it
// [Snapshot] reads batch by batch, as [Query] does.
type Streamer interface {
	// Stream calls each with the events that f asks for, newest first, from one
	// snapshot of the store: those that are there when it begins. The event is good
	// until each returns: the store may use its Changes, and the JSON of their
	// values, for the next one. Texts stay.
	//
	// Stream holds a connection until it returns, with the first error: that of
	// [Filter.Validate], of the context, of the store, or of each.
	Stream(ctx context.Context, f Filter, each func(*Event) error) error
}

// Snapshot is [Query] for those who read everything, and have nothing to wait for
// meanwhile: from one snapshot, and in less time, if the store is a [Streamer]. It
// calls each with the events that f asks for, newest first.
//
// The event, its Changes and the JSON of their values are good until each returns.
// Whoever keeps events takes Query.
//
// The store's connection is held until Snapshot returns. If it has one only, as
// SQLite often does, each must not use it. PostgreSQL cleans up nothing that was
// deleted meanwhile. For readers who may be slow, as the client of a web server,
// take Query.
//
// It returns the first error: [ErrInvalidFilter] for a filter that is not valid,
// that of the context or of the store, or that of each, as it is.
func Snapshot(ctx context.Context, store Store, f Filter, each func(*Event) error) error {
	streamer, ok := store.(Streamer)
	if !ok {
		return yielded(Query(ctx, store, f))(each)
	}
	err := checkQuery(store, f)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: query: %w", err)
	}
	var stopped error
	err = streamer.Stream(ctx, f.Stored(), func(e *Event) error {
		stopped = each(e)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if err != nil {
		return fmt.Errorf("audit: query: %w", err)
	}
	return nil
}
