package report_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
)

// both is a store in which w1 and w2 hold the same story, so that ids and
// positions of one exist beside those of the other.
func both(t *testing.T) audit.Store {
	t.Helper()
	first, second := recorded("w1", story()), recorded("w2", story())
	for i := range second {
		e := &second[i]
		e.ID[0], e.Entity.Label = 2, "Secret "+e.Entity.Label
		if e.Cause != uuid.Nil {
			e.Cause[0] = 2
		}
		if e.ChangeSet != uuid.Nil {
			e.ChangeSet[0] = 2
		}
	}
	return storeWith(t, append(first, second...)...)
}

func TestNothingOfAnotherWorkspaceIsReached(t *testing.T) {
	t.Parallel()
	store := both(t)
	other := everything
	other.Workspace = "w2"
	mine, theirs := handler(t, store, report.Options{}), handler(t, store, report.Options{Authorize: as(other)})

	_, l := getJSON(t, theirs, "/?size=2")
	require.NotNil(t, l.Next)
	event := id(3)
	event[0] = 2
	for _, target := range []string{
		"/event/" + event.String(),
		"/changeset/02000000-0000-0000-0000-000000000001",
	} {
		require.Equal(t, http.StatusOK, get(t, theirs, target).Code, target)
		w := get(t, mine, target)
		require.Equal(t, http.StatusNotFound, w.Code, target)
		require.Equal(t, assetsAside(get(t, mine, strings.Replace(target, "02000000", "03000000", 1)).Body.String()), assetsAside(w.Body.String()),
			"what another workspace has looks like what nobody has")
	}
	code, _ := getJSON(t, mine, "/?size=2&page="+*l.Next)
	require.Equal(t, http.StatusBadRequest, code, "a cursor of another workspace")

	for _, target := range []string{
		"/", "/?q=id:" + event.String(), "/?q=changeset:02000000-0000-0000-0000-000000000001", "/?q=cause:" + event.String(), "/?text=Secret",
		"/?workspace=w2", "/?q=workspace:w2", "/record?type=project&id=7", "/record?type=project&id=7&workspace=w2", "/export?format=csv", "/export?format=jsonl&text=Secret",
	} {
		w := get(t, mine, target)
		require.NotContains(t, strings.ReplaceAll(w.Body.String(), `value="Secret"`, ""), "Secret G", target)
		require.NotContains(t, strings.ReplaceAll(w.Body.String(), `value="Secret"`, ""), "Secret A", target)
	}
	require.NotContains(t, get(t, handler(t, storyStore(t), report.Options{}), "/").Body.String(), "Neighbour", "nor is an author")
}

func TestALimitedScopeShowsItsRecordsOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		only report.Only
		want []int
	}{
		"types":                {report.Only{Types: []audit.EntityType{audit.TypeProject, audit.TypeTag}}, []int{6, 5, 3, 1}},
		"a record":             {report.Only{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "e1", Label: "does not count"}}}, []int{4, 2}},
		"another type's id":    {report.Only{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "7"}}}, []int{}},
		"nothing, by an empty": {report.Only{Entities: []audit.Entity{}}, []int{}},
		"nothing, by the zero": {report.Only{}, []int{}},
	} {
		scope := everything
		scope.Only = &c.only
		h := handler(t, storyStore(t), report.Options{Authorize: as(scope)})
		sees := func(n int) bool {
			for _, w := range c.want {
				if w == n {
					return true
				}
			}
			return false
		}
		for _, target := range []string{"/", "/?type=project", "/?type=time_entry", "/?q=-type:tag", "/?q=entity:project/7,time_entry/e1", "/?q=changeset:c5000000-0000-0000-0000-000000000001", "/?q=cause:" + id(3).String()} {
			code, l := getJSON(t, h, target)
			require.Equal(t, http.StatusOK, code, "%s: %s: %v", name, target, l.Error)
			for _, n := range numbers(l.Events) {
				require.True(t, sees(n), "%s: %s shows %d", name, target, n)
			}
			if target == "/" {
				require.Equal(t, c.want, numbers(l.Events), name)
			}
		}
		for n := 1; n <= 6; n++ {
			want := http.StatusNotFound
			if sees(n) {
				want = http.StatusOK
			}
			code, _ := getJSON(t, h, "/event/"+id(n).String())
			require.Equal(t, want, code, "%s: event %d", name, n)
		}
		for target, n := range map[string]int{"/record?type=project&id=7": 3, "/record?type=time_entry&id=e1": 4} {
			code, l := getJSON(t, h, target)
			require.Equal(t, sees(n), code == http.StatusOK, "%s: %s", name, target)
			for _, n := range numbers(l.Events) {
				require.True(t, sees(n), name)
			}
		}
		if _, l := getJSON(t, h, "/changeset/c5000000-0000-0000-0000-000000000001"); true {
			for _, n := range numbers(l.Events) {
				require.True(t, sees(n), "%s: the change set shows %d", name, n)
			}
		}
		if sees(4) { // its cause is event 3, which renamed the project
			require.NotContains(t, get(t, h, "/event/"+id(4).String()).Body.String(), "Kim renamed", name)
			require.NotContains(t, get(t, h, "/").Body.String(), "Kim renamed", name)
		}
		if sees(3) && !sees(4) {
			require.NotContains(t, get(t, h, "/event/"+id(3).String()).Body.String(), "What followed", name)
		}
		file := get(t, h, "/export?format=jsonl&from=2026-11-16&to=2026-11-21").Body.String()
		require.Equal(t, len(c.want), strings.Count(file, "\n"), name)
	}
}

