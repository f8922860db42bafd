package retention_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/retention"
)

// ancient is an event of a time at which no log was kept.
func ancient(n int, at time.Time) audit.Event {
	e := event("w1", audit.TypeProject, 0, n)
	e.Time = at
	return e
}

func TestTheZeroTimeIsNoBoundOfAPurge(t *testing.T) {
	t.Parallel()
	young := []audit.Event{event("w1", audit.TypeProject, 30, 1), event("w1", audit.TypeTag, 0, 1)}
	for name, at := range map[string]time.Time{
		"the zero time":                {},
		"the month of the zero time":   time.Time{}.Add(time.Hour),
		"the month before it":          time.Time{}.Add(-time.Hour),
		"the month after it":           time.Time{}.AddDate(0, 1, 0),
		"centuries ago":                time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC),
		"long before anything at all":  time.Date(-40, 6, 1, 0, 0, 0, 0, time.UTC),
		"the first moment of a year 0": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			old := ancient(1, at)
			r := newRig(t, false, append([]audit.Event{old}, young...)...)
			result, err := r.keeper(t).Purge(context.Background())
			require.NoError(t, err)
			require.Equal(t, 1, result.Events)
			left, _ := r.left()
			require.Equal(t, young, left)

			r = newRig(t, false, append([]audit.Event{old}, young...)...)
			r.cfg.Policy.Holds = []audit.Filter{{Workspace: "w1", IDs: []uuid.UUID{old.ID}}}
			result, err = r.keeper(t).Purge(context.Background())
			require.NoError(t, err)
			require.Zero(t, result, "what is held is kept, and there is an end")

			r = newRig(t, false, append([]audit.Event{old}, young...)...)
			r.cfg.Policy = retention.Policy{Keep: retention.Forever}
			result, err = r.keeper(t).Purge(context.Background())
			require.NoError(t, err)
			require.Zero(t, result, "what is kept forever has no age")

			r = newRig(t, false, append([]audit.Event{old}, young...)...)
			r.cfg.Policy = retention.Policy{Keep: retention.Forever, Rules: []retention.Rule{{Types: []audit.EntityType{audit.TypeTag}, Keep: retention.MinKeep}}}
			result, err = r.keeper(t).Purge(context.Background())
			require.NoError(t, err)
			require.Zero(t, result)
		})
	}
}

func TestWhatTheLogWritesOtherwiseIsMeantAllTheSame(t *testing.T) {
	t.Parallel()
	long, nul := strings.Repeat("x", 250), "a\x00b"
	for _, name := range []string{long, nul} {
		at := now.Add(-400 * day)
		record := func(e audit.Event) *rig {
			r := newRig(t, false)
			rec, err := audit.New(r.store, &audit.Config{Now: func() time.Time { return at }})
			require.NoError(t, err)
			require.NoError(t, rec.Record(context.Background(), e))
			recent := e
			rec, err = audit.New(r.store, &audit.Config{Now: func() time.Time { return now }})
			require.NoError(t, err)
			require.NoError(t, rec.Record(context.Background(), recent))
			return r
		}
		inWorkspace := audit.Event{Workspace: name, Operation: audit.Updated, Entity: audit.Entity{Type: "project", ID: "1"}}
		ofType := audit.Event{Workspace: "w1", Operation: audit.Updated, Entity: audit.Entity{Type: audit.EntityType(name), ID: "1"}}
		ofID := audit.Event{Workspace: "w1", Operation: audit.Updated, Entity: audit.Entity{Type: "project", ID: name}}
		years := 20 * 365 * day
		for _, c := range []struct {
			what   string
			event  audit.Event
			cfg    retention.Config
			purged int
		}{
			{"a workspace that is purged", inWorkspace, retention.Config{Workspaces: []string{name, name}}, 1},
			{"a workspace that is held", inWorkspace, retention.Config{Policy: retention.Policy{Holds: []audit.Filter{{Workspace: name}}}}, 0},
			{"a rule for a workspace", inWorkspace, retention.Config{Policy: retention.Policy{Rules: []retention.Rule{{Workspaces: []string{name}, Keep: years}}}}, 0},
			{"a rule for a type", ofType, retention.Config{Policy: retention.Policy{Rules: []retention.Rule{{Types: []audit.EntityType{audit.EntityType(name)}, Keep: years}}}}, 0},
		} {
			r := record(c.event)
			c.cfg.Now = r.cfg.Now
			r.cfg = c.cfg
			result, err := r.keeper(t).Purge(context.Background())
			require.NoError(t, err, c.what)
			require.Equal(t, c.purged, result.Events, c.what)
		}
		for what, c := range map[string]struct {
			event audit.Event
			hold  audit.Filter
		}{
			"a type":          {ofType, audit.Filter{Types: []audit.EntityType{audit.EntityType(name)}}},
			"an action":       {ofType, audit.Filter{Actions: []audit.Action{{Type: audit.EntityType(name), Operation: audit.Updated}}}},
			"a record's type": {ofType, audit.Filter{Entities: []audit.Entity{{Type: audit.EntityType(name), ID: "1"}}}},
			"a record":        {ofID, audit.Filter{Entities: []audit.Entity{{Type: "project", ID: name}}}},
		} {
			r := record(c.event)
			r.cfg.Policy.Holds = []audit.Filter{c.hold}
			k, err := retention.New(r.rec, &r.cfg)
			if name == nul {
				require.ErrorIs(t, err, retention.ErrPolicy, what) // as every query refuses it
				continue
			}
			require.NoError(t, err, what)
			result, err := k.Purge(context.Background())
			require.NoError(t, err, what)
			require.Zero(t, result, what)
		}
	}
}

