package audit_test

import (
	"context"
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// cursorOf returns the cursor that lies behind the newest event of f.
func cursorOf(t *testing.T, store audit.Store, f audit.Filter) audit.Cursor {
	t.Helper()
	p, err := audit.QueryPage(context.Background(), store, f, audit.Cursor{}, 1)
	require.NoError(t, err)
	require.True(t, p.More())
	return p.Next
}

func TestACursorSurvivesItsText(t *testing.T) {
	t.Parallel()
	c := cursorOf(t, filled(t, 3), audit.Filter{Workspace: "w1"})
	text := c.String()
	require.Len(t, text, 48)
	require.Equal(t, text, url.QueryEscape(text), "it needs no escaping in a URL")

	parsed, err := audit.ParseCursor(text)
	require.NoError(t, err)
	require.Equal(t, c, parsed)

	b, err := json.Marshal(map[string]audit.Cursor{"next": c})
	require.NoError(t, err)
	require.JSONEq(t, `{"next":"`+text+`"}`, string(b))
	var read map[string]audit.Cursor
	require.NoError(t, json.Unmarshal(b, &read))
	require.Equal(t, c, read["next"])
}

func TestTheTextOfACursorStaysAsItIs(t *testing.T) {
	t.Parallel()
	c := cursorOf(t, filled(t, 3), audit.Filter{Workspace: "w1"})
	golden(t, "cursor.golden", c.String()+"\n")
}

func TestTheZeroCursorIsTheFirstPage(t *testing.T) {
	t.Parallel()
	var c audit.Cursor
	require.True(t, c.IsZero())
	require.Empty(t, c.String())
	parsed, err := audit.ParseCursor("")
	require.NoError(t, err)
	require.True(t, parsed.IsZero())
}

func TestAnAlteredCursorIsRefused(t *testing.T) {
	t.Parallel()
	text := cursorOf(t, filled(t, 3), audit.Filter{Workspace: "w1"}).String()
	refused := func(altered string) {
		t.Helper()
		c, err := audit.ParseCursor(altered)
		require.ErrorIs(t, err, audit.ErrInvalidCursor, "%q", altered)
		require.True(t, c.IsZero())
	}
	for i := range len(text) {
		for b := range 256 {
			if byte(b) != text[i] {
				refused(text[:i] + string([]byte{byte(b)}) + text[i+1:])
			}
		}
		refused(text[:i] + text[i+1:])
		refused(text[:i] + "\n" + text[i:])
		if i > 0 {
			refused(text[:i])
		}
	}
	refused(text + "=")
	refused(" " + text)
	refused(text + text)
	refused(strings.Repeat("A", 48))

	c := cursorOf(t, filled(t, 3), audit.Filter{Workspace: "w1"})
	kept := c
	require.Error(t, c.UnmarshalText([]byte("broken")))
	require.Equal(t, kept, c, "an error leaves the cursor as it was")
}

func TestACursorOfAnotherFilterIsRefused(t *testing.T) {
	t.Parallel()
	store := filled(t, 3)
	f := audit.Filter{Workspace: "w1"}
	c := cursorOf(t, store, f)
	for _, other := range []audit.Filter{{Workspace: "w2"}, {Workspace: "w1", Text: "x"}, {Workspace: "w1", From: noon}} {
		_, err := audit.QueryPage(context.Background(), store, other, c, 1)
		require.ErrorIs(t, err, audit.ErrInvalidCursor)
		require.EqualError(t, err, "audit: invalid cursor: it belongs to another filter; start again at the first page")
	}
}

// everyField sets each field of a filter in turn.
func everyField() map[string]audit.Filter {
	return map[string]audit.Filter{
		"Workspace":  {Workspace: "w2"},
		"From":       {From: noon.AddDate(-1, 0, 0)},
		"To":         {To: noon.AddDate(1, 0, 0)},
		"IDs":        {IDs: []uuid.UUID{id(1), id(2), id(3)}},
		"Actors":     {Actors: []audit.Actor{{ID: "17"}, audit.System}},
		"Actions":    {Actions: []audit.Action{{Type: "project", Origins: []audit.Origin{"", "api"}}, {Operation: "updated"}, {Ownership: "self"}}},
		"Types":      {Types: []audit.EntityType{"project", "tag"}},
		"Entities":   {Entities: []audit.Entity{{Type: "project", ID: "7"}, {Type: "project", ID: "8"}}},
		"Owners":     {Owners: []string{"17", "18"}},
		"Origins":    {Origins: []audit.Origin{"api", ""}},
		"Fields":     {Fields: []string{"name", "client_id"}},
		"Causes":     {Causes: []uuid.UUID{id(2), id(4)}},
		"ChangeSets": {ChangeSets: []uuid.UUID{id(3), id(5)}},
		"Text":       {Text: "apollo"},
		"Except":     {Except: []audit.Filter{{Types: []audit.EntityType{"tag"}}, {Owners: []string{"18", ""}, Text: "x"}}},
	}
}

func TestEveryFieldOfAFilterCountsForItsCursors(t *testing.T) {
	t.Parallel()
	filters := everyField()
	fields := reflect.TypeFor[audit.Filter]()
	for i := range fields.NumField() {
		require.Contains(t, filters, fields.Field(i).Name, "a new field of Filter must go into its sum and into this test")
	}
	texts := map[string]string{}
	for name, f := range filters {
		if f.Workspace == "" {
			f.Workspace = "w1"
		}
		text := audit.CursorAfter(renamed(), f).String()
		require.Empty(t, texts[text], "%s and %s are told apart", name, texts[text])
		texts[text] = name

		reversed := f
		slices.Reverse(reversed.Types)
		reversed.Actors = append(slices.Clone(f.Actors), f.Actors...)
		reversed.Text = strings.ToUpper(f.Text)
		reversed.From = f.From.In(time.FixedZone("", 3600))
		require.Equal(t, text, audit.CursorAfter(renamed(), reversed).String(), "order, repetition and what is not compared do not matter: %s", name)
	}
	a := audit.CursorAfter(renamed(), audit.Filter{Workspace: "w1", Owners: []string{"ab", "c"}})
	b := audit.CursorAfter(renamed(), audit.Filter{Workspace: "w1", Owners: []string{"a", "bc"}})
	require.NotEqual(t, a, b, "elements do not run into one another")
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add("AQ")
	f.Add(audit.CursorAfter(renamed(), audit.Filter{Workspace: "w1"}).String())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := audit.ParseCursor(text)
		if err != nil {
			require.ErrorIs(t, err, audit.ErrInvalidCursor)
			require.True(t, c.IsZero())
			return
		}
		require.Equal(t, text, c.String(), "a cursor has one text")
	})
}
