package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/week"
)

// theWeek is what the backend does in the week, written down from the story
// and not from what was recorded: time, author, action, record, what changed,
// and for what followed from something else its cause. Of records that came or
// went the fields are listed that say something; + and - are elements of a
// many-to-many relation, <> is the name of what a key refers to, and ~ marks an
// event whose own row stayed as it was.
const theWeek = `
Sun 20:00 | Maya | Created audit settings | | enabled=true; type.category=true; type.client=true; type.expense=true; type.project=true; type.tag=true; type.task=true; type.time_entry=true

Mon 09:00 | Maya | Created client | Bluebird Travel | name="Bluebird Travel"; currency="EUR"
Mon 09:01 | Maya | Created project | Gemini | name="Gemini"; client_id=<Bluebird Travel>; color="#03A9F4"; billable=true; public=true; hourly_rate_amount=9500; hourly_rate_currency="EUR"
Mon 09:02 | Maya | Updated project | Gemini | members+<Ben Okafor>; members+<Chloé Martin>
Mon 09:03 | Maya | Created task | Design | project_id=<Gemini>; name="Design"; status="ACTIVE"; assignee_id=<Chloé Martin>; billable=true
Mon 09:04 | Maya | Created task | Build | project_id=<Gemini>; name="Build"; status="ACTIVE"; assignee_id=<Ben Okafor>; billable=true
Mon 09:05 | Maya | Created task | Launch plan | project_id=<Gemini>; name="Launch plan"; status="ACTIVE"; billable=true
Mon 09:06 | Maya | Created tag | urgent | name="urgent"
Mon 09:07 | Maya | Created tag | draft | name="draft"
Mon 09:10 | Ben | Created time (personal, timer) | Set up the repository | user_id=<Ben Okafor>; description="Set up the repository"; project_id=<Gemini>; task_id=<Build>; start="2026-03-02T09:10:00Z"; type="REGULAR"
Mon 09:15 | Farid | Created time (kiosk) | | user_id=<Farid Haddad>; start="2026-03-02T09:15:00Z"; type="REGULAR"; kiosk_id="front-desk"
Mon 11:30 | Ben | Updated time (personal) | Set up the repository | end: null -> "2026-03-02T11:30:00Z"
Mon 11:30 | Ben | Created time (personal, timer) | Code review, first round | user_id=<Ben Okafor>; description="Code review, first round"; billable=true; project_id=<Gemini>; task_id=<Build>; start="2026-03-02T11:30:00Z"; type="REGULAR"
Mon 12:15 | Ben | Updated time (personal) | Code review, first round | end: null -> "2026-03-02T12:15:00Z"
Mon 17:00 | Farid | Updated time (personal, kiosk) | | end: null -> "2026-03-02T17:00:00Z"
Mon 17:30 | Chloé | Created time (personal, manual) | Sketches for the "landing" page | user_id=<Chloé Martin>; description="Sketches for the \"landing\" page"; project_id=<Gemini>; task_id=<Design>; start="2026-03-02T13:00:00Z"; end="2026-03-02T17:00:00Z"; type="REGULAR"; custom_fields={"pages":4,"phase":"concept"}; tags+<draft>

Tue 09:00 | Maya | Created time (for other) | Client workshop,⏎day 1 | user_id=<Daniel Weiss>; description="Client workshop,\nday 1"; billable=true; project_id=<Gemini>; task_id=<Launch plan>; start="2026-03-02T10:00:00Z"; end="2026-03-02T16:00:00Z"; type="REGULAR"
Tue 09:10 | Maya | Updated time (for other) | Set up the repository and CI | description: "Set up the repository" -> "Set up the repository and CI"; end: "2026-03-02T11:30:00Z" -> "2026-03-02T11:15:00Z"; because Forgot to stop the timer
Tue 09:30 | Maya | Updated time (for other) | Set up the repository and CI | billable: false -> true
Tue 09:30 | Maya | Updated time (for other) | Sketches for the "landing" page | billable: false -> true
Tue 10:00 | Chloé | Updated time (personal) | Sketches for the "landing" page | tags+<urgent>
Tue 10:05 | Chloé | Updated time (personal) | Sketches for the "landing" page | tags-<draft>
Tue 10:10 | Chloé | Updated time (personal) | Sketches for the "landing" page | custom_fields: {"pages":4,"phase":"concept"} -> {"pages":5,"phase":"concept"}
Tue 10:30 | Maya | Updated tag | priority | name: "urgent" -> "priority"
Tue 10:30 | System for Maya | Updated time (for other) | Sketches for the "landing" page | ~tags: <urgent> -> <priority>; cause Updated tag
Tue 11:00 | Ben | Updated time (personal) | Code review, first round | tags+<draft>; tags+<priority>
Tue 11:05 | Maya | Deleted tag | draft | name="draft"
Tue 11:05 | System for Maya | Updated time (for other) | Code review, first round | tags-<draft>; cause Deleted tag
Tue 13:00 | Chloé | Updated task (personal) | Design | status: "ACTIVE" -> "DONE"
Tue 13:05 | Maya | Updated task (for other) | Build and test | name: "Build" -> "Build and test"
Tue 13:05 | System for Maya | Updated time (for other) | Set up the repository and CI | ~task_id: <Build> -> <Build and test>; cause Updated task (for other)
Tue 13:05 | System for Maya | Updated time (for other) | Code review, first round | ~task_id: <Build> -> <Build and test>; cause Updated task (for other)
Tue 14:00 | Ben | Deleted time (personal) | Code review, first round | user_id=<Ben Okafor>; description="Code review, first round"; billable=true; project_id=<Gemini>; task_id=<Build and test>; start="2026-03-02T11:30:00Z"; end="2026-03-02T12:15:00Z"; type="REGULAR"; deleted_at: null -> "2026-03-03T14:00:00Z"
Tue 14:01 | Ben | Restored time (personal) | Code review, first round | user_id=<Ben Okafor>; description="Code review, first round"; billable=true; project_id=<Gemini>; task_id=<Build and test>; start="2026-03-02T11:30:00Z"; end="2026-03-02T12:15:00Z"; type="REGULAR"; deleted_at: "2026-03-03T14:00:00Z" -> null
Tue 14:30 | Maya | Deleted time (for other) | Client workshop,⏎day 1 | user_id=<Daniel Weiss>; description="Client workshop,\nday 1"; billable=true; project_id=<Gemini>; task_id=<Launch plan>; start="2026-03-02T10:00:00Z"; end="2026-03-02T16:00:00Z"; type="REGULAR"; deleted_at: null -> "2026-03-03T14:30:00Z"
Tue 14:31 | Maya | Restored time (for other) | Client workshop,⏎day 1 | user_id=<Daniel Weiss>; description="Client workshop,\nday 1"; billable=true; project_id=<Gemini>; task_id=<Launch plan>; start="2026-03-02T10:00:00Z"; end="2026-03-02T16:00:00Z"; type="REGULAR"; deleted_at: "2026-03-03T14:30:00Z" -> null

Wed 08:00 | System for Maya | Created client (QuickBooks) | Harbour Books | name="Harbour Books"
Wed 08:00 | System for Maya | Created project (QuickBooks) | Ledger migration | name="Ledger migration"; client_id=<Harbour Books>; color="#607D8B"; billable=true; public=true
Wed 08:00 | System for Maya | Created project (QuickBooks) | Year-end close | name="Year-end close"; client_id=<Harbour Books>; color="#607D8B"; billable=true; public=true
Wed 09:00 | Maya | Created category | Mileage | name="Mileage"; unit="km"; price_amount=42; price_currency="EUR"
Wed 09:01 | Maya | Created category | Meals | name="Meals"
Wed 10:00 | Ben | Created expense (personal) | Drive to the client, there and back | user_id=<Ben Okafor>; date="2026-03-03"; project_id=<Gemini>; category_id=<Mileage>; quantity=120; total_amount=5040; total_currency="EUR"; notes="Drive to the client, there and back"; billable=true
Wed 10:10 | Maya | Created expense (for other) | Team lunch at "Chez Paul" | user_id=<Chloé Martin>; date="2026-03-03"; project_id=<Gemini>; category_id=<Meals>; quantity=1; total_amount=6480; total_currency="EUR"; notes="Team lunch at \"Chez Paul\""; billable=true
Wed 11:00 | Chloé | Updated expense (personal) | Team lunch at "Chez Paul" | total_amount: 6480 -> 6840
Wed 11:05 | Maya | Updated expense (for other) | Drive to Bluebird, there and back | notes: "Drive to the client, there and back" -> "Drive to Bluebird, there and back"
Wed 11:30 | Ben | Deleted expense (personal) | Drive to Bluebird, there and back | user_id=<Ben Okafor>; date="2026-03-03"; project_id=<Gemini>; category_id=<Mileage>; quantity=120; total_amount=5040; total_currency="EUR"; notes="Drive to Bluebird, there and back"; billable=true; deleted_at: null -> "2026-03-04T11:30:00Z"
Wed 11:31 | Ben | Restored expense (personal) | Drive to Bluebird, there and back | user_id=<Ben Okafor>; date="2026-03-03"; project_id=<Gemini>; category_id=<Mileage>; quantity=120; total_amount=5040; total_currency="EUR"; notes="Drive to Bluebird, there and back"; billable=true; deleted_at: "2026-03-04T11:30:00Z" -> null
Wed 11:40 | Maya | Deleted expense (for other) | Team lunch at "Chez Paul" | user_id=<Chloé Martin>; date="2026-03-03"; project_id=<Gemini>; category_id=<Meals>; quantity=1; total_amount=6840; total_currency="EUR"; notes="Team lunch at \"Chez Paul\""; billable=true; deleted_at: null -> "2026-03-04T11:40:00Z"
Wed 11:41 | Maya | Restored expense (for other) | Team lunch at "Chez Paul" | user_id=<Chloé Martin>; date="2026-03-03"; project_id=<Gemini>; category_id=<Meals>; quantity=1; total_amount=6840; total_currency="EUR"; notes="Team lunch at \"Chez Paul\""; billable=true; deleted_at: "2026-03-04T11:40:00Z" -> null
Wed 13:00 | Maya | Updated category | Mileage | price_amount: 42 -> 45
Wed 13:00 | Maya | Updated expense (for other) | Drive to Bluebird, there and back | total_amount: 5040 -> 5400
Wed 13:05 | Maya | Updated category | Meals and drinks | name: "Meals" -> "Meals and drinks"
Wed 13:05 | System for Maya | Updated expense (for other) | Team lunch at "Chez Paul" | ~category_id: <Meals> -> <Meals and drinks>; cause Updated category
Wed 14:00 | Maya | Updated project | Apollo | name: "Gemini" -> "Apollo"
Wed 14:00 | System for Maya | Updated time (for other) | Set up the repository and CI | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated time (for other) | Code review, first round | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated time (for other) | Sketches for the "landing" page | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated time (for other) | Client workshop,⏎day 1 | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated task (for other) | Design | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated task (for other) | Build and test | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated task (for other) | Launch plan | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated expense (for other) | Drive to Bluebird, there and back | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:00 | System for Maya | Updated expense (for other) | Team lunch at "Chez Paul" | ~project_id: <Gemini> -> <Apollo>; cause Updated project
Wed 14:30 | Maya | Updated client | Bluebird Voyages | name: "Bluebird Travel" -> "Bluebird Voyages"
Wed 14:30 | System for Maya | Updated project | Apollo | ~client_id: <Bluebird Travel> -> <Bluebird Voyages>; cause Updated client
Wed 14:30 | System for Maya | Updated time (for other) | Set up the repository and CI | ~project_id.client_id: <Bluebird Travel> -> <Bluebird Voyages>; cause Updated project
Wed 14:30 | System for Maya | Updated time (for other) | Code review, first round | ~project_id.client_id: <Bluebird Travel> -> <Bluebird Voyages>; cause Updated project
Wed 14:30 | System for Maya | Updated time (for other) | Sketches for the "landing" page | ~project_id.client_id: <Bluebird Travel> -> <Bluebird Voyages>; cause Updated project
Wed 14:30 | System for Maya | Updated time (for other) | Client workshop,⏎day 1 | ~project_id.client_id: <Bluebird Travel> -> <Bluebird Voyages>; cause Updated project

Thu 09:00 | Maya | Updated audit settings | | type.expense: true -> false; type.tag: true -> false
Thu 09:20 | Maya | Updated audit settings | | type.expense: false -> true; type.tag: false -> true
Thu 09:30 | Ben | Updated expense (personal) | Parking, two hours | total_amount: 900 -> 850; notes: "Parking" -> "Parking, two hours"
Thu 10:00 | Maya | Created project | Scratch | name="Scratch"; color="#03A9F4"; billable=true; public=true
Thu 10:01 | Maya | Created task | Try things out | project_id=<Scratch>; name="Try things out"; status="ACTIVE"; assignee_id=<Ben Okafor>; billable=true
Thu 10:30 | Ben | Created time (personal, manual) | Spike | user_id=<Ben Okafor>; description="Spike"; project_id=<Scratch>; task_id=<Try things out>; start="2026-03-05T09:30:00Z"; end="2026-03-05T10:30:00Z"; type="REGULAR"
Thu 11:00 | Maya | Deleted project | Scratch | name="Scratch"; color="#03A9F4"; billable=true; public=true
Thu 11:00 | System for Maya | Deleted task | Try things out | project_id=<Scratch>; name="Try things out"; status="ACTIVE"; assignee_id=<Ben Okafor>; billable=true; cause Deleted project
Thu 11:00 | System for Maya | Updated time (for other) | Spike | project_id: <Scratch> -> null; task_id: <Try things out> -> null; cause Deleted project
Thu 11:30 | Maya | Deleted task | Launch plan | project_id=<Apollo>; name="Launch plan"; status="ACTIVE"; billable=true
Thu 11:30 | System for Maya | Updated time (for other) | Client workshop,⏎day 1 | task_id: <Launch plan> -> null; cause Deleted task
Thu 13:00 | Maya | Deleted client | Harbour Books | name="Harbour Books"
Thu 13:00 | System for Maya | Updated project | Ledger migration | client_id: <Harbour Books> -> null; cause Deleted client
Thu 13:00 | System for Maya | Updated project | Year-end close | client_id: <Harbour Books> -> null; cause Deleted client

Fri 09:30 | Maya | Deleted category | Mileage | name="Mileage"; unit="km"; price_amount=45; price_currency="EUR"
Fri 09:30 | System for Maya | Updated expense (for other) | Drive to Bluebird, there and back | category_id: <Mileage> -> null; cause Deleted category
Fri 11:00 | Daniel | Updated time (personal) | Client workshop, first day | description: "Client workshop,\nday 1" -> "Client workshop, first day"
Fri 12:00 | Maya | Updated project | Office move (2026) | name: "Office move" -> "Office move (2026)"
Fri 12:00 | System for Maya | Updated time (for other) | Boxes, labels, "fragile" stickers | ~project_id: <Office move> -> <Office move (2026)>; cause Updated project
Fri 12:00 | System for Maya | Updated time (for other) | Started by mistake | ~project_id: <Office move> -> <Office move (2026)>; cause Updated project
Fri 12:00 | System for Maya | Updated time (personal) | Keys | ~project_id: <Office move> -> <Office move (2026)>; cause Updated project
Fri 13:00 | Maya | Updated task (for other) | Build and test | assignee_id: <Ben Okafor> -> <Daniel Weiss>
Fri 14:00 | Maya | Updated project | Apollo | client_id: <Bluebird Voyages> -> null
Fri 14:00 | System for Maya | Updated time (for other) | Set up the repository and CI | ~project_id.client_id: <Bluebird Voyages> -> null; cause Updated project
Fri 14:00 | System for Maya | Updated time (for other) | Code review, first round | ~project_id.client_id: <Bluebird Voyages> -> null; cause Updated project
Fri 14:00 | System for Maya | Updated time (for other) | Sketches for the "landing" page | ~project_id.client_id: <Bluebird Voyages> -> null; cause Updated project
Fri 14:00 | System for Maya | Updated time (for other) | Client workshop, first day | ~project_id.client_id: <Bluebird Voyages> -> null; cause Updated project
Fri 16:00 | Maya | Updated project | Apollo | archived: false -> true
Fri 16:00 | Maya | Updated task (for other) | Build and test | status: "ACTIVE" -> "DONE"
`

