package memstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

var (
	_ audit.Purger          = (*Store)(nil)
	_ audit.WorkspaceLister = (*Store)(nil)
)

// Purge implements [audit.Purger]. It goes through all events.
func (s *Store) Purge(ctx context.Context, b audit.PurgeBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.Validate(); err != nil {
		return err
	}
	gone := make(map[uuid.UUID]struct{}, len(b.IDs))
	for _, id := range b.IDs {
		gone[id] = struct{}{}
	}
	purged := func(e audit.Event) bool {
		_, named := gone[e.ID]
		return named && e.Workspace == b.Workspace && (b.From.IsZero() || !e.Time.Before(b.From)) && e.Time.Before(b.To)
	}
	tell := prepare(b.Tell)
	s.mu.Lock()
	defer s.mu.Unlock()
	there := 0
	for _, e := range s.events {
		if purged(e) {
			there++
		}
	}
	if there != len(b.IDs) {
		return fmt.Errorf("%w: of %d events to be purged only %d are in workspace %q and within the times; none was deleted", audit.ErrMissing, len(b.IDs), there, b.Workspace)
	}
	if err := s.check(tell); err != nil {
		return err
	}
	s.events = slices.DeleteFunc(s.events, purged)
	for id := range gone {
		delete(s.ids, id)
	}
	s.insert(tell)
	return nil
}

// ListWorkspaces implements [audit.WorkspaceLister], in the order of their bytes.
// It goes through all events.
func (s *Store) ListWorkspaces(ctx context.Context, after string, limit int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("memstore: limit is %d, must be at least 1", limit)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []string
	for _, e := range s.events {
		if at, there := slices.BinarySearch(list, e.Workspace); !there && e.Workspace > after {
			list = slices.Insert(list, at, e.Workspace)
		}
	}
	return list[:min(limit, len(list))], nil
}
