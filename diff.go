package audit

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/r3labs/diff/v3"
)

// Diff compares two states of one record and returns a [Change] for each field
// that differs: history for what no hook sees. Before and after are structs of
// one type, maps, or pointers to them. If before is nil the record was created,
// if after is nil it was deleted, and every field is returned with one side; if
// both are nil, nothing is.
//
// A field's name is its json name, else its Go name; the fields of an embedded
// struct without a json name count as the outer one's. Left out are unexported
// fields, those of a channel or function type, and those tagged audit:"-" or
// json:"-". Fields tagged audit:"redact", or named as [Sensitive] tells, show
// that they changed and withhold both values. Fields come in the order of their
// declaration, those of a map in alphabetical order; a key that one map lacks is
// null there.
//
// Values are written as [ValueOf] does, so that only what differs as data is a
// change: the same instant in another zone is not, nor are decimals and numbers
// that are written differently, nor is the order of keys. The order of a list's
// elements is. Of what is made of parts, the first 4 MiB are compared, 500
// levels deep.
//
// Diff returns an error if a side is neither struct nor map, or if the two are
// of different types. It never panics on what the values hold.
func Diff(before, after any) ([]Change, error) {
	b, a := indirect(before), indirect(after)
	for _, v := range []reflect.Value{b, a} {
		if k := v.Kind(); k != reflect.Struct && k != reflect.Map && k != reflect.Invalid {
			return nil, fmt.Errorf("audit: Diff compares structs and maps, not a %s", v.Type())
		}
	}
	if b.IsValid() && a.IsValid() && b.Type() != a.Type() {
		return nil, fmt.Errorf("audit: Diff compares two states of one record, not a %s with a %s", b.Type(), a.Type())
	}
	c := &canonical{}
	was, is := c.record(b), c.record(a)
	names := was.names
	switch {
	case !b.IsValid():
		names = is.names
	case a.Kind() == reflect.Map:
		names = slices.Clone(names)
		for _, name := range is.names {
			if _, ok := was.images[name]; !ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		was.complete(names)
		is.complete(names)
	}
	changed := changedNames(was, is)
	changes := make([]Change, 0, len(changed))
	for _, name := range names {
		if changed[name] {
			changes = append(changes, Change{Field: name, Before: was.images[name].value, After: is.images[name].value})
		}
	}
	return changes, nil
}

// indirect is what pointers and interfaces lead to, invalid if they are nil.
func indirect(x any) reflect.Value {
	v := reflect.ValueOf(x)
	for range maxCanonicalDepth {
		if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
			break
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Map && v.IsNil() {
		return reflect.Value{}
	}
	return v
}

// state is a record by the names of its fields. The zero state is of a record
// that does not exist.
type state struct {
	names  []string
	images map[string]image
}

// record reads each field of a struct or a map.
func (c *canonical) record(v reflect.Value) state {
	s := state{images: map[string]image{}}
	add := func(name string, v reflect.Value, redact bool) {
		if _, twice := s.images[name]; twice {
			return
		}
		img := c.image(v)
		if redact {
			img.value = Value{Form: FormRedacted}
		}
		s.names = append(s.names, name)
		s.images[name] = img
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range c.fieldsOf(v.Type()) {
			add(f.name, f.of(v), f.redact)
		}
	case reflect.Map:
		for _, m := range c.members(v, 0) {
			add(m.name, m.value, Sensitive(m.name))
		}
	}
	return s
}

// complete adds null for the names that the state lacks.
func (s state) complete(names []string) {
	for _, name := range names {
		if _, ok := s.images[name]; !ok {
			img := (&canonical{}).image(reflect.Value{})
			if Sensitive(name) {
				img.value = Value{Form: FormRedacted}
			}
			s.images[name] = img
		}
	}
}

// changedNames tells which fields differ.
func changedNames(was, is state) map[string]bool {
	changed := map[string]bool{}
	log, err := compare(was.keys(), is.keys())
	for _, c := range log {
		changed[c.Path[0]] = true
	}
	if err != nil {
		for _, name := range append(slices.Clone(was.names), is.names...) {
			if was.images[name].key != is.images[name].key {
				changed[name] = true
			}
		}
	}
	return changed
}

func (s state) keys() map[string]string {
	keys := make(map[string]string, len(s.images))
	for name, img := range s.images {
		keys[name] = img.key
	}
	return keys
}

// compare is the only door to the diff library. What goes through it is made of
// maps, lists and short strings, without pointers and of bounded size: other
// values make the library slow, blind or endless.
func compare(before, after any) (log diff.Changelog, err error) {
	defer func() {
		if p := recover(); p != nil {
			log, err = nil, fmt.Errorf("audit: comparing panicked with a %T", p)
		}
	}()
	return diff.Diff(before, after, diff.SliceOrdering(true), diff.AllowTypeMismatch(true), diff.DiscardComplexOrigin())
}

// field is a field of a struct that is recorded.
type field struct {
	name   string
	index  []int
	redact bool
}

// of is the field of v, or the invalid Value if a pointer on the way is nil.
func (f field) of(v reflect.Value) reflect.Value {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if !v.IsValid() {
			return v
		}
		v = v.Field(i)
	}
	return v
}

// fieldsOf are the fields of a struct type that are recorded. If it exports
// none, they are those it does not export.
func (c *canonical) fieldsOf(t reflect.Type) []field {
	if fields, ok := c.fields[t]; ok {
		return fields
	}
	fields := exported(t, nil, map[reflect.Type]bool{})
	slices.SortStableFunc(fields, func(a, b field) int { return cmp.Compare(len(a.index), len(b.index)) })
	seen := map[string]bool{}
	fields = slices.DeleteFunc(fields, func(f field) bool { // the outermost of a name counts
		twice := seen[f.name]
		seen[f.name] = true
		return twice
	})
	slices.SortStableFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	if len(fields) == 0 {
		fields = unexported(t)
	}
	if c.fields == nil {
		c.fields = map[reflect.Type][]field{}
	}
	c.fields[t] = fields
	return fields
}

// exported lists the exported fields of t and of what it embeds.
func exported(t reflect.Type, at []int, within map[reflect.Type]bool) []field {
	if within[t] {
		return nil
	}
	within[t] = true
	defer delete(within, t)
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(slices.Clone(at), i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		skip, redact := auditTag(sf)
		if skip || name == "-" && !redact {
			continue
		}
		if inner, ok := embedded(sf); ok && name == "" && !redact {
			fields = append(fields, exported(inner, index, within)...)
			continue
		}
		if !sf.IsExported() || noData(sf.Type) {
			continue
		}
		if name == "" || name == "-" {
			name = sf.Name
		}
		fields = append(fields, field{name, index, redact || Sensitive(name) || Sensitive(sf.Name)})
	}
	return fields
}

// embedded is the struct type that a field embeds, unless it is a value of its
// own, such as a time.
func embedded(sf reflect.StructField) (reflect.Type, bool) {
	t := sf.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !sf.Anonymous || t.Kind() != reflect.Struct {
		return nil, false
	}
	p := reflect.PointerTo(t)
	for _, value := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[driver.Valuer](),
	} {
		if p.Implements(value) {
			return nil, false
		}
	}
	return t, true
}

