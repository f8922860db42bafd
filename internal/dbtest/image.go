package dbtest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// kind is what a column holds, whatever the database calls it.
type kind int

const (
	kindText kind = iota
	kindBytes
	kindBool
	kindInt
	kindFloat
	kindDecimal
	kindTime
	kindDate
	kindJSON
)

// null is the canonical text of a null, and unrecorded that of what an event
// does not hold. No value has either.
const (
	null       = "null"
	unrecorded = "-"
)

// kindOf tells from the model what a column holds.
func kindOf(f *schema.Field) kind {
	declared := strings.ToLower(string(f.DataType) + " " + f.TagSettings["TYPE"])
	switch {
	case f.Serializer != nil || strings.Contains(declared, "json"):
		return kindJSON
	case strings.HasSuffix(declared, " date"):
		return kindDate
	case strings.Contains(declared, "decimal") || strings.Contains(declared, "numeric"):
		return kindDecimal
	}
	switch f.GORMDataType {
	case schema.Bool:
		return kindBool
	case schema.Int, schema.Uint:
		return kindInt
	case schema.Float:
		return kindFloat
	case schema.Time:
		return kindTime
	case schema.Bytes:
		return kindBytes
	}
	return kindText
}

// fromTruth is the canonical text of a value that a trigger wrote.
func (k kind) fromTruth(text *string) (string, error) {
	if text == nil {
		return null, nil
	}
	switch k {
	case kindText, kindBytes, kindJSON:
		raw, err := hex.DecodeString(*text)
		if err != nil {
			return "", err
		}
		return k.canonical(string(raw))
	}
	return k.canonical(*text)
}

// canonical is one text for all ways in which a value can be written: quoted
// bytes, true and false, numbers without needless digits, times in UTC as
// RFC 3339, dates without a time, JSON with sorted keys and numbers by value.
func (k kind) canonical(text string) (string, error) {
	switch k {
	case kindText, kindBytes:
		return strconv.Quote(text), nil
	case kindBool:
		b, err := strconv.ParseBool(text)
		return strconv.FormatBool(b), err
	case kindInt:
		i, ok := new(big.Int).SetString(text, 10)
		if !ok {
			return "", fmt.Errorf("%q is no whole number", text)
		}
		return i.String(), nil
	case kindFloat:
		f, err := strconv.ParseFloat(text, 64)
		return strconv.FormatFloat(f, 'g', -1, 64), err
	case kindDecimal:
		return canonicalDecimal(text)
	case kindTime:
		t, err := parseTime(text)
		return t.UTC().Format(time.RFC3339Nano), err
	case kindDate:
		t, err := parseTime(text)
		if t = t.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
			return t.Format(time.DateOnly), err
		}
		return t.Format(time.RFC3339Nano), err // SQLite keeps the time of a date
	case kindJSON:
		return canonicalJSON(text)
	}
	return "", fmt.Errorf("unknown kind %d", k)
}

// canonicalDecimal goes by value. SQLite keeps decimals as binary fractions,
// hence the rounding.
func canonicalDecimal(text string) (string, error) {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return "", fmt.Errorf("%q is no number", text)
	}
	s := r.FloatString(10)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), "."), nil
}

// canonicalJSON makes JSON's null the column's null: events cannot tell them
// apart. What is no JSON becomes a string of it.
func canonicalJSON(text string) (string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		v = text // SQLite takes anything; events show it as a text
	}
	if v == nil {
		return null, nil
	}
	b, err := json.Marshal(numbersByValue(v))
	return "json " + string(b), err
}

func numbersByValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if s, err := canonicalDecimal(v.String()); err == nil {
			return json.Number(s)
		}
	case map[string]any:
		for k := range v {
			v[k] = numbersByValue(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbersByValue(v[i])
		}
	}
	return v
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339Nano,
		"2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999-07",
		"2006-01-02 15:04:05.999999999 -0700 MST",
		"2006-01-02 15:04:05.999999999",
		"2006-01-02",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

