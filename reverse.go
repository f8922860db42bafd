package audit

import "context"

// ReverseLister is a [Store] that can read towards newer events too. Without it
// the report page leads from older pages back to the first one only.
type ReverseLister interface {
	// ListBefore returns up to limit events that match f and lie before the
	// given position: those nearest to it, newest first as [Store.List] returns
	// them. The zero Position lies behind the oldest event. It returns fewer than
	// limit events only if there are no more, and errors as List does.
	ListBefore(ctx context.Context, f Filter, before Position, limit int) ([]Event, error)
}
