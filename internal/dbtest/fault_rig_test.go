package dbtest

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/memstore"
)

// faultsFlag widens the sweeps of faults.
var faultsFlag = flag.String("faults", "", `"all" injects every fault into every scenario, on every database`)

// rig is an office whose GORM has one connection, by a driver with faults. What
// is in the database is looked at by another pool.
type rig struct {
	office
	faults *Faults
	oracle *Oracle
	pool   *sql.DB
	rec    *audit.Recorder
	// judge says what is wrong with the events, in the light of the truth.
	judge func(t *testing.T, s scenario, truth []RowChange, events []audit.Event) []string

	dirty  bool
	seeded Snapshot
	told   map[string][]string // what scenarios record if nothing goes wrong
}

func newRig(t *testing.T, clean *Database, store newStore, cfg *audit.Config, opts ...gorm.Option) *rig {
	t.Helper()
	faults, err := NewFaults(clean)
	require.NoError(t, err)
	faulty := *clean
	faulty.pool = sql.OpenDB(faults)
	// A second connection would never come.
	faulty.pool.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, faulty.pool.Close()) })
	r := &rig{faults: faults, pool: faulty.pool, dirty: true, told: map[string][]string{}}
	r.office = office{database: clean, raw: openGorm(t, clean), db: openGorm(t, &faulty, opts...), clock: newClock()}
	require.NoError(t, r.raw.AutoMigrate(officeTables()...))
	r.oracle, err = InstallOracle(context.Background(), r.raw, officeWatches()...)
	require.NoError(t, err)
	if cfg == nil {
		cfg = &audit.Config{}
	}
	if cfg.Now == nil {
		cfg.Now = r.clock.Now
	}
	r.store = store(t, &faulty)
	r.rec, err = audit.New(r.store, cfg)
	require.NoError(t, err)
	require.NoError(t, r.db.Use(hooks.New(r.rec, officeModels()...)))
	r.judge = func(_ *testing.T, _ scenario, truth []RowChange, events []audit.Event) []string {
		return r.oracle.Compare(truth, events)
	}
	r.ctx = audit.WithActor(context.Background(), jo)
	return r
}

func officeWatches() []Watch {
	return []Watch{
		{Model: &Firm{}, Type: "firm"},
		{Model: &Venture{}, Type: "venture"},
		{Model: &Step{}, Type: "step"},
		{Model: &Word{}, Type: "word"},
		{Model: &Entry{}, Type: "entry", Ignore: []string{"updated_at"}, Deleted: "deleted_at"},
	}
}

// refresh makes the rows what they were, if anything changed them, and lets a
// minute pass.
func (r *rig) refresh(t *testing.T) {
	t.Helper()
	r.clock.next()
	if !r.dirty {
		return
	}
	r.dirty = false
	require.NoError(t, r.raw.Transaction(func(tx *gorm.DB) error {
		for _, table := range []string{"entry_words", "entries", "steps", "ventures", "firms", "words"} {
			if err := tx.Exec("DELETE FROM " + table).Error; err != nil {
				return err
			}
		}
		for _, rows := range officeRows() {
			if err := tx.Omit(clause.Associations).Create(rows).Error; err != nil {
				return err
			}
		}
		return tx.Exec("INSERT INTO entry_words (entry_id, word_id) VALUES ('e1', 'x1'), ('e2', 'x1'), ('e2', 'x2')").Error
	}))
	require.NoError(t, r.oracle.Reset(context.Background()))
	if r.seeded == nil {
		var err error
		r.seeded, err = r.oracle.Snapshot(context.Background())
		require.NoError(t, err)
	}
}

func officeRows() []any {
	return []any{
		&Firm{ID: "f1", WorkspaceID: "w1", Name: "Acme"},
		&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini", FirmID: text("f1")},
		&Step{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "v1"},
		&[]Word{{ID: "x1", WorkspaceID: "w1", Name: "urgent"}, {ID: "x2", WorkspaceID: "w1", Name: "later"}, {ID: "x3", WorkspaceID: "w1", Name: "never"}},
		&[]Entry{
			{ID: "e1", WorkspaceID: "w1", UserID: text("u1"), Note: "one", VentureID: text("v1"), StepID: text("s1")},
			{ID: "e2", WorkspaceID: "w1", UserID: text("u2"), Note: "two", VentureID: text("v1")},
			{ID: "e3", WorkspaceID: "w1", Note: "three"},
			{ID: "e4", WorkspaceID: "w1", Note: "four", DeletedAt: gorm.DeletedAt{Time: milliseconds(), Valid: true}},
		},
	}
}

