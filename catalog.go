package audit

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Catalog gives kinds of events the names that people read and programs
// filter by: a label such as "Updated time (personal)" and a code such as
// UPDATE_TIME_PERSONAL. It holds Clockify's table, and what an application
// adds with [Catalog.With].
//
// A kind that the table lacks gets a name made in the same way from its parts:
// "Restored project", "Updated time (personal, kiosk)", "Created invoice".
// Ownership shows where labels of that type and operation tell it. Origin
// shows, except timer and manual, which are the ordinary ways of working.
//
// A Catalog does not change and is safe for use by several goroutines at
// once. A nil Catalog and the zero one are [DefaultCatalog].
type Catalog struct {
	types      []TypeWords
	operations []OperationWords
	origins    []OriginWords
	rows       []CatalogRow
	kinds      map[kind]kindNames
	// named are what labels and codes stand for.
	named map[string][]Action
}

// kind is what labels are looked up by first.
type kind struct {
	Type      EntityType
	Operation Operation
}

type kindNames struct {
	rows  []CatalogRow
	owned bool // whether labels tell whose the record is
}

// CatalogWords are what an application adds to a [Catalog]. An element without
// a name is ignored; one that is named already takes the place of the earlier.
type CatalogWords struct {
	Types      []TypeWords
	Operations []OperationWords
	Origins    []OriginWords
	// Rows name kinds of actions otherwise than their parts would. Where two
	// rows fit an event, the later one names it.
	Rows []CatalogRow
}

// TypeWords are how an entity type is called.
type TypeWords struct {
	// Type is the entity type. It is required.
	Type EntityType
	// Noun is what one record is called: "time entry". Defaults to Type with
	// spaces for what is neither a letter nor a digit.
	Noun string
	// Short is what labels call it: "time". Defaults to Noun.
	Short string
	// Code is what codes call it: "TIME". Defaults to Short in capitals.
	Code string
	// Owned tells that records have an owner and that labels show whether the
	// author is the one: "Approved invoice (for other)".
	Owned bool
	// Operations are those that [Catalog.Groups] lists for the type. Defaults
	// to created, restored, updated and deleted.
	Operations []Operation
}

// OperationWords are how an operation is called.
type OperationWords struct {
	// Operation is the operation. It is required.
	Operation Operation
	// Verb begins a label: "Approved". Defaults to Operation with spaces for
	// what is neither a letter nor a digit and a capital first letter.
	Verb string
	// Code begins a code: "APPROVE". Defaults to Verb in capitals.
	Code string
}

// OriginWords are how an origin is called.
type OriginWords struct {
	// Origin is the origin. It is required.
	Origin Origin
	// Label stands in labels: "QuickBooks". Defaults to Origin with spaces for
	// what is neither a letter nor a digit.
	Label string
	// Code stands in codes: "QUICKBOOKS". Defaults to Label in capitals.
	Code string
}

// CatalogRow is one kind of action and its names.
type CatalogRow struct {
	// Label is what people read. It is required.
	Label string
	// Code is what programs use. Defaults to Label in capitals.
	Code string
	// Action is what an event must be. It needs a type and an operation;
	// without origins it stands for every origin, without ownership for every
	// ownership.
	Action Action
}

// CatalogGroup is an entity type and its kinds of actions.
type CatalogGroup struct {
	Type EntityType
	// Noun is what one record is called: "time entry".
	Noun string
	Rows []CatalogRow
}

// DefaultCatalog returns the catalogue of Clockify's audit log: six entity
// types, [TypeSettings] and [TypeExport], 38 labels and 37 codes.
func DefaultCatalog() *Catalog { return defaultCatalog() }

// With returns a catalogue that has the words of c and those of the
// application.
func (c *Catalog) With(words CatalogWords) *Catalog { return c.orDefault().extend(words) }

func (c *Catalog) orDefault() *Catalog {
	if c == nil || c.kinds == nil {
		return defaultCatalog()
	}
	return c
}

