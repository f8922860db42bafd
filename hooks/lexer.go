package hooks

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word, a quoted name, something without meaning here, which may be a
// text or a number, or a mark by its own character.
type token struct {
	kind rune
	text string
}

const (
	wordToken   = 'w'
	quotedToken = 'q'
	otherToken  = 'o'
)

func (t token) is(word string) bool { return t.kind == wordToken && strings.EqualFold(t.text, word) }

func (t token) isOne(words []string) bool {
	for _, w := range words {
		if t.is(w) {
			return true
		}
	}
	return false
}

// lexer cuts SQL into tokens.
type lexer struct {
	dialect string
	text    string
	code    bool // within a comment that MySQL executes
}

// next returns the next token, if there is one.
func (l *lexer) next() (token, bool) {
	for l.skipSpace() {
	}
	if l.text == "" {
		return token{}, false
	}
	mysql, postgres := l.dialect == "mysql", l.dialect == "postgres"
	r, size := utf8.DecodeRuneInString(l.text)
	switch {
	case r == '\'' && l.dialect == "sqlite": // which takes a text for a name where it wants one
		return token{quotedToken, l.quoted('\'', false)}, true
	case r == '\'':
		return token{otherToken, l.quoted('\'', mysql)}, true
	case r == '"', r == '`' && !postgres:
		return token{quotedToken, l.quoted(byte(r), mysql && r == '"')}, true
	case r == '[' && l.dialect == "sqlite":
		name, rest, _ := strings.Cut(l.text[1:], "]")
		l.text = rest
		return token{quotedToken, name}, true
	case r == '$' && postgres:
		return l.dollar(), true
	case r == '_' || unicode.IsLetter(r) || r >= utf8.RuneSelf:
		word := l.word()
		if postgres && strings.EqualFold(word, "U") && strings.HasPrefix(l.text, `&"`) {
			l.text = l.text[1:]
			return token{quotedToken, l.unicode()}, true
		}
		if postgres && strings.EqualFold(word, "E") && strings.HasPrefix(l.text, "'") {
			return token{otherToken, l.quoted('\'', true)}, true
		}
		return token{wordToken, word}, true
	case unicode.IsDigit(r):
		word := l.word()
		if mysql && strings.ContainsFunc(word, unicode.IsLetter) {
			return token{wordToken, word}, true // a name may begin with a digit
		}
		return token{otherToken, word}, true
	case strings.ContainsRune("();,.*:", r):
		l.text = l.text[size:]
		return token{kind: r}, true
	}
	l.text = l.text[size:]
	return token{kind: otherToken}, true
}

// skipSpace passes over white space or one comment.
func (l *lexer) skipSpace() bool {
	before := len(l.text)
	l.text = strings.TrimLeftFunc(l.text, unicode.IsSpace)
	switch {
	case strings.HasPrefix(l.text, "--"):
		if l.dialect == "mysql" && len(l.text) > 2 && l.text[2] > ' ' {
			break // two signs
		}
		_, l.text, _ = strings.Cut(l.text, "\n")
	case strings.HasPrefix(l.text, "#") && l.dialect == "mysql":
		_, l.text, _ = strings.Cut(l.text, "\n")
	case l.dialect == "mysql" && (strings.HasPrefix(l.text, "/*!") || strings.HasPrefix(l.text, "/*M!")):
		_, code, _ := strings.Cut(l.text, "!")
		if strings.HasPrefix(code, "999999") { // the version of no server
			l.comment()
			break
		}
		l.text, l.code = strings.TrimLeft(code, "0123456789"), true
	case l.code && strings.HasPrefix(l.text, "*/"):
		l.text, l.code = l.text[2:], false
	case strings.HasPrefix(l.text, "/*"):
		l.comment()
	}
	return len(l.text) < before
}

