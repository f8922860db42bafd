package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// eventJSON is the form of an [Event] in JSON.
type eventJSON struct {
	ID            uuid.UUID `json:"id"`
	Time          string    `json:"time"`
	Workspace     string    `json:"workspace"`
	Actor         Actor     `json:"actor"`
	Initiator     Actor     `json:"initiator"`
	Operation     Operation `json:"operation"`
	Origin        Origin    `json:"origin"`
	Entity        Entity    `json:"entity"`
	Ownership     Ownership `json:"ownership"`
	Changes       []Change  `json:"changes"`
	Cause         uuid.UUID `json:"cause"`
	Derived       bool      `json:"derived"`
	ChangeSet     uuid.UUID `json:"change_set"`
	Request       Request   `json:"request"`
	Reason        string    `json:"reason"`
	SchemaVersion int       `json:"schema_version"`
}

// timeJSON is RFC 3339 in UTC with all six digits of the microseconds, so that
// the texts sort as the times do.
const timeJSON = "2006-01-02T15:04:05.000000Z"

// MarshalJSON implements json.Marshaler. The form is
//
//	{
//	  "id": "…",                      version 7 UUID
//	  "time": "2026-11-22T10:00:00.123456Z",
//	  "workspace": "…",
//	  "actor": {"kind": "user", "id": "…", "name": "…"},
//	  "initiator": {…},               like actor
//	  "operation": "updated",
//	  "origin": "import",
//	  "entity": {"type": "project", "id": "…", "label": "…", "owner": "…"},
//	  "ownership": "self",
//	  "changes": [{"field": "…", "before": …, "after": …}],
//	  "cause": "…",                   UUID of an event
//	  "derived": true,
//	  "change_set": "…",              UUID
//	  "request": {"id": "…", "address": "…", "agent": "…"},
//	  "reason": "…",
//	  "schema_version": 1
//	}
//
// with every field that is empty left out. A change has before_label,
// after_label, before_form, after_form and element besides, where they are not
// empty. An absent before or after was not recorded (or withheld, as the form
// tells); null is null.
//
// Nothing is lost: [Event.UnmarshalJSON] gives back the same event, its time
// in UTC and cut to microseconds, its values with the same content. The JSON
// is one line whatever the event holds, and has control characters and those
// that change the direction of writing escaped.
//
// It returns [ErrInvalidEvent] for a time whose year has not four digits.
func (e Event) MarshalJSON() ([]byte, error) {
	if err := e.checkJSON(); err != nil {
		return nil, err
	}
	return e.AppendJSON(nil), nil
}

// checkJSON returns an error if the event's time cannot be written.
func (e *Event) checkJSON() error {
	if y := e.Time.UTC().Year(); y < 0 || y > 9999 {
		return invalidEvent("event %s is of the year %d, which JSON's times cannot tell", e.ID, y)
	}
	return nil
}

// AppendJSON appends the event to b as [Event.MarshalJSON] gives it.
func (e Event) AppendJSON(b []byte) []byte { return e.appendJSON(b) }

func (e *Event) appendJSON(b []byte) []byte {
	start := len(b)
	b = append(b, '{')
	b = appendID(b, "id", e.ID)
	if !e.Time.IsZero() {
		b = append(b, `,"time":"`...)
		b = append(e.Time.UTC().AppendFormat(b, timeJSON), '"')
	}
	b = appendText(b, "workspace", e.Workspace)
	b = e.Actor.appendJSON(b, "actor")
	b = e.Initiator.appendJSON(b, "initiator")
	b = appendText(b, "operation", string(e.Operation))
	b = appendText(b, "origin", string(e.Origin))
	if e.Entity != (Entity{}) {
		b = appendObject(b, "entity", "type", string(e.Entity.Type), "id", e.Entity.ID, "label", e.Entity.Label, "owner", e.Entity.Owner)
	}
	b = appendText(b, "ownership", string(e.Ownership))
	if len(e.Changes) > 0 {
		b = AppendChanges(append(b, `,"changes":`...), e.Changes)
	}
	b = appendID(b, "cause", e.Cause)
	if e.Derived {
		b = append(b, `,"derived":true`...)
	}
	b = appendID(b, "change_set", e.ChangeSet)
	if e.Request != (Request{}) {
		b = appendObject(b, "request", "id", e.Request.ID, "address", e.Request.Address, "agent", e.Request.Agent)
	}
	b = appendText(b, "reason", e.Reason)
	if e.SchemaVersion != 0 {
		b = strconv.AppendInt(append(b, `,"schema_version":`...), int64(e.SchemaVersion), 10)
	}
	if len(b) > start+1 { // every field began with a comma
		b = append(b[:start+1], b[start+2:]...)
	}
	return append(b, '}')
}

func (a Actor) appendJSON(b []byte, name string) []byte {
	if a.IsZero() {
		return b
	}
	return appendObject(b, name, "kind", string(a.Kind), "id", a.ID, "name", a.Name)
}

