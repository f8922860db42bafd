package dbtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// The models of an office: small, so that a test can name every change.

// Firm has ventures, which outlive it.
type Firm struct {
	ID          string `gorm:"primaryKey;size:20"`
	WorkspaceID string `gorm:"size:20" audit:"workspace"`
	Name        string `gorm:"size:50" audit:"label"`
}

// Venture has steps, which go with it, and entries, which outlive it.
type Venture struct {
	ID          string  `gorm:"primaryKey;size:20"`
	WorkspaceID string  `gorm:"size:20" audit:"workspace"`
	Name        string  `gorm:"size:50" audit:"label"`
	FirmID      *string `gorm:"size:20"`
	Firm        *Firm   `gorm:"constraint:OnDelete:SET NULL"`
}

// Step goes with its venture.
type Step struct {
	ID          string   `gorm:"primaryKey;size:20"`
	WorkspaceID string   `gorm:"size:20" audit:"workspace"`
	Name        string   `gorm:"size:50" audit:"label"`
	VentureID   string   `gorm:"size:20"`
	Venture     *Venture `gorm:"constraint:OnDelete:CASCADE"`
}

// Word marks entries.
type Word struct {
	ID          string `gorm:"primaryKey;size:20"`
	WorkspaceID string `gorm:"size:20" audit:"workspace"`
	Name        string `gorm:"size:50" audit:"label"`
}

// Entry belongs to a user and shows a venture, its firm, a step and words.
type Entry struct {
	ID          string   `gorm:"primaryKey;size:20"`
	WorkspaceID string   `gorm:"size:20" audit:"workspace"`
	UserID      *string  `gorm:"size:20" audit:"owner"`
	Note        string   `gorm:"size:50" audit:"label"`
	VentureID   *string  `gorm:"size:20"`
	Venture     *Venture `gorm:"constraint:OnDelete:SET NULL"`
	StepID      *string  `gorm:"size:20"`
	Step        *Step    `gorm:"constraint:OnDelete:SET NULL"`
	Words       []Word   `gorm:"many2many:entry_words;constraint:OnDelete:CASCADE"`
	DeletedAt   gorm.DeletedAt
	UpdatedAt   time.Time `audit:"-"`
}

// Vault keeps what must not be told.
type Vault struct {
	ID       string `gorm:"primaryKey;size:20"`
	Name     string `gorm:"size:50" audit:"label"`
	Memo     string `gorm:"size:50" audit:"redact"`
	Password string `gorm:"size:50"`
	APIKey   string `gorm:"size:50"`
	Monkey   string `gorm:"size:50"`
	Scratch  string `gorm:"size:50" audit:"-"`
}

// Stray is not registered.
type Stray struct {
	ID   string `gorm:"primaryKey;size:20"`
	Name string `gorm:"size:50"`
}

func officeModels() []hooks.Option {
	return []hooks.Option{
		hooks.Model[Firm]("firm", hooks.Cascade[Venture]("firm_id")),
		hooks.Model[Venture]("venture", hooks.Cascade[Entry]("venture_id", "firm_id"), hooks.Cascade[Step]("venture_id")),
		hooks.Model[Step]("step", hooks.Cascade[Entry]("step_id")),
		hooks.Model[Word]("word", hooks.Cascade[Entry]("Words")),
		hooks.Model[Entry]("entry"),
		hooks.Model[Vault]("vault"),
	}
}

func officeTables() []any {
	return []any{&Firm{}, &Venture{}, &Step{}, &Word{}, &Entry{}, &Vault{}, &Stray{}}
}

// office is a database with these models, hooks and a store.
type office struct {
	database *Database
	db       *gorm.DB
	raw      *gorm.DB
	store    audit.Store
	clock    *clock
	ctx      context.Context
}

// jo is the actor of an office's context.
var jo = audit.Actor{Kind: audit.KindUser, ID: "u1", Name: "Jo"}

func newOffice(t *testing.T, database *Database, store newStore, cfg *audit.Config, opts ...gorm.Option) *office {
	t.Helper()
	o := &office{database: database, raw: openGorm(t, database), db: openGorm(t, database, opts...), clock: newClock()}
	require.NoError(t, o.raw.AutoMigrate(officeTables()...))
	if cfg == nil {
		cfg = &audit.Config{}
	}
	cfg.Now = o.clock.Now
	o.store = wire(t, o.db, database, store, cfg, officeModels())
	o.ctx = audit.WithActor(context.Background(), jo)
	return o
}

// have makes rows that leave no events.
func (o *office) have(t *testing.T, rows ...any) {
	t.Helper()
	for _, row := range rows {
		require.NoError(t, o.raw.Create(row).Error)
	}
}

// told is what the given writes record, in workspace w1, one sentence an event.
func (o *office) told(t *testing.T, write func(db *gorm.DB) error) []string {
	t.Helper()
	return say(o.recorded(t, func(db *gorm.DB) error {
		require.NoError(t, write(db))
		return nil
	}))
}

func (o *office) recorded(t *testing.T, write func(db *gorm.DB) error) []audit.Event {
	t.Helper()
	o.clock.next()
	_ = write(o.db.WithContext(o.ctx))
	require.Zero(t, o.database.SQL().Stats().InUse, "connections that never came back")
	return eventsSince(t, o.store, "w1", o.clock.Now())
}

// say renders events for comparison, one line each. Events and change sets are
// numbered in their order.
func say(events []audit.Event) []string {
	numbers, sets := map[uuid.UUID]int{}, map[uuid.UUID]int{}
	for i, e := range events {
		numbers[e.ID] = i + 1
		if sets[e.ChangeSet] == 0 {
			sets[e.ChangeSet] = len(sets) + 1
		}
	}
	var lines []string
	for i, e := range events {
		var b strings.Builder
		fmt.Fprintf(&b, "%d/%d %s", i+1, sets[e.ChangeSet], e.Actor)
		if !e.Initiator.IsZero() {
			fmt.Fprintf(&b, " for %s", e.Initiator)
		}
		fmt.Fprintf(&b, " %s %s %s %q", e.Operation, e.Entity.Type, e.Entity.ID, e.Entity.Label)
		if e.Entity.Owner != "" || e.Ownership != "" {
			fmt.Fprintf(&b, " of %s (%s)", e.Entity.Owner, e.Ownership)
		}
		if e.Origin != "" {
			fmt.Fprintf(&b, " by %s", e.Origin)
		}
		if e.Derived {
			b.WriteString(" derived")
		}
		if e.Cause != uuid.Nil {
			fmt.Fprintf(&b, " because of %d", numbers[e.Cause])
		}
		for k, c := range e.Changes {
			fmt.Fprintf(&b, "%s %s%s %s => %s", []string{";", ":"}[btoi(k == 0)], []string{"", "+"}[btoi(c.Element)], c.Field, side(c.Before), side(c.After))
		}
		lines = append(lines, b.String())
	}
	return lines
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func side(v audit.Value) string {
	s := string(v.JSON)
	if v.JSON == nil {
		s = "-"
	}
	if v.Form != audit.FormPlain {
		s += " " + string(v.Form)
	}
	if v.Label != "" {
		s += " (" + v.Label + ")"
	}
	return s
}

func text(s string) *string { return &s }

// milliseconds is a clock with no finer digits than any database keeps.
func milliseconds() time.Time { return opTime.Truncate(time.Millisecond) }

func numbered(prefix string, i int) string { return fmt.Sprintf("%s%06d", prefix, i) }

func replacePercent(s, by string) string { return strings.ReplaceAll(s, "%", by) }
