package exportjob

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Notifier tells people that their file is there. It is called once the file is
// complete and synced, at least once for each job: a worker that dies meanwhile
// or an error lets it be called again, with the same job, up to ten times
// within some hours. After that the file is still there, and only the message
// was not sent.
type Notifier interface {
	// Notify sends the message. Its context ends before the job is given to
	// another worker.
	Notify(ctx context.Context, job Job) error
}

// NotifierFunc is a function as a [Notifier].
type NotifierFunc func(ctx context.Context, job Job) error

// Notify implements [Notifier].
func (f NotifierFunc) Notify(ctx context.Context, job Job) error { return f(ctx, job) }

// maxNotices is how often a message is tried.
const maxNotices = 10

// notify tells that the file is there, unless that was done or given up.
func (w *Worker) notify(ctx context.Context, job Job) error {
	if w.Notifier == nil || !job.Notified.IsZero() || job.Notices >= maxNotices {
		_, err := w.take(ctx, job, func(j *Job) { j.Due = j.Expires })
		return err
	}
	l, err := w.take(ctx, job, func(j *Job) { j.Notices++ })
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, w.lease()*3/4)
	err = w.Notifier.Notify(limited, l.current())
	cancel()
	if err == nil {
		return l.letGo(ctx, func(j *Job) { j.Notified, j.Due = w.Queue.now(), j.Expires })
	}
	err = fmt.Errorf("exportjob: tell that export %s is ready, attempt %d of %d: %w", job.ID, l.current().Notices, maxNotices, err)
	return errors.Join(err, l.letGo(ctx, func(j *Job) {
		j.Due = w.Queue.now().Add(time.Minute << (j.Notices - 1))
	}))
}
