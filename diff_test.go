package audit

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// price is a decimal as the common packages have it: its value lies in
// unexported fields, and it is written as a string.
type price struct {
	value *big.Int
	scale int
}

func (p price) MarshalJSON() ([]byte, error) {
	if p.value == nil {
		return []byte(`"0"`), nil
	}
	digits := fmt.Sprintf("%0*d", p.scale+1, p.value)
	if p.scale == 0 {
		return json.Marshal(digits)
	}
	return json.Marshal(digits[:len(digits)-p.scale] + "." + digits[len(digits)-p.scale:])
}

func (p price) Cmp(price) int { return 0 }

type stamps struct {
	CreatedAt time.Time `json:"created_at"`
}

type record struct {
	stamps
	ID       int            `json:"id"`
	Name     string         `json:"name,omitempty"`
	Rate     price          `json:"rate"`
	Due      *time.Time     `json:"due"`
	Note     sql.NullString `json:"note"`
	Picture  []byte         `json:"picture"`
	Order    []int          `json:"order"`
	Extra    map[string]any `json:"extra"`
	Raw      json.RawMessage
	Password string   `json:"password"`
	Hash     string   `json:"-" audit:"redact"`
	Internal string   `json:"internal" audit:"-"`
	Hidden   string   `json:"-"`
	Done     chan int `json:"done"`
	Callback func()   `json:"callback"`
	Inner    struct {
		Amount   price
		APIToken string
		Events   chan int
	} `json:"inner"`
	version int
}

func change(field, before, after string) Change {
	c := Change{Field: field}
	if before != "" {
		c.Before.JSON = json.RawMessage(before)
	}
	if after != "" {
		c.After.JSON = json.RawMessage(after)
	}
	return c
}

