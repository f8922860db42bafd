package audit

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxCanonicalDepth bounds the nesting that is read, so that no chain of
	// pointers exhausts the stack.
	maxCanonicalDepth = 500
	// maxCanonicalBytes bounds what is read of one value made of parts. Without
	// it, values that share their parts would be written out without end.
	maxCanonicalBytes = 4 << 20
	// shortenedPrefix is how much is kept of the beginning of a shortened value.
	shortenedPrefix = 1 << 10
)

// canonical writes one Go value as JSON, twice: as it is shown, and as it is
// compared. The two differ where equal values are written differently (1.5 and
// 1.50) and where a value is withheld but its change is not.
//
// Nothing a value holds makes it panic or run without end: cycles, depth and
// size are bounded, and the value's own methods are called under recover.
type canonical struct {
	shown    []byte             // up to a bit over MaxValueBytes
	length   int                // bytes of the whole text shown
	compared []byte             // not yet in digest
	digest   hash.Hash          // of the text compared
	read     int                // bytes of the text compared
	within   map[reference]bool // what is being read, to find cycles
	withheld int                // over 0 inside of a withheld part
	fields   map[reflect.Type][]field
}

// reference is a place in memory under one type.
type reference struct {
	at     uintptr
	length int
	as     reflect.Type
}

// image is a value as it is recorded, and the key by which it is compared.
type image struct {
	value Value
	key   string
}

// decimal is a number that is written as a string.
type decimal string

// ValueOf is any Go value as a [Value], for events that are recorded by hand.
// It is what encoding/json makes of it, with these differences:
//
//   - A time is in UTC. A [driver.Valuer] without a Marshaler of its own is what
//     it gives the database.
//   - Bytes, and strings that are not UTF-8, have [FormBase64]; within a
//     structure, such a string is {"base64": "..."}.
//   - Every field of a struct is there, whatever its omitempty says. Fields
//     tagged audit:"-" are not; those tagged audit:"redact" and those that
//     [Sensitive] names are withheld. A struct without exported fields and
//     without a Marshaler is shown by its unexported ones.
//   - NaN and the infinities are strings. Channels and functions are null.
//   - What refers to itself is cut with "[cycle]", what is nested too deep with
//     "[too deep]".
//   - A value of [MaxValueBytes] or more has [FormShortened].
//
// A Marshaler that fails or panics is passed over. ValueOf never panics.
func ValueOf(v any) Value {
	return (&canonical{}).image(reflect.ValueOf(v)).value
}

// image reads one value.
func (c *canonical) image(v reflect.Value) image {
	c.shown, c.compared = nil, c.compared[:0]
	c.length, c.read, c.withheld = 0, 0, 0
	c.digest, c.within = sha256.New(), nil
	x := c.plain(v)
	switch x := x.(type) {
	case string:
		if utf8.ValidString(x) && len(x) < MaxValueBytes {
			break
		}
		c.encode(x, 0)
		return image{textValue(x), c.key()}
	case []byte:
		c.encode(x, 0)
		return image{bytesValue(x), c.key()}
	}
	c.encode(x, 0)
	img := image{value: Value{JSON: c.shown}, key: c.key()}
	if c.length >= MaxValueBytes || c.read > maxCanonicalBytes {
		img.value = shortenedValue(int64(c.length), c.shown, "")
	}
	return img
}

// textValue is a string that is long or not UTF-8 as a value.
func textValue(s string) Value {
	if len(s) < MaxValueBytes {
		return bytesValue([]byte(s))
	}
	return shortenedValue(int64(len(s)), []byte(s[:2*shortenedPrefix]), digestOf(s))
}

// bytesValue is bytes as a value.
func bytesValue(b []byte) Value {
	if base64.StdEncoding.EncodedLen(len(b)) < MaxValueBytes {
		return Value{JSON: appendBase64(nil, b), Form: FormBase64}
	}
	return shortenedValue(int64(len(b)), b, digestOf(b))
}

func appendBase64(to, b []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(to, '"'), b), '"')
}

