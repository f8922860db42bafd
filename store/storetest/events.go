package storetest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// Workspace is where the events of the tests are, unless a test says otherwise.
const workspace = "w1"

// epoch is the time of the first event of a series.
var epoch = time.Date(2024, 5, 1, 9, 0, 0, 123456000, time.UTC)

// id makes the nth id. The larger n, the larger the id.
func id(n int) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], 0x018f_0000_0000_7000)
	binary.BigEndian.PutUint64(u[8:], 0x8000_0000_0000_0000|uint64(n))
	return u
}

// event is the nth event of a series, n seconds after the epoch.
func event(n int, change ...func(*audit.Event)) audit.Event {
	e := audit.Event{
		ID:        id(n),
		Time:      epoch.Add(time.Duration(n) * time.Second),
		Workspace: workspace,
		Actor:     audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"},
		Operation: audit.Updated,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: "p1", Label: "Apollo"},
		Changes: []audit.Change{{
			Field:  "name",
			Before: audit.Value{JSON: json.RawMessage(`"Gemini"`)},
			After:  audit.Value{JSON: json.RawMessage(`"Apollo"`)},
		}},
		SchemaVersion: audit.SchemaVersion,
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

// series returns the first n events, oldest first.
func series(n int) []audit.Event {
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = event(i + 1)
	}
	return events
}

// full is an event in which everything is set.
func full(n int) audit.Event {
	return event(n, func(e *audit.Event) {
		e.Actor = audit.System
		e.Initiator = audit.Actor{Kind: audit.KindKey, ID: "k-1", Name: "Deploy key"}
		e.Origin = audit.OriginQuickBooks
		e.Entity = audit.Entity{Type: audit.TypeTimeEntry, ID: "8f/2", Label: "Standup", Owner: "18"}
		e.Ownership = audit.OwnershipOther
		e.Cause = id(1_000_000)
		e.Derived = true
		e.ChangeSet = id(2_000_000)
		e.Request = audit.Request{ID: "req-1", Address: "2001:db8::1", Agent: "curl/8"}
		e.Reason = "corrected after the audit"
		e.Changes = []audit.Change{
			{
				Field:  "project_id",
				Before: audit.Value{JSON: json.RawMessage(`"p1"`), Label: "Gemini"},
				After:  audit.Value{JSON: json.RawMessage(`"p1"`), Label: "Apollo"},
			},
			{Field: "tags", Element: true, Before: audit.Value{JSON: json.RawMessage(`null`)}, After: audit.Value{JSON: json.RawMessage(`"t1"`), Label: "urgent"}},
			{Field: "photo", After: audit.Value{JSON: json.RawMessage(`"/w=="`), Form: audit.FormBase64}},
			{Field: "notes", Before: audit.Value{JSON: json.RawMessage(`{"length":70000,"prefix":"a"}`), Form: audit.FormShortened}},
			{Field: "password", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}},
		}
	})
}

// scribble overwrites all that events refer to.
func scribble(events []audit.Event) {
	for i := range events {
		for j := range events[i].Changes {
			c := &events[i].Changes[j]
			for _, v := range []json.RawMessage{c.Before.JSON, c.After.JSON} {
				for k := range v {
					v[k] = '0'
				}
			}
			c.Field = "scribbled"
		}
		events[i].Workspace = "scribbled"
		events[i].Entity.Label = "scribbled"
	}
}

// newestFirst sorts as a report does.
func newestFirst(events []audit.Event) []audit.Event {
	sorted := slices.Clone(events)
	slices.SortFunc(sorted, func(a, b audit.Event) int { return a.Position().Compare(b.Position()) })
	return sorted
}

// list returns every event that matches, in one page.
func list(t *testing.T, store audit.Store, f audit.Filter) []audit.Event {
	t.Helper()
	events, err := store.List(context.Background(), f, audit.Position{}, 1_000_000)
	require.NoError(t, err)
	return events
}

// requireEvents requires the workspace to hold exactly these events.
func requireEvents(t *testing.T, store audit.Store, want []audit.Event) {
	t.Helper()
	requireSame(t, newestFirst(want), list(t, store, audit.Filter{Workspace: workspace}))
}

// requireSame compares exactly, except that no events are no events.
func requireSame(t *testing.T, want, got []audit.Event) {
	t.Helper()
	if len(want) == 0 {
		require.Empty(t, got)
		return
	}
	require.Equal(t, want, got)
}

// numbers names events by the numbers their ids were made from.
func numbers(events []audit.Event) []int {
	ns := make([]int, len(events))
	for i, e := range events {
		ns[i] = int(binary.BigEndian.Uint64(e.ID[8:]) &^ (1 << 63))
	}
	return ns
}
