package exportjob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Config is how a [Queue] works.
type Config struct {
	// Key signs download links; see [Queue.Token]. It is required, has at least
	// 32 bytes, and is the same in all processes.
	Key []byte

	// FormerKeys are keys whose links are still good. Defaults to none.
	FormerKeys [][]byte

	// MaxOpen is how many jobs of one requester and workspace may be queued or
	// running at once. Defaults to 3.
	MaxOpen int

	// Keep is how long a file is kept after it is ready, and how long a job may
	// wait for a worker before it fails. Defaults to 7 days.
	Keep time.Duration

	// Lag is how far from now exports end, since an event's time lies before its
	// commit: it has to be longer than the longest transaction. Defaults to an
	// hour; a negative one is none.
	Lag time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// minKey is the least length of a key: that of what it is used for.
const minKey = 32

// Queue is what people's requests go to. Everything it returns and does is for
// one requester in one workspace; another's job is [ErrNotFound], as one that
// there is not. It does not decide who may export: that is for its caller.
//
// A Queue is safe for use by several goroutines at once, and starts none.
type Queue struct {
	jobs  Store
	place Place
	rec   *audit.Recorder
	cfg   Config
}

// New returns a Queue that keeps jobs in jobs and files in place, and records by
// rec who exported what. cfg is required, for its Key.
func New(jobs Store, place Place, rec *audit.Recorder, cfg *Config) (*Queue, error) {
	switch {
	case jobs == nil:
		return nil, errors.New("exportjob: New needs a store for jobs, got nil")
	case place == nil:
		return nil, errors.New("exportjob: New needs a place for files, got nil; exportjob.Folder is one")
	case rec == nil:
		return nil, errors.New("exportjob: New needs a recorder, got nil: exports are events themselves")
	case cfg == nil:
		return nil, errors.New("exportjob: New needs a config with a Key")
	}
	q := &Queue{jobs: jobs, place: place, rec: rec, cfg: *cfg}
	c := &q.cfg
	for i, key := range append([][]byte{c.Key}, c.FormerKeys...) {
		if len(key) < minKey {
			name := "Key"
			if i > 0 {
				name = fmt.Sprintf("FormerKeys[%d]", i-1)
			}
			return nil, fmt.Errorf("exportjob: %s must have at least %d bytes, has %d; make one with crypto/rand", name, minKey, len(key))
		}
	}
	c.Key, c.FormerKeys = slices.Clone(c.Key), slices.Clone(c.FormerKeys)
	if c.MaxOpen < 0 || c.Keep < 0 {
		return nil, errors.New("exportjob: MaxOpen and Keep must not be negative; 0 stands for their defaults")
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = 3
	}
	if c.Keep == 0 {
		c.Keep = 7 * 24 * time.Hour
	}
	if c.Lag == 0 {
		c.Lag = time.Hour
	}
	c.Lag = max(c.Lag, 0)
	if c.Now == nil {
		c.Now = time.Now
	}
	return q, nil
}

func (q *Queue) now() time.Time { return q.cfg.Now().UTC().Truncate(time.Microsecond) }

// Submit makes a job of the request, records that, and returns the job; it is
// queued. The event's operation is [audit.Exported]; see [Job.Event].
//
// It returns [ErrInvalid], [audit.ErrInvalidFilter], [ErrUnsettled] or
// [ErrTooMany] for what cannot be done, an error that wraps
// [audit.ErrAuditFailed] if it could not be recorded, else the store's. Without
// an event no file is written.
func (q *Queue) Submit(ctx context.Context, r Request) (Job, error) {
	job, err := q.draft(r)
	if err != nil {
		return Job{}, err
	}
	// It is failed until it is recorded, so that a process that dies in between
	// leaves nothing that would be done.
	job.State, job.Reason = Failed, "the request was interrupted"
	job.Due = job.Created.Add(time.Minute)
	if job, err = q.add(ctx, job); err != nil {
		return Job{}, err
	}
	if err := q.rec.Record(ctx, job.Event(audit.Exported)); err != nil {
		job.Slot, job.Due, job.Finished = 0, time.Time{}, job.Created
		job.Reason = "it could not be recorded"
		_, freed := q.jobs.Update(context.WithoutCancel(ctx), job)
		return Job{}, errors.Join(err, freed)
	}
	job.State, job.Reason, job.Due = Queued, "", job.Created
	return q.jobs.Update(ctx, job)
}

// draft is the job that a request asks for.
func (q *Queue) draft(r Request) (Job, error) {
	invalid := func(format string, args ...any) (Job, error) {
		return Job{}, fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
	if r.Format == "" {
		r.Format = CSV
	}
	switch {
	case r.Workspace == "" || len(r.Workspace) > maxName:
		return invalid("the workspace must have 1 to %d bytes, has %d", maxName, len(r.Workspace))
	case r.Requester.ID == "" || len(r.Requester.ID) > maxName || len(r.Requester.Kind) > maxName:
		return invalid("the requester must have an id of 1 to %d bytes, has %d", maxName, len(r.Requester.ID))
	case !plainText(r.Workspace) || !plainText(r.Requester.ID) || !plainText(string(r.Requester.Kind)):
		return invalid("the workspace and the requester must be text: UTF-8 without NUL")
	case r.Filter.Workspace != "" && r.Filter.Workspace != r.Workspace:
		return invalid("the filter is for another workspace than the request")
	case r.Format != CSV && r.Format != JSONLines:
		return invalid("there is no format %q, only %q and %q", r.Format, CSV, JSONLines)
	}
	if _, err := r.Options.location(); err != nil {
		return Job{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, err
	}
	job := Job{ID: id, Workspace: r.Workspace, Requester: r.Requester, Filter: r.Filter, Format: r.Format, Options: r.Options, Created: q.now()}
	job.Filter.Workspace = r.Workspace
	if job.Requester.Kind == "" {
		job.Requester.Kind = audit.KindUser
	}
	if err := job.Filter.Validate(); err != nil {
		return Job{}, err
	}
	if err := checkFilter(job.Filter); err != nil {
		return Job{}, err
	}
	job.Bound = job.Created.Add(-q.cfg.Lag)
	if to := job.Filter.To; !to.IsZero() && to.Before(job.Bound) {
		job.Bound = to.UTC()
	}
	if open := job.Filter.To.IsZero() || job.Bound.Before(job.Filter.To); open && !job.Filter.From.IsZero() && !job.Filter.From.Before(job.Bound) {
		return Job{}, fmt.Errorf("%w: events can be exported %s after they were made; try again later", ErrUnsettled, q.cfg.Lag)
	}
	return job, nil
}

// plainText reports whether every database can store s.
func plainText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// add keeps the job in a free slot of the requester.
func (q *Queue) add(ctx context.Context, job Job) (Job, error) {
	for job.Slot = 1; job.Slot <= q.cfg.MaxOpen; job.Slot++ {
		switch err := q.jobs.Add(ctx, job); {
		case err == nil:
			job.Version = 1
			return job, nil
		case !errors.Is(err, ErrConflict):
			return Job{}, err
		}
	}
	return Job{}, fmt.Errorf("%w: %d of yours are queued or running; wait for one or cancel it", ErrTooMany, q.cfg.MaxOpen)
}

// Get returns the requester's job, else [ErrNotFound].
func (q *Queue) Get(ctx context.Context, workspace string, requester audit.Actor, id uuid.UUID) (Job, error) {
	job, err := q.jobs.Get(ctx, workspace, id)
	if err != nil {
		return Job{}, err
	}
	if !job.by(workspace, requester) {
		return Job{}, ErrNotFound
	}
	return job.at(q.now()), nil
}

// List returns up to limit of the requester's jobs, newest first. A limit under
// 1 or over 1000 is an error.
func (q *Queue) List(ctx context.Context, workspace string, requester audit.Actor, limit int) ([]Job, error) {
	if limit < 1 || limit > 1000 {
		return nil, fmt.Errorf("%w: a list cannot have %d exports, only 1 to 1000", ErrInvalid, limit)
	}
	if workspace == "" || requester.ID == "" {
		return nil, nil
	}
	jobs, err := q.jobs.List(ctx, workspace, requester, limit)
	mine := jobs[:0]
	for _, job := range jobs {
		if job.by(workspace, requester) {
			mine = append(mine, job.at(q.now()))
		}
	}
	return mine, err
}

// Cancel ends a job that is queued or running, and returns it. A worker that
// writes it stops soon, and what it has written is removed. It returns
// [ErrNotFound], or [ErrFinished] for a job that is over.
func (q *Queue) Cancel(ctx context.Context, workspace string, requester audit.Actor, id uuid.UUID) (Job, error) {
	for {
		job, err := q.Get(ctx, workspace, requester, id)
		if err != nil {
			return Job{}, err
		}
		if !job.State.Open() {
			return job, fmt.Errorf("%w: it is %s", ErrFinished, job.State)
		}
		// What a worker has written is removed once it is known to have stopped.
		if job.State == Queued {
			job.Due = q.now()
		}
		job.State, job.Slot, job.Finished = Cancelled, 0, q.now()
		job, err = q.jobs.Update(ctx, job)
		if !errors.Is(err, ErrConflict) {
			return job, err
		}
		// The worker has just noted its progress.
	}
}
