package sqlstore

import (
	"sync"
	"sync/atomic"
)

// words are texts that very many events have, such as their operation, as
// variables: an interface takes room for each text that is put into it.
type words struct {
	known sync.Map // string to any
	count atomic.Int32
}

// maxWords bounds the words that are kept.
const maxWords = 500

// of returns a text as a variable.
func (w *words) of(s string) any {
	if s == "" {
		return "" // which takes no room
	}
	if v, ok := w.known.Load(s); ok {
		return v
	}
	var v any = s
	if w.count.Load() < maxWords && w.count.Add(1) <= maxWords {
		w.known.Store(s, v)
	}
	return v
}
