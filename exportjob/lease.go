package exportjob

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lease is a job that a worker has taken. Whoever takes or cancels the job in
// between makes every later change of it an ErrConflict.
type lease struct {
	queue  *Queue
	length time.Duration

	mu  sync.Mutex
	job Job
}

// take makes the job the worker's, as change says.
func (w *Worker) take(ctx context.Context, job Job, change func(*Job)) (*lease, error) {
	l := &lease{queue: w.Queue, length: w.lease(), job: job}
	return l, l.update(ctx, change)
}

// update stores a change of the job and renews the lease, unless the change
// itself says when the job is due.
func (l *lease) update(ctx context.Context, change func(*Job)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	job := l.job
	job.Due = l.queue.now().Add(l.length)
	change(&job)
	job, err := l.queue.jobs.Update(ctx, job)
	if err == nil {
		l.job = job
	}
	return err
}

// patience is how long a host that is stopping waits for the store.
const patience = 5 * time.Second

// letGo stores a change although ctx may have ended.
func (l *lease) letGo(ctx context.Context, change func(*Job)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return l.update(ctx, change)
}

// current is the job as it was stored last.
func (l *lease) current() Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.job
}

// hold renews the lease while reading takes long, and ends the context it
// returns, with ErrConflict as its cause, once the job is another's. The caller
// calls stop when it is done.
func (l *lease) hold(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Add(1)
	go func() {
		defer beating.Done()
		beat := time.NewTicker(max(l.length/4, time.Millisecond))
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
			}
			// Any other error is that of a store that may answer next time.
			if err := l.update(ctx, func(*Job) {}); errors.Is(err, ErrConflict) {
				cancel(err)
			}
		}
	}()
	return ctx, func() { cancel(nil); beating.Wait() }
}