func TestALimitedScopeDoesNotLearnWhoElseWorksThere(t *testing.T) {
	t.Parallel()
	scope := everything
	scope.Only = &report.Only{Entities: []audit.Entity{{Type: audit.TypeProject, ID: "8"}}}
	h := handler(t, storyStore(t), report.Options{Authorize: as(scope)})
	page := get(t, h, "/").Body.String()
	require.NotContains(t, page, "u18")
	require.NotContains(t, page, "Kim")
	require.Contains(t, page, `value="system"`)
}

func TestTheScopeCountsAnewForEachRequest(t *testing.T) {
	t.Parallel()
	scope := everything
	h := handler(t, storeWith(t, many(30)...), report.Options{Authorize: func(*http.Request) (report.Scope, error) { return scope, nil }})
	_, l := getJSON(t, h, "/?size=5")
	require.NotNil(t, l.Next)
	scope.Only = &report.Only{Types: []audit.EntityType{audit.TypeTag}}
	code, l := getJSON(t, h, "/?size=5&page="+*l.Next)
	require.Equal(t, http.StatusOK, code)
	for _, e := range l.Events {
		require.Equal(t, audit.TypeTag, e.Entity.Type)
	}
	scope = report.Scope{}
	require.Equal(t, http.StatusForbidden, get(t, h, "/").Code)
}

func TestEveryAlteredCursorIsRefused(t *testing.T) {
	t.Parallel()
	store := storeWith(t, many(30)...)
	h := handler(t, store, report.Options{})
	_, l := getJSON(t, h, "/?size=5")
	_, second := getJSON(t, h, "/?size=5&page="+*l.Next)
	_, third := getJSON(t, h, "/?size=5&page="+*second.Next)
	for _, cursor := range []string{*l.Next, *third.Previous} {
		require.Len(t, cursor, 56)
		code, _ := getJSON(t, h, "/?size=5&page="+cursor)
		require.Equal(t, http.StatusOK, code)
		for i := range cursor {
			for _, c := range []byte("ABab01-_=\n ") {
				if c == cursor[i] {
					continue
				}
				altered := cursor[:i] + string(c) + cursor[i+1:]
				code, l := getJSON(t, h, "/?size=5&page="+url.QueryEscape(altered))
				require.Equal(t, http.StatusBadRequest, code, "character %d as %q", i, c)
				require.Equal(t, "page", l.Error.Parameter)
			}
		}
		for _, altered := range []string{cursor + "A", cursor[1:], cursor[:55], cursor + cursor, cursor + "%0A"} {
			code, _ := getJSON(t, h, "/?size=5&page="+altered)
			require.Equal(t, http.StatusBadRequest, code)
		}
		for _, target := range []string{"/?size=5&type=project&page=", "/?size=5&actor=u17&page=", "/?range=today&page=", "/record?type=project&id=1&page=", "/?q=-type:tag&page="} {
			code, _ := getJSON(t, h, target+cursor)
			require.Equal(t, http.StatusBadRequest, code, "the cursor of another report: %s", target)
		}
		other := handler(t, store, report.Options{Key: []byte(strings.Repeat("k", 32))})
		code, _ = getJSON(t, other, "/?size=5&page="+cursor)
		require.Equal(t, http.StatusBadRequest, code, "a cursor signed with another key")
	}
}

func FuzzTheCursorOfAPage(f *testing.F) {
	h := handler(f, storeWith(f, many(30)...), report.Options{})
	_, l := getJSON(f, h, "/?size=5")
	f.Add(*l.Next)
	f.Add("")
	f.Add(strings.Repeat("A", 56))
	good := *l.Next
	f.Fuzz(func(t *testing.T, cursor string) {
		code, got := getJSON(t, h, "/?size=5&page="+url.QueryEscape(cursor))
		if cursor == "" || cursor == good {
			require.Equal(t, http.StatusOK, code)
			return
		}
		require.Equal(t, http.StatusBadRequest, code)
		require.Empty(t, got.Events)
	})
}

func FuzzTheParametersOfTheURL(f *testing.F) {
	for _, seed := range []string{
		"from=2026-11-16&to=2026-11-22", "range=7d&tz=Europe/Berlin", "actor=user:u17&action=UPDATE_PROJECT&type=project&record=7",
		"q=actor:u17+-type:tag+%22apo%22", "text=%3Cscript%3E&field=name&origin=api&owner=u17&size=3", "%zz", "a;b", "page=x", "tz=Local",
	} {
		f.Add(seed)
	}
	h := handler(f, storyStore(f), report.Options{})
	f.Fuzz(func(t *testing.T, query string) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		require.NoError(t, err)
		r.URL.RawQuery = query
		r.Header.Set("Accept", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code, w.Body.String())
		var l listed
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l))
		for _, e := range l.Events {
			require.Equal(t, "w1", e.Workspace)
		}
		if w.Code == http.StatusBadRequest {
			require.NotEmpty(t, l.Error.Message)
			return
		}
		// What the page says the report is asks for the same.
		again, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		require.NoError(t, err)
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		again.URL.RawQuery = url.Values{"q": {l.Query}, "tz": {values.Get("tz")}, "size": {values.Get("size")}}.Encode()
		again.Header.Set("Accept", "application/json")
		w = httptest.NewRecorder()
		h.ServeHTTP(w, again)
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		var same listed
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &same))
		if values.Get("page") == "" {
			require.Equal(t, numbers(l.Events), numbers(same.Events))
		}
		require.Equal(t, l.Query, same.Query)

		html, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		require.NoError(t, err)
		html.URL.RawQuery = query
		w = httptest.NewRecorder()
		h.ServeHTTP(w, html)
		require.Equal(t, http.StatusOK, w.Code)
	})
}
