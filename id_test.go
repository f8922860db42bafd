package audit

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestIDsAreVersion7OfTheirTime(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC),
		time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2026, 11, 23, 12, 0, 0, 123_456_000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
	} {
		id := idAt(tickOf(at))
		require.Equal(t, uuid.Version(7), id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
		require.Equal(t, max(0, at.UnixMilli()), ms, at)
		fraction := int64(id[6]&0xf)<<8 | int64(id[7])
		require.Equal(t, max(0, at.UnixMicro())%1000*4096/1000, fraction, at)
	}
}

func TestIDsOfLaterMicrosecondsAreLarger(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	last := idAt(tickOf(at))
	for range 5000 {
		at = at.Add(time.Microsecond)
		id := idAt(tickOf(at))
		require.Positive(t, bytes.Compare(id[:], last[:]))
		last = id
	}
}

func TestIDsRiseWhateverTheClockDoes(t *testing.T) {
	t.Parallel()
	const workers, each, batch = 64, 50, 7
	clock := time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)
	steps := []time.Duration{0, time.Microsecond, -time.Hour, time.Hour, -time.Nanosecond, time.Millisecond, -24 * time.Hour, 23 * time.Hour}
	var (
		source idSource
		group  sync.WaitGroup
		got    [workers][]int64
	)
	for w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			now := clock
			for i := range each {
				now = now.Add(steps[(w+i)%len(steps)])
				first := source.take(now, batch)
				for n := range int64(batch) {
					got[w] = append(got[w], first+n)
				}
			}
		}()
	}
	group.Wait()
	all := map[int64]bool{}
	for _, ticks := range got {
		require.True(t, slices.IsSorted(ticks), "what one goroutine gets rises")
		for _, tick := range ticks {
			require.False(t, all[tick], "no tick is handed out twice")
			all[tick] = true
		}
	}
	require.Len(t, all, workers*each*batch)
}
