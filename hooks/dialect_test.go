package hooks

import (
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

func TestSavepointStatement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		kind savepointKind
		name string
	}{
		{"SAVEPOINT sp1", setSavepoint, "sp1"},
		{"savepoint `sp1`;", setSavepoint, "sp1"},
		{"ROLLBACK TO SAVEPOINT sp1", rollbackToSavepoint, "sp1"},
		{"ROLLBACK TO sp1", rollbackToSavepoint, "sp1"},
		{`ROLLBACK TRANSACTION TO SAVEPOINT "SP1"`, rollbackToSavepoint, "sp1"},
		{"ROLLBACK", notSavepoint, ""},
		{"RELEASE SAVEPOINT sp1", releaseSavepoint, "sp1"},
		{"release sp1", releaseSavepoint, "sp1"},
		{"UPDATE savepoint SET x=1", notSavepoint, ""},
	} {
		kind, name := savepointStatement(c.text)
		require.Equal(t, c.kind, kind, c.text)
		require.Equal(t, c.name, name, c.text)
	}
}
