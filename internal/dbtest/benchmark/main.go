// Command benchmark measures what auditing costs: it runs the same writes
// without auditing, with auditing written by hand, with a row trigger, and with
// package hooks, interleaved operation by operation, and prints the medians,
// their ratios, and the goals these have: "1.35 ≤1.45" meets its goal and
// "1.52 >1.45" misses it, which the flag -check makes a failure.
//
// By hand means what a careful team writes into its own code: read the old row
// FOR UPDATE, write, and insert the events by one statement of many rows, all in
// one transaction. It reads nothing back and looks no label up. Its log is as wide
// as ours and has the same indexes: what is compared is the auditing.
//
// All is measured as it is in use: the logs hold events from the beginning, and the
// databases have counted the rows of their tables.
//
// It counts the events in the database and ends with status 1 if any of the
// forms did not record exactly as many as it owed.
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
	"slices"
	"strings"

	"github.com/gormtrail/audit/internal/dbtest"
)

func main() {
	databases := flag.String("db", strings.Join(dbtest.Names(), ","), "databases to measure, separated by commas")
	n := flag.Int("n", 200, "how often an operation on one row is measured; one on 1000 rows, a tenth of it")
	quick := flag.Bool("quick", false, "few and small measurements, to see that everything works")
	rows := flag.Int("rows", 1_000_000, "rows of a table that has very many")
	only := flag.String("only", "", "parts to measure, separated by commas: "+strings.Join(partNames(), ", ")+" (default all)")
	check := flag.Bool("check", false, "end with status 1 if a goal is missed")
	events := flag.Int("events", 200_000, "events of the longer of two logs that are exported")
	csv := flag.String("csv", "", "only write the log of a database as CSV; for the part "+`"export" itself`)
	flag.Parse()
	size := size{n: *n, turns: 40, rows: *rows, logged: 50_000, exported: [2]int{*events / 10, *events}}
	if *quick {
		size.n, size.turns, size.rows, size.logged, size.exported = min(*n, 10), 1, min(*rows, 3_000), 1000, [2]int{200, 2_000}
	}
	if *only != "" {
		size.only = strings.Split(*only, ",")
	}
	unknown := func(part string) bool { return !slices.Contains(partNames(), part) }
	if *n < 1 || slices.ContainsFunc(size.only, unknown) || size.rows < many || size.rows > many*many || *events < 10 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *csv != "" {
		if err := exportCSV(ctx, *csv); err != nil {
			fmt.Fprintln(os.Stderr, "benchmark:", err)
			os.Exit(1)
		}
		return
	}
	limits := &limits{}
	err := run(ctx, strings.Split(*databases, ","), size, limits)
	if !*quick || *check { // few measurements miss goals by chance
		fmt.Println(limits)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
	if *check && len(limits.missed) > 0 {
		os.Exit(1)
	}
}

// size is how much is measured.
type size struct {
	n        int    // measurements of an operation on one row
	turns    int    // of what is played
	rows     int    // of a table that has very many
	logged   int    // events that a log holds before
	exported [2]int // events, few and many
	only     []string
}

func (s size) measures(part string) bool { return len(s.only) == 0 || slices.Contains(s.only, part) }

func run(ctx context.Context, databases []string, size size, limits *limits) error {
	var failures []error
	for _, name := range databases {
		name = strings.TrimSpace(name)
		err := measureDatabase(ctx, name, size, limits)
		if errors.Is(err, dbtest.ErrUnavailable) {
			fmt.Printf("%s: SKIPPED, nothing was measured: %v\n\n", name, err)
			continue
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	if size.measures("own") {
		fmt.Printf("%s\n\n", howOwn)
	}
	return errors.Join(failures...)
}

// measureDatabase measures one database that is empty and dropped afterwards.
func measureDatabase(ctx context.Context, name string, size size, limits *limits) (err error) {
	database, drop, err := dbtest.New(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	b, err := newBench(ctx, database, size.logged, limits)
	if err != nil {
		return err
	}
	for _, part := range parts() {
		if !size.measures(part.name) {
			continue
		}
		if err := part.measure(b, ctx, size); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return b.check(ctx)
}

// part is what the flag -only chooses from.
type part struct {
	name    string
	measure func(*bench, context.Context, size) error
}

func parts() []part {
	return []part{
		{"entries", (*bench).measureEntries},
		{"keys", (*bench).measureKeys},
		{"registered", (*bench).measurePlain},
		{"growth", (*bench).measureGrowth},
		{"far", (*bench).measureFar},
		{"own", (*bench).measureOwn},
		{"export", (*bench).measureExport},
	}
}

func partNames() []string {
	names := []string{}
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}
