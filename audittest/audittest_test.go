package audittest_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/audittest"
)

var update = flag.Bool("update", false, "write the golden files")

// fake is a test that an assertion may fail.
type fake struct{ failures []string }

func (*fake) Helper() {}

func (f *fake) Fatalf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

// golden compares the only failure of an assertion with a file in testdata.
func golden(t *testing.T, name string, assert func(audittest.TestingT)) {
	t.Helper()
	f := &fake{}
	assert(f)
	require.Len(t, f.failures, 1, "the assertion must fail, once")
	path := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(f.failures[0]), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to write it")
	require.Equal(t, string(want), f.failures[0], "if the change is meant, run the test with -update and review the file")
}

func passes(t *testing.T, assert func(audittest.TestingT)) {
	t.Helper()
	f := &fake{}
	assert(f)
	require.Empty(t, f.failures)
}

func fails(t *testing.T, assert func(audittest.TestingT)) string {
	t.Helper()
	f := &fake{}
	assert(f)
	require.Len(t, f.failures, 1, "the assertion must fail, once")
	return f.failures[0]
}

var (
	jo  = audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}
	kim = audit.Actor{Kind: audit.KindUser, ID: "18", Name: "Kim"}

	apollo  = audit.Entity{Type: audit.TypeProject, ID: "7"}
	standup = audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Label: "Standup", Owner: "17"}
)

func named(e audit.Entity, label string) audit.Entity { e.Label = label; return e }

func raw(text string) audit.Value { return audit.Value{JSON: json.RawMessage(text)} }

func record(t *testing.T, log *audittest.Log, by audit.Actor, e ...audit.Event) {
	t.Helper()
	require.NoError(t, log.Recorder().Record(audit.WithActor(context.Background(), by), e...))
}

// story is a log of four events.
func story(t *testing.T) *audittest.Log {
	t.Helper()
	log := audittest.New(nil)
	record(t, log, jo, audit.Event{Operation: audit.Created, Entity: named(apollo, "Gemini"), Changes: []audit.Change{
		{Field: "name", After: audit.ValueOf("Gemini")}, {Field: "budget", After: audit.ValueOf(1500)}, {Field: "note", After: audit.ValueOf(nil)},
	}})
	record(t, log, jo, audit.Event{Operation: audit.Created, Entity: standup, Origin: audit.OriginTimer, Changes: []audit.Change{
		{Field: "project_id", After: audit.Value{JSON: json.RawMessage(`"7"`), Label: "Gemini"}},
		{Field: "tags", Element: true, Before: audit.ValueOf(nil), After: audit.Value{JSON: json.RawMessage(`"5"`), Label: "daily"}},
		{Field: "tags", Element: true, Before: audit.ValueOf(nil), After: audit.Value{JSON: json.RawMessage(`"6"`), Label: "urgent"}},
	}})
	ctx := audit.WithReason(audit.WithActor(context.Background(), kim), "asked by phone")
	renamed := audit.Event{Operation: audit.Updated, Entity: named(apollo, "Apollo"), Changes: []audit.Change{
		{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")},
		{Field: "pin", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}},
	}}
	shows := audit.Event{Actor: audit.System, Initiator: kim, Operation: audit.Updated, Entity: standup, Derived: true, Changes: []audit.Change{
		{Field: "project_id", Before: audit.Value{JSON: json.RawMessage(`"7"`), Label: "Gemini"}, After: audit.Value{JSON: json.RawMessage(`"7"`), Label: "Apollo"}},
	}}
	require.NoError(t, log.Recorder().Record(ctx, renamed, shows))
	return log
}

func TestClockAndIDsAreTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	log := story(t)
	var told []string
	for _, e := range log.Events() {
		require.Equal(t, uuid.Version(7), e.ID.Version())
		require.Equal(t, uuid.RFC4122, e.ID.Variant())
		told = append(told, e.Time.Format(time.RFC3339)+" "+e.ID.String()+" "+string(e.Operation)+" "+e.Entity.ID)
	}
	require.Equal(t, []string{
		"2026-01-01T09:00:00Z 019b78c9-0a80-7000-8000-000000000001 created 7",
		"2026-01-01T09:00:01Z 019b78c9-0e68-7000-8000-000000000002 created 3",
		"2026-01-01T09:00:02Z 019b78c9-1250-7000-8000-000000000003 updated 7",
		"2026-01-01T09:00:02Z 019b78c9-1250-7000-8000-000000000004 updated 3",
	}, told)
	require.Equal(t, audittest.Start(), log.Events()[0].Time)
}

