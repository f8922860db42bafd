package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func dialects() []Dialect { return []Dialect{SQLite, Postgres, MySQL} }

func namesOf(t testing.TB, d Dialect, cfg *Config) names {
	t.Helper()
	n, err := cfg.names(d)
	require.NoError(t, err)
	return n
}

// allOf is a filter in which every field holds the text.
func allOf(text string) audit.Filter {
	id := uuid.NewSHA1(uuid.Nil, []byte(text))
	return audit.Filter{
		Workspace: text, From: time.Unix(1, 0), To: time.Unix(2, 0),
		IDs:        []uuid.UUID{id},
		Actors:     []audit.Actor{{Kind: audit.ActorKind("k" + text), ID: text}, {ID: text}},
		Actions:    []audit.Action{{Type: audit.EntityType("t" + text), Operation: audit.Operation("o" + text), Origins: []audit.Origin{audit.Origin(text)}, Ownership: audit.OwnershipSelf}},
		Types:      []audit.EntityType{audit.EntityType("t" + text)},
		Entities:   []audit.Entity{{Type: audit.EntityType("t" + text), ID: text}},
		Owners:     []string{text},
		Origins:    []audit.Origin{audit.Origin(text)},
		Fields:     []string{"f" + text},
		Causes:     []uuid.UUID{id},
		ChangeSets: []uuid.UUID{id},
		Text:       "x" + text,
	}
}

func TestNothingOfAFilterReachesTheStatement(t *testing.T) {
	for _, d := range dialects() {
		n := namesOf(t, d, nil)
		want, args := n.selectEvents("*", allOf("a"), audit.Position{}, 7)
		require.Equal(t, len(args), strings.Count(want, "?")+strings.Count(want, "$"))
		for _, text := range []string{"'", `"`, "`", "; DROP TABLE audit_events", "\\", "%", "?", "$1", "--", "/*", "\x00", "\xff", "{events}"} {
			got, _ := n.selectEvents("*", allOf(text), audit.Position{}, 7)
			require.Equal(t, want, got, "%s %q", d, text)
		}
	}
}

func FuzzNothingOfAFilterReachesTheStatement(f *testing.F) {
	f.Add("'; DROP TABLE audit_events; --")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range dialects() {
			n := namesOf(t, d, nil)
			want, _ := n.selectEvents("*", allOf("a"), audit.Position{}, 7)
			got, _ := n.selectEvents("*", allOf(text), audit.Position{}, 7)
			require.Equal(t, want, got)
		}
	})
}

func TestEveryStatementNamesTheWorkspace(t *testing.T) {
	for _, d := range dialects() {
		text, args := namesOf(t, d, &Config{Table: "trail"}).selectEvents("*", audit.Filter{Workspace: "w1"}, audit.Position{}, 7)
		require.Equal(t, []any{"w1"}, args)
		require.Contains(t, text, " FROM "+d.quote("trail")+" WHERE workspace = "+d.placeholder(1)+" ORDER BY time DESC, id DESC LIMIT 7")
	}
}

// maxArgs is the number of variables that a statement may have: SQLite takes
// the fewest.
const maxArgs = 32766

func TestTheLargestFilterIsNotTooLarge(t *testing.T) {
	f := audit.Filter{Workspace: "w1", From: time.Unix(1, 0), To: time.Unix(9, 0), Text: "x", Types: make([]audit.EntityType, 1000)}
	for i := range 1000 {
		text, id := fmt.Sprint(i), uuid.New()
		f.IDs, f.Causes, f.ChangeSets = append(f.IDs, id), append(f.Causes, id), append(f.ChangeSets, id)
		f.Actors = append(f.Actors, audit.Actor{Kind: audit.ActorKind(text), ID: text})
		f.Actions = append(f.Actions, audit.Action{Type: "t", Operation: "o", Ownership: audit.OwnershipSelf, Origins: make([]audit.Origin, 10)})
		f.Types[i] = audit.EntityType(text)
		f.Entities = append(f.Entities, audit.Entity{Type: audit.EntityType(text), ID: text})
		f.Owners, f.Origins, f.Fields = append(f.Owners, text), append(f.Origins, audit.Origin(text)), append(f.Fields, text)
	}
	require.NoError(t, f.Validate())
	for _, d := range dialects() {
		_, args := namesOf(t, d, nil).selectEvents("*", f, audit.Position{Time: time.Unix(5, 0)}, 1)
		require.Less(t, len(args), maxArgs)
	}
	f.Actions[0].Origins = make([]audit.Origin, 11)
	require.Error(t, f.Validate(), "this was not the largest filter")
}

