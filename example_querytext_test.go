package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// A text box on a page: the text says what is wanted, the workspace is that of
// whoever is signed in.
func ExampleParseQuery() {
	f, err := audit.ParseQuery(`action:created,updated -entity:task`, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	f.Workspace = "w1"
	for event, err := range audit.Query(context.Background(), exampleStore(), f) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(audit.DefaultCatalog().Label(event), event.Entity.Label)
	}
	// Output:
	// Updated project Apollo
	// Updated project Apollo
	// Created project Gemini
}

// An error has the place of the wrong word.
func ExampleQueryError() {
	text := `actor:u17 entity:tga`
	_, err := audit.ParseQuery(text, nil)
	var wrong *audit.QueryError
	if errors.As(err, &wrong) {
		fmt.Println(text)
		fmt.Println(strings.Repeat(" ", wrong.Offset) + strings.Repeat("^", wrong.Length))
		fmt.Println(wrong.Message)
	}
	// Output:
	// actor:u17 entity:tga
	//                  ^^^
	// unknown entity type "tga"; did you mean "tag"?
}

// A form makes a filter; its text can be shown, edited and shared as a link.
func ExampleFormatQuery() {
	opts := &audit.QueryOptions{Location: time.FixedZone("", 3600)}
	actions, err := audit.DefaultCatalog().Actions("Updated project")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(audit.FormatQuery(audit.Filter{
		From:    audit.StartOfDay(2026, time.November, 1, opts.Location),
		To:      audit.StartOfDay(2026, time.December, 1, opts.Location),
		Actors:  []audit.Actor{{ID: "u17"}, audit.System},
		Actions: actions,
		Text:    "acme",
		Except:  []audit.Filter{{Origins: []audit.Origin{audit.OriginImport}}},
	}, opts))
	// Output:
	// actor:u17,system action:"Updated project" created:2026-11-01..2026-11-30 "acme" -origin:import
}

// Whom a report can be about: everybody who is in the log, by their newest name.
func ExampleQueryActors() {
	actors, err := audit.QueryActors(context.Background(), exampleStore(), "w1", 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range actors {
		fmt.Println(a.Kind, a.ID, a.Name)
	}
	// Output:
	// user 17 Jo
	// user 18 Kim
}
