package audit_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gormtrail/audit"
)

// People name actions by their labels, programs by codes or parts.
func ExampleCatalog_Actions() {
	catalog := audit.DefaultCatalog()
	actions, err := catalog.Actions("Created project", "DELETE_PROJECT", "task.updated")
	if err != nil {
		fmt.Println(err)
		return
	}
	f := audit.Filter{Workspace: "w1", Actions: actions}
	for event, err := range audit.Query(context.Background(), exampleStore(), f) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(catalog.Label(event))
	}

	_, err = catalog.Actions("Updated projet")
	fmt.Println(err)
	// Output:
	// Deleted project
	// Created project
	// audit: invalid filter: unknown action "Updated projet"; did you mean "Updated project" or "UPDATE_PROJECT"?
}

// A filter that comes from people is checked before it is used.
func ExampleCatalog_Validate() {
	for _, f := range []audit.Filter{
		{Workspace: "w1", Types: []audit.EntityType{audit.TypeProject}},
		{Types: []audit.EntityType{audit.TypeProject}},
		{Workspace: "w1", Types: []audit.EntityType{"projects"}},
	} {
		err := audit.DefaultCatalog().Validate(f)
		fmt.Println(errors.Is(err, audit.ErrInvalidFilter), err)
	}
	// Output:
	// false <nil>
	// true audit: invalid filter: Workspace is empty; every read names its workspace
	// true audit: invalid filter: unknown entity type "projects"; did you mean "project"?
}
