package report_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	authorize := as(everything)
	here, err := time.LoadLocation("localtime") // which not every machine has
	if err != nil {
		here = time.FixedZone("localtime", 0)
	}
	for name, c := range map[string]struct {
		store audit.Store
		opts  *report.Options
		says  string
	}{
		"no store":               {nil, &report.Options{Authorize: authorize}, "needs a store"},
		"no options":             {memstore.New(), nil, "Authorize is nil"},
		"no Authorize":           {memstore.New(), &report.Options{}, "Authorize is nil"},
		"a short key":            {memstore.New(), &report.Options{Authorize: authorize, Key: []byte("short")}, "Key has 5 bytes"},
		"the zone Local":         {memstore.New(), &report.Options{Authorize: authorize, Location: time.Local}, "Location is"},
		"the machine's own zone": {memstore.New(), &report.Options{Authorize: authorize, Location: here}, "Location is"},
		"a zone without a name":  {memstore.New(), &report.Options{Authorize: authorize, Location: time.FixedZone("here", 3600)}, "Location is"},
		"a negative direct size": {memstore.New(), &report.Options{Authorize: authorize, MaxDirectExport: -1}, "MaxDirectExport is -1"},
	} {
		h, err := report.NewHandler(c.store, c.opts)
		require.ErrorContains(t, err, c.says, name)
		require.Nil(t, h, name)
	}
}

// pages are addresses of every kind.
var pages = []string{
	"/", "/?from=2026-11-16&to=2026-11-22", "/?foo=bar", "/record?type=project&id=7", "/event/" + id(3).String(), "/event/" + id(98).String(),
	"/changeset/c5000000-0000-0000-0000-000000000001", "/authors", "/settings", "/export?format=csv", "/exports", "/download?token=x", "/nothing", "/assets/page.css",
}

func TestARefusedRequestLearnsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scope  report.Scope
		err    error
		status int
	}{
		"nobody is signed in":           {report.Scope{}, fmt.Errorf("session: %w", audit.ErrUnauthenticated), http.StatusUnauthorized},
		"somebody may not see it":       {everything, fmt.Errorf("role: %w", audit.ErrForbidden), http.StatusForbidden},
		"the check itself failed":       {everything, errors.New("the database of sessions is down: secret"), http.StatusInternalServerError},
		"the zero scope":                {report.Scope{}, nil, http.StatusForbidden},
		"neither read nor administer":   {report.Scope{Workspace: "w1", Export: true}, nil, http.StatusForbidden},
		"no workspace":                  {report.Scope{Read: true}, nil, http.StatusInternalServerError},
		"a limit by types and entities": {report.Scope{Workspace: "w1", Read: true, Only: &report.Only{Types: []audit.EntityType{"a"}, Entities: []audit.Entity{{Type: "b", ID: "1"}}}}, nil, http.StatusInternalServerError},
		"a limit that is too long":      {report.Scope{Workspace: "w1", Read: true, Only: &report.Only{Types: make([]audit.EntityType, 1001)}}, nil, http.StatusInternalServerError},
	} {
		h := handler(t, storyStore(t), report.Options{Authorize: func(*http.Request) (report.Scope, error) { return c.scope, c.err }})
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
			for _, page := range pages {
				w := send(t, h, method, page, "", "Accept", "application/json")
				require.Equal(t, c.status, w.Code, "%s: %s %s", name, method, page)
				require.Equal(t, http.StatusText(c.status)+"\n", w.Body.String(), "%s: %s %s", name, method, page)
			}
		}
	}
}

func TestTheHostMayAnswerRefusedRequests(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{
		Authorize: func(*http.Request) (report.Scope, error) { return report.Scope{}, audit.ErrUnauthenticated },
		OnError: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, audit.ErrUnauthenticated) {
				http.Redirect(w, r, "/login", http.StatusSeeOther)
			}
		},
	})
	w := get(t, h, "/")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "/login", w.Header().Get("Location"))
}

