package audit

import "time"

// StartOfDay returns the first instant of a day as the clocks of a place show
// it: midnight, or what followed where they were put forward over midnight. If
// midnight came twice it is the first one. A day is what lies between its start
// and that of the next day, be it 23, 24 or 25 hours. A month or day out of range
// is taken as by [time.Date]; a nil location is UTC.
func StartOfDay(year int, month time.Month, day int, in *time.Location) time.Time {
	if in == nil {
		in = time.UTC
	}
	wall := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	// From before what any clock calls that day, go through the times between
	// two changes of the clocks.
	for t := wall.AddDate(0, 0, -2).In(in); ; {
		start, end := t.ZoneBounds()
		if !end.IsZero() && !end.After(t) {
			// From 2040 on, ZoneBounds takes every year for one of 365 days: in the
			// last one of a leap year, when no clock changes, the end has passed.
			end = t.AddDate(0, 0, 1)
		}
		_, offset := t.Zone()
		midnight := wall.Add(-time.Duration(offset) * time.Second)
		if !start.IsZero() && midnight.Before(start) {
			return start
		}
		if end.IsZero() || midnight.Before(end) {
			return midnight.In(in)
		}
		t = end
	}
}