func TestResetForgetsEventsAndClockAndIDsGoOn(t *testing.T) {
	t.Parallel()
	log := story(t)
	log.Reset()
	require.Empty(t, log.Events())
	record(t, log, jo, audit.Event{Operation: audit.Deleted, Entity: apollo})
	require.Equal(t, audittest.Start().Add(3*time.Second), log.Events()[0].Time)
	require.Equal(t, "019b78c9-1638-7000-8000-000000000005", log.Events()[0].ID.String())
}

func TestAConfigWinsOverClockAndIDsAndIsLeftAlone(t *testing.T) {
	t.Parallel()
	at := time.Date(2020, 5, 1, 9, 0, 0, 0, time.UTC)
	cfg := &audit.Config{Workspace: "w1", Now: func() time.Time { return at }, NewID: func(time.Time) uuid.UUID { return uuid.UUID{15: 9} }}
	log := audittest.New(cfg)
	record(t, log, jo, audit.Event{Operation: audit.Created, Entity: apollo})
	e := log.Require(t, audittest.Event{Workspace: "w1"})
	require.Equal(t, at, e.Time)
	require.Equal(t, uuid.UUID{15: 9}, e.ID)

	cfg = &audit.Config{}
	audittest.New(cfg)
	require.Nil(t, cfg.Now)
	require.Nil(t, cfg.NewID)
}

func TestAnExpectationFitsByEachFieldThatIsSet(t *testing.T) {
	t.Parallel()
	set := uuid.UUID{1}
	recorded := audit.Event{
		ID: uuid.UUID{2}, Time: audittest.Start(), Workspace: "w1", Actor: jo, Initiator: kim, Operation: audit.Updated, Origin: audit.OriginAPI,
		Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo", Owner: "17"}, Ownership: audit.OwnershipSelf, Cause: uuid.UUID{3},
		Derived: true, ChangeSet: set, Request: audit.Request{ID: "r1", Address: "192.0.2.7", Agent: "curl"}, Reason: "asked",
	}
	log := audittest.New(&audit.Config{RecordAgent: true})
	record(t, log, audit.Actor{}, recorded)
	for _, tt := range []struct {
		path     string
		fit, not audittest.Event
	}{
		{"operation", audittest.Event{Operation: audit.Updated}, audittest.Event{Operation: audit.Deleted}},
		{"entity.type", audittest.Event{Entity: audit.Entity{Type: audit.TypeProject}}, audittest.Event{Entity: audit.Entity{Type: audit.TypeTask}}},
		{"entity.id", audittest.Event{Entity: audit.Entity{ID: "7"}}, audittest.Event{Entity: audit.Entity{ID: "8"}}},
		{"entity.label", audittest.Event{Entity: audit.Entity{Label: "Apollo"}}, audittest.Event{Entity: audit.Entity{Label: "apollo"}}},
		{"entity.owner", audittest.Event{Entity: audit.Entity{Owner: "17"}}, audittest.Event{Entity: audit.Entity{Owner: "18"}}},
		{"actor.kind", audittest.Event{Actor: audit.Actor{Kind: audit.KindUser}}, audittest.Event{Actor: audit.Actor{Kind: audit.KindKey}}},
		{"actor.id", audittest.Event{Actor: audit.Actor{ID: "17"}}, audittest.Event{Actor: audit.Actor{ID: "18"}}},
		{"actor.name", audittest.Event{Actor: audit.Actor{Name: "Jo"}}, audittest.Event{Actor: audit.Actor{Name: "Kim"}}},
		{"initiator.id", audittest.Event{Initiator: audit.Actor{ID: "18"}}, audittest.Event{Initiator: audit.Actor{ID: "17"}}},
		{"workspace", audittest.Event{Workspace: "w1"}, audittest.Event{Workspace: "w2"}},
		{"origin", audittest.Event{Origin: audit.OriginAPI}, audittest.Event{Origin: audit.OriginTimer}},
		{"ownership", audittest.Event{Ownership: audit.OwnershipSelf}, audittest.Event{Ownership: audit.OwnershipOther}},
		{"reason", audittest.Event{Reason: "asked"}, audittest.Event{Reason: "told"}},
		{"request.id", audittest.Event{Request: audit.Request{ID: "r1"}}, audittest.Event{Request: audit.Request{ID: "r2"}}},
		{"request.address", audittest.Event{Request: audit.Request{Address: "192.0.2.7"}}, audittest.Event{Request: audit.Request{Address: "192.0.2.8"}}},
		{"request.agent", audittest.Event{Request: audit.Request{Agent: "curl"}}, audittest.Event{Request: audit.Request{Agent: "wget"}}},
		{"id", audittest.Event{ID: uuid.UUID{2}}, audittest.Event{ID: uuid.UUID{9}}},
		{"cause", audittest.Event{Cause: uuid.UUID{3}}, audittest.Event{Cause: uuid.UUID{9}}},
		{"change_set", audittest.Event{ChangeSet: set}, audittest.Event{ChangeSet: uuid.UUID{9}}},
		{"time", audittest.Event{Time: audittest.Start().In(time.FixedZone("", 3600))}, audittest.Event{Time: audittest.Start().Add(time.Microsecond)}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			passes(t, func(ft audittest.TestingT) { log.Require(ft, tt.fit) })
			passes(t, func(ft audittest.TestingT) { log.RequireExactly(ft, tt.fit) })
			passes(t, func(ft audittest.TestingT) { log.RequireNone(ft, tt.not) })
			fails(t, func(ft audittest.TestingT) { log.Require(ft, tt.not) })
			fails(t, func(ft audittest.TestingT) { log.RequireNone(ft, tt.fit) })
			require.Contains(t, fails(t, func(ft audittest.TestingT) { log.RequireExactly(ft, tt.not) }), "missing:     "+tt.path+" ")
		})
	}
	passes(t, func(ft audittest.TestingT) { log.Require(ft, audittest.Event{Derived: true}) })
	passes(t, func(ft audittest.TestingT) { log.Require(ft, audittest.Event{}) })
	fails(t, func(ft audittest.TestingT) { story(t).RequireExactly(ft, audittest.Event{Derived: true}) })
	require.Equal(t, "any event", audittest.Event{}.String())
	require.Equal(t, `derived true, note: any change, no other changes`,
		audittest.Event{Derived: true, Changes: []audittest.Change{{Field: "note"}}, NoOtherChanges: true}.String())
}

