package audit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// Customer is a record that is kept without GORM.
type Customer struct {
	ID       int               `json:"id"`
	Name     string            `json:"name"`
	Since    time.Time         `json:"since"`
	Password string            `json:"password"`
	Settings map[string]string `json:"settings"`
}

// Diff makes history for records that no hook sees.
func ExampleDiff() {
	since := time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)
	before := Customer{ID: 7, Name: "Gemini", Since: since, Password: "one"}
	after := Customer{ID: 7, Name: "Apollo", Since: since.In(time.FixedZone("CET", 3600)), Password: "two"}

	changes, err := audit.Diff(before, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range changes {
		fmt.Println(c)
	}
	// Output:
	// name: "Gemini" → "Apollo"
	// password: changed (withheld)
}

// What was created or deleted has every field, with one side.
func ExampleDiff_created() {
	store := memstore.New()
	rec, _ := audit.New(store, nil)
	customer := Customer{ID: 7, Name: "Apollo", Since: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}

	changes, _ := audit.Diff(nil, customer)
	_ = rec.Record(audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"}), audit.Event{
		Operation: audit.Created,
		Entity:    audit.Entity{Type: "customer", ID: "7", Label: customer.Name},
		Changes:   changes,
	})
	fmt.Println(store.All()[0])
	// Output:
	// Jo created customer "Apollo": id: 7, name: "Apollo", since: "2026-01-31T00:00:00Z", password: withheld, settings: none
}

// Details tells what differs inside of a field that holds JSON.
func ExampleChange_Details() {
	change := audit.Change{
		Field:  "custom_fields",
		Before: audit.ValueOf(map[string]any{"rate": map[string]any{"amount": 100, "currency": "USD"}, "members": []string{"Jo"}}),
		After:  audit.ValueOf(map[string]any{"rate": map[string]any{"amount": 120, "currency": "USD"}, "members": []string{"Jo", "Ann"}}),
	}
	for _, c := range change.Details() {
		fmt.Println(c)
	}
	// Output:
	// custom_fields.members[1]: added "Ann"
	// custom_fields.rate.amount: 100 → 120
}
