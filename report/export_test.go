package report_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

func TestAReportIsExportedAsItIsShown(t *testing.T) {
	t.Parallel()
	store := storyStore(t)
	h := handler(t, store, report.Options{Recorder: recorder(t, store)})
	const asked = "from=2026-11-16&to=2026-11-19&type=project&tz=Europe/Berlin"
	w := get(t, h, "/export?format=csv&"+asked)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/csv; charset=utf-8; header=present", w.Header().Get("Content-Type"))
	require.Equal(t, `attachment; filename="audit_20261115T2300Z_20261119T2300Z.csv"`, w.Header().Get("Content-Disposition"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	rows, err := csv.NewReader(w.Body).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Equal(t, "2026-11-19 11:15:00+01:00", rows[1][0])

	w = get(t, h, "/export?format=csv&per=change&bom=1&"+asked)
	require.True(t, strings.HasPrefix(w.Body.String(), "\ufeffTime,Author,Action,Record type,Record,Field,"))

	w = get(t, h, "/export?format=jsonl&"+asked)
	require.Equal(t, "application/jsonl; charset=utf-8", w.Header().Get("Content-Type"))
	var got []audit.Event
	for e, err := range audit.ReadJSONLines(w.Body) {
		require.NoError(t, err)
		got = append(got, e)
	}
	require.Equal(t, []int{5, 3, 1}, numbers(got))
}

// recorder records by the tests' clock.
func recorder(t *testing.T, store audit.Store) *audit.Recorder {
	t.Helper()
	rec, err := audit.New(store, &audit.Config{Now: func() time.Time { return now }})
	require.NoError(t, err)
	return rec
}

func TestAnExportIsAnEventItself(t *testing.T) {
	t.Parallel()
	store := storyStore(t)
	h := handler(t, store, report.Options{Recorder: recorder(t, store)})
	require.Equal(t, http.StatusOK, get(t, h, "/export?format=jsonl&from=2026-11-18&to=2026-11-18&actor=u18").Code)
	_, l := getJSON(t, h, "/?range=today")
	require.Len(t, l.Events, 1)
	e := l.Events[0]
	require.Equal(t, audit.Exported, e.Operation)
	require.Equal(t, audit.TypeExport, e.Entity.Type)
	require.Equal(t, jo, e.Actor)
	require.Equal(t, "w1", e.Workspace)
	require.Equal(t, "query", e.Changes[1].Field)
	require.Contains(t, string(e.Changes[1].After.JSON), "actor:u18")
	require.Contains(t, get(t, h, "/?range=today").Body.String(), "Jo exported the audit log as “audit_20261118T0000Z_20261119T0000Z.jsonl”.")

	broken := handler(t, cannotAppend{storyStore(t)}, report.Options{})
	w := get(t, broken, "/export?format=csv")
	require.Equal(t, http.StatusInternalServerError, w.Code, "what cannot be recorded is not handed out")
	require.NotContains(t, w.Body.String(), "Apollo")
}

// cannotAppend is a store that can be read only.
type cannotAppend struct{ *memstore.Store }

func (cannotAppend) Append(context.Context, []audit.Event) error { return errors.New("read only") }

func TestFormulasAreNeutralUnlessAskedForRaw(t *testing.T) {
	t.Parallel()
	e := story()[0]
	e.Entity.Label, e.Reason = `=HYPERLINK("http://evil.example","x")`, "@SUM(A1)"
	h := handler(t, storeWith(t, recorded("w1", []audit.Event{e})...), report.Options{})
	safe := get(t, h, "/export?format=csv").Body.String()
	require.Contains(t, safe, `"'=HYPERLINK(""http://evil.example"",""x"")"`)
	require.Contains(t, safe, `"'@SUM(A1)"`)
	require.Contains(t, get(t, h, "/export?format=csv&raw=1").Body.String(), `"=HYPERLINK(""http://evil.example"",""x"")"`)
}

func TestExportingIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	reader := everything
	reader.Export = false
	h := handler(t, storyStore(t), report.Options{Authorize: as(reader)})
	require.Equal(t, http.StatusForbidden, get(t, h, "/export?format=csv").Code)
	require.Equal(t, http.StatusForbidden, get(t, h, "/export").Code)
	require.NotContains(t, get(t, h, "/").Body.String(), "export?")
}

func TestAFileThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	store := &breaksOff{Store: storeWith(t, many(700)...)}
	h := handler(t, store, report.Options{Recorder: recorder(t, memstore.New())})
	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { get(t, h, "/export?format=csv") })
}

