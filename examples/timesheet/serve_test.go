package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/week"
)

// served is the example that serves the week, and what it is reached at. The
// function ends it as Ctrl-C does and returns how it ended.
func served(t *testing.T, db string) (address string, end func() error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	printed, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-db", db, "-serve", "127.0.0.1:0"}, out, io.Discard)
		_ = out.CloseWithError(err)
		ended <- err
	}()
	lines := bufio.NewScanner(printed)
	for lines.Scan() {
		if _, found := strings.CutPrefix(lines.Text(), "Time tracker: "); found {
			address = strings.TrimPrefix(lines.Text(), "Time tracker: ")
			break
		}
	}
	require.NoError(t, lines.Err())
	go func() { _, _ = io.Copy(io.Discard, printed) }()
	return address, func() error {
		stop()
		return <-ended
	}
}

// visitor is a browser with a cookie jar and without anything else.
type visitor struct {
	t    *testing.T
	base string
	http.Client
}

func visit(t *testing.T, address string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, address, http.Client{Jar: jar}}
}

func (v *visitor) get(path string) (status int, body string) {
	v.t.Helper()
	response, err := v.Get(v.base + path)
	return v.read(response, err)
}

// post sends a form as a browser does.
func (v *visitor) post(path string, form url.Values) (status int, body string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	require.NoError(v.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := v.Do(r)
	return v.read(response, err)
}

func (v *visitor) read(response *http.Response, err error) (status int, body string) {
	v.t.Helper()
	require.NoError(v.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return response.StatusCode, string(text)
}

// signIn chooses a user by name.
func (v *visitor) signIn(name string) {
	v.t.Helper()
	_, home := v.get("")
	id := regexp.MustCompile(`value="([^"]+)">` + name).FindStringSubmatch(home)
	require.NotNil(v.t, id, home)
	status, home := v.post("user", url.Values{"id": {id[1]}})
	require.Equal(v.t, http.StatusOK, status)
	require.Regexp(v.t, name+`</button>[^<]*<strong>\(you\)`, home)
}

func TestTheAuditLogIsServedToThoseWhoMaySeeIt(t *testing.T) {
	t.Parallel()
	db := filepath.Join(folderWithTheWeek(t), database)
	address, end := served(t, db)
	const renamed = "Maya Lindqvist renamed project “Gemini” to “Apollo”."

	nobody := visit(t, address)
	_, body := nobody.get("audit/")
	require.Contains(t, body, "Who are you?", "who has not signed in is led to where one can")
	require.NotContains(t, body, "Apollo")

	stranger := visit(t, address)
	stranger.signIn("Daniel Weiss")
	status, body := stranger.get("audit/")
	require.Equal(t, http.StatusForbidden, status)
	require.NotContains(t, body, "Apollo")

	member := visit(t, address)
	member.signIn("Ben Okafor")
	_, body = member.get("audit/")
	require.Contains(t, body, renamed)
	require.NotContains(t, body, "Client workshop", "a time entry")
	status, _ = member.get("audit/export?format=csv")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = member.get("audit/settings")
	require.Equal(t, http.StatusNotFound, status)

	manager := visit(t, address)
	manager.signIn("Chloé Martin")
	_, body = manager.get("audit/")
	require.Contains(t, body, renamed)
	require.Contains(t, body, "Client workshop, first day")
	status, csv := manager.get("audit/export?format=csv&action=UPDATE_PROJECT")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, csv, "Updated project")
	status, _ = manager.get("audit/settings")
	require.Equal(t, http.StatusNotFound, status)

	require.NoError(t, end())
}

func TestWhatIsDoneOnTheSiteIsInTheLog(t *testing.T) {
	t.Parallel()
	db := filepath.Join(folderWithTheWeek(t), database)
	address, end := served(t, db)
	admin := visit(t, address)
	admin.signIn("Maya Lindqvist")

	_, home := admin.get("")
	id := regexp.MustCompile(`action="/project/([^"]+)"><input name="title" value="Apollo"`).FindStringSubmatch(home)
	require.NotNil(t, id, home)
	admin.post("project/"+id[1], url.Values{"title": {"Artemis"}})
	_, body := admin.get("audit/")
	require.Contains(t, body, "Maya Lindqvist renamed project “Apollo” to “Artemis”.")

	_, body = admin.post("audit/settings", url.Values{"type": {"project"}, "turn": {"off"}})
	require.Contains(t, body, "Turn on<span class=\"vh\"> Project")
	admin.post("project/"+id[1], url.Values{"title": {"Zeus"}})
	_, body = admin.get("audit/")
	require.NotContains(t, body, "Zeus")

	status, _ := admin.post("audit/exports", url.Values{"action": {"UPDATE_PROJECT"}, "range": {"7d"}})
	require.Equal(t, http.StatusOK, status)
	link := regexp.MustCompile(`href="\./(download[^"]+)"`)
	var found []string
	require.Eventually(t, func() bool {
		_, body = admin.get("audit/exports")
		found = link.FindStringSubmatch(body)
		return found != nil
	}, 20*time.Second, 50*time.Millisecond, "the export gets ready: %s", body)
	status, file := admin.get("audit/" + strings.ReplaceAll(found[1], "&amp;", "&"))
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, file, "Apollo")
	require.NoError(t, end())

	// The log is the same to the next one who serves it, and goes on.
	address, end = served(t, db)
	admin = visit(t, address)
	admin.signIn("Maya Lindqvist")
	_, body = admin.get("audit/")
	require.Contains(t, body, "Maya Lindqvist renamed project “Apollo” to “Artemis”.")
	require.NoError(t, end())

	tr, err := open(db, "ro")
	require.NoError(t, err)
	defer func() { require.NoError(t, tr.Close()) }()
	var log bytes.Buffer
	_, err = audit.WriteJSONLines(&log, audit.Query(t.Context(), tr.store, audit.Filter{Workspace: week.Workspace, Types: []audit.EntityType{audit.TypeSettings, audit.TypeExport}}))
	require.NoError(t, err)
	for _, word := range []string{`"operation":"exported"`, `"operation":"downloaded"`, `"project"`} {
		require.Contains(t, log.String(), word)
	}
}

func TestWhatCannotBeServedIsAnError(t *testing.T) {
	t.Parallel()
	db := filepath.Join(folderWithTheWeek(t), database)
	err := run(t.Context(), []string{"-db", db, "-serve", "no such address"}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "-serve: ")
	err = run(t.Context(), []string{"-serve", "127.0.0.1:0", "-author", "Ben Okafor"}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "leave out -from, -to, -author and -action")
}
