package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

func TestThePagesThatPeopleRead(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{
		Settings: newSettings(),
		Authors: func(_ context.Context, workspace string) ([]report.Author, error) {
			require.Equal(t, "w1", workspace)
			return []report.Author{
				{Actor: audit.Actor{ID: "u19", Name: "Lee"}},
				{Actor: audit.Actor{ID: "u20", Name: "Ada"}, Archived: true},
				{Actor: audit.Actor{ID: "u21", Name: "Kim"}},
			}, nil
		},
	})
	for name, c := range map[string]struct {
		target string
		status int
	}{
		"report.html":          {"/", http.StatusOK},
		"report_filtered.html": {"/?from=2026-11-18&to=2026-11-19&tz=Europe/Berlin&actor=user:u17&action=UPDATE_PROJECT&type=project&record=7&owner=&origin=api&field=note&text=apo&q=-field:name&size=1", http.StatusOK},
		"report_page.html":     {"/?from=2026-11-16&to=2026-11-22&size=2", http.StatusOK},
		"report_empty.html":    {"/?from=2026-11-01&to=2026-11-02", http.StatusOK},
		"report_wrong.html":    {"/?q=" + url.QueryEscape("actor:u17 <b>:x \"acme\""), http.StatusBadRequest},
		"record.html":          {"/record?type=project&id=7", http.StatusOK},
		"event.html":           {"/event/" + id(3).String(), http.StatusOK},
		"event_values.html":    {"/event/" + id(5).String() + "?tz=America/New_York", http.StatusOK},
		"changeset.html":       {"/changeset/c5000000-0000-0000-0000-000000000001", http.StatusOK},
		"authors.html":         {"/authors?from=2026-11-18&to=2026-11-19&actor=user:u17&actor=key:ci&action=UPDATE_PROJECT&action=DELETE_PROJECT&text=%22%3Cb%3E", http.StatusOK},
		"export.html":          {"/export?from=2026-11-18&to=2026-11-19&actor=system&tz=Europe/Berlin", http.StatusOK},
		"not_found.html":       {"/event/" + id(98).String(), http.StatusNotFound},
	} {
		w := get(t, h, c.target)
		require.Equal(t, c.status, w.Code, name)
		golden(t, name, assetsAside(w.Body.String()))
	}
}

func TestThePagesThatProgramsRead(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for name, target := range map[string]string{
		"report.json":    "/?from=2026-11-18&to=2026-11-22&tz=Europe/Berlin&size=2",
		"wrong.json":     "/?q=actor:u17+nonsense:1",
		"record.json":    "/record?type=time_entry&id=e1",
		"event.json":     "/event/" + id(3).String(),
		"changeset.json": "/changeset/c5000000-0000-0000-0000-000000000001",
		"authors.json":   "/authors",
		"empty.json":     "/?from=2026-11-01&to=2026-11-02",
	} {
		w := get(t, h, target, "Accept", "application/json")
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		require.NoError(t, e.Encode(json.RawMessage(w.Body.Bytes())))
		golden(t, name, b.String())
	}
	for accept, want := range map[string]string{
		"text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8": "text/html; charset=utf-8",
		"*/*": "text/html; charset=utf-8", "": "text/html; charset=utf-8", "application/json": "application/json",
	} {
		require.Equal(t, want, get(t, h, "/", "Accept", accept).Header().Get("Content-Type"), accept)
	}
}

func TestTheActionsAreThoseOfTheCatalogueInItsOrder(t *testing.T) {
	t.Parallel()
	page := get(t, handler(t, storyStore(t), report.Options{}), "/").Body.String()
	found := regexp.MustCompile(`<legend>([^<]+)</legend>|name=action value="([^"]+)"(?: checked)?> ([^<]+)<`).FindAllStringSubmatch(page, -1)
	var got, want []string
	for _, f := range found {
		got = append(got, f[1]+f[3])
	}
	for _, g := range audit.DefaultCatalog().Groups() {
		want = append(want, strings.ToUpper(g.Noun[:1])+g.Noun[1:])
		for _, row := range g.Rows {
			want = append(want, row.Label)
		}
	}
	require.Equal(t, want, got)
	require.Contains(t, got, "Created time (personal, timer)")
}

// many are n events of one second in a day, seven of each time.
func many(n int) []audit.Event {
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = audit.Event{
			ID: id(i), Time: on(20, 9, 0).Add(time.Duration(i/7) * time.Second), Actor: jo, Operation: audit.Updated,
			Entity: audit.Entity{Type: audit.TypeProject, ID: fmt.Sprint(i), Label: fmt.Sprint("Project ", i)},
		}
		if i%3 == 0 {
			events[i].Entity.Type = audit.TypeTag
		}
	}
	return recorded("w1", events)
}

