package audit_test

import (
	"context"
	"fmt"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// A renamed project changes what its time entries show. Package hooks does all
// of this by itself; here is how to do it without GORM.
func ExampleCascade() {
	store := memstore.New()
	rec, _ := audit.New(store, nil)
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"})
	rule := audit.Cascade{Parent: audit.TypeProject, Child: audit.TypeTimeEntry, Field: "project_id"}

	parent := []audit.Event{{
		Operation: audit.Updated,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"},
		Changes:   []audit.Change{{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")}},
	}}
	if err := rec.Stamp(ctx, parent); err != nil { // gives it the id that its children name
		fmt.Println(err)
		return
	}
	events := parent
	if changes := rule.Follows(parent[0], "name"); len(changes) > 0 {
		for _, child := range []audit.Entity{{ID: "1", Label: "Standup", Owner: "17"}, {ID: "2", Label: "Review", Owner: "18"}} {
			events = append(events, rule.Derive(parent[0], child, changes))
		}
	}
	if err := rec.Record(ctx, events...); err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events[1:] {
		fmt.Println(e, "because of", e.Cause == parent[0].ID)
	}
	// Output:
	// System (for Jo) updated time entry "Standup": project_id: "Gemini" → "Apollo" because of true
	// System (for Jo) updated time entry "Review": project_id: "Gemini" → "Apollo" because of true
}
