package dbtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// Oracle tells the truth about a database: row triggers write the old and the
// new image of every row that changes, whoever changes it and by whatever SQL,
// and [Oracle.Compare] holds audit events against them. It knows tables,
// columns and keys from GORM's schema and nothing of the code it judges.
//
// MariaDB runs no trigger for the rows that a foreign key changes;
// [Oracle.Snapshot] sees those.
type Oracle struct {
	pool    *sql.DB
	dialect string
	tables  []*oracleTable
}

// Watch is a table under the oracle's eye.
type Watch struct {
	// Model is a pointer to the model of the table.
	Model any
	// Type is the entity type that events of the table should have. Empty
	// for a table that should leave none.
	Type audit.EntityType
	// Ignore and Redact are the columns whose values events should not hold;
	// a change of an ignored column alone should leave no event.
	Ignore, Redact []string
	// Deleted is the column that a soft delete sets, if the table has one.
	Deleted string
}

// RowChange is one row as it was before and after a statement. Before is nil
// for an insert, After for a delete.
type RowChange struct {
	Table         string
	Before, After Row
}

// Row maps columns to values in the canonical text of [kind.canonical].
type Row map[string]string

// oracleTable is what the oracle knows of a table.
type oracleTable struct {
	Watch
	name    string
	columns []oracleColumn
	key     []string
	join    *oracleJoin
}

type oracleColumn struct {
	name string
	kind kind
}

// oracleJoin makes a table the join table of a many-to-many relation. Its rows
// should show as changes of field on the owner.
type oracleJoin struct {
	owner    audit.EntityType
	field    string
	ownerKey []string
	elements []string
}

// InstallOracle makes the truth table and the triggers. The tables must exist.
// Join tables of the models' many-to-many relations are watched too.
func InstallOracle(ctx context.Context, db *gorm.DB, watches ...Watch) (*Oracle, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	o := &Oracle{pool: pool, dialect: db.Name()}
	for _, w := range watches {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(w.Model); err != nil {
			return nil, fmt.Errorf("dbtest: oracle: parse %T: %w", w.Model, err)
		}
		o.add(w, stmt.Schema)
	}
	for _, w := range watches {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(w.Model); err != nil {
			return nil, err
		}
		for _, rel := range stmt.Schema.Relationships.Many2Many {
			o.addJoin(w, rel)
		}
	}
	return o, o.install(ctx)
}

func (o *Oracle) add(w Watch, s *schema.Schema) *oracleTable {
	t := &oracleTable{Watch: w, name: s.Table, key: s.PrimaryFieldDBNames}
	for _, f := range s.Fields {
		if f.DBName != "" && !f.IgnoreMigration {
			t.columns = append(t.columns, oracleColumn{f.DBName, kindOf(f)})
		}
	}
	o.tables = append(o.tables, t)
	return t
}

func (o *Oracle) addJoin(w Watch, rel *schema.Relationship) {
	t := o.table(rel.JoinTable.Table)
	if t == nil {
		t = o.add(Watch{}, rel.JoinTable)
	}
	if w.Type == "" || t.join != nil {
		return
	}
	t.join = &oracleJoin{owner: w.Type, field: schema.NamingStrategy{}.ColumnName("", rel.Name)}
	for _, ref := range rel.References {
		if ref.OwnPrimaryKey {
			t.join.ownerKey = append(t.join.ownerKey, ref.ForeignKey.DBName)
		} else {
			t.join.elements = append(t.join.elements, ref.ForeignKey.DBName)
		}
	}
}

func (o *Oracle) table(name string) *oracleTable {
	for _, t := range o.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

func (o *Oracle) tableOf(e audit.EntityType) *oracleTable {
	for _, t := range o.tables {
		if t.Type == e {
			return t
		}
	}
	return nil
}

func (o *Oracle) install(ctx context.Context) error {
	id := map[string]string{
		"sqlite":   "INTEGER PRIMARY KEY AUTOINCREMENT",
		"postgres": "BIGSERIAL PRIMARY KEY",
		"mysql":    "BIGINT AUTO_INCREMENT PRIMARY KEY",
	}[o.dialect]
	text := "TEXT"
	if o.dialect == "mysql" {
		text = "LONGTEXT"
	}
	statements := []string{fmt.Sprintf("CREATE TABLE truth (id %s, tbl %s, old %s, new %s)", id, text, text, text)}
	for _, t := range o.tables {
		statements = append(statements, o.triggers(t)...)
	}
	for _, s := range statements {
		if _, err := o.pool.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("dbtest: oracle: %w in %s", err, s)
		}
	}
	return nil
}

