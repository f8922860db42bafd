package clockify_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit/examples/timesheet/clockify"
)

const head = `"Project","Client","Description","Task","User","Group","Email","Tags","Billable",` +
	`"Start Date","Start Time","End Date","End Time","Duration (h)","Duration (decimal)","Billable Rate (USD)","Billable Amount (USD)"` + "\n"

// line is a row with dates and times; the rest is the same each time.
func line(startDate, startTime, endDate, endTime string) string {
	return `"Site","Acme","Work","","Jo","","jo@example.com","","Yes","` +
		strings.Join([]string{startDate, startTime, endDate, endTime}, `","`) + `","01:00:00","1.00","50.00","50.00"` + "\n"
}

func at(text string) time.Time {
	t, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestReadTakesEveryColumnByItsName(t *testing.T) {
	t.Parallel()
	file := "\ufeff" + `Billable,tags ,User,Email,Start Time,Start Date,End Date,End Time,Task,Description,Client,Project,Billable Rate (jpy),Type,Something new` + "\n" +
		`yes," a, b ,,a",Jo,jo@example.com,9:05,2026-03-31,2026-03-31,17:00:30,Plan,"Say ""hi"",` + "\n" + `then go",Acme,Site,"1,500",Time off,x` + "\n" +
		`No,,,ann@example.com,12:00:00 am,2026-03-31,,,,,,,,,` + "\n"
	got, err := clockify.Read(strings.NewReader(file), clockify.Options{})
	require.NoError(t, err)
	require.Equal(t, []clockify.Entry{
		{
			Line: 2, Project: "Site", Client: "Acme", Description: "Say \"hi\",\nthen go", Task: "Plan", User: "Jo", Email: "jo@example.com",
			Tags: []string{"a", "b"}, Billable: true, Start: at("2026-03-31 09:05:00"), End: at("2026-03-31 17:00:30"),
			Type: "TIME_OFF", Rate: 1500, Currency: "JPY",
		},
		{Line: 4, User: "ann@example.com", Email: "ann@example.com", Start: at("2026-03-31 00:00:00"), Type: "REGULAR"},
	}, got)
}

func TestReadUnderstandsTheFormatsOfDatesAndTimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		rows       string
		order      clockify.Order
		start, end string
	}{
		{"ISO", line("2026-03-04", "09:00:00", "2026-03-04", "10:00:00"), "", "2026-03-04 09:00:00", "2026-03-04 10:00:00"},
		{"US, told by a day over 12 in another row", line("03/04/2026", "09:00:00 AM", "03/04/2026", "01:00:00 PM") + line("03/13/2026", "1:00 PM", "03/13/2026", "2:00 PM"), "", "2026-03-04 09:00:00", "2026-03-04 13:00:00"},
		{"British, told by a day over 12 in another row", line("03/04/2026", "9:00", "03/04/2026", "10:00") + line("13/03/2026", "9:00", "13/03/2026", "10:00"), "", "2026-04-03 09:00:00", "2026-04-03 10:00:00"},
		{"told by an end date", line("03/04/2026", "9:00", "03/31/2026", "10:00"), "", "2026-03-04 09:00:00", "2026-03-31 10:00:00"},
		{"day and month are the same", line("04/04/2026", "9:00", "04/04/2026", "10:00"), "", "2026-04-04 09:00:00", "2026-04-04 10:00:00"},
		{"in doubt, but told", line("03/04/2026", "9:00", "03/04/2026", "10:00"), clockify.DayFirst, "2026-04-03 09:00:00", "2026-04-03 10:00:00"},
		{"in doubt, but told otherwise", line("03/04/2026", "9:00", "03/04/2026", "10:00"), clockify.MonthFirst, "2026-03-04 09:00:00", "2026-03-04 10:00:00"},
		{"German", line("04.03.2026", "9:00", "04.03.2026", "23:59:59"), "", "2026-03-04 09:00:00", "2026-03-04 23:59:59"},
		{"noon and midnight", line("2026-03-04", "12:00:00 AM", "2026-03-04", "12:00:00 PM"), "", "2026-03-04 00:00:00", "2026-03-04 12:00:00"},
		{"no space before PM", line("2026-03-04", "1:00PM", "2026-03-04", "2:00\u202fPM"), "", "2026-03-04 13:00:00", "2026-03-04 14:00:00"},
		{"no leading zeros", line("3/4/2026", "9:00", "3/31/2026", "9:00"), "", "2026-03-04 09:00:00", "2026-03-31 09:00:00"},
		{"zero length", line("2026-03-04", "9:00", "2026-03-04", "9:00"), "", "2026-03-04 09:00:00", "2026-03-04 09:00:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := clockify.Read(strings.NewReader(head+tt.rows), clockify.Options{Order: tt.order})
			require.NoError(t, err)
			require.Equal(t, at(tt.start), got[0].Start)
			require.Equal(t, at(tt.end), got[0].End)
		})
	}
}

func TestReadRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	good := line("2026-03-31", "9:00", "2026-03-31", "10:00")
	for _, tt := range []struct{ name, file, want string }{
		{"nothing", "", `line 1: the file is empty`},
		{"a missing column", strings.Replace(head, `"Start Date",`, "", 1), `line 1: no column "Start Date"; export the detailed report with all its columns`},
		{"two missing columns", strings.NewReplacer(`"User",`, "", `"Tags",`, "").Replace(head), `line 1: no column "User", "Tags"; export`},
		{"the summary report", "Project,Client,Time (h),Time (decimal)\n", `line 1: no column "Description", "Task"`},
		{"semicolons", strings.ReplaceAll(strings.ReplaceAll(head, `"`, ""), ",", ";"), `columns must be separated by commas`},
		{"a column twice", strings.Replace(head, `"Group"`, `"email"`, 1) + good, `line 1: column "Email" is there twice`},
		{"two currencies", strings.Replace(head, `"Group"`, `"Billable Rate (EUR)"`, 1), `line 1: there are two columns of billable rates, "Billable Rate (EUR)" and "Billable Rate (USD)"`},
		{"no currency", strings.Replace(head, `Rate (USD)`, `Rate ($)`, 1), `line 1: column "Billable Rate ($)" does not name a currency`},
		{"half a row", head + good + `"Site","Acme","Wo`, `line 3: a quoted text does not end`},
		{"half a row that ends at a comma", head + good + `"Site","Acme",` + "\n", `line 3: the row has 3 columns`},
		{"a row too long", head + strings.TrimSuffix(good, "\n") + `,"x"` + "\n", `line 2: the row has 18 columns`},
		{"a stray quote", head + strings.Replace(good, `"Work"`, `"Wo"rk"`, 1), `line 2: a quoted text does not end, or holds a quote that is not doubled`},
		{"a line after a text of two lines", head + strings.Replace(good, "Work", "a\nb", 1) + line("31/31/2026", "9:00", "", ""), `line 4: column "Start Date": there is no day "31/31/2026"`},
		{"not a date", head + line("yesterday", "9:00", "2026-03-31", "10:00"), `line 2: column "Start Date": "yesterday" is not a date as`},
		{"no date", head + line("", "9:00", "2026-03-31", "10:00"), `line 2: column "Start Date": "" is not a date as`},
		{"a year of two digits", head + line("03/31/26", "9:00", "2026-03-31", "10:00"), `line 2: column "Start Date": "03/31/26" is not a date as`},
		{"no such day", head + line("2026-02-30", "9:00", "2026-03-31", "10:00"), `line 2: column "Start Date": there is no day "2026-02-30"`},
		{"not a time", head + line("2026-03-31", "noon", "2026-03-31", "13:00"), `line 2: column "Start Time": "noon" is not a time as`},
		{"25 hours", head + line("2026-03-31", "25:00", "2026-03-31", "13:00"), `line 2: column "Start Time": "25:00" is not a time as`},
		{"13 PM", head + line("2026-03-31", "13:00 PM", "2026-03-31", "13:00"), `line 2: column "Start Time": "13:00 PM" is not a time as`},
		{"a signed time", head + line("2026-03-31", "+9:00", "2026-03-31", "13:00"), `line 2: column "Start Time": "+9:00" is not a time as`},
		{"half an end", head + line("2026-03-31", "9:00", "2026-03-31", ""), `line 2: column "End Time": "" is not a time as`},
		{"the other half of an end", head + line("2026-03-31", "9:00", "", "10:00"), `line 2: column "End Date": "" is not a date as`},
		{"an end before the start", head + line("2026-03-31", "9:00", "2026-03-31", "8:59"), `line 2: the entry ends before it starts`},
		{"dates in doubt", head + good + line("03/04/2026", "9:00", "03/04/2026", "10:00"), `line 3: no date of the file tells whether the month or the day comes first; say which`},
		{"dates in two orders", head + line("03/13/2026", "9:00", "03/13/2026", "10:00") + line("13/03/2026", "9:00", "13/03/2026", "10:00"), `line 3: the date has another order of day and month than the one of line 2`},
		{"nobody", head + strings.NewReplacer("Jo", "", "jo@example.com", "").Replace(good), `line 2: the row names no user`},
		{"a task without a project", head + strings.Replace(good, `"Site","Acme","Work",""`, `"","","Work","Plan"`, 1), `line 2: task "Plan" has no project`},
		{"a client without a project", head + strings.Replace(good, `"Site"`, `""`, 1), `line 2: client "Acme" has no project`},
		{"billable perhaps", head + strings.Replace(good, `"Yes"`, `"Perhaps"`, 1), `line 2: column "Billable": "Perhaps" is neither Yes nor No`},
		{"a rate that is none", head + strings.Replace(good, `"50.00"`, `"50,00"`, 1), `line 2: billable rate: "50,00" is not an amount as 1250.00`},
		{"a rate in fractions of cents", head + strings.Replace(good, `"50.00"`, `"50.005"`, 1), `line 2: billable rate: "50.005" is not`},
		{"not UTF-8", head + strings.Replace(good, "Work", "Caf\xe9", 1), `line 2: column "Description" is not UTF-8 text`},
		{"UTF-16", "\xff\xfeP\x00r\x00o\x00", `line 1: the header is not UTF-8 text`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := clockify.Read(strings.NewReader(tt.file), clockify.Options{})
			require.ErrorIs(t, err, clockify.ErrFormat)
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, got)
		})
	}
}

