package dbtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// TestASnapshotHoldsWhatWasThereWhenItBegan writes and deletes while the events are
// read, before and after a row that has to be read column by column.
func TestASnapshotHoldsWhatWasThereWhenItBegan(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	Each(t, func(t *testing.T, db *Database) {
		store := migrated(t, db, nil)
		events := manyEvents()[:3000]
		for i := range events {
			events[i].Workspace = "w1"
		}
		events[1500].Entity.Label = "a unit\x1fseparator"
		require.NoError(t, store.Append(ctx, events))
		read := 0
		require.NoError(t, audit.Snapshot(ctx, store, audit.Filter{Workspace: "w1"}, func(e *audit.Event) error {
			require.Equal(t, events[len(events)-1-read].ID, e.ID)
			if read++; read == 10 || read == 2000 {
				late, gone := sample(read), events[read/100]
				late.ID[0], late.Time = 2, events[20].Time // where the reader comes later
				require.NoError(t, store.Append(ctx, []audit.Event{late}))
				_, err := db.SQL().Exec(fmt.Sprintf("DELETE FROM audit_events WHERE time = %d", gone.Time.UnixMicro()))
				require.NoError(t, err)
			}
			return nil
		}))
		require.Equal(t, len(events), read, "all that were there, and no other")
		require.Zero(t, db.SQL().Stats().InUse, "a connection was not given back")
	})
}
