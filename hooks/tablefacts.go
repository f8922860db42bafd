package hooks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gormtrail/audit"
)

// What the database says of a table is read when it is needed for the first time.

// The catalogues of what columns hold that an INSERT leaves out.
var defaultQueries = map[string]string{
	"postgres": `SELECT a.attname, '('||pg_get_expr(d.adbin,d.adrelid)||')' FROM pg_catalog.pg_attrdef d
JOIN pg_catalog.pg_attribute a ON a.attrelid=d.adrelid AND a.attnum=d.adnum WHERE d.adrelid=to_regclass($1) AND a.attgenerated=''`,
	"mysql": "SELECT COLUMN_NAME, CONCAT('DEFAULT(`',REPLACE(COLUMN_NAME,'`','``'),'`)') FROM information_schema.COLUMNS" +
		" WHERE TABLE_SCHEMA=COALESCE(NULLIF(?,''),DATABASE()) AND TABLE_NAME=? AND COLUMN_DEFAULT IS NOT NULL",
	"sqlite": `SELECT name, '('||dflt_value||')' FROM pragma_table_info(?) WHERE dflt_value IS NOT NULL`,
}

// columnDefaults are expressions for the defaults of the columns that have one,
// read the first time. Those that count are not among them: a number that was never
// given meets nothing, and to ask for it would take it.
func (t *table) columnDefaults(ctx context.Context, d dialect, tx audit.DBTX) (map[string]string, error) {
	if known := t.defaults.Load(); known != nil {
		return *known, nil
	}
	rows, err := tx.QueryContext(ctx, defaultQueries[d.name], t.catalogueArgs(d)...)
	if err != nil {
		return nil, fmt.Errorf("read the defaults of table %q: %w", t.name, err)
	}
	defer rows.Close()
	defaults := map[string]string{}
	for rows.Next() {
		var column, value string
		if err := rows.Scan(&column, &value); err != nil {
			return nil, err
		}
		if !strings.Contains(value, "nextval(") {
			defaults[d.spelled(column, t.schema)] = value
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	t.defaults.Store(&defaults)
	return defaults, nil
}

// catalogueArgs are how the catalogues are asked for a table.
func (t *table) catalogueArgs(d dialect) []any {
	switch d.name {
	case "postgres":
		return []any{d.quote(t.name)}
	case "mysql":
		at := strings.LastIndexByte(t.name, '.')
		return []any{t.name[:max(at, 0)], t.name[at+1:]}
	}
	return []any{t.name}
}

// The catalogues of unique indexes: a row for each column, with the index.
var uniqueIndexQueries = map[string]string{
	"postgres": `SELECT i.indexrelid::text, a.attname FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS u(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid=i.indrelid AND a.attnum=u.attnum
WHERE i.indrelid=to_regclass($1) AND i.indisunique AND u.place<=i.indnkeyatts AND i.indexprs IS NULL
ORDER BY i.indexrelid, u.place`,
	"mysql": `SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA=COALESCE(NULLIF(?,''),DATABASE()) AND TABLE_NAME=? AND NON_UNIQUE=0 AND COLUMN_NAME IS NOT NULL ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
	"sqlite": `SELECT l.name, i.name FROM pragma_index_list(?) l JOIN pragma_index_info(l.name) i
WHERE l."unique"=1 AND i.name IS NOT NULL ORDER BY l.name, i.seqno`,
}

// uniqueIndexes reads the table's unique indexes, the first time. Those on
// expressions are not among them.
func (t *table) uniqueIndexes(ctx context.Context, d dialect, tx audit.DBTX) ([][]string, error) {
	if known := t.indexes.Load(); known != nil {
		return *known, nil
	}
	rows, err := tx.QueryContext(ctx, uniqueIndexQueries[d.name], t.catalogueArgs(d)...)
	if err != nil {
		return nil, fmt.Errorf("read the unique indexes of table %q: %w", t.name, err)
	}
	defer rows.Close()
	var (
		indexes [][]string
		last    string
	)
	for rows.Next() {
		var index, column string
		if err := rows.Scan(&index, &column); err != nil {
			return nil, err
		}
		if len(indexes) == 0 || index != last {
			indexes, last = append(indexes, nil), index
		}
		at := &indexes[len(indexes)-1]
		*at = append(*at, column)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	t.indexes.Store(&indexes)
	return indexes, nil
}

// isVersioned reports whether rows that are written to the table are returned with
// their versions: PostgreSQL's are, but for partitioned tables and views.
func (l *layout) isVersioned(ctx context.Context, tx audit.DBTX) (versioned bool, err error) {
	if l.dialect.name != "postgres" {
		return false, nil
	}
	if known := l.versioned.Load(); known != nil {
		return *known, nil
	}
	const ofTable = "SELECT count(*)>0 FROM pg_class WHERE oid=to_regclass($1) AND relkind='r'"
	if err = tx.QueryRowContext(ctx, ofTable, l.from).Scan(&versioned); err == nil {
		l.versioned.Store(&versioned)
	}
	return versioned, err
}
