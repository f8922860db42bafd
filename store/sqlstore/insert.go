package sqlstore

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// insert makes the statements that write events. That of one event names every
// column. Those of one change have nearly everything in common, so a statement
// of several says that once and joins to it what differs:
//
//	INSERT INTO events (id, time, workspace, ...) SELECT v.c0, $2, $3, ... FROM unnest($1) v (c0, ...)
//
// It takes half the time of one that says everything for each of them.
type insert struct {
	dialect    Dialect
	head       string
	headWithin string // of one that a transaction takes back if it fails
	one        string
}

// statement is an INSERT with its variables.
type statement struct {
	text string
	args []any
}

func newInsert(n names) insert {
	into := "INTO " + n.qualified(n.events) + " (" + strings.Join(columns[:], ", ") + ") "
	q := insert{dialect: n.dialect, head: "INSERT " + into, headWithin: "INSERT " + into}
	if n.dialect == SQLite {
		// Else it keeps a copy of each page that a statement changes, to take back
		// what this one has written alone: a fifth of the time of many events.
		q.headWithin = "INSERT OR FAIL " + into
	}
	var b strings.Builder
	b.WriteString(q.head + "VALUES (")
	for i := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(n.dialect.placeholder(i + 1))
	}
	q.one = b.String() + ")"
	return q
}

// statements are those that write some rows, in their order. Each of them writes
// all or none of its rows, unless there is a transaction to take back what it has
// written before it fails.
func (q *insert) statements(rows [][]any, within bool) []statement {
	if len(rows) == 1 {
		return []statement{{q.one, rows[0]}}
	}
	differ := differing(rows)
	size := q.dialect.rowsPerInsert(len(differ))
	all := make([]statement, 0, (len(rows)+size-1)/size)
	for part := range slices.Chunk(rows, size) {
		all = append(all, q.joined(part, differ, within))
	}
	return all
}

// differing are the places of the columns in which rows are not all the same.
func differing(rows [][]any) []int {
	places := []int{0} // the id, of which no two are the same
	for c := 1; c < len(columns); c++ {
		if slices.ContainsFunc(rows[1:], func(row []any) bool { return !sameArg(rows[0][c], row[c]) }) {
			places = append(places, c)
		}
	}
	return places
}

func sameArg(a, b any) bool {
	x, bytesA := a.([]byte)
	y, bytesB := b.([]byte)
	if bytesA || bytesB {
		return bytesA == bytesB && bytes.Equal(x, y)
	}
	return a == b
}

// joined is one statement for all rows.
func (q *insert) joined(rows [][]any, differ []int, within bool) statement {
	s := statement{args: make([]any, 0, len(columns)+len(rows)*len(differ))}
	var b strings.Builder
	b.Grow(len(q.head) + 600 + len(rows)*(4+2*len(differ)))
	if within {
		b.WriteString(q.headWithin)
	} else {
		b.WriteString(q.head)
	}
	b.WriteString("SELECT ")
	for c, d := 0, 0; c < len(columns); c++ {
		if c > 0 {
			b.WriteByte(',')
		}
		if d < len(differ) && differ[d] == c {
			q.decoded(&b, c, "v."+q.dialect.joinedColumn(d))
			d++
			continue
		}
		v := q.encoded(c, rows[0][c])
		if v == nil {
			q.decoded(&b, c, "NULL")
			continue
		}
		s.args = append(s.args, v)
		q.decoded(&b, c, q.dialect.placeholder(len(s.args)))
	}
	b.WriteString(" FROM ")
	switch q.dialect {
	case Postgres:
		s.args = q.unnest(&b, s.args, rows, differ)
	case MySQL:
		s.args = q.union(&b, s.args, rows, differ)
	default:
		s.args = q.values(&b, s.args, rows, differ)
	}
	s.text = b.String()
	return s
}

// encoded is a variable as it is bound outside of VALUES, where the database
// does not know from the column what it is: MySQL takes bytes for text there.
func (q *insert) encoded(column int, v any) any {
	if id, ok := v.([]byte); ok && q.dialect == MySQL && uuidColumn(column) {
		return hex.EncodeToString(id)
	}
	return v
}

// decoded writes an expression of what encoded has made.
func (q *insert) decoded(b *strings.Builder, column int, expression string) {
	switch {
	case q.dialect == Postgres:
		b.WriteString(expression + "::" + postgresType(column))
	case q.dialect == MySQL && uuidColumn(column):
		b.WriteString("UNHEX(" + expression + ")")
	default:
		b.WriteString(expression)
	}
}

// values joins the rows as SQLite lists them; it calls the columns column1,
// column2 and so on.
func (q *insert) values(b *strings.Builder, args []any, rows [][]any, differ []int) []any {
	b.WriteString("(VALUES ")
	for r, row := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		for i, c := range differ {
			b.WriteString("(?,?"[2*min(i, 1):][:2])
			args = append(args, row[c])
		}
		b.WriteByte(')')
	}
	b.WriteString(") v")
	return args
}