func TestDiffReportsWhatDiffersAsData(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	tokyo := noon.In(time.FixedZone("JST", 9*3600))
	tests := []struct {
		name          string
		before, after any
		want          []Change
	}{
		{"equal structs differ in nothing", record{ID: 1}, record{ID: 1}, []Change{}},
		{"a field is named by its json tag", record{Name: "Gemini"}, &record{Name: "Apollo"}, []Change{change("name", `"Gemini"`, `"Apollo"`)}},
		{"a field without a json tag is named as in Go", record{Raw: json.RawMessage("1")}, record{Raw: json.RawMessage("2")}, []Change{change("Raw", "1", "2")}},
		{"a field of an embedded struct counts as the outer one's", record{}, record{stamps: stamps{noon}}, []Change{change("created_at", `"0001-01-01T00:00:00Z"`, `"2026-03-29T12:00:00Z"`)}},
		{"the same instant in another zone is no change", record{stamps: stamps{noon}, Due: &noon}, record{stamps: stamps{tokyo}, Due: &tokyo}, []Change{}},
		{"a pointer is what it points to", record{}, record{Due: &tokyo}, []Change{change("due", "null", `"2026-03-29T12:00:00Z"`)}},
		{"a decimal is compared by value", record{Rate: price{big.NewInt(15), 1}}, record{Rate: price{big.NewInt(150), 2}}, []Change{}},
		{"a changed decimal is a change", record{Rate: price{big.NewInt(15), 1}}, record{Rate: price{big.NewInt(25), 1}}, []Change{change("rate", `"1.5"`, `"2.5"`)}},
		{"a nested decimal is compared by value, too", record{}, record{Inner: struct {
			Amount   price
			APIToken string
			Events   chan int
		}{Amount: price{big.NewInt(0), 2}}}, []Change{}},
		{"a Valuer is what it stores", record{}, record{Note: sql.NullString{String: "a", Valid: true}}, []Change{change("note", "null", `"a"`)}},
		{"bytes are one value", record{Picture: []byte{1, 2}}, record{Picture: []byte{1, 3}}, []Change{{
			Field: "picture", Before: Value{JSON: json.RawMessage(`"AQI="`), Form: FormBase64}, After: Value{JSON: json.RawMessage(`"AQM="`), Form: FormBase64},
		}}},
		{"another order of a list is a change", record{Order: []int{1, 2}}, record{Order: []int{2, 1}}, []Change{change("order", "[1,2]", "[2,1]")}},
		{"the order and the spelling of JSON is none", record{Raw: json.RawMessage(`{"a": 1.50, "b": 2}`)}, record{Raw: json.RawMessage(`{"b":2e0,"a":1.5}`)}, []Change{}},
		{"another type in a map is a change", record{Extra: map[string]any{"a": 1}}, record{Extra: map[string]any{"a": "1"}}, []Change{change("extra", `{"a":1}`, `{"a":"1"}`)}},
		{"a secret's change is shown, its values are not", record{Password: "a", Hash: "b"}, record{Password: "c", Hash: "d"}, []Change{
			{Field: "password", Before: Value{Form: FormRedacted}, After: Value{Form: FormRedacted}},
			{Field: "Hash", Before: Value{Form: FormRedacted}, After: Value{Form: FormRedacted}},
		}},
		{"a nested secret's change is shown, its values are not", record{}, record{Inner: struct {
			Amount   price
			APIToken string
			Events   chan int
		}{APIToken: "canary"}}, []Change{{
			Field: "inner", Before: Value{JSON: json.RawMessage(`{"Amount":"0","APIToken":"[withheld]"}`), Form: FormPartial},
			After: Value{JSON: json.RawMessage(`{"Amount":"0","APIToken":"[withheld]"}`), Form: FormPartial},
		}}},
		{"what is tagged out, unexported, a channel or a function is left out", record{}, record{version: 1, Internal: "a", Hidden: "b", Done: make(chan int), Callback: func() {}}, []Change{}},
		{"maps are records, too", map[string]any{"a": 1, "b": 2}, map[string]any{"a": 1.0, "b": 3, "c": true}, []Change{change("b", "2", "3"), change("c", "null", "true")}},
		{"a key that is missing is null", map[string]any{"a": nil, "z": "x"}, map[string]any{}, []Change{change("z", `"x"`, "null")}},
		{"a map's secrets are withheld", map[string]string{"api_key": "a"}, map[string]string{"api_key": "b"}, []Change{{Field: "api_key", Before: Value{Form: FormRedacted}, After: Value{Form: FormRedacted}}}},
		{"a created map shows every key", nil, map[string]int{"b": 0, "a": 1}, []Change{change("a", "", "1"), change("b", "", "0")}},
		{"nothing on both sides differs in nothing", nil, (*record)(nil), []Change{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Diff(tt.before, tt.after)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestDiffOfACreatedOrDeletedRecordHasEveryField(t *testing.T) {
	t.Parallel()
	fields := []string{"created_at", "id", "name", "rate", "due", "note", "picture", "order", "extra", "Raw", "password", "Hash", "inner"}
	created, err := Diff(nil, &record{ID: 1})
	require.NoError(t, err)
	deleted, err := Diff(record{ID: 1}, nil)
	require.NoError(t, err)
	require.Len(t, created, len(fields))
	require.Len(t, deleted, len(fields))
	for i, name := range fields {
		require.Equal(t, name, created[i].Field)
		require.Equal(t, name, deleted[i].Field)
		require.False(t, created[i].Before.Recorded())
		require.True(t, created[i].After.Recorded())
		require.Equal(t, created[i].After, deleted[i].Before)
		require.False(t, deleted[i].After.Recorded())
	}
}

func TestDiffRefusesWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	for _, sides := range [][2]any{{1, 2}, {nil, "a"}, {[]int{1}, nil}, {record{}, stamps{}}, {record{}, map[string]any{}}, {map[string]any{}, map[string]int{}}} {
		changes, err := Diff(sides[0], sides[1])
		require.ErrorContains(t, err, "audit: Diff compares")
		require.Nil(t, changes)
	}
}

type node struct {
	Name     string
	Parent   *node
	Children []*node
	Any      any
}

// keyed is a key that leads back to its map.
type keyed struct{ in map[*keyed]int }

type hostile struct{ Value int }

func (hostile) MarshalJSON() ([]byte, error) { panic("canary") }

type failing struct{ Value int }

func (failing) MarshalText() ([]byte, error) { return nil, errors.New("canary") }

type lying struct{ Value int }

func (lying) MarshalJSON() ([]byte, error) { return []byte(`{"a":`), nil }

type self *self

func TestDiffSurvivesHostileValues(t *testing.T) {
	t.Parallel()
	cycle := &node{Name: "a"}
	cycle.Children = []*node{{Name: "b", Parent: cycle}, {Name: "c", Parent: cycle}}
	own := map[string]any{}
	own["own"] = own
	list := []any{nil}
	list[0] = list
	var p self
	p = &p
	key := &keyed{in: map[*keyed]int{}}
	key.in[key] = 1
	long := &node{}
	for range 100_000 {
		long = &node{Parent: long}
	}
	shared := any("x")
	for range 100 {
		shared = []any{shared, shared}
	}
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	half := make([]int, 4000)
	for i := range half {
		half[i] = i
	}
	values := map[string]any{
		"cycle": cycle, "key": key.in, "own": own, "list": list, "pointer": p, "long": long, "shared": shared, "deep": json.RawMessage(deep),
		"panic": hostile{1}, "error": failing{2}, "invalid": lying{3}, "raw": json.RawMessage(`{`), "half": half[2000:],
		"bytes": make([]byte, 1<<20), "nan": math.NaN(), "inf": float32(math.Inf(-1)), "complex": 1i, "text": "a\xffb\x00", "number": json.Number("007"),
		"function": func() {}, "channels": []any{make(chan int)}, "keys": map[any]any{1: 2, struct{ A int }{3}: 4, [1]chan int{}: 5},
		"nilptr": (*record)(nil), "mutex": sync.Mutex{}, "huge": strings.Repeat("ä", 1<<20),
	}
	type all struct{ A, B any }
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			changes, err := Diff(all{A: v, B: 1}, all{A: v, B: 2})
			require.NoError(t, err)
			require.Equal(t, []Change{change("B", "1", "2")}, changes, "a value equals itself")
			changes, err = Diff(all{A: nil}, &all{A: v})
			require.NoError(t, err)
			for _, c := range changes {
				require.True(t, json.Valid(c.After.JSON), "%.200s", c.After.JSON)
				require.Less(t, len(c.After.JSON), MaxValueBytes+100)
				require.NotContains(t, string(c.After.JSON), "canary")
				_ = c.String()
				_ = c.Details()
			}
			require.Less(t, time.Since(began), time.Minute, "a value is read in bounded time")
		})
	}
}