func TestTheReportIsTrueToWhatTheBackendDid(t *testing.T) {
	t.Parallel()
	tr := filled(t)
	var got []string
	byID := map[uuid.UUID]audit.Event{}
	events := slices.Collect(all(t, tr, audit.Filter{Workspace: week.Workspace}))
	for _, e := range events {
		byID[e.ID] = e
	}
	slices.Reverse(events)
	for _, e := range events {
		if e.Origin != audit.OriginImport {
			got = append(got, line(t, e, byID))
		}
	}
	var want []string
	for l := range strings.Lines(theWeek) {
		if l = strings.TrimSpace(l); l != "" {
			want = append(want, l)
		}
	}
	// What one change leads to follows it in no particular order.
	missing, surplus := without(want, got), without(got, want)
	require.Empty(t, missing, "the backend did this, and the log does not have it")
	require.Empty(t, surplus, "the log has this, and the backend did not do it")
}

func TestTheReportIsTrueToTheFileThatWasImported(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(sample, []byte("\ufeff")))).ReadAll()
	require.NoError(t, err)
	quoted := func(s string) string { return string(audit.AppendJSONString(nil, s)) }
	moment := func(date, clock string) string {
		at, err := time.Parse("01/02/2006 03:04:05 PM", date+" "+clock)
		require.NoError(t, err)
		return quoted(at.Format(time.RFC3339))
	}
	var want []string
	known := map[string]bool{}
	for _, r := range rows[1:] {
		project, client, description, task, user, tags := r[0], r[1], r[2], r[3], r[4], r[7]
		var parts []string
		add := func(field, value, nothing string) {
			if value != nothing {
				parts = append(parts, field+"="+value)
			}
		}
		add("user_id", "<"+user+">", "")
		add("description", quoted(description), `""`)
		add("billable", map[string]string{"Yes": "true", "No": "false"}[r[8]], "false")
		add("project_id", "<"+project+">", "<>")
		add("task_id", "<"+task+">", "<>")
		add("start", moment(r[9], r[10]), "")
		add("end", moment(r[11], r[12]), "")
		add("type", map[string]string{"Regular": `"REGULAR"`, "Time off": `"TIME_OFF"`}[r[17]], "")
		if rate := strings.ReplaceAll(r[15], ".", ""); rate != "" {
			add("hourly_rate_amount", rate, "")
			add("hourly_rate_currency", `"EUR"`, "")
		}
		of := strings.Split(tags, ", ")
		slices.Sort(of)
		for _, tag := range of {
			if tag != "" {
				parts = append(parts, "tags+<"+tag+">")
				known["Created tag (import)"+tag] = true
			}
		}
		want = append(want, "Created time (import) | "+strings.ReplaceAll(description, "\n", "⏎")+" | "+strings.Join(parts, "; "))
		want[len(want)-1] = strings.ReplaceAll(want[len(want)-1], " |  | ", " | | ")
		for _, name := range []string{"client" + " (import)" + client, "project" + " (import)" + project} {
			if !strings.HasSuffix(name, ")") {
				known["Created "+name] = true
			}
		}
		if task != "" {
			known["Created task (import)"+task+" of "+project] = true
		}
	}

	tr := filled(t)
	var got []string
	for e := range all(t, tr, audit.Filter{Workspace: week.Workspace, Origins: []audit.Origin{audit.OriginImport}}) {
		require.Equal(t, "Maya Lindqvist", e.Actor.Name)
		if e.Entity.Type == audit.TypeTimeEntry {
			_, rest, _ := strings.Cut(line(t, e, nil), " | Maya | ")
			got = append(got, rest)
			continue
		}
		name := catalog.Label(e) + e.Entity.Label
		if e.Entity.Type == audit.TypeTask {
			i := slices.IndexFunc(e.Changes, func(c audit.Change) bool { return c.Field == "project_id" })
			name += " of " + e.Changes[i].After.Label
		}
		require.True(t, known[name], name)
		delete(known, name) // each once
	}
	require.Empty(t, known)
	missing, surplus := without(want, got), without(got, want)
	require.Empty(t, missing, "the file has this, and the log does not")
	require.Empty(t, surplus, "the log has this, and the file does not")
}