// breaksOff is a store that fails after the first batch.
type breaksOff struct {
	*memstore.Store
	batches int
}

func (s *breaksOff) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	if s.batches++; s.batches > 1 {
		return nil, errors.New("gone")
	}
	return s.Store.List(ctx, f, after, limit)
}

// office is a page with a queue and its worker.
type office struct {
	store  audit.Store
	queue  *exportjob.Queue
	worker *exportjob.Worker
}

func newOffice(t *testing.T, events ...audit.Event) office {
	t.Helper()
	store := storeWith(t, events...)
	queue, err := exportjob.New(new(exportjob.Memory), exportjob.Folder(t.TempDir()), recorder(t, store),
		&exportjob.Config{Key: []byte(strings.Repeat("k", 32)), Now: func() time.Time { return now }})
	require.NoError(t, err)
	return office{store, queue, &exportjob.Worker{Queue: queue, Events: store}}
}

func (o office) handler(t *testing.T, scope report.Scope) *report.Handler {
	t.Helper()
	return handler(t, o.store, report.Options{Authorize: as(scope), Exports: o.queue, MaxDirectExport: 10, Recorder: recorder(t, o.store)})
}

// exportList is the list of exports as programs read it.
type exportList struct {
	Exports []struct {
		ID, State, Format, Query, Download string
		Rows                               int
		Percent                            int
	}
}

func listExports(t *testing.T, h http.Handler) exportList {
	t.Helper()
	w := get(t, h, "/exports", "Accept", "application/json")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var l exportList
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l))
	return l
}

func TestALongExportIsMadeInTheBackground(t *testing.T) {
	t.Parallel()
	o := newOffice(t, many(30)...)
	h := o.handler(t, everything)
	require.Equal(t, http.StatusOK, get(t, h, "/export?format=csv&type=tag").Code, "ten events are not too many")
	w := get(t, h, "/export?format=csv")
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), "more than 10 events")
	require.Contains(t, w.Body.String(), "Make it in the background")
	code, l := getJSON(t, h, "/export?format=csv")
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, l.Error.Message, "Post it to exports")

	require.Contains(t, get(t, h, "/exports").Body.String(), "You have no exports")
	w = post(t, h, "/exports", "format=jsonl&from=2026-11-20&to=2026-11-20&type=project")
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
	require.Equal(t, "./exports", w.Header().Get("Location"))
	waiting := get(t, h, "/exports").Body.String()
	require.Contains(t, waiting, "queued")
	require.Contains(t, waiting, "Cancel")

	did, err := o.worker.Work(context.Background())
	require.NoError(t, err)
	require.True(t, did)
	ready := listExports(t, h).Exports[0]
	require.Equal(t, "ready", ready.State)
	require.Equal(t, 20, ready.Rows)
	require.Equal(t, "entity:project created:2026-11-20", ready.Query)
	require.Contains(t, get(t, h, "/exports").Body.String(), "20 events")

	w = get(t, h, "/"+strings.TrimPrefix(ready.Download, "./"))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, 20, strings.Count(w.Body.String(), "\n"))
	require.Contains(t, w.Header().Get("Content-Disposition"), "attachment")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	part := get(t, h, "/"+strings.TrimPrefix(ready.Download, "./"), "Range", "bytes=0-9")
	require.Equal(t, http.StatusPartialContent, part.Code)
	require.Equal(t, w.Body.String()[:10], part.Body.String())
}