func TestDiffComparesMoreThanItKeeps(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 200_000)+"x", strings.Repeat("a", 200_000)+"y"
	changes, err := Diff(map[string]any{"s": a, "b": []byte(a), "l": []string{a}}, map[string]any{"s": b, "b": []byte(b), "l": []string{b}})
	require.NoError(t, err)
	require.Len(t, changes, 3)
	for _, c := range changes {
		require.Equal(t, FormShortened, c.Before.Form)
		require.Equal(t, FormShortened, c.After.Form)
	}
}

func TestValueOfWritesValuesAsTheyAreRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600))
	type date time.Time
	type cents struct{ amount int64 }
	type named struct {
		When  date
		Price cents
		Empty []int
		Nil   []int
		Embed struct{ sync.Mutex }
	}
	tests := []struct {
		name string
		in   any
		want Value
	}{
		{"nil is null", nil, Value{JSON: json.RawMessage("null")}},
		{"a nil pointer is null", (*int)(nil), Value{JSON: json.RawMessage("null")}},
		{"a function is null", func() {}, Value{JSON: json.RawMessage("null")}},
		{"text is a string", "a\u2028b<\n", Value{JSON: json.RawMessage(`"a\u2028b<\n"`)}},
		{"text that is not UTF-8 is base64", "a\xff", Value{JSON: json.RawMessage(`"Yf8="`), Form: FormBase64}},
		{"nested text that is not UTF-8 says so", []string{"a\xff"}, Value{JSON: json.RawMessage(`[{"base64":"Yf8="}]`)}},
		{"no bytes are an empty text", []byte{}, Value{JSON: json.RawMessage(`""`), Form: FormBase64}},
		{"nil bytes are null", []byte(nil), Value{JSON: json.RawMessage("null")}},
		{"an array of bytes is one value", [2]byte{1, 2}, Value{JSON: json.RawMessage(`"AQI="`)}},
		{"a time is in UTC", at, Value{JSON: json.RawMessage(`"2026-01-02T02:04:05.678901234Z"`)}},
		{"a time beyond year 9999 is a time", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), Value{JSON: json.RawMessage(`"12026-01-01T00:00:00Z"`)}},
		{"a uuid is its text", uuid.UUID{15: 1}, Value{JSON: json.RawMessage(`"00000000-0000-0000-0000-000000000001"`)}},
		{"a pointer's methods count", *big.NewInt(17), Value{JSON: json.RawMessage("17")}},
		{"an address is its text", netip.MustParseAddr("::1"), Value{JSON: json.RawMessage(`"::1"`)}},
		{"a nullable time is in UTC", sql.NullTime{Time: at, Valid: true}, Value{JSON: json.RawMessage(`"2026-01-02T02:04:05.678901234Z"`)}},
		{"a nullable number is a number", sql.NullInt64{Int64: 5, Valid: true}, Value{JSON: json.RawMessage("5")}},
		{"a small float is written as JSON does", 1e-7, Value{JSON: json.RawMessage("1e-07")}},
		{"a whole float is a whole number", 3.0, Value{JSON: json.RawMessage("3")}},
		{"what JSON has no number for is text", math.Inf(1), Value{JSON: json.RawMessage(`"+Inf"`)}},
		{"a struct without exported fields shows the others", named{When: date(at), Price: cents{amount: 5}}, Value{JSON: json.RawMessage(
			`{"When":"2026-01-02T02:04:05.678901234Z","Price":{"amount":5},"Empty":null,"Nil":null,"Embed":{}}`)}},
		{"a nil list is null and an empty one is empty", named{Empty: []int{}}, Value{JSON: json.RawMessage(
			`{"When":"0001-01-01T00:00:00Z","Price":{"amount":0},"Empty":[],"Nil":null,"Embed":{}}`)}},
		{"keys are texts in order", map[int]bool{10: true, 9: false}, Value{JSON: json.RawMessage(`{"10":true,"9":false}`)}},
		{"a Marshaler that panics is passed over", hostile{1}, Value{JSON: json.RawMessage(`{"Value":1}`)}},
		{"what refers to itself is cut", func() any { n := &node{}; n.Parent = n; return n }(), Value{JSON: json.RawMessage(`{"Name":"","Parent":"[cycle]","Children":null,"Any":null}`)}},
		{"a secret in a map is withheld", map[string]any{"token": []string{"canary"}}, Value{JSON: json.RawMessage(`{"token":"[withheld]"}`), Form: FormPartial}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ValueOf(tt.in)
			require.Equal(t, tt.want.Form, got.Form)
			require.Equal(t, string(tt.want.JSON), string(got.JSON))
			require.True(t, json.Valid(got.JSON))
		})
	}
}