func unexported(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if skip, redact := auditTag(sf); !skip && !sf.IsExported() && sf.Name != "_" && !noData(sf.Type) {
			fields = append(fields, field{sf.Name, []int{i}, redact || Sensitive(sf.Name)})
		}
	}
	return fields
}

// noData reports whether the values of a type are nothing that can be recorded.
func noData(t reflect.Type) bool {
	return t.Kind() == reflect.Chan || t.Kind() == reflect.Func || t.Kind() == reflect.UnsafePointer
}

// auditTag reads the audit tag: words joined by commas, of which those that
// concern the values are of interest here.
func auditTag(sf reflect.StructField) (skip, redact bool) {
	for _, word := range strings.Split(sf.Tag.Get("audit"), ",") {
		switch strings.TrimSpace(word) {
		case "-":
			skip = true
		case "redact":
			redact = true
		}
	}
	return skip, redact
}

// maxDetails bounds the changes that [Change.Details] returns; maxDetailDepth
// is how deep it looks, and what is nested deeper is compared as a whole.
const (
	maxDetails     = 1000
	maxDetailDepth = 32
)

// Details tells what differs inside of a field that holds a JSON object or
// array on both sides. A change's Field is the path: the field's own name, then
// ".name" for a member of an object and "[2]" for the third element of an
// array, as in "rates.amount" or "members[2].name". A name of other characters
// than letters, digits, "_" and "-" is written as a JSON string in brackets:
// custom["start date"].
//
// A member or an element that only one side has is marked by Element: Before is
// null if it was added, After if it was removed. Elements are compared by their
// place. Changes are in the order of their paths.
//
// Details returns nil if there is nothing nested to tell: if a side is not
// recorded, null, withheld or shortened, if one is an object and the other an
// array, or if more than 1,000 parts differ. The change itself then says it all.
// Parts that were withheld, see [FormPartial], are equal to each other.
func (c Change) Details() []Change {
	before, ok := container(c.Before)
	if !ok || c.Element {
		return nil
	}
	after, ok := container(c.After)
	if !ok {
		return nil
	}
	log, err := compare(skeleton(before, 0), skeleton(after, 0))
	if err != nil || len(log) > maxDetails {
		return nil
	}
	details := make([]detail, 0, len(log))
	for _, entry := range log {
		if len(entry.Path) == 0 {
			return nil
		}
		details = append(details, follow(c.Field, before, after, entry.Path))
	}
	slices.SortFunc(details, func(a, b detail) int { return slices.CompareFunc(a.steps, b.steps, step.compare) })
	changes := make([]Change, len(details))
	for i, d := range details {
		changes[i] = d.change
	}
	if len(changes) == 0 {
		return nil
	}
	return changes
}

