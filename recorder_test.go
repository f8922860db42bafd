package audit_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// clock is a clock that stands still at noon.
func clock() time.Time { return noon }

// numberedIDs makes ids that are known beforehand.
func numberedIDs() func(time.Time) uuid.UUID {
	var n byte
	return func(time.Time) uuid.UUID { n++; return id(n) }
}

func newRecorder(t *testing.T, cfg *audit.Config) (*audit.Recorder, *memstore.Store) {
	t.Helper()
	store := memstore.New()
	r, err := audit.New(store, cfg)
	require.NoError(t, err)
	return r, store
}

func approved() audit.Event {
	return audit.Event{Operation: "approved", Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}}
}

func TestRecordCompletesAnEventFromContextAndConfig(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, &audit.Config{Now: func() time.Time { return noon.Add(1234567891 * time.Nanosecond).In(time.FixedZone("", 3600)) }, NewID: numberedIDs(), RecordAgent: true})
	ctx := audit.WithActor(context.Background(), jo)
	ctx = audit.WithInitiator(ctx, audit.Actor{ID: "1"})
	ctx = audit.WithOrigin(ctx, audit.OriginAPI)
	ctx = audit.WithWorkspace(ctx, "w1")
	ctx = audit.WithReason(ctx, "because")
	ctx = audit.WithRequest(ctx, audit.Request{ID: "r1", Address: "203.0.113.9", Agent: "curl"})
	ctx = audit.WithChangeSet(ctx, id(99))
	require.NoError(t, r.Record(ctx, approved()))
	require.Equal(t, []audit.Event{{
		ID: id(1), Time: noon.Add(1234567 * time.Microsecond), Workspace: "w1",
		Actor: audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}, Initiator: audit.Actor{Kind: audit.KindUser, ID: "1"},
		Operation: "approved", Origin: audit.OriginAPI, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"},
		ChangeSet: id(99), Request: audit.Request{ID: "r1", Address: "203.0.113.9", Agent: "curl"}, Reason: "because", SchemaVersion: audit.SchemaVersion,
	}}, store.All())
}

func TestRecordKeepsWhatAnEventSaysItself(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, &audit.Config{Now: clock})
	ctx := audit.WithChangeSet(audit.WithReason(audit.WithOrigin(audit.WithInitiator(audit.WithActor(context.Background(), jo), jo), audit.OriginAPI), "x"), id(9))
	own := audit.Event{
		ID: id(1), Time: noon.Add(-time.Hour), Workspace: "w2", Actor: audit.System, Initiator: audit.Actor{Kind: audit.KindKey, ID: "ci"},
		Operation: audit.Updated, Origin: audit.OriginImport, Entity: audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Label: "Standup", Owner: "17"},
		Ownership: audit.OwnershipSelf, Changes: []audit.Change{{Field: "name", Before: audit.ValueOf(nil), After: audit.ValueOf("x")}},
		Cause: id(2), Derived: true, ChangeSet: id(3), Request: audit.Request{ID: "r2"}, Reason: "y", SchemaVersion: audit.SchemaVersion,
	}
	require.NoError(t, r.Record(ctx, own))
	require.Equal(t, []audit.Event{own}, store.All())
}

func TestRecordMakesIDsThatRiseFromTheEventsTime(t *testing.T) {
	t.Parallel()
	now := noon
	r, store := newRecorder(t, &audit.Config{Now: func() time.Time { now = now.Add(-time.Minute); return now }})
	for range 50 {
		require.NoError(t, r.Record(context.Background(), approved(), approved()))
	}
	past := approved()
	past.Time = noon.AddDate(-1, 0, 0)
	require.NoError(t, r.Record(context.Background(), past))
	all := store.All()
	require.Len(t, all, 101)
	ids := map[uuid.UUID]time.Time{}
	for _, e := range all {
		require.Equal(t, uuid.Version(7), e.ID.Version())
		ids[e.ID] = e.Time
		if e.Time.Equal(past.Time) {
			seconds, _ := e.ID.Time().UnixTime()
			require.Equal(t, past.Time.Unix(), seconds, "an event of another time has an id of that time")
		}
	}
	require.Len(t, ids, 101)
}

