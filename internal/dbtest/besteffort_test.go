package dbtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/memstore"
	"github.com/gormtrail/audit/store/sqlstore"
)

// isNotice reports whether an event tells of others that are missing.
func isNotice(e audit.Event) bool { return e.Operation == audit.Lost }

// noticed is how many missing events the log tells of.
func noticed(t *testing.T, store audit.Store) (n uint64) {
	t.Helper()
	for _, workspace := range []string{"w1", audit.DefaultWorkspace} {
		for _, e := range eventsSince(t, store, workspace, time.Time{}) {
			if isNotice(e) {
				require.Equal(t, audit.Entity{Type: audit.TypeLog, ID: "*"}, e.Entity)
				require.True(t, e.Actor.Same(audit.System))
				require.Equal(t, "events", e.Changes[0].Field)
				var one uint64
				require.NoError(t, json.Unmarshal(e.Changes[0].After.JSON, &one))
				n += one
			}
		}
	}
	return n
}

// ear is a listener that counts what it hears.
type ear struct {
	mu   sync.Mutex
	told []error
}

func (e *ear) hear(_ context.Context, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = append(e.told, err)
}

func (e *ear) heard() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	told := e.told
	e.told = nil
	return told
}

// spoiler is a store whose failure spoils the transaction, where the database
// does that.
type spoiler struct {
	*sqlstore.Store
	broken atomic.Bool
}

