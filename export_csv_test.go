package audit_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestTheCSVStaysAsItIs(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]*audit.CSVOptions{
		"report.golden.csv":         nil,
		"report_changes.golden.csv": {PerChange: true, Location: time.FixedZone("CET", 3600), BOM: true},
	} {
		var out bytes.Buffer
		n, err := audit.WriteCSV(&out, sequence(oneOfEveryKind(), nil), opts)
		require.NoError(t, err)
		require.Equal(t, len(oneOfEveryKind()), n)
		golden(t, name, out.String())
	}
}

func TestAnEventIsOneRow(t *testing.T) {
	t.Parallel()
	e := renamed()
	e.Actor, e.Initiator = audit.System, audit.Actor{Kind: audit.KindUser, ID: "18", Name: "Kim"}
	rows := table(t, []audit.Event{e}, nil)
	require.Equal(t, []map[string]string{{
		"Time": "2026-11-22 12:00:00+00:00", "Author": "System", "Action": "Updated project (API)", "Record type": "project", "Record": "Apollo",
		"Previous values": "name: Gemini\nclient_id: Acme", "New values": "name: Apollo\nclient_id: (none)", "Reason": "rebranding", "On behalf of": "Kim",
		"event_id": id(1).String(), "timestamp": "2026-11-22T12:00:00.000000Z", "workspace": "w1", "actor_kind": "system", "actor_id": "",
		"initiator_kind": "user", "initiator_id": "18", "action_code": "UPDATE_PROJECT_API", "operation": "updated", "origin": "api",
		"entity_type": "project", "entity_id": "7", "owner": "17", "ownership": "self",
		"changes": `[{"field":"name","before":"Gemini","after":"Apollo"},{"field":"client_id","before":1,"before_label":"Acme","after":null}]`,
		"cause":   id(2).String(), "derived": "true", "change_set": id(3).String(),
		"request_id": "r1", "request_address": "192.0.2.1", "request_agent": "curl/8", "schema_version": "1",
	}}, rows)
}

func TestAChangeIsOneRowIfAskedFor(t *testing.T) {
	t.Parallel()
	bare := renamed()
	bare.Changes = nil
	rows := table(t, []audit.Event{renamed(), bare}, &audit.CSVOptions{PerChange: true})
	require.Len(t, rows, 3)
	for i, want := range []map[string]string{
		{"Field": "name", "Previous value": "Gemini", "New value": "Apollo", "change": "1", "before": `"Gemini"`, "after": `"Apollo"`, "before_label": ""},
		{"Field": "client_id", "Previous value": "Acme", "New value": "(none)", "change": "2", "before": `1`, "after": `null`, "before_label": "Acme"},
		{"Field": "", "Previous value": "", "New value": "", "change": "", "before": "", "after": ""},
	} {
		for name, cell := range want {
			require.Contains(t, rows[i], name)
			require.Equal(t, cell, rows[i][name], name)
		}
		require.Equal(t, id(1).String(), rows[i]["event_id"])
	}
}

func TestCellsTellApartWhatHasNoText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value audit.Value
		cell  string
	}{
		{"not recorded", audit.Value{}, "(not recorded)"},
		{"null", jsonOf(`null`), "(none)"},
		{"empty", text(""), "(empty)"},
		{"withheld", audit.Value{Form: audit.FormRedacted}, "(withheld)"},
		{"withheld in part", audit.ValueOf(map[string]any{"pin": 1234, "on": true}), `(partial) {"on":true,"pin":"[withheld]"}`},
		{"shortened", audit.Value{JSON: []byte(`{"length":70000,"prefix":"Once"}`), Form: audit.FormShortened}, "(shortened, 70000 bytes) Once…"},
		{"shortened bytes", audit.Value{JSON: []byte(`{"length":70000,"prefix_base64":"AAEC"}`), Form: audit.FormShortened}, "(shortened, 70000 bytes) AAEC…"},
		{"bytes", audit.Value{JSON: []byte(`"AAEC"`), Form: audit.FormBase64}, "(base64) AAEC"},
		{"a text that says so", text("(none)"), `"(none)"`},
		{"a text in quotes", text(`"(none)"`), `""(none)""`},
		{"a label that says so", audit.Value{JSON: []byte(`7`), Label: "(empty)"}, `"(empty)"`},
		{"a space", text(" "), " "},
		{"the word null", text("null"), "null"},
		{"a label", audit.Value{JSON: []byte(`7`), Label: "Acme"}, "Acme"},
		{"a label alone", audit.Value{Label: "Acme"}, "Acme"},
		{"a number", jsonOf(`12.50`), "12.50"},
		{"true", jsonOf(`true`), "true"},
		{"a list", jsonOf(`[1,"a"]`), `[1,"a"]`},
		{"lines", text("a\nb\tc"), "a\nb\tc"},
		{"a carriage return", text("a\rb"), `a\rb`},
		{"what turns the direction", text("a\u202eb"), `a\u202eb`},
		{"letters of the world", text("Ärger, 猫 😀"), "Ärger, 猫 😀"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := renamed()
			e.Changes = []audit.Change{{Field: "f", Before: tt.value, After: text("x")}, {Field: "g", Before: text("x"), After: tt.value}}
			rows := table(t, []audit.Event{e}, &audit.CSVOptions{PerChange: true})
			require.Equal(t, tt.cell, rows[0]["Previous value"])
			require.Equal(t, tt.cell, rows[1]["New value"])

			line := strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(tt.cell)
			row := table(t, []audit.Event{e}, nil)[0]
			require.Equal(t, "f: "+line+"\ng: x", row["Previous values"], "within an event a field is a line")
			require.Equal(t, "f: x\ng: "+line, row["New values"])
		})
	}
}

