// Package report prints events as a table that people can read.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gormtrail/audit"
)

// Table prints events in columns: time, author, action, record, what changed.
type Table struct {
	// Catalog names the actions. Nil is that of Clockify.
	Catalog *audit.Catalog
	// Location is the zone of the times. Nil is UTC.
	Location *time.Location
	// Fold is the number of events from which on those of one action in one
	// change set are folded: the first three are shown, the rest is counted. 0
	// folds nothing.
	Fold int
}

// folded is how many events of a fold are shown.
const folded = 3

// maxFields is how many fields of a record are shown that was created, deleted
// or restored. The CSV has all.
const maxFields = 8

// widths of the columns; the table is as wide as their sum and the gaps.
var widths = [...]int{16, 18, 24, 25, 49}

const gap = "  "

// Write prints the events in the order given and returns how many of them have
// a row of their own.
func (t Table) Write(w io.Writer, events []audit.Event) (shown int, err error) {
	var out strings.Builder
	writeRow(&out, []string{"Time"}, []string{"Author"}, []string{"Action"}, []string{"Record"}, []string{"What changed"})
	rules := make([][]string, len(widths))
	for i, width := range widths {
		rules[i] = []string{strings.Repeat("─", width)}
	}
	writeRow(&out, rules...)
	for len(events) > 0 {
		alike := t.alike(events)
		rows := alike
		if t.Fold > 0 && len(alike) >= t.Fold {
			rows = alike[:folded]
		}
		for _, e := range rows {
			t.event(&out, e)
		}
		if rest := len(alike) - len(rows); rest > 0 {
			row := fmt.Sprintf("… and %d more, folded: -action %s shows them", rest, t.Catalog.Code(alike[0]))
			writeRow(&out, nil, nil, []string{t.Catalog.Label(alike[0])}, nil, wrap(row, widths[4]))
		}
		shown += len(rows)
		events = events[len(alike):]
		if out.Len() > 1<<16 || len(events) == 0 {
			if _, err := io.WriteString(w, out.String()); err != nil {
				return shown, err
			}
			out.Reset()
		}
	}
	return shown, nil
}

// alike returns the first events that belong to one change set and action.
func (t Table) alike(events []audit.Event) []audit.Event {
	first, label := events[0], t.Catalog.Label(events[0])
	n := slices.IndexFunc(events, func(e audit.Event) bool {
		return e.ChangeSet != first.ChangeSet || t.Catalog.Label(e) != label
	})
	if n < 0 {
		n = len(events)
	}
	return events[:n]
}

func (t Table) event(out *strings.Builder, e audit.Event) {
	author := wrap(visible(e.Actor.String()), widths[1])
	if !e.Initiator.IsZero() {
		author = append(author, wrap("for "+visible(e.Initiator.String()), widths[1])...)
	}
	record := clip(visible(e.Entity.Label), 60)
	if record == "" {
		record = "(" + t.Catalog.Noun(e.Entity.Type) + ")"
	}
	writeRow(out,
		[]string{e.Time.In(t.zone()).Format("2006-01-02 15:04")},
		author, wrap(t.Catalog.Label(e), widths[2]), wrap(record, widths[3]), t.changes(e))
}

func (t Table) zone() *time.Location {
	if t.Location == nil {
		return time.UTC
	}
	return t.Location
}

// changes are the lines of what changed: one or more for each field of an
// update, and running text for a record that came or went.
func (t Table) changes(e audit.Event) []string {
	width := widths[len(widths)-1]
	var lines []string
	if e.Operation == audit.Updated {
		for _, c := range e.Changes {
			parts := c.Details()
			if parts == nil {
				parts = []audit.Change{c}
			}
			for _, c := range parts {
				lines = append(lines, wrap(t.readable(c).String(), width)...)
			}
		}
	} else {
		lines = flow(t.summary(e), width)
	}
	if e.Reason != "" {
		lines = append(lines, wrap("reason: "+clip(visible(e.Reason), 120), width)...)
	}
	return lines
}

