package audittest

import (
	"fmt"
	"strings"

	"github.com/gormtrail/audit"
)

// maxListed is how many events a message lists.
const maxListed = 20

const indent = "    "

// notFound tells that no event is as want says, and which comes nearest.
func notFound(want Event, events []audit.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "audittest: no event is as expected\n\nexpected:\n%s%s\n", indent, want)
	nearest, best := -1, 1
	for i, e := range events {
		if score := want.compare(e).score; score >= best {
			nearest, best = i, score
		}
	}
	if nearest >= 0 {
		fmt.Fprintf(&b, "nearest, event %d:\n%s%s\n", nearest+1, indent, events[nearest])
		for _, d := range want.compare(events[nearest]).differing {
			fmt.Fprintf(&b, "%s%s%s\n", indent, indent, d)
		}
	}
	list(&b, events)
	return b.String()
}

// notExactly tells where the events depart from those wanted.
func notExactly(want []Event, events []audit.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "audittest: the events are not exactly those expected: %d expected, %d recorded\n\n", len(want), len(events))
	i, j := 0, 0
	for _, p := range append(align(want, events), [2]int{len(want), len(events)}) {
		for ; i < p[0]; i++ {
			fmt.Fprintf(&b, "missing:     %s\n", want[i])
		}
		for ; j < p[1]; j++ {
			fmt.Fprintf(&b, "unexpected:  %s\n", events[j])
		}
		if i == len(want) || j == len(events) {
			continue
		}
		differing := want[i].compare(events[j]).differing
		word := "as expected:"
		if len(differing) > 0 {
			word = "differs:"
		}
		fmt.Fprintf(&b, "%-12s %s\n", word, events[j])
		for _, d := range differing {
			fmt.Fprintf(&b, "%13s%s%s\n", "", indent, d)
		}
		i, j = i+1, j+1
	}
	if len(events) == 0 {
		list(&b, events)
	}
	return b.String()
}

// align pairs wanted with recorded events, both in their order, such that as
// many as possible fit and, after that, come near to each other.
func align(want []Event, events []audit.Event) (pairs [][2]int) {
	const fit = 1 << 20 // more than nearness can add up to
	value := make([][]int, len(want))
	best := make([][]int, len(want)+1) // of want[i:] and events[j:]
	best[len(want)] = make([]int, len(events)+1)
	for i := len(want) - 1; i >= 0; i-- {
		value[i], best[i] = make([]int, len(events)), make([]int, len(events)+1)
		for j := len(events) - 1; j >= 0; j-- {
			switch c := want[i].compare(events[j]); {
			case c.equal():
				value[i][j] = fit
			case c.near():
				value[i][j] = c.score
			}
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if v := value[i][j]; v > 0 {
				best[i][j] = max(best[i][j], v+best[i+1][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(want) && j < len(events); {
		switch {
		case value[i][j] > 0 && best[i][j] == value[i][j]+best[i+1][j+1]:
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case best[i][j] == best[i+1][j]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// notEmpty tells what was recorded though nothing should have been.
func notEmpty(events []audit.Event) string {
	var b strings.Builder
	b.WriteString("audittest: nothing should have been recorded\n\n")
	list(&b, events)
	return b.String()
}

// notWanted tells that the event at i should not have been recorded.
func notWanted(unwanted Event, i int, events []audit.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "audittest: an event should not have been recorded\n\nunwanted:\n%s%s\nevent %d is one:\n%s%s\n", indent, unwanted, i+1, indent, events[i])
	list(&b, events)
	return b.String()
}

// list writes the newest events, oldest first.
func list(b *strings.Builder, events []audit.Event) {
	if len(events) == 0 {
		b.WriteString("nothing was recorded (events of a transaction are when it is committed)\n")
		return
	}
	b.WriteString("recorded, oldest first:\n")
	first := max(0, len(events)-maxListed)
	if first > 0 {
		fmt.Fprintf(b, "%s… %d older ones\n", indent, first)
	}
	for i, e := range events[first:] {
		fmt.Fprintf(b, "%s%d. %s\n", indent, first+i+1, e)
	}
}
