package dbtest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// gaps are what histories leave out because it is a limit that the documentation
// names; -history.omit= runs them all.
//
//   - update a device: SQLite tells a long value that was set to itself as changed
const gaps = "update a device"

// omitted reports whether histories leave something out.
func omitted(name string) bool { return slices.Contains(strings.Split(*historyOmit, ","), name) }

var (
	historyOps    = flag.Int("history.ops", map[bool]int{false: 20_000, true: 2_000}[raced], "how many writes the random histories make on each database")
	historySeed   = flag.Uint64("history.seed", 0, "the seed of the random histories; 0 takes a new one")
	historyOmit   = flag.String("history.omit", gaps, "writes that the random histories leave out, with commas between them")
	historyReplay = flag.String("history.replay", "", "a file with a failed history that is to be run instead of random ones")
	historyTimes  = flag.Int("history.times", 20, "how often the history of a file is run if it has several writers")
)

// seedOfHistories is the flag or a new one, which is printed in any case.
func seedOfHistories(t *testing.T) uint64 {
	t.Helper()
	seed := *historySeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with -history.seed=%d -history.ops=%d", seed, *historyOps)
	return seed
}

// history is what a file keeps of one that failed: the moves of one writer, or
// the rounds of several, each of whom has moves of its own.
type history struct {
	Moves  []move     `json:"moves,omitempty"`
	Rounds [][][]move `json:"rounds,omitempty"`
}

// keep writes a failed history to a file and tells where.
func keep(t *testing.T, name string, h history) {
	t.Helper()
	dir := os.TempDir()
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		dir = t.ArtifactDir()
	}
	b, err := json.MarshalIndent(h, "", " ")
	require.NoError(t, err)
	file, err := os.CreateTemp(dir, "history-"+name+"-*.json")
	require.NoError(t, err)
	_, err = file.Write(b)
	require.NoError(t, errors.Join(err, file.Close()))
	path, err := filepath.Abs(file.Name())
	require.NoError(t, err)
	t.Logf("the history is kept in %s; run it again with -history.replay=%s", path, path)
}

// averageHistory is how many moves a history has, on average.
const averageHistory = 100

// TestRandomHistories runs random histories of one writer. After each move the
// events tell what row triggers saw, and at the end of each history they
// rebuild every table.
func TestRandomHistories(t *testing.T) {
	if *historyReplay != "" {
		t.Skip("a history that was kept is run instead")
	}
	seed := seedOfHistories(t)
	// A move is one write and a half on average; a quarter of all writes are for
	// concurrent writers.
	set(t, "rapid.seed", seed)
	set(t, "rapid.steps", averageHistory)
	set(t, "rapid.checks", max(1, *historyOps*3/4*2/3/averageHistory))
	set(t, "rapid.nofailfile", true)
	set(t, "rapid.shrinktime", reducing/4)
	for _, c := range []struct {
		name, database string
		store          newStore
	}{
		{"sqlite", "sqlite", storeInDatabase},
		{"postgres", "postgres", storeInDatabase},
		{"mysql", "mysql", storeInDatabase},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPast(t, c.database, c.store, true)
			defer func() {
				if p.failed != nil {
					moves := reduce(p.failed, time.Now().Add(reducing), func(h []move) bool { return len(p.live(slices.Values(h))) > 0 })
					p.live(slices.Values(moves))
					t.Logf("%s\nafter these moves:\n%s", strings.Join(p.wrong, "\n"), lines(moves))
					keep(t, c.name, history{Moves: moves})
				}
			}()
			start := time.Now()
			rapid.Check(t, func(r *rapid.T) {
				var history []move
				wrong := p.live(func(yield func(move) bool) {
					r.Repeat(map[string]func(*rapid.T){"move": func(r *rapid.T) {
						m := moves(0, c.database != "postgres" && !omitted("heedless")).Draw(r, "move")
						history = append(history, m)
						if !yield(m) {
							p.fail(r, history)
						}
					}})
				})
				if len(wrong) > 0 {
					p.fail(r, history)
				}
			})
			t.Logf("%d writes in %s", p.done, time.Since(start).Round(time.Millisecond))
			p.vouch(t)
		})
	}
}

// fail ends a history. From then on each move is checked at once, so that rapid
// has less to shrink; it goes by the text of the error, which is always alike.
func (p *past) fail(r *rapid.T, history []move) {
	p.failed, p.eager = history, true
	r.Fatal("the events are not what happened")
}

func set(t *testing.T, name string, value any) {
	t.Helper()
	require.NoError(t, flag.Set(name, fmt.Sprint(value)))
}

// TestTheHistoryThatWasKept runs a file of a failed history on each database.
// Writers that work at the same time do not meet twice in the same way, so theirs
// is run again and again.
func TestTheHistoryThatWasKept(t *testing.T) {
	if *historyReplay == "" {
		t.Skip("-history.replay names no file")
	}
	b, err := os.ReadFile(*historyReplay)
	require.NoError(t, err)
	var kept history
	require.NoError(t, json.Unmarshal(b, &kept))
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			if len(kept.Moves) > 0 {
				require.Empty(t, newPast(t, name, storeInDatabase, true).live(slices.Values(kept.Moves)))
			}
			if len(kept.Rounds) == 0 {
				return
			}
			p := newPast(t, name, storeInDatabase, false)
			for range *historyTimes {
				_, _, wrong := p.liveTogether(kept.Rounds)
				require.Empty(t, wrong)
			}
		})
	}
}
