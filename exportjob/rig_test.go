package exportjob_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/store/memstore"
)

var (
	morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	jo      = audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}
	ann     = audit.Actor{Kind: audit.KindUser, ID: "18", Name: "Ann"}
)

// key is a key as long as one has to be.
func key(letter byte) []byte { return []byte(fmt.Sprintf("%032d", letter)) }

// rig is all that an export needs, in memory and in a folder of the test's.
type rig struct {
	t      *testing.T
	now    time.Time
	events *memstore.Store
	jobs   exportjob.Store
	folder exportjob.Folder
	place  exportjob.Place
	log    *memstore.Store // who exported what
	cfg    exportjob.Config
	queue  *exportjob.Queue

	mu     sync.Mutex
	errors []error // what workers reported
}

// newRig has n events of w1, one a minute up to an hour before now.
func newRig(t *testing.T, n int, change ...func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, now: morning, events: memstore.New(), jobs: new(exportjob.Memory), log: memstore.New(), folder: exportjob.Folder(t.TempDir())}
	r.place = r.folder
	r.cfg = exportjob.Config{Key: key('k'), Now: func() time.Time { return r.now }}
	for _, c := range change {
		c(r)
	}
	require.NoError(t, r.events.Append(context.Background(), someEvents(n)))
	rec, err := audit.New(r.log, &audit.Config{Now: r.cfg.Now, Gate: new(audit.Switch)}) // records nothing else
	require.NoError(t, err)
	r.queue, err = exportjob.New(r.jobs, r.place, rec, &r.cfg)
	require.NoError(t, err)
	return r
}

// someEvents are n events, the newest an hour and a minute before morning.
func someEvents(n int) []audit.Event {
	events := make([]audit.Event, n)
	for i := range events {
		at := morning.Add(-time.Hour - time.Duration(n-i)*time.Minute)
		events[i] = audit.Event{
			ID: uuid.UUID{0: 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}, Time: at, Workspace: "w1", Actor: jo, Operation: audit.Updated,
			Entity:        audit.Entity{Type: audit.TypeProject, ID: fmt.Sprint(i), Label: fmt.Sprintf("=Project %d, \"quoted\"", i)},
			Changes:       []audit.Change{{Field: "name", Before: audit.Value{JSON: []byte(`"a"`)}, After: audit.Value{JSON: []byte(`"b\nc"`)}}},
			SchemaVersion: audit.SchemaVersion,
		}
	}
	return events
}

// worker is one that the test drives step by step.
func (r *rig) worker(change ...func(*exportjob.Worker)) *exportjob.Worker {
	w := &exportjob.Worker{Queue: r.queue, Events: r.events, OnError: func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errors = append(r.errors, err)
	}}
	for _, c := range change {
		c(w)
	}
	return w
}

func (r *rig) submit(change ...func(*exportjob.Request)) exportjob.Job {
	r.t.Helper()
	req := exportjob.Request{Workspace: "w1", Requester: jo}
	for _, c := range change {
		c(&req)
	}
	job, err := r.queue.Submit(context.Background(), req)
	require.NoError(r.t, err)
	return job
}

// work does one thing, which has to be there and to go well.
func (r *rig) work(w *exportjob.Worker) {
	r.t.Helper()
	did, err := w.Work(context.Background())
	require.NoError(r.t, err)
	require.True(r.t, did, "there was nothing to do")
}

func (r *rig) idle(w *exportjob.Worker) {
	r.t.Helper()
	did, err := w.Work(context.Background())
	require.NoError(r.t, err)
	require.False(r.t, did, "there was something to do")
}

// job is jo's job as it stands.
func (r *rig) job(id uuid.UUID) exportjob.Job {
	r.t.Helper()
	job, err := r.queue.Get(context.Background(), "w1", jo, id)
	require.NoError(r.t, err)
	return job
}

// download is the content of jo's file.
func (r *rig) download(id uuid.UUID) string {
	r.t.Helper()
	content, err := r.queue.Open(context.Background(), "w1", jo, id)
	require.NoError(r.t, err)
	defer content.Close()
	text, err := io.ReadAll(content)
	require.NoError(r.t, err)
	require.Len(r.t, text, int(content.Size))
	return string(text)
}

// files are the names in the folder.
func (r *rig) files() []string {
	r.t.Helper()
	entries, err := os.ReadDir(string(r.folder))
	require.NoError(r.t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// recorded are the events of exports, as sentences.
func (r *rig) recorded() []string {
	list := []string{}
	for _, e := range r.log.All() {
		list = append(list, e.String())
	}
	return list
}

// faulty is a place whose calls a test may make fail.
type faulty struct {
	exportjob.Place
	mu sync.Mutex
	// fail is asked before each call: create, open, rename, remove, write,
	// sync or close, and the file.
	fail func(call, name string) error
}

func (f *faulty) ask(call, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	return f.fail(call, name)
}

func (f *faulty) Create(ctx context.Context, name string) (exportjob.File, error) {
	if err := f.ask("create", name); err != nil {
		return nil, err
	}
	file, err := f.Place.Create(ctx, name)
	return &faultyFile{file, f, name}, err
}

func (f *faulty) Open(ctx context.Context, name string) (io.ReadSeekCloser, error) {
	if err := f.ask("open", name); err != nil {
		return nil, err
	}
	return f.Place.Open(ctx, name)
}

func (f *faulty) Rename(ctx context.Context, from, to string) error {
	if err := f.ask("rename", from); err != nil {
		return err
	}
	return f.Place.Rename(ctx, from, to)
}

func (f *faulty) Remove(ctx context.Context, name string) error {
	if err := f.ask("remove", name); err != nil {
		return err
	}
	return f.Place.Remove(ctx, name)
}

type faultyFile struct {
	exportjob.File
	place *faulty
	name  string
}

func (f *faultyFile) Write(b []byte) (int, error) {
	if err := f.place.ask("write", f.name); err != nil {
		n, _ := f.File.Write(b[:len(b)/2]) // as a disk that fills up does
		return n, err
	}
	return f.File.Write(b)
}

func (f *faultyFile) Sync() error {
	if err := f.place.ask("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) Close() error {
	if err := f.place.ask("close", f.name); err != nil {
		f.File.Close()
		return err
	}
	return f.File.Close()
}