// union joins the rows as every MySQL and MariaDB lists them. The first row
// gives the columns their types; without the cast a variable is a CHAR, which
// has no spaces at its end.
func (q *insert) union(b *strings.Builder, args []any, rows [][]any, differ []int) []any {
	b.WriteByte('(')
	for r, row := range rows {
		if r > 0 {
			b.WriteString(" UNION ALL ")
		}
		b.WriteString("SELECT ")
		for i, c := range differ {
			if i > 0 {
				b.WriteByte(',')
			}
			switch {
			case r > 0:
				b.WriteByte('?')
			case textColumn(c):
				b.WriteString("CAST(? AS CHAR) " + q.dialect.joinedColumn(i))
			default:
				b.WriteString("? " + q.dialect.joinedColumn(i))
			}
			args = append(args, q.encoded(c, row[c]))
		}
	}
	b.WriteString(") v")
	return args
}

// unnest joins the rows as one text for each column, which PostgreSQL takes
// apart, so that no driver needs to know arrays and the text of the statement is
// the same for any number of rows.
func (q *insert) unnest(b *strings.Builder, args []any, rows [][]any, differ []int) []any {
	b.WriteString("unnest(")
	for i, c := range differ {
		if i > 0 {
			b.WriteByte(',')
		}
		placeholder := q.dialect.placeholder(len(args) + 1)
		list, ok := "", false
		if textColumn(c) {
			list, ok = separated(rows, c)
		}
		if ok {
			b.WriteString("string_to_array(" + placeholder + `,E'\x1f',E'\x1e')`)
		} else {
			list = array(rows, c)
			b.WriteString(placeholder + "::" + postgresType(c) + "[]")
		}
		args = append(args, list)
	}
	b.WriteString(") v (")
	for i := range differ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(q.dialect.joinedColumn(i))
	}
	b.WriteByte(')')
	return args
}

// Separators of texts, which JSON never has and other texts hardly ever.
const (
	betweenTexts = '\x1f'
	insteadOfOne = '\x1e' // where a row has none
)

// separated is a column of several rows with a separator between them; false if
// a text has one, too. Escaping the quotes of JSON for an array, and undoing that,
// takes longer than all the rest of a list.
func separated(rows [][]any, column int) (string, bool) {
	size := 0
	for _, row := range rows {
		text, _ := row[column].(string)
		if strings.IndexByte(text, betweenTexts) >= 0 || strings.IndexByte(text, insteadOfOne) >= 0 {
			return "", false
		}
		size += len(text) + 2
	}
	b := make([]byte, 0, size)
	for r, row := range rows {
		if r > 0 {
			b = append(b, betweenTexts)
		}
		if text, ok := row[column].(string); ok {
			b = append(b, text...)
		} else {
			b = append(b, insteadOfOne)
		}
	}
	return string(b), true
}

// array is a column of rows as PostgreSQL writes an array.
func array(rows [][]any, column int) string {
	size := 2
	for _, row := range rows {
		text, _ := row[column].(string)
		size += len(text) + len(text)/4 + 4
	}
	b := make([]byte, 0, size)
	b = append(b, '{')
	for r, row := range rows {
		if r > 0 {
			b = append(b, ',')
		}
		switch v := row[column].(type) {
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case string:
			b = appendElement(b, v)
		default:
			b = append(b, "NULL"...)
		}
	}
	return string(append(b, '}'))
}

func appendElement(b []byte, s string) []byte {
	b = append(b, '"')
	for from := 0; ; {
		i := strings.IndexAny(s[from:], `"\`)
		if i < 0 {
			return append(append(b, s[from:]...), '"')
		}
		b = append(append(b, s[from:from+i]...), '\\', s[from+i])
		from += i + 1
	}
}

// joinedColumn is the name of the nth joined column, counted from 0.
func (d Dialect) joinedColumn(n int) string {
	if d == SQLite {
		return "column" + strconv.Itoa(n+1)
	}
	return "c" + strconv.Itoa(n)
}

// rowsPerInsert is the number of rows of which one INSERT says what differs.
// Drivers of SQLite search all variables for each of them, so that twice the
// rows take four times as long.
func (d Dialect) rowsPerInsert(differing int) int {
	if d == SQLite {
		return max(maxArgsPerInsert/differing, 1)
	}
	return maxRows
}

const (
	// maxRows is the number of events that one INSERT writes at most; what
	// they differ in stays under the 65,535 variables that MySQL takes.
	maxRows = 1000
	// maxArgsPerInsert is the number of variables of an INSERT on SQLite.
	maxArgsPerInsert = 400
)

// postgresType is the type of a column on PostgreSQL.
func postgresType(column int) string {
	switch name := columns[column]; {
	case uuidColumn(column):
		return "uuid"
	case name == "time":
		return "bigint"
	case name == "derived":
		return "smallint"
	case name == "schema_version":
		return "integer"
	}
	return "text"
}

func textColumn(column int) bool { return postgresType(column) == "text" }

func uuidColumn(column int) bool {
	switch columns[column] {
	case "id", "cause", "change_set":
		return true
	}
	return false
}
