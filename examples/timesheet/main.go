// Command timesheet is a small time tracker whose audit trail is kept by the
// library. It imports a detailed report of Clockify, plays a working week
// through its own backend, and prints what was recorded.
//
//	go run ./examples/timesheet
//	go run ./examples/timesheet -import my-report.csv -tz Europe/Berlin
//	go run ./examples/timesheet -author "Ben Okafor" -action time_entry.updated
//	go run ./examples/timesheet -serve 127.0.0.1:8080
//
// Each run makes a new database in a new temporary folder, unless -db names
// one. If the file that -db names exists already, it is only reported on, or
// served.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/gormtrail/audit/examples/timesheet/clockify"
	"github.com/gormtrail/audit/examples/timesheet/week"
)

//go:embed sample.csv
var sample []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "timesheet:", err)
		os.Exit(1)
	}
}

// run is the whole program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	tracker, err := prepare(ctx, opts, stderr)
	if err != nil {
		return err
	}
	show := tracker.report
	if opts.serve != "" {
		show = tracker.serve
	}
	return errors.Join(show(ctx, opts, stdout), tracker.Close())
}

// prepare opens the database that exists, or makes a new one and fills it.
func prepare(ctx context.Context, opts *options, stderr io.Writer) (*tracker, error) {
	if opts.db != "" {
		switch info, err := os.Stat(opts.db); {
		case err == nil && info.Size() > 0:
			return reopen(ctx, opts)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	entries, err := readImport(opts)
	if err != nil {
		return nil, err
	}
	path, folder := opts.db, ""
	if path == "" {
		if folder, err = os.MkdirTemp("", "timesheet-"); err != nil {
			return nil, err
		}
		path = filepath.Join(folder, "timesheet.db")
	}
	t, err := open(path, "rwc")
	if err != nil {
		return nil, err
	}
	if err = t.setUp(ctx); err == nil {
		err = t.fill(ctx, entries, stderr)
	}
	if err == nil {
		return t, nil
	}
	// Half a week is of no use to anybody.
	err = errors.Join(err, t.Close(), os.Remove(path))
	if folder != "" {
		err = errors.Join(err, os.Remove(folder))
	}
	return nil, err
}

// reopen opens a database that an earlier run made. It changes nothing in it,
// unless it is to be served.
func reopen(ctx context.Context, opts *options) (*tracker, error) {
	if opts.importFile != "" {
		return nil, fmt.Errorf("%s exists already and -import needs a new database; name another with -db", opts.db)
	}
	mode := "ro"
	if opts.serve != "" {
		mode = "rw"
	}
	t, err := open(opts.db, mode)
	if err == nil {
		if err = t.store.VerifySchema(ctx); err == nil && opts.serve != "" {
			err = t.setUp(ctx)
		}
		if err == nil {
			return t, nil
		}
		err = errors.Join(err, t.Close())
	}
	return nil, fmt.Errorf("%s exists already and is not of this program; name another with -db: %w", opts.db, err)
}

// readImport reads the file that is imported, all of it, before anything is
// written.
func readImport(opts *options) ([]clockify.Entry, error) {
	if opts.importFile == "" {
		return clockify.Read(bytes.NewReader(sample), clockify.Options{})
	}
	f, err := os.Open(opts.importFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	entries, err := clockify.Read(f, clockify.Options{Location: opts.zone, Order: opts.order})
	switch {
	case errors.Is(err, clockify.ErrAmbiguous):
		return nil, fmt.Errorf("import %s: %w with -dates mdy or -dates dmy", opts.importFile, err)
	case err != nil:
		return nil, fmt.Errorf("import %s: %w", opts.importFile, err)
	}
	return entries, nil
}

// fill imports the past and plays the week.
func (t *tracker) fill(ctx context.Context, entries []clockify.Entry, stderr io.Writer) error {
	story := week.New(t.backend, t.settings, t.clock)
	if err := story.Sunday(ctx); err != nil {
		return err
	}
	err := story.Import(ctx, func(ctx context.Context) error {
		n, err := t.backend.Import(ctx, entries, progress(stderr))
		t.imported = n
		return err
	})
	if err != nil {
		return err
	}
	return story.Play(ctx)
}

// progress shows how far the import is, on a terminal only.
func progress(stderr io.Writer) func(done, total int) {
	f, ok := stderr.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return func(done, total int) {
		line := fmt.Sprintf("\rimporting time entries: %d of %d", done, total)
		if done == total {
			line += "\n"
		}
		_, _ = io.WriteString(stderr, line)
	}
}
