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
func ParseStored(text string) ([]Change, error) {
	p := changeParser{data: []byte(text), text: text}
	if changes, ok := p.changes(); ok {
		return changes, nil
	}
	if strings.HasPrefix(text, "["+inFull.field) {
		var changes []Change
		err := json.Unmarshal(p.data, &changes)
		return changes, err
	}
	var stored []storedChange
	if err := json.Unmarshal(p.data, &stored); err != nil || stored == nil {
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
}

// skip passes over a token, if it is there.
func (p *changeParser) skip(token string) bool {
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *changeParser) changes() ([]Change, bool) {
	words := &asStored
	changes := make([]Change, 0, strings.Count(p.text, words.field))
	if !p.skip("[") {
		return nil, false
	}
	for first := true; !p.skip("]"); first = false {
		var c Change
		if !first && !p.skip(",") || !p.skip(words.field) || !p.string(&c.Field) || !p.side(&c.Before, &words.before) || !p.side(&c.After, &words.after) {
			return nil, false
		}
		c.Element = p.skip(words.element)
		if !p.skip("}") {
			return nil, false
		}
		changes = append(changes, c)
	}
	return changes, p.at == len(p.text)
}

func (p *changeParser) side(v *Value, words *sideWords) bool {
	var form string
	ok := (!p.skip(words.value) || p.value(&v.JSON)) && (!p.skip(words.label) || p.string(&v.Label)) && (!p.skip(words.form) || p.string(&form))
	v.Form = Form(form)
	return ok
}

// string reads a JSON string.
func (p *changeParser) string(s *string) bool {
	begin := p.at
	var raw json.RawMessage
	if !p.value(&raw) || raw[0] != '"' {
		return false
	}
	if plainJSON(raw) {
		*s = p.text[begin+1 : p.at-1]
		return true
	}
	var unescaped string
	err := json.Unmarshal(raw, &unescaped)
	*s = unescaped
	return err == nil
}

// value reads a JSON value.
func (p *changeParser) value(v *json.RawMessage) bool {
	n := valueEnd(p.data[p.at:])
	raw := p.data[p.at : p.at+n : p.at+n]
	if n == 0 || !plainJSON(raw) && (len(bytes.TrimSpace(raw)) < n || !json.Valid(raw)) {
		return false
	}
	*v = raw
	p.at += n
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
