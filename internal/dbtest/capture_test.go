package dbtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

func TestAnEventTellsAllThatItsContextCarries(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		set := uuid.MustParse("0198c5e0-0000-7000-8000-000000000001")
		ctx := audit.WithActor(context.Background(), audit.Actor{Kind: audit.KindKey, ID: "k1", Name: "Sync"})
		ctx = audit.WithInitiator(ctx, jo)
		ctx = audit.WithOrigin(ctx, audit.OriginQuickBooks)
		ctx = audit.WithWorkspace(ctx, "w1")
		ctx = audit.WithReason(ctx, "asked for by Al")
		ctx = audit.WithRequest(ctx, audit.Request{ID: "r1", Address: "192.0.2.7", Agent: "dropped"})
		ctx = audit.WithChangeSet(ctx, set)
		require.NoError(t, o.db.WithContext(ctx).Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "urgent"}).Error)

		events := eventsSince(t, o.store, "w1", o.clock.Now())
		require.Len(t, events, 1)
		require.Equal(t, uuid.Version(7), events[0].ID.Version())
		require.Equal(t, audit.Event{
			ID: events[0].ID, Time: o.clock.Now(), Workspace: "w1",
			Actor: audit.Actor{Kind: audit.KindKey, ID: "k1", Name: "Sync"}, Initiator: jo,
			Operation: audit.Created, Origin: audit.OriginQuickBooks,
			Entity: audit.Entity{Type: "word", ID: "x1", Label: "urgent"},
			Changes: []audit.Change{
				{Field: "id", After: raw(`"x1"`)}, {Field: "workspace_id", After: raw(`"w1"`)}, {Field: "name", After: raw(`"urgent"`)},
			},
			ChangeSet: set, Request: audit.Request{ID: "r1", Address: "192.0.2.7"}, Reason: "asked for by Al", SchemaVersion: audit.SchemaVersion,
		}, events[0])
	})
}

func TestTheActorIsTheContextsOrUnknown(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Open(t, "sqlite"), storeInDatabase, nil)
	require.Equal(t, []string{
		`1/1 Jo created word x1 "a": id - => "x1"; workspace_id - => "w1"; name - => "a"`,
		`2/2 Unknown updated word x1 "b": name "a" => "b"`,
	}, o.told(t, func(db *gorm.DB) error {
		return errors.Join(db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "a"}).Error,
			db.WithContext(context.Background()).Model(&Word{ID: "x1"}).Update("name", "b").Error)
	}))

	strict := newOffice(t, Open(t, "sqlite"), storeInDatabase, &audit.Config{RequireActor: true})
	err := strict.db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "a"}).Error
	require.ErrorIs(t, err, audit.ErrNoActor)
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	require.ErrorIs(t, strict.raw.First(&Word{}, "id = ?", "x1").Error, gorm.ErrRecordNotFound)
}

// tagged and untagged are one model, said by tags and by options.
type (
	Tagged struct {
		ID      string `gorm:"primaryKey;size:20"`
		Tenant  string `gorm:"size:20" audit:"workspace"`
		Keeper  string `gorm:"size:20" audit:"owner"`
		Title   string `gorm:"size:20" audit:"label"`
		Secret1 string `gorm:"size:20" audit:"redact"`
		Noise   string `gorm:"size:20" audit:"-"`
		Secret2 string `gorm:"size:20" audit:"show"`
		WordID  string `gorm:"size:20"`
		Word    *Word  `gorm:"-:migration"`
	}
	Untagged struct {
		ID      string `gorm:"primaryKey;size:20"`
		Tenant  string `gorm:"size:20"`
		Keeper  string `gorm:"size:20"`
		Title   string `gorm:"size:20"`
		Secret1 string `gorm:"size:20"`
		Noise   string `gorm:"size:20"`
		Secret2 string `gorm:"size:20"`
		WordID  string `gorm:"size:20"`
	}
)

