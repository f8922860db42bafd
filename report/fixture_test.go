package report_test

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file in testdata; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to write it")
	require.Equal(t, string(want), got, "if the change is meant, run the test with -update and review the file")
}

// now is the moment at which the tests take place: a Sunday.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// The users of the tests.
var (
	jo  = audit.Actor{Kind: audit.KindUser, ID: "u17", Name: "Jo"}
	kim = audit.Actor{Kind: audit.KindUser, ID: "u18", Name: "Kim"}
)

// id is the id of the nth event.
func id(n int) uuid.UUID { return uuid.UUID{6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)} }

// raw is a value by its JSON.
func raw(text string) audit.Value { return audit.Value{JSON: json.RawMessage(text)} }

// labelled is a reference.
func labelled(text, label string) audit.Value {
	return audit.Value{JSON: json.RawMessage(text), Label: label}
}

// day is a time of day in the week before now.
func on(day, hour, minute int) time.Time {
	return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC)
}

// story is a week of events of the workspace w1, oldest first.
func story() []audit.Event {
	gemini := audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Gemini"}
	apollo := audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}
	entry := func(id, label string) audit.Entity {
		return audit.Entity{Type: audit.TypeTimeEntry, ID: id, Label: label, Owner: "u17"}
	}
	set := uuid.UUID{0: 0xc5, 15: 1}
	return []audit.Event{
		{
			ID: id(1), Time: on(16, 9, 0), Actor: jo, Operation: audit.Created, Entity: gemini,
			Changes: []audit.Change{
				{Field: "name", After: raw(`"Gemini"`)},
				{Field: "client_id", After: raw(`null`)},
				{Field: "note", After: raw(`""`)},
				{Field: "budget", After: raw(`100`)},
			},
		},
		{
			ID: id(2), Time: on(17, 9, 30), Actor: jo, Operation: audit.Created, Origin: audit.OriginTimer, Entity: entry("e1", "Standup"),
			Ownership: audit.OwnershipSelf,
			Changes: []audit.Change{
				{Field: "description", After: raw(`"Standup"`)},
				{Field: "project_id", After: labelled(`7`, "Gemini")},
				{Field: "tags", Element: true, Before: raw(`null`), After: labelled(`5`, "daily")},
			},
		},
		{
			ID: id(3), Time: on(18, 14, 0), Actor: kim, Operation: audit.Updated, Entity: apollo, ChangeSet: set, Reason: "The client asked for it",
			Request: audit.Request{ID: "r-1", Address: "192.0.2.1"},
			Changes: []audit.Change{{Field: "name", Before: raw(`"Gemini"`), After: raw(`"Apollo"`)}},
		},
		{
			ID: id(4), Time: on(18, 14, 0), Actor: audit.System, Initiator: kim, Operation: audit.Updated, Entity: entry("e1", "Standup"),
			Ownership: audit.OwnershipOther, Cause: id(3), Derived: true, ChangeSet: set,
			Changes: []audit.Change{{Field: "project_id", Before: labelled(`7`, "Gemini"), After: labelled(`7`, "Apollo")}},
		},
		{
			ID: id(5), Time: on(19, 10, 15), Actor: jo, Operation: audit.Updated, Origin: audit.OriginAPI, Entity: apollo,
			Changes: []audit.Change{
				{Field: "api_token", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}},
				{Field: "archived", Before: audit.Value{}, After: raw(`true`)},
				{Field: "budget", Before: raw(`100`), After: raw(`500`)},
				{Field: "client_id", Before: raw(`null`), After: labelled(`3`, "Acme")},
				{Field: "note", Before: raw(`""`), After: raw(`"none"`)},
				{Field: "picture", Before: audit.ValueOf([]byte{0xff, 0}), After: audit.ValueOf(strings.Repeat("ab", 40000))},
				{Field: "fields", Before: raw(`{"a":1}`), After: audit.Value{JSON: json.RawMessage(`{"a":"[withheld]"}`), Form: audit.FormPartial}},
				{Field: "text", Before: audit.ValueOf(strings.Repeat("long ", 300) + "old"), After: audit.ValueOf(strings.Repeat("long ", 300) + "new")},
			},
		},
		{
			ID: id(6), Time: on(20, 16, 45), Actor: jo, Operation: audit.Deleted, Entity: apollo,
			Changes: []audit.Change{{Field: "name", Before: raw(`"Apollo"`)}, {Field: "budget", Before: raw(`500`)}},
		},
	}
}

