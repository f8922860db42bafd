package sqlstore

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/gormtrail/audit"
)

// Switches are [audit.Switches], which [Settings] keep.
type Switches = audit.Switches

// clone shares no memory with s.
func clone(s Switches) Switches {
	return Switches{Enabled: s.Enabled, Types: maps.Clone(s.Types)}
}

// typesOn are the types whose switches are on, sorted.
func typesOn(s Switches) []audit.EntityType {
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

func encodeSwitches(s Switches) (string, error) {
	text, err := json.Marshal(switchesJSON{Enabled: s.Enabled, Types: typesOn(s)})
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

// createdSwitches are the changes of the first event of a workspace's settings: every
// switch that is on, and the master switch.
func createdSwitches(s Switches) []audit.Change {
	changes := []audit.Change{{Field: "enabled", After: position(s.Enabled)}}
	for _, t := range typesOn(s) {
		changes = append(changes, audit.Change{Field: "type." + string(t), After: position(true)})
	}
	return changes
}

// turned are the switches that differ.
func turned(s, next Switches) []audit.Change {
	var changes []audit.Change
	compare := func(field string, before, after bool) {
		if before != after {
			changes = append(changes, audit.Change{Field: field, Before: position(before), After: position(after)})
		}
	}
	compare("enabled", s.Enabled, next.Enabled)
	types := append(typesOn(s), typesOn(next)...)
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