func (c *Catalog) extend(words CatalogWords) *Catalog {
	n := &Catalog{
		types:      slices.Clone(c.types),
		operations: slices.Clone(c.operations),
		origins:    slices.Clone(c.origins),
		rows:       slices.Clone(c.rows),
		kinds:      make(map[kind]kindNames),
	}
	for _, t := range words.Types {
		if t.Type != "" {
			t.Operations = slices.Clone(t.Operations)
			n.types = put(n.types, t.complete(), func(o TypeWords) bool { return o.Type == t.Type })
		}
	}
	for _, op := range words.Operations {
		if op.Operation != "" {
			n.operations = put(n.operations, op.complete(), func(o OperationWords) bool { return o.Operation == op.Operation })
		}
	}
	for _, origin := range words.Origins {
		if origin.Origin != "" {
			n.origins = put(n.origins, origin.complete(), func(o OriginWords) bool { return o.Origin == origin.Origin })
		}
	}
	for _, row := range words.Rows {
		if row.Label != "" && row.Action.Type != "" && row.Action.Operation != "" {
			row = row.clone()
			if row.Code == "" {
				row.Code = codeWord(row.Label)
			}
			n.rows = put(n.rows, row, func(o CatalogRow) bool { return o.Action.equal(row.Action) })
		}
	}
	for _, row := range n.rows {
		k := kind{row.Action.Type, row.Action.Operation}
		names := n.kinds[k]
		names.rows = append(names.rows, row)
		names.owned = names.owned || row.Action.Ownership != OwnershipNone
		n.kinds[k] = names
	}
	n.named = n.namedActions()
	return n
}

// put replaces the element of list that is meant, or appends v.
func put[T any](list []T, v T, meant func(T) bool) []T {
	if i := slices.IndexFunc(list, meant); i >= 0 {
		list[i] = v
		return list
	}
	return append(list, v)
}

func (t TypeWords) complete() TypeWords {
	t.Noun = or(t.Noun, spaced(string(t.Type)))
	t.Short = or(t.Short, t.Noun)
	t.Code = or(t.Code, codeWord(t.Short))
	if len(t.Operations) == 0 {
		t.Operations = []Operation{Created, Restored, Updated, Deleted}
	}
	return t
}

func (o OperationWords) complete() OperationWords {
	o.Verb = or(o.Verb, capital(spaced(string(o.Operation))))
	o.Code = or(o.Code, codeWord(o.Verb))
	return o
}

func (o OriginWords) complete() OriginWords {
	o.Label = or(o.Label, spaced(string(o.Origin)))
	o.Code = or(o.Code, codeWord(o.Label))
	return o
}

func (r CatalogRow) clone() CatalogRow {
	r.Action.Origins = slices.Clone(r.Action.Origins)
	return r
}

// Label returns the name that people read for the event's kind of action.
func (c *Catalog) Label(e Event) string {
	label, _ := c.names(&e)
	return label
}

// Code returns the name that programs use for the event's kind of action. Two
// kinds may share a code: Clockify has UPDATE_TASK for both of its labels.
func (c *Catalog) Code(e Event) string {
	_, code := c.names(&e)
	return code
}

func (c *Catalog) names(e *Event) (label, code string) {
	return c.orDefault().namesOf(e.Entity.Type, e.Operation, e.Origin, e.Ownership)
}

func (c *Catalog) namesOf(t EntityType, op Operation, origin Origin, whose Ownership) (label, code string) {
	named, known := c.kinds[kind{t, op}]
	for i := len(named.rows) - 1; i >= 0; i-- {
		if row := &named.rows[i]; row.Action.covers(t, op, origin, whose) {
			return row.Label, row.Code
		}
	}
	words, verb := c.typeWords(t), c.operationWords(op)
	owned := named.owned || !known && words.Owned
	label = strings.TrimSpace(verb.Verb + " " + words.Short)
	code = strings.Trim(verb.Code+"_"+words.Code, "_")
	var shown []string
	if owned {
		switch whose {
		case OwnershipSelf:
			shown = append(shown, "personal")
			code += "_PERSONAL"
		case OwnershipOther:
			shown = append(shown, "for other")
			code += "_FOR_OTHER"
		default: // without it the code might be Clockify's for an owner's own action
			code += "_UNOWNED"
		}
	}
	if !slices.Contains(ordinary(), origin) {
		words := c.originWords(origin)
		shown = append(shown, words.Label)
		code += "_" + words.Code
	}
	if len(shown) > 0 {
		label += " (" + strings.Join(shown, ", ") + ")"
	}
	return label, code
}

// Noun returns what a record of the type is called: "time entry".
func (c *Catalog) Noun(t EntityType) string { return c.orDefault().typeWords(t).Noun }