// digestOf hashes in pieces, so as not to copy a huge string.
func digestOf[T string | []byte](s T) string {
	h := sha256.New()
	for len(s) > 0 {
		n := min(len(s), 32<<10)
		h.Write([]byte(s[:n]))
		s = s[n:]
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shortenedValue stands for a value of which only the beginning is kept.
// Digest may be empty.
func shortenedValue(length int64, beginning []byte, digest string) Value {
	if len(beginning) > shortenedPrefix {
		end := shortenedPrefix
		for end > shortenedPrefix-utf8.UTFMax && !utf8.RuneStart(beginning[end]) {
			end--
		}
		beginning = beginning[:end]
	}
	b := strconv.AppendInt([]byte(`{"length":`), length, 10)
	if utf8.Valid(beginning) {
		b = AppendJSONString(append(b, `,"prefix":`...), string(beginning))
	} else {
		b = appendBase64(append(b, `,"prefix_base64":`...), beginning)
	}
	if digest != "" {
		b = append(append(append(b, `,"sha256":"`...), digest...), '"')
	}
	return Value{JSON: append(b, '}'), Form: FormShortened}
}

// key is what tells the value apart from others that are not equal to it.
func (c *canonical) key() string {
	c.digest.Write(c.compared)
	c.compared = c.compared[:0]
	return string(c.digest.Sum(nil))
}

// full reports that enough was read.
func (c *canonical) full() bool { return c.read > maxCanonicalBytes }

// put writes what is shown and compared alike.
func (c *canonical) put(text string) {
	c.show(text)
	c.compare(text)
}

func (c *canonical) show(text string) {
	if c.withheld > 0 {
		return
	}
	c.length += len(text)
	if len(c.shown) < MaxValueBytes {
		c.shown = append(c.shown, text...)
	}
}

func (c *canonical) compare(text string) {
	c.read += len(text)
	for len(text) > 0 {
		n := min(len(text), 4<<10)
		c.compared = append(c.compared, text[:n]...)
		text = text[n:]
		if len(c.compared) >= 4<<10 {
			c.digest.Write(c.compared)
			c.compared = c.compared[:0]
		}
	}
}

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

// encode writes what plain returned.
func (c *canonical) encode(x any, depth int) {
	if c.full() {
		return
	}
	if depth > maxCanonicalDepth {
		x = "[too deep]"
	}
	switch x := x.(type) {
	case nil:
		c.put("null")
	case bool:
		c.put(strconv.FormatBool(x))
	case string:
		c.text(x)
	case decimal:
		c.show(string(AppendJSONString(nil, string(x))))
		c.compare("d" + numberKey(string(x)))
	case json.Number:
		c.show(string(x))
		c.compare(numberKey(string(x)))
	case []byte:
		c.bytes(x)
	case []any:
		c.list(reflect.ValueOf(x), depth)
	case map[string]any:
		c.mapping(reflect.ValueOf(x), depth)
	case reflect.Value:
		c.composite(x, depth)
	}
}

// text writes a string. Its length is compared first, so that no string can
// look like what follows it.
func (c *canonical) text(s string) {
	c.compare(`"` + strconv.Itoa(len(s)) + ":")
	c.compare(s)
	switch {
	case !utf8.ValidString(s):
		c.show(`{"base64":`)
		c.base64([]byte(s))
		c.show(`}`)
	case len(s) > MaxValueBytes:
		c.show(string(AppendJSONString(nil, s[:MaxValueBytes])))
		c.length += len(s) - MaxValueBytes
	default:
		c.show(string(AppendJSONString(nil, s)))
	}
}

func (c *canonical) bytes(b []byte) {
	c.compare("b" + strconv.Itoa(len(b)) + ":" + digestOf(b))
	c.read += len(b)
	c.base64(b)
}

func (c *canonical) base64(b []byte) {
	short := b[:min(len(b), MaxValueBytes)]
	c.show(string(appendBase64(nil, short)))
	if c.withheld == 0 {
		c.length += base64.StdEncoding.EncodedLen(len(b)) - base64.StdEncoding.EncodedLen(len(short))
	}
}

// composite writes what has no methods of its own and is no string.
func (c *canonical) composite(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		c.put(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.encode(json.Number(strconv.FormatInt(v.Int(), 10)), depth)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		c.encode(json.Number(strconv.FormatUint(v.Uint(), 10)), depth)
	case reflect.Float32:
		c.encode(floatText(v.Float(), 32), depth)
	case reflect.Float64:
		c.encode(floatText(v.Float(), 64), depth)
	case reflect.Complex64, reflect.Complex128:
		c.text(strconv.FormatComplex(v.Complex(), 'g', -1, 128))
	case reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			for i := range b {
				b[i] = byte(v.Index(i).Uint())
			}
			c.bytes(b)
			return
		}
		c.list(v, depth)
	case reflect.Slice:
		c.list(v, depth)
	case reflect.Map:
		c.mapping(v, depth)
	case reflect.Struct:
		c.structure(v, depth)
	default:
		c.put("null")
	}
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

// enter reports whether v is not being read already, further out. The function
// it returns must be called when v was read.
func (c *canonical) enter(v reflect.Value) (leave func(), ok bool) {
	ref := reference{as: v.Type()}
	switch {
	case v.Kind() == reflect.Map:
		ref.at = v.Pointer()
	case v.Kind() == reflect.Slice && v.Len() > 0:
		ref.at, ref.length = v.Pointer(), v.Len()
	case v.Kind() == reflect.Struct && v.CanAddr():
		ref.at = v.UnsafeAddr()
	default:
		return func() {}, true
	}
	if c.within[ref] {
		c.text("[cycle]")
		return nil, false
	}
	if c.within == nil {
		c.within = map[reference]bool{}
	}
	c.within[ref] = true
	return func() { delete(c.within, ref) }, true
}

func (c *canonical) list(v reflect.Value, depth int) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		c.put("null")
		return
	}
	leave, ok := c.enter(v)
	if !ok {
		return
	}
	defer leave()
	c.put("[")
	for i := range v.Len() {
		if c.full() {
			break
		}
		if i > 0 {
			c.put(",")
		}
		c.encode(c.plain(v.Index(i)), depth+1)
	}
	c.put("]")
}