func TestAFewAuthorsAreReadApart(t *testing.T) {
	authors := func(n int) []audit.Actor {
		list := make([]audit.Actor, n)
		for i := range list {
			list[i].ID = fmt.Sprint(i)
		}
		return list
	}
	twice := append(authors(3), audit.Actor{Kind: audit.KindUser, ID: "1"})
	spaces := append(authors(3), audit.Actor{ID: "1 "})
	actions := make([]audit.Action, 900)
	for i := range actions {
		actions[i] = audit.Action{Type: "t", Operation: "o", Ownership: audit.OwnershipSelf}
	}
	for name, c := range map[string]struct {
		f    audit.Filter
		want map[Dialect]int
	}{
		"one":                     {audit.Filter{Actors: authors(1)}, map[Dialect]int{SQLite: 1, Postgres: 1, MySQL: 1}},
		"a few":                   {audit.Filter{Actors: authors(16)}, map[Dialect]int{SQLite: 16, Postgres: 16, MySQL: 16}},
		"many":                    {audit.Filter{Actors: authors(17)}, map[Dialect]int{SQLite: 1, Postgres: 1, MySQL: 1}},
		"one twice":               {audit.Filter{Actors: twice}, map[Dialect]int{SQLite: 3, Postgres: 3, MySQL: 3}},
		"alike to MySQL":          {audit.Filter{Actors: spaces}, map[Dialect]int{SQLite: 4, Postgres: 4, MySQL: 3}},
		"of a record":             {audit.Filter{Actors: authors(2), Entities: []audit.Entity{{Type: "t", ID: "1"}}}, map[Dialect]int{SQLite: 1, Postgres: 1, MySQL: 1}},
		"of a change set":         {audit.Filter{Actors: authors(2), ChangeSets: []uuid.UUID{{1}}}, map[Dialect]int{SQLite: 1, Postgres: 1, MySQL: 1}},
		"with too much to repeat": {audit.Filter{Actors: authors(2), Actions: actions}, map[Dialect]int{SQLite: 1, Postgres: 1, MySQL: 1}},
	} {
		for d, want := range c.want {
			c.f.Workspace = "w1"
			text, args := namesOf(t, d, nil).selectEvents("*", c.f, audit.Position{}, 7)
			require.Equal(t, want, strings.Count(text, "SELECT "), "%s, %s", name, d)
			require.Equal(t, want, strings.Count(text, "workspace = "), "%s, %s", name, d)
			require.Len(t, args, strings.Count(text, "?")+strings.Count(text, "$"), "%s, %s", name, d)
		}
	}
}

func TestAnInsertSaysOnceWhatItsRowsHaveInCommon(t *testing.T) {
	for _, d := range dialects() {
		q := newInsert(namesOf(t, d, &Config{Schema: map[bool]string{false: "s"}[d == SQLite]}))
		rows := func(n, differing int) [][]any {
			all := make([][]any, n)
			for i := range all {
				all[i] = make([]any, len(columns))
				for c := range all[i] {
					all[i][c] = columns[c]
					if c < differing {
						all[i][c] = fmt.Sprint(columns[c], i)
					}
				}
			}
			return all
		}
		variables := func(s statement) int { return strings.Count(s.text, "?") + strings.Count(s.text, "$") }

		one := q.statements(rows(1, 0), true)
		require.Len(t, one, 1)
		require.Equal(t, len(columns), variables(one[0]))
		for _, differing := range []int{1, 3, len(columns)} {
			for _, n := range []int{2, 16, maxRows} {
				written := 0
				for _, s := range q.statements(rows(n, differing), true) {
					require.Len(t, s.args, variables(s))
					require.LessOrEqual(t, len(s.args), 65535)
					if d == SQLite {
						require.LessOrEqual(t, len(s.args), maxArgsPerInsert+len(columns))
					}
					joined := len(s.args) - (len(columns) - differing)
					if d == Postgres {
						require.Equal(t, differing, joined, "an array for each column that differs")
						written = n
						continue
					}
					require.Zero(t, joined%differing)
					written += joined / differing
				}
				require.Equal(t, n, written)
			}
		}
	}
}