func TestPagesLeadToTheEndAndBack(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, many(100)...), report.Options{})
	const base = "/?from=2026-11-20&to=2026-11-20&size=9&q=type:project"
	_, whole := getJSON(t, h, "/?from=2026-11-20&to=2026-11-20&size=200&type=project")
	all := numbers(whole.Events)
	require.Len(t, all, 66)

	var forward, starts []int
	target, pages := base, 0
	var last listed
	for {
		code, l := getJSON(t, h, target)
		require.Equal(t, http.StatusOK, code)
		forward = append(forward, numbers(l.Events)...)
		starts = append(starts, numbers(l.Events)[0])
		last = l
		if pages++; l.Next == nil {
			break
		}
		target = base + "&page=" + *l.Next
	}
	require.Equal(t, all, forward)
	require.Equal(t, 8, pages)
	require.Nil(t, last.Next)

	for i := len(starts) - 2; i >= 0; i-- {
		require.NotNil(t, last.Previous)
		target = base
		if *last.Previous != "" {
			target += "&page=" + *last.Previous
		}
		_, last = getJSON(t, h, target)
		require.Equal(t, starts[i], numbers(last.Events)[0])
		require.Len(t, last.Events, 9)
	}
	require.Nil(t, last.Previous)
}

func TestThePageLeadsToOtherPagesOfTheSameReport(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, many(30)...), report.Options{})
	pager := regexp.MustCompile(`<a href="(\?[^"]*)"[^>]*>([^<]+)</a>`)
	next := func(page string) map[string]string {
		leads := map[string]string{}
		_, nav, _ := strings.Cut(page, `class="pager"`)
		for _, m := range pager.FindAllStringSubmatch(nav, -1) {
			leads[m[2]] = "/" + strings.ReplaceAll(m[1], "&amp;", "&")
		}
		return leads
	}
	first := next(get(t, h, "/?range=7d&tz=Europe/Berlin&actor=u17&size=10").Body.String())
	require.Len(t, first, 2)
	require.NotContains(t, first["Next ›"], "range", "a page belongs to days, not to a range that moves on")
	require.Contains(t, first["Next ›"], "actor=user%3Au17")
	require.Contains(t, first["Next ›"], "tz=Europe%2FBerlin")
	second := next(get(t, h, first["Next ›"]).Body.String())
	require.Len(t, second, 4)
	require.Contains(t, get(t, h, second["‹ Previous"]).Body.String(), "Project 29")
	require.Contains(t, get(t, h, second["« Newest"]).Body.String(), "Project 29")
	require.Contains(t, get(t, h, second["Oldest »"]).Body.String(), "Project 1<")
	require.Equal(t, second["Oldest »"], first["Oldest »"])
}

// forwardOnly is a store that reads from the newest event on only.
type forwardOnly struct{ audit.Store }

func TestAStoreThatReadsForwardOnlyLeadsBackToTheFirstPage(t *testing.T) {
	t.Parallel()
	h := handler(t, forwardOnly{storeWith(t, many(30)...)}, report.Options{})
	_, first := getJSON(t, h, "/?size=10")
	require.NotNil(t, first.Next)
	code, second := getJSON(t, h, "/?size=10&page="+*first.Next)
	require.Equal(t, http.StatusOK, code)
	require.Empty(t, *second.Previous)
	page := get(t, h, "/?size=10&page="+*first.Next).Body.String()
	require.Contains(t, page, "« Newest</a>")
	require.NotContains(t, page, "‹ Previous</a>")
	require.NotContains(t, page, "Oldest »</a>")
	back := handler(t, storeWith(t, many(30)...), report.Options{})
	_, last := getJSON(t, back, "/?size=10&page="+*first.Next)
	code, _ = getJSON(t, h, "/?size=10&page="+*last.Previous)
	require.Equal(t, http.StatusBadRequest, code, "a page that only another store can read")
}

func TestWhatFollowedStandsUnderItsCause(t *testing.T) {
	t.Parallel()
	cause := func(n, of int, at time.Time) audit.Event {
		e := audit.Event{
			ID: id(n), Time: at, Actor: jo, Operation: audit.Updated,
			Entity: audit.Entity{Type: audit.TypeProject, ID: fmt.Sprint(n), Label: fmt.Sprintf("N%d", n)},
		}
		if of > 0 {
			e.Cause = id(of)
		}
		return e
	}
	noon := on(20, 12, 0)
	h := handler(t, storeWith(t, recorded("w1", []audit.Event{
		cause(1, 0, noon),
		cause(2, 1, noon),                      // a chain
		cause(3, 2, noon),                      // of three
		cause(4, 0, noon.Add(time.Minute)),     // something else in between
		cause(5, 1, noon.Add(2*time.Minute)),   // late
		cause(6, 7, noon.Add(3*time.Minute)),   // a circle
		cause(7, 6, noon.Add(4*time.Minute)),   // that nobody should record
		cause(8, 8, noon.Add(5*time.Minute)),   // nor this
		cause(9, 90, noon.Add(6*time.Minute)),  // a cause that is gone
		cause(10, 11, noon.Add(7*time.Minute)), // a cause that is outside of the range
		cause(11, 0, on(19, 12, 0)),
	})...), report.Options{})
	page := get(t, h, "/?from=2026-11-20&to=2026-11-20").Body.String()
	_, list, _ := strings.Cut(page, `<ol class="events">`)
	depth, got := 0, ""
	for _, m := range regexp.MustCompile(`<ol>|</ol>|class="context"|<span>(N\d+)</span>`).FindAllStringSubmatch(list, -1) {
		switch {
		case m[0] == "<ol>":
			depth++
		case m[0] == "</ol>":
			depth--
		case m[1] == "":
			got += "(cause) "
		default:
			got += strings.Repeat(">", depth) + m[1] + " "
		}
	}
	require.Equal(t, "(cause) N11 >N10 N9 N8 N6 >N7 N1 >N5 >N2 >>N3 N4 ", got)
	require.Contains(t, page, "the cause, not itself in this list")
}

