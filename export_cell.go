package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// csvSide is one side of a change.
type csvSide int

const (
	previousSide csvSide = iota
	newSide
)

// of returns the value on the side and that on the other one.
func (s csvSide) of(c *Change) (v, opposite *Value) {
	if s == previousSide {
		return &c.Before, &c.After
	}
	return &c.After, &c.Before
}

// told reports whether there is anything to say about the side: a record just
// created has no previous values, and an added element was not there before.
func (s csvSide) told(op Operation, c *Change) bool {
	v, opposite := s.of(c)
	if c.Element {
		return !v.IsNull() || opposite.IsNull()
	}
	if v.Recorded() {
		return true
	}
	if s == previousSide {
		return !op.onlyAfter()
	}
	return op != Deleted
}

// appendSide appends a line for each field of the event that has the side.
func appendSide(b []byte, e *Event, side csvSide) []byte {
	start := len(b)
	for i := range e.Changes {
		c := &e.Changes[i]
		if !side.told(e.Operation, c) {
			continue
		}
		if len(b) > start {
			b = append(b, '\n')
		}
		b = append(appendVisible(b, c.Field, false), ": "...)
		v, opposite := side.of(c)
		b = appendShown(b, v, opposite, false)
	}
	return b
}

// appendShown appends a value as people read it. A label that stands on both
// sides for different records is followed by what it stands for.
func appendShown(b []byte, v, opposite *Value, breaks bool) []byte {
	switch {
	case v.Form == FormRedacted:
		return append(b, "(withheld)"...)
	case v.Label != "":
		b = appendGuarded(b, v.Label, breaks)
		if v.Label == opposite.Label && len(v.JSON) > 0 && !bytes.Equal(v.JSON, opposite.JSON) {
			b = appendVisible(append(b, " ("...), Value{JSON: v.JSON}.Text(), false)
			b = append(b, ')')
		}
		return b
	case len(v.JSON) == 0:
		return append(b, "(not recorded)"...)
	case v.IsNull():
		return append(b, "(none)"...)
	case v.Form == FormShortened:
		var long struct{ Length int64 }
		if json.Unmarshal(v.JSON, &long) == nil {
			b = append(strconv.AppendInt(append(b, "(shortened, "...), long.Length, 10), " bytes) "...)
		} else {
			b = append(b, "(shortened) "...)
		}
		return appendVisible(b, v.Text(), breaks)
	case v.Form != FormPlain:
		b = append(append(append(b, '('), v.Form...), ") "...)
		return appendVisible(b, v.Text(), breaks)
	}
	if v.JSON[0] != '"' {
		return appendVisible(b, string(v.JSON), breaks)
	}
	if plainJSON(v.JSON) && len(v.JSON) > 2 && v.JSON[1] != '(' { // no need for a copy
		return append(b, v.JSON[1:len(v.JSON)-1]...)
	}
	var text string
	switch err := json.Unmarshal(v.JSON, &text); {
	case err != nil:
		return appendVisible(b, string(v.JSON), breaks)
	case text == "":
		return append(b, "(empty)"...)
	}
	return appendGuarded(b, text, breaks)
}

// appendGuarded appends a text such that it is not mistaken for the words that
// stand for what has no text.
func appendGuarded(b []byte, text string, breaks bool) []byte {
	if text[0] != '(' && text[0] != '"' {
		return appendVisible(b, text, breaks)
	}
	b = append(b, '"')
	return append(appendVisible(b, text, breaks), '"')
}

// appendVisible appends a text with its hidden characters shown as escapes. If
// breaks is set, line breaks and tabs stay what they are.
func appendVisible(b []byte, text string, breaks bool) []byte {
	from := 0
	for i := 0; i < len(text); {
		if c := text[i]; ' ' <= c && c <= '~' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if !hidden(r) || breaks && (r == '\n' || r == '\t' || r == '\r' && strings.HasPrefix(text[i:], "\r\n")) {
			i += size
			continue
		}
		b = append(b, text[from:i]...)
		switch r {
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = appendUnicodeEscape(b, r)
		}
		i += size
		from = i
	}
	return append(b, text[from:]...)
}

