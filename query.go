package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// The sizes of pages.
const (
	// DefaultPageSize is the size of a page that names none, as in Clockify.
	DefaultPageSize = 50
	// MaxPageSize is the largest size of a page.
	MaxPageSize = 1000
)

// Query first reads a small batch, because many consumers stop early, and then
// larger ones: large enough that a round trip costs little, small enough that
// events with many long values fit into memory.
const (
	firstBatch = 100
	nextBatch  = 500
)

// errNoProgress is a store that breaks the contract of Store.List and would
// keep its reader in an endless loop.
var errNoProgress = errors.New("audit: the store returned an event that does not lie after the one before it")

// Query returns the events that f asks for, newest first. It reads them batch
// by batch while the caller ranges over them, in memory that does not grow
// with their number, and stops reading when the caller does. Ranging again
// reads again.
//
// An error is yielded once, with a zero Event, and ends the sequence. It wraps
// [ErrInvalidFilter] for a filter that is not valid (see [Catalog.Validate] for
// a stricter check), else the error of the context or of the store.
//
// The batches are read one after the other, not from one snapshot. An event's
// time lies before its transaction's commit, so one that is committed while
// Query runs may belong to a place that Query has passed. Whoever needs every
// event of a range lets it end some time ago, an hour say.
func Query(ctx context.Context, store Store, f Filter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := checkQuery(store, f); err != nil {
			yield(Event{}, err)
			return
		}
		var after Position
		for size := firstBatch; ; size = nextBatch {
			events, err := read(ctx, store, f, after, size)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
			if len(events) < size {
				return
			}
			after = events[len(events)-1].Position()
		}
	}
}

// Page is a part of the answer to a [Filter], newest event first.
type Page struct {
	// Events are those of the page. Empty if there are none.
	Events []Event
	// Next is where the following page starts. Zero if there is none.
	Next Cursor
}

// More reports whether there is a following page.
func (p Page) More() bool { return !p.Next.IsZero() }

// QueryPage returns one page of the events that f asks for: the first one for
// the zero Cursor, else the one that starts at a former page's Next. A size of
// 0 is [DefaultPageSize].
//
// It returns [ErrInvalidFilter] for a filter that is not valid and for a size
// under 0 or over [MaxPageSize], [ErrInvalidCursor] for the cursor of another
// filter, else the error of the context or of the store.
//
// Pages do not shift when events are added. But an event's time lies before
// its transaction's commit: one that is committed late may belong to a page
// that was read already, and shows when that is read again.
func QueryPage(ctx context.Context, store Store, f Filter, at Cursor, size int) (Page, error) {
	if err := checkQuery(store, f); err != nil {
		return Page{}, err
	}
	if size < 0 || size > MaxPageSize {
		return Page{}, fmt.Errorf("%w: a page cannot have %d events; from 1 to %d are possible, and 0 stands for %d",
			ErrInvalidFilter, size, MaxPageSize, DefaultPageSize)
	}
	if size == 0 {
		size = DefaultPageSize
	}
	after, err := at.position(f)
	if err != nil {
		return Page{}, err
	}
	events, err := read(ctx, store, f, after, size+1) // one more tells whether there are more
	if err != nil {
		return Page{}, err
	}
	p := Page{Events: events}
	if len(events) > size {
		p.Events = events[:size:size]
		p.Next = cursorAfter(events[size-1], f)
	}
	return p, nil
}

func checkQuery(store Store, f Filter) error {
	if store == nil {
		return errors.New("audit: a query needs a store, got nil")
	}
	return f.Validate()
}

// read lists a batch and makes sure that it goes on from where the last ended.
func read(ctx context.Context, store Store, f Filter, after Position, size int) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("audit: query: %w", err)
	}
	events, err := store.List(ctx, f.Stored(), after, size)
	if err != nil {
		return nil, fmt.Errorf("audit: query: %w", err)
	}
	for i := range events {
		at := events[i].Position()
		if at.Compare(after) <= 0 {
			return nil, errNoProgress
		}
		after = at
	}
	return events, nil
}
