package pagetest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

// hostile is what somebody writes into every field who would like to run a
// script in the page.
const hostile = `"><script>document.title="run"</script><img src=x onerror="document.title='run'">`

// kinds is a page of one event for each kind of value and of text that there
// is, which the example's week does not have.
func kinds(t *testing.T) string {
	t.Helper()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	store := memstore.New()
	event := func(n byte, e audit.Event) audit.Event {
		e.ID, e.Time, e.Workspace, e.SchemaVersion = uuid.UUID{6: 0x70, 8: 0x80, 15: n}, now.Add(-time.Hour), "w1", audit.SchemaVersion
		e.Operation = audit.Updated
		return e
	}
	secret := audit.Value{Form: audit.FormRedacted}
	require.NoError(t, store.Append(t.Context(), []audit.Event{
		event(1, audit.Event{
			Actor: audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}, Reason: "The client asked for it",
			Changes: []audit.Change{
				{Field: "not recorded", After: audit.ValueOf(true)},
				{Field: "null", Before: audit.ValueOf(nil), After: audit.ValueOf("none")},
				{Field: "empty", Before: audit.ValueOf(""), After: audit.ValueOf("empty")},
				{Field: "withheld", Before: secret, After: secret},
				{Field: "long", Before: audit.ValueOf(strings.Repeat("long ", 300) + "old"), After: audit.ValueOf(strings.Repeat("long ", 300) + "new")},
				{Field: "shortened", Before: audit.ValueOf(1.5), After: audit.ValueOf(strings.Repeat("ab", 40000))},
				{Field: "bytes", Before: audit.ValueOf([]byte{0xff, 0}), After: audit.ValueOf(map[string]any{"a": []int{1, 2}})},
				{Field: "tags", Element: true, Before: audit.ValueOf(nil), After: audit.ValueOf("daily")},
			},
		}),
		event(2, audit.Event{
			Actor: audit.Actor{Kind: audit.KindUser, ID: hostile, Name: hostile}, Entity: audit.Entity{Type: audit.TypeProject, ID: hostile, Label: hostile}, Reason: hostile,
			Origin: audit.Origin(hostile), Request: audit.Request{ID: hostile, Address: hostile},
			Changes: []audit.Change{{Field: hostile, Before: audit.ValueOf(hostile), After: audit.ValueOf(hostile + "!")}},
		}),
	}))
	page, err := report.NewHandler(store, &report.Options{
		Authorize: func(*http.Request) (report.Scope, error) {
			return report.Scope{Workspace: "w1", Actor: audit.Actor{ID: "17", Name: hostile}, Read: true, Export: true}, nil
		},
		Now: func() time.Time { return now },
	})
	require.NoError(t, err)
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

func TestKindsOfValuesLookDifferent(t *testing.T) {
	t.Parallel()
	browserFor(t)
	b := newTab(t, kinds(t))
	b.open("event/00000000-0000-7000-8000-000000000001")
	looks := map[string]bool{}
	for _, kind := range []string{"em.unknown", "em.none", "em.empty", "em.withheld"} {
		look := eval[string](b, `(() => { const s = getComputedStyle(document.querySelector("td `+kind+`")); return s.borderStyle + s.borderRadius + s.borderWidth })()`)
		require.False(t, looks[look], "%s looks like another kind: %s", kind, look)
		looks[look] = true
	}
	require.Contains(t, b.text("table"), "“none”", "a text that reads like one of the words is quoted")
	long := `//tr[th[normalize-space()="long"]]/td[1]/details/summary`
	require.False(t, eval[bool](b, `document.querySelector(".long").open`))
	b.click(long)
	require.Contains(t, b.text(".long[open] > div"), "long old")
}

func TestNothingThatIsRecordedRunsInThePage(t *testing.T) {
	t.Parallel()
	browserFor(t)
	b := newTab(t, kinds(t)) // which fails the test if the browser had to block anything
	for _, path := range []string{
		"", "event/00000000-0000-7000-8000-000000000002", "?text=%22%3E%3Cscript%3Edocument.title%3D%22run%22%3C%2Fscript%3E",
		"?q=actor:%3Cscript%3Edocument.title%3D%22run%22%3C%2Fscript%3E&%3Cscript%3E=1", "export", "settings%3Cscript%3E",
	} {
		b.open(path)
		require.NotEqual(t, "run", in(b, chromedp.Title()), path)
		require.Zero(t, eval[int](b, `document.querySelectorAll("main script, main img").length`), path)
	}
}

func TestTheBrowserTellsWhatAPolicyForbids(t *testing.T) {
	t.Parallel()
	browserFor(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = w.Write([]byte(`<!doctype html><title>t</title><p style="color: red">What all the other tests would fail for`))
	}))
	t.Cleanup(server.Close)
	b := newTab(t, server.URL)
	b.complains = true
	b.open("")
}
