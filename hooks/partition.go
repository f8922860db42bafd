package hooks

import (
	"context"

	"github.com/gormtrail/audit"
)

// descent says that a table is a partition of another, or of a partition of it.
type descent struct{ partition, of relation }

const descentQuery = `WITH RECURSIVE below (of, oid) AS (
	SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid=i.inhrelid
	WHERE c.relispartition AND c.relkind IN ('r','p','f')
	UNION SELECT b.of, i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent=b.oid)
SELECT cn.nspname, c.relname, COALESCE(pg_catalog.pg_table_is_visible(c.oid), false), pn.nspname, p.relname, COALESCE(pg_catalog.pg_table_is_visible(p.oid), false)
FROM below b
JOIN pg_catalog.pg_class c ON c.oid=b.oid JOIN pg_catalog.pg_namespace cn ON cn.oid=c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid=b.of JOIN pg_catalog.pg_namespace pn ON pn.oid=p.relnamespace
ORDER BY 4, 5, 1, 2`

// descents reads the partitions of PostgreSQL, which are tables that a statement
// may name. Those of the other databases are not.
func (d dialect) descents(ctx context.Context, tx audit.DBTX) ([]descent, error) {
	if d.name != "postgres" {
		return nil, nil
	}
	rows, err := tx.QueryContext(ctx, descentQuery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []descent
	for rows.Next() {
		var s descent
		if err := rows.Scan(&s.partition.schema, &s.partition.name, &s.partition.visible, &s.of.schema, &s.of.name, &s.of.visible); err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return found, rows.Close()
}

// spread adds to the foreign keys what they mean by way of partitions: a row may be
// deleted through the table that a key refers to, through its partitions and
// through what it is a partition of. The rows that refer are those of the recorded
// table, be it the key's own or one of these.
func (a *arrangement) spread(keys []foreignKey, descents []descent) []foreignKey {
	if len(descents) == 0 {
		return keys
	}
	near := map[relation][]relation{}
	for _, s := range descents {
		near[s.of] = append(near[s.of], s.partition)
		near[s.partition] = append(near[s.partition], s.of)
	}
	var all []foreignKey
	for _, k := range keys {
		children := []relation{k.child}
		if a.registered(k.child) == nil {
			for _, r := range near[k.child] {
				if a.registered(r) != nil {
					children = append(children, r)
				}
			}
		}
		for _, parent := range append([]relation{k.parent}, near[k.parent]...) {
			for _, child := range children {
				k.parent, k.child = parent, child
				all = append(all, k)
			}
		}
	}
	return all
}