func TestOptionsSayWhatTagsSay(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database)
		require.NoError(t, db.AutoMigrate(&Word{}, &Untagged{}))
		require.NoError(t, db.Table("taggeds").AutoMigrate(&Untagged{}))
		clock := newClock()
		store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, []hooks.Option{
			hooks.Model[Word]("word"),
			hooks.Model[Tagged]("thing"),
			hooks.Model[Untagged]("other", hooks.Workspace("tenant"), hooks.Owner("Keeper"), hooks.Label("title"),
				hooks.Redact("secret1"), hooks.Ignore("Noise"), hooks.Show("Secret2"), hooks.Reference[Word]("word_id")),
		})
		db = db.WithContext(audit.WithActor(context.Background(), jo))
		require.NoError(t, db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "urgent"}).Error)
		clock.next()
		require.NoError(t, db.Create(&Tagged{ID: "1", Tenant: "w1", Keeper: "u1", Title: "t", Secret1: "s", Noise: "n", Secret2: "o", WordID: "x1"}).Error)
		require.NoError(t, db.Model(&Tagged{ID: "1"}).Updates(map[string]any{"secret1": "s2", "noise": "n2", "title": "t2"}).Error)
		require.NoError(t, db.Model(&Tagged{ID: "1"}).Update("noise", "n3").Error)
		tagged := say(eventsSince(t, store, "w1", clock.Now()))
		require.Equal(t, []string{
			`1/1 Jo created thing 1 "t" of u1 (self): id - => "1"; tenant - => "w1"; keeper - => "u1"; title - => "t"; secret1 - => - redacted; secret2 - => "o"; word_id - => "x1" (urgent)`,
			`2/2 Jo updated thing 1 "t2" of u1 (self): title "t" => "t2"; secret1 - redacted => - redacted`,
		}, tagged)

		clock.next()
		require.NoError(t, db.Create(&Untagged{ID: "1", Tenant: "w1", Keeper: "u1", Title: "t", Secret1: "s", Noise: "n", Secret2: "o", WordID: "x1"}).Error)
		require.NoError(t, db.Model(&Untagged{ID: "1"}).Updates(map[string]any{"secret1": "s2", "noise": "n2", "title": "t2"}).Error)
		require.NoError(t, db.Model(&Untagged{ID: "1"}).Update("noise", "n3").Error)
		events := eventsSince(t, store, "w1", clock.Now())
		for i := range events {
			require.EqualValues(t, "other", events[i].Entity.Type)
			events[i].Entity.Type = "thing"
		}
		require.Equal(t, tagged, say(events))
	})
}

func TestSecretsAreNeverTold(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		o.ctx = audit.WithWorkspace(o.ctx, "w1")
		v := Vault{ID: "v1", Name: "v", Memo: "canary1", Password: "canary2", APIKey: "canary3", Monkey: "m", Scratch: "canary4"}
		events := o.recorded(t, func(db *gorm.DB) error {
			return errors.Join(db.Create(&v).Error,
				db.Model(&Vault{ID: "v1"}).Updates(map[string]any{"memo": "canary5", "password": "canary6", "api_key": "canary7", "monkey": "n"}).Error,
				db.Delete(&Vault{ID: "v1"}).Error)
		})
		require.Equal(t, []string{
			`1/1 Jo created vault v1 "v": id - => "v1"; name - => "v"; memo - => - redacted; password - => - redacted; api_key - => - redacted; monkey - => "m"`,
			`2/2 Jo updated vault v1 "v": memo - redacted => - redacted; password - redacted => - redacted; api_key - redacted => - redacted; monkey "m" => "n"`,
			`3/3 Jo deleted vault v1 "v": id "v1" => -; name "v" => -; memo - redacted => -; password - redacted => -; api_key - redacted => -; monkey "n" => -`,
		}, say(events))
		b, err := json.Marshal(events)
		require.NoError(t, err)
		require.NotContains(t, string(b), "canary")
	})
}

func TestOwnershipIsSettledByActorInitiatorAndOwner(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Open(t, "sqlite"), storeInDatabase, nil)
	o.have(t, &Entry{ID: "mine", WorkspaceID: "w1", UserID: text("u1")}, &Entry{ID: "theirs", WorkspaceID: "w1", UserID: text("u2")},
		&Entry{ID: "nobodys", WorkspaceID: "w1"}, &Word{ID: "ownerless", WorkspaceID: "w1"})
	for name, c := range map[string]struct {
		actor, initiator audit.Actor
		model            any
		column           string
		want             audit.Ownership
	}{
		"one's own record":                         {jo, audit.Actor{}, &Entry{ID: "mine"}, "note", audit.OwnershipSelf},
		"another's record":                         {jo, audit.Actor{}, &Entry{ID: "theirs"}, "note", audit.OwnershipOther},
		"a record that nobody owns yet":            {jo, audit.Actor{}, &Entry{ID: "nobodys"}, "note", audit.OwnershipOther},
		"a record that cannot have an owner":       {jo, audit.Actor{}, &Word{ID: "ownerless"}, "name", audit.OwnershipNone},
		"the system for the owner":                 {audit.System, jo, &Entry{ID: "mine"}, "note", audit.OwnershipSelf},
		"the system for another":                   {audit.System, jo, &Entry{ID: "theirs"}, "note", audit.OwnershipOther},
		"the system for nobody":                    {audit.System, audit.Actor{}, &Entry{ID: "mine"}, "note", audit.OwnershipOther},
		"a key with the id of the owner is no one": {audit.Actor{Kind: audit.KindKey, ID: "u1"}, audit.Actor{}, &Entry{ID: "mine"}, "note", audit.OwnershipOther},
	} {
		t.Run(name, func(t *testing.T) {
			events := o.recorded(t, func(db *gorm.DB) error {
				ctx := audit.WithInitiator(audit.WithActor(context.Background(), c.actor), c.initiator)
				return db.WithContext(ctx).Model(c.model).Update(c.column, name).Error
			})
			require.Len(t, events, 1)
			require.Equal(t, c.want, events[0].Ownership)
		})
	}
}

