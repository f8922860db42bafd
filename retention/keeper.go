package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
)

// share is the default of Config.Share: of a thousand writes one meets a batch, so
// that the slowest in a hundred take no longer, also while a database still works on
// what was deleted.
const share = 0.001

// Config is how a [Keeper] works. The zero Config, and a nil one, delete events of
// every workspace after a year, without an archive.
type Config struct {
	// Policy says how long events are kept.
	Policy Policy

	// Holds returns further holds, for programs that let people set them; see
	// [Policy.Holds]. It is asked at the beginning of each purge and again before
	// each of its transactions. If it fails, nothing more is deleted. Defaults to
	// none.
	Holds func(ctx context.Context) ([]audit.Filter, error)

	// Archive takes what is deleted. Its files are of whole months (UTC), so that
	// events are deleted when their month has expired: up to 31 days later than
	// the policy allows. So are the parts of a [Dropper] that has any. Nil deletes
	// without an archive, to the microsecond if nothing is dropped as a whole.
	Archive *archive.Store

	// CSV adds a file for people to each archive.
	CSV bool

	// Workspaces are those whose events are purged. Defaults to all that the
	// store has events of; a store that is no audit.WorkspaceLister needs them.
	Workspaces []string

	// Share is the part of the time in which the Keeper deletes, the rest of it
	// being the writers' own: 0 < Share <= 1. Defaults to 0.001, in which some
	// millions of events a day are deleted and one write of a thousand meets a batch,
	// for which those of SQLite wait. A log that grows faster than that needs more;
	// what is far behind, and in nobody's way, is soon done with 1.
	Share float64

	// MaxSkew is how far the program's clock may be ahead of the store's.
	// Defaults to 5 minutes. A negative one turns the comparison off.
	MaxSkew time.Duration

	// MaxGap is how long ago the log's newest event, and its newest purge, may
	// be; see [ErrClock]. Defaults to 45 days. A negative one turns the
	// comparison off, for a log that is hardly written to.
	MaxGap time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	// OnError is told of the errors of Run. Defaults to dropping them. It is
	// called by the goroutine of Run.
	OnError func(error)
}

