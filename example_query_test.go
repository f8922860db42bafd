package audit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// exampleStore is a store in which Jo and Kim worked for a while.
func exampleStore() audit.Store {
	store := memstore.New()
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	rec, err := audit.New(store, &audit.Config{
		Workspace: "w1",
		Now:       func() time.Time { at = at.Add(time.Hour); return at },
	})
	if err != nil {
		panic(err)
	}
	record := func(actor audit.Actor, operation audit.Operation, label string, changes ...audit.Change) {
		err := rec.Record(audit.WithActor(context.Background(), actor), audit.Event{
			Operation: operation, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: label}, Changes: changes,
		})
		if err != nil {
			panic(err)
		}
	}
	jo, kim := audit.Actor{ID: "17", Name: "Jo"}, audit.Actor{ID: "18", Name: "Kim"}
	record(jo, audit.Created, "Gemini", audit.Change{Field: "name", After: audit.ValueOf("Gemini")})
	record(kim, audit.Updated, "Apollo", audit.Change{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")})
	record(jo, audit.Updated, "Apollo", audit.Change{Field: "note", Before: audit.ValueOf(nil), After: audit.ValueOf("=1+1")})
	record(kim, audit.Deleted, "Apollo", audit.Change{Field: "name", Before: audit.ValueOf("Apollo")})
	return store
}

// Query reads all events that a filter asks for, however many they are.
func ExampleQuery() {
	store := exampleStore()
	f := audit.Filter{
		Workspace: "w1",
		From:      time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		Actors:    []audit.Actor{{ID: "17"}, audit.System},
	}
	for event, err := range audit.Query(context.Background(), store, f) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Time.Format(time.TimeOnly), event)
	}
	// Output:
	// 12:00:00 Jo updated project "Apollo": note: none → "=1+1"
	// 10:00:00 Jo created project "Gemini": name: "Gemini"
}

// QueryPage reads page by page. The cursor goes through a URL as text.
func ExampleQueryPage() {
	store := exampleStore()
	f := audit.Filter{Workspace: "w1"}
	next := ""
	for {
		cursor, err := audit.ParseCursor(next)
		if err != nil {
			fmt.Println(err)
			return
		}
		page, err := audit.QueryPage(context.Background(), store, f, cursor, 3)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, event := range page.Events {
			fmt.Println(event)
		}
		if !page.More() {
			break
		}
		fmt.Println("-- next page")
		next = page.Next.String()
	}
	// Output:
	// Kim deleted project "Apollo": name: "Apollo"
	// Jo updated project "Apollo": note: none → "=1+1"
	// Kim updated project "Apollo": name: "Gemini" → "Apollo"
	// -- next page
	// Jo created project "Gemini": name: "Gemini"
}
