package retention_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/memstore"
)

const day = 24 * time.Hour

// now is when the tests take place.
var now = time.Date(2026, 3, 17, 12, 0, 0, 0, time.UTC)

// event is one that is so many days old.
func event(workspace string, kind audit.EntityType, days, n int) audit.Event {
	return audit.Event{
		ID:   uuid.UUID{0: workspace[len(workspace)-1], 1: byte(len(kind)), 6: 0x70, 8: 0x80, 12: byte(days >> 8), 13: byte(days), 14: byte(n >> 8), 15: byte(n)},
		Time: now.Add(-time.Duration(days) * day).Add(time.Duration(n) * time.Second), Workspace: workspace,
		Actor: audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}, Operation: audit.Updated,
		Entity:        audit.Entity{Type: kind, ID: fmt.Sprint(n), Label: "Apollo"},
		Changes:       []audit.Change{{Field: "name", After: audit.Value{JSON: json.RawMessage(`"Apollo"`)}}},
		SchemaVersion: audit.SchemaVersion,
	}
}

// rig is a store and what looks after it.
type rig struct {
	store  *memstore.Store
	rec    *audit.Recorder
	folder string
	cfg    retention.Config
}

func newRig(t *testing.T, archived bool, events ...audit.Event) *rig {
	t.Helper()
	r := &rig{store: memstore.New(), folder: t.TempDir()}
	require.NoError(t, r.store.Append(context.Background(), events))
	var err error
	// Nothing is to be recorded: a purge is all the same.
	r.rec, err = audit.New(r.store, &audit.Config{Now: func() time.Time { return now }, Gate: new(audit.Switch)})
	require.NoError(t, err)
	r.cfg.Now = func() time.Time { return now }
	if archived {
		r.cfg.Archive, err = archive.New(archive.Folder(r.folder))
		require.NoError(t, err)
	}
	return r
}

func (r *rig) keeper(t *testing.T) *retention.Keeper {
	t.Helper()
	k, err := retention.New(r.rec, &r.cfg)
	require.NoError(t, err)
	return k
}

// left are the events that are neither deleted nor tell of it, oldest first, and
// those that tell of it.
func (r *rig) left() (left, told []audit.Event) {
	for _, e := range r.store.All() {
		if e.Entity.Type == audit.TypeLog && e.Operation == audit.Purged {
			told = append(told, e)
		} else {
			left = append(left, e)
		}
	}
	return left, told
}

func change(t *testing.T, e audit.Event, field string, v any) {
	t.Helper()
	at := slices.IndexFunc(e.Changes, func(c audit.Change) bool { return c.Field == field })
	require.NotEqual(t, -1, at, field)
	require.NoError(t, json.Unmarshal(e.Changes[at].After.JSON, v))
}

func TestWhatHasExpiredIsDeletedAndTold(t *testing.T) {
	t.Parallel()
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "1", Name: "Root"})
	old := []audit.Event{event("w1", audit.TypeProject, 400, 1), event("w1", audit.TypeProject, 380, 1), event("w1", audit.TypeTag, 366, 1)}
	kept := []audit.Event{event("w1", audit.TypeProject, 365, 0), event("w1", audit.TypeTag, 10, 1)}
	r := newRig(t, false, append(slices.Clone(old), kept...)...)
	result, err := r.keeper(t).Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, retention.Result{Events: 3}, result)
	left, told := r.left()
	require.Equal(t, kept, left, "what is a year old to the second is kept")
	require.Len(t, told, 2, "one for each month")
	require.Equal(t, told[0].ChangeSet, told[1].ChangeSet)
	require.NotZero(t, told[0].ChangeSet)
	require.Equal(t, []audit.Event{
		{
			ID: told[0].ID, Time: now, Workspace: "w1", Actor: audit.Actor{Kind: audit.KindUser, ID: "1", Name: "Root"}, Operation: audit.Purged,
			Entity: audit.Entity{Type: audit.TypeLog, ID: "*"}, ChangeSet: told[0].ChangeSet, SchemaVersion: audit.SchemaVersion,
			Changes: []audit.Change{
				{Field: "events", After: audit.Value{JSON: json.RawMessage(`2`)}},
				{Field: "from", After: audit.Value{JSON: json.RawMessage(`"2025-03-02T12:00:01Z"`)}},
				{Field: "to", After: audit.Value{JSON: json.RawMessage(`"2025-03-16T12:00:01Z"`)}},
			},
		},
	}, told[:1])
	result, err = r.keeper(t).Purge(context.Background())
	require.NoError(t, err)
	require.Zero(t, result)
	_, again := r.left()
	require.Equal(t, told, again, "a purge of nothing leaves nothing")
}