func (s *spoiler) AppendTx(ctx context.Context, tx audit.DBTX, events []audit.Event) error {
	if !s.broken.Load() {
		return s.Store.AppendTx(ctx, tx, events)
	}
	if err := s.Store.AppendTx(ctx, tx, events); err != nil { // half of it is done
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO nowhere VALUES (1)")
	return err
}

func (s *spoiler) Append(ctx context.Context, events []audit.Event) error {
	if s.broken.Load() {
		return errStore
	}
	return s.Store.Append(ctx, events)
}

// TestBestEffortLetsChangesThroughAndTellsWhatIsMissing breaks the store, makes
// changes as if there were none, and mends it.
func TestBestEffortLetsChangesThroughAndTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	writes := []struct {
		name string
		lost int
		run  func(db *gorm.DB) error
	}{
		{"create", 1, func(db *gorm.DB) error { return db.Create(&Word{ID: "x9", WorkspaceID: "w1"}).Error }},
		{"update", 1, func(db *gorm.DB) error {
			return db.Model(&Word{}).Where("id = ?", "x1").Update("name", "changed").Error
		}},
		{"delete", 2, func(db *gorm.DB) error { return db.Delete(&[]Word{{ID: "x1"}, {ID: "x2"}}).Error }},
		{"soft delete", 1, func(db *gorm.DB) error { return db.Delete(&Entry{ID: "e1"}).Error }},
		{"elements", 2, func(db *gorm.DB) error {
			return db.Create(&Entry{ID: "e9", WorkspaceID: "w1", Words: []Word{{ID: "x3"}, {ID: "x8", WorkspaceID: "w1"}}}).Error
		}},
		{"raw SQL", 1, func(db *gorm.DB) error { return db.Exec("UPDATE words SET name = 'raw' WHERE id = 'x3'").Error }},
		{"a transaction with savepoints", 3, func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Create(&Word{ID: "y1", WorkspaceID: "w1"}).Error; err != nil {
					return err
				}
				_ = tx.Transaction(func(tx *gorm.DB) error {
					if err := tx.Create(&Word{ID: "y2", WorkspaceID: "w1"}).Error; err != nil {
						return err
					}
					return ErrHook // what is lost of this is counted though it is undone
				})
				return tx.Transaction(func(tx *gorm.DB) error { return tx.Create(&Word{ID: "y3", WorkspaceID: "w1"}).Error })
			})
		}},
	}
	untransacted := quiet()
	untransacted.SkipDefaultTransaction = true
	Each(t, func(t *testing.T, database *Database) {
		for name, cfg := range map[string]*gorm.Config{"with GORM's transactions": quiet(), "without GORM's transactions": untransacted} {
			for kind, store := range map[string]func(*testing.T, *Database) (audit.Store, *atomic.Bool){
				"store in the database": func(t *testing.T, d *Database) (audit.Store, *atomic.Bool) {
					s := &spoiler{Store: storeInDatabase(t, d).(*sqlstore.Store)}
					return s, &s.broken
				},
				"store in memory": func(*testing.T, *Database) (audit.Store, *atomic.Bool) {
					s := &brokenMemory{Store: memstore.New()}
					return s, &s.broken
				},
			} {
				t.Run(name+", "+kind, func(t *testing.T) {
					var broken *atomic.Bool
					var e ear
					b := newBoth(t, database.Name, func(t *testing.T, d *Database) (s audit.Store) {
						s, broken = store(t, d)
						return s
					}, &audit.Config{BestEffort: true, OnError: e.hear}, cfg)
					total := uint64(0)
					broken.Store(true)
					for _, w := range writes {
						require.NoError(t, w.run(b.bare), w.name)
						require.NoError(t, w.run(b.db.WithContext(b.ctx)), w.name)
						require.Equal(t, b.rowsOf(t, b.bare), b.rows(t), w.name)
						now := b.rec.Stats()
						want := uint64(w.lost)
						if _, memory := b.store.(*brokenMemory); memory && strings.Contains(w.name, "savepoints") {
							want-- // what was rolled back was not to be recorded in the end
						}
						require.Equal(t, want, now.Lost-total, "%s: %v", w.name, e.told)
						require.Equal(t, now.Lost, now.Untold)
						total = now.Lost
						for _, err := range e.heard() {
							require.ErrorIs(t, err, audit.ErrLost, w.name)
						}
						require.Zero(t, b.database.SQL().Stats().InUse, w.name)
					}
					require.Zero(t, b.rec.Stats().Recorded)
					require.Zero(t, b.rec.Stats().Refused)
					require.Empty(t, eventsSince(t, b.store, "w1", time.Time{}))

					broken.Store(false)
					b.clock.next()
					require.NoError(t, b.db.WithContext(b.ctx).Create(&Word{ID: "z1", WorkspaceID: "w1"}).Error)
					require.Equal(t, total, noticed(t, b.store))
					require.Equal(t, audit.Stats{Recorded: b.rec.Stats().Recorded, Lost: total}, b.rec.Stats())
					require.Empty(t, e.heard())
					told := eventsSince(t, b.store, "w1", time.Time{})
					require.Equal(t, "z1", told[0].Entity.ID)
				})
			}
		}
	})
}

// both is an office with hooks and another database that GORM changes without.
type both struct {
	*office
	rec  *audit.Recorder
	bare *gorm.DB
}

func newBoth(t *testing.T, name string, store newStore, cfg *audit.Config, orm *gorm.Config, opts ...hooks.Option) *both {
	t.Helper()
	d := Open(t, name)
	b := &both{office: &office{database: d, raw: openGorm(t, d), db: openGorm(t, d, orm), clock: newClock()}, bare: openGorm(t, Open(t, name))}
	b.ctx = audit.WithActor(context.Background(), jo)
	if cfg.Now == nil {
		cfg.Now = b.clock.Now
	}
	for _, db := range []*gorm.DB{b.raw, b.bare} {
		require.NoError(t, db.AutoMigrate(officeTables()...))
		for _, row := range []any{
			&[]Word{{ID: "x1", WorkspaceID: "w1"}, {ID: "x2", WorkspaceID: "w1"}, {ID: "x3", WorkspaceID: "w1"}},
			&Entry{ID: "e1", WorkspaceID: "w1"},
		} {
			require.NoError(t, db.Create(row).Error)
		}
	}
	b.store = store(t, d)
	var err error
	b.rec, err = audit.New(b.store, cfg)
	require.NoError(t, err)
	require.NoError(t, b.db.Use(hooks.New(b.rec, append(officeModels(), opts...)...)))
	return b
}

