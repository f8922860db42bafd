package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/memstore"
)

// denied is what somebody was refused.
func denied() audit.Event {
	return audit.Event{
		Workspace: "w1", Operation: audit.NotAllowedToDelete, Reason: "only managers do",
		Entity: audit.Entity{Type: "word", ID: "x1", Label: "urgent"},
	}
}

// watched is an office whose transactions are watched, with one connection.
type watched struct {
	*office
	rec *audit.Recorder
}

func newWatched(t *testing.T, name string, store newStore, cfg *audit.Config, opts ...hooks.Option) *watched {
	t.Helper()
	d := Open(t, name)
	w := &watched{office: &office{database: d, raw: openGorm(t, d), db: openGorm(t, d), clock: newClock()}}
	require.NoError(t, w.raw.AutoMigrate(officeTables()...))
	w.have(t, &Word{ID: "x1", WorkspaceID: "w1", Name: "urgent"})
	if cfg == nil {
		cfg = &audit.Config{}
	}
	cfg.Now = w.clock.Now
	w.store = store(t, d)
	var err error
	w.rec, err = audit.New(w.store, cfg)
	require.NoError(t, err)
	require.NoError(t, w.db.Use(hooks.New(w.rec, append(officeModels(), opts...)...)))
	w.ctx = audit.WithActor(context.Background(), jo)
	d.SQL().SetMaxOpenConns(1)
	return w
}

// summary is what was done to which record, in no order.
func (w *watched) summary(t *testing.T) (all []string) {
	t.Helper()
	for _, e := range eventsSince(t, w.store, "w1", time.Time{}) {
		line := string(e.Operation) + " " + e.Entity.ID
		if e.Reason != "" {
			line += ", " + e.Reason
		}
		all = append(all, line)
	}
	return all
}

// TestAnAttemptIsRecordedWhateverBecomesOfItsTransaction has one connection only:
// an attempt that waited for another would never be written.
func TestAnAttemptIsRecordedWhateverBecomesOfItsTransaction(t *testing.T) {
	t.Parallel()
	create := func(tx *gorm.DB, id string) error { return tx.Create(&Word{ID: id, WorkspaceID: "w1"}).Error }
	const created, refused = "created y1", "was_not_allowed_to_delete x1, only managers do"
	for name, c := range map[string]struct {
		run  func(w *watched, db *gorm.DB) error
		want []string
		fate error
	}{
		"committed": {func(_ *watched, db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error { return errors.Join(hooks.RecordAttempt(tx, denied()), create(tx, "y1")) })
		}, []string{created, refused}, nil},
		"rolled back": {func(_ *watched, db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(create(tx, "y1"), hooks.RecordAttempt(tx, denied()), ErrHook)
			})
		}, []string{refused}, ErrHook},
		"rolled back by hand, twice": {func(_ *watched, db *gorm.DB) error {
			tx := db.Begin()
			defer tx.Rollback()
			err := hooks.RecordAttempt(tx, denied())
			return errors.Join(err, tx.Rollback().Error)
		}, []string{refused}, nil},
		"rolled back to a savepoint": {func(_ *watched, db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				_ = tx.Transaction(func(tx *gorm.DB) error {
					return errors.Join(create(tx, "y2"), hooks.RecordAttempt(tx, denied()), ErrHook)
				})
				return create(tx, "y1")
			})
		}, []string{created, refused}, nil},
		"ended by a panic": {func(_ *watched, db *gorm.DB) (err error) {
			defer func() { _ = recover() }()
			return db.Transaction(func(tx *gorm.DB) error {
				_ = hooks.RecordAttempt(tx, denied())
				panic("with something secret")
			})
		}, []string{refused}, nil},
		"ended by its context": {func(_ *watched, db *gorm.DB) error {
			ctx, end := context.WithCancel(db.Statement.Context)
			return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				err := errors.Join(create(tx, "y1"), hooks.RecordAttempt(tx, denied()))
				end()
				return err
			})
		}, []string{refused}, context.Canceled},
		"none": {func(_ *watched, db *gorm.DB) error { return hooks.RecordAttempt(db, denied()) }, []string{refused}, nil},
		"within an attempt": {func(w *watched, db *gorm.DB) error {
			return w.rec.Attempt(db.Statement.Context, audit.Event{
				Workspace: "w1", Operation: audit.Deleted, Reason: "tidying", Entity: denied().Entity,
			}, func(ctx context.Context) error {
				return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
					return errors.Join(create(tx, "y1"), tx.Delete(&Word{ID: "x1"}).Error, audit.Denied("only managers do"))
				})
			})
		}, []string{"was_not_allowed_to_delete x1, tidying"}, audit.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				for kind, store := range map[string]newStore{"store in the database": storeInDatabase, "store in memory": storeInMemory} {
					t.Run(kind, func(t *testing.T) {
						w := newWatched(t, database.Name, store, nil, hooks.Attempts())
						err := c.run(w, w.db.WithContext(w.ctx))
						switch {
						case c.fate == nil:
							require.NoError(t, err)
						case errors.Is(err, sql.ErrTxDone): // database/sql was faster
							require.ErrorIs(t, c.fate, context.Canceled)
						default:
							require.ErrorIs(t, err, c.fate)
						}
						require.ElementsMatch(t, c.want, w.summary(t))
						require.Zero(t, w.rec.Stats().Lost)
						require.Zero(t, w.database.SQL().Stats().InUse)
					})
				}
			})
		})
	}
}

