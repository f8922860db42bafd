package audit

// Switches are what one workspace records: those types that are on, as long as
// the workspace is enabled. The zero Switches record nothing (Clockify, Audit
// log: it is off until an admin turns it on). They are what persistent settings
// keep and what the report page shows; [Switch] is a [Gate] in memory.
type Switches struct {
	// Enabled is the master switch.
	Enabled bool
	// Types are the switches of the entity types. A missing one is off.
	Types map[EntityType]bool
}

// Turn turns the switches of entity types.
func (s *Switches) Turn(on bool, types ...EntityType) {
	if s.Types == nil {
		s.Types = make(map[EntityType]bool, len(types))
	}
	for _, t := range types {
		s.Types[t] = on
	}
}

// Records reports whether events of the type are recorded.
func (s Switches) Records(t EntityType) bool { return s.Enabled && s.Types[t] }
