package exportjob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Content is the file of an export, for http.ServeContent or io.Copy. Its reader
// has to be closed.
type Content struct {
	io.ReadSeekCloser
	// Name is what to save it as; see [Job.FileName].
	Name string
	// Type is its media type.
	Type string
	// Size is its length in bytes.
	Size int64
	// Modified is when it was complete.
	Modified time.Time
	// SHA256 is its digest in hexadecimal, fit for an ETag.
	SHA256 string
}

// Open returns the file of the requester's job. Before that it records an event
// whose operation is [audit.Downloaded]; what could not be recorded is not handed
// out, and the error wraps [audit.ErrAuditFailed]. A browser that fetches the
// file in parts leaves an event for each.
//
// It returns [ErrNotFound], [ErrNotReady] for a job that is not done or was not
// done, and [ErrExpired].
func (q *Queue) Open(ctx context.Context, workspace string, requester audit.Actor, id uuid.UUID) (*Content, error) {
	job, err := q.Get(ctx, workspace, requester, id)
	if err != nil {
		return nil, err
	}
	switch job.State {
	case Ready:
	case Expired:
		return nil, ErrExpired
	default:
		return nil, fmt.Errorf("%w: it is %s", ErrNotReady, job.State)
	}
	file, err := q.place.Open(ctx, job.file(job.Attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its file is not there any more", ErrExpired)
	}
	if err != nil {
		return nil, fmt.Errorf("exportjob: open the file of export %s: %w", id, err)
	}
	if err := q.handOut(ctx, job, file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Content{ReadSeekCloser: file, Name: job.FileName(), Type: job.ContentType(), Size: job.Size, Modified: job.Finished, SHA256: job.SHA256}, nil
}

// handOut checks that the file has its length and records the download.
func (q *Queue) handOut(ctx context.Context, job Job, file io.Seeker) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("exportjob: read the file of export %s: %w", job.ID, err)
	}
	if size != job.Size {
		return fmt.Errorf("exportjob: the file of export %s has %d bytes instead of %d; somebody has changed it", job.ID, size, job.Size)
	}
	return q.rec.Record(ctx, job.Event(audit.Downloaded))
}

// part is the name of the file that an attempt writes.
func (j Job) part(attempt int) string { return fmt.Sprintf("%s-%d.part", j.ID, attempt) }

// file is the name of the file that an attempt has completed.
func (j Job) file(attempt int) string {
	return fmt.Sprintf("%s-%d.%s", j.ID, attempt, j.Format.extension())
}
