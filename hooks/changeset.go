package hooks

import (
	"database/sql"
	"maps"
	"sync"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// changeSets remembers the change set of each transaction until it is over. Those
// that are over are swept out together once they may be half of all. Until then they
// stay in memory, which is cheaper than weak pointers: these cost as much as the
// rest of an event.
type changeSets struct {
	mu    sync.Mutex
	byTx  map[*sql.Tx]uuid.UUID
	limit int // of those that are remembered before the next sweep
}

// minSwept is how many are remembered before the first sweep.
const minSwept = 16

// of returns the change set of a transaction; first becomes it if there is none
// yet. What is no transaction of database/sql has none to share.
func (s *changeSets) of(conn audit.DBTX, first uuid.UUID) uuid.UUID {
	tx := transactionOf(conn)
	if tx == nil {
		return first
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, known := s.byTx[tx]; known {
		return set
	}
	if len(s.byTx) >= s.limit {
		s.sweep()
	}
	s.byTx[tx] = first
	return first
}

// sweep leaves out the transactions that are over, and the room they took if it is
// much.
func (s *changeSets) sweep() {
	maps.DeleteFunc(s.byTx, func(tx *sql.Tx, _ uuid.UUID) bool { return isOver(tx) })
	limit := max(minSwept, 2*len(s.byTx))
	if s.byTx == nil || limit < s.limit {
		living := make(map[*sql.Tx]uuid.UUID, limit)
		maps.Copy(living, s.byTx)
		s.byTx = living
	}
	s.limit = limit
}
