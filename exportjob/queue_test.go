package exportjob_test

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/store/memstore"
)

func TestAnExportIsTheRequestersAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 10)
	open, ready := r.submit(), r.submit()
	r.work(r.worker())
	if r.job(open.ID).State == exportjob.Ready {
		open, ready = ready, open
	}
	ready = r.job(ready.ID)
	token := r.queue.Token(ready)
	for name, who := range map[string]struct {
		workspace string
		actor     audit.Actor
	}{
		"another user":                {"w1", ann},
		"another workspace":           {"w2", jo},
		"another kind of the same id": {"w1", audit.Actor{Kind: audit.KindKey, ID: jo.ID}},
		"nobody":                      {"w1", audit.Actor{}},
		"no workspace":                {"", jo},
		"the system":                  {"w1", audit.System},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.queue.Get(ctx, who.workspace, who.actor, ready.ID)
			require.Equal(t, exportjob.ErrNotFound, err)
			_, err = r.queue.Open(ctx, who.workspace, who.actor, ready.ID)
			require.Equal(t, exportjob.ErrNotFound, err)
			_, err = r.queue.Cancel(ctx, who.workspace, who.actor, open.ID)
			require.Equal(t, exportjob.ErrNotFound, err)
			_, err = r.queue.Verify(who.workspace, who.actor, token)
			require.Equal(t, exportjob.ErrNotFound, err)
			jobs, err := r.queue.List(ctx, who.workspace, who.actor, 10)
			require.NoError(t, err)
			require.Empty(t, jobs)
		})
	}
	_, err := r.queue.Get(ctx, "w1", jo, uuid.New())
	require.Equal(t, exportjob.ErrNotFound, err, "as one that there is not")
	require.Equal(t, exportjob.Queued, r.job(open.ID).State)
	require.Len(t, r.recorded(), 2, "nothing was downloaded")
	id, err := r.queue.Verify("w1", audit.Actor{ID: jo.ID, Name: "renamed"}, token)
	require.NoError(t, err)
	require.Equal(t, ready.ID, id)
	jobs, err := r.queue.List(ctx, "w1", jo, 10)
	require.NoError(t, err)
	require.Len(t, jobs, 2)
}

func TestATokenCannotBeAltered(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	job := r.submit()
	require.Empty(t, r.queue.Token(job), "there is nothing to download yet")
	r.work(r.worker())
	token := r.queue.Token(r.job(job.ID))
	require.Equal(t, url(token), token)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	require.NoError(t, err)
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			_, err := r.queue.Verify("w1", jo, base64.RawURLEncoding.EncodeToString(raw))
			require.Equal(t, exportjob.ErrNotFound, err, "byte %d, bit %d", i, bit)
			raw[i] ^= 1 << bit
		}
	}
	for _, text := range []string{"", "x", token[:len(token)-1], token + "A", token + "=", token[:4] + "\n" + token[5:], "\n" + token, strings.Repeat("A", len(token)), strings.Repeat("é", 1<<20)} {
		_, err := r.queue.Verify("w1", jo, text)
		require.Equal(t, exportjob.ErrNotFound, err)
	}
}

// url is what is left of a text in a URL's query.
func url(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return -1
	}, s)
}

func TestAKeyIsChangedWithoutBreakingLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	job := r.submit()
	r.work(r.worker())
	token := r.queue.Token(r.job(job.ID))
	rec, err := audit.New(r.log, nil)
	require.NoError(t, err)
	verify := func(cfg exportjob.Config) error {
		cfg.Now = r.cfg.Now
		queue, err := exportjob.New(r.jobs, r.place, rec, &cfg)
		require.NoError(t, err)
		_, err = queue.Verify("w1", jo, token)
		return err
	}
	require.NoError(t, verify(exportjob.Config{Key: key('n'), FormerKeys: [][]byte{key('o'), key('k')}}))
	require.Equal(t, exportjob.ErrNotFound, verify(exportjob.Config{Key: key('n')}))
}

func TestARequestThatCannotBeDoneIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	for name, c := range map[string]struct {
		change func(*exportjob.Request)
		is     error
		text   string
	}{
		"no workspace":           {func(q *exportjob.Request) { q.Workspace = "" }, exportjob.ErrInvalid, "the workspace must have 1 to 191 bytes, has 0"},
		"a long workspace":       {func(q *exportjob.Request) { q.Workspace = strings.Repeat("w", 192) }, exportjob.ErrInvalid, "has 192"},
		"another workspace":      {func(q *exportjob.Request) { q.Filter.Workspace = "w2" }, exportjob.ErrInvalid, "the filter is for another workspace"},
		"nobody":                 {func(q *exportjob.Request) { q.Requester = audit.Actor{} }, exportjob.ErrInvalid, "the requester must have an id"},
		"the system":             {func(q *exportjob.Request) { q.Requester = audit.System }, exportjob.ErrInvalid, "the requester must have an id"},
		"a requester of no text": {func(q *exportjob.Request) { q.Requester.ID = "a\xff" }, exportjob.ErrInvalid, "text"},
		"a requester with NUL":   {func(q *exportjob.Request) { q.Requester.ID = "a\x00" }, exportjob.ErrInvalid, "text"},
		"an unknown format":      {func(q *exportjob.Request) { q.Format = "xlsx" }, exportjob.ErrInvalid, `there is no format "xlsx", only "csv" and "jsonl"`},
		"an unknown zone":        {func(q *exportjob.Request) { q.Options.Zone = "Mars/Olympus" }, exportjob.ErrInvalid, `there is no time zone "Mars/Olympus"`},
		"a zone that is a path":  {func(q *exportjob.Request) { q.Options.Zone = "../../etc/passwd" }, exportjob.ErrInvalid, "there is no time zone"},
		"the machine's zone":     {func(q *exportjob.Request) { q.Options.Zone = "Local" }, exportjob.ErrInvalid, "another one on another machine"},
		"a filter back to front": {func(q *exportjob.Request) { q.Filter.From, q.Filter.To = morning, morning.Add(-1) }, audit.ErrInvalidFilter, "is after To"},
		"a filter of no text":    {func(q *exportjob.Request) { q.Filter.Text = "\xff" }, audit.ErrInvalidFilter, "UTF-8"},
		"a huge filter":          {func(q *exportjob.Request) { q.Filter.Text = strings.Repeat("x", 61<<10) }, audit.ErrInvalidFilter, "more than the 61440 of an export's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := exportjob.Request{Workspace: "w1", Requester: jo}
			c.change(&req)
			_, err := r.queue.Submit(context.Background(), req)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.text)
		})
	}
	t.Cleanup(func() { require.Empty(t, r.recorded()) })
}

func TestOpenExportsAreLimitedPerRequester(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, 1)
	ask := func(w string, a audit.Actor) error {
		_, err := r.queue.Submit(ctx, exportjob.Request{Workspace: w, Requester: a})
		return err
	}
	first := r.submit()
	require.NoError(t, ask("w1", jo))
	require.NoError(t, ask("w1", jo))
	require.EqualError(t, ask("w1", jo), "exportjob: too many exports are open: 3 of yours are queued or running; wait for one or cancel it")
	require.NoError(t, ask("w1", ann))
	require.NoError(t, ask("w2", jo))
	_, err := r.queue.Cancel(ctx, "w1", jo, first.ID)
	require.NoError(t, err)
	require.NoError(t, ask("w1", jo))
	require.ErrorIs(t, ask("w1", jo), exportjob.ErrTooMany)
	for range 6 { // one of them cleans up what was cancelled
		r.work(r.worker())
	}
	require.NoError(t, ask("w1", jo), "what is ready does not count")
}