func TestAHoldThatIsSetDuringAPurgeKeepsWhatIsStillThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, event("w1", audit.TypeProject, 400, 1), event("w1", audit.TypeTag, 500, 1), event("w1", audit.TypeProject, 500, 2))
	r.cfg.MaxGap = -1
	asked := 0
	r.cfg.Holds = func(context.Context) ([]audit.Filter, error) {
		if asked++; asked <= 2 { // at the beginning and before the first month is deleted
			return nil, nil
		}
		return []audit.Filter{{Types: []audit.EntityType{audit.TypeTag}}}, nil
	}
	result, err := r.keeper(t).Purge(context.Background())
	require.NoError(t, err)
	require.Equal(t, 2, result.Events)
	left, _ := r.left()
	require.Equal(t, []audit.Event{event("w1", audit.TypeTag, 500, 1)}, left)
}

func TestMoreHoldsThanAFilterHasRoomForAreFollowed(t *testing.T) {
	t.Parallel()
	const holds = 1500
	for _, archived := range []bool{false, true} {
		var events []audit.Event
		for n := range holds + 10 {
			events = append(events, event("w1", audit.TypeProject, 500, n))
		}
		recent := event("w1", audit.TypeProject, 0, 0)
		r := newRig(t, archived, append(slices.Clone(events), recent)...)
		for n := range holds {
			r.cfg.Policy.Holds = append(r.cfg.Policy.Holds, audit.Filter{Entities: []audit.Entity{{Type: audit.TypeProject, ID: strconv.Itoa(n)}}})
		}
		r.cfg.Share = 1
		result, err := r.keeper(t).Purge(context.Background())
		require.NoError(t, err)
		require.Equal(t, 10, result.Events)
		left, _ := r.left()
		require.Equal(t, append(events[:holds:holds], recent), left)
	}
}

func TestHoldsAndTypesHaveRoomInOneFilter(t *testing.T) {
	t.Parallel()
	for _, holds := range []int{499, 500, 998, 999, 1000} {
		r := newRig(t, false, event("w1", audit.TypeProject, 400, 1), event("w1", audit.TypeTag, 400, 3), event("w1", audit.TypeProject, 1, 1))
		hold := audit.Filter{Workspace: "w1"}
		for i := range holds {
			hold.Entities = append(hold.Entities, audit.Entity{Type: audit.TypeTag, ID: strconv.Itoa(i)})
		}
		longer := retention.Rule{Keep: 7 * 365 * day}
		for i := range 500 {
			longer.Types = append(longer.Types, audit.EntityType(fmt.Sprint("t", i)))
		}
		r.cfg.Policy = retention.Policy{Rules: []retention.Rule{longer}, Holds: []audit.Filter{hold}}
		result, err := r.keeper(t).Purge(context.Background())
		require.NoError(t, err, holds)
		require.Equal(t, 1, result.Events, holds)
		left, _ := r.left()
		require.Equal(t, []audit.Event{event("w1", audit.TypeTag, 400, 3), event("w1", audit.TypeProject, 1, 1)}, left, holds)
	}
}

func TestHoldsThatCannotBeKnownAnyMoreStopThePurgeOfAll(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, event("w1", audit.TypeProject, 400, 1), event("w2", audit.TypeProject, 400, 2), event("w2", audit.TypeProject, 1, 3))
	r.cfg.MaxGap = -1
	asked := 0
	r.cfg.Holds = func(context.Context) ([]audit.Filter, error) {
		if asked++; asked == 2 {
			return nil, errors.New("no answer")
		}
		return nil, nil
	}
	_, err := r.keeper(t).Purge(context.Background())
	require.EqualError(t, err, `retention: purge workspace "w1": retention: Config.Holds: no answer`)
	require.Len(t, r.store.All(), 3)
}