func TestASideThatThereCannotBeIsLeftOut(t *testing.T) {
	t.Parallel()
	element := func(before, after string) audit.Change {
		return audit.Change{Field: "tags", Before: jsonOf(before), After: jsonOf(after), Element: true}
	}
	half := audit.Change{Field: "name", After: text("x")}
	for _, tt := range []struct {
		name          string
		operation     audit.Operation
		change        audit.Change
		previous, new string
	}{
		{"created", audit.Created, half, "", "x"},
		{"restored", audit.Restored, half, "", "x"},
		{"restored, with both sides", audit.Restored, audit.Change{Field: "deleted_at", Before: text("y"), After: jsonOf("null")}, "y", "(none)"},
		{"updated without the previous value", audit.Updated, half, "(not recorded)", "x"},
		{"exported", audit.Exported, half, "", "x"},
		{"downloaded", audit.Downloaded, half, "", "x"},
		{"another operation", "approved", half, "(not recorded)", "x"},
		{"deleted", audit.Deleted, audit.Change{Field: "name", Before: text("x")}, "x", ""},
		{"deleted, with both sides", audit.Deleted, audit.Change{Field: "deleted_at", Before: jsonOf("null"), After: text("y")}, "(none)", "y"},
		{"an element added", audit.Updated, element("null", "5"), "", "5"},
		{"an element removed", audit.Updated, element("5", "null"), "5", ""},
		{"one label of two records", audit.Updated, audit.Change{
			Field: "client_id", Before: audit.Value{JSON: []byte(`1`), Label: "Acme"}, After: audit.Value{JSON: []byte(`2`), Label: "Acme"},
		}, "Acme (1)", "Acme (2)"},
		{"two labels of one record", audit.Updated, audit.Change{
			Field: "client_id", Before: audit.Value{JSON: []byte(`1`), Label: "Acme"}, After: audit.Value{JSON: []byte(`1`), Label: "Zenith"},
		}, "Acme", "Zenith"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := renamed()
			e.Operation, e.Changes = tt.operation, []audit.Change{tt.change}
			row := table(t, []audit.Event{e}, &audit.CSVOptions{PerChange: true})[0]
			require.Equal(t, []string{tt.previous, tt.new}, []string{row["Previous value"], row["New value"]})
			named := func(s string) string {
				if s == "" {
					return ""
				}
				return tt.change.Field + ": " + s
			}
			row = table(t, []audit.Event{e}, nil)[0]
			require.Equal(t, []string{named(tt.previous), named(tt.new)}, []string{row["Previous values"], row["New values"]})
		})
	}
}

func TestTheTimeIsShownInTheZoneAskedFor(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	e := renamed()
	for at, want := range map[time.Time]string{
		time.Date(2026, 10, 25, 0, 30, 0, 999999000, time.UTC): "2026-10-25 02:30:00+02:00",
		time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC):         "2026-10-25 02:30:00+01:00",
		time.Date(2026, 7, 1, 22, 0, 0, 0, time.UTC):           "2026-07-02 00:00:00+02:00",
	} {
		e.Time = at
		row := table(t, []audit.Event{e}, &audit.CSVOptions{Location: berlin})[0]
		require.Equal(t, want, row["Time"])
		require.Equal(t, at.Format("2006-01-02T15:04:05.000000Z"), row["timestamp"], "the column for programs is in UTC")
	}
	e.Time = time.Time{}
	require.Empty(t, table(t, []audit.Event{e}, nil)[0]["Time"])
}

func TestTheCatalogOfTheOptionsNamesTheActions(t *testing.T) {
	t.Parallel()
	e := kindOf("invoice", "approved", "", "self")
	row := table(t, []audit.Event{e}, &audit.CSVOptions{Catalog: audit.DefaultCatalog().With(invoices())})[0]
	require.Equal(t, "Approved invoice (personal)", row["Action"])
	require.Equal(t, "APPROVE_INVOICE_PERSONAL", row["action_code"])
}

func TestTheFileIsRFC4180(t *testing.T) {
	t.Parallel()
	e := audit.Event{Entity: audit.Entity{Type: "tag", ID: "1", Label: "a,\"b\"\r\nc"}, Operation: audit.Created}
	for _, bom := range []bool{false, true} {
		var out bytes.Buffer
		_, err := audit.WriteCSV(&out, sequence([]audit.Event{e}, nil), &audit.CSVOptions{BOM: bom})
		require.NoError(t, err)
		head, row, _ := strings.Cut(out.String(), "\r\n")
		require.Equal(t, bom, strings.HasPrefix(head, "\ufeff"))
		require.True(t, strings.HasPrefix(strings.TrimPrefix(head, "\ufeff"), "Time,Author,Action,Record type,Record,"))
		require.True(t, strings.HasPrefix(row, ",,Created tag,tag,\"a,\"\"b\"\"\r\nc\",,,"), "%q", row)
		require.True(t, strings.HasSuffix(row, "\r\n"))
	}
}

