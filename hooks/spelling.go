package hooks

import (
	"slices"
	"strings"

	"gorm.io/gorm/clause"
)

// named is the name of a column that a statement may write with its table's or in
// other letters, be it one that is not recorded; empty if the table has none.
func (l *layout) named(name string) string {
	if l.known[name] == name {
		return name // as nearly always
	}
	name, _ = cutLast(name)
	if l.known[name] == name {
		return name
	}
	return l.known[strings.ToLower(name)]
}

// respell makes the columns that a statement sets be known by their own names. What
// the statement says is GORM's, and stays as it is.
func (c *capture) respell() {
	otherwise := func(column clause.Column) bool { return c.layout.named(column.Name) != column.Name }
	if columns := c.values().Columns; c.kind == inserting && slices.ContainsFunc(columns, otherwise) {
		c.respelled = slices.Clone(columns)
		for i := range c.respelled {
			c.respelled[i].Name = c.layout.named(c.respelled[i].Name)
		}
	}
	if slices.ContainsFunc(c.assigned.set, func(a clause.Assignment) bool { return otherwise(a.Column) }) {
		c.assigned.set = slices.Clone(c.assigned.set)
		for i := range c.assigned.set {
			column := &c.assigned.set[i].Column
			column.Name = c.layout.named(column.Name)
		}
	}
}