func TestReadKeepsTimesOfTheAccountsZone(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	file := head +
		line("2026-03-31", "9:00", "2026-03-31", "10:00") +
		line("2025-10-26", "2:30", "2025-10-26", "2:15") // the hour between 2 and 3 was there twice
	got, err := clockify.Read(strings.NewReader(file), clockify.Options{Location: berlin})
	require.NoError(t, err)
	require.Equal(t, at("2026-03-31 07:00:00"), got[0].Start.UTC())
	require.Equal(t, 45*time.Minute, got[1].End.Sub(got[1].Start))
}

func TestReadTakesRatesExactly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, currency string
		want           int64
	}{
		{"50.00", "USD", 5000},
		{"50", "USD", 5000},
		{"50.5", "USD", 5050},
		{"1,250.10", "USD", 125010},
		{"19.990", "EUR", 1999},
		{"1500", "JPY", 1500},
		{"1500.00", "JPY", 1500},
		{"1.234", "KWD", 1234},
		{"0.07", "USD", 7},
	} {
		t.Run(tt.text+" "+tt.currency, func(t *testing.T) {
			t.Parallel()
			file := strings.Replace(head, "USD", tt.currency, 1) +
				strings.Replace(line("2026-03-31", "9:00", "2026-03-31", "10:00"), "50.00", tt.text, 1)
			got, err := clockify.Read(strings.NewReader(file), clockify.Options{})
			require.NoError(t, err)
			require.Equal(t, tt.want, got[0].Rate)
			require.Equal(t, tt.currency, got[0].Currency)
		})
	}
}

func TestReadOfAHeaderAloneGivesNoEntries(t *testing.T) {
	t.Parallel()
	got, err := clockify.Read(strings.NewReader(head), clockify.Options{})
	require.NoError(t, err)
	require.Empty(t, got)
}

func FuzzRead(f *testing.F) {
	sample, err := os.ReadFile("../sample.csv")
	require.NoError(f, err)
	f.Add(sample[:4000])
	f.Add([]byte(head + line("03/04/2026", "9:00", "03/31/2026", "10:00:00 PM")))
	f.Add([]byte(head + line("04.03.2026", "09:00:00", "", "")))
	f.Add([]byte(head + `"Site","Acme","Wo`))
	f.Fuzz(func(t *testing.T, file []byte) {
		entries, err := clockify.Read(strings.NewReader(string(file)), clockify.Options{})
		if err != nil {
			require.ErrorIs(t, err, clockify.ErrFormat)
			require.Nil(t, entries)
			return
		}
		for _, e := range entries {
			require.NotEmpty(t, e.User)
			require.False(t, e.Start.IsZero())
			require.True(t, e.End.IsZero() || !e.End.Before(e.Start))
			require.False(t, e.Task != "" && e.Project == "")
			require.GreaterOrEqual(t, e.Rate, int64(0))
		}
	})
}
