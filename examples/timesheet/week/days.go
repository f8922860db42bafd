package week

import (
	"context"
	"errors"
	"fmt"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/backend"
	"github.com/gormtrail/audit/internal/timesheet"
)

func euros(cents int64) timesheet.Money { return timesheet.Money{Amount: cents, Currency: "EUR"} }

// monday: a project is set up and people start to work on it.
func (s *Story) monday() []step {
	b := s.backend
	return []step{
		{"09:00", "maya", func(ctx context.Context) error {
			return s.keep("bluebird")(b.CreateClient(ctx, "Bluebird Travel", "EUR"))
		}},
		{"09:01", "maya", func(ctx context.Context) error {
			return s.keep("gemini")(b.CreateProject(ctx, "Gemini", s.ids["bluebird"], euros(9500)))
		}},
		{"09:02", "maya", func(ctx context.Context) error {
			return b.AddMembers(ctx, s.ids["gemini"], s.users["ben"], s.users["chloe"])
		}},
		{"09:03", "maya", func(ctx context.Context) error {
			return s.keep("design")(b.CreateTask(ctx, s.ids["gemini"], "Design", s.users["chloe"].ID))
		}},
		{"09:04", "maya", func(ctx context.Context) error {
			return s.keep("build")(b.CreateTask(ctx, s.ids["gemini"], "Build", s.users["ben"].ID))
		}},
		{"09:05", "maya", func(ctx context.Context) error {
			return s.keep("launch")(b.CreateTask(ctx, s.ids["gemini"], "Launch plan", ""))
		}},
		{"09:06", "maya", func(ctx context.Context) error { return s.keep("urgent")(b.CreateTag(ctx, "urgent")) }},
		{"09:07", "maya", func(ctx context.Context) error { return s.keep("draft")(b.CreateTag(ctx, "draft")) }},
		{"09:10", "ben", func(ctx context.Context) error {
			return s.keep("setup")(b.StartTimer(ctx, backend.NewEntry{
				Description: "Set up the repository", Project: s.ids["gemini"], Task: s.ids["build"],
			}))
		}},
		{"09:15", "farid", func(ctx context.Context) error {
			return s.keep("desk")(b.KioskIn(ctx, "front-desk", ""))
		}},
		{"11:30", "ben", func(ctx context.Context) error { // the first timer stops
			return s.keep("review")(b.StartTimer(ctx, backend.NewEntry{
				Description: "Code review, first round", Project: s.ids["gemini"], Task: s.ids["build"], Billable: true,
			}))
		}},
		{"12:15", "ben", b.StopTimer},
		{"17:00", "farid", b.KioskOut},
		{"17:30", "chloe", func(ctx context.Context) error {
			return s.keep("sketches")(b.AddManual(ctx, backend.NewEntry{
				Description: "Sketches for the \"landing\" page", Project: s.ids["gemini"], Task: s.ids["design"], Tags: []string{"draft"},
				Start: hour(0, "13:00"), End: ptr(hour(0, "17:00")), Fields: map[string]any{"phase": "concept", "pages": 4},
			}))
		}},
	}
}

