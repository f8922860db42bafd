package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// runFilter tests how the store answers filters. All its tests read one set of
// events.
func runFilter(t *testing.T, store audit.Store) {
	events := filterEvents()
	require.NoError(t, store.Append(context.Background(), events))
	for _, c := range filterCases() {
		t.Run(c.name, func(t *testing.T) {
			c.f.Workspace = workspace
			require.Equal(t, c.want, numbers(list(t, store, c.f)), "the rule that was broken: "+c.rule)
		})
	}
	t.Run("CombinationsAgreeWithMatches", func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		rnd := rand.New(rand.NewPCG(seed, 0))
		for range 300 {
			f := randomFilter(rnd)
			var want []audit.Event
			for _, e := range newestFirst(events) {
				if f.Matches(e) {
					want = append(want, e)
				}
			}
			got := pages(t, store, f, 1+rnd.IntN(12))
			require.Equal(t, numbers(want), numbers(got), "a store finds what Filter.Matches accepts; seed %d, filter %+v", seed, f)
		}
	})
	t.Run("NoFilterCrossesWorkspaces", func(t *testing.T) { runTenants(t, store) })
	t.Run("SpacesAtTheEndCount", func(t *testing.T) { runSpaces(t, store) })
	t.Run("FarTimes", func(t *testing.T) { runFarTimes(t, store) })
	t.Run("AsManyValuesAsAreAllowed", func(t *testing.T) { runLargeFilters(t, store) })
}

// filterEvents are the events 1 to 20 that the filters are tested with.
func filterEvents() []audit.Event {
	entity := func(t audit.EntityType, id, label, owner string) func(*audit.Event) {
		return func(e *audit.Event) { e.Entity = audit.Entity{Type: t, ID: id, Label: label, Owner: owner} }
	}
	by := func(a audit.Actor) func(*audit.Event) { return func(e *audit.Event) { e.Actor = a } }
	did := func(op audit.Operation, o audit.Origin, w audit.Ownership) func(*audit.Event) {
		return func(e *audit.Event) { e.Operation, e.Origin, e.Ownership = op, o, w }
	}
	changed := func(changes ...audit.Change) func(*audit.Event) {
		return func(e *audit.Event) { e.Changes = changes }
	}
	field := func(name, after string) audit.Change {
		return audit.Change{Field: name, After: audit.Value{JSON: json.RawMessage(after)}}
	}
	user := func(id string) audit.Actor { return audit.Actor{Kind: audit.KindUser, ID: id, Name: "n" + id} }
	entry := audit.TypeTimeEntry
	return []audit.Event{
		event(1, entity(entry, "e1", "100% done", "17"), did(audit.Created, audit.OriginTimer, audit.OwnershipSelf), by(user("17"))),
		event(2, entity(entry, "e1", "100 percent done", "17"), did(audit.Updated, "", audit.OwnershipSelf), by(user("17")), changed(field("rate", "1"))),
		event(3, entity(entry, "e1", "snake_case", "17"), did(audit.Updated, "", audit.OwnershipOther), by(user("18")), changed(field("Rate", "1"))),
		event(4, entity(entry, "e2", "snakeXcase", "18"), did(audit.Created, audit.OriginImport, audit.OwnershipOther), by(audit.System)),
		event(5, entity(entry, "e2", `back\slash`, "18"), did(audit.Deleted, audit.OriginAPI, audit.OwnershipSelf), by(user("system")), changed(field("note", `"{\"field\":\"rate\"}"`))),
		event(6, entity(audit.TypeProject, "e1", "Apollo", ""), did(audit.Created, audit.OriginImport, ""), by(audit.Unknown), changed(field("settings", `{"field":"rate"}`))),
		event(7, entity(audit.TypeProject, "p2", "APOLLO 11", ""), did(audit.Updated, audit.OriginQuickBooks, ""), by(audit.Actor{Kind: audit.KindKey, ID: "17"}), changed(field("list", `[{"field":"rate","after":1}]`))),
		event(8, entity(audit.TypeProject, "p2", "", ""), did(audit.Deleted, "", ""), by(user("17")), changed(field("name", `"\u0000"`), field("rate", `"\u0000"`))),
		event(9, entity(audit.TypeTag, "t'1", `"quoted" it's`, ""), did(audit.Created, "", ""), by(user("o'neil")), changed(field("it's", "1"), field(`a "b"\c`, "2"))),
		event(10, entity(audit.TypeTag, "T'1", "Straße", ""), did(audit.Restored, audit.OriginKiosk, ""), by(user("")), changed()),
		event(11, func(e *audit.Event) { e.Cause, e.ChangeSet = id(1), id(500) }, changed(field("rat", "1"))),
		event(12, func(e *audit.Event) { e.Cause, e.ChangeSet = id(2), id(500) }, changed(field("rates", "1"))),
		event(13, func(e *audit.Event) { e.Cause, e.ChangeSet = id(1), id(501) }),
		event(14, by(audit.Actor{ID: "17"})), // an empty kind is a user
		event(15, func(e *audit.Event) { e.Time = event(14).Time }),
	}
}