func TestEventsOfOneStatementShareATimeAndKeepTheirOrder(t *testing.T) {
	t.Parallel()
	reads := 0
	r, _ := newRecorder(t, &audit.Config{Now: func() time.Time { reads++; return noon }})
	events := make([]audit.Event, 5000)
	for i := range events {
		events[i] = approved()
	}
	require.NoError(t, r.Stamp(context.Background(), events))
	require.Equal(t, 1, reads)
	for i := range events[1:] {
		require.Equal(t, noon, events[i].Time)
		require.Positive(t, events[i].Position().Compare(events[i+1].Position()), "the later event is the newer one")
	}
}

func TestWorkspaceIsTheRecordsThenTheContextsThenTheConfigs(t *testing.T) {
	t.Parallel()
	strict, _ := newRecorder(t, nil)
	lax, _ := newRecorder(t, &audit.Config{Workspace: "main", AllowWorkspaceMismatch: true})
	for _, tt := range []struct {
		name         string
		r            *audit.Recorder
		own, context string
		want         string
		err          error
	}{
		{"nobody names one", strict, "", "", audit.DefaultWorkspace, nil},
		{"the config names one", lax, "", "", "main", nil},
		{"the context names one", lax, "", "w1", "w1", nil},
		{"the record names one", strict, "w2", "", "w2", nil},
		{"both name the same", strict, "w1", "w1", "w1", nil},
		{"they differ", strict, "w2", "w1", "", audit.ErrWorkspaceMismatch},
		{"they may differ", lax, "w2", "w1", "w2", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := audit.WithWorkspace(context.Background(), tt.context)
			got, err := tt.r.Workspace(ctx, tt.own)
			require.ErrorIs(t, err, tt.err)
			require.NotContains(t, fmt.Sprint(err), tt.own+`"`, "it may be a value of the record")
			require.Equal(t, tt.want, got)
			e := approved()
			e.Workspace = tt.own
			require.ErrorIs(t, tt.r.Record(ctx, e), tt.err)
		})
	}
}

func TestActorOfNobodyIsUnknownOrAnError(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, nil)
	require.NoError(t, r.Record(context.Background(), approved()))
	require.NoError(t, r.Record(audit.WithActor(context.Background(), audit.Actor{Kind: audit.KindUser}), approved()))
	require.Equal(t, audit.Unknown, store.All()[0].Actor)
	require.Equal(t, audit.Unknown, store.All()[1].Actor, "a user without id and name is nobody")

	strict, store := newRecorder(t, &audit.Config{RequireActor: true})
	err := strict.Record(context.Background(), approved())
	require.ErrorIs(t, err, audit.ErrNoActor)
	require.ErrorContains(t, err, "audit.WithActor before project approved")
	require.ErrorIs(t, strict.Record(audit.WithActor(context.Background(), audit.Actor{Kind: audit.KindUser}), approved()), audit.ErrNoActor)
	require.Empty(t, store.All())
	require.NoError(t, strict.Record(audit.WithActor(context.Background(), audit.System), approved()))
	e := approved()
	e.Actor = jo
	require.NoError(t, strict.Record(context.Background(), e))
}

