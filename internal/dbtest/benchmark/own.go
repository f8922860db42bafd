package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
)

// What an event may cost the program itself.
const (
	maxCPU    = 3  // microseconds
	maxAllocs = 20 // allocations
)

const howOwn = `CPU and allocations of the program for each event. What the database answers was recorded once and is played back by a driver that does
nothing else. From GORM with hooks, and from GORM alone, is subtracted what database/sql takes for the same statements without GORM; "ours" is
how much more of that there is with hooks. "with database/sql" is how much more there is if nothing is subtracted. The garbage collector is not
in the time: the allocations stand for it.`

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

// ownWork are the sides of one operation of one variant: as GORM runs it, and its
// statements by database/sql.
type ownWork struct{ gorm, statements side }

// median is the median of a figure over all turns. What is compared was measured
// in the same turn.
func median(turns int, figure func(turn int) cost) cost {
	cpu, allocs := make([]float64, turns), make([]float64, turns)
	for i := range turns {
		c := figure(i)
		cpu[i], allocs[i] = c.cpu, c.allocs
	}
	slices.Sort(cpu)
	slices.Sort(allocs)
	return cost{cpu[turns/2], allocs[turns/2]}
}

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
	fmt.Printf("%s: %s\n", b.database.Name, howOwn)
	out := newTable([]string{"operation", "turns", "bare", "with hooks", "with database/sql", "allocations", "ours", "allocations"})
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
		n := max(50/op.rows, 1)
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
	alone := median(turns, func(i int) cost { return bare.gorm.costs[i] })
	with := median(turns, func(i int) cost { return work.gorm.costs[i] })
	all := median(turns, func(i int) cost { return work.gorm.costs[i].minus(bare.gorm.costs[i]).per(op.rows) })
	ours := median(turns, func(i int) cost {
		own := func(w *ownWork) cost { return w.gorm.costs[i].minus(w.statements.costs[i]) }
		return own(work).minus(own(bare)).per(op.rows)
	})
	what := fmt.Sprintf("%s, own work: %s of %s", b.database.Name, op.name, v.name())
	cpu, allocs := 0., 0.
	if v.log() != "" {
		cpu, allocs = maxCPU, maxAllocs
	}
	out.row(op.name+" of "+v.name(), strconv.Itoa(turns), inMicros(alone.cpu), inMicros(with.cpu),
		inMicros(all.cpu), fmt.Sprintf("%.1f", all.allocs),
		b.limits.figure(what+", us of CPU", ours.cpu, cpu)+" us", b.limits.figure(what+", allocations", ours.allocs, allocs))
}

func inMicros(us float64) string { return fmt.Sprintf("%.1f us", us) }
