// Package clockify reads the detailed report that Clockify exports as CSV.
//
// Accounts differ in their columns and formats, so columns are found by name,
// the currency is taken from the header, and the order of day and month is
// decided from the whole file.
package clockify

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrFormat is wrapped by every error about what the file holds. The message
// names the line, counted from 1.
var ErrFormat = errors.New("not a Clockify detailed report")

// ErrAmbiguous is wrapped, besides ErrFormat, if the dates of the file can be
// read in two ways. Options.Order settles it.
var ErrAmbiguous = errors.New("no date of the file tells whether the month or the day comes first; say which")

// Options are what the file itself does not say. The zero value works.
type Options struct {
	// Location is the time zone of the file's times, which is the account's.
	// Defaults to UTC.
	Location *time.Location
	// Order of day and month in dates as 03/04/2026. Defaults to what the file
	// itself decides.
	Order Order
}

// Entry is one row of the report.
type Entry struct {
	// Line is where the row begins in the file.
	Line        int
	Project     string
	Client      string
	Description string
	Task        string
	User        string
	Email       string
	Tags        []string
	Billable    bool
	Start       time.Time
	// End is the zero time while the timer runs.
	End time.Time
	// Type is REGULAR, BREAK, HOLIDAY or TIME_OFF. Files without the column
	// have regular entries only.
	Type string
	// Rate is the billable rate of an hour in minor units of Currency.
	Rate     int64
	Currency string
}

// required are the columns that every detailed report has. Others are used if
// they are there.
var required = []string{
	"Project", "Client", "Description", "Task", "User", "Email", "Tags", "Billable",
	"Start Date", "Start Time", "End Date", "End Time",
}

// Read reads a whole report. It returns all entries or, with an error that
// wraps ErrFormat and names the line, none.
func Read(r io.Reader, opts Options) ([]Entry, error) {
	if opts.Location == nil {
		opts.Location = time.UTC
	}
	in := bufio.NewReader(r)
	if bom, err := in.Peek(3); err == nil && bytes.Equal(bom, []byte("\ufeff")) {
		_, _ = in.Discard(3)
	}
	rows, head, err := readRows(in)
	if err != nil {
		return nil, err
	}
	order, err := decide(rows, head, opts.Order)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(rows))
	for _, row := range rows {
		e, err := head.entry(row, order, opts.Location)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// row is a record of the file with the line it begins at.
type row struct {
	line   int
	fields []string
}

// failf is an error at the row.
func (r row) failf(format string, args ...any) error { return failf(r.line, format, args...) }

func failf(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrFormat, line, fmt.Sprintf(format, args...))
}

func readRows(in io.Reader) ([]row, *header, error) {
	c := csv.NewReader(in)
	first, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, failf(1, "the file is empty")
	}
	if err != nil {
		return nil, nil, csvError(err, 0)
	}
	head, err := newHeader(first)
	if err != nil {
		return nil, nil, err
	}
	var rows []row
	for {
		fields, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, head, nil
		}
		if err != nil {
			return nil, nil, csvError(err, len(fields))
		}
		line, _ := c.FieldPos(0)
		for i, f := range fields {
			if !utf8.ValidString(f) {
				return nil, nil, failf(line, "column %q is not UTF-8 text", first[i])
			}
		}
		rows = append(rows, row{line, fields})
	}
}

// csvError says what is wrong with the row in words for people who have never
// heard of CSV's grammar.
func csvError(err error, fields int) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return fmt.Errorf("read the report: %w", err)
	}
	switch {
	case errors.Is(p.Err, csv.ErrFieldCount):
		return failf(p.StartLine, "the row has %d columns, the header has another number; it may be cut off", fields)
	case errors.Is(p.Err, csv.ErrQuote):
		return failf(p.StartLine, "a quoted text does not end, or holds a quote that is not doubled; the row may be cut off")
	}
	return failf(p.StartLine, "%v", p.Err)
}

// header knows where the columns are.
type header struct {
	at       map[string]int
	rate     int // column of the billable rate, -1 if there is none
	currency string
}