func TestValueOfShortensWhatIsLong(t *testing.T) {
	t.Parallel()
	type short struct {
		Length       int64
		Prefix       string
		PrefixBase64 string `json:"prefix_base64"`
		SHA256       string
	}
	read := func(v Value) (s short) {
		require.Equal(t, FormShortened, v.Form)
		require.NoError(t, json.Unmarshal(v.JSON, &s))
		return s
	}
	for _, whole := range []string{strings.Repeat("a", MaxValueBytes), strings.Repeat(`"`, MaxValueBytes), strings.Repeat("\x01", MaxValueBytes)} {
		var back string
		require.NoError(t, json.Unmarshal(ValueOf(whole).JSON, &back))
		require.Equal(t, whole, back, "a text is measured as it is, not as JSON")
	}
	require.Equal(t, FormBase64, ValueOf(make([]byte, MaxValueBytes)).Form)
	require.Equal(t, FormPlain, ValueOf([]string{strings.Repeat("a", MaxValueBytes-4)}).Form)
	require.Equal(t, int64(MaxValueBytes+1), read(ValueOf([]string{strings.Repeat("a", MaxValueBytes-3)})).Length)
	require.Equal(t, int64(MaxValueBytes+1), read(ValueOf(strings.Repeat("a", MaxValueBytes+1))).Length)
	long := read(ValueOf("ab" + strings.Repeat("€", MaxValueBytes)))
	require.Equal(t, int64(2+3*MaxValueBytes), long.Length)
	require.Equal(t, "ab"+strings.Repeat("€", 340), long.Prefix, "the prefix ends with a whole character")
	require.Len(t, long.SHA256, 64)
	bin := read(ValueOf(make([]byte, 1+MaxValueBytes)))
	require.Equal(t, int64(1+MaxValueBytes), bin.Length)
	require.NotEmpty(t, bin.PrefixBase64)
	require.Empty(t, bin.Prefix)
	list := read(ValueOf(make([]int, 1<<20)))
	require.Equal(t, int64(2<<20+1), list.Length)
	require.True(t, strings.HasPrefix(list.Prefix, "[0,0,0"))
	require.Empty(t, list.SHA256, "a digest could be of something withheld")
}

