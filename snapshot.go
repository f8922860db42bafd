package audit

import (
	"context"
	"fmt"
	"iter"
)

// Streamer is a [Store] that reads all that a filter finds in one go. Without it
// [Snapshot] reads batch by batch, as [Query] does.
type Streamer interface {
	// Stream yields the events that f asks for, newest first, from one snapshot of
	// the store: those that are there when it begins. It holds a connection until
	// the range over it ends. An error is yielded once, with a zero Event, and ends
	// the sequence: that of [Filter.Validate], of the context, or of the store.
	Stream(ctx context.Context, f Filter) iter.Seq2[Event, error]
}

// Snapshot is [Query] for those who read everything, and have nothing to wait for
// meanwhile: from one snapshot, and in less time, if the store is a [Streamer].
//
// The store's connection is held until the range ends. If it has one only, as
// SQLite often does, the body of the loop must not use it. PostgreSQL cleans up
// nothing that was deleted meanwhile. For readers who may be slow, as the client of
// a web server, take Query.
func Snapshot(ctx context.Context, store Store, f Filter) iter.Seq2[Event, error] {
	streamer, ok := store.(Streamer)
	if !ok {
		return Query(ctx, store, f)
	}
	return func(yield func(Event, error) bool) {
		err := checkQuery(store, f)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(Event{}, fmt.Errorf("audit: query: %w", err))
			return
		}
		for e, err := range streamer.Stream(ctx, f.stored()) {
			if err != nil {
				yield(Event{}, fmt.Errorf("audit: query: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