// scenario is something that an application does.
type scenario struct {
	name  string
	write func(db *gorm.DB) error
	// blind marks what triggers do not tell as events do; the truth is then
	// taken from snapshots.
	blind bool
	// partial marks what is more than one transaction, or goes on after a
	// failure: a part of it may remain.
	partial bool
	// fails marks what the application rolls back itself.
	fails bool
}

// aftermath is what a scenario has left behind.
type aftermath struct {
	err   error
	truth []RowChange
	said  []string
}

// run runs a scenario in which the n-th call of the driver suffers a fault, and
// checks everything that has to be true whatever happened. It reports whether
// the scenario got as far as that call.
func (r *rig) run(t *testing.T, s scenario, n int, fault Fault) (a aftermath, hit Call, reached bool) {
	t.Helper()
	r.refresh(t)
	ctx, end := context.WithCancel(r.ctx)
	defer end()
	r.faults.Arm(n, fault, end)
	a.err = s.write(r.db.WithContext(ctx))
	hit, reached = r.faults.Disarm()
	where := fmt.Sprintf("%s with %s at call %d, %s: %v", s.name, fault, n, hit, a.err)

	// This waits for the only connection: a rollback that the context asked for
	// goes on after GORM has returned.
	patient, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	require.NoError(t, r.pool.PingContext(patient), where)
	require.Zero(t, r.pool.Stats().InUse, where)

	a.truth = r.changes(t, s)
	events := slices.DeleteFunc(eventsSince(t, r.store, "w1", r.clock.Now()), isNotice)
	r.dirty = len(a.truth) > 0
	if !r.unacknowledged(a.err, hit) {
		require.Empty(t, r.judge(t, s, a.truth, events), where)
	}
	a.said = say(events)
	return a, hit, reached
}

// unacknowledged reports whether the database has committed and said so to
// nobody, which a store in memory cannot know.
func (r *rig) unacknowledged(err error, hit Call) bool {
	_, memory := r.store.(*memstore.Store)
	return memory && err != nil && hit.Kind == CallCommit
}

// changes is what really happened.
func (r *rig) changes(t *testing.T, s scenario) []RowChange {
	t.Helper()
	truth, err := r.oracle.Read(context.Background())
	require.NoError(t, err)
	if len(truth) == 0 || !s.blind {
		return truth // the database changes no row unless a statement has
	}
	now, err := r.oracle.Snapshot(context.Background())
	require.NoError(t, err)
	return now.Since(r.seeded)
}

// expected is what the scenario records if nothing goes wrong.
func (r *rig) expected(t *testing.T, s scenario) []string {
	t.Helper()
	if said, known := r.told[s.name]; known {
		return said
	}
	a, _, _ := r.run(t, s, -1, 0)
	if s.fails {
		require.ErrorIs(t, a.err, ErrHook, s.name)
		require.Empty(t, a.said, s.name)
	} else {
		require.NoError(t, a.err, s.name)
		require.NotEmpty(t, a.said, s.name)
	}
	r.told[s.name] = a.said
	return a.said
}

// sweep lets the fault happen at the first call of the scenario, at the second,
// and so on until the scenario ends without reaching it.
func (r *rig) sweep(t *testing.T, s scenario, fault Fault) (calls int) {
	t.Helper()
	want := r.expected(t, s)
	for n := 1; ; n++ {
		a, hit, reached := r.run(t, s, n, fault)
		where := fmt.Sprintf("%s with %s at call %d, %s: %v", s.name, fault, n, hit, a.err)
		if !reached {
			require.Equal(t, want, a.said, where)
			require.Equal(t, s.fails, a.err != nil, where)
			return n - 1
		}
		require.Less(t, n, 1000, "this has no end")
		switch {
		case a.err == nil:
			require.False(t, s.fails, where)
			if !s.partial {
				require.Equal(t, want, a.said, where)
			}
		case !s.partial && len(a.truth) > 0:
			require.Equal(t, CallCommit, hit.Kind, "an error, yet everything is there: %s", where)
			require.Contains(t, []Fault{FaultLostAfter, FaultCancelAfter, FaultCancel}, fault, where)
			if !r.unacknowledged(a.err, hit) {
				require.Equal(t, want, a.said, where)
			}
		case !s.partial:
			require.Empty(t, a.said, where)
		}
		if !s.fails && !s.partial {
			requireBlame(t, a.err, hit, fault, where)
		}
	}
}

