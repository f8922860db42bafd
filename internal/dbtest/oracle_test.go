package dbtest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// raw is a value as an event holds it.
func raw(s string) audit.Value { return audit.Value{JSON: json.RawMessage(s)} }

// TestTheOracleSeesTheSameRowsOnEveryDatabase also holds each trigger's image
// against what a SELECT of the same table finds.
func TestTheOracleSeesTheSameRowsOnEveryDatabase(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, nil)
		ctx := context.Background()
		require.NoError(t, w.raw.Transaction(w.reseed))
		changes, err := w.oracle.Read(ctx)
		require.NoError(t, err)
		snapshot, err := w.oracle.Snapshot(ctx)
		require.NoError(t, err)

		rows := 0
		for _, c := range changes {
			require.Nil(t, c.Before)
			require.Equal(t, snapshot[c.Table][c.After.id(w.oracle.table(c.Table).key)], c.After)
			rows++
		}
		require.Equal(t, 42, rows, "rows that Seed makes")

		built := map[string]string{"sqlite": "2026-03-28T20:30:00.123456789Z", "postgres": "2026-03-28T20:30:00.123456Z", "mysql": "2026-03-28T20:30:00.123Z"}
		require.Equal(t, Row{
			"id": `"0d000000-0000-0000-0000-000000000001"`, "name": `"d1"`, "photo": `"\xff\x00\x01"`, "settings": `json {"a":[1,2],"b":1.5}`,
			"weight": "12.3456", "price": map[string]string{"sqlite": "1.5", "postgres": "1.5", "mysql": "2"}[database.Name], "ratio": "0.3333333333333333", "counter": "4611686018427387905", "ports": "255", "active": "true",
			"nickname": `"nick"`, "built": built[database.Name], "seen": built[database.Name], "day": "2026-03-28",
			"secret": `"hunter2"`, "cache": `"c"`, "fixed": `"ab"`,
		}, snapshot["devices"]["0d000000-0000-0000-0000-000000000001"])

		require.NoError(t, w.oracle.Reset(ctx))
		require.NoError(t, w.raw.Exec("UPDATE devices SET name = name").Error)
		changes, err = w.oracle.Read(ctx)
		require.NoError(t, err)
		require.Empty(t, changes, "an update that changes nothing is no change")
	})
}

