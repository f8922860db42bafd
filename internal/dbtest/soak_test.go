package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/sqlstore"
)

var (
	soakFor = flag.Duration("soak", 0, "how long everything goes on at once, on each database; 0 leaves it at a few rounds")
	soakOn  = flag.String("soak.db", strings.Join(Names(), ","), "the databases of -soak, with commas between them")
)

// soakPace is how many events a second the writes of a long soak make.
const soakPace = 300

// What may be more at the end than after the warm-up, which is a quarter of the
// time. What the application keeps and a collection leaves varies by as much.
const (
	soakHeap       = 4 << 20
	soakGoroutines = 2
)

// soak is a database on which everything goes on at once: several writers, and
// what runs beside them on connections of its own.
type soak struct {
	*past
	pool     *sql.DB
	beside   []*beside
	archives *archive.Store
	live     *sqlstore.Store
	keeper   *retention.Keeper
	// forgets is the keeper's clock, which measures how long its statements take.
	forgets func() time.Time

	running, ended sync.WaitGroup
	mu             sync.Mutex
	errs           []error
}

// beside is done again and again, each time that so many rounds of writes have
// begun and the last time is over.
type beside struct {
	name  string
	every int
	do    func(context.Context) error
	wake  chan struct{}
	done  int // times
}

// TestEverythingAtOnce is a soak of a few rounds without a pace. They take four
// months, so that some expire.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	rounds := map[bool]int{false: 20, true: 10}[raced]
	Each(t, func(t *testing.T, database *Database) {
		s := newSoak(t, database.Name, 120*24*time.Hour/time.Duration(rounds))
		s.run(t, func(round int) bool { return round < rounds }, func(int) {})
	})
}

// TestSoak lets writes of 300 events a second, reports, histories, exports and retention go
// on for long, and requires that nothing was lost and nothing has grown. It takes
// about two years, so that a month expires time and again.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("give -soak a time, as 30m; TestEverythingAtOnce is the same in a few rounds")
	}
	for name := range strings.SplitSeq(*soakOn, ",") {
		t.Run(name, func(t *testing.T) {
			const roundsPerSecond = 6 // about
			s := newSoak(t, name, time.Duration(2*365*24/(soakFor.Seconds()*roundsPerSecond)*float64(time.Hour)).Round(time.Minute))
			start := time.Now()
			s.run(t, func(int) bool { return time.Since(start) < *soakFor }, func(events int) {
				time.Sleep(time.Until(start.Add(time.Duration(events) * time.Second / soakPace)))
			})
			t.Logf("%.0f events of writes a second", float64(s.kept.events)/time.Since(start).Seconds())
		})
	}
}

func newSoak(t *testing.T, name string, step time.Duration) *soak {
	t.Helper()
	s := &soak{past: newPast(t, name, storeInDatabase, false)}
	s.clock.step = step
	var err error
	s.pool, err = sql.Open(s.database.Driver, s.database.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.pool.Close()) })
	s.live, err = sqlstore.New(s.pool, s.database.Dialect, nil)
	require.NoError(t, err)
	s.archives = archivesIn(t, t.TempDir())
	rec, err := audit.New(s.live, &audit.Config{Now: s.clock.Now})
	require.NoError(t, err)
	s.keeper, err = retention.New(rec, &retention.Config{
		Policy: retention.Policy{Keep: 24 * time.Hour}, Archive: s.archives, Share: .5, Now: func() time.Time { return s.forgets() }, MaxSkew: -1, MaxGap: -1,
	})
	require.NoError(t, err)
	s.beside = []*beside{
		{name: "report", every: 1, do: s.report},
		{name: "histories", every: 1, do: s.histories},
		{name: "export", every: 20, do: s.export},
		{name: "retention", every: 10, do: s.purge},
	}
	return s
}

// run writes round by round for as long as there are more, and checks each round
// against the truth.
func (s *soak) run(t *testing.T, more func(round int) bool, pace func(events int)) {
	t.Helper()
	seed := seedOfHistories(t)
	s.trouble(s.begin())
	s.start(t.Context())
	defer s.end()
	var warm soakSize
	began := time.Now()
	for round := 0; more(round); round++ {
		s.wake(round)
		moves := together(rand.New(rand.NewPCG(seed, uint64(round)))) //nolint:gosec // not negative
		s.round(moves)
		s.check()
		s.trouble(s.forget(round))
		if s.trouble(s.failure()); len(s.wrong) > 0 {
			for i := range moves {
				t.Logf("writer %d:\n%s", i+1, lines(moves[i]))
			}
			t.Fatalf("round %d:\n%s", round, strings.Join(s.wrong, "\n"))
		}
		if warm.heap == 0 && (*soakFor == 0 || time.Since(began) > *soakFor/4) {
			warm = s.size(t)
		}
		pace(s.kept.events)
	}
	last := s.size(t)
	s.end()
	require.NoError(t, s.failure())
	t.Logf("%d writes; after the warm-up %v, at the end %v", s.done, warm, last)
	if *soakFor > 0 {
		require.LessOrEqual(t, last.heap, warm.heap+soakHeap, "the heap grows")
		require.LessOrEqual(t, last.goroutines, warm.goroutines+soakGoroutines, "goroutines are left behind")
	}
	s.requireAll(t)
}