// rows are what is in the tables, without the times.
func (b *both) rows(t *testing.T) []map[string]any { t.Helper(); return b.rowsOf(t, b.raw) }

func (b *both) rowsOf(t *testing.T, db *gorm.DB) (all []map[string]any) {
	t.Helper()
	for table, order := range map[string]string{"words": "id", "entries": "id", "entry_words": "entry_id, word_id"} {
		var rows []map[string]any
		require.NoError(t, db.Session(&gorm.Session{NewDB: true}).Table(table).Order(order).Find(&rows).Error)
		for _, row := range rows {
			delete(row, "updated_at")
			if row["deleted_at"] != nil {
				row["deleted_at"] = "set"
			}
			all = append(all, row)
		}
	}
	slices.SortFunc(all, func(a, b map[string]any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

// TestInBestEffortTheRulesOfTheApplicationStillHold lists what is no failure to
// record but a change that the application does not want.
func TestInBestEffortTheRulesOfTheApplicationStillHold(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		var e ear
		b := newBoth(t, database.Name, storeInDatabase, &audit.Config{BestEffort: true, RequireActor: true, OnError: e.hear}, quiet(), hooks.RawSQL(hooks.RefuseRaw))
		before := b.rows(t)
		require.ErrorIs(t, b.db.Create(&Word{ID: "x9", WorkspaceID: "w1"}).Error, audit.ErrNoActor)
		other := audit.WithWorkspace(b.ctx, "w2")
		require.ErrorIs(t, b.db.WithContext(other).Model(&Word{ID: "x1"}).Update("name", "changed").Error, audit.ErrWorkspaceMismatch)
		require.ErrorIs(t, b.db.WithContext(b.ctx).Exec("DELETE FROM words").Error, hooks.ErrRawSQL)
		require.Equal(t, before, b.rows(t))
		require.Equal(t, audit.Stats{Refused: 2}, b.rec.Stats())
		told := e.heard()
		require.Len(t, told, 2)
		require.NotErrorIs(t, told[0], audit.ErrLost)

		// And an error of the application's own is just that.
		require.Error(t, b.db.WithContext(b.ctx).Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error)
		require.Equal(t, audit.Stats{Refused: 2}, b.rec.Stats())
		require.Empty(t, e.heard())
	})
}

// TestInBestEffortTheTableOfEventsMayBeMissing is an outage as it happens.
func TestInBestEffortTheTableOfEventsMayBeMissing(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		b := newBoth(t, database.Name, storeInDatabase, &audit.Config{BestEffort: true}, quiet())
		require.NoError(t, b.raw.Exec("ALTER TABLE audit_events RENAME TO elsewhere").Error)
		require.NoError(t, b.db.WithContext(b.ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Model(&Word{}).Where("workspace_id = ?", "w1").Update("name", "changed").Error; err != nil {
				return err
			}
			return tx.Delete(&Word{ID: "x2"}).Error
		}))
		require.Equal(t, audit.Stats{Lost: 4, Untold: 4}, b.rec.Stats())
		require.NoError(t, b.raw.Exec("ALTER TABLE elsewhere RENAME TO audit_events").Error)
		b.clock.next()
		require.NoError(t, b.db.WithContext(b.ctx).Delete(&Word{ID: "x3"}).Error)
		require.Equal(t, uint64(4), noticed(t, b.store))
		require.Equal(t, audit.Stats{Recorded: 2, Lost: 4}, b.rec.Stats())
	})
}