func TestOwnershipIsJudgedByWhoActs(t *testing.T) {
	t.Parallel()
	key := audit.Actor{Kind: audit.KindKey, ID: "17"}
	for _, tt := range []struct {
		name             string
		actor, initiator audit.Actor
		owner            string
		want             audit.Ownership
	}{
		{"the owner", jo, audit.Actor{}, "17", audit.OwnershipSelf},
		{"the owner under another name", audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Joanna"}, audit.Actor{}, "17", audit.OwnershipSelf},
		{"another user", jo, audit.Actor{}, "18", audit.OwnershipOther},
		{"a user on behalf of the owner", audit.Actor{ID: "18"}, jo, "17", audit.OwnershipOther},
		{"a key with the id of the owner", key, audit.Actor{}, "17", audit.OwnershipOther},
		{"a key on behalf of the owner", key, jo, "17", audit.OwnershipSelf},
		{"the system alone", audit.System, audit.Actor{}, "17", audit.OwnershipOther},
		{"the system on behalf of the owner", audit.System, jo, "17", audit.OwnershipSelf},
		{"the system on behalf of another", audit.System, audit.Actor{ID: "18"}, "17", audit.OwnershipOther},
		{"the system on behalf of itself", audit.System, audit.System, "17", audit.OwnershipOther},
		{"a user called system", audit.Actor{ID: "system"}, audit.Actor{}, "system", audit.OwnershipSelf},
		{"nobody known", audit.Unknown, audit.Actor{}, "17", audit.OwnershipOther},
		{"a record that nobody owns", jo, audit.Actor{}, "", audit.OwnershipOther},
		{"a user without an id and a record that nobody owns", audit.Actor{Name: "Jo"}, audit.Actor{}, "", audit.OwnershipOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, audit.OwnershipFor(tt.actor, tt.initiator, tt.owner))
			if tt.owner == "" {
				return
			}
			r, store := newRecorder(t, nil)
			require.NoError(t, r.Record(context.Background(), audit.Event{
				Actor: tt.actor, Initiator: tt.initiator, Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeTask, ID: "1", Owner: tt.owner},
			}))
			require.Equal(t, tt.want, store.All()[0].Ownership)
		})
	}
	r, store := newRecorder(t, nil)
	require.NoError(t, r.Record(audit.WithActor(context.Background(), jo), approved()))
	require.Equal(t, audit.OwnershipNone, store.All()[0].Ownership, "a record that cannot have an owner")
}

func TestTimeEntryCreatedByItsOwnerIsManual(t *testing.T) {
	t.Parallel()
	entry := audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Owner: "17"}
	for _, tt := range []struct {
		name  string
		event audit.Event
		want  audit.Origin
	}{
		{"by its owner", audit.Event{Operation: audit.Created, Entity: entry}, audit.OriginManual},
		{"by its owner's timer", audit.Event{Operation: audit.Created, Entity: entry, Origin: audit.OriginTimer}, audit.OriginTimer},
		{"by another", audit.Event{Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Owner: "18"}}, ""},
		{"updated", audit.Event{Operation: audit.Updated, Entity: entry}, ""},
		{"an expense", audit.Event{Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeExpense, ID: "3", Owner: "17"}}, ""},
		{"by the system for its owner", audit.Event{Actor: audit.System, Initiator: jo, Operation: audit.Created, Entity: entry}, audit.OriginManual},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, store := newRecorder(t, nil)
			require.NoError(t, r.Record(audit.WithActor(context.Background(), jo), tt.event))
			require.Equal(t, tt.want, store.All()[0].Origin)
		})
	}
}

func TestPersonalDataIsKeptAsTheConfigSays(t *testing.T) {
	t.Parallel()
	request := audit.Request{ID: "r", Address: "203.0.113.9", Agent: "curl"}
	for _, tt := range []struct {
		cfg  audit.Config
		want audit.Request
	}{
		{audit.Config{}, audit.Request{ID: "r", Address: "203.0.113.9"}},
		{audit.Config{RecordAgent: true}, request},
		{audit.Config{ShortenAddresses: true}, audit.Request{ID: "r", Address: "203.0.113.0"}},
	} {
		r, store := newRecorder(t, &tt.cfg)
		require.NoError(t, r.Record(audit.WithRequest(context.Background(), request), approved()))
		own := approved()
		own.Request = request
		require.NoError(t, r.Record(context.Background(), own))
		for _, e := range store.All() {
			require.Equal(t, tt.want, e.Request)
		}
	}
}

