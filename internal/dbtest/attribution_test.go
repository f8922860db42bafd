package dbtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// requests is how many requests are served at once.
const requests = 1000

// TestActorsOfConcurrentRequestsAreNeverMixedUp serves requests of different
// people on one *gorm.DB and compares everything that each of them left behind
// with what the same request leaves when it is alone.
func TestActorsOfConcurrentRequestsAreNeverMixedUp(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, &audit.Config{RecordAgent: true})
		if database.Name == "sqlite" {
			// It has one writer at a time, and lets the others ask again and
			// again until one is lucky; a pool lets them wait in line.
			database.SQL().SetMaxOpenConns(1)
		} else {
			database.SQL().SetMaxOpenConns(10)
		}
		var want [len(works)][]string
		for kind := range works {
			r := request{number: requests + kind} // not among those below
			require.NoError(t, r.serve(o.db))
			want[kind] = r.told(t, o.store)
			require.NotEmpty(t, want[kind])
		}

		failures := make([]error, requests)
		var group sync.WaitGroup
		for i := range requests {
			group.Go(func() { failures[i] = request{number: i}.serve(o.db) })
		}
		group.Wait()
		total := 0
		for i, err := range failures {
			require.NoError(t, err)
			got := request{number: i}.told(t, o.store)
			require.Equal(t, want[request{number: i}.kind()], got, "request %d", i)
			total += len(got)
		}
		for kind := range works {
			total += len(want[kind])
		}
		var events int64
		require.NoError(t, o.raw.Table("audit_events").Count(&events).Error)
		require.EqualValues(t, total, events, "every event is somebody's")
		require.Zero(t, database.SQL().Stats().InUse)
	})
}

// request is one of those that are served at once. All that it writes and says
// of itself has its name in it.
type request struct{ number int }

// name has the same length for every request, so that none is part of another.
func (r request) name() string { return fmt.Sprintf("n%04d", r.number) }

// kind is which of the works it does. Every fifth request does one of those that
// take long where the race detector looks at every step of SQLite.
func (r request) kind() int {
	if n := r.number - requests; n >= 0 {
		return n
	}
	return max(0, r.number%(5*(len(works)-1))-4*(len(works)-1)+1)
}

func (r request) context() context.Context {
	n := r.name()
	ctx := audit.WithActor(context.Background(), audit.Actor{Kind: audit.KindUser, ID: n, Name: "Actor " + n})
	ctx = audit.WithRequest(ctx, audit.Request{ID: "request " + n, Address: "host-" + n, Agent: "agent " + n})
	ctx = audit.WithOrigin(audit.WithReason(ctx, "reason "+n), audit.Origin("origin-"+n))
	return audit.WithWorkspace(ctx, n)
}

// serve does the request's work, one transaction after the other. The database
// may ask to repeat one.
func (r request) serve(db *gorm.DB) error {
	db = db.WithContext(r.context())
	for _, write := range works[r.kind()](r.name()) {
		err := write(db)
		for tries := 0; err != nil && strings.Contains(strings.ToLower(err.Error()), "deadlock") && tries < 50; tries++ {
			err = write(db)
		}
		if err != nil {
			return fmt.Errorf("request %d: %w", r.number, err)
		}
	}
	return nil
}

// told is all that the request has left behind, with its name taken out.
func (r request) told(t *testing.T, store audit.Store) []string {
	t.Helper()
	events := eventsSince(t, store, r.name(), time.Time{})
	lines := say(events)
	for i, e := range events {
		who := fmt.Sprintf("%s %+v %q %q %q", e.Workspace, e.Request, e.Actor.Name, e.Initiator.Name, e.Reason)
		lines[i] = strings.ReplaceAll(lines[i]+" | "+who, r.name(), "#")
	}
	return lines
}

