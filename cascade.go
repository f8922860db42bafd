package audit

// Cascade is a rule: when a parent changes, its children show something else,
// and each of them gets an event of its own that names the parent's event as
// its cause (Clockify, Audit log: a renamed project updates its time entries).
//
// A Cascade holds no state and may be used by several goroutines at once.
// Package hooks finds the children in the database; other programs call
// [Cascade.Derive] themselves.
type Cascade struct {
	// Parent and Child are the entity types that the rule joins.
	Parent, Child EntityType
	// Field is the child's field that refers to the parent: a foreign key or
	// the name of a many-to-many relation.
	Field string
	// Element tells that Field is a many-to-many relation.
	Element bool
	// On are the parent's fields whose change children show. The parent's
	// label and its deletion count always.
	On []string
}

// Follows returns the changes that a parent's event makes a child show, none
// if the child shows what it showed before. Label is the name of the parent's
// field that holds its label; empty if it has none.
//
// A renamed parent gives the child one change of Field with equal values and
// differing labels; a deleted one a change from the parent's label to no label;
// a restored one the other way round. Another field of the parent, named by
// On, gives a change whose field is written "field.parentfield".
func (c Cascade) Follows(parent Event, label string) []Change {
	ref := AppendJSONString(nil, parent.Entity.ID)
	switch parent.Operation {
	case Deleted:
		return []Change{{Field: c.Field, Element: c.Element, Before: Value{JSON: ref, Label: parent.Entity.Label}, After: Value{JSON: ref}}}
	case Restored:
		return []Change{{Field: c.Field, Element: c.Element, Before: Value{JSON: ref}, After: Value{JSON: ref, Label: parent.Entity.Label}}}
	case Created:
		return nil
	}
	var changes []Change
	for _, p := range parent.Changes {
		if label != "" && p.Field == label {
			if p.Before.Text() == p.After.Text() {
				continue // withheld, or null that became empty
			}
			changes = append(changes, Change{
				Field: c.Field, Element: c.Element,
				Before: Value{JSON: ref, Label: p.Before.Text()}, After: Value{JSON: ref, Label: p.After.Text()},
			})
			continue
		}
		for _, on := range c.On {
			if p.Field == on {
				p.Field, p.Element = c.Field+"."+on, false
				changes = append(changes, p)
			}
		}
	}
	return changes
}

// Derive returns the event of a child whose own row did not change: derived, by
// [System], with the parent's event as its cause, its initiator kept, in the
// same workspace and change set. [Recorder.Stamp] completes it.
func (c Cascade) Derive(parent Event, child Entity, changes []Change) Event {
	initiator := parent.Initiator
	if initiator.IsZero() && !parent.Actor.Same(System) {
		initiator = parent.Actor
	}
	child.Type = c.Child
	return Event{
		Workspace: parent.Workspace,
		Actor:     System,
		Initiator: initiator,
		Operation: Updated,
		Origin:    parent.Origin,
		Entity:    child,
		Changes:   changes,
		Cause:     parent.ID,
		Derived:   true,
		ChangeSet: parent.ChangeSet,
		Request:   parent.Request,
		Reason:    parent.Reason,
	}
}
