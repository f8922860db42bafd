package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/gormtrail/audit/internal/dbtest"
)

// row is a line of the table: a figure for each log of a database.
type row struct {
	name string
	goal string
	// figures are in the order of the logs, and bad marks those that miss the
	// goal.
	figures []string
	bad     []bool
	// growth is the longest log's figure by the shortest's. Empty if there is
	// one log.
	growth    string
	badGrowth bool
}

// printTables prints a table for each database and returns the number of goals
// that were missed.
func printTables(w io.Writer, all []*subject) (missed int) {
	byName := map[string][]*subject{}
	var names []string
	for _, s := range all {
		if byName[s.name] == nil {
			names = append(names, s.name)
		}
		byName[s.name] = append(byName[s.name], s)
	}
	for _, name := range names {
		missed += printTable(w, name, byName[name])
	}
	fmt.Fprintf(w, "Goals that were missed, marked by !: %d\n", missed)
	return missed
}

func printTable(w io.Writer, name string, logs []*subject) (missed int) {
	fmt.Fprintf(w, "\n%s, medians of %d\n", name, len(logs[0].times[firstPage]))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "question\tgoal\t")
	for _, s := range logs {
		fmt.Fprintf(t, "%d events\t", s.n)
	}
	if len(logs) > 1 {
		fmt.Fprintf(t, "growth, goal %.1f\t", growthGoal)
	}
	fmt.Fprintln(t)
	for _, r := range rows(logs) {
		fmt.Fprintf(t, "%s\t%s\t", r.name, r.goal)
		for i, f := range r.figures {
			fmt.Fprintf(t, "%s\t", mark(f, r.bad[i], &missed))
		}
		if len(logs) > 1 {
			fmt.Fprintf(t, "%s\t", mark(r.growth, r.badGrowth, &missed))
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
	return missed
}

func mark(figure string, bad bool, missed *int) string {
	if !bad {
		return figure
	}
	*missed++
	return "!" + figure
}

func rows(logs []*subject) []row {
	var all []row
	for _, q := range questions() {
		all = append(all, timed(logs, q.name, q.goal, !q.grows))
	}
	for _, report := range []string{firstHTML, lastHTML, firstJSON, lastJSON} {
		all = append(all, timed(logs, report+besides, besidesGoal, false))
	}
	all = append(all,
		spread(logs, "the pages' slowest by their fastest", firstPage, middlePage, lastPage, fromTheEnd),
		spread(logs, "the report's, HTML", firstHTML, lastHTML),
		spread(logs, "the report's, JSON", firstJSON, lastJSON))
	for _, report := range []string{firstHTML, lastHTML, firstJSON, lastJSON} {
		most := 0
		if report == firstHTML || report == lastHTML {
			most = htmlGoal
		}
		all = append(all, sized(logs, report+", bytes as sent", most, func(s *subject) int { return s.sent[report] }))
		all = append(all, sized(logs, report+", bytes unpacked", 0, func(s *subject) int { return s.sizes[report] }))
	}
	return all
}

// sized are numbers of bytes. A goal of 0 is none.
func sized(logs []*subject, name string, goal int, of func(*subject) int) row {
	r := row{name: name}
	if goal > 0 {
		r.goal = strconv.Itoa(goal)
	}
	for _, s := range logs {
		r.figures = append(r.figures, strconv.Itoa(of(s)))
		r.bad = append(r.bad, goal > 0 && of(s) > goal)
	}
	return r
}

// timed are medians. A steady one should not grow with the log.
func timed(logs []*subject, name string, goal time.Duration, steady bool) row {
	r := row{name: name}
	if goal > 0 {
		r.goal = millis(goal)
	}
	for _, s := range logs {
		m := s.median(name)
		r.figures = append(r.figures, millis(m))
		r.bad = append(r.bad, goal > 0 && m > goal)
	}
	first, last := logs[0], logs[len(logs)-1]
	if len(logs) > 1 {
		growth := ratio(last.median(name), first.median(name))
		r.growth, r.badGrowth = fmt.Sprintf("%.2f", growth), steady && growth > growthGoal
	}
	return r
}

// spread compares medians of one log.
func spread(logs []*subject, name string, of ...string) row {
	r := row{name: name, goal: fmt.Sprintf("%.2f", spreadGoal)}
	for _, s := range logs {
		least, most := s.median(of[0]), s.median(of[0])
		for _, question := range of[1:] {
			least, most = min(least, s.median(question)), max(most, s.median(question))
		}
		apart := ratio(most, least)
		r.figures = append(r.figures, fmt.Sprintf("%.2f", apart))
		r.bad = append(r.bad, apart > spreadGoal)
	}
	return r
}

func (s *subject) median(question string) time.Duration { return dbtest.Median(s.times[question]) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
