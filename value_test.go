package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// shownValues are values that people must be able to tell apart.
var shownValues = []struct {
	name  string
	value audit.Value
}{
	{"not recorded", audit.Value{}},
	{"null", audit.Value{JSON: raw("null")}},
	{"withheld", audit.Value{Form: audit.FormRedacted}},
	{"withheld in part", audit.ValueOf(map[string]any{"pin": 1234, "on": true})},
	{"empty text", audit.ValueOf("")},
	{"text", audit.ValueOf("Apollo")},
	{"the text none", audit.ValueOf("none")},
	{"the text null", audit.ValueOf("null")},
	{"the text not recorded", audit.ValueOf("not recorded")},
	{"the text withheld", audit.ValueOf("withheld")},
	{"the text 17", audit.ValueOf("17")},
	{"the number 17", audit.ValueOf(17)},
	{"true", audit.ValueOf(true)},
	{"the text true", audit.ValueOf("true")},
	{"time", audit.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))},
	{"text with quotes", audit.ValueOf(`say "hi" C:\x`)},
	{"text with control characters", audit.ValueOf("a\x00b\nc\td\x1b[31m")},
	{"text with a bidi override", audit.ValueOf("evil\u202Egnp.exe")},
	{"text with invisible characters", audit.ValueOf("a\u200bb\ufeffc\u2066d\u2028e\u00adf")},
	{"text of other scripts", audit.ValueOf("Привет 世界　ñ 👍")},
	{"label and id", audit.Value{JSON: raw("7"), Label: "Gemini"}},
	{"label and text id", audit.Value{JSON: raw(`"7"`), Label: "Gemini"}},
	{"label alone", audit.Value{Label: "Gemini"}},
	{"label with a bidi override", audit.Value{JSON: raw("7"), Label: "a\u202eb"}},
	{"id with an escape", audit.Value{JSON: raw(`"\u001b[0m"`), Label: "x"}},
	{"bytes", audit.ValueOf([]byte{0, 1, 2})},
	{"the text of those bytes", audit.ValueOf("AAEC")},
	{"object", audit.Value{JSON: raw(`{"amount":1,"note":"a\"b"}`)}},
	{"object with a bidi override", audit.Value{JSON: raw("{\"a\":\"\u202e\"}")}},
	{"array", audit.Value{JSON: raw(`[1,null,"x"]`)}},
	{"long text", audit.ValueOf(strings.Repeat("lorem ", 100))},
	{"long text of other scripts", audit.ValueOf(strings.Repeat("世", 300))},
	{"long object", audit.Value{JSON: raw(`{"a":"` + strings.Repeat("x", 300) + `"}`)}},
	{"long label", audit.Value{JSON: raw("7"), Label: strings.Repeat("y", 200)}},
	{"shortened", audit.ValueOf(strings.Repeat("z", audit.MaxValueBytes+1))},
	{"shortened with a short prefix", audit.Value{JSON: raw(`{"length":70000,"prefix":"ab\n"}`), Form: audit.FormShortened}},
	{"shortened bytes", audit.ValueOf(make([]byte, audit.MaxValueBytes+1))},
	{"shortened beyond recognition", audit.Value{JSON: raw("[]"), Form: audit.FormShortened}},
	{"broken JSON", audit.Value{JSON: raw(`"a`)}},
	{"empty JSON", audit.Value{JSON: raw("")}},
}

func TestValuesAreShownAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, v := range shownValues {
		fmt.Fprintf(&b, "%-32s %s\n", v.name, v.value)
	}
	golden(t, "values.golden", b.String())
}

func TestValuesThatDifferLookDifferent(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, v := range shownValues {
		s := v.value.String()
		if v.name != "empty JSON" && v.name != "label and text id" {
			require.Empty(t, seen[s], "%s looks like %s", v.name, seen[s])
		}
		seen[s] = v.name
		requireVisible(t, s)
		require.Less(t, len(s), 1300, "a value is cut even if each of its characters is escaped")
		require.NotPanics(t, func() { v.value.Text() })
	}
}

// requireVisible checks that every character of s shows and stays on its line.
func requireVisible(t *testing.T, s string) {
	t.Helper()
	require.True(t, utf8.ValidString(s))
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xad || r == 0x61c || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff {
			require.Fail(t, "an invisible character is shown", "%U in %q", r, s)
		}
	}
}

