package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
)

// Dropper is an audit.Store that keeps months of events apart from each other, and
// can drop one of them as a whole, as sqlstore does on PostgreSQL. A [Keeper] deletes
// in batches where there is none, and where something of a month is kept.
type Dropper interface {
	// PartitionMonths returns the beginnings of the months (UTC) that are kept
	// apart; none if there are none at the moment.
	PartitionMonths(ctx context.Context) ([]time.Time, error)

	// DropMonth drops all events of a month, and appends those that tell of it, in
	// one transaction: all of it is done or nothing. Before, while nobody can
	// write events of the month, it calls same with each event that is left, of
	// which at least ID, Time and Workspace are set, in any order; if same returns
	// an error, it returns that and drops nothing. It returns audit.ErrMissing if
	// the month is not kept apart any more. It may give up if others use the log,
	// instead of having them wait.
	DropMonth(ctx context.Context, month time.Time, tell []audit.Event, same func(left iter.Seq2[audit.Event, error]) error) error
}

const monthForm = "2006-01"

var (
	// errKept says that a month cannot be dropped as a whole: something of it is
	// kept, or goes wrong, which batches will find and tell.
	errKept = errors.New("something of the month is kept")
	// errChanged says that other events are left than those that may go.
	errChanged = errors.New("others have written or deleted events of the month meanwhile")
)

// months are those that the store keeps apart.
func (k *Keeper) months(ctx context.Context) ([]time.Time, error) {
	d, able := k.store.(Dropper)
	if !able {
		return nil, nil
	}
	months, err := d.PartitionMonths(ctx)
	if err != nil {
		return nil, fmt.Errorf("retention: ask for the months that are kept apart: %w", err)
	}
	return months, nil
}

// whole is a month of which everything has expired.
type whole struct {
	month time.Time
	parts []*purge // of the workspaces that have events in it
	tell  []audit.Event
	set   set
}

// drop drops those months of which nothing is kept. Its error is that of
// Config.Holds.
func (k *Keeper) drop(ctx context.Context, now time.Time, months []time.Time, purges []*purge, result *Result) error {
	for _, month := range months {
		w := &whole{month: month, set: set{seed: maphash.MakeSeed(), of: map[string]sum{}}}
		err := k.dropWhole(ctx, now, w, purges)
		switch {
		case errors.Is(err, errHolds):
			return err
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errKept) || errors.Is(err, audit.ErrMissing): // another Keeper was faster
		case errors.Is(err, errChanged):
			result.Undropped = append(result.Undropped, fmt.Errorf("retention: the events of %s are deleted in batches: %w", month.Format(monthForm), err))
		case err != nil: // it will not be better with the next
			result.Undropped = append(result.Undropped, fmt.Errorf("retention: the events of %s and of later months are deleted in batches: %w", month.Format(monthForm), err))
			return nil
		default:
			result.Dropped = append(result.Dropped, month)
			result.Events += w.set.events()
			k.rec.Count(len(w.tell))
		}
	}
	return nil
}

func (k *Keeper) dropWhole(ctx context.Context, now time.Time, w *whole, purges []*purge) error {
	for _, p := range purges {
		some, err := k.some(ctx, w.all(p))
		if err != nil {
			return errKept
		}
		if !some {
			continue
		}
		if kept, err := p.keeps(ctx, w); err != nil || kept {
			return errKept
		}
		w.parts = append(w.parts, p)
	}
	if len(w.parts) == 0 && !w.month.Before(k.cfg.Policy.plan("", nil).bounds(now, true).other) {
		return errKept // it may have no events yet
	}
	for _, p := range w.parts {
		if err := p.prepare(ctx, w); err != nil {
			return errKept
		}
	}
	if audit.ActorFrom(ctx).IsZero() {
		for i := range w.tell {
			w.tell[i].Actor = audit.System
		}
	}
	if err := k.rec.Stamp(ctx, w.tell); err != nil {
		return err
	}
	if held, err := k.heldSince(ctx, w); err != nil || held {
		return cmp.Or(err, errKept)
	}
	return k.store.(Dropper).DropMonth(ctx, w.month, w.tell, w.set.same)
}

