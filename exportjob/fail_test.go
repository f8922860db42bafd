package exportjob_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// failingStore fails from a read of a page on.
type failingStore struct {
	audit.Store
	after, pages int
}

func (f *failingStore) List(ctx context.Context, filter audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	if limit > 1 {
		if f.pages++; f.pages >= f.after {
			return nil, errNetwork
		}
	}
	return f.Store.List(ctx, filter, after, limit)
}

func TestAFileThatCannotBeWrittenMakesTheJobFail(t *testing.T) {
	t.Parallel()
	full := &fs.PathError{Op: "write", Path: "/srv/exports/secret", Err: syscall.ENOSPC}
	for name, c := range map[string]struct {
		call, reason string
		err          error
	}{
		"the disk is full":            {"write", "the file cannot be written: no space left on device", full},
		"it is full at the end":       {"sync", "the file cannot be made safe: no space left on device", full},
		"closing fails":               {"close", "the file cannot be closed: input/output error", syscall.EIO},
		"creating fails":              {"create", "the file cannot be created: permission denied", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}},
		"renaming fails":              {"rename", "the file cannot be given its name: read-only file system", &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EROFS}},
		"a place that tells too much": {"write", "the file cannot be written", errors.New("key AKIA123 was refused")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := &faulty{fail: func(call, _ string) error {
				if call == c.call {
					return c.err
				}
				return nil
			}}
			r := newRig(t, 1200, func(r *rig) { place.Place, r.place = r.folder, place })
			job := r.submit()
			r.work(r.worker())
			failed := r.job(job.ID)
			require.Equal(t, exportjob.Failed, failed.State)
			require.Equal(t, c.reason, failed.Reason)
			require.Equal(t, r.now, failed.Finished)
			require.Empty(t, r.files(), "nothing is left")
			require.NotEmpty(t, r.errors)
			require.ErrorIs(t, r.errors[0], c.err, "the host is told all of it")
			_, err := r.queue.Open(context.Background(), "w1", jo, job.ID)
			require.ErrorIs(t, err, exportjob.ErrNotReady)
			r.idle(r.worker())
		})
	}
}

func TestAFolderThatIsMissingMakesTheJobFail(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	require.NoError(t, os.RemoveAll(string(r.folder)))
	job := r.submit()
	r.work(r.worker())
	require.Equal(t, "the file cannot be created: no such file or directory", r.job(job.ID).Reason)

	require.NoError(t, os.Mkdir(string(r.folder), 0o700))
	job = r.submit()
	r.work(r.worker())
	require.Equal(t, exportjob.Ready, r.job(job.ID).State, "the next one is written once it is there")
}

func TestACancelledJobIsNotWritten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("while it is queued", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 10)
		job := r.submit()
		cancelled, err := r.queue.Cancel(ctx, "w1", jo, job.ID)
		require.NoError(t, err)
		require.Equal(t, exportjob.Cancelled, cancelled.State)
		require.Equal(t, r.now, cancelled.Finished)
		r.work(r.worker()) // cleans up
		r.idle(r.worker())
		require.Empty(t, r.files())
		_, err = r.queue.Cancel(ctx, "w1", jo, job.ID)
		require.ErrorIs(t, err, exportjob.ErrFinished)
		_, err = r.queue.Open(ctx, "w1", jo, job.ID)
		require.EqualError(t, err, "exportjob: the export is not ready: it is cancelled")
	})
	t.Run("while it is written", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 2800)
		job := r.submit()
		pages := &countingStore{Store: r.events}
		pages.before = func() {
			r.now = r.now.Add(2 * time.Second)
			if pages.pages == 3 {
				_, err := r.queue.Cancel(ctx, "w1", jo, job.ID)
				require.NoError(t, err)
			}
		}
		r.work(r.worker(func(w *exportjob.Worker) { w.Events = pages }))
		require.Equal(t, 3, pages.pages, "it stops soon")
		require.Equal(t, exportjob.Cancelled, r.job(job.ID).State)
		require.Empty(t, r.files())
		r.idle(r.worker())
		r.now = r.now.Add(2 * time.Minute)
		r.work(r.worker())
		r.idle(r.worker())
	})
	t.Run("while one page takes long", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 2800)
		job := r.submit()
		w := r.worker(func(w *exportjob.Worker) {
			w.Lease = 4 * time.Millisecond // a sign of life each
			w.Events = &stuckStore{Store: r.events, reached: func() {
				_, err := r.queue.Cancel(ctx, "w1", jo, job.ID)
				require.NoError(t, err)
			}}
		})
		r.work(w) // would never return
		require.Equal(t, exportjob.Cancelled, r.job(job.ID).State)
		require.Empty(t, r.files())
	})
	t.Run("after its worker has died", func(t *testing.T) {
		t.Parallel()
		r, jobs := newCutRig(t, 2800)
		job := r.submit()
		_, err := r.dies(jobs, 3).Work(ctx)
		require.ErrorIs(t, err, errNetwork)
		jobs.off = false
		_, err = r.queue.Cancel(ctx, "w1", jo, job.ID)
		require.NoError(t, err)
		require.Len(t, r.files(), 1)
		r.now = r.now.Add(time.Minute)
		r.work(r.worker())
		require.Empty(t, r.files())
		r.idle(r.worker())
	})
}

