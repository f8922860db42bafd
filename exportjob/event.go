package exportjob

import (
	"encoding/json"
	"time"

	"github.com/gormtrail/audit"
)

// Event is the event of something done with the export: [audit.Exported] when it
// was asked for, [audit.Downloaded] when its file was. Its actor is the
// requester, its changes are what was exported: format, query (the filter as
// people read it), filter and bound, and of a ready one rows and digest. [Queue] records both; a program that
// writes a file on the spot, without a job, fills in a Job and records it.
func (j Job) Event(op audit.Operation) audit.Event {
	e := audit.Event{
		Workspace: j.Workspace,
		Actor:     j.Requester,
		Operation: op,
		Entity:    audit.Entity{Type: audit.TypeExport, ID: j.ID.String(), Label: j.FileName()},
	}
	tell := func(field string, value any) {
		if text, err := json.Marshal(value); err == nil { // all of them are texts and numbers
			e.Changes = append(e.Changes, audit.Change{Field: field, After: audit.Value{JSON: text}})
		}
	}
	tell("format", j.Format)
	tell("query", audit.FormatQuery(j.Filter, nil))
	if filter, err := encodeFilter(j.Filter); err == nil {
		tell("filter", filter)
	}
	if !j.Bound.IsZero() {
		tell("bound", j.Bound.UTC().Format(time.RFC3339Nano))
	}
	if j.State == Ready {
		tell("rows", j.Rows)
		tell("sha256", j.SHA256)
	}
	return e
}
