//go:build linux

package dbtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// TestAFullDiskLeavesNoChangeWithoutItsEvents fills the place that the database
// has, until the change or its event does not fit any more. Both are gone then,
// and the error says why.
func TestAFullDiskLeavesNoChangeWithoutItsEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t *testing.T) *Database
		// limit sets an end to the room, in round after round.
		limit func(t *testing.T, database *Database, room int)
		full  string
	}{
		{name: "sqlite", make: func(t *testing.T) *Database { return Open(t, "sqlite") }, limit: limitPages, full: "full (13)"},
		{name: "postgres", make: func(t *testing.T) *Database { return started(t, "postgres").Open(t) }, limit: limitTablespace, full: "53100"},
		{name: "mysql", make: func(t *testing.T) *Database {
			return started(t, "mysql", "--innodb-data-file-path=ibdata1:12M:autoextend:max:14M").Open(t)
		}, limit: limitSystemTablespace, full: "1114"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			database := c.make(t)
			k := newKiller(t, database)
			database.SQL().SetMaxOpenConns(1) // SQLite's limit is a connection's
			database.SQL().SetMaxIdleConns(1)
			o := office{database: database, raw: openGorm(t, database), db: openGorm(t, database), clock: newClock()}
			store := wire(t, o.db, database, storeInDatabase, nil, officeModels())
			db := o.db.WithContext(audit.WithActor(t.Context(), jo))
			ours, theirs := 0, 0
			for room := range 8 {
				require.NoError(t, k.oracle.Reset(t.Context()))
				_, err := database.SQL().ExecContext(t.Context(), "DELETE FROM audit_events")
				require.NoError(t, err)
				c.limit(t, database, room)
				err = fill(db, room)
				require.ErrorContains(t, err, c.full)
				if strings.Contains(err.Error(), audit.ErrAuditFailed.Error()) {
					ours++
					require.ErrorIs(t, err, audit.ErrAuditFailed)
				} else {
					theirs++
				}
				require.Zero(t, database.SQL().Stats().InUse)
				truth, err := k.oracle.Read(t.Context())
				require.NoError(t, err)
				require.Empty(t, k.oracle.Compare(truth, eventsSince(t, store, "w1", o.clock.Now().AddDate(-1, 0, 0))), "room %d", room)
			}
			t.Logf("an event did not fit %d times, a change %d times", ours, theirs)
			require.Positive(t, ours, "an event never was what did not fit")
		})
	}
}

// fill writes until there is no more room.
func fill(db *gorm.DB, round int) error {
	long := strings.Repeat("x", 50)
	for i := range 10_000 {
		word := &Word{ID: fmt.Sprintf("f%d-%d", round, i), WorkspaceID: "w1", Name: long}
		if i%2 == 0 {
			if err := db.Create(word).Error; err != nil {
				return err
			}
			continue
		}
		if err := db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Create(word).Error; err != nil {
				return err
			}
			return tx.Model(&Entry{ID: "e"}).Update("note", word.ID).Error
		}); err != nil {
			return err
		}
	}
	return nil
}

// limitPages leaves room for a few pages more than there are.
func limitPages(t *testing.T, database *Database, room int) {
	t.Helper()
	var pages int
	require.NoError(t, database.SQL().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	_, err := database.SQL().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+room))
	require.NoError(t, err)
}

// limitTablespace puts the events on a disk of their own, and a small one.
func limitTablespace(t *testing.T, database *Database, room int) {
	t.Helper()
	if room > 0 {
		return
	}
	disk := filepath.Join(t.TempDir(), "disk")
	for dir := filepath.Dir(disk); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // the server has to reach it
	}
	require.NoError(t, os.Mkdir(disk, 0o700))
	id, err := userOf("postgres")
	require.NoError(t, err)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=1m,uid=%d,mode=0700", id)); err != nil {
		t.Skipf("SKIPPED, PostgreSQL's disk was not filled: a small one cannot be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
	for _, text := range []string{
		"CREATE TABLESPACE small LOCATION '" + disk + "'",
		"ALTER TABLE audit_events SET TABLESPACE small",
	} {
		_, err := database.SQL().ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
}

// limitSystemTablespace puts the events where MariaDB has its own tables, which
// has an end.
func limitSystemTablespace(t *testing.T, database *Database, room int) {
	t.Helper()
	if room > 0 {
		return
	}
	for _, text := range []string{"SET GLOBAL innodb_file_per_table = 0", "ALTER TABLE audit_events ENGINE = InnoDB, ALGORITHM = COPY"} {
		_, err := database.SQL().ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
}