func TestAValueFitsIfItMeansTheSame(t *testing.T) {
	t.Parallel()
	type settings struct {
		Rate float64 `json:"rate"`
		Tags []string
	}
	null, redacted := audit.ValueOf(nil), audit.Value{Form: audit.FormRedacted}
	reference := audit.Value{JSON: json.RawMessage(`"7"`), Label: "Apollo"}
	for _, tt := range []struct {
		name     string
		expected any
		recorded audit.Value
		fits     bool
	}{
		{"a text", "Apollo", raw(`"Apollo"`), true},
		{"another text", "Apollo", raw(`"Gemini"`), false},
		{"a text that is escaped in another way", "é", raw(`"\u00e9"`), true},
		{"a number", 1500, raw(`1500`), true},
		{"a number with other digits of the same worth", 12.5, raw(`12.50`), true},
		{"a number with an exponent", 1500, raw(`1.5e3`), true},
		{"a number that a float64 cannot tell from it", int64(9007199254740993), raw(`9007199254740992`), false},
		{"a number too large to be worked out", raw(`1e99999`), raw(`10e99998`), false},
		{"a number is no text", 7, raw(`"7"`), false},
		{"a text is no number", "7", raw(`7`), false},
		{"true", true, raw(`true`), true},
		{"true is not false", true, raw(`false`), false},
		{"true is no text", true, raw(`"true"`), false},
		{"a time in another zone", audittest.Start().In(time.FixedZone("", 3600)), raw(`"2026-01-01T09:00:00Z"`), true},
		{"bytes", []byte{0, 1}, audit.ValueOf([]byte{0, 1}), true},
		{"bytes are not the text of their base64", "AAE=", audit.ValueOf([]byte{0, 1}), false},
		{"a structure in another order", settings{1.5, []string{"a"}}, raw(`{"Tags": ["a"], "rate": 1.50}`), true},
		{"a structure with another element", settings{1.5, []string{"a"}}, raw(`{"Tags": ["b"], "rate": 1.5}`), false},
		{"a structure with more", settings{1.5, nil}, raw(`{"Tags": null, "rate": 1.5, "more": 1}`), false},
		{"JSON as it is", json.RawMessage(`{"a":1}`), raw(`{"a": 1}`), true},
		{"nil is any", nil, raw(`"Apollo"`), true},
		{"nil is not recorded too", nil, audit.Value{}, true},
		{"null", null, null, true},
		{"a nil pointer is null", (*string)(nil), null, true},
		{"null is not the text null", null, raw(`"null"`), false},
		{"null is recorded", null, audit.Value{}, false},
		{"not recorded", audit.Value{}, audit.Value{}, true},
		{"not recorded is not null", audit.Value{}, null, false},
		{"withheld", redacted, redacted, true},
		{"withheld is not its value", "1234", redacted, false},
		{"a value is not withheld", redacted, raw(`"1234"`), false},
		{"a reference by its id", "7", reference, true},
		{"a reference by its label", audit.Value{Label: "Apollo"}, reference, true},
		{"a reference by another label", audit.Value{Label: "Gemini"}, reference, false},
		{"a reference by both", reference, reference, true},
		{"a reference by its label and another id", audit.Value{JSON: json.RawMessage(`"8"`), Label: "Apollo"}, reference, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				recorded audit.Change
				expected audittest.Change
			}{
				{audit.Change{Field: "f", Before: tt.recorded}, audittest.Change{Field: "f", Before: tt.expected}},
				{audit.Change{Field: "f", After: tt.recorded}, audittest.Change{Field: "f", After: tt.expected}},
			} {
				log := audittest.New(nil)
				record(t, log, jo, audit.Event{Operation: audit.Updated, Entity: apollo, Changes: []audit.Change{c.recorded}})
				want := audittest.Event{Changes: []audittest.Change{c.expected}, NoOtherChanges: true}
				if tt.fits {
					passes(t, func(ft audittest.TestingT) { log.Require(ft, want) })
					continue
				}
				told := fails(t, func(ft audittest.TestingT) { log.Require(ft, want) })
				var expected, recorded string
				for line := range strings.Lines(told) {
					if _, sides, ok := strings.Cut(strings.TrimSpace(line), ": expected "); ok {
						expected, recorded, _ = strings.Cut(sides, ", found ")
					}
				}
				require.NotEmpty(t, expected, told)
				require.NotEqual(t, expected, recorded, "what differs must look different")
			}
		})
	}
}

