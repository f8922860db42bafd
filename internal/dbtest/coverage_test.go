package dbtest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit/hooks"
)

func TestCoverageTellsOfEveryTable(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newPort(t, database)
		require.NoError(t, w.raw.Migrator().DropTable("truth"))
		db := openGorm(t, database)
		require.NoError(t, w.raw.AutoMigrate(officeTables()...))
		require.NoError(t, w.raw.Migrator().DropTable("vaults"))
		wire(t, db, database, storeInDatabase, nil, append(officeModels(),
			hooks.Model[Port]("port"), hooks.Model[Berth]("berth", hooks.Redact("name")), hooks.Model[Ship]("ship"), hooks.RawSQL(hooks.RefuseRaw)))
		report, err := hooks.Coverage(context.Background(), db)
		require.NoError(t, err)
		report = slices.DeleteFunc(report, func(c hooks.TableCoverage) bool { return strings.HasPrefix(c.Table, "audit_") })

		got := report.String()
		if database.Name == "postgres" { // one trigger of the oracle for all that the others have three for
			for _, c := range report {
				require.LessOrEqual(t, len(c.Triggers), 1)
				if len(c.Triggers) == 1 {
					name := c.Triggers[0]
					got = strings.ReplaceAll(got, ": "+name+"\n", ": "+name+"_delete, "+name+"_insert, "+name+"_update\n")
				}
			}
		}
		file := filepath.Join("testdata", "coverage.golden")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), got, "run with -update if the change is meant")

		_, err = hooks.Coverage(context.Background(), w.raw)
		require.ErrorContains(t, err, "uses the plugin")
	})
}
