package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
)

// What an event may cost the program itself.
const (
	maxCPU    = 3  // microseconds
	maxAllocs = 20 // allocations
)

const howOwn = `CPU and allocations for each event: what the database answers was recorded once and is played back by a driver
that does nothing else. From GORM with hooks, and from GORM alone, is subtracted what database/sql takes for the
same statements without GORM; "ours" is how much more of that there is with hooks, "with database/sql" how much
more there is if nothing is subtracted. The garbage collector is not in the time: the allocations stand for it.
All figures are the least of the turns, since others on the machine only add to them.`

// cost is what something takes of the machine.
type cost struct {
	cpu    float64 // microseconds, without those of the garbage collector
	allocs float64
}

func (c cost) minus(d cost) cost   { return cost{c.cpu - d.cpu, c.allocs - d.allocs} }
func (c cost) per(events int) cost { return cost{c.cpu / float64(events), c.allocs / float64(events)} }

// side is one of the things that are played in turn.
type side struct {
	track track
	run   func() error
	costs []cost
}

// play runs the side n times. The garbage collector waits meanwhile: when it
// runs, and how long, depends on what else a program keeps alive.
func (s *side) play(t *tape, n int) error {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpuTime()
	err := t.play(s.track, n, s.run)
	used := cpuTime() - start
	runtime.ReadMemStats(&after)
	s.costs = append(s.costs, cost{used.Seconds() * 1e6, float64(after.Mallocs - before.Mallocs)}.per(n))
	return err
}

// least is the least of each figure: whatever else the machine does only adds.
func (s *side) least() cost {
	least := s.costs[0]
	for _, c := range s.costs {
		least = cost{min(least.cpu, c.cpu), min(least.allocs, c.allocs)}
	}
	return least
}

// ownWork are the sides of one operation of one variant: as GORM runs it, and its
// statements by database/sql.
type ownWork struct{ gorm, statements side }

// own is the work without that of database/sql.
func (w *ownWork) own() cost { return w.gorm.least().minus(w.statements.least()) }

// measureOwn measures the program's own work.
func (b *bench) measureOwn(ctx context.Context, size size) (err error) {
	t, err := newTape(b.database)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(t)
	defer func() { err = errors.Join(err, pool.Close()) }()
	bare, err := open(b.database, pool)
	if err != nil {
		return err
	}
	hooked, err := openHooked(b.database, pool)
	if err != nil {
		return err
	}
	fmt.Printf("%s, CPU and allocations\n", b.database.Name)
	out := newTable([]string{"operation", "turns", "statements", "bare", "with hooks", "with database/sql", "allocations", "ours", "allocations"})
	for _, op := range append(single(), bulk()...) {
		variants := []variant{bareEntries(bare), hookEntries(hooked)}
		if op.rows == 1 {
			variants = append(variants, plainEntries(hooked))
		}
		works := make([]ownWork, len(variants))
		for i, v := range variants {
			if works[i], err = b.prepareOwn(ctx, t, pool, op, v); err != nil {
				return err
			}
		}
		n := max(1000/op.rows, 1)
		for turn := range size.turns {
			for k := range works {
				i := (turn + k) % len(works) // nobody always follows the same one
				if err := errors.Join(works[i].gorm.play(t, n), works[i].statements.play(t, n)); err != nil {
					return fmt.Errorf("%s of %s: %w", op.name, variants[i].name(), err)
				}
			}
		}
		for i := range works[1:] {
			b.tellOwn(out, op, variants[i+1], size.turns, &works[0], &works[i+1])
		}
	}
	out.print()
	return nil
}

// prepareOwn runs an operation twice, to warm up and to record it.
func (b *bench) prepareOwn(ctx context.Context, t *tape, pool *sql.DB, op operation, v variant) (w ownWork, err error) {
	ctx = acting(ctx)
	if _, err := b.run(ctx, op, v, 1); err != nil {
		return w, err
	}
	known, err := t.record(func() error {
		_, err := b.run(ctx, op, v, 1)
		return err
	})
	w.gorm = side{track: known, run: func() error { return op.run(ctx, v, 1) }}
	w.statements = side{track: known, run: func() error { return known.byHand(ctx, pool) }}
	return w, err
}

// tellOwn tells how much more a variant is than GORM alone.
func (b *bench) tellOwn(out *table, op operation, v variant, turns int, bare, work *ownWork) {
	alone, with := bare.gorm.least(), work.gorm.least()
	all, ours := with.minus(alone).per(op.rows), work.own().minus(bare.own()).per(op.rows)
	what := fmt.Sprintf("%s, own work: %s of %s", b.database.Name, op.name, v.name())
	cpu, allocs := 0., 0.
	if v.log() != "" {
		cpu, allocs = maxCPU, maxAllocs
	}
	out.row(op.name+" of "+v.name(), strconv.Itoa(turns), fmt.Sprintf("%d, %d alone", len(work.gorm.track), len(bare.gorm.track)), inMicros(alone.cpu), inMicros(with.cpu),
		inMicros(all.cpu), fmt.Sprintf("%.1f", all.allocs),
		b.limits.figure(what+", us of CPU", ours.cpu, cpu)+" us", b.limits.figure(what+", allocations", ours.allocs, allocs))
}

func inMicros(us float64) string { return fmt.Sprintf("%.1f us", us) }
