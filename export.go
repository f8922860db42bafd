package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// TypeExport is the entity type of exports of the audit log itself. Its events
// are written whatever a [Gate] says.
const TypeExport EntityType = "audit_export"

// The operations of exports: Exported when somebody asked for one, Downloaded
// each time its file was handed out.
const (
	Exported   Operation = "exported"
	Downloaded Operation = "downloaded"
)

// onlyAfter reports whether there is nothing before the operation that its
// changes could tell of.
func (o Operation) onlyAfter() bool {
	return o == Created || o == Restored || o == Exported || o == Downloaded
}

// exportBatch is how many bytes are collected before they are written.
const exportBatch = 64 << 10

// exportRoom is the memory that a long export has for that, nearly all of which it
// never touches, so that the system never gives it. It counts, though: Go collects
// garbage when what there is has doubled, and a program that has next to nothing
// but the driver's rows would do so each time a few thousand of them were read.
const exportRoom = 4 << 20

// walk goes over what is exported: it calls each with every event, which is
// good until each returns, and ends with the first error.
type walk func(each func(*Event) error) error

// yielded are the events of a sequence.
func yielded(events iter.Seq2[Event, error]) walk {
	return func(each func(*Event) error) error {
		if events == nil {
			return nil
		}
		var current Event // one for all, so that none is allocated for each
		for e, err := range events {
			if err != nil {
				return err
			}
			current = e
			if err := each(&current); err != nil {
				return err
			}
		}
		return nil
	}
}

// snapshot are the events that f asks for.
func snapshot(ctx context.Context, store Store, f Filter) walk {
	return func(each func(*Event) error) error { return Snapshot(ctx, store, f, each) }
}

// export writes head and then each event as appendTo gives it. It returns the
// number of events that w took whole.
func export(w io.Writer, head string, events walk, appendTo func([]byte, *Event) ([]byte, error)) (int, error) {
	if w == nil {
		return 0, errors.New("audit: export needs a writer, got nil")
	}
	out := exportWriter{w: w, buf: append(make([]byte, 0, exportBatch+exportBatch/4), head...)}
	err := events(func(e *Event) (err error) {
		if out.buf, err = appendTo(out.buf, e); err != nil {
			return err
		}
		return out.endEvent()
	})
	if ended := out.flush(); err == nil { // what came before an error is good
		err = ended
	} else if ended != nil {
		err = errors.Join(err, ended)
	}
	return out.written, err
}

// exportWriter collects whole events for w and counts those that w took.
type exportWriter struct {
	w       io.Writer
	buf     []byte
	ends    []int // where the events in buf end
	written int
}

func (x *exportWriter) endEvent() error {
	x.ends = append(x.ends, len(x.buf))
	if len(x.buf) < exportBatch {
		return nil
	}
	if err := x.flush(); err != nil {
		return err
	}
	if cap(x.buf) != exportRoom { // so it is at first, and after one huge event, whose memory must not be kept
		x.buf = make([]byte, 0, exportRoom)
	}
	return nil
}

func (x *exportWriter) flush() error {
	if len(x.buf) == 0 {
		return nil
	}
	n, err := x.w.Write(x.buf)
	if err == nil && n < len(x.buf) {
		err = io.ErrShortWrite
	}
	for _, end := range x.ends {
		if end <= n {
			x.written++
		}
	}
	x.buf, x.ends = x.buf[:0], x.ends[:0]
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}
