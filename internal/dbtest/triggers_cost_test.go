package dbtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// Invoice is a model of ordinary columns.
type Invoice struct {
	ID          int64
	WorkspaceID string `audit:"workspace"`
	Number      string `audit:"label"`
	OwnerID     string `audit:"owner"`
	Amount      float64
	Paid        bool
	Note        string
	Lines       int
	CreatedAt   time.Time
	DueAt       *time.Time
}

// BenchmarkTriggers tells what triggers add to each row of a statement on many,
// as us/row.
func BenchmarkTriggers(b *testing.B) {
	const rows = 2000
	statements := []struct{ name, before, text string }{
		{"insert", "TRUNCATE invoices", "INSERT INTO invoices SELECT i, 'w1', 'No. ' || i, 'u1', i / 3.0, false, 'a note on it', 3, now(), now() FROM generate_series(1, 2000) i"},
		{"update", "", "UPDATE invoices SET paid = NOT paid, note = note || 'x'"},
		{"delete", "", "DELETE FROM invoices"},
	}
	for _, triggered := range []bool{false, true} {
		name := map[bool]string{false: "bare", true: "triggered"}[triggered]
		database := Open(b, "postgres")
		db := database.Gorm(b)
		require.NoError(b, db.AutoMigrate(&Invoice{}))
		store, err := sqlstore.New(database.SQL(), sqlstore.Postgres, nil)
		require.NoError(b, err)
		require.NoError(b, store.Migrate(b.Context()))
		rec, err := audit.New(store, nil)
		require.NoError(b, err)
		require.NoError(b, db.Use(hooks.New(rec, hooks.Model[Invoice]("invoice"))))
		if triggered {
			tables, err := hooks.Tables(b.Context(), db)
			require.NoError(b, err)
			triggers, err := store.Triggers(tables, nil)
			require.NoError(b, err)
			require.NoError(b, triggers.Install(b.Context()))
		}
		run := func(text string) {
			_, err := database.SQL().ExecContext(b.Context(), text)
			require.NoError(b, err, text)
		}
		for i, s := range statements {
			b.Run(name+"/"+s.name, func(b *testing.B) {
				run("DELETE FROM invoices")
				if i > 0 {
					run(statements[0].text)
				}
				for b.Loop() {
					b.StopTimer()
					run("TRUNCATE audit_events")
					if i != 1 {
						run("DELETE FROM invoices")
					}
					if i == 2 {
						run(statements[0].text)
					}
					b.StartTimer()
					run(s.text)
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*rows), "us/row")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