// TestInBestEffortNoFaultOfOursReachesTheApplication injects every fault at every
// call to the driver, as TestNoFaultPartsAChangeFromItsEvents does, where a
// change may be parted from its events if that is counted and told.
func TestInBestEffortNoFaultOfOursReachesTheApplication(t *testing.T) {
	t.Parallel()
	prepared, untransacted := quiet(), quiet()
	prepared.PrepareStmt, untransacted.SkipDefaultTransaction = true, true
	server := []Fault{FaultError, FaultLostAfter, FaultConflict, FaultStall}
	for _, c := range []struct {
		name, database string
		store          newStore
		cfg            *gorm.Config
		scenarios      []string
		faults         []Fault
	}{
		{"sqlite", "sqlite", storeInDatabase, quiet(), nil, AllFaults()},
		{"sqlite, no default transactions", "sqlite", storeInDatabase, untransacted, []string{"create with elements", "update", "soft delete", "upsert", "save"}, AllFaults()},
		{"sqlite, prepared statements", "sqlite", storeInDatabase, prepared, []string{"create with elements", "bulk update", "transaction with a savepoint"}, AllFaults()},
		{"sqlite, store in memory", "sqlite", storeInMemory, quiet(), []string{"create with elements", "transaction that goes back to its savepoint", "transaction that outlives its savepoint"}, AllFaults()},
		{"postgres", "postgres", storeInDatabase, quiet(), []string{"create with elements", "upsert", "update", "soft delete", "transaction with a savepoint"}, server},
		{"postgres, no default transactions", "postgres", storeInDatabase, untransacted, []string{"update", "delete with elements"}, server},
		{"mysql", "mysql", storeInDatabase, quiet(), []string{"upsert", "update", "soft delete", "transaction with a savepoint"}, server},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if *faultsFlag == "all" {
				c.scenarios, c.faults = nil, AllFaults()
			}
			if raced && *faultsFlag != "all" {
				c.faults, c.scenarios = []Fault{FaultLostAfter, FaultCancelAfter, FaultStall}, []string{"update"}
			}
			var e ear
			r, runs := newRig(t, Open(t, c.database), c.store, &audit.Config{BestEffort: true, OnError: e.hear}, c.cfg), 0
			w := &lenient{rig: r, ear: &e}
			r.judge = w.judge
			for _, s := range scenariosNamed(c.scenarios...) {
				for _, f := range c.faults {
					runs += w.sweep(t, s, f) + 1
				}
				w.settle(t)
			}
			t.Logf("%d runs, %+v", runs, r.rec.Stats())
		})
	}
}

// lenient is a rig in best effort.
type lenient struct {
	*rig
	ear    *ear
	before audit.Stats
}

// judge lets events be missing that are counted.
func (w *lenient) judge(t *testing.T, s scenario, truth []RowChange, events []audit.Event) []string {
	wrong := w.oracle.Compare(truth, events)
	rows, elements := map[string]int{}, map[string]bool{}
	wrong = slices.DeleteFunc(wrong, func(what string) bool {
		words := strings.SplitN(what, " ", 4) // missed: entity id: element, or: missed: entity id operation
		if words[0] != "missed:" {
			return false
		}
		if id, element := strings.CutSuffix(words[2], ":"); element {
			elements[words[1]+id] = true
		} else {
			rows[words[1]+id]++
		}
		return true
	})
	missed := 0
	for _, n := range rows {
		missed += n
	}
	for owner := range elements {
		missed += btoi(rows[owner] == 0) // else they are part of the owner's event
	}
	now := w.rec.Stats()
	lost := int(now.Lost - w.before.Lost)
	if s.blind {
		missed = min(missed, 1) // what the database does by itself is not counted
	}
	if lost < missed {
		wrong = append(wrong, fmt.Sprintf("%d events are missing, %d are counted", missed, lost))
	}
	told := 0
	for _, err := range w.ear.heard() {
		require.NotContains(t, err.Error(), "urgent")
		if !strings.Contains(err.Error(), audit.ErrLost.Error()) {
			require.ErrorIs(t, err, audit.ErrAuditFailed)
			continue
		}
		told++
	}
	if (lost > 0) != (told > 0) {
		wrong = append(wrong, fmt.Sprintf("%d events are lost, of which OnError was told %d times", lost, told))
	}
	w.before = now
	return wrong
}