func TestChangesAreFoundInAnyOrderAndOnce(t *testing.T) {
	t.Parallel()
	log := story(t)
	created := func(c ...audittest.Change) audittest.Event {
		return audittest.Event{Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeTimeEntry}, Changes: c, NoOtherChanges: true}
	}
	tag := func(after any) audittest.Change { return audittest.Change{Field: "tags", After: after} }
	project := audittest.Change{Field: "project_id", Before: audit.Value{}, After: "7"}
	passes(t, func(ft audittest.TestingT) { log.Require(ft, created(tag("6"), project, tag("5"))) })
	passes(t, func(ft audittest.TestingT) { log.Require(ft, created(tag(nil), project, tag("5"))) })
	passes(t, func(ft audittest.TestingT) {
		log.Require(ft, created(tag(nil), tag(audit.Value{Label: "daily"}), project))
	})
	fails(t, func(ft audittest.TestingT) { log.Require(ft, created(tag("5"), project)) })
	fails(t, func(ft audittest.TestingT) { log.Require(ft, created(tag("5"), tag("5"), project)) })
	fails(t, func(ft audittest.TestingT) { log.Require(ft, created(tag("5"), tag("6"), tag(nil), project)) })
	passes(t, func(ft audittest.TestingT) {
		log.RequireNone(ft, audittest.Event{Operation: audit.Created, NoOtherChanges: true})
	})
}

func TestRequireReturnsTheNewestThatFits(t *testing.T) {
	t.Parallel()
	log := story(t)
	e := log.Require(t, audittest.Event{Entity: apollo})
	require.Equal(t, log.Events()[2], e)
	e = log.Require(t, audittest.Event{Entity: apollo, Operation: audit.Created})
	require.Equal(t, log.Events()[0], e)
	require.Zero(t, log.Require(&fake{}, audittest.Event{Workspace: "elsewhere"}), "a test that goes on gets no event")
}

