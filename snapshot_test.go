package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// streaming is a store that streams its events, all in one piece of memory, and
// then ends with an error.
type streaming struct {
	*memstore.Store
	events []audit.Event
	err    error
	asked  audit.Filter
}

func (s *streaming) Stream(_ context.Context, f audit.Filter, each func(*audit.Event) error) error {
	s.asked = f
	var current audit.Event
	for _, e := range s.events {
		current = e
		if err := each(&current); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
	}
	return s.err
}

func TestASnapshotIsStreamedIfTheStoreCan(t *testing.T) {
	t.Parallel()
	ctx, broken := context.Background(), errors.New("the connection is lost")
	s := &streaming{Store: memstore.New(), events: []audit.Event{single(), single()}, err: broken}
	read := 0
	err := audit.Snapshot(ctx, s, audit.Filter{Workspace: "w1"}, func(e *audit.Event) error {
		read++
		require.Equal(t, single(), *e)
		return nil
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, 2, read)
}

func TestASnapshotEndsWhereItsReaderEndsIt(t *testing.T) {
	t.Parallel()
	ctx, enough := context.Background(), errors.New("enough")
	streams := &streaming{Store: memstore.New(), events: []audit.Event{single(), single()}}
	lists := memstore.New()
	require.NoError(t, lists.Append(ctx, []audit.Event{single()}))
	for _, store := range []audit.Store{streams, lists} {
		read := 0
		err := audit.Snapshot(ctx, store, audit.Filter{Workspace: single().Workspace}, func(*audit.Event) error {
			read++
			return enough
		})
		require.Equal(t, enough, err, "as it is")
		require.Equal(t, 1, read)
	}
}

func TestASnapshotOfAnotherStoreIsAQuery(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	e := single()
	require.NoError(t, store.Append(context.Background(), []audit.Event{e}))
	read := 0
	require.NoError(t, audit.Snapshot(context.Background(), store, audit.Filter{Workspace: e.Workspace}, func(got *audit.Event) error {
		read++
		require.Equal(t, e.ID, got.ID)
		return nil
	}))
	require.Equal(t, 1, read)
}

func TestASnapshotIsRefusedAsAQueryIs(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	refused := func(ctx context.Context, store audit.Store, f audit.Filter, want error) {
		t.Helper()
		err := audit.Snapshot(ctx, store, f, func(*audit.Event) error {
			require.Fail(t, "there is an event")
			return nil
		})
		require.Error(t, err)
		if want != nil {
			require.ErrorIs(t, err, want)
		}
	}
	for _, store := range []audit.Store{&streaming{Store: memstore.New(), events: []audit.Event{single()}}, memstore.New()} {
		refused(context.Background(), store, audit.Filter{}, audit.ErrInvalidFilter)
		refused(cancelled, store, audit.Filter{Workspace: "w1"}, context.Canceled)
	}
	refused(context.Background(), nil, audit.Filter{Workspace: "w1"}, nil)
}

// TestAnExportIsWhatIsWrittenOfItsEvents compares the two ways to a file.
func TestAnExportIsWhatIsWrittenOfItsEvents(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), audit.Filter{Workspace: "w1"}
	events := oneOfEveryKind()
	s := &streaming{Store: memstore.New(), events: events}
	var want, got bytes.Buffer
	opts := &audit.CSVOptions{PerChange: true, BOM: true}
	written, err := audit.WriteCSV(&want, sequence(events, nil), opts)
	require.NoError(t, err)
	exported, err := audit.ExportCSV(ctx, &got, s, f, opts)
	require.NoError(t, err)
	require.Equal(t, written, exported)
	require.Equal(t, want.String(), got.String())
	require.Equal(t, f, s.asked)

	want.Reset()
	got.Reset()
	written, err = audit.WriteJSONLines(&want, sequence(events, nil))
	require.NoError(t, err)
	exported, err = audit.ExportJSONLines(ctx, &got, s, f)
	require.NoError(t, err)
	require.Equal(t, written, exported)
	require.Equal(t, want.String(), got.String())
}

func TestAnExportWritesWhatCameBeforeAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection is lost")
	s := &streaming{Store: memstore.New(), events: []audit.Event{single(), single()}, err: broken}
	var got bytes.Buffer
	n, err := audit.ExportJSONLines(context.Background(), &got, s, audit.Filter{Workspace: "w1"})
	require.ErrorIs(t, err, broken)
	require.Equal(t, 2, n)
	require.Equal(t, 2, bytes.Count(got.Bytes(), []byte{'\n'}))

	full := errors.New("the disk is full")
	n, err = audit.ExportCSV(context.Background(), &limited{err: full}, &streaming{Store: memstore.New(), events: s.events}, audit.Filter{Workspace: "w1"}, nil)
	require.ErrorIs(t, err, full)
	require.Zero(t, n)
}