func TestEveryAnswerHasTheHeadersThatProtectIt(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for _, page := range pages {
		header := get(t, h, page).Header()
		require.Equal(t, "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			header.Get("Content-Security-Policy"), page)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), page)
		require.Equal(t, "no-store", header.Get("Cache-Control"), page)
		require.Equal(t, "DENY", header.Get("X-Frame-Options"), page)
		require.Equal(t, "same-origin", header.Get("Referrer-Policy"), page)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Opener-Policy"), page)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), page)
		require.NotEmpty(t, header.Get("Content-Type"), page)
	}
}

// links are what a page leads to.
var links = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

func TestThePageMountsAnywhereByRelativeLinks(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{Settings: newSettings()})
	for mount, mounted := range map[string]http.Handler{
		"/":                h,
		"/under/a/prefix/": h,
		"/stripped/":       http.StripPrefix("/stripped", h),
		"/record/":         h, // the names of its own pages
		"/event/":          http.StripPrefix("/event", h),
	} {
		mux := http.NewServeMux()
		mux.Handle(mount, mounted)
		server := httptest.NewServer(mux)
		defer server.Close()
		for _, page := range []string{"", "record?type=project&id=7", "event/" + id(3).String(), "changeset/c5000000-0000-0000-0000-000000000001", "settings", "export"} {
			base, err := http.NewRequest(http.MethodGet, server.URL+mount+page, nil)
			require.NoError(t, err)
			w := fetch(t, base)
			require.Equal(t, http.StatusOK, w.status, "%s%s", mount, page)
			found := links.FindAllStringSubmatch(w.body, -1)
			require.NotEmpty(t, found)
			for _, link := range found {
				target := strings.ReplaceAll(link[1], "&amp;", "&")
				if target == "#main" || strings.HasSuffix(target, "type=audit_settings") { // nobody has turned one yet
					continue
				}
				require.False(t, strings.HasPrefix(target, "/") || strings.Contains(target, "//"), "%q is not relative", target)
				to, err := base.URL.Parse(target)
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(to.Path, mount), "%s%s leads to %s, out of where it is mounted", mount, page, to)
				next, err := http.NewRequest(http.MethodGet, to.String(), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, fetch(t, next).status, "%s%s leads to %s", mount, page, to)
			}
		}
	}
}

func TestThePathWithoutASlashLeadsToThePage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.StripPrefix("/audit", handler(t, storyStore(t), report.Options{})))
	defer server.Close()
	r, err := http.NewRequest(http.MethodGet, server.URL+"/audit?from=2026-11-18&to=2026-11-18", nil)
	require.NoError(t, err)
	w := fetch(t, r)
	require.Equal(t, http.StatusOK, w.status)
	require.Equal(t, "/audit/?from=2026-11-18&to=2026-11-18", w.url)
}

type fetched struct {
	status    int
	url, body string
}

// fetch follows redirects.
func fetch(t *testing.T, r *http.Request) fetched {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := answer.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return fetched{answer.StatusCode, answer.Request.URL.RequestURI(), b.String()}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{Settings: newSettings()})
	for page, allow := range map[string]string{
		"/": "GET", "/record?type=project&id=7": "GET", "/event/" + id(3).String(): "GET", "/export?format=csv": "GET",
		"/settings": "GET, POST",
	} {
		for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, "TRACE", "BREW"} {
			w := send(t, h, method, page, "")
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, page)
			require.Equal(t, allow, w.Header().Get("Allow"), "%s %s", method, page)
		}
	}
	require.Equal(t, http.StatusMethodNotAllowed, post(t, h, "/", "").Code)
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for _, page := range []string{
		"/nothing", "/event/x", "/event/" + id(98).String(), "/event/" + strings.ToUpper(id(3).String())[:35] + "G", "/changeset/" + id(3).String(),
		"/record?type=project&id=8", "/assets/page.css", "/assets/../handler.go", "/settings", "/exports", "/download", "/templates/report.html",
		"/event/" + id(3).String() + "/", "/changeset/c5000000-0000-0000-0000-000000000001/",
	} {
		require.Equal(t, http.StatusNotFound, get(t, h, page).Code, page)
	}
}

