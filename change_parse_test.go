package audit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// storedChanges are changes as stores keep them.
func storedChanges() []audit.Change {
	return []audit.Change{
		{Field: "id", After: audit.ValueOf("0c8ae5ff-1f5d-4a5f-9a5e-31b4ac0ac111")},
		{Field: "user_id", After: audit.Value{JSON: json.RawMessage(`"u1"`), Label: `Ada "the first" Abebe`}},
		{Field: "Größe", Before: audit.ValueOf("a\nb\\"), After: audit.ValueOf("👍 </script>")},
		{Field: "billable", Before: audit.ValueOf(true), After: audit.ValueOf(nil)},
		{Field: "amount", Before: audit.ValueOf(-4500), After: audit.ValueOf(0.5)},
		{Field: "extra", After: audit.Value{JSON: json.RawMessage(`{"a":[1,{"b":"]}\","}],"c":{}}`)}},
		{Field: "secret", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}},
		{Field: "photo", After: audit.Value{JSON: json.RawMessage(`"AA=="`), Form: audit.FormBase64}},
		{Field: "tags", Before: audit.ValueOf(nil), After: audit.Value{JSON: json.RawMessage("5"), Label: "Urgent"}, Element: true},
		{Field: "nothing"},
		{Field: "", After: audit.Value{Label: "alone"}},
	}
}

func TestChangesAreParsedAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for n := range len(storedChanges()) + 1 {
		want := storedChanges()[:n]
		got, err := audit.ParseChanges(audit.AppendChanges(nil, want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestPartsOfChangesDoNotGrowIntoEachOther(t *testing.T) {
	t.Parallel()
	changes, err := audit.ParseChanges([]byte(`[{"field":"a","before":1,"after":2},{"field":"b","after":3}]`))
	require.NoError(t, err)
	_ = append(changes[0].Before.JSON, "999999"...)
	require.Equal(t, "2", changes[0].After.Text())
}

func FuzzChangesAreParsedAsJSONIs(f *testing.F) {
	f.Add(string(audit.AppendChanges(nil, storedChanges())))
	for _, s := range []string{
		"", "[]", "[ ]", "null", "{}", "[", "[]]", `[{"field":"a"}`, `[{"field":"a"},]`, `[{"field":"a"}{"field":"b"}]`, `[,{"field":"a"}]`, `[{"field":"a",}]`,
		`[{"field":"a","after":tru}]`, `[{"field":"a","after":1 }]`, `[{"field":"a","after": 1}]`, `[{"field":"a","after":}]`, `[{"field":"a","after":"x]}]`,
		`[{"field":"a","after":1,"before":2}]`, `[{"field":"a","field":"b"}]`, `[{"FIELD":"a","After":1}]`, `[{"field":"a","after":1,"after":2}]`, `[{"field":"a","other":[1]}]`,
		`[{"field":null,"after_label":null}]`, `[{"field":1}]`, `[{"field":"a","element":false}]`, `[{"field":"a","after":[1,2}]`, `[{"field":"a","after":"\`, `[{"field":"\u0041\ud83d","after":"\x"}]`,
		`[{"field":"a","after":{"field":[]}}]`, "[{\"field\":\"\xff\",\"after\":\"\xff\"}]", `[{"field":"a","after":01}]`, `[{"field":"a","after":-}]`, `[{"field":"a","after":1e9}]`,
		`[{"field":"a","after":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want []audit.Change
		wrong := json.Unmarshal([]byte(s), &want)
		got, err := audit.ParseChanges([]byte(s))
		if wrong != nil {
			require.EqualError(t, err, wrong.Error())
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func BenchmarkParseChanges(b *testing.B) {
	var changes []audit.Change
	for range 13 {
		changes = append(changes, audit.Change{Field: "description", After: audit.ValueOf("Weekly planning, part two")})
	}
	data := audit.AppendChanges(nil, changes)
	for b.Loop() {
		if _, err := audit.ParseChanges(data); err != nil {
			b.Fatal(err)
		}
	}
}
