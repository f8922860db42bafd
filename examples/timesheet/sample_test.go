package main

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what people read with the file that shows it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with go test -update")
	require.Equal(t, string(want), string(got))
}

func TestTheSampleIsWhatTheGeneratorMakes(t *testing.T) {
	t.Parallel()
	golden(t, "sample.csv", makeSample(t))
}

// job is a project of the sample with what is done on it.
type job struct {
	project, client, rate string
	people                []int
	tasks, words, tags    []string
}

var samplePeople = [][3]string{ // name, group, address
	{"Maya Lindqvist", "Managers", "maya@example.com"},
	{"Ben Okafor", "Engineering", "ben@example.com"},
	{"Chloé Martin", "Design", "chloe@example.com"},
	{"Daniel Weiss", "Engineering", "daniel@example.com"},
	{"Emi Tanaka", "Engineering, Support", "emi@example.com"},
	{"Farid Haddad", "Front desk", "farid@example.com"},
}

var sampleJobs = []job{
	{
		"Web shop", "Northwind Traders", "95.00",
		[]int{1, 2, 3, 4},
		[]string{"Checkout", "Search", "Design", ""},
		[]string{"Checkout, second step", "Search: synonyms", `Buttons say "Buy now"`, "Fix: rounding of the cart\nsee the ticket", "Pair programming", "Icons and colours"},
		[]string{"development", "design", "review"},
	},
	{
		"Warehouse API", "Northwind Traders", "105.00",
		[]int{1, 3, 4},
		[]string{"Endpoints", "Load tests"},
		[]string{"Stock levels, bulk endpoint", "Load test, 200 clients", "Retry after a timeout", "Review of the pull request"},
		[]string{"development", "review", "on call"},
	},
	{
		"Annual report", "Alpine Bank AG", "120.00",
		[]int{0, 2},
		[]string{"Layout", "Charts", "Proofs"},
		[]string{"Layout of the first chapter", "Charts: revenue, costs, staff", `Proofs, "final final"`, "Call with the printer"},
		[]string{"design", "meeting"},
	},
	{
		"Online banking audit", "Alpine Bank AG", "140.00",
		[]int{0, 3},
		[]string{"Interviews", "Findings"},
		[]string{"Interview, operations", "Findings, draft", "Findings, call with legal,\nsecond round", "Reading the policies"},
		[]string{"meeting", "travel"},
	},
	{
		"Museum guide", "Musée des Ondes", "80.00",
		[]int{2, 4},
		[]string{"Texts", "App"},
		[]string{"Textes, salle 3", "Audio: coupes", "App: carte des salles", "Tests avec des visiteurs"},
		[]string{"design", "development"},
	},
	{
		"Support", "", "",
		[]int{1, 4, 5},
		nil,
		[]string{"Mails", "Phone", "Remote session", "Tickets of the night", ""},
		[]string{"on call", "support"},
	},
	{
		"Internal", "", "",
		[]int{0, 1, 2, 3, 4, 5},
		[]string{"Meetings", "Hiring"},
		[]string{"Weekly meeting", "Interview with a candidate", "Planning", "One to one"},
		[]string{"meeting"},
	},
}

// makeSample makes the detailed report of a small agency for three months:
// the same bytes each time.
func makeSample(t *testing.T) []byte {
	t.Helper()
	rnd := rand.New(rand.NewPCG(20251201, 3))
	pick := func(words []string) string {
		if len(words) == 0 {
			return ""
		}
		return words[rnd.IntN(len(words))]
	}
	var out bytes.Buffer
	out.WriteString("\ufeff")
	quote := func(fields ...string) { // Clockify quotes every field
		for i, f := range fields {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(`"` + strings.ReplaceAll(f, `"`, `""`) + `"`)
		}
		out.WriteByte('\n')
	}
	quote("Project", "Client", "Description", "Task", "User", "Group", "Email", "Tags", "Billable", "Start Date", "Start Time", "End Date", "End Time",
		"Duration (h)", "Duration (decimal)", "Billable Rate (EUR)", "Billable Amount (EUR)", "Type", "Invoiced", "Invoice ID", "Date of creation")
	row := func(j job, person int, description, tags, kind string, start time.Time, d time.Duration) {
		who, end, billable, amount := samplePeople[person], start.Add(d), "No", ""
		if j.rate != "" {
			rate, err := strconv.ParseFloat(j.rate, 64)
			require.NoError(t, err)
			billable, amount = "Yes", fmt.Sprintf("%.2f", rate*d.Hours())
		}
		quote(j.project, j.client, description, pick(j.tasks), who[0], who[1], who[2], tags, billable,
			start.Format("01/02/2006"), start.Format("03:04:05 PM"), end.Format("01/02/2006"), end.Format("03:04:05 PM"),
			fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60), fmt.Sprintf("%.2f", d.Hours()),
			j.rate, amount, kind, "No", "", end.Format("01/02/2006"))
	}
	for day := time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC); day.Before(time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)); day = day.AddDate(0, 0, 1) {
		if wd := day.Weekday(); wd == time.Saturday || wd == time.Sunday || day.Month() == time.December && day.Day() > 23 {
			continue
		}
		for person := range samplePeople {
			if rnd.IntN(5) == 0 {
				continue // off, or forgot to track
			}
			start := day.Add(time.Duration(8*60+15*rnd.IntN(6)) * time.Minute)
			for range 1 + rnd.IntN(3) {
				j := sampleJobs[rnd.IntN(len(sampleJobs))]
				for !slices.Contains(j.people, person) {
					j = sampleJobs[rnd.IntN(len(sampleJobs))]
				}
				d := time.Duration(30+15*rnd.IntN(14)) * time.Minute
				tags := pick(j.tags)
				if other := pick(j.tags); rnd.IntN(4) == 0 && other != tags {
					tags += ", " + other
				}
				row(j, person, pick(j.words), tags, "Regular", start, d)
				start = start.Add(d + time.Duration(15*rnd.IntN(5))*time.Minute)
			}
		}
	}
	move := job{project: "Office move", tasks: nil}
	row(move, 5, `Boxes, labels, "fragile" stickers`, "", "Regular", time.Date(2026, 2, 26, 9, 0, 0, 0, time.UTC), 3*time.Hour)
	row(move, 0, "Keys", "meeting", "Regular", time.Date(2026, 2, 26, 22, 30, 0, 0, time.UTC), 3*time.Hour) // over midnight
	row(move, 5, "Started by mistake", "", "Regular", time.Date(2026, 2, 27, 9, 0, 0, 0, time.UTC), 0)
	row(job{}, 4, "Winter holiday", "", "Time off", time.Date(2026, 2, 27, 9, 0, 0, 0, time.UTC), 8*time.Hour)
	return out.Bytes()
}

func TestTheSampleIsRichEnough(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(makeSample(t), []byte("\ufeff")))).ReadAll()
	require.NoError(t, err)
	require.Greater(t, len(rows)-1, 500)
}
