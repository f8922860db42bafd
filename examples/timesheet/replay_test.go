package main

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/week"
	"github.com/gormtrail/audit/internal/timesheet"
)

// tables are where the records of the types are.
var tables = map[audit.EntityType]string{
	audit.TypeTimeEntry: "time_entries", audit.TypeProject: "projects", audit.TypeTask: "tasks", audit.TypeClient: "clients",
	audit.TypeTag: "tags", audit.TypeExpense: "expenses", timesheet.TypeCategory: "categories",
}

// TestTheLogAloneRebuildsTheDatabase replays every event and compares what
// comes out with the rows, column by column, and the tags and members with the
// rows of their relations.
func TestTheLogAloneRebuildsTheDatabase(t *testing.T) {
	t.Parallel()
	tr := filled(t)
	records := map[audit.EntityType]map[string]map[string]json.RawMessage{}
	elements := map[string]bool{} // relation, owner and element
	for kind := range tables {
		records[kind] = map[string]map[string]json.RawMessage{}
	}
	events := slices.Collect(all(t, tr, audit.Filter{Workspace: week.Workspace}))
	slices.Reverse(events)
	for _, e := range events {
		if e.Derived || e.Entity.Type == audit.TypeSettings {
			continue
		}
		of := records[e.Entity.Type]
		row := of[e.Entity.ID]
		if row == nil {
			row = map[string]json.RawMessage{}
		}
		hard := e.Operation == audit.Deleted
		for _, c := range e.Changes {
			switch {
			case c.Element && c.Before.IsNull():
				elements[c.Field+" "+e.Entity.ID+" "+elementID(t, c.After)] = true
			case c.Element:
				delete(elements, c.Field+" "+e.Entity.ID+" "+elementID(t, c.Before))
			case c.After.Recorded():
				row[c.Field], hard = c.After.JSON, false
			}
		}
		of[e.Entity.ID] = row
		if hard {
			delete(of, e.Entity.ID)
		}
	}
	for kind, table := range tables {
		rows := rowsOf(t, tr, table)
		for id, row := range rows {
			if row["name"] == "in-house" || row["notes"] == "Parking, two hours" {
				continue // came while its type was not recorded
			}
			got, ok := records[kind][id]
			require.True(t, ok, "%s %s is not in the log", kind, id)
			delete(row, "created_at")
			delete(row, "updated_at")
			require.ElementsMatch(t, slices.Collect(maps.Keys(row)), slices.Collect(maps.Keys(got)))
			for column, value := range row {
				require.Equal(t, value, plain(t, got[column]), "%s %s: %s", kind, id, column)
			}
		}
		for id := range records[kind] {
			require.Contains(t, rows, id, "%s is in the log only", kind)
		}
	}
	require.Equal(t, elementsOf(t, tr), elements)
}

// rowsOf reads a table by its keys.
func rowsOf(t *testing.T, tr *tracker, table string) map[string]map[string]any {
	t.Helper()
	var list []map[string]any
	require.NoError(t, tr.db.Table(table).Find(&list).Error)
	rows := map[string]map[string]any{}
	for _, row := range list {
		for column, value := range row {
			row[column] = canonical(column, value)
		}
		rows[row["id"].(string)] = row
	}
	return rows
}

// canonical is a column's value as plain gives it.
func canonical(column string, value any) any {
	switch v := value.(type) {
	case time.Time:
		if column == "date" {
			return v.UTC().Format(time.DateOnly)
		}
		return v.UTC().Format(time.RFC3339Nano)
	case int64:
		if slices.Contains([]string{"billable", "public", "archived", "locked"}, column) {
			return v != 0
		}
		return float64(v)
	case string:
		var fields map[string]any
		if column == "custom_fields" && json.Unmarshal([]byte(v), &fields) == nil {
			return fields
		}
	}
	return value
}

// plain is a recorded value as Go has it.
func plain(t *testing.T, raw json.RawMessage) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// elementID is the key of what was added or removed. A relation that has
// columns of its own, as a membership has rates, is recorded with them.
func elementID(t *testing.T, v audit.Value) string {
	t.Helper()
	switch v := plain(t, v.JSON).(type) {
	case string:
		return v
	case map[string]any:
		return v["user_id"].(string)
	}
	require.FailNow(t, "an element without a key", "%s", v.JSON)
	return ""
}

// elementsOf reads the many-to-many relations.
func elementsOf(t *testing.T, tr *tracker) map[string]bool {
	t.Helper()
	elements := map[string]bool{}
	for query, relation := range map[string]string{
		"SELECT time_entry_id || ' ' || tag_id FROM time_entry_tags": "tags",
		"SELECT project_id || ' ' || user_id FROM memberships":       "members",
	} {
		var pairs []string
		require.NoError(t, tr.db.Raw(query).Scan(&pairs).Error)
		for _, pair := range pairs {
			elements[relation+" "+pair] = true
		}
	}
	return elements
}