// summary is what a record had that came or went: its fields that say
// something, without its own key and the workspace, which the report has in common.
func (t Table) summary(e audit.Event) []string {
	var fields []string
	for _, c := range e.Changes {
		v := c.After
		if e.Operation == audit.Deleted {
			v = c.Before
		}
		both := c.Before.Recorded() && c.After.Recorded() && !c.Element
		switch {
		case both: // what a soft delete or a restore did to the row
			fields = slices.Insert(fields, 0, t.readable(c).String())
		case c.Field == "id" || c.Field == "workspace_id" || saysNothing(v):
		default:
			c := t.readable(audit.Change{Field: c.Field, After: v})
			fields = append(fields, c.Field+": "+c.After.String())
		}
	}
	if rest := len(fields) - maxFields; rest > 1 {
		fields = append(fields[:maxFields], fmt.Sprintf("and %d more", rest))
	}
	return fields
}

// saysNothing tells the values that a field has when nobody has set it.
func saysNothing(v audit.Value) bool {
	switch string(v.JSON) {
	case "", "null", `""`, "0", "false":
		return v.Form == audit.FormPlain
	}
	return false
}

// readable is the change as people read it: the field in words, a time in the
// table's zone, and of a reference its label alone.
func (t Table) readable(c audit.Change) audit.Change {
	parts := strings.Split(c.Field, ".")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(strings.TrimSuffix(part, "_id"), "_", " ")
	}
	c.Field = strings.Join(parts, " › ")
	if string(c.Before.JSON) != string(c.After.JSON) && c.Before.Label != c.After.Label {
		c.Before, c.After = bare(c.Before), bare(c.After)
	}
	c.Before, c.After = t.local(c.Before), t.local(c.After)
	return c
}

// bare is a reference by its label alone.
func bare(v audit.Value) audit.Value {
	if v.Label != "" {
		v.JSON = nil
	}
	return v
}

// local is a time in the table's zone, and any other value as it is.
func (t Table) local(v audit.Value) audit.Value {
	var text string
	if v.Form != audit.FormPlain || len(v.JSON) == 0 || v.JSON[0] != '"' || json.Unmarshal(v.JSON, &text) != nil {
		return v
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return v
	}
	format := "2006-01-02 15:04"
	if at.Truncate(time.Minute) != at {
		format = "2006-01-02 15:04:05"
	}
	// Not a JSON string, so that it is shown without quotes.
	v.JSON = json.RawMessage(at.In(t.zone()).Format(format))
	return v
}

// writeRow prints the lines of each column side by side.
func writeRow(out *strings.Builder, columns ...[]string) {
	height := 1
	for _, lines := range columns {
		height = max(height, len(lines))
	}
	for i := range height {
		var line strings.Builder
		for c, lines := range columns {
			cell := ""
			if i < len(lines) {
				cell = lines[i]
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", max(0, widths[c]-utf8.RuneCountInString(cell))))
			line.WriteString(gap)
		}
		out.WriteString(strings.TrimRight(line.String(), " "))
		out.WriteByte('\n')
	}
}

// wrap breaks a text into lines of at most width characters, between words
// where it can.
func wrap(text string, width int) []string {
	var lines []string
	line, length := "", 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines = append(lines, line)
			line, length = "", 0
		}
		for n > width {
			head := clipRunes(word, width)
			lines = append(lines, head)
			word = word[len(head):]
			n -= width
		}
		if length > 0 {
			line, length = line+" "+word, length+1+n
		} else {
			line, length = word, n
		}
	}
	if length > 0 {
		lines = append(lines, line)
	}
	return lines
}

// flow puts items beside each other as far as they fit, and wraps those that
// are longer than a line.
func flow(items []string, width int) []string {
	var lines []string
	line := ""
	for i, item := range items {
		if i < len(items)-1 {
			item += ";"
		}
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(item) > width {
			lines = append(lines, wrap(line, width)...)
			line = ""
		}
		line = strings.TrimSpace(line + " " + item)
	}
	return append(lines, wrap(line, width)...)
}

// visible keeps a text on one line and a terminal from obeying it.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '↵'
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return ' '
		}
		return r
	}, s)
}

// clip cuts a text to n characters, the last being an ellipsis.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return clipRunes(s, n-1) + "…"
}

func clipRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
