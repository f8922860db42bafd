package report_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
)

// controls reads what the form of the report would send.
func controls(page string) url.Values {
	form := regexp.MustCompile(`(?s)<form class="filters".*?</form>`).FindString(page)
	values := url.Values{}
	for _, m := range regexp.MustCompile(`<input type=checkbox name=(\w+) value="([^"]*)" checked>`).FindAllStringSubmatch(form, -1) {
		values.Add(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range regexp.MustCompile(`<input(?: type="(?:date|hidden)")? name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		values.Add(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range regexp.MustCompile(`<option value="([^"]+)" selected>`).FindAllStringSubmatch(form, -1) {
		values.Add("type", html.UnescapeString(m[1]))
	}
	return values
}

// whole reads the query that stands for the whole report.
func whole(page string) string {
	m := regexp.MustCompile(`(?s)<form class="query".*?name="q" value="([^"]*)"`).FindStringSubmatch(page)
	return html.UnescapeString(m[1])
}

// leads are the links of a page that have a parameter.
func leads(page, parameter string) (found []string) {
	for _, m := range regexp.MustCompile(`href="(?:\./)?([^"]*[?;]`+parameter+`=[^"]*)"`).FindAllStringSubmatch(page, -1) {
		found = append(found, "/"+html.UnescapeString(m[1]))
	}
	return found
}

// requireLinks follows the links of a report with so many events, which are more
// than a page has: those to files and to other pages.
func requireLinks(t *testing.T, h http.Handler, target string, events int) {
	t.Helper()
	w := get(t, h, target)
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", target, w.Body)
	files, others := leads(w.Body.String(), "format"), leads(w.Body.String(), "page")
	require.Len(t, files, 2, target)
	require.NotEmpty(t, others, target)
	for _, link := range others {
		require.Equal(t, http.StatusOK, get(t, h, link).Code, "%s leads to %s", target, link)
	}
	w = get(t, h, strings.ReplaceAll(files[0], "format=csv", "format=jsonl"))
	require.Equal(t, http.StatusOK, w.Code, "%s leads to %s", target, files[0])
	require.Equal(t, events, strings.Count(w.Body.String(), "\n"), "%s leads to %s", target, files[0])
}

func TestFormAndQueryAreTranslatedIntoEachOther(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for _, c := range []struct {
		query string
		form  url.Values
	}{
		{"created:2026-11-18", url.Values{"from": {"2026-11-18"}, "to": {"2026-11-18"}}},
		{"created:2026-11-17..2026-11-20 actor:system,u17", url.Values{"from": {"2026-11-17"}, "to": {"2026-11-20"}, "actor": {"system", "user:u17"}}},
		{`action:CREATE_TIME_IMPORT,"Updated task (personal)"`, url.Values{"action": {"CREATE_TIME_IMPORT", "Updated task (personal)"}}},
		{"action:project.updated", url.Values{"q": {"action:project.updated"}}}, // of any origin, for which there is no box
		{"entity:project/7", url.Values{"type": {"project"}, "record": {"7"}}},
		{"type:tag", url.Values{"type": {"tag"}}},
		{"type:tag,project", url.Values{"q": {"entity:tag,project"}}},
		{"owner:u17 origin:api field:name", url.Values{"owner": {"u17"}, "origin": {"api"}, "field": {"name"}}},
		{"owner:u17,u18", url.Values{"q": {"owner:u17,u18"}}},
		{`"Apollo"`, url.Values{"text": {"Apollo"}}},
		{`" Apollo"`, url.Values{"q": {`" Apollo"`}}},
		{"-type:tag -actor:u17", url.Values{"q": {"-entity:tag -actor:u17"}}},
		{"id:" + id(3).String(), url.Values{"q": {"id:" + id(3).String()}}},
		{"created:2026-11-18T10:00:00Z..2026-11-18T15:30:00Z", url.Values{"q": {"created:2026-11-18T10:00:00Z..2026-11-18T15:30:00Z"}}},
	} {
		for _, tz := range []string{"UTC", "Europe/Berlin"} {
			if tz != "UTC" && len(c.form["q"]) > 0 && c.form.Get("q")[0] == 'c' {
				continue // its times are written in UTC
			}
			w := get(t, h, "/?"+url.Values{"q": {c.query}, "tz": {tz}}.Encode())
			require.Equal(t, http.StatusOK, w.Code, c.query)
			got := controls(w.Body.String())
			want := url.Values{"tz": {tz}}
			for k, v := range c.form {
				want[k] = v
			}
			for _, name := range []string{"from", "to", "text", "record", "owner", "origin", "field", "q"} {
				if want.Get(name) == "" {
					want.Set(name, "")
				}
			}
			if c.form.Get("from") == "" && want.Get("q") == "" || c.form.Get("from") == "" && want.Get("q")[0] != 'c' {
				want.Set("from", "2026-11-16")
				want.Set("to", "2026-11-22")
			}
			require.Equal(t, want, got, c.query)

			// Sent as it stands, the form asks for the same; and so does the query.
			text := whole(w.Body.String())
			again := get(t, h, "/?"+got.Encode())
			require.Equal(t, http.StatusOK, again.Code, c.query)
			require.Equal(t, text, whole(again.Body.String()), c.query)
			third := get(t, h, "/?"+url.Values{"q": {text}, "tz": {tz}}.Encode())
			require.Equal(t, text, whole(third.Body.String()), c.query)
			require.Equal(t, got, controls(third.Body.String()), c.query)
		}
	}
}

func TestWhatNoControlCanShowStaysInTheQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query string
		made  func(*audit.Event)
	}{
		{`entity:project/"7 "`, func(e *audit.Event) { e.Entity.ID = "7 " }},
		{`actor:"robot":""`, func(e *audit.Event) { e.Actor = audit.Actor{Kind: "robot"} }},
		{`actor:"a:b":c`, func(e *audit.Event) { e.Actor = audit.Actor{Kind: "a:b", ID: "c"} }},
		{`actor:u17,"a:b":c`, func(e *audit.Event) { e.Actor = audit.Actor{Kind: "a:b", ID: "c"} }},
	} {
		events := many(30)
		for i := range events {
			if events[i].Entity.Type = audit.TypeProject; i >= 20 {
				events[i].Actor, events[i].Entity.ID = kim, "7"
				continue
			}
			c.made(&events[i])
		}
		h := handler(t, storeWith(t, events...), report.Options{})
		target := "/?size=10&q=" + url.QueryEscape(c.query)
		requireLinks(t, h, target, 20)
		got := controls(get(t, h, target).Body.String())
		require.Equal(t, c.query, got.Get("q"))
		require.Empty(t, got.Get("record"), c.query)
		require.Empty(t, got.Get("actor"), c.query)
	}
}

func TestTheLinksOfAReportWorkInWhateverOrderItWasAskedFor(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, many(30)...), report.Options{})
	for query, events := range map[string]int{
		`action:"Updated tag","Updated project"`:                 30,
		`action:"Updated project","Updated project"`:             20,
		`action:project.updated,tag.updated,UPDATE_PROJECT`:      30,
		`action:UPDATE_PROJECT,project.updated,tag.updated`:      30,
		`action:created,UPDATE_TIME_PERSONAL,UPDATE_TAG,updated`: 30,
		`actor:system,u17,unknown,u18,u17 type:tag,project`:      30,
	} {
		requireLinks(t, h, "/?size=10&q="+url.QueryEscape(query), events)
	}
	requireLinks(t, h, "/?size=10&action=UPDATE_TAG&action=UPDATE_PROJECT&action=UPDATE_TAG&actor=system&actor=u17&q=action:project.updated", 30)
}

func TestAReportOfManyAuthorsFitsInItsLinksOrIsRefused(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, many(30)...), report.Options{})
	query := "actor:u17"
	for n := range 990 {
		query += fmt.Sprintf(",%d", n)
	}
	requireLinks(t, h, "/?size=10&q="+query, 30)
	got := controls(get(t, h, "/?size=10&q="+query).Body.String())
	require.Equal(t, query, got.Get("q"))
	require.Empty(t, got["actor"])

	target := "/?size=10&actor=u17"
	for n := range 400 {
		target += fmt.Sprintf("&actor=%030d", n)
	}
	w := get(t, h, target)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "This report asks for more than the addresses of its pages can hold.")
	code, l := getJSON(t, h, target)
	require.Equal(t, http.StatusOK, code, "a program has the address itself")
	code, _ = getJSON(t, h, target+"&page="+*l.Next)
	require.Equal(t, http.StatusOK, code)
}

func TestAnAuthorWhoHasNoTextIsNotOfferedAsAnother(t *testing.T) {
	t.Parallel()
	events := many(3)
	events[0].Actor, events[1].Actor = audit.Actor{Kind: "robot", Name: "Robot"}, audit.Actor{Kind: "a:b", ID: "c", Name: "Other"}
	h := handler(t, storeWith(t, events...), report.Options{})
	require.Equal(t, []string{"System", "Jo"}, offered(get(t, h, "/authors").Body.String()))
	require.Equal(t, []string{"System", "Jo"}, offered(get(t, h, "/").Body.String()))
}

func TestSpacesBelongToTheTextAndToThePlacesInTheQuery(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for target, want := range map[string]string{
		"/?text=%20Apollo":      `created:2026-11-16..2026-11-22 " Apollo"`,
		"/?text=%20":            `created:2026-11-16..2026-11-22 " "`,
		"/?text=apo%20&q=%20":   `created:2026-11-16..2026-11-22 "apo "`,
		"/?owner=%20u17&text=a": `owner:u17 created:2026-11-16..2026-11-22 "a"`,
	} {
		code, l := getJSON(t, h, target)
		require.Equal(t, http.StatusOK, code, target)
		require.Equal(t, want, l.Query, target)
		require.Equal(t, want, whole(get(t, h, target).Body.String()), target)
	}
	for query, place := range map[string][2]int{"   foo:bar": {3, 3}, "\n type:tag foo:bar ": {11, 3}} {
		code, l := getJSON(t, h, "/?q="+url.QueryEscape(query))
		require.Equal(t, http.StatusBadRequest, code, query)
		got := [2]int{*l.Error.Offset, *l.Error.Length}
		require.Equal(t, place, got, query)
		require.Contains(t, get(t, h, "/?q="+url.QueryEscape(query)).Body.String(), "<mark>foo</mark>:bar", query)
	}
}

func TestAnErrorKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	typed := url.Values{
		"from": {"2026-01-01"}, "to": {"2026-11-01"}, "tz": {"Europe/Berlin"}, "actor": {"user:u17"}, "action": {"UPDATE_PROJECT"}, "type": {"project"},
		"record": {"7"}, "owner": {"u17"}, "origin": {"api"}, "field": {"name"}, "text": {"Apollo"}, "q": {"-type:tag"},
	}
	w := get(t, h, "/?"+typed.Encode())
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, typed, controls(w.Body.String()))
	require.Contains(t, w.Body.String(), `name="to" value="2026-11-01" aria-invalid="true"`)
	w = get(t, h, "/?q="+url.QueryEscape("actor:u17 nonsense:1 x"))
	require.Contains(t, w.Body.String(), "actor:u17 <mark>nonsense</mark>:1 x")
}
