package retention

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

const day = 24 * time.Hour

func TestPoliciesThatCannotBeFollowedAreRefused(t *testing.T) {
	t.Parallel()
	project, tag := []audit.EntityType{audit.TypeProject}, []audit.EntityType{audit.TypeTag, audit.TypeProject}
	for name, c := range map[string]struct {
		policy Policy
		says   string
	}{
		"under a day":              {Policy{Keep: day - 1}, "Keep is 23h59m59.999999999s, events are kept for at least 24h0m0s"},
		"negative":                 {Policy{Keep: -1}, "Keep is -1ns"},
		"a rule under a day":       {Policy{Rules: []Rule{{Types: project, Keep: time.Hour}}}, "Rules[0].Keep is 1h0m0s"},
		"a rule without a time":    {Policy{Rules: []Rule{{Types: project}}}, "Rules[0].Keep is 0s"},
		"a rule for nothing":       {Policy{Rules: []Rule{{Keep: day}}}, "Rules[0] names neither a workspace nor a type"},
		"an empty workspace":       {Policy{Rules: []Rule{{Workspaces: []string{"w1", ""}, Keep: day}}}, "Rules[0] names an empty workspace or type"},
		"the log itself":           {Policy{Rules: []Rule{{Types: []audit.EntityType{audit.TypeLog}, Keep: day}}}, `Rules[0] names the type "audit_log"`},
		"two rules for a type":     {Policy{Rules: []Rule{{Types: project, Keep: day}, {Types: tag, Keep: 2 * day}}}, `Rules[0] and Rules[1] overlap: both are for type "project"`},
		"the same rule twice":      {Policy{Rules: []Rule{{Workspaces: []string{"w1"}, Keep: day}, {Workspaces: []string{"w2", "w1"}, Keep: day}}}, `both are for workspace "w1"`},
		"both named twice":         {Policy{Rules: []Rule{{Workspaces: []string{"w1"}, Types: tag, Keep: day}, {Workspaces: []string{"w1"}, Types: project, Keep: day}}}, `both are for workspace "w1" and type "project"`},
		"workspace against type":   {Policy{Rules: []Rule{{Workspaces: []string{"w1"}, Keep: day}, {Types: tag, Keep: day}}}, `both are for workspace "w1" and type "tag"`},
		"settled for one of two":   {Policy{Rules: []Rule{{Workspaces: []string{"w1"}, Keep: day}, {Types: tag, Keep: day}, {Workspaces: []string{"w1"}, Types: []audit.EntityType{audit.TypeTag}, Keep: day}}}, `both are for workspace "w1" and type "project"`},
		"too many types":           {Policy{Rules: []Rule{{Types: manyTypes(501), Keep: day}}}, "Rules name 501 types, more than 500"},
		"a hold of nothing":        {Policy{Holds: []audit.Filter{{}}}, "Holds[0]: audit: invalid filter: Except[0] is empty"},
		"a hold with an Except":    {Policy{Holds: []audit.Filter{{Workspace: "w1", Except: []audit.Filter{{Text: "x"}}}}}, "so it has no Except"},
		"a hold that is no filter": {Policy{Holds: []audit.Filter{{Workspace: "w1", Types: []audit.EntityType{""}}}}, "Types holds an empty type"},
	} {
		err := c.policy.Validate()
		require.ErrorIs(t, err, ErrPolicy, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func manyTypes(n int) (types []audit.EntityType) {
	for i := range n {
		types = append(types, audit.EntityType(fmt.Sprint("t", i)))
	}
	return types
}

func TestTheMostSpecificRuleCounts(t *testing.T) {
	t.Parallel()
	p := Policy{Keep: 100 * day, Rules: []Rule{
		{Workspaces: []string{"w1"}, Types: []audit.EntityType{audit.TypeTag}, Keep: 30 * day},
		{Workspaces: []string{"w1"}, Keep: 200 * day},
		{Types: []audit.EntityType{audit.TypeTag}, Keep: 300 * day},
		{Workspaces: []string{"w2"}, Types: []audit.EntityType{audit.TypeProject}, Keep: Forever},
	}}
	require.NoError(t, p.Validate())
	for _, c := range []struct {
		workspace string
		kind      audit.EntityType
		keep      time.Duration
	}{
		{"w1", audit.TypeTag, 30 * day},
		{"w1", audit.TypeProject, 200 * day},
		{"w1", audit.TypeLog, 200 * day}, // as long as anything else
		{"w2", audit.TypeTag, 300 * day},
		{"w2", audit.TypeProject, Forever},
		{"w2", audit.TypeClient, 100 * day},
		{"w2", audit.TypeLog, Forever},
		{"w3", audit.TypeTag, 300 * day},
		{"w3", audit.TypeProject, 100 * day},
		{"w3", audit.TypeLog, 300 * day},
	} {
		l := p.plan(c.workspace, nil)
		keep, own := l.types[c.kind]
		if !own {
			keep = l.keep
		}
		require.Equal(t, c.keep, keep, "%s %s", c.workspace, c.kind)
	}
	require.Equal(t, DefaultKeep, Policy{}.plan("w1", nil).keep)
}

// TestWindowsFindWhatHasExpired compares, for each hour of three months, whether an
// event is found by the window around it with what the policy says.
func TestWindowsFindWhatHasExpired(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 17, 12, 0, 0, 0, time.UTC)
	p := Policy{Keep: 40 * day, Rules: []Rule{
		{Types: []audit.EntityType{"short"}, Keep: 20 * day},
		{Types: []audit.EntityType{"long"}, Keep: 60 * day},
		{Types: []audit.EntityType{"forever"}, Keep: Forever},
	}, Holds: []audit.Filter{{Actors: []audit.Actor{{ID: "7"}}}, {Workspace: "w2", Text: "x"}, {Workspace: "w1", Fields: []string{"price"}}}}
	require.NoError(t, p.Validate())
	keeps := map[audit.EntityType]time.Duration{"short": 20 * day, "long": 60 * day, "forever": Forever, "other": 40 * day, audit.TypeLog: Forever}
	for _, months := range []bool{false, true} {
		l := p.plan("w1", p.Holds)
		b := l.bounds(now, months)
		require.Len(t, l.holds, 2)
		found := 0
		for at := now.AddDate(0, -3, 0); at.Before(b.latest()); at = at.Add(time.Hour) {
			f := l.window(b, at)
			require.NoError(t, f.Validate())
			require.True(t, !at.Before(f.From) && at.Before(f.To) && f.From.Month() == f.To.Add(-1).Month())
			for kind, keep := range keeps {
				bound := now.Add(-keep)
				if months {
					bound = time.Date(bound.Year(), bound.Month(), 1, 0, 0, 0, 0, time.UTC)
				}
				e := audit.Event{Workspace: "w1", Time: at, Entity: audit.Entity{Type: kind, ID: "1"}}
				require.Equal(t, at.Before(bound), f.Matches(e), "%s %s %s", kind, at, fmt.Sprint(f))
				held, priced := e, e
				held.Actor.ID = "7"
				priced.Changes = []audit.Change{{Field: "price"}}
				require.False(t, f.Matches(held) || f.Matches(priced))
				if at.Before(bound) {
					found++
				}
			}
		}
		require.Positive(t, found)
	}
}

func TestAHoldOfAWorkspaceHoldsAllOfIt(t *testing.T) {
	t.Parallel()
	p := Policy{Holds: []audit.Filter{{Workspace: "w1"}}}
	require.NoError(t, p.Validate())
	require.True(t, p.plan("w1", p.Holds).held)
	require.False(t, p.plan("w2", p.Holds).held)
}

func TestBatchesAreAsLargeAsTimeAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size int
		took time.Duration
		want int
	}{
		{100, 0, 200},
		{100, -time.Second, 200},
		{100, time.Millisecond, 200},
		{100, 50 * time.Millisecond, 100},
		{100, 75 * time.Millisecond, 66},
		{100, time.Second, 50},
		{10, time.Hour, 10},
		{15, time.Hour, 10},
		{800, time.Millisecond, 1000},
		{1000, 49 * time.Millisecond, 1000},
	} {
		require.Equal(t, c.want, nextSize(c.size, c.took), "%d in %s", c.size, c.took)
	}
}