func TestEventsBelongToTheWorkspaceOfTheirRow(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		o.have(t, &Word{ID: "x1", WorkspaceID: "w1", Name: "a"}, &Word{ID: "x2", WorkspaceID: "w2", Name: "a"})
		require.Equal(t, []string{`1/1 Jo updated word x1 "both": name "a" => "both"`}, o.told(t, func(db *gorm.DB) error {
			return db.Model(&Word{}).Where("name = ?", "a").Update("name", "both").Error
		}))
		require.Equal(t, []string{`1/1 Jo updated word x2 "both": name "a" => "both"`}, say(eventsSince(t, o.store, "w2", o.clock.Now())))

		// A row that belongs to another workspace than the context is refused.
		err := o.db.WithContext(audit.WithWorkspace(o.ctx, "w1")).Model(&Word{}).Where("name = ?", "both").Update("name", "never").Error
		require.ErrorIs(t, err, audit.ErrWorkspaceMismatch)
		require.ErrorIs(t, err, audit.ErrAuditFailed)
		var names []string
		require.NoError(t, o.raw.Model(&Word{}).Distinct().Pluck("name", &names).Error)
		require.Equal(t, []string{"both"}, names)
		require.Len(t, eventsSince(t, o.store, "w1", o.clock.Now()), 1)
		require.Zero(t, database.SQL().Stats().InUse)

		// Without a column of its own a record follows the context, else the config.
		o.clock.next()
		require.NoError(t, o.db.WithContext(audit.WithWorkspace(o.ctx, "w3")).Create(&Vault{ID: "v1"}).Error)
		require.NoError(t, o.db.WithContext(o.ctx).Create(&Vault{ID: "v2"}).Error)
		require.Equal(t, "v1", eventsSince(t, o.store, "w3", o.clock.Now())[0].Entity.ID)
		require.Equal(t, "v2", eventsSince(t, o.store, audit.DefaultWorkspace, o.clock.Now())[0].Entity.ID)
	})
}

func TestTheGateDecidesByWorkspaceAndType(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		gate := &audit.Switch{}
		o := newOffice(t, database, storeInDatabase, &audit.Config{Gate: gate})
		o.have(t, &Word{ID: "x1", WorkspaceID: "w1"}, &Word{ID: "x2", WorkspaceID: "w2"})
		rename := func(name string) []string {
			return o.told(t, func(db *gorm.DB) error { return db.Model(&Word{}).Where("1 = 1").Update("name", name).Error })
		}
		require.Empty(t, rename("a"), "a switch is off at first")
		gate.Set("w1", true)
		require.Empty(t, rename("b"), "no type is on")
		gate.SetType("w1", true, "word")
		require.Equal(t, []string{`1/1 Jo updated word x1 "c": name "b" => "c"`}, rename("c"), "the old value is known although it was not recorded")
		require.Empty(t, eventsSince(t, o.store, "w2", o.clock.Now()))
		gate.SetType("w2", true, "word")
		gate.Set("w2", true)
		gate.SetType("w1", false, "word")
		require.Empty(t, rename("d"))
		require.Len(t, eventsSince(t, o.store, "w2", o.clock.Now()), 1)
	})
}

func TestAModelThatIsNotRegisteredLeavesNothing(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		require.Empty(t, o.told(t, func(db *gorm.DB) error {
			return errors.Join(db.Create(&Stray{ID: "1"}).Error, db.Model(&Stray{ID: "1"}).Update("name", "x").Error, db.Delete(&Stray{ID: "1"}).Error)
		}))
	})
}

