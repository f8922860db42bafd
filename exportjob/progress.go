package exportjob

import (
	"context"
	"time"

	"github.com/gormtrail/audit"
)

// percent is how much of the time from the oldest event to the job's bound has
// been read at a position.
func (j Job) percent(oldest, at time.Time) int {
	all, read := j.Bound.Sub(oldest), j.Bound.Sub(at)
	if oldest.IsZero() || all <= 0 || read <= 0 {
		return 0
	}
	return min(int(float64(read)/float64(all)*100), 99)
}

// oldest finds about when the workspace's first event within the filter's time
// was, without counting: it asks for the newest event before this and that time,
// some thirty times. It is zero if there is none.
func oldest(ctx context.Context, events audit.Store, f audit.Filter) (time.Time, error) {
	before := func(to time.Time) (time.Time, error) {
		if !f.From.IsZero() && to.Before(f.From) {
			return time.Time{}, nil
		}
		found, err := events.List(ctx, audit.Filter{Workspace: f.Workspace, From: f.From, To: to}, audit.Position{}, 1)
		if err != nil || len(found) == 0 {
			return time.Time{}, err
		}
		return found[0].Time, nil
	}
	at, err := before(f.To)
	if err != nil || at.IsZero() {
		return time.Time{}, err
	}
	// Back in longer and longer steps, past the first event, and then in shorter
	// ones up to it, as exact as a percent is.
	const century = 100 * 365 * 24 * time.Hour
	for step, past := time.Minute, false; ; {
		earlier, err := before(at.Add(-step))
		if err != nil {
			return time.Time{}, err
		}
		if earlier.IsZero() {
			past = true
		} else {
			at = earlier
		}
		switch {
		case past && step > max(time.Second, f.To.Sub(at)/200):
			step /= 2
		case past || step > century:
			return at, nil
		default:
			step *= 2
		}
	}
}
