package audit

import (
	"bytes"
	"encoding/json"
	"strings"
)

// ParseChanges reads what [AppendChanges] has written. It gives what
// json.Unmarshal into a []Change gives, in a small part of the time, and leaves
// to that whatever has another form. The values are parts of data, which must not
// be changed any more.
func ParseChanges(data []byte) ([]Change, error) {
	p := changeParser{data: data, text: string(data)}
	if changes, ok := p.changes(); ok {
		return changes, nil
	}
	var changes []Change
	if err := json.Unmarshal(data, &changes); err != nil {
		return nil, err
	}
	return changes, nil
}

// changeParser reads the form of AppendChanges: the fields in its order, no
// space between them. It gives up on any other.
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
	const begin = `{"field":`
	changes := make([]Change, 0, strings.Count(p.text, begin))
	if !p.skip("[") {
		return nil, false
	}
	for first := true; !p.skip("]"); first = false {
		var c Change
		if !first && !p.skip(",") || !p.skip(begin) || !p.string(&c.Field) ||
			!p.side(&c.Before, `,"before":`, `,"before_label":`, `,"before_form":`) ||
			!p.side(&c.After, `,"after":`, `,"after_label":`, `,"after_form":`) {
			return nil, false
		}
		c.Element = p.skip(`,"element":true`)
		if !p.skip("}") {
			return nil, false
		}
		changes = append(changes, c)
	}
	return changes, p.at == len(p.text)
}

func (p *changeParser) side(v *Value, value, label, form string) bool {
	var f string
	ok := (!p.skip(value) || p.value(&v.JSON)) && (!p.skip(label) || p.string(&v.Label)) && (!p.skip(form) || p.string(&f))
	v.Form = Form(f)
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
