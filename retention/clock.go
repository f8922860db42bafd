package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gormtrail/audit"
)

// ErrClock is returned if the clock seems to have jumped ahead, so that events would
// be deleted too early. Nothing is deleted. Three things are compared:
//
//   - The store's own clock, if it is an audit.Timekeeper: the program's may be
//     ahead of it by Config.MaxSkew. On SQLite that is the same clock.
//   - The newest event of the log, in any of the workspaces: it may be Config.MaxGap
//     ago.
//   - The newest purge that the log tells of, likewise: after a jump, writers may
//     have recorded by the wrong clock already, but a purge not.
//
// What none of them shows is a jump of less than MaxGap on all machines at once, and
// one that a first purge meets. A clock that is behind does no harm: more is kept.
var ErrClock = errors.New("retention: the clock seems to have jumped ahead")

// checkClock returns an error that wraps [ErrClock] if now cannot be believed.
func (k *Keeper) checkClock(ctx context.Context, now time.Time, workspaces []string) error {
	if keeper, ok := k.store.(audit.Timekeeper); ok && k.cfg.MaxSkew >= 0 {
		theirs, err := keeper.Time(ctx)
		if err != nil {
			return fmt.Errorf("retention: compare the clocks: %w", err)
		}
		if now.Sub(theirs) > k.cfg.MaxSkew {
			return fmt.Errorf("%w: it shows %s, the store's shows %s; set them right, or Config.MaxSkew", ErrClock, text(now), text(theirs))
		}
	}
	if k.cfg.MaxGap < 0 {
		return nil
	}
	var event, purge time.Time
	for _, workspace := range workspaces {
		// What is ahead of the clock says nothing about it.
		f := audit.Filter{Workspace: workspace, To: now.Add(time.Microsecond)}
		if err := k.newest(ctx, f, &event); err != nil {
			return err
		}
		f.Entities = []audit.Entity{{Type: audit.TypeLog, ID: "*"}}
		f.Actions = []audit.Action{{Operation: audit.Purged}}
		if err := k.newest(ctx, f, &purge); err != nil {
			return err
		}
		if now.Sub(event) <= k.cfg.MaxGap && now.Sub(purge) <= k.cfg.MaxGap {
			return nil
		}
	}
	for _, last := range []struct {
		what string
		time time.Time
	}{{"event", event}, {"purge", purge}} {
		if !last.time.IsZero() && now.Sub(last.time) > k.cfg.MaxGap {
			return fmt.Errorf("%w: it shows %s, the newest %s of the log is of %s; if nothing was recorded or purged for so long, set Config.MaxGap",
				ErrClock, text(now), last.what, text(last.time))
		}
	}
	return nil
}

// newest sets at to the time of the newest event that f finds, if that is later.
func (k *Keeper) newest(ctx context.Context, f audit.Filter, at *time.Time) error {
	events, err := k.store.List(ctx, f, audit.Position{}, 1)
	if err != nil {
		return fmt.Errorf("retention: look for the newest event of workspace %q: %w", f.Workspace, err)
	}
	if len(events) > 0 && events[0].Time.After(*at) {
		*at = events[0].Time
	}
	return nil
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339) }
