package hooks

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"github.com/gormtrail/audit"
)

// image is a row as the database holds it.
type image struct {
	cells []cell // in the order of the layout's columns
	key   string // of the primary key, to pair images of one row
	args  []any  // the primary key as the driver gave it, to select the row again
}

// cell is the value of one column.
type cell struct {
	json []byte // nil if it was not read
	form audit.Form
	// doubtful marks a long value that the statement set and of which the
	// database made no digest: it may have changed though it looks the same.
	doubtful bool
}

// reader scans rows into images. It converts a value when the driver hands it
// over, so that nothing is copied twice. What a statement leaves of its pieces of
// memory the next one takes: most read one row.
type reader struct {
	layout   *layout
	assigned assignments
	dest     []any
	scans    []scan

	row    image
	twin   *reader // that reads the same rows, and each of them before
	cells  slab[cell]
	args   slab[any]
	images slab[image]
	arena  []byte // holds the JSON of the row at hand, and of others before it
	from   int    // where the row at hand begins in it
}

// scan is the destination of one selected expression.
type scan struct {
	r           *reader
	column      int
	description bool
}

// reader returns a reader, which is to be released.
func (l *layout) reader(assigned assignments) *reader {
	r, ok := l.readers.Get().(*reader)
	if !ok {
		r = newReader(l)
	}
	r.assigned = assigned
	return r
}

func newReader(l *layout) *reader {
	r := &reader{layout: l, scans: make([]scan, 0, 2*len(l.columns))}
	for i := range l.columns {
		r.scans = append(r.scans, scan{r: r, column: i})
		if l.columns[i].wide {
			r.scans = append(r.scans, scan{r: r, column: i, description: true})
		}
	}
	r.dest = make([]any, len(r.scans))
	for i := range r.scans {
		r.dest[i] = &r.scans[i]
	}
	for range l.dialect.filler(len(r.dest)) {
		r.dest = append(r.dest, nothing{})
	}
	return r
}

// nothing takes a value that is not needed.
type nothing struct{}

func (nothing) Scan(any) error { return nil }

// release lets a reader be used again, often for the same row as a statement has
// left it. What it has read stays as it is. One that has met large values would
// keep them in memory, and is dropped.
func (r *reader) release() {
	if cap(r.arena) > maxArena {
		return
	}
	r.assigned, r.row.cells, r.twin = assignments{}, nil, nil
	r.cells.rest()
	r.args.rest()
	r.images.rest()
	r.layout.readers.Put(r)
}

// Scan implements sql.Scanner.
func (s *scan) Scan(src any) error {
	r, c := s.r, &s.r.layout.columns[s.column]
	from := len(r.arena)
	out := &r.row.cells[s.column]
	if s.description {
		if src == nil {
			return nil
		}
		var text string
		switch v := src.(type) {
		case string:
			text = v
		case []byte:
			text = string(v)
		}
		r.arena = appendDescribed(r.arena, c.kind, text)
		out.form = audit.FormShortened
		out.doubtful = strings.Contains(text, " - ") && r.assigned.has(c.name)
	} else {
		r.arena, out.form = appendCanonical(r.arena, c.kind, src)
	}
	out.json = r.arena[from:len(r.arena):len(r.arena)]
	if c.key {
		r.identify(s.column, src, out.json)
	}
	return nil
}

// identify takes in a column of the primary key. Two images of one row follow each
// other, as a rule, and have the key in common: both what it is in JSON, which
// might be that of another key, too, and what the driver gave.
func (r *reader) identify(column int, src any, json []byte) {
	l := r.layout
	if len(l.keys) > 1 {
		r.row.args[slices.Index(l.keys, column)] = l.keyArg(column, src, "")
		return
	}
	if r.twin != nil {
		r.row.key, r.row.args = r.twin.row.key, r.twin.row.args
	}
	if string(json) != r.row.key || !isArg(r.row.args[0], src) {
		r.row.key, r.row.args = string(json), r.args.take(1)
		r.row.args[0] = l.keyArg(column, src, r.row.key)
	}
}

// isArg reports whether keyArg has made arg of such a value; false if that is not
// easily told.
func isArg(arg, src any) bool {
	switch v := src.(type) {
	case []byte:
		if b, ok := arg.([]byte); ok {
			return bytes.Equal(b, v)
		}
		text, ok := arg.(string)
		return ok && text == string(v)
	case string, int64:
		return arg == src
	}
	return false
}

// keyArg is a value of a primary key that outlives the row it came with. JSON of it
// may have the same text. Bytes stay bytes on SQLite, whatever the column's type:
// it takes no BLOB for equal to a text.
func (l *layout) keyArg(column int, src any, json string) any {
	b, ok := src.([]byte)
	n := len(b)
	switch {
	case !ok:
		return src
	case l.columns[column].kind == kindBytes, l.dialect.name == "sqlite":
		return bytes.Clone(b)
	case l.columns[column].typeName == "BIT" && n <= 8: // MariaDB compares it as a number
		var number [8]byte
		copy(number[8-n:], b)
		return binary.BigEndian.Uint64(number[:])
	case len(json) == n+2 && json[1:n+1] == string(b):
		return json[1 : n+1]
	}
	return string(b)
}

