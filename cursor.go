package audit

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Cursor is a place in the answer to one [Filter], as text that fits into a
// URL. [QueryPage] makes it and takes it. The zero Cursor is the first page;
// its text is empty.
//
// A Cursor is not secret and grants nothing: whoever reads names workspace and
// filter anew, and a cursor that belongs to another filter is refused.
// Cursors can be compared with ==.
type Cursor struct {
	after  Position
	filter filterSum
}

var (
	_ encoding.TextMarshaler   = Cursor{}
	_ encoding.TextUnmarshaler = (*Cursor)(nil)
)

// The layout of a cursor's bytes: version, time in microseconds, id, filter,
// checksum. Their number divides by three, so that base64 has no spare bits
// and every text has one meaning.
const (
	cursorVersion = 1
	cursorTimeAt  = 1
	cursorIDAt    = cursorTimeAt + 8
	cursorSumAt   = cursorIDAt + 16
	cursorCheckAt = cursorSumAt + filterSumSize
	cursorSize    = cursorCheckAt + crc32.Size
)

var cursorText = base64.RawURLEncoding.Strict()

// cursorAfter returns the cursor of the page that follows e.
func cursorAfter(e Event, f Filter) Cursor {
	// The position is cut as its text is, so that a cursor that went through
	// text equals one that did not.
	at := Position{Time: time.UnixMicro(e.Time.UnixMicro()).UTC(), ID: e.ID}
	return Cursor{after: at, filter: f.sum()}
}

// ParseCursor reads what [Cursor.String] returned. It returns
// [ErrInvalidCursor] for any other text.
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	invalid := func(why string) (Cursor, error) {
		return Cursor{}, fmt.Errorf("%w: %s; start again at the first page", ErrInvalidCursor, why)
	}
	if len(text) != cursorText.EncodedLen(cursorSize) {
		return invalid("it has not the length of one")
	}
	b, err := cursorText.DecodeString(text)
	// Decoding passes over line breaks, so what comes out may be too short.
	if err != nil || len(b) != cursorSize || crc32.ChecksumIEEE(b[:cursorCheckAt]) != binary.BigEndian.Uint32(b[cursorCheckAt:]) {
		return invalid("it is damaged")
	}
	if b[0] != cursorVersion {
		return invalid("it is of another version")
	}
	return Cursor{
		after: Position{
			Time: time.UnixMicro(int64(binary.BigEndian.Uint64(b[cursorTimeAt:]))).UTC(),
			ID:   uuid.UUID(b[cursorIDAt:cursorSumAt]),
		},
		filter: filterSum(b[cursorSumAt:cursorCheckAt]),
	}, nil
}

// IsZero reports whether c is the first page.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String returns the cursor as 48 letters, digits, "-" and "_", or as the
// empty text for the first page.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	b := make([]byte, 0, cursorSize)
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(c.after.Time.UnixMicro()))
	b = append(b, c.after.ID[:]...)
	b = append(b, c.filter[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return cursorText.EncodeToString(b)
}

// MarshalText implements encoding.TextMarshaler. It is [Cursor.String].
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It is [ParseCursor]; an
// error leaves the cursor as it was.
func (c *Cursor) UnmarshalText(text []byte) error {
	read, err := ParseCursor(string(text))
	if err == nil {
		*c = read
	}
	return err
}

// position returns the place in the answer to f that the cursor stands for.
func (c Cursor) position(f Filter) (Position, error) {
	if !c.IsZero() && c.filter != f.sum() {
		return Position{}, fmt.Errorf("%w: it belongs to another filter; start again at the first page", ErrInvalidCursor)
	}
	return c.after, nil
}

const filterSumSize = 7

// filterSum tells filters apart. Two filters that ask for the same, be it in
// another order, have one sum.
type filterSum [filterSumSize]byte

// sum is the filter's sum. Every field of Filter goes into it.
func (f Filter) sum() filterSum {
	var w summer
	w.filter(f)
	digest := sha256.Sum256(w.b)
	return filterSum(digest[:])
}

// summer writes values so that no two sequences of them give the same bytes.
type summer struct{ b []byte }

func (w *summer) filter(f Filter) {
	w.text(f.Workspace)
	w.time(f.From)
	w.time(f.To)
	w.ids(f.IDs)
	list(w, f.Actors, func(w *summer, a Actor) { w.text(string(a.kind())); w.text(a.ID) })
	list(w, f.Actions, func(w *summer, a Action) {
		w.text(string(a.Type))
		w.text(string(a.Operation))
		w.text(string(a.Ownership))
		list(w, a.Origins, func(w *summer, o Origin) { w.text(string(o)) })
	})
	list(w, f.Types, func(w *summer, t EntityType) { w.text(string(t)) })
	list(w, f.Entities, func(w *summer, e Entity) { w.text(string(e.Type)); w.text(e.ID) })
	list(w, f.Owners, (*summer).text)
	list(w, f.Origins, func(w *summer, o Origin) { w.text(string(o)) })
	list(w, f.Fields, (*summer).text)
	w.ids(f.Causes)
	w.ids(f.ChangeSets)
	w.text(lowerASCII(f.Text))
	if len(f.Except) > 0 { // nothing for none, so that older cursors stay valid
		list(w, f.Except, (*summer).filter)
	}
}

func (w *summer) text(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *summer) time(t time.Time) {
	w.b = binary.BigEndian.AppendUint64(w.b, uint64(t.Unix()))
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(t.Nanosecond()))
}

func (w *summer) ids(ids []uuid.UUID) {
	list(w, ids, func(w *summer, id uuid.UUID) { w.b = append(w.b, id[:]...) })
}

// list writes the elements as a set: their order and repetitions do not count.
func list[T any](w *summer, elements []T, write func(*summer, T)) {
	texts := make([]string, len(elements))
	for i, e := range elements {
		var one summer
		write(&one, e)
		texts[i] = string(one.b)
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	w.b = binary.AppendUvarint(w.b, uint64(len(texts)))
	for _, t := range texts {
		w.text(t)
	}
}
