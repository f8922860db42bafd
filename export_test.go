package audit_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// sequence yields the events and then, if it is not nil, the error.
func sequence(events []audit.Event, err error) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(audit.Event{}, err)
		}
	}
}

// repeated yields an event n times.
func repeated(e audit.Event, n int) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for range n {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// exports are the ways to write events, each with the number of lines that an
// event of one line takes before the first event.
var exports = map[string]struct {
	write func(w io.Writer, events iter.Seq2[audit.Event, error]) (int, error)
	head  int
}{
	"CSV": {func(w io.Writer, events iter.Seq2[audit.Event, error]) (int, error) {
		return audit.WriteCSV(w, events, nil)
	}, 1},
	"CSV per change": {func(w io.Writer, events iter.Seq2[audit.Event, error]) (int, error) {
		return audit.WriteCSV(w, events, &audit.CSVOptions{PerChange: true})
	}, 1},
	"JSON Lines": {audit.WriteJSONLines, 0},
}

func single() audit.Event {
	e := renamed()
	e.Changes = e.Changes[:1]
	return e
}

// limited takes some bytes and then fails.
type limited struct {
	bytes.Buffer
	left int
	err  error
}

func (w *limited) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.Buffer.Write(p[:n])
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

func TestAnExportCountsTheEventsThatWereWritten(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	gone := errors.New("the store is gone")
	for name, x := range exports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 2000
			var all bytes.Buffer
			written, err := x.write(&all, repeated(single(), n))
			require.NoError(t, err)
			require.Equal(t, n, written)
			require.Equal(t, n+x.head, strings.Count(all.String(), "\n"))

			for _, left := range []int{0, 1, 100, 1000, 70_000, 131_072, all.Len() - 1} {
				for _, cause := range []error{full, nil} {
					w := &limited{left: left, err: cause}
					written, err := x.write(w, repeated(single(), n))
					if cause == nil {
						cause = io.ErrShortWrite
					}
					require.ErrorIs(t, err, cause)
					require.ErrorContains(t, err, "audit: export: ")
					require.Equal(t, all.String()[:left], w.String())
					require.Equal(t, max(0, strings.Count(w.String(), "\n")-x.head), written, "after %d bytes", left)
				}
			}

			all.Reset()
			written, err = x.write(&all, sequence([]audit.Event{single(), single(), single()}, gone))
			require.Equal(t, gone.Error(), err.Error())
			require.ErrorIs(t, err, gone)
			require.Equal(t, 3, written)
			require.Equal(t, 3+x.head, strings.Count(all.String(), "\n"), "what came before the error is written")

			written, err = x.write(&limited{err: full}, sequence([]audit.Event{single()}, gone))
			require.ErrorIs(t, err, gone)
			require.ErrorIs(t, err, full)
			require.Zero(t, written)

			_, err = x.write(nil, sequence(nil, nil))
			require.EqualError(t, err, "audit: export needs a writer, got nil")

			all.Reset()
			written, err = x.write(&all, nil)
			require.NoError(t, err)
			require.Zero(t, written)
			require.Equal(t, x.head, strings.Count(all.String(), "\n"), "an empty export has its header")
		})
	}
}

func TestAnExportReadsFromAStoreAsItGoes(t *testing.T) {
	t.Parallel()
	for name, x := range exports {
		store := &watched{Store: filled(t, 1300)}
		n, err := x.write(io.Discard, audit.Query(context.Background(), store, audit.Filter{Workspace: "w1"}))
		require.NoError(t, err, name)
		require.Equal(t, 1300, n, name)
		_, err = x.write(&limited{err: io.ErrClosedPipe}, audit.Query(context.Background(), &watched{Store: store}, audit.Filter{Workspace: "w1"}))
		require.ErrorIs(t, err, io.ErrClosedPipe, name)
		require.Less(t, len(store.limits), 4+4, "%s: an export that cannot write stops reading", name)
	}
}

