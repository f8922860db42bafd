package audit

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxQueryBytes is the length of the longest text that [ParseQuery] reads.
const MaxQueryBytes = 4096

// QueryOptions say how [ParseQuery] and [FormatQuery] understand a text. The
// zero value and nil mean the defaults.
type QueryOptions struct {
	// Catalog knows the entity types and the names of actions. Defaults to
	// [DefaultCatalog].
	Catalog *Catalog
	// Location is the time zone whose days are meant. Defaults to UTC.
	Location *time.Location
}

func (o *QueryOptions) complete() QueryOptions {
	var c QueryOptions
	if o != nil {
		c = *o
	}
	c.Catalog = c.Catalog.orDefault()
	if c.Location == nil {
		c.Location = time.UTC
	}
	return c
}

// QueryError tells what is wrong with a query's text, and where. It wraps
// [ErrInvalidFilter].
type QueryError struct {
	// Offset and Length are the place of the wrong word in the text, in bytes.
	Offset, Length int
	// Message names the word and what would be right. It is meant for whoever
	// wrote the query.
	Message string
}

// Error implements error.
func (e *QueryError) Error() string {
	return fmt.Sprintf("audit: invalid query, at byte %d: %s", e.Offset, e.Message)
}

// Unwrap returns [ErrInvalidFilter].
func (e *QueryError) Unwrap() error { return ErrInvalidFilter }

// ParseQuery returns the filter that a text asks for:
//
//	actor:u17 action:project.updated -entity:tag created:2026-11-01..2026-11-30 "acme"
//
// Terms stand side by side and are joined by "and". A term is a key with one
// value or several, which are joined by "or" as repeated keys are, or a part of
// the record's label. A minus before a term leaves out what it finds.
//
//	actor      u17, system, unknown, key:abc           who did it
//	action     project.updated, "Updated project"      see [Catalog.Actions]
//	entity     tag or project/7                        a type of records, or one record
//	type       tag                                     a type of records
//	owner      u17, none                               whose record it is
//	origin     import, none                            the way by which it came in
//	field      rate                                    a field that changed
//	created    2026-11-01..2026-11-30                  the days, in [QueryOptions.Location], the last one included
//	id, cause, changeset                               ids of events and transactions
//
// docs/query-language.md is the whole of the language. The empty text asks for
// everything.
//
// The workspace never comes from the text: it is empty in the filter and set by
// whoever knows what may be read. Otherwise the filter is valid. Every error is
// a [*QueryError]; a text that is not understood is never taken for a wider
// question. ParseQuery accepts up to [MaxQueryBytes] and 1,000 values.
func ParseQuery(text string, opts *QueryOptions) (Filter, error) {
	p := queryParser{QueryOptions: opts.complete(), text: text}
	if len(text) > MaxQueryBytes {
		return Filter{}, p.errorf(queryWord{text[MaxQueryBytes:], MaxQueryBytes}, "the query has %d bytes, more than %d", len(text), MaxQueryBytes)
	}
	for i, r := range text {
		if r == 0 || r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return Filter{}, p.errorf(queryWord{text[i : i+1], i}, "the query is not valid UTF-8 or has a NUL here")
		}
	}
	f, err := p.terms(nil)
	if err != nil {
		return Filter{}, err
	}
	f.Workspace = "any"
	if err := f.Validate(); err != nil { // a name of the catalogue may stand for many actions
		return Filter{}, p.errorf(queryWord{text, 0}, "%s", strings.TrimPrefix(err.Error(), ErrInvalidFilter.Error()+": "))
	}
	f.Workspace = ""
	return f, nil
}

// queryParser reads a text from its beginning.
type queryParser struct {
	QueryOptions
	text string
	// at is where reading goes on.
	at int
	// values is the number of values that were read.
	values int
}

// queryWord is a part of the text as it was written, with its place.
type queryWord struct {
	text string
	at   int
}

// errorf is an error at the word or, if that is empty, at what stands in its
// place.
func (p *queryParser) errorf(w queryWord, format string, args ...any) error {
	if w.text == "" && p.text != "" {
		w.at = min(w.at, len(p.text)-1)
		_, size := utf8.DecodeRuneInString(p.text[w.at:])
		w.text = p.text[w.at : w.at+size]
	}
	return &QueryError{Offset: w.at, Length: len(w.text), Message: fmt.Sprintf(format, args...)}
}

// shown is the word as messages quote it.
func (w queryWord) shown() string { return cleanText(w.text, MaxIDBytes) }

// from is what begins behind the first n bytes.
func (w queryWord) from(n int) queryWord { return queryWord{w.text[n:], w.at + n} }

// scan returns the length of what precedes the first byte outside of quotes
// that is one of stops, or white space if spaces is set. The text ends in
// closed quotes if closed is true; else the last quote opens at that length.
func scan(s, stops string, spaces bool) (n int, closed bool) {
	opened := -1
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case opened >= 0 && r == '\\' && i+1 < len(s):
			i++ // what follows is not the end
			_, size = utf8.DecodeRuneInString(s[i:])
		case r == '"' && opened >= 0:
			opened = -1
		case r == '"':
			opened = i
		case opened < 0 && (strings.ContainsRune(stops, r) || spaces && unicode.IsSpace(r)):
			return i, true
		}
		i += size
	}
	if opened >= 0 {
		return opened, false
	}
	return len(s), true
}

// cut parts the word at the first separator outside of quotes.
func (w queryWord) cut(separator string) (before, after queryWord, found bool) {
	n, _ := scan(w.text, separator, false)
	if n == len(w.text) {
		return w, queryWord{}, false
	}
	return queryWord{w.text[:n], w.at}, w.from(n + 1), true
}