func TestAssetsAreCachedUntilTheyChange(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	found := regexp.MustCompile(`assets/[a-z]+\.[0-9a-f]{12}\.(css|js|svg)`).FindAllString(get(t, h, "/").Body.String(), -1)
	require.Len(t, found, 3)
	for _, name := range found {
		w := get(t, h, "/"+name)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "private, max-age=31536000, immutable", w.Header().Get("Cache-Control"))
		require.Less(t, w.Body.Len(), 16<<10)
	}
}

func TestLongAnswersAreCompressedForThoseWhoReadThat(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	plain := get(t, h, "/")
	require.Empty(t, plain.Header().Get("Content-Encoding"))
	for accept, want := range map[string]string{"gzip, deflate, br": "gzip", "GZIP;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.000": "", "br": "", "identity": ""} {
		require.Equal(t, want, get(t, h, "/", "Accept-Encoding", accept).Header().Get("Content-Encoding"), accept)
	}
	require.Less(t, get(t, h, "/", "Accept-Encoding", "gzip").Body.Len(), plain.Body.Len()/2)
}

func TestHostileRequestsAreBounded(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	long := strings.Repeat("x", 1<<20)
	for target, says := range map[string]string{
		"/?q=" + long:                                "too long",
		"/?text=" + strings.Repeat("x", 20<<10):      "too long",
		"/?size=0":                                   "1 to 200",
		"/?size=201":                                 "1 to 200",
		"/?size=-1":                                  "1 to 200",
		"/?size=99999999999999999999":                "1 to 200",
		"/?size=ten":                                 "1 to 200",
		"/?from=2026-01-01&to=2026-11-01":            "30 days at most",
		"/?from=0001-01-01&to=9999-12-31":            "no day",
		"/?from=2026-13-01&to=2026-13-02":            "no day",
		"/?from=-2026-01-01&to=2026-01-02":           "no day",
		"/?to=2026-11-01":                            "first day is missing",
		"/?from=2026-11-01":                          "last day is missing",
		"/?from=2026-11-05&to=2026-11-01":            "before the first",
		"/?range=century":                            "no range",
		"/?tz=Mars/Olympus":                          "no time zone",
		"/?tz=Local":                                 "no time zone",
		"/?tz=localtime":                             "no time zone",
		"/?tz=posixrules":                            "no time zone",
		"/?tz=./localtime":                           "no time zone",
		"/?tz=../../etc/passwd":                      "no time zone",
		"/?page=x":                                   "altered",
		"/?page=" + strings.Repeat("A", 5000):        "altered",
		"/?actor=:":                                  "no author",
		"/?action=NOTHING":                           "Unknown action",
		"/?type=nothing":                             "Unknown entity type",
		"/?record=7":                                 "Choose the type",
		"/?text=%ff":                                 "not valid UTF-8",
		"/?text=%00":                                 "NUL",
		"/?a;b":                                      "cannot be read",
		"/?%zz":                                      "cannot be read",
		"/?unknown=1":                                "no parameter",
		"/?Text=Apollo":                              "no parameter",
		"/?text=a&text=b":                            "is there 2 times",
		"/?text=a&q=%22b%22":                         "given twice",
		"/?q=created:2026-11-01&from=2026-11-01":     "given twice",
		"/?q=created:2026-01-01..2026-11-01":         "30 days at most",
		"/?q=created:..2026-11-01":                   "first day",
		"/?q=nonsense:1":                             "nonsense",
		"/record?type=project":                       "type and its id",
		"/record?type=project&id=7&from=2026-11-01":  "no parameter",
		"/event/" + id(3).String() + "?text=a":       "no parameter",
		"/export?format=exe":                         "no format",
		"/export?format=csv&per=row":                 "event or change",
		"/export?format=csv&raw=yes":                 "1, or left out",
		"/?" + strings.Repeat("actor=user:1&", 1100): "Actors has",
	} {
		w := get(t, h, target)
		require.Equal(t, http.StatusBadRequest, w.Code, clipped(target))
		require.Contains(t, w.Body.String(), says, clipped(target))
		require.Less(t, w.Body.Len(), 400<<10, clipped(target))
		code, l := getJSON(t, h, target)
		require.Equal(t, http.StatusBadRequest, code, clipped(target))
		require.Contains(t, l.Error.Message, says, clipped(target))
		require.Empty(t, l.Events)
	}
}

