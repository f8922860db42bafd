package retention

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

const (
	// DefaultKeep is how long events are kept if nothing else is said (Clockify,
	// Audit log: "one year").
	DefaultKeep = 365 * 24 * time.Hour
	// MinKeep is the shortest time.
	MinKeep = 24 * time.Hour
	// Forever keeps events whatever their age.
	Forever = time.Duration(math.MaxInt64)
)

// ErrPolicy is returned for a policy that cannot be followed. Nothing is deleted.
var ErrPolicy = errors.New("retention: the policy cannot be followed")

// Policy says how long events are kept. The zero Policy keeps them for
// [DefaultKeep].
type Policy struct {
	// Keep is for all that no rule is for. 0 is DefaultKeep; less than [MinKeep]
	// is refused.
	Keep time.Duration

	// Rules are exceptions. Of several that are for an event the most specific
	// one counts, however long or short it keeps: one that names both the
	// workspace and the type before one that names either, and that before Keep.
	// Two that are equally specific overlap, which is refused: also one that
	// names a workspace and one that names a type, unless further rules settle
	// each of the workspaces with each of the types.
	Rules []Rule

	// Holds are the events that are kept whatever their age (legal hold): those
	// that one of the filters finds. A hold without a workspace is for all of
	// them; it has to ask for something then. It has no Except.
	Holds []audit.Filter
}

// Rule is an exception of a [Policy]. It names workspaces, types or both.
type Rule struct {
	// Workspaces are those it is for. Empty is every workspace.
	Workspaces []string
	// Types are those it is for. Empty is every type. audit.TypeLog is refused:
	// what the log tells of itself is kept as long as the workspace's events
	// that are kept longest.
	Types []audit.EntityType
	// Keep is how long. It is required; less than [MinKeep] is refused.
	Keep time.Duration
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrPolicy, fmt.Sprintf(format, args...))
}

// maxTypes is how many types rules may name, so that a filter can leave them out and
// has room for holds.
const maxTypes = 500

// Validate returns an error that wraps [ErrPolicy] and names the field if the policy
// cannot be followed: a time under a day, rules that overlap or name more than 500
// types, a hold that is no filter.
func (p Policy) Validate() error {
	if p.Keep != 0 && p.Keep < MinKeep {
		return refused("Keep is %s, events are kept for at least %s", p.Keep, MinKeep)
	}
	for i, r := range p.Rules {
		switch {
		case r.Keep < MinKeep:
			return refused("Rules[%d].Keep is %s, events are kept for at least %s", i, r.Keep, MinKeep)
		case len(r.Workspaces) == 0 && len(r.Types) == 0:
			return refused("Rules[%d] names neither a workspace nor a type; set Policy.Keep instead", i)
		case slices.Contains(r.Workspaces, "") || slices.Contains(r.Types, ""):
			return refused("Rules[%d] names an empty workspace or type", i)
		case slices.Contains(r.Types, audit.TypeLog):
			return refused("Rules[%d] names the type %q, which is kept as long as anything else of its workspace", i, audit.TypeLog)
		}
		for j := range i {
			if err := p.overlap(j, i); err != nil {
				return err
			}
		}
	}
	types := map[audit.EntityType]bool{}
	for _, r := range p.Rules {
		for _, t := range r.Types {
			types[t] = true
		}
	}
	if len(types) > maxTypes {
		return refused("Rules name %d types, more than %d", len(types), maxTypes)
	}
	for i, hold := range p.Holds {
		if err := checkHold(hold); err != nil {
			return refused("Holds[%d]: %s", i, err)
		}
	}
	return nil
}

// overlap returns an error if two rules are for the same events and none is more
// specific.
func (p Policy) overlap(i, j int) error {
	a, b := p.Rules[i], p.Rules[j]
	if a.specific() != b.specific() {
		return nil
	}
	for _, w := range common(a.Workspaces, b.Workspaces) {
		for _, t := range common(a.Types, b.Types) {
			if a.specific() == 1 && slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.specific() == 2 && r.covers(w, t) }) {
				continue
			}
			return refused("Rules[%d] and Rules[%d] overlap: both are for %s; let one of them leave it out, or add a rule that names both the workspace and the type", i, j, named(w, t))
		}
	}
	return nil
}

