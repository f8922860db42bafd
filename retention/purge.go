package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
)

// The size of a batch follows from how long the one before took: a quarter of what
// a statement may take is aimed at, 200 ms, since some take longer than others.
const (
	firstBatch = 100
	minBatch   = 10
	maxBatch   = audit.MaxPageSize
	aim        = 50 * time.Millisecond
)

// maxTries bounds how often a batch is tried of which others delete events at the
// same time. One of them succeeds each time.
const maxTries = 20

// purge is the work on one workspace.
type purge struct {
	*Keeper
	plan   plan
	now    time.Time
	months bool // events expire by the month
	size   int  // of the next batch
	result *Result
}

// run goes from the newest expired event to the oldest, month by month, so that no
// statement looks at more than a month of a workspace.
func (p *purge) run(ctx context.Context) error {
	if p.plan.held {
		return nil
	}
	bounds := p.plan.bounds(p.now, p.months)
	for to := bounds.latest(); !to.IsZero(); { // which would be no bound
		last, err := p.store.List(ctx, audit.Filter{Workspace: p.plan.workspace, To: to}, audit.Position{}, 1)
		if err != nil || len(last) == 0 {
			return err
		}
		at := last[0].Time
		if !at.Before(to) {
			return fmt.Errorf("the store finds an event of %s before %s", at.Format(time.RFC3339), to.Format(time.RFC3339))
		}
		f := p.plan.window(bounds, at)
		if err := p.window(ctx, f); err != nil {
			return err
		}
		to = f.From
	}
	return nil
}

// window deletes what f finds, after it was archived.
func (p *purge) window(ctx context.Context, f audit.Filter) error {
	expired := audit.Query(ctx, p.store, f)
	var archives []archive.Manifest
	if p.cfg.Archive != nil {
		next, stop := iter.Pull2(expired)
		_, err, some := next()
		stop()
		if err != nil || !some {
			return err
		}
		if expired, archives, err = p.archived(ctx, f, expired); err != nil {
			return err
		}
	}
	batch := make([]audit.Event, 0, maxBatch)
	for e, err := range expired {
		if err != nil {
			return err
		}
		if batch = append(batch, e); len(batch) < p.size {
			continue
		}
		if err := p.delete(ctx, f, batch, archives); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return p.delete(ctx, f, batch, archives)
}

// archived are those of the expired events that are in archives, after they were
// archived, and these archives. What came since is not in there, and stays.
func (p *purge) archived(ctx context.Context, f audit.Filter, expired iter.Seq2[audit.Event, error]) (iter.Seq2[audit.Event, error], []archive.Manifest, error) {
	archives, err := p.archive(ctx, f, expired)
	if errors.Is(err, fs.ErrExist) { // perhaps another Keeper has just archived the same
		archives, err = p.archive(ctx, f, expired)
	}
	return p.compared(ctx, f, expired, true), archives, err
}

// archive makes sure that the expired events are in archives, which it verifies, and
// returns these.
func (p *purge) archive(ctx context.Context, f audit.Filter, expired iter.Seq2[audit.Event, error]) ([]archive.Manifest, error) {
	written, err := p.cfg.Archive.Write(ctx, archive.Request{
		Workspace: f.Workspace, From: f.From, To: f.To, CSV: p.cfg.CSV,
		Events: p.compared(ctx, f, expired, false),
	})
	if err != nil {
		return nil, err
	}
	if written.Events > 0 {
		p.result.Archives = append(p.result.Archives, written)
	}
	archives, err := p.cfg.Archive.Manifests(ctx, f.Workspace, f.From, f.To)
	if err != nil {
		return nil, err
	}
	for _, m := range archives {
		if m.Name() == written.Name() { // was verified when it was written
			continue
		}
		if err := p.cfg.Archive.Verify(ctx, m); err != nil {
			return nil, err
		}
	}
	return archives, nil
}

// compared are those of the expired events that are in archives, or that are not.
// An event that is there with another content is an error.
func (p *purge) compared(ctx context.Context, f audit.Filter, expired iter.Seq2[audit.Event, error], archived bool) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		next, stop := iter.Pull2(audit.Query(ctx, p.cfg.Archive, audit.Filter{Workspace: f.Workspace, From: f.From, To: f.To}))
		defer stop()
		kept, err, some := next()
		for e, failed := range expired {
			if failed != nil {
				yield(audit.Event{}, failed)
				return
			}
			for err == nil && some && kept.Position().Compare(e.Position()) < 0 {
				kept, err, some = next()
			}
			if err != nil {
				yield(audit.Event{}, err)
				return
			}
			there := some && kept.Position().Compare(e.Position()) == 0
			if there && !archive.Equal(kept, e) {
				yield(audit.Event{}, fmt.Errorf("%w: event %s of workspace %q has another content in the archive of %s than in the store",
					archive.ErrDamaged, e.ID, f.Workspace, f.From.Format("2006-01")))
				return
			}
			if there == archived && !yield(e, nil) {
				return
			}
		}
	}
}

