package dbtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/store/sqlstore"
)

var exportEvents = flag.Int("exportevents", 20_000, "how many events are exported on each database")

// The child that exports learns from its environment what to do.
const (
	childExports = "AUDIT_TEST_EXPORTS" // one of Names; empty in a process that is no child
	childFolder  = "AUDIT_TEST_EXPORTS_FOLDER"
	childClock   = "AUDIT_TEST_EXPORTS_CLOCK" // microseconds since 1970
	saysPage     = "page"                     // one is about to be read
)

// exporter is a process that exports: its store, its queue and its clock.
type exporter struct {
	store *sqlstore.Store
	queue *exportjob.Queue
	mu    sync.Mutex
	now   time.Time
	// page is called before each page is read.
	page func()
}

// exportsBegin is when the tests of exports take place, a day after their events.
var exportsBegin = time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)

func newExporter(t *testing.T, pool *sql.DB, dialect sqlstore.Dialect, folder string) *exporter {
	t.Helper()
	store, err := sqlstore.New(pool, dialect, nil)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(context.Background()))
	rec, err := audit.New(store, nil)
	require.NoError(t, err)
	x := &exporter{store: store, now: exportsBegin, page: func() {}}
	x.queue, err = exportjob.New(store.Exports(), exportjob.Folder(folder), rec, &exportjob.Config{Key: make([]byte, 32), Now: x.clock, MaxOpen: 20})
	require.NoError(t, err)
	return x
}

func (x *exporter) clock() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

func (x *exporter) wait(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = x.now.Add(d)
}

// List tells of each page before it is read.
func (x *exporter) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) ([]audit.Event, error) {
	if limit > 1 {
		x.page()
	}
	return x.store.List(ctx, f, after, limit)
}

// Append makes an exporter an audit.Store.
func (x *exporter) Append(ctx context.Context, events []audit.Event) error {
	return x.store.Append(ctx, events)
}

func (x *exporter) worker() *exportjob.Worker { return &exportjob.Worker{Queue: x.queue, Events: x} }

// fill appends n events of w1, some at the same time, over a day.
func (x *exporter) fill(t *testing.T, n int) {
	t.Helper()
	batch := make([]audit.Event, 0, 1000)
	for i := range n {
		at := exportsBegin.Add(-24 * time.Hour).Add(time.Duration(i/3) * (22 * time.Hour / time.Duration(n/3+1))).Truncate(time.Microsecond)
		batch = append(batch, audit.Event{
			ID: uuid.UUID{0: 1, 6: 0x70, 8: 0x80, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}, Time: at, Workspace: "w1", Actor: jo,
			Operation: audit.Updated, Entity: audit.Entity{Type: audit.TypeProject, ID: strconv.Itoa(i % 100), Label: fmt.Sprintf("Projekt «%d»", i)},
			Changes: []audit.Change{
				{Field: "name", Before: audit.Value{JSON: []byte(`"Gemini"`)}, After: audit.Value{JSON: []byte(`"=Apollo, \"the\"\nsecond"`)}},
				{Field: "budget", Before: audit.Value{JSON: []byte(strconv.Itoa(i))}, After: audit.Value{JSON: []byte(strconv.Itoa(i + 1))}},
			},
			SchemaVersion: audit.SchemaVersion,
		})
		if len(batch) == cap(batch) || i == n-1 {
			require.NoError(t, x.store.Append(context.Background(), batch))
			batch = batch[:0]
		}
	}
}

func (x *exporter) submit(t *testing.T, f audit.Filter) exportjob.Job {
	t.Helper()
	job, err := x.queue.Submit(context.Background(), exportjob.Request{Workspace: "w1", Requester: jo, Filter: f})
	require.NoError(t, err)
	return job
}

func (x *exporter) job(t *testing.T, id uuid.UUID) exportjob.Job {
	t.Helper()
	job, err := x.queue.Get(context.Background(), "w1", jo, id)
	require.NoError(t, err)
	return job
}

// requireFile requires the job's file to be what one would have written without
// a job, byte for byte.
func (x *exporter) requireFile(t *testing.T, id uuid.UUID) exportjob.Job {
	t.Helper()
	job := x.job(t, id)
	require.Equal(t, exportjob.Ready, job.State, job.Reason)
	f := job.Filter
	f.To = job.Bound
	whole := sha256.New()
	n, err := audit.WriteCSV(whole, audit.Query(context.Background(), x.store, f), nil)
	require.NoError(t, err)
	require.EqualValues(t, n, job.Rows)
	content, err := x.queue.Open(context.Background(), "w1", jo, id)
	require.NoError(t, err)
	defer content.Close()
	file := sha256.New()
	_, err = io.Copy(file, content)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(whole.Sum(nil)), hex.EncodeToString(file.Sum(nil)))
	require.Equal(t, hex.EncodeToString(file.Sum(nil)), job.SHA256)
	return job
}

