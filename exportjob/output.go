package exportjob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// output is the file that an attempt writes.
type output struct {
	place Place
	name  string
	file  File
	size  int64
	sum   hash.Hash
}

// placeError is an error of the [Place] while a file is written. It makes the job
// fail.
type placeError struct {
	// what could not be done, for the requester.
	what string
	err  error
}

func (e *placeError) Error() string { return "exportjob: " + e.what + ": " + e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

// reason is the error for the requester. The text of an error that is not the
// system's may tell of accounts and addresses.
func (e *placeError) reason() string {
	var (
		path    *fs.PathError
		link    *os.LinkError
		errno   syscall.Errno
		because error
	)
	switch {
	case errors.As(e.err, &path):
		because = path.Err
	case errors.As(e.err, &link):
		because = link.Err
	case errors.As(e.err, &errno):
		because = errno
	default:
		return e.what
	}
	return e.what + ": " + because.Error()
}

// create begins the file.
func create(ctx context.Context, place Place, name string) (*output, error) {
	file, err := place.Create(ctx, name)
	if err != nil {
		return nil, &placeError{"the file cannot be created", err}
	}
	return &output{place: place, name: name, file: file, sum: sha256.New()}, nil
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	o.sum.Write(b[:n])
	o.size += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, &placeError{"the file cannot be written", err}
	}
	return n, nil
}

// digest is that of what was written so far.
func (o *output) digest() string { return hex.EncodeToString(o.sum.Sum(nil)) }

// sync makes what was written safe.
func (o *output) sync() error {
	if err := o.file.Sync(); err != nil {
		return &placeError{"the file cannot be made safe", err}
	}
	return nil
}

// complete makes the file safe under its last name.
func (o *output) complete(ctx context.Context, name string) error {
	if err := o.sync(); err != nil {
		return err
	}
	if err := o.close(); err != nil {
		return &placeError{"the file cannot be closed", err}
	}
	if err := o.place.Rename(ctx, o.name, name); err != nil {
		return &placeError{"the file cannot be given its name", err}
	}
	o.name = name
	return nil
}

// close closes the file. A second call does nothing.
func (o *output) close() error {
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	return err
}

// copyFrom begins the file with what the job's former attempt left, as far as
// that is known to be right, and reports whether it is right.
func (o *output) copyFrom(ctx context.Context, job Job) (bool, error) {
	c := job.Checkpoint
	from, err := o.place.Open(ctx, job.part(c.Attempt))
	if errors.Is(err, fs.ErrNotExist) { // it was complete, and nobody was told
		from, err = o.place.Open(ctx, job.file(c.Attempt))
	}
	if err != nil { // whatever it is: beginning anew needs nothing of it
		return false, nil
	}
	defer func() { _ = from.Close() }()
	_, err = io.Copy(o, io.LimitReader(from, c.Size))
	var failed *placeError
	if errors.As(err, &failed) { // writing did
		return false, err
	}
	return err == nil && o.size == c.Size && o.digest() == c.SHA256, nil
}

// names are those of all files that attempts on the job may have left.
func (j Job) names() []string {
	var names []string
	for attempt := 1; attempt <= j.Attempt; attempt++ {
		names = append(names, j.part(attempt), j.file(attempt))
	}
	return names
}

// remove removes files. It goes on after an error.
func (q *Queue) remove(ctx context.Context, names []string) error {
	var failed error
	for _, name := range names {
		if err := q.place.Remove(ctx, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("exportjob: remove %s: %w", name, err))
		}
	}
	return failed
}
