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

// AppendJSON appends the change in JSON to b. It is what [json.Marshal] gives,
// without its cost on the path of a write.
func (c Change) AppendJSON(b []byte) []byte {
	b = append(b, `{"field":`...)
	b = AppendJSONString(b, c.Field)
	b = c.Before.appendJSON(b, "before")
	b = c.After.appendJSON(b, "after")
	if c.Element {
		b = append(b, `,"element":true`...)
	}
	return append(b, '}')
}

func (v Value) appendJSON(b []byte, side string) []byte {
	if len(v.JSON) > 0 {
		b = append(append(append(b, `,"`...), side...), `":`...)
		b = appendRawJSON(b, v.JSON)
	}
	if v.Label != "" {
		b = append(append(append(b, `,"`...), side...), `_label":`...)
		b = AppendJSONString(b, v.Label)
	}
	if v.Form != FormPlain {
		b = append(append(append(b, `,"`...), side...), `_form":`...)
		b = AppendJSONString(b, string(v.Form))
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

// AppendChanges appends changes as a JSON array to b: the form in which a
// store keeps them and in which JSON Lines shows them. json.Unmarshal into a
// []Change reads it back.
func AppendChanges(b []byte, changes []Change) []byte {
	b = append(b, '[')
	for i, c := range changes {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.AppendJSON(b)
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
