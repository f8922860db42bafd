package dbtest

import (
	"slices"
	"time"
)

// reducing is the time for making a failed history shorter after rapid has
// tried.
const reducing = 20 * time.Second

// reduce leaves moves out, and parts of them, for as long as what is left still
// fails. It knows what moves are, where rapid knows numbers only.
func reduce(history []move, deadline time.Time, fails func([]move) bool) []move {
	try := func(i, n int, instead ...move) bool {
		shorter := slices.Replace(slices.Clone(history), i, i+n, instead...)
		if time.Now().After(deadline) || !fails(shorter) {
			return false
		}
		history = shorter
		return true
	}
	for n := len(history) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(history); {
			if !try(i, n) {
				i += n
			}
		}
	}
	for i := 0; i < len(history); {
		m := history[i]
		plain := m
		plain.Session = ""
		switch {
		case try(i, 1):
		case len(m.Within) > 0 && !m.Undone && try(i, 1, m.Within...):
		case slices.ContainsFunc(m.less(), func(less move) bool { return try(i, 1, less) }):
		case m.Session != "" && try(i, 1, plain):
		default:
			i++
		}
	}
	return history
}

// less is the move without one of those it holds.
func (m move) less() []move {
	var all []move
	for k := range m.Within {
		less := m
		less.Within = slices.Delete(slices.Clone(m.Within), k, k+1)
		all = append(all, less)
	}
	return all
}
