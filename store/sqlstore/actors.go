package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"

	"github.com/gormtrail/audit"
)

var _ audit.ActorLister = (*Store)(nil)

// ListActors implements [audit.ActorLister]. It takes one to three look-ups for
// each author, however many events there are.
func (s *Store) ListActors(ctx context.Context, workspace string, limit int) ([]audit.Actor, error) {
	if err := (audit.Filter{Workspace: workspace}).Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("sqlstore: limit is %d, must be at least 1", limit)
	}
	text, args := s.names.selectActors(workspace, limit)
	rows, err := s.db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list actors: %w", err)
	}
	defer rows.Close()
	var actors []audit.Actor
	for rows.Next() {
		var a audit.Actor
		var name sql.NullString
		if err := rows.Scan(&a.Kind, &a.ID, &name); err != nil {
			return nil, fmt.Errorf("sqlstore: list actors: %w", err)
		}
		if a.Name = name.String; name.Valid {
			actors = append(actors, a)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlstore: list actors: %w", err)
	}
	slices.SortFunc(actors, func(a, b audit.Actor) int { // databases compare texts in ways of their own
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return actors, rows.Close()
}

// selectActors is the statement that reads the newest event of each author.
//
// No planner goes from one author to the next in an index by itself, except
// MySQL's when it is told to. Elsewhere the statement walks: from the newest
// event of one author to the newest of the author before it, in the order of the
// index from its end.
func (n names) selectActors(workspace string, limit int) (string, []any) {
	q := query{dialect: n.dialect}
	events, index := n.qualified(n.events), n.dialect.quote(n.actorIndex())
	most := strconv.Itoa(limit)
	switch n.dialect {
	case MySQL:
		q.groupActors(workspace, events, index, most)
	case Postgres:
		q.walkPairs(workspace, events, most)
	default:
		q.walkRows(workspace, events, most)
	}
	return q.String(), q.args
}

// groupActors gives no name, and so no author, to what only a workspace has whose name
// differs from this one's by spaces at its end: MySQL compares them as equal.
func (q *query) groupActors(workspace, events, index, most string) {
	q.write("SELECT a.actor_kind, a.actor_id, (SELECT COALESCE(e.actor_name, '') FROM ", events, " e FORCE INDEX (", index, ") WHERE e.workspace = ")
	q.arg(workspace)
	q.write(" AND e.actor_kind = a.actor_kind AND e.actor_id = a.actor_id AND CAST(e.workspace AS BINARY) = CAST(")
	q.arg(workspace)
	q.write(" AS BINARY) ORDER BY e.time DESC, e.id DESC LIMIT 1)",
		" FROM (SELECT actor_kind, actor_id FROM ", events, " FORCE INDEX FOR GROUP BY (", index, ") WHERE workspace = ")
	q.arg(workspace)
	q.write(" GROUP BY workspace, actor_kind, actor_id LIMIT ", most, ") a")
}

// walkPairs takes one look-up for each author.
func (q *query) walkPairs(workspace, events, most string) {
	newest := func(n, where string) {
		q.write("(SELECT e.actor_kind, e.actor_id, e.actor_name", n, " FROM ", events, " e WHERE e.workspace = ")
		q.arg(workspace)
		q.write(where, " ORDER BY e.actor_kind DESC, e.actor_id DESC, e.time DESC, e.id DESC LIMIT 1)")
	}
	q.write("WITH RECURSIVE author AS (")
	newest(", 1 AS n", "")
	q.write(" UNION ALL SELECT e.actor_kind, e.actor_id, e.actor_name, a.n + 1 FROM author a CROSS JOIN LATERAL ")
	newest("", " AND (e.actor_kind, e.actor_id) < (a.actor_kind, a.actor_id)")
	q.write(" e WHERE a.n < ", most, ") SELECT actor_kind, actor_id, COALESCE(actor_name, '') FROM author")
}

// walkRows goes on by single values, since SQLite has no LATERAL, and not by
// pairs, (kind, id) < (kind, id): SQLite would begin at the oldest event of the
// author that it is to leave.
func (q *query) walkRows(workspace, events, most string) {
	newest := func(where, order string) {
		q.write("(SELECT e.rowid FROM ", events, " e WHERE e.workspace = ")
		q.arg(workspace)
		q.write(where, " ORDER BY ", order, " LIMIT 1)")
	}
	q.write("WITH RECURSIVE author(row, n) AS (SELECT ")
	newest("", "e.actor_kind DESC, e.actor_id DESC, e.time DESC, e.id DESC")
	q.write(", 1 UNION ALL SELECT COALESCE(")
	newest(" AND e.actor_kind = a.actor_kind AND e.actor_id < a.actor_id", "e.actor_id DESC, e.time DESC, e.id DESC")
	q.write(", ")
	newest(" AND e.actor_kind < a.actor_kind", "e.actor_kind DESC, e.actor_id DESC, e.time DESC, e.id DESC")
	q.write("), n + 1 FROM author JOIN ", events, " a ON a.rowid = author.row WHERE n < ", most, ")",
		" SELECT a.actor_kind, a.actor_id, COALESCE(a.actor_name, '') FROM author JOIN ", events, " a ON a.rowid = author.row")
}
