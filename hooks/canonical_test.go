package hooks

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	tokyo := time.FixedZone("Tokyo", 9*60*60)
	for _, c := range []struct {
		name string
		kind kind
		src  any
		want string
		form audit.Form
	}{
		{"null is null whatever the column holds", kindNumber, nil, `null`, ""},
		{"a boolean kept as an integer is a boolean", kindBool, int64(1), `true`, ""},
		{"a boolean in MySQL's text protocol is a boolean", kindBool, []byte("0"), `false`, ""},
		{"a bit is a boolean", kindBool, []byte{1}, `true`, ""},
		{"a boolean is a boolean", kindBool, true, `true`, ""},
		{"an integer is a number", kindNumber, int64(-7), `-7`, ""},
		{"an unsigned integer beyond int64 is a number", kindNumber, uint64(math.MaxUint64), `18446744073709551615`, ""},
		{"a number in MySQL's text protocol is a number", kindNumber, []byte("42"), `42`, ""},
		{"a decimal keeps its digits", kindNumber, "12.50", `12.50`, ""},
		{"a decimal that is no number is text", kindNumber, "NaN", `"NaN"`, ""},
		{"a float is written in full", kindNumber, 1234567.5, `1234567.5`, ""},
		{"a float that JSON cannot hold is text", kindNumber, math.Inf(1), `"+Inf"`, ""},
		{"a float of four bytes has the digits of four", kindFloat32, float64(float32(0.1)), `0.1`, ""},
		{"a float of four bytes that was read as eight has the digits of four", kindFloat32, []byte("1234567.75"), `1234567.8`, ""},
		{"a time is UTC", kindTime, time.Date(2026, 11, 22, 9, 0, 0, 5000, tokyo), `"2026-11-22T00:00:00.000005Z"`, ""},
		{"a time given as text is the same time", kindTime, "2026-11-22 09:00:00.000005+09:00", `"2026-11-22T00:00:00.000005Z"`, ""},
		{"a time without a zone is UTC", kindTime, []byte("2026-11-22 09:00:00"), `"2026-11-22T09:00:00Z"`, ""},
		{"what does not look like a time stays text", kindTime, "soon", `"soon"`, ""},
		{"a date has no time", kindDate, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), `"2026-11-22"`, ""},
		{"a date with a time keeps it", kindDate, time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC), `"2026-11-22T01:00:00Z"`, ""},
		{"JSON loses its white space", kindJSON, []byte("{ \"a\" :\n 1 }"), `{"a":1}`, ""},
		{"JSON that is none is text", kindJSON, "{", `"{"`, ""},
		{"text is a string on one line", kindText, "a\n\"b\"", `"a\n\"b\""`, ""},
		{"text with NUL is a string", kindText, "a\x00b", `"a\u0000b"`, ""},
		{"text that is not UTF-8 is base64", kindText, []byte{0xff, 'a'}, `"/2E="`, audit.FormBase64},
		{"bytes are base64", kindBytes, []byte("ab"), `"YWI="`, audit.FormBase64},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, form := appendCanonical(nil, c.kind, c.src)
			require.Equal(t, c.want, string(got))
			require.Equal(t, c.form, form)
		})
	}
}

func TestALongValueIsShortened(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", audit.MaxValueBytes)
	got, form := appendCanonical(nil, kindText, long)
	require.Equal(t, audit.FormShortened, form)
	var s struct {
		Length int
		Prefix string
		SHA256 string
	}
	require.NoError(t, json.Unmarshal(got, &s))
	require.Equal(t, len(long), s.Length)
	require.Equal(t, strings.Repeat("ä", prefixChars/2), s.Prefix)
	require.Len(t, s.SHA256, 64)

	described := appendDescribed(nil, kindBytes, "70000 - 00ff")
	require.JSONEq(t, `{"length":70000,"prefix_base64":"AP8="}`, string(described))
	described = appendDescribed(nil, kindText, "70000 "+s.SHA256+" "+strings.Repeat("61", 3)+"C3")
	require.JSONEq(t, `{"length":70000,"prefix":"aaa","sha256":"`+s.SHA256+`"}`, string(described), "a character that was cut through is dropped")
}

func TestSameJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		kind kind
		a, b string
		same bool
	}{
		{"decimals are compared by value", kindNumber, `1.50`, `1.5`, true},
		{"whole decimals are compared by value", kindNumber, `100.00`, `100`, true},
		{"exponents are compared by value", kindNumber, `1e2`, `100`, true},
		{"different decimals differ", kindNumber, `1.5`, `2.5`, false},
		{"a number and its text differ", kindNumber, `1`, `"1"`, false},
		{"the order of keys does not count", kindJSON, `{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1.0}`, true},
		{"the order of elements counts", kindJSON, `[1,2]`, `[2,1]`, false},
		{"another key differs", kindJSON, `{"a":1}`, `{"b":1}`, false},
		{"null and an absent key differ", kindJSON, `{"a":null}`, `{}`, false},
		{"text is compared as it is", kindText, `"1.50"`, `"1.5"`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.same, sameJSON(c.kind, []byte(c.a), []byte(c.b)))
			require.Equal(t, c.same, sameJSON(c.kind, []byte(c.b), []byte(c.a)))
		})
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"", "1", "1.50", "-", "{}", "[1,", "\x00", "\xff", "2026-11-22 10:00:00", "\u2028", `{"a":"` + "\u2029" + `"}`, "01", "-0", "1e999"} {
		for k := kindText; k <= kindBytes; k++ {
			f.Add(uint8(k), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, k uint8, src []byte) {
		got, form := appendCanonical([]byte("x"), kind(k)%(kindBytes+1), bytes.Clone(src))
		require.Equal(t, byte('x'), got[0], "what was there stays")
		got = got[1:]
		require.True(t, json.Valid(got), "%q", got)
		require.True(t, utf8.Valid(got))
		require.False(t, bytes.ContainsAny(got, "\n\r\u2028\u2029"), "one line: %q", got)
		require.True(t, sameJSON(kind(k)%(kindBytes+1), got, got))
		if form == audit.FormPlain && kind(k)%(kindBytes+1) == kindText {
			require.Equal(t, string(src), audit.Value{JSON: got}.Text(), "text comes back as it was")
		}
	})
}
