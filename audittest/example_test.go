package audittest_test

import (
	"context"
	"fmt"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/audittest"
)

// printing stands for the *testing.T of a test: it prints why it fails.
type printing struct{}

func (printing) Helper() {}

func (printing) Fatalf(format string, args ...any) { fmt.Printf(format, args...) }

// rename is what is tested. An application that uses hooks has no such line.
func rename(ctx context.Context, rec *audit.Recorder, id, before, after string) error {
	return rec.Record(ctx, audit.Event{
		Operation: audit.Updated,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: id, Label: after},
		Changes:   []audit.Change{{Field: "name", Before: audit.ValueOf(before), After: audit.ValueOf(after)}},
	})
}

// A test names what it cares for. A failure shows what comes nearest to it.
func ExampleLog_Require() {
	t := printing{}
	log := audittest.New(nil)
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"})
	if err := rename(ctx, log.Recorder(), "7", "Gemini", "Apollo"); err != nil {
		fmt.Println(err)
		return
	}

	e := log.Require(t, audittest.Event{
		Operation: audit.Updated,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7"},
		Changes:   []audittest.Change{{Field: "name", Before: "Gemini", After: "Apollo"}},
	})
	fmt.Println(e.Time, e.ID)
	fmt.Println()

	log.Require(t, audittest.Event{
		Entity:  audit.Entity{Type: audit.TypeProject, ID: "7"},
		Actor:   audit.Actor{ID: "18"},
		Changes: []audittest.Change{{Field: "name", After: "Artemis"}},
	})
	// Output:
	// 2026-01-01 09:00:00 +0000 UTC 019b78c9-0a80-7000-8000-000000000001
	//
	// audittest: no event is as expected
	//
	// expected:
	//     entity.type "project", entity.id "7", actor.id "18", name: any → "Artemis"
	// nearest, event 1:
	//     Jo updated project "Apollo": name: "Gemini" → "Apollo"
	//         actor.id: expected "18", found "17"
	//         name, after: expected "Artemis", found "Apollo"
	// recorded, oldest first:
	//     1. Jo updated project "Apollo": name: "Gemini" → "Apollo"
}

// Exactly these events, in this order, and no other.
func ExampleLog_RequireExactly() {
	t := printing{}
	log := audittest.New(nil)
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"})
	_ = rename(ctx, log.Recorder(), "7", "Gemini", "Apollo")
	_ = rename(ctx, log.Recorder(), "8", "Vostok", "Soyuz")

	log.RequireExactly(t,
		audittest.Event{Entity: audit.Entity{ID: "7"}},
		audittest.Event{Entity: audit.Entity{ID: "9"}, Changes: []audittest.Change{{Field: "name", After: "Soyuz"}}},
	)
	// Output:
	// audittest: the events are not exactly those expected: 2 expected, 2 recorded
	//
	// as expected: Jo updated project "Apollo": name: "Gemini" → "Apollo"
	// differs:     Jo updated project "Soyuz": name: "Vostok" → "Soyuz"
	//                  entity.id: expected "9", found "8"
}

// Nothing was recorded, or nothing of a kind.
func ExampleLog_RequireNone() {
	t := printing{}
	log := audittest.New(nil)
	log.RequireNone(t)

	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"})
	_ = rename(ctx, log.Recorder(), "7", "Gemini", "Apollo")
	log.RequireNone(t, audittest.Event{Operation: audit.Deleted})
	log.RequireNone(t)
	// Output:
	// audittest: nothing should have been recorded
	//
	// recorded, oldest first:
	//     1. Jo updated project "Apollo": name: "Gemini" → "Apollo"
}
