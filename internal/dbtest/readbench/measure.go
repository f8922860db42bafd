package main

import (
	"context"
	"fmt"
)

// ask asks every question of every log, in turn, so that whatever else the
// machine does slows all of them. The first round is not counted.
func ask(ctx context.Context, all []*subject, rounds int) error {
	list := questions()
	for round := -1; round < rounds; round++ {
		for k := range list {
			q := list[(k+round+1)%len(list)] // nobody always follows the same one
			for _, s := range all {
				a, err := q.ask(ctx, s, (round+1)%targets)
				if err != nil {
					return s.wrap(fmt.Errorf("%s: %w", q.name, err))
				}
				if round < 0 {
					continue
				}
				s.times[q.name] = append(s.times[q.name], a.took)
				if a.bytes > 0 {
					s.times[q.name+besides] = append(s.times[q.name+besides], a.took-a.store)
					s.sizes[q.name] = max(s.sizes[q.name], a.bytes)
					s.sent[q.name] = max(s.sent[q.name], a.sent)
				}
			}
		}
	}
	return nil
}

// besides marks what of a report's time was not its store's.
const besides = ", without its store"
