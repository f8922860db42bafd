package report_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit/report"
	"github.com/gormtrail/audit/store/memstore"
)

func TestDaysBeginAndEndInTheReadersZone(t *testing.T) {
	t.Parallel()
	h := handler(t, memstore.New(), report.Options{MaxDays: -1})
	for _, c := range []struct{ zone, from, to, wantFrom, wantTo, why string }{
		{"UTC", "2026-11-20", "2026-11-20", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "a plain day"},
		{"Europe/Berlin", "2026-11-20", "2026-11-21", "2026-11-19T23:00:00Z", "2026-11-21T23:00:00Z", "winter"},
		{"Europe/Berlin", "2026-03-29", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "a day of 23 hours"},
		{"Europe/Berlin", "2026-10-25", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "a day of 25 hours"},
		{"America/New_York", "2026-11-01", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", "a day of 25 hours"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", "midnight is missing"},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-03", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "the day before"},
		{"America/Sao_Paulo", "2018-02-17", "2018-02-17", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z", "an hour before midnight comes twice"},
		{"America/Havana", "2026-11-01", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", "midnight comes twice"},
		{"America/Havana", "2026-03-08", "2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", "midnight is missing"},
		{"Asia/Beirut", "2021-03-28", "2021-03-28", "2021-03-27T22:00:00Z", "2021-03-28T21:00:00Z", "midnight is missing"},
		{"Australia/Lord_Howe", "2026-04-05", "2026-04-05", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", "half an hour twice"},
		{"Pacific/Apia", "2011-12-29", "2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "the day after is missing"},
		{"Pacific/Apia", "2011-12-30", "2011-12-30", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "a day that was skipped"},
		{"Asia/Kathmandu", "2026-11-20", "2026-11-20", "2026-11-19T18:15:00Z", "2026-11-20T18:15:00Z", "an odd offset"},
		{"Pacific/Kiritimati", "2026-11-20", "2026-11-20", "2026-11-19T10:00:00Z", "2026-11-20T10:00:00Z", "far east"},
	} {
		target := fmt.Sprintf("/?from=%s&to=%s&tz=%s", c.from, c.to, c.zone)
		code, l := getJSON(t, h, target)
		require.Equal(t, http.StatusOK, code, "%s: %v", c.why, l.Error)
		require.Equal(t, c.wantFrom, l.From, "%s in %s: %s", c.from, c.zone, c.why)
		require.Equal(t, c.wantTo, l.To, "%s in %s: %s", c.to, c.zone, c.why)
	}
}

func TestTheDaysOfAReportStayTheSameInItsFormAndItsLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, from, to string
		form           [2]string
		why            string
	}{
		{"America/Santiago", "2026-09-05", "2026-09-06", [2]string{"2026-09-05", "2026-09-06"}, "midnight is missing on the last day"},
		{"America/Santiago", "2026-09-06", "2026-09-06", [2]string{"2026-09-06", "2026-09-06"}, "and on the only one"},
		{"America/Havana", "2023-03-11", "2023-03-12", [2]string{"2023-03-11", "2023-03-12"}, "midnight is missing"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04", [2]string{"2018-11-04", "2018-11-04"}, "midnight is missing"},
		{"Pacific/Apia", "2011-12-29", "2011-12-30", [2]string{"2011-12-29", "2011-12-29"}, "the last day was skipped, and the day before is the same range"},
		{"Pacific/Apia", "2011-12-30", "2011-12-31", [2]string{"2011-12-31", "2011-12-31"}, "the first day was skipped"},
		{"Europe/Berlin", "2026-03-29", "2026-03-29", [2]string{"2026-03-29", "2026-03-29"}, "23 hours"},
	} {
		loc, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		noon, err := time.ParseInLocation(time.DateTime, c.form[1]+" 12:00:00", loc)
		require.NoError(t, err)
		events := many(20)
		for i := range events {
			events[i].Time = noon.UTC().Add(time.Duration(i) * time.Second)
		}
		h := handler(t, storeWith(t, events...), report.Options{})
		target := fmt.Sprintf("/?size=10&tz=%s&from=%s&to=%s", c.zone, c.from, c.to)
		got := controls(get(t, h, target).Body.String())
		days := [2]string{got.Get("from"), got.Get("to")}
		require.Equal(t, c.form, days, "%s: %s", target, c.why)
		requireLinks(t, h, target, 20)
	}
}

func TestARangeThatNoDaysNameStaysInTheQuery(t *testing.T) {
	t.Parallel()
	h := handler(t, memstore.New(), report.Options{})
	for target, want := range map[string]string{
		"/?tz=Pacific/Apia&from=2011-12-30&to=2011-12-30": "created:2011-12-31T00:00:00+14:00..2011-12-31T00:00:00+14:00", // a day that was skipped
		"/?q=created:1960-01-01":                          "created:1960-01-01",                                           // before the first day that the form takes
	} {
		page := get(t, h, target).Body.String()
		got := controls(page)
		require.Equal(t, []string{"", "", want}, []string{got.Get("from"), got.Get("to"), got.Get("q")}, target)
		require.Equal(t, whole(page), whole(get(t, h, "/?"+got.Encode()).Body.String()), target)
	}
}

func TestAReportReachesToTheLastDayThatCanBeWritten(t *testing.T) {
	t.Parallel()
	h := handler(t, storeWith(t, many(20)...), report.Options{MaxDays: -1})
	for _, query := range []string{"created:2026-11-01..9999-12-31", "-created:9999-12-31"} {
		query += "+type:project,tag" // and no event of an export
		requireLinks(t, h, "/?size=10&q="+query, 20)
		code, l := getJSON(t, h, "/?size=10&q="+query)
		require.Equal(t, http.StatusOK, code, query)
		code, next := getJSON(t, h, "/?size=10&q="+query+"&page="+*l.Next)
		require.Equal(t, http.StatusOK, code, query)
		require.Equal(t, []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, numbers(next.Events), query)
		code, wrong := getJSON(t, h, "/?q="+query+"&page="+strings.Repeat("A", 56))
		require.Equal(t, http.StatusBadRequest, code, query)
		require.Equal(t, "page", wrong.Error.Parameter, query)
	}
}

func TestRangesThatHaveANameAreReckonedInTheReadersZone(t *testing.T) {
	t.Parallel()
	late := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC) // a Sunday; Monday in Berlin
	h := handler(t, memstore.New(), report.Options{Now: func() time.Time { return late }, MaxDays: 31})
	for _, c := range []struct{ zone, name, from, to string }{
		{"UTC", "", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "today", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "yesterday", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		{"UTC", "week", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "last-week", "2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z"},
		{"UTC", "7d", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "30d", "2026-10-24T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "month", "2026-11-01T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "last-month", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"},
		{"Europe/Berlin", "today", "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"},
		{"Europe/Berlin", "week", "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"},
		{"Europe/Berlin", "last-week", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"},
		{"Europe/Berlin", "last-month", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"},
		{"America/Los_Angeles", "today", "2026-11-22T08:00:00Z", "2026-11-23T08:00:00Z"},
	} {
		code, l := getJSON(t, h, "/?tz="+c.zone+"&range="+c.name)
		require.Equal(t, http.StatusOK, code, "%s in %s: %v", c.name, c.zone, l.Error)
		require.Equal(t, [2]string{c.from, c.to}, [2]string{l.From, l.To}, "%s in %s", c.name, c.zone)
	}
	// A range that would be too long is not offered.
	code, l := getJSON(t, handler(t, memstore.New(), report.Options{Now: func() time.Time { return late }}), "/?range=last-month")
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, l.Error.Message, "There are today, yesterday")
}

func TestAReportIsLimitedToDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most   int
		target string
		status int
	}{
		{0, "from=2026-10-01&to=2026-10-30", http.StatusOK},
		{0, "from=2026-10-01&to=2026-10-31", http.StatusBadRequest},
		{0, "from=2026-10-01&to=2026-10-30&tz=Europe/Berlin", http.StatusOK},
		{0, "from=2026-10-01&to=2026-10-31&tz=Europe/Berlin", http.StatusBadRequest},
		{0, "from=2026-03-10&to=2026-04-08&tz=Europe/Berlin", http.StatusOK},
		{0, "q=created:2026-10-01..2026-10-30", http.StatusOK},
		{0, "q=created:2026-10-01..2026-10-31", http.StatusBadRequest},
		{0, "q=created:2026-11-01..", http.StatusOK},
		{0, "q=created:2026-10-01..", http.StatusBadRequest},
		{0, "q=created:..2026-10-01", http.StatusBadRequest},
		{0, "q=-created:2026-11-20", http.StatusOK},
		{1, "", http.StatusOK},
		{1, "range=7d", http.StatusBadRequest},
		{1, "from=2026-10-25&to=2026-10-25&tz=Europe/Berlin", http.StatusOK},
		{1, "from=2026-10-25&to=2026-10-26&tz=Europe/Berlin", http.StatusBadRequest},
		{-1, "from=1999-01-01&to=2026-10-26", http.StatusOK},
		{-1, "q=created:..2026-10-01", http.StatusOK},
	} {
		h := handler(t, memstore.New(), report.Options{MaxDays: c.most})
		code, l := getJSON(t, h, "/?"+c.target)
		require.Equal(t, c.status, code, "%d days: %s: %v", c.most, c.target, l.Error)
		if code == http.StatusBadRequest && c.target != "range=7d" {
			require.Contains(t, l.Error.Message, "at most", c.target)
		}
		require.Equal(t, c.status, get(t, h, "/?"+c.target).Code)
	}
}

func TestTimesAreShownInTheReadersZone(t *testing.T) {
	t.Parallel()
	events := recorded("w1", story()[:2])
	events[0].Time = time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC) // 02:30 for the first time
	events[1].Time = time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC) // and for the second
	h := handler(t, storeWith(t, events...), report.Options{})
	page := get(t, h, "/?from=2026-10-25&to=2026-10-25&tz=Europe/Berlin").Body.String()
	require.Contains(t, page, "<time>02:30:00 &#43;02:00</time>")
	require.Contains(t, page, "<time>02:30:00 &#43;01:00</time>")
	require.Contains(t, get(t, h, "/?from=2026-10-24&to=2026-10-25&tz=America/Los_Angeles").Body.String(), "Saturday, 24 October 2026")
	require.Contains(t, get(t, h, "/?from=2026-10-25&to=2026-10-25").Body.String(), "<time>00:30:00</time>")
	require.Contains(t, get(t, h, "/event/"+id(1).String()+"?tz=Asia/Kolkata").Body.String(), "06:00:00.000000 &#43;05:30 (Asia/Kolkata)")
}
