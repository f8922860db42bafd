package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gormtrail/audit/internal/dbtest"
)

// result is what one operation took, by variant.
type result struct {
	operation string
	times     map[string][]time.Duration
}

func (r result) median(variant string) time.Duration { return dbtest.Median(r.times[variant]) }

// print prints results: the medians of the variants and the ratios of some, of
// which a column is called "this/that", with their goals.
func (b *bench) print(title string, results []result, columns []string, g goals) {
	fmt.Printf("%s, %s\n", b.database.Name, title)
	t := newTable(append([]string{"operation", "runs"}, columns...))
	for _, r := range results {
		row := []string{r.operation, fmt.Sprint(len(r.times[columns[0]]))}
		for _, column := range columns {
			of, to, ratio := strings.Cut(column, "/")
			if !ratio {
				row = append(row, micro(r.median(of)))
				continue
			}
			what := fmt.Sprintf("%s, %s: %s, %s", b.database.Name, title, r.operation, column)
			row = append(row, b.limits.figure(what, divided(r.median(of), r.median(to)), g[r.operation][column]))
		}
		t.row(row...)
	}
	t.print()
}

// table is printed in columns.
type table struct{ lines [][]string }

func newTable(head []string) *table { return &table{[][]string{head}} }

func (t *table) row(cells ...string) { t.lines = append(t.lines, cells) }

func (t *table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range t.lines {
		fmt.Fprintln(w, strings.Join(line, "\t")+"\t")
	}
	_ = w.Flush()
	fmt.Println()
}

func micro(d time.Duration) string { return fmt.Sprintf("%d us", d.Microseconds()) }

func divided(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