func TestWhatIsRolledBackLeavesNothing(t *testing.T) {
	t.Parallel()
	stores := map[string]newStore{"store in the database": storeInDatabase, "store in memory": storeInMemory}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				o := newOffice(t, database, store, nil)
				word := func(id string) *Word { return &Word{ID: id, WorkspaceID: "w1", Name: id} }
				require.Empty(t, o.recorded(t, func(db *gorm.DB) error {
					return db.Transaction(func(tx *gorm.DB) error { return errors.Join(tx.Create(word("a")).Error, ErrHook) })
				}), "a transaction that fails")
				require.Empty(t, o.told(t, func(db *gorm.DB) error {
					tx := db.Begin()
					return errors.Join(tx.Create(word("a")).Error, tx.Rollback().Error)
				}), "a transaction rolled back by hand")
				require.Empty(t, o.recorded(t, func(db *gorm.DB) error {
					defer func() { _ = recover() }()
					return db.Transaction(func(tx *gorm.DB) error {
						require.NoError(t, tx.Create(word("a")).Error)
						panic("the application's own")
					})
				}), "a transaction that panics")
				events := o.told(t, func(db *gorm.DB) error {
					return db.Transaction(func(tx *gorm.DB) error {
						outer := tx.Create(word("b")).Error
						inner := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(tx.Create(word("c")).Error, ErrHook) })
						if !errors.Is(inner, ErrHook) {
							return inner
						}
						hand := errors.Join(tx.Create(word("d")).Error, tx.SavePoint("sp").Error, tx.Create(word("e")).Error,
							tx.RollbackTo("sp").Error, tx.Create(word("f")).Error)
						return errors.Join(outer, hand)
					})
				})
				require.Equal(t, []string{
					`1/1 Jo created word b "b": id - => "b"; workspace_id - => "w1"; name - => "b"`,
					`2/1 Jo created word d "d": id - => "d"; workspace_id - => "w1"; name - => "d"`,
					`3/1 Jo created word f "f": id - => "f"; workspace_id - => "w1"; name - => "f"`,
				}, events, "savepoints that are rolled back")
				var ids []string
				require.NoError(t, o.raw.Model(&Word{}).Order("id").Pluck("id", &ids).Error)
				require.Equal(t, []string{"b", "d", "f"}, ids)
			})
		})
	}
}

// TestSavepointsAreFollowedHoweverTheyAreWritten where events wait for the commit.
func TestSavepointsAreFollowedHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	exec := func(tx *gorm.DB, text string) error { return tx.Exec(text).Error }
	scan := func(tx *gorm.DB, text string) error { return tx.Raw(text).Scan(&[]int{}).Error }
	find := func(tx *gorm.DB, text string) error { return tx.Raw(text).Find(&[]Word{}).Error }
	first := func(tx *gorm.DB, text string) error {
		if err := tx.Raw(text).First(&Word{}).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
			return errors.Join(err, errors.New("it has found something"))
		}
		return nil
	}
	row := func(tx *gorm.DB, text string) error {
		if err := tx.Raw(text).Row().Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
			return errors.Join(err, errors.New("it has found something"))
		}
		return nil
	}
	long := strings.Repeat("x", 400)
	ways := []struct {
		name, back string
		set, run   func(tx *gorm.DB, text string) error
		several    bool // statements at a time
	}{
		{"Exec", "ROLLBACK TO SAVEPOINT a", exec, exec, false},
		{"Raw with Scan", "ROLLBACK TO SAVEPOINT a", exec, scan, false},
		{"Raw with Find", "ROLLBACK TO SAVEPOINT a", exec, find, false},
		{"Raw with First", "ROLLBACK TO SAVEPOINT a", exec, first, false},
		{"Raw with Row", "ROLLBACK TO SAVEPOINT a", exec, row, false},
		{"Raw with Scan that sets it", "ROLLBACK TO SAVEPOINT a", scan, exec, false},
		{"RollbackTo", "a", exec, func(tx *gorm.DB, name string) error { return tx.RollbackTo(name).Error }, false},
		{"a long comment", "ROLLBACK TO SAVEPOINT a /* " + long + " */", exec, exec, false},
		{"a long statement that follows", "ROLLBACK TO a; SELECT '" + long + "'", exec, exec, true},
	}
	for _, prepare := range []bool{false, true} {
		t.Run(fmt.Sprintf("prepared %t", prepare), func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				cfg := quiet()
				cfg.PrepareStmt = prepare
				o := newOffice(t, database, storeInMemory, nil, cfg)
				word := func(id string) *Word { return &Word{ID: id, WorkspaceID: "w1", Name: id} }
				for _, c := range ways {
					if c.several && (database.Name == "mysql" || prepare) {
						continue
					}
					require.Equal(t, []string{
						`1/1 Jo created word b "b": id - => "b"; workspace_id - => "w1"; name - => "b"`,
						`2/1 Jo created word d "d": id - => "d"; workspace_id - => "w1"; name - => "d"`,
					}, o.told(t, func(db *gorm.DB) error {
						return db.Transaction(func(tx *gorm.DB) error {
							return errors.Join(tx.Create(word("b")).Error, c.set(tx, "SAVEPOINT a"), tx.Create(word("c")).Error,
								c.run(tx, c.back), tx.Create(word("d")).Error)
						})
					}), c.name)
					require.NoError(t, o.raw.Where("true").Delete(&Word{}).Error)
				}
			})
		})
	}
}

