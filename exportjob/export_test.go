package exportjob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// whole is the file that a job asks for, written at once.
func (r *rig) whole(job exportjob.Job) string {
	r.t.Helper()
	f := job.Filter
	f.To = job.Bound
	location, err := time.LoadLocation(job.Options.Zone)
	require.NoError(r.t, err)
	var b bytes.Buffer
	events := audit.Query(context.Background(), r.events, f)
	if job.Format == exportjob.JSONLines {
		_, err = audit.WriteJSONLines(&b, events)
	} else {
		_, err = audit.WriteCSV(&b, events, &audit.CSVOptions{PerChange: job.Options.PerChange, Raw: job.Options.Raw, BOM: job.Options.BOM, Location: location})
	}
	require.NoError(r.t, err)
	return b.String()
}

func TestAnExportIsQueuedWrittenAndHandedOut(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]exportjob.Request{
		"CSV":                   {},
		"CSV with every option": {Options: exportjob.Options{PerChange: true, Raw: true, BOM: true, Zone: "Asia/Kolkata"}},
		"JSON Lines":            {Format: exportjob.JSONLines},
		"a part of the events":  {Filter: audit.Filter{From: morning.Add(-3 * time.Hour), To: morning.Add(-2 * time.Hour)}},
		"no events":             {Filter: audit.Filter{Fields: []string{"nothing"}}},
		"no events, as JSON":    {Filter: audit.Filter{Fields: []string{"nothing"}}, Format: exportjob.JSONLines},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 1234)
			job := r.submit(func(q *exportjob.Request) { q.Filter, q.Format, q.Options = req.Filter, req.Format, req.Options })
			require.Equal(t, exportjob.Queued, job.State)
			require.Equal(t, job, r.job(job.ID))
			_, err := r.queue.Open(context.Background(), "w1", jo, job.ID)
			require.ErrorIs(t, err, exportjob.ErrNotReady)
			require.EqualError(t, err, "exportjob: the export is not ready: it is queued")

			r.now = morning.Add(time.Minute)
			r.work(r.worker())
			r.idle(r.worker())
			require.Empty(t, r.errors)
			done, want := r.job(job.ID), r.whole(job)
			require.Equal(t, want, r.download(job.ID))
			sum := sha256.Sum256([]byte(want))
			require.Equal(t, hex.EncodeToString(sum[:]), done.SHA256)
			require.Equal(t, exportjob.Ready, done.State)
			require.Equal(t, 100, done.Percent)
			require.Equal(t, r.now, done.Finished)
			require.Equal(t, r.now.Add(7*24*time.Hour), done.Expires)
			require.Equal(t, []string{fmt.Sprintf("%s-1.%s", job.ID, done.Format)}, r.files())
		})
	}
}

func TestAnExportStopsShortOfNowAndSaysWhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	late := someEvents(1)[0]
	late.ID[0], late.Time = 9, morning.Add(-time.Hour) // on the bound itself
	require.NoError(t, r.events.Append(context.Background(), []audit.Event{late}))
	job := r.submit(func(q *exportjob.Request) { q.Filter.To = morning.Add(time.Hour) })
	require.Equal(t, morning.Add(-time.Hour), job.Bound)
	require.Equal(t, morning.Add(time.Hour), job.Filter.To, "what was asked for is kept")

	// However late it is written, and whatever is there by then.
	r.now = morning.Add(24 * time.Hour)
	r.work(r.worker())
	require.EqualValues(t, 10, r.job(job.ID).Rows)
	require.NotContains(t, r.download(job.ID), late.ID.String())
}

func TestARangeThatIsTooRecentIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	ask := func(from, to time.Time) error {
		_, err := r.queue.Submit(context.Background(), exportjob.Request{Workspace: "w1", Requester: jo, Filter: audit.Filter{From: from, To: to}})
		return err
	}
	err := ask(morning.Add(-time.Hour), morning)
	require.ErrorIs(t, err, exportjob.ErrUnsettled)
	require.EqualError(t, err, "exportjob: the range is too recent to be exported: events can be exported 1h0m0s after they were made; try again later")
	require.ErrorIs(t, ask(morning.Add(-time.Minute), time.Time{}), exportjob.ErrUnsettled)
	require.NoError(t, ask(morning.Add(-time.Hour-1), morning))
	require.NoError(t, ask(morning.Add(-2*time.Hour), morning.Add(-2*time.Hour)), "an empty range that is settled is a range")
}

func TestProgressIsToldByTimeWithoutCounting(t *testing.T) {
	t.Parallel()
	r := newRig(t, 25_000)
	counting := &countingStore{Store: r.events}
	var told []int
	jobs := &watchedJobs{Store: r.jobs, updated: func(j exportjob.Job) {
		if j.State == exportjob.Running && j.Checkpoint.Size > 0 {
			told = append(told, j.Percent)
			require.EqualValues(t, 10_000*len(told), j.Rows)
		}
	}}
	r.jobs = jobs
	rec, err := audit.New(r.log, nil)
	require.NoError(t, err)
	r.queue, err = exportjob.New(jobs, r.place, rec, &r.cfg)
	require.NoError(t, err)
	job := r.submit()
	r.work(r.worker(func(w *exportjob.Worker) { w.Events = counting }))
	require.Equal(t, []int{40, 80}, told, "10,000 and 20,000 of 25,000 that lie evenly")
	require.EqualValues(t, 25_000, r.job(job.ID).Rows)
	require.Less(t, counting.single, 60, "looks for the oldest event")
	require.Equal(t, 50, counting.pages)
}

// countingStore counts how it is read.
type countingStore struct {
	audit.Store
	single, pages int
	before        func()
}

func (c *countingStore) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	if limit == 1 {
		c.single++
	} else {
		c.pages++
		if c.before != nil {
			c.before()
		}
	}
	return c.Store.List(ctx, f, after, limit)
}

// watchedJobs tells of every change that was stored.
type watchedJobs struct {
	exportjob.Store
	updated func(exportjob.Job)
}

func (w *watchedJobs) Update(ctx context.Context, job exportjob.Job) (exportjob.Job, error) {
	job, err := w.Store.Update(ctx, job)
	if err == nil {
		w.updated(job)
	}
	return job, err
}

func TestExportsAreEventsThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3)
	job := r.submit(func(q *exportjob.Request) { q.Filter.Fields = []string{"name"} })
	r.work(r.worker())
	r.download(job.ID)
	done := r.job(job.ID)
	name := `"audit_20260302T0800Z.csv"`
	common := `format: "csv", query: "field:name", filter: {"Fields":["name"],"Workspace":"w1"}, bound: "2026-03-02T08:00:00Z"`
	require.Equal(t, []string{
		`Jo exported audit export ` + name + `: ` + common,
		fmt.Sprintf(`Jo downloaded audit export %s: %s, rows: 3, sha256: "%s"`, name, common, done.SHA256),
	}, r.recorded())
	for _, e := range r.log.All() {
		require.Equal(t, audit.Entity{Type: audit.TypeExport, ID: job.ID.String(), Label: "audit_20260302T0800Z.csv"}, e.Entity)
		require.Equal(t, "w1", e.Workspace)
		require.Equal(t, jo, e.Actor)
	}
}