// TestTheOracleFindsWhatIsWrongWithEvents spoils exact events one by one.
func TestTheOracleFindsWhatIsWrongWithEvents(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, Open(t, "sqlite"), nil)
	w.clock.next()
	r := w.do(t, operation{run: func(db *gorm.DB) outcome {
		return did(db.Model(&Order{ID: 1}).Updates(map[string]any{"name": "changed", "customer_id": nil})).
			and(did(db.Model(&Device{ID: deviceID(1)}).Update("secret", "other"))).
			and(did(db.Model(&Device{ID: deviceID(1)}).Update("cache", "other"))).
			and(failed(db.Model(&Order{ID: 2}).Association("Labels").Append(&Label{ID: 3}))).
			and(did(db.Delete(&Order{ID: 3}))).
			and(did(db.Create(&Label{ID: 9, Name: "nine"})))
	}})
	exact := func() []audit.Event {
		return []audit.Event{
			{Operation: audit.Updated, Entity: audit.Entity{Type: "order", ID: "1"}, Changes: []audit.Change{
				{Field: "name", Before: raw(`"one"`), After: raw(`"changed"`)},
				{Field: "customer_id", Before: raw(`1`), After: raw(`null`)},
			}},
			{Operation: audit.Updated, Entity: audit.Entity{Type: "device", ID: deviceID(1).String()}, Changes: []audit.Change{
				{Field: "secret", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}},
			}},
			{Operation: audit.Updated, Entity: audit.Entity{Type: "order", ID: "2"}, Changes: []audit.Change{
				{Field: "labels", Element: true, Before: raw(`null`), After: raw(`3`)},
			}},
			{Operation: audit.Deleted, Entity: audit.Entity{Type: "order", ID: "3"}, Changes: []audit.Change{
				{Field: "id", Before: raw(`3`)},
				{Field: "name", Before: raw(`"three"`)},
				{Field: "color", Before: raw(`"green"`)},
				{Field: "customer_id", Before: raw(`2`)},
				{Field: "extra", Before: raw(`null`)},
				{Field: "deleted_at", Before: raw(`null`), After: raw(`"2026-03-29T01:02:03.987654321Z"`)},
			}},
			{Operation: audit.Created, Entity: audit.Entity{Type: "label", ID: "9"}, Changes: []audit.Change{
				{Field: "id", After: raw(`9`)}, {Field: "name", After: raw(`"nine"`)},
			}},
		}
	}
	require.Empty(t, w.oracle.Compare(r.truth, exact()), r.outcome)

	for name, c := range map[string]struct {
		spoil func(e []audit.Event) []audit.Event
		want  string
	}{
		"an event is missing":     {func(e []audit.Event) []audit.Event { return e[1:] }, "missed: order 1 updated"},
		"an event is there twice": {func(e []audit.Event) []audit.Event { return append(e, e[4]) }, "phantom: label 9 created"},
		"an element is missing":   {func(e []audit.Event) []audit.Event { e[2].Changes = nil; return e }, "missed: order 2: labels from null to 3"},
		"an element is another":   {func(e []audit.Event) []audit.Event { e[2].Changes[0].After = raw(`4`); return e }, "phantom: order 2: labels from null to 4"},
		"an element goes":         {func(e []audit.Event) []audit.Event { e[2].Changes[0].Before = raw(`3`); return e }, "labels from 3 to 3"},
		"another record":          {func(e []audit.Event) []audit.Event { e[0].Entity.ID = "2"; return e }, "missed: order 1 updated"},
		"another type":            {func(e []audit.Event) []audit.Event { e[0].Entity.Type = "label"; return e }, "no such column"},
		"an unknown type":         {func(e []audit.Event) []audit.Event { e[0].Entity.Type = "?"; return e }, "no table has this entity type"},
		"another operation":       {func(e []audit.Event) []audit.Event { e[3].Operation = audit.Updated; return e }, "told as order 3 updated"},
		"a column is missing":     {func(e []audit.Event) []audit.Event { e[4].Changes = e[4].Changes[1:]; return e }, "id should be - => 9 and is absent"},
		"a column too many": {func(e []audit.Event) []audit.Event {
			e[0].Changes = append(e[0].Changes, audit.Change{Field: "color"})
			return e
		}, "color should be absent"},
		"a column twice":       {func(e []audit.Event) []audit.Event { e[0].Changes = append(e[0].Changes, e[0].Changes[0]); return e }, "name is there twice"},
		"a wrong old value":    {func(e []audit.Event) []audit.Event { e[0].Changes[0].Before = raw(`"uno"`); return e }, `name should be "one" => "changed" and is "uno" => "changed"`},
		"a wrong new value":    {func(e []audit.Event) []audit.Event { e[0].Changes[0].After = raw(`null`); return e }, `and is "one" => null`},
		"null is not recorded": {func(e []audit.Event) []audit.Event { e[0].Changes[1].After = audit.Value{}; return e }, "customer_id should be 1 => null and is 1 => -"},
		"a number is a text":   {func(e []audit.Event) []audit.Event { e[0].Changes[1].Before = raw(`"1"`); return e }, "stands for a number"},
		"a time has a zone": {func(e []audit.Event) []audit.Event {
			e[3].Changes[5].After = raw(`"2026-03-29T03:02:03.987654321+02:00"`)
			return e
		}, "is not written as"},
		"a secret is told":          {func(e []audit.Event) []audit.Event { e[1].Changes[0].After = raw(`"other"`); return e }, "secret should be redacted => redacted"},
		"a withheld value shows":    {func(e []audit.Event) []audit.Event { e[1].Changes[0].After.JSON = json.RawMessage(`1`); return e }, "a withheld value shows"},
		"an ignored column is told": {func(e []audit.Event) []audit.Event { e[1].Changes[0].Field = "cache"; return e }, "cache should be absent"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, strings.Join(w.oracle.Compare(r.truth, c.spoil(exact())), "\n"), c.want)
		})
	}

	derived := append(exact(), audit.Event{Operation: audit.Updated, Entity: audit.Entity{Type: "item", ID: "1"}, Derived: true})
	require.Empty(t, w.oracle.Compare(r.truth, derived), "derived events are left out")
}

func TestShortenedValuesMustFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ab", audit.MaxValueBytes)
	text, err := kindText.canonical(long)
	require.NoError(t, err)
	for shortened, want := range map[string]bool{
		`{"length":131072,"prefix":"abab"}`:            true,
		`{"length":131072,"prefix_base64":"YWJhYg=="}`: true,
		`{"length":131071,"prefix":"abab"}`:            false,
		`{"length":131072,"prefix":"baba"}`:            false,
		`{"length":131072,"prefix":""}`:                false,
		`{"length":131072}`:                            false,
		`"abab"`:                                       false,
	} {
		got, err := kindText.fromEvent(audit.Value{JSON: json.RawMessage(shortened), Form: audit.FormShortened})
		require.NoError(t, err)
		require.Equal(t, want, (&Oracle{dialect: "postgres"}).fits(text, got), shortened)
		require.False(t, (&Oracle{dialect: "sqlite"}).fits(`"ab"`, got), "a short value must not be shortened")
	}
}
