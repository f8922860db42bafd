package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gormtrail/audit/archive"
)

// place is an archive.Place in a bucket. Another application may have other files
// there; a bucket of its own with object lock, so that nobody can delete what was
// archived, is better.
type place struct{ bucket *blob.Bucket }

var _ archive.Place = place{}

// Create implements archive.Place. The bucket refuses a name that is taken when
// the file is complete.
func (p place) Create(ctx context.Context, name string, write func(io.Writer) error) error {
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	w, err := p.bucket.NewWriter(ctx, name, &blob.WriterOptions{IfNotExist: true, ContentType: "application/octet-stream"})
	if err != nil {
		return told(err)
	}
	if err := write(w); err != nil {
		abandon() // so that closing makes no file
		_ = w.Close()
		return told(err)
	}
	return told(w.Close())
}

// Open implements archive.Place.
func (p place) Open(ctx context.Context, name string) (io.ReadSeekCloser, error) {
	r, err := p.bucket.NewReader(ctx, name, nil)
	if err != nil {
		return nil, told(err)
	}
	return r, nil
}

// List implements archive.Place.
func (p place) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	files := p.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		file, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, told(err)
		}
		names = append(names, file.Key)
	}
}

// told is the error in the words of package fs, as an archive.Place has to tell.
func told(err error) error {
	switch gcerrors.Code(err) {
	case gcerrors.FailedPrecondition:
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	case gcerrors.NotFound:
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}