// validate returns the config with its defaults.
func (c Config) validate() (Config, error) {
	if err := c.Policy.Validate(); err != nil {
		return c, err
	}
	if !(c.Share > 0 && c.Share <= 1) {
		return c, fmt.Errorf("retention: Config.Share is %v, it must be over 0 and at most 1", c.Share)
	}
	if slices.Contains(c.Workspaces, "") {
		return c, errors.New("retention: Config.Workspaces names an empty workspace")
	}
	c.Policy, c.Workspaces = c.Policy.stored(), storedWorkspaces(c.Workspaces)
	slices.Sort(c.Workspaces)
	c.Workspaces = slices.Compact(c.Workspaces)
	if c.MaxSkew == 0 {
		c.MaxSkew = 5 * time.Minute
	}
	if c.MaxGap == 0 {
		c.MaxGap = 45 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Keeper keeps events for as long as a [Policy] says and deletes them then. It is
// safe for use by several goroutines, and several Keepers may work on one store at
// once, in many processes: each event is deleted, and told of, once.
type Keeper struct {
	rec    *audit.Recorder
	store  audit.Store
	purger audit.Purger
	cfg    Config
}

// New returns a Keeper of the recorder's store, whose purges the recorder records.
// A nil cfg is the zero [Config]. It returns an error that wraps [ErrPolicy] for a
// policy that cannot be followed, and errors.ErrUnsupported for a store that is no
// audit.Purger or, without Config.Workspaces, no audit.WorkspaceLister.
func New(rec *audit.Recorder, cfg *Config) (*Keeper, error) {
	if rec == nil {
		return nil, errors.New("retention: New needs a recorder, got nil")
	}
	k := &Keeper{rec: rec, store: rec.Store()}
	if cfg != nil {
		k.cfg = *cfg
	}
	if k.cfg.Share == 0 {
		k.cfg.Share = share
	}
	var err error
	if k.cfg, err = k.cfg.validate(); err != nil {
		return nil, err
	}
	var able bool
	if k.purger, able = k.store.(audit.Purger); !able {
		return nil, fmt.Errorf("retention: a store of type %T cannot delete events: %w", k.store, errors.ErrUnsupported)
	}
	if _, able = k.store.(audit.WorkspaceLister); !able && len(k.cfg.Workspaces) == 0 {
		return nil, fmt.Errorf("retention: a store of type %T does not know its workspaces, set Config.Workspaces: %w", k.store, errors.ErrUnsupported)
	}
	return k, nil
}

// Result is what a purge did.
type Result struct {
	// Events is how many events were deleted.
	Events int
	// Archives are those that were written.
	Archives []archive.Manifest
	// Dropped are the months (UTC) that were dropped as a whole; see [Dropper]. Their
	// events are among Events.
	Dropped []time.Time
	// Undropped tells why events were deleted in batches although their whole month
	// had expired: others held the log for long, or wrote events of that month, or
	// the role may not drop. It is no failure. Run tells it to Config.OnError.
	Undropped []error
}

// Purge deletes, and archives before, what has expired by now. It may be
// interrupted anywhere, by its context, an error or the end of the process: the
// next one goes on where it stopped.
//
// Each transaction that deletes events records one for each of their workspaces that
// tells how many and of what time ([audit.Purged]), by the context's actor, else
// [audit.System]; those of one purge share a change set. They are recorded whatever a gate says, and deleted no
// earlier than any other event of their workspace.
//
// What goes wrong with a workspace's events leaves the rest of them as they are, and
// the other workspaces are gone on with. The error then wraps all that went wrong,
// among them [archive.ErrDamaged] and [archive.ErrNewer]. Nothing at all is deleted
// if it wraps [ErrClock], and nothing more if it wraps [ErrPolicy] for holds or the
// error of Config.Holds, which is asked before each transaction.
func (k *Keeper) Purge(ctx context.Context) (Result, error) {
	var result Result
	now := k.cfg.Now()
	holds, err := k.holds(ctx)
	if err != nil {
		return result, err
	}
	workspaces, err := k.workspaces(ctx)
	if err != nil {
		return result, fmt.Errorf("retention: list workspaces: %w", err)
	}
	if err := k.checkClock(ctx, now, workspaces); err != nil {
		return result, err
	}
	if ctx, err = inOneStory(ctx); err != nil {
		return result, err
	}
	months, err := k.months(ctx)
	if err != nil {
		return result, err
	}
	purges := make([]*purge, len(workspaces))
	for i, workspace := range workspaces {
		byMonth := k.cfg.Archive != nil || len(months) > 0
		purges[i] = &purge{Keeper: k, plan: k.cfg.Policy.plan(workspace, holds), now: now, months: byMonth, size: firstBatch, result: &result}
	}
	if err := k.drop(ctx, now, months, purges, &result); err != nil {
		return result, err
	}
	var failed []error
	for _, p := range purges {
		if ctx.Err() != nil {
			failed = append(failed, ctx.Err())
			break
		}
		if err := p.run(ctx); err != nil {
			failed = append(failed, fmt.Errorf("retention: purge workspace %q: %w", p.plan.workspace, err))
			if errors.Is(err, errHolds) {
				break
			}
		}
	}
	return result, errors.Join(failed...)
}

// inOneStory gives the context a change set if it has none.
func inOneStory(ctx context.Context) (context.Context, error) {
	if audit.ChangeSetFrom(ctx) != uuid.Nil {
		return ctx, nil
	}
	id, err := uuid.NewV7()
	return audit.WithChangeSet(ctx, id), err
}

// Run purges at once and then again and again, until ctx ends; it returns the error
// of ctx then, or at once an error if every is not positive. A purge that fails is
// told to Config.OnError and tried again at its next time.
func (k *Keeper) Run(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		return fmt.Errorf("retention: Run every %s is not possible", every)
	}
	for {
		result, err := k.Purge(ctx)
		if err != nil {
			result.Undropped = append(result.Undropped, err)
		}
		if ctx.Err() == nil && k.cfg.OnError != nil {
			for _, err := range result.Undropped {
				k.cfg.OnError(err)
			}
		}
		if err := wait(ctx, every); err != nil {
			return err
		}
	}
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err() // both may have happened
	}
}

// errHolds is in the chain of every error of Config.Holds, after which nothing more
// is deleted.
var errHolds = errors.New("retention: Config.Holds")

func (k *Keeper) holds(ctx context.Context) ([]audit.Filter, error) {
	if k.cfg.Holds == nil {
		return k.cfg.Policy.Holds, nil
	}
	more, err := k.cfg.Holds(ctx)
	if err == nil {
		err = Policy{Holds: more}.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHolds, err)
	}
	return slices.Concat(k.cfg.Policy.Holds, Policy{Holds: more}.stored().Holds), nil
}

// workspaces are those that are purged.
func (k *Keeper) workspaces(ctx context.Context) ([]string, error) {
	if len(k.cfg.Workspaces) > 0 {
		return k.cfg.Workspaces, nil
	}
	const page = 1000
	var all []string
	for after := ""; ; after = all[len(all)-1] {
		some, err := k.store.(audit.WorkspaceLister).ListWorkspaces(ctx, after, page)
		all = append(all, some...)
		if err != nil || len(some) < page {
			return all, err
		}
	}
}
