package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// ActorLister is a [Store] that can list the authors of a workspace without
// reading its events. For a store without it, [QueryActors] lists the authors
// of the newest events only.
type ActorLister interface {
	// ListActors returns the authors of the workspace's events, each once by
	// kind and id (see [Actor.Same]), with the name of its newest event,
	// sorted by kind and id; an empty kind comes as [KindUser]. If there are more
	// than limit, it returns limit of them, whichever it finds first. An empty
	// workspace is an error that wraps [ErrInvalidFilter], a
	// limit under 1 an error.
	ListActors(ctx context.Context, workspace string, limit int) ([]Actor, error)
}

// recentEvents is the number of events whose authors are listed for a store
// that is no [ActorLister].
const recentEvents = MaxPageSize

// QueryActors returns up to limit authors of the workspace's events, each once
// with its newest name, sorted by kind and id: those that somebody can choose
// from for [Filter.Actors]. A store that is no [ActorLister] is asked for its
// newest 1,000 events, whose authors are returned.
//
// It returns [ErrInvalidFilter] for an empty workspace and a limit under 1, else
// the error of the context or of the store.
func QueryActors(ctx context.Context, store Store, workspace string, limit int) ([]Actor, error) {
	f := Filter{Workspace: workspace}
	if err := checkQuery(store, f); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("%w: a list of %d actors; the limit must be at least 1", ErrInvalidFilter, limit)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("audit: query actors: %w", err)
	}
	if lister, ok := store.(ActorLister); ok {
		actors, err := lister.ListActors(ctx, cleanID(workspace), limit)
		if err != nil {
			return nil, fmt.Errorf("audit: query actors: %w", err)
		}
		return actors, nil
	}
	events, err := read(ctx, store, f, Position{}, recentEvents)
	if err != nil {
		return nil, err
	}
	var actors []Actor
	for _, e := range events { // newest first, so with the newest names
		if len(actors) < limit && !slices.ContainsFunc(actors, e.Actor.Same) {
			e.Actor.Kind = e.Actor.kind()
			actors = append(actors, e.Actor)
		}
	}
	slices.SortFunc(actors, func(a, b Actor) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return actors, nil
}