func TestAnAttemptIsCompleteAndBelongsToItsTransaction(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "sqlite", storeInDatabase, nil, hooks.Attempts())
	at := w.clock.Now()
	require.NoError(t, w.db.WithContext(audit.WithRequest(w.ctx, audit.Request{ID: "r1"})).Transaction(func(tx *gorm.DB) error {
		err := errors.Join(hooks.RecordAttempt(tx, denied()), tx.Create(&Word{ID: "y1", WorkspaceID: "w1"}).Error)
		w.clock.next() // it is written later than it happened
		return err
	}))
	events := eventsSince(t, w.store, "w1", time.Time{})
	require.Len(t, events, 2)
	want := denied()
	want.Actor, want.Request, want.Time, want.SchemaVersion = jo, audit.Request{ID: "r1"}, at, audit.SchemaVersion
	want.ID, want.ChangeSet = events[0].ID, events[1].ChangeSet
	require.Equal(t, want, events[0])
	require.Equal(t, audit.Created, events[1].Operation)
}

func TestAnAttemptThatCannotBeKeptIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "sqlite", storeInDatabase, &audit.Config{RequireActor: true}, hooks.Attempts())
	anonymous := w.db.WithContext(context.Background())
	require.NoError(t, w.db.WithContext(w.ctx).Transaction(func(tx *gorm.DB) error {
		require.ErrorIs(t, hooks.RecordAttempt(tx, audit.Event{}), audit.ErrInvalidEvent)
		require.ErrorIs(t, hooks.RecordAttempt(tx.WithContext(audit.WithWorkspace(w.ctx, "w2")), denied()), audit.ErrWorkspaceMismatch)
		require.ErrorIs(t, hooks.RecordAttempt(tx.WithContext(context.Background()), denied()), audit.ErrNoActor)
		return nil
	}))
	require.ErrorIs(t, hooks.RecordAttempt(anonymous, denied()), audit.ErrNoActor)
	require.Empty(t, w.summary(t))

	require.ErrorContains(t, hooks.RecordAttempt(w.raw, denied()), "uses the plugin")
	plain := newWatched(t, "sqlite", storeInDatabase, nil)
	require.NoError(t, plain.db.Transaction(func(tx *gorm.DB) error {
		require.ErrorContains(t, hooks.RecordAttempt(tx, denied()), "hooks.Attempts")
		return nil
	}))
}

func TestAnAttemptThatCannotBeWrittenIsLostAndTold(t *testing.T) {
	t.Parallel()
	s := &brokenAppend{Store: memstore.New(), broken: true}
	var e ear
	w := newWatched(t, "sqlite", func(*testing.T, *Database) audit.Store { return s }, &audit.Config{OnError: e.hear}, hooks.Attempts())
	require.NoError(t, w.db.WithContext(w.ctx).Transaction(func(tx *gorm.DB) error { return hooks.RecordAttempt(tx, denied()) }))
	require.Equal(t, audit.Stats{Lost: 1, Untold: 1}, w.rec.Stats())
	require.Len(t, e.heard(), 1)
	s.broken = false
	require.NoError(t, w.db.WithContext(w.ctx).Create(&Word{ID: "y1", WorkspaceID: "w1"}).Error)
	require.Equal(t, uint64(1), noticed(t, s))
}

// brokenAppend takes what is staged and nothing else.
type brokenAppend struct {
	*memstore.Store
	broken bool
}

func (s *brokenAppend) Append(ctx context.Context, events []audit.Event) error {
	if s.broken {
		return errStore
	}
	return s.Store.Append(ctx, events)
}

// Guarded is a model that refuses some changes.
type Guarded struct {
	ID          string `gorm:"primaryKey;size:20"`
	WorkspaceID string `gorm:"size:20" audit:"workspace"`
	UserID      string `gorm:"size:20" audit:"owner"`
	Name        string `gorm:"size:50;uniqueIndex" audit:"label"`
	Parts       []Part `gorm:"foreignKey:GuardedID"`
}

// Part belongs to it.
type Part struct {
	ID        string `gorm:"primaryKey;size:20"`
	GuardedID string `gorm:"size:20"`
	Number    int    `gorm:"check:part_number,number < 10"`
}

func (g *Guarded) BeforeDelete(*gorm.DB) error { return audit.Denied("nobody deletes these") }

