package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
)

// offered are the authors that a page offers, in its order.
func offered(page string) (names []string) {
	for _, m := range regexp.MustCompile(`name=actor value="[^"]*"(?: checked)?> ([^<]+)<`).FindAllStringSubmatch(page, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestAReportOffersAllAuthorsIfTheyAreFew(t *testing.T) {
	t.Parallel()
	page := get(t, handler(t, storeWith(t, crowd(12)...), report.Options{}), "/?size=1").Body.String()
	require.Len(t, offered(page), 13, "they and System")
	require.NotContains(t, page, "All authors")
}

func TestAReportOffersTheAuthorsOfItsEventsIfThereAreManyAndLeadsToAll(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, crowd(200)...), report.Options{
		Authors: func(context.Context, string) ([]report.Author, error) {
			return []report.Author{{Actor: audit.Actor{ID: "u198", Name: "Maya"}, Archived: true}, {Actor: audit.Actor{ID: "new", Name: "Ada"}}}, nil
		},
	})
	page := get(t, h, "/?size=2&actor=u7&actor=u199&actor=u198&from=2026-11-20&to=2026-11-20").Body.String()
	require.Equal(t, []string{"System", "Maya Lindqvist 199", "u7", "Maya Lindqvist 198 "}, offered(page), "whom the events name, and who is ticked")
	link := regexp.MustCompile(`<a href="\./(authors[^"]*)">All authors</a>`).FindStringSubmatch(page)
	require.NotNil(t, link)
	require.Equal(t, "authors?actor=user%3Au7&amp;actor=user%3Au199&amp;actor=user%3Au198&amp;from=2026-11-20&amp;size=2&amp;to=2026-11-20", link[1])

	all := get(t, h, "/authors?actor=u7&from=2026-11-20&to=2026-11-20&size=2").Body.String()
	require.Len(t, offered(all), 202, "those of the log, one whom only the application knows, and System")
	require.Equal(t, []string{"System", "Ada", "Maya Lindqvist 0"}, offered(all)[:3])
	require.Contains(t, all, `name=actor value="user:u7" checked> Maya Lindqvist 7<`)
	require.Contains(t, all, `<input type="hidden" name="from" value="2026-11-20">`)
	require.NotContains(t, all, `name="actor"`, "it is ticked, not handed on")
	require.NotContains(t, all, "These are not all")

	require.Len(t, offered(get(t, h, "/?from=2025-01-01&to=2025-01-02").Body.String()), 1, "no event, so System")
	wrong := get(t, h, "/?foo=bar").Body.String()
	require.Len(t, offered(wrong), 1, "nor where the report is wrong")
	require.NotContains(t, wrong, "All authors", "which the list of all refuses too")
}

func TestTheListOfAllAuthorsSaysWhereItEnds(t *testing.T) {
	t.Parallel()
	for n, cut := range map[int]bool{500: false, 501: true} {
		h := handler(t, storeWith(t, crowd(n)...), report.Options{})
		page := get(t, h, "/authors").Body.String()
		if cut {
			require.Contains(t, page, "These are not all", n)
		} else {
			require.NotContains(t, page, "These are not all", n)
		}
		var list struct {
			Authors  []struct{ Actor, Name string }
			Complete bool
		}
		require.NoError(t, json.Unmarshal(get(t, h, "/authors", "Accept", "application/json").Body.Bytes(), &list))
		require.Equal(t, !cut, list.Complete, n)
		require.GreaterOrEqual(t, len(list.Authors), 501, n)
	}
}

func TestTheListOfAllAuthorsIsLimitedAsItsReaderIs(t *testing.T) {
	t.Parallel()
	limited := everything
	limited.Only = &report.Only{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "e1"}}}
	h := handler(t, storyStore(t), report.Options{Authorize: as(limited)})
	require.Equal(t, []string{"System", "Jo"}, offered(get(t, h, "/authors").Body.String()), "not Kim, who changed other records, nor the neighbour")
}

func TestALimitedReaderIsNotToldTheUsersOfTheApplication(t *testing.T) {
	t.Parallel()
	users := func(context.Context, string) ([]report.Author, error) {
		return []report.Author{{Actor: audit.Actor{ID: "u99", Name: "Somebody else"}}, {Actor: audit.Actor{ID: "u17", Name: "Jo of old"}, Archived: true}}, nil
	}
	for _, c := range []struct {
		only       *report.Only
		page, list []string
	}{
		{&report.Only{}, []string{"System"}, []string{"system"}},
		{&report.Only{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "e1"}}}, []string{"System", "Jo of old "}, []string{"system", "user:u17"}},
		{nil, []string{"System", "Kim", "Somebody else", "Jo of old "}, []string{"system", "user:u18", "user:u99", "user:u17"}},
	} {
		scope := everything
		scope.Only = c.only
		h := handler(t, storyStore(t), report.Options{Authorize: as(scope), Authors: users})
		require.Equal(t, c.page, offered(get(t, h, "/authors").Body.String()))
		require.Equal(t, c.page, offered(get(t, h, "/").Body.String()))
		var list struct{ Authors []struct{ Actor string } }
		require.NoError(t, json.Unmarshal(get(t, h, "/authors", "Accept", "application/json").Body.Bytes(), &list))
		var told []string
		for _, a := range list.Authors {
			told = append(told, a.Actor)
		}
		require.Equal(t, c.list, told)
		require.Equal(t, c.only == nil, slices.Contains(offered(get(t, h, "/authors?actor=u99").Body.String()), "Somebody else"), "nor by asking for one")
	}
}

func TestTheListOfAllAuthorsRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{
		Authors: func(context.Context, string) ([]report.Author, error) {
			return nil, fmt.Errorf("the users cannot be read: secret")
		},
	})
	require.Equal(t, http.StatusBadRequest, get(t, h, "/authors?workspace=w2").Code)
	w := get(t, h, "/authors")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "secret")
	require.Equal(t, http.StatusOK, get(t, h, "/").Code, "a report is worth more than its list")
	require.Equal(t, http.StatusMethodNotAllowed, post(t, h, "/authors", "").Code)
}
