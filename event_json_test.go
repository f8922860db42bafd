package audit_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestTheJSONOfAnEventStaysAsItIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, e := range oneOfEveryKind() {
		out.Write(e.AppendJSON(nil))
		out.WriteByte('\n')
	}
	golden(t, "events.golden.jsonl", out.String())

	var full bytes.Buffer
	require.NoError(t, json.Indent(&full, renamed().AppendJSON(nil), "", "  "))
	golden(t, "event.golden.json", full.String()+"\n")
}

func TestAnEventSurvivesJSON(t *testing.T) {
	t.Parallel()
	for _, e := range append(oneOfEveryKind(), audit.Event{}, audit.Event{Actor: audit.Actor{Name: "x"}}, audit.Event{Derived: true}) {
		var read audit.Event
		require.NoError(t, json.Unmarshal(e.AppendJSON(nil), &read))
		require.Equal(t, e, read)

		b, err := json.Marshal(e)
		require.NoError(t, err)
		require.JSONEq(t, string(e.AppendJSON(nil)), string(b), "json.Marshal gives the same")
	}
	require.Equal(t, `{}`, string(audit.Event{}.AppendJSON(nil)))
	require.Equal(t, `before {"actor":{"name":"x"}}`, string(audit.Event{Actor: audit.Actor{Name: "x"}}.AppendJSON([]byte("before "))))
}

func TestTheTimeOfAnEventIsUTCInMicroseconds(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(2026, 11, 22, 13, 0, 0, 123456789, time.FixedZone("CET", 3600)),
		time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC),
	} {
		b, err := json.Marshal(audit.Event{Time: at})
		require.NoError(t, err)
		require.Equal(t, `{"time":"`+at.UTC().Format("2006-01-02T15:04:05.000000")+`Z"}`, string(b))
		var read audit.Event
		require.NoError(t, json.Unmarshal(b, &read))
		require.Equal(t, at.UTC().Truncate(time.Microsecond), read.Time)
	}
	_, err := json.Marshal(audit.Event{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
	require.ErrorIs(t, err, audit.ErrInvalidEvent)
}

func TestAnEventThatCannotBeReadLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	for text, message := range map[string]string{
		`{"time":"yesterday"}`:    "audit: the time of an event is not in RFC 3339",
		`{"id":"1"}`:              "invalid UUID length: 1",
		`{"schema_version":9}`:    "audit: invalid event: event 00000000-0000-0000-0000-000000000000 has schema version 9, this program knows up to 1; update it",
		`{"changes":[{"field":]}`: "invalid character ']' looking for beginning of value",
	} {
		e := renamed()
		require.EqualError(t, json.Unmarshal([]byte(text), &e), message)
		require.Equal(t, renamed(), e)
	}
}

// hostile are texts that break lines, quotes, direction or encoding.
var hostile = []string{
	"", " ", "a,b", `say "hi"`, `back\slash`, "two\nlines", "two\r\nlines", "\r", "\ttab", "nul\x00nul", "bell\x07", "\x1b[31mred", "del\x7f",
	"next\u0085line", "line\u2028sep", "par\u2029sep", "over\u202eride", "iso\u2066late", "mark\u200e", "arabic\u061cmark", "\ufeffbom",
	"not utf8 \xff\xfe", "cut \xe2\x82", "smile 😀", "family 👩‍👩‍👧", "ümläut", "'", "''", "'=1+1",
	"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "   +1", "\u00a0=1", "\u3000-1", "\u200b@x", "\ufeff=1", "＝1", "＋1", "－1", "＠x", " ＝1",
	"\u2028=1", "\x00=1", "\x0b=1", "\x1f-1", "\u00ad=1", "<script>alert(1)</script>", "=HYPERLINK(\"http://x\",\"y\")", "1;=1", "(none)", `"quoted"`,
}