// appendObject appends an object of texts, given as names and values, without
// those that are empty.
func appendObject(b []byte, name string, fields ...string) []byte {
	b = append(append(append(b, `,"`...), name...), `":{`...)
	start := len(b)
	for i := 0; i < len(fields); i += 2 {
		b = appendText(b, fields[i], fields[i+1])
	}
	if len(b) > start {
		b = append(b[:start], b[start+1:]...)
	}
	return append(b, '}')
}

func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return AppendJSONString(b, text)
}

func appendID(b []byte, name string, id uuid.UUID) []byte {
	if id == uuid.Nil {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(appendUUID(b, id), '"')
}

// appendUUID appends what id.String gives, without making a string of it.
func appendUUID(b []byte, id uuid.UUID) []byte {
	var digits [2 * len(id)]byte
	hex.Encode(digits[:], id[:])
	b = append(append(b, digits[:8]...), '-')
	b = append(append(b, digits[8:12]...), '-')
	b = append(append(b, digits[12:16]...), '-')
	b = append(append(b, digits[16:20]...), '-')
	return append(b, digits[20:]...)
}

// UnmarshalJSON implements json.Unmarshaler; see [Event.MarshalJSON] for the
// form. It returns [ErrInvalidEvent] for an event of a later schema version
// than [SchemaVersion], because it might lose what it does not know. An error
// leaves the event as it was.
func (e *Event) UnmarshalJSON(data []byte) error {
	var j eventJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	if j.SchemaVersion > SchemaVersion {
		return invalidEvent("event %s has schema version %d, this program knows up to %d; update it", j.ID, j.SchemaVersion, SchemaVersion)
	}
	read := Event{
		ID: j.ID, Workspace: j.Workspace, Actor: j.Actor, Initiator: j.Initiator, Operation: j.Operation, Origin: j.Origin,
		Entity: j.Entity, Ownership: j.Ownership, Changes: j.Changes, Cause: j.Cause, Derived: j.Derived,
		ChangeSet: j.ChangeSet, Request: j.Request, Reason: j.Reason, SchemaVersion: j.SchemaVersion,
	}
	if j.Time != "" {
		t, err := time.Parse(time.RFC3339Nano, j.Time)
		if err != nil {
			return errors.New("audit: the time of an event is not in RFC 3339")
		}
		read.Time = t.UTC().Truncate(time.Microsecond)
	}
	*e = read
	return nil
}

// appendRawJSON appends JSON that came from elsewhere such that the result is
// on one line and valid: space outside of strings is dropped, characters as
// [AppendJSONString] escapes them are escaped. What is not JSON, or could not be
// read back within an event, becomes a string, so that no value can break the log.
func appendRawJSON(b []byte, raw []byte) []byte {
	if plainJSON(raw) {
		return append(b, raw...)
	}
	if !json.Valid(raw) || nestsTooDeep(raw) {
		return AppendJSONString(b, string(raw))
	}
	for len(raw) > 0 {
		if raw[0] == '"' {
			end := stringEnd(raw)
			b = appendRawString(b, raw[:end])
			raw = raw[end:]
			continue
		}
		n := bytes.IndexByte(raw, '"')
		if n < 0 {
			n = len(raw)
		}
		for _, c := range raw[:n] {
			if c > ' ' {
				b = append(b, c)
			}
		}
		raw = raw[n:]
	}
	return b
}

// maxNesting is how deep lists and objects may lie within a value. Package
// encoding/json reads 10,000 levels, some of which are the event's own.
const maxNesting = 9_000

func nestsTooDeep(raw []byte) bool {
	depth := 0
	for i := 0; i < len(raw) && len(raw) > maxNesting; i++ {
		switch raw[i] {
		case '"':
			i += stringEnd(raw[i:]) - 1
		case '[', '{':
			if depth++; depth > maxNesting {
				return true
			}
		case ']', '}':
			depth--
		}
	}
	return false
}

// plainJSON reports whether raw is a literal, an integer or a string of plain
// ASCII, as nearly all values are.
func plainJSON(raw []byte) bool {
	if len(raw) > 1 && raw[0] == '"' {
		last := len(raw) - 1
		for _, c := range raw[1:last] {
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				return false
			}
		}
		return raw[last] == '"'
	}
	switch string(raw) {
	case "":
		return false
	case "null", "true", "false", "0":
		return true
	}
	digits := raw
	if raw[0] == '-' {
		digits = raw[1:]
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0 && digits[0] != '0'
}

// stringEnd is the length of the JSON string that valid JSON begins with.
func stringEnd(raw []byte) int {
	for i := 1; ; i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// appendRawString appends a valid JSON string with its characters escaped as
// AppendJSONString does it. Escapes that it has stay as they are.
func appendRawString(b, raw []byte) []byte {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, "\uFFFD"...)
		case hidden(r):
			b = appendUnicodeEscape(b, r)
		default:
			b = append(b, raw[i:i+size]...)
		}
		i += size
	}
	return b
}

// hidden reports whether r is a character that could make a text look like
// another one or more than one line: control characters, line separators, the
// byte order mark, and those that change the direction of writing.
func hidden(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0x9f:
		return true
	case r < 0x061c:
		return false
	case r == 0x061c, r == 0x200e, r == 0x200f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069, r == 0xfeff:
		return true
	}
	return false
}

func appendUnicodeEscape(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