func newHeader(names []string) (*header, error) {
	h := &header{at: make(map[string]int, len(names)), rate: -1}
	for i, name := range names {
		if !utf8.ValidString(name) {
			return nil, failf(1, "the header is not UTF-8 text")
		}
		key := strings.ToLower(strings.TrimSpace(name))
		if rest, ok := strings.CutPrefix(key, "billable rate ("); ok && strings.HasSuffix(rest, ")") {
			if h.rate >= 0 {
				return nil, failf(1, "there are two columns of billable rates, %q and %q", names[h.rate], name)
			}
			h.rate, h.currency = i, strings.ToUpper(strings.TrimSuffix(rest, ")"))
			if len(h.currency) != 3 {
				return nil, failf(1, "column %q does not name a currency as in \"Billable Rate (USD)\"", name)
			}
			continue
		}
		if _, twice := h.at[key]; twice && slices.ContainsFunc(required, func(r string) bool { return strings.EqualFold(r, key) }) {
			return nil, failf(1, "column %q is there twice", name)
		}
		h.at[key] = i
	}
	var missing []string
	for _, name := range required {
		if _, ok := h.at[strings.ToLower(name)]; !ok {
			missing = append(missing, strconv.Quote(name))
		}
	}
	if len(missing) == 0 {
		return h, nil
	}
	hint := "export the detailed report with all its columns"
	if len(names) == 1 && strings.ContainsAny(names[0], ";\t") {
		hint = "columns must be separated by commas"
	}
	return nil, failf(1, "no column %s; %s", strings.Join(missing, ", "), hint)
}

// get is the value of a column without the space around it, empty if the file
// has no such column.
func (h *header) get(r row, name string) string {
	i, ok := h.at[strings.ToLower(name)]
	if !ok {
		return ""
	}
	return strings.TrimSpace(r.fields[i])
}

func (h *header) entry(r row, order Order, loc *time.Location) (Entry, error) {
	e := Entry{
		Line:        r.line,
		Project:     h.get(r, "Project"),
		Client:      h.get(r, "Client"),
		Description: h.get(r, "Description"),
		Task:        h.get(r, "Task"),
		User:        h.get(r, "User"),
		Email:       h.get(r, "Email"),
		Tags:        splitTags(h.get(r, "Tags")),
		Type:        entryType(h.get(r, "Type")),
	}
	if e.User == "" {
		e.User = e.Email
	}
	switch {
	case e.User == "":
		return Entry{}, r.failf("the row names no user")
	case e.Project == "" && e.Task != "":
		return Entry{}, r.failf("task %q has no project", e.Task)
	case e.Project == "" && e.Client != "":
		return Entry{}, r.failf("client %q has no project", e.Client)
	}
	var err error
	if e.Billable, err = yes(h.get(r, "Billable")); err != nil {
		return Entry{}, r.failf("column %q: %v", "Billable", err)
	}
	if e.Start, e.End, err = h.interval(r, order, loc); err != nil {
		return Entry{}, err
	}
	if h.rate >= 0 {
		if text := strings.TrimSpace(r.fields[h.rate]); text != "" {
			if e.Rate, err = minorUnits(text, h.currency); err != nil {
				return Entry{}, r.failf("billable rate: %v", err)
			}
			e.Currency = h.currency
		}
	}
	return e, nil
}

// interval reads the four columns of start and end.
func (h *header) interval(r row, order Order, loc *time.Location) (start, end time.Time, err error) {
	if start, err = h.moment(r, "Start", order, loc); err != nil {
		return start, end, err
	}
	if h.get(r, "End Date") == "" && h.get(r, "End Time") == "" {
		return start, time.Time{}, nil // still running
	}
	if end, err = h.moment(r, "End", order, loc); err != nil {
		return start, end, err
	}
	if end.Before(start) {
		// When clocks are turned back an hour is there twice, and its text
		// does not say which of the two is meant.
		if earlier := start.Add(-time.Hour); sameClock(earlier, start) {
			start = earlier
		}
		if later := end.Add(time.Hour); end.Before(start) && sameClock(later, end) {
			end = later
		}
		if end.Before(start) {
			return start, end, r.failf("the entry ends before it starts")
		}
	}
	return start, end, nil
}

func sameClock(a, b time.Time) bool { return a.Format(time.DateTime) == b.Format(time.DateTime) }

// moment reads the columns of a date and a time, side being Start or End.
func (h *header) moment(r row, side string, order Order, loc *time.Location) (time.Time, error) {
	date, clock := h.get(r, side+" Date"), h.get(r, side+" Time")
	d, err := parseDate(date)
	if err != nil {
		return time.Time{}, r.failf("column %q: %v", side+" Date", err)
	}
	year, month, day, ok := d.in(order)
	if !ok {
		return time.Time{}, r.failf("column %q: there is no day %q with dates as %s", side+" Date", date, order)
	}
	sec, err := parseClock(clock)
	if err != nil {
		return time.Time{}, r.failf("column %q: %v", side+" Time", err)
	}
	return time.Date(year, time.Month(month), day, 0, 0, sec, 0, loc), nil
}

func splitTags(text string) []string {
	var tags []string
	for _, tag := range strings.Split(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

func entryType(text string) string {
	if text == "" {
		return "REGULAR"
	}
	return strings.ReplaceAll(strings.ToUpper(text), " ", "_")
}

func yes(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "yes":
		return true, nil
	case "no", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither Yes nor No", text)
}
