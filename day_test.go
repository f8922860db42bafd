package audit_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the test means these zones wherever it runs

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

func TestADayBeginsWhenTheClocksOfThePlaceSaySo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, zone string
		y, m, d    int
		want       string
	}{
		{"an ordinary day", "Europe/Berlin", 2026, 11, 1, "2026-11-01T00:00:00+01:00"},
		{"the day on which summer time begins", "Europe/Berlin", 2026, 3, 29, "2026-03-29T00:00:00+01:00"},
		{"the day after it", "Europe/Berlin", 2026, 3, 30, "2026-03-30T00:00:00+02:00"},
		{"the day on which summer time ends", "Europe/Berlin", 2026, 10, 25, "2026-10-25T00:00:00+02:00"},
		{"clocks put forward at midnight", "America/Sao_Paulo", 2018, 11, 4, "2018-11-04T01:00:00-02:00"},
		{"clocks put forward at midnight, elsewhere", "Asia/Beirut", 2022, 3, 27, "2022-03-27T01:00:00+03:00"},
		{"clocks put back at midnight", "America/Sao_Paulo", 2018, 2, 18, "2018-02-18T00:00:00-03:00"},
		{"clocks put back to midnight", "America/Havana", 2023, 11, 5, "2023-11-05T00:00:00-04:00"},
		{"a day that was left out", "Pacific/Apia", 2011, 12, 30, "2011-12-31T00:00:00+14:00"},
		{"the day after it was left out", "Pacific/Apia", 2011, 12, 31, "2011-12-31T00:00:00+14:00"},
		{"a zone of three quarters of an hour", "Asia/Kathmandu", 2026, 1, 1, "2026-01-01T00:00:00+05:45"},
		{"the last day of a leap year that the zone's table does not list", "Europe/Berlin", 2048, 12, 31, "2048-12-31T00:00:00+01:00"},
		{"the day after it", "Europe/Berlin", 2049, 1, 1, "2049-01-01T00:00:00+01:00"},
		{"the same where it is summer", "Australia/Lord_Howe", 2049, 1, 1, "2049-01-01T00:00:00+11:00"},
		{"the 31st of a month of 30 days", "UTC", 2026, 11, 31, "2026-12-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := audit.StartOfDay(tt.y, time.Month(tt.m), tt.d, zone(t, tt.zone))
			require.Equal(t, tt.want, got.Format(time.RFC3339))
		})
	}
	require.Equal(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), audit.StartOfDay(2026, 1, 2, nil))
}

func TestDaysFollowOneAnotherWithoutGaps(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Atlantic/Azores", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "Asia/Tehran"} {
		loc := zone(t, name)
		before := audit.StartOfDay(2007, 12, 31, loc)
		for day := time.Date(2008, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2053; day = day.AddDate(0, 0, 1) { // past what the zones' tables list
			start := audit.StartOfDay(day.Year(), day.Month(), day.Day(), loc)
			if !start.Equal(before) { // which it is for a day that was left out
				require.GreaterOrEqual(t, start.Format(time.DateOnly), day.Format(time.DateOnly), name)
				require.Less(t, start.Add(-1).Format(time.DateOnly), day.Format(time.DateOnly), name)
				require.Less(t, start.Sub(before), 26*time.Hour, name)
				require.True(t, start.After(before), name)
			}
			before = start
		}
	}
}
