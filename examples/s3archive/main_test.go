package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob"
)

// buckets are empty ones, by the names of their drivers.
func buckets(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"mem":  "mem://",
		"file": "file://" + filepath.ToSlash(t.TempDir()),
		"s3":   onServer(t, "acme-audit"),
	}
}

// onServer is a bucket of that name on a server that has one, acme-audit.
func onServer(t *testing.T, name string) string {
	t.Helper()
	files := s3mem.New()
	require.NoError(t, files.CreateBucket("acme-audit"))
	server := httptest.NewServer(gofakes3.New(files).Server())
	t.Cleanup(server.Close)
	query := url.Values{"endpoint": {server.URL}, "use_path_style": {"true"}, "region": {"us-east-1"}, "anonymous": {"true"}}
	return "s3://" + name + "?" + query.Encode()
}

func TestWhatIsOlderThanAYearMovesIntoTheBucket(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC) }
	for name, at := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), &out, at, now))
			require.Equal(t, "live: 13 events of projects\nbucket: 17 events of projects\nboth: 30 events of projects\n", out.String())
		})
	}
}

func opened(t *testing.T, at string) place {
	t.Helper()
	bucket, err := blob.OpenBucket(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bucket.Close()) })
	return place{bucket}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func read(t *testing.T, p place, name string) string {
	t.Helper()
	file, err := p.Open(t.Context(), name)
	require.NoError(t, err)
	all, err := io.ReadAll(file)
	require.NoError(t, errors.Join(err, file.Close()))
	return string(all)
}

// TestAPlaceKeepsItsWord does what archive.Place promises.
func TestAPlaceKeepsItsWord(t *testing.T) {
	for name, at := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			p, ctx := opened(t, at), t.Context()
			_, err := p.Open(ctx, "a-1")
			require.ErrorIs(t, err, fs.ErrNotExist)

			require.NoError(t, p.Create(ctx, "a-1", text("one")))
			require.ErrorIs(t, p.Create(ctx, "a-1", text("another")), fs.ErrExist)
			require.Equal(t, "one", read(t, p, "a-1"), "nothing is replaced")

			full := errors.New("the events are gone")
			require.ErrorIs(t, p.Create(ctx, "a-2", func(w io.Writer) error { return errors.Join(text("half")(w), full) }), full)
			_, err = p.Open(ctx, "a-2")
			require.ErrorIs(t, err, fs.ErrNotExist, "a file is complete or not there")

			require.NoError(t, p.Create(ctx, "b-1", text("")))
			names, err := p.List(ctx, "a-")
			require.NoError(t, err)
			require.Equal(t, []string{"a-1"}, names)

			file, err := p.Open(ctx, "a-1")
			require.NoError(t, err)
			_, err = file.Seek(1, io.SeekStart)
			require.NoError(t, err)
			rest, err := io.ReadAll(file)
			require.NoError(t, errors.Join(err, file.Close()))
			require.Equal(t, "ne", string(rest))
		})
	}
}

func TestOfSeveralWhoCreateAFileAtOnceOneSucceeds(t *testing.T) {
	for name, at := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			p := opened(t, at)
			const writers = 8
			var wait sync.WaitGroup
			errs := make(chan error, writers)
			for range writers {
				wait.Go(func() { errs <- p.Create(context.Background(), "a", text("whole")) })
			}
			wait.Wait()
			close(errs)
			succeeded := 0
			for err := range errs {
				if err == nil {
					succeeded++
					continue
				}
				require.ErrorIs(t, err, fs.ErrExist)
			}
			require.Equal(t, 1, succeeded)
			require.Equal(t, "whole", read(t, p, "a"))
		})
	}
}

func TestABucketThatIsMissingIsAnError(t *testing.T) {
	_, err := opened(t, onServer(t, "missing")).List(t.Context(), "")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