// split parts the word at every separator outside of quotes.
func (w queryWord) split(separator string) []queryWord {
	var parts []queryWord
	for {
		part, rest, found := w.cut(separator)
		parts = append(parts, part)
		if !found {
			return parts
		}
		w = rest
	}
}

// quoted reports whether the word begins with a quote.
func (w queryWord) quoted() bool { return strings.HasPrefix(w.text, `"`) }

// is reports whether the word is a reserved one, in whatever letters. In quotes
// none is reserved.
func (w queryWord) is(reserved string) bool { return strings.EqualFold(w.text, reserved) }

// literal is the text that the word stands for: itself, or what its quotes
// enclose.
func (p *queryParser) literal(w queryWord) (string, error) {
	if !w.quoted() {
		if i := strings.IndexByte(w.text, '"'); i >= 0 {
			return "", p.errorf(w, "there is a quote within %q; put the whole of it in quotes, and a backslash before quotes within", w.shown())
		}
		return w.text, nil
	}
	var b strings.Builder
	for i := 1; i < len(w.text); i++ {
		switch c := w.text[i]; {
		case c == '"' && i == len(w.text)-1:
			return b.String(), nil
		case c == '"':
			return "", p.errorf(w.from(i+1), "%q follows a closing quote; put a space between them, or a backslash before a quote that belongs to the text", w.from(i+1).shown())
		case c == '\\':
			i++
			if i == len(w.text) || w.text[i] != '"' && w.text[i] != '\\' {
				return "", p.errorf(queryWord{`\`, w.at + i - 1}, `a backslash in quotes stands before a quote or another backslash only; write \\ for it`)
			}
			b.WriteByte(w.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.errorf(w, "the quote before %q is not closed", w.from(1).shown())
}

// terms reads terms to the end of the text or, if the opening of a group is
// given, to its closing parenthesis.
func (p *queryParser) terms(group *queryWord) (Filter, error) {
	var b queryBuilder
	for {
		rest := p.text[p.at:]
		p.at += len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
		switch {
		case group != nil && p.at == len(p.text):
			return b.Filter, p.errorf(*group, "the parenthesis is not closed")
		case p.at == len(p.text):
			return b.Filter, nil
		case group != nil && p.text[p.at] == ')':
			p.at++
			r, _ := utf8.DecodeRuneInString(p.text[p.at:])
			switch {
			case b.isEmpty():
				return b.Filter, p.errorf(*group, "there is nothing in the parentheses")
			case p.at < len(p.text) && !unicode.IsSpace(r):
				return b.Filter, p.errorf(queryWord{p.text[p.at:], p.at}, "%q follows a closing parenthesis; put a space between them", queryWord{p.text[p.at:], p.at}.shown())
			}
			return b.Filter, nil
		case p.text[p.at] == '-':
			minus := queryWord{"-", p.at}
			if group != nil {
				return b.Filter, p.errorf(minus, "a minus cannot stand within parentheses")
			}
			x, err := p.excepted(minus)
			if err != nil {
				return b.Filter, err
			}
			b.Except = append(b.Except, x)
			b.open = false
		default:
			if err := p.term(&b, group != nil); err != nil {
				return b.Filter, err
			}
		}
	}
}

// excepted reads what follows a minus.
func (p *queryParser) excepted(minus queryWord) (Filter, error) {
	p.at++
	if r, _ := utf8.DecodeRuneInString(p.text[p.at:]); p.at == len(p.text) || unicode.IsSpace(r) || r == '-' {
		return Filter{}, p.errorf(minus, "a minus stands directly before what is left out, as in -entity:tag; put it in quotes to search for it")
	}
	if p.text[p.at] == '(' {
		opening := queryWord{"(", p.at}
		p.at++
		return p.terms(&opening)
	}
	var b queryBuilder
	err := p.term(&b, false)
	return b.Filter, err
}

// term reads one term.
func (p *queryParser) term(b *queryBuilder, grouped bool) error {
	stops := ""
	if grouped {
		stops = ")"
	}
	n, closed := scan(p.text[p.at:], stops, true)
	w := queryWord{p.text[p.at : p.at+n], p.at}
	if !closed {
		quote := queryWord{p.text[p.at+n:], p.at + n}
		return p.errorf(quote, "the quote before %q is not closed", quote.from(1).shown())
	}
	p.at += n
	key, values, found := w.cut(":")
	if !found || key.quoted() {
		return p.label(b, w)
	}
	b.open = false
	set := querySetters()[strings.ToLower(key.text)]
	switch {
	case key.text == "":
		return p.errorf(key, "there is no key before the colon (a text with a colon has to be in quotes)")
	case set == nil:
		return p.errorf(key, "unknown key %q; %s (a text with a colon has to be in quotes)",
			key.shown(), hint(key.text, queryKeys(), "the keys are "+strings.Join(queryKeys(), ", ")))
	}
	for _, v := range values.split(",") {
		if v.text == "" {
			return p.errorf(w, "%q lacks a value; it stands directly behind the colon or the comma, and an empty one is written \"\"", w.shown())
		}
		if p.values++; p.values > maxFilterValues {
			return p.errorf(v, "the query has more than %d values", maxFilterValues)
		}
		if err := set(p, b, v); err != nil {
			return err
		}
	}
	return nil
}

// label reads a part of the record's label. Words side by side without quotes
// are one text.
func (p *queryParser) label(b *queryBuilder, w queryWord) error {
	text, err := p.literal(w)
	switch {
	case err != nil:
		return err
	case text == "":
		return p.errorf(w, "there is nothing in the quotes")
	case b.Text == "":
		b.Text = text
	case b.open && !w.quoted():
		b.Text += " " + text
	default:
		return p.errorf(w, "%q is a second text to search labels for; put what belongs together in one pair of quotes", w.shown())
	}
	b.open = !w.quoted()
	return nil
}