// recorded completes events as a recorder would.
func recorded(workspace string, events []audit.Event) []audit.Event {
	for i := range events {
		events[i].Workspace, events[i].SchemaVersion = workspace, audit.SchemaVersion
	}
	return events
}

// storeWith is a store of these events.
func storeWith(t testing.TB, events ...audit.Event) *memstore.Store {
	t.Helper()
	store := memstore.New()
	require.NoError(t, store.Append(context.Background(), events))
	return store
}

// storyStore is the store of the story, with a neighbour in another workspace.
func storyStore(t testing.TB) *memstore.Store {
	t.Helper()
	secret := audit.Event{
		ID: id(99), Time: on(19, 11, 0), Actor: audit.Actor{Kind: audit.KindUser, ID: "spy", Name: "Neighbour"}, Operation: audit.Updated,
		Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Secret"}, ChangeSet: uuid.UUID{0: 0xc5, 15: 2},
		Changes: []audit.Change{{Field: "name", Before: raw(`"Hidden"`), After: raw(`"Secret"`)}},
	}
	return storeWith(t, append(recorded("w1", story()), recorded("w2", []audit.Event{secret})...)...)
}

// everything may be done by Jo in w1.
var everything = report.Scope{Workspace: "w1", Actor: jo, Read: true, Export: true, Administer: true}

// as authorizes every request alike.
func as(scope report.Scope) func(*http.Request) (report.Scope, error) {
	return func(*http.Request) (report.Scope, error) { return scope, nil }
}

// handler is the page of a store. Options without Authorize may do everything.
func handler(t testing.TB, store audit.Store, opts report.Options) *report.Handler {
	t.Helper()
	if opts.Authorize == nil {
		opts.Authorize = as(everything)
	}
	if opts.Now == nil {
		opts.Now = func() time.Time { return now }
	}
	if opts.Key == nil {
		opts.Key = []byte("a key for tests, of 32 bytes or more")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	h, err := report.NewHandler(store, &opts)
	require.NoError(t, err)
	return h
}

// get asks for a page.
func get(t testing.TB, h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, h, http.MethodGet, target, "", header...)
}

// post sends a form as a browser does from a page of the same site.
func post(t testing.TB, h http.Handler, target, form string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	if len(header) == 0 {
		header = []string{"Sec-Fetch-Site", "same-origin"}
	}
	return send(t, h, http.MethodPost, target, form, append(header, "Content-Type", "application/x-www-form-urlencoded")...)
}

func send(t testing.TB, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// listed is a report as programs read it.
type listed struct {
	Query    string        `json:"query"`
	From     string        `json:"from"`
	To       string        `json:"to"`
	Events   []audit.Event `json:"events"`
	Event    *audit.Event  `json:"event"`
	Next     *string       `json:"next"`
	Previous *string       `json:"previous"`
	Error    *struct {
		Status    int    `json:"status"`
		Message   string `json:"message"`
		Parameter string `json:"parameter"`
		Offset    *int   `json:"offset"`
		Length    *int   `json:"length"`
	} `json:"error"`
}

// getJSON asks as a program does.
func getJSON(t testing.TB, h http.Handler, target string) (int, listed) {
	t.Helper()
	w := get(t, h, target, "Accept", "application/json")
	var l listed
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l), w.Body.String())
	return w.Code, l
}

// numbers are the events by their numbers.
func numbers(events []audit.Event) []int {
	list := []int{}
	for _, e := range events {
		list = append(list, int(e.ID[14])<<8|int(e.ID[15]))
	}
	return list
}