// tuesday: entries are corrected, tagged, deleted and brought back.
func (s *Story) tuesday() []step {
	b := s.backend
	return []step{
		{"09:00", "maya", func(ctx context.Context) error {
			return s.keep("workshop")(b.AddManual(ctx, backend.NewEntry{
				User: s.users["daniel"].ID, Description: "Client workshop,\nday 1", Project: s.ids["gemini"], Task: s.ids["launch"],
				Billable: true, Start: hour(0, "10:00"), End: ptr(hour(0, "16:00")),
			}))
		}},
		{"09:10", "maya", func(ctx context.Context) error {
			return b.EditEntry(audit.WithReason(ctx, "Forgot to stop the timer"), s.ids["setup"],
				backend.Edit{Description: ptr("Set up the repository and CI"), End: ptr(hour(0, "11:15"))})
		}},
		// One of the three is billable already and gets no event.
		{"09:30", "maya", func(ctx context.Context) error {
			return b.BulkEdit(ctx, []string{s.ids["setup"], s.ids["review"], s.ids["sketches"]}, backend.Edit{Billable: ptr(true)})
		}},
		{"10:00", "chloe", func(ctx context.Context) error { return b.TagEntry(ctx, s.ids["sketches"], "urgent") }},
		{"10:05", "chloe", func(ctx context.Context) error { return b.UntagEntry(ctx, s.ids["sketches"], "draft") }},
		{"10:10", "chloe", func(ctx context.Context) error {
			return b.EditEntry(ctx, s.ids["sketches"], backend.Edit{Fields: map[string]any{"phase": "concept", "pages": 5}})
		}},
		{"10:30", "maya", func(ctx context.Context) error { return b.RenameTag(ctx, s.ids["urgent"], "priority") }},
		{"11:00", "ben", func(ctx context.Context) error { return b.TagEntry(ctx, s.ids["review"], "draft", "priority") }},
		{"11:05", "maya", func(ctx context.Context) error { return b.DeleteTag(ctx, s.ids["draft"]) }},
		{"13:00", "chloe", func(ctx context.Context) error { return b.FinishTask(ctx, s.ids["design"]) }},
		{"13:05", "maya", func(ctx context.Context) error { return b.RenameTask(ctx, s.ids["build"], "Build and test") }},
		{"14:00", "ben", func(ctx context.Context) error { return b.DeleteEntry(ctx, s.ids["review"]) }},
		{"14:01", "ben", func(ctx context.Context) error { return b.RestoreEntry(ctx, s.ids["review"]) }},
		{"14:30", "maya", func(ctx context.Context) error { return b.DeleteEntry(ctx, s.ids["workshop"]) }},
		{"14:31", "maya", func(ctx context.Context) error { return b.RestoreEntry(ctx, s.ids["workshop"]) }},
	}
}

// wednesday: QuickBooks is connected, expenses come in, and the customer finds
// other names.
func (s *Story) wednesday() []step {
	b := s.backend
	return []step{
		{"08:00", "maya", func(ctx context.Context) error {
			return b.SyncQuickBooks(ctx, []backend.Customer{{Name: "Harbour Books", Projects: []string{"Ledger migration", "Year-end close"}}})
		}},
		{"09:00", "maya", func(ctx context.Context) error {
			return s.keep("mileage")(b.CreateCategory(ctx, "Mileage", "km", euros(42)))
		}},
		{"09:01", "maya", func(ctx context.Context) error {
			return s.keep("meals")(b.CreateCategory(ctx, "Meals", "", timesheet.Money{}))
		}},
		{"10:00", "ben", func(ctx context.Context) error {
			return s.keep("drive")(b.AddExpense(ctx, backend.NewExpense{
				Date: hour(1, "00:00"), Project: s.ids["gemini"], Category: s.ids["mileage"], Quantity: 120, Notes: "Drive to the client, there and back",
			}))
		}},
		{"10:10", "maya", func(ctx context.Context) error {
			return s.keep("lunch")(b.AddExpense(ctx, backend.NewExpense{
				User: s.users["chloe"].ID, Date: hour(1, "00:00"), Project: s.ids["gemini"], Category: s.ids["meals"], Total: euros(6480), Notes: `Team lunch at "Chez Paul"`,
			}))
		}},
		{"11:00", "chloe", func(ctx context.Context) error {
			return b.EditExpense(ctx, s.ids["lunch"], `Team lunch at "Chez Paul"`, 6840)
		}},
		{"11:05", "maya", func(ctx context.Context) error {
			return b.EditExpense(ctx, s.ids["drive"], "Drive to Bluebird, there and back", 5040)
		}},
		{"11:30", "ben", func(ctx context.Context) error { return b.DeleteExpense(ctx, s.ids["drive"]) }},
		{"11:31", "ben", func(ctx context.Context) error { return b.RestoreExpense(ctx, s.ids["drive"]) }},
		{"11:40", "maya", func(ctx context.Context) error { return b.DeleteExpense(ctx, s.ids["lunch"]) }},
		{"11:41", "maya", func(ctx context.Context) error { return b.RestoreExpense(ctx, s.ids["lunch"]) }},
		{"13:00", "maya", func(ctx context.Context) error { return b.SetPrice(ctx, s.ids["mileage"], 45) }},
		{"13:05", "maya", func(ctx context.Context) error { return b.RenameCategory(ctx, s.ids["meals"], "Meals and drinks") }},
		{"14:00", "maya", func(ctx context.Context) error { return b.RenameProject(ctx, s.ids["gemini"], "Apollo") }},
		{"14:30", "maya", func(ctx context.Context) error { return b.RenameClient(ctx, s.ids["bluebird"], "Bluebird Voyages") }},
	}
}

