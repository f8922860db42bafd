package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// RunExports tests a store of the jobs of package exportjob, each rule as a
// subtest of its own. newStore returns an empty store each time and cleans up by
// t.Cleanup.
func RunExports(t *testing.T, newStore func(t *testing.T) exportjob.Store) {
	t.Helper()
	for _, c := range exportRules {
		c.run(t, newStore)
	}
}

// export is a job of jo's that is queued. Its number makes its id and its time.
func export(n int, change ...func(*exportjob.Job)) exportjob.Job {
	at := epoch.Add(time.Duration(n) * time.Minute)
	job := exportjob.Job{
		ID: id(n), Workspace: workspace, Requester: audit.Actor{Kind: audit.KindUser, ID: "jo"},
		Filter: audit.Filter{Workspace: workspace}, Format: exportjob.CSV,
		Created: at, Bound: at.Add(-time.Hour), State: exportjob.Queued, Due: at,
	}
	for _, c := range change {
		c(&job)
	}
	return job
}

// everything is a job that uses all there is of a job and of a filter.
func everything(n int) exportjob.Job {
	cursor, err := audit.ParseCursor(someCursor)
	if err != nil {
		panic(err)
	}
	return export(n, func(j *exportjob.Job) {
		at := epoch.Add(123456 * time.Microsecond)
		j.Requester.Name = "Jo «Ω» \\ \x00 ' \""
		j.Filter = audit.Filter{
			Workspace: workspace, From: at.Add(-time.Hour), To: at, IDs: []uuid.UUID{id(1), {}},
			Actors:  []audit.Actor{{Kind: audit.KindKey, ID: "k'1"}, audit.System},
			Actions: []audit.Action{{Type: audit.TypeTag, Operation: audit.Created, Origins: []audit.Origin{"", "x"}, Ownership: audit.OwnershipSelf}},
			Types:   []audit.EntityType{audit.TypeTag}, Entities: []audit.Entity{{Type: audit.TypeTag, ID: "1/2"}},
			Owners: []string{"", "o"}, Origins: []audit.Origin{""}, Fields: []string{"a\"b"},
			Causes: []uuid.UUID{id(2)}, ChangeSets: []uuid.UUID{id(3)}, Text: "100%_'; DROP TABLE audit_events; -- \u2028\x00",
		}
		j.Format = exportjob.JSONLines
		j.Options = exportjob.Options{PerChange: true, Raw: true, BOM: true, Zone: "Europe/Berlin"}
		j.State, j.Reason, j.Rows, j.Percent = exportjob.Running, "none \x00 yet", 1<<40, 99
		j.Finished, j.Expires, j.Notified = at.Add(1), at.Add(2*time.Microsecond), at.Add(3*time.Microsecond)
		j.Size, j.SHA256 = 1<<50, "00ff"
		j.Slot, j.Attempt, j.Notices = 2, 3, 4
		j.Checkpoint = exportjob.Checkpoint{Attempt: 2, Size: 5, SHA256: "ff", Next: cursor}
	})
}

// someCursor is the text of a cursor that is valid.
const someCursor = "AQAGYNw3eNAAAAAAAAAAcACAAAAAAAAAApDHmzMwl9T452Rn"

