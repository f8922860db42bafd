package audit_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// A Recorder records what no hook sees.
func ExampleRecorder_Record() {
	store := memstore.New()
	rec, err := audit.New(store, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"})
	err = rec.Record(ctx, audit.Event{
		Operation: audit.Updated,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"},
		Changes: []audit.Change{
			{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")},
			{Field: "budget", After: audit.ValueOf(1500)}, // what it was is not known
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(store.All()[0])
	// Output:
	// Jo updated project "Apollo": name: "Gemini" → "Apollo", budget: not recorded → 1500
}

// A Switch decides what is recorded, and may be turned at any time.
func ExampleSwitch() {
	var gate audit.Switch // records nothing at first
	store := memstore.New()
	rec, _ := audit.New(store, &audit.Config{Gate: &gate, Workspace: "w1"})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"})
	rename := func(name string) {
		_ = rec.Record(ctx, audit.Event{
			Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: name},
		})
	}

	rename("not recorded")
	gate.Set("w1", true)
	rename("not recorded either: its type is off")
	gate.SetType("w1", true, audit.TypeProject)
	rename("Apollo")
	gate.Set("w1", false)
	rename("not recorded any more")
	for _, e := range store.All() {
		fmt.Println(e)
	}
	// Output:
	// Jo updated project "Apollo"
}

// With RequireActor a change by nobody fails.
func ExampleConfig_requireActor() {
	rec, _ := audit.New(memstore.New(), &audit.Config{RequireActor: true})
	err := rec.Record(context.Background(), audit.Event{
		Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeProject, ID: "7"},
	})
	fmt.Println(errors.Is(err, audit.ErrNoActor))
	fmt.Println(err)
	// Output:
	// true
	// audit: no actor in the context: set one with audit.WithActor before project updated
}
