package audit_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func id(n byte) uuid.UUID { return uuid.UUID{15: n, 6: 0x70, 8: 0x80} }

// renamed is an event with every field set.
func renamed() audit.Event {
	return audit.Event{
		ID:        id(1),
		Time:      noon,
		Workspace: "w1",
		Actor:     audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"},
		Initiator: audit.Actor{Kind: audit.KindUser, ID: "18", Name: "Kim"},
		Operation: audit.Updated,
		Origin:    audit.OriginAPI,
		Entity:    audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo", Owner: "17"},
		Ownership: audit.OwnershipSelf,
		Changes: []audit.Change{
			{Field: "name", Before: text("Gemini"), After: text("Apollo")},
			{Field: "client_id", Before: audit.Value{JSON: []byte(`1`), Label: "Acme"}, After: audit.Value{JSON: []byte(`null`)}},
		},
		Cause:         id(2),
		Derived:       true,
		ChangeSet:     id(3),
		Request:       audit.Request{ID: "r1", Address: "192.0.2.1", Agent: "curl/8"},
		Reason:        "rebranding",
		SchemaVersion: audit.SchemaVersion,
	}
}

// text is a string as a database's text column holds it.
func text(s string) audit.Value {
	return audit.Value{JSON: audit.AppendJSONString(nil, s)}
}

func TestAFilterFindsWhatItAsksFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		filter audit.Filter
		finds  bool
	}{
		{"nothing but the workspace", audit.Filter{}, true},
		{"another workspace", audit.Filter{Workspace: "w2"}, false},
		{"a workspace in other letters", audit.Filter{Workspace: "W1"}, false},
		{"from its very time", audit.Filter{From: noon}, true},
		{"from a microsecond later", audit.Filter{From: noon.Add(time.Microsecond)}, false},
		{"to its very time", audit.Filter{To: noon}, false},
		{"to a microsecond later", audit.Filter{To: noon.Add(time.Microsecond)}, true},
		{"a time in another zone", audit.Filter{From: noon.In(time.FixedZone("", 3600))}, true},
		{"an empty range", audit.Filter{From: noon, To: noon}, false},
		{"its id", audit.Filter{IDs: []uuid.UUID{id(9), id(1)}}, true},
		{"another id", audit.Filter{IDs: []uuid.UUID{id(9)}}, false},
		{"its author by id alone", audit.Filter{Actors: []audit.Actor{{ID: "17"}}}, true},
		{"its author under another name", audit.Filter{Actors: []audit.Actor{{Kind: audit.KindUser, ID: "17", Name: "Joanna"}}}, true},
		{"a key of the same id", audit.Filter{Actors: []audit.Actor{{Kind: audit.KindKey, ID: "17"}}}, false},
		{"the initiator is not the author", audit.Filter{Actors: []audit.Actor{{ID: "18"}}}, false},
		{"system", audit.Filter{Actors: []audit.Actor{audit.System}}, false},
		{"one of two authors", audit.Filter{Actors: []audit.Actor{audit.System, {ID: "17"}}}, true},
		{"its action", audit.Filter{Actions: []audit.Action{{Type: "project", Operation: "updated", Origins: []audit.Origin{"", "api"}, Ownership: "self"}}}, true},
		{"one of two actions", audit.Filter{Actions: []audit.Action{{Type: "tag"}, {Operation: "updated"}}}, true},
		{"an action of another type", audit.Filter{Actions: []audit.Action{{Type: "tag", Operation: "updated"}}}, false},
		{"another operation", audit.Filter{Actions: []audit.Action{{Operation: "deleted"}}}, false},
		{"an action of another origin", audit.Filter{Actions: []audit.Action{{Origins: []audit.Origin{"", "timer"}}}}, false},
		{"an action of another ownership", audit.Filter{Actions: []audit.Action{{Ownership: "other"}}}, false},
		{"its type", audit.Filter{Types: []audit.EntityType{"tag", "project"}}, true},
		{"another type", audit.Filter{Types: []audit.EntityType{"tag"}}, false},
		{"its record, whatever it was called", audit.Filter{Entities: []audit.Entity{{Type: "project", ID: "7", Label: "Gemini", Owner: "3"}}}, true},
		{"another record of the type", audit.Filter{Entities: []audit.Entity{{Type: "project", ID: "8"}}}, false},
		{"the record of another type with its id", audit.Filter{Entities: []audit.Entity{{Type: "task", ID: "7"}}}, false},
		{"its owner", audit.Filter{Owners: []string{"17"}}, true},
		{"records without an owner", audit.Filter{Owners: []string{""}}, false},
		{"its origin", audit.Filter{Origins: []audit.Origin{"", "api"}}, true},
		{"events of unknown origin", audit.Filter{Origins: []audit.Origin{""}}, false},
		{"a field that changed", audit.Filter{Fields: []string{"client_id"}}, true},
		{"a field that did not", audit.Filter{Fields: []string{"color"}}, false},
		{"its cause", audit.Filter{Causes: []uuid.UUID{id(2)}}, true},
		{"another cause", audit.Filter{Causes: []uuid.UUID{id(1)}}, false},
		{"its change set", audit.Filter{ChangeSets: []uuid.UUID{id(3)}}, true},
		{"another change set", audit.Filter{ChangeSets: []uuid.UUID{id(1)}}, false},
		{"a part of the label in other letters", audit.Filter{Text: "POLL"}, true},
		{"a pattern is only text", audit.Filter{Text: "A%o"}, false},
		{"text that only a value holds", audit.Filter{Text: "Gemini"}, false},
		{"but for its type", audit.Filter{Except: []audit.Filter{{Types: []audit.EntityType{"tag"}}, {Types: []audit.EntityType{"project"}}}}, false},
		{"but for other types", audit.Filter{Except: []audit.Filter{{Types: []audit.EntityType{"tag"}}, {Owners: []string{""}}}}, true},
		{"but for what the label says", audit.Filter{Except: []audit.Filter{{Text: "apollo"}}}, false},
		{"but for its type by another author", audit.Filter{Except: []audit.Filter{{Types: []audit.EntityType{"project"}, Actors: []audit.Actor{audit.System}}}}, true},
		{"its type, but not by its author", audit.Filter{Types: []audit.EntityType{"project"}, Except: []audit.Filter{{Actors: []audit.Actor{{ID: "17"}}}}}, false},
		{"but for its time", audit.Filter{Except: []audit.Filter{{From: noon, To: noon.Add(1)}}}, false},
		{"but for what was before it", audit.Filter{Except: []audit.Filter{{To: noon}}}, true},
		{"everything at once", audit.Filter{
			From: noon, To: noon.Add(1), IDs: []uuid.UUID{id(1)}, Actors: []audit.Actor{{ID: "17"}}, Types: []audit.EntityType{"project"},
			Owners: []string{"17"}, Origins: []audit.Origin{"api"}, Fields: []string{"name"}, Causes: []uuid.UUID{id(2)}, Text: "apollo",
		}, true},
		{"all but one", audit.Filter{From: noon, IDs: []uuid.UUID{id(1)}, Text: "gemini"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.filter.Workspace == "" {
				tt.filter.Workspace = "w1"
			}
			require.NoError(t, tt.filter.Validate())
			require.Equal(t, tt.finds, tt.filter.Matches(renamed()))
		})
	}
}

func TestAFilterWithoutAWorkspaceFindsNothing(t *testing.T) {
	t.Parallel()
	require.False(t, audit.Filter{}.Matches(renamed()))
}

func TestAFilterThatCannotBeAnsweredIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message string
		filter  audit.Filter
	}{
		{`Workspace is empty; every read names its workspace`, audit.Filter{Text: "x"}},
		{`From 2026-11-22T12:00:00Z is after To 2026-11-22T11:00:00Z`, audit.Filter{Workspace: "w1", From: noon, To: noon.Add(-time.Hour)}},
		{`IDs has 1001 elements, more than 1000`, audit.Filter{Workspace: "w1", IDs: make([]uuid.UUID, 1001)}},
		{`Fields has 1001 elements, more than 1000`, audit.Filter{Workspace: "w1", Fields: make([]string, 1001)}},
		{`Actors[1] names nobody; use audit.Unknown for events without an author`, audit.Filter{Workspace: "w1", Actors: []audit.Actor{audit.System, {}}}},
		{`Actions[0] is empty; leave it out to ask for every action`, audit.Filter{Workspace: "w1", Actions: []audit.Action{{}}}},
		{`Actions[0] has the unknown ownership "mine", use self or other`, audit.Filter{Workspace: "w1", Actions: []audit.Action{{Ownership: "mine"}}}},
		{`Actions have 10001 origins, more than 10000`, audit.Filter{Workspace: "w1", Actions: []audit.Action{{Origins: make([]audit.Origin, 10000)}, {Origins: []audit.Origin{"api"}}}}},
		{`Entities[0] needs a type and an id`, audit.Filter{Workspace: "w1", Entities: []audit.Entity{{ID: "7"}}}},
		{`Entities[1] needs a type and an id`, audit.Filter{Workspace: "w1", Entities: []audit.Entity{{Type: "tag", ID: "7"}, {Type: "tag"}}}},
		{`Types holds an empty type`, audit.Filter{Workspace: "w1", Types: []audit.EntityType{""}}},
		{`Fields holds an empty name`, audit.Filter{Workspace: "w1", Fields: []string{""}}},
		{`Workspace holds text that is not valid UTF-8 or has a NUL; no event holds such`, audit.Filter{Workspace: "w\x00"}},
		{`Text holds text that is not valid UTF-8 or has a NUL; no event holds such`, audit.Filter{Workspace: "w1", Text: "\xff"}},
		{`Owners holds text that is not valid UTF-8 or has a NUL; no event holds such`, audit.Filter{Workspace: "w1", Owners: []string{"1", "\x00"}}},
		{`Actors holds text that is not valid UTF-8 or has a NUL; no event holds such`, audit.Filter{Workspace: "w1", Actors: []audit.Actor{{ID: "\xff"}}}},
		{`Actions holds text that is not valid UTF-8 or has a NUL; no event holds such`, audit.Filter{Workspace: "w1", Actions: []audit.Action{{Origins: []audit.Origin{"\xff"}}}}},
		{`Except[1] is empty and would leave out everything`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x"}, {}}}},
		{`Except[0] names a workspace; it has that of its filter`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{Workspace: "w1", Text: "x"}}}},
		{`Except[0] has an Except itself`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x", Except: []audit.Filter{{Text: "y"}}}}}},
		{`Except has 1001 values, more than 1000`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x"}, {Owners: make([]string, 1000)}}}},
		{`Except has 1002 values, more than 1000`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{From: noon, Actions: []audit.Action{{Origins: make([]audit.Origin, 1000)}}}}}},
		{`Except[1].Actors[0] names nobody; use audit.Unknown for events without an author`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x"}, {Actors: []audit.Actor{{}}}}}},
		{`Except[0].From 2026-11-22T12:00:00Z is after To 2026-11-22T11:00:00Z`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{From: noon, To: noon.Add(-time.Hour)}}}},
		{`Except holds text that is not valid UTF-8 or has a NUL; no event holds such`, audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x"}, {Fields: []string{"a\x00"}}}}},
	} {
		t.Run(tt.message, func(t *testing.T) {
			t.Parallel()
			err := tt.filter.Validate()
			require.ErrorIs(t, err, audit.ErrInvalidFilter)
			require.EqualError(t, err, "audit: invalid filter: "+tt.message)
		})
	}
}

