package audit_test

import (
	"fmt"

	"github.com/gormtrail/audit"
)

// A Catalog names kinds of events, for people and for programs.
func ExampleCatalog_Label() {
	catalog := audit.DefaultCatalog()
	for _, e := range []audit.Event{
		{Entity: audit.Entity{Type: audit.TypeTimeEntry}, Operation: audit.Created, Origin: audit.OriginTimer, Ownership: audit.OwnershipSelf},
		{Entity: audit.Entity{Type: audit.TypeTimeEntry}, Operation: audit.Updated, Origin: audit.OriginKiosk, Ownership: audit.OwnershipOther},
		{Entity: audit.Entity{Type: audit.TypeProject}, Operation: audit.Restored},
	} {
		fmt.Println(catalog.Label(e), catalog.Code(e))
	}
	// Output:
	// Created time (personal, timer) CREATE_TIME_PERSONAL_TIMER
	// Updated time (for other, kiosk) UPDATE_TIME_FOR_OTHER_KIOSK
	// Restored project RESTORE_PROJECT
}

// An application adds its own types and operations.
func ExampleCatalog_With() {
	catalog := audit.DefaultCatalog().With(audit.CatalogWords{
		Types:      []audit.TypeWords{{Type: "invoice", Owned: true}},
		Operations: []audit.OperationWords{{Operation: "approved", Code: "APPROVE"}},
	})
	e := audit.Event{Entity: audit.Entity{Type: "invoice"}, Operation: "approved", Ownership: audit.OwnershipOther}
	fmt.Println(catalog.Label(e), catalog.Code(e))
	// Output:
	// Approved invoice (for other) APPROVE_INVOICE_FOR_OTHER
}

// Groups are what a form offers to choose from.
func ExampleCatalog_Groups() {
	for _, group := range audit.DefaultCatalog().Groups() {
		fmt.Println(group.Noun, len(group.Rows))
	}
	// Output:
	// time entry 11
	// project 5
	// task 5
	// client 5
	// tag 4
	// expense 8
	// audit settings 1
	// audit export 2
}