// The test is not parallel, for it looks at the memory of the whole program.
func TestAnExportOfAMillionEventsTakesNoMoreMemoryThanOneOfTenThousand(t *testing.T) {
	many, few := 1_000_000, 10_000
	if raceDetector { // it makes every event many times slower
		many = 100_000
	}
	e := single()
	for name, x := range exports {
		peak := uint64(0)
		measured := func(n int) iter.Seq2[audit.Event, error] {
			return func(yield func(audit.Event, error) bool) {
				i := 0
				for e, err := range repeated(e, n) {
					if i++; i%(n/8) == 0 {
						var m runtime.MemStats
						runtime.GC()
						runtime.ReadMemStats(&m)
						peak = max(peak, m.HeapAlloc)
					}
					if !yield(e, err) {
						return
					}
				}
			}
		}
		_, err := x.write(io.Discard, measured(few))
		require.NoError(t, err)
		small := peak
		peak = 0
		n, err := x.write(io.Discard, measured(many))
		require.NoError(t, err)
		require.Equal(t, many, n)
		require.Less(t, peak, small+1<<20, "%s: the live heap does not grow with the number of events", name)
	}
}

func TestAnExportAllocatesNothingForEachEvent(t *testing.T) {
	e := single()
	for name, x := range exports {
		const n = 1000
		allocs := testing.AllocsPerRun(3, func() { _, _ = x.write(io.Discard, repeated(e, n)) })
		require.Less(t, allocs, float64(n)/4, "%s: far less than one for each event", name)
	}
}

func TestOneHugeEventDoesNotKeepItsMemory(t *testing.T) {
	t.Parallel()
	huge := single()
	huge.Changes = []audit.Change{{Field: "note", After: text(strings.Repeat("x", 2<<20))}}
	for name, x := range exports {
		var out bytes.Buffer
		n, err := x.write(&out, sequence([]audit.Event{single(), huge, single()}, nil))
		require.NoError(t, err, name)
		require.Equal(t, 3, n, name)
		require.Greater(t, out.Len(), 2<<20, name)
	}
}