// appendCellJSON appends a value for programs: nothing if it is not recorded.
func appendCellJSON(b []byte, v Value) []byte {
	if len(v.JSON) == 0 {
		return b
	}
	return appendRawJSON(b, v.JSON)
}

// appendTime appends a time as 2006-01-02 15:04:05 with another byte for the
// space.
func appendTime(b []byte, t time.Time, between byte) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return append(append(t.AppendFormat(b, "2006-01-02"), between), t.Format("15:04:05")...)
	}
	hour, minute, second := t.Clock()
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = appendTwo(append(b, '-'), int(month))
	b = appendTwo(append(b, '-'), day)
	b = appendTwo(append(b, between), hour)
	b = appendTwo(append(b, ':'), minute)
	return appendTwo(append(b, ':'), second)
}

// appendTwo appends a number under 100 in two digits.
func appendTwo(b []byte, n int) []byte {
	return append(b, '0'+byte(n/10), '0'+byte(n%10)) //nolint:gosec // it is under 100
}

func appendCellID(b []byte, id uuid.UUID) []byte {
	if id == uuid.Nil {
		return b
	}
	return appendUUID(b, id)
}

func appendTrue(b []byte, yes bool) []byte {
	if !yes {
		return b
	}
	return append(b, "true"...)
}

// sealCell makes a cell of the text that b has from start on: safe for
// spreadsheets unless raw, and in quotes where needed.
func sealCell(b []byte, start int, raw bool) []byte {
	plain := true
	for _, c := range b[start:] {
		if special[c] {
			plain = false
			break
		}
	}
	if plain && (len(b) == start || !opens(b[start])) {
		return b
	}
	if text := b[start:]; bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) {
		b = append(b[:start], readable(text)...)
	}
	prefix := `"`
	if !raw && formula(b[start:]) {
		prefix = `"'`
	}
	return quoteCell(b, start, prefix)
}

// readable is a text of which NUL and bytes that are not UTF-8 have become
// U+FFFD.
func readable(text []byte) []byte {
	var is []byte
	for _, r := range string(text) {
		if r == 0 {
			r = utf8.RuneError
		}
		is = utf8.AppendRune(is, r)
	}
	return is
}

// quoteCell puts a prefix, which ends with a quote or an apostrophe, before the
// text that b has from start on, doubles its quotes and adds one. It works from the
// end on, so that the text need not be copied away.
func quoteCell(b []byte, start int, prefix string) []byte {
	end := len(b)
	n := end + len(prefix) + bytes.Count(b[start:], []byte{'"'}) + 1
	b = slices.Grow(b, n-end)[:n]
	n--
	b[n] = '"'
	for i := end - 1; i >= start; i-- {
		n--
		b[n] = b[i]
		if b[i] == '"' {
			n--
			b[n] = '"'
		}
	}
	copy(b[start:], prefix)
	return b
}

// special are the bytes for which a cell has to be looked at closer: separators
// of any country's spreadsheets, quotes, control characters, and what is not
// ASCII.
var special = func() (is [256]bool) {
	for c := range is {
		is[c] = c < ' ' || c > '~' || c == ',' || c == '"' || c == ';' || c == '|'
	}
	return is
}()

// opens reports whether a cell that begins with c has to be looked at closer.
func opens(c byte) bool { return c == ' ' || c == '=' || c == '+' || c == '-' || c == '@' || c == '\'' }

// formula reports whether a spreadsheet might run the cell, or whether it
// begins with the apostrophe that says that it must not.
func formula(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	switch text[0] {
	case '\'', '\t', '\r', '\n':
		return true
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch r {
		case '=', '+', '-', '@',
			'\uff1d', '\uff0b', '\uff0d', '\uff20', // full-width
			'\ufe66', '\ufe62', '\ufe63', '\ufe6b', // small
			'\u2212': // the minus of typesetters
			return true
		}
		if r != utf8.RuneError && !unicode.In(r, unicode.Z, unicode.C) {
			return false
		}
		text = text[size:]
	}
	return false
}

// UnprefixCSV returns what a cell held before [WriteCSV] made it safe for
// spreadsheets. It is not meant for files written with [CSVOptions.Raw].
func UnprefixCSV(cell string) string { return strings.TrimPrefix(cell, "'") }