type filterCase struct {
	name, rule string
	f          audit.Filter
	want       []int
}

func filterCases() []filterCase {
	at := func(n int) time.Time { return event(n).Time }
	actors := func(a ...audit.Actor) audit.Filter { return audit.Filter{Actors: a} }
	actions := func(a ...audit.Action) audit.Filter { return audit.Filter{Actions: a} }
	fields := func(f ...string) audit.Filter { return audit.Filter{Fields: f} }
	text := func(s string) audit.Filter { return audit.Filter{Text: s} }
	except := func(x ...audit.Filter) audit.Filter { return audit.Filter{Except: x} }
	everything := []int{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	const (
		halfOpen = "the times of a filter are half open: From <= time < To"
		kinds    = "actors are compared by kind and id, an empty kind is a user"
		literal  = "text is a part of the label, taken literally, ASCII letters without regard to case"
		exactly  = "a field is found by its exact name, never by what stands inside of a value"
		left     = "an event that one of the filters of Except finds is left out, and no other one"
		parts    = "an action matches if all its parts do, and an empty part asks for nothing"
	)
	return []filterCase{
		{"Nothing", "a filter of a workspace alone finds all its events", audit.Filter{}, everything},
		{"From", halfOpen, audit.Filter{From: at(13)}, []int{15, 14, 13}},
		{"FromInNanoseconds", halfOpen, audit.Filter{From: at(13).Add(1)}, []int{15, 14}},
		{"To", halfOpen, audit.Filter{To: at(3)}, []int{2, 1}},
		{"ToInNanoseconds", halfOpen, audit.Filter{To: at(3).Add(1)}, []int{3, 2, 1}},
		{"FromAndTo", halfOpen, audit.Filter{From: at(3), To: at(5)}, []int{4, 3}},
		{"FromIsTo", halfOpen, audit.Filter{From: at(3), To: at(3)}, []int{}},
		{"FromAndToInAnotherZone", halfOpen, audit.Filter{From: at(3).In(time.FixedZone("", -3600)), To: at(5).In(time.FixedZone("", 7200))}, []int{4, 3}},
		{"AllOfTime", halfOpen, audit.Filter{From: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), To: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}, everything},
		{"IDs", "IDs finds these events", audit.Filter{IDs: []uuid.UUID{id(4), id(99), id(2)}}, []int{4, 2}},

		{"Actors/User", kinds, actors(audit.Actor{ID: "17"}), []int{15, 14, 13, 12, 11, 8, 2, 1}},
		{"Actors/UserByKind", kinds, actors(audit.Actor{Kind: audit.KindUser, ID: "17", Name: "another name"}), []int{15, 14, 13, 12, 11, 8, 2, 1}},
		{"Actors/KeyOfTheSameId", kinds, actors(audit.Actor{Kind: audit.KindKey, ID: "17"}), []int{7}},
		{"Actors/System", kinds, actors(audit.System), []int{4}},
		{"Actors/UserCalledSystem", kinds, actors(audit.Actor{ID: "system"}), []int{5}},
		{"Actors/Unknown", kinds, actors(audit.Unknown), []int{6}},
		{"Actors/UserWithoutId", kinds, actors(audit.Actor{Kind: audit.KindUser}), []int{10}},
		{"Actors/Several", kinds, actors(audit.System, audit.Actor{ID: "18"}, audit.Actor{Kind: audit.KindKey, ID: "17"}), []int{7, 4, 3}},
		{"Actors/Quote", kinds, actors(audit.Actor{ID: "o'neil"}), []int{9}},

		{"Actions/Operation", parts, actions(audit.Action{Operation: audit.Deleted}), []int{8, 5}},
		{"Actions/Type", parts, actions(audit.Action{Type: audit.TypeTag}), []int{10, 9}},
		{"Actions/Ownership", parts, actions(audit.Action{Ownership: audit.OwnershipOther}), []int{4, 3}},
		{"Actions/Origin", parts, actions(audit.Action{Origins: []audit.Origin{audit.OriginImport}}), []int{6, 4}},
		{"Actions/Origins", parts, actions(audit.Action{Operation: audit.Created, Origins: []audit.Origin{audit.OriginTimer, audit.OriginImport}}), []int{6, 4, 1}},
		{"Actions/UnknownOrigin", "an empty Origin within Origins finds events of unknown origin", actions(audit.Action{Operation: audit.Created, Origins: []audit.Origin{"", audit.OriginTimer}}), []int{9, 1}},
		{"Actions/AllParts", parts, actions(audit.Action{Type: audit.TypeTimeEntry, Operation: audit.Created, Origins: []audit.Origin{audit.OriginImport}, Ownership: audit.OwnershipOther}), []int{4}},
		{"Actions/Several", "the elements of a field are joined by or, never their parts", actions(audit.Action{Type: audit.TypeTag, Operation: audit.Created}, audit.Action{Type: audit.TypeTimeEntry, Operation: audit.Deleted}), []int{9, 5}},

		{"Types", "Types finds records of these types", audit.Filter{Types: []audit.EntityType{audit.TypeTag, audit.TypeTimeEntry}}, []int{10, 9, 5, 4, 3, 2, 1}},
		{"Entities", "records are compared by type and id", audit.Filter{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "e1", Label: "whatever"}}}, []int{3, 2, 1}},
		{"Entities/Several", "records are compared by type and id together", audit.Filter{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "e2"}, {Type: audit.TypeProject, ID: "e1"}, {Type: audit.TypeTag, ID: "t'1"}}}, []int{9, 6, 5, 4}},
		{"Owners", "Owners finds records of these users", audit.Filter{Owners: []string{"18"}}, []int{5, 4}},
		{"Owners/Nobody", "an empty owner finds records of nobody", audit.Filter{Owners: []string{"", "18"}}, []int{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4}},
		{"Origins", "Origins finds changes that came in these ways", audit.Filter{Origins: []audit.Origin{audit.OriginKiosk, audit.OriginAPI}}, []int{10, 5}},
		{"Origins/Unknown", "the empty Origin finds events of unknown origin", audit.Filter{Origins: []audit.Origin{"", audit.OriginKiosk}}, []int{15, 14, 13, 12, 11, 10, 9, 8, 3, 2}},
		{"Causes", "Causes finds what these events led to", audit.Filter{Causes: []uuid.UUID{id(1)}}, []int{13, 11}},
		{"Causes/None", "the zero cause finds events without one", audit.Filter{Causes: []uuid.UUID{{}, id(2)}}, []int{15, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"ChangeSets", "ChangeSets finds the events of these", audit.Filter{ChangeSets: []uuid.UUID{id(500)}}, []int{12, 11}},
		{"ChangeSets/None", "the zero change set finds events without one", audit.Filter{ChangeSets: []uuid.UUID{{}, id(501)}}, []int{15, 14, 13, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},

		{"Fields", exactly, fields("rate"), []int{8, 2}},
		{"Fields/Case", exactly, fields("Rate"), []int{3}},
		{"Fields/Several", exactly, fields("rat", "rates"), []int{12, 11}},
		{"Fields/Quotes", exactly, fields("it's"), []int{9}},
		{"Fields/Escapes", exactly, fields(`a "b"\c`), []int{9}},
		{"Fields/KeyInsideOfAValue", exactly, fields("field", "after"), []int{}},
		{"Fields/Wildcards", exactly, fields("ra_e", "r%", "%"), []int{}},

		{"Text", literal, text("apollo"), []int{15, 14, 13, 12, 11, 7, 6}},
		{"Text/Case", literal, text("POLLO 1"), []int{7}},
		{"Text/Percent", literal, text("100%"), []int{1}},
		{"Text/Underscore", literal, text("e_c"), []int{3}},
		{"Text/Backslash", literal, text(`k\s`), []int{5}},
		{"Text/Quote", literal, text(`" it's`), []int{9}},
		{"Text/NotASCII", literal, text("straß"), []int{10}},
		{"Text/Nowhere", literal, text("Gemini"), []int{}},

		{"Except/Actors", left, except(audit.Filter{Actors: []audit.Actor{audit.System, {ID: "17"}}}), []int{10, 9, 7, 6, 5, 3}},
		{"Except/Actions", left, except(audit.Filter{Actions: []audit.Action{{Operation: audit.Updated}, {Type: audit.TypeTag}}}), []int{8, 6, 5, 4, 1}},
		{"Except/OneOwnershipOrTheOther", left, except(audit.Filter{Actions: []audit.Action{{Ownership: audit.OwnershipSelf}, {Ownership: audit.OwnershipOther}}}), []int{15, 14, 13, 12, 11, 10, 9, 8, 7, 6}},
		{"Except/Types", left, except(audit.Filter{Types: []audit.EntityType{audit.TypeTag, audit.TypeProject}}), []int{5, 4, 3, 2, 1}},
		{"Except/Entities", left, except(audit.Filter{Entities: []audit.Entity{{Type: audit.TypeTimeEntry, ID: "e1"}, {Type: audit.TypeProject, ID: "p1"}}}), []int{10, 9, 8, 7, 6, 5, 4}},
		{"Except/Owners", left, except(audit.Filter{Owners: []string{"", "18"}}), []int{3, 2, 1}},
		{"Except/Origins", left, except(audit.Filter{Origins: []audit.Origin{"", audit.OriginKiosk}}), []int{7, 6, 5, 4, 1}},
		{"Except/Fields", left, except(audit.Filter{Fields: []string{"rate", "name"}}), []int{12, 11, 10, 9, 7, 6, 5, 3}},
		{"Except/IDs", left, except(audit.Filter{IDs: []uuid.UUID{id(1), id(15), id(99)}}), everything[1:14]},
		{"Except/Causes", "an event without a cause is not left out with those of a cause", except(audit.Filter{Causes: []uuid.UUID{id(1)}}), []int{15, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"Except/CausesAndNone", left, except(audit.Filter{Causes: []uuid.UUID{id(1), {}}}), []int{12}},
		{"Except/ChangeSets", "an event without a change set is not left out with those of one", except(audit.Filter{ChangeSets: []uuid.UUID{id(500)}}), []int{15, 14, 13, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"Except/Text", "an event without a label is not left out with those of a label", except(audit.Filter{Text: "apollo"}), []int{10, 9, 8, 5, 4, 3, 2, 1}},
		{"Except/Times", left, except(audit.Filter{From: at(3), To: at(13)}), []int{15, 14, 13, 2, 1}},
		{"Except/Several", left, except(audit.Filter{Types: []audit.EntityType{audit.TypeProject}}, audit.Filter{Actors: []audit.Actor{{ID: "17"}}}, audit.Filter{Fields: []string{"Rate"}}), []int{10, 9, 5, 4}},
		{"Except/Together", "the fields of a filter within Except are joined by and", except(audit.Filter{Types: []audit.EntityType{audit.TypeProject}, Actors: []audit.Actor{{ID: "17"}}, Text: "apollo"}), []int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{"Except/Everything", left, except(audit.Filter{To: at(16)}), []int{}},
		{"Except/OfSome", left, audit.Filter{Types: []audit.EntityType{audit.TypeTimeEntry}, Except: []audit.Filter{{Owners: []string{"18"}}}}, []int{3, 2, 1}},

		{"Together", "the fields of a filter are joined by and", audit.Filter{From: at(2), To: at(9), Actors: []audit.Actor{{ID: "17"}, {ID: "18"}}, Actions: []audit.Action{{Operation: audit.Updated}}, Owners: []string{"17"}, Fields: []string{"rate", "name"}}, []int{2}},
	}
}

// randomFilter asks for some of what filterEvents has.
func randomFilter(rnd *rand.Rand) audit.Filter {
	f := randomConditions(rnd, 4)
	for range rnd.IntN(4) {
		if x := randomConditions(rnd, 8); !reflect.ValueOf(x).IsZero() {
			f.Except = append(f.Except, x)
		}
	}
	f.Workspace = workspace
	return f
}

// randomConditions sets each field once in so many times.
func randomConditions(rnd *rand.Rand, often int) audit.Filter {
	var f audit.Filter
	events := filterEvents()
	some := func(add func(e audit.Event)) {
		if rnd.IntN(often) > 0 {
			return
		}
		for range 1 + rnd.IntN(6) {
			add(events[rnd.IntN(len(events))])
		}
	}
	some(func(e audit.Event) { f.From = epoch.Add(min(e.Time.Sub(epoch), 5*time.Second)) })
	some(func(e audit.Event) { f.To = epoch.Add(5*time.Second + e.Time.Sub(epoch)) })
	some(func(e audit.Event) { f.IDs = append(f.IDs, e.ID) })
	some(func(e audit.Event) { f.Actors = append(f.Actors, e.Actor) })
	some(func(e audit.Event) {
		a := audit.Action{Type: e.Entity.Type, Operation: e.Operation, Ownership: e.Ownership, Origins: []audit.Origin{e.Origin}}
		switch rnd.IntN(3) {
		case 0:
			a.Origins = nil
		case 1:
			a.Type = ""
		}
		f.Actions = append(f.Actions, a)
	})
	some(func(e audit.Event) { f.Types = append(f.Types, e.Entity.Type) })
	some(func(e audit.Event) { f.Entities = append(f.Entities, e.Entity) })
	some(func(e audit.Event) { f.Owners = append(f.Owners, e.Entity.Owner) })
	some(func(e audit.Event) { f.Origins = append(f.Origins, e.Origin) })
	some(func(e audit.Event) {
		for _, c := range e.Changes {
			f.Fields = append(f.Fields, c.Field)
		}
	})
	some(func(e audit.Event) { f.Causes = append(f.Causes, e.Cause) })
	some(func(e audit.Event) { f.ChangeSets = append(f.ChangeSets, e.ChangeSet) })
	some(func(e audit.Event) { f.Text = e.Entity.Label[:len(e.Entity.Label)/2] })
	return f
}

// runTenants asks for the events of one workspace by every subset of the
// fields of a filter, while another workspace holds the same events. With
// -short, subsets of four and more are left out.
func runTenants(t *testing.T, store audit.Store) {
	twin := func(n int, w string) audit.Event {
		e := full(n)
		e.Workspace = w
		return e
	}
	mine, theirs := twin(3001, "mine"), twin(3002, "theirs")
	theirs.Time = mine.Time
	require.NoError(t, store.Append(context.Background(), []audit.Event{mine, theirs}))
	set := []func(*audit.Filter){
		func(f *audit.Filter) { f.From = mine.Time },
		func(f *audit.Filter) { f.To = mine.Time.Add(time.Hour) },
		func(f *audit.Filter) { f.IDs = []uuid.UUID{mine.ID, theirs.ID} },
		func(f *audit.Filter) { f.Actors = []audit.Actor{mine.Actor, {ID: "1"}} },
		func(f *audit.Filter) { f.Actions = []audit.Action{{Operation: mine.Operation}, {Type: audit.TypeTag}} },
		func(f *audit.Filter) { f.Types = []audit.EntityType{mine.Entity.Type} },
		func(f *audit.Filter) { f.Entities = []audit.Entity{mine.Entity, {Type: audit.TypeTag, ID: "1"}} },
		func(f *audit.Filter) { f.Owners = []string{mine.Entity.Owner} },
		func(f *audit.Filter) { f.Origins = []audit.Origin{mine.Origin} },
		func(f *audit.Filter) { f.Fields = []string{"photo", "notes"} },
		func(f *audit.Filter) { f.Causes = []uuid.UUID{mine.Cause, {}} },
		func(f *audit.Filter) { f.ChangeSets = []uuid.UUID{mine.ChangeSet, {}} },
		func(f *audit.Filter) { f.Text = "standup" },
	}
	for subset := range 1 << len(set) {
		if n := bits.OnesCount(uint(subset)); testing.Short() && n > 3 && n < len(set)-1 {
			continue
		}
		f := audit.Filter{Workspace: "mine"}
		for i, s := range set {
			if subset&(1<<i) != 0 {
				s(&f)
			}
		}
		var after audit.Position
		if subset%2 == 1 {
			after = audit.Position{Time: mine.Time.Add(time.Minute)}
		}
		if bits.OnesCount(uint(subset))%2 == 0 {
			f.Except = []audit.Filter{{IDs: []uuid.UUID{{}}}, {Causes: []uuid.UUID{{}}}}
		}
		got, err := store.List(context.Background(), f, after, 10)
		require.NoError(t, err)
		if len(got) != 1 || got[0].ID != mine.ID {
			require.Equal(t, []int{3001}, numbers(got), "an event is never found from another workspace; filter %+v", f)
		}
	}
	none := audit.Filter{Workspace: "mine", IDs: []uuid.UUID{theirs.ID}}
	require.Empty(t, list(t, store, none), "an event is never found from another workspace, not even by its id")
}

// runSpaces asks for one of two events that differ only in spaces at the end.
func runSpaces(t *testing.T, store audit.Store) {
	e, spaced := full(5001), full(5002)
	e.Workspace, spaced.Workspace = "spaces", "spaces"
	e.Actor = audit.Actor{Kind: "robot", ID: "7"}
	spaced.Actor = audit.Actor{Kind: "robot ", ID: "7 "}
	spaced.Entity = audit.Entity{Type: e.Entity.Type + " ", ID: e.Entity.ID + " ", Owner: e.Entity.Owner + " ", Label: e.Entity.Label}
	spaced.Operation += " "
	spaced.Origin += " "
	for i := range spaced.Changes {
		spaced.Changes[i].Field += " "
	}
	require.NoError(t, store.Append(context.Background(), []audit.Event{e, spaced}))
	for name, f := range map[string]audit.Filter{
		"Actors":               {Actors: []audit.Actor{e.Actor}},
		"operation of Actions": {Actions: []audit.Action{{Operation: e.Operation}}},
		"origins of Actions":   {Actions: []audit.Action{{Origins: []audit.Origin{e.Origin, "api"}}}},
		"Types":                {Types: []audit.EntityType{e.Entity.Type}},
		"Entities":             {Entities: []audit.Entity{e.Entity}},
		"Owners":               {Owners: []string{e.Entity.Owner}},
		"Origins":              {Origins: []audit.Origin{e.Origin}},
		"Fields":               {Fields: []string{e.Changes[0].Field, "none"}},
	} {
		found := f
		found.Workspace = e.Workspace
		require.Equal(t, numbers([]audit.Event{e}), numbers(list(t, store, found)), "texts are compared with the spaces at their ends: %s", name)
		left := audit.Filter{Workspace: e.Workspace, Except: []audit.Filter{f}}
		require.Equal(t, numbers([]audit.Event{spaced}), numbers(list(t, store, left)), "texts are compared with the spaces at their ends: %s of Except", name)
	}
}

// runFarTimes asks for times that no count of microseconds reaches.
func runFarTimes(t *testing.T, store audit.Store) {
	e := full(6001)
	e.Workspace = "far"
	require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
	future, past := time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-300_000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, f := range []audit.Filter{
		{From: past},
		{To: future},
		{From: past, To: future},
		{From: future},
		{To: past},
		{Except: []audit.Filter{{From: future}}},
		{Except: []audit.Filter{{From: past}}},
		{Except: []audit.Filter{{To: past}}},
	} {
		f.Workspace = e.Workspace
		require.Equal(t, f.Matches(e), len(list(t, store, f)) == 1, "a filter's times may be as far away as Filter.Validate allows: %+v", f)
	}
}

// runLargeFilters asks with as many values of each field as Filter.Validate
// allows. The last one decides, so that none may be cut off.
func runLargeFilters(t *testing.T, store audit.Store) {
	e, other := full(4001), event(4002)
	e.Workspace, other.Workspace = "large", "large"
	require.NoError(t, store.Append(context.Background(), []audit.Event{e, other}))
	text := func(i int) string { return fmt.Sprintf("no %d", i) }
	for name, f := range map[string]audit.Filter{
		"IDs":                {IDs: thousand(e.ID, func(i int) uuid.UUID { return id(10_000 + i) })},
		"Actors":             {Actors: thousand(e.Actor, func(i int) audit.Actor { return audit.Actor{Kind: audit.ActorKind(text(i)), ID: text(i)} })},
		"Actors of one kind": {Actors: thousand(e.Actor, func(i int) audit.Actor { return audit.Actor{Kind: e.Actor.Kind, ID: text(i)} })},
		"Actions": {Actions: thousand(audit.Action{Type: e.Entity.Type}, func(i int) audit.Action {
			return audit.Action{Type: audit.EntityType(text(i)), Operation: audit.Created, Origins: []audit.Origin{"a", "b"}}
		})},
		"Origins of an action": {Actions: []audit.Action{{Origins: thousand(e.Origin, func(i int) audit.Origin { return audit.Origin(text(i)) })}}},
		"Types":                {Types: thousand(e.Entity.Type, func(i int) audit.EntityType { return audit.EntityType(text(i)) })},
		"Entities":             {Entities: thousand(e.Entity, func(i int) audit.Entity { return audit.Entity{Type: audit.EntityType(text(i)), ID: text(i)} })},
		"Owners":               {Owners: thousand(e.Entity.Owner, text)},
		"Origins":              {Origins: thousand(e.Origin, func(i int) audit.Origin { return audit.Origin(text(i)) })},
		"Fields":               {Fields: thousand(e.Changes[0].Field, text)},
		"Causes":               {Causes: thousand(e.Cause, func(i int) uuid.UUID { return id(20_000 + i) })},
		"ChangeSets":           {ChangeSets: thousand(e.ChangeSet, func(i int) uuid.UUID { return id(30_000 + i) })},
	} {
		f.Workspace = e.Workspace
		require.Equal(t, numbers([]audit.Event{e}), numbers(list(t, store, f)), "a filter may have as many values as Filter.Validate allows: %s", name)
		if name == "Actions" || name == "Origins of an action" { // Except counts origins too
			continue
		}
		f = audit.Filter{Workspace: e.Workspace, Except: []audit.Filter{f}}
		f.Except[0].Workspace = ""
		require.Equal(t, numbers([]audit.Event{other}), numbers(list(t, store, f)), "Except may have as many values as Filter.Validate allows: %s", name)
	}
	many := audit.Filter{Workspace: e.Workspace, Except: thousand(audit.Filter{Origins: []audit.Origin{e.Origin}}, func(i int) audit.Filter { return audit.Filter{Owners: []string{text(i)}} })}
	require.Equal(t, numbers([]audit.Event{other}), numbers(list(t, store, many)), "Except may have as many filters as Filter.Validate allows")
}

// thousand makes 999 values and then the last one.
func thousand[T any](last T, value func(i int) T) []T {
	values := make([]T, 1000)
	for i := range values {
		values[i] = value(i)
	}
	values[len(values)-1] = last
	return values
}
