package exportjob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gormtrail/audit"
)

const (
	// pageSize is how many events are read at once.
	pageSize = 500
	// pagesPerCheckpoint bounds what is written again after a crash, and
	// checkpointEvery keeps the progress that people see alive.
	pagesPerCheckpoint = 20
	checkpointEvery    = time.Second
)

// export takes the job and writes its file.
func (w *Worker) export(ctx context.Context, job Job) error {
	l, err := w.take(ctx, job, func(j *Job) {
		j.Attempt++
		j.State = Running
	})
	if err != nil {
		return err
	}
	most := w.MaxAttempts
	if most <= 0 {
		most = 10
	}
	switch job = l.current(); {
	case job.Attempt > most:
		return w.fail(ctx, l, fmt.Sprintf("it was begun %d times and never came to an end", most), nil)
	case !w.Queue.now().Before(job.Created.Add(w.Queue.cfg.Keep)):
		return w.fail(ctx, l, fmt.Sprintf("it was not done within %s", w.Queue.cfg.Keep), nil)
	}
	a := &attempt{worker: w, lease: l}
	held, stop := l.hold(ctx)
	err = a.write(held)
	if cause := context.Cause(held); err != nil && errors.Is(cause, ErrConflict) {
		err = cause
	}
	stop()
	return a.end(ctx, err)
}

// attempt is the writing of a job's file by one worker.
type attempt struct {
	worker *Worker
	lease  *lease
	out    *output

	rows    int64
	percent int
	next    audit.Cursor
	// oldest is the time of the oldest event that may be read.
	oldest time.Time
	// since counts the pages since the checkpoint, which was made at last.
	since int
	last  time.Time
}

// write writes the file to its end.
func (a *attempt) write(ctx context.Context) error {
	job := a.lease.current()
	options, err := job.Options.csv(a.worker.Catalog)
	if err != nil {
		return err
	}
	if err := a.begin(ctx, job); err != nil {
		return err
	}
	if a.oldest, err = oldest(ctx, a.worker.Events, job.wanted()); err != nil {
		return err
	}
	a.last = a.worker.Queue.now()
	for {
		page, err := audit.QueryPage(ctx, a.worker.Events, job.wanted(), a.next, pageSize)
		if err != nil {
			return err
		}
		if err := a.put(page.Events, job.Format, options); err != nil {
			return err
		}
		if !page.More() {
			return a.complete(ctx)
		}
		a.next = page.Next
		a.percent = job.percent(a.oldest, page.Events[len(page.Events)-1].Time)
		a.since++
		if a.since >= pagesPerCheckpoint || a.worker.Queue.now().Sub(a.last) >= checkpointEvery {
			if err := a.checkpoint(ctx, func(*Job) {}); err != nil {
				return err
			}
		}
	}
}

// begin makes the file and goes on from the job's checkpoint, if there is one
// and its file is as it was.
func (a *attempt) begin(ctx context.Context, job Job) error {
	place := a.worker.Queue.place
	out, err := create(ctx, place, job.part(job.Attempt))
	if err != nil {
		return err
	}
	a.out = out
	if job.Checkpoint.Size > 0 {
		whole, err := out.copyFrom(ctx, job)
		if err != nil {
			return err
		}
		if whole {
			a.rows, a.percent, a.next = job.Rows, job.Percent, job.Checkpoint.Next
		} else if err := a.anew(ctx, job); err != nil {
			return err
		}
	}
	if job.Attempt == 1 {
		return nil
	}
	// What is in the file of the former attempt is in this one's, as soon as
	// that is told.
	if err := a.checkpoint(ctx, func(*Job) {}); err != nil {
		return err
	}
	former := slices.DeleteFunc(job.names(), func(name string) bool { return name == out.name })
	a.worker.report(a.worker.Queue.remove(ctx, former))
	return nil
}

// anew empties the file, which has no name that could be taken twice.
func (a *attempt) anew(ctx context.Context, job Job) error {
	place := a.worker.Queue.place
	if err := errors.Join(a.out.close(), place.Remove(ctx, a.out.name)); err != nil {
		return &placeError{"the file cannot be written anew", err}
	}
	out, err := create(ctx, place, job.part(job.Attempt))
	if err == nil {
		a.out = out
	}
	return err
}