// comment passes over a comment in marks, which PostgreSQL nests.
func (l *lexer) comment() {
	depth := 0
	for l.text != "" {
		switch {
		case strings.HasPrefix(l.text, "/*") && (depth == 0 || l.dialect == "postgres"):
			depth++
			l.text = l.text[2:]
		case strings.HasPrefix(l.text, "*/"):
			l.text = l.text[2:]
			if depth--; depth == 0 {
				return
			}
		default:
			l.text = l.text[1:]
		}
	}
}

// quoted reads what is between marks, which stand for themselves when doubled.
func (l *lexer) quoted(mark byte, escapes bool) string {
	i, marked := 1, false
	for ; i < len(l.text) && (l.text[i] != mark || i+1 < len(l.text) && l.text[i+1] == mark); i++ {
		if l.text[i] == mark || escapes && l.text[i] == '\\' {
			marked = true
			i++
		}
	}
	i = min(i, len(l.text))
	text := l.text[1:i]
	l.text = l.text[min(i+1, len(l.text)):]
	if !marked {
		return text // as nearly always, and as it stands: it may be a long value
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if escapes && text[i] == '\\' {
			if r, _, rest, err := strconv.UnquoteChar(text[i:], mark); err == nil { // a line break, for instance
				b.WriteRune(r)
				i = len(text) - len(rest) - 1
				continue
			}
		}
		if (text[i] == mark || escapes && text[i] == '\\') && i+1 < len(text) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// unicode reads the rest of PostgreSQL's U&"d\0061ta", with what follows it if
// another mark than the backslash begins its escapes.
func (l *lexer) unicode() string {
	text, mark := l.quoted('"', false), `\`
	rest := strings.TrimLeftFunc(l.text, unicode.IsSpace)
	if word := "UESCAPE"; len(rest) > len(word) && strings.EqualFold(rest[:len(word)], word) {
		l.text = strings.TrimLeftFunc(rest[len(word):], unicode.IsSpace)
		if strings.HasPrefix(l.text, "'") {
			mark = l.quoted('\'', false)
		}
	}
	if mark == "" {
		return text // which the database refuses
	}
	parts := strings.Split(text, mark)
	var b strings.Builder
	b.WriteString(parts[0])
	for i := 1; i < len(parts); i++ {
		part, digits := parts[i], 4
		if part == "" && i+1 < len(parts) { // the mark itself
			i++
			b.WriteString(mark + parts[i])
			continue
		}
		if strings.HasPrefix(part, "+") {
			part, digits = part[1:], 6
		}
		code, err := strconv.ParseUint(part[:min(digits, len(part))], 16, 32)
		if err != nil || len(part) < digits {
			return text // which the database refuses
		}
		b.WriteRune(rune(code))
		b.WriteString(part[digits:])
	}
	return b.String()
}

// dollar reads PostgreSQL's $1 or $tag$ text $tag$.
func (l *lexer) dollar() token {
	end := strings.IndexByte(l.text[1:], '$')
	tag := l.text[1 : 1+max(end, 0)]
	isTag := end >= 0 && !strings.ContainsFunc(tag, func(r rune) bool { return !isWord(r) }) && (tag == "" || !unicode.IsDigit(rune(tag[0])))
	if !isTag {
		l.text = l.text[1:]
		l.word()
		return token{kind: otherToken}
	}
	mark := l.text[:end+2]
	text, rest, _ := strings.Cut(l.text[len(mark):], mark)
	l.text = rest
	return token{otherToken, text}
}

// word reads letters, digits, underscores and dollars.
func (l *lexer) word() string {
	end := strings.IndexFunc(l.text, func(r rune) bool { return !isWord(r) && r != '$' })
	if end < 0 {
		end = len(l.text)
	}
	word := l.text[:end]
	l.text = l.text[end:]
	return word
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || r >= utf8.RuneSelf
}

// cutLast is what follows the last dot of a name, if it has one.
func cutLast(name string) (last string, qualified bool) {
	i := strings.LastIndexByte(name, '.')
	return name[i+1:], i >= 0
}
