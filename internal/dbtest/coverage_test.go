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

func TestCoverageKnowsTheTriggersForWritersOutside(t *testing.T) {
	t.Parallel()
	database := Open(t, "postgres")
	db := openGorm(t, database)
	require.NoError(t, db.AutoMigrate(officeTables()...))
	o := installTriggers(t, database, nil, nil, officeModels())
	app := database.with(t, "audit.recorded_by_hooks", "on")
	db = openGorm(t, app)
	wire(t, db, app, storeInDatabase, nil, officeModels())
	o.exec(t, "CREATE TRIGGER words_record BEFORE UPDATE ON words FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()")
	report, err := hooks.Coverage(t.Context(), db)
	require.NoError(t, err)
	at := slices.IndexFunc(report, func(c hooks.TableCoverage) bool { return c.Table == "words" })
	require.Equal(t, []string{"audit_events_record", "audit_events_truncate"}, report[at].Outside)
	require.Equal(t, []string{"words_record"}, report[at].Triggers)
	require.Contains(t, report.String(), "triggers that record what is written past the hooks: audit_events_record, audit_events_truncate\n")
}

func TestCoverageListsTheTablesOfThePrimary(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, primary *Database) {
		r := newResolved(t, primary, Open(t, primary.Name), resolverSetup{store: storeInDatabase, config: aReplica})
		require.NoError(t, r.raw.Exec("CREATE TABLE brand_new (id INTEGER PRIMARY KEY)").Error)
		report, err := hooks.Coverage(t.Context(), r.db)
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(report, func(c hooks.TableCoverage) bool { return c.Table == "brand_new" }))
	})
}
