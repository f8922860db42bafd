package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

var (
	_ audit.Purger          = (*Store)(nil)
	_ audit.WorkspaceLister = (*Store)(nil)
	_ audit.Timekeeper      = (*Store)(nil)
)

// Purge implements [audit.Purger]. It may delete what [Store.Protect] protects; see
// [Store.AllowDeletes]. It runs one DELETE for each 400 events. Two that delete the
// same events wait for each other, and the second one gets [audit.ErrMissing]. On
// MySQL it runs as READ COMMITTED, which a server with binlog_format=STATEMENT
// refuses.
func (s *Store) Purge(ctx context.Context, b audit.PurgeBatch) error {
	if err := b.Validate(); err != nil {
		return err
	}
	// MySQL would else lock what lies between the events, where others write.
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: s.names.dialect.purging()})
	if err != nil {
		return fmt.Errorf("sqlstore: purge: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if s.names.dialect == SQLite {
		// Who reads first, as AllowDeletes does, may not write any more if
		// somebody else has written meanwhile.
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+s.names.qualified(s.names.events)+" WHERE 1 = 0"); err != nil {
			return fmt.Errorf("sqlstore: purge: %w", err)
		}
	}
	if err := s.AllowDeletes(ctx, tx, func() error { return s.deleteEvents(ctx, tx, b) }); err != nil {
		return err
	}
	if err := s.AppendTx(ctx, tx, b.Tell); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlstore: purge: commit: %w", err)
	}
	return nil
}

// deleteEvents deletes the events of the batch and counts them.
func (s *Store) deleteEvents(ctx context.Context, tx *sql.Tx, b audit.PurgeBatch) error {
	deleted := int64(0)
	for ids := range slices.Chunk(b.IDs, maxArgsPerInsert) {
		text, args := s.names.deleteByIDs(b, ids)
		result, err := tx.ExecContext(ctx, text, args...)
		if err != nil {
			return fmt.Errorf("sqlstore: purge: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("sqlstore: purge: %w", err)
		}
		deleted += n
	}
	if deleted != int64(len(b.IDs)) {
		return fmt.Errorf("%w: of %d events to be purged only %d are in workspace %q and within the times; none was deleted", audit.ErrMissing, len(b.IDs), deleted, b.Workspace)
	}
	return nil
}

// purging is the isolation of a transaction that purges.
func (d Dialect) purging() sql.IsolationLevel {
	if d == MySQL {
		return sql.LevelReadCommitted
	}
	return sql.LevelDefault
}

// deleteByIDs is the statement that deletes some events, which must be in the
// workspace and within the times of the batch. It goes by the ids alone: to read
// all events of the times takes the longer the more there are, or were. MySQL
// locks what it reads, in the order in which it does, so that two would wait for
// each other.
func (n names) deleteByIDs(b audit.PurgeBatch, ids []uuid.UUID) (string, []any) {
	q := query{dialect: n.dialect, exact: true}
	from, workspace, at := "DELETE FROM "+n.qualified(n.events), q.unindexed("workspace"), q.unindexed("time")
	switch n.dialect {
	case MySQL:
		from = "DELETE e FROM " + n.qualified(n.events) + " e FORCE INDEX (PRIMARY)"
	case Postgres:
		workspace, at = "(workspace || '')", "(time + 0)"
	}
	q.write(from, " WHERE ")
	in(&q, workspace, []string{b.Workspace})
	if !b.From.IsZero() {
		q.write(" AND ", at, " >= ")
		q.arg(ceilMicro(b.From))
	}
	q.write(" AND ", at, " < ")
	q.arg(ceilMicro(b.To))
	q.ids("id", ids)
	return q.String(), q.args
}

// ListWorkspaces implements [audit.WorkspaceLister]. It takes one look-up for each
// workspace, however many events there are. On MySQL, which takes names that differ
// in spaces at their ends for one, it may pass over such a twin.
func (s *Store) ListWorkspaces(ctx context.Context, after string, limit int) ([]string, error) {
	if limit < 1 {
		return nil, fmt.Errorf("sqlstore: limit is %d, must be at least 1", limit)
	}
	text := "SELECT MIN(workspace) FROM " + s.names.qualified(s.names.events) + " WHERE workspace > " + s.names.dialect.placeholder(1)
	var list []string
	for len(list) < limit {
		var next sql.NullString
		if err := s.db.QueryRowContext(ctx, text, after).Scan(&next); err != nil {
			return nil, fmt.Errorf("sqlstore: list workspaces: %w", err)
		}
		if !next.Valid {
			return list, nil
		}
		after = next.String
		list = append(list, after)
	}
	return list, nil
}

// Time implements [audit.Timekeeper]. SQLite has the clock of the program's machine.
func (s *Store) Time(ctx context.Context) (time.Time, error) {
	text := map[Dialect]string{
		SQLite:   "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000",
		Postgres: "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
		MySQL:    "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
	}[s.names.dialect]
	var micro int64
	if err := s.db.QueryRowContext(ctx, text).Scan(&micro); err != nil {
		return time.Time{}, fmt.Errorf("sqlstore: ask for the time: %w", err)
	}
	return time.UnixMicro(micro).UTC(), nil
}
