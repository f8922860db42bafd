package audit_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func labelled(ref, label string) audit.Value {
	return audit.Value{JSON: json.RawMessage(ref), Label: label}
}

func TestCascadeFollowsWhatChildrenShow(t *testing.T) {
	t.Parallel()
	rename := audit.Change{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")}
	color := audit.Change{Field: "color", Before: audit.ValueOf("red"), After: audit.ValueOf("blue")}
	client := audit.Change{Field: "client_id", Before: labelled("1", "Acme"), After: labelled("2", "Bolt")}
	rule := audit.Cascade{Parent: audit.TypeProject, Child: audit.TypeTimeEntry, Field: "project_id"}
	chain := rule
	chain.On = []string{"client_id", "name"}
	tags := audit.Cascade{Parent: audit.TypeTag, Child: audit.TypeTimeEntry, Field: "tags", Element: true}
	shows := audit.Change{Field: "project_id", Before: labelled(`"7"`, "Gemini"), After: labelled(`"7"`, "Apollo")}
	withheld := audit.Value{Form: audit.FormRedacted}
	for _, tt := range []struct {
		name      string
		rule      audit.Cascade
		operation audit.Operation
		changes   []audit.Change
		label     string
		want      []audit.Change
	}{
		{"a renamed parent shows its new name", rule, audit.Updated, []audit.Change{color, rename}, "name", []audit.Change{shows}},
		{"another field does not show", rule, audit.Updated, []audit.Change{color}, "name", nil},
		{"a parent without a label field shows nothing", rule, audit.Updated, []audit.Change{rename}, "", nil},
		{"a created parent has no children yet", rule, audit.Created, []audit.Change{rename}, "name", nil},
		{"a deleted parent has no name any more", rule, audit.Deleted, nil, "name", []audit.Change{{Field: "project_id", Before: labelled(`"7"`, "Apollo"), After: labelled(`"7"`, "")}}},
		{"a restored parent has its name again", rule, audit.Restored, nil, "name", []audit.Change{{Field: "project_id", Before: labelled(`"7"`, ""), After: labelled(`"7"`, "Apollo")}}},
		{"a further field shows under the child's", chain, audit.Updated, []audit.Change{client, color}, "name", []audit.Change{{Field: "project_id.client_id", Before: client.Before, After: client.After}}},
		{"a field that is label and further field shows once", chain, audit.Updated, []audit.Change{rename}, "name", []audit.Change{shows}},
		{"a many-to-many relation shows an element", tags, audit.Updated, []audit.Change{rename}, "name", []audit.Change{{Field: "tags", Element: true, Before: shows.Before, After: shows.After}}},
		{"a withheld label shows nothing", rule, audit.Updated, []audit.Change{{Field: "name", Before: withheld, After: withheld}}, "name", nil},
		{"null that became empty shows nothing", rule, audit.Updated, []audit.Change{{Field: "name", Before: audit.ValueOf(nil), After: audit.ValueOf("")}}, "name", nil},
		{"an event that changed nothing shows nothing", rule, audit.Updated, nil, "name", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parent := audit.Event{Operation: tt.operation, Entity: audit.Entity{Type: tt.rule.Parent, ID: "7", Label: "Apollo"}, Changes: tt.changes}
			require.Equal(t, tt.want, tt.rule.Follows(parent, tt.label))
			require.Equal(t, tt.changes, parent.Changes, "the parent's event stays as it is")
		})
	}
}

func TestCascadeDerivesAnEventOfTheSystem(t *testing.T) {
	t.Parallel()
	rule := audit.Cascade{Parent: audit.TypeProject, Child: audit.TypeTimeEntry, Field: "project_id"}
	parent := audit.Event{
		ID: id(1), Time: noon, Workspace: "w1", Actor: jo, Operation: audit.Updated, Origin: audit.OriginAPI,
		Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}, ChangeSet: id(2),
		Request: audit.Request{ID: "r1", Address: "203.0.113.9"}, Reason: "because",
	}
	changes := []audit.Change{{Field: "project_id", Before: labelled(`"7"`, "Gemini"), After: labelled(`"7"`, "Apollo")}}
	child := rule.Derive(parent, audit.Entity{ID: "3", Label: "Standup", Owner: "17"}, changes)
	require.Equal(t, audit.Event{
		Workspace: "w1", Actor: audit.System, Initiator: jo, Operation: audit.Updated, Origin: audit.OriginAPI,
		Entity: audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Label: "Standup", Owner: "17"}, Changes: changes,
		Cause: id(1), Derived: true, ChangeSet: id(2), Request: parent.Request, Reason: "because",
	}, child)

	r, store := newRecorder(t, &audit.Config{Now: clock, NewID: numberedIDs()})
	require.NoError(t, r.Record(audit.WithActor(context.Background(), audit.Actor{ID: "somebody else"}), child))
	stored := store.All()[0]
	require.Equal(t, audit.System, stored.Actor, "the one in the context is not the author")
	require.Equal(t, audit.OwnershipSelf, stored.Ownership, "the initiator owns the entry")

	second := audit.Cascade{Parent: audit.TypeTimeEntry, Child: "invoice", Field: "entry_id"}.Derive(stored, audit.Entity{ID: "9"}, nil)
	require.Equal(t, "17", second.Initiator.ID, "the initiator is kept through a chain")
	require.Equal(t, stored.ID, second.Cause)

	parent.Actor = audit.System
	require.Zero(t, rule.Derive(parent, audit.Entity{ID: "3"}, nil).Initiator, "the system is nobody's initiator")
}