// ours reports whether a call is no part of what the application does itself.
func ours(hit Call) bool {
	for _, part := range []string{"audit_events", "audit_recording", "audit_old", "pragma_", "pg_catalog", "information_schema"} {
		if strings.Contains(hit.Text, part) {
			return true
		}
	}
	return strings.HasPrefix(hit.Text, "SELECT")
}

func (w *lenient) sweep(t *testing.T, s scenario, fault Fault) (calls int) {
	t.Helper()
	undisturbed, _, _ := w.run(t, s, -1, 0)
	require.Equal(t, s.fails, undisturbed.err != nil)
	for n := 1; ; n++ {
		a, hit, reached := w.run(t, s, n, fault)
		where := fmt.Sprintf("%s with %s at call %d, %s: %v", s.name, fault, n, hit, a.err)
		if !reached {
			require.Equal(t, s.fails, a.err != nil, where)
			require.Len(t, a.truth, len(undisturbed.truth), where)
			return n - 1
		}
		require.Less(t, n, 1000, "this has no end")
		if ours(hit) && !s.fails && (fault == FaultError || fault == FaultConflict && w.database.Name != "mysql" && hit.Kind != CallSavepoint) {
			require.NoError(t, a.err, where)
			require.Len(t, a.truth, len(undisturbed.truth), where)
		}
		switch {
		case s.partial || s.fails:
		case a.err == nil:
			require.Len(t, a.truth, len(undisturbed.truth), "a part of it is missing: %s", where)
		case len(a.truth) > 0:
			require.Equal(t, CallCommit, hit.Kind, "an error, yet something is there: %s", where)
		}
	}
}

// settle requires that everything that is missing is told.
func (w *lenient) settle(t *testing.T) {
	t.Helper()
	a, _, _ := w.run(t, scenariosNamed("update")[0], -1, 0)
	require.NoError(t, a.err)
	stats := w.rec.Stats()
	require.Zero(t, stats.Untold)
	// An answer that did not come may make them be told twice, never less.
	require.GreaterOrEqual(t, noticed(t, w.store), stats.Lost)
}

// TestInBestEffortACallbackThatFailsOrPanicsHarmsNothing is the other half of
// TestACallbackThatFailsOrPanicsFailsTheChange.
func TestInBestEffortACallbackThatFailsOrPanicsHarmsNothing(t *testing.T) {
	t.Parallel()
	untransacted := quiet()
	untransacted.SkipDefaultTransaction = true
	databases := Names()
	if raced {
		databases = databases[:1]
	}
	for _, database := range databases {
		for name, callback := range brokenCallbacks() {
			for kind, cfg := range map[string]*gorm.Config{"": quiet(), ", no default transactions": untransacted} {
				if database != "sqlite" && kind != "" {
					continue
				}
				t.Run(database+", "+name+kind, func(t *testing.T) {
					t.Parallel()
					trip, c := &tripwire{}, newClock()
					recording := callback(trip, c)
					if recording.Now == nil {
						recording.Now = c.Now
					}
					var e ear
					recording.BestEffort, recording.OnError = true, e.hear
					r := newRig(t, Open(t, database), storeInDatabase, recording, cfg)
					r.clock = c
					w := &lenient{rig: r, ear: &e}
					r.judge = w.judge
					for _, s := range scenariosNamed("create with elements", "bulk update", "upsert", "transaction with a savepoint") {
						trip.left.Store(0)
						undisturbed, _, _ := w.run(t, s, -1, 0)
						for n := int64(1); ; n++ {
							trip.left.Store(n)
							a, _, _ := w.run(t, s, -1, 0)
							require.NoError(t, a.err, "%s at call %d", s.name, n)
							require.Len(t, a.truth, len(undisturbed.truth), "%s at call %d", s.name, n)
							if !trip.reached() {
								require.Equal(t, undisturbed.said, a.said)
								break
							}
						}
					}
					trip.left.Store(0)
					w.settle(t)
				})
			}
		}
	}
}