// stuckStore does not answer until its caller gives up.
type stuckStore struct {
	audit.Store
	once    sync.Once
	reached func()
}

func (s *stuckStore) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	if limit == 1 {
		return s.Store.List(ctx, f, after, limit)
	}
	s.once.Do(s.reached)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAFileExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10, func(r *rig) { r.cfg.Keep = time.Hour })
	job := r.submit()
	r.work(r.worker())
	token := r.queue.Token(r.job(job.ID))
	r.now = r.now.Add(time.Hour - time.Second)
	r.idle(r.worker())
	r.download(job.ID)

	r.now = r.now.Add(time.Second)
	_, err := r.queue.Open(context.Background(), "w1", jo, job.ID)
	require.ErrorIs(t, err, exportjob.ErrExpired, "whether or not a worker has come by")
	require.Equal(t, exportjob.Expired, r.job(job.ID).State)
	_, err = r.queue.Verify("w1", jo, token)
	require.ErrorIs(t, err, exportjob.ErrExpired)
	require.NotEmpty(t, r.files())
	r.work(r.worker())
	require.Empty(t, r.files())
	require.Equal(t, exportjob.Expired, r.job(job.ID).State)
	r.idle(r.worker())
}

func TestAFileThatCannotBeRemovedIsTriedAgain(t *testing.T) {
	t.Parallel()
	place := &faulty{}
	r := newRig(t, 10, func(r *rig) { place.Place, r.place = r.folder, place })
	job := r.submit()
	r.work(r.worker())
	place.fail = func(call, _ string) error {
		if call == "remove" {
			return syscall.EBUSY
		}
		return nil
	}
	r.now = r.now.Add(8 * 24 * time.Hour)
	_, err := r.worker().Work(context.Background())
	require.ErrorIs(t, err, syscall.EBUSY)
	require.Equal(t, exportjob.Expired, r.job(job.ID).State)
	r.idle(r.worker())
	place.fail = nil
	r.now = r.now.Add(time.Minute)
	r.work(r.worker())
	require.Empty(t, r.files())
	r.idle(r.worker())
}

func TestAJobThatNobodyRunsFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	job := r.submit()
	r.now = r.now.Add(7 * 24 * time.Hour)
	r.work(r.worker())
	require.Equal(t, "it was not done within 168h0m0s", r.job(job.ID).Reason)
}

func TestAFileThatSomebodyTouchedIsNotHandedOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	job := r.submit()
	r.work(r.worker())
	path := filepath.Join(string(r.folder), job.ID.String()+"-1.csv")
	require.NoError(t, os.Truncate(path, 5))
	_, err := r.queue.Open(context.Background(), "w1", jo, job.ID)
	require.ErrorContains(t, err, "has 5 bytes instead of")
	require.NoError(t, os.Remove(path))
	_, err = r.queue.Open(context.Background(), "w1", jo, job.ID)
	require.ErrorIs(t, err, exportjob.ErrExpired)
	require.Len(t, r.recorded(), 1, "nothing was downloaded")
	require.NotContains(t, err.Error(), string(r.folder))
}