// common are the elements of two lists of which an empty one is everything. What
// stands for everything is the zero value.
func common[T comparable](a, b []T) []T {
	switch {
	case len(a) == 0 && len(b) == 0:
		var everything T
		return []T{everything}
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(v T) bool { return !slices.Contains(b, v) })
}

func named(w string, t audit.EntityType) string {
	var parts []string
	if w != "" {
		parts = append(parts, fmt.Sprintf("workspace %q", w))
	}
	if t != "" {
		parts = append(parts, fmt.Sprintf("type %q", t))
	}
	return strings.Join(parts, " and ")
}

// specific is how much the rule names.
func (r Rule) specific() int {
	n := 0
	if len(r.Workspaces) > 0 {
		n++
	}
	if len(r.Types) > 0 {
		n++
	}
	return n
}

func (r Rule) covers(workspace string, t audit.EntityType) bool {
	return (len(r.Workspaces) == 0 || slices.Contains(r.Workspaces, workspace)) && (len(r.Types) == 0 || slices.Contains(r.Types, t))
}

func checkHold(hold audit.Filter) error {
	content := withoutWorkspace(hold)
	switch {
	case len(hold.Except) > 0:
		return errors.New("a hold leaves nothing out, so it has no Except")
	case hold.Workspace != "" && asksForNothing(content):
		return nil
	}
	return (audit.Filter{Workspace: "any", Except: []audit.Filter{content}}).Validate()
}

// stored is the policy with its names as events have them.
func (p Policy) stored() Policy {
	rules := slices.Clone(p.Rules)
	for i, r := range rules {
		rules[i].Types = audit.Filter{Types: r.Types}.Stored().Types
		rules[i].Workspaces = storedWorkspaces(r.Workspaces)
	}
	p.Rules, p.Holds = rules, slices.Clone(p.Holds)
	for i, hold := range p.Holds {
		p.Holds[i] = hold.Stored()
	}
	return p
}

func storedWorkspaces(names []string) []string {
	stored := make([]string, len(names))
	for i, name := range names {
		stored[i] = audit.Filter{Workspace: name}.Stored().Workspace
	}
	return stored
}

func withoutWorkspace(f audit.Filter) audit.Filter {
	f.Workspace = ""
	return f
}

// plan is how long the events of one workspace are kept.
type plan struct {
	workspace string
	keep      time.Duration // of every type that types does not name
	types     map[audit.EntityType]time.Duration
	holds     []audit.Filter
	more      []audit.Filter // holds for which a filter has no room
	held      bool           // all of it
}

// plan makes that of a workspace. The policy is valid.
func (p Policy) plan(workspace string, holds []audit.Filter) plan {
	l := plan{workspace: workspace, keep: p.Keep, types: map[audit.EntityType]time.Duration{}}
	if l.keep == 0 {
		l.keep = DefaultKeep
	}
	rules := slices.Clone(p.Rules)
	slices.SortStableFunc(rules, func(a, b Rule) int { return a.specific() - b.specific() })
	for _, r := range rules { // the most specific last
		if len(r.Workspaces) > 0 && !slices.Contains(r.Workspaces, workspace) {
			continue
		}
		if len(r.Types) == 0 {
			l.keep = r.Keep
		}
		for _, t := range r.Types {
			l.types[t] = r.Keep
		}
	}
	longest := l.keep
	for keep := range maps.Values(l.types) {
		longest = max(longest, keep)
	}
	l.types[audit.TypeLog] = longest
	for _, hold := range holds {
		if hold.Workspace != "" && hold.Workspace != workspace {
			continue
		}
		if hold = withoutWorkspace(hold); asksForNothing(hold) {
			l.held = true
		} else {
			l.holds = append(l.holds, hold)
		}
	}
	l.holds, l.more = l.fitting(l.holds)
	return l
}

