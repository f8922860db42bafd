package hooks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gormtrail/audit"
)

// kind is what a column holds, which decides how its value is written in JSON:
// drivers give one value in many Go types.
type kind uint8

const (
	kindText kind = iota
	kindBool
	kindNumber
	kindFloat32
	kindTime
	kindDate
	kindDay // a date that is kept as a time
	kindJSON
	kindBytes
)

// appendCanonical appends the value that a driver gave for a column of this
// kind as JSON, so that equal values of one column have equal JSON.
func appendCanonical(b []byte, k kind, src any) ([]byte, audit.Form) {
	switch v := src.(type) {
	case nil:
		return append(b, "null"...), audit.FormPlain
	case []byte:
		return appendText(b, k, v)
	case string:
		if k == kindText && len(v) <= audit.MaxValueBytes && utf8.ValidString(v) {
			return audit.AppendJSONString(b, v), audit.FormPlain
		}
		return appendText(b, k, []byte(v))
	case bool:
		return strconv.AppendBool(b, v), audit.FormPlain
	case int64:
		if k == kindBool {
			return strconv.AppendBool(b, v != 0), audit.FormPlain
		}
		return strconv.AppendInt(b, v, 10), audit.FormPlain
	case uint64:
		return strconv.AppendUint(b, v, 10), audit.FormPlain
	case float64:
		if k == kindFloat32 {
			return appendFloat(b, v, 32), audit.FormPlain
		}
		return appendFloat(b, v, 64), audit.FormPlain
	case float32:
		return appendFloat(b, float64(v), 32), audit.FormPlain
	case time.Time:
		return appendTime(b, k, v), audit.FormPlain
	}
	return audit.AppendJSONString(b, fmt.Sprint(src)), audit.FormPlain
}

func appendFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(strconv.AppendFloat(append(b, '"'), f, 'g', -1, bits), '"')
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, bits)
}

