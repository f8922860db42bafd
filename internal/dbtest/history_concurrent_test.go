package dbtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// movesPerWriter is how many moves each writer makes before all are compared
// with the truth.
const movesPerWriter = 10

// TestRandomHistoriesOfManyWriters lets two to four writers work on the same
// rows, each of which tries again as an application would. After each round
// the events of all are what row triggers saw, and they go on to rebuild every
// table.
func TestRandomHistoriesOfManyWriters(t *testing.T) {
	if *historyReplay != "" {
		t.Skip("a history that was kept is run instead")
	}
	seed := seedOfHistories(t)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			if name != "sqlite" && omitted("writers") {
				t.Skip("concurrent writers are left out by -history.omit")
			}
			t.Parallel()
			p := newPast(t, name, storeInDatabase, false)
			start := time.Now()
			tries := 0
			for round := uint64(0); p.done < *historyOps/4; round++ {
				if round%roundsPerHistory == 0 {
					require.NoError(t, p.begin())
					require.True(t, p.check(), p.wrong)
				}
				writers := together(rand.New(rand.NewPCG(seed, round)))
				tries += p.round(writers)
				if p.check(); len(p.wrong) == 0 {
					p.wrong = p.rebuilt()
				}
				if len(p.wrong) > 0 {
					for i, moves := range writers {
						t.Logf("writer %d:\n%s", i+1, lines(moves))
					}
					keep(t, name, writers)
					t.Fatalf("round %d:\n%s", round, strings.Join(p.wrong, "\n"))
				}
			}
			t.Logf("%d writes in %s, %d moves were tried again", p.done, time.Since(start).Round(time.Millisecond), tries)
		})
	}
}

// roundsPerHistory is after how many rounds the tables start anew.
const roundsPerHistory = 10

// together draws the moves of several writers.
func together(random *rand.Rand) [][]move {
	writers := make([][]move, 2+random.IntN(3))
	for i := range writers {
		for range movesPerWriter {
			writers[i] = append(writers[i], drawn(random, 0))
		}
	}
	return writers
}

// drawn is one random move.
func drawn(random *rand.Rand, depth int) move {
	pick := func(names []string) string { return names[random.IntN(len(names))] }
	m := move{Do: pick(namesOfWrites())}
	for i := range m.With {
		m.With[i] = random.IntN(10)
	}
	if depth == 0 {
		m.Session = pick(slices.Sorted(maps.Keys(sessions)))
	}
	if depth > 2 || random.IntN(3) > 0 {
		return m
	}
	m = move{Do: savepoint, Undone: random.IntN(4) == 0}
	if depth == 0 {
		m.Do = pick([]string{transaction, byHand})
		m.Session = pick([]string{"", "prepared"})
	}
	for range 1 + random.IntN(4) {
		m.Within = append(m.Within, drawn(random, depth+1))
	}
	return m
}

// round lets writers work at the same time and returns how often they had to
// try again.
func (p *past) round(writers [][]move) (tries int) {
	p.clock.next()
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i, moves := range writers {
		ctx := audit.WithActor(context.Background(), audit.Actor{ID: fmt.Sprint(i + 1)})
		for _, m := range moves {
			p.done += m.writes()
		}
		wait.Go(func() {
			for _, m := range moves {
				more, err := p.persist(ctx, m)
				mu.Lock()
				tries += more
				p.trouble(err)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if n := p.database.SQL().Stats().InUse; n > 0 {
		p.trouble(fmt.Errorf("%d connections did not come back", n))
	}
	truth, err := p.truth()
	p.trouble(err)
	p.truths = append(p.truths, truth)
	return tries
}

// persist makes a move, again and again if another writer was in its way.
func (p *past) persist(ctx context.Context, m move) (tries int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v", m, r)
		}
	}()
	for ; tries < 100; tries++ {
		err := m.run(p.db.WithContext(ctx))
		if again(err) {
			continue
		}
		if errors.Is(err, audit.ErrAuditFailed) && !limit(err) {
			return tries, fmt.Errorf("%s: %w", m, err)
		}
		return tries, nil
	}
	return tries, fmt.Errorf("%s: was in vain a hundred times", m)
}
