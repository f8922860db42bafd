package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
)

// settings keep switches in memory, and who turned them.
type settings struct {
	mu       sync.Mutex
	switches map[string]audit.Switches
	by       []audit.Actor
	broken   error
}

func newSettings() *settings {
	s := &settings{switches: map[string]audit.Switches{}}
	on := audit.Switches{Enabled: true}
	on.Turn(true, audit.TypeProject, "invoice")
	s.switches["w1"] = on
	return s
}

func (s *settings) Get(_ context.Context, workspace string) (audit.Switches, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.switches[workspace]
	return audit.Switches{Enabled: w.Enabled, Types: maps.Clone(w.Types)}, s.broken
}

func (s *settings) Set(ctx context.Context, workspace string, change func(*audit.Switches)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.switches[workspace]
	change(&w)
	s.switches[workspace] = w
	s.by = append(s.by, audit.ActorFrom(ctx))
	return s.broken
}

func TestSwitchesAreTurnedOneByOne(t *testing.T) {
	t.Parallel()
	kept := newSettings()
	h := handler(t, storyStore(t), report.Options{Settings: kept})
	for _, c := range []struct {
		form string
		want func(*audit.Switches)
	}{
		{"type=tag&turn=on", func(s *audit.Switches) { s.Turn(true, audit.TypeTag) }},
		{"type=project&turn=off", func(s *audit.Switches) { s.Turn(false, audit.TypeProject) }},
		{"type=invoice&turn=off", func(s *audit.Switches) { s.Turn(false, "invoice") }},
		{"type=&turn=off", func(s *audit.Switches) { s.Enabled = false }},
		{"type=&turn=on", func(s *audit.Switches) { s.Enabled = true }},
	} {
		want, err := kept.Get(context.Background(), "w1")
		require.NoError(t, err)
		c.want(&want)
		w := post(t, h, "/settings", c.form)
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		require.Equal(t, "settings", w.Header().Get("Location"))
		got, err := kept.Get(context.Background(), "w1")
		require.NoError(t, err)
		require.Equal(t, want, got, c.form)
		require.Equal(t, jo, kept.by[len(kept.by)-1])
	}
	require.NotContains(t, kept.switches, "w2")
}

func TestTheSettingsPage(t *testing.T) {
	t.Parallel()
	kept := newSettings()
	h := handler(t, storyStore(t), report.Options{Settings: kept})
	golden(t, "settings.html", assetsAside(get(t, h, "/settings").Body.String()))
	w := get(t, h, "/settings", "Accept", "application/json")
	require.JSONEq(t, `{"enabled":true,"types":[{"type":"time_entry","on":false},{"type":"project","on":true},{"type":"task","on":false},
		{"type":"client","on":false},{"type":"tag","on":false},{"type":"expense","on":false},{"type":"invoice","on":true}]}`, w.Body.String())
	kept.broken = errors.New("the database is down: secret")
	w = get(t, h, "/settings")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "secret")
}

func TestSettingsAreForThoseWhoMayAdminister(t *testing.T) {
	t.Parallel()
	kept := newSettings()
	before := kept.switches["w1"]
	reader := everything
	reader.Administer = false
	h := handler(t, storyStore(t), report.Options{Settings: kept, Authorize: as(reader)})
	require.Equal(t, http.StatusNotFound, get(t, h, "/settings").Code)
	require.Equal(t, http.StatusNotFound, post(t, h, "/settings", "type=&turn=off").Code)
	require.NotContains(t, get(t, h, "/").Body.String(), `href="./settings"`)
	require.Equal(t, before, kept.switches["w1"])

	h = handler(t, storyStore(t), report.Options{Settings: kept, Authorize: as(report.Scope{Workspace: "w1", Actor: kim, Administer: true})})
	w := get(t, h, "/settings")
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Body.String(), "record?", "one who may not read is not led to the history")
	require.Equal(t, http.StatusSeeOther, post(t, h, "/settings", "type=task&turn=on").Code)
	for _, page := range []string{"/", "/event/" + id(3).String(), "/record?type=project&id=7", "/authors", "/export?format=csv", "/exports"} {
		require.Equal(t, http.StatusNotFound, get(t, h, page).Code, page)
	}
}

func TestAPostFromElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	kept := newSettings()
	h := handler(t, storyStore(t), report.Options{Settings: kept})
	for _, header := range [][]string{
		{"X-None", ""},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "none"},
		{"Sec-Fetch-Site", "cross-site", "Origin", "http://example.com"},
		{"Origin", "http://evil.example"},
		{"Origin", "http://example.com.evil.example"},
		{"Origin", "http://example.com:8080"},
		{"Origin", "null"},
		{"Origin", "example.com"},
		{"Referer", "http://example.com/settings"},
	} {
		w := post(t, h, "/settings", "type=&turn=off", header...)
		require.Equal(t, http.StatusForbidden, w.Code, "%v", header)
	}
	require.True(t, kept.switches["w1"].Enabled)
	require.Equal(t, http.StatusSeeOther, post(t, h, "/settings", "type=&turn=off", "Origin", "http://example.com").Code, "a browser without Sec-Fetch-Site")
	require.False(t, kept.switches["w1"].Enabled)
}

func TestFormsThatTurnNothingAreRefused(t *testing.T) {
	t.Parallel()
	kept := newSettings()
	before, err := json.Marshal(kept.switches["w1"])
	require.NoError(t, err)
	h := handler(t, storyStore(t), report.Options{Settings: kept})
	for _, form := range []string{
		"", "turn=on", "type=project", "type=project&turn=maybe", "type=project&type=task&turn=on", "type=project&turn=on&turn=off",
		"type=nothing&turn=on", "type=project&turn=on&workspace=w2", "type=project;turn=on", "%zz", "type=project&turn=on&x=" + strings.Repeat("x", 20<<10),
	} {
		require.Equal(t, http.StatusBadRequest, post(t, h, "/settings", form).Code, clipped(form))
	}
	require.Equal(t, http.StatusBadRequest, post(t, h, "/settings?workspace=w2", "type=project&turn=off").Code)
	after, err := json.Marshal(kept.switches["w1"])
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))
	require.Empty(t, kept.by)
}
