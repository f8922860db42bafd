package archive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
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
	"github.com/gormtrail/audit/store/memstore"
)

var march = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)

// event is the nth of a month, a minute after the one before.
func event(month time.Time, n int) audit.Event {
	return audit.Event{
		ID: uuid.UUID{0: byte(month.Month()), 6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)}, Time: month.Add(time.Duration(n/2) * time.Minute), Workspace: "Acme & Co.",
		Actor: audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}, Operation: audit.Updated,
		Entity: audit.Entity{Type: audit.EntityType([]string{"project", "tag"}[n%2]), ID: fmt.Sprint(n % 7), Label: "\"Apollo\"\n\u202e"},
		Changes: []audit.Change{
			{Field: "name", Before: audit.Value{JSON: json.RawMessage(`null`)}, After: audit.Value{JSON: json.RawMessage(fmt.Sprintf(`"%d"`, n))}},
			{Field: "secret", Before: audit.Value{Form: audit.FormRedacted}},
		},
		SchemaVersion: audit.SchemaVersion,
	}
}

// rig is some events, live and in archives in a folder.
type rig struct {
	folder   string
	archives *archive.Store
	live     *memstore.Store
}

func newRig(t *testing.T, perMonth int, months ...time.Time) rig {
	t.Helper()
	r := rig{folder: t.TempDir(), live: memstore.New()}
	var err error
	r.archives, err = archive.New(archive.Folder(r.folder))
	require.NoError(t, err)
	for _, month := range months {
		var events []audit.Event
		for n := range perMonth {
			events = append(events, event(month, n))
		}
		require.NoError(t, r.live.Append(context.Background(), events))
		_, err := r.archives.Write(context.Background(), r.request(month, nil))
		require.NoError(t, err)
	}
	return r
}

func (r rig) request(month time.Time, types []audit.EntityType) archive.Request {
	f := audit.Filter{Workspace: "Acme & Co.", From: month, To: month.AddDate(0, 1, 0), Types: types}
	return archive.Request{Workspace: f.Workspace, From: f.From, To: f.To, Events: audit.Query(context.Background(), r.live, f)}
}

// file is the only file in the folder whose name ends so.
func (r rig) file(t *testing.T, suffix string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(r.folder, "*"+suffix))
	require.NoError(t, err)
	require.Len(t, names, 1)
	return names[0]
}

func query(t *testing.T, store audit.Store, f audit.Filter) []audit.Event {
	t.Helper()
	var all []audit.Event
	for e, err := range audit.Query(context.Background(), store, f) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// TestAnArchiveAnswersAsTheLiveStoreDoes compares filters, positions and sizes of
// pages at random.
func TestAnArchiveAnswersAsTheLiveStoreDoes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 1200, march, march.AddDate(0, 1, 0), march.AddDate(0, 3, 0))
	// A part with events that are in others too.
	_, err := r.archives.Write(ctx, r.request(march, []audit.EntityType{"tag"}))
	require.NoError(t, err)
	all := query(t, r.live, audit.Filter{Workspace: "Acme & Co."})
	require.Len(t, all, 3600)
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		f := audit.Filter{Workspace: "Acme & Co."}
		if random.IntN(2) == 0 {
			f.From = all[random.IntN(len(all))].Time
		}
		if random.IntN(2) == 0 {
			f.To = all[random.IntN(len(all))].Time
			if f.To.Before(f.From) {
				f.From, f.To = f.To, f.From
			}
		}
		if random.IntN(3) == 0 {
			f.Types = []audit.EntityType{"tag"}
		}
		if random.IntN(3) == 0 {
			f.Except = []audit.Filter{{Entities: []audit.Entity{{Type: "tag", ID: "1"}}}}
		}
		var after audit.Position
		if random.IntN(2) == 0 {
			after = all[random.IntN(len(all))].Position()
		}
		limit := 1 + random.IntN(700)
		want, err := r.live.List(ctx, f, after, limit)
		require.NoError(t, err)
		got, err := r.archives.List(ctx, f, after, limit)
		require.NoError(t, err)
		require.Equal(t, want, got, "%+v after %v, %d", f, after, limit)
	}
	require.Empty(t, query(t, r.archives, audit.Filter{Workspace: "acme"}))
	_, err = r.archives.List(ctx, audit.Filter{}, audit.Position{}, 1)
	require.ErrorIs(t, err, audit.ErrInvalidFilter)
	_, err = r.archives.List(ctx, audit.Filter{Workspace: "w1"}, audit.Position{}, 0)
	require.Error(t, err)
	require.ErrorIs(t, r.archives.Append(ctx, all[:1]), errors.ErrUnsupported)
}

func TestTheManifestTellsWhatIsInTheFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 0)
	require.NoError(t, r.live.Append(ctx, []audit.Event{event(march, 1), event(march, 2), event(march, 5)}))
	request := r.request(march, nil)
	request.CSV = true
	m, err := r.archives.Write(ctx, request)
	require.NoError(t, err)
	const name = "acmeco-98813ca08dbe0dea-2025-03-1"
	require.Equal(t, name+".manifest.json", m.Name())
	require.Equal(t, []string{name + ".jsonl.gz", name + ".manifest.json", name + ".csv.gz"}, m.Archived())
	require.Equal(t, archive.Manifest{
		Version: 1, Workspace: "Acme & Co.", Part: 1, From: march, To: march.AddDate(0, 1, 0), Events: 3,
		Oldest: march, Newest: march.Add(2 * time.Minute), SchemaVersion: audit.SchemaVersion,
		Data: archive.File{Name: name + ".jsonl.gz", Size: m.Data.Size, SHA256: m.Data.SHA256},
		CSV:  &archive.File{Name: name + ".csv.gz", Size: m.CSV.Size, SHA256: m.CSV.SHA256},
		Blocks: []archive.Block{
			{Size: m.Data.Size, SHA256: m.Data.SHA256, Events: 3, Time: march.Add(2 * time.Minute), ID: event(march, 5).ID},
		},
	}, m)
	kept, err := r.archives.Manifests(ctx, "Acme & Co.", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []archive.Manifest{m}, kept)

	events := audit.Query(ctx, r.live, audit.Filter{Workspace: "Acme & Co."})
	var lines, table bytes.Buffer
	_, err = audit.WriteJSONLines(&lines, events)
	require.NoError(t, err)
	_, err = audit.WriteCSV(&table, events, nil)
	require.NoError(t, err)
	require.Equal(t, lines.String(), unzipped(t, r.file(t, ".jsonl.gz")))
	require.Equal(t, table.String(), unzipped(t, r.file(t, ".csv.gz")))
}

func unzipped(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	z, err := gzip.NewReader(file)
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(text)
}

func TestNothingIsArchivedOfNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	m, err := r.archives.Write(context.Background(), r.request(march, nil))
	require.NoError(t, err)
	require.Zero(t, m)
	entries, err := os.ReadDir(r.folder)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestADamagedArchiveIsAnErrorThatNamesTheFile damages an archive of several blocks
