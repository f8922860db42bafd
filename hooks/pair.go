package hooks

import (
	"context"
	"fmt"
	"slices"
)

// finish reads the new images, if that was not done yet, and hands the changes
// to the unit. It runs after GORM's own part, with the statement's connection
// put back.
func (c *capture) finish(ctx context.Context) (err error) {
	defer recovered(&err)
	if !c.ran || c.recorded {
		return nil
	}
	if c.kind != inserting && !c.complete && c.db.Error == nil && c.db.RowsAffected > int64(len(c.before)) {
		return errRowsMoved(c.table.name)
	}
	switch {
	case c.kind == deleting:
		if err := c.checkGone(ctx); err != nil {
			return err
		}
	case c.complete:
		if c.kind == inserting && c.mayConflict() {
			err = c.settleUpsert()
		}
		if c.itself { // it has returned rows as they were before they followed
			c.after, err = c.selectKeys(ctx, c.after)
		}
	case c.keys != nil:
		if c.after, err = c.selectByKeys(ctx, c.keys); err == nil {
			err = c.settleUpsert()
		}
	case c.kind == inserting:
		c.after, err = c.selectInserted(ctx)
	default:
		c.after, err = c.selectUpdated(ctx)
	}
	if err != nil {
		return err
	}
	pairs, err := c.pairs()
	if err != nil {
		return err
	}
	if c.table.join != nil {
		if err := c.unit.addElements(ctx, c.table.join, c.layout, pairs, causeless); err != nil {
			return err
		}
		return c.addFurther(ctx, pairs)
	}
	c.unit.events = slices.Grow(c.unit.events, len(pairs))
	for _, p := range pairs {
		if err := c.unit.addRow(ctx, c.table.entity, c.layout, p, 0); err != nil {
			return err
		}
	}
	return c.addFurther(ctx, pairs)
}

// addFurther adds the events of what the database has changed beside the
// statement's own rows.
func (c *capture) addFurther(ctx context.Context, pairs []pair) error {
	if c.kind == updating {
		return c.addFollowing(ctx, c.fallout, pairs, c.layout)
	}
	return c.addFallout(ctx, c.fallout)
}

// checkGone leaves out the rows that a DELETE was asked to remove and did not:
// a trigger or a rule of the database may have kept them.
func (c *capture) checkGone(ctx context.Context) error {
	if c.complete || len(c.before) == 0 || int64(len(c.before)) == c.db.RowsAffected {
		return nil
	}
	left, err := c.selectKeys(ctx, c.before)
	if err != nil {
		return err
	}
	kept := keysOf(left)
	c.leaveOut(func(row image) bool { return kept[row.key] })
	return nil
}

// leaveOut leaves rows out that the statement has not changed. The others are put
// into a list of their own, since fallout refers to the one that was read.
func (c *capture) leaveOut(unchanged func(image) bool) {
	c.before = slices.DeleteFunc(slices.Clone(c.before), unchanged)
}

// selectKeys reads rows again by their primary keys.
func (c *capture) selectKeys(ctx context.Context, rows []image) ([]image, error) {
	values := make([][]any, len(rows))
	for i := range rows {
		values[i] = rows[i].args
	}
	return c.layout.selectAgain(ctx, c.tx, c.assigned, values)
}

// selectUpdated reads the rows of an UPDATE by the keys they had before it.
func (c *capture) selectUpdated(ctx context.Context) ([]image, error) {
	if !c.setsKey() {
		return c.selectKeys(ctx, c.before)
	}
	if len(c.before) > 1 {
		return nil, fmt.Errorf("an UPDATE of the primary key of several rows of table %q cannot be followed on this database; change them one by one", c.table.name)
	}
	moved := slices.Clone(c.before)
	for i := range moved {
		moved[i].args = slices.Clone(moved[i].args)
		for _, a := range c.assigned.set {
			if k := slices.Index(c.table.keys, a.Column.Name); k >= 0 {
				if !isPlain(a.Value) {
					return nil, fmt.Errorf("an UPDATE that computes the primary key of table %q cannot be followed on this database", c.table.name)
				}
				moved[i].args[k] = a.Value
			}
		}
	}
	return c.selectKeys(ctx, moved)
}

// pair is a row before and after; one of them is nil where it did not exist.
type pair struct{ before, after *image }

// pairs joins the images of the same row. A row that appears after an UPDATE
// without having been there before was committed by somebody else between the
// two: its old values are not known, and it must not pass for a new row.
func (c *capture) pairs() ([]pair, error) {
	pairs := slices.Grow(c.one[:0], max(len(c.before), len(c.after)))
	if c.joined {
		for i := range c.before {
			pairs = append(pairs, pair{&c.before[i], &c.after[i]})
		}
		return pairs, nil
	}
	if c.kind == updating && len(c.before) == 1 && len(c.after) == 1 && (c.setsKey() || c.before[0].key == c.after[0].key) {
		return append(pairs, pair{&c.before[0], &c.after[0]}), nil
	}
	if len(c.before) == 0 {
		if c.kind == updating && len(c.after) > 0 {
			return nil, errRowsMoved(c.table.name)
		}
		for i := range c.after {
			pairs = append(pairs, pair{nil, &c.after[i]})
		}
		return pairs, nil
	}
	after := make(map[string]*image, len(c.after))
	for i := range c.after {
		after[c.after[i].key] = &c.after[i]
	}
	for i := range c.before {
		p := pair{&c.before[i], after[c.before[i].key]}
		delete(after, c.before[i].key)
		pairs = append(pairs, p)
	}
	for i := range c.after {
		if after[c.after[i].key] == nil {
			continue
		}
		if c.kind == updating && !c.setsKey() {
			return nil, errRowsMoved(c.table.name)
		}
		pairs = append(pairs, pair{nil, &c.after[i]})
	}
	return pairs, nil
}

func errRowsMoved(table string) error {
	return fmt.Errorf("rows of table %q were changed by another transaction while the statement ran; try the transaction again", table)
}
