package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shortenedPrefix is how much is kept of the beginning of a shortened value.
const shortenedPrefix = 1 << 10

// ValueOf is any Go value as a [Value], for events that are recorded by hand.
// It is what encoding/json makes of it, with these differences:
//
//   - A time is in UTC. A [driver.Valuer] without a Marshaler of its own is what
//     it gives the database.
//   - Bytes, and strings that are not UTF-8, have [FormBase64]; within a
//     structure, such a string is {"base64": "..."}.
//   - Every field of a struct is there, whatever its omitempty says. Fields
//     tagged audit:"-" are not; those tagged audit:"redact" and those that
//     [Sensitive] names are withheld, which gives the value [FormPartial]. A
//     struct without exported fields and without a Marshaler is shown by its
//     unexported ones.
//   - NaN and the infinities are strings. Channels and functions are null.
//   - What refers to itself is cut with "[cycle]", what is nested too deep with
//     "[too deep]".
//   - A value over [MaxValueBytes] has [FormShortened].
//
// A Marshaler that fails or panics is passed over. ValueOf never panics.
func ValueOf(v any) Value {
	return (&canonical{}).image(reflect.ValueOf(v)).value
}

// textValue is a string that is long or not UTF-8 as a value.
func textValue(s string) Value {
	if len(s) <= MaxValueBytes {
		return bytesValue([]byte(s))
	}
	return shortenedValue(int64(len(s)), []byte(s[:2*shortenedPrefix]), digestOf(s), false)
}

// bytesValue is bytes as a value.
func bytesValue(b []byte) Value {
	if len(b) <= MaxValueBytes {
		return Value{JSON: appendBase64(nil, b), Form: FormBase64}
	}
	return shortenedValue(int64(len(b)), b, digestOf(b), true)
}

func appendBase64(to, b []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(to, '"'), b), '"')
}