func requireJob(t *testing.T, store exportjob.Store, want exportjob.Job) {
	t.Helper()
	got, err := store.Get(context.Background(), want.Workspace, want.ID)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func addAll(t *testing.T, store exportjob.Store, jobs ...exportjob.Job) {
	t.Helper()
	for _, job := range jobs {
		require.NoError(t, store.Add(context.Background(), job))
	}
}

// jobIDs are the ids of jobs, in their order.
func jobIDs(t *testing.T, jobs []exportjob.Job, err error) []uuid.UUID {
	t.Helper()
	require.NoError(t, err)
	var ids []uuid.UUID
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

func slot(n int) func(*exportjob.Job) { return func(j *exportjob.Job) { j.Slot = n } }

func dueAt(at time.Time) func(*exportjob.Job) { return func(j *exportjob.Job) { j.Due = at } }

func by(workspace string, requester audit.Actor) func(*exportjob.Job) {
	return func(j *exportjob.Job) { j.Workspace, j.Filter.Workspace, j.Requester = workspace, workspace, requester }
}

var exportRules = []rule[exportjob.Store]{
	{
		"Add/JobsComeBackAsTheyWere",
		"a job is read as it was added, under version 1, whether everything of it is set or only what is required",
		func(t *testing.T, store exportjob.Store) {
			for _, job := range []exportjob.Job{export(1), everything(2)} {
				addAll(t, store, job)
				job.Version = 1
				requireJob(t, store, job)
				listed, err := store.List(context.Background(), job.Workspace, job.Requester, 1)
				require.NoError(t, err)
				require.Equal(t, []exportjob.Job{job}, listed)
			}
		},
	},
	{
		"Add/AnIDThatIsThere",
		"an id that is there already is ErrConflict, in whatever workspace, and changes nothing",
		func(t *testing.T, store exportjob.Store) {
			addAll(t, store, export(1))
			for _, w := range []string{workspace, "w2"} {
				require.ErrorIs(t, store.Add(context.Background(), export(1, by(w, audit.Actor{ID: "ann"}))), exportjob.ErrConflict)
			}
			requireJob(t, store, export(1, func(j *exportjob.Job) { j.Version = 1 }))
		},
	},
	{
		"Add/ASlotThatIsTaken",
		"two jobs of one requester in one workspace cannot have one slot; those without a slot, and others', can",
		func(t *testing.T, store exportjob.Store) {
			addAll(t, store, export(1, slot(1)))
			require.ErrorIs(t, store.Add(context.Background(), export(2, slot(1))), exportjob.ErrConflict)
			require.ErrorIs(t, store.Add(context.Background(), export(2, slot(1), by(workspace, audit.Actor{ID: "jo", Name: "Joanne"}))), exportjob.ErrConflict,
				"the empty kind is a user, and names are not compared")
			addAll(t, store, export(2, slot(2)), export(3), export(4),
				export(5, slot(1), by("w2", audit.Actor{ID: "jo"})),
				export(6, slot(1), by(workspace, audit.Actor{Kind: audit.KindKey, ID: "jo"})),
				export(7, slot(1), by(workspace, audit.Actor{ID: "Jo"})),
				export(8, slot(1), by(workspace, audit.Actor{ID: "jo "})))
		},
	},
	{
		"Add/ManyAtOnceForOneSlot",
		"of many that ask for a slot at once, one gets it",
		func(t *testing.T, store exportjob.Store) {
			var (
				all  sync.WaitGroup
				errs [8]error
			)
			for i := range errs {
				all.Add(1)
				go func() {
					defer all.Done()
					errs[i] = store.Add(context.Background(), export(i+1, slot(1)))
				}()
			}
			all.Wait()
			added := 0
			for _, err := range errs {
				if err == nil {
					added++
				} else {
					require.ErrorIs(t, err, exportjob.ErrConflict)
				}
			}
			require.Equal(t, 1, added)
		},
	},
	{
		"Get/OfTheWorkspaceOnly",
		"a job is not found from another workspace, nor one that there is not",
		func(t *testing.T, store exportjob.Store) {
			addAll(t, store, export(1))
			for _, c := range []struct {
				workspace string
				id        uuid.UUID
			}{{"w2", id(1)}, {"", id(1)}, {workspace + " ", id(1)}, {workspace, id(2)}, {workspace, uuid.Nil}} {
				_, err := store.Get(context.Background(), c.workspace, c.id)
				require.ErrorIs(t, err, exportjob.ErrNotFound, "%q %s", c.workspace, c.id)
			}
		},
	},
	{
		"List/NewestFirstAndTheRequestersOnly",
		"List returns up to limit of the requester's jobs in the workspace, by time of creation and then by id, both descending",
		func(t *testing.T, store exportjob.Store) {
			same := func(j *exportjob.Job) { j.Created = epoch.Add(2 * time.Minute) }
			addAll(t, store, export(2), export(1), export(4, same), export(3, same),
				export(5, by("w2", audit.Actor{ID: "jo"})), export(6, by(workspace, audit.Actor{ID: "Jo"})),
				export(7, by(workspace, audit.Actor{Kind: audit.KindKey, ID: "jo"})), export(8, by(workspace, audit.Actor{ID: "jo "})))
			jobs, err := store.List(context.Background(), workspace, audit.Actor{ID: "jo", Name: "whoever"}, 10)
			require.Equal(t, []uuid.UUID{id(4), id(3), id(2), id(1)}, jobIDs(t, jobs, err))
			jobs, err = store.List(context.Background(), workspace, audit.Actor{ID: "jo"}, 2)
			require.Equal(t, []uuid.UUID{id(4), id(3)}, jobIDs(t, jobs, err))
			jobs, err = store.List(context.Background(), workspace, audit.Actor{ID: "nobody"}, 2)
			require.Empty(t, jobIDs(t, jobs, err))
		},
	},
	{
		"Due/TheLongestDueFirst",
		"Due returns up to limit jobs of every workspace that are due, the longest due first, and none that is never due",
		func(t *testing.T, store exportjob.Store) {
			addAll(t, store, export(1, dueAt(epoch.Add(2*time.Second))), export(2, dueAt(epoch.Add(time.Second)), by("w2", audit.Actor{ID: "ann"})),
				export(3, dueAt(time.Time{})), export(4, dueAt(epoch.Add(3*time.Second))), export(5, dueAt(epoch)))
			jobs, err := store.Due(context.Background(), epoch.Add(2*time.Second), 10)
			require.Equal(t, []uuid.UUID{id(5), id(2), id(1)}, jobIDs(t, jobs, err))
			jobs, err = store.Due(context.Background(), epoch.Add(2*time.Second), 1)
			require.Equal(t, []uuid.UUID{id(5)}, jobIDs(t, jobs, err))
			jobs, err = store.Due(context.Background(), epoch.Add(-1), 10)
			require.Empty(t, jobIDs(t, jobs, err))
		},
	},
	{
		"Update/ReplacesAndCounts",
		"Update replaces the job, and what is due and which slot is taken follow",
		func(t *testing.T, store exportjob.Store) {
			ctx := context.Background()
			addAll(t, store, export(1, slot(1)))
			next := everything(1)
			next.Version, next.Slot, next.Due = 1, 0, time.Time{}
			stored, err := store.Update(ctx, next)
			require.NoError(t, err)
			next.Version = 2
			require.Equal(t, next, stored)
			requireJob(t, store, next)
			jobs, err := store.Due(ctx, epoch.Add(time.Hour), 1)
			require.Empty(t, jobIDs(t, jobs, err))
			addAll(t, store, export(2, slot(1)))
		},
	},
	{
		"Update/OvertakenIsRefused",
		"Update returns ErrConflict for another version, another workspace or a job that there is not, and changes nothing",
		func(t *testing.T, store exportjob.Store) {
			ctx := context.Background()
			addAll(t, store, export(1))
			for _, version := range []int64{0, 2, -1} {
				_, err := store.Update(ctx, export(1, func(j *exportjob.Job) { j.Version, j.State = version, exportjob.Ready }))
				require.ErrorIs(t, err, exportjob.ErrConflict)
			}
			_, err := store.Update(ctx, export(1, by("w2", audit.Actor{ID: "jo"}), func(j *exportjob.Job) { j.Version = 1 }))
			require.ErrorIs(t, err, exportjob.ErrConflict)
			_, err = store.Update(ctx, export(2, func(j *exportjob.Job) { j.Version = 1 }))
			require.ErrorIs(t, err, exportjob.ErrConflict)
			requireJob(t, store, export(1, func(j *exportjob.Job) { j.Version = 1 }))
		},
	},
	{
		"Update/OneOfMany",
		"of many that change one version at once, one does",
		func(t *testing.T, store exportjob.Store) {
			addAll(t, store, export(1))
			var (
				all  sync.WaitGroup
				errs [8]error
			)
			for i := range errs {
				all.Add(1)
				go func() {
					defer all.Done()
					_, errs[i] = store.Update(context.Background(), export(1, func(j *exportjob.Job) { j.Version, j.Reason = 1, fmt.Sprint(i) }))
				}()
			}
			all.Wait()
			winner := -1
			for i, err := range errs {
				if err == nil {
					require.Equal(t, -1, winner, "%d too", i)
					winner = i
				} else {
					require.ErrorIs(t, err, exportjob.ErrConflict)
				}
			}
			requireJob(t, store, export(1, func(j *exportjob.Job) { j.Version, j.Reason = 2, fmt.Sprint(winner) }))
		},
	},
	{
		"Context/Cancelled",
		"a context that has ended is its error",
		func(t *testing.T, store exportjob.Store) {
			require.ErrorIs(t, store.Add(cancelled(), export(1)), context.Canceled)
			_, err := store.Get(cancelled(), workspace, id(1))
			require.ErrorIs(t, err, context.Canceled)
			_, err = store.List(cancelled(), workspace, audit.Actor{ID: "jo"}, 1)
			require.ErrorIs(t, err, context.Canceled)
			_, err = store.Due(cancelled(), epoch, 1)
			require.ErrorIs(t, err, context.Canceled)
			_, err = store.Update(cancelled(), export(1))
			require.ErrorIs(t, err, context.Canceled)
		},
	},
}
