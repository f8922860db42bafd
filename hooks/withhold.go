package hooks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// secrets finds what must not be told within the values of a column: what
// stands in JSON under a name that tells of a secret.
type secrets struct {
	// told is what the tags of nested fields say: whether the values under a
	// name are withheld.
	told map[string]bool
	// shown turns off that names are judged by audit.Sensitive.
	shown bool
	// typed marks a column whose Go type has secrets in it: what is not JSON
	// then, such as a gob, holds them where nobody can find them.
	typed bool
}

// secretsOf reads the type of a column's field, which may be nil.
func secretsOf(f *schema.Field, shown bool) *secrets {
	s := &secrets{shown: shown}
	if f != nil && f.FieldType != nil {
		s.read(f.FieldType, map[reflect.Type]bool{})
	}
	return s
}

// read takes in what is tagged in a type and in the types that it is made of.
func (s *secrets) read(t reflect.Type, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	fields := reflect.VisibleFields(t)
	if exported := slices.DeleteFunc(slices.Clone(fields), func(f reflect.StructField) bool { return !f.IsExported() }); len(exported) > 0 {
		fields = exported // else its methods write what it hides
	}
	for _, f := range fields {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			name = f.Name
		}
		withhold := !s.shown && (audit.Sensitive(name) || audit.Sensitive(f.Name))
		for word := range strings.SplitSeq(f.Tag.Get("audit"), ",") {
			switch strings.TrimSpace(word) {
			case "-", "redact":
				withhold = true
			case "show":
				withhold = false
				s.tell(name, s.told[name]) // another field of that name may be secret
			}
		}
		if withhold {
			s.tell(name, true)
			s.typed = true
			continue
		}
		s.read(f.Type, seen)
	}
}

func (s *secrets) tell(name string, withhold bool) {
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[name] = withhold
}

// name reports whether the values under a name, given as a JSON string, are
// withheld.
func (s *secrets) name(text []byte) bool {
	name := string(bytes.Trim(text, `"`))
	if strings.IndexByte(name, '\\') >= 0 {
		_ = json.Unmarshal(text, &name) // else it is judged as it is written
	}
	if withhold, told := s.told[name]; told {
		return withhold
	}
	return !s.shown && audit.Sensitive(name)
}

// withheldPart stands for a part that is withheld; see [audit.FormPartial].
const withheldPart = `"[withheld]"`

// value is a cell as an event shows it. The secrets may be nil.
func (s *secrets) value(v cell) audit.Value {
	whole := audit.Value{JSON: v.json, Form: v.form}
	if s == nil || len(v.json) == 0 {
		return whole
	}
	hidden := false
	switch {
	case v.form == audit.FormShortened:
		var long struct {
			Prefix string
			Base64 []byte `json:"prefix_base64"`
		}
		_ = json.Unmarshal(v.json, &long) // made here, so it parses
		hidden = s.hides(append(long.Base64, long.Prefix...))
	case v.form == audit.FormBase64:
		var head [3]byte
		_, _ = base64.StdEncoding.Decode(head[:], v.json[1:min(5, len(v.json))])
		if s.typed || mayBegin(head[0]) {
			var b []byte
			_ = json.Unmarshal(v.json, &b)
			hidden = s.hides(b)
		}
	case v.json[0] == '"':
		if s.typed || mayBegin(v.json[1]) {
			hidden = s.hides([]byte(plain(v)))
		}
	case v.json[0] == '{' || v.json[0] == '[':
		if masked, some := s.mask(v.json); some {
			return audit.Value{JSON: masked, Form: audit.FormPartial}
		}
	}
	if hidden {
		return audit.Value{Form: audit.FormRedacted}
	}
	return whole
}

// tells reports whether a cell is shown as it is.
func (s *secrets) tells(v cell) bool {
	shown := s.value(v)
	return shown.Form != audit.FormRedacted && shown.Form != audit.FormPartial
}

// hides reports whether a text that came out of the database must be withheld:
// it is JSON, perhaps only the beginning of it or damaged, with a secret, or no
// JSON though it stands for something that has one.
func (s *secrets) hides(text []byte) bool {
	if !beginsDocument(text) {
		return s.typed && len(text) > 0
	}
	at, _ := s.next(text, 0)
	return at >= 0
}

// beginsDocument reports whether a text is JSON of parts, if it is JSON at all.
func beginsDocument(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	i := skipSpace(text, 0)
	return i < len(text) && (text[i] == '{' || text[i] == '[')
}

// mayBegin reports whether a text with this first byte, perhaps of an escape, may
// be one that begins a document.
func mayBegin(first byte) bool { return strings.IndexByte("{[\\ \t\n\r\xef", first) >= 0 }

// mask replaces the secrets in JSON, if it has some.
func (s *secrets) mask(text []byte) (_ []byte, some bool) {
	start, end := s.next(text, 0)
	if start < 0 {
		return text, false
	}
	masked := make([]byte, 0, len(text)+len(withheldPart))
	from := 0
	for ; start >= 0; start, end = s.next(text, from) {
		masked = append(append(masked, text[from:start]...), withheldPart...)
		from = end
	}
	return append(masked, text[from:]...), true
}

// next finds the next part of a JSON text that is withheld, from a place that is
// not within a string on; start is -1 if there is none. The text may be damaged,
// and nested as deep as it likes.
func (s *secrets) next(text []byte, from int) (start, end int) {
	for from < len(text) {
		at := bytes.IndexByte(text[from:], '"')
		if at < 0 {
			break
		}
		at += from
		from = stringEnd(text, at)
		colon := skipSpace(text, from)
		if colon < len(text) && text[colon] == ':' {
			if s.name(text[at:from]) {
				start = skipSpace(text, colon+1)
				return start, valueEnd(text, start)
			}
			from = colon + 1
		} else if s.nested(text[at:from]) {
			return at, from
		}
	}
	return -1, -1
}

// nested reports whether a JSON string holds JSON that has a secret.
func (s *secrets) nested(text []byte) bool {
	if len(text) < 2 || !mayBegin(text[1]) || bytes.IndexByte(text, '\\') < 0 { // it would have quotes
		return false
	}
	var inner string
	if json.Unmarshal(text, &inner) != nil || !beginsDocument([]byte(inner)) {
		return false
	}
	at, _ := s.next([]byte(inner), 0)
	return at >= 0
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// stringEnd is the place behind the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// valueEnd is the place behind the value that begins at i.
func valueEnd(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			if i = stringEnd(text, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(text)
}

// keyText is a cell of a primary key, or of what refers to one, as the id of a
// record. One that is withheld is known by a digest, so that what happened to
// the record can still be found.
func keyText(c *column, v cell) string {
	if !c.redacted {
		return plain(v)
	}
	sum := sha256.Sum256([]byte(plain(v)))
	return "sha256:" + hex.EncodeToString(sum[:16])
}
