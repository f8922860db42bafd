package dbtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// Luggage holds what is too long, too deep or no text at all.
type Luggage struct {
	ID    uint
	Name  string `gorm:"size:200" audit:"label"`
	Text  *string
	Bytes []byte
	JSON  Document `gorm:"type:json"`
	Other int
}

// TestNoValueMakesAWriteFail writes hostile values where the database takes
// them, and holds the events against the oracle.
func TestNoValueMakesAWriteFail(t *testing.T) {
	t.Parallel()
	megabyte := strings.Repeat("0123456789abcdef", 1<<16)
	deep := strings.Repeat("[", 3000) + strings.Repeat("]", 3000)
	values := map[string]Luggage{
		"a text of a megabyte":                  {Text: &megabyte},
		"a text of a megabyte beyond ASCII":     {Text: text(strings.Repeat("ä€😀", 100_000))},
		"a text just under the limit":           {Text: text(strings.Repeat("x", audit.MaxValueBytes-1))},
		"a text at the limit":                   {Text: text(strings.Repeat("x", audit.MaxValueBytes))},
		"a text just over the limit":            {Text: text(strings.Repeat("x", audit.MaxValueBytes+1))},
		"a text of few characters, many bytes":  {Text: text(strings.Repeat("€", audit.MaxValueBytes/2))},
		"bytes of every value":                  {Bytes: everyByte(1)},
		"a megabyte of bytes":                   {Bytes: everyByte(4096)},
		"an empty text and empty bytes":         {Text: text(""), Bytes: []byte{}},
		"quotes, backslashes and control signs": {Name: "a\"b\\c\n\t\x01\x7f\u2028\u2029", Text: text("'; DROP TABLE luggages; --")},
		"bidi overrides and byte order marks":   {Name: "\ufeffa\u202eb\u2066c", Text: text("=1+1")},
		"JSON of a megabyte":                    {JSON: Document(`{"k":"` + megabyte + `"}`)},
		"JSON with secrets":                     {JSON: Document(`{"a":[1.50,{"password":{"b":"}"}}],"pin":null,"c":"d"}`)},
		"JSON with a number of many digits":     {JSON: Document(`{"n":123456789012345678901234567890.125,"e":1e-3}`)},
		"a label of many characters":            {Name: strings.Repeat("ä", 200)},
	}
	// What only some databases take. PostgreSQL and MariaDB refuse a text that
	// is not UTF-8 before any hook could.
	partly := map[string]map[string]Luggage{
		"sqlite": {
			"a text that is not UTF-8": {Name: "a\xffb", Text: text("\xc3\x28\xff")},
			"a text with NUL":          {Name: "a\x00b", Text: text("a\x00b")},
			"deep JSON":                {JSON: Document(deep)},
			"what is no JSON at all":   {JSON: Document("{not JSON")},
		},
		// MariaDB's own check takes JSON that is no deeper than 32 levels.
		"postgres": {"deep JSON": {JSON: Document(deep)}},
		"mysql": {
			"a text with NUL": {Name: "a\x00b", Text: text("a\x00b")},
		},
	}
	Each(t, func(t *testing.T, database *Database) {
		l := newLuggage(t, database)
		for name, v := range values {
			t.Run(name, func(t *testing.T) { l.travel(t, v) })
		}
		for name, v := range partly[database.Name] {
			t.Run(name, func(t *testing.T) { l.travel(t, v) })
		}
	})
}

func everyByte(times int) []byte {
	b := make([]byte, 0, 256*times)
	for range times {
		for i := range 256 {
			b = append(b, byte(i))
		}
	}
	return b
}

// luggage is a workshop with one table.
type luggage struct {
	*office
	oracle *Oracle
}

func newLuggage(t *testing.T, database *Database) *luggage {
	t.Helper()
	o := &office{database: database, raw: openGorm(t, database), db: openGorm(t, database), clock: newClock(), ctx: t.Context()}
	require.NoError(t, o.raw.AutoMigrate(&Luggage{}))
	if database.Name == "mysql" {
		require.NoError(t, o.raw.Exec("ALTER TABLE luggages MODIFY bytes LONGBLOB").Error)
	}
	oracle, err := InstallOracle(t.Context(), o.raw, Watch{Model: &Luggage{}, Type: "luggage"})
	require.NoError(t, err)
	o.store = wire(t, o.db, database, storeInDatabase, &audit.Config{Now: o.clock.Now, Workspace: "w1"}, luggageModel())
	return &luggage{o, oracle}
}

