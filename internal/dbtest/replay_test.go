package dbtest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// TestEventsRebuildWhatEveryWriteLeaves plays the events of each operation of
// the write path suite onto the events of its seed.
func TestEventsRebuildWhatEveryWriteLeaves(t *testing.T) {
	t.Parallel()
	p := newPast(t, "sqlite", storeInDatabase, false)
	for _, op := range operations() {
		require.NoError(t, p.begin())
		p.clock.next()
		_ = p.attempt(op)
		events, err := p.since(p.checked)
		require.NoError(t, err)
		require.Empty(t, p.replay.Apply(events), op.name)
		require.Empty(t, p.rebuilt(), op.name)
	}
}

// TestAReplayFindsWhatEventsCannotTell plays events that contradict each other.
func TestAReplayFindsWhatEventsCannotTell(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, Open(t, "sqlite"), nil)
	of := func(op audit.Operation, kind audit.EntityType, changes ...audit.Change) audit.Event {
		return audit.Event{Operation: op, Entity: audit.Entity{Type: kind, ID: "1"}, Changes: changes}
	}
	change := func(field, before, after string) audit.Change {
		c := audit.Change{Field: field}
		if before != "" {
			c.Before = raw(before)
		}
		if after != "" {
			c.After = raw(after)
		}
		return c
	}
	element := func(field, before, after string) audit.Change {
		c := change(field, before, after)
		c.Element = true
		return c
	}
	created := of(audit.Created, "label", change("id", "", "1"), change("name", "", `"x"`))
	deleted := of(audit.Deleted, "label", change("id", "1", ""), change("name", `"x"`, ""))
	renamed := of(audit.Updated, "label", change("name", `"x"`, `"y"`))
	moved := of(audit.Updated, "label", change("id", "1", "2"))
	derived := of(audit.Updated, "label", change("name", `"?"`, `"!"`))
	derived.Derived = true
	shift := of(audit.Created, "shift", change("id", "", "1"), element("marks", "null", `{"label_id":1,"weight":5}`))

	for name, c := range map[string]struct {
		events []audit.Event
		rows   []string // table and key of what is rebuilt
		want   string   // "" if nothing is wrong
	}{
		"created, changed, moved":       {[]audit.Event{created, renamed, moved}, []string{"labels 2"}, ""},
		"created and deleted":           {[]audit.Event{created, deleted}, nil, ""},
		"created twice":                 {[]audit.Event{created, created}, []string{"labels 1"}, "label 1 created: it is there already"},
		"changed and never created":     {[]audit.Event{moved}, []string{"labels 2"}, "label 1 updated: it is not there"},
		"deleted twice":                 {[]audit.Event{created, deleted, deleted}, nil, "label 1 deleted: it is not there"},
		"a change is missing":           {[]audit.Event{created, renamed, deleted}, nil, `name was "y" and not "x"`},
		"derived events tell nothing":   {[]audit.Event{created, derived}, []string{"labels 1"}, ""},
		"an unknown type":               {[]audit.Event{of(audit.Created, "?")}, nil, "no table has this entity type"},
		"an element with columns":       {[]audit.Event{shift}, []string{"shift_marks 1/1", "shifts 1"}, ""},
		"an element comes twice":        {[]audit.Event{shift, of(audit.Updated, "shift", shift.Changes[1])}, []string{"shift_marks 1/1", "shifts 1"}, "has {\"label_id\":1,\"weight\":5} already"},
		"an element goes, another came": {[]audit.Event{shift, of(audit.Updated, "shift", element("marks", `{"label_id":1,"weight":6}`, "null"))}, []string{"shifts 1"}, "and not"},
		"a relation that is not there":  {[]audit.Event{created, of(audit.Updated, "label", element("marks", "null", "1"))}, []string{"labels 1"}, `no relation "marks"`},
		"a soft delete leaves the row":  {[]audit.Event{of(audit.Created, "flag", change("id", "", "1")), of(audit.Deleted, "flag", change("id", "1", ""), change("removed", "0", "1"))}, []string{"flags 1"}, ""},
		"what was deleted comes back":   {[]audit.Event{created, deleted, created}, []string{"labels 1"}, ""},
		"a secret":                      {[]audit.Event{of(audit.Created, "device", change("id", "", `"1"`), audit.Change{Field: "secret", After: audit.Value{Form: audit.FormRedacted}})}, []string{"devices 1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.oracle.Replay()
			wrong := strings.Join(r.Apply(c.events), "\n")
			if c.want == "" {
				require.Empty(t, wrong)
			}
			require.Contains(t, wrong, c.want)
			snapshot, err := w.oracle.Snapshot(context.Background())
			require.NoError(t, err)
			var rows []string
			for _, complaint := range r.Compare(snapshot) {
				row, only := strings.CutSuffix(complaint, " is in the log only")
				require.True(t, only, complaint)
				rows = append(rows, row)
			}
			require.ElementsMatch(t, c.rows, rows)
		})
	}
}

// TestAReplayIsHeldAgainstTheTables spoils rows behind the events' back.
func TestAReplayIsHeldAgainstTheTables(t *testing.T) {
	t.Parallel()
	p := newPast(t, "sqlite", storeInDatabase, false)
	require.NoError(t, p.begin())
	require.True(t, p.check(), p.wrong)
	require.Empty(t, p.rebuilt())
	for _, c := range []struct{ sql, want string }{
		{"UPDATE labels SET name = 'raw' WHERE id = 3", `replay: labels 3: name is "raw" and was rebuilt as "\"z\""`},
		{"DELETE FROM specs", `replay: specs 1 is in the log only`},
		{"INSERT INTO order_labels (order_id, label_id) VALUES (2, 3)", `replay: order_labels 2/3 is in the table only`},
		{"UPDATE devices SET secret = 'raw', cache = 'raw'", ""},
	} {
		require.NoError(t, p.begin())
		p.check()
		require.NoError(t, p.raw.Exec(c.sql).Error)
		require.Equal(t, c.want, strings.Join(p.rebuilt(), "\n"))
	}
}
