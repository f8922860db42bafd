package dbtest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
)

// The page itself is tested in package report. Here it meets the store and the
// settings that applications have.
func TestTheReportPageOnADatabase(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		clock := newSteppedClock()
		store := migrated(t, db, nil)
		settings := settingsOn(t, store, clock)
		jo := audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}
		rec, err := audit.New(store, &audit.Config{Now: clock.Now, Workspace: "w1"})
		require.NoError(t, err)
		page, err := report.NewHandler(store, &report.Options{
			Authorize: func(r *http.Request) (report.Scope, error) {
				return report.Scope{Workspace: "w1", Actor: jo, Read: true, Export: true, Administer: true}, nil
			},
			Settings: settings, Recorder: rec, Now: clock.Now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		require.NoError(t, err)
		ask := func(method, target, form string, header ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, target, strings.NewReader(form))
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			return w
		}
		turn := func(form string) {
			w := ask(http.MethodPost, "/settings", form, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded")
			require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		}
		turn("type=&turn=on")
		turn("type=project&turn=on")
		turn("type=project&turn=on") // which it is
		requireRecords(t, true, settings, nil, "both switches are on")
		turn("type=project&turn=off")
		requireRecords(t, false, settings, nil, "it is off at once")

		for n := range 120 {
			require.NoError(t, rec.Record(audit.WithActor(ctx, jo), audit.Event{
				Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeTag, ID: "5", Label: "tag"},
				Changes: []audit.Change{{Field: "n", After: audit.ValueOf(n)}},
			}))
		}
		type answer struct {
			Events         []audit.Event
			Next, Previous *string
		}
		read := func(target string) answer {
			w := ask(http.MethodGet, target, "", "Accept", "application/json")
			require.Equal(t, http.StatusOK, w.Code, w.Body.String())
			var a answer
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
			return a
		}
		history := read("/record?type=audit_settings&id=w1").Events
		require.Len(t, history, 3, "each change of the settings is an event")
		require.Equal(t, "type.project", history[0].Changes[0].Field)
		for _, e := range history {
			require.Equal(t, "17", e.Actor.ID)
		}
		require.Contains(t, ask(http.MethodGet, "/", "").Body.String(), `value="user:17"`)

		// All of one time: to the end by ids alone, and back.
		var seen, back []audit.Event
		at := read("/?type=tag")
		for ; ; at = read("/?type=tag&page=" + url.QueryEscape(*at.Next)) {
			seen = append(seen, at.Events...)
			if at.Next == nil {
				break
			}
		}
		require.Len(t, seen, 120)
		back = at.Events
		for at.Previous != nil {
			at = read("/?type=tag&page=" + url.QueryEscape(*at.Previous))
			back = append(at.Events, back...)
		}
		require.Len(t, back, 120)
		for i := range seen {
			require.Equal(t, seen[i].ID, back[i].ID)
		}
		require.Equal(t, 121, strings.Count(ask(http.MethodGet, "/export?format=csv&type=tag", "").Body.String(), "\r\n"))
		require.Equal(t, audit.Exported, read("/?type=audit_export").Events[0].Operation)
	})
}
