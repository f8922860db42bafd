package clockify

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Order is the order of day and month in dates that are written with slashes.
// Dates as 2026-03-04 and 04.03.2026 leave no doubt and need none.
type Order string

// The orders. OrderFromFile decides from the file itself.
const (
	OrderFromFile Order = ""
	MonthFirst    Order = "MM/DD/YYYY"
	DayFirst      Order = "DD/MM/YYYY"
)

// decide finds the order in which all dates of the file are days. It refuses
// to guess: a file in which both orders are possible, and mean different days,
// is an error.
func decide(rows []row, head *header, want Order) (Order, error) {
	if want != OrderFromFile {
		return want, nil
	}
	var monthFirst, dayFirst, doubtful int // lines that prove an order; 0 if none does
	for _, r := range rows {
		for _, column := range []string{"Start Date", "End Date"} {
			d, err := parseDate(head.get(r, column))
			if err != nil || !d.slashes {
				continue // told with the row, or never in doubt
			}
			_, _, _, asMonthFirst := d.in(MonthFirst)
			_, _, _, asDayFirst := d.in(DayFirst)
			switch {
			case asMonthFirst && asDayFirst:
				if d.first != d.second && doubtful == 0 {
					doubtful = r.line
				}
			case asMonthFirst && monthFirst == 0:
				monthFirst = r.line
			case asDayFirst && dayFirst == 0:
				dayFirst = r.line
			}
		}
	}
	switch {
	case monthFirst > 0 && dayFirst > 0:
		return "", failf(max(monthFirst, dayFirst), "the date has another order of day and month than the one of line %d", min(monthFirst, dayFirst))
	case dayFirst > 0:
		return DayFirst, nil
	case monthFirst == 0 && doubtful > 0:
		return "", fmt.Errorf("%w: line %d: %w", ErrFormat, doubtful, ErrAmbiguous)
	}
	return MonthFirst, nil
}

// date is a day as it is written. With slashes, first and second are day and
// month in an order still to be decided; else month and day.
type date struct {
	year, first, second int
	slashes             bool
}

// in reads the date in an order; ok is false if there is no such day.
func (d date) in(order Order) (year, month, day int, ok bool) {
	month, day = d.first, d.second
	if d.slashes && order == DayFirst {
		month, day = day, month
	}
	t := time.Date(d.year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return d.year, month, day, t.Month() == time.Month(month) && t.Day() == day
}

// parseDate takes a date apart. It does not know yet whether there is such a
// day.
func parseDate(text string) (date, error) {
	bad := fmt.Errorf("%q is not a date as 03/31/2026, 31/03/2026, 31.03.2026 or 2026-03-31", text)
	for _, sep := range []string{"-", "/", "."} {
		parts := strings.Split(text, sep)
		if len(parts) != 3 {
			continue
		}
		a, okA := number(parts[0], 4)
		b, okB := number(parts[1], 2)
		c, okC := number(parts[2], 4)
		if !okA || !okB || !okC {
			return date{}, bad
		}
		switch {
		case sep == "-" && len(parts[0]) == 4 && len(parts[2]) <= 2:
			return date{year: a, first: b, second: c}, nil
		case sep == "/" && len(parts[2]) == 4 && len(parts[0]) <= 2:
			return date{year: c, first: a, second: b, slashes: true}, nil
		case sep == "." && len(parts[2]) == 4 && len(parts[0]) <= 2:
			return date{year: c, first: b, second: a}, nil
		}
	}
	return date{}, bad
}

// parseClock reads a time of day as 09:00:00 AM, 09:00:00 or 9:00 and returns
// it in seconds.
func parseClock(text string) (int, error) {
	bad := fmt.Errorf("%q is not a time as 09:00:00 AM, 09:00:00 or 9:00", text)
	rest := strings.ToUpper(text)
	half := ""
	for _, suffix := range []string{"AM", "PM"} {
		if before, ok := strings.CutSuffix(rest, suffix); ok {
			rest, half = strings.TrimSpace(before), suffix
		}
	}
	parts := strings.Split(rest, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return 0, bad
	}
	var v [3]int
	for i, part := range parts {
		n, ok := number(part, 2)
		if !ok || i > 0 && (n > 59 || len(part) != 2) {
			return 0, bad
		}
		v[i] = n
	}
	switch {
	case half == "" && v[0] > 23, half != "" && (v[0] < 1 || v[0] > 12):
		return 0, bad
	case half == "AM" && v[0] == 12:
		v[0] = 0
	case half == "PM" && v[0] != 12:
		v[0] += 12
	}
	return v[0]*3600 + v[1]*60 + v[2], nil
}

// number reads up to limit digits, and nothing else.
func number(text string, limit int) (int, bool) {
	if text == "" || len(text) > limit {
		return 0, false
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// minorUnits reads an amount as 1,250.00 and returns it in the currency's
// minor units. Digits beyond them must be zeros: no amount is ever rounded.
func minorUnits(text, currency string) (int64, error) {
	bad := fmt.Errorf("%q is not an amount as 1250.00", text)
	whole, fraction, _ := strings.Cut(text, ".")
	groups := strings.Split(whole, ",")
	for i, g := range groups {
		if g == "" || i > 0 && len(g) != 3 {
			return 0, bad
		}
	}
	places := decimals(currency)
	for len(fraction) < places {
		fraction += "0"
	}
	digits := strings.Join(groups, "") + fraction[:places]
	if strings.Trim(fraction[places:], "0") != "" || strings.Trim(digits, "0123456789") != "" {
		return 0, bad
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/2 {
		return 0, bad
	}
	return n, nil
}

// decimals is how many places the currency's minor unit takes (ISO 4217).
func decimals(currency string) int {
	switch currency {
	case "CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}