// put writes events.
func (a *attempt) put(events []audit.Event, format Format, options audit.CSVOptions) error {
	sequence := func(yield func(audit.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
	var (
		n   int
		err error
	)
	if format == JSONLines {
		n, err = audit.WriteJSONLines(a.out, sequence)
	} else {
		options.NoHeader = a.out.size > 0
		n, err = audit.WriteCSV(a.out, sequence, &options)
	}
	a.rows += int64(n)
	return err
}

// checkpoint makes what was written safe and tells that. It fails with
// ErrConflict if the job has been cancelled.
func (a *attempt) checkpoint(ctx context.Context, change func(*Job)) error {
	if err := a.out.sync(); err != nil {
		return err
	}
	err := a.lease.update(ctx, func(j *Job) {
		j.Rows, j.Percent = a.rows, a.percent
		j.Checkpoint = Checkpoint{Attempt: j.Attempt, Size: a.out.size, SHA256: a.out.digest(), Next: a.next}
		change(j)
	})
	a.since, a.last = 0, a.worker.Queue.now()
	return err
}

// complete gives the file its name and then tells that it is ready.
func (a *attempt) complete(ctx context.Context) error {
	w := a.worker
	job := a.lease.current()
	if err := a.out.complete(ctx, job.file(job.Attempt)); err != nil {
		return err
	}
	return a.lease.letGo(ctx, func(j *Job) {
		now := w.Queue.now()
		j.State, j.Slot, j.Finished = Ready, 0, now
		j.Rows, j.Percent, j.Checkpoint = a.rows, 100, Checkpoint{}
		j.Size, j.SHA256 = a.out.size, a.out.digest()
		j.Expires = now.Add(w.Queue.cfg.Keep)
		j.Due = j.Expires
		if w.Notifier != nil {
			j.Due = now
		}
	})
}

// end settles what became of the attempt.
func (a *attempt) end(ctx context.Context, err error) error {
	w, l := a.worker, a.lease
	var place *placeError
	switch {
	case err == nil:
		if w.Notifier == nil {
			return nil
		}
		return w.notify(ctx, l.current())
	case errors.Is(err, ErrConflict):
		return a.lost(ctx)
	case errors.As(err, &place):
		a.discard(ctx)
		return w.fail(ctx, l, place.reason(), err)
	case errors.Is(err, ErrInvalid), errors.Is(err, audit.ErrInvalidFilter), errors.Is(err, audit.ErrInvalidEvent):
		a.discard(ctx)
		return w.fail(ctx, l, err.Error(), err)
	case errors.Is(err, audit.ErrInvalidCursor):
		// Another version of the program has begun it.
		a.discard(ctx)
		return l.letGo(ctx, func(j *Job) {
			j.Checkpoint, j.Rows, j.Percent, j.Due = Checkpoint{}, 0, 0, w.Queue.now()
		})
	}
	return errors.Join(fmt.Errorf("exportjob: export %s, to be tried again: %w", l.current().ID, err), a.interrupt(ctx))
}

// interrupt leaves the job to another attempt: the host is stopping, or the store
// does not answer.
func (a *attempt) interrupt(ctx context.Context) error {
	q := a.worker.Queue
	wait := a.worker.lease() // in which the store may recover
	if ctx.Err() != nil {
		wait = 0
	}
	due := func(j *Job) { j.Due = q.now().Add(wait) }
	switch {
	case a.out == nil:
		return a.lease.letGo(ctx, due)
	case a.out.file == nil:
		// It is complete, and perhaps that was even stored before the error.
		// If not, the next attempt removes it.
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(a.checkpoint(ctx, due), a.out.close())
}

// lost gives up a job that was cancelled, or that is another worker's, who has
// files of its own.
func (a *attempt) lost(ctx context.Context) error {
	ours := a.lease.current()
	job, err := a.worker.Queue.jobs.Get(ctx, ours.Workspace, ours.ID)
	if err != nil || job.State == Ready && job.Attempt == ours.Attempt {
		// It may be our own change that was stored although it seemed to fail.
		return err
	}
	a.discard(ctx)
	return nil
}

// discard removes the attempt's own file.
func (a *attempt) discard(ctx context.Context) {
	if a.out == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	a.worker.report(errors.Join(a.out.close(), a.worker.Queue.place.Remove(ctx, a.out.name)))
}

// fail ends the job and removes what there is of it.
func (w *Worker) fail(ctx context.Context, l *lease, reason string, err error) error {
	job := l.current()
	if err == nil {
		err = errors.New(reason)
	}
	w.report(fmt.Errorf("exportjob: export %s failed: %w", job.ID, err))
	failed := l.letGo(ctx, func(j *Job) {
		j.State, j.Reason, j.Slot, j.Finished = Failed, reason, 0, w.Queue.now()
		j.Checkpoint, j.Due = Checkpoint{}, w.Queue.now()
	})
	if failed != nil {
		return failed
	}
	return w.clean(ctx, l.current())
}

// clean removes the files of a job that is over.
func (w *Worker) clean(ctx context.Context, job Job) error {
	l, err := w.take(ctx, job, func(j *Job) { j.Slot = 0 })
	if err != nil {
		return err
	}
	if err := w.Queue.remove(ctx, job.names()); err != nil {
		// The lease makes it be tried again.
		return fmt.Errorf("exportjob: clean up after export %s, to be tried again: %w", job.ID, err)
	}
	return l.letGo(ctx, func(j *Job) { j.Due = time.Time{} })
}