// fromEvent is the canonical text of one side of a change. It is strict about
// the forms that events promise: true and false for booleans, RFC 3339 in UTC
// for times, numbers for numbers.
func (k kind) fromEvent(v audit.Value) (string, error) {
	switch v.Form {
	case audit.FormRedacted:
		if v.JSON != nil || v.Label != "" {
			return "", fmt.Errorf("a withheld value shows %s", v.JSON)
		}
		return "redacted", nil
	case audit.FormBase64:
		var b []byte
		if err := json.Unmarshal(v.JSON, &b); err != nil {
			return "", err
		}
		return k.canonical(string(b))
	case audit.FormShortened:
		return "shortened " + string(v.JSON), nil
	case audit.FormPartial:
		masked, err := canonicalJSON(string(v.JSON))
		return "partial " + masked, err
	}
	if v.JSON == nil {
		return unrecorded, nil
	}
	if v.IsNull() {
		return null, nil
	}
	if !json.Valid(v.JSON) {
		return "", fmt.Errorf("%s is not JSON", v.JSON)
	}
	return k.fromJSON(v.JSON)
}

func (k kind) fromJSON(raw json.RawMessage) (string, error) {
	var text string
	isText := json.Unmarshal(raw, &text) == nil
	switch k {
	case kindBool, kindInt, kindFloat:
		if isText || k == kindBool && string(raw) != "true" && string(raw) != "false" {
			return "", fmt.Errorf("%s stands for a number or a boolean", raw)
		}
		return k.canonical(string(raw))
	case kindDecimal:
		if isText {
			return k.canonical(text)
		}
		return k.canonical(string(raw))
	case kindJSON:
		return k.canonical(string(raw))
	}
	if !isText {
		return "", fmt.Errorf("%s stands for a text", raw)
	}
	canonical, err := k.canonical(text)
	if err == nil && (k == kindTime || k == kindDate) && canonical != text {
		return "", fmt.Errorf("%s is not written as %s", raw, canonical)
	}
	return canonical, err
}

// shortenedFits reports whether the form FormShortened stands for the value. The
// beginning of the value may be absent if the database makes it dear.
func shortenedFits(shortened, value string, dear bool) bool {
	var form struct {
		Length int     `json:"length"`
		Prefix *string `json:"prefix"`
		Base64 *string `json:"prefix_base64"`
	}
	if json.Unmarshal([]byte(strings.TrimPrefix(shortened, "shortened ")), &form) != nil {
		return false
	}
	whole := plain(value)
	switch {
	case len(whole) <= audit.MaxValueBytes:
		return false
	case strings.HasPrefix(value, "json "): // each database spaces it differently
		return form.Length > audit.MaxValueBytes
	case form.Length != len(whole):
		return false
	case form.Prefix != nil:
		return *form.Prefix != "" && strings.HasPrefix(whole, *form.Prefix)
	case form.Base64 != nil:
		b, err := base64.StdEncoding.DecodeString(*form.Base64)
		return err == nil && len(b) > 0 && strings.HasPrefix(whole, string(b))
	}
	return dear
}

// partialFits reports whether the form FormPartial stands for the value: all that
// it does not withhold is the same.
func partialFits(partial, value string) bool {
	var got, want any
	if json.Unmarshal([]byte(strings.TrimPrefix(partial, "partial json ")), &got) != nil ||
		json.Unmarshal([]byte(strings.TrimPrefix(value, "json ")), &want) != nil {
		return false
	}
	return partOf(got, want)
}

func partOf(got, want any) bool {
	switch got := got.(type) {
	case map[string]any:
		want, ok := want.(map[string]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for name := range got {
			if part, there := want[name]; !there || !partOf(got[name], part) {
				return false
			}
		}
		return true
	case []any:
		want, ok := want.([]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for i := range got {
			if !partOf(got[i], want[i]) {
				return false
			}
		}
		return true
	}
	return got == "[withheld]" || got == want
}

// plain undoes the quotes of a canonical text.
func plain(canonical string) string {
	if s, err := strconv.Unquote(canonical); err == nil {
		return s
	}
	return strings.TrimPrefix(canonical, "json ")
}