func TestTextIsEmptyForWhatHasNone(t *testing.T) {
	t.Parallel()
	for _, v := range []audit.Value{{}, {JSON: raw("null")}, {Form: audit.FormRedacted}, {JSON: raw("")}, audit.ValueOf("")} {
		require.Empty(t, v.Text())
	}
	require.Equal(t, "Gemini", audit.Value{JSON: raw("7"), Label: "Gemini"}.Text())
	require.Equal(t, "a\nb", audit.ValueOf("a\nb").Text())
	require.Equal(t, "17", audit.Value{JSON: raw(" 17 ")}.Text())
	require.Equal(t, "ab…", audit.Value{JSON: raw(`{"length":70000,"prefix":"ab"}`), Form: audit.FormShortened}.Text())
}

func TestChangesAreShownAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	label := func(id, l string) audit.Value { return audit.Value{JSON: raw(id), Label: l} }
	null, redacted := audit.Value{JSON: raw("null")}, audit.Value{Form: audit.FormRedacted}
	text := strings.Repeat("one two three ", 20)
	changes := []audit.Change{
		{Field: "name", Before: audit.ValueOf("Gemini"), After: audit.ValueOf("Apollo")},
		{Field: "name", Before: audit.ValueOf(""), After: null},
		{Field: "name", After: audit.ValueOf("Apollo")},
		{Field: "name", Before: audit.ValueOf("Apollo")},
		{Field: "name"},
		{Field: "hours", Before: audit.ValueOf(1), After: audit.ValueOf("1")},
		{Field: "password", Before: redacted, After: redacted},
		{Field: "password", After: redacted},
		{Field: "project_id", Before: label("7", "Gemini"), After: label("8", "Apollo")},
		{Field: "project_id", Before: label("7", "Gemini"), After: label("8", "Gemini")},
		{Field: "project_id", Before: label("7", "Gemini"), After: label("7", "Apollo")},
		{Field: "project_id", Before: label("7", "Gemini"), After: label("7", "")},
		{Field: "project_id", Before: label("7", ""), After: label("7", "Gemini")},
		{Field: "project_id", Before: label("7", "Gemini"), After: null},
		{Field: "project_id", Before: null, After: label("7", "Gemini")},
		{Field: "project_id", Before: label("7", "Gemini"), After: label("8", "")},
		{Field: "project_id", After: label("8", "Apollo")},
		{Field: "project_id.client_id", Before: label("1", "Acme"), After: label("2", "Bolt")},
		{Field: "tags", Element: true, Before: null, After: label("5", "urgent")},
		{Field: "tags", Element: true, Before: label("5", "urgent"), After: null},
		{Field: "tags", Element: true, Before: null, After: audit.ValueOf(5)},
		{Field: "tags", Element: true, Before: label("5", "urgent"), After: label("5", "asap")},
		{Field: "tags", Element: true, Before: label("5", "urgent"), After: label("5", "")},
		{Field: "note", Before: audit.ValueOf(text + "old" + text), After: audit.ValueOf(text + "new" + text)},
		{Field: "note", Before: audit.ValueOf(text), After: audit.ValueOf(text + "!")},
		{Field: "note", Before: audit.ValueOf(strings.Repeat("世", 200) + "a"), After: audit.ValueOf(strings.Repeat("世", 200) + "b")},
		{Field: "note\n\u202e", Before: audit.ValueOf("a\n"), After: audit.ValueOf("a\r")},
		{Field: "picture", Before: audit.ValueOf([]byte{1}), After: audit.ValueOf([]byte{2})},
		{Field: "extra", Before: audit.ValueOf(map[string]int{"a": 1}), After: audit.ValueOf([]int{1})},
	}
	var b strings.Builder
	for _, c := range changes {
		s := c.String()
		requireVisible(t, s)
		b.WriteString(s + "\n")
	}
	golden(t, "changes.golden", b.String())
}

func FuzzChangesStayOnOneLineAndLookDifferent(f *testing.F) {
	f.Add("name", "a", "b", "", "x")
	f.Add("name", strings.Repeat("a", 300)+"b", strings.Repeat("a", 300)+"c", "", "")
	f.Add("", "\xff", "\xfe", "\u202e", "\u2028")
	f.Add("x", strings.Repeat("世", 130)+"\xe4\xb8\x96", strings.Repeat("世", 130)+"\xe4\xb8\x97", "", "")
	f.Fuzz(func(t *testing.T, field, before, after, labelBefore, labelAfter string) {
		c := audit.Change{Field: field, Before: audit.ValueOf(before), After: audit.ValueOf(after)}
		s := c.String()
		requireVisible(t, s)
		if shown := audit.ValueOf(before).String(); before != after && len(before)+len(after) < 100 {
			require.NotEqual(t, shown, audit.ValueOf(after).String())
		}
		c.Before.Label, c.After.Label = labelBefore, labelAfter
		requireVisible(t, c.String())
		c.Element = true
		requireVisible(t, c.String())
	})
}
