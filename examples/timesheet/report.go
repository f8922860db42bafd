package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/report"
	"github.com/gormtrail/audit/examples/timesheet/week"
	"github.com/gormtrail/audit/internal/timesheet"
)

// catalog has Clockify's words and those for what this program records besides.
var catalog = audit.DefaultCatalog().With(audit.CatalogWords{
	Types: []audit.TypeWords{{Type: timesheet.TypeCategory, Noun: "category"}},
})

// foldFrom is how many events must be alike to be folded where nobody asked
// for particular ones.
const foldFrom = 20

// report prints the events that the flags ask for, writes them as CSV, and
// says where everything is.
func (t *tracker) report(ctx context.Context, opts *options, stdout io.Writer) error {
	total, authors, err := t.authors(ctx)
	if err != nil {
		return err
	}
	filter := audit.Filter{Workspace: week.Workspace, From: opts.from, To: opts.to, Actions: opts.actions}
	if filter.Actors, err = resolve(opts.authors, authors); err != nil {
		return err
	}
	if err := catalog.Validate(filter); err != nil {
		return err
	}
	var events []audit.Event
	for e, err := range audit.Query(ctx, t.store, filter) {
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	slices.Reverse(events) // a story is read from its beginning
	table := report.Table{Catalog: catalog, Location: opts.zone}
	if !opts.filtered() {
		table.Fold = foldFrom
	}
	out := &printer{w: stdout}
	out.printf("Audit report of workspace %q, oldest first, times in %s\n\n", week.Workspace, opts.zone)
	shown, err := table.Write(out.w, events)
	if err != nil {
		return err
	}
	if t.imported.Entries > 0 {
		out.printf("\nImported: time entries %d, clients %d, projects %d, tasks %d, tags %d, users %d\n", t.imported.Entries,
			t.imported.Clients, t.imported.Projects, t.imported.Tasks, t.imported.Tags, t.imported.Users)
	}
	out.printf("\nEvents:   %d recorded, %d in this report: %d with a row, %d folded\n", total, len(events), shown, len(events)-shown)
	out.printf("Database: %s; -db reports on it again\n", absolute(t.path))
	written, err := t.writeCSV(ctx, opts, filter)
	if err != nil {
		return err
	}
	out.printf("CSV:      %s, with %d events\n", absolute(opts.csv), written)
	return out.err
}

// printer prints until there is an error, and keeps it.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// writeCSV writes the events of the report to a file.
func (t *tracker) writeCSV(ctx context.Context, opts *options, filter audit.Filter) (written int, err error) {
	f, err := os.Create(opts.csv)
	if err != nil {
		return 0, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	return audit.WriteCSV(f, audit.Query(ctx, t.store, filter), &audit.CSVOptions{Catalog: catalog, Location: opts.zone})
}

// authors counts the events of the log and lists who made them, by name.
func (t *tracker) authors(ctx context.Context) (total int, authors []audit.Actor, err error) {
	for e, err := range audit.Query(ctx, t.store, audit.Filter{Workspace: week.Workspace}) {
		if err != nil {
			return 0, nil, err
		}
		total++
		if !slices.ContainsFunc(authors, e.Actor.Same) {
			authors = append(authors, e.Actor)
		}
	}
	slices.SortFunc(authors, func(a, b audit.Actor) int { return cmp.Compare(a.String(), b.String()) })
	return total, authors, nil
}

// resolve finds the authors that are meant by names or ids.
func resolve(names []string, authors []audit.Actor) ([]audit.Actor, error) {
	var found []audit.Actor
	for _, name := range names {
		before := len(found)
		for _, a := range authors {
			if strings.EqualFold(a.Name, name) || a.ID != "" && a.ID == name {
				found = append(found, a)
			}
		}
		if len(found) == before {
			known := make([]string, len(authors))
			for i, a := range authors {
				known[i] = a.String()
			}
			return nil, fmt.Errorf("-author %q: the log has nobody of that name or id; it has %s", name, strings.Join(known, ", "))
		}
	}
	return found, nil
}

// absolute is where a file is, for people who want to open it.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
