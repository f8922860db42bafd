package audit

import (
	"bytes"
	"encoding/json"
	"strings"
)

// asStored are the words by which stores keep changes. A created record has one
// change for each column, of which those in full would take the better half.
var asStored = changeWords{
	field:   `{"f":`,
	before:  sideWords{`,"b":`, `,"bl":`, `,"bf":`},
	after:   sideWords{`,"a":`, `,"al":`, `,"af":`},
	element: `,"e":true`,
}

// storedChange is the form of a [Change] in a store, as package json reads it.
type storedChange struct {
	Field       string          `json:"f"`
	Before      json.RawMessage `json:"b"`
	BeforeLabel string          `json:"bl"`
	BeforeForm  Form            `json:"bf"`
	After       json.RawMessage `json:"a"`
	AfterLabel  string          `json:"al"`
	AfterForm   Form            `json:"af"`
	Element     bool            `json:"e"`
}

// AppendStored appends changes to b in the form in which stores keep them: that
// of [AppendChanges] with words of a letter or two, f for field, b and a for
// before and after, with l for label and f for form behind them, and e for
// element.
//
//	[{"f":"name","b":"Gemini","a":"Apollo"},{"f":"client_id","b":null,"a":3,"al":"Acme"}]
func AppendStored(b []byte, changes []Change) []byte { return appendChanges(b, changes, &asStored) }

// ParseStored reads what [AppendStored] or [AppendChanges] has written. It gives
// what package json would, of the former in a small part of the time, and leaves to
// that whatever is written in another way.
func ParseStored(text string) ([]Change, error) { return new(StoredParser).Parse(text) }

// StoredParser is [ParseStored] for one text after the other, which all use its
// memory. The zero value is ready. It serves one goroutine.
type StoredParser struct {
	data    []byte
	changes []Change
}

// maxParserBytes is how long a text is that gives its memory back.
const maxParserBytes = 1 << 20

// Parse reads the text as [ParseStored] does. The changes, and the JSON of their
// values, are good until the next call; their texts stay.
func (s *StoredParser) Parse(text string) ([]Change, error) {
	if cap(s.data) > maxParserBytes { // one huge text must not keep its memory
		*s = StoredParser{}
	}
	s.data = append(s.data[:0], text...)
	if s.changes == nil {
		s.changes = make([]Change, 0, strings.Count(text, asStored.field))
	}
	p := changeParser{data: s.data, text: text, changes: s.changes[:0]}
	known := p.parse()
	s.changes = p.changes
	if known {
		return p.changes, nil
	}
	return parseAny(s.data)
}

// parseAny reads changes that are written in any way.
func parseAny(data []byte) ([]Change, error) {
	if bytes.HasPrefix(data, []byte("["+inFull.field)) {
		var changes []Change
		err := json.Unmarshal(data, &changes)
		return changes, err
	}
	var stored []storedChange
	if err := json.Unmarshal(data, &stored); err != nil || stored == nil {
		return nil, err
	}
	changes := make([]Change, len(stored))
	for i, s := range stored {
		changes[i] = Change{
			Field:   s.Field,
			Before:  Value{JSON: s.Before, Label: s.BeforeLabel, Form: s.BeforeForm},
			After:   Value{JSON: s.After, Label: s.AfterLabel, Form: s.AfterForm},
			Element: s.Element,
		}
	}
	return changes, nil
}

// changeParser reads the form of AppendStored: the parts in its order, no space
// between them. It gives up on any other.
type changeParser struct {
	data []byte
	text string // the same, so that texts are parts of one
	at   int

	changes []Change
}

// skip passes over a token, if it is there.
func (p *changeParser) skip(token string) bool {
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

// parse reports whether the text has the form, and then has its changes.
func (p *changeParser) parse() bool {
	words := &asStored
	if !p.skip("[") {
		return false
	}
	for first := true; !p.skip("]"); first = false {
		p.changes = append(p.changes, Change{})
		c := &p.changes[len(p.changes)-1]
		if !first && !p.skip(",") || !p.skip(words.field) || !p.string(&c.Field) || !p.side(&c.Before, &words.before) || !p.side(&c.After, &words.after) {
			return false
		}
		c.Element = p.skip(words.element)
		if !p.skip("}") {
			return false
		}
	}
	return p.at == len(p.text)
}

// side reads what there is of a side, all words of which begin alike. Most changes
// have one side, or end with it.
func (p *changeParser) side(v *Value, words *sideWords) bool {
	if !strings.HasPrefix(p.text[p.at:], words.value[:len(`,"b`)]) {
		return true
	}
	if p.skip(words.value) && !p.value(&v.JSON) {
		return false
	}
	if strings.HasPrefix(p.text[p.at:], "}") {
		return true
	}
	var form string
	ok := (!p.skip(words.label) || p.string(&v.Label)) && (!p.skip(words.form) || p.string(&form))
	v.Form = Form(form)
	return ok
}

// string reads a JSON string.
func (p *changeParser) string(s *string) bool {
	if end := p.plainString(); end > 0 {
		*s = p.text[p.at+1 : end-1]
		p.at = end
		return true
	}
	var raw json.RawMessage
	if !p.value(&raw) || raw[0] != '"' {
		return false
	}
	var unescaped string
	err := json.Unmarshal(raw, &unescaped)
	*s = unescaped
	return err == nil
}

// plainString is where the string ends that is at hand, 0 if there is none or it
// holds more than plain ASCII.
func (p *changeParser) plainString() int {
	if p.at >= len(p.text) || p.text[p.at] != '"' {
		return 0
	}
	for i := p.at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			return i + 1
		case c < ' ' || c > '~' || c == '\\':
			return 0
		}
	}
	return 0
}

// value reads a JSON value.
func (p *changeParser) value(v *json.RawMessage) bool {
	end := p.plainString()
	if end == 0 {
		n := valueEnd(p.data[p.at:])
		end = p.at + n
		raw := p.data[p.at:end]
		if n == 0 || !plainJSON(raw) && (len(bytes.TrimSpace(raw)) < n || !json.Valid(raw)) {
			return false
		}
	}
	*v = p.data[p.at:end:end]
	p.at = end
	return true
}

// valueEnd is how long the JSON value is with which data begins, if it begins
// with one.
func valueEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(data))
			}
		case '[', '{':
			depth++
		case ']', '}', ',':
			if depth == 0 {
				return i
			}
			if data[i] == ',' {
				continue
			}
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(data)
}
