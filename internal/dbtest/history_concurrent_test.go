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
			for n := uint64(0); p.done < *historyOps/4; n++ {
				random := rand.New(rand.NewPCG(seed, n))
				h := history{Rounds: make([][][]move, roundsPerHistory)}
				for i := range h.Rounds {
					h.Rounds[i] = together(random)
				}
				played, more, wrong := p.liveTogether(h.Rounds)
				tries += more
				if len(wrong) > 0 {
					h.Rounds = h.Rounds[:played]
					for i, moves := range h.Rounds[played-1] {
						t.Logf("writer %d:\n%s", i+1, lines(moves))
					}
					keep(t, name, h)
					t.Fatalf("round %d of history %d:\n%s", played, n, strings.Join(wrong, "\n"))
				}
			}
			t.Logf("%d writes in %s, %d moves were tried again", p.done, time.Since(start).Round(time.Millisecond), tries)
		})
	}
}

// roundsPerHistory is after how many rounds the tables begin anew.
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

// liveTogether runs a history of several writers from its beginning. After each
// round, what they have done together is held against the truth. It returns the
// number of rounds until something was wrong, and of moves that were tried again.
func (p *past) liveTogether(rounds [][][]move) (played, tries int, wrong []string) {
	p.trouble(p.begin())
	for played < len(rounds) && len(p.wrong) == 0 {
		tries += p.round(rounds[played])
		played++
		if p.check() {
			p.wrong = p.rebuilt()
		}
	}
	return max(played, 1), tries, p.wrong
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