// works are what requests do: rows of their own, by every kind of write.
var works = [...]func(n string) []func(db *gorm.DB) error{
	func(n string) []func(db *gorm.DB) error {
		return []func(db *gorm.DB) error{func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Create(&Word{ID: n + "x", WorkspaceID: n, Name: "one " + n}).Error; err != nil {
					return err
				}
				return tx.Model(&Word{ID: n + "x"}).Update("name", "two "+n).Error
			})
		}}
	},
	// A record with its associations, changed and put in the trash.
	func(n string) []func(db *gorm.DB) error {
		return []func(db *gorm.DB) error{
			func(db *gorm.DB) error {
				return db.Create(&Entry{
					ID: n + "e", WorkspaceID: n, UserID: text(n), Note: "note of " + n,
					Venture: &Venture{ID: n + "v", WorkspaceID: n, Name: "venture of " + n},
					Words:   []Word{{ID: n + "x", WorkspaceID: n, Name: "word of " + n}, {ID: n + "y", WorkspaceID: n}},
				}).Error
			},
			func(db *gorm.DB) error { return db.Delete(&Entry{ID: n + "e"}).Error },
		}
	},
	// A transaction whose rename others show, and a savepoint that is undone.
	func(n string) []func(db *gorm.DB) error {
		return []func(db *gorm.DB) error{func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Create(&Entry{ID: n + "e", WorkspaceID: n, UserID: text("other"), Venture: &Venture{ID: n + "v", WorkspaceID: n, Name: "old " + n}}).Error; err != nil {
					return err
				}
				if err := tx.Transaction(func(tx *gorm.DB) error {
					if err := tx.Create(&Word{ID: n + "gone", WorkspaceID: n}).Error; err != nil {
						return err
					}
					return ErrHook
				}); err != ErrHook { //nolint:errorlint // the very same
					return err
				}
				return tx.Model(&Venture{ID: n + "v"}).Update("name", "new "+n).Error
			})
		}}
	},
	// Rows that the database itself removes and empties.
	func(n string) []func(db *gorm.DB) error {
		return []func(db *gorm.DB) error{
			func(db *gorm.DB) error {
				return db.Create(&Step{ID: n + "s", WorkspaceID: n, Name: "step of " + n, Venture: &Venture{
					ID: n + "v", WorkspaceID: n, Name: "venture of " + n, Firm: &Firm{ID: n + "f", WorkspaceID: n, Name: "firm of " + n},
				}}).Error
			},
			func(db *gorm.DB) error { return db.Delete(&Firm{ID: n + "f"}).Error },
			func(db *gorm.DB) error { return db.Delete(&Venture{ID: n + "v"}).Error },
		}
	},
	// On somebody else's behalf, after something that failed.
	func(n string) []func(db *gorm.DB) error {
		behalf := func(db *gorm.DB) *gorm.DB {
			ctx := audit.WithActor(db.Statement.Context, audit.System)
			return db.WithContext(audit.WithInitiator(ctx, audit.Actor{Kind: audit.KindUser, ID: n, Name: "Boss " + n}))
		}
		return []func(db *gorm.DB) error{
			func(db *gorm.DB) error {
				err := db.Transaction(func(tx *gorm.DB) error {
					if err := tx.Create(&Word{ID: n + "gone", WorkspaceID: n}).Error; err != nil {
						return err
					}
					return ErrHook
				})
				if err == ErrHook { //nolint:errorlint // the very same
					return nil
				}
				return err
			},
			func(db *gorm.DB) error {
				return behalf(db).Create([]*Word{{ID: n + "x", WorkspaceID: n}, {ID: n + "y", WorkspaceID: n}}).Error
			},
			func(db *gorm.DB) error {
				return behalf(db).Model(&Word{}).Where("id IN ?", []string{n + "x", n + "y"}).Update("name", "name of "+n).Error
			},
		}
	},
	// Raw SQL, an upsert and a save.
	func(n string) []func(db *gorm.DB) error {
		return []func(db *gorm.DB) error{
			func(db *gorm.DB) error { return db.Save(&Word{ID: n + "x", WorkspaceID: n, Name: "one " + n}).Error },
			func(db *gorm.DB) error { return db.Save(&Word{ID: n + "x", WorkspaceID: n, Name: "two " + n}).Error },
			func(db *gorm.DB) error { return db.Exec("UPDATE words SET name = '' WHERE id = ?", n+"x").Error },
		}
	},
}