func TestNumbersAreEqualByValue(t *testing.T) {
	t.Parallel()
	for _, equal := range [][]string{
		{"1", "1.0", "1e0", "10e-1", "0.1E+1", "001"},
		{"0", "-0", "0.000", "0e99", "-0.0e-5"},
		{"-1.5", "-1.50", "-15e-1"},
		{"123456789012345678901234567890", "1.2345678901234567890123456789e29"},
		{"100", "1e2"},
	} {
		for _, s := range equal {
			require.Equal(t, numberKey(equal[0]), numberKey(s), s)
		}
	}
	keys := map[string]string{}
	for _, s := range []string{"0", "1", "-1", "10", "0.1", "1e999999999999", "1e999999999999999999999", "1.1", "11", "123456789012345678901234567891"} {
		require.Empty(t, keys[numberKey(s)], s)
		keys[numberKey(s)] = s
	}
	for _, s := range []string{"", "a", "1a", "--1", ".", ".5", "1.2.3", "NaN", "Inf", "1ee5", "0x10", "1 "} {
		require.Empty(t, numberKey(s), s)
	}
}

// stored is a type that only the database knows how to write.
type stored struct{ value any }

func (s stored) Value() (driver.Value, error) {
	if s.value == "panic" {
		panic("canary")
	}
	return s.value, nil
}

func TestValueOfAsksWhatTheDatabaseGets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   any
		want string
	}{
		{"text", `"text"`},
		{[]byte{1}, `"AQ=="`},
		{true, "true"},
		{int64(-5), "-5"},
		{1.5, "1.5"},
		{nil, "null"},
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), `"2026-01-02T02:04:05Z"`},
		{[]int{1}, `{"value":[1]}`},
		{"panic", `{"value":"panic"}`},
	} {
		require.Equal(t, tt.want, string(ValueOf(stored{tt.in}).JSON))
		require.Equal(t, "["+tt.want+"]", string(ValueOf([]any{&stored{tt.in}}).JSON))
	}
}

type Base struct {
	ID   int
	Name string
}

type Audited struct{ Base }

func TestDiffReadsFieldsAsJSONDoes(t *testing.T) {
	t.Parallel()
	type tree struct {
		*tree
		*Base
		Name    string
		Custom  Base `json:"custom"`
		Audited `json:"audited"`
		time.Time
		Blocked sync.Mutex `audit:"-"`
		Cost    int        `json:",omitempty" audit:"owner, redact"`
	}
	changes, err := Diff(nil, &tree{tree: &tree{Name: "never seen"}, Name: "outer", Base: &Base{1, "inner"}, Cost: 5})
	require.NoError(t, err)
	require.Equal(t, []Change{
		change("ID", "", "1"), change("Name", "", `"outer"`), change("custom", "", `{"ID":0,"Name":""}`),
		change("audited", "", `{"ID":0,"Name":""}`), change("Time", "", `"0001-01-01T00:00:00Z"`),
		{Field: "Cost", After: Value{Form: FormRedacted}},
	}, changes)
	changes, err = Diff(tree{}, tree{Base: &Base{}, Cost: 1})
	require.NoError(t, err)
	require.Equal(t, []Change{change("ID", "null", "0"), {Field: "Cost", Before: Value{Form: FormRedacted}, After: Value{Form: FormRedacted}}}, changes,
		"what lies behind a nil pointer is null")
	changes, err = Diff(map[string]any{}, map[string]any{"password": "canary"})
	require.NoError(t, err)
	require.Equal(t, []Change{{Field: "password", Before: Value{Form: FormRedacted}, After: Value{Form: FormRedacted}}}, changes)
}