// start starts what goes on beside the writers.
func (s *soak) start(ctx context.Context) {
	for _, b := range s.beside {
		wake := make(chan struct{}, 1)
		b.wake = wake
		s.ended.Go(func() {
			for range wake {
				if err := b.do(ctx); err != nil && !again(err) {
					s.mu.Lock()
					s.errs = append(s.errs, fmt.Errorf("%s: %w", b.name, err))
					s.mu.Unlock()
				}
				b.done++
				s.running.Done()
			}
		})
	}
}

// wake lets begin what is due and not running.
func (s *soak) wake(round int) {
	for _, b := range s.beside {
		if round%b.every != 0 {
			continue
		}
		s.running.Add(1)
		select {
		case b.wake <- struct{}{}:
		default:
			s.running.Done()
		}
	}
}

// end ends what goes on beside the writers, and waits for it.
func (s *soak) end() {
	for _, b := range s.beside {
		if b.wake != nil {
			close(b.wake)
			b.wake = nil
		}
	}
	s.ended.Wait()
}

func (s *soak) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

// forget deletes the truth that has been compared.
func (s *soak) forget(round int) error {
	if round%50 != 49 {
		return nil
	}
	return s.raw.Exec("DELETE FROM truth WHERE id <= ?", s.read).Error
}

// everything are all events of the log but those of purges.
var (
	ofPurges   = []audit.Filter{{Types: []audit.EntityType{audit.TypeLog}}}
	everything = audit.Filter{Workspace: audit.DefaultWorkspace, Except: ofPurges}
)

// report reads the first pages and the list of authors.
func (s *soak) report(ctx context.Context) error {
	at := audit.Cursor{}
	for range 3 {
		page, err := audit.QueryPage(ctx, s.live, everything, at, 0)
		if err != nil || !page.More() {
			return err
		}
		at = page.Next
	}
	_, err := audit.QueryActors(ctx, s.live, audit.DefaultWorkspace, 100)
	return err
}

// histories reads those of some records, live and archived.
func (s *soak) histories(ctx context.Context) error {
	for _, t := range []audit.EntityType{"label", "customer", "order"} {
		f := everything
		f.Entities = []audit.Entity{{Type: t, ID: "1"}}
		if _, err := audit.QueryPage(ctx, audit.Merge(s.live, s.archives), f, audit.Cursor{}, 0); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) export(ctx context.Context) error {
	_, err := audit.WriteCSV(io.Discard, audit.Query(ctx, s.live, everything), nil)
	return err
}

func (s *soak) purge(ctx context.Context) error {
	at, begin := s.clock.Now(), time.Now()
	s.forgets = func() time.Time { return at.Add(time.Since(begin)) }
	_, err := s.keeper.Purge(ctx)
	return err
}

// requireAll requires that the events rebuild every table, and that each of them
// is in the log or in an archive as it was when it was checked.
func (s *soak) requireAll(t *testing.T) {
	t.Helper()
	require.Empty(t, s.rebuilt())
	require.NoError(t, s.purge(t.Context()))
	for _, b := range s.beside {
		require.Positive(t, b.done, b.name)
		t.Logf("%s: %d times", b.name, b.done)
	}
	var live, all tally
	for e, err := range audit.Query(t.Context(), s.live, everything) {
		require.NoError(t, err)
		live.add([]audit.Event{e})
	}
	for e, err := range audit.Query(t.Context(), audit.Merge(s.live, s.archives), everything) {
		require.NoError(t, err)
		all.add([]audit.Event{e})
	}
	t.Logf("%d events, %d of them archived", all.events, all.events-live.events)
	require.Equal(t, s.kept, all, "an event is lost, there twice, or changed")
	require.Less(t, live.events, all.events, "nothing was archived")
}

// soakSize is what must not grow.
type soakSize struct{ heap, goroutines int }

func (s soakSize) String() string {
	return fmt.Sprintf("%.1f MiB and %d goroutines", mib(int64(s.heap)), s.goroutines)
}

// size waits until nothing goes on, and lets all connections go: none must be in
// use, and their goroutines would be counted.
func (s *soak) size(t *testing.T) soakSize {
	t.Helper()
	s.running.Wait()
	for _, pool := range []*sql.DB{s.pool, s.database.SQL()} {
		pool.SetMaxIdleConns(0)
		require.Zero(t, pool.Stats().OpenConnections, "a connection has not come back")
		pool.SetMaxIdleConns(8)
	}
	var sizes []soakSize
	for range 3 { // the end of a connection's goroutine is not waited for
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		sizes = append(sizes, soakSize{int(m.HeapAlloc), runtime.NumGoroutine()}) //nolint:gosec // far less
	}
	return slices.MinFunc(sizes, func(a, b soakSize) int { return a.goroutines - b.goroutines })
}