// digestOf hashes in pieces, so as not to copy a huge string.
func digestOf[T string | []byte](s T) string {
	h := sha256.New()
	for len(s) > 0 {
		n := min(len(s), 32<<10)
		h.Write([]byte(s[:n]))
		s = s[n:]
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shortenedValue stands for a value of which only the beginning is kept.
// Digest may be empty. The beginning of what is binary is kept as base64.
func shortenedValue(length int64, beginning []byte, digest string, binary bool) Value {
	if len(beginning) > shortenedPrefix {
		end := shortenedPrefix
		for !binary && end > shortenedPrefix-utf8.UTFMax && !utf8.RuneStart(beginning[end]) {
			end--
		}
		beginning = beginning[:end]
	}
	b := strconv.AppendInt([]byte(`{"length":`), length, 10)
	if !binary && utf8.Valid(beginning) {
		b = AppendJSONString(append(b, `,"prefix":`...), string(beginning))
	} else {
		b = appendBase64(append(b, `,"prefix_base64":`...), beginning)
	}
	if digest != "" {
		b = append(append(append(b, `,"sha256":"`...), digest...), '"')
	}
	return Value{JSON: append(b, '}'), Form: FormShortened}
}

// settle makes a change that somebody wrote by hand one that every store keeps
// alike.
func (c *Change) settle() {
	c.Field = cleanID(c.Field)
	c.Before, c.After = c.Before.settled(), c.After.settled()
}

// settled is the value in compact JSON of bounded length, and without what is
// withheld. The JSON is copied.
func (v Value) settled() Value {
	v.Form = Form(cleanID(string(v.Form)))
	switch {
	case v.Form == FormRedacted:
		return Value{Form: FormRedacted}
	case len(v.JSON) == 0:
		return Value{Label: v.Label}
	}
	var b bytes.Buffer
	if !utf8.Valid(v.JSON) || json.Compact(&b, v.JSON) != nil {
		v.JSON, v.Form = AppendJSONString(nil, string(v.JSON)), FormPlain
	} else {
		v.JSON = b.Bytes()
	}
	if len(v.JSON) <= MaxValueBytes {
		return v
	}
	long := ValueOf(v.JSON)
	if s, ok := v.text(); ok { // whose JSON is longer than it is
		long = ValueOf(s)
		if bin, err := base64.StdEncoding.DecodeString(s); err == nil && v.Form == FormBase64 {
			long = bytesValue(bin)
		}
	}
	if long.Form != FormShortened {
		return v
	}
	long.Label = v.Label
	return long
}

// maxShown is how many characters of a value people are shown.
const maxShown = 120

// Words for values that have no text of their own. A text is shown in quotes,
// so it cannot be mistaken for one of them.
const (
	wordNotRecorded = "not recorded"
	wordNone        = "none"
	wordWithheld    = "withheld"
)

// Text is the value as people read it: its label if it has one, else the text
// of a JSON string, else the JSON itself; of a shortened value, its beginning
// and an ellipsis. It is empty for null, for what was not recorded and for what
// was withheld; see [Value.String] for words that tell these apart. Control
// characters are left as they are.
func (v Value) Text() string {
	switch {
	case v.Label != "":
		return v.Label
	case len(v.JSON) == 0 || v.Form == FormRedacted || v.IsNull():
		return ""
	case v.Form == FormShortened:
		if s, ok := v.shortened(); ok {
			return s.Prefix + s.PrefixBase64 + "…"
		}
	case v.JSON[0] == '"':
		var s string
		if json.Unmarshal(v.JSON, &s) == nil {
			return s
		}
	}
	return string(bytes.TrimSpace(v.JSON))
}

// shortened is what stands for a long value; see [FormShortened].
type shortened struct {
	Length       int64  `json:"length"`
	Prefix       string `json:"prefix"`
	PrefixBase64 string `json:"prefix_base64"`
}

func (v Value) shortened() (s shortened, ok bool) {
	return s, json.Unmarshal(v.JSON, &s) == nil
}

// String is the value in words that people can tell apart: none for null, "not
// recorded", "withheld", a text in quotes, a label in quotes with the id that it
// stands for, anything else as its JSON. Long values are cut after 120
// characters and say how long they are. Control characters, invisible ones and
// those that change the direction of writing are escaped.
//
// It is for people and may change; programs read JSON, Label and Form.
func (v Value) String() string {
	if v.Label == "" {
		return v.shown(0)
	}
	if len(v.JSON) == 0 || v.IsNull() {
		return quote(v.Label, 0)
	}
	return quote(v.Label, 0) + " (" + fold(escape(Value{JSON: v.JSON}.Text())) + ")"
}

// shown is the value without its label and, if it is a text, without its first
// skip bytes.
func (v Value) shown(skip int) string {
	switch {
	case v.Form == FormRedacted:
		return wordWithheld
	case len(v.JSON) == 0:
		return wordNotRecorded
	case v.Form == FormShortened:
		if s, ok := v.shortened(); ok {
			if s.PrefixBase64 != "" {
				return fmt.Sprintf("shortened (%d bytes): base64 %s", s.Length, clip(escape(s.PrefixBase64), maxShown)+"…")
			}
			return fmt.Sprintf("shortened (%d bytes): %s", s.Length, strings.TrimSuffix(quote(clip(s.Prefix, maxShown), 0), "…")+"…")
		}
	case v.IsNull():
		return wordNone
	}
	s, isText := v.text()
	switch {
	case isText && v.Form == FormBase64:
		return "base64 " + fold(escape(s))
	case isText:
		return quote(s, skip)
	}
	return fold(escape(v.Text()))
}

// text is the text of a JSON string.
func (v Value) text() (s string, ok bool) {
	if len(v.JSON) == 0 || v.JSON[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(v.JSON, &s) == nil
}

// quote is a text in quotes from its byte skip on, or as much of it as people
// want to read. What was left out stands outside of the quotes.
func quote(s string, skip int) string {
	ellipsis := ""
	if skip > 0 {
		ellipsis = "…"
	}
	part := clip(s[skip:], maxShown)
	quoted := ellipsis + strconv.QuoteToGraphic(part)
	if len(part) < len(s)-skip {
		quoted += "…"
	}
	if len(part) < len(s) {
		quoted += fmt.Sprintf(" (%d characters)", utf8.RuneCountInString(s))
	}
	return quoted
}

// fold cuts a text that is not in quotes.
func fold(s string) string {
	part := clip(s, maxShown)
	if len(part) == len(s) {
		return s
	}
	return part + fmt.Sprintf("… (%d characters)", utf8.RuneCountInString(s))
}

// clip is at most n characters of s.
func clip(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// escape makes every character of s visible and keeps it on one line.
func escape(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && r != utf8.RuneError && strconv.IsGraphic(r)
	}
	if clean {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return strings.ReplaceAll(quoted, `\\`, `\`)
}

// String is the change in one line that people can read, such as
//
//	name: "Gemini" → "Apollo"
//	tags: added "urgent"
//	project_id: "Gemini" → none
//
// References are shown by their labels, and by their ids where the labels do
// not tell them apart. Of two long texts the part is shown where they begin to
// differ. See [Value.String] for the words.
func (c Change) String() string {
	field := fold(escape(c.Field))
	before, after := c.sides()
	switch {
	case c.Element && c.Before.IsNull() && !c.After.IsNull():
		return field + ": added " + c.After.name()
	case c.Element && c.After.IsNull() && !c.Before.IsNull():
		return field + ": removed " + c.Before.name()
	case c.Before.Form == FormRedacted && c.After.Form == FormRedacted,
		c.Before.Form == FormPartial && c.After.Form == FormPartial && bytes.Equal(c.Before.JSON, c.After.JSON):
		return field + ": changed (" + wordWithheld + ")"
	}
	return field + ": " + before + " → " + after
}

// name is the label, or the value if it has none.
func (v Value) name() string {
	if v.Label != "" {
		return quote(v.Label, 0)
	}
	return v.shown(0)
}

// sides are both values in words, such that they look different.
func (c Change) sides() (before, after string) {
	b, a := c.Before, c.After
	same := len(b.JSON) > 0 && bytes.Equal(b.JSON, a.JSON)
	switch {
	case same && b.Label != a.Label: // one record under two names
		return labelOrNone(b), labelOrNone(a)
	case b.Label != a.Label && (b.Label != "" || b.IsNull()) && (a.Label != "" || a.IsNull()):
		return b.name(), a.name()
	case b.Label != "" || a.Label != "":
		return b.String(), a.String()
	}
	skip := commonPrefix(b, a)
	return b.shown(skip), a.shown(skip)
}

func labelOrNone(v Value) string {
	if v.Label == "" {
		return wordNone
	}
	return quote(v.Label, 0)
}

// commonPrefix is how many bytes of two texts to leave out so that the place
// shows at which they begin to differ; 0 if it shows anyway.
func commonPrefix(b, a Value) int {
	const context = 20
	s, ok := b.text()
	t, ok2 := a.text()
	if !ok || !ok2 || b.Form != FormPlain || a.Form != FormPlain {
		return 0
	}
	n := 0
	for n < len(s) && n < len(t) && s[n] == t[n] {
		n++
	}
	if utf8.RuneCountInString(s[:n]) < maxShown-context {
		return 0
	}
	n -= context
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
