package hooks

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// written is a table that a text of SQL writes to.
type written struct {
	verb  string // insert, replace, update, delete, merge, truncate, copy or load
	table string // unquoted, with its schema if the text names one
	alias string // empty if it has none
	main  bool   // the statement's own, not one within its WITH
}

// writesOf finds the tables that SQL writes to by its own words. It looks
// through comments, quotes, WITH and EXPLAIN ANALYZE and at every statement of
// several. It does not see what functions, procedures, prepared statements,
// triggers and rules of the database do. A text that it does not understand, it
// takes for one that writes nothing.
func writesOf(dialect, text string) []written {
	l := &lexer{dialect: dialect, text: text}
	first, ok := l.next()
	if !ok || !strings.Contains(text, ";") && first.kind == wordToken && !mayWrite[strings.ToUpper(first.text)] {
		return nil
	}
	c := &classifier{dialect: dialect, tokens: []token{first}}
	for t, ok := l.next(); ok; t, ok = l.next() {
		c.tokens = append(c.tokens, t)
	}
	c.run()
	return c.found
}

// mayWrite are the first words of statements that may write to a table.
var mayWrite = map[string]bool{
	"INSERT": true, "REPLACE": true, "UPDATE": true, "DELETE": true, "MERGE": true, "TRUNCATE": true, "COPY": true, "LOAD": true,
	"WITH": true, "EXPLAIN": true, "DESCRIBE": true, "DESC": true, "ANALYZE": true, "SET": true,
}

// mainVerbs are the words that begin what follows WITH.
var mainVerbs = map[string]bool{
	"INSERT": true, "REPLACE": true, "UPDATE": true, "DELETE": true, "MERGE": true, "SELECT": true, "VALUES": true, "TABLE": true,
}

type classifier struct {
	dialect string
	tokens  []token
	found   []written
}

// scope is a statement or what is in parentheses.
type scope struct {
	begun   bool
	leading bool // by words such as WITH, so that the verb comes later
}

func (c *classifier) run() {
	scopes := []scope{{}}
	explained, analyzed := false, false
	for i := 0; i < len(c.tokens); i++ {
		t := c.tokens[i]
		s := &scopes[len(scopes)-1]
		switch t.kind {
		case ';':
			scopes, explained, analyzed = []scope{{}}, false, false
			continue
		case '(':
			s.begun = s.begun || len(scopes) > 1
			scopes = append(scopes, scope{})
			continue
		case ')':
			if len(scopes) > 1 {
				scopes = scopes[:len(scopes)-1]
			}
			continue
		case wordToken:
		default:
			s.begun = true
			continue
		}
		word := strings.ToUpper(t.text)
		analyzed = analyzed || word == "ANALYZE"
		verb := false
		switch {
		case s.leading && mainVerbs[word]:
			s.leading, verb = false, true
		case s.begun:
		case word == "CREATE":
			i = c.skipDefinition(i)
		case word == "WITH", word == "ANALYZE", word == "SET" && c.is(i+1, "STATEMENT"):
			s.leading = true
		case word == "EXPLAIN", word == "DESCRIBE", word == "DESC":
			s.leading, explained = true, true
		default:
			verb = mayWrite[word]
		}
		s.begun = true
		if verb && (analyzed || !explained) {
			c.write(word, i, len(scopes) == 1)
		}
	}
}

// skipDefinition passes over a CREATE statement, whose body may hold statements
// that do not run now, and returns the place of its last token.
func (c *classifier) skipDefinition(i int) int {
	depth, blocks, compound := 0, 0, false
	for ; i < len(c.tokens); i++ {
		t := c.tokens[i]
		switch {
		case t.kind == '(':
			depth++
		case t.kind == ')':
			depth--
		case t.kind == ';' && depth <= 0 && blocks <= 0:
			return i - 1
		case t.kind != wordToken:
		case t.is("TRIGGER"), t.is("PROCEDURE"), t.is("FUNCTION"), t.is("EVENT"):
			compound = true
		case compound && (t.is("BEGIN") || t.is("CASE") && !c.is(i-1, "END")):
			blocks++
		case compound && t.is("END") && !c.is(i+1, "IF") && !c.is(i+1, "LOOP") && !c.is(i+1, "WHILE") && !c.is(i+1, "REPEAT") && !c.is(i+1, "FOR"):
			blocks--
		}
	}
	return i
}

