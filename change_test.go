package audit_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestChangesSurviveJSON(t *testing.T) {
	t.Parallel()
	value := func(s string) audit.Value { return audit.Value{JSON: json.RawMessage(s)} }
	for _, tt := range []struct {
		name, want string
		change     audit.Change
	}{
		{"nothing recorded", `{"field":"name"}`, audit.Change{Field: "name"}},
		{"null is not nothing", `{"field":"name","before":null}`, audit.Change{Field: "name", Before: value("null")}},
		{"null on both sides", `{"field":"name","before":null,"after":null}`, audit.Change{Field: "name", Before: value("null"), After: value("null")}},
		{"text", `{"field":"name","before":"Gemini","after":"Apollo"}`, audit.Change{Field: "name", Before: value(`"Gemini"`), After: value(`"Apollo"`)}},
		{"the text null", `{"field":"name","after":"null"}`, audit.Change{Field: "name", After: value(`"null"`)}},
		{"labels", `{"field":"p","before":7,"before_label":"Gemini","after":8,"after_label":"Apollo \"11\""}`, audit.Change{
			Field: "p", Before: audit.Value{JSON: json.RawMessage("7"), Label: "Gemini"}, After: audit.Value{JSON: json.RawMessage("8"), Label: `Apollo "11"`},
		}},
		{"a label alone", `{"field":"p","after_label":"Apollo"}`, audit.Change{Field: "p", After: audit.Value{Label: "Apollo"}}},
		{"forms", `{"field":"p","before_form":"redacted","after":"AA==","after_form":"base64"}`, audit.Change{
			Field: "p", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{JSON: json.RawMessage(`"AA=="`), Form: audit.FormBase64},
		}},
		{"an element", `{"field":"tags","before":null,"after":5,"element":true}`, audit.Change{Field: "tags", Before: value("null"), After: value("5"), Element: true}},
		{"an object", `{"field":"e","after":{"a":[1,null,"x"]}}`, audit.Change{Field: "e", After: value(`{"a":[1,null,"x"]}`)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.change)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
			require.Equal(t, tt.want, string(tt.change.AppendJSON(nil)))
			back := audit.Change{Field: "old", Element: true, Before: value("1"), After: audit.Value{Label: "old"}}
			require.NoError(t, json.Unmarshal(got, &back))
			require.Equal(t, tt.change, back)
			require.Equal(t, tt.change.Before.Recorded(), back.Before.Recorded())
			require.Equal(t, tt.change.Before.IsNull(), back.Before.IsNull())
		})
	}
}

func TestAppendChangesIsAnArray(t *testing.T) {
	t.Parallel()
	for _, changes := range [][]audit.Change{{}, {{Field: "a"}}, {{Field: "a", After: audit.ValueOf(nil)}, {Field: "b", Before: audit.ValueOf("x\ny")}}} {
		got := audit.AppendChanges([]byte("x"), changes)
		require.Equal(t, byte('x'), got[0])
		var back []audit.Change
		require.NoError(t, json.Unmarshal(got[1:], &back))
		require.Equal(t, changes, back)
	}
	require.Equal(t, "[]", string(audit.AppendChanges(nil, nil)))
}

func TestAChangeThatIsNoJSONIsNotRead(t *testing.T) {
	t.Parallel()
	c := audit.Change{Field: "old"}
	for _, s := range []string{`{"field":1}`, `[]`, `"x"`, `{`} {
		require.Error(t, json.Unmarshal([]byte(s), &c), s)
	}
	require.Equal(t, audit.Change{Field: "old"}, c)
}

func FuzzAppendJSONString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "\u0085\u2027\u2028\u2029\u202a", "Grüße 👍\u200d", "\xff\xe2\x80", "a\xe2\x80\xa8", "<script>&amp;", "\ufffd", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := audit.AppendJSONString([]byte("x"), s)[1:]
		var back string
		require.NoError(t, json.Unmarshal(got, &back))
		reference, err := json.Marshal(s)
		require.NoError(t, err)
		var want string
		require.NoError(t, json.Unmarshal(reference, &want))
		require.Equal(t, want, back, "it decodes to what encoding/json decodes to")
		require.False(t, bytes.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }), "%q", got)
		c := audit.Change{Field: s, Before: audit.ValueOf(s), After: audit.Value{Label: s}}
		line, err := json.Marshal(c)
		require.NoError(t, err)
		require.False(t, strings.ContainsAny(string(line), "\n\r\u2028\u2029"))
		var read audit.Change
		require.NoError(t, json.Unmarshal(line, &read))
		require.Equal(t, want, read.Field)
		require.Equal(t, want, read.After.Label)
		if read.Before.Form == audit.FormPlain {
			require.Equal(t, s, read.Before.Text())
		}
	})
}
