//go:build !race

package dbtest

// raced reports whether the race detector is on.
const raced = false
