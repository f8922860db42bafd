package audit_test

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

func number(t *testing.T, v audit.Value) (n int) {
	t.Helper()
	require.NoError(t, json.Unmarshal(v.JSON, &n))
	return n
}

func TestAnAttemptThatFailsIsRecorded(t *testing.T) {
	t.Parallel()
	project := audit.Event{Operation: audit.Deleted, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}}
	errConflict := stateError("23503")
	for name, c := range map[string]struct {
		ends error
		want string
	}{
		"with success":              {nil, ""},
		"with an error":             {fmt.Errorf("delete: %w", errConflict), `Jo failed to delete project "Apollo": error: not recorded → "SQLSTATE 23503"`},
		"with a refusal":            {fmt.Errorf("delete: %w", audit.Denied("only managers do")), `Jo was not allowed to delete project "Apollo": error: not recorded → "denied"; reason: "only managers do"`},
		"with a refusal, no reason": {audit.ErrDenied, `Jo was not allowed to delete project "Apollo": error: not recorded → "denied"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, store := newRecorder(t, &audit.Config{Now: clock, NewID: numberedIDs()})
			ctx, end := context.WithCancel(audit.WithActor(context.Background(), jo))
			err := r.Attempt(ctx, project, func(context.Context) error {
				end() // as a request that nobody waits for
				return c.ends
			})
			require.Equal(t, c.ends, err)
			all := store.All()
			if c.want == "" {
				require.Empty(t, all)
				return
			}
			require.Len(t, all, 1)
			require.Equal(t, c.want, all[0].String())
		})
	}
}

func TestAnAttemptThatPanicsIsRecordedAndGoesOnPanicking(t *testing.T) {
	t.Parallel()
	r, store := newRecorder(t, &audit.Config{Now: clock})
	require.PanicsWithValue(t, "with something secret", func() {
		_ = r.Attempt(audit.WithActor(context.Background(), jo), approved(), func(context.Context) error { panic("with something secret") })
	})
	require.Len(t, store.All(), 1)
	require.Equal(t, `Jo failed approved project "Apollo": error: not recorded → "panic"`, store.All()[0].String())
}

func TestAnAttemptThatCannotBeRecordedIsLost(t *testing.T) {
	t.Parallel()
	var l listener
	r, err := audit.New(&fragile{Store: memstore.New(), broken: true}, &audit.Config{OnError: l.hear})
	require.NoError(t, err)
	mine := errors.New("mine")
	require.Equal(t, mine, r.Attempt(context.Background(), approved(), func(context.Context) error { return mine }))
	require.Equal(t, audit.Stats{Lost: 1, Untold: 1}, r.Stats())
	require.Len(t, l.told, 1)
	require.ErrorIs(t, l.told[0], audit.ErrLost)

	require.ErrorIs(t, r.Attempt(context.Background(), audit.Event{}, func(context.Context) error { panic("not reached") }), audit.ErrInvalidEvent)
}

func TestOperationsOfAttemptsHaveNamesThatRead(t *testing.T) {
	t.Parallel()
	for op, want := range map[audit.Operation][2]audit.Operation{
		audit.Created:  {audit.FailedToCreate, audit.NotAllowedToCreate},
		audit.Updated:  {audit.FailedToUpdate, audit.NotAllowedToUpdate},
		audit.Deleted:  {audit.FailedToDelete, audit.NotAllowedToDelete},
		audit.Restored: {audit.FailedToRestore, audit.NotAllowedToRestore},
		"approved":     {"failed_approved", "denied_approved"},
	} {
		e := audit.Event{Operation: op, Entity: audit.Entity{Type: audit.TypeProject}}
		require.Equal(t, want[0], e.Attempted(errFull).Operation)
		require.Equal(t, want[1], e.Attempted(audit.ErrDenied).Operation)
	}
	c := audit.DefaultCatalog()
	e := audit.Event{Operation: audit.FailedToDelete, Entity: audit.Entity{Type: audit.TypeProject}}
	require.Equal(t, "Failed to delete project", c.Label(e))
	require.Equal(t, "FAILED_TO_DELETE_PROJECT", c.Code(e))
	e.Operation = audit.NotAllowedToDelete
	require.Equal(t, "Was not allowed to delete project", c.Label(e))
}

// stateError is an error of a driver of PostgreSQL.
type stateError string

func (e stateError) Error() string    { return "duplicate key (secret)" }
func (e stateError) SQLState() string { return string(e) }

// codeError is an error of a driver of SQLite.
type codeError int

func (e codeError) Error() string { return "constraint failed: secret" }
func (e codeError) Code() int     { return int(e) }

func TestTheClassOfAnErrorHoldsNoValue(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"denied":              audit.Denied("secret"),
		"canceled":            context.Canceled,
		"timeout":             fmt.Errorf("secret: %w", context.DeadlineExceeded),
		"connection lost":     driver.ErrBadConn,
		"no actor":            audit.ErrNoActor,
		"SQLSTATE 23505":      fmt.Errorf("%w: %w", audit.ErrAuditFailed, stateError("23505")),
		"code 2067":           codeError(2067),
		"error 1062":          errors.New("Error 1062 (23000): Duplicate entry 'secret' for key 'words.PRIMARY'"),
		"not recorded":        fmt.Errorf("%w: %w", audit.ErrAuditFailed, errors.New("secret")),
		"*errors.errorString": errors.Join(errors.New("other secret"), fmt.Errorf("x: %w", errors.New("secret"))),
	} {
		require.Equal(t, want, audit.ErrorClass(err))
	}
}