// TestCompareReportsWhatTheDiffLibraryCannotDo passes it what never gets that
// far, to see that its failure stays within.
func TestCompareReportsWhatTheDiffLibraryCannotDo(t *testing.T) {
	t.Parallel()
	_, err := compare(map[string]any{"a": make(chan int)}, map[string]any{"a": make(chan int)})
	require.Error(t, err)
	log, err := compare(struct{ m map[any]any }{map[any]any{"a": 1}}, struct{ m any }{[]int{1}})
	require.EqualError(t, err, "audit: comparing panicked with a string")
	require.Nil(t, log)
}

func TestDetailsTellWhatDiffersInside(t *testing.T) {
	t.Parallel()
	element := func(c Change) Change { c.Element = true; return c }
	tests := []struct {
		name, before, after string
		want                []Change
	}{
		{"a member of an object", `{"amount":1,"currency":"USD"}`, `{"amount":2,"currency":"USD"}`, []Change{change("f.amount", "1", "2")}},
		{"an element of an array", `[{"name":"a"},{"name":"b"}]`, `[{"name":"a"},{"name":"c"}]`, []Change{change("f[1].name", `"b"`, `"c"`)}},
		{"a member that was added", `{}`, `{"a":{"b":1}}`, []Change{element(change("f.a", "null", `{"b":1}`))}},
		{"an element that was removed", `[1,2]`, `[1]`, []Change{element(change("f[1]", "2", "null"))}},
		{"null is not missing", `{"a":null,"b":1}`, `{"b":null}`, []Change{element(change("f.a", "null", "null")), change("f.b", "1", "null")}},
		{"another type", `{"a":1,"b":{"c":1},"d":"x"}`, `{"a":"1","b":[1],"d":null}`, []Change{change("f.a", "1", `"1"`), change("f.b", `{"c":1}`, "[1]"), change("f.d", `"x"`, "null")}},
		{"a number that is written differently is no change", `{"a":1.0,"b":1}`, `{"a":1.00,"b":2}`, []Change{change("f.b", "1", "2")}},
		{"large numbers keep their digits", `{"a":12345678901234567890}`, `{"a":12345678901234567891}`, []Change{change("f.a", "12345678901234567890", "12345678901234567891")}},
		{"strings that look like JSON are strings", `{"a":"1","b":"null"}`, `{"a":"2","b":"x"}`, []Change{change("f.a", `"1"`, `"2"`), change("f.b", `"null"`, `"x"`)}},
		{"names that are no words are quoted", `{"a.b":1,"":1,"2":1,"x y":1,"é-_":1,"\"":1}`, `{"a.b":2,"":2,"2":2,"x y":2,"é-_":2,"\"":2}`, []Change{
			change(`f[""]`, "1", "2"), change(`f["\""]`, "1", "2"), change("f.2", "1", "2"), change(`f["a.b"]`, "1", "2"), change(`f["x y"]`, "1", "2"), change("f.é-_", "1", "2"),
		}},
		{"elements come in their order", `[1,1,1,1,1,1,1,1,1,1,1]`, `[1,1,2,1,1,1,1,1,1,1,2]`, []Change{change("f[2]", "1", "2"), change("f[10]", "1", "2")}},
		{"another order is a change", `["a","b"]`, `["b","a"]`, []Change{change("f[0]", `"a"`, `"b"`), change("f[1]", `"b"`, `"a"`)}},
		{"nothing differs", `{"a":1,"b":2}`, `{"b":2,"a":1}`, nil},
		{"an object and an array have nothing in common", `{"a":1}`, `[1]`, nil},
		{"null has no parts", `null`, `{"a":1}`, nil},
		{"text has no parts", `"a"`, `"b"`, nil},
		{"what is not recorded has no parts", ``, `{"a":1}`, nil},
		{"invalid JSON has no parts", `{"a":1`, `{"a":2}`, nil},
		{"what follows a value makes it invalid", `{"a":1}]`, `{"a":2}`, nil},
		{"markup stays as it is", `{"a":"<&>"}`, `{"a":"\u2028"}`, []Change{change("f.a", `"<&>"`, `"\u2028"`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, change("f", tt.before, tt.after).Details())
		})
	}
}

