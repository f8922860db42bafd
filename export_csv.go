package audit

import (
	"context"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// CSVOptions say how [WriteCSV] writes. The zero value, and nil, are what
// people open in a spreadsheet.
type CSVOptions struct {
	// PerChange writes one row for each change of an event instead of one row
	// for each event. An event without changes still has a row.
	PerChange bool

	// Raw leaves out the apostrophes that keep spreadsheets from running a cell
	// as a formula. Set it only for programs that read the file; a spreadsheet
	// may run what somebody wrote into a description. Defaults to safe cells.
	Raw bool

	// Location is the time zone of the Time column. Defaults to UTC. The
	// column "timestamp" is always in UTC.
	Location *time.Location

	// BOM begins the file with a byte order mark, by which Excel knows UTF-8.
	// Defaults to none.
	BOM bool

	// NoHeader leaves out the header and the byte order mark, for what is added
	// to a file that has them. Defaults to writing them.
	NoHeader bool

	// Catalog has the labels. Defaults to [DefaultCatalog].
	Catalog *Catalog
}

// WriteCSV writes events as CSV (RFC 4180: comma, CRLF, quotes where needed;
// UTF-8) with a header, one row for each event. First stand the columns that
// people read:
//
//	Time             2026-11-22 10:00:00+00:00, in the zone of the options
//	Author           the actor's name, else its id
//	Action           the catalogue's label: Updated project
//	Record type      project
//	Record           the record's label, else its id
//	Previous values  a line for each field that changed: name: Gemini
//	New values       the same after the change: name: Apollo
//	Reason           why, if the author told
//	On behalf of     the initiator of what System did
//
// and then those for programs, named and meant as in [Event.MarshalJSON]:
//
//	event_id, timestamp, workspace, actor_kind, actor_id, initiator_kind,
//	initiator_id, action_code, operation, origin, entity_type, entity_id,
//	owner, ownership, changes (the JSON array), cause, derived, change_set,
//	request_id, request_address, request_agent, schema_version
//
// With [CSVOptions.PerChange] the columns "Field", "Previous value" and "New
// value" take the place of "Previous values" and "New values", and change (its
// number within the event), before, before_label, before_form, after,
// after_label, after_form and element that of changes. Columns keep their
// names and order; later versions may add some at the end.
//
// Values read as their text, a reference as its label. What has no text is in
// parentheses: (none) is null, (empty) an empty text, (not recorded),
// (withheld), (partial) before JSON of which parts were withheld, (shortened,
// 70000 bytes) before the beginning of a long value, and (base64) before bytes
// that are no text. A text that itself begins with a
// parenthesis or a quote is put in quotes. A side that there cannot be, as the
// previous value of a record just created, is left out. In the columns for
// people, control characters and those that change the direction of writing
// are shown as \u202e; a line break within the values of an event is \n.
//
// Cells are safe in spreadsheets. An apostrophe is put before a cell whose
// first character, spaces and invisible ones aside, is one of = + - @ or their
// full-width and small forms, before a cell that begins with a tab or a line
// break, and before one that begins with an apostrophe. [UnprefixCSV] gives
// the original back: remove one apostrophe from the beginning if there is one.
// NUL, which breaks programs that read CSV, and bytes that are not UTF-8
// become U+FFFD.
//
// A spreadsheet may cut long cells: Excel does after 32,767 characters. The file
// has them whole.
//
// It streams: memory does not grow with the number of events. It returns the
// number of events that w took with all their rows, also together with an
// error: that of the events, or that of w. The events before it have been
// written then.
func WriteCSV(w io.Writer, events iter.Seq2[Event, error], opts *CSVOptions) (int, error) {
	return writeCSV(w, yielded(events), opts)
}

// ExportCSV is [WriteCSV] of all that f asks for, newest first, by [Snapshot]: the
// fast way for a long file. Its errors are those of both.
func ExportCSV(ctx context.Context, w io.Writer, store Store, f Filter, opts *CSVOptions) (int, error) {
	return writeCSV(w, snapshot(ctx, store, f), opts)
}

func writeCSV(w io.Writer, events walk, opts *CSVOptions) (int, error) {
	var o CSVOptions
	if opts != nil {
		o = *opts
	}
	row := csvRow{
		catalog: o.Catalog.orDefault(), location: o.Location, raw: o.Raw, columns: csvEventColumns(),
		names: make(map[atom][2]string),
	}
	if row.location == nil {
		row.location = time.UTC
	}
	if o.PerChange {
		row.columns = csvChangeColumns()
	}
	var head []byte
	if o.BOM {
		head = append(head, "\ufeff"...)
	}
	for i, c := range row.columns {
		if i > 0 {
			head = append(head, ',')
		}
		head = append(head, c.name...)
	}
	head = append(head, "\r\n"...)
	if o.NoHeader {
		head = nil
	}
	return export(w, string(head), events, func(b []byte, e *Event) ([]byte, error) {
		row.begin(e)
		if !o.PerChange || len(e.Changes) == 0 {
			return row.appendTo(b), nil
		}
		for i, c := range e.Changes {
			row.number, row.change = i+1, c
			b = row.appendTo(b)
		}
		return b, nil
	})
}

// csvRow is what the cells of one row are made from.
type csvRow struct {
	catalog  *Catalog
	location *time.Location
	raw      bool
	columns  []csvColumn

	event       *Event
	utc         []byte // its time, to the second
	label, code string
	// names remembers labels and codes, for they are made from parts.
	names map[atom][2]string
	of    atom // what label and code are names of
	// change is that of the row and number its place in the event, from 1 on;
	// 0 for a row of a whole event.
	change Change
	number int
}

// csvColumn makes its cells of a text, or appends them to b.
type csvColumn struct {
	name  string
	text  func(r *csvRow) string
	cell  func(r *csvRow, b []byte) []byte
	holds cellText
}

// cellText is what the cells of a column hold.
type cellText int

const (
	anyText   cellText = iota
	plainText          // letters, digits and hyphens: safe as it is
	jsonText           // an array in JSON: safe in quotes
)

// maxCSVNames bounds what is remembered of an application's own words.
const maxCSVNames = 4096

// begin makes the row that of an event.
func (r *csvRow) begin(e *Event) {
	r.event, r.number, r.change = e, 0, Change{}
	r.utc = appendTime(r.utc[:0], e.Time.UTC(), 'T')
	of := atom{kind{e.Entity.Type, e.Operation}, e.Origin, e.Ownership}
	if of == r.of && r.label != "" {
		return
	}
	names, known := r.names[of]
	if !known {
		names[0], names[1] = r.catalog.names(e)
		if len(r.names) < maxCSVNames {
			r.names[of] = names
		}
	}
	r.of, r.label, r.code = of, names[0], names[1]
}

func (r *csvRow) appendTo(b []byte) []byte {
	for i := range r.columns {
		if i > 0 {
			b = append(b, ',')
		}
		start, c := len(b), &r.columns[i]
		if c.text != nil {
			b = append(b, c.text(r)...)
		} else {
			b = c.cell(r, b)
		}
		switch {
		case len(b) == start || c.holds == plainText:
		case c.holds == jsonText:
			b = quoteCell(b, start, `"`)
		default:
			b = sealCell(b, start, r.raw)
		}
	}
	return append(b, "\r\n"...)
}

func csvEventColumns() []csvColumn {
	return csvColumns(
		[]csvColumn{
			{name: "Previous values", cell: func(r *csvRow, b []byte) []byte { return appendSide(b, r.event, previousSide) }},
			{name: "New values", cell: func(r *csvRow, b []byte) []byte { return appendSide(b, r.event, newSide) }},
		},
		[]csvColumn{
			{name: "changes", holds: jsonText, cell: func(r *csvRow, b []byte) []byte {
				if len(r.event.Changes) == 0 {
					return b
				}
				return AppendChanges(b, r.event.Changes)
			}},
		},
	)
}

func csvChangeColumns() []csvColumn {
	value := func(side csvSide) func(*csvRow, []byte) []byte {
		return func(r *csvRow, b []byte) []byte {
			if r.number == 0 || !side.told(r.event.Operation, &r.change) {
				return b
			}
			v, opposite := side.of(&r.change)
			return appendShown(b, v, opposite, true)
		}
	}
	return csvColumns(
		[]csvColumn{
			{name: "Field", cell: func(r *csvRow, b []byte) []byte { return appendVisible(b, r.change.Field, false) }},
			{name: "Previous value", cell: value(previousSide)},
			{name: "New value", cell: value(newSide)},
		},
		[]csvColumn{
			{name: "change", cell: func(r *csvRow, b []byte) []byte {
				if r.number == 0 {
					return b
				}
				return strconv.AppendInt(b, int64(r.number), 10)
			}},
			{name: "before", cell: func(r *csvRow, b []byte) []byte { return appendCellJSON(b, r.change.Before) }},
			{name: "before_label", cell: func(r *csvRow, b []byte) []byte { return append(b, r.change.Before.Label...) }},
			{name: "before_form", cell: func(r *csvRow, b []byte) []byte { return append(b, r.change.Before.Form...) }},
			{name: "after", cell: func(r *csvRow, b []byte) []byte { return appendCellJSON(b, r.change.After) }},
			{name: "after_label", cell: func(r *csvRow, b []byte) []byte { return append(b, r.change.After.Label...) }},
			{name: "after_form", cell: func(r *csvRow, b []byte) []byte { return append(b, r.change.After.Form...) }},
			{name: "element", cell: func(r *csvRow, b []byte) []byte { return appendTrue(b, r.change.Element) }},
		},
	)
}

// csvColumns are the columns with the values put where people and programs
// look for them.
func csvColumns(people, programs []csvColumn) []csvColumn {
	visible := func(name string, text func(r *csvRow) string) csvColumn {
		return csvColumn{name: name, cell: func(r *csvRow, b []byte) []byte { return appendVisible(b, text(r), true) }}
	}
	text := func(name string, text func(r *csvRow) string) csvColumn { return csvColumn{name: name, text: text} }
	id := func(name string, id func(e *Event) uuid.UUID) csvColumn {
		return csvColumn{name: name, holds: plainText, cell: func(r *csvRow, b []byte) []byte { return appendCellID(b, id(r.event)) }}
	}
	columns := []csvColumn{
		{name: "Time", cell: func(r *csvRow, b []byte) []byte {
			if r.event.Time.IsZero() {
				return b
			}
			if r.location == time.UTC {
				b = append(b, r.utc...)
				b[len(b)-len("T15:04:05")] = ' '
				return append(b, "+00:00"...)
			}
			t := r.event.Time.In(r.location)
			return t.AppendFormat(appendTime(b, t, ' '), "-07:00")
		}},
		visible("Author", func(r *csvRow) string { return r.event.Actor.String() }),
		visible("Action", func(r *csvRow) string { return r.label }),
		visible("Record type", func(r *csvRow) string { return r.catalog.Noun(r.event.Entity.Type) }),
		visible("Record", func(r *csvRow) string { return or(r.event.Entity.Label, r.event.Entity.ID) }),
	}
	columns = append(columns, people...)
	columns = append(columns,
		visible("Reason", func(r *csvRow) string { return r.event.Reason }),
		visible("On behalf of", func(r *csvRow) string { return r.event.Initiator.String() }),
		id("event_id", func(e *Event) uuid.UUID { return e.ID }),
		csvColumn{name: "timestamp", cell: func(r *csvRow, b []byte) []byte {
			if r.event.Time.IsZero() {
				return b
			}
			b = append(append(b, r.utc...), '.')
			micros := r.event.Time.Nanosecond() / 1000
			b = appendTwo(appendTwo(appendTwo(b, micros/10000), micros/100%100), micros%100)
			return append(b, 'Z')
		}},
		text("workspace", func(r *csvRow) string { return r.event.Workspace }),
		text("actor_kind", func(r *csvRow) string { return string(r.event.Actor.Kind) }),
		text("actor_id", func(r *csvRow) string { return r.event.Actor.ID }),
		text("initiator_kind", func(r *csvRow) string { return string(r.event.Initiator.Kind) }),
		text("initiator_id", func(r *csvRow) string { return r.event.Initiator.ID }),
		text("action_code", func(r *csvRow) string { return r.code }),
		text("operation", func(r *csvRow) string { return string(r.event.Operation) }),
		text("origin", func(r *csvRow) string { return string(r.event.Origin) }),
		text("entity_type", func(r *csvRow) string { return string(r.event.Entity.Type) }),
		text("entity_id", func(r *csvRow) string { return r.event.Entity.ID }),
		text("owner", func(r *csvRow) string { return r.event.Entity.Owner }),
		text("ownership", func(r *csvRow) string { return string(r.event.Ownership) }),
	)
	columns = append(columns, programs...)
	return append(columns,
		id("cause", func(e *Event) uuid.UUID { return e.Cause }),
		csvColumn{name: "derived", cell: func(r *csvRow, b []byte) []byte { return appendTrue(b, r.event.Derived) }},
		id("change_set", func(e *Event) uuid.UUID { return e.ChangeSet }),
		text("request_id", func(r *csvRow) string { return r.event.Request.ID }),
		text("request_address", func(r *csvRow) string { return r.event.Request.Address }),
		text("request_agent", func(r *csvRow) string { return r.event.Request.Agent }),
		csvColumn{name: "schema_version", cell: func(r *csvRow, b []byte) []byte {
			if r.event.SchemaVersion == 0 {
				return b
			}
			return strconv.AppendInt(b, int64(r.event.SchemaVersion), 10)
		}},
	)
}
