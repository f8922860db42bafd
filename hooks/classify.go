package hooks

import (
	"slices"
	"strings"
)

// written is a table that a text of SQL writes to.
type written struct {
	verb   string // insert, replace, update, delete, merge, truncate, copy or load
	table  string // unquoted, with its schema if the text names one
	alias  string // empty if it has none
	joined bool   // with others, in the form of DELETE that names those apart
	main   bool   // of the one statement that the text is, whose rows the database counts, and not of one within its WITH
}

// writesOf finds the tables that SQL writes to by its own words. It looks
// through comments, quotes, WITH and EXPLAIN ANALYZE, at every statement of
// several and into blocks. It does not see what functions, procedures, prepared
// statements, triggers and rules of the database do. A text that it does not understand, it
// takes for one that writes nothing.
func writesOf(dialect, text string) []written { return writesWithin(dialect, text, false) }

// writesWithin is writesOf for a text that may be known to be a block.
func writesWithin(dialect, text string, block bool) []written {
	l := &lexer{dialect: dialect, text: text}
	first, ok := l.next()
	if !ok || !strings.Contains(text, ";") && first.kind == wordToken && !mayWrite[strings.ToUpper(first.text)] && !block {
		return nil
	}
	c := &classifier{dialect: dialect, tokens: []token{first}, block: block || dialect != "sqlite" && first.isOne(blockBegins)}
	for t, ok := l.next(); ok; t, ok = l.next() {
		c.several = c.several || t.kind != ';' && c.at(len(c.tokens)-1).kind == ';'
		c.tokens = append(c.tokens, t)
	}
	c.block = c.block || dialect == "mysql" && c.at(1).kind == ':' // a label
	c.run()
	return c.found
}

// body is the text that the DO at place i runs, which may be in several pieces.
func (c *classifier) body(i int) string {
	var pieces []string
	for ; i < len(c.tokens) && c.tokens[i].kind != ';'; i++ {
		if t := c.tokens[i]; t.kind == otherToken && !c.is(i-1, "LANGUAGE") {
			pieces = append(pieces, t.text)
		}
	}
	return strings.Join(pieces, "")
}

// mayWrite are the first words of statements that may write to a table.
var mayWrite = map[string]bool{
	"INSERT": true, "REPLACE": true, "UPDATE": true, "DELETE": true, "MERGE": true, "TRUNCATE": true, "COPY": true, "LOAD": true,
	"WITH": true, "EXPLAIN": true, "DESCRIBE": true, "DESC": true, "ANALYZE": true, "SET": true, "CREATE": true, "DO": true,
}

// mainVerbs are the words that begin what follows WITH.
var mainVerbs = map[string]bool{
	"INSERT": true, "REPLACE": true, "UPDATE": true, "DELETE": true, "MERGE": true, "SELECT": true, "VALUES": true, "TABLE": true,
}

// beforeNames are the words of WITH that come before the name of a column.
var beforeNames = []string{"BY", "SET", "CYCLE", "USING"}

// switchedOff are the words behind an option of EXPLAIN that is not wanted.
var switchedOff = []string{"false", "off", "0"}

// blockBegins are the words that begin a block of statements, or a text of them; of
// the words within it, blockSteps come before a statement.
var (
	blockBegins = []string{"BEGIN", "DECLARE", "IF", "FOR", "WHILE", "LOOP", "REPEAT", "CASE"}
	blockSteps  = []string{"BEGIN", "ATOMIC", "THEN", "ELSE", "DO", "LOOP", "REPEAT", "IN", "QUERY"}
)

type classifier struct {
	dialect string
	tokens  []token
	block   bool // statements may stand within others
	several bool // statements
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
			if s.begun = true; s.leading && t.kind == ',' {
				i++ // to the name of a further subquery
			}
			continue
		}
		word := strings.ToUpper(t.text)
		if word == "ANALYZE" {
			analyzed = !slices.Contains(switchedOff, strings.ToLower(c.at(i+1).text))
		}
		verb := false
		switch {
		case s.leading && mainVerbs[word]:
			s.leading, verb = false, true
		case word == "WITH" && (s.leading || !s.begun):
			s.leading = true
			i = c.skip(i+1, "RECURSIVE") // to a name, which may be that of a verb
		case s.leading && t.isOne(beforeNames):
			i++
		case s.begun:
		case word == "CREATE":
			if i = c.skipDefinition(i); c.is(i, "AS") {
				continue // the query that makes a table
			}
		case word == "DO" && c.dialect == "postgres":
			s.begun = true
			c.found = append(c.found, writesWithin(c.dialect, c.body(i), true)...)
			continue
		case word == "ANALYZE", word == "SET" && c.is(i+1, "STATEMENT"):
			s.leading = true
		case word == "EXPLAIN", word == "DESCRIBE", word == "DESC":
			s.leading, explained = true, true
		default:
			verb = mayWrite[word]
		}
		s.begun = !c.block || !t.isOne(blockSteps)
		if verb && (analyzed || !explained) {
			c.write(word, i, len(scopes) == 1 && !analyzed && !c.block && !c.several)
		}
	}
}

// skipDefinition passes over a CREATE statement, whose body may hold statements
// that do not run now, and returns the place of its last token. Of a table that a
// query makes, this is the AS before the query.
func (c *classifier) skipDefinition(i int) int {
	depth, blocks, compound := 0, 0, false
	made := c.is(c.skip(i+1, "OR", "REPLACE", "GLOBAL", "LOCAL", "TEMPORARY", "TEMP", "UNLOGGED"), "TABLE")
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
		case made && depth == 0 && t.is("AS"):
			return i
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
		if r, end, ok := c.ref(i); ok {
			if c.is(end, "AS") {
				r.alias = c.folded(c.at(end + 1))
			}
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
		refs[i].joined = true
		for _, j := range joined {
			if strings.EqualFold(j.alias, r.table) {
				refs[i] = j
				refs[i].joined = true
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
				last, _ := cutLast(r.table)
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
				refs[len(refs)-1].alias = c.folded(a)
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

// name reads a name of parts joined by dots.
func (c *classifier) name(i int) (parts []string, next int) {
	for {
		t := c.at(i)
		switch {
		case t.kind == quotedToken, t.kind == wordToken:
			parts = append(parts, c.folded(t))
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

// folded is a name as the database knows it.
func (c *classifier) folded(t token) string {
	if t.kind == wordToken && c.dialect == "postgres" {
		return strings.ToLower(t.text)
	}
	return t.text
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