func TestNoExportWithoutItsEvent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	broken := &brokenStore{Store: memstore.New(), err: errNetwork}
	r := newRig(t, 10)
	rec, err := audit.New(broken, nil)
	require.NoError(t, err)
	r.queue, err = exportjob.New(r.jobs, r.place, rec, &r.cfg)
	require.NoError(t, err)
	_, err = r.queue.Submit(ctx, exportjob.Request{Workspace: "w1", Requester: jo})
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	require.ErrorIs(t, err, errNetwork)
	jobs, err := r.queue.List(ctx, "w1", jo, 10)
	require.NoError(t, err)
	require.Equal(t, exportjob.Failed, jobs[0].State)
	require.Equal(t, "it could not be recorded", jobs[0].Reason)
	r.idle(r.worker())
	require.Zero(t, jobs[0].Slot)

	broken.err = nil
	job := r.submit()
	r.work(r.worker())
	broken.err = errNetwork
	_, err = r.queue.Open(ctx, "w1", jo, job.ID)
	require.ErrorIs(t, err, audit.ErrAuditFailed, "nor a download")
	broken.err = nil
	r.download(job.ID)
}

// A process that dies between keeping a request and recording it leaves a job
// that nobody does.
func TestARequestThatWasInterruptedIsNotDone(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	rec, err := audit.New(&brokenStore{Store: memstore.New(), err: errNetwork}, nil)
	require.NoError(t, err)
	jobs := &cut{Store: r.jobs, off: true}
	queue, err := exportjob.New(jobs, r.place, rec, &r.cfg)
	require.NoError(t, err)
	_, err = queue.Submit(context.Background(), exportjob.Request{Workspace: "w1", Requester: jo})
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	left, err := r.queue.List(context.Background(), "w1", jo, 1)
	require.NoError(t, err)
	require.Equal(t, exportjob.Failed, left[0].State)
	require.Equal(t, "the request was interrupted", left[0].Reason)
	require.Equal(t, 1, left[0].Slot)
	r.idle(r.worker())
	r.now = r.now.Add(time.Minute)
	r.work(r.worker())
	r.idle(r.worker())
	require.Zero(t, r.job(left[0].ID).Slot)
	require.Empty(t, r.files())
}

type brokenStore struct {
	audit.Store
	err error
}

func (b *brokenStore) Append(ctx context.Context, events []audit.Event) error {
	if b.err != nil {
		return b.err
	}
	return b.Store.Append(ctx, events)
}

func TestPeopleAreToldAtLeastOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	job := r.submit()
	var told []exportjob.Job
	failures := 2
	w := r.worker(func(w *exportjob.Worker) {
		w.Notifier = exportjob.NotifierFunc(func(ctx context.Context, job exportjob.Job) error {
			told = append(told, job)
			require.Equal(t, []string{job.ID.String() + "-1.csv"}, r.files(), "complete before anyone is told")
			deadline, limited := ctx.Deadline()
			require.True(t, limited)
			require.Less(t, time.Until(deadline), time.Minute)
			if failures--; failures >= 0 {
				return errNetwork
			}
			return nil
		})
	})
	for range 2 {
		_, err := w.Work(context.Background())
		require.ErrorIs(t, err, errNetwork)
		left := r.job(job.ID)
		require.Equal(t, exportjob.Ready, left.State, "the file is there all the same")
		r.download(job.ID)
		r.idle(w)
		r.now = left.Due
	}
	r.work(w)
	require.Len(t, told, 3)
	require.Equal(t, r.now, r.job(job.ID).Notified)
	require.Equal(t, exportjob.Ready, told[0].State)
	require.NotEmpty(t, r.queue.Token(told[0]))
	r.idle(w)
	r.now = told[0].Expires
	r.work(w)
	require.Len(t, told, 3)
}

func TestAMessageThatNeverGoesThroughIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, 10)
	job := r.submit()
	tries := 0
	w := r.worker(func(w *exportjob.Worker) {
		w.Notifier = exportjob.NotifierFunc(func(context.Context, exportjob.Job) error { tries++; return errNetwork })
	})
	for range 10 {
		_, err := w.Work(context.Background())
		require.ErrorIs(t, err, errNetwork)
		r.now = r.job(job.ID).Due
	}
	require.Less(t, r.now.Sub(morning), 24*time.Hour)
	r.work(w)
	r.idle(w)
	require.Equal(t, 10, tries)
	r.download(job.ID)
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1200)
	first, second := r.submit(), r.submit()
	ctx, stop := context.WithCancel(context.Background())
	var told []uuid.UUID
	err := r.worker(func(w *exportjob.Worker) {
		w.Poll = time.Millisecond
		w.Notifier = exportjob.NotifierFunc(func(_ context.Context, job exportjob.Job) error {
			if told = append(told, job.ID); len(told) == 2 {
				stop()
			}
			return nil
		})
	}).Run(ctx)
	require.Equal(t, context.Canceled, err)
	require.ElementsMatch(t, []uuid.UUID{first.ID, second.ID}, told)
	require.NotZero(t, r.job(second.ID).Notified)

	require.EqualError(t, (&exportjob.Worker{}).Run(context.Background()), "exportjob: Worker.Queue is missing")
	require.EqualError(t, (&exportjob.Worker{Queue: r.queue}).Run(context.Background()), "exportjob: Worker.Events is missing")
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	t.Parallel()
	rec, err := audit.New(memstore.New(), nil)
	require.NoError(t, err)
	jobs, place, good := new(exportjob.Memory), exportjob.Folder("x"), &exportjob.Config{Key: key('k')}
	for text, try := range map[string]func() (*exportjob.Queue, error){
		"needs a store":    func() (*exportjob.Queue, error) { return exportjob.New(nil, place, rec, good) },
		"needs a place":    func() (*exportjob.Queue, error) { return exportjob.New(jobs, nil, rec, good) },
		"needs a recorder": func() (*exportjob.Queue, error) { return exportjob.New(jobs, place, nil, good) },
		"needs a config":   func() (*exportjob.Queue, error) { return exportjob.New(jobs, place, rec, nil) },
		"Key must have at least 32 bytes, has 31": func() (*exportjob.Queue, error) {
			return exportjob.New(jobs, place, rec, &exportjob.Config{Key: key('k')[1:]})
		},
		"FormerKeys[0] must have at least 32 bytes, has 0": func() (*exportjob.Queue, error) {
			return exportjob.New(jobs, place, rec, &exportjob.Config{Key: key('k'), FormerKeys: [][]byte{nil}})
		},
		"must not be negative": func() (*exportjob.Queue, error) {
			return exportjob.New(jobs, place, rec, &exportjob.Config{Key: key('k'), Keep: -1})
		},
	} {
		_, err := try()
		require.ErrorContains(t, err, text)
	}
}

