package hooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

// table is a table whose rows are captured: that of a registered model, or one
// that joins two of them.
type table struct {
	name   string // as the schema says it, with the database schema if any
	schema *schema.Schema
	keys   []string   // columns of the primary key
	unique [][]string // further sets of columns an INSERT may conflict on
	entity *entity    // how rows become events; nil for a join table
	join   *join      // how rows become elements of a relation; nil for a model

	bystander bool // its rows leave no events; see newBystander

	layout   atomic.Pointer[layout]
	indexes  atomic.Pointer[[][]string] // unique ones; see uniqueIndexes
	defaults atomic.Pointer[map[string]string]
	referred atomic.Bool // others show the labels of its rows
}

// newTable returns the table of a parsed model.
func newTable(s *schema.Schema) (*table, error) {
	t := &table{name: s.Table, schema: s, keys: s.PrimaryFieldDBNames}
	if len(t.keys) == 0 {
		return nil, fmt.Errorf("audit: model %s has no primary key, so its records cannot be told apart; mark one with gorm:\"primaryKey\"", s.Name)
	}
	add := func(columns []string) {
		same := func(u []string) bool { return slices.Equal(u, columns) }
		if len(columns) > 0 && !slices.Equal(columns, t.keys) && !slices.ContainsFunc(t.unique, same) {
			t.unique = append(t.unique, columns)
		}
	}
	for _, index := range s.ParseIndexes() {
		if index.Class != "UNIQUE" {
			continue
		}
		columns := make([]string, len(index.Fields))
		for i, f := range index.Fields {
			columns[i] = f.DBName
		}
		add(columns)
	}
	for _, f := range s.Fields {
		if f.Unique && f.DBName != "" {
			add([]string{f.DBName})
		}
	}
	return t, nil
}

// column is a column of a captured table.
type column struct {
	name     string
	kind     kind
	typeName string // as the database calls it
	wide     bool   // may hold a long value
	redacted bool
	secrets  *secrets // within its values; nil if these hold no parts
	audited  bool     // is part of events; others are read for what they mean
	key      bool
}

// layout is the columns of a table as the database has them. It is found out
// at the first statement on the table, because a table may be migrated after
// the plugin is registered.
type layout struct {
	columns []column
	index   map[string]int
	known   map[string]string // all names by their spellings, those of columns that are not read among them; see named
	keys    []int             // of the primary key

	// Places of the columns with a meaning; -1 if there is none.
	workspace, owner, label, deleted int

	alive *time.Time // as in entity

	dialect  dialect
	table    string   // without the database schema
	from     string   // quoted, with it
	keyNames []string // of the primary key
	edition  string   // see newEdition
	clashes  bool     // the table or a column of it has a name as ours in composed statements

	lean  *texts   // if no wide column is assigned
	texts sync.Map // else: uint64 to *texts, by which of them are; see mask

	composed  composed // forms of statements that record what they do
	versioned atomic.Pointer[bool]
	readers   sync.Pool // of *reader
}

// ourPrefix begins the names that statements of PostgreSQL are given beside the
// application's.
const ourPrefix = "audit_"

// texts are what statements are made of.
type texts struct {
	list      string // of columns, for SELECT or RETURNING
	qualified string // the same with the table's name before each column
	old       string // the same under names that nothing in SET can mean
	again     string // the SELECT of a row that a statement has left, by its key

	matching kept[*matching] // by the text of an UPDATE or DELETE
}

// find returns the place of a column, or -1.
func (l *layout) find(name string) int {
	if i, ok := l.index[name]; ok && name != "" {
		return i
	}
	return -1
}

// load returns the layout, asking the database for it the first time.
func (t *table) load(ctx context.Context, p *Plugin, tx audit.DBTX) (*layout, error) {
	p.settleMigrations()
	if l := t.layout.Load(); l != nil {
		return l, nil
	}
	if t.bystander {
		return t.loadBystander(ctx, p, tx)
	}
	d, edition := p.dialect, p.newEdition()
	types, err := t.columnTypes(ctx, d, tx, edition+"*")
	if err != nil {
		return nil, err // as the statement itself would give it
	}
	hidden, err := t.hidden(ctx, d, tx, types)
	if err != nil {
		return nil, err
	}
	if len(hidden) > 0 {
		more, err := t.columnTypes(ctx, d, tx, d.list(hidden))
		if err != nil {
			return nil, err
		}
		types = append(types, more...)
	}
	l, err := t.arrange(d, types, edition)
	if err != nil {
		return nil, err
	}
	if p.migrations.running.Load() == 0 { // else others may see another table
		t.layout.Store(l)
	}
	return l, nil
}

// columnTypes asks for the types of what a SELECT of the table lists.
func (t *table) columnTypes(ctx context.Context, d dialect, tx audit.DBTX, list string) ([]*sql.ColumnType, error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+list+" FROM "+d.quote(t.name)+" WHERE 1=0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	return types, errors.Join(rows.Err(), rows.Close())
}

