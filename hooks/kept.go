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

// maxKept bounds what is kept: texts with values in them are different each time.
const maxKept = 500

// of returns what was made of a text, and makes it the first time.
func (k *kept[T]) of(text string, make func() T) T {
	if have, ok := k.made.Load(text); ok {
		return have.(T)
	}
	made := make()
	if k.count.Load() < maxKept && k.count.Add(1) <= maxKept {
		k.made.Store(text, made)
	}
	return made
}