func TestAFolderIsNotLeft(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	outside := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	inside := filepath.Join(dir, "exports")
	require.NoError(t, os.Mkdir(inside, 0o700))
	require.NoError(t, os.Symlink(outside, filepath.Join(inside, "link")))
	f := exportjob.Folder(inside)
	for _, name := range []string{"", ".", "..", "../secret", "/etc/passwd", "a/b", `a\b`, "a\x00b", "A", "-a", ".a", "con:", strings.Repeat("a", 65)} {
		_, err := f.Create(ctx, name)
		require.ErrorContains(t, err, "is no name of a file", name)
		_, err = f.Open(ctx, name)
		require.ErrorContains(t, err, "is no name of a file", name)
		require.ErrorContains(t, f.Remove(ctx, name), "is no name of a file", name)
		require.ErrorContains(t, f.Rename(ctx, "a", name), "is no name of a file", name)
		require.ErrorContains(t, f.Rename(ctx, name, "a"), "is no name of a file", name)
	}
	_, err := f.Create(ctx, "link")
	require.ErrorIs(t, err, os.ErrExist)
	_, err = f.Open(ctx, "link")
	require.Error(t, err)
	require.NoError(t, f.Remove(ctx, "link"))
	require.NoError(t, f.Remove(ctx, "link"), "that there is none is no error")
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "secret", string(text))

	file, err := f.Create(ctx, "a-1.part")
	require.NoError(t, err)
	require.NoError(t, errors.Join(file.Sync(), file.Close()))
	info, err := os.Stat(filepath.Join(inside, "a-1.part"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	_, err = exportjob.Folder("").Create(ctx, "a")
	require.EqualError(t, err, "exportjob: the Folder has no path")
	require.EqualError(t, exportjob.Folder("").Rename(ctx, "a", "b"), "exportjob: the Folder has no path")
}

// Every field of a filter is kept, those too that are added later.
func TestAFilterIsStoredWhole(t *testing.T) {
	t.Parallel()
	job := exportjob.Job{ID: uuid.New(), Filter: filled(t, true), State: exportjob.Queued}
	text, err := exportjob.EncodeJob(job)
	require.NoError(t, err)
	again, err := exportjob.DecodeJob(text)
	require.NoError(t, err)
	require.Equal(t, job, again)
	small, err := exportjob.EncodeJob(exportjob.Job{Filter: audit.Filter{Workspace: "w1", Text: "x"}})
	require.NoError(t, err)
	require.Contains(t, string(small), `"filter":{"Text":"x","Workspace":"w1"}`, "what is not set is not written, so that older programs can read it")
}

// filled is a filter each of whose fields is set.
func filled(t *testing.T, except bool) audit.Filter {
	t.Helper()
	var f audit.Filter
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Name == "Except" {
			if except {
				f.Except = []audit.Filter{filled(t, false)}
			}
			continue
		}
		fill(t, v.Field(i))
	}
	return f
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(morning.Add(123456789)))
		return
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.New()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text \" \\ é")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		require.Fail(t, "a new kind of field", "%s: teach this test about it", v.Type())
	}
}

func TestAStoredExportOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	text, err := exportjob.EncodeJob(exportjob.Job{ID: uuid.New(), Filter: audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x"}}}})
	require.NoError(t, err)
	_, err = exportjob.DecodeJob(text)
	require.NoError(t, err)
	for name, spoil := range map[string][2]string{
		"a new field":                     {`{"v":1`, `{"encrypt":true,"v":1`},
		"a new field of the filter":       {`"filter":{`, `"filter":{"Unless":["u17"],`},
		"a new field of what is left out": {`"Except":[{`, `"Except":[{"Unless":["u17"],`},
		"another version":                 {`{"v":1`, `{"v":2`},
		"no version":                      {`{"v":1,`, `{`},
		"no workspace in the filter":      {`"Workspace":"w1"`, `"Workspace":""`},
		"more":                            {`{"v":1`, `{"v":1}{"v":1`},
		"a filter that is none":           {`"filter":{`, `"filter":null,"workspace":"","x":{`},
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := strings.Replace(string(text), spoil[0], spoil[1], 1)
			require.NotEqual(t, string(text), spoiled)
			_, err := exportjob.DecodeJob([]byte(spoiled))
			require.Error(t, err)
		})
	}
}

func FuzzDecodeJob(f *testing.F) {
	text, err := exportjob.EncodeJob(exportjob.Job{ID: uuid.New(), Filter: audit.Filter{Workspace: "w1", Except: []audit.Filter{{Text: "x"}}}})
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"v":1,"filter":{"Workspace":"w","Actors":[{"id":"1"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		job, err := exportjob.DecodeJob(text)
		if err != nil {
			return
		}
		again, err := exportjob.EncodeJob(job)
		if err != nil { // a year that JSON does not have
			return
		}
		same, err := exportjob.DecodeJob(again)
		require.NoError(t, err)
		once, err := exportjob.EncodeJob(same)
		require.NoError(t, err)
		require.Equal(t, string(again), string(once))
	})
}