// readCell is the cell as encoding/csv reads it, which takes CRLF within a cell
// for LF.
func readCell(t *testing.T, line string) string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(line)).ReadAll()
	require.NoError(t, err, "%q", line)
	require.Len(t, records, 1, "%q", line)
	require.Len(t, records[0], 2, "%q", line)
	return records[0][1]
}

func requireCell(t *testing.T, s string) {
	t.Helper()
	want := strings.ReplaceAll(strings.ReplaceAll(readable(s), "\x00", "\ufffd"), "\r\n", "\n")
	raw := "x," + audit.SealCell(s, true) + "\r\n"
	require.Equal(t, want, readCell(t, raw), "raw: %q", raw)

	safe := readCell(t, "x,"+audit.SealCell(s, false)+"\r\n")
	require.Equal(t, want, audit.UnprefixCSV(safe), "%q", s)
	require.NotContains(t, safe, "\x00")
	require.False(t, runs(safe), "a spreadsheet might run %q", safe)
	require.False(t, strings.HasPrefix(s, "'") && !strings.HasPrefix(safe, "''"), "an apostrophe of its own stays")
	if safe != want {
		require.Equal(t, "'"+want, safe)
	}
}

// runs reports whether a cell looks like a formula to any spreadsheet. It is
// written apart from the code it tests.
func runs(cell string) bool {
	if cell == "" {
		return false
	}
	if strings.ContainsAny(cell[:1], "\t\r\n") {
		return true
	}
	trimmed := strings.TrimLeftFunc(cell, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\ufffd'
	})
	for _, r := range trimmed {
		return strings.ContainsRune("=+-@＝＋－＠﹦﹢﹣﹫−", r)
	}
	return false
}

func TestACellIsSafeAndIsReadBackExactly(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		requireCell(t, s)
		for _, prefix := range []string{" ", "'", "\u00a0", "\ufeff", "\t", "\r\n", "\x00", "\xff", "x"} {
			requireCell(t, prefix+s)
			requireCell(t, prefix+prefix+s)
		}
	}
	for _, s := range []string{"=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'x", " =1", "\ufeff@x", "＝1", " \u200b＋1", "\x00=1"} {
		safe := readCell(t, "x,"+audit.SealCell(s, false)+"\r\n")
		require.True(t, strings.HasPrefix(safe, "'"), "%q has to be made safe", s)
	}
	for _, s := range []string{"", "x", "1", "a=1", "a-b", "x@example.com", "(none)", "ä", "[-1]", `{"a":1}`, "\u00a0x", " x"} {
		require.Equal(t, s, readCell(t, "x,"+audit.SealCell(s, false)+"\r\n"), "%q needs nothing", s)
	}
}

// Whatever an event holds and wherever, no cell of its rows is a formula, and
// programs read back what the columns for them hold.
func TestEveryCellOfAHostileEventIsSafe(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		for _, perChange := range []bool{false, true} {
			e := everywhere(s, string(audit.AppendJSONString(nil, s)))
			for _, row := range table(t, []audit.Event{e}, &audit.CSVOptions{PerChange: perChange}) {
				for name, cell := range row {
					require.False(t, runs(cell), "%s: %q", name, cell)
					require.NotContains(t, cell, "\x00", name)
				}
				want := strings.ReplaceAll(strings.ReplaceAll(readable(s), "\x00", "\ufffd"), "\r\n", "\n")
				for _, name := range []string{"workspace", "actor_id", "initiator_id", "operation", "origin", "entity_type", "entity_id", "owner", "request_agent"} {
					require.Equal(t, want, audit.UnprefixCSV(row[name]), name)
				}
			}
		}
	}
}

func TestRawCellsAreAsTheyWere(t *testing.T) {
	t.Parallel()
	e := renamed()
	e.Entity.Label = "=1+1"
	require.Equal(t, "=1+1", table(t, []audit.Event{e}, &audit.CSVOptions{Raw: true})[0]["Record"])
	require.Equal(t, "'=1+1", table(t, []audit.Event{e}, nil)[0]["Record"])
}

func FuzzCSVCell(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { requireCell(t, s) })
}

func FuzzWriteCSV(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, fmt.Sprintf("%q", s), true)
	}
	f.Fuzz(func(t *testing.T, s, raw string, perChange bool) {
		rows := table(t, []audit.Event{everywhere(s, raw), single()}, &audit.CSVOptions{PerChange: perChange})
		require.Len(t, rows, map[bool]int{false: 2, true: 3}[perChange])
		for _, row := range rows {
			for name, cell := range row {
				require.False(t, runs(cell), "%s: %q", name, cell)
			}
		}
	})
}
