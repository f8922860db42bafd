package dbtest

import (
	"context"
	"errors"
	"flag"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/sqlstore"
)

var (
	purgedEvents = flag.Int("purge.events", 300_000, "how many events BenchmarkWritingDuringAPurge has to purge")
	purgeShare   = flag.Float64("purge.share", 0, "retention.Config.Share of BenchmarkWritingDuringAPurge")
)

// timedStore remembers how long a Keeper took at most, and keeps it waiting while
// quiet is locked.
type timedStore struct {
	*sqlstore.Store
	deletes, reads atomic.Int64 // the longest, in nanoseconds
	quiet          sync.RWMutex
}

func (s *timedStore) timed(longest *atomic.Int64, do func() error) error {
	s.quiet.RLock()
	defer s.quiet.RUnlock()
	begin := time.Now()
	err := do()
	if took := int64(time.Since(begin)); err == nil {
		longest.Store(max(took, longest.Load()))
	}
	return err
}

// Purge is a transaction of a few statements, and so no shorter than each of them.
func (s *timedStore) Purge(ctx context.Context, b audit.PurgeBatch) error {
	return s.timed(&s.deletes, func() error { return s.Store.Purge(ctx, b) })
}

func (s *timedStore) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) (events []audit.Event, err error) {
	err = s.timed(&s.reads, func() error {
		events, err = s.Store.List(ctx, f, after, limit)
		return err
	})
	return events, err
}

// BenchmarkWritingDuringAPurge tells how long an event of a writer takes, of whom
// there are a hundred in a second, while nothing is purged and while a Keeper
// purges, in turn:
//
//	go test -run '^$' -bench WritingDuringAPurge -benchtime 1x ./internal/dbtest
//
// The goals are that no statement of the Keeper takes over 200 ms, and that of a
// hundred writes the slowest is at most 1.2 times slower.
func BenchmarkWritingDuringAPurge(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				benchmarkPurge(b, Open(b, name))
			}
		})
	}
}

func benchmarkPurge(b *testing.B, db *Database) {
	const (
		windows = 40
		length  = 2 * time.Second
		pace    = 10 * time.Millisecond
	)
	b.StopTimer()
	ctx := context.Background()
	store := &timedStore{Store: migrated(b, db, nil)}
	now := time.Now().UTC()
	for part := range slices.Chunk(seeds("w1", now.AddDate(-2, 0, 0), *purgedEvents/3), 10_000) {
		require.NoError(b, store.Append(ctx, part))
	}
	if db.Name == "postgres" { // which does so itself after a minute
		_, err := db.SQL().Exec("VACUUM ANALYZE audit_events")
		require.NoError(b, err)
	}
	rec, err := audit.New(store, nil)
	require.NoError(b, err)
	keeper, err := retention.New(rec, &retention.Config{Share: *purgeShare, MaxGap: -1})
	require.NoError(b, err)
	b.StartTimer()
	var took [2][]time.Duration
	whole, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	store.quiet.Lock()
	go func() {
		_, err := keeper.Purge(whole)
		if whole.Err() == nil {
			err = errors.Join(err, errors.New("all is purged already, so that nothing is measured; raise -purge.events"))
		} else {
			err = nil
		}
		done <- err
	}()
	for window := range windows {
		purging := window % 2
		if purging == 1 {
			store.quiet.Unlock()
		}
		ticker, end := time.NewTicker(pace), time.Now().Add(length)
		for time.Now().Before(end) {
			<-ticker.C
			begin := time.Now()
			require.NoError(b, store.Append(ctx, []audit.Event{{
				ID: uuid.Must(uuid.NewV7()), Time: begin, Workspace: "w2", Actor: jo, Operation: audit.Updated, Entity: audit.Entity{Type: "x", ID: "1"}, SchemaVersion: 1,
			}}))
			took[purging] = append(took[purging], time.Since(begin))
		}
		ticker.Stop()
		if purging == 1 {
			if window == windows-1 {
				stop()
			}
			store.quiet.Lock()
		}
	}
	store.quiet.Unlock()
	require.NoError(b, <-done)
	at := func(purging, percent int) float64 {
		slices.Sort(took[purging])
		return float64(took[purging][len(took[purging])*percent/100].Microseconds())
	}
	left, err := store.List(ctx, audit.Filter{Workspace: "w1", Entities: []audit.Entity{{Type: audit.TypeLog, ID: "*"}}}, audit.Position{}, 1000)
	require.NoError(b, err)
	b.ReportMetric(float64(len(left)), "batches")
	b.ReportMetric(time.Duration(store.deletes.Load()).Seconds()*1000, "delete-max-ms")
	b.ReportMetric(time.Duration(store.reads.Load()).Seconds()*1000, "read-max-ms")
	for _, percent := range []int{50, 99} {
		name := map[int]string{50: "p50", 99: "p99"}[percent]
		b.ReportMetric(at(0, percent), name+"-µs")
		b.ReportMetric(at(1, percent)/at(0, percent), name+"-times")
	}
}