// travel creates, updates and deletes with the values.
func (l *luggage) travel(t *testing.T, v Luggage) {
	require.NoError(t, l.oracle.Reset(t.Context()))
	l.clock.next()
	db := l.db.WithContext(t.Context())
	require.NoError(t, db.Create(&v).Error)
	require.NoError(t, db.Model(&Luggage{ID: v.ID}).Update("other", 1).Error)
	require.NoError(t, db.Model(&Luggage{ID: v.ID}).Select("*").Omit("id").Updates(&Luggage{Text: text("short")}).Error)
	require.NoError(t, db.Model(&Luggage{ID: v.ID}).Select("*").Omit("id").Updates(&v).Error)
	require.NoError(t, db.Delete(&Luggage{ID: v.ID}).Error)

	truth, err := l.oracle.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, truth, 5)
	events := eventsSince(t, l.store, "w1", l.clock.Now())
	require.Empty(t, l.oracle.Compare(truth, events))
	for _, c := range events[0].Changes {
		switch value := c.After; value.Form {
		case audit.FormPlain:
			require.LessOrEqual(t, len(value.JSON), 6*audit.MaxValueBytes)
		case audit.FormShortened:
			require.LessOrEqual(t, len(value.JSON), 8<<10, "%s is not short", c.Field)
		case audit.FormBase64:
			require.True(t, json.Valid(value.JSON))
		}
	}
}

// TestALongTextThatChangesAtItsEndIsSeen by whatever spelling of its column.
func TestALongTextThatChangesAtItsEndIsSeen(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", audit.MaxValueBytes)
	for name, columns := range map[string][]string{"sqlite": {"text", "Text"}, "postgres": {"text"}, "mysql": {"text", "Text", "luggages.text"}} {
		t.Run(name, func(t *testing.T) {
			l := newLuggage(t, Open(t, name))
			require.NoError(t, l.raw.Create(&Luggage{ID: 1, Text: text(long + "-")}).Error)
			for i, column := range columns {
				events := l.recorded(t, func(db *gorm.DB) error {
					return db.Table("luggages").Where("id = 1").Updates(map[string]any{column: long + strconv.Itoa(i)}).Error
				})
				require.Len(t, events, 1, column)
				require.Equal(t, "text", events[0].Changes[0].Field)
			}
		})
	}
}

// TestValuesAtTheLimit tells which of them are shortened, exactly.
func TestValuesAtTheLimit(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		l := newLuggage(t, database)
		for length, want := range map[int]audit.Form{
			audit.MaxValueBytes - 1: audit.FormPlain,
			audit.MaxValueBytes:     audit.FormPlain,
			audit.MaxValueBytes + 1: audit.FormShortened,
		} {
			events := l.recorded(t, func(db *gorm.DB) error {
				return db.Create(&Luggage{Text: text(strings.Repeat("x", length))}).Error
			})
			require.Len(t, events, 1)
			for _, c := range events[0].Changes {
				if c.Field == "text" {
					require.Equal(t, want, c.After.Form, "%d bytes", length)
				}
			}
		}
	})
}

// TestConcurrentWritersAreRecordedExactly lets writers fight over the same rows:
// each old value must be the one that the writer's own statement replaced, and
// each event must name its own writer.
func TestConcurrentWritersAreRecordedExactly(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		w.seed(t)
		const writers, rounds = 4, 15
		var group sync.WaitGroup
		failures := make(chan error, writers*rounds)
		for n := range writers {
			group.Go(func() {
				ctx := audit.WithActor(t.Context(), audit.Actor{ID: fmt.Sprint(n)})
				for i := range rounds {
					err := w.db.WithContext(ctx).Model(&Customer{}).Where("id IN ?", []int{1, 2}).
						Updates(map[string]any{"visits": gorm.Expr("visits + 1"), "name": fmt.Sprint("by ", n, " ", i)}).Error
					if err != nil {
						failures <- err
					}
				}
			})
		}
		group.Wait()
		close(failures)
		for err := range failures {
			// A deadlock is for the application to repeat; it left nothing.
			require.Contains(t, strings.ToLower(err.Error()), "deadlock")
		}
		truth, err := w.oracle.Read(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, truth)
		events := w.events(t)
		require.Empty(t, w.oracle.Compare(truth, events))
		for _, e := range events {
			for _, c := range e.Changes {
				if c.Field == "name" {
					require.Contains(t, string(c.After.JSON), "by "+e.Actor.ID+" ", "the author is another")
				}
			}
		}
	})
}