// hidden are the model's columns that are there and not among the types of "*":
// MySQL has invisible ones. Nothing is asked unless a column is missing.
func (t *table) hidden(ctx context.Context, d dialect, tx audit.DBTX, types []*sql.ColumnType) ([]string, error) {
	missing := slices.DeleteFunc(slices.Clone(t.schema.DBNames), func(name string) bool {
		return slices.ContainsFunc(types, func(ct *sql.ColumnType) bool { return d.spelled(ct.Name(), t.schema) == name })
	})
	if d.name != "mysql" || len(missing) == 0 {
		return nil, nil
	}
	rows, err := tx.QueryContext(ctx, "SHOW COLUMNS FROM "+d.quote(t.name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var hidden []string
	for rows.Next() {
		var name string
		var rest sql.RawBytes
		if err := rows.Scan(&name, &rest, &rest, &rest, &rest, &rest); err != nil {
			return nil, err
		}
		if slices.Contains(missing, name) {
			hidden = append(hidden, name)
		}
	}
	return hidden, errors.Join(rows.Err(), rows.Close())
}

// newEdition is a comment that stands in those texts of a layout whose result has
// the types of the table. PostgreSQL refuses a statement that was prepared before a
// migration has changed these, and pgx prepares each text that it meets. So what is
// looked up anew has texts of its own. The other databases need none.
func (p *Plugin) newEdition() string {
	if p.dialect.name != "postgres" {
		return ""
	}
	return "/*" + strconv.FormatUint(p.editions.Add(1), 10) + "*/"
}

// arrange makes the layout from the columns the database names.
func (t *table) arrange(d dialect, types []*sql.ColumnType, edition string) (*layout, error) {
	l := &layout{index: map[string]int{}, known: map[string]string{}, dialect: d, table: t.name[strings.LastIndexByte(t.name, '.')+1:], from: d.quote(t.name), keyNames: slices.Clone(t.keys), edition: edition}
	l.clashes = strings.HasPrefix(l.table, ourPrefix)
	e := t.entity
	if e == nil {
		e = t.join.meaning
	}
	for _, ct := range types {
		name := d.spelled(ct.Name(), t.schema)
		l.known[name] = name
		if lower := strings.ToLower(name); l.known[lower] == "" {
			l.known[lower] = name
		}
		l.clashes = l.clashes || strings.HasPrefix(name, ourPrefix)
		f := t.schema.FieldsByDBName[name]
		c := column{
			name:     name,
			kind:     d.kindOf(f, ct.DatabaseTypeName()),
			typeName: strings.ToUpper(ct.DatabaseTypeName()),
			audited:  !e.ignored[name],
			redacted: e.redacts(name),
			key:      slices.Contains(t.keys, name),
		}
		if !c.audited && !c.key && !e.means(name) {
			continue
		}
		c.wide = !c.key && mayBeLong(d.name, c.kind, f, ct)
		if !c.key && !c.redacted && (c.kind == kindText || c.kind == kindJSON || c.kind == kindBytes) {
			c.secrets = secretsOf(f, e.shown[name])
		}
		l.index[name] = len(l.columns)
		l.columns = append(l.columns, c)
	}
	for _, k := range t.keys {
		i := l.find(k)
		if i < 0 {
			return nil, fmt.Errorf("table %q has no column %q, the model's primary key", t.name, k)
		}
		l.keys = append(l.keys, i)
	}
	l.workspace, l.owner, l.label, l.deleted = l.find(e.workspace), l.find(e.owner), l.find(e.label), l.find(e.deleted)
	l.alive = e.alive
	l.lean = l.newTexts(0)
	return l, nil
}

// spelled is a column's name as the model has it: to SQLite and MySQL, which know a
// column in any letters, a table's Memo is a model's memo.
func (d dialect) spelled(column string, s *schema.Schema) string {
	if d.name == "postgres" || s.FieldsByDBName[column] != nil {
		return column
	}
	for _, name := range s.DBNames {
		if strings.EqualFold(name, column) {
			return name
		}
	}
	return column
}

// maxWide is how many wide columns are told apart in a mask.
const maxWide = 64

// mask has a bit for each wide column that a statement sets.
func (l *layout) mask(assigned assignments) uint64 {
	var mask uint64
	wide := 0
	for i := range l.columns {
		if !l.columns[i].wide {
			continue
		}
		if assigned.has(l.columns[i].name) {
			mask |= 1 << min(wide, maxWide-1)
		}
		wide++
	}
	return mask
}

// each calls f with what every column is selected by.
func (l *layout) each(mask uint64, table string, f func(i int, expressions []string)) {
	wide := 0
	for i := range l.columns {
		c := &l.columns[i]
		assigned := false
		if c.wide {
			assigned = mask>>min(wide, maxWide-1)&1 == 1
			wide++
		}
		f(i, l.dialect.selected(c, table, assigned))
	}
}

// textsFor are the texts for a statement that sets some columns.
func (l *layout) textsFor(assigned assignments) *texts {
	mask := l.mask(assigned)
	if mask == 0 {
		return l.lean
	}
	if t, ok := l.texts.Load(mask); ok {
		return t.(*texts)
	}
	t := l.newTexts(mask)
	l.texts.Store(mask, t)
	return t
}

func (l *layout) newTexts(mask uint64) *texts {
	var list, old []string
	l.each(mask, "", func(i int, expressions []string) {
		list = append(list, expressions...)
		for k, e := range expressions {
			old = append(old, e+" AS "+oldName(i, k))
		}
	})
	for range l.dialect.filler(len(list)) {
		list = append(list, "0")
	}
	t := &texts{list: l.edition + strings.Join(list, ","), qualified: l.qualified(mask, l.table), old: strings.Join(old, ",")}
	condition, _ := l.dialect.in(l.keyNames, [][]any{make([]any, len(l.keyNames))}, 0)
	t.again = "SELECT " + t.list + " FROM " + l.from + " WHERE " + condition + l.dialect.again
	return t
}

// qualified is the list of columns by the name that the table has in a statement.
func (l *layout) qualified(mask uint64, table string) string {
	var list []string
	l.each(mask, table, func(_ int, expressions []string) { list = append(list, expressions...) })
	for range l.dialect.filler(len(list)) {
		list = append(list, "0")
	}
	return l.edition + strings.Join(list, ",")
}

// kindOf settles what a column holds from what the database calls its type and
// from the model's field, if it has one.
func (d dialect) kindOf(f *schema.Field, typeName string) kind {
	typeName = strings.ToUpper(typeName)
	switch {
	case d.name == "sqlite" && typeName == "DATE":
		return kindDay // it keeps a time all the same
	case d.name == "sqlite" && (typeName == "DATETIME" || typeName == "TIMESTAMP"):
		return kindTime // and its driver reads one, whatever the model has
	case d.name == "mysql" && typeName == "FLOAT":
		return kindFloat32 // of eight bytes everywhere else
	}
	switch typeName {
	case "JSON", "JSONB":
		return kindJSON
	case "BYTEA", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB":
		return kindBytes
	case "FLOAT4":
		return kindFloat32
	case "DATE":
		return kindDate
	}
	if f != nil {
		if f.TagSettings["SERIALIZER"] == "json" {
			return kindJSON
		}
		if k, ok := kindOfType(string(f.DataType)); ok {
			return k
		}
		if k, ok := kindOfType(string(f.GORMDataType)); ok {
			return k
		}
	}
	k, _ := kindOfType(strings.ToLower(typeName))
	return k
}

// kindOfType reads a type as GORM or a database writes it. What is in its
// parentheses, such as the words of an enum, is not part of its name.
func kindOfType(t string) (kind, bool) {
	t, _, _ = strings.Cut(strings.ToLower(t), "(")
	switch schema.DataType(t) {
	case schema.Bool, "boolean":
		return kindBool, true
	case schema.Int, schema.Uint, schema.Float:
		return kindNumber, true
	case schema.String:
		return kindText, true
	case schema.Time:
		return kindTime, true
	case schema.Bytes:
		return kindBytes, true
	case "date":
		return kindDate, true
	}
	for _, p := range [...]struct {
		part string
		kind kind
	}{
		{"json", kindJSON},
		{"timestamp", kindTime},
		{"datetime", kindTime},
		{"blob", kindBytes},
		{"binary", kindBytes},
		{"bytea", kindBytes},
		{"decimal", kindNumber},
		{"numeric", kindNumber},
		{"double", kindNumber},
		{"float", kindNumber},
		{"real", kindNumber},
		{"char", kindText},
		{"text", kindText},
		{"uuid", kindText},
		{"int", kindNumber},
		{"serial", kindNumber},
	} {
		if strings.Contains(t, p.part) {
			return p.kind, true
		}
	}
	return kindText, false
}

// mayBeLong reports whether a value of the column may exceed
// audit.MaxValueBytes. SQLite does not hold columns to their sizes; there the
// model's word is taken, and a longer value is shortened after it is read.
func mayBeLong(dialect string, k kind, f *schema.Field, ct *sql.ColumnType) bool {
	if k != kindText && k != kindJSON && k != kindBytes {
		return false
	}
	if f != nil && f.Size > 0 && f.Size < audit.MaxValueBytes && k == kindText {
		return false
	}
	switch t := strings.ToUpper(ct.DatabaseTypeName()); dialect {
	case "postgres":
		return t == "TEXT" || t == "VARCHAR" || t == "BYTEA" || t == "JSON" || t == "JSONB"
	case "mysql":
		return strings.HasSuffix(t, "TEXT") && t != "TINYTEXT" || strings.HasSuffix(t, "BLOB") && t != "TINYBLOB" || t == "JSON"
	}
	return true
}
