// Command benchmark measures what auditing costs: it runs the same writes
// without auditing, with auditing written by hand, and with package hooks,
// interleaved operation by operation, and prints the ratios of the medians.
//
// By hand means what a careful team writes into its own code: read the old row
// FOR UPDATE, write, and insert the events by one statement of many rows, all in
// one transaction. It reads nothing back and looks no label up.
//
// It counts the events in the database and ends with status 1 if hooks did not
// record exactly as many as they owed.
//
//	go run ./internal/dbtest/benchmark -db sqlite,postgres -n 200
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/gormtrail/audit/internal/dbtest"
)

func main() {
	databases := flag.String("db", strings.Join(dbtest.Names(), ","), "databases to measure, separated by commas")
	n := flag.Int("n", 200, "how often an operation on one row is measured; one on 1000 rows, a tenth of it")
	quick := flag.Bool("quick", false, "few and small measurements, to see that everything works")
	flag.Parse()
	if *quick {
		*n = min(*n, 20)
	}
	if *n < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, strings.Split(*databases, ","), *n, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, databases []string, n int, quick bool) error {
	var failures []error
	for _, name := range databases {
		err := measureDatabase(ctx, strings.TrimSpace(name), n)
		if errors.Is(err, dbtest.ErrUnavailable) {
			fmt.Printf("%s: SKIPPED, nothing was measured: %v\n\n", name, err)
			continue
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	few, many := 10_000, 200_000
	if quick {
		few, many = 2_000, 20_000
	}
	if err := measureExport(ctx, few, many); err != nil {
		failures = append(failures, fmt.Errorf("export: %w", err))
	}
	return errors.Join(failures...)
}

// measureDatabase measures one database that is empty and dropped afterwards.
func measureDatabase(ctx context.Context, name string, n int) (err error) {
	db, drop, err := dbtest.New(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	b, err := newBench(ctx, db)
	if err != nil {
		return err
	}
	results, err := b.measure(ctx, n)
	if err != nil {
		return err
	}
	recorded, err := b.recorded(ctx)
	if err != nil {
		return err
	}
	printTable(os.Stdout, name, results, b.owed, recorded)
	if recorded != b.owed {
		return fmt.Errorf("hooks recorded %d events and owed %d", recorded, b.owed)
	}
	return nil
}
