package audit_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// WriteCSV streams a report into a file that spreadsheets can open safely.
func ExampleWriteCSV() {
	var file bytes.Buffer
	report := audit.Query(context.Background(), exampleStore(), audit.Filter{Workspace: "w1"})
	n, err := audit.WriteCSV(&file, report, &audit.CSVOptions{
		PerChange: true,
		Location:  time.FixedZone("CET", 3600),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n, "events")
	rows, _ := csv.NewReader(&file).ReadAll()
	for _, row := range rows {
		fmt.Println(strings.TrimSpace(strings.Join(row[:8], " | ")))
	}
	fmt.Println("the note is", audit.UnprefixCSV(rows[2][7]))
	// Output:
	// 4 events
	// Time | Author | Action | Record type | Record | Field | Previous value | New value
	// 2026-11-22 14:00:00+01:00 | Kim | Deleted project | project | Apollo | name | Apollo |
	// 2026-11-22 13:00:00+01:00 | Jo | Updated project | project | Apollo | note | (none) | '=1+1
	// 2026-11-22 12:00:00+01:00 | Kim | Updated project | project | Apollo | name | Gemini | Apollo
	// 2026-11-22 11:00:00+01:00 | Jo | Created project | project | Gemini | name |  | Gemini
	// the note is =1+1
}
