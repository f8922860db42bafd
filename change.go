package audit

import (
	"encoding/json"
	"unicode/utf8"
)

// changeJSON is the form of a [Change] in JSON. An absent side was not
// recorded; null is null.
type changeJSON struct {
	Field       string          `json:"field"`
	Before      json.RawMessage `json:"before,omitempty"`
	BeforeLabel string          `json:"before_label,omitempty"`
	BeforeForm  Form            `json:"before_form,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	AfterLabel  string          `json:"after_label,omitempty"`
	AfterForm   Form            `json:"after_form,omitempty"`
	Element     bool            `json:"element,omitempty"`
}

// changeWords are how a change calls its parts in JSON, with the signs around them.
type changeWords struct {
	field         string
	before, after sideWords
	element       string
}

type sideWords struct{ value, label, form string }

// inFull are the words for people and programs.
var inFull = changeWords{
	field:   `{"field":`,
	before:  sideWords{`,"before":`, `,"before_label":`, `,"before_form":`},
	after:   sideWords{`,"after":`, `,"after_label":`, `,"after_form":`},
	element: `,"element":true`,
}

// AppendJSON appends the change in JSON to b. It is what [json.Marshal] gives,
// in less time.
func (c Change) AppendJSON(b []byte) []byte { return c.append(b, &inFull) }

func (c *Change) append(b []byte, words *changeWords) []byte {
	b = append(b, words.field...)
	b = AppendJSONString(b, c.Field)
	b = c.Before.append(b, &words.before)
	b = c.After.append(b, &words.after)
	if c.Element {
		b = append(b, words.element...)
	}
	return append(b, '}')
}

func (v *Value) append(b []byte, words *sideWords) []byte {
	if len(v.JSON) > 0 {
		b = appendRawJSON(append(b, words.value...), v.JSON)
	}
	if v.Label != "" {
		b = AppendJSONString(append(b, words.label...), v.Label)
	}
	if v.Form != FormPlain {
		b = AppendJSONString(append(b, words.form...), string(v.Form))
	}
	return b
}

// MarshalJSON implements json.Marshaler.
func (c Change) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Change) UnmarshalJSON(data []byte) error {
	var j changeJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*c = Change{
		Field:   j.Field,
		Before:  Value{JSON: j.Before, Label: j.BeforeLabel, Form: j.BeforeForm},
		After:   Value{JSON: j.After, Label: j.AfterLabel, Form: j.AfterForm},
		Element: j.Element,
	}
	return nil
}

// AppendChanges appends changes as a JSON array to b, as JSON Lines shows them.
// json.Unmarshal into a []Change reads it back.
func AppendChanges(b []byte, changes []Change) []byte { return appendChanges(b, changes, &inFull) }

func appendChanges(b []byte, changes []Change, words *changeWords) []byte {
	b = append(b, '[')
	for i := range changes {
		if i > 0 {
			b = append(b, ',')
		}
		b = changes[i].append(b, words)
	}
	return append(b, ']')
}

// AppendJSONString appends s as a JSON string to b. Control characters, line
// separators and those that change the direction of writing are escaped, so
// that the result stays on one line and looks like what it is; invalid UTF-8
// becomes U+FFFD.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = appendUnicodeEscape(b, rune(c))
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[from:i]...)
			b = append(b, "\uFFFD"...)
			from = i + size
		case hidden(r):
			b = append(b, s[from:i]...)
			b = appendUnicodeEscape(b, r)
			from = i + size
		}
		i += size
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