// TestAKilledExportIsTheSameFileInTheEnd kills processes that export, without
// warning and at any page, until one that is not killed completes the file.
func TestAKilledExportIsTheSameFileInTheEnd(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	for i, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("the pages are those of -killseed=%d", seed)
			db, folder := Open(t, name), t.TempDir()
			x := newExporter(t, db.SQL(), db.Dialect, folder)
			const events, pages = 10_000, 20
			x.fill(t, events)
			db.SQL().SetMaxIdleConns(0) // so that SQLite recovers its log
			job := x.submit(t, audit.Filter{})
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			read := 0
			for range 4 {
				kill := 1 + random.IntN(pages/5)
				killExporter(t, x, db, folder, kill)
				read += kill
				x.wait(time.Hour) // the lease is over
			}
			left := x.job(t, job.ID)
			require.Equal(t, exportjob.Running, left.State)
			t.Logf("4 processes killed after %d of %d pages; %d events, %d bytes are safe", read, pages, left.Rows, left.Checkpoint.Size)
			second := 0
			x.page = func() { second++ }
			did, err := x.worker().Work(context.Background())
			require.NoError(t, err)
			require.True(t, did)
			done := x.requireFile(t, job.ID)
			require.EqualValues(t, events, done.Rows)
			require.Equal(t, pages-int(left.Rows)/500, second, "what was safe is not read again")
			entries, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Len(t, entries, 1, "nothing else is left")
		})
	}
}

// killExporter starts a child that exports and kills it before its nth page.
func killExporter(t *testing.T, x *exporter, db *Database, folder string, n int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestExportingChild$", "-test.timeout=2m")
	child.Env = append(os.Environ(), childExports+"="+db.Name, childDSN+"="+db.DSN, childFolder+"="+folder, fmt.Sprintf("%s=%d", childClock, x.clock().UnixMicro()))
	input, err := child.StdinPipe()
	require.NoError(t, err)
	defer input.Close()
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	var complaints, other strings.Builder
	child.Stderr = &complaints
	require.NoError(t, child.Start())
	killed := false
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if lines.Text() != saysPage {
			fmt.Fprintln(&other, lines.Text())
		} else if n--; n == 0 {
			require.NoError(t, child.Process.Kill())
			killed = true
		}
	}
	_ = child.Wait()
	require.True(t, killed, "the child ended by itself: %s %s", other.String(), complaints.String())
}

// TestExportingChild is the process that is killed. It is no test.
func TestExportingChild(t *testing.T) {
	name := os.Getenv(childExports)
	if name == "" {
		t.Skip("it is the child of TestAKilledExportIsTheSameFileInTheEnd")
	}
	go func() { // the parent is gone, however it went
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	driver, dialect := "sqlite", sqlstore.SQLite
	if s := servers[name]; s != nil {
		driver, dialect = s.driver, s.dialect
	}
	pool, err := sql.Open(driver, os.Getenv(childDSN))
	require.NoError(t, err)
	defer pool.Close()
	x := newExporter(t, pool, dialect, os.Getenv(childFolder))
	micro, err := strconv.ParseInt(os.Getenv(childClock), 10, 64)
	require.NoError(t, err)
	x.now = time.UnixMicro(micro).UTC()
	x.page = func() {
		fmt.Println(saysPage)
		x.wait(2 * time.Second) // so that there is a checkpoint after each
	}
	did, err := x.worker().Work(context.Background())
	require.NoError(t, err)
	require.True(t, did)
}

func TestWorkersDoEachExportOnce(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, db *Database) {
		x := newExporter(t, db.SQL(), db.Dialect, t.TempDir())
		x.fill(t, 2000)
		var jobs []exportjob.Job
		for i := range 9 {
			jobs = append(jobs, x.submit(t, audit.Filter{Entities: []audit.Entity{{Type: audit.TypeProject, ID: strconv.Itoa(i)}, {Type: audit.TypeProject, ID: "99"}}}))
		}
		var (
			all  sync.WaitGroup
			errs [3]error
			done [3]int
		)
		for i := range errs {
			all.Add(1)
			go func() {
				defer all.Done()
				for did := true; did && errs[i] == nil; {
					if did, errs[i] = x.worker().Work(context.Background()); did {
						done[i]++
					}
				}
			}()
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		for _, job := range jobs {
			ready := x.requireFile(t, job.ID)
			require.EqualValues(t, 40, ready.Rows)
			require.Equal(t, 1, ready.Attempt, "one worker took it, once")
		}
		require.Equal(t, 9, done[0]+done[1]+done[2])
	})
}