func TestCallbacksThatFailMakeTheChangeFail(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, tt := range []struct {
		name, message string
		cfg           audit.Config
		cause         error
	}{
		{"a clock that panics", "the clock or id callback panicked with a string", audit.Config{Now: func() time.Time { panic("canary") }}, nil},
		{"a clock without a time", "Config.Now returned the zero time", audit.Config{Now: func() time.Time { return time.Time{} }}, nil},
		{"ids that panic", "the clock or id callback panicked with a *errors.errorString", audit.Config{NewID: func(time.Time) uuid.UUID { panic(errors.New("canary")) }}, nil},
		{"ids that are zero", "Config.NewID returned the zero id", audit.Config{NewID: func(time.Time) uuid.UUID { return uuid.Nil }}, nil},
		{"a gate that panics", "the gate callback panicked with a runtime.boundsError", audit.Config{Gate: audit.GateFunc(func(_ context.Context, _ audit.DBTX, w string, _ audit.EntityType) (bool, error) {
			return w[len(w)] == 0, nil
		})}, nil},
		{"a gate that fails", "gate: cause", audit.Config{Gate: audit.GateFunc(func(context.Context, audit.DBTX, string, audit.EntityType) (bool, error) { return true, cause })}, cause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, store := newRecorder(t, &tt.cfg)
			err := r.Record(context.Background(), approved())
			require.ErrorIs(t, err, audit.ErrAuditFailed)
			require.ErrorContains(t, err, tt.message)
			require.NotContains(t, err.Error(), "canary")
			if tt.cause != nil {
				require.ErrorIs(t, err, tt.cause)
			}
			require.Empty(t, store.All())
		})
	}
}

// faulty is a store that refuses everything.
type faulty struct{ audit.Store }

func (faulty) Append(context.Context, []audit.Event) error { return errors.New("disk full") }

func (faulty) AppendTx(context.Context, audit.DBTX, []audit.Event) error {
	return errors.New("disk full")
}

// joining is a store that takes part in a transaction.
type joining struct {
	*memstore.Store
	tx audit.DBTX
}

func (s *joining) AppendTx(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	s.tx = tx
	return s.Append(ctx, events)
}

func TestRecordTxPassesTheTransactionToStoreAndGate(t *testing.T) {
	t.Parallel()
	var asked audit.DBTX
	store := &joining{Store: memstore.New()}
	r, err := audit.New(store, &audit.Config{Gate: audit.GateFunc(func(_ context.Context, tx audit.DBTX, _ string, kind audit.EntityType) (bool, error) {
		asked = tx
		return kind == audit.TypeProject, nil
	})})
	require.NoError(t, err)
	tx := new(sql.Tx)
	require.NoError(t, r.RecordTx(context.Background(), tx, approved()))
	require.Same(t, tx, store.tx)
	require.Same(t, tx, asked)
	require.Len(t, store.All(), 1)
	store.tx = nil
	require.NoError(t, r.RecordTx(context.Background(), tx, audit.Event{Operation: "x", Entity: audit.Entity{Type: "y", ID: "1"}}))
	require.Nil(t, store.tx, "what is not recorded does not reach the store")
	require.ErrorIs(t, r.RecordTx(context.Background(), tx, audit.Event{}), audit.ErrInvalidEvent)
}

func TestRecordTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	_, err := audit.New(nil, nil)
	require.EqualError(t, err, "audit: New needs a store, got nil")

	r, err := audit.New(faulty{}, nil)
	require.NoError(t, err)
	require.Equal(t, faulty{}, r.Store())
	err = r.Record(context.Background(), approved())
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	require.EqualError(t, err, "audit: the event could not be recorded: disk full")
	require.ErrorIs(t, r.RecordTx(context.Background(), (*sql.Tx)(nil), approved()), audit.ErrAuditFailed)
	require.NoError(t, r.Record(context.Background()), "no events are no reason to fail")

	r, store := newRecorder(t, nil)
	err = r.RecordTx(context.Background(), (*sql.Tx)(nil), approved())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "use Record")
	for _, e := range []audit.Event{
		{}, {Operation: "x", Entity: audit.Entity{Type: "y"}}, {Operation: "x", Entity: audit.Entity{ID: "1"}}, {Entity: audit.Entity{Type: "y", ID: "1"}},
	} {
		err := r.Record(context.Background(), approved(), e)
		require.ErrorIs(t, err, audit.ErrInvalidEvent)
		require.ErrorContains(t, err, "event 2 of 2 needs an entity type, an entity id and an operation")
	}
	nameless := approved()
	nameless.Changes = []audit.Change{{After: audit.ValueOf("canary")}}
	require.EqualError(t, r.Record(context.Background(), nameless), "audit: invalid event: a change of event 1 of 1 needs the name of its field")
	require.Empty(t, store.All(), "all or none")
}

func TestAnEventWithoutParametersIsInvalidEvenIfNothingIsRecorded(t *testing.T) {
	t.Parallel()
	r, _ := newRecorder(t, &audit.Config{Gate: &audit.Switch{}})
	require.ErrorIs(t, r.Record(context.Background(), audit.Event{}), audit.ErrInvalidEvent)
	nameless := approved()
	nameless.Changes = []audit.Change{{}}
	require.ErrorIs(t, r.Record(context.Background(), nameless), audit.ErrInvalidEvent)
}

func TestWhatTheLogTellsOfItselfPassesEveryGate(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, &audit.Config{Gate: &audit.Switch{}})
	for _, kind := range []audit.EntityType{audit.TypeSettings, audit.TypeExport, audit.TypeLog, audit.TypeProject} {
		require.NoError(t, r.Record(context.Background(), audit.Event{Operation: "told", Entity: audit.Entity{Type: kind, ID: "1"}}))
	}
	var kinds []audit.EntityType
	for _, e := range store.All() {
		kinds = append(kinds, e.Entity.Type)
	}
	require.ElementsMatch(t, []audit.EntityType{audit.TypeSettings, audit.TypeExport, audit.TypeLog}, kinds)
}

func TestNoValueMakesARecordFail(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, nil)
	value := func(s string, form audit.Form) audit.Value { return audit.Value{JSON: json.RawMessage(s), Form: form} }
	long := strings.Repeat("a", audit.MaxValueBytes+1)
	quotes := strings.Repeat(`\"`, audit.MaxValueBytes)
	for _, tt := range []struct {
		name     string
		in, want audit.Value
	}{
		{"good JSON stays", value(`{"a":1}`, ""), value(`{"a":1}`, "")},
		{"JSON is made compact", value("{ \"a\" :\n1 }", ""), value(`{"a":1}`, "")},
		{"null stays null", value("null", ""), value("null", "")},
		{"what is not recorded stays so", audit.Value{Label: "x"}, audit.Value{Label: "x"}},
		{"no JSON is not recorded", audit.Value{JSON: json.RawMessage{}}, audit.Value{}},
		{"what is no JSON is a text", value("Apollo", ""), value(`"Apollo"`, "")},
		{"bytes that are no text are replaced", value("\"a\xff\"", ""), value(`"\"a`+"\uFFFD"+`\""`, "")},
		{"what is withheld is not there", audit.Value{JSON: json.RawMessage(`"canary"`), Label: "canary", Form: audit.FormRedacted}, audit.Value{Form: audit.FormRedacted}},
		{"base64 stays", value(`"AAEC"`, audit.FormBase64), value(`"AAEC"`, audit.FormBase64)},
		{"a long text is shortened", value(`"`+long+`"`, ""), audit.ValueOf(long)},
		{"a text is as long as it is without escapes", value(`"`+quotes+`"`, ""), value(`"`+quotes+`"`, "")},
		{"long bytes are shortened", value(`"`+strings.Repeat("AAAA", 22_000)+`"`, audit.FormBase64), audit.ValueOf(make([]byte, 66_000))},
		{"bytes are as long as they are without base64", value(`"`+strings.Repeat("AAAA", 20_000)+`"`, audit.FormBase64), audit.ValueOf(make([]byte, 60_000))},
		{"a long list is shortened", value("["+strings.Repeat("1,", 40_000)+"1]", ""), audit.ValueOf(func() (l []int) {
			for range 40_001 {
				l = append(l, 1)
			}
			return l
		}())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := approved()
			e.Changes = []audit.Change{{Field: "f", After: tt.in}}
			before := fmt.Sprintf("%#v", e.Changes)
			store.Reset()
			require.NoError(t, r.Record(context.Background(), e))
			require.Equal(t, []audit.Change{{Field: "f", After: tt.want}}, store.All()[0].Changes)
			require.Equal(t, before, fmt.Sprintf("%#v", e.Changes), "the caller's event stays as it is")
		})
	}
}

