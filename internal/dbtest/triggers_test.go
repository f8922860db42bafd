package dbtest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// outside are the writers of a database that know nothing of hooks. What they
// write, triggers record.
type outside struct {
	database *Database
	store    *sqlstore.Store
	tables   []audit.Table
	triggers *sqlstore.Triggers
}

// installTriggers makes the triggers for what the options register.
func installTriggers(t *testing.T, database *Database, cfg *sqlstore.TriggersConfig, setup func(*gorm.DB) error, opts []hooks.Option) *outside {
	t.Helper()
	db := openGorm(t, database)
	if setup != nil {
		require.NoError(t, setup(db))
	}
	o := &outside{database: database, store: wire(t, db, database, storeInDatabase, nil, opts).(*sqlstore.Store)}
	var err error
	o.tables, err = hooks.Tables(t.Context(), db)
	require.NoError(t, err)
	o.triggers, err = o.store.Triggers(o.tables, cfg)
	require.NoError(t, err)
	require.NoError(t, o.triggers.Install(t.Context()))
	require.NoError(t, o.triggers.Verify(t.Context()))
	return o
}

// written are the events of what write does, oldest first.
func (o *outside) written(t *testing.T, workspace string, write func()) []audit.Event {
	t.Helper()
	o.exec(t, "DELETE FROM audit_events")
	write()
	return eventsSince(t, o.store, workspace, time.Time{})
}

func (o *outside) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := o.database.SQL().ExecContext(t.Context(), statement, args...)
	require.NoError(t, err, statement)
}

// told is events as texts, for comparison apart from who acted, when and in which
// order. What hooks put into one event, such as a record and its elements, are
// several lines.
func linesOf(t *testing.T, events []audit.Event) []string {
	t.Helper()
	var lines []string
	for _, e := range events {
		if e.Derived {
			continue
		}
		e.ID, e.Time, e.ChangeSet, e.Cause, e.Actor, e.Initiator = uuid.Nil, time.Time{}, uuid.Nil, uuid.Nil, audit.Actor{}, audit.Actor{}
		var elements []audit.Change
		e.Changes = slices.DeleteFunc(slices.Clone(e.Changes), func(c audit.Change) bool {
			if c.Element {
				elements = append(elements, c)
			}
			return c.Element
		})
		add := func(e audit.Event) {
			b, err := json.Marshal(e)
			require.NoError(t, err)
			lines = append(lines, string(b))
		}
		if len(e.Changes) > 0 {
			add(e)
		}
		for _, c := range elements {
			e.Operation, e.Changes = audit.Updated, []audit.Change{c}
			add(e)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestTriggersRecordWhatHooksRecord runs every operation with hooks in one
// database, and without hooks but with triggers in another.
func TestTriggersRecordWhatHooksRecord(t *testing.T) {
	t.Parallel()
	hooked := newWorkshop(t, Open(t, "postgres"), storeInDatabase)
	bare := newWorkshop(t, Open(t, "postgres"), nil)
	triggers := installTriggers(t, bare.database, nil, Setup, workshopModels())
	lines := 0
	for _, op := range slices.Concat(operations(), furtherWrites()) {
		t.Run(op.name, func(t *testing.T) {
			want := hooked.do(t, op).events
			bare.seed(t)
			got := triggers.written(t, audit.DefaultWorkspace, func() {
				bare.dirty = true
				bare.attempt(op)
			})
			require.Equal(t, linesOf(t, want), linesOf(t, got))
			lines += len(got)
		})
	}
	require.Greater(t, lines, 200)
}
