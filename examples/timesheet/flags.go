package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // -tz works on machines without time zone data

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/clockify"
)

// options are what the flags say.
type options struct {
	importFile string
	order      clockify.Order
	db, csv    string
	from, to   time.Time
	authors    list
	actions    []audit.Action
	zone       *time.Location
	serve      string
}

// filtered tells whether the flags ask for a part of the log.
func (o *options) filtered() bool {
	return !o.from.IsZero() || !o.to.IsZero() || len(o.authors) > 0 || len(o.actions) > 0
}

// list is a flag that may be given several times, or hold several values with
// commas between them. A comma in brackets belongs to the value, as in
// "Created time (personal, timer)".
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	depth, from := 0, 0
	add := func(value string) {
		if value = strings.TrimSpace(value); value != "" {
			*l = append(*l, value)
		}
	}
	for i, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth <= 0:
			add(text[from:i])
			from = i + 1
		}
	}
	add(text[from:])
	return nil
}

const usage = `Usage: go run ./examples/timesheet [flags]

Imports a Clockify detailed report, plays a working week, and prints the audit
report of it, oldest first. Without -from, -to, -author and -action, long runs
of events that are alike are folded; with one of them every event has its row.
With -serve it shows the report as a web page instead.

`

func parseFlags(args []string, stderr io.Writer) (*options, error) {
	var o options
	var from, to, zone, order string
	var actions list
	f := flag.NewFlagSet("timesheet", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		f.PrintDefaults()
	}
	f.StringVar(&o.importFile, "import", "", "import `FILE`, a Clockify detailed report as CSV (default a sample)")
	f.StringVar(&order, "dates", "", "`ORDER` of day and month in the file's dates where the file does not tell: mdy or dmy")
	f.StringVar(&o.db, "db", "", "keep everything in the SQLite database `FILE`; one that exists is only reported on (default a new one in a temporary folder)")
	f.StringVar(&o.csv, "csv", "audit.csv", "write the events of the report to `FILE`")
	f.StringVar(&from, "from", "", "report from this `TIME` on: 2026-03-02, \"2026-03-02 09:00\" or RFC 3339")
	f.StringVar(&to, "to", "", "report up to this `TIME`; of a day, to its end")
	f.Var(&o.authors, "author", "report the events of these `AUTHORS`: names or ids, with commas between them or the flag repeated")
	f.Var(&actions, "action", "report these `ACTIONS`: labels, codes, or parts such as project.updated, time_entry or deleted")
	f.StringVar(&zone, "tz", "UTC", "time `ZONE` of the report and of the imported file, as Europe/Berlin")
	f.StringVar(&o.serve, "serve", "", "serve the audit log as a web page on `ADDRESS` until interrupted, as 127.0.0.1:8080; it asks for no password")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected %q; -help lists the flags", f.Arg(0))
	}
	switch order {
	case "":
	case "mdy":
		o.order = clockify.MonthFirst
	case "dmy":
		o.order = clockify.DayFirst
	default:
		return nil, fmt.Errorf("-dates %q: use mdy or dmy", order)
	}
	var err error
	if o.zone, err = time.LoadLocation(zone); err != nil {
		return nil, fmt.Errorf("-tz %q: no such time zone; use a name as Europe/Berlin", zone)
	}
	if o.from, err = parseTime(from, o.zone, false); err != nil {
		return nil, fmt.Errorf("-from %w", err)
	}
	if o.to, err = parseTime(to, o.zone, true); err != nil {
		return nil, fmt.Errorf("-to %w", err)
	}
	if !o.from.IsZero() && !o.to.IsZero() && !o.from.Before(o.to) {
		return nil, fmt.Errorf("-from %s is not before -to %s", from, to)
	}
	if o.actions, err = catalog.Actions(actions...); err != nil {
		return nil, fmt.Errorf("-action: %w (a label as \"Updated project\", a code as UPDATE_PROJECT, or parts as project.updated)", err)
	}
	if o.serve != "" && o.filtered() {
		return nil, errors.New("-serve shows a page that is filtered there; leave out -from, -to, -author and -action")
	}
	return &o, o.checkFiles()
}

// checkFiles makes sure that no file is written over one that is read.
func (o *options) checkFiles() error {
	if o.csv == "" {
		return errors.New("-csv needs a file")
	}
	for name, other := range map[string]string{"-import": o.importFile, "-db": o.db} {
		if other != "" && sameFile(o.csv, other) {
			return fmt.Errorf("-csv and %s are the same file, %s", name, other)
		}
	}
	if folder := filepath.Dir(o.db); o.db != "" {
		if _, err := os.Stat(folder); err != nil {
			return fmt.Errorf("-db %s: %w", o.db, err)
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	if absolute(a) == absolute(b) {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// parseTime reads a time, or a day: its beginning, or its end.
func parseTime(text string, zone *time.Location, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		if end {
			day = day.AddDate(0, 0, 1)
		}
		return day, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time as 2026-03-02, \"2026-03-02 09:00\" or 2026-03-02T09:00:00Z", text)
}