// triggers are the statements that make a table's changes known.
func (o *Oracle) triggers(t *oracleTable) []string {
	old, new := o.image(t, "OLD."), o.image(t, "NEW.")
	if o.dialect == "postgres" {
		fn := fmt.Sprintf(`CREATE FUNCTION truth_of_%[1]s() RETURNS trigger LANGUAGE plpgsql AS $truth$ BEGIN
			INSERT INTO truth (tbl, old, new) VALUES ('%[1]s',
				CASE WHEN TG_OP <> 'INSERT' THEN %[2]s END, CASE WHEN TG_OP <> 'DELETE' THEN %[3]s END);
			RETURN NULL;
			END $truth$`, t.name, old, new)
		return []string{fn, fmt.Sprintf(
			"CREATE TRIGGER truth_of_%[1]s AFTER INSERT OR UPDATE OR DELETE ON %[1]s FOR EACH ROW EXECUTE FUNCTION truth_of_%[1]s()", t.name)}
	}
	var statements []string
	for _, op := range []struct{ name, old, new string }{
		{"INSERT", "NULL", new}, {"UPDATE", old, new}, {"DELETE", old, "NULL"},
	} {
		insert := fmt.Sprintf("INSERT INTO truth (tbl, old, new) VALUES ('%s', %s, %s)", t.name, op.old, op.new)
		if o.dialect == "sqlite" {
			insert = "BEGIN " + insert + "; END"
		}
		statements = append(statements, fmt.Sprintf("CREATE TRIGGER truth_of_%s_%s AFTER %s ON %s FOR EACH ROW %s",
			t.name, strings.ToLower(op.name), op.name, o.quote(t.name), insert))
	}
	return statements
}

// image is a SQL expression for a row as a JSON object of strings: the bytes
// of texts in hex, so that no value is beyond JSON, and all else as text.
func (o *Oracle) image(t *oracleTable, prefix string) string {
	parts := make([]string, 0, 2*len(t.columns))
	for _, c := range t.columns {
		parts = append(parts, "'"+c.name+"'", o.value(c, prefix+o.quote(c.name)))
	}
	if o.dialect == "postgres" {
		return "json_object(ARRAY[" + strings.Join(parts, ", ") + "])::text"
	}
	return "JSON_OBJECT(" + strings.Join(parts, ", ") + ")"
}

func (o *Oracle) value(c oracleColumn, column string) string {
	raw := c.kind == kindText || c.kind == kindBytes || c.kind == kindJSON
	switch {
	case o.dialect == "postgres" && c.kind == kindBytes:
		return "encode(" + column + ", 'hex')"
	case o.dialect == "postgres" && raw:
		return "encode(convert_to(" + column + "::text, 'UTF8'), 'hex')"
	case o.dialect == "postgres":
		return column + "::text"
	case o.dialect == "mysql" && raw:
		return "HEX(" + column + ")"
	case o.dialect == "mysql":
		return "CAST(" + column + " AS CHAR)"
	case raw:
		return "CASE WHEN " + column + " IS NOT NULL THEN hex(CAST(" + column + " AS BLOB)) END"
	}
	// SQLite would print 15 digits of a real number.
	return "CASE typeof(" + column + ") WHEN 'null' THEN NULL WHEN 'real' THEN printf('%!.17g', " + column + ") ELSE CAST(" + column + " AS TEXT) END"
}

