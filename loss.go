package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// TypeLog is the entity type of what the log tells of itself; see [Lost]. Its
// events are written whatever a [Gate] says. The id of their entity is "*".
const TypeLog EntityType = "audit_log"

// Lost is the operation of an event that tells of others which are missing; see
// [Config.BestEffort]. Its changes are
//
//	events  how many are missing, at least
//	from    when the first of them was lost, and
//	to      the last
//	error   why the last of them was lost, as [ErrorClass] tells it
//
// It is the system's, of the workspace whose events are missing, and has the time
// at which it was written.
const Lost Operation = "lost"

// ErrLost is in the chain of what [Config.OnError] is told of events that are
// missing: their changes went through. Without it the change was refused.
var ErrLost = errors.New("audit: events were lost")

// Stats counts what a [Recorder] has done since it was made.
type Stats struct {
	// Recorded is how many events were handed to the store without an error.
	// Their transactions may have been rolled back since.
	Recorded uint64
	// Refused is how many calls failed with [ErrAuditFailed].
	Refused uint64
	// Lost is how many events are missing of changes that went through, and of
	// attempts. It may count some that are not: of changes that were rolled back
	// later, or that changed nothing. It counts one for each row that a
	// statement changed, and none for what would have followed from that.
	Lost uint64
	// Untold is how many of the lost ones no event of the log tells of yet. It
	// falls to zero as soon as recording works again.
	Untold uint64
}

// losses are what a Recorder knows of events that are missing.
type losses struct {
	recorded, refused, lost, untold atomic.Uint64

	mu      sync.Mutex
	gaps    map[string]gap // by workspace; those that the log does not tell of
	telling sync.Mutex     // held while they are told
}

// gap is some events missing in a workspace.
type gap struct {
	events   uint64
	from, to time.Time
	class    string
}

// and is the gap that covers both.
func (g gap) and(o gap) gap {
	switch {
	case g.events == 0:
		return o
	case o.events == 0:
		return g
	}
	if o.to.Before(g.to) {
		g, o = o, g
	}
	return gap{g.events + o.events, slices.MinFunc([]time.Time{g.from, o.from}, time.Time.Compare), o.to, o.class}
}

// Stats returns the counts. It takes no lock and may be called at any time, for
// example by expvar.Func or a collector of metrics.
func (r *Recorder) Stats() Stats {
	return Stats{
		Recorded: r.losses.recorded.Load(), Refused: r.losses.refused.Load(),
		Lost: r.losses.lost.Load(), Untold: r.losses.untold.Load(),
	}
}

// BestEffort is [Config.BestEffort].
func (r *Recorder) BestEffort() bool { return r.cfg.BestEffort }

// Count counts events that were handed to the store without an error, for those
// who append them in a way of their own, as hooks do.
func (r *Recorder) Count(events int) { r.losses.recorded.Add(uint64(max(events, 0))) }

// Refuse counts and reports an error that makes a call fail; see
// [Config.OnError]. It is for those who append in a way of their own.
func (r *Recorder) Refuse(ctx context.Context, err error) {
	r.losses.refused.Add(1)
	r.report(ctx, err)
}

// Lose counts and reports events that are missing, by workspace, and remembers to
// tell of them in the log. An empty workspace is the context's, else that of
// [Config.Workspace]. It is for those who append in a way of their own; err is why.
func (r *Recorder) Lose(ctx context.Context, events map[string]int, err error) {
	now, total := r.now(), uint64(0)
	r.losses.mu.Lock()
	for workspace, n := range events {
		if n < 1 {
			continue
		}
		if workspace == "" {
			workspace = cmp.Or(WorkspaceFrom(ctx), r.cfg.Workspace)
		}
		if r.losses.gaps == nil {
			r.losses.gaps = map[string]gap{}
		}
		r.losses.gaps[workspace] = r.losses.gaps[workspace].and(gap{uint64(n), now, now, ErrorClass(err)})
		total += uint64(n)
	}
	r.losses.untold.Add(total)
	r.losses.mu.Unlock()
	if total > 0 {
		r.losses.lost.Add(total)
		r.report(ctx, fmt.Errorf("%w: %d of them: %w", ErrLost, total, err))
	}
}

// now is the clock, or the program's own if that is what fails.
func (r *Recorder) now() (now time.Time) {
	defer func() {
		if recover() != nil || now.IsZero() {
			now = time.Now().UTC()
		}
	}()
	return r.cfg.Now().UTC()
}

// report calls the application. What it panics with is not ours to pass on: the
// change is not its matter any more.
func (r *Recorder) report(ctx context.Context, err error) {
	if r.cfg.OnError == nil {
		return
	}
	defer func() { _ = recover() }()
	r.cfg.OnError(ctx, err)
}

// TellLosses writes an event for each workspace of which events are missing that
// the log does not tell of yet; see [Lost]. Hooks call it after a transaction that
// recorded something, and [Recorder.Record] after an event, so an application
// needs it only before it ends. It writes on connections of the store's own: call
// it outside of transactions. It returns nil at once if another is at it.
//
// If it fails, the events stay untold; if it cannot be known whether it failed,
// they may be told of twice.
func (r *Recorder) TellLosses(ctx context.Context) error {
	if r.losses.untold.Load() == 0 || !r.losses.telling.TryLock() {
		return nil
	}
	defer r.losses.telling.Unlock()
	return r.tell(ctx)
}

func (r *Recorder) tell(ctx context.Context) error {
	r.losses.mu.Lock()
	gaps := r.losses.gaps
	r.losses.gaps = nil
	r.losses.mu.Unlock()
	if len(gaps) == 0 {
		return nil
	}
	events := make([]Event, 0, len(gaps))
	for _, workspace := range slices.Sorted(maps.Keys(gaps)) {
		events = append(events, gaps[workspace].event(workspace))
	}
	// What the context carries belongs to somebody else's change.
	err := r.Stamp(context.Background(), events)
	if err == nil {
		err = r.append(ctx, events)
	}
	r.losses.mu.Lock()
	defer r.losses.mu.Unlock()
	for workspace, g := range gaps {
		if err == nil {
			r.losses.untold.Add(-g.events)
			continue
		}
		if r.losses.gaps == nil {
			r.losses.gaps = map[string]gap{}
		}
		r.losses.gaps[workspace] = g.and(r.losses.gaps[workspace])
	}
	return err
}

// event is the event that tells of the gap.
func (g gap) event(workspace string) Event {
	e := Event{Workspace: workspace, Actor: System, Operation: Lost, Entity: Entity{Type: TypeLog, ID: "*"}}
	e.tell("events", g.events)
	e.tell("from", g.from.Truncate(time.Microsecond))
	e.tell("to", g.to.Truncate(time.Microsecond))
	e.tell("error", g.class)
	return e
}

// tell adds a change that tells what the log did: a number, a time or texts.
func (e *Event) tell(field string, value any) {
	b, _ := json.Marshal(value)
	e.Changes = append(e.Changes, Change{Field: field, After: Value{JSON: b}})
}

// patience is how long something is tried that nobody waits for.
const patience = 10 * time.Second

// patient is a context for what has to be written though the caller's ended.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}