// delete deletes a batch and tells of it, and rests.
func (p *purge) delete(ctx context.Context, f audit.Filter, batch []audit.Event, archives []archive.Manifest) error {
	for range maxTries {
		var err error
		if batch, err = p.unheld(ctx, batch); err != nil || len(batch) == 0 {
			return err
		}
		begin := p.cfg.Now()
		err = p.deleteOnce(ctx, f, batch, archives)
		took := p.cfg.Now().Sub(begin)
		if errors.Is(err, audit.ErrMissing) { // another Keeper was faster
			if batch, err = p.remaining(ctx, f, batch); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		p.result.Events += len(batch)
		p.size = nextSize(p.size, took)
		return wait(ctx, time.Duration(float64(took)*(1-p.cfg.Share)/p.cfg.Share))
	}
	return fmt.Errorf("somebody else deletes the same events: %w", audit.ErrMissing)
}

// unheld are those of a batch that no hold keeps for which the filter had no room, or
// which was set since the purge began: one that works through years may take days.
func (p *purge) unheld(ctx context.Context, batch []audit.Event) ([]audit.Event, error) {
	if p.cfg.Holds == nil && len(p.plan.more) == 0 || len(batch) == 0 {
		return batch, nil
	}
	holds, err := p.holds(ctx)
	if err != nil {
		return nil, err
	}
	now := p.cfg.Policy.plan(p.plan.workspace, holds)
	return slices.DeleteFunc(batch, now.holdsBack), nil
}

func (p *purge) deleteOnce(ctx context.Context, f audit.Filter, batch []audit.Event, archives []archive.Manifest) error {
	ids := make([]uuid.UUID, len(batch))
	for i, e := range batch {
		ids[i] = e.ID
	}
	var gone span
	for _, e := range batch {
		gone.add(e)
	}
	tell := []audit.Event{purged(f.Workspace, gone, archives)}
	if audit.ActorFrom(ctx).IsZero() {
		tell[0].Actor = audit.System
	}
	if err := p.rec.Stamp(ctx, tell); err != nil {
		return err
	}
	err := p.purger.Purge(ctx, audit.PurgeBatch{Workspace: f.Workspace, From: f.From, To: f.To, IDs: ids, Tell: tell})
	if err == nil {
		p.rec.Count(len(tell))
	}
	return err
}

// remaining are those of a batch that are still there.
func (p *purge) remaining(ctx context.Context, f audit.Filter, batch []audit.Event) ([]audit.Event, error) {
	f = audit.Filter{Workspace: f.Workspace, From: f.From, To: f.To}
	for _, e := range batch {
		f.IDs = append(f.IDs, e.ID)
	}
	var left []audit.Event
	for e, err := range audit.Query(ctx, p.store, f) {
		if err != nil {
			return nil, err
		}
		left = append(left, e)
	}
	return left, nil
}

// span is what is told of events that go.
type span struct {
	events         int
	oldest, newest time.Time
}

// add adds the next event; the newest comes first.
func (s *span) add(e audit.Event) {
	if s.events == 0 {
		s.newest = e.Time
	}
	s.oldest = e.Time
	s.events++
}

// purged is the event that tells of others which are gone.
func purged(workspace string, gone span, archives []archive.Manifest) audit.Event {
	e := audit.Event{Workspace: workspace, Operation: audit.Purged, Entity: audit.Entity{Type: audit.TypeLog, ID: "*"}}
	tell := func(field string, value any) {
		text, _ := json.Marshal(value) // of numbers, times and texts
		e.Changes = append(e.Changes, audit.Change{Field: field, After: audit.Value{JSON: text}})
	}
	tell("events", gone.events)
	tell("from", gone.oldest.UTC())
	tell("to", gone.newest.UTC())
	if len(archives) > 0 {
		type file struct {
			Name   string `json:"name"`
			SHA256 string `json:"sha256"`
		}
		files := make([]file, len(archives))
		for i, m := range archives {
			files[i] = file{m.Data.Name, m.Data.SHA256}
		}
		tell("archive", files)
	}
	return e
}

// nextSize is the size of the batch that follows one that took so long.
func nextSize(size int, took time.Duration) int {
	next := 2 * size
	if took > 0 {
		next = min(next, max(size/2, int(float64(size)*float64(aim)/float64(took))))
	}
	return min(max(next, minBatch), maxBatch)
}