func TestPositionsRunFromTheNewestToTheOldest(t *testing.T) {
	t.Parallel()
	order := []audit.Position{
		{},
		{Time: noon.Add(time.Hour), ID: id(1)},
		{Time: noon, ID: id(9)},
		{Time: noon, ID: id(2)},
		{Time: noon.Add(-time.Hour), ID: id(8)},
	}
	require.True(t, order[0].IsZero())
	for i, p := range order {
		for j, q := range order {
			require.Equal(t, i < j, p.Compare(q) < 0, "%d, %d", i, j)
			require.Equal(t, i > j, p.Compare(q) > 0, "%d, %d", i, j)
		}
	}
	elsewhere := audit.Position{Time: noon.In(time.FixedZone("", 3600)), ID: id(9)}
	require.Zero(t, order[2].Compare(elsewhere), "a zone is only how a time is shown")
	shuffled := []audit.Position{order[3], order[1], order[4], order[0], order[2]}
	slices.SortFunc(shuffled, audit.Position.Compare)
	require.Equal(t, order, shuffled)
	require.Equal(t, audit.Position{Time: noon, ID: id(1)}, renamed().Position())
}

func TestTextIsComparedWithoutRegardToTheCaseOfASCIILettersOnly(t *testing.T) {
	t.Parallel()
	e := renamed()
	e.Entity.Label = "Ärger_[Z]"
	for text, finds := range map[string]bool{"Ärger": true, "ÄRGER": true, "ärger": false, "_[z]": true, "@": false, strings.Repeat("Ä", 300): false} {
		require.Equal(t, finds, audit.Filter{Workspace: "w1", Text: text}.Matches(e), text)
	}
}

func TestAVeryLongIDIsFoundUnderTheNameItWasGiven(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	long := strings.Repeat("x", 300)
	store := memstore.New()
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.NoError(t, rec.Record(audit.WithActor(ctx, audit.Actor{ID: long}), audit.Event{
		Workspace: long, Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeTag, ID: long, Owner: long},
	}))
	page, err := audit.QueryPage(ctx, store, audit.Filter{
		Workspace: long, Actors: []audit.Actor{{ID: long}}, Owners: []string{long}, Entities: []audit.Entity{{Type: audit.TypeTag, ID: long}},
	}, audit.Cursor{}, 0)
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
}

func TestAFilterIsStoredAsEventsAre(t *testing.T) {
	t.Parallel()
	long, nul := strings.Repeat("x", 300), "a\x00b"
	event := audit.Event{
		Workspace: long, Actor: audit.Actor{Kind: audit.ActorKind(nul), ID: long}, Operation: audit.Operation(long), Origin: audit.Origin(nul),
		Entity:  audit.Entity{Type: audit.EntityType(long), ID: nul, Owner: long},
		Changes: []audit.Change{{Field: long, After: audit.ValueOf(1)}},
	}
	store := memstore.New()
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	require.NoError(t, rec.Record(context.Background(), event))
	all := store.All()
	require.Len(t, all, 1)
	f := audit.Filter{
		Workspace: long, Actors: []audit.Actor{event.Actor}, Types: []audit.EntityType{event.Entity.Type}, Origins: []audit.Origin{event.Origin},
		Entities: []audit.Entity{event.Entity}, Owners: []string{long}, Fields: []string{long},
		Actions: []audit.Action{{Type: event.Entity.Type, Operation: event.Operation, Origins: []audit.Origin{event.Origin}}},
	}
	require.False(t, f.Matches(all[0]))
	require.True(t, f.Stored().Matches(all[0]))
	require.Equal(t, f.Stored(), f.Stored().Stored())
	f.Except = []audit.Filter{{Types: f.Types}}
	require.False(t, f.Stored().Matches(all[0]))
	require.Equal(t, audit.Filter{Workspace: "w"}, audit.Filter{Workspace: "w"}.Stored())
}
