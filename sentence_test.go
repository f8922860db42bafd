package audit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestEventsAreSentences(t *testing.T) {
	t.Parallel()
	jo := audit.Actor{ID: "17", Name: "Jo"}
	project := audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}
	entry := audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Label: "Standup", Owner: "17"}
	name := audit.Change{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")}
	tag := audit.Change{Field: "tags", Element: true, Before: audit.ValueOf(nil), After: audit.Value{JSON: raw("5"), Label: "daily"}}
	shows := audit.Change{Field: "project_id", Before: audit.Value{JSON: raw("7"), Label: "Gemini"}, After: audit.Value{JSON: raw("7"), Label: "Apollo"}}
	many := make([]audit.Change, 8)
	for i := range many {
		many[i] = audit.Change{Field: string(rune('a' + i)), After: audit.ValueOf(i)}
	}
	events := []audit.Event{
		{Actor: jo, Operation: audit.Updated, Entity: project, Changes: []audit.Change{name}},
		{Actor: audit.System, Initiator: jo, Operation: audit.Updated, Entity: entry, Changes: []audit.Change{shows}, Derived: true},
		{Actor: jo, Operation: audit.Created, Origin: audit.OriginTimer, Entity: entry, Changes: []audit.Change{{Field: "description", After: audit.ValueOf("Standup")}, tag}},
		{Actor: jo, Operation: audit.Deleted, Entity: project, Changes: []audit.Change{{Field: "name", Before: audit.ValueOf("Apollo")}, {Field: "deleted_at", Before: audit.ValueOf(nil), After: audit.ValueOf("2026-01-01")}}},
		{Actor: jo, Operation: audit.Restored, Entity: entry, Changes: []audit.Change{{Field: "deleted_at", Before: audit.ValueOf("2026-01-01"), After: audit.ValueOf(nil)}}},
		{Actor: jo, Operation: audit.Updated, Entity: project, Changes: []audit.Change{{Field: "name", After: audit.ValueOf("Apollo")}}, Reason: "asked by\nthe client"},
		{Actor: audit.Actor{ID: "18"}, Operation: audit.Created, Entity: audit.Entity{Type: "purchase_order", ID: "9"}, Changes: many},
		{Actor: audit.Actor{Kind: audit.KindKey, ID: "ci"}, Operation: "approved", Entity: project},
		{Actor: audit.Unknown, Operation: audit.Deleted, Entity: project},
		{Actor: audit.Actor{Name: "Eve\u202e\x1b[2J"}, Operation: "up\ndated", Origin: "x\u2028y", Entity: audit.Entity{Type: "a\tb", ID: "c\rd"}},
		{Actor: audit.Actor{Name: strings.Repeat("n", 300)}, Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeTag, ID: strings.Repeat("i", 300)}},
		{},
	}
	var b strings.Builder
	for _, e := range events {
		requireVisible(t, e.String())
		b.WriteString(e.String() + "\n")
	}
	golden(t, "sentences.golden", b.String())
	require.Equal(t, `Jo updated project "Apollo": name: "Gemini" → "Apollo"`, events[0].String())
}