func TestRecordLeavesTheCallersEventsAlone(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, nil)
	e := approved()
	e.Changes = []audit.Change{{Field: "f\x00", After: audit.Value{JSON: json.RawMessage(" 1 "), Label: "a\x00"}}}
	events := []audit.Event{e}
	var group sync.WaitGroup
	for range 10 {
		group.Add(1)
		go func() { defer group.Done(); _ = r.Record(context.Background(), events...) }()
	}
	group.Wait()
	require.Len(t, store.All(), 10)
	require.Zero(t, events[0].ID)
	require.Equal(t, "f\x00", events[0].Changes[0].Field)
	require.Equal(t, "a\x00", events[0].Changes[0].After.Label)
	require.Equal(t, " 1 ", string(events[0].Changes[0].After.JSON))
}

// TestActorsAreNeverMixed records with a thousand actors through one Recorder.
func TestActorsAreNeverMixed(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, nil)
	var group sync.WaitGroup
	for i := range 1000 {
		group.Add(1)
		go func() {
			defer group.Done()
			name := fmt.Sprint(i)
			ctx := audit.WithRequest(audit.WithWorkspace(audit.WithActor(context.Background(), audit.Actor{ID: name}), "w"+name), audit.Request{ID: name})
			for range 3 {
				if err := r.Record(ctx, audit.Event{Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeTask, ID: name, Owner: name}}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	count := map[string]int{}
	for _, e := range store.All() {
		require.Equal(t, audit.Actor{Kind: audit.KindUser, ID: e.Entity.ID}, e.Actor)
		require.Equal(t, "w"+e.Entity.ID, e.Workspace)
		require.Equal(t, e.Entity.ID, e.Request.ID)
		require.Equal(t, audit.OwnershipSelf, e.Ownership)
		count[e.Entity.ID]++
	}
	require.Len(t, count, 1000)
	for name, n := range count {
		require.Equal(t, 3, n, name)
	}
}

func BenchmarkStamp(b *testing.B) {
	r, err := audit.New(memstore.New(), nil)
	require.NoError(b, err)
	ctx := audit.WithRequest(audit.WithWorkspace(audit.WithActor(context.Background(), jo), "w1"), audit.Request{ID: "r1", Address: "203.0.113.9"})
	changes := make([]audit.Change, 12)
	for i := range changes {
		changes[i] = audit.Change{Field: "description", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")}
	}
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			events := make([]audit.Event, n)
			b.ReportAllocs()
			for b.Loop() {
				for i := range events {
					events[i] = audit.Event{Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeTimeEntry, ID: "3", Label: "Standup", Owner: "17"}, Changes: changes}
				}
				if err := r.Stamp(ctx, events); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
		})
	}
}
