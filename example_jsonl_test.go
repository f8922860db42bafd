package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// WriteJSONLines and ReadJSONLines carry events from one place to another
// without loss.
func ExampleWriteJSONLines() {
	var file bytes.Buffer
	ctx := context.Background()
	n, err := audit.WriteJSONLines(&file, audit.Query(ctx, exampleStore(), audit.Filter{Workspace: "w1"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n, "events written")

	other := memstore.New()
	for event, err := range audit.ReadJSONLines(&file) {
		if err == nil {
			err = other.Append(ctx, []audit.Event{event})
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(len(other.All()), "events read")
	// Output:
	// 4 events written
	// 4 events read
}

// An event is one line.
func ExampleEvent_AppendJSON() {
	event := audit.Event{
		ID:        uuid.MustParse("019aab0e-1a80-7000-8000-000000000001"),
		Time:      time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Workspace: "w1",
		Operation: audit.Updated,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7"},
		Changes:   []audit.Change{{Field: "note", Before: audit.ValueOf(nil), After: audit.ValueOf("two\nlines")}},
	}
	fmt.Println(string(event.AppendJSON(nil)))
	// Output:
	// {"id":"019aab0e-1a80-7000-8000-000000000001","time":"2026-11-22T10:00:00.000000Z","workspace":"w1","operation":"updated","entity":{"type":"project","id":"7"},"changes":[{"field":"note","before":null,"after":"two\nlines"}]}
}