func TestWithoutAnActorItIsTheSystem(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, event("w1", audit.TypeProject, 400, 1), event("w1", audit.TypeProject, 1, 1))
	_, err := r.keeper(t).Purge(context.Background())
	require.NoError(t, err)
	_, told := r.left()
	require.Len(t, told, 1)
	require.Equal(t, audit.System, told[0].Actor)
}

func TestRulesAndHoldsKeepWhatTheyName(t *testing.T) {
	t.Parallel()
	var all []audit.Event
	for _, days := range []int{20, 50, 100, 400, 1000} {
		for i, w := range []string{"w1", "w2", "w3"} {
			all = append(all, event(w, audit.TypeProject, days, i), event(w, audit.TypeTag, days, i))
		}
	}
	all = append(all, event("w1", audit.TypeProject, 1, 9))
	r := newRig(t, false, all...)
	r.cfg.Policy = retention.Policy{
		Rules: []retention.Rule{
			{Types: []audit.EntityType{audit.TypeTag}, Keep: 30 * day},
			{Workspaces: []string{"w2"}, Keep: 60 * day},
			{Workspaces: []string{"w2"}, Types: []audit.EntityType{audit.TypeTag}, Keep: retention.Forever},
		},
		Holds: []audit.Filter{{Entities: []audit.Entity{{Type: audit.TypeProject, ID: "2"}}}},
	}
	r.cfg.Holds = func(context.Context) ([]audit.Filter, error) {
		return []audit.Filter{{Workspace: "w1", Types: []audit.EntityType{audit.TypeTag}, To: now.AddDate(-2, 0, 0)}}, nil
	}
	_, err := r.keeper(t).Purge(context.Background())
	require.NoError(t, err)
	left, _ := r.left()
	var got []string
	for _, e := range left {
		got = append(got, fmt.Sprintf("%s %s %d", e.Workspace, e.Entity.Type, int(now.Add(day-1).Sub(e.Time)/day)))
	}
	slices.Sort(got)
	require.Equal(t, []string{
		"w1 project 1", "w1 project 100", "w1 project 20", "w1 project 50", "w1 tag 1000", "w1 tag 20",
		"w2 project 20", "w2 project 50", "w2 tag 100", "w2 tag 1000", "w2 tag 20", "w2 tag 400", "w2 tag 50",
		"w3 project 100", "w3 project 1000", "w3 project 20", "w3 project 400", "w3 project 50", "w3 tag 20",
	}, got)
}

func TestHoldsThatCannotBeKnownStopThePurge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		holds []audit.Filter
		err   error
	}{
		"they cannot be read":  {nil, errors.New("no answer")},
		"they are not filters": {[]audit.Filter{{}}, nil},
	} {
		r := newRig(t, false, event("w1", audit.TypeProject, 400, 1), event("w1", audit.TypeProject, 1, 1))
		r.cfg.Holds = func(context.Context) ([]audit.Filter, error) { return c.holds, c.err }
		_, err := r.keeper(t).Purge(context.Background())
		require.ErrorContains(t, err, "retention: Config.Holds", name)
		require.Len(t, r.store.All(), 2)
	}
}

func TestConfigsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	_, err := retention.New(nil, nil)
	require.ErrorContains(t, err, "needs a recorder")
	for says, cfg := range map[string]retention.Config{
		"Keep is 1h0m0s":           {Policy: retention.Policy{Keep: time.Hour}},
		"Share is 2":               {Share: 2},
		"Share is -1":              {Share: -1},
		"names an empty workspace": {Workspaces: []string{""}},
	} {
		_, err := retention.New(r.rec, &cfg)
		require.ErrorContains(t, err, says)
	}
	rec, err := audit.New(plain{r.store}, nil)
	require.NoError(t, err)
	_, err = retention.New(rec, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = retention.New(r.rec, nil)
	require.NoError(t, err)
}