func (c *canonical) mapping(v reflect.Value, depth int) {
	if v.IsNil() {
		c.put("null")
		return
	}
	leave, ok := c.enter(v)
	if !ok {
		return
	}
	defer leave()
	c.put("{")
	first := true
	for _, m := range members(v) {
		c.member(&first, m.name, m.value, Sensitive(m.name), depth)
	}
	c.put("}")
}

func (c *canonical) structure(v reflect.Value, depth int) {
	leave, ok := c.enter(v)
	if !ok {
		return
	}
	defer leave()
	c.put("{")
	first := true
	for _, f := range c.fieldsOf(v.Type()) {
		c.member(&first, f.name, f.of(v), f.redact, depth)
	}
	c.put("}")
}

// member writes one name and its value.
func (c *canonical) member(first *bool, name string, v reflect.Value, withhold bool, depth int) {
	if c.full() {
		return
	}
	if !*first {
		c.put(",")
	}
	*first = false
	c.text(name)
	c.put(":")
	if withhold {
		c.show(`"[withheld]"`)
		c.withheld++
		defer func() { c.withheld-- }()
	}
	c.encode(c.plain(v), depth+1)
}

// member is one entry of a map.
type member struct {
	name  string
	value reflect.Value
}

// members are the entries of a map by the text of their keys, in its order.
func members(v reflect.Value) []member {
	all := make([]member, 0, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		key := iter.Key()
		name, isText := (&canonical{}).plain(key).(string)
		if !isText {
			name = string((&canonical{}).image(key).value.JSON)
		}
		all = append(all, member{strings.ToValidUTF8(name, "\uFFFD"), iter.Value()})
	}
	slices.SortStableFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return all
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
