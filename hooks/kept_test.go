package hooks

import (
	"strconv"
	"strings"
	"testing"
)

func TestWhatIsKeptIsBounded(t *testing.T) {
	var k kept[int]
	made := 0
	for range 2 {
		k.of(strings.Repeat("x", maxKeptBytes+1), func() int { made++; return 0 })
	}
	for range 2 {
		for i := range 2 * maxKept {
			if got := k.of(strconv.Itoa(i), func() int { made++; return i }); got != i {
				t.Fatalf("of text %d it gave what was made of %d", i, got)
			}
		}
	}
	if want := 3*maxKept + 2; made != want {
		t.Errorf("things were made %d times of %d texts, want %d: the first %d are kept, and none that is very long", made, 2*maxKept+1, want, maxKept)
	}
}
