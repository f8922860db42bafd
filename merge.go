package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Merge returns a [Store] that reads several as one: the live one and an archive,
// for example. An event that more than one of them has is found once, from the
// first of the stores that has it. Name those that answer fast and have the newest
// events first: the others are asked for what is older than what was found.
//
// What a store can do beyond [Store] is not passed on: [QueryActors], for one, knows
// the authors of the newest events only.
//
// It can be read only: Append returns an error that wraps errors.ErrUnsupported.
// A nil store is passed over.
func Merge(stores ...Store) Store {
	return merged(slices.DeleteFunc(slices.Clone(stores), func(s Store) bool { return s == nil }))
}

// merged are the stores that are read as one.
type merged []Store

// Append implements [Store].
func (merged) Append(context.Context, []Event) error {
	return fmt.Errorf("audit: merged stores can be read only, append to one of them: %w", errors.ErrUnsupported)
}

// List implements [Store].
func (m merged) List(ctx context.Context, f Filter, after Position, limit int) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("audit: limit is %d, must be at least 1", limit)
	}
	var found []Event
	for _, store := range m {
		if len(found) == limit {
			// What is older than the last of them is not on this page.
			f.From = latest(f.From, found[limit-1].Time)
		}
		events, err := store.List(ctx, f, after, limit)
		if err != nil {
			return nil, err
		}
		found = mergeEvents(found, events, limit)
	}
	return found, nil
}

// mergeEvents are the first limit of two lists that are both newest first. Of what
// both have, that of a stays.
func mergeEvents(a, b []Event, limit int) []Event {
	both := make([]Event, 0, min(limit, len(a)+len(b)))
	for len(both) < limit && (len(a) > 0 || len(b) > 0) {
		order := -1
		switch {
		case len(a) == 0:
			order = 1
		case len(b) > 0:
			order = a[0].Position().Compare(b[0].Position())
		}
		if order > 0 {
			both, b = append(both, b[0]), b[1:]
			continue
		}
		both, a = append(both, a[0]), a[1:]
		if order == 0 {
			b = b[1:]
		}
	}
	return both
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