// without is what is left of a list when the elements of another are taken out
// of it, one by one.
func without(list, taken []string) []string {
	taken = slices.Clone(taken)
	var left []string
	for _, l := range list {
		if i := slices.Index(taken, l); i >= 0 {
			taken = slices.Delete(taken, i, i+1)
		} else {
			left = append(left, l)
		}
	}
	return left
}

func TestWhatFollowsFromAChangeComesAfterIt(t *testing.T) {
	t.Parallel()
	tr := filled(t)
	seen := map[uuid.UUID]audit.Event{}
	events := slices.Collect(all(t, tr, audit.Filter{Workspace: week.Workspace}))
	slices.Reverse(events)
	for _, e := range events {
		if e.Cause != uuid.Nil {
			cause, ok := seen[e.Cause]
			require.True(t, ok, "the cause of %s", e)
			require.Equal(t, cause.ChangeSet, e.ChangeSet)
		}
		seen[e.ID] = e
	}
}

// line is an event in the words of theWeek.
func line(t *testing.T, e audit.Event, byID map[uuid.UUID]audit.Event) string {
	t.Helper()
	given := func(a audit.Actor) string { name, _, _ := strings.Cut(a.Name, " "); return name }
	author := given(e.Actor)
	if !e.Initiator.IsZero() {
		author += " for " + given(e.Initiator)
	}
	var parts []string
	for _, c := range e.Changes {
		if text := part(c); text != "" {
			parts = append(parts, text)
		}
	}
	slices.SortStableFunc(parts, func(a, b string) int { // elements, which have no order
		if strings.HasPrefix(a, "tags+") && strings.HasPrefix(b, "tags+") {
			return strings.Compare(a, b)
		}
		return 0
	})
	if e.Reason != "" {
		parts = append(parts, "because "+e.Reason)
	}
	if e.Cause != uuid.Nil {
		parts = append(parts, "cause "+catalog.Label(byID[e.Cause]))
	}
	changes := strings.Join(parts, "; ")
	if e.Derived {
		changes = "~" + changes
	}
	record := strings.ReplaceAll(e.Entity.Label, "\n", "⏎")
	columns := []string{e.Time.Format("Mon 15:04"), author, catalog.Label(e), record, changes}
	return strings.ReplaceAll(strings.Join(columns, " | "), " |  | ", " | | ")
}

