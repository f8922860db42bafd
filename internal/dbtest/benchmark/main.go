// Command benchmark measures what auditing costs: it runs the same writes
// without auditing, with auditing written by hand, with a row trigger, and with
// package hooks, interleaved operation by operation, and prints the medians,
// their ratios, and the goals these have: "1.35 ≤1.45" meets its goal and
// "1.52 >1.45" misses it, which the flag -check makes a failure.
//
// By hand means what a careful team writes into its own code: read the old row
// FOR UPDATE, write, and insert the events by one statement of many rows, all in
// one transaction. It reads nothing back and looks no label up.
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
	"github.com/gormtrail/audit/store/sqlstore"
)

func main() {
	databases := flag.String("db", strings.Join(dbtest.Names(), ","), "databases to measure, separated by commas")
	n := flag.Int("n", 200, "how often an operation on one row is measured; one on 1000 rows, a tenth of it")
	quick := flag.Bool("quick", false, "few and small measurements, to see that everything works")
	rows := flag.Int("rows", 1_000_000, "rows of a table that has very many")
	only := flag.String("only", "", "parts to measure, separated by commas: "+strings.Join(partNames(), ", ")+" (default all)")
	check := flag.Bool("check", false, "end with status 1 if a goal is missed")
	flag.Parse()
	size := size{n: *n, turns: 40, rows: *rows, exported: [2]int{10_000, 200_000}}
	if *quick {
		size.n, size.turns, size.rows, size.exported = min(*n, 10), 1, min(*rows, 3_000), [2]int{2_000, 20_000}
	}
	if *only != "" {
		size.only = strings.Split(*only, ",")
	}
	if *n < 1 || size.rows < many || size.rows > many*many || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	limits := &limits{}
	err := run(ctx, strings.Split(*databases, ","), size, limits)
	fmt.Println(limits)
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
	if !size.measures("export") {
		return errors.Join(failures...)
	}
	if err := measureExport(ctx, size.exported[0], size.exported[1]); err != nil {
		failures = append(failures, fmt.Errorf("export: %w", err))
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
	b, err := newBench(ctx, database, limits)
	if err != nil {
		return err
	}
	for _, part := range b.parts() {
		if !size.measures(part.name) {
			continue
		}
		if err := part.measure(ctx, size); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return b.check(ctx)
}

// part is what the flag -only chooses from.
type part struct {
	name    string
	measure func(context.Context, size) error
}

func (b *bench) parts() []part {
	return []part{
		{"entries", b.measureEntries},
		{"keys", b.measureKeys},
		{"registered", b.measurePlain},
		{"growth", b.measureGrowth},
		{"far", b.measureFar},
		{"own", b.measureOwn},
	}
}

func partNames() []string {
	names := []string{}
	for _, p := range (*bench)(nil).parts() {
		names = append(names, p.name)
	}
	return append(names, "export")
}

// measureEntries measures every operation in every way.
func (b *bench) measureEntries(ctx context.Context, size size) error {
	hooked, err := openHooked(b.database, b.database.SQL())
	if err != nil {
		return err
	}
	if err := b.installTrigger(); err != nil {
		return err
	}
	variants := []variant{bareEntries(b.raw), handEntries(b.raw, b.database), hookEntries(hooked), triggerEntries(b.raw)}
	columns := []string{"bare", "by hand", "hooks", "row trigger", "hooks/bare", "hooks/by hand", "by hand/bare", "row trigger/bare"}
	if b.database.Dialect == sqlstore.Postgres {
		if err := b.installOurs(ctx); err != nil {
			return err
		}
		variants, columns = append(variants, oursEntries(b.raw)), append(columns, "our trigger/bare")
	}
	results, err := b.measure(ctx, append(single(), bulk()...), variants, size.n)
	if err != nil {
		return err
	}
	b.print("keys set by the application, no labels", results, columns, localGoals(b.database.Name))
	return nil
}

// maxPlain is how many times GORM alone a model may take that is not registered.
const maxPlain = 1.03

// measurePlain measures writes of a model that is not registered.
func (b *bench) measurePlain(ctx context.Context, size size) error {
	hooked, err := openHooked(b.database, b.database.SQL())
	if err != nil {
		return err
	}
	results, err := b.measure(ctx, single(), []variant{bareEntries(b.raw), plainEntries(hooked)}, 5*size.n)
	if err != nil {
		return err
	}
	const ratio = "not registered/bare"
	b.print("not registered", results, []string{"bare", "not registered", ratio}, each(single(), ratio, maxPlain))
	return nil
}