func (c *Catalog) typeWords(t EntityType) TypeWords {
	for i := range c.types {
		if c.types[i].Type == t {
			return c.types[i]
		}
	}
	return TypeWords{Type: t}.complete()
}

func (c *Catalog) operationWords(op Operation) OperationWords {
	for i := range c.operations {
		if c.operations[i].Operation == op {
			return c.operations[i]
		}
	}
	return OperationWords{Operation: op}.complete()
}

func (c *Catalog) originWords(origin Origin) OriginWords {
	for i := range c.origins {
		if c.origins[i].Origin == origin {
			return c.origins[i]
		}
	}
	return OriginWords{Origin: origin}.complete()
}

// All lists the kinds of actions that people choose from: the rows of
// [Catalog.Groups] without their grouping.
func (c *Catalog) All() []CatalogRow {
	var rows []CatalogRow
	for _, g := range c.Groups() {
		rows = append(rows, g.Rows...)
	}
	return rows
}

// Groups lists the entity types, Clockify's first and in its order, each with
// the kinds of actions that people choose from. The other kinds, such as a
// change through the API, have names too and can be asked for by
// [Catalog.Actions].
func (c *Catalog) Groups() []CatalogGroup {
	c = c.orDefault()
	groups := make([]CatalogGroup, 0, len(c.types))
	for _, t := range c.types {
		g := CatalogGroup{Type: t.Type, Noun: t.Noun}
		for _, row := range c.rows {
			if row.Action.Type == t.Type {
				g.Rows = append(g.Rows, row.clone())
			}
		}
		for _, op := range t.Operations {
			if _, known := c.kinds[kind{t.Type, op}]; !known {
				g.Rows = append(g.Rows, c.madeRows(t, op)...)
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// madeRows are the rows of a kind that has none of its own.
func (c *Catalog) madeRows(t TypeWords, op Operation) []CatalogRow {
	ownerships := []Ownership{OwnershipNone}
	if t.Owned {
		ownerships = []Ownership{OwnershipSelf, OwnershipOther}
	}
	rows := make([]CatalogRow, 0, len(ownerships))
	for _, whose := range ownerships {
		a := Action{Type: t.Type, Operation: op, Origins: ordinary(), Ownership: whose}
		label, code := c.namesOf(a.Type, a.Operation, "", whose)
		rows = append(rows, CatalogRow{Label: label, Code: code, Action: a})
	}
	return rows
}

// Validate is [Filter.Validate], and also returns an error that wraps
// [ErrInvalidFilter] for an entity type or an operation that the catalogue
// does not know, because a misspelt one would find nothing. Origins are not
// checked: an application need not name them beforehand.
func (c *Catalog) Validate(f Filter) error {
	if err := f.Validate(); err != nil {
		return err
	}
	c = c.orDefault()
	var types []EntityType
	var operations []Operation
	for _, f := range append([]Filter{f}, f.Except...) {
		types = append(types, f.Types...)
		for _, e := range f.Entities {
			types = append(types, e.Type)
		}
		for _, a := range f.Actions {
			types, operations = append(types, a.Type), append(operations, a.Operation)
		}
	}
	for _, t := range types {
		if t != "" && !slices.ContainsFunc(c.types, func(w TypeWords) bool { return w.Type == t }) {
			return unknownWord("entity type", string(t), c.typeNames())
		}
	}
	for _, op := range operations {
		if op != "" && !slices.ContainsFunc(c.operations, func(w OperationWords) bool { return w.Operation == op }) {
			return unknownWord("operation", string(op), c.operationNames())
		}
	}
	return nil
}

// unknownWord names a word that is not in the catalogue and those near it.
func unknownWord(what, word string, known []string) error {
	return fmt.Errorf("%w: unknown %s %q; %s", ErrInvalidFilter, what, cleanText(word, MaxIDBytes),
		hint(word, known, "add it with Catalog.With if it is right"))
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// spaced is a name of programs as words: "time_entry" becomes "time entry".
func spaced(name string) string {
	return strings.Join(strings.FieldsFunc(name, notWord), " ")
}

// codeWord is words as a part of a code: "time entry" becomes TIME_ENTRY.
func codeWord(words string) string {
	return strings.ToUpper(strings.Join(strings.FieldsFunc(words, notWord), "_"))
}

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

func capital(s string) string {
	for _, r := range s {
		return string(unicode.ToUpper(r)) + s[len(string(r)):]
	}
	return s
}
