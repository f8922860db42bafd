package dbtest

import (
	"slices"
	"time"
)

// Median is the middle one of the times, 0 if there are none.
func Median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(times))[len(times)/2]
}
