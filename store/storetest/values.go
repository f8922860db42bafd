package storetest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// hostile are texts that have broken one store or another.
var hostile = map[string]string{
	"quotes":                  `it's "quoted" and ` + "`ticked`",
	"backslashes":             `C:\temp\new\x27\`,
	"SQL":                     `'; DROP TABLE audit_events; --`,
	"placeholders":            `? $1 :name @p1 {{x}} {events} %s %d`,
	"wildcards":               `100% _sure_ [a-z] *`,
	"emoji":                   "😀 👩‍👩‍👧 🏳️‍🌈",
	"combining":               "e\u0301 is not é",
	"right to left":           "\u202Eabc\u202C שלום",
	"separators":              "line\nreturn\rtab\tnext\u2028para\u2029",
	"controls":                "\x01\x02\x1b[31m\x7f",
	"spaces at end":           "padded  ",
	"only a space":            " ",
	"byte order mark":         "\ufefftext",
	"last code point":         "\U0010FFFF",
	"null":                    "null",
	"JSON":                    `{"field":"rate"}`,
	"unit separator":          "before\x1fafter",
	"only a record separator": "\x1e",
}

// hostileEvent is the nth event; all its texts are s.
func hostileEvent(n int, s string) audit.Event {
	e := full(n)
	e.Actor = audit.Actor{Kind: audit.ActorKind(s), ID: s, Name: s}
	e.Initiator = e.Actor
	e.Operation, e.Origin = audit.Operation(s), audit.Origin(s)
	e.Entity = audit.Entity{Type: audit.EntityType(s), ID: s, Label: s, Owner: s}
	e.Request = audit.Request{ID: s, Address: s, Agent: s}
	e.Reason = s
	e.Changes = []audit.Change{{
		Field:  s,
		Before: audit.Value{JSON: audit.AppendJSONString(nil, s), Label: s},
		After:  audit.Value{JSON: append(append([]byte(`{"a":`), audit.AppendJSONString(nil, s)...), '}'), Label: s},
	}}
	return e
}

