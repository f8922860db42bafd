package report

import (
	"fmt"
	"slices"

	"github.com/gormtrail/audit"
)

// Scope is what one request may see and do. The zero Scope may do nothing.
type Scope struct {
	// Workspace is the workspace that the request is about. It is required:
	// without one the request is refused.
	Workspace string

	// Actor is who is asking. The page shows the name, and what the request
	// itself does, such as a change of the settings, is recorded with this
	// author. Exports in the background belong to this actor.
	Actor audit.Actor

	// Only limits the request to some records of the workspace. Nil is no limit.
	Only *Only

	// Read lets the request see events.
	Read bool
	// Export lets a request that may read also download what it sees.
	Export bool
	// Administer lets the request see and change the settings of the
	// workspace, which [Options.Settings] keeps.
	Administer bool
}

// Only are the records that a limited [Scope] may see. The zero Only is none,
// so that a list that turned out to be empty shows nothing rather than all.
type Only struct {
	// Types are the entity types all of whose records may be seen.
	Types []audit.EntityType
	// Entities are single records that may be seen, by type and id, up to a
	// thousand. They cannot be combined with Types: a filter cannot ask for one
	// or the other.
	Entities []audit.Entity
}

// maxOnly is how many elements a limit may have, as those of a filter.
const maxOnly = 1000

// validate returns an error for a scope that the host made by mistake.
func (s Scope) validate() error {
	switch {
	case s.Workspace == "":
		return fmt.Errorf("report: Authorize returned a Scope without a Workspace; name the one that the request may see")
	case s.Only == nil:
		return nil
	case len(s.Only.Types) > 0 && len(s.Only.Entities) > 0:
		return fmt.Errorf("report: Authorize returned an Only with Types and Entities; use one of them")
	case len(s.Only.Types) > maxOnly || len(s.Only.Entities) > maxOnly:
		return fmt.Errorf("report: Authorize returned an Only with more than %d elements", maxOnly)
	}
	return nil
}

// apply limits a filter to what the scope may see. It is the one way by which
// filters reach the store. It reports false if nothing can be left.
func (s Scope) apply(f audit.Filter) (audit.Filter, bool) {
	f.Workspace = s.Workspace
	if s.Only == nil {
		return f, true
	}
	if len(s.Only.Types) > 0 {
		f.Types = intersect(f.Types, s.Only.Types, func(a, b audit.EntityType) bool { return a == b })
		return f, len(f.Types) > 0
	}
	f.Entities = intersect(f.Entities, s.Only.Entities, sameRecord)
	return f, len(f.Entities) > 0
}

// covers reports whether the scope may see all that a filter finds, which was
// limited by what the scope was then.
func (s Scope) covers(f audit.Filter) bool {
	if f.Workspace != s.Workspace {
		return false
	}
	if s.Only == nil {
		return true
	}
	limited, any := s.apply(f)
	return any && len(limited.Types) == len(f.Types) && len(limited.Entities) == len(f.Entities)
}

func sameRecord(a, b audit.Entity) bool { return a.Type == b.Type && a.ID == b.ID }

// intersect are the wanted elements that are allowed; all that are allowed if
// none are wanted in particular.
func intersect[T any](wanted, allowed []T, same func(a, b T) bool) []T {
	if len(wanted) == 0 {
		return allowed
	}
	var both []T
	for _, w := range wanted {
		if slices.ContainsFunc(allowed, func(a T) bool { return same(a, w) }) {
			both = append(both, w)
		}
	}
	return both
}
