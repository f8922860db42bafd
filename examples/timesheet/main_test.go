package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/week"
)

// database is the name of the database, with characters that a URL would not
// have.
const database = "a week?.db"

// play runs the program in a folder and returns what it prints, with the
// folder called FOLDER.
func play(t *testing.T, folder string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"-db", filepath.Join(folder, database), "-csv", filepath.Join(folder, "audit.csv")}, args...)
	require.NoError(t, run(t.Context(), args, &out, t.Output()))
	return strings.ReplaceAll(out.String(), folder, "FOLDER")
}

// theDatabase is the database after the week. It is made once, for the tests
// that only read it.
var theDatabase = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "timesheet-test-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, database)
	if err := run(context.Background(), []string{"-db", file, "-csv", file + ".csv"}, io.Discard, io.Discard); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// folderWithTheWeek is a folder of the test's own with a copy of theDatabase.
func folderWithTheWeek(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	file, err := theDatabase()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, database), file, 0o600))
	return folder
}

func TestTheReportReadsAsPublished(t *testing.T) {
	t.Parallel()
	golden(t, "testdata/report.txt", []byte(play(t, t.TempDir())))
}

func TestTheReportHasEveryLabelOfTheCatalogue(t *testing.T) {
	t.Parallel()
	tr := filled(t)
	seen := map[string]bool{}
	for e := range all(t, tr, audit.Filter{Workspace: week.Workspace}) {
		seen[audit.DefaultCatalog().Label(e)] = true
	}
	rows := audit.DefaultCatalog().All()
	n := 0
	for _, row := range rows {
		if row.Action.Type != audit.TypeSettings && row.Action.Type != audit.TypeExport {
			require.True(t, seen[row.Label], row.Label)
			n++
		}
	}
	require.Equal(t, 38, n)
}

