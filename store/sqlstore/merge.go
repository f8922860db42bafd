package sqlstore

import (
	"cmp"
	"strings"

	"github.com/gormtrail/audit"
)

const (
	// maxMerged is the number of authors whose events are merged. The more they
	// are, the more of all events are theirs, and the longer is the statement.
	maxMerged = 16
	// maxMergedArgs bounds the variables of a statement that says all
	// conditions once for each author.
	maxMergedArgs = 4000
)

// apart are filters that together find what f does, each the events of one of
// its authors: the events of one are in the order of an index, those of several
// are not. A database that is asked for several at once reads all events of the
// range, or all that the authors have in it, to find a page. Asked for each, it
// takes from each as many as it needs. There is one filter, f itself, if it has
// no authors or too many of them, or something that finds fewer events.
func (d Dialect) apart(f audit.Filter) []audit.Filter {
	if len(f.Actors) < 2 || len(f.Entities) > 0 || isFew(f) {
		return []audit.Filter{f}
	}
	var parts []audit.Filter
	seen := map[audit.Actor]bool{}
	for i, a := range f.Actors {
		same := audit.Actor{Kind: cmp.Or(a.Kind, audit.KindUser), ID: a.ID}
		if d == MySQL { // which passes over spaces at the end
			same.Kind = audit.ActorKind(strings.TrimRight(string(same.Kind), " "))
			same.ID = strings.TrimRight(same.ID, " ")
		}
		if seen[same] {
			continue
		}
		if seen[same] = true; len(seen) > maxMerged {
			return []audit.Filter{f}
		}
		part := f
		part.Actors = f.Actors[i : i+1]
		parts = append(parts, part)
	}
	return parts
}