func TestDetailsAreBounded(t *testing.T) {
	t.Parallel()
	list := func(n int, s string) string { return "[" + strings.TrimSuffix(strings.Repeat(s+",", n), ",") + "]" }
	nest := func(n int, s string) string { return strings.Repeat("[", n) + s + strings.Repeat("]", n) }
	require.Len(t, change("f", list(1000, "1"), list(1000, "2")).Details(), 1000)
	require.Nil(t, change("f", list(1001, "1"), list(1001, "2")).Details())
	require.Nil(t, change("f", list(MaxValueBytes, "10"), list(MaxValueBytes, "20")).Details())
	require.Nil(t, change("f", nest(20000, "1"), nest(20000, "2")).Details())
	require.Equal(t, []Change{change("f"+strings.Repeat("[0]", maxDetailDepth), nest(5, "1"), nest(5, "2"))},
		change("f", nest(maxDetailDepth+5, "1"), nest(maxDetailDepth+5, "2")).Details())
	for _, form := range []Form{FormShortened, FormBase64, FormRedacted} {
		c := change("f", `{"length":1}`, `{"length":2}`)
		c.Before.Form = form
		require.Nil(t, c.Details(), form)
	}
	c := change("tags", `{"a":1}`, `{"a":2}`)
	c.Element = true
	require.Nil(t, c.Details())
}

func TestDetailsPassOverWhatIsWithheld(t *testing.T) {
	t.Parallel()
	c := change("f", `{"a":1,"pin":"[withheld]"}`, `{"a":2,"pin":"[withheld]"}`)
	c.Before.Form, c.After.Form = FormPartial, FormPartial
	require.Equal(t, []Change{change("f.a", "1", "2")}, c.Details())
	c.Before = c.After
	require.Nil(t, c.Details())
}

func FuzzDetailsPointIntoBothSides(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c.d":1.0}`, `{"a":[1,{"b":2}],"c.d":1}`)
	f.Add(`[[],{}]`, `[{},[]]`)
	f.Add(`{"":{"":{"":1}}}`, `{"":{"":{"":2}}}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		c := change("f", before, after)
		paths := map[string]bool{}
		for _, d := range c.Details() {
			require.True(t, json.Valid(d.Before.JSON) && json.Valid(d.After.JSON))
			require.False(t, paths[d.Field], "the path %q is there twice", d.Field)
			require.True(t, strings.HasPrefix(d.Field, "f.") || strings.HasPrefix(d.Field, "f["))
			require.True(t, d.Element || !reflect.DeepEqual(d.Before, d.After))
			paths[d.Field] = true
		}
		require.Empty(t, change("f", before, before).Details())
	})
}

func FuzzDiffOfMapsMissesAndInventsNothing(f *testing.F) {
	f.Add("a", "b", int64(1), 1.5, []byte{0xff}, true)
	f.Add("password", "", int64(-1), math.Inf(1), []byte(nil), false)
	f.Fuzz(func(t *testing.T, name, s string, n int64, x float64, b []byte, same bool) {
		before := map[string]any{"n": n, "x": x, "b": b, "s" + name: s, "l": []any{s, n, map[string]any{name: b}}}
		after := map[string]any{"n": n, "x": x, "b": b, "s" + name: s, "l": []any{s, n, map[string]any{name: b}}}
		if !same {
			after["l"] = []any{s, n, map[string]any{name: append([]byte{1}, b...)}}
		}
		changes, err := Diff(before, after)
		require.NoError(t, err)
		if same {
			require.Empty(t, changes)
			return
		}
		require.Len(t, changes, 1)
		require.Equal(t, "l", changes[0].Field)
		require.True(t, json.Valid(changes[0].Before.JSON) && json.Valid(changes[0].After.JSON))
	})
}

func TestDiffKeepsNoStateBetweenCalls(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for i := range 50 {
		group.Add(1)
		go func() {
			defer group.Done()
			changes, err := Diff(map[string]int{"a": i}, map[string]int{"a": i + 1})
			if err != nil || len(changes) != 1 || string(changes[0].After.JSON) != fmt.Sprint(i+1) {
				t.Errorf("got %v, %v", changes, err)
			}
		}()
	}
	group.Wait()
}

func BenchmarkDiff(b *testing.B) {
	before, after := record{ID: 1, Name: "Gemini"}, record{ID: 1, Name: "Apollo"}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Diff(&before, &after)
	}
}