// in many ways. Whatever is read of it is an error, never an answer that lacks
// something, and so is verifying it.
func TestADamagedArchiveIsAnErrorThatNamesTheFile(t *testing.T) {
	t.Parallel()
	edit := func(old, change string) func(*testing.T, rig) string {
		return func(t *testing.T, r rig) string {
			path := r.file(t, ".manifest.json")
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Contains(t, string(text), old)
			require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(change), 1), 0o600))
			return path
		}
	}
	data := func(change func([]byte) []byte) func(*testing.T, rig) string {
		return func(t *testing.T, r rig) string {
			path := r.file(t, ".jsonl.gz")
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, change(b), 0o600))
			return path
		}
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, rig) string // returns the path
		want   error
		says   string
		// unread marks what List cannot see, because it reads no further.
		unread bool
	}{
		"data cut short": {data(func(b []byte) []byte { return b[:len(b)-1] }), archive.ErrDamaged, "is too short", false},
		"data empty":     {data(func([]byte) []byte { return nil }), archive.ErrDamaged, "is too short", false},
		"a bit flipped":  {data(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), archive.ErrDamaged, "has other bytes in block", false},
		"data longer":    {data(func(b []byte) []byte { return append(b, 0) }), archive.ErrDamaged, "1 bytes longer", true},
		"data missing": {func(t *testing.T, r rig) string {
			p := r.file(t, ".jsonl.gz")
			require.NoError(t, os.Remove(p))
			return p
		}, archive.ErrDamaged, "is missing", false},
		"the manifest is no JSON":    {edit("{", "x"), archive.ErrDamaged, "is no JSON", false},
		"the manifest lies on count": {edit(`"events": 1200`, `"events": 1199`), archive.ErrDamaged, "what cannot be", false},
		"the manifest claims more":   {edit(`"events": 1200`, `"events": 1201`), archive.ErrDamaged, "0 bytes and 1 events more", false},
		"a block lies on its count":  {edit(`"events": 500`, `"events": 499`), archive.ErrDamaged, "1 events more", false},
		"the manifest lies on range": {edit(`"to": "2025-04-01`, `"to": "2025-04-02`), archive.ErrDamaged, "is not within a month", false},
		"the manifest lies on oldest": {func(t *testing.T, r rig) string {
			edit(`"oldest": "2025-03-01T00:00:00Z"`, `"oldest": "2025-03-01T00:00:01Z"`)(t, r)
			return r.file(t, ".jsonl.gz") // who of the two lies is not known
		}, archive.ErrDamaged, "is out of range", false},
		"the manifest hides the start": {edit(`"newest": "2025-03-01T09:59:00Z"`, `"newest": "2025-03-01T09:58:00Z"`), archive.ErrDamaged, "its newest event", false},
		"another workspace":            {edit(`Acme \u0026 Co.`, `w2`), archive.ErrDamaged, "has the name of another archive", false},
		"another digest":               {edit(`"sha256": "`, `"sha256": "zz`), archive.ErrDamaged, "lacks the digest", false},
		"another file":                 {edit(`.jsonl.gz`, `.jsonl.gz.bak`), archive.ErrDamaged, "names files that are not its own", false},
		"no version":                   {edit(`"version": 1`, `"version": 0`), archive.ErrDamaged, "says that its version is 0", false},
		"an unknown field":             {edit(`"version": 1`, `"version": 1, "x": 2`), archive.ErrDamaged, "is no manifest", false},
		"a newer version":              {edit(`"version": 1`, `"version": 2`), archive.ErrNewer, "is of version 2", false},
		"a newer schema":               {edit(`"schema_version": 1`, `"schema_version": 2`), archive.ErrNewer, "with events of version 2", false},
		"a name that is none": {func(t *testing.T, r rig) string {
			p := r.file(t, ".manifest.json")
			other := strings.Replace(p, "2025-03", "2025-13", 1)
			require.NoError(t, os.Rename(p, other))
			return other
		}, archive.ErrDamaged, "has not the name of a manifest", false},
		"another month in the name": {func(t *testing.T, r rig) string {
			p := r.file(t, ".manifest.json")
			other := strings.Replace(p, "2025-03", "2025-04", 1)
			require.NoError(t, os.Rename(p, other))
			return other
		}, archive.ErrDamaged, "has the name of another archive", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			r := newRig(t, 1200, march)
			whole, err := r.archives.Manifests(ctx, "Acme & Co.", time.Time{}, time.Time{})
			require.NoError(t, err)
			path := c.damage(t, r)
			verified := r.archives.Verify(ctx, whole[0])
			require.Error(t, verified)
			var read error
			for _, read = range audit.Query(ctx, r.archives, audit.Filter{Workspace: "Acme & Co."}) {
			}
			if c.unread {
				require.NoError(t, read)
				read = verified
			}
			require.ErrorIs(t, read, c.want)
			require.ErrorContains(t, read, c.says)
			require.ErrorContains(t, read, fmt.Sprintf("%q", filepath.Base(path)))
		})
	}
}

