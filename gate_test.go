package audit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func records(t *testing.T, g audit.Gate, workspace string, kind audit.EntityType) bool {
	t.Helper()
	on, err := g.Records(context.Background(), nil, workspace, kind)
	require.NoError(t, err)
	return on
}

func TestSwitchRecordsWhatIsOn(t *testing.T) {
	t.Parallel()
	var s audit.Switch
	require.False(t, records(t, &s, "w1", audit.TypeProject), "nothing is recorded at first")
	s.Set("w1", true)
	require.False(t, records(t, &s, "w1", audit.TypeProject), "no type is on at first")
	s.SetType("w1", true, audit.TypeProject, audit.TypeTask)
	require.True(t, records(t, &s, "w1", audit.TypeProject))
	require.True(t, records(t, &s, "w1", audit.TypeTask))
	require.False(t, records(t, &s, "w1", audit.TypeTag), "types are on one by one")
	require.False(t, records(t, &s, "w2", audit.TypeProject), "workspaces have switches of their own")
	s.SetType("w1", false, audit.TypeTask)
	require.False(t, records(t, &s, "w1", audit.TypeTask))
	require.True(t, records(t, &s, "w1", audit.TypeProject))
	s.Set("w1", false)
	require.False(t, records(t, &s, "w1", audit.TypeProject))
	s.Set("w1", true)
	require.True(t, records(t, &s, "w1", audit.TypeProject), "types keep their positions")
	s.SetType("w2", true)
	require.False(t, records(t, &s, "w2", ""))
}

func TestSwitchIsTurnedWhileItIsInUse(t *testing.T) {
	t.Parallel()
	var (
		s     audit.Switch
		group sync.WaitGroup
	)
	const workers = 32
	for i := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			workspace, kind := fmt.Sprint("w", i%4), audit.EntityType(fmt.Sprint("t", i))
			for range 100 {
				s.SetType(workspace, true, kind)
				s.Set(workspace, true)
				if on, err := s.Records(context.Background(), nil, workspace, kind); err != nil || !on {
					t.Errorf("%s in %s was turned on and is off, %v", kind, workspace, err)
				}
				s.SetType(workspace, false, kind)
				if on, _ := s.Records(context.Background(), nil, workspace, kind); on {
					t.Errorf("%s in %s was turned off and is on", kind, workspace)
				}
			}
			s.SetType(workspace, true, kind)
		}()
	}
	group.Wait()
	for i := range workers {
		require.True(t, records(t, &s, fmt.Sprint("w", i%4), audit.EntityType(fmt.Sprint("t", i))), "no turn of a switch is lost")
	}
}

func TestRecorderAsksTheGateForEachEvent(t *testing.T) {
	t.Parallel()
	type question struct {
		workspace string
		kind      audit.EntityType
	}
	var asked []question
	r, store := newRecorder(t, &audit.Config{Gate: audit.GateFunc(func(_ context.Context, tx audit.DBTX, w string, kind audit.EntityType) (bool, error) {
		require.Nil(t, tx)
		asked = append(asked, question{w, kind})
		return kind == audit.TypeTask, nil
	})})
	event := func(w string, kind audit.EntityType) audit.Event {
		return audit.Event{Workspace: w, Operation: audit.Updated, Entity: audit.Entity{Type: kind, ID: "1"}}
	}
	require.NoError(t, r.Record(context.Background(), event("w1", audit.TypeTask), event("w2", audit.TypeTag), event("", audit.TypeTask), event("w1", audit.TypeSettings)))
	require.Equal(t, []question{{"w1", audit.TypeTask}, {"w2", audit.TypeTag}, {audit.DefaultWorkspace, audit.TypeTask}}, asked)
	all := store.All()
	require.Len(t, all, 3)
	for _, e := range all {
		require.NotEqual(t, audit.TypeTag, e.Entity.Type)
	}
	require.NoError(t, r.Record(context.Background(), event("w1", audit.TypeTag)))
	require.Len(t, store.All(), 3)
}