// plain is a store without further abilities.
type plain struct{ audit.Store }

// timed is a store with a clock of its own.
type timed struct {
	*memstore.Store
	time time.Time
	err  error
}

func (s timed) Time(context.Context) (time.Time, error) { return s.time, s.err }

func TestAClockThatHasJumpedStopsThePurge(t *testing.T) {
	t.Parallel()
	broken := errors.New("no answer")
	for name, c := range map[string]struct {
		theirs time.Time // zero for a store without a clock
		fails  error
		events []audit.Event
		purged int // days since the last purge
		cfg    retention.Config
		says   string // empty if the purge goes on
	}{
		"all is well":                   {theirs: now, events: []audit.Event{event("w2", "x", 1, 1)}, purged: 31},
		"ahead of the store":            {theirs: now.Add(-6 * time.Minute), events: []audit.Event{event("w2", "x", 1, 1)}, says: "the store's shows 2026-03-17T11:54:00Z"},
		"a little ahead of the store":   {theirs: now.Add(-4 * time.Minute), events: []audit.Event{event("w2", "x", 1, 1)}},
		"behind the store":              {theirs: now.AddDate(5, 0, 0), events: []audit.Event{event("w2", "x", 1, 1)}},
		"ahead, but that is allowed":    {theirs: now.AddDate(-1, 0, 0), events: []audit.Event{event("w2", "x", 1, 1)}, cfg: retention.Config{MaxSkew: -1}},
		"the store does not know":       {theirs: now, fails: broken, says: "no answer"},
		"nothing was recorded for long": {events: []audit.Event{event("w2", "x", 46, 1)}, says: "the newest event of the log is of 2026-01-30T12:00:01Z"},
		"recorded a while ago":          {events: []audit.Event{event("w2", "x", 44, 1)}},
		"only the future was recorded":  {events: []audit.Event{event("w2", "x", -100, 1)}, says: "the newest event of the log is of 2025-02-10"},
		"nothing was purged for long":   {events: []audit.Event{event("w2", "x", 1, 1)}, purged: 46, says: "the newest purge of the log is of 2026-01-30T12:00:00Z"},
		"for long, but that is allowed": {events: []audit.Event{event("w2", "x", 1, 1)}, purged: 300, cfg: retention.Config{MaxGap: 301 * day}},
		"for long, and nobody looks":    {purged: 300, cfg: retention.Config{MaxGap: -1}},
		"the first purge of an old log": {events: []audit.Event{event("w2", "x", 700, 1), event("w2", "x", 3, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := event("w1", "x", 400, 1)
			r := newRig(t, false, append(c.events, old)...)
			if c.purged > 0 {
				e := event("w3", audit.TypeLog, c.purged, 0)
				e.Operation, e.Entity.ID = audit.Purged, "*"
				require.NoError(t, r.store.Append(context.Background(), []audit.Event{e}))
			}
			if !c.theirs.IsZero() {
				var err error
				r.rec, err = audit.New(timed{r.store, c.theirs, c.fails}, &audit.Config{Now: func() time.Time { return now }})
				require.NoError(t, err)
			}
			c.cfg.Now = r.cfg.Now
			r.cfg = c.cfg
			before := r.store.All()
			_, err := r.keeper(t).Purge(context.Background())
			if c.says == "" {
				require.NoError(t, err)
				left, _ := r.left()
				require.NotContains(t, left, old)
				return
			}
			require.ErrorContains(t, err, c.says)
			if c.fails == nil {
				require.ErrorIs(t, err, retention.ErrClock)
			}
			require.Equal(t, before, r.store.All())
		})
	}
}

func TestNothingIsDeletedThatIsNotArchived(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var all []audit.Event
	for n := range 1100 {
		all = append(all, event("w1", audit.TypeProject, 400, n))
	}
	all = append(all, event("w1", audit.TypeTag, 430, 1), event("w2", audit.TypeTag, 366, 1), event("w1", audit.TypeTag, 1, 1))
	r := newRig(t, true, all...)
	r.cfg.CSV = true
	result, err := r.keeper(t).Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1101, result.Events)
	require.Len(t, result.Archives, 2)
	left, told := r.left()
	require.Equal(t, []audit.Event{event("w2", audit.TypeTag, 366, 1), event("w1", audit.TypeTag, 1, 1)}, left, "the month of w2's has not expired")
	events := 0
	for _, e := range told {
		var n int
		var files []map[string]string
		change(t, e, "events", &n)
		change(t, e, "archive", &files)
		events += n
		require.Len(t, files, 1)
		require.True(t, slices.ContainsFunc(result.Archives, func(m archive.Manifest) bool {
			return m.Data.Name == files[0]["name"] && m.Data.SHA256 == files[0]["sha256"] && m.CSV != nil
		}))
	}
	require.Equal(t, 1101, events)

	n, err := archive.Restore(ctx, r.store, r.cfg.Archive, audit.Filter{Workspace: "w1"})
	require.NoError(t, err)
	require.Equal(t, 1101, n)
	left, _ = r.left()
	require.ElementsMatch(t, all, left)
	late := event("w1", audit.TypeTag, 400, 7)
	require.NoError(t, r.store.Append(ctx, []audit.Event{late}))
	result, err = r.keeper(t).Purge(ctx)
	require.NoError(t, err)
	require.Equal(t, 1102, result.Events, "what was restored is deleted again")
	require.Len(t, result.Archives, 1, "and archived only as far as it is not")
	require.Equal(t, 1, result.Archives[0].Events)
	require.Equal(t, 2, result.Archives[0].Part)
}