func TestAnExportIsForItsRequesterOnly(t *testing.T) {
	t.Parallel()
	events := many(30)
	elsewhere := many(30)
	for i := range elsewhere {
		elsewhere[i].ID[0], elsewhere[i].Workspace = 2, "w2"
	}
	o := newOffice(t, append(events, elsewhere...)...)
	mine := o.handler(t, everything)
	require.Equal(t, http.StatusSeeOther, post(t, mine, "/exports", "format=csv").Code)
	open := listExports(t, mine).Exports[0]

	kimsScope, elsewhereScope, noExport, limited, nobody := everything, everything, everything, everything, everything
	kimsScope.Actor = kim
	elsewhereScope.Workspace = "w2"
	noExport.Export = false
	limited.Only = &report.Only{Types: []audit.EntityType{audit.TypeTag}}
	nobody.Actor = audit.Actor{}
	others := map[string]report.Scope{"another user": kimsScope, "another workspace": elsewhereScope, "no right to export": noExport, "less to see by now": limited, "nobody": nobody}
	for name, scope := range others {
		h := o.handler(t, scope)
		w := post(t, h, "/exports/"+open.ID+"/cancel", "")
		if name != "less to see by now" { // whose own job it is
			require.Equal(t, http.StatusNotFound, w.Code, name)
		}
	}
	require.Equal(t, http.StatusSeeOther, post(t, mine, "/exports", "format=csv").Code)
	for range 3 {
		_, err := o.worker.Work(context.Background())
		require.NoError(t, err)
	}
	ready := listExports(t, mine).Exports[0]
	require.Equal(t, "ready", ready.State)
	link := "/" + strings.TrimPrefix(ready.Download, "./")
	require.Equal(t, http.StatusOK, get(t, mine, link).Code)
	for name, scope := range others {
		h := o.handler(t, scope)
		require.Equal(t, http.StatusNotFound, get(t, h, link).Code, name)
		if w := get(t, h, "/exports", "Accept", "application/json"); w.Code == http.StatusOK {
			require.JSONEq(t, `{"exports":[]}`, w.Body.String(), name)
		}
	}
	token := strings.TrimPrefix(link, "/download?token=")
	for i := range token {
		altered := token[:i] + string(rune('A'+(token[i]+1)%26)) + token[i+1:]
		if altered == token {
			continue
		}
		require.Equal(t, http.StatusNotFound, get(t, mine, "/download?token="+url.QueryEscape(altered)).Code, "character %d", i)
	}
}

func TestTheFileOfAnExportThatExpiredIsGone(t *testing.T) {
	t.Parallel()
	store, clock := storeWith(t, many(30)...), now
	queue, err := exportjob.New(new(exportjob.Memory), exportjob.Folder(t.TempDir()), recorder(t, store),
		&exportjob.Config{Key: []byte(strings.Repeat("k", 32)), Now: func() time.Time { return clock }, Keep: time.Hour})
	require.NoError(t, err)
	o := office{store, queue, &exportjob.Worker{Queue: queue, Events: store}}
	h := o.handler(t, everything)
	require.Equal(t, http.StatusSeeOther, post(t, h, "/exports", "format=csv").Code)
	_, err = o.worker.Work(context.Background())
	require.NoError(t, err)
	link := "/" + strings.TrimPrefix(listExports(t, h).Exports[0].Download, "./")
	require.Equal(t, http.StatusOK, get(t, h, link).Code)
	clock = now.Add(2 * time.Hour)
	code, l := getJSON(t, h, link)
	require.Equal(t, http.StatusGone, code)
	require.Equal(t, "This export has expired. Make it again.", l.Error.Message)
}

func TestAnExportOfALimitedScopeHoldsItsRecordsOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t, many(30)...)
	limited := everything
	limited.Only = &report.Only{Types: []audit.EntityType{audit.TypeTag}}
	h := o.handler(t, limited)
	require.Equal(t, http.StatusSeeOther, post(t, h, "/exports", "format=jsonl").Code)
	_, err := o.worker.Work(context.Background())
	require.NoError(t, err)
	ready := listExports(t, h).Exports[0]
	require.Equal(t, 10, ready.Rows)
	for e, err := range audit.ReadJSONLines(get(t, h, "/"+strings.TrimPrefix(ready.Download, "./")).Body) {
		require.NoError(t, err)
		require.Equal(t, audit.TypeTag, e.Entity.Type)
	}
	limited.Only = &report.Only{}
	require.Equal(t, http.StatusBadRequest, post(t, o.handler(t, limited), "/exports", "format=jsonl").Code)
}

func TestExportsThatCannotBeMadeAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t, many(30)...)
	h := o.handler(t, everything)
	for form, status := range map[string]int{
		"format=exe":                                     http.StatusBadRequest,
		"format=csv&unknown=1":                           http.StatusBadRequest,
		"from=2026-01-01&to=2026-11-01":                  http.StatusBadRequest,
		"format=csv&from=2026-11-22&to=2026-11-22&raw=2": http.StatusBadRequest,
	} {
		require.Equal(t, status, post(t, h, "/exports", form).Code, form)
	}
	require.Equal(t, http.StatusForbidden, post(t, h, "/exports", "format=csv", "Sec-Fetch-Site", "cross-site").Code)
	require.Equal(t, http.StatusMethodNotAllowed, send(t, h, http.MethodDelete, "/exports", "").Code)
	require.Empty(t, listExports(t, h).Exports)
	for range 3 {
		require.Equal(t, http.StatusSeeOther, post(t, h, "/exports", "format=csv").Code)
	}
	w := post(t, h, "/exports", "format=csv")
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "oo many")
	id := listExports(t, h).Exports[0].ID
	require.Equal(t, http.StatusMethodNotAllowed, get(t, h, "/exports/"+id+"/cancel").Code)
	require.Equal(t, http.StatusForbidden, post(t, h, "/exports/"+id+"/cancel", "", "Origin", "http://evil.example").Code)
	w = post(t, h, "/exports/"+id+"/cancel", "")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "../../exports", w.Header().Get("Location"))
	require.Equal(t, "cancelled", listExports(t, h).Exports[0].State)
	require.Equal(t, http.StatusSeeOther, post(t, h, "/exports/"+id+"/cancel", "").Code, "once more changes nothing")
}

func TestABodyThatIsNoFormAsksForNothing(t *testing.T) {
	t.Parallel()
	o, kept := newOffice(t, many(30)...), newSettings()
	h := handler(t, o.store, report.Options{Exports: o.queue, Settings: kept})
	require.Equal(t, http.StatusSeeOther, post(t, h, "/exports", "format=csv&type=tag").Code)
	open := listExports(t, h).Exports[0]
	for _, target := range []string{"/exports", "/exports/" + open.ID + "/cancel", "/settings"} {
		for contentType, body := range map[string]string{
			"application/json":                 `{"format":"jsonl","type":"project"}`,
			"multipart/form-data; boundary=x":  "--x\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nproject\r\n--x--\r\n",
			"text/plain":                       "type=project&turn=off",
			"application/x-www-form-urlencode": "type=project&turn=off",
			"":                                 "type=project&turn=off",
			"text/html":                        "",
		} {
			w := send(t, h, http.MethodPost, target, body, "Sec-Fetch-Site", "same-origin", "Content-Type", contentType, "Accept", "application/json")
			require.Equal(t, http.StatusUnsupportedMediaType, w.Code, "%s: %s", target, contentType)
			require.JSONEq(t, `{"error":{"status":415,"message":"A form is sent as application/x-www-form-urlencoded."}}`, w.Body.String(), target)
		}
	}
	require.Len(t, listExports(t, h).Exports, 1)
	require.Equal(t, "queued", listExports(t, h).Exports[0].State)
	require.Empty(t, kept.by)

	w := send(t, h, http.MethodPost, "/settings", "type=project&turn=off", "Sec-Fetch-Site", "same-origin", "Content-Type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8")
	require.Equal(t, http.StatusSeeOther, w.Code)
	w = send(t, h, http.MethodPost, "/exports/"+open.ID+"/cancel", "", "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, w.Code, "nothing was sent, so nothing has a type")
}