// part is a change in the words of theWeek, empty if it says nothing.
func part(c audit.Change) string {
	value := func(v audit.Value) string {
		if v.Label != "" {
			return "<" + v.Label + ">"
		}
		return string(v.JSON)
	}
	one := c.After
	if !one.Recorded() {
		one = c.Before
	}
	switch {
	case c.Element && c.Before.IsNull():
		return c.Field + "+" + value(c.After)
	case c.Element && c.After.IsNull():
		return c.Field + "-" + value(c.Before)
	case c.Before.Recorded() && c.After.Recorded():
		return fmt.Sprintf("%s: %s -> %s", c.Field, value(c.Before), value(c.After))
	case c.Field == "id" || c.Field == "workspace_id":
		return ""
	}
	switch text := value(one); text {
	case "null", `""`, "0", "false":
		return ""
	default:
		return c.Field + "=" + text
	}
}

// all are the events that a filter asks for, newest first.
func all(t *testing.T, tr *tracker, f audit.Filter) func(yield func(audit.Event) bool) {
	return func(yield func(audit.Event) bool) {
		for e, err := range audit.Query(context.Background(), tr.store, f) {
			require.NoError(t, err)
			if !yield(e) {
				return
			}
		}
	}
}

// filled is a tracker with the sample and the week.
func filled(t *testing.T) *tracker {
	t.Helper()
	tr, err := open(filepath.Join(folderWithTheWeek(t), database), "ro")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tr.Close()) })
	return tr
}
