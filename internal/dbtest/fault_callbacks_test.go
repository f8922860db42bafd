package dbtest

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// tripwire is a callback of the application that goes wrong at one call.
type tripwire struct{ left atomic.Int64 }

// step reports whether it is time.
func (w *tripwire) step() bool { return w.left.Add(-1) == 0 }

// reached reports whether it has gone wrong since it was set.
func (w *tripwire) reached() bool { return w.left.Load() <= 0 }

// brokenCallbacks are the callbacks of the application, going wrong when the wire
// is tripped.
func brokenCallbacks() map[string]func(w *tripwire, c *clock) *audit.Config {
	const secret = "with something secret"
	return map[string]func(w *tripwire, c *clock) *audit.Config{
		"the gate fails": func(w *tripwire, _ *clock) *audit.Config {
			return &audit.Config{Gate: audit.GateFunc(func(context.Context, audit.DBTX, string, audit.EntityType) (bool, error) {
				if w.step() {
					return true, errStore
				}
				return true, nil
			})}
		},
		"the gate panics": func(w *tripwire, _ *clock) *audit.Config {
			return &audit.Config{Gate: audit.GateFunc(func(context.Context, audit.DBTX, string, audit.EntityType) (bool, error) {
				if w.step() {
					panic(secret)
				}
				return true, nil
			})}
		},
		"the gate spoils the transaction": func(w *tripwire, _ *clock) *audit.Config {
			return &audit.Config{Gate: audit.GateFunc(func(ctx context.Context, tx audit.DBTX, _ string, _ audit.EntityType) (bool, error) {
				if w.step() {
					return tx.QueryRowContext(ctx, "SELECT nothing FROM nowhere").Scan(new(int)) == nil, errStore
				}
				return true, nil
			})}
		},
		"the clock panics": func(w *tripwire, c *clock) *audit.Config {
			return &audit.Config{Now: func() time.Time {
				if w.step() {
					panic(secret)
				}
				return c.Now()
			}}
		},
		"the clock has stopped": func(w *tripwire, c *clock) *audit.Config {
			return &audit.Config{Now: func() time.Time {
				if w.step() {
					return time.Time{}
				}
				return c.Now()
			}}
		},
		"the ids panic": func(w *tripwire, _ *clock) *audit.Config {
			return &audit.Config{NewID: func(time.Time) uuid.UUID {
				if w.step() {
					panic(secret)
				}
				return uuid.Must(uuid.NewV7())
			}}
		},
		"the ids run out": func(w *tripwire, _ *clock) *audit.Config {
			return &audit.Config{NewID: func(time.Time) uuid.UUID {
				if w.step() {
					return uuid.Nil
				}
				return uuid.Must(uuid.NewV7())
			}}
		},
	}
}

// TestACallbackThatFailsOrPanicsFailsTheChange lets every callback of the
// application go wrong at its first call, at its second, and so on.
func TestACallbackThatFailsOrPanicsFailsTheChange(t *testing.T) {
	t.Parallel()
	untransacted := quiet()
	untransacted.SkipDefaultTransaction = true
	chosen := scenariosNamed("create with elements", "bulk update", "delete with what follows", "upsert", "transaction with a savepoint", "rename that others show")
	for name, callback := range brokenCallbacks() {
		for kind, cfg := range map[string]*gorm.Config{"": quiet(), ", no default transactions": untransacted} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				w, c := &tripwire{}, newClock()
				recording := callback(w, c)
				if recording.Now == nil {
					recording.Now = c.Now
				}
				r := newRig(t, Open(t, "sqlite"), storeInDatabase, recording, cfg)
				r.clock = c
				for _, s := range chosen {
					w.left.Store(0)
					want := r.expected(t, s)
					for n := int64(1); ; n++ {
						w.left.Store(n)
						a, _, _ := r.run(t, s, -1, 0)
						if !w.reached() {
							require.NoError(t, a.err)
							require.Equal(t, want, a.said)
							break
						}
						require.ErrorIs(t, a.err, audit.ErrAuditFailed, "%s at call %d", s.name, n)
						require.NotContains(t, a.err.Error(), "secret")
						require.Empty(t, a.truth, "%s at call %d", s.name, n)
						require.Empty(t, a.said)
					}
				}
			})
		}
	}
}

// Jumpy is a model whose own hooks panic if told to.
type Jumpy struct {
	ID    string `gorm:"primaryKey;size:20"`
	Name  string `gorm:"size:50"`
	Panic string `gorm:"-"`
}

func (j *Jumpy) jump(at string) error {
	if j.Panic == at {
		panic("a hook of the application")
	}
	return nil
}

