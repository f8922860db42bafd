package hooks

import (
	"sync"
	"sync/atomic"
)

// kept is what was made of statements, by their text.
type kept[T any] struct {
	made  sync.Map // string to T
	count atomic.Int32
}

// What is kept is bounded: texts with values in them are different each time, and
// very long ones seldom come again.
const (
	maxKept      = 500
	maxKeptBytes = 16 << 10 // of a text
)

// of returns what was made of a text, and makes it the first time.
func (k *kept[T]) of(text string, make func() T) T {
	if have, ok := k.made.Load(text); ok {
		return have.(T)
	}
	made := make()
	if len(text) <= maxKeptBytes && k.count.Load() < maxKept && k.count.Add(1) <= maxKept {
		k.made.Store(text, made)
	}
	return made
}
