package report

import (
	"cmp"
	"time"

	"github.com/gormtrail/audit"
)

// preset is a range that people choose by its name.
type preset struct {
	Name, Label string
	// from and to are days, counted from today; to is the last one.
	from, to time.Time
}

// presets are the ranges that are not longer than allowed.
func (q *request) presets() []preset {
	y, m, d := q.now.In(q.location).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // a day, not a moment
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	first := today.AddDate(0, 0, 1-d)
	all := []preset{
		{"today", "Today", today, today},
		{"yesterday", "Yesterday", today.AddDate(0, 0, -1), today.AddDate(0, 0, -1)},
		{"week", "This week", monday, today},
		{"last-week", "Last week", monday.AddDate(0, 0, -7), monday.AddDate(0, 0, -1)},
		{"7d", "Last 7 days", today.AddDate(0, 0, -6), today},
		{"30d", "Last 30 days", today.AddDate(0, 0, -29), today},
		{"month", "This month", first, today},
		{"last-month", "Last month", first.AddDate(0, -1, 0), first.AddDate(0, 0, -1)},
	}
	var possible []preset
	for _, p := range all {
		if q.opts.MaxDays < 0 || days(p.from, p.to) <= q.opts.MaxDays {
			possible = append(possible, p)
		}
	}
	return possible
}

// days is the number of days of a range.
func days(from, to time.Time) int { return int(to.Sub(from)/(24*time.Hour)) + 1 }

// bounds are the moments at which a preset begins and ends.
func (q *request) bounds(from, to time.Time) (start, end time.Time) {
	return audit.StartOfDay(from.Year(), from.Month(), from.Day(), q.location), audit.StartOfDay(to.Year(), to.Month(), to.Day()+1, q.location)
}

// setRange sets the time of a filter from the form, or checks that which the
// query has set. It returns the preset that was used, if one was.
func (q *request) setRange(f *audit.Filter, fm form) (preset string, err error) {
	inQuery := !f.From.IsZero() || !f.To.IsZero()
	switch {
	case inQuery && (fm.Range != "" || fm.From != "" || fm.To != ""):
		return "", badParameter("q", "The dates are given twice, in the form and in the query. Leave one of them out.")
	case inQuery:
		if f.To.IsZero() {
			today := q.now.In(q.location)
			_, f.To = q.bounds(today, today)
		}
		return "", q.checkRange(*f)
	case fm.Range != "" || fm.From == "" && fm.To == "":
		preset = cmp.Or(fm.Range, q.defaultPreset())
		p, err := q.preset(preset)
		f.From, f.To = q.bounds(p.from, p.to)
		return preset, err
	}
	from, to, err := parseDays(fm.From, fm.To)
	if err != nil {
		return "", err
	}
	f.From, f.To = q.bounds(from, to)
	return "", q.checkRange(*f)
}

// wholeDays are the first and the last day of a filter. They are empty if the
// two days would not come back as the very same range: that of a day which the
// place has skipped is no day that begins anywhere.
func (q *request) wholeDays(f audit.Filter) (first, last string) {
	first = f.From.In(q.location).Format(time.DateOnly)
	last = f.To.Add(-1).In(q.location).Format(time.DateOnly) // midnight need not exist, so no day is taken off the date
	from, to, err := parseDays(first, last)
	if err != nil {
		return "", ""
	}
	if start, end := q.bounds(from, to); !start.Equal(f.From) || !end.Equal(f.To) {
		return "", ""
	}
	return first, last
}

// defaultPreset is the range of a report that names none.
func (q *request) defaultPreset() string {
	if q.opts.MaxDays > 0 && q.opts.MaxDays < 7 {
		return "today"
	}
	return "7d"
}

// preset finds a range by its name.
func (q *request) preset(name string) (preset, error) {
	var names []string
	for _, p := range q.presets() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return preset{}, badParameter("range", "There is no range %q. There are %s.", clip(name, maxQuoted), listed(names))
}

// parseDays reads the first and the last day of a range.
func parseDays(first, last string) (from, to time.Time, err error) {
	if from, err = parseDay("from", "first", first); err != nil {
		return from, to, err
	}
	if to, err = parseDay("to", "last", last); err != nil {
		return from, to, err
	}
	if to.Before(from) {
		return from, to, badParameter("to", "The last day, %s, is before the first one, %s.", last, first)
	}
	return from, to, nil
}

// parseDay reads a day. Years are those that every store can keep.
func parseDay(name, which, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, badParameter(name, "The %s day is missing. Fill in both days, or choose one of the ranges.", which)
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1970 || day.Year() > 9000 {
		return time.Time{}, badParameter(name, "The %s day is %q, which is no day. Write it like 2026-11-22.", which, clip(text, maxQuoted))
	}
	return day, nil
}

// checkRange refuses a report that is longer than allowed.
func (q *request) checkRange(f audit.Filter) error {
	if q.opts.MaxDays < 0 {
		return nil
	}
	if f.From.IsZero() {
		return badParameter("q", "A report needs a first day, for it covers %s at most.", plural(q.opts.MaxDays, "day", "days"))
	}
	from := f.From.In(q.location)
	y, m, d := from.Date()
	limit := from.AddDate(0, 0, q.opts.MaxDays)
	if day := audit.StartOfDay(y, m, d+q.opts.MaxDays, q.location); day.After(limit) {
		limit = day
	}
	if !f.To.After(limit) {
		return nil
	}
	asked := int((f.To.Sub(f.From) + 23*time.Hour) / (24 * time.Hour))
	return badParameter("to", "A report covers %s at most, and this range has %d. Choose a shorter one.", plural(q.opts.MaxDays, "day", "days"), asked)
}

// rangeText is a range as people read it.
func (q *request) rangeText(f audit.Filter) string {
	from, to := f.From.In(q.location), f.To.In(q.location)
	_, whole := dateOf(f.From, q.location)
	_, wholeToo := dateOf(f.To, q.location)
	const date, moment = "2 January 2006", "2 January 2006 15:04:05"
	switch {
	case f.From.IsZero():
		return "until " + to.Format(moment)
	case !whole || !wholeToo || !f.From.Before(f.To):
		return from.Format(moment) + " – " + to.Format(moment)
	}
	last := f.To.Add(-1).In(q.location)
	switch {
	case from.Format(date) == last.Format(date):
		return last.Format(date)
	case from.Year() == last.Year() && from.Month() == last.Month():
		return from.Format("2") + " – " + last.Format(date)
	case from.Year() == last.Year():
		return from.Format("2 January") + " – " + last.Format(date)
	}
	return from.Format(date) + " – " + last.Format(date)
}