func TestAPlaceThatFailsIsAnErrorThatNamesTheFile(t *testing.T) {
	t.Parallel()
	const name = "acmeco-98813ca08dbe0dea-2025-03-1.jsonl.gz"
	for title, c := range map[string]struct {
		spoil func(*testing.T, rig)
		says  []string
		is    error
	}{
		"missing": {func(t *testing.T, r rig) { require.NoError(t, os.Remove(r.folder)) }, []string{"list the archives", "no such file"}, fs.ErrNotExist},
		"another file of that name": {func(t *testing.T, r rig) {
			require.NoError(t, os.WriteFile(filepath.Join(r.folder, name), []byte("mine"), 0o600))
		}, []string{fmt.Sprintf("%q is there already and holds something else", name)}, fs.ErrExist},
		"a folder of that name": {func(t *testing.T, r rig) { require.NoError(t, os.Mkdir(filepath.Join(r.folder, name), 0o700)) }, []string{fmt.Sprintf("%q", name)}, nil},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 0)
			require.NoError(t, r.live.Append(context.Background(), []audit.Event{event(march, 1)}))
			c.spoil(t, r)
			_, err := r.archives.Write(context.Background(), r.request(march, nil))
			require.Error(t, err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
			kept, _ := filepath.Glob(filepath.Join(r.folder, "*.manifest.json"))
			require.Empty(t, kept)
		})
	}
}

// TestWhatAKilledProcessLeftIsTakenOrPassedOver lets there be the data without its
// manifest, and a file that was not completed.
func TestWhatAKilledProcessLeftIsTakenOrPassedOver(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 700, march)
	data, err := os.ReadFile(r.file(t, ".jsonl.gz"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(r.file(t, ".manifest.json")))
	require.NoError(t, os.WriteFile(r.file(t, ".jsonl.gz")+".ABC.part", data[:10], 0o600))
	require.Empty(t, query(t, r.archives, audit.Filter{Workspace: "Acme & Co."}), "without a manifest it is no archive")
	m, err := r.archives.Write(ctx, r.request(march, nil))
	require.NoError(t, err)
	require.Equal(t, 1, m.Part)
	require.Equal(t, query(t, r.live, audit.Filter{Workspace: "Acme & Co."}), query(t, r.archives, audit.Filter{Workspace: "Acme & Co."}))
}

// TestAnEventThatCameAfterAnArchiveWasInterruptedIsArchived lets there be data without
// a manifest, of other events than there are by now.
func TestAnEventThatCameAfterAnArchiveWasInterruptedIsArchived(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 700, march)
	left := r.file(t, ".jsonl.gz")
	data, err := os.ReadFile(left)
	require.NoError(t, err)
	require.NoError(t, os.Remove(r.file(t, ".manifest.json")))
	require.NoError(t, r.live.Append(ctx, []audit.Event{event(march, 900)}))
	m, err := r.archives.Write(ctx, r.request(march, nil))
	require.NoError(t, err)
	require.Equal(t, 2, m.Part)
	require.Equal(t, 701, m.Events)
	require.Equal(t, query(t, r.live, audit.Filter{Workspace: "Acme & Co."}), query(t, r.archives, audit.Filter{Workspace: "Acme & Co."}))
	now, err := os.ReadFile(left)
	require.NoError(t, err)
	require.Equal(t, data, now, "it stays as it is")

	// What is no such data is in the way, and is told of.
	require.NoError(t, os.WriteFile(strings.Replace(left, "-1.", "-3.", 1), data[:len(data)/2], 0o600))
	_, err = r.archives.Write(ctx, r.request(march, nil))
	require.ErrorIs(t, err, fs.ErrExist)
}

