package exportjob_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit/exportjob"
)

var errNetwork = errors.New("no route to host")

// cut are jobs that cannot be reached any more once they are cut off, as those of
// a process that was killed.
type cut struct {
	exportjob.Store
	off bool
}

func (c *cut) Update(ctx context.Context, job exportjob.Job) (exportjob.Job, error) {
	if c.off {
		return exportjob.Job{}, errNetwork
	}
	return c.Store.Update(ctx, job)
}

func (c *cut) Get(ctx context.Context, workspace string, id uuid.UUID) (exportjob.Job, error) {
	if c.off {
		return exportjob.Job{}, errNetwork
	}
	return c.Store.Get(ctx, workspace, id)
}

// dies makes a worker that reaches nothing any more when it reads page n. Each
// page takes two seconds, so that there is a checkpoint after each.
func (r *rig) dies(jobs *cut, n int) *exportjob.Worker {
	pages := &countingStore{Store: r.events}
	pages.before = func() {
		r.now = r.now.Add(2 * time.Second)
		jobs.off = pages.pages >= n
	}
	return r.worker(func(w *exportjob.Worker) { w.Events = pages })
}

func newCutRig(t *testing.T, n int) (*rig, *cut) {
	t.Helper()
	jobs := &cut{Store: new(exportjob.Memory)}
	return newRig(t, n, func(r *rig) { r.jobs = jobs }), jobs
}

func TestAnotherWorkerGoesOnWhereOneDied(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 6; n++ {
		t.Run(fmt.Sprintf("on page %d", n), func(t *testing.T) {
			t.Parallel()
			r, jobs := newCutRig(t, 2800)
			job := r.submit(func(q *exportjob.Request) { q.Options.BOM = true })
			_, err := r.dies(jobs, n).Work(context.Background())
			require.ErrorIs(t, err, errNetwork)
			jobs.off = false
			left := r.job(job.ID)
			require.Equal(t, exportjob.Running, left.State)
			require.EqualValues(t, 500*(n-1), left.Rows, "what was safe")

			second := &countingStore{Store: r.events}
			w := r.worker(func(w *exportjob.Worker) { w.Events = second })
			r.idle(w) // it may still be alive
			r.now = left.Due
			r.work(w)
			require.Equal(t, r.whole(job), r.download(job.ID))
			require.Equal(t, 6-(n-1), second.pages, "nothing that was safe is read again")
			require.EqualValues(t, 2800, r.job(job.ID).Rows)
			require.Equal(t, []string{job.ID.String() + "-2.csv"}, r.files())
		})
	}
}

func TestAWorkerThatDiesAgainAndAgainStillMakesProgress(t *testing.T) {
	t.Parallel()
	r, jobs := newCutRig(t, 2800)
	job := r.submit()
	for range 5 {
		_, err := r.dies(jobs, 2).Work(context.Background())
		require.ErrorIs(t, err, errNetwork)
		jobs.off = false
		r.now = r.job(job.ID).Due
	}
	r.work(r.worker())
	require.Equal(t, r.whole(job), r.download(job.ID))
	require.Equal(t, []string{job.ID.String() + "-6.csv"}, r.files())
}

func TestABeginningThatIsNotAsItWasIsWrittenAnew(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"shorter":   func(path string) error { return os.Truncate(path, 1000) },
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"gone":      os.Remove,
		"of zeroes": func(path string) error { return errors.Join(os.Truncate(path, 0), os.Truncate(path, 1<<20)) },
		"another's": func(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) },
		"longer, as what was not safe yet": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("half a li")
			return errors.Join(err, f.Close())
		},
		"a link to something else": func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path))
		},
		"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, jobs := newCutRig(t, 2800)
			job := r.submit()
			_, err := r.dies(jobs, 4).Work(context.Background())
			require.ErrorIs(t, err, errNetwork)
			jobs.off = false
			require.NoError(t, spoil(filepath.Join(string(r.folder), job.ID.String()+"-1.part")))
			r.now = r.job(job.ID).Due
			r.work(r.worker())
			require.Equal(t, r.whole(job), r.download(job.ID))
			require.Equal(t, []string{job.ID.String() + "-2.csv"}, r.files())
		})
	}
}

func TestAWorkerThatWasTakenForDeadDoesNoHarm(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2800)
	job := r.submit()
	slow := &countingStore{Store: r.events}
	slow.before = func() {
		if slow.pages == 3 { // it is so slow that another one does everything
			r.now = r.now.Add(2 * time.Minute)
			r.work(r.worker())
			require.Equal(t, exportjob.Ready, r.job(job.ID).State)
		}
		r.now = r.now.Add(2 * time.Second)
	}
	r.work(r.worker(func(w *exportjob.Worker) { w.Events = slow }))
	require.Empty(t, r.errors)
	require.Equal(t, r.whole(job), r.download(job.ID))
	require.Equal(t, []string{job.ID.String() + "-2.csv"}, r.files())
}

func TestAHostThatStopsLeavesTheJobAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2800)
	job := r.submit()
	ctx, stop := context.WithCancel(context.Background())
	pages := &countingStore{Store: r.events}
	pages.before = func() {
		if pages.pages == 4 {
			stop()
		}
	}
	err := r.worker(func(w *exportjob.Worker) { w.Events = pages }).Run(ctx)
	require.Equal(t, context.Canceled, err)
	left := r.job(job.ID)
	require.Equal(t, exportjob.Running, left.State)
	require.EqualValues(t, 1500, left.Rows)
	require.Equal(t, r.now, left.Due, "nobody has to wait for a lease")

	r.work(r.worker())
	require.Equal(t, r.whole(job), r.download(job.ID))
}

func TestAStoreThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1200)
	job := r.submit()
	failing := &failingStore{Store: r.events, after: 2}
	_, err := r.worker(func(w *exportjob.Worker) { w.Events = failing }).Work(context.Background())
	require.ErrorIs(t, err, errNetwork)
	left := r.job(job.ID)
	require.Equal(t, exportjob.Running, left.State)
	require.EqualValues(t, 500, left.Rows)
	r.idle(r.worker())
	r.now = left.Due
	r.work(r.worker())
	require.Equal(t, r.whole(job), r.download(job.ID))
}

func TestAJobThatKillsItsWorkersIsGivenUp(t *testing.T) {
	t.Parallel()
	r, jobs := newCutRig(t, 10)
	job := r.submit()
	for range 3 {
		w := r.dies(jobs, 1)
		w.MaxAttempts = 3
		_, err := w.Work(context.Background())
		require.ErrorIs(t, err, errNetwork)
		jobs.off = false
		r.now = r.job(job.ID).Due
	}
	r.work(r.worker(func(w *exportjob.Worker) { w.MaxAttempts = 3 }))
	failed := r.job(job.ID)
	require.Equal(t, exportjob.Failed, failed.State)
	require.Equal(t, "it was begun 3 times and never came to an end", failed.Reason)
	require.Empty(t, r.files())
	r.idle(r.worker())
}
