package hooks

// slab hands out slices that are cut from larger pieces, so that not each of them
// is allocated. They have no room to grow and are never taken back. The zero slab
// is ready to use: the first slice costs what it would cost without, and the
// pieces for those that follow double.
type slab[T any] struct {
	free []T // what is left of the piece
	size int // of the piece
	want int // what the slice before took
}

// maxSlab bounds the elements of a piece, and so what one slice that is kept
// keeps alive.
const maxSlab = 256

// take returns a zero slice of n elements.
func (s *slab[T]) take(n int) []T {
	return s.keep(s.open(n)[:n])
}

// open returns an empty slice to append to, which has to be given to keep. It is
// likely to take n, or what was taken last.
func (s *slab[T]) open(n int) []T {
	if n = max(n, s.want); len(s.free) < n {
		s.size = max(n, min(2*s.size, maxSlab))
		s.free = make([]T, s.size)
	}
	return s.free[:0]
}

// keep takes what was appended out of the piece, unless it has outgrown it.
func (s *slab[T]) keep(filled []T) []T {
	n := len(filled)
	s.want, s.size = n, max(s.size, n)
	if n <= len(s.free) {
		s.free = s.free[n:]
	}
	return filled[:n:n]
}

// rest leaves a slab to a statement that is likely to take little.
func (s *slab[T]) rest() {
	s.want, s.size = 0, min(s.size, maxSlab)
	if len(s.free) > maxSlab {
		s.free = nil
	}
}
