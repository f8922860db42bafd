package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// actorRules are the rules of [audit.ActorLister].
var actorRules = []rule[audit.Store]{
	{
		"ListActors/EachAuthorOnceWithItsNewestName",
		"ListActors returns each author of the workspace once, by kind and id, with the name of its newest event, sorted by kind and id",
		func(t *testing.T, store audit.Store) {
			lister := ability[audit.ActorLister](t, store)
			by := func(kind audit.ActorKind, id, name string) func(*audit.Event) {
				return func(e *audit.Event) { e.Actor = audit.Actor{Kind: kind, ID: id, Name: name} }
			}
			elsewhere := func(e *audit.Event) { e.Workspace = "w2" }
			require.NoError(t, store.Append(context.Background(), []audit.Event{
				event(9, by(audit.KindUser, "17", "Jo Newest")),
				event(1, by(audit.KindUser, "17", "Jo")),
				event(2, by(audit.KindUser, "17", "Joanna")),
				event(3, by(audit.KindKey, "17", "Deploy")),
				event(4, by(audit.KindSystem, "", "System")),
				event(5, by(audit.KindUser, "system", "A user called system")),
				event(6, by(audit.KindUnknown, "", "")),
				event(7, by(audit.KindUser, "", "Without an id")),
				event(10, by("robot", "o'neil\"", "100%")),
				event(11, by(audit.KindUser, "Ω", "Ω")),
				event(12, by(audit.KindUser, "18", "Kim")),
				event(13, by("", "18", "Kim of the empty kind")),
				event(14, by("", "19", "Lee of the empty kind")),
				event(15, by(audit.KindUser, "19", "")),
				event(16, elsewhere, by(audit.KindUser, "20", "Elsewhere")),
				event(17, elsewhere, by(audit.KindUser, "17", "Jo elsewhere")),
			}))
			require.Equal(t, []audit.Actor{
				{Kind: audit.KindKey, ID: "17", Name: "Deploy"},
				{Kind: "robot", ID: "o'neil\"", Name: "100%"},
				{Kind: audit.KindSystem, Name: "System"},
				{Kind: audit.KindUnknown},
				{Kind: audit.KindUser, Name: "Without an id"},
				{Kind: audit.KindUser, ID: "17", Name: "Jo Newest"},
				{Kind: audit.KindUser, ID: "18", Name: "Kim of the empty kind"},
				{Kind: audit.KindUser, ID: "19"},
				{Kind: audit.KindUser, ID: "system", Name: "A user called system"},
				{Kind: audit.KindUser, ID: "Ω", Name: "Ω"},
			}, actors(t, lister, workspace, 1000))
			require.Equal(t, []audit.Actor{
				{Kind: audit.KindUser, ID: "17", Name: "Jo elsewhere"},
				{Kind: audit.KindUser, ID: "20", Name: "Elsewhere"},
			}, actors(t, lister, "w2", 2))
			require.Empty(t, actors(t, lister, "w3", 1))
		},
	},
	{
		"ListActors/NotThoseOfAnotherWorkspace",
		"ListActors tells nothing of a workspace whose name differs in spaces at the end",
		func(t *testing.T, store audit.Store) {
			lister := ability[audit.ActorLister](t, store)
			by := func(workspace, id, name string) func(*audit.Event) {
				return func(e *audit.Event) {
					e.Workspace, e.Actor = workspace, audit.Actor{Kind: audit.KindUser, ID: id, Name: name}
				}
			}
			require.NoError(t, store.Append(context.Background(), []audit.Event{
				event(1, by("acme", "17", "Jo")), event(2, by("acme ", "17", "Jo elsewhere")), event(3, by("acme ", "18", "Kim elsewhere")),
			}))
			require.Equal(t, []audit.Actor{{Kind: audit.KindUser, ID: "17", Name: "Jo"}}, actors(t, lister, "acme", 10))
			require.Equal(t, []audit.Actor{{Kind: audit.KindUser, ID: "17", Name: "Jo elsewhere"}, {Kind: audit.KindUser, ID: "18", Name: "Kim elsewhere"}}, actors(t, lister, "acme ", 10))
		},
	},
	{
		"ListActors/NoMoreThanTheLimit",
		"ListActors returns limit of the authors if there are more, and all of them if there are not",
		func(t *testing.T, store audit.Store) {
			lister := ability[audit.ActorLister](t, store)
			events := series(30)
			var all []audit.Actor
			for i := range events { // 10 users, each under both names of the kind, and 5 keys
				a := audit.Actor{Kind: audit.KindKey, ID: fmt.Sprint(i % 5), Name: "n"}
				if i >= 10 {
					a = audit.Actor{Kind: []audit.ActorKind{"", audit.KindUser}[i/20], ID: fmt.Sprint(i % 10), Name: "n"}
				}
				events[i].Actor = a
				if a.Kind != "" && i != 5 && (i < 5 || i >= 20) {
					all = append(all, a)
				}
			}
			require.NoError(t, store.Append(context.Background(), events))
			for limit := 1; limit <= len(all)+1; limit++ {
				got := actors(t, lister, workspace, limit)
				require.Len(t, got, min(limit, len(all)), "limit %d", limit)
				require.Subset(t, all, got)
			}
			require.Equal(t, all, actors(t, lister, workspace, len(all)))
		},
	},
	{
		"ListActors/RefusesAsListDoes",
		"ListActors returns ErrInvalidFilter for an empty workspace, an error for a limit under 1, and the error of a context that has ended",
		func(t *testing.T, store audit.Store) {
			lister := ability[audit.ActorLister](t, store)
			_, err := lister.ListActors(context.Background(), "", 1)
			require.ErrorIs(t, err, audit.ErrInvalidFilter)
			_, err = lister.ListActors(context.Background(), workspace, 0)
			require.Error(t, err)
			_, err = lister.ListActors(cancelled(), workspace, 1)
			require.ErrorIs(t, err, context.Canceled)
		},
	},
}

func actors(t *testing.T, lister audit.ActorLister, workspace string, limit int) []audit.Actor {
	t.Helper()
	list, err := lister.ListActors(context.Background(), workspace, limit)
	require.NoError(t, err)
	return list
}