func TestAnEventNeverShowsTwice(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for size := 1; size < 8; size++ {
		seen := map[string]int{}
		target := fmt.Sprintf("/?from=2026-11-16&to=2026-11-22&size=%d", size)
		for page := target; page != ""; {
			body := get(t, h, page).Body.String()
			for _, row := range regexp.MustCompile(`(?s)<li( class="context")?>.*?href="\./event/([0-9a-f-]+)"`).FindAllStringSubmatch(body, -1) {
				if row[1] == "" {
					seen[row[2]]++
				}
			}
			page = ""
			if m := regexp.MustCompile(`<a href="(\?[^"]*)" rel="next"`).FindStringSubmatch(body); m != nil {
				page = "/" + strings.ReplaceAll(m[1], "&amp;", "&")
			}
		}
		require.Len(t, seen, 6)
		for event, times := range seen {
			require.Equal(t, 1, times, "%s with pages of %d", event, size)
		}
	}
}

func TestTheHistoryOfARecordIsNotLimitedInTime(t *testing.T) {
	t.Parallel()
	old := audit.Event{ID: id(1), Time: now.AddDate(-3, 0, 0), Actor: jo, Operation: audit.Created, Entity: audit.Entity{Type: "invoice/line", ID: "1/2 %&?#", Label: "First"}}
	last := old
	last.ID, last.Time, last.Operation = id(2), now.AddDate(-1, 0, 0), audit.Deleted
	h := handler(t, storeWith(t, recorded("w1", []audit.Event{old, last})...), report.Options{})
	target := "/record?" + url.Values{"type": {"invoice/line"}, "id": {"1/2 %&?#"}}.Encode()
	_, l := getJSON(t, h, target)
	require.Equal(t, []int{2, 1}, numbers(l.Events))
	page := get(t, h, target).Body.String()
	require.Contains(t, page, "is deleted")
	require.Contains(t, html.UnescapeString(page), "record?id=1%2F2+%25%26%3F%23&type=invoice%2Fline")
}

func TestAnErrorOfTheStoreSaysNothing(t *testing.T) {
	t.Parallel()
	h := handler(t, broken{memstore.New()}, report.Options{})
	for _, page := range []string{"/", "/event/" + id(1).String(), "/record?type=a&id=b", "/changeset/" + id(1).String()} {
		w := get(t, h, page)
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.NotContains(t, w.Body.String(), "secret")
		code, l := getJSON(t, h, page)
		require.Equal(t, http.StatusInternalServerError, code)
		require.NotContains(t, l.Error.Message, "secret")
	}
}

// broken is a store that cannot be read.
type broken struct{ audit.Store }

func (broken) List(context.Context, audit.Filter, audit.Position, int) ([]audit.Event, error) {
	return nil, fmt.Errorf("dial tcp postgres://user:secret@db/: refused")
}

// crowd are events of so many authors, one each, in the last days.
func crowd(authors int) []audit.Event {
	var events []audit.Event
	for n := range authors {
		events = append(events, audit.Event{
			ID: id(n), Time: on(20, 9, 0).Add(time.Duration(n) * time.Second), Operation: audit.Updated, ChangeSet: uuid.UUID{1: byte(n), 6: 0x70},
			Actor:   audit.Actor{Kind: audit.KindUser, ID: fmt.Sprintf("u%d", n), Name: fmt.Sprintf("Maya Lindqvist %d", n)},
			Entity:  audit.Entity{Type: audit.TypeTimeEntry, ID: uuid.UUID{5: byte(n)}.String(), Label: "Weekly review with the client, part two", Owner: "u17"},
			Changes: []audit.Change{{Field: "description", Before: raw(`"Weekly review with the client"`), After: raw(`"Weekly review with the client, part two"`)}, {Field: "billable", Before: raw(`false`), After: raw(`true`)}},
		})
	}
	return recorded("w1", events)
}

func TestAPageStaysSmall(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, crowd(200)...), report.Options{})
	w := get(t, h, "/")
	require.Equal(t, 50, strings.Count(w.Body.String(), "<details class=event>"))
	require.Less(t, w.Body.Len(), 50<<10)
	require.Less(t, get(t, h, "/", "Accept-Encoding", "gzip").Body.Len(), 10<<10)
}

func TestAnUnknownWordIsExplainedToReaders(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for _, target := range []string{"/?type=invoice", "/?action=invoice.sung"} {
		status, l := getJSON(t, h, target)
		require.Equal(t, http.StatusBadRequest, status, target)
		require.Contains(t, l.Error.Message, "check how it is written, or choose from the lists", target)
	}
}