// place is a folder of which something fails.
type place struct {
	archive.Folder
	create func(name string) error
	// wrap changes what is written.
	wrap func(io.Writer) io.Writer
}

func (p place) Create(ctx context.Context, name string, write func(io.Writer) error) error {
	if p.create != nil {
		if err := p.create(name); err != nil {
			return err
		}
	}
	return p.Folder.Create(ctx, name, func(w io.Writer) error {
		if p.wrap != nil {
			w = p.wrap(w)
		}
		return write(w)
	})
}

// short is a writer that loses what comes after some bytes, and says nothing.
type short struct {
	io.Writer
	left int
}

func (s *short) Write(b []byte) (int, error) {
	if len(b) > s.left {
		_, err := s.Writer.Write(b[:s.left])
		s.left = 0
		return len(b), err
	}
	s.left -= len(b)
	return s.Writer.Write(b)
}

// full is a writer that has room for some bytes.
type full struct{ short }

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.left {
		return f.left, &fs.PathError{Op: "write", Path: "disk", Err: errors.New("no space left on device")}
	}
	return f.short.Write(b)
}

func TestAnArchiveThatFailsDeletesNothing(t *testing.T) {
	t.Parallel()
	data := func(t *testing.T, r *rig, change func([]byte) []byte) {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(r.folder, "*.jsonl.gz"))
		require.NoError(t, err)
		require.Len(t, paths, 1)
		b, err := os.ReadFile(paths[0])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(paths[0], change(b), 0o600))
	}
	manifest := func(t *testing.T, r *rig, old, change string) {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(r.folder, "*.manifest.json"))
		require.NoError(t, err)
		require.Len(t, paths, 1)
		b, err := os.ReadFile(paths[0])
		require.NoError(t, err)
		require.Contains(t, string(b), old)
		require.NoError(t, os.WriteFile(paths[0], []byte(strings.Replace(string(b), old, change, 1)), 0o600))
	}
	for name, c := range map[string]struct {
		place func(t *testing.T, r *rig) archive.Place
		// spoil is called after a first purge has archived and all was restored.
		spoil func(t *testing.T, r *rig)
		says  []string
		is    error
	}{
		"the folder is missing": {place: func(_ *testing.T, r *rig) archive.Place { return archive.Folder(filepath.Join(r.folder, "none")) }, says: []string{`none`}, is: fs.ErrNotExist},
		"the folder is a file": {place: func(t *testing.T, r *rig) archive.Place {
			path := filepath.Join(r.folder, "file")
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			return archive.Folder(path)
		}, says: []string{"file"}},
		"the folder is read-only": {place: func(_ *testing.T, r *rig) archive.Place {
			return place{Folder: archive.Folder(r.folder), create: func(string) error { return fs.ErrPermission }}
		}, says: []string{`write "w1-`, `.jsonl.gz"`}, is: fs.ErrPermission},
		"the folder is full": {place: func(_ *testing.T, r *rig) archive.Place {
			return place{Folder: archive.Folder(r.folder), wrap: func(w io.Writer) io.Writer { return &full{short{w, 100}} }}
		}, says: []string{`write "w1-`, `.jsonl.gz"`, "no space left"}},
		"the manifest finds no room": {place: func(_ *testing.T, r *rig) archive.Place {
			return place{Folder: archive.Folder(r.folder), create: func(name string) error {
				if strings.HasSuffix(name, ".json") {
					return errors.New("no space left on device")
				}
				return nil
			}}
		}, says: []string{`write "w1-`, `.manifest.json"`, "no space left"}},
		"the place loses the end": {place: func(_ *testing.T, r *rig) archive.Place {
			return place{Folder: archive.Folder(r.folder), wrap: func(w io.Writer) io.Writer { return &short{w, 400} }}
		}, says: []string{`"w1-`}, is: archive.ErrDamaged},
		"a file of the same name": {place: func(t *testing.T, r *rig) archive.Place {
			return place{Folder: archive.Folder(r.folder), create: func(name string) error {
				path := filepath.Join(r.folder, name)
				if strings.HasSuffix(name, ".jsonl.gz") {
					require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
				}
				return nil
			}}
		}, says: []string{`.jsonl.gz" is there already and holds something else`}, is: fs.ErrExist},
		"the archive is cut short": {spoil: func(t *testing.T, r *rig) { data(t, r, func(b []byte) []byte { return b[:len(b)/2] }) }, says: []string{`.jsonl.gz" is too short`}, is: archive.ErrDamaged},
		"the archive is damaged":   {spoil: func(t *testing.T, r *rig) { data(t, r, func(b []byte) []byte { b[len(b)-9] ^= 4; return b }) }, says: []string{`.jsonl.gz" has other bytes`}, is: archive.ErrDamaged},
		"the archive is longer":    {spoil: func(t *testing.T, r *rig) { data(t, r, func(b []byte) []byte { return append(b, b...) }) }, says: []string{`.jsonl.gz" is`, "bytes longer"}, is: archive.ErrDamaged},
		"the archive is gone": {spoil: func(t *testing.T, r *rig) {
			paths, _ := filepath.Glob(filepath.Join(r.folder, "*.gz"))
			require.NoError(t, os.Remove(paths[0]))
		}, says: []string{`.jsonl.gz" is missing`}, is: archive.ErrDamaged},
		"the manifest lies":    {spoil: func(t *testing.T, r *rig) { manifest(t, r, `"events": 30`, `"events": 20`) }, says: []string{`.manifest.json"`}, is: archive.ErrDamaged},
		"the archive is newer": {spoil: func(t *testing.T, r *rig) { manifest(t, r, `"version": 1`, `"version": 7`) }, says: []string{`.manifest.json" is of version 7`}, is: archive.ErrNewer},
		"of a newer schema":    {spoil: func(t *testing.T, r *rig) { manifest(t, r, `"schema_version": 1`, `"schema_version": 7`) }, says: []string{`.manifest.json" is of version 1 with events of version 7`}, is: archive.ErrNewer},
		"an event has changed since": {spoil: func(t *testing.T, r *rig) {
			e := event("w1", audit.TypeProject, 400, 3)
			require.NoError(t, r.store.Purge(context.Background(), audit.PurgeBatch{Workspace: "w1", To: now, IDs: []uuid.UUID{e.ID}}))
			e.Reason = "another"
			require.NoError(t, r.store.Append(context.Background(), []audit.Event{e}))
		}, says: []string{"has another content in the archive of 2025-02"}, is: archive.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			all := []audit.Event{event("w1", audit.TypeTag, 1, 1)}
			for n := range 30 {
				all = append(all, event("w1", audit.TypeProject, 400, n))
			}
			r := newRig(t, true, all...)
			var err error
			if c.place != nil {
				r.cfg.Archive, err = archive.New(c.place(t, r))
				require.NoError(t, err)
			}
			if c.spoil != nil {
				_, err := r.keeper(t).Purge(ctx)
				require.NoError(t, err)
				_, err = archive.Restore(ctx, r.store, r.cfg.Archive, audit.Filter{Workspace: "w1"})
				require.NoError(t, err)
				c.spoil(t, r)
			}
			before := r.store.All()
			result, err := r.keeper(t).Purge(ctx)
			require.Error(t, err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
			require.ErrorContains(t, err, `retention: purge workspace "w1"`)
			require.Zero(t, result.Events)
			require.Equal(t, before, r.store.All())
		})
	}
}

func TestOneWorkspacesArchiveDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, true, event("w1", "x", 400, 1), event("w2", "x", 400, 1), event("w3", "x", 400, 1), event("w2", "x", 1, 1))
	folder := place{Folder: archive.Folder(r.folder), create: func(name string) error {
		if strings.HasPrefix(name, "w2-") {
			return fs.ErrPermission
		}
		return nil
	}}
	var err error
	r.cfg.Archive, err = archive.New(folder)
	require.NoError(t, err)
	result, err := r.keeper(t).Purge(context.Background())
	require.ErrorContains(t, err, `purge workspace "w2"`)
	require.Equal(t, 2, result.Events)
	left, _ := r.left()
	require.Equal(t, []audit.Event{event("w2", "x", 400, 1), event("w2", "x", 1, 1)}, left)
}

// TestBatchesFollowTheClock lets a statement take a millisecond for each event.
func TestBatchesFollowTheClock(t *testing.T) {
	t.Parallel()
	all := []audit.Event{event("w1", "x", 1, 1)}
	for n := range 900 {
		all = append(all, event("w1", "x", 400, n))
	}
	r := newRig(t, false, all...)
	slow := &slowStore{Store: r.store, now: now}
	var err error
	r.rec, err = audit.New(slow, &audit.Config{Now: func() time.Time { return now }})
	require.NoError(t, err)
	r.cfg.Now = func() time.Time { return slow.now }
	r.cfg.Share = 1 // without a rest
	_, err = r.keeper(t).Purge(context.Background())
	require.NoError(t, err)
	require.Equal(t, []int{100, 50, 25, 25, 25}, slow.batches[:5], "at 2 ms for each event")
	require.Equal(t, []int{50, 50}, slow.batches[len(slow.batches)-3:len(slow.batches)-1], "at 1 ms")
}

