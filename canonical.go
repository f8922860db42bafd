package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxCanonicalDepth bounds the nesting that is read, so that no chain of
	// pointers exhausts the stack.
	maxCanonicalDepth = 500
	// maxCanonicalBytes bounds what is read of one value made of parts. Without
	// it, values that share their parts would be written out without end.
	maxCanonicalBytes = 4 << 20
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
	partial  bool               // a part was withheld
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

// image reads one value.
func (c *canonical) image(v reflect.Value) image {
	c.shown, c.compared = nil, c.compared[:0]
	c.length, c.read, c.withheld = 0, 0, 0
	c.digest, c.within, c.partial = sha256.New(), nil, false
	x := c.plain(v)
	switch x := x.(type) {
	case string:
		c.encode(x, 0)
		if utf8.ValidString(x) && len(x) <= MaxValueBytes {
			return image{Value{JSON: c.shown}, c.key()}
		}
		return image{textValue(x), c.key()}
	case []byte:
		c.encode(x, 0)
		return image{bytesValue(x), c.key()}
	}
	c.encode(x, 0)
	img := image{value: Value{JSON: c.shown}, key: c.key()}
	if c.partial {
		img.value.Form = FormPartial
	}
	if c.length > MaxValueBytes || c.read > maxCanonicalBytes {
		img.value = shortenedValue(int64(c.length), c.shown, "", false)
	}
	return img
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
	for _, m := range c.members(v, depth) {
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
		c.partial = true
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
func (c *canonical) members(v reflect.Value, depth int) []member {
	all := make([]member, 0, v.Len())
	for iter := v.MapRange(); iter.Next() && !c.full(); {
		all = append(all, member{c.keyText(iter.Key(), depth), iter.Value()})
	}
	slices.SortStableFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return all
}

// keyText is the key of a map as a text, which is its JSON if it is nothing
// simpler. What it reads counts, and may lead back to the map.
func (c *canonical) keyText(key reflect.Value, depth int) string {
	x := c.plain(key)
	if name, ok := x.(string); ok {
		return strings.ToValidUTF8(name, "\uFFFD")
	}
	k := &canonical{digest: sha256.New(), within: c.within, fields: c.fields, read: c.read}
	k.encode(x, depth+1)
	c.read = k.read
	return string(k.shown)
}
