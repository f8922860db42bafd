package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// allowance is by how much the live heap may differ between two exports of
// different lengths.
const allowance = 4 << 20

// measureExport writes few and then many events as CSV and compares how much
// memory was alive meanwhile.
func measureExport(ctx context.Context, few, many int) (err error) {
	database, drop, err := dbtest.New(ctx, "sqlite")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	store, err := sqlstore.New(database.SQL(), database.Dialect, nil)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	stored := 0
	peak := map[int]uint64{}
	for _, n := range []int{few, many} {
		if err := fill(ctx, store, stored, n); err != nil {
			return err
		}
		stored = n
		w := &watcher{}
		start := time.Now()
		written, err := audit.WriteCSV(w, audit.Query(ctx, store, audit.Filter{Workspace: "w1"}), nil)
		if err != nil {
			return err
		}
		if written != n {
			return fmt.Errorf("%d of %d events were written", written, n)
		}
		peak[n] = w.peak
		fmt.Fprintf(os.Stdout, "CSV of %d events: %d bytes in %s, at most %d KiB alive\n", n, w.bytes, time.Since(start).Round(time.Millisecond), w.peak>>10)
	}
	if peak[many] > peak[few]+allowance {
		return fmt.Errorf("memory grows with the number of events: %d KiB for %d, %d KiB for %d", peak[few]>>10, few, peak[many]>>10, many)
	}
	return nil
}

// fill appends events until there are n.
func fill(ctx context.Context, store audit.Store, from, n int) error {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from < n {
		events := make([]audit.Event, min(1000, n-from))
		for i := range events {
			t := at.Add(time.Duration(from+i) * time.Second)
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			events[i] = audit.Event{
				ID: id, Time: t, Workspace: "w1", Actor: audit.Actor{Kind: audit.KindUser, ID: "u1", Name: "Jo"}, Operation: audit.Updated,
				Entity: audit.Entity{Type: audit.TypeTimeEntry, ID: uuid.NewString(), Label: "Weekly planning", Owner: "u1"}, Ownership: audit.OwnershipSelf,
				Changes:       []audit.Change{{Field: "description", Before: audit.Value{JSON: []byte(`"Planning"`)}, After: audit.Value{JSON: []byte(`"Weekly planning"`)}}},
				ChangeSet:     uuid.New(),
				SchemaVersion: audit.SchemaVersion,
			}
		}
		if err := store.Append(ctx, events); err != nil {
			return err
		}
		from += len(events)
	}
	return nil
}

// watcher throws away what is written to it and looks at the heap now and then.
type watcher struct {
	bytes, seen int
	peak        uint64
}

func (w *watcher) Write(p []byte) (int, error) {
	w.bytes += len(p)
	if w.bytes-w.seen >= 256<<10 {
		w.seen = w.bytes
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.peak = max(w.peak, m.HeapAlloc)
	}
	return len(p), nil
}