func TestMoreExportsThanAllowedAreRefusedHoweverManyAskAtOnce(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, db *Database) {
		ctx := context.Background()
		x := newExporter(t, db.SQL(), db.Dialect, t.TempDir())
		rec, err := audit.New(x.store, nil)
		require.NoError(t, err)
		queue, err := exportjob.New(x.store.Exports(), exportjob.Folder(t.TempDir()), rec, &exportjob.Config{Key: make([]byte, 32), Now: x.clock})
		require.NoError(t, err)
		var (
			all  sync.WaitGroup
			errs [8]error
		)
		for i := range errs {
			all.Add(1)
			go func() {
				defer all.Done()
				_, errs[i] = queue.Submit(ctx, exportjob.Request{Workspace: "w1", Requester: jo})
			}()
		}
		all.Wait()
		accepted := 0
		for _, err := range errs {
			if err == nil {
				accepted++
			} else {
				require.ErrorIs(t, err, exportjob.ErrTooMany)
			}
		}
		require.Equal(t, 3, accepted)
		jobs, err := queue.List(ctx, "w1", jo, 10)
		require.NoError(t, err)
		require.Len(t, jobs, 3)
		events, err := x.store.List(ctx, audit.Filter{Workspace: "w1", Types: []audit.EntityType{audit.TypeExport}}, audit.Position{}, 10)
		require.NoError(t, err)
		require.Len(t, events, 3, "what was refused is no export")
	})
}

func TestAHostileFilterExportsWhatItAsksForAndNothingElse(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, db *Database) {
		x := newExporter(t, db.SQL(), db.Dialect, t.TempDir())
		x.fill(t, 10)
		const evil = "'; DROP TABLE audit_events; --\" OR 1=1 \\ % _ \u2028 \U0001F600 {{.}} <script>"
		other := audit.Event{
			ID: uuid.UUID{0: 2}, Time: exportsBegin.Add(-2 * time.Hour), Workspace: "w1", Actor: audit.Actor{Kind: evil, ID: evil}, Operation: audit.Operation(evil), Origin: audit.Origin(evil),
			Entity: audit.Entity{Type: audit.EntityType(evil), ID: evil, Label: evil, Owner: evil}, Ownership: audit.OwnershipOther,
			Changes: []audit.Change{{Field: evil, After: audit.Value{JSON: []byte("1")}}}, SchemaVersion: 1,
		}
		elsewhere := other
		elsewhere.ID, elsewhere.Workspace = uuid.UUID{0: 3}, "w2"
		require.NoError(t, x.store.Append(context.Background(), []audit.Event{other, elsewhere}))
		job := x.submit(t, audit.Filter{
			Actors: []audit.Actor{{Kind: evil, ID: evil}}, Types: []audit.EntityType{audit.EntityType(evil)}, Entities: []audit.Entity{{Type: audit.EntityType(evil), ID: evil}},
			Actions: []audit.Action{{Operation: audit.Operation(evil)}}, Owners: []string{evil}, Origins: []audit.Origin{audit.Origin(evil)}, Fields: []string{evil}, Text: evil,
			Except: []audit.Filter{{Fields: []string{evil + "'"}}},
		})
		_, err := x.worker().Work(context.Background())
		require.NoError(t, err)
		require.EqualValues(t, 1, x.requireFile(t, job.ID).Rows)
	})
}

// TestAnExportIsWrittenInConstantMemory tells its figures; -exportevents=1000000
// is a large one.
func TestAnExportIsWrittenInConstantMemory(t *testing.T) {
	Each(t, func(t *testing.T, db *Database) {
		x := newExporter(t, db.SQL(), db.Dialect, t.TempDir())
		x.fill(t, *exportEvents)
		job := x.submit(t, audit.Filter{})
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		peak := uint64(0)
		x.page = func() {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
		began := time.Now()
		_, err := x.worker().Work(context.Background())
		require.NoError(t, err)
		took := time.Since(began)
		done := x.requireFile(t, job.ID)
		grown := max(peak, before.HeapAlloc) - before.HeapAlloc
		t.Logf("%d events, %d MB in %s: %d MB of heap more than before", done.Rows, done.Size>>20, took.Round(time.Millisecond), grown>>20)
		require.Less(t, grown, uint64(64<<20))
	})
}

func TestADiskThatIsFullMakesTheExportFail(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("SKIPPED: mounting a small file system needs root on Linux; package exportjob tests the same with a Place that fails")
	}
	folder := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no small file system can be mounted: %s", bytes.TrimSpace(out))
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", folder).Run()) })
	db := Open(t, "sqlite")
	x := newExporter(t, db.SQL(), db.Dialect, folder)
	x.fill(t, 3000)
	job := x.submit(t, audit.Filter{})
	_, err := x.worker().Work(context.Background())
	require.NoError(t, err)
	failed := x.job(t, job.ID)
	require.Equal(t, exportjob.Failed, failed.State)
	require.Equal(t, "the file cannot be written: no space left on device", failed.Reason)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries, "what was written makes room again")
}