// TestASavepointPastGORMIsNotFollowed by what waits for the commit.
func TestASavepointPastGORMIsNotFollowed(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInMemory, nil)
		require.Len(t, o.told(t, func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				_, set := tx.Statement.ConnPool.ExecContext(o.ctx, "SAVEPOINT a")
				err := tx.Create(&Word{ID: "a", WorkspaceID: "w1"}).Error
				_, back := tx.Statement.ConnPool.ExecContext(o.ctx, "ROLLBACK TO SAVEPOINT a")
				return errors.Join(set, err, back)
			})
		}), 1)
		require.ErrorIs(t, o.raw.Take(&Word{}).Error, gorm.ErrRecordNotFound)
	})
}

func TestAChangeSetIsOneTransaction(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		for name, store := range map[string]newStore{"store in the database": storeInDatabase, "store in memory": storeInMemory} {
			t.Run(name, func(t *testing.T) {
				o := newOffice(t, Open(t, database.Name), store, nil)
				events := o.recorded(t, func(db *gorm.DB) error {
					word := func(db *gorm.DB, id string) error { return db.Create(&Word{ID: id, WorkspaceID: "w1"}).Error }
					story := db.WithContext(audit.WithChangeSet(o.ctx, uuid.New()))
					return errors.Join(
						db.Transaction(func(tx *gorm.DB) error {
							return errors.Join(word(tx, "a"), tx.Transaction(func(tx *gorm.DB) error { return word(tx, "b") }), word(tx, "c"))
						}),
						word(db, "d"), word(db, "e"), word(story, "f"), word(story, "g"))
				})
				sets := map[uuid.UUID]string{}
				for _, e := range events {
					require.NotZero(t, e.ChangeSet)
					sets[e.ChangeSet] += e.Entity.ID
				}
				got := []string{}
				for _, ids := range sets {
					got = append(got, ids)
				}
				require.ElementsMatch(t, []string{"abc", "d", "e", "fg"}, got)
			})
		}
	})
}

func TestEventsAreInTheTransactionBeforeItCommits(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		require.NoError(t, o.db.WithContext(o.ctx).Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error)
			within, err := o.store.(audit.TxLister).ListTx(o.ctx, tx.Statement.ConnPool, audit.Filter{Workspace: "w1"}, audit.Position{}, 10)
			require.NoError(t, err)
			require.Len(t, within, 1, "seen on the statement's own connection")
			require.Empty(t, eventsSince(t, o.store, "w1", o.clock.Now()), "and on no other")
			return nil
		}))
		require.Len(t, eventsSince(t, o.store, "w1", o.clock.Now()), 1)
	})
}

func TestEventsByHandJoinTheTransaction(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		for name, store := range map[string]newStore{"store in the database": storeInDatabase, "store in memory": storeInMemory} {
			t.Run(name, func(t *testing.T) {
				o := newOffice(t, Open(t, database.Name), store, nil)
				approval := audit.Event{Workspace: "w1", Operation: "approved", Entity: audit.Entity{Type: "sheet", ID: "s1"}}
				require.Empty(t, o.recorded(t, func(db *gorm.DB) error {
					return db.Transaction(func(tx *gorm.DB) error { return errors.Join(hooks.Record(tx, approval), ErrHook) })
				}))
				require.Equal(t, []string{
					`1/1 Jo created word x1 "": id - => "x1"; workspace_id - => "w1"; name - => ""`,
					`2/1 Jo approved sheet s1 ""`,
				}, o.told(t, func(db *gorm.DB) error {
					return db.Transaction(func(tx *gorm.DB) error {
						return errors.Join(tx.Create(&Word{ID: "x1", WorkspaceID: "w1"}).Error, hooks.Record(tx, approval))
					})
				}))
				require.Equal(t, []string{`1/1 Jo approved sheet s1 ""`}, o.told(t, func(db *gorm.DB) error { return hooks.Record(db, approval) }))
			})
		}
	})
}