// heldSince reports whether something of the month is kept by a hold that was set
// since the purge began: to archive what came before may have taken hours.
func (k *Keeper) heldSince(ctx context.Context, w *whole) (bool, error) {
	if k.cfg.Holds == nil {
		return false, nil
	}
	holds, err := k.holds(ctx)
	if err != nil {
		return false, err
	}
	for _, p := range w.parts {
		now := *p
		now.plan = k.cfg.Policy.plan(p.plan.workspace, holds)
		if kept, err := now.keeps(ctx, w); err != nil || kept {
			return true, nil
		}
	}
	return false, nil
}

// all is the filter of a workspace's events in the month.
func (w *whole) all(p *purge) audit.Filter {
	return audit.Filter{Workspace: p.plan.workspace, From: w.month, To: w.month.AddDate(0, 1, 0)}
}

// some reports whether there is an event.
func (k *Keeper) some(ctx context.Context, f audit.Filter) (bool, error) {
	events, err := k.store.List(ctx, f, audit.Position{}, 1)
	return len(events) > 0, err
}

// keeps reports whether some of the workspace's events in the month are kept.
func (p *purge) keeps(ctx context.Context, w *whole) (bool, error) {
	bounds := p.plan.bounds(p.now, true)
	if p.plan.held || !w.month.Before(bounds.latest()) {
		return true, nil
	}
	f := p.plan.window(bounds, w.month)
	var kept []audit.Filter
	if len(f.Types) > 0 {
		others := w.all(p)
		others.Except = []audit.Filter{{Types: f.Types}}
		kept = append(kept, others)
	}
	for _, out := range slices.Concat(f.Except, p.plan.more) {
		out.Workspace = p.plan.workspace
		if out.From.Before(w.month) {
			out.From = w.month
		}
		if end := w.month.AddDate(0, 1, 0); out.To.IsZero() || out.To.After(end) {
			out.To = end
		}
		if out.From.Before(out.To) {
			kept = append(kept, out)
		}
	}
	for _, f := range kept {
		if some, err := p.some(ctx, f); err != nil || some {
			return true, err
		}
	}
	return false, nil
}

// prepare archives the workspace's events in the month, takes down which they are, and
// what is to be told of them.
func (p *purge) prepare(ctx context.Context, w *whole) error {
	f := p.plan.window(p.plan.bounds(p.now, true), w.month)
	expired := audit.Query(ctx, p.store, f)
	var archives []archive.Manifest
	if p.cfg.Archive != nil {
		var err error
		if expired, archives, err = p.archived(ctx, f, expired); err != nil {
			return err
		}
	}
	var gone span
	for e, err := range expired {
		if err != nil {
			return err
		}
		gone.add(e)
		w.set.add(e)
	}
	if gone.events > 0 {
		w.tell = append(w.tell, purged(f.Workspace, gone, archives))
	}
	return nil
}

// set tells sets of events apart without keeping them in memory.
type set struct {
	seed maphash.Seed
	of   map[string]sum // by workspace
}

// sum is how many events there are, and the sum of their digests.
type sum struct {
	events int
	digest uint64
}

func (s set) add(e audit.Event) {
	was := s.of[e.Workspace]
	s.of[e.Workspace] = sum{was.events + 1, was.digest + maphash.Comparable(s.seed, struct {
		id   uuid.UUID
		time int64
	}{e.ID, e.Time.UnixMicro()})}
}

func (s set) events() (n int) {
	for _, of := range s.of {
		n += of.events
	}
	return n
}

// same returns an error if the events are not those of the set: errKept if one is of a
// workspace that has none in it.
func (s set) same(left iter.Seq2[audit.Event, error]) error {
	there := set{s.seed, map[string]sum{}}
	for e, err := range left {
		if err != nil {
			return err
		}
		if s.of[e.Workspace].events == 0 {
			return errKept
		}
		if there.add(e); there.of[e.Workspace].events > s.of[e.Workspace].events {
			return errChanged
		}
	}
	if !maps.Equal(there.of, s.of) {
		return errChanged
	}
	return nil
}
