package audit

import (
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// decimal is a number that is written as a string.
type decimal string

// plain follows pointers and asks the value's own methods, until it has what
// the value stands for: nil, a time, a string, bytes, a decimal, decoded JSON,
// or the [reflect.Value] of something else.
func (c *canonical) plain(v reflect.Value) any {
	for range maxCanonicalDepth {
		switch v.Kind() {
		case reflect.Invalid:
			return nil
		case reflect.Chan, reflect.Func, reflect.UnsafePointer:
			return nil
		case reflect.Pointer, reflect.Interface:
			if v.IsNil() {
				return nil
			}
			v = v.Elem()
			continue
		}
		if x, ok := own(v); ok {
			return x
		}
		switch {
		case v.Kind() == reflect.String:
			return v.String()
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 && !v.IsNil():
			return v.Bytes()
		}
		return v
	}
	return "[cycle]"
}

var timeType = reflect.TypeFor[time.Time]()

// own is what the value says of itself, by being a time or by its methods.
func own(v reflect.Value) (any, bool) {
	if !v.CanInterface() {
		return nil, false
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return timeText(x), true
	case json.Number: // a string, but for its type
		return x, json.Valid([]byte(x)) && numberKey(string(x)) != ""
	case map[string]any, []any: // decoded JSON
		return nil, false
	}
	var stored any
	m := methods(v)
	valuer, isValuer := m.(driver.Valuer)
	if isValuer {
		stored, isValuer = guarded(valuer.Value)
		if t, ok := stored.(time.Time); ok {
			return timeText(t), true
		}
		if isValuer && stored == nil {
			return nil, true
		}
	}
	if x, ok := marshaled(m); ok {
		return x, true
	}
	if isValuer {
		return basic(stored)
	}
	if v.Kind() == reflect.Struct && v.Type().ConvertibleTo(timeType) {
		return timeText(v.Convert(timeType).Interface().(time.Time)), true
	}
	return nil, false
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// methods is v as an interface that has the methods of its pointer, too.
func methods(v reflect.Value) any {
	t := v.Type()
	if t.PkgPath() == "" && t.Kind() != reflect.Struct {
		return nil // only named types have methods, and structs that embed one
	}
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	p := reflect.New(t)
	p.Elem().Set(v)
	return p.Interface()
}

// marshaled is what a Marshaler makes of its value.
func marshaled(m any) (any, bool) {
	switch m := m.(type) {
	case json.Marshaler:
		text, ok := guarded(m.MarshalJSON)
		if !ok {
			return nil, false
		}
		x, ok := decode(text)
		if s, isText := x.(string); ok && isText && hasCmp(m) && numberKey(s) != "" {
			return decimal(s), true
		}
		return x, ok
	case encoding.TextMarshaler:
		text, ok := guarded(m.MarshalText)
		if ok && hasCmp(m) && numberKey(string(text)) != "" {
			return decimal(text), true
		}
		return string(text), ok
	}
	return nil, false
}

// hasCmp reports whether the value has a method Cmp, as decimals have. If it is
// written as a number, it is compared as one.
func hasCmp(m any) bool { return reflect.ValueOf(m).MethodByName("Cmp").IsValid() }

// basic is a value that a Valuer gave, if it is one that a database takes.
func basic(stored any) (any, bool) {
	switch x := stored.(type) {
	case string, []byte:
		return x, true
	case bool:
		return x, true
	case int64:
		return json.Number(strconv.FormatInt(x, 10)), true
	case float64:
		return floatText(x, 64), true
	}
	return nil, false
}

// guarded calls a method of the application's, and reports false if it fails
// or panics.
func guarded[T any](f func() (T, error)) (result T, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	result, err := f()
	return result, err == nil
}

// decode is JSON as maps, slices, strings, numbers as they are written, bools
// and nil.
func decode(text []byte) (any, bool) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var x any
	if d.Decode(&x) != nil {
		return nil, false
	}
	_, err := d.Token()
	return x, err == io.EOF
}

// floatText is a number as encoding/json writes it, or a string for what JSON
// has no number for.
func floatText(f float64, bits int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, bits)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return json.Number(strconv.FormatFloat(f, format, -1, bits))
}

// numberKey is a JSON number such that equal numbers have equal keys: digits
// without zeros at either end, and an exponent. It is empty for what is not a
// number.
func numberKey(s string) string {
	digits, negative := strings.CutPrefix(s, "-")
	if !negative {
		digits = strings.TrimPrefix(s, "+") // decimals write it, JSON does not
	}
	exponent := 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		n, err := strconv.Atoi(digits[i+1:])
		if errors.Is(err, strconv.ErrSyntax) {
			return ""
		}
		if err != nil || n > 1<<40 || n < -1<<40 {
			return s // too large to be counted
		}
		digits, exponent = digits[:i], n
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = whole + fraction
	if whole == "" || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	exponent -= len(fraction)
	significant := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	significant = strings.TrimLeft(significant, "0")
	if significant == "" {
		return "0"
	}
	if negative {
		significant = "-" + significant
	}
	return significant + "e" + strconv.Itoa(exponent)
}