// write adds what the verb at place i writes to.
func (c *classifier) write(verb string, i int, main bool) {
	add := func(refs ...written) {
		for _, r := range refs {
			r.verb, r.main = strings.ToLower(verb), main
			c.found = append(c.found, r)
		}
	}
	i++
	switch verb {
	case "INSERT", "REPLACE", "MERGE":
		i = c.skip(i, "OR", "REPLACE", "ROLLBACK", "ABORT", "FAIL", "IGNORE", "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "INTO", "ONLY")
		if r, _, ok := c.ref(i); ok {
			add(r)
		}
	case "UPDATE":
		i = c.skip(i, "OR", "REPLACE", "ROLLBACK", "ABORT", "FAIL", "IGNORE", "LOW_PRIORITY")
		refs, end := c.refs(i, "SET")
		if len(refs) > 1 {
			refs = c.assigned(refs, end+1)
		}
		add(refs...)
	case "DELETE":
		add(c.deleted(c.skip(i, "LOW_PRIORITY", "QUICK", "IGNORE"))...)
	case "TRUNCATE":
		refs, _ := c.refs(c.skip(i, "TABLE"), "RESTART", "CONTINUE", "CASCADE", "RESTRICT", "NOWAIT", "WAIT")
		add(refs...)
	case "COPY":
		if r, end, ok := c.ref(i); ok {
			if end = c.past(end); c.is(end, "FROM") {
				add(r)
			}
		}
	case "LOAD":
		for ; i < len(c.tokens) && c.tokens[i].kind != ';'; i++ {
			if c.is(i, "INTO") && c.is(i+1, "TABLE") {
				if r, _, ok := c.ref(i + 2); ok {
					add(r)
				}
				return
			}
		}
	}
}

// deleted are the tables of a DELETE. MySQL has forms that name them apart from
// those they are joined with.
func (c *classifier) deleted(i int) []written {
	from := c.is(i, "FROM")
	if from {
		i++
	}
	refs, end := c.refs(i, "FROM", "USING", "WHERE", "RETURNING", "ORDER", "LIMIT")
	if from && (c.dialect != "mysql" || !c.is(end, "USING")) {
		return refs
	}
	joined, _ := c.refs(end+1, "WHERE", "ORDER", "LIMIT", "RETURNING")
	for i, r := range refs {
		for _, j := range joined {
			if strings.EqualFold(j.alias, r.table) {
				refs[i] = j
			}
		}
	}
	return refs
}

// assigned are those of several joined tables whose columns an UPDATE sets; all
// of them if its SET, which begins at i, does not say.
func (c *classifier) assigned(refs []written, i int) []written {
	var found []written
	depth, target := 0, true
	for ; i < len(c.tokens); i++ {
		t := c.tokens[i]
		switch {
		case t.kind == '(':
			depth++
		case t.kind == ')':
			depth--
		}
		if depth < 0 || t.kind == ';' || depth == 0 && (t.is("WHERE") || t.is("ORDER") || t.is("LIMIT")) {
			break
		}
		if target {
			parts, _ := c.name(i)
			if len(parts) < 2 {
				return refs
			}
			of := parts[len(parts)-2]
			for _, r := range refs {
				_, last, _ := cutLast(r.table)
				if (strings.EqualFold(r.alias, of) || r.alias == "" && strings.EqualFold(last, of)) && !slices.Contains(found, r) {
					found = append(found, r)
				}
			}
		}
		target = depth == 0 && t.kind == ','
	}
	if len(found) == 0 {
		return refs
	}
	return found
}

// refs reads references to tables from place i to one of the words, and returns
// the place of that word.
func (c *classifier) refs(i int, until ...string) (refs []written, end int) {
	expected, depth := true, 0
	for i < len(c.tokens) {
		t := c.tokens[i]
		switch {
		case t.kind == ';':
			return refs, i
		case t.kind == '(' && expected:
			depth++ // parentheses around tables
		case t.kind == '(':
			i = c.past(i)
			continue
		case t.kind == ')':
			if depth--; depth < 0 {
				return refs, i
			}
		case t.kind == ',':
			expected = true
		case t.isOne(until):
			return refs, i
		case t.is("JOIN"), t.is("STRAIGHT_JOIN"):
			expected = true
		case expected && (t.is("ONLY") || t.is("LATERAL")):
		case expected:
			r, next, ok := c.ref(i)
			if !ok {
				return refs, i
			}
			refs, i, expected = append(refs, r), next, false
			if c.is(i, "AS") {
				i++
			}
			if a := c.at(i); a.kind == quotedToken || a.kind == wordToken && !a.isOne(until) && !a.isOne(notAliases) {
				if refs[len(refs)-1].alias = a.text; a.kind == wordToken && c.dialect == "postgres" {
					refs[len(refs)-1].alias = strings.ToLower(a.text)
				}
				i++
			}
			continue
		}
		i++
	}
	return refs, i
}

// notAliases are words that may follow a table without being its alias.
var notAliases = []string{
	"JOIN", "INNER", "LEFT", "RIGHT", "CROSS", "FULL", "NATURAL", "STRAIGHT_JOIN", "ON", "USING", "SET", "WHERE", "USE", "FORCE", "IGNORE",
	"PARTITION", "FOR", "INDEXED", "NOT", "ORDER", "LIMIT", "RETURNING", "FROM",
}

// ref reads a table's name at place i and returns the place behind it.
func (c *classifier) ref(i int) (written, int, bool) {
	parts, next := c.name(i)
	if len(parts) == 0 {
		return written{}, i, false
	}
	return written{table: strings.Join(parts, ".")}, next, true
}

// name reads a name of parts joined by dots. PostgreSQL folds what is not
// quoted.
func (c *classifier) name(i int) (parts []string, next int) {
	for {
		t := c.at(i)
		switch {
		case t.kind == quotedToken:
			parts = append(parts, t.text)
		case t.kind == wordToken && c.dialect == "postgres":
			parts = append(parts, strings.ToLower(t.text))
		case t.kind == wordToken:
			parts = append(parts, t.text)
		case t.kind == '*' && len(parts) > 0: // of MySQL's DELETE t.* FROM
			return parts, i + 1
		default:
			return parts, i
		}
		if i++; c.at(i).kind != '.' {
			if c.at(i).kind == '*' { // PostgreSQL's mark for a table and those that inherit from it
				i++
			}
			return parts, i
		}
		i++
	}
}

func (c *classifier) at(i int) token {
	if i < 0 || i >= len(c.tokens) {
		return token{}
	}
	return c.tokens[i]
}

func (c *classifier) is(i int, word string) bool { return c.at(i).is(word) }

// skip passes over words.
func (c *classifier) skip(i int, words ...string) int {
	for c.at(i).isOne(words) {
		i++
	}
	return i
}

// past returns the place behind the parentheses that open at i; i if none do.
func (c *classifier) past(i int) int {
	depth := 0
	for k := i; k < len(c.tokens); k++ {
		switch c.tokens[k].kind {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			if k == i {
				return i
			}
			return k + 1
		}
	}
	return len(c.tokens)
}

// token is a word, a quoted name, something without meaning here, or a mark by
// its own character.
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
	case r == '\'':
		l.quoted('\'', mysql)
		return token{kind: otherToken}, true
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
		if postgres && strings.EqualFold(word, "E") && strings.HasPrefix(l.text, "'") {
			l.quoted('\'', true)
			return token{kind: otherToken}, true
		}
		return token{wordToken, word}, true
	case unicode.IsDigit(r):
		if word := l.word(); mysql && strings.ContainsFunc(word, unicode.IsLetter) {
			return token{wordToken, word}, true // a name may begin with a digit
		}
		return token{kind: otherToken}, true
	case strings.ContainsRune("();,.*", r):
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
		_, l.text, _ = strings.Cut(l.text, "!")
		l.text = strings.TrimLeft(l.text, "0123456789")
		l.code = true
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
	var b strings.Builder
	i := 1
	for ; i < len(l.text); i++ {
		switch {
		case escapes && l.text[i] == '\\' && i+1 < len(l.text):
			i++
		case l.text[i] != mark:
		case i+1 < len(l.text) && l.text[i+1] == mark:
			i++
		default:
			l.text = l.text[i+1:]
			return b.String()
		}
		if mark != '\'' { // a value is of no interest
			b.WriteByte(l.text[i])
		}
	}
	l.text = ""
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
	if _, rest, found := strings.Cut(l.text[len(mark):], mark); found {
		l.text = rest
	} else {
		l.text = ""
	}
	return token{kind: otherToken}
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

// cutLast cuts at the last dot.
func cutLast(name string) (before, last string, found bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}
