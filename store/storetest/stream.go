package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// streamRules are the rules of [audit.Streamer].
var streamRules = []rule[audit.Store]{
	{
		"Stream/ReadsWhatListReturns",
		"Stream calls its reader with the events that List returns, in its order, whatever their texts hold",
		func(t *testing.T, store audit.Store) {
			streamer := ability[audit.Streamer](t, store)
			events := series(20)
			for i := range events {
				e := &events[i]
				switch i % 4 {
				case 0:
					e.Entity.Type = audit.TypeTag
				case 1:
					e.Entity.Label = "a unit\x1fseparator" // stands between columns in some stores
				case 2:
					e.Actor = audit.Actor{Kind: audit.KindUser, ID: "18", Name: "\x1f"}
				}
			}
			require.NoError(t, store.Append(context.Background(), events))
			for name, f := range map[string]audit.Filter{
				"all":              {Workspace: workspace},
				"some":             {Workspace: workspace, Types: []audit.EntityType{audit.TypeTag}},
				"of several":       {Workspace: workspace, Actors: []audit.Actor{events[0].Actor, events[2].Actor}},
				"within times":     {Workspace: workspace, From: events[3].Time, To: events[11].Time},
				"but some":         {Workspace: workspace, Except: []audit.Filter{{Types: []audit.EntityType{audit.TypeTag}}}},
				"with a field":     {Workspace: workspace, Fields: []string{"name"}},
				"nothing":          {Workspace: workspace, Origins: []audit.Origin{"nowhere"}},
				"of another place": {Workspace: "elsewhere"},
			} {
				streamed := []audit.Event{}
				require.NoError(t, streamer.Stream(context.Background(), f, func(e *audit.Event) error {
					streamed = append(streamed, kept(e))
					return nil
				}), name)
				requireSame(t, list(t, store, f), streamed)
			}
		},
	},
	{
		"Stream/EndsWithItsReader",
		"a reader may stop anywhere, and everything is free then",
		func(t *testing.T, store audit.Store) {
			streamer := ability[audit.Streamer](t, store)
			require.NoError(t, store.Append(context.Background(), series(5)))
			enough := errors.New("enough")
			for range 50 { // more than there are connections
				err := streamer.Stream(context.Background(), audit.Filter{Workspace: workspace}, func(e *audit.Event) error {
					require.Equal(t, id(5), e.ID, "the newest")
					return enough
				})
				require.ErrorIs(t, err, enough)
			}
			require.Len(t, list(t, store, audit.Filter{Workspace: workspace}), 5)
		},
	},
	{
		"Stream/RefusesWhatListRefuses",
		"Stream returns the errors of List",
		func(t *testing.T, store audit.Store) {
			streamer := ability[audit.Streamer](t, store)
			require.NoError(t, store.Append(context.Background(), series(5)))
			refused := func(ctx context.Context, f audit.Filter, want error) {
				t.Helper()
				require.ErrorIs(t, streamer.Stream(ctx, f, func(*audit.Event) error {
					require.Fail(t, "there is an event")
					return nil
				}), want)
			}
			refused(context.Background(), audit.Filter{}, audit.ErrInvalidFilter)
			refused(cancelled(), audit.Filter{Workspace: workspace}, context.Canceled)
		},
	},
}

// kept is a copy of an event that is good until the next one.
func kept(e *audit.Event) audit.Event {
	whole := *e
	whole.Changes = slices.Clone(e.Changes)
	for i := range whole.Changes {
		c := &whole.Changes[i]
		c.Before.JSON, c.After.JSON = bytes.Clone(c.Before.JSON), bytes.Clone(c.After.JSON)
	}
	return whole
}
