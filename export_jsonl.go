package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxJSONLine bounds the line that [ReadJSONLines] takes, so that a file that
// is something else does not fill the memory.
const maxJSONLine = 64 << 20

// WriteJSONLines writes each event as one line of JSON (application/jsonl,
// UTF-8, LF), in the form of [Event.MarshalJSON]. Nothing of an event is lost;
// [ReadJSONLines] reads it back.
//
// It streams: memory does not grow with the number of events. It returns the
// number of events that w took whole, also together with an error: that of the
// events, that of w, or [ErrInvalidEvent] for a time that JSON cannot tell.
// The events before it have been written then.
func WriteJSONLines(w io.Writer, events iter.Seq2[Event, error]) (int, error) {
	return writeJSONLines(w, yielded(events))
}

// ExportJSONLines is [WriteJSONLines] of all that f asks for, newest first, by
// [Snapshot]: the fast way for a long file. Its errors are those of both.
func ExportJSONLines(ctx context.Context, w io.Writer, store Store, f Filter) (int, error) {
	return writeJSONLines(w, snapshot(ctx, store, f))
}

func writeJSONLines(w io.Writer, events walk) (int, error) {
	return export(w, "", events, func(b []byte, e *Event) ([]byte, error) {
		if err := e.checkJSON(); err != nil {
			return b, err
		}
		return append(e.appendJSON(b), '\n'), nil
	})
}

// ReadJSONLines returns the events that [WriteJSONLines] wrote, in their
// order, and reads them while the caller ranges over them. Empty lines and a
// byte order mark at the start are passed over; the last line needs no end.
//
// An error is yielded once, with a zero Event, and ends the sequence. It wraps
// [ErrInvalidEvent] for a line that holds no event, as one that was cut off,
// and names the line.
func ReadJSONLines(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if r == nil {
			yield(Event{}, errors.New("audit: reading JSON Lines needs a reader, got nil"))
			return
		}
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, exportBatch), maxJSONLine)
		n := 0
		for lines.Scan() {
			n++
			line := lines.Bytes()
			if n == 1 {
				line = bytes.TrimPrefix(line, []byte("\ufeff"))
			}
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			var e Event
			if err := readJSONLine(line, &e); err != nil {
				yield(Event{}, fmt.Errorf("audit: line %d of JSON Lines: %w", n, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(Event{}, fmt.Errorf("audit: line %d of JSON Lines: %w", n+1, invalidEvent("the line is longer than %d MiB", maxJSONLine>>20)))
		case err != nil:
			yield(Event{}, fmt.Errorf("audit: line %d of JSON Lines: %w", n+1, err))
		}
	}
}

func readJSONLine(line []byte, e *Event) error {
	if line = bytes.TrimSpace(line); line[0] != '{' { // null would pass for an empty event
		return invalidEvent("it does not hold a JSON object")
	}
	err := json.Unmarshal(line, e)
	if err != nil && !errors.Is(err, ErrInvalidEvent) {
		err = fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	return err
}
