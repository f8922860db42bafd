package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// result is what one operation took, by variant.
type result struct {
	operation string
	rows      int
	times     map[string][]time.Duration
}

func (r result) median(variant string) time.Duration {
	times := slices.Sorted(slices.Values(r.times[variant]))
	if len(times) == 0 {
		return 0
	}
	return times[len(times)/2]
}

// printTable prints the medians and their ratios.
func printTable(w io.Writer, database string, results []result, owed, recorded int) {
	fmt.Fprintln(w, database)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "operation\truns\tbare\tby hand\thooks\tnot registered\thooks/bare\thooks/hand\thand/bare\tnot registered/bare\t")
	for _, r := range results {
		bare, hand, ours, plain := r.median("bare"), r.median("hand"), r.median("hooks"), r.median("plain")
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", r.operation, len(r.times["bare"]),
			micro(bare), micro(hand), micro(ours), micro(plain), ratio(ours, bare), ratio(ours, hand), ratio(hand, bare), ratio(plain, bare))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "events recorded: %d of %d owed\n\n", recorded, owed)
}

func micro(d time.Duration) string { return fmt.Sprintf("%d us", d.Microseconds()) }

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