// container decodes a value that is a JSON object or array.
func container(v Value) (any, bool) {
	if v.Form != FormPlain && v.Form != FormPartial || len(v.JSON) == 0 || len(v.JSON) > 2*MaxValueBytes {
		return nil, false
	}
	x, ok := decode(v.JSON)
	if !ok {
		return nil, false
	}
	switch x.(type) {
	case map[string]any, []any:
		return x, true
	}
	return nil, false
}

// skeleton replaces what holds no parts, or lies too deep, by a string that is
// equal if and only if the values are. Strings and numbers stay different.
func skeleton(x any, depth int) any {
	switch x := x.(type) {
	case map[string]any:
		if depth < maxDetailDepth {
			m := make(map[string]any, len(x))
			for name, part := range x {
				m[name] = skeleton(part, depth+1)
			}
			return m
		}
	case []any:
		if depth < maxDetailDepth {
			l := make([]any, len(x))
			for i, part := range x {
				l[i] = skeleton(part, depth+1)
			}
			return l
		}
	case json.Number:
		return "n" + numberKey(string(x))
	case string:
		return "s" + x
	}
	return "j" + string(text(x))
}

// text is decoded JSON as JSON again.
func text(x any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(x) != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// detail is a change with its path in steps.
type detail struct {
	steps  []step
	change Change
}

// step is one step of a path: a name, or an index if name is empty and index
// is not negative.
type step struct {
	name  string
	index int
}

func (s step) compare(t step) int {
	return cmp.Or(cmp.Compare(s.index, t.index), cmp.Compare(s.name, t.name))
}

// follow goes along a path in both sides, as far as they have it.
func follow(field string, before, after any, path []string) detail {
	d := detail{change: Change{Field: field}}
	was, is := true, true
	for _, name := range path {
		s := step{name: name, index: -1}
		if _, ok := before.([]any); ok {
			s.name = ""
			s.index, _ = strconv.Atoi(name)
		}
		before, was = s.into(before)
		after, is = s.into(after)
		d.steps = append(d.steps, s)
		d.change.Field += s.String()
	}
	d.change.Before.JSON, d.change.After.JSON = text(before), text(after)
	d.change.Element = !was || !is
	return d
}

// into is the part of x that the step leads to.
func (s step) into(x any) (part any, ok bool) {
	switch x := x.(type) {
	case map[string]any:
		part, ok = x[s.name]
	case []any:
		if ok = s.index >= 0 && s.index < len(x); ok {
			part = x[s.index]
		}
	}
	return part, ok
}

func (s step) String() string {
	plain := s.name != ""
	for _, r := range s.name {
		plain = plain && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-')
	}
	switch {
	case s.index >= 0:
		return "[" + strconv.Itoa(s.index) + "]"
	case plain:
		return "." + s.name
	}
	return "[" + string(AppendJSONString(nil, s.name)) + "]"
}
