package report

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/gormtrail/audit"
)

// valueView is one side of a change as the page shows it: a word for what has
// no text of its own, or a text, or both.
type valueView struct {
	// Word stands for what is no text: none, empty, not recorded, withheld; or
	// says what kind of text follows: shortened, base64, parts withheld. Kind is
	// its class.
	Word, Kind string
	Text       string
	// Quoted is set for a text that reads like one of the words.
	Quoted bool
	// Ref is the id that a label stands for, where it is wanted.
	Ref string
	// Rest is the number of characters that are not shown, or that unfold; empty
	// if there are none.
	Rest string
	// Long are all of a long text, for those who unfold it; Text is then its
	// beginning.
	Long string
	// Code is a text that is JSON.
	Code bool
	// Digest is the SHA-256 of what was shortened.
	Digest string
}

// The words, by which kinds of values that have no text are told apart.
var words = map[string]bool{"none": true, "empty": true, "not recorded": true, "withheld": true}

// The lengths of values, in characters.
const (
	maxInline = 160  // on a list, where whole values have no place
	maxFolded = 1000 // from here on the page of an event folds a value
)

// valueOf is a value beside the opposite one.
func valueOf(v, opposite audit.Value, full bool) valueView {
	switch {
	case v.Form == audit.FormRedacted:
		return valueView{Word: "withheld", Kind: "withheld"}
	case v.Label != "":
		view := valueView{}
		view.text(v.Label, 0, full)
		if len(v.JSON) > 0 && !v.IsNull() && (full || v.Label == opposite.Label && !bytes.Equal(v.JSON, opposite.JSON)) {
			view.Ref = visible(clip(audit.Value{JSON: v.JSON}.Text(), maxLine), false)
		}
		return view
	case len(v.JSON) == 0:
		return valueView{Word: "not recorded", Kind: "unknown"}
	case v.IsNull():
		return valueView{Word: "none", Kind: "none"}
	case v.Form == audit.FormShortened:
		return shortened(v, full)
	}
	view := valueView{}
	if v.Form != audit.FormPlain {
		view.Word, view.Kind = visible(string(v.Form), false), "form"
		if v.Form == audit.FormPartial {
			view.Word = "parts withheld"
		}
	}
	if v.JSON[0] != '"' {
		view.code(v.JSON, full)
		return view
	}
	text := v.Text()
	if text == "" && view.Word == "" {
		return valueView{Word: "empty", Kind: "empty"}
	}
	view.text(text, commonStart(v, opposite), full)
	return view
}

// text shows a text, on a list from the character on at which it gets
// interesting.
func (w *valueView) text(s string, skip int, full bool) {
	w.Quoted = words[s]
	n := utf8.RuneCountInString(s)
	switch {
	case full && n > maxFolded:
		w.Text, w.Long = visible(clip(s, maxInline), true), visible(s, true)
		w.Rest = grouped(int64(n))
	case full:
		w.Text = visible(s, true)
	default:
		part := s[skip:]
		w.Text = visible(clip(part, maxInline), true)
		if skip > 0 {
			w.Text = "…" + w.Text
		}
		if rest := utf8.RuneCountInString(part) - maxInline; rest > 0 {
			w.Rest = grouped(int64(rest))
		}
	}
}

// code shows JSON, with room for lines if it is a structure.
func (w *valueView) code(raw []byte, full bool) {
	w.Code = true
	var b bytes.Buffer
	if full && (raw[0] == '{' || raw[0] == '[') && json.Indent(&b, raw, "", "  ") == nil {
		raw = b.Bytes()
	}
	w.text(string(raw), 0, full)
	w.Quoted = false
}

// shortened shows what was kept of a value that was too long.
func shortened(v audit.Value, full bool) valueView {
	var kept struct {
		Length int64
		Prefix string
		Base64 string `json:"prefix_base64"`
		SHA256 string
	}
	view := valueView{Word: "shortened", Kind: "shortened"}
	if json.Unmarshal(v.JSON, &kept) != nil {
		view.code(v.JSON, full)
		return view
	}
	view.Word = "shortened, " + grouped(kept.Length) + " bytes"
	if kept.Base64 != "" {
		view.Word += " in base64"
	}
	view.text(kept.Prefix+kept.Base64, 0, full)
	if view.Text != "" && view.Rest == "" {
		view.Text += "…"
	}
	if full {
		view.Digest = visible(kept.SHA256, false)
	}
	return view
}

// commonStart is how many bytes of two long texts to leave out so that the
// place shows at which they begin to differ; 0 if it shows anyway.
func commonStart(v, opposite audit.Value) int {
	const context = 30
	s, t := v.Text(), opposite.Text()
	if opposite.Form != audit.FormPlain || v.Form != audit.FormPlain {
		return 0
	}
	n := 0
	for n < len(s) && n < len(t) && s[n] == t[n] {
		n++
	}
	if n < maxInline-context {
		return 0
	}
	n -= context
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
