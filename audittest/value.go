package audittest

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// valueOf is an expected value as one that is recorded.
func valueOf(want any) audit.Value {
	if v, ok := want.(audit.Value); ok {
		return v
	}
	return audit.ValueOf(want)
}

// fits reports whether a recorded value is as [Change] says.
func fits(want any, got audit.Value) bool {
	w := valueOf(want)
	switch {
	case w.Label != "" && w.Label != got.Label:
		return false
	case w.Label != "" && !w.Recorded():
		return true
	}
	return w.Form == got.Form && sameJSON(w.JSON, got.JSON)
}

// sameJSON compares what two texts mean; numbers to their last digit.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, ok := decode(a)
	y, ok2 := decode(b)
	return ok && ok2 && same(x, y)
}

func decode(raw json.RawMessage) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return v, d.Decode(&v) == nil && !d.More()
}

func same(x, y any) bool {
	switch x := x.(type) {
	case map[string]any:
		y, ok := y.(map[string]any)
		return ok && maps.EqualFunc(x, y, same)
	case []any:
		y, ok := y.([]any)
		return ok && slices.EqualFunc(x, y, same)
	case json.Number:
		y, ok := y.(json.Number)
		return ok && (x == y || sameNumber(x.String(), y.String()))
	}
	return x == y // text, bool or nil; of different types they differ
}

// maxExponent is how many characters of an exponent are worked out: beyond it, a
// number may have more digits than there is memory.
const maxExponent = 4

// sameNumber compares two numbers to their last digit.
func sameNumber(x, y string) bool {
	for _, n := range []string{x, y} {
		if e := strings.IndexAny(n, "eE"); e >= 0 && len(n)-e-1 > maxExponent {
			return false
		}
	}
	a, ok := new(big.Rat).SetString(x)
	b, ok2 := new(big.Rat).SetString(y)
	return ok && ok2 && a.Cmp(b) == 0
}

// inWords is an expected value in words.
func inWords(want any) string {
	if want == nil {
		return "any"
	}
	v := valueOf(want)
	if v.Label != "" && !v.Recorded() {
		return "one called " + strconv.QuoteToGraphic(v.Label)
	}
	return shown(v)
}

// shown is a recorded value such that two that differ look different: an id
// beside its label, null beside the text "null".
func shown(v audit.Value) string {
	if v.Form == audit.FormRedacted || !v.Recorded() {
		return audit.Value{Form: v.Form}.String()
	}
	text := string(audit.Change{After: audit.Value{JSON: v.JSON}}.AppendJSON(nil)) // escapes what cannot be seen
	text = strings.TrimSuffix(strings.TrimPrefix(text, `{"field":"","after":`), "}")
	if v.Form != audit.FormPlain {
		text = string(v.Form) + " " + text
	}
	if v.Label != "" {
		text += " (" + strconv.QuoteToGraphic(v.Label) + ")"
	}
	return text
}

// maxShown is how many bytes of a value a message shows.
const maxShown = 200

// cut shortens two texts such that the place shows at which they begin to
// differ.
func cut(a, b string) (string, string) {
	const before = 20
	from := 0
	for from < min(len(a), len(b)) && a[from] == b[from] {
		from++
	}
	from -= before
	if max(len(a), len(b)) <= maxShown || from < 0 {
		from = 0
	}
	return window(a, from), window(b, from)
}

func window(s string, from int) string {
	to := min(len(s), from+maxShown)
	part := strings.ToValidUTF8(s[min(from, to):to], "")
	if from > 0 {
		part = "…" + part
	}
	if to < len(s) {
		part += "…"
	}
	if len(s) > maxShown {
		part += " (" + strconv.Itoa(len(s)) + " bytes)"
	}
	return part
}