// reset makes room for a row.
func (r *reader) reset() {
	r.row.cells = r.cells.take(len(r.layout.columns))
	if n := len(r.layout.keys); n > 1 {
		r.row.args = r.args.take(n)
	}
	expected := 24 * len(r.layout.columns)
	if r.from < len(r.arena) {
		expected = (len(r.arena) - r.from) * 5 / 4 // rows are much alike
	}
	if cap(r.arena)-len(r.arena) < expected {
		// The first row may be the only one.
		r.arena = make([]byte, 0, max(expected, min(2*cap(r.arena), maxArena)))
	}
	r.from = len(r.arena)
}

// maxArena bounds the bytes that rows share, for the same reason as [maxSlab].
const maxArena = 8 << 10

// image is the row that was scanned.
func (r *reader) image() image {
	if len(r.layout.keys) > 1 {
		r.row.key = r.layout.keyOf(r.row.cells)
	}
	return r.row
}

// keyOf joins the JSON of the primary key, which no two rows share.
func (l *layout) keyOf(cells []cell) string { return joinKey(cells, l.keys) }

// joinKey joins the JSON of some columns.
func joinKey(cells []cell, columns []int) string {
	if len(columns) == 1 {
		return string(cells[columns[0]].json)
	}
	var b []byte
	for _, k := range columns {
		b = append(append(b, cells[k].json...), ',')
	}
	return string(b)
}

// scanRows runs a statement that gives rows and scans each of them by a reader,
// and what follows its columns into further destinations. The statement's own error is returned
// as it is: it may be the application's statement, and GORM tells errors of a
// database apart by their types.
func scanRows(ctx context.Context, tx audit.DBTX, text string, args []any, row func(), r *reader, further ...any) error {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	dest := r.dest
	if len(further) > 0 {
		dest = slices.Concat(r.dest, further)
	}
	for rows.Next() {
		r.reset()
		if err := rows.Scan(dest...); err != nil {
			return failed(err)
		}
		row()
	}
	return rows.Err() // they are closed behind the last one
}

// query runs a SELECT, or a statement with RETURNING, whose list is the
// layout's, and returns the rows.
func query(ctx context.Context, tx audit.DBTX, l *layout, assigned assignments, text string, args []any) ([]image, error) {
	r := l.reader(assigned)
	defer r.release()
	images := r.images.open(1)
	err := scanRows(ctx, tx, text, args, func() { images = append(images, r.image()) }, r)
	return r.images.keep(images), err
}

// keysPerQuery bounds the keys named in one SELECT.
const keysPerQuery = 1000

// selectBy reads the rows whose columns have one of the given values, in
// portions. Tail follows the condition, for example to lock the rows.
func (l *layout) selectBy(ctx context.Context, tx audit.DBTX, assigned assignments, columns []string, values [][]any, tail string) ([]image, error) {
	var images []image
	for len(values) > 0 {
		n := min(len(values), keysPerQuery/len(columns))
		condition, args := l.dialect.in(columns, values[:n], 0)
		part, err := query(ctx, tx, l, assigned, "SELECT "+l.textsFor(assigned).list+" FROM "+l.from+" WHERE "+condition+tail, args)
		if err != nil {
			return nil, err
		}
		images, values = append(images, part...), values[n:]
	}
	return images, nil
}

// selectAgain reads rows by their primary keys, as a statement has left them.
func (l *layout) selectAgain(ctx context.Context, tx audit.DBTX, assigned assignments, keys [][]any) ([]image, error) {
	if len(keys) == 1 {
		return query(ctx, tx, l, assigned, l.textsFor(assigned).again, keys[0])
	}
	return l.selectBy(ctx, tx, assigned, l.keyNames, keys, l.dialect.again)
}

// in is the condition that columns have one of the given values, and its
// variables, the first of which is the one after bound.
func (d dialect) in(columns []string, values [][]any, bound int) (string, []any) {
	var b strings.Builder
	args := make([]any, 0, len(values)*len(columns))
	tuple := func(v []any) {
		for i := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			args = append(args, v[i])
			b.WriteString(d.bind(bound + len(args)))
		}
	}
	if len(columns) == 1 {
		b.WriteString(d.quote(columns[0]))
		if len(values) == 1 {
			b.WriteByte('=')
			tuple(values[0])
			return b.String(), args
		}
		b.WriteString(" IN (")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			tuple(v)
		}
		b.WriteByte(')')
		return b.String(), args
	}
	b.WriteByte('(')
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.quote(c))
	}
	b.WriteString(") IN (" + d.valuesIn)
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		tuple(v)
		b.WriteByte(')')
	}
	b.WriteByte(')')
	return b.String(), args
}

// keysOf are the keys of rows.
func keysOf(rows []image) map[string]bool {
	keys := make(map[string]bool, len(rows))
	for i := range rows {
		keys[rows[i].key] = true
	}
	return keys
}

// arg is a value as a variable of a query.
func (c cell) arg() any {
	if c.form == audit.FormBase64 {
		if b, err := base64.StdEncoding.DecodeString(plain(c)); err == nil {
			return b
		}
	}
	if len(c.json) > 0 && c.json[0] != '"' {
		var n int64
		if json.Unmarshal(c.json, &n) == nil && string(c.json) != "null" {
			return n
		}
	}
	return plain(c)
}
