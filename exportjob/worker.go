package exportjob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gormtrail/audit"
)

// Worker writes the files, tells people, and removes what has expired. Its
// fields are set before it is used and not changed afterwards. It does one thing
// at a time; several may run, in one process or in many.
//
// The clocks of the machines should agree within some seconds. If they do not,
// workers take jobs from each other too early and work is done twice, but never
// wrongly.
type Worker struct {
	// Queue has the jobs and their files. It is required.
	Queue *Queue

	// Events is what is exported. It is required.
	Events audit.Store

	// Notifier tells people that their file is there. Defaults to telling
	// nobody. All workers should have one, or none.
	Notifier Notifier

	// Catalog has the labels of CSV. It is the same for all workers. Defaults to
	// audit.DefaultCatalog.
	Catalog *audit.Catalog

	// Lease is how long a job belongs to a worker that gives no sign of life.
	// Defaults to a minute.
	Lease time.Duration

	// Poll is how often Run looks for something to do. Defaults to 2 seconds.
	Poll time.Duration

	// MaxAttempts is how often a job is taken before it is given up as one that
	// kills its workers. Defaults to 10.
	MaxAttempts int

	// OnError gets errors that nobody else would see: of a store that does not
	// answer, of a Notifier, and what made a job fail, with the details that its
	// Reason leaves out. Defaults to dropping them. It is called by the
	// goroutine of Run.
	OnError func(error)
}

// Run does what there is to do and waits for more, until ctx ends; it returns the
// error of ctx then, or at once an error for a field that is missing. The job at
// hand is left for another worker at the point that was reached.
//
// Run starts a goroutine while it writes a file, which has ended when it returns.
func (w *Worker) Run(ctx context.Context) error {
	poll := w.Poll
	if poll <= 0 {
		poll = 2 * time.Second
	}
	for {
		did, err := w.Work(ctx)
		if w.Queue == nil || w.Events == nil {
			return err
		}
		if err != nil && ctx.Err() == nil {
			w.report(err)
		}
		if did && err == nil && ctx.Err() == nil {
			continue
		}
		pause := time.NewTimer(poll)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// Work does one thing that is due and reports whether there was one: it is Run
// for programs that have a scheduler of their own. An export is one thing, with
// the first message about it. A job that fails is no error.
func (w *Worker) Work(ctx context.Context) (did bool, err error) {
	switch {
	case w.Queue == nil:
		return false, errors.New("exportjob: Worker.Queue is missing")
	case w.Events == nil:
		return false, errors.New("exportjob: Worker.Events is missing")
	}
	jobs, err := w.Queue.jobs.Due(ctx, w.Queue.now(), 10)
	if err != nil {
		err = fmt.Errorf("exportjob: look for jobs: %w", err)
	}
	for _, job := range jobs { // some may come along with an error
		done := w.do(ctx, job)
		if errors.Is(done, ErrConflict) { // another worker was faster
			continue
		}
		return true, errors.Join(err, done)
	}
	return false, err
}

// do does what is due with a job.
func (w *Worker) do(ctx context.Context, job Job) error {
	switch now := w.Queue.now(); {
	case job.State.Open():
		return w.export(ctx, job)
	case job.State == Ready && now.Before(job.Expires):
		return w.notify(ctx, job)
	case job.State == Ready:
		job.State = Expired
	}
	return w.clean(ctx, job)
}

func (w *Worker) lease() time.Duration {
	if w.Lease <= 0 {
		return time.Minute
	}
	return w.Lease
}

func (w *Worker) report(err error) {
	if w.OnError != nil && err != nil {
		w.OnError(err)
	}
}