func TestArraysAreWrittenAsPostgresReadsThem(t *testing.T) {
	require.Equal(t, `{"a","say \"no\"","C:\\",NULL,7,"","{,}"}`, array([][]any{{"a"}, {`say "no"`}, {`C:\`}, {nil}, {int64(7)}, {""}, {"{,}"}}, 0))
}

func TestLargeChangesAreCutIntoSeveralStatements(t *testing.T) {
	s := &Store{names: namesOf(t, Postgres, nil)}
	s.buffers.New = func() any { return new([]byte) }
	large := json.RawMessage(`"` + strings.Repeat("x", 300<<10) + `"`)
	events := make([]audit.Event, 10)
	for i := range events {
		events[i].Changes = []audit.Change{{Field: "f", After: audit.Value{JSON: large}}}
	}
	rows, err := s.encode(events)
	require.NoError(t, err)
	require.Len(t, rows, 4, "the fourth is the first over 1 MiB")
	for i := range rows {
		require.Len(t, rows[i], len(columns))
		require.Equal(t, string(audit.AppendStored(nil, events[i].Changes)), rows[i][changesColumn])
	}
}

// stateError is an error as drivers of PostgreSQL have it.
type stateError string

func (e stateError) Error() string    { return "in whatever language" }
func (e stateError) SQLState() string { return string(e) }

func TestDuplicatesAreKnownByWhatDriversHaveInCommon(t *testing.T) {
	for name, c := range map[string]struct {
		d    Dialect
		err  error
		want bool
	}{
		"PostgreSQL":                       {Postgres, fmt.Errorf("wrapped: %w", stateError("23505")), true},
		"PostgreSQL, a foreign key":        {Postgres, stateError("23503"), false},
		"PostgreSQL, only words":           {Postgres, fmt.Errorf("duplicate key value"), false},
		"MySQL":                            {MySQL, fmt.Errorf("Error 1062 (23000): Duplicate entry 'x' for key 'PRIMARY'"), true},
		"MySQL, another driver":            {MySQL, fmt.Errorf("ERROR 1062 (23000): Doppelter Eintrag"), true},
		"MySQL, too long":                  {MySQL, fmt.Errorf("Error 1406 (22001): Data too long for column"), false},
		"SQLite":                           {SQLite, fmt.Errorf("constraint failed: UNIQUE constraint failed: audit_events.id (1555)"), true},
		"SQLite, another constraint":       {SQLite, fmt.Errorf("NOT NULL constraint failed: audit_events.time"), false},
		"no error is none on any of these": {MySQL, nil, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.d.duplicate(c.err)) })
	}
}

func TestMigrationsAreStatementsWithTheNames(t *testing.T) {
	for _, d := range dialects() {
		texts, err := Migrations(d, &Config{Table: "trail"})
		require.NoError(t, err)
		require.Len(t, texts, schemaVersion)
		for _, text := range texts {
			require.NotContains(t, text, "{")
			require.NotContains(t, text, "audit_events")
			for _, s := range statements(text) {
				lines := strings.Split(s, "\n")
				for len(lines) > 0 && strings.HasPrefix(lines[0], "--") {
					lines = lines[1:]
				}
				require.Regexp(t, `^(CREATE TABLE IF NOT EXISTS|CREATE (UNIQUE )?INDEX IF NOT EXISTS|INSERT|SET @|PREPARE|EXECUTE|DEALLOCATE)`, lines[0])
			}
		}
	}
}

func TestTheFirstMicrosecondNotBefore(t *testing.T) {
	for at, want := range map[time.Time]int64{
		time.Unix(0, 0): 0, time.Unix(0, 1): 1, time.Unix(0, 999): 1, time.Unix(0, 1000): 1, time.Unix(0, 1001): 2,
		time.Unix(0, -1): 0, time.Unix(0, -1000): -1, time.Unix(0, -1001): -1, {}: -62135596800000000,
	} {
		require.Equal(t, want, ceilMicro(at), "%s", at)
	}
}
