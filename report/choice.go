package report

import (
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

// choices are the kinds of actions that people choose from. They are worked out
// once, since the catalogue does not change.
type choices struct {
	catalog *audit.Catalog
	groups  []choiceGroup
	// byName are the actions of each name, and order the names in theirs.
	byName map[string][]audit.Action
	order  []string
}

// choiceGroup is an entity type and its kinds of actions.
type choiceGroup struct {
	Type  audit.EntityType
	Name  string
	Rows  []choice
	Count int
}

// choice is something to tick.
type choice struct {
	Value, Label string
	Note         string
	Archived     bool
	Ticked       bool
}

func newChoices(catalog *audit.Catalog) (choices, error) {
	c := choices{catalog: catalog, byName: map[string][]audit.Action{}}
	groups := catalog.Groups()
	codes := map[string]int{}
	for _, g := range groups {
		for _, row := range g.Rows {
			codes[row.Code]++
		}
	}
	for _, g := range groups {
		group := choiceGroup{Type: g.Type, Name: visible(capital(g.Noun), false)}
		for _, row := range g.Rows {
			name := row.Code
			if codes[name] > 1 { // as Clockify's for both updates of a task
				name = row.Label
			}
			actions, err := catalog.Actions(name)
			if err != nil {
				return choices{}, err
			}
			c.byName[name] = actions
			c.order = append(c.order, name)
			group.Rows = append(group.Rows, choice{Value: name, Label: visible(row.Label, false)})
		}
		c.groups = append(c.groups, group)
	}
	return c, nil
}

// actions are what the names stand for.
func (c choices) actions(names []string) ([]audit.Action, error) {
	var found []audit.Action
	var others []string
	for _, name := range names {
		if actions, ok := c.byName[name]; ok {
			found = append(found, actions...)
		} else {
			others = append(others, name)
		}
	}
	more, err := c.catalog.Actions(others...)
	return append(found, more...), err
}

// sorted are the actions in the one order in which a form that asks for them
// names them: first those without a choice.
func (c choices) sorted(actions []audit.Action) []audit.Action {
	names, sorted := c.names(actions)
	for _, name := range names {
		sorted = append(sorted, c.byName[name]...)
	}
	return sorted
}

// names are the choices that stand for actions, and those actions for which
// there is no choice.
func (c choices) names(actions []audit.Action) (names []string, rest []audit.Action) {
	left := map[string]audit.Action{}
	for _, a := range actions {
		left[actionKey(a)] = a
	}
	used := map[string]bool{}
	for _, name := range c.order {
		of := c.byName[name]
		if !slices.ContainsFunc(of, func(a audit.Action) bool { _, there := left[actionKey(a)]; return !there }) {
			names = append(names, name)
			for _, a := range of {
				used[actionKey(a)] = true
			}
		}
	}
	for _, a := range actions {
		if key := actionKey(a); !used[key] {
			used[key] = true
			rest = append(rest, a)
		}
	}
	return names, rest
}

// actionKey is the same for actions that ask for the same.
func actionKey(a audit.Action) string {
	origins := make([]string, len(a.Origins))
	for i, o := range a.Origins {
		origins[i] = string(o)
	}
	slices.Sort(origins)
	return strings.Join(append([]string{string(a.Type), string(a.Operation), string(a.Ownership)}, origins...), "\x00")
}

// ticked are the groups with those names ticked.
func (c choices) ticked(names []string) []choiceGroup {
	groups := slices.Clone(c.groups)
	for i := range groups {
		g := &groups[i]
		g.Rows = slices.Clone(g.Rows)
		for j := range g.Rows {
			if g.Rows[j].Ticked = contains(names, g.Rows[j].Value); g.Rows[j].Ticked {
				g.Count++
			}
		}
	}
	return groups
}