func TestAWrongParameterIsNeverPassedOver(t *testing.T) {
	t.Parallel()
	o := newOffice(t, many(30)...)
	h := o.handler(t, everything)
	_, l := getJSON(t, h, "/?size=5")
	for query, parameter := range map[string]string{
		"size=abc":                       "size",
		"size=201":                       "size",
		"page=garbage":                   "page",
		"type=project&page=" + *l.Next:   "page",
		"tz=Nowhere":                     "tz",
		"from=xxx":                       "from",
		"from=2026-01-01&to=2026-11-01":  "to",
		"q=foo:bar":                      "q",
		"actor=:":                        "actor",
		"range=century":                  "range",
		"unknown=1":                      "unknown",
		"text=a&text=b":                  "text",
		"tz=UTC&size=5&page=x" + *l.Next: "page",
	} {
		for _, page := range []string{"/?", "/authors?", "/export?", "/export?format=csv&"} {
			code, l := getJSON(t, h, page+query)
			require.Equal(t, http.StatusBadRequest, code, page+query)
			require.Equal(t, parameter, l.Error.Parameter, page+query)
		}
		w := post(t, h, "/exports", "format=csv&"+query)
		require.Equal(t, http.StatusBadRequest, w.Code, query)
	}
	require.Empty(t, listExports(t, h).Exports)
	require.Contains(t, get(t, h, "/authors?q=type:tag+foo:bar").Body.String(), "<code>type:tag <mark>foo</mark>:bar</code>")
	for _, page := range []string{"/", "/authors", "/export"} {
		require.Equal(t, http.StatusOK, get(t, h, page+"?size=5&page="+*l.Next).Code, page)
	}
}

func TestAnErrorNamesTheParameterThatIsWrong(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{})
	for target, parameter := range map[string]string{
		"/?type=nope":                                    "type",
		"/?type=nope&record=7":                           "type",
		"/?type=project&record=%00":                      "record",
		"/?actor=user:%00":                               "actor",
		"/?" + strings.Repeat("actor=user:1&", 1001):     "actor",
		"/?action=nope":                                  "action",
		"/?owner=%ff":                                    "owner",
		"/?origin=%ff":                                   "origin",
		"/?field=%00":                                    "field",
		"/?text=%00":                                     "text",
		"/?q=entity:%22nope%22&type=project":             "q",
		"/?q=created:2027-01-01..":                       "q",
		"/?q=-type:%22nope%22&text=a":                    "q",
		"/record?type=%00&id=7":                          "type",
		"/record?type=project&id=%ff":                    "id",
		"/record?type=project&id=7&size=0":               "size",
		"/event/" + id(3).String() + "?size=0":           "size",
		"/changeset/" + id(3).String() + "?page=altered": "page",
	} {
		code, l := getJSON(t, h, target)
		require.Equal(t, http.StatusBadRequest, code, clipped(target))
		require.Equal(t, parameter, l.Error.Parameter, clipped(target))
	}
}

func clipped(s string) string { return s[:min(len(s), 80)] }

// assetsAside is a page without the digests of its assets, which say nothing of
// the page.
func assetsAside(page string) string {
	return regexp.MustCompile(`\.[0-9a-f]{12}\.`).ReplaceAllString(page, ".digest.")
}