// TestFailedWritesAreRecordedByThemselves names what each failing call leaves.
func TestFailedWritesAreRecordedByThemselves(t *testing.T) {
	t.Parallel()
	duplicate := map[string]string{"sqlite": "code 2067", "postgres": "SQLSTATE 23505", "mysql": "error 1062"}
	refused := map[string]string{"sqlite": "code 275", "postgres": "SQLSTATE 23514", "mysql": "error 4025"}
	for name, c := range map[string]struct {
		write func(db *gorm.DB) error
		op    audit.Operation
		id    string
		owner string
		class func(database string) string
	}{
		"a constraint": {
			func(db *gorm.DB) error {
				return db.Create(&Guarded{ID: "g2", WorkspaceID: "w1", UserID: "u1", Name: "hidden"}).Error
			},
			audit.FailedToCreate, "g2", "u1", func(d string) string { return duplicate[d] },
		},
		"a constraint in a batch": {
			func(db *gorm.DB) error {
				return db.Create(&[]Guarded{{ID: "g2", WorkspaceID: "w1", Name: "other"}, {ID: "g3", WorkspaceID: "w1", Name: "hidden"}}).Error
			},
			audit.FailedToCreate, hooks.AnyRecord, "", func(d string) string { return duplicate[d] },
		},
		"a constraint of an association": {
			func(db *gorm.DB) error {
				return db.Create(&Guarded{ID: "g2", WorkspaceID: "w1", Name: "other", Parts: []Part{{ID: "p2", Number: 11}}}).Error
			},
			audit.FailedToCreate, "g2", "", func(d string) string { return refused[d] },
		},
		"an update": {
			func(db *gorm.DB) error {
				return db.Model(&Guarded{ID: "g1", WorkspaceID: "w1"}).Update("name", "taken").Error
			},
			audit.FailedToUpdate, "g1", "", func(d string) string { return duplicate[d] },
		},
		"a hook that refuses": {
			func(db *gorm.DB) error { return db.Delete(&Guarded{ID: "g1", WorkspaceID: "w1"}).Error },
			audit.NotAllowedToDelete, "g1", "", func(string) string { return "denied" },
		},
		"no condition": {
			func(db *gorm.DB) error { return db.Model(&Guarded{}).Update("name", "any").Error },
			audit.FailedToUpdate, hooks.AnyRecord, "", func(string) string { return "*errors.errorString" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				for way, wrap := range map[string]func(db *gorm.DB, write func(db *gorm.DB) error) error{
					"by itself": func(db *gorm.DB, write func(db *gorm.DB) error) error { return write(db) },
					"in a transaction": func(db *gorm.DB, write func(db *gorm.DB) error) error {
						return db.Transaction(write)
					},
				} {
					t.Run(way, func(t *testing.T) {
						w := newWatched(t, database.Name, storeInDatabase, nil, hooks.FailedWrites(), hooks.Model[Guarded]("guarded"), hooks.Model[Part]("part"))
						require.NoError(t, w.raw.AutoMigrate(&Guarded{}, &Part{}))
						w.have(t, &[]Guarded{{ID: "g1", WorkspaceID: "w1", Name: "hidden"}, {ID: "g0", WorkspaceID: "w1", Name: "taken"}})
						db := w.db.WithContext(audit.WithWorkspace(w.ctx, "w1"))
						err := wrap(db, c.write)
						require.Error(t, err)
						events := eventsSince(t, w.store, "w1", time.Time{})
						require.Len(t, events, 1)
						e := events[0]
						require.Equal(t, c.op, e.Operation)
						require.Equal(t, audit.Entity{Type: "guarded", ID: c.id, Owner: c.owner}, e.Entity)
						require.True(t, e.Actor.Same(jo))
						require.Len(t, e.Changes, 1)
						require.Equal(t, "error", e.Changes[0].Field)
						require.JSONEq(t, `"`+c.class(database.Name)+`"`, string(e.Changes[0].After.JSON))
						if c.op == audit.NotAllowedToDelete {
							require.Equal(t, "nobody deletes these", e.Reason)
						}
						text, err := e.MarshalJSON()
						require.NoError(t, err)
						require.NotContains(t, string(text), "hidden")
						require.Zero(t, w.rec.Stats().Lost)
					})
				}
			})
		})
	}
}

func TestWhatSucceedsLeavesNoFailedWrite(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "sqlite", storeInDatabase, nil, hooks.FailedWrites())
	db := w.db.WithContext(audit.WithWorkspace(w.ctx, "w1"))
	require.NoError(t, db.Create(&Entry{ID: "e9", WorkspaceID: "w1", Words: []Word{{ID: "x1"}, {ID: "x2", WorkspaceID: "w1"}}}).Error)
	require.ErrorIs(t, db.First(&Word{}, "id = ?", "none").Error, gorm.ErrRecordNotFound)
	require.NoError(t, db.Delete(&Word{ID: "none"}).Error)
	require.Error(t, db.Create(&Stray{ID: "s1", Name: string(make([]byte, 0))}).Create(&Stray{ID: "s1"}).Error, "it is not registered")
	require.Error(t, db.Exec("DELETE FROM nowhere").Error)
	reused := db.Model(&Word{ID: "x1"})
	require.Error(t, reused.Update("nothing", 1).Error)
	require.Error(t, reused.Update("nothing", 2).Error, "which GORM does not even run")
	require.ElementsMatch(t, []string{"created e9", "created x2", "failed_to_update x1"}, w.summary(t))
}
