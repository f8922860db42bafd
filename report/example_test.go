package report_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

// The page is mounted like any handler. Authorize lets in whom the application
// knows, and tells what they may see.
func ExampleNewHandler() {
	store := memstore.New()
	page, err := report.NewHandler(store, &report.Options{
		Authorize: func(r *http.Request) (report.Scope, error) {
			user := r.Header.Get("X-User") // a session, in an application
			if user == "" {
				return report.Scope{}, audit.ErrUnauthenticated
			}
			return report.Scope{Workspace: "w1", Actor: audit.Actor{ID: user}, Read: true, Export: user == "admin"}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/audit/", page)

	rec, err := audit.New(store, &audit.Config{Workspace: "w1"})
	if err != nil {
		log.Fatal(err)
	}
	err = rec.Record(audit.WithActor(context.Background(), audit.Actor{ID: "17", Name: "Jo"}), audit.Event{
		Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"},
		Changes: []audit.Change{{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")}},
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, user := range []string{"", "18"} {
		r := httptest.NewRequest(http.MethodGet, "/audit/?range=today&action=UPDATE_PROJECT", nil)
		r.Header.Set("X-User", user)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), "Jo renamed project “Gemini” to “Apollo”."))
	}
	// Output:
	// 401 false
	// 200 true
}
