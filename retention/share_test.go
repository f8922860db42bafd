package retention

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// oneWriter is a store that may be in a database with one writer.
type oneWriter struct {
	*memstore.Store
	sole bool
}

func (s oneWriter) SoleWriter() bool { return s.sole }

func TestWritersThatWaitForEachBatchAreLeftMoreTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		store audit.Store
		said  float64
		want  float64
	}{
		"a store that says nothing":          {memstore.New(), 0, 0.01},
		"one whose writers do not wait":      {oneWriter{memstore.New(), false}, 0, 0.01},
		"one whose writers wait":             {oneWriter{memstore.New(), true}, 0, 0.005},
		"one whose writers wait, as decided": {oneWriter{memstore.New(), true}, 1, 1},
	} {
		rec, err := audit.New(c.store, nil)
		require.NoError(t, err)
		k, err := New(rec, &Config{Share: c.said})
		require.NoError(t, err)
		require.InDelta(t, c.want, k.cfg.Share, 0, name)
	}
}