func (j *Jumpy) BeforeCreate(*gorm.DB) error { return j.jump("before create") }
func (j *Jumpy) AfterCreate(*gorm.DB) error  { return j.jump("after create") }
func (j *Jumpy) BeforeUpdate(*gorm.DB) error { return j.jump("before update") }
func (j *Jumpy) AfterUpdate(*gorm.DB) error  { return j.jump("after update") }
func (j *Jumpy) BeforeDelete(*gorm.DB) error { return j.jump("before delete") }
func (j *Jumpy) AfterDelete(*gorm.DB) error  { return j.jump("after delete") }

// TestAPanicInAHookOfTheApplicationIsNoWorseThanWithoutUs compares with GORM
// alone, which keeps the connection of its default transaction until the
// context ends.
func TestAPanicInAHookOfTheApplicationIsNoWorseThanWithoutUs(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, at string) error{
		"create": func(db *gorm.DB, at string) error { return db.Create(&Jumpy{ID: "j2", Panic: at}).Error },
		"update": func(db *gorm.DB, at string) error {
			return db.Model(&Jumpy{ID: "j1", Panic: at}).Update("name", "changed").Error
		},
		"delete": func(db *gorm.DB, at string) error { return db.Delete(&Jumpy{ID: "j1", Panic: at}).Error },
	}
	ways := map[string]func(db *gorm.DB, write func(db *gorm.DB) error) error{
		"by itself": func(db *gorm.DB, write func(db *gorm.DB) error) error { return write(db) },
		"in a transaction": func(db *gorm.DB, write func(db *gorm.DB) error) error {
			return db.Transaction(func(tx *gorm.DB) error { return write(tx) })
		},
		"in a nested transaction": func(db *gorm.DB, write func(db *gorm.DB) error) error {
			return db.Transaction(func(tx *gorm.DB) error { return tx.Transaction(func(tx *gorm.DB) error { return write(tx) }) })
		},
	}
	untransacted := quiet()
	untransacted.SkipDefaultTransaction = true
	for name, cfg := range map[string]*gorm.Config{"with GORM's transactions": quiet(), "without GORM's transactions": untransacted} {
		for way, wrap := range ways {
			for op, write := range writes {
				for _, when := range []string{"before ", "after "} {
					t.Run(name+", "+way+", "+when+op, func(t *testing.T) {
						t.Parallel()
						bare, audited := jump(t, false, *cfg), jump(t, true, *cfg)
						run := func(db *gorm.DB) error {
							return wrap(db, func(db *gorm.DB) error { return write(db, when+op) })
						}
						without, with := bare.run(t, run), audited.run(t, run)
						require.Equal(t, without.panicked, with.panicked)
						require.LessOrEqual(t, with.inUse, without.inUse, "connections that are gone until the context ends")
						if len(with.rows) > 0 {
							require.Equal(t, without.rows, with.rows)
						}
						// A half that GORM alone would have left is gone with its event.
						require.Equal(t, len(with.rows), with.events)
						require.NoError(t, audited.db.Create(&Jumpy{ID: "j9"}).Error, "and it works again")
					})
				}
			}
		}
	}
}

// jumpy is a database with the model, with hooks or without.
type jumpy struct {
	db     *gorm.DB
	pool   *sql.DB
	oracle *Oracle
	store  audit.Store
}

func jump(t *testing.T, audited bool, cfg gorm.Config) *jumpy {
	t.Helper()
	d := Open(t, "sqlite")
	j := &jumpy{db: openGorm(t, d, &cfg), pool: d.SQL()}
	require.NoError(t, j.db.AutoMigrate(&Jumpy{}))
	require.NoError(t, j.db.Create(&Jumpy{ID: "j1"}).Error)
	var err error
	j.oracle, err = InstallOracle(context.Background(), j.db, Watch{Model: &Jumpy{}, Type: "jumpy"})
	require.NoError(t, err)
	if audited {
		j.store = wire(t, j.db, d, storeInDatabase, nil, []hooks.Option{hooks.Model[Jumpy]("jumpy")})
	}
	return j
}

type landing struct {
	panicked bool
	inUse    int
	rows     []RowChange
	events   int
}

// run runs a write that may panic, as a server runs a request: its context ends
// with it.
func (j *jumpy) run(t *testing.T, write func(db *gorm.DB) error) (l landing) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	func() {
		defer func() { l.panicked = recover() != nil }()
		_ = write(j.db.WithContext(ctx))
	}()
	l.inUse = j.pool.Stats().InUse
	end()
	// All connections are back once all can be had.
	j.pool.SetMaxOpenConns(1)
	patient, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	require.NoError(t, j.pool.PingContext(patient))
	require.Zero(t, j.pool.Stats().InUse)
	var err error
	l.rows, err = j.oracle.Read(context.Background())
	require.NoError(t, err)
	if j.store != nil {
		events := eventsSince(t, j.store, audit.DefaultWorkspace, time.Time{})
		require.Empty(t, j.oracle.Compare(l.rows, events))
		l.events = len(events)
	}
	return l
}