func TestRequireExactlyReturnsAllEvents(t *testing.T) {
	t.Parallel()
	log := story(t)
	events := log.RequireExactly(t, audittest.Event{}, audittest.Event{}, audittest.Event{Entity: apollo}, audittest.Event{Derived: true})
	require.Equal(t, log.Events(), events)
	require.Empty(t, audittest.New(nil).RequireExactly(t))
	audittest.New(nil).RequireNone(t)
}

func TestFailuresTellWhatDiffers(t *testing.T) {
	t.Parallel()
	renamed := audittest.Event{
		Operation: audit.Updated, Entity: apollo, Actor: kim,
		Changes: []audittest.Change{{Field: "name", Before: "Gemini", After: "Apollo"}},
	}
	shows := audittest.Event{Entity: standup, Actor: audit.System, Initiator: kim, Changes: []audittest.Change{{Field: "project_id", After: audit.Value{Label: "Apollo"}}}}
	created := audittest.Event{Operation: audit.Created, Entity: apollo}
	started := audittest.Event{Operation: audit.Created, Entity: standup, Origin: audit.OriginTimer}

	t.Run("a near miss", func(t *testing.T) {
		want := renamed
		want.Actor, want.Reason, want.NoOtherChanges = jo, "asked by mail", true
		want.Changes = []audittest.Change{{Field: "name", Before: audit.ValueOf(nil), After: "Artemis"}, {Field: "budget", After: 1600}}
		golden(t, "near_miss", func(ft audittest.TestingT) { story(t).Require(ft, want) })
	})
	t.Run("a reference under another name", func(t *testing.T) {
		want := shows
		want.Changes = []audittest.Change{{Field: "project_id", Before: audit.Value{Label: "Mercury"}, After: "8"}}
		golden(t, "reference", func(ft audittest.TestingT) { story(t).Require(ft, want) })
	})
	t.Run("nothing comes near", func(t *testing.T) {
		golden(t, "nothing_near", func(ft audittest.TestingT) { story(t).Require(ft, audittest.Event{Workspace: "elsewhere"}) })
	})
	t.Run("nothing was recorded", func(t *testing.T) {
		golden(t, "empty", func(ft audittest.TestingT) { audittest.New(nil).Require(ft, renamed) })
	})
	t.Run("exactly, but one is missing, one differs and one is unexpected", func(t *testing.T) {
		other := started
		other.Actor = kim
		golden(t, "exactly", func(ft audittest.TestingT) {
			story(t).RequireExactly(ft, created, other, audittest.Event{Operation: audit.Deleted, Actor: jo}, shows)
		})
	})
	t.Run("exactly, but in another order", func(t *testing.T) {
		golden(t, "order", func(ft audittest.TestingT) { story(t).RequireExactly(ft, started, created, renamed, shows) })
	})
	t.Run("exactly these of none", func(t *testing.T) {
		golden(t, "exactly_empty", func(ft audittest.TestingT) { audittest.New(nil).RequireExactly(ft, created, started) })
	})
	t.Run("none", func(t *testing.T) {
		golden(t, "none", func(ft audittest.TestingT) { story(t).RequireNone(ft) })
	})
	t.Run("none of these", func(t *testing.T) {
		golden(t, "unwanted", func(ft audittest.TestingT) {
			story(t).RequireNone(ft, audittest.Event{Operation: audit.Deleted}, renamed)
		})
	})
	t.Run("long values are shown where they begin to differ", func(t *testing.T) {
		log := audittest.New(nil)
		long := strings.Repeat("Gemini und Apollo sind Missionen. ", 20)
		record(t, log, jo, audit.Event{Operation: audit.Updated, Entity: apollo, Changes: []audit.Change{{Field: "note", After: audit.ValueOf(long + "Mercury?" + long)}}})
		golden(t, "long_values", func(ft audittest.TestingT) {
			log.Require(ft, audittest.Event{Changes: []audittest.Change{{Field: "note", After: long + "Mercury!" + long}}})
		})
	})
	t.Run("of many events only the newest are listed", func(t *testing.T) {
		log := audittest.New(nil)
		for i := range 25 {
			record(t, log, jo, audit.Event{Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeTag, ID: fmt.Sprint(i + 1)}})
		}
		golden(t, "many", func(ft audittest.TestingT) { log.RequireNone(ft) })
	})
}
