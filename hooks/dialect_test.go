package hooks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAtLeast(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"10.5.0-MariaDB": true, "10.4.9-MariaDB": false, "11.0.1-MariaDB": true, "5.5.5-10.11.6-MariaDB-0+deb12u1": true, "": false, "x": false,
	} {
		require.Equal(t, want, atLeast(version, 10, 5), version)
	}
}

func TestKindOfStatement(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]statementKind{
		"INSERT INTO t": inserting, "insert or replace into t": inserting, "REPLACE INTO t": inserting,
		"/* hint */ UPDATE t": updating, " \n\tDELETE FROM t": deleting,
		"SELECT 1": 0, "": 0, "/* open": 0, "WITH x AS (SELECT 1) UPDATE t": 0,
	} {
		require.Equal(t, want, kindOfStatement(text), text)
	}
}

func TestSavepointSteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []savepointStep
	}{
		{"SAVEPOINT sp1", []savepointStep{{setSavepoint, "sp1"}}},
		{`savepoint "sp1";`, []savepointStep{{setSavepoint, "sp1"}}},
		{`SAVEPOINT "my point" -- set`, []savepointStep{{setSavepoint, "my point"}}},
		{"/* a */ SAVEPOINT /* b */ sp1 /* c */", []savepointStep{{setSavepoint, "sp1"}}},
		{"ROLLBACK TO SAVEPOINT sp1", []savepointStep{{rollbackToSavepoint, "sp1"}}},
		{"ROLLBACK TO sp1 -- back", []savepointStep{{rollbackToSavepoint, "sp1"}}},
		{`ROLLBACK TRANSACTION TO SAVEPOINT "SP1"`, []savepointStep{{rollbackToSavepoint, "sp1"}}},
		{"ROLLBACK", []savepointStep{{rollbackAll, ""}}},
		{"rollback and chain", []savepointStep{{rollbackAll, ""}}},
		{"RELEASE SAVEPOINT sp1", []savepointStep{{releaseSavepoint, "sp1"}}},
		{"release sp1", []savepointStep{{releaseSavepoint, "sp1"}}},
		{"SELECT 1; SAVEPOINT a; ROLLBACK TO a", []savepointStep{{setSavepoint, "a"}, {rollbackToSavepoint, "a"}}},
		{"ROLLBACK TO SAVEPOINT a /* " + strings.Repeat("x", 400) + " */", []savepointStep{{rollbackToSavepoint, "a"}}},
		{"ROLLBACK TO a; SELECT " + strings.Repeat("1, ", 400) + "1; RELEASE a", []savepointStep{{rollbackToSavepoint, "a"}, {releaseSavepoint, "a"}}},
		{"UPDATE savepoint SET x=1", nil},
		{"SELECT 'SAVEPOINT a; ROLLBACK'", nil},
	} {
		require.Equal(t, c.want, savepointSteps("postgres", c.text), c.text)
	}
	require.Equal(t, []savepointStep{{setSavepoint, "my point"}}, savepointSteps("mysql", "SAVEPOINT `my point`"))
}

func TestATableThatIsMetIsNotFoundWithoutItsSchema(t *testing.T) {
	t.Parallel()
	own, met := &table{name: "notes"}, &table{name: "archive.notes"}
	n := names{tables: map[string]*table{}, home: "main", folds: true}
	n.add(own)
	more := n.with(met)
	require.Same(t, met, more.find("Archive.Notes"))
	require.Same(t, own, more.find("main.notes"))
	require.Nil(t, more.with(&table{name: "archive.notes_2024"}).find("notes_2024"))
	require.Nil(t, n.find("archive.notes"), "the names before are as they were")
}
