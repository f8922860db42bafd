package sqlstore

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/gormtrail/audit"
)

// Switches are what one workspace records: those types that are on, as long as
// the workspace is enabled. The zero Switches record nothing (Clockify, Audit
// log: it is off until an admin turns it on).
type Switches struct {
	// Enabled is the master switch.
	Enabled bool
	// Types are the switches of the entity types. A missing one is off.
	Types map[audit.EntityType]bool
}

// Turn turns the switches of entity types.
func (s *Switches) Turn(on bool, types ...audit.EntityType) {
	if s.Types == nil {
		s.Types = make(map[audit.EntityType]bool, len(types))
	}
	for _, t := range types {
		s.Types[t] = on
	}
}

// Records reports whether events of the type are recorded.
func (s Switches) Records(t audit.EntityType) bool { return s.Enabled && s.Types[t] }

// clone shares no memory with s.
func (s Switches) clone() Switches {
	return Switches{Enabled: s.Enabled, Types: maps.Clone(s.Types)}
}

// on are the types whose switches are on, sorted.
func (s Switches) on() []audit.EntityType {
	var types []audit.EntityType
	for t, on := range s.Types {
		if on {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return types
}

// switchesJSON is how Switches are stored.
type switchesJSON struct {
	Enabled bool               `json:"enabled"`
	Types   []audit.EntityType `json:"types,omitempty"`
}

func (s Switches) encode() (string, error) {
	text, err := json.Marshal(switchesJSON{Enabled: s.Enabled, Types: s.on()})
	return string(text), err
}

func decodeSwitches(text []byte) (Switches, error) {
	var j switchesJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return Switches{}, err
	}
	s := Switches{Enabled: j.Enabled}
	s.Turn(true, j.Types...)
	return s, nil
}

// created are the changes of the first event of a workspace's settings: every
// switch that is on, and the master switch.
func (s Switches) created() []audit.Change {
	changes := []audit.Change{{Field: "enabled", After: position(s.Enabled)}}
	for _, t := range s.on() {
		changes = append(changes, audit.Change{Field: "type." + string(t), After: position(true)})
	}
	return changes
}

// changes are the switches that differ.
func (s Switches) changes(next Switches) []audit.Change {
	var changes []audit.Change
	compare := func(field string, before, after bool) {
		if before != after {
			changes = append(changes, audit.Change{Field: field, Before: position(before), After: position(after)})
		}
	}
	compare("enabled", s.Enabled, next.Enabled)
	types := append(s.on(), next.on()...)
	slices.Sort(types)
	for _, t := range slices.Compact(types) {
		compare("type."+string(t), s.Types[t], next.Types[t])
	}
	return changes
}

// position is a switch's position as a value.
func position(on bool) audit.Value {
	if on {
		return audit.Value{JSON: json.RawMessage("true")}
	}
	return audit.Value{JSON: json.RawMessage("false")}
}
