package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxQuoted is how many characters of what a reader sent are sent back in an
// error.
const maxQuoted = 60

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// clip is at most n characters of s.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// visible shows the characters of a text that could make it look like another
// one: control characters, those that change the direction of writing, and
// bytes that are no text. Line breaks and tabs stay if there is room for lines.
func visible(s string, lines bool) string {
	clean := true
	for _, r := range s {
		clean = clean && !hidden(r, lines)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\r' && lines && strings.HasPrefix(s[i:], "\r\n"):
			b.WriteRune(r)
		case !hidden(r, lines):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func hidden(r rune, lines bool) bool {
	if r == '\n' || r == '\t' {
		return !lines
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == utf8.RuneError
}

// quoted is a name in a sentence.
func quoted(s string) string { return "“" + visible(clip(s, maxLine), false) + "”" }

// maxLine is how many characters of a text stand in a line that has others.
const maxLine = 120

// listed are words as in a sentence: "a, b and c".
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// spaced is a name of programs as words.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural is a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(int64(n)) + " " + many
}