// TestWhatIsGoneMeanwhileLeavesNoFile lets another process have archived the events
// between two readings of them.
func TestWhatIsGoneMeanwhileLeavesNoFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	request := r.request(march, nil)
	readings := 0
	request.Events = func(yield func(audit.Event, error) bool) {
		if readings++; readings == 1 {
			yield(event(march, 1), nil)
		}
	}
	m, err := r.archives.Write(context.Background(), request)
	require.NoError(t, err)
	require.Zero(t, m)
	entries, err := os.ReadDir(r.folder)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestWriteRefusesWhatDoesNotBelongIntoTheArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events []audit.Event
		spoil  func(*archive.Request)
		says   string
	}{
		"no workspace":      {[]audit.Event{event(march, 1)}, func(r *archive.Request) { r.Workspace = "" }, "needs a workspace"},
		"no events":         {nil, func(r *archive.Request) { r.Events = nil }, "needs a workspace"},
		"two months":        {[]audit.Event{event(march, 1)}, func(r *archive.Request) { r.To = r.To.Add(1) }, "within one month"},
		"oldest first":      {[]audit.Event{event(march, 1), event(march, 2)}, nil, "is out of order"},
		"out of range":      {[]audit.Event{event(march.AddDate(0, 1, 0), 1)}, nil, "out of range"},
		"another workspace": {[]audit.Event{event(march, 1)}, func(r *archive.Request) { r.Workspace = "w2" }, "another workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 0)
			request := r.request(march, nil)
			request.Events = func(yield func(audit.Event, error) bool) {
				for _, e := range c.events {
					if !yield(e, nil) {
						return
					}
				}
			}
			if c.spoil != nil {
				c.spoil(&request)
			}
			_, err := r.archives.Write(context.Background(), request)
			require.ErrorContains(t, err, c.says)
			entries, err := os.ReadDir(r.folder)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}

func TestRestoringPutsBackWhatIsMissingAndNothingTwice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 1200, march)
	f := audit.Filter{Workspace: "Acme & Co."}
	all := query(t, r.live, f)
	live := memstore.New()
	require.NoError(t, live.Append(ctx, all[100:140]))
	n, err := archive.Restore(ctx, live, r.archives, audit.Filter{Workspace: f.Workspace, Types: []audit.EntityType{"tag"}})
	require.NoError(t, err)
	require.Equal(t, 580, n)
	n, err = archive.Restore(ctx, live, r.archives, f)
	require.NoError(t, err)
	require.Equal(t, 580, n)
	require.Equal(t, all, query(t, live, f))
	n, err = archive.Restore(ctx, live, r.archives, f)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, all, query(t, audit.Merge(live, r.archives), f), "merged, each event is found once")
}

func TestRestoringRefusesAnIDThatIsAnotherEvents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, change := range map[string]func(*audit.Event){
		"in the workspace": func(e *audit.Event) { e.Reason = "another" },
		"elsewhere":        func(e *audit.Event) { e.Workspace = "w2" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 10, march)
			live := memstore.New()
			other := event(march, 3)
			change(&other)
			require.NoError(t, live.Append(ctx, []audit.Event{other}))
			n, err := archive.Restore(ctx, live, r.archives, audit.Filter{Workspace: "Acme & Co."})
			require.ErrorIs(t, err, audit.ErrDuplicate)
			require.ErrorContains(t, err, other.ID.String())
			require.Zero(t, n)
			require.Len(t, live.All(), 1)
		})
	}
}

func TestNamesAreToldApartAndStayWithinTheFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := t.TempDir()
	archives, err := archive.New(archive.Folder(folder))
	require.NoError(t, err)
	workspaces := []string{"w1", "W1", "w 1", "../w1", "ö", "", strings.Repeat("x", 191), "w1-", "日本"}
	for _, w := range workspaces {
		if w == "" {
			continue
		}
		e := event(march, 1)
		e.Workspace = w
		live := memstore.New()
		require.NoError(t, live.Append(ctx, []audit.Event{e}))
		_, err := archives.Write(ctx, archive.Request{Workspace: w, From: march, To: march.Add(time.Hour), Events: audit.Query(ctx, live, audit.Filter{Workspace: w})})
		require.NoError(t, err)
	}
	for _, w := range workspaces {
		if w != "" {
			require.Len(t, query(t, archives, audit.Filter{Workspace: w}), 1)
		}
	}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 2*(len(workspaces)-1))
	for _, name := range []string{"", "../x", "a/b", "A", ".x", "-x", strings.Repeat("x", 81)} {
		err := archive.Folder(folder).Create(ctx, name, func(io.Writer) error { return nil })
		require.ErrorContains(t, err, "is no name of a file")
	}
	_, err = archive.Folder("").List(ctx, "")
	require.ErrorContains(t, err, "has no path")
}

func TestACreateThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := t.TempDir()
	full := errors.New("no space left on device")
	err := archive.Folder(folder).Create(ctx, "a", func(w io.Writer) error { _, _ = w.Write([]byte("half")); return full })
	require.ErrorIs(t, err, full)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func FuzzReadManifest(f *testing.F) {
	r := rig{live: memstore.New()}
	folder := f.TempDir()
	archives, err := archive.New(archive.Folder(folder))
	require.NoError(f, err)
	for n := range 3 {
		require.NoError(f, r.live.Append(context.Background(), []audit.Event{event(march, n)}))
	}
	m, err := archives.Write(context.Background(), r.request(march, nil))
	require.NoError(f, err)
	text, err := os.ReadFile(filepath.Join(folder, m.Name()))
	require.NoError(f, err)
	data, err := os.ReadFile(filepath.Join(folder, m.Data.Name))
	require.NoError(f, err)
	f.Add(text, data)
	f.Add([]byte(`{"version":1}`), data[:20])
	f.Add([]byte(`{"version":99}`), []byte{})
	f.Fuzz(func(t *testing.T, text, data []byte) {
		place := memory{m.Name(): text, m.Data.Name: data}
		read, err := archive.ReadManifest(m.Name(), bytes.NewReader(text))
		if err != nil {
			require.True(t, errors.Is(err, archive.ErrDamaged) || errors.Is(err, archive.ErrNewer), "%v", err)
			return
		}
		store, err := archive.New(place)
		require.NoError(t, err)
		verified := store.Verify(context.Background(), read)
		events := 0
		var failed error
		for _, err := range audit.Query(context.Background(), store, audit.Filter{Workspace: read.Workspace}) {
			if failed = err; err == nil {
				events++
			}
		}
		if verified == nil {
			require.NoError(t, failed)
			require.Equal(t, read.Events, events)
		}
		if failed != nil {
			require.True(t, errors.Is(failed, archive.ErrDamaged) || errors.Is(failed, archive.ErrNewer), "%v", failed)
		}
	})
}

// memory is a place that holds what a test puts into it.
type memory map[string][]byte

func (memory) Create(context.Context, string, func(io.Writer) error) error { return fs.ErrPermission }

func (m memory) Open(_ context.Context, name string) (io.ReadSeekCloser, error) {
	b, there := m[name]
	if !there {
		return nil, fs.ErrNotExist
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(b), io.NopCloser(nil)}, nil
}

func (m memory) List(_ context.Context, prefix string) ([]string, error) {
	var names []string
	for name := range m {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func TestWhatAManifestSaysOfItsOldestEventHidesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1200, march)
	path := r.file(t, ".manifest.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lie := strings.Replace(string(text), `"oldest": "2025-03-01T00:00:00Z"`, `"oldest": "2025-03-01T01:30:00Z"`, 1)
	require.NoError(t, os.WriteFile(path, []byte(lie), 0o600))
	_, err = r.archives.List(context.Background(), audit.Filter{Workspace: "Acme & Co.", To: march.Add(time.Hour)}, audit.Position{}, 10)
	require.ErrorIs(t, err, archive.ErrDamaged)
	require.ErrorContains(t, err, fmt.Sprintf("%q", filepath.Base(r.file(t, ".jsonl.gz"))))
}

// opened counts the files of a place that are opened to be read.
type opened struct {
	archive.Place
	data *[]string
}

func (o opened) Open(ctx context.Context, name string) (io.ReadSeekCloser, error) {
	if strings.HasSuffix(name, ".jsonl.gz") {
		*o.data = append(*o.data, name)
	}
	return o.Place.Open(ctx, name)
}

func TestArchivesThatAreOlderThanAPageAreNotOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t, 20, march, march.AddDate(0, 1, 0), march.AddDate(0, 2, 0))
	var names []string
	store, err := archive.New(opened{archive.Folder(r.folder), &names})
	require.NoError(t, err)
	page, err := store.List(context.Background(), audit.Filter{Workspace: "Acme & Co."}, audit.Position{}, 20)
	require.NoError(t, err)
	require.Len(t, page, 20)
	require.Len(t, names, 1)
	require.Contains(t, names[0], "2025-05")
	next, err := store.List(context.Background(), audit.Filter{Workspace: "Acme & Co."}, page[9].Position(), 11)
	require.NoError(t, err)
	require.Equal(t, page[10:], next[:10])
	require.Len(t, names, 3, "the month's once more, and the one before it")
}
