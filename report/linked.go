package report

import (
	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// linked shows the events of a page with what followed from a change under the
// change that caused it. A cause that the page lacks is added for its
// consequences, if the scope may see it. Every event of the page is shown once.
func (q *request) linked(events []audit.Event) ([]*eventView, error) {
	views := make(map[uuid.UUID]*eventView, len(events))
	order := make([]*eventView, len(events))
	for i, e := range events {
		order[i] = q.view(e, false)
		views[e.ID] = order[i]
	}
	causes, err := q.missingCauses(events, views)
	if err != nil {
		return nil, err
	}
	for _, e := range causes {
		v := q.view(e, false)
		v.Shown = false
		views[e.ID] = v
		order = append(order, v)
	}
	parents := make(map[*eventView]*eventView, len(order))
	for _, v := range order {
		// A cause lies before what it caused. What somebody recorded otherwise
		// must not make a circle.
		if cause := views[v.event.Cause]; cause != nil && cause.event.Position().Compare(v.event.Position()) > 0 {
			parents[v] = cause
			cause.Linked = append(cause.Linked, v)
			v.under(cause.event)
		}
	}
	var roots []*eventView
	placed := make(map[*eventView]bool, len(order))
	last := ""
	for _, v := range order {
		for parents[v] != nil {
			v = parents[v]
		}
		if placed[v] || !v.Shown && len(v.Linked) == 0 {
			continue
		}
		placed[v] = true
		if d := day(v.event.Time.In(q.location)); d != last {
			v.Day, last = d, d
		}
		roots = append(roots, v)
	}
	return roots, nil
}

// under leaves out what goes without saying where the event stands under its
// cause: that it was on behalf of the same user.
func (v *eventView) under(cause audit.Event) {
	if on := v.event.Initiator; on.Same(cause.Actor) || on.Same(cause.Initiator) {
		v.Behalf = ""
	}
}

// missingCauses reads the causes of events that are not among them.
func (q *request) missingCauses(events []audit.Event, views map[uuid.UUID]*eventView) ([]audit.Event, error) {
	var ids []uuid.UUID
	seen := map[uuid.UUID]bool{uuid.Nil: true}
	for _, e := range events {
		if views[e.Cause] == nil && !seen[e.Cause] {
			seen[e.Cause] = true
			ids = append(ids, e.Cause)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return q.read(audit.Filter{IDs: ids}, len(ids))
}