// TestByDefaultAKeeperRestsAThousandTimesAsLongAsItWorks lets a statement take 10
// microseconds.
func TestByDefaultAKeeperRestsAThousandTimesAsLongAsItWorks(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, event("w1", "x", 400, 1), event("w1", "x", 1, 1))
	slow := &slowStore{Store: r.store, now: now, each: 10 * time.Microsecond}
	var err error
	r.rec, err = audit.New(slow, &audit.Config{Now: func() time.Time { return now }})
	require.NoError(t, err)
	r.cfg.Now = func() time.Time { return slow.now }
	begin := time.Now()
	_, err = r.keeper(t).Purge(context.Background())
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begin), 999*10*time.Microsecond)
}

// slowStore takes a while to purge, by a clock of its own.
type slowStore struct {
	*memstore.Store
	now     time.Time
	each    time.Duration // for an event; 0 is 2 ms in the first batches and then one
	batches []int
}

func (s *slowStore) Purge(ctx context.Context, b audit.PurgeBatch) error {
	each := cmp.Or(s.each, time.Millisecond)
	if s.each == 0 && len(s.batches) < 5 {
		each = 2 * time.Millisecond
	}
	s.batches = append(s.batches, len(b.IDs))
	s.now = s.now.Add(time.Duration(len(b.IDs)) * each)
	return s.Store.Purge(ctx, b)
}

func TestRunPurgesUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	r := newRig(t, false, event("w1", "x", 400, 1), event("w1", "x", 1, 1))
	asked := 0
	failed := errors.New("no answer")
	var told []error
	r.cfg.Holds = func(context.Context) ([]audit.Filter, error) {
		switch asked++; asked {
		case 1:
			return nil, failed
		case 4: // the second purge asked before it deleted, too
			cancel()
		}
		return nil, nil
	}
	r.cfg.OnError = func(err error) { told = append(told, err) }
	require.ErrorIs(t, r.keeper(t).Run(ctx, time.Microsecond), context.Canceled)
	require.Equal(t, 4, asked)
	require.Len(t, told, 1)
	require.ErrorIs(t, told[0], failed)
	left, _ := r.left()
	require.Len(t, left, 1)
	require.Error(t, r.keeper(t).Run(context.Background(), 0))
}
