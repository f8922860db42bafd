package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/report"
)

func text(s string) audit.Value {
	return audit.Value{JSON: audit.AppendJSONString(nil, s)}
}

func raw(s string) audit.Value { return audit.Value{JSON: json.RawMessage(s)} }

func event(op audit.Operation, changes ...audit.Change) audit.Event {
	return audit.Event{
		Time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Workspace: "w1", Actor: audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"},
		Operation: op, Entity: audit.Entity{Type: audit.TypeProject, ID: "p1", Label: "Apollo"}, Changes: changes,
	}
}

// rows are the rows of the table without its head and without the columns of
// time, author and action.
func rows(t *testing.T, table report.Table, events ...audit.Event) []string {
	t.Helper()
	var out strings.Builder
	_, err := table.Write(&out, events)
	require.NoError(t, err)
	var rows []string
	for i, l := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if i >= 2 {
			r := []rune(l)
			rows = append(rows, strings.Join(strings.Fields(string(r[min(len(r), 64):])), " "))
		}
	}
	return rows
}

func TestChangesReadWell(t *testing.T) {
	t.Parallel()
	ref := func(id, label string) audit.Value {
		return audit.Value{JSON: audit.AppendJSONString(nil, id), Label: label}
	}
	for _, tt := range []struct {
		name  string
		event audit.Event
		want  []string
	}{
		{"an update shows both sides", event(audit.Updated, audit.Change{Field: "name", Before: text("Gemini"), After: text("Apollo")}), []string{`Apollo name: "Gemini" → "Apollo"`}},
		{"each field has its line", event(audit.Updated, audit.Change{Field: "public", Before: raw("false"), After: raw("true")}, audit.Change{Field: "note", Before: raw("null"), After: text("")}), []string{`Apollo public: false → true`, `note: none → ""`}},
		{"a reference shows its label", event(audit.Updated, audit.Change{Field: "client_id", Before: ref("1", "Acme"), After: raw("null")}), []string{`Apollo client: "Acme" → none`}},
		{"two records of one name stay apart", event(audit.Updated, audit.Change{Field: "client_id", Before: ref("1", "Acme"), After: ref("2", "Acme")}), []string{`Apollo client: "Acme" (1) → "Acme" (2)`}},
		{"a renamed parent shows both names", event(audit.Updated, audit.Change{Field: "client_id", Before: ref("1", "Acme"), After: ref("1", "Ajax")}), []string{`Apollo client: "Acme" → "Ajax"`}},
		{"a parent's field is a path", event(audit.Updated, audit.Change{Field: "project_id.client_id", Before: ref("1", "Acme"), After: ref("1", "Ajax")}), []string{`Apollo project › client: "Acme" → "Ajax"`}},
		{"elements are added and removed", event(audit.Updated, audit.Change{Field: "members", Element: true, Before: raw("null"), After: ref("1", "Ann")}, audit.Change{Field: "members", Element: true, Before: ref("2", "Bo"), After: raw("null")}), []string{`Apollo members: added "Ann"`, `members: removed "Bo"`}},
		{"JSON shows what differs inside", event(audit.Updated, audit.Change{Field: "custom_fields", Before: raw(`{"a":1,"b":2}`), After: raw(`{"a":1,"b":3}`)}), []string{`Apollo custom fields › b: 2 → 3`}},
		{"times are in the table's zone", event(audit.Updated, audit.Change{Field: "end", Before: raw("null"), After: text("2026-03-02T09:00:00Z")}), []string{`Apollo end: none → 2026-03-02 18:00`}},
		{"seconds show where there are some", event(audit.Updated, audit.Change{Field: "end", Before: raw("null"), After: text("2026-03-02T09:00:07Z")}), []string{`Apollo end: none → 2026-03-02 18:00:07`}},
		{"withheld values are said to be", event(audit.Updated, audit.Change{Field: "token", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}}), []string{`Apollo token: changed (withheld)`}},
		{"a new record shows what says something", event(audit.Created, audit.Change{Field: "id", After: text("p1")}, audit.Change{Field: "name", After: text("Apollo")}, audit.Change{Field: "note", After: text("")}, audit.Change{Field: "public", After: raw("false")}, audit.Change{Field: "budget", After: raw("5")}), []string{`Apollo name: "Apollo"; budget: 5`}},
		{"a deleted record shows what it had", event(audit.Deleted, audit.Change{Field: "name", Before: text("Apollo")}, audit.Change{Field: "deleted_at", Before: raw("null"), After: text("2026-03-02T09:00:00Z")}), []string{`Apollo deleted at: none → 2026-03-02 18:00;`, `name: "Apollo"`}},
		{"control characters are not obeyed", event(audit.Updated, audit.Change{Field: "name", Before: text("\x1b[31m"), After: text("a\nb")}), []string{`Apollo name: "\x1b[31m" → "a\nb"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, rows(t, report.Table{Location: time.FixedZone("", 9*3600)}, tt.event))
		})
	}
}

func TestLongTextsAreFolded(t *testing.T) {
	t.Parallel()
	e := event(audit.Updated, audit.Change{Field: "note", Before: text(""), After: text(strings.Repeat("word ", 100) + strings.Repeat("x", 5000))})
	e.Entity.Label = strings.Repeat("é", 500)
	e.Reason = "because\nof\x1b[2J"
	var out strings.Builder
	_, err := report.Table{}.Write(&out, []audit.Event{e})
	require.NoError(t, err)
	require.Less(t, out.Len(), 3000)
	require.NotContains(t, out.String(), "\x1b")
	for l := range strings.Lines(out.String()) {
		require.LessOrEqual(t, len([]rune(strings.TrimSuffix(l, "\n"))), 140)
	}
}

func TestManyEventsThatAreAlikeAreFoldedAndCounted(t *testing.T) {
	t.Parallel()
	var events []audit.Event
	for range 10 {
		e := event(audit.Created)
		e.ChangeSet = uuid.UUID{1}
		events = append(events, e)
	}
	events = append(events, event(audit.Created), event(audit.Created), event(audit.Updated))

	var out strings.Builder
	shown, err := report.Table{Fold: 10}.Write(&out, events)
	require.NoError(t, err)
	require.Equal(t, 6, shown)
	require.Contains(t, out.String(), "… and 7 more, folded: -action CREATE_PROJECT")
	require.Equal(t, 6, strings.Count(out.String(), "Jo"))

	out.Reset()
	shown, err = report.Table{Fold: 11}.Write(&out, events)
	require.NoError(t, err)
	require.Equal(t, 13, shown)
	require.Equal(t, 13, strings.Count(out.String(), "Jo"))
}
