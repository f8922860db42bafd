package dbtest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

var (
	hostileBytes = flag.Int("hostile.bytes", 4<<20, "the length of hostile texts and bytes; over 8 MiB it raises max_allowed_packet of MariaDB's server")
	hostileCost  = flag.Int("hostile.cost", 0, "how often each write of hostile values is measured against one without hooks; 0 for never")
)

// Trunk holds what is very long, and can be put in the trash.
type Trunk struct {
	ID      string   `gorm:"primaryKey;size:40"`
	Name    string   `gorm:"size:200" audit:"label"`
	Text    *string  `gorm:"type:text"`
	Bytes   []byte   `gorm:"type:bytes"`
	JSON    Document `gorm:"type:json"`
	Other   int
	Removed gorm.DeletedAt
}

// hostile is a value that nobody expects.
type hostile struct {
	name, column string
	set          func(t *Trunk)
	value        func() any
}

func hostiles(size int) []hostile {
	long := strings.Repeat("0123456789abcdef", size/16)
	bytes := everyByte(size / 256)
	million := "[" + strings.Repeat("1,", 1_000_000) + "1]"
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	of := func(s string) func() any { return func() any { return s } }
	return []hostile{
		{"a long text", "text", func(t *Trunk) { t.Text = &long }, of(long)},
		{"many bytes", "bytes", func(t *Trunk) { t.Bytes = bytes }, func() any { return bytes }},
		{"a long JSON", "json", func(t *Trunk) { t.JSON = Document(`{"k":"` + long + `"}`) }, func() any { return Document(`{"k":"` + long + `"}`) }},
		{"a million elements", "json", func(t *Trunk) { t.JSON = Document(million) }, func() any { return Document(million) }},
		{"100,000 levels", "json", func(t *Trunk) { t.JSON = Document(deep) }, func() any { return Document(deep) }},
		{"a text that is not UTF-8", "text", func(t *Trunk) { t.Text = text("a\xff" + long[:audit.MaxValueBytes] + "\xc3") }, of("a\xff" + long[:audit.MaxValueBytes] + "\xc3")},
		{"a text with NUL", "text", func(t *Trunk) { t.Text = text("a\x00" + long[:audit.MaxValueBytes]) }, of("a\x00" + long[:audit.MaxValueBytes])},
	}
}

// hostileWrite is a write of a row that holds, or is given, a hostile value.
type hostileWrite struct {
	name string
	// assigns tells that the statement gives the value.
	assigns bool
	// with is the value that the row has before; without it has none of its own.
	absent, empty bool
	run           func(db *gorm.DB, id string, h hostile) error
}

func hostileWrites() []hostileWrite {
	at := func(db *gorm.DB, id string) *gorm.DB { return db.Model(&Trunk{ID: id}) }
	upsert := func(db *gorm.DB, t Trunk) error {
		return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"other"})}).Create(&t).Error
	}
	return []hostileWrite{
		{name: "create", assigns: true, absent: true, run: func(db *gorm.DB, id string, h hostile) error {
			t := Trunk{ID: id}
			h.set(&t)
			return db.Create(&t).Error
		}},
		{name: "update of it", assigns: true, empty: true, run: func(db *gorm.DB, id string, h hostile) error {
			return at(db, id).Update(h.column, h.value()).Error
		}},
		{name: "update to what it was", assigns: true, run: func(db *gorm.DB, id string, h hostile) error {
			return at(db, id).Updates(map[string]any{h.column: h.value(), "other": 2}).Error
		}},
		{name: "update of another column", run: func(db *gorm.DB, id string, _ hostile) error { return at(db, id).Update("other", 1).Error }},
		{name: "bulk update of another", run: func(db *gorm.DB, id string, _ hostile) error {
			return db.Model(&Trunk{}).Where("id LIKE ?", id+"%").Update("other", gorm.Expr("other + 1")).Error
		}},
		// It gives all columns, and what is inserted has to be told in full.
		{name: "upsert of another", assigns: true, run: func(db *gorm.DB, id string, _ hostile) error { return upsert(db, Trunk{ID: id, Other: 5}) }},
		{name: "soft delete", run: func(db *gorm.DB, id string, _ hostile) error { return db.Delete(&Trunk{ID: id}).Error }},
		{name: "delete", run: func(db *gorm.DB, id string, _ hostile) error { return db.Unscoped().Delete(&Trunk{ID: id}).Error }},
	}
}

// trunks is a database for them.
type trunks struct {
	office
	database *Database
}

func newTrunks(t *testing.T, database *Database) *trunks {
	t.Helper()
	if database.Name == "mysql" && *hostileBytes > 8<<20 {
		var packet int
		require.NoError(t, database.SQL().QueryRow("SELECT @@GLOBAL.max_allowed_packet").Scan(&packet)) //nolint:noctx // a test's
		server := database.SQL()
		set := func(n int) {
			_, err := server.Exec("SET GLOBAL max_allowed_packet = " + strconv.Itoa(n)) //nolint:noctx // a test's
			require.NoError(t, err)
		}
		set(1 << 30)
		t.Cleanup(func() { set(packet) })
		database.DSN += "&maxAllowedPacket=0"
		pool, _, err := (&Database{Name: "mysql", Dialect: database.Dialect, Driver: database.Driver, DSN: database.DSN}).connect(func() error { return nil })
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pool.SQL().Close()) })
		database = pool
	}
	o := office{database: database, raw: openGorm(t, database), db: openGorm(t, database), clock: newClock(), ctx: t.Context()}
	require.NoError(t, o.raw.AutoMigrate(&Trunk{}))
	if database.Name == "mysql" {
		require.NoError(t, o.raw.Exec("ALTER TABLE trunks MODIFY text LONGTEXT, MODIFY bytes LONGBLOB").Error)
	}
	o.store = wire(t, o.db, database, storeInDatabase, &audit.Config{Now: o.clock.Now, Workspace: "w1"}, []hooks.Option{hooks.Model[Trunk]("trunk")})
	return &trunks{o, database}
}