var valueRules = []rule[audit.Store]{
	{
		"Values/HostileTexts",
		"every text comes back as it was, wherever in an event it stands",
		func(t *testing.T, store audit.Store) {
			var events []audit.Event
			for _, s := range hostile {
				events = append(events, hostileEvent(len(events)+1, s))
			}
			require.NoError(t, store.Append(context.Background(), events))
			requireEvents(t, store, events)
		},
	},
	{
		"Values/HostileTextsInCommon",
		"every text comes back as it was, also where all events of a call have the same one",
		func(t *testing.T, store audit.Store) {
			var events []audit.Event
			for _, s := range hostile {
				events = append(events, hostileEvent(len(events)+1, s), hostileEvent(len(events)+2, s), hostileEvent(len(events)+3, s))
				require.NoError(t, store.Append(context.Background(), events[len(events)-3:]))
			}
			requireEvents(t, store, events)
		},
	},
	{
		"Values/HostileTextsBesideOthers",
		"every text comes back as it was, also where other events of the call have plain ones, empty ones or none",
		func(t *testing.T, store audit.Store) {
			var events []audit.Event
			for _, s := range hostile {
				n := len(events)
				events = append(events, hostileEvent(n+1, s), event(n+2), hostileEvent(n+3, "plain"))
				require.NoError(t, store.Append(context.Background(), events[n:]))
			}
			requireEvents(t, store, events)
		},
	},
	{
		"Values/TextsThatDifferInCaseOrSpaces",
		"texts are compared byte by byte: case, accents, trailing spaces and forms of Unicode tell them apart",
		func(t *testing.T, store audit.Store) {
			texts := []string{"straße", "strasse", "STRASSE", "a", "A", "a ", " a", "á", "a\u0301", "ａ"}
			var events []audit.Event
			for i, s := range texts {
				events = append(events, event(i+1, func(e *audit.Event) {
					e.Workspace = s
					e.Entity.ID, e.Entity.Owner = s, s
					e.Actor.ID = s
				}))
			}
			require.NoError(t, store.Append(context.Background(), events))
			for i, s := range texts {
				requireSame(t, events[i:i+1], list(t, store, audit.Filter{Workspace: s}))
			}
			for i := range events {
				events[i].ID, events[i].Workspace = id(100+i), workspace
			}
			require.NoError(t, store.Append(context.Background(), events))
			for i, s := range texts {
				for _, f := range []audit.Filter{
					{Owners: []string{s}},
					{Actors: []audit.Actor{{ID: s}}},
					{Entities: []audit.Entity{{Type: audit.TypeProject, ID: s}}},
				} {
					f.Workspace = workspace
					requireSame(t, events[i:i+1], list(t, store, f))
				}
			}
		},
	},
	{
		"Values/JSON",
		"a value's JSON comes back byte for byte as audit.AppendChanges writes it: what is null stays null, what is not recorded stays so, and no database rewrites the rest",
		func(t *testing.T, store audit.Store) {
			var changes []audit.Change
			for _, j := range []string{
				`null`, `true`, `false`, `""`, `"null"`, `0`, `-0`, `1.50`, `1e400`, `12345678901234567890123456789.000`,
				`[]`, `{}`, `{"b":1,"a":2,"b":3}`, `"\u0000"`, `{"\u0000":"\u0000"}`, `"\ud83d\ude00"`, `"\ud800"`, `"\\u0000"`,
				`"'"`, `"\""`, `"\\"`, `[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`,
			} {
				changes = append(changes,
					audit.Change{Field: "both", Before: audit.Value{JSON: json.RawMessage(j)}, After: audit.Value{JSON: json.RawMessage(j)}},
					audit.Change{Field: "after", After: audit.Value{JSON: json.RawMessage(j)}},
					audit.Change{Field: "before", Before: audit.Value{JSON: json.RawMessage(j), Label: "a label"}},
				)
			}
			for _, form := range []audit.Form{audit.FormBase64, audit.FormShortened, audit.FormRedacted, "a form of later"} {
				changes = append(changes, audit.Change{Field: "form", Before: audit.Value{Form: form}, After: audit.Value{JSON: json.RawMessage(`"x"`), Form: form}})
			}
			changes = append(changes, audit.Change{Field: "neither"}, audit.Change{Field: "element", Element: true})
			e := event(1, func(e *audit.Event) { e.Changes = changes })
			require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
			requireEvents(t, store, []audit.Event{e})
		},
	},
	{
		"Values/JSONWithSpaces",
		"JSON that is not compact comes back as equal JSON",
		func(t *testing.T, store audit.Store) {
			const spaced = "{ \"b\" : [ 1 ,\n\t1.50 ] }"
			e := event(1, func(e *audit.Event) { e.Changes[0].After.JSON = json.RawMessage(spaced) })
			require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
			got := list(t, store, audit.Filter{Workspace: workspace})
			require.Len(t, got, 1)
			require.JSONEq(t, spaced, string(got[0].Changes[0].After.JSON))
		},
	},
	{
		"Values/Long",
		"texts up to the limits of an event and values of 64 KiB are stored whole, many in one event",
		func(t *testing.T, store audit.Store) {
			e := full(1)
			name, label := strings.Repeat("é", 95), strings.Repeat("😀", 125)
			e.Actor = audit.Actor{Kind: audit.ActorKind(name), ID: name, Name: label}
			e.Initiator = e.Actor
			e.Operation, e.Origin = audit.Operation(name), audit.Origin(name)
			e.Entity = audit.Entity{Type: audit.EntityType(name), ID: strings.Repeat("x", 191), Label: label, Owner: name}
			e.Request = audit.Request{ID: name, Address: name, Agent: label}
			e.Reason = strings.Repeat("because ", 500)
			e.Changes = nil
			for range 40 {
				e.Changes = append(e.Changes, audit.Change{Field: name, After: audit.Value{JSON: json.RawMessage(`"` + strings.Repeat("😀", 16<<10) + `"`)}})
			}
			events := []audit.Event{e}
			for n := 2; n < 6; n++ {
				next := e
				next.ID, next.Time = event(n).ID, event(n).Time
				events = append(events, next)
			}
			require.NoError(t, store.Append(context.Background(), events))
			requireEvents(t, store, events)
		},
	},
	{
		"Values/LongWorkspace",
		"a workspace's name may have 191 bytes",
		func(t *testing.T, store audit.Store) {
			e := event(1, func(e *audit.Event) { e.Workspace = strings.Repeat("é", 95) + "x" })
			require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
			requireSame(t, []audit.Event{e}, list(t, store, audit.Filter{Workspace: e.Workspace}))
		},
	},
	{
		"Values/Times",
		"times from year 1 to 9999 come back in UTC to the microsecond, and are ordered as times",
		func(t *testing.T, store audit.Store) {
			times := []time.Time{
				{},
				time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
				time.Date(1582, 10, 10, 1, 2, 3, 4000, time.UTC),
				time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
				time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
				time.Date(1970, 1, 1, 0, 0, 0, 1000, time.UTC),
				time.Date(2024, 2, 29, 12, 0, 0, 123456000, time.UTC),
				time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
				time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
			}
			var events []audit.Event
			for i, at := range times {
				events = append(events, event(i+1, func(e *audit.Event) { e.Time = at }))
			}
			require.NoError(t, store.Append(context.Background(), events))
			requireEvents(t, store, events)
			for size := 1; size < 4; size++ {
				requireSame(t, newestFirst(events), pages(t, store, audit.Filter{Workspace: workspace}, size))
			}
		},
	},
	{
		"Values/TimesOfOtherZones",
		"a time of another zone is the same instant; it comes back in UTC",
		func(t *testing.T, store audit.Store) {
			at := time.Date(2024, 3, 31, 2, 30, 0, 5000, time.FixedZone("CEST", 2*3600))
			e := event(1, func(e *audit.Event) { e.Time = at })
			require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
			e.Time = at.UTC()
			requireEvents(t, store, []audit.Event{e})
		},
	},
}
