// Command readbench measures how fast a long log is read: it makes a log of a
// year (20 workspaces, 200 authors each, the changes of a time sheet), asks it
// what people ask, question by question in turn for every database and size, and
// prints the medians beside their goals.
//
// Every answer is compared with what was written; one that is wrong ends the
// command with status 1. A goal that is missed does so with -check only, because
// times depend on the machine.
//
//	go run ./internal/dbtest/readbench -db sqlite,postgres -n 1000000,10000000 -keep /var/tmp/readbench
//	go run ./internal/dbtest/readbench -sizes -db sqlite,postgres,mysql
//	go run ./internal/dbtest/readbench -indexes -n 200000
//
// With -keep the logs stay: as /var/tmp/readbench_1000000/test.db, and as the
// schema or database readbench_1000000 on servers. They are made once and
// measured as often as one likes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/gormtrail/audit/internal/dbtest"
)

// options are the command's flags.
type options struct {
	databases []string
	// events are the lengths of the logs.
	events []int
	rounds int
	keep   string
	check  bool
}

func main() {
	databases := flag.String("db", "sqlite,postgres", "databases to measure, separated by commas: "+strings.Join(dbtest.Names(), ", "))
	n := flag.String("n", "1000000", "numbers of events, separated by commas")
	rounds := flag.Int("rounds", 48, "how often every question is asked")
	keep := flag.String("keep", "", "where logs stay for the next time: how the names of folders and databases begin")
	check := flag.Bool("check", false, "end with status 1 if a goal is missed")
	sizes := flag.Bool("sizes", false, "measure bytes per event instead")
	indexes := flag.Bool("indexes", false, "measure what each index takes and costs instead")
	quick := flag.Bool("quick", false, "a small log on all databases, and few questions, to see that the answers are right")
	flag.Parse()
	o := options{databases: list(*databases), rounds: *rounds, keep: *keep, check: *check}
	if *quick {
		o.databases, *n, o.rounds = dbtest.Names(), strconv.Itoa(minEvents), targets
	}
	for _, text := range list(*n) {
		events, err := strconv.Atoi(text)
		if err != nil || events < minEvents {
			fmt.Fprintf(os.Stderr, "readbench: -n has %q, not a number from %d on\n", text, minEvents)
			os.Exit(2)
		}
		o.events = append(o.events, events)
	}
	if o.rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := o.measure
	switch {
	case *sizes:
		run = o.measureSizes
	case *indexes:
		run = o.measureIndexes
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "readbench:", err)
		os.Exit(1)
	}
}

func list(text string) []string {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// measure builds the logs, asks and prints.
func (o options) measure(ctx context.Context) (err error) {
	var all []*subject
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.close())
		}
	}()
	for _, n := range o.events {
		var expected *expectations
		for _, name := range o.databases {
			s, err := o.open(ctx, name, n)
			if errors.Is(err, dbtest.ErrUnavailable) {
				fmt.Printf("%s: SKIPPED, nothing was measured: %v\n", name, err)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, %d events: %w", name, n, err)
			}
			all = append(all, s)
			if expected == nil {
				expected = expect(n)
				if err := expected.check(); err != nil {
					return err
				}
			}
			s.expected = expected
		}
	}
	for _, s := range all {
		if err := s.prepare(ctx); err != nil {
			return s.wrap(err)
		}
	}
	if err := ask(ctx, all, o.rounds); err != nil {
		return err
	}
	missed := printTables(os.Stdout, all)
	if o.check && missed > 0 {
		return fmt.Errorf("%d goals were missed", missed)
	}
	return nil
}
