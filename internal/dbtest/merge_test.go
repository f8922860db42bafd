package dbtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// The store merges the events of a few authors and reads those of many at once.
func TestEventsOfSeveralAuthorsComeInOrderPageByPage(t *testing.T) {
	authors := []audit.Actor{
		{ID: "a"},
		{ID: "a "}, // the same to MySQL
		{Kind: audit.KindUser, ID: "A"},
		{Kind: audit.KindKey, ID: "a"},
		audit.System,
	}
	var many []audit.Actor
	for i := range 30 {
		many = append(many, audit.Actor{ID: fmt.Sprint("u", i)})
	}
	var events []audit.Event
	for i := range 200 {
		e := sample(1)
		e.ID = uuid.UUID{0: 1, 15: byte(i)}
		e.Time = e.Time.Add(time.Duration(i/5) * time.Second) // some at once
		e.Actor = slices.Concat(authors, many)[i*8%35]
		if e.Actor.Kind == "" {
			e.Actor.Kind = audit.KindUser
		}
		events = append(events, e)
	}
	late := audit.Filter{From: events[20].Time, To: events[180].Time}
	filters := map[string]audit.Filter{
		"a few":               {Actors: authors},
		"two of one kind":     {Actors: authors[:2]},
		"one of them twice":   {Actors: []audit.Actor{authors[0], {Kind: audit.KindUser, ID: "a"}, authors[4]}},
		"one of two alike":    {Actors: []audit.Actor{authors[1], authors[4]}},
		"many":                {Actors: many},
		"a few within dates":  {Actors: many[:16], From: late.From, To: late.To},
		"a few but not those": {Actors: authors, Except: []audit.Filter{{Actors: authors[:1]}, {From: late.To}}},
		"of a record":         {Actors: authors, Entities: []audit.Entity{{Type: audit.TypeProject, ID: "p1"}}},
	}
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		store := migrated(t, db, nil)
		require.NoError(t, store.Append(ctx, events))
		for name, f := range filters {
			t.Run(name, func(t *testing.T) {
				f.Workspace = "w1"
				var want []audit.Event
				for _, e := range slices.Backward(events) {
					if f.Matches(e) {
						want = append(want, e)
					}
				}
				require.NotEmpty(t, want)
				var forward, backward []audit.Event
				for after := (audit.Position{}); ; after = forward[len(forward)-1].Position() {
					found, err := store.List(ctx, f, after, 7)
					require.NoError(t, err)
					if forward = append(forward, found...); len(found) < 7 {
						break
					}
				}
				for before := (audit.Position{}); ; before = backward[0].Position() {
					found, err := store.ListBefore(ctx, f, before, 7)
					require.NoError(t, err)
					if backward = slices.Concat(found, backward); len(found) < 7 {
						break
					}
				}
				slices.SortFunc(want, func(a, b audit.Event) int { return a.Position().Compare(b.Position()) })
				require.Equal(t, want, forward)
				require.Equal(t, want, backward)
			})
		}
	})
}
