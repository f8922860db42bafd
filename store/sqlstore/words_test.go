package sqlstore

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheWordsThatAreKeptAreBounded(t *testing.T) {
	var w words
	for range 2 {
		for i := range 2 * maxWords {
			require.Equal(t, strconv.Itoa(i), w.of(strconv.Itoa(i)))
		}
	}
	n := 0
	w.known.Range(func(any, any) bool { n++; return true })
	require.Equal(t, maxWords, n)
}