func TestJSONLinesAreReadBackWithoutLoss(t *testing.T) {
	t.Parallel()
	events := oneOfEveryKind()
	for _, s := range hostile {
		events = append(events, everywhere(strings.ToValidUTF8(s, ""), `"x"`))
	}
	var out bytes.Buffer
	n, err := audit.WriteJSONLines(&out, sequence(events, nil))
	require.NoError(t, err)
	require.Equal(t, len(events), n)
	require.Equal(t, len(events), strings.Count(out.String(), "\n"), "one line for each event")

	read := readAll(t, strings.NewReader(out.String()))
	require.Equal(t, events, read)
	read = readAll(t, strings.NewReader("\ufeff\r\n"+strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", "\r\n\r\n")))
	require.Equal(t, events, read, "a byte order mark, CRLF, empty lines and a missing end do no harm")
	require.Empty(t, readAll(t, strings.NewReader("")))
}

func readAll(t *testing.T, r io.Reader) []audit.Event {
	t.Helper()
	var events []audit.Event
	for e, err := range audit.ReadJSONLines(r) {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

func TestJSONLinesThatCannotBeReadAreNamedByTheirLine(t *testing.T) {
	t.Parallel()
	good := string(single().AppendJSON(nil)) + "\n"
	for _, tt := range []struct {
		name, text, message string
	}{
		{"half an event", good + "\n" + good[:50], "audit: line 3 of JSON Lines: audit: invalid event: unexpected end of JSON input"},
		{"no JSON", good + "hello\n", "audit: line 2 of JSON Lines: audit: invalid event: it does not hold a JSON object"},
		{"null", good + "null\n", "audit: line 2 of JSON Lines: audit: invalid event: it does not hold a JSON object"},
		{"two events on a line", good + strings.TrimSpace(good) + good, "audit: line 2 of JSON Lines: audit: invalid event: invalid character '{' after top-level value"},
		{"a later version", good + `{"schema_version":2}`, "audit: line 2 of JSON Lines: audit: invalid event: event 00000000-0000-0000-0000-000000000000 has schema version 2, this program knows up to 1; update it"},
		{"an endless line", good + strings.Repeat(" ", 64<<20+1), "audit: line 2 of JSON Lines: audit: invalid event: the line is longer than 64 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if raceDetector && len(tt.text) > 1<<20 {
				t.Skip("takes long under the race detector, and starts no goroutine")
			}
			events, errs := 0, 0
			for e, err := range audit.ReadJSONLines(strings.NewReader(tt.text)) {
				if err == nil {
					events++
					require.Equal(t, single(), e)
					continue
				}
				errs++
				require.ErrorIs(t, err, audit.ErrInvalidEvent)
				require.EqualError(t, err, tt.message)
			}
			require.Equal(t, []int{1, 1}, []int{events, errs})
		})
	}
	for _, r := range []io.Reader{nil, io.MultiReader(strings.NewReader(good), &failing{})} {
		errs := 0
		for _, err := range audit.ReadJSONLines(r) {
			if err != nil {
				errs++
			}
		}
		require.Equal(t, 1, errs)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnEventOfTheYear10000StopsJSONLines(t *testing.T) {
	t.Parallel()
	late := single()
	late.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	n, err := audit.WriteJSONLines(io.Discard, sequence([]audit.Event{single(), late, single()}, nil))
	require.ErrorIs(t, err, audit.ErrInvalidEvent)
	require.Equal(t, 1, n)
}

func FuzzReadJSONLines(f *testing.F) {
	f.Add(string(single().AppendJSON(nil)) + "\n{}\n")
	f.Add("\ufeff\n\n{\"changes\":[{}]}")
	f.Fuzz(func(t *testing.T, text string) {
		var events []audit.Event
		for e, err := range audit.ReadJSONLines(strings.NewReader(text)) {
			if err != nil {
				return
			}
			events = append(events, e)
		}
		var out bytes.Buffer
		n, err := audit.WriteJSONLines(&out, sequence(events, nil))
		if err != nil {
			require.ErrorIs(t, err, audit.ErrInvalidEvent)
			return
		}
		require.Equal(t, len(events), n)
		require.Equal(t, n, strings.Count(out.String(), "\n"))
		var again bytes.Buffer
		_, err = audit.WriteJSONLines(&again, audit.ReadJSONLines(strings.NewReader(out.String())))
		require.NoError(t, err)
		require.Equal(t, out.String(), again.String())
	})
}

func benchmarkExport(b *testing.B, write func(w io.Writer, events iter.Seq2[audit.Event, error]) (int, error)) {
	events := oneOfEveryKind()
	source := func(yield func(audit.Event, error) bool) {
		for i := range b.N {
			if !yield(events[i%len(events)], nil) {
				return
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	_, err := write(io.Discard, source)
	require.NoError(b, err)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkWriteCSV(b *testing.B) {
	b.Run("per event", func(b *testing.B) { benchmarkExport(b, exports["CSV"].write) })
	b.Run("per change", func(b *testing.B) { benchmarkExport(b, exports["CSV per change"].write) })
}

func BenchmarkWriteJSONLines(b *testing.B) { benchmarkExport(b, audit.WriteJSONLines) }

// table is a CSV as programs read it.
func table(t *testing.T, events []audit.Event, opts *audit.CSVOptions) []map[string]string {
	t.Helper()
	var out bytes.Buffer
	_, err := audit.WriteCSV(&out, sequence(events, nil), opts)
	require.NoError(t, err)
	records, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, cell := range record {
			row[records[0][i]] = cell
		}
		require.Len(t, row, len(record), "every column has a name of its own")
		rows = append(rows, row)
	}
	return rows
}
