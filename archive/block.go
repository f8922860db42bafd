package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/gormtrail/audit"
)

// blockEvents and blockBytes bound a block: what is read for a page, and what is in
// memory meanwhile.
const (
	blockEvents = 500
	blockBytes  = 1 << 20 // before it is compressed; a single event may have more
	// maxEvent is how long an event may be: as long as audit.ReadJSONLines reads one.
	maxEvent = 64 << 20
)

// blockWriter writes events as blocks.
type blockWriter struct {
	w      io.Writer
	lines  []byte
	open   Block // the one that lines are of
	blocks []Block
}

// add adds an event.
func (w *blockWriter) add(e audit.Event) error {
	line, err := e.MarshalJSON()
	if err != nil {
		return err
	}
	if len(line) >= maxEvent {
		return fmt.Errorf("event %s has %d bytes, one of an archive has less than %d", e.ID, len(line), maxEvent)
	}
	if w.open.Events == 0 {
		w.open = Block{Time: e.Time, ID: e.ID}
	}
	w.lines = append(append(w.lines, line...), '\n')
	w.open.Events++
	if w.open.Events == blockEvents || len(w.lines) >= blockBytes {
		return w.flush()
	}
	return nil
}

// flush writes what was added as a block.
func (w *blockWriter) flush() error {
	if w.open.Events == 0 {
		return nil
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(w.lines)
	if err := errors.Join(err, z.Close()); err != nil {
		return err
	}
	w.open.Size, w.open.SHA256 = int64(packed.Len()), digest(packed.Bytes())
	if _, err := w.w.Write(packed.Bytes()); err != nil {
		return err
	}
	w.blocks = append(w.blocks, w.open)
	w.open, w.lines = Block{}, w.lines[:0]
	return nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// open opens a file that has to be there.
func open(ctx context.Context, place Place, name string) (io.ReadSeekCloser, error) {
	file, err := place.Open(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, damaged(name, "is missing: %w", err)
	case err != nil:
		return nil, fmt.Errorf("archive: open %q: %w", name, err)
	}
	return file, nil
}

// readBlock reads the i-th block, at which the reader is, and checks all that its
// manifest tells of it. It returns the bytes too.
func (m Manifest) readBlock(r io.Reader, i int) ([]byte, []audit.Event, error) {
	b, name := m.Blocks[i], m.Data.Name
	var packed bytes.Buffer // grows with what is there, not with what is said
	n, err := io.Copy(&packed, io.LimitReader(r, b.Size))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("archive: read %q: %w", name, err)
	case n < b.Size:
		return nil, nil, damaged(name, "is too short: block %d of %d has %d bytes instead of %d", i+1, len(m.Blocks), n, b.Size)
	case digest(packed.Bytes()) != b.SHA256:
		return nil, nil, damaged(name, "has other bytes in block %d of %d than its manifest says", i+1, len(m.Blocks))
	}
	events, err := m.unpack(packed.Bytes(), b)
	switch {
	case errors.Is(err, ErrNewer):
		return nil, nil, err
	case err != nil:
		return nil, nil, damaged(name, "cannot be read in block %d of %d: %w", i+1, len(m.Blocks), err)
	}
	return packed.Bytes(), events, nil
}

// unpack reads the events of a block.
func (m Manifest) unpack(packed []byte, b Block) ([]audit.Event, error) {
	rest := bytes.NewReader(packed)
	z, err := gzip.NewReader(rest)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	var events []audit.Event
	var last audit.Position
	for e, err := range audit.ReadJSONLines(io.LimitReader(z, blockBytes+maxEvent)) {
		at := e.Position()
		switch {
		case err != nil:
			return nil, err
		case e.SchemaVersion > audit.SchemaVersion:
			return nil, newer(m.Data.Name, m.Version, e.SchemaVersion)
		case len(events) == b.Events:
			return nil, fmt.Errorf("it has more than %d events", b.Events)
		case e.Workspace != m.Workspace:
			return nil, fmt.Errorf("event %s is of another workspace", e.ID)
		case e.Time.Before(m.Oldest) || e.Time.After(m.Newest):
			return nil, fmt.Errorf("event %s is out of range", e.ID)
		case len(events) == 0 && at.Compare(b.position()) != 0, at.Compare(last) <= 0:
			return nil, fmt.Errorf("event %s is out of order", e.ID)
		}
		events, last = append(events, e), at
	}
	if len(events) != b.Events || rest.Len() > 0 {
		return nil, fmt.Errorf("it has %d events instead of %d", len(events), b.Events)
	}
	return events, nil
}
