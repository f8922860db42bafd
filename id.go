package audit

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// idSource makes version 7 UUIDs (RFC 9562, method 3: the fraction of the
// millisecond in rand_a) that rise within the source, whatever the clock does.
type idSource struct {
	// last is the tick handed out last: milliseconds since 1970 in the upper
	// 48 bits, 1/4096 of a millisecond below.
	last atomic.Int64
}

// take reserves n ticks from t on and returns the first of them.
func (s *idSource) take(t time.Time, n int) int64 {
	for {
		last := s.last.Load()
		first := max(tickOf(t), last+1)
		if s.last.CompareAndSwap(last, first+int64(n)-1) {
			return first
		}
	}
}

// tickOf is the time in ticks of 1/4096 of a millisecond. A UUID has no room for
// times before 1970.
func tickOf(t time.Time) int64 {
	us := max(t.UnixMicro(), 0)
	return us/1000<<12 | us%1000<<12/1000
}

// idAt is a version 7 UUID at a tick, random otherwise.
func idAt(tick int64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(tick>>12)<<16|0x7000|uint64(tick&0xfff))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()>>2|1<<63)
	return id
}
