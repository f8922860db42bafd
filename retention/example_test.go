package retention_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/memstore"
)

// Events are archived and deleted after a year, are found as before, and can be put
// back.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "archive")
	check(err)
	defer os.RemoveAll(folder)
	live := memstore.New()
	rec, err := audit.New(live, nil)
	check(err)
	longAgo := time.Now().AddDate(-2, 0, 0)
	check(rec.Record(ctx,
		audit.Event{Time: longAgo, Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Gemini"}},
		audit.Event{Operation: audit.Deleted, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Gemini"}}))

	archives, err := archive.New(archive.Folder(folder))
	check(err)
	keeper, err := retention.New(rec, &retention.Config{
		Policy:  retention.Policy{Rules: []retention.Rule{{Types: []audit.EntityType{audit.TypeTag}, Keep: 30 * 24 * time.Hour}}},
		Archive: archives,
	})
	check(err)
	result, err := keeper.Purge(ctx)
	check(err)
	fmt.Println("deleted:", result.Events, "archives:", len(result.Archives))

	projects := audit.Filter{Workspace: audit.DefaultWorkspace, Types: []audit.EntityType{audit.TypeProject}}
	show := func(what string, store audit.Store) {
		fmt.Println(what)
		for e, err := range audit.Query(ctx, store, projects) {
			check(err)
			fmt.Println("-", e)
		}
	}
	show("live:", live)
	show("archive:", archives)
	show("both:", audit.Merge(live, archives))

	n, err := archive.Restore(ctx, live, archives, projects)
	check(err)
	fmt.Println("restored:", n)

	// Output:
	// deleted: 1 archives: 1
	// live:
	// - Unknown deleted project "Gemini"
	// archive:
	// - Unknown created project "Gemini"
	// both:
	// - Unknown deleted project "Gemini"
	// - Unknown created project "Gemini"
	// restored: 1
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