func TestTheCSVHasARowForEachEvent(t *testing.T) {
	t.Parallel()
	folder := folderWithTheWeek(t)
	out := play(t, folder)
	f, err := os.Open(filepath.Join(folder, "audit.csv"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	events := len(rows) - 1
	require.Contains(t, out, fmt.Sprintf("Events:   %d recorded, %d in this report", events, events))
	require.Contains(t, out, fmt.Sprintf("audit.csv, with %d events", events))
}

func TestASecondRunReportsOnTheDatabaseOfTheFirst(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := play(t, folder)
	before, err := os.ReadFile(filepath.Join(folder, database))
	require.NoError(t, err)
	second := play(t, folder)
	imported := first[strings.Index(first, "Imported:"):strings.Index(first, "Events:")]
	require.Equal(t, strings.Replace(first, imported, "", 1), second)
	after, err := os.ReadFile(filepath.Join(folder, database))
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "a report changes nothing")
}

func TestFlagsFilterTheReport(t *testing.T) {
	t.Parallel()
	folder := folderWithTheWeek(t)
	for _, tt := range []struct {
		name string
		args []string
		want []string // rows: time, author and action
	}{
		{
			"by author and label",
			[]string{"-author", "ben okafor", "-action", "Created time (personal, timer)"},
			[]string{"2026-03-02 09:10 Ben Okafor Created time", "2026-03-02 11:30 Ben Okafor Created time"},
		},
		{
			"by several authors and codes",
			[]string{"-author", "Ben Okafor,Chloé Martin", "-author", "Daniel Weiss", "-action", "UPDATE_EXPENSE", "-action", "UPDATE_TASK"},
			[]string{"2026-03-03 13:00 Chloé Martin Updated task (personal)", "2026-03-04 11:00 Chloé Martin Updated expense", "2026-03-05 09:30 Ben Okafor Updated expense"},
		},
		{
			"by parts, for the system",
			[]string{"-author", "System", "-action", "created,task.deleted"},
			[]string{
				"2026-03-04 08:00 System Created client", "2026-03-04 08:00 System Created project", "2026-03-04 08:00 System Created project",
				"2026-03-05 11:00 System Deleted task",
			},
		},
		{
			"by days",
			[]string{"-from", "2026-03-06", "-to", "2026-03-06", "-action", "project"},
			[]string{"2026-03-06 12:00 Maya Lindqvist Updated project", "2026-03-06 14:00 Maya Lindqvist Updated project", "2026-03-06 16:00 Maya Lindqvist Updated project"},
		},
		{
			"by times of another zone",
			[]string{"-tz", "Asia/Tokyo", "-from", "2026-03-02 18:00", "-to", "2026-03-02 18:02"},
			[]string{"2026-03-02 18:00 Maya Lindqvist Created client", "2026-03-02 18:01 Maya Lindqvist Created project"},
		},
		{"for nothing", []string{"-from", "2020-01-01", "-to", "2020-12-31"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			out := play(t, folder, append(tt.args, "-csv", filepath.Join(t.TempDir(), "audit.csv"))...)
			for l := range strings.Lines(out) {
				if strings.HasPrefix(l, "2026-") {
					columns := []rune(l)
					cut := string(columns[:min(len(columns)-1, 16+2+18+2+24)])
					got = append(got, strings.Join(strings.Fields(cut), " "))
				}
			}
			// Actions of more than one line show their first.
			require.Len(t, got, len(tt.want), out)
			for i := range got {
				require.True(t, strings.HasPrefix(got[i], tt.want[i]), "%q is not %q", got[i], tt.want[i])
			}
			require.Contains(t, out, fmt.Sprintf("%d in this report: %d with a row, 0 folded", len(got), len(got)))
		})
	}
}

func TestWithAFilterNothingIsFolded(t *testing.T) {
	t.Parallel()
	out := play(t, folderWithTheWeek(t), "-action", "CREATE_TIME_IMPORT")
	require.Contains(t, out, "558 in this report: 558 with a row, 0 folded")
	require.NotContains(t, out, "more, folded")
}

func TestWrongFlagsAreExplained(t *testing.T) {
	t.Parallel()
	folder := folderWithTheWeek(t)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown action names those near", []string{"-action", "Updated projects"}, `-action: audit: invalid filter: unknown action "Updated projects"; did you mean "Updated project"`},
		{"an unknown author names those there are", []string{"-author", "Bob"}, `-author "Bob": the log has nobody of that name or id; it has Ben Okafor, Chloé Martin, Daniel Weiss, Farid Haddad, Maya Lindqvist, System`},
		{"an unknown zone", []string{"-tz", "Berlin"}, `-tz "Berlin": no such time zone; use a name as Europe/Berlin`},
		{"a time that is none", []string{"-from", "03/02/2026"}, `-from "03/02/2026" is not a time as 2026-03-02`},
		{"an end that is none", []string{"-to", "soon"}, `-to "soon" is not a time as`},
		{"an end before the start", []string{"-from", "2026-03-03", "-to", "2026-03-02"}, `-from 2026-03-03 is not before -to 2026-03-02`},
		{"an order that is none", []string{"-dates", "ymd"}, `-dates "ymd": use mdy or dmy`},
		{"no CSV", []string{"-csv", ""}, `-csv needs a file`},
		{"a CSV over the import", []string{"-import", "sample.csv", "-csv", "./sample.csv"}, `-csv and -import are the same file, sample.csv`},
		{"a CSV over the database", []string{"-csv", filepath.Join(folder, database)}, `-csv and -db are the same file`},
		{"a database in no folder", []string{"-db", folder + "/nowhere/x.db"}, `-db ` + folder + `/nowhere/x.db: stat`},
		{"a CSV in no folder", []string{"-csv", folder + "/nowhere/audit.csv"}, `no such file or directory`},
		{"a word too many", []string{"monday"}, `unexpected "monday"; -help lists the flags`},
		{"an unknown flag", []string{"-user", "x"}, `flag provided but not defined: -user`},
		{"an import into what exists", []string{"-import", "sample.csv"}, `exists already and -import needs a new database; name another with -db`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-db", filepath.Join(folder, database), "-csv", filepath.Join(t.TempDir(), "audit.csv")}, tt.args...)
			err := run(t.Context(), args, io.Discard, io.Discard)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-help"}, io.Discard, &out), flag.ErrHelp)
	for _, name := range []string{"-import", "-db", "-csv", "-from", "-to", "-author", "-action", "-tz", "-dates"} {
		require.Contains(t, out.String(), "  "+name+" ")
	}
}

func TestFilesOfOtherProgramsAreLeftAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "letter.txt")
	require.NoError(t, os.WriteFile(file, []byte("Dear all,"), 0o600))
	err := run(t.Context(), []string{"-db", file, "-csv", filepath.Join(folder, "audit.csv")}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "exists already and is not of this program; name another with -db")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "Dear all,", string(text))
	require.NoFileExists(t, filepath.Join(folder, "audit.csv"))
}

func TestAnImportThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	good := "Project,Client,Description,Task,User,Email,Tags,Billable,Start Date,Start Time,End Date,End Time\n" +
		"Site,Acme,Work,,Jo,jo@example.com,,No,2026-01-05,9:00,2026-01-05,10:00\n"
	for _, tt := range []struct{ name, file, want string }{
		{"a missing column", strings.Replace(good, "Start Date,", "", 1), `line 1: no column "Start Date"`},
		{"an unreadable date", good + strings.Replace(good[strings.Index(good, "Site"):], "2026-01-05", "5 January", 1), `line 3: column "Start Date": "5 January" is not a date`},
		{"half a row", good + "Site,Acme,Wo", `line 3: the row has 3 columns`},
		{"dates in doubt", strings.ReplaceAll(good, "2026-01-05", "01/05/2026"), `line 2: no date of the file tells whether the month or the day comes first; say which with -dates mdy or -dates dmy`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			file := filepath.Join(folder, "export.csv")
			require.NoError(t, os.WriteFile(file, []byte(tt.file), 0o600))
			args := []string{"-import", file, "-db", filepath.Join(folder, "new.db"), "-csv", filepath.Join(folder, "audit.csv")}
			err := run(t.Context(), args, io.Discard, io.Discard)
			require.ErrorContains(t, err, "import "+file)
			require.ErrorContains(t, err, tt.want)
			left, err := filepath.Glob(filepath.Join(folder, "*"))
			require.NoError(t, err)
			require.Equal(t, []string{file}, left)
		})
	}
}

func TestAFileOfOnesOwnIsImported(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "export.csv")
	require.NoError(t, os.WriteFile(file, []byte("Project,Client,Description,Task,User,Email,Tags,Billable,Start Date,Start Time,End Date,End Time\n"+
		"Garden,,Weeding,,Jo Green,jo@example.com,outside,No,03/04/2026,9:00,03/04/2026,10:30\n"+
		"Garden,,Still running,,Ben Okafor,BEN@example.com,,No,03/04/2026,11:00,,\n"), 0o600))
	out := play(t, t.TempDir(), "-import", file, "-dates", "dmy", "-tz", "Europe/Berlin", "-action", "CREATE_TIME_IMPORT")
	require.Contains(t, out, "start: 2026-04-03 09:00")
	require.Contains(t, out, "Imported: time entries 2, clients 0, projects 1, tasks 0, tags 1, users 1") // Ben was there
	require.Contains(t, out, "2 in this report: 2 with a row, 0 folded")
}

func TestTheExampleNeedsNoTerminal(t *testing.T) {
	t.Parallel()
	require.Nil(t, progress(new(bytes.Buffer)))
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	require.Nil(t, progress(f))
}

func TestCommasInBracketsBelongToTheAction(t *testing.T) {
	t.Parallel()
	var l list
	require.NoError(t, l.Set("Created time (personal, timer), UPDATE_TASK,,deleted "))
	require.NoError(t, l.Set("project.created"))
	require.True(t, slices.Equal(list{"Created time (personal, timer)", "UPDATE_TASK", "deleted", "project.created"}, l))
}
