package report

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// dateOf reports whether a time is the first moment of a day in a zone.
func dateOf(t time.Time, loc *time.Location) (date string, ok bool) {
	t = t.In(loc)
	y, m, d := t.Date()
	return t.Format(time.DateOnly), audit.StartOfDay(y, m, d, loc).Equal(t)
}

// loadZone finds a time zone by its name. Local is none: it is another zone on
// another machine, and so are the files by which machines keep their own.
func loadZone(name string) (*time.Location, error) {
	loc, err := time.LoadLocation(name)
	if err == nil && slices.ContainsFunc([]string{"local", "localtime", "posixrules"}, func(s string) bool { return strings.EqualFold(s, path.Base(name)) }) {
		err = fmt.Errorf("report: the zone %s is another one on another machine", name)
	}
	return loc, err
}

// readZone takes the reader's time zone from the URL.
func (q *request) readZone() error {
	name := q.values.Get("tz")
	if name == "" {
		return nil
	}
	loc, err := loadZone(name)
	if err != nil {
		return badParameter("tz", "There is no time zone %q. Name one like Europe/Berlin or UTC.", clip(name, maxQuoted))
	}
	q.location = loc
	return nil
}

// zone is the parameter that keeps the reader's time zone; empty for the
// default.
func (q *request) zone() string {
	if name := q.location.String(); name != q.opts.Location.String() {
		return name
	}
	return ""
}

// commonZones are suggested; others can be typed.
var commonZones = []string{
	"UTC",
	"Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi",
	"America/Bogota", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Mexico_City", "America/New_York",
	"America/Sao_Paulo", "America/Toronto",
	"Asia/Dubai", "Asia/Hong_Kong", "Asia/Jakarta", "Asia/Kolkata", "Asia/Manila", "Asia/Seoul", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo",
	"Australia/Perth", "Australia/Sydney",
	"Europe/Athens", "Europe/Belgrade", "Europe/Berlin", "Europe/Istanbul", "Europe/London", "Europe/Madrid", "Europe/Paris",
	"Pacific/Auckland",
}