// requireBlame requires that an error says whose statement failed: the
// application's own failures are told as GORM tells them, ours are marked.
func requireBlame(t *testing.T, err error, hit Call, fault Fault, where string) {
	t.Helper()
	if hit.Kind == CallSavepoint {
		return // most dialects of GORM do not ask whether it was set
	}
	switch fault {
	case FaultCancel, FaultCancelAfter:
		return // it shows at one of the next calls
	case FaultError, FaultConflict:
		require.ErrorIs(t, err, ErrFault, where)
	}
	switch {
	case strings.Contains(hit.Text, "audit_events"):
		require.ErrorIs(t, err, audit.ErrAuditFailed, where)
	case strings.HasPrefix(hit.Text, "SELECT"):
		// It may stand for the statement, whose conditions it has, or be a
		// reading of ours.
		require.Error(t, err, where)
	case hit.Text != "":
		require.NotErrorIs(t, err, audit.ErrAuditFailed, where)
	}
	if err != nil {
		require.NotContains(t, err.Error(), "urgent", where)
	}
}

func scenarios() []scenario {
	two := func(tx *gorm.DB) error {
		if err := tx.Create(&Word{ID: "x9", WorkspaceID: "w1", Name: "new"}).Error; err != nil {
			return err
		}
		return tx.Model(&Entry{ID: "e3"}).Update("note", "changed").Error
	}
	return []scenario{
		{name: "create with elements", write: func(db *gorm.DB) error {
			return db.Create(&Entry{ID: "e9", WorkspaceID: "w1", VentureID: text("v1"), Words: []Word{{ID: "x1"}, {ID: "x9", WorkspaceID: "w1", Name: "new"}}}).Error
		}},
		{name: "update", write: func(db *gorm.DB) error {
			return db.Model(&Entry{ID: "e3"}).Updates(map[string]any{"note": "changed", "venture_id": "v1"}).Error
		}},
		{name: "bulk update", write: func(db *gorm.DB) error {
			return db.Model(&Entry{}).Where("workspace_id = ?", "w1").Update("note", "changed").Error
		}},
		{name: "soft delete", write: func(db *gorm.DB) error { return db.Delete(&Entry{ID: "e1"}).Error }},
		{name: "restore", write: func(db *gorm.DB) error {
			return db.Unscoped().Model(&Entry{ID: "e4"}).Update("deleted_at", nil).Error
		}},
		{name: "delete with what follows", blind: true, write: func(db *gorm.DB) error { return db.Delete(&Venture{ID: "v1"}).Error }},
		{name: "delete of an element", blind: true, write: func(db *gorm.DB) error { return db.Delete(&Word{ID: "x1"}).Error }},
		{name: "delete with elements", write: func(db *gorm.DB) error {
			return db.Unscoped().Select("Words").Delete(&Entry{ID: "e2"}).Error
		}},
		{name: "upsert", write: func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&[]Word{{ID: "x3", WorkspaceID: "w1", Name: "ever"}, {ID: "x9", WorkspaceID: "w1", Name: "new"}}).Error
		}},
		{name: "save", write: func(db *gorm.DB) error { return db.Save(&Word{ID: "x3", WorkspaceID: "w1", Name: "ever"}).Error }},
		{name: "replaced elements", partial: true, write: func(db *gorm.DB) error {
			return db.Model(&Entry{ID: "e2"}).Association("Words").Replace(&Word{ID: "x2"}, &Word{ID: "x3"})
		}},
		{name: "elements replaced in a transaction", write: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				return tx.Model(&Entry{ID: "e2"}).Association("Words").Replace(&Word{ID: "x2"}, &Word{ID: "x3"})
			})
		}},
		{name: "transaction with a savepoint", write: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Transaction(two); err != nil {
					return err
				}
				return tx.Delete(&Entry{ID: "e2"}).Error
			})
		}},
		{name: "transaction that outlives its savepoint", partial: true, write: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Delete(&Entry{ID: "e2"}).Error; err != nil {
					return err
				}
				_ = tx.Transaction(two)
				return tx.Model(&Word{ID: "x3"}).Update("name", "ever").Error
			})
		}},
		{name: "transaction that goes back to its savepoint", partial: true, write: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Delete(&Entry{ID: "e2"}).Error; err != nil {
					return err
				}
				_ = tx.Transaction(func(tx *gorm.DB) error { _ = two(tx); return ErrHook })
				return tx.Model(&Word{ID: "x3"}).Update("name", "ever").Error
			})
		}},
		{name: "transaction that is rolled back", fails: true, write: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := two(tx); err != nil {
					return err
				}
				return ErrHook
			})
		}},
		{name: "rename that others show", write: func(db *gorm.DB) error { return db.Model(&Firm{ID: "f1"}).Update("name", "Best").Error }},
	}
}