// fitting are the first of the holds, as many as one filter can leave out, and the
// others. A window may leave out all types besides.
func (l plan) fitting(holds []audit.Filter) (fit, more []audit.Filter) {
	types := []audit.Filter{{Types: slices.Collect(maps.Keys(l.types))}}
	n := sort.Search(len(holds), func(i int) bool {
		return (audit.Filter{Workspace: "any", Except: slices.Concat(types, holds[:i+1])}).Validate() != nil
	})
	return holds[:n:n], holds[n:]
}

// holdsBack reports whether a hold keeps an event of the workspace.
func (l plan) holdsBack(e audit.Event) bool {
	matches := func(hold audit.Filter) bool {
		hold.Workspace = l.workspace
		return hold.Matches(e)
	}
	return l.held || slices.ContainsFunc(l.holds, matches) || slices.ContainsFunc(l.more, matches)
}

// asksForNothing reports whether a hold without its workspace is for everything.
func asksForNothing(hold audit.Filter) bool {
	v := reflect.ValueOf(hold)
	for i := range v.NumField() {
		if field := v.Field(i); field.Kind() == reflect.Slice && field.Len() > 0 || field.Kind() != reflect.Slice && !field.IsZero() {
			return false
		}
	}
	return true
}

// before is the time before which events that are kept so long have expired, zero if
// none ever does. Archives are of whole months, so their events expire by the month.
func (l plan) before(keep time.Duration, now time.Time, months bool) time.Time {
	if keep == Forever {
		return time.Time{}
	}
	before := now.Add(-keep).UTC().Truncate(time.Microsecond)
	if months {
		before = monthStart(before)
	}
	return before
}

// bounds are the times before which the events of each type, and of every other
// one, have expired.
type bounds struct {
	other time.Time
	types map[audit.EntityType]time.Time
}

func (l plan) bounds(now time.Time, months bool) bounds {
	b := bounds{other: l.before(l.keep, now, months), types: map[audit.EntityType]time.Time{}}
	for t, keep := range l.types {
		b.types[t] = l.before(keep, now, months)
	}
	return b
}

// expired reports whether an event of that time has expired by a bound.
func expired(at, bound time.Time) bool { return !bound.IsZero() && at.Before(bound) }

// latest is the time from which on nothing has expired, zero if nothing has.
func (b bounds) latest() time.Time {
	last := b.other
	for _, t := range b.types {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// window is the filter of what has expired around a time, at which something has:
// within its month and between the bounds, so that the same types have expired in
// all of it.
func (l plan) window(b bounds, at time.Time) audit.Filter {
	from := monthStart(at)
	to := from.AddDate(0, 1, 0)
	narrow := func(bound time.Time) {
		switch {
		case bound.IsZero(): // is none
		case bound.After(at) && bound.Before(to):
			to = bound
		case !bound.After(at) && bound.After(from):
			from = bound
		}
	}
	narrow(b.other)
	for _, bound := range b.types {
		narrow(bound)
	}
	f := audit.Filter{Workspace: l.workspace, From: from, To: to, Except: slices.Clone(l.holds)}
	var gone, kept []audit.EntityType
	for _, t := range slices.Sorted(maps.Keys(b.types)) {
		if expired(at, b.types[t]) {
			gone = append(gone, t)
		} else {
			kept = append(kept, t)
		}
	}
	switch {
	case !expired(at, b.other):
		f.Types = gone
	case len(kept) > 0:
		f.Except = append(f.Except, audit.Filter{Types: kept})
	}
	return f
}

// monthStart is the first moment of a time's month. The first month of all begins with
// the zero time, which for a filter is no bound, so it holds what is older.
func monthStart(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 {
		return time.Time{}
	}
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}