// prepare makes the row as the write expects it.
func (k *trunks) prepare(t *testing.T, w hostileWrite, id string, h hostile) error {
	t.Helper()
	require.NoError(t, k.raw.Exec("DELETE FROM trunks").Error)
	if w.absent {
		return nil
	}
	row := Trunk{ID: id}
	if !w.empty {
		h.set(&row)
	}
	return k.raw.Create(&row).Error
}

// TestHostileValuesAreWrittenAsWithoutUs does every write with every such value,
// and compares with what happens without hooks.
func TestHostileValuesAreWrittenAsWithoutUs(t *testing.T) {
	Each(t, func(t *testing.T, database *Database) {
		k := newTrunks(t, database)
		for _, h := range hostiles(*hostileBytes) {
			for _, w := range hostileWrites() {
				where := h.name + ", " + w.name
				if k.prepare(t, w, "t", h) != nil {
					continue // no row can hold it
				}
				want := w.run(k.raw, "t", h)
				_ = k.prepare(t, w, "t", h)
				k.clock.next()
				got := w.run(k.db.WithContext(context.Background()), "t", h)
				require.Equal(t, fmt.Sprint(want), fmt.Sprint(got), where)
				events := eventsSince(t, k.store, "w1", k.clock.Now())
				if want != nil {
					require.Empty(t, events, where)
					continue
				}
				require.Len(t, events, 1, where)
				k.requireShort(t, events[0], w, h, where)
			}
		}
	})
}

func (k *trunks) requireShort(t *testing.T, e audit.Event, w hostileWrite, h hostile, where string) {
	t.Helper()
	told := false
	for _, c := range e.Changes {
		for _, v := range []audit.Value{c.Before, c.After} {
			require.LessOrEqual(t, len(v.JSON), 8<<10, "%s: %s", where, c.Field)
			if c.Field == h.column && v.Form == audit.FormShortened {
				told = true
				require.NotContains(t, string(v.JSON), `"length":0`, where)
			}
		}
	}
	whole := w.absent || w.empty || strings.HasSuffix(w.name, "delete")
	if whole {
		require.True(t, told, "%s: %v", where, e)
	}
}

// TestHostileValuesCost prints what hooks add to each write, in time and memory.
func TestHostileValuesCost(t *testing.T) {
	if *hostileCost == 0 {
		t.Skip("give -hostile.cost a number of runs to measure; -hostile.bytes=104857600 for values of 100 MiB")
	}
	Each(t, func(t *testing.T, database *Database) {
		k := newTrunks(t, database)
		for _, h := range hostiles(*hostileBytes)[:5] {
			for _, w := range hostileWrites() {
				t.Run(h.name+"/"+w.name, func(t *testing.T) { k.compare(t, w, h) })
			}
		}
	})
}

// compare measures a write with and without hooks, by turns.
func (k *trunks) compare(t *testing.T, w hostileWrite, h hostile) {
	var with, without []cost
	for i := range 2 * *hostileCost {
		if err := k.prepare(t, w, "t", h); err != nil {
			t.Skipf("no row can hold it: %v", err)
		}
		db := []*gorm.DB{k.raw, k.db}[(i+i/2)%2] // which goes first changes, too
		c := measure(func() { require.NoError(t, w.run(db.WithContext(context.Background()), "t", h)) })
		if db == k.db {
			with = append(with, c)
		} else {
			without = append(without, c)
		}
	}
	a, b := medianCost(with), medianCost(without)
	t.Logf("assigns it: %-5v bare %8.1f ms, %7.1f ms of work; added %8.1f ms, %7.1f ms of work, %6.2f MiB allocated, %6.2f MiB of peak memory",
		w.assigns, ms(b.time), ms(b.work), ms(a.time-b.time), ms(a.work-b.work), mib(a.allocated-b.allocated), mib(a.peak-b.peak))
}

// cost is what one write took.
type cost struct {
	time            time.Duration
	work            time.Duration // of this process's processors, SQLite's part in it
	allocated, peak int64
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func mib(n int64) float64        { return float64(n) / (1 << 20) }

// measure runs f. The peak is that of the process's memory, which has SQLite's
// in it, where the system tells it.
func measure(f func()) (c cost) {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, work, rss := time.Now(), workDone(), peakMemory()
	f()
	c.time, c.work, c.peak = time.Since(start), workDone()-work, peakMemory()-rss
	runtime.ReadMemStats(&after)
	c.allocated = int64(after.TotalAlloc - before.TotalAlloc)
	return c
}

func peakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

func workDone() time.Duration {
	stat, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func medianCost(costs []cost) cost {
	median := func(of func(c cost) int64) int64 {
		all := make([]int64, len(costs))
		for i, c := range costs {
			all[i] = of(c)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{
		time:      time.Duration(median(func(c cost) int64 { return int64(c.time) })),
		work:      time.Duration(median(func(c cost) int64 { return int64(c.work) })),
		allocated: median(func(c cost) int64 { return c.allocated }),
		peak:      median(func(c cost) int64 { return c.peak }),
	}
}