// thursday: some types are not recorded for a while, and what nobody needs is
// deleted.
func (s *Story) thursday() []step {
	b := s.backend
	return []step{
		{"09:00", "maya", func(ctx context.Context) error {
			return s.turn(ctx, false, audit.TypeTag, audit.TypeExpense)
		}},
		// Neither of these two leaves an event.
		{"09:05", "maya", func(ctx context.Context) error { return s.keep("internal")(b.CreateTag(ctx, "in-house")) }},
		{"09:10", "ben", func(ctx context.Context) error {
			return s.keep("parking")(b.AddExpense(ctx, backend.NewExpense{
				Date: hour(3, "00:00"), Category: s.ids["meals"], Total: euros(900), Notes: "Parking",
			}))
		}},
		{"09:20", "maya", func(ctx context.Context) error {
			return s.turn(ctx, true, audit.TypeTag, audit.TypeExpense)
		}},
		// What it said before is known all the same.
		{"09:30", "ben", func(ctx context.Context) error {
			return b.EditExpense(ctx, s.ids["parking"], "Parking, two hours", 850)
		}},
		{"10:00", "maya", func(ctx context.Context) error {
			return s.keep("scratch")(b.CreateProject(ctx, "Scratch", "", timesheet.Money{}))
		}},
		{"10:01", "maya", func(ctx context.Context) error {
			return s.keep("try")(b.CreateTask(ctx, s.ids["scratch"], "Try things out", s.users["ben"].ID))
		}},
		{"10:30", "ben", func(ctx context.Context) error {
			return s.keep("spike")(b.AddManual(ctx, backend.NewEntry{
				Description: "Spike", Project: s.ids["scratch"], Task: s.ids["try"], Start: hour(3, "09:30"), End: ptr(hour(3, "10:30")),
			}))
		}},
		{"11:00", "maya", func(ctx context.Context) error { return b.DeleteProject(ctx, s.ids["scratch"]) }},
		{"11:30", "maya", func(ctx context.Context) error { return b.DeleteTask(ctx, s.ids["launch"]) }},
		{"13:00", "maya", func(ctx context.Context) error {
			client, err := b.ClientByName(ctx, "Harbour Books")
			if err != nil {
				return err
			}
			return b.DeleteClient(ctx, client.ID)
		}},
	}
}

// friday: a mistake is undone by the database, and the week is put away.
func (s *Story) friday() []step {
	b := s.backend
	return []step{
		{"09:30", "maya", func(ctx context.Context) error { return b.DeleteCategory(ctx, s.ids["mileage"]) }},
		// The second entry does not exist, so nothing changes and nothing is recorded.
		{"10:00", "ben", func(ctx context.Context) error {
			err := b.BulkEdit(ctx, []string{s.ids["setup"], "no such entry"}, backend.Edit{Billable: ptr(false)})
			if !errors.Is(err, backend.ErrNotFound) {
				return fmt.Errorf("editing an entry that does not exist gave %w", err)
			}
			return nil
		}},
		{"11:00", "daniel", func(ctx context.Context) error {
			return b.EditEntry(ctx, s.ids["workshop"], backend.Edit{Description: ptr("Client workshop, first day")})
		}},
		{"12:00", "maya", s.renameSmallestImport},
		{"13:00", "maya", func(ctx context.Context) error { return b.AssignTask(ctx, s.ids["build"], s.users["daniel"].ID) }},
		{"14:00", "maya", func(ctx context.Context) error { return b.MoveProject(ctx, s.ids["gemini"], "") }},
		{"16:00", "maya", func(ctx context.Context) error { return b.ArchiveProject(ctx, s.ids["gemini"]) }},
	}
}

// renameSmallestImport renames the imported project that has the fewest
// entries, if there is one.
func (s *Story) renameSmallestImport(ctx context.Context) error {
	project, err := s.backend.SmallestProject(ctx, s.ids["gemini"])
	if errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.backend.RenameProject(ctx, project.ID, project.Name+" (2026)")
}
