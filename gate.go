package audit

import (
	"context"
	"maps"
	"sync/atomic"
)

// Gate decides what is recorded. It is asked once per workspace and entity
// type of a statement, on the path of every write: it must answer from memory
// nearly always, and it may answer differently from one moment to the next.
//
// A Gate is safe for use by several goroutines at once.
type Gate interface {
	// Records reports whether events of the type are recorded in the
	// workspace. If it has to look into the database it uses tx, which is the
	// connection of the statement at hand and must not be kept: a second
	// connection might never come free. tx is nil outside of a statement.
	//
	// An error makes the change fail; it is never taken for a "no".
	Records(ctx context.Context, tx DBTX, workspace string, t EntityType) (bool, error)
}

// GateFunc is a function as a [Gate].
type GateFunc func(ctx context.Context, tx DBTX, workspace string, t EntityType) (bool, error)

// Records calls f.
func (f GateFunc) Records(ctx context.Context, tx DBTX, workspace string, t EntityType) (bool, error) {
	return f(ctx, tx, workspace, t)
}

// Switch is a [Gate] in memory: a master switch and one switch per entity
// type, for each workspace. The zero Switch records nothing (Clockify, Audit
// log: it is off until an admin turns it on).
//
// Turning something off loses what happens meanwhile for good. A Switch may be
// turned while it is in use; readers take no lock. A Switch must not be copied
// after first use.
type Switch struct {
	state atomic.Pointer[map[string]workspaceSwitch]
}

type workspaceSwitch struct {
	on    bool
	types map[EntityType]bool
}

var _ Gate = (*Switch)(nil)

// Records implements [Gate]: both the workspace and the type must be on.
func (s *Switch) Records(_ context.Context, _ DBTX, workspace string, t EntityType) (bool, error) {
	m := s.state.Load()
	if m == nil {
		return false, nil
	}
	w := (*m)[workspace]
	return w.on && w.types[t], nil
}

// Set turns the master switch of a workspace. Its types keep their positions.
func (s *Switch) Set(workspace string, on bool) {
	s.change(workspace, func(w *workspaceSwitch) { w.on = on })
}

// SetType turns the switch of entity types in a workspace.
func (s *Switch) SetType(workspace string, on bool, types ...EntityType) {
	s.change(workspace, func(w *workspaceSwitch) {
		w.types = maps.Clone(w.types)
		if w.types == nil {
			w.types = make(map[EntityType]bool, len(types))
		}
		for _, t := range types {
			w.types[t] = on
		}
	})
}

// change replaces the whole state, so that readers never wait.
func (s *Switch) change(workspace string, set func(*workspaceSwitch)) {
	for {
		old := s.state.Load()
		next := map[string]workspaceSwitch{}
		if old != nil {
			next = maps.Clone(*old)
		}
		w := next[workspace]
		set(&w)
		next[workspace] = w
		if s.state.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Gated reports whether a [Gate] is asked: without one everything is recorded.
func (r *Recorder) Gated() bool { return r.cfg.Gate != nil }
