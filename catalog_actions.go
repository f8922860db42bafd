package audit

import (
	"cmp"
	"slices"
	"strings"
)

// Actions returns the kinds of actions that the names stand for, for
// [Filter.Actions]. A name is a label, a code, or an event's parts joined by
// dots in the order type, operation, origin, ownership, of which any may be
// left out: "project.updated", "time_entry.created.kiosk", "deleted",
// "expense.other". The case of letters does not matter.
//
// A label or a code finds the events that bear it. One that leaves out the
// ownership where others of its kind tell it ("Updated task") finds events of
// every ownership. Parts find what they name and ask for nothing else.
//
// An unknown name is an error that wraps [ErrInvalidFilter], names it and
// suggests others that are near. No names give no actions.
func (c *Catalog) Actions(names ...string) ([]Action, error) {
	if len(names) == 0 {
		return nil, nil
	}
	c = c.orDefault()
	var actions []Action
	for _, name := range names {
		found := c.actions(name)
		if len(found) == 0 {
			return nil, unknownWord("action", strings.TrimSpace(name), c.actionNames())
		}
		actions = append(actions, found...)
	}
	return actions, nil
}

// actions are what one name stands for, none if it is unknown.
func (c *Catalog) actions(name string) []Action {
	if found := c.named[folded(name)]; len(found) > 0 {
		found = slices.Clone(found)
		for i, a := range found {
			found[i].Origins = slices.Clone(a.Origins)
		}
		return found
	}
	if a, ok := c.parts(folded(name)); ok {
		return []Action{a}
	}
	return nil
}

// folded is a name as names are compared.
func folded(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// atom is all of an event that its label depends on.
type atom struct {
	kind
	origin Origin
	whose  Ownership
}

// atoms calls yield with everything the catalogue's words can make, and its
// label and code. To look a name up among these is what keeps look-up and rendering one
// and the same.
func (c *Catalog) atoms(yield func(a atom, names [2]string) bool) {
	origins := []Origin{""}
	for _, o := range c.origins {
		origins = append(origins, o.Origin)
	}
	for _, t := range c.types {
		for _, op := range c.operations {
			for _, origin := range origins {
				for _, whose := range []Ownership{OwnershipNone, OwnershipSelf, OwnershipOther} {
					label, code := c.namesOf(t.Type, op.Operation, origin, whose)
					if !yield(atom{kind{t.Type, op.Operation}, origin, whose}, [...]string{label, code}) {
						return
					}
				}
			}
		}
	}
}

// namedActions are what each label and code stands for, by the name folded.
func (c *Catalog) namedActions() map[string][]Action {
	atoms := make(map[string][]atom)
	for a, names := range c.atoms {
		for _, name := range names {
			atoms[folded(name)] = append(atoms[folded(name)], a)
		}
	}
	named := make(map[string][]Action, len(atoms))
	for name, a := range atoms {
		named[name] = join(a)
	}
	return named
}

// join makes of atoms the fewest actions that cover them.
func join(atoms []atom) []Action {
	var order []kind
	origins := map[kind]map[Ownership][]Origin{}
	for _, a := range atoms {
		if origins[a.kind] == nil {
			origins[a.kind] = map[Ownership][]Origin{}
			order = append(order, a.kind)
		}
		of := origins[a.kind]
		if !slices.Contains(of[a.whose], a.origin) { // label and code may be the same word
			of[a.whose] = append(of[a.whose], a.origin)
		}
	}
	var actions []Action
	for _, k := range order {
		of := origins[k]
		if all := of[OwnershipNone]; slices.Equal(all, of[OwnershipSelf]) && slices.Equal(all, of[OwnershipOther]) {
			actions = append(actions, Action{Type: k.Type, Operation: k.Operation, Origins: all})
			continue
		}
		for _, whose := range []Ownership{OwnershipNone, OwnershipSelf, OwnershipOther} {
			if len(of[whose]) > 0 {
				actions = append(actions, Action{Type: k.Type, Operation: k.Operation, Origins: of[whose], Ownership: whose})
			}
		}
	}
	return actions
}

// parts reads an event's parts joined by dots. A word may hold dots itself, as
// the name of a table in a schema does, so the longest that fits is taken.
func (c *Catalog) parts(name string) (a Action, ok bool) {
	rest := name
	if word, ok := longest(rest, c.typeNames()); ok {
		a.Type, rest = EntityType(word), after(rest, word)
	}
	if word, ok := longest(rest, c.operationNames()); ok {
		a.Operation, rest = Operation(word), after(rest, word)
	}
	if word, ok := longest(rest, c.originNames()); ok {
		a.Origins, rest = []Origin{Origin(word)}, after(rest, word)
	}
	if word, ok := longest(rest, []string{string(OwnershipSelf), string(OwnershipOther)}); ok {
		a.Ownership, rest = Ownership(word), after(rest, word)
	}
	return a, rest == "" && name != ""
}

// longest returns the longest of words that begins name and ends where a part
// does.
func longest(name string, words []string) (found string, ok bool) {
	for _, w := range words {
		low := strings.ToLower(w)
		if len(w) > len(found) && (name == low || strings.HasPrefix(name, low+".")) {
			found, ok = w, true
		}
	}
	return found, ok
}

// after is what follows a word and its dot. A dot with nothing behind it stays,
// so that it is not taken for the end.
func after(name, word string) string {
	rest := name[len(strings.ToLower(word)):]
	if len(rest) > 1 {
		return rest[1:]
	}
	return rest
}

func (c *Catalog) typeNames() []string {
	names := make([]string, len(c.types))
	for i, t := range c.types {
		names[i] = string(t.Type)
	}
	return names
}

func (c *Catalog) operationNames() []string {
	names := make([]string, len(c.operations))
	for i, o := range c.operations {
		names[i] = string(o.Operation)
	}
	return names
}

func (c *Catalog) originNames() []string {
	names := make([]string, len(c.origins))
	for i, o := range c.origins {
		names[i] = string(o.Origin)
	}
	return names
}

// actionNames are the names that are suggested to somebody who mistyped one.
func (c *Catalog) actionNames() []string {
	var names []string
	for _, row := range c.All() {
		parts := string(row.Action.Type) + "." + string(row.Action.Operation)
		for _, name := range []string{row.Label, row.Code, parts} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// hint says which of the known names the word may have been meant as, else
// something else.
func hint(word string, known []string, otherwise string) string {
	if near := nearest(word, known); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return otherwise
}

// nearest returns up to three of the known names that word may have been meant
// as, quoted, the nearest first.
func nearest(word string, known []string) []string {
	const most = 3
	word = folded(word)
	if len(word) > MaxIDBytes { // nobody means a name that long
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	for _, name := range known {
		if d := distance(word, folded(name)); d <= max(2, len(word)/4) {
			near = append(near, candidate{name, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, n := range near[:min(most, len(near))] {
		names = append(names, `"`+n.name+`"`)
	}
	return names
}

// distance is the number of letters to insert, delete or replace to make a
// into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
