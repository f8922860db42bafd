package main

import (
	"context"
	"fmt"
	"reflect"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// compared is how many events of a log are read whole.
const compared = 1000

// readBack reads some events and compares all that they hold with what was
// written.
func (s *subject) readBack(ctx context.Context) error {
	written := map[string][]audit.Event{}
	n := 0
	y := newYear(s.n)
	for events := y.next(); len(events) > 0 && n < compared; events = y.next() {
		n += len(events)
		written[events[0].Workspace] = append(written[events[0].Workspace], events...)
	}
	for workspace, events := range written {
		byID := make(map[uuid.UUID]audit.Event, len(events))
		var ids []uuid.UUID
		for _, e := range events {
			byID[e.ID] = e
			ids = append(ids, e.ID)
		}
		found, err := s.store.List(ctx, audit.Filter{Workspace: workspace, IDs: ids}, audit.Position{}, len(ids)+1)
		if err != nil {
			return err
		}
		if len(found) != len(events) {
			return fmt.Errorf("of %d events %d were found", len(events), len(found))
		}
		for _, e := range found {
			if want := byID[e.ID]; !reflect.DeepEqual(e, want) {
				return fmt.Errorf("event %s differs from the one that was written:\n%+v\n%+v", e.ID, e, want)
			}
		}
	}
	return nil
}
