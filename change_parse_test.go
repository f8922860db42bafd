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
		got, err := audit.ParseStored(string(audit.AppendStored(nil, want)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestChangesInFullAreParsedToo(t *testing.T) {
	t.Parallel()
	want := storedChanges()
	got, err := audit.ParseStored(string(audit.AppendChanges(nil, want)))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestPartsOfChangesDoNotGrowIntoEachOther(t *testing.T) {
	t.Parallel()
	changes, err := audit.ParseStored(`[{"f":"a","b":1,"a":2},{"f":"b","a":3}]`)
	require.NoError(t, err)
	_ = append(changes[0].Before.JSON, "999999"...)
	require.Equal(t, "2", changes[0].After.Text())
}

func TestAParserUsesItsMemoryAgain(t *testing.T) {
	t.Parallel()
	var p audit.StoredParser
	long := []audit.Change{{Field: "text", After: audit.ValueOf(strings.Repeat("x", 2<<20))}}
	for _, want := range [][]audit.Change{storedChanges(), storedChanges()[:1], {}, long, storedChanges()[2:], {}, long} {
		got, err := p.Parse(string(audit.AppendStored(nil, want)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := p.Parse(`[{"f":"a","a":1},{"f":}]`)
	require.Error(t, err)
	got, err := p.Parse(string(audit.AppendChanges(nil, storedChanges())))
	require.NoError(t, err)
	require.Equal(t, storedChanges(), got)
}

func TestAParserAllocatesNothingForPlainTexts(t *testing.T) {
	var p audit.StoredParser
	text := string(audit.AppendStored(nil, []audit.Change{{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")}}))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = p.Parse(text) }))
}

// storedAsJSON is what package json reads.
func storedAsJSON(text string) ([]audit.Change, error) {
	var list []struct {
		Field string          `json:"f"`
		B     json.RawMessage `json:"b"`
		BL    string          `json:"bl"`
		BF    audit.Form      `json:"bf"`
		A     json.RawMessage `json:"a"`
		AL    string          `json:"al"`
		AF    audit.Form      `json:"af"`
		E     bool            `json:"e"`
	}
	if strings.HasPrefix(text, `[{"field":`) {
		var changes []audit.Change
		err := json.Unmarshal([]byte(text), &changes)
		return changes, err
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || list == nil {
		return nil, err
	}
	changes := []audit.Change{}
	for _, c := range list {
		changes = append(changes, audit.Change{
			Field: c.Field, Before: audit.Value{JSON: c.B, Label: c.BL, Form: c.BF}, After: audit.Value{JSON: c.A, Label: c.AL, Form: c.AF}, Element: c.E,
		})
	}
	return changes, nil
}

func FuzzChangesAreParsedAsJSONIs(f *testing.F) {
	f.Add(string(audit.AppendStored(nil, storedChanges())))
	for _, s := range []string{
		"", "[]", "[ ]", "null", "{}", "[", "[]]", `[{"f":"a"}`, `[{"f":"a"},]`, `[{"f":"a"}{"f":"b"}]`, `[,{"f":"a"}]`, `[{"f":"a",}]`,
		`[{"f":"a","a":tru}]`, `[{"f":"a","a":1 }]`, `[{"f":"a","a": 1}]`, `[{"f":"a","a":}]`, `[{"f":"a","a":"x]}]`,
		`[{"f":"a","a":1,"b":2}]`, `[{"f":"a","f":"b"}]`, `[{"F":"a","A":1}]`, `[{"f":"a","a":1,"a":2}]`, `[{"f":"a","other":[1]}]`,
		`[{"f":null,"al":null}]`, `[{"f":1}]`, `[{"f":"a","e":false}]`, `[{"f":"a","a":[1,2}]`, `[{"f":"a","a":"\`, `[{"f":"\u0041\ud83d","a":"\x"}]`,
		`[{"f":"a","a":{"f":[]}}]`, "[{\"f\":\"\xff\",\"a\":\"\xff\"}]", `[{"f":"a","a":01}]`, `[{"f":"a","a":-}]`, `[{"f":"a","a":1e9}]`,
		`[{"f":"a","a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wrong := storedAsJSON(s)
		got, err := audit.ParseStored(s)
		if wrong != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func BenchmarkParseStored(b *testing.B) {
	var changes []audit.Change
	for range 13 {
		changes = append(changes, audit.Change{Field: "description", After: audit.ValueOf("Weekly planning, part two")})
	}
	text := string(audit.AppendStored(nil, changes))
	for b.Loop() {
		if _, err := audit.ParseStored(text); err != nil {
			b.Fatal(err)
		}
	}
}