func TestAnEventIsOneLineWhateverItHolds(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		for _, raw := range []string{s, "{\n\t\"a\" : [ 1 ,\r\n2 ] }", `"` + s + `"`, `{"` + s + `":1}`, "[1,\u2028]"} {
			e := everywhere(s, raw)
			b := e.AppendJSON(nil)
			require.True(t, json.Valid(b), "%q", b)
			requireOneHonestLine(t, b)
			var read audit.Event
			require.NoError(t, json.Unmarshal(b, &read), "%q", b)
			require.Equal(t, string(b), string(read.AppendJSON(nil)), "what was read is written alike")
			require.Equal(t, readable(s), read.Entity.Label)
		}
	}
}

// everywhere is an event that has the text in every place.
func everywhere(s, raw string) audit.Event {
	v := audit.Value{JSON: json.RawMessage(raw), Label: s, Form: audit.Form(s)}
	return audit.Event{
		ID: id(1), Time: noon, Workspace: s, Actor: audit.Actor{Kind: audit.ActorKind(s), ID: s, Name: s},
		Initiator: audit.Actor{Kind: audit.ActorKind(s), ID: s, Name: s}, Operation: audit.Operation(s), Origin: audit.Origin(s),
		Entity: audit.Entity{Type: audit.EntityType(s), ID: s, Label: s, Owner: s}, Ownership: audit.Ownership(s),
		Changes: []audit.Change{{Field: s, Before: v, After: v, Element: true}, {Field: s}},
		Cause:   id(2), Derived: true, ChangeSet: id(3), Request: audit.Request{ID: s, Address: s, Agent: s}, Reason: s, SchemaVersion: 1,
	}
}

func requireOneHonestLine(t *testing.T, line []byte) {
	t.Helper()
	for _, r := range string(line) {
		if r < ' ' || r >= 0x7f && r <= 0x9f || strings.ContainsRune("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff", r) {
			t.Errorf("%U is not escaped in %q", r, line)
		}
	}
}

func FuzzEventJSON(f *testing.F) {
	f.Add("x", `{"a": [1, "b"]}`, int64(0))
	f.Add("\u2028", `"`, int64(-1))
	f.Add("\xff", "1e5", int64(1)<<60)
	for _, s := range hostile {
		f.Add(s, s, int64(1700000000000000))
	}
	f.Fuzz(func(t *testing.T, s, raw string, at int64) {
		e := everywhere(s, raw)
		e.Time = time.UnixMicro(at).UTC()
		e.ID = uuid.NewSHA1(uuid.Nil, []byte(s))
		b, err := e.MarshalJSON()
		if err != nil {
			require.ErrorIs(t, err, audit.ErrInvalidEvent)
			return
		}
		requireOneHonestLine(t, b)
		var read audit.Event
		require.NoError(t, json.Unmarshal(b, &read), "%q", b)
		require.Equal(t, string(b), string(read.AppendJSON(nil)))
		require.Equal(t, e.Time, read.Time)
		require.Equal(t, e.ID, read.ID)
		require.Equal(t, readable(s), read.Reason)
		if json.Valid([]byte(raw)) {
			require.JSONEq(t, readable(raw), string(read.Changes[0].After.JSON), "%q", raw)
		}
	})
}

// readable has U+FFFD for every byte that is not UTF-8.
func readable(s string) string { return string([]rune(s)) }

func TestAValueThatNestsTooDeeplyToBeReadBackIsAText(t *testing.T) {
	t.Parallel()
	nested := func(depth int) json.RawMessage {
		return json.RawMessage(strings.Repeat(`[{"]":`, depth/2) + "1" + strings.Repeat("}]", depth/2))
	}
	for depth, text := range map[int]bool{100: false, 9_000: false, 9_002: true, 9_998: true, 10_000: true, 20_000: true} {
		e := audit.Event{Changes: []audit.Change{{Field: "f", After: audit.Value{JSON: nested(depth)}}}}
		var read audit.Event
		require.NoError(t, json.Unmarshal(e.AppendJSON(nil), &read), depth)
		want := nested(depth)
		if text {
			want = audit.AppendJSONString(nil, string(want))
		}
		require.Equal(t, string(want), string(read.Changes[0].After.JSON), depth)
		stored, err := audit.ParseStored(string(audit.AppendStored(nil, e.Changes)))
		require.NoError(t, err, depth)
		require.Equal(t, string(want), string(stored[0].After.JSON), depth)
	}
}