func (o *Oracle) quote(name string) string {
	if o.dialect == "mysql" {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

// watchConstraints makes the oracle see what MariaDB runs no trigger for: the
// rows that a foreign key deletes or empties together with the one they refer
// to. It goes by the database's own catalogue.
func (o *Oracle) watchConstraints(ctx context.Context) error {
	rows, err := o.pool.QueryContext(ctx, `SELECT k.TABLE_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE
		FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k
		ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME AND k.TABLE_NAME = r.TABLE_NAME
		WHERE r.CONSTRAINT_SCHEMA = DATABASE() AND r.DELETE_RULE IN ('CASCADE', 'SET NULL')`)
	if err != nil {
		return err
	}
	bodies := map[string]string{}
	for rows.Next() {
		var child, column, parent, key, action string
		if err := rows.Scan(&child, &column, &parent, &key, &action); err != nil {
			return joinClose(err, rows)
		}
		t := o.table(child)
		if t == nil {
			continue
		}
		after := "NULL"
		if action == "SET NULL" {
			emptied := *t
			emptied.columns = slices.Clone(t.columns)
			after = strings.ReplaceAll(o.image(&emptied, ""), "CAST(`"+column+"` AS CHAR)", "NULL")
		}
		bodies[parent] += fmt.Sprintf("INSERT INTO truth (tbl, old, new) SELECT '%s', %s, %s FROM %s WHERE %s = OLD.%s; ",
			child, o.image(t, ""), after, o.quote(child), o.quote(column), o.quote(key))
	}
	if err := joinClose(rows.Err(), rows); err != nil {
		return err
	}
	for parent, body := range bodies {
		if _, err := o.pool.ExecContext(ctx, fmt.Sprintf("CREATE TRIGGER constraints_of_%[1]s BEFORE DELETE ON `%[1]s` FOR EACH ROW BEGIN %[2]sEND", parent, body)); err != nil {
			return err
		}
	}
	return nil
}

// On is the oracle as another server shows it that has the same tables, as the
// node of a cluster: triggers ran where rows were written, and their truth went
// along with the rows.
func (o *Oracle) On(pool *sql.DB) *Oracle {
	other := *o
	other.pool = pool
	return &other
}

// Reset forgets all changes so far.
func (o *Oracle) Reset(ctx context.Context) error {
	_, err := o.pool.ExecContext(ctx, "DELETE FROM truth")
	return err
}

// Read returns the committed changes in their order. An update that left every
// value as it was is none.
func (o *Oracle) Read(ctx context.Context) ([]RowChange, error) {
	changes, _, err := o.readAfter(ctx, 0)
	return changes, err
}

// readAfter is Read from a row of truth on. It also returns the last.
func (o *Oracle) readAfter(ctx context.Context, last int64) (changes []RowChange, _ int64, err error) {
	query, args := "SELECT id, tbl, old, new FROM truth WHERE id > $1 ORDER BY id", []any{last}
	if o.dialect != "postgres" {
		// MariaDB would have it prepared each time.
		query, args = strings.Replace(query, "$1", strconv.FormatInt(last, 10), 1), nil
	}
	rows, err := o.pool.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, last, err
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var old, new sql.NullString
		if err := rows.Scan(&last, &table, &old, &new); err != nil {
			return nil, last, err
		}
		if old == new {
			continue
		}
		t := o.table(table)
		c := RowChange{Table: table}
		if c.Before, err = t.row(old); err != nil {
			return nil, last, err
		}
		if c.After, err = t.row(new); err != nil {
			return nil, last, err
		}
		if !maps.Equal(c.Before, c.After) {
			changes = append(changes, c)
		}
	}
	return changes, last, rows.Err()
}

func (t *oracleTable) row(image sql.NullString) (Row, error) {
	if !image.Valid {
		return nil, nil
	}
	var texts map[string]*string
	if err := json.Unmarshal([]byte(image.String), &texts); err != nil {
		return nil, fmt.Errorf("dbtest: oracle: image of %s: %w", t.name, err)
	}
	row := Row{}
	for _, c := range t.columns {
		value, err := c.kind.fromTruth(texts[c.name])
		if err != nil {
			return nil, fmt.Errorf("dbtest: oracle: %s.%s: %w", t.name, c.name, err)
		}
		row[c.name] = value
	}
	return row, nil
}

// Snapshot is every row of every table, by table and key.
type Snapshot map[string]map[string]Row

// Snapshot reads all tables.
func (o *Oracle) Snapshot(ctx context.Context) (Snapshot, error) {
	s := Snapshot{}
	for _, t := range o.tables {
		rows, err := o.pool.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s", o.image(t, ""), o.quote(t.name)))
		if err != nil {
			return nil, err
		}
		s[t.name] = map[string]Row{}
		for rows.Next() {
			var image sql.NullString
			if err := rows.Scan(&image); err != nil {
				return nil, fmt.Errorf("dbtest: oracle: %w", joinClose(err, rows))
			}
			row, err := t.row(image)
			if err != nil {
				return nil, joinClose(err, rows)
			}
			s[t.name][row.id(t.key)] = row
		}
		if err := joinClose(rows.Err(), rows); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// joinClose closes rows and keeps the first error.
func joinClose(err error, rows *sql.Rows) error {
	if closed := rows.Close(); err == nil {
		return closed
	}
	return err
}

// Since returns the rows that differ from an earlier snapshot: the truth where
// triggers are blind, if no row changed twice.
func (s Snapshot) Since(earlier Snapshot) []RowChange {
	var changes []RowChange
	for table, rows := range s {
		for id, row := range rows {
			if before := earlier[table][id]; !reflect.DeepEqual(before, row) {
				changes = append(changes, RowChange{table, before, row})
			}
		}
		for id, row := range earlier[table] {
			if rows[id] == nil {
				changes = append(changes, RowChange{table, row, nil})
			}
		}
	}
	slices.SortFunc(changes, func(a, b RowChange) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return changes
}

// id is the row's key as events show it: the parts of a composite one joined by
// a slash, which is escaped within them.
func (r Row) id(key []string) string {
	parts := make([]string, len(key))
	for i, column := range key {
		parts[i] = plain(r[column])
		if len(key) > 1 {
			parts[i] = strings.NewReplacer("%", "%25", "/", "%2F").Replace(parts[i])
		}
	}
	return strings.Join(parts, "/")
}
