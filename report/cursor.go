package report

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// place is where a page of a report lies: after an event, before one, or at
// the end. The zero place is the first page.
type place struct {
	way byte
	at  audit.Position
}

// The ways of a place.
const (
	first  byte = iota // the newest events; at is zero
	after              // those that are older than at
	before             // those that are newer than at
	oldest             // the oldest events; at is zero
)

// The layout of a cursor: way, time in microseconds, id, signature. Their
// number divides by three, so that base64 has no spare bits and every altered
// character alters what is signed.
const (
	placeSize     = 1 + 8 + 16
	signatureSize = 17
	cursorSize    = placeSize + signatureSize
)

var cursorText = base64.RawURLEncoding.Strict()

// signer makes and reads the cursors of the page. They are signed together
// with the filter they belong to, and so are good for one report of one
// workspace only.
type signer struct{ key []byte }

// cursor is a place in the answer to a filter as text; empty for the first page.
func (s signer) cursor(p place, f audit.Filter) string {
	if p.way == first {
		return ""
	}
	b := make([]byte, 0, cursorSize)
	b = append(b, p.way)
	micros := int64(0)
	if p.way != oldest {
		micros = p.at.Time.UnixMicro()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(micros))
	b = append(b, p.at.ID[:]...)
	return cursorText.EncodeToString(append(b, s.sign(b, f)...))
}

// place reads what cursor returned for the same filter.
func (s signer) place(text string, f audit.Filter) (place, error) {
	if text == "" {
		return place{}, nil
	}
	refused := badParameter("page", "This link to a page was altered, or it belongs to another report. Start again at the first page.")
	if len(text) != cursorText.EncodedLen(cursorSize) {
		return place{}, refused
	}
	b, err := cursorText.DecodeString(text)
	if err != nil || len(b) != cursorSize { // decoding passes over line breaks
		return place{}, refused
	}
	if !hmac.Equal(s.sign(b[:placeSize], f), b[placeSize:]) {
		return place{}, refused
	}
	p := place{way: b[0]}
	if p.way != oldest {
		p.at = audit.Position{
			Time: time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC(),
			ID:   uuid.UUID(b[9:placeSize]),
		}
	}
	return p, nil
}

// sign covers the place and every field of the filter, also those that later
// versions add.
func (s signer) sign(place []byte, f audit.Filter) []byte {
	f.From, f.To = f.From.UTC(), f.To.UTC()
	filter, err := json.Marshal(f)
	if err != nil { // JSON has no times after 9999, and the last day of that year ends in the next
		filter = fmt.Appendf(nil, "%#v", f)
	}
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("report cursor 1\n"))
	mac.Write(place)
	mac.Write(filter)
	return mac.Sum(nil)[:signatureSize]
}