func appendTime(b []byte, k kind, t time.Time) []byte {
	if k != kindDate { // whose driver gives midnight in its own zone
		t = t.UTC()
	}
	if k == kindDate || k == kindDay {
		if h, m, s := t.Clock(); h == 0 && m == 0 && s == 0 && t.Nanosecond() == 0 {
			return append(t.AppendFormat(append(b, '"'), time.DateOnly), '"')
		}
	}
	return append(t.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

// appendText is appendCanonical for what a driver gave as text or bytes.
func appendText(b []byte, k kind, v []byte) ([]byte, audit.Form) {
	if len(v) > audit.MaxValueBytes {
		return appendShortened(b, len(v), digestOf(v), v[:prefixChars], k == kindBytes), audit.FormShortened
	}
	switch k {
	case kindBytes:
		return appendBase64(b, v), audit.FormBase64
	case kindBool:
		switch string(v) {
		case "1", "\x01", "t", "true":
			return append(b, "true"...), audit.FormPlain
		case "0", "\x00", "f", "false":
			return append(b, "false"...), audit.FormPlain
		}
	case kindNumber:
		if isNumber(v) {
			return append(b, v...), audit.FormPlain
		}
	case kindFloat32:
		if f, err := strconv.ParseFloat(string(v), 64); err == nil {
			return appendFloat(b, f, 32), audit.FormPlain
		}
	case kindTime, kindDate, kindDay:
		if t, ok := parseTime(string(v)); ok {
			return appendTime(b, k, t), audit.FormPlain
		}
	case kindJSON:
		if compact, ok := appendCompact(b, v); ok {
			return compact, audit.FormPlain
		}
	}
	switch {
	case isPlainText(v): // without making a string of it
		return append(append(append(b, '"'), v...), '"'), audit.FormPlain
	case !utf8.Valid(v):
		return appendBase64(b, v), audit.FormBase64
	}
	return audit.AppendJSONString(b, string(v)), audit.FormPlain
}

// isPlainText reports whether a text stands in JSON as it is.
func isPlainText(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendBase64(b, v []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, v)
	return append(b, '"')
}

// appendCompact appends JSON text without white space, on one line.
func appendCompact(b, v []byte) ([]byte, bool) {
	if !utf8.Valid(v) {
		return b, false
	}
	buf := bytes.NewBuffer(b)
	if err := json.Compact(buf, v); err != nil {
		return b, false
	}
	out := buf.Bytes()
	if bytes.Contains(out[len(b):], []byte("\u2028")) || bytes.Contains(out[len(b):], []byte("\u2029")) {
		line := bytes.ReplaceAll(out[len(b):], []byte("\u2028"), []byte(`\u2028`))
		out = append(out[:len(b)], bytes.ReplaceAll(line, []byte("\u2029"), []byte(`\u2029`))...)
	}
	return out, true
}

// isNumber reports whether v is a number as JSON writes it.
func isNumber(v []byte) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	if len(v) == 0 || v[0] != '-' && !digit(v[0]) || !digit(v[len(v)-1]) {
		return false // JSON allows white space around it
	}
	return json.Valid(v)
}

var timeLayouts = [...]string{
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07",
	"2006-01-02 15:04:05.999999999 -0700 MST",
	"2006-01-02 15:04",
	"2006-01-02T15:04",
	time.DateOnly,
}

func parseTime(s string) (time.Time, bool) {
	if len(s) < len(time.DateOnly) || s[4] != '-' {
		return time.Time{}, false
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func digestOf(v []byte) string {
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:])
}

// appendShortened appends what stands for a long value; see
// [audit.FormShortened]. An empty digest is left out.
func appendShortened(b []byte, length int, digest string, prefix []byte, binary bool) []byte {
	b = append(b, `{"length":`...)
	b = strconv.AppendInt(b, int64(length), 10)
	if !binary {
		prefix = wholeRunes(prefix)
	}
	switch {
	case len(prefix) == 0:
	case binary || !utf8.Valid(prefix):
		b = appendBase64(append(b, `,"prefix_base64":`...), prefix)
	default:
		b = audit.AppendJSONString(append(b, `,"prefix":`...), string(prefix))
	}
	if digest != "" {
		b = append(append(append(b, `,"sha256":"`...), digest...), '"')
	}
	return append(b, '}')
}

// wholeRunes drops the part of a character that a cut has left at the end.
func wholeRunes(v []byte) []byte {
	for cut := range min(utf8.UTFMax, len(v)) {
		if short := v[:len(v)-cut]; utf8.Valid(short) {
			return short
		}
	}
	return v
}

// appendDescribed appends what stands for a long value from its description;
// see dialect.wide.
func appendDescribed(b []byte, k kind, description string) []byte {
	parts := strings.SplitN(description, " ", 3)
	if len(parts) != 3 {
		return appendShortened(b, 0, "", nil, true)
	}
	length, _ := strconv.Atoi(parts[0])
	digest := parts[1]
	if digest == "-" {
		digest = ""
	}
	prefix, _ := hex.DecodeString(parts[2])
	return appendShortened(b, length, digest, prefix, k == kindBytes)
}

// sameJSON reports whether two values of one column are equal though their JSON
// may not be: 1.50 and 1.5, or the keys of an object in another order.
func sameJSON(k kind, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	switch k {
	case kindNumber:
		return isNumber(a) && isNumber(b) && plainNumber(string(a)) == plainNumber(string(b))
	case kindJSON:
		return sameDocument(a, b)
	}
	return false
}

// plainNumber drops what does not count after the decimal point.
func plainNumber(s string) string {
	if strings.ContainsAny(s, "eE") {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			s = strconv.FormatFloat(f, 'f', -1, 64)
		}
	}
	if strings.IndexByte(s, '.') >= 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

func sameDocument(a, b []byte) bool {
	x, errX := decodeDocument(a)
	y, errY := decodeDocument(b)
	return errX == nil && errY == nil && sameNode(x, y)
}

func decodeDocument(v []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	var node any
	err := d.Decode(&node)
	return node, err
}

func sameNode(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !sameNode(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !sameNode(x[i], y[i]) {
				return false
			}
		}
		return true
	case json.Number:
		y, ok := b.(json.Number)
		return ok && plainNumber(x.String()) == plainNumber(y.String())
	}
	return a == b
}
