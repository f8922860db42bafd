package audit_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

func user(id string) audit.Actor { return audit.Actor{Kind: audit.KindUser, ID: id} }

// queries are texts, what they ask for, and how that is written if otherwise.
var queries = []struct {
	text    string
	want    audit.Filter
	written string
}{
	{"", audit.Filter{}, ""},
	{" \t\n\u00a0", audit.Filter{}, ""},
	{
		`actor:u17 action:project.updated -entity:tag origin:import field:rate created:2026-11-01..2026-11-30 "acme"`,
		audit.Filter{
			From: day(2026, 11, 1), To: day(2026, 12, 1),
			Actors:  []audit.Actor{user("u17")},
			Actions: []audit.Action{{Type: "project", Operation: "updated"}},
			Origins: []audit.Origin{"import"}, Fields: []string{"rate"}, Text: "acme",
			Except: []audit.Filter{{Types: []audit.EntityType{"tag"}}},
		},
		`actor:u17 action:project.updated origin:import field:rate created:2026-11-01..2026-11-30 "acme" -entity:tag`,
	},

	{"actor:system,unknown,17", audit.Filter{Actors: []audit.Actor{audit.System, audit.Unknown, user("17")}}, ""},
	{"actor:a actor:b", audit.Filter{Actors: []audit.Actor{user("a"), user("b")}}, "actor:a,b"},
	{"actor:System ACTOR:UNKNOWN", audit.Filter{Actors: []audit.Actor{audit.System, audit.Unknown}}, "actor:system,unknown"},
	{`actor:"system","key",""`, audit.Filter{Actors: []audit.Actor{user("system"), user("key"), user("")}}, ""},
	{"actor:key:abc,system:cron,user:7", audit.Filter{Actors: []audit.Actor{{Kind: audit.KindKey, ID: "abc"}, {Kind: audit.KindSystem, ID: "cron"}, user("7")}}, "actor:key:abc,system:cron,7"},
	{`actor:key:"a b",key:a:b/c,"robot":r2,"google:12"`, audit.Filter{Actors: []audit.Actor{{Kind: audit.KindKey, ID: "a b"}, {Kind: audit.KindKey, ID: "a:b/c"}, {Kind: "robot", ID: "r2"}, user("google:12")}}, ""},
	{"actor:jo@example.com,Zoë", audit.Filter{Actors: []audit.Actor{user("jo@example.com"), user("Zoë")}}, ""},

	{"action:deleted", audit.Filter{Actions: []audit.Action{{Operation: "deleted"}}}, ""},
	{"action:other action:api", audit.Filter{Actions: []audit.Action{{Ownership: "other"}, {Origins: []audit.Origin{"api"}}}}, "action:other,api"},
	{"action:expense.created.import.self", audit.Filter{Actions: []audit.Action{{Type: "expense", Operation: "created", Origins: []audit.Origin{"import"}, Ownership: "self"}}}, `action:"Created expense (personal, import)"`},
	{`action:"updated project"`, audit.Filter{Actions: []audit.Action{{Type: "project", Operation: "updated", Origins: []audit.Origin{"", "timer", "manual"}}}}, `action:"Updated project"`},
	{"action:UPDATE_TASK", audit.Filter{Actions: []audit.Action{
		{Type: "task", Operation: "updated", Origins: []audit.Origin{"", "timer", "manual"}, Ownership: "self"},
		{Type: "task", Operation: "updated", Origins: []audit.Origin{"", "timer", "manual"}, Ownership: "other"},
	}}, `action:"Updated task (personal)","Updated task (for other)"`},
	{"action:project.created.none", audit.Filter{Actions: []audit.Action{{Type: "project", Operation: "created", Origins: []audit.Origin{""}}}}, ""},
	{"action:*.*.*.self", audit.Filter{Actions: []audit.Action{{Ownership: "self"}}}, "action:self"},
	{`action:"invoice".* action:"invoice"."approved" action:*."approved"`, audit.Filter{Actions: []audit.Action{{Type: "invoice"}, {Type: "invoice", Operation: "approved"}, {Operation: "approved"}}}, `action:"invoice".*,"invoice"."approved",*."approved"`},

	{"entity:tag,client type:task", audit.Filter{Types: []audit.EntityType{"tag", "client", "task"}}, "entity:tag,client,task"},
	{`entity:Tag,"in voice"`, audit.Filter{Types: []audit.EntityType{"tag", "in voice"}}, `entity:tag,"in voice"`},
	{"entity:project/7,task/8f/2", audit.Filter{Entities: []audit.Entity{{Type: "project", ID: "7"}, {Type: "task", ID: "8f/2"}}}, ""},
	{`entity:project/"a b",project/a:b,"in.voice"/7`, audit.Filter{Entities: []audit.Entity{{Type: "project", ID: "a b"}, {Type: "project", ID: "a:b"}, {Type: "in.voice", ID: "7"}}}, ""},
	{"type:project entity:project/7", audit.Filter{Types: []audit.EntityType{"project"}, Entities: []audit.Entity{{Type: "project", ID: "7"}}}, ""},

	{`owner:17,none,"none"`, audit.Filter{Owners: []string{"17", "", "none"}}, ""},
	{`origin:import,None origin:""`, audit.Filter{Origins: []audit.Origin{"import", "", ""}}, "origin:import,none,none"},
	{`field:rate,hourly_rate,"it's","a ""b"`, audit.Filter{}, "!"},
	{`field:rate,"it's","a \"b\" \\c","a,b"`, audit.Filter{Fields: []string{"rate", "it's", `a "b" \c`, "a,b"}}, ""},
	{"id:0190163d-8694-739b-aea5-966c26f8ad91", audit.Filter{IDs: []uuid.UUID{uuid.MustParse("0190163d-8694-739b-aea5-966c26f8ad91")}}, ""},
	{"cause:0190163D-8694-739b-aea5-966c26f8ad91,none", audit.Filter{Causes: []uuid.UUID{uuid.MustParse("0190163d-8694-739b-aea5-966c26f8ad91"), uuid.Nil}}, "cause:0190163d-8694-739b-aea5-966c26f8ad91,none"},
	{"changeset:none", audit.Filter{ChangeSets: []uuid.UUID{uuid.Nil}}, ""},

	{"created:2026-11-01", audit.Filter{From: day(2026, 11, 1), To: day(2026, 11, 2)}, ""},
	{"created:2026-11-01..2026-11-01", audit.Filter{From: day(2026, 11, 1), To: day(2026, 11, 2)}, "created:2026-11-01"},
	{"created:2026-11-01..", audit.Filter{From: day(2026, 11, 1)}, ""},
	{"created:..2026-12-31", audit.Filter{To: day(2027, 1, 1)}, ""},
	{"created:2026-11-01T09:30:00+01:00..2026-11-30", audit.Filter{From: time.Date(2026, 11, 1, 8, 30, 0, 0, time.UTC), To: day(2026, 12, 1)}, "created:2026-11-01T08:30:00Z..2026-11-30"},
	{"created:2026-11-01T08:30:00.000001Z..2026-11-01T08:30:00.5Z", audit.Filter{From: time.Date(2026, 11, 1, 8, 30, 0, 1000, time.UTC), To: time.Date(2026, 11, 1, 8, 30, 0, 500_000_000, time.UTC)}, ""},
	{"created:2026-11-01T00:00:00Z..2026-11-01T00:00:00Z", audit.Filter{From: day(2026, 11, 1), To: day(2026, 11, 1)}, ""},

	{"acme corp", audit.Filter{Text: "acme corp"}, `"acme corp"`},
	{"acme \t corp actor:17", audit.Filter{Text: "acme corp", Actors: []audit.Actor{user("17")}}, `actor:17 "acme corp"`},
	{`"a: \"b\" (c) -d  e"`, audit.Filter{Text: `a: "b" (c) -d  e`}, ""},
	{"(x) e-mail it's", audit.Filter{Text: "(x) e-mail it's"}, `"(x) e-mail it's"`},
	{`"-x"`, audit.Filter{Text: "-x"}, ""},

	{"-acme corp", audit.Filter{Text: "corp", Except: []audit.Filter{{Text: "acme"}}}, `"corp" -"acme"`},
	{`-actor:a,b -actor:c -created:2026-11-05`, audit.Filter{Except: []audit.Filter{{Actors: []audit.Actor{user("a"), user("b")}}, {Actors: []audit.Actor{user("c")}}, {From: day(2026, 11, 5), To: day(2026, 11, 6)}}}, ""},
	{`-(entity:tag actor:u17) -( "x)" owner:a )`, audit.Filter{Except: []audit.Filter{{Types: []audit.EntityType{"tag"}, Actors: []audit.Actor{user("u17")}}, {Owners: []string{"a"}, Text: "x)"}}}, `-(actor:u17 entity:tag) -(owner:a "x)")`},
	{"-(a b)", audit.Filter{Except: []audit.Filter{{Text: "a b"}}}, `-"a b"`},
	{"-action:self,other", audit.Filter{Except: []audit.Filter{{Actions: []audit.Action{{Ownership: "self"}, {Ownership: "other"}}}}}, ""},
}

func TestAQueryAsksForWhatItSays(t *testing.T) {
	t.Parallel()
	for _, tt := range queries {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			f, err := audit.ParseQuery(tt.text, nil)
			if tt.written == "!" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, f)
			written := audit.FormatQuery(f, nil)
			if tt.written == "" {
				tt.written = strings.TrimSpace(tt.text)
			}
			require.Equal(t, tt.written, written)
			again, err := audit.ParseQuery(written, nil)
			require.NoError(t, err)
			require.Equal(t, f, again)
		})
	}
}

func TestDaysOfAQueryAreThoseOfItsZone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, text, from, to string }{
		{"Europe/Berlin", "created:2026-03-01..2026-03-31", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
		{"Europe/Berlin", "created:2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{"America/Sao_Paulo", "created:2018-11-03..2018-11-04", "2018-11-03T03:00:00Z", "2018-11-05T02:00:00Z"},
		{"America/Havana", "created:2023-11-05", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z"},
		{"Pacific/Apia", "created:2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{"Asia/Kathmandu", "created:2026-01-01T00:00:01+05:45..2026-01-02", "2025-12-31T18:15:01Z", "2026-01-02T18:15:00Z"},
		{"Europe/Berlin", "created:1880-01-01T00:00:00Z..1880-12-31", "1880-01-01T00:00:00Z", "1880-12-31T23:06:32Z"}, // local mean time has seconds
	} {
		opts := &audit.QueryOptions{Location: zone(t, tt.zone)}
		f, err := audit.ParseQuery(tt.text, opts)
		require.NoError(t, err)
		require.Equal(t, []string{tt.from, tt.to}, []string{f.From.Format(time.RFC3339), f.To.Format(time.RFC3339)}, tt.text)
		require.Equal(t, tt.text, audit.FormatQuery(f, opts))
		again, err := audit.ParseQuery(audit.FormatQuery(f, nil), nil)
		require.NoError(t, err)
		require.Equal(t, f, again, "it can be said in every zone")
	}
}

func TestAQueryTakesItsNamesFromTheCatalog(t *testing.T) {
	t.Parallel()
	opts := &audit.QueryOptions{Catalog: audit.DefaultCatalog().With(invoices())}
	f, err := audit.ParseQuery(`entity:invoice/7 action:invoice.approved,"New tag"`, opts)
	require.NoError(t, err)
	require.Equal(t, []audit.Entity{{Type: "invoice", ID: "7"}}, f.Entities)
	require.Equal(t, `action:invoice.approved,"New tag" entity:invoice/7`, audit.FormatQuery(f, opts))
	require.Equal(t, `action:"invoice"."approved","Created tag" entity:"invoice"/7`, audit.FormatQuery(f, nil), "without the catalogue it is said otherwise")
}

// wrongQueries are texts that are refused, each for another reason.
var wrongQueries = []string{
	"acter:u17", "foo:bar", "http://example.com", ":x", `"a":b`,
	"actor:", "actor: u17", "actor:a,,b", "actor:,",
	"actor:google:12", "actor:key", "actor:key:", `actor:"":x`,
	"action:project.updatd", "action:nothing", `action:"Updated projet"`, `action:""`,
	"action:*.*", "action:*.", `action:"x"..self`, "entity:/7",
	"action:*.updatd", `action:"x".updated.import.mine`, `action:"x".*.*.*.*`,
	"entity:tga", "entity:tag,project/7", `entity:"project/7"`, "entity:project/", `entity:""`, `type:project/7`,
	`field:""`, `owner:a"b`, `owner:"a"b`, "id:7", "id:none", "cause:x",
	"created:yesterday", "created:2026-11", "created:2026-02-30..", "created:..", "created:2026-11-02..2026-11-01",
	"created:2026-11-02..2026-11-01T00:00:00Z", "created:2026-11-01T09:00:00Z", "created:2026-11-01..2026-11-02..2026-11-03",
	"created:2026-11-01 created:2026-11-02", "created:2026-11-01,2026-11-02", `created:"2026-11-01"`, "created:0001-01-01..", "created:..0000-12-31",
	`"acme" "corp"`, `acme "corp"`, `"acme" corp`, "acme actor:u17 corp", `""`, `ac"me`, `"acme`, `"ac\me"`, `actor:"17`,
	"-", "- x", "--x", "-:", "-()", "-( )", "-(x", "-(-x)", "-(x)y", "-(x))", `-""`, "-foo:bar",
	"actor:\xff", "a\x00b",
}

func TestAnErrorPointsAtTheWordAndNamesWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	var shown strings.Builder
	for _, text := range wrongQueries {
		f, err := audit.ParseQuery(text, nil)
		var wrong *audit.QueryError
		require.ErrorAs(t, err, &wrong, "%q", text)
		require.ErrorIs(t, err, audit.ErrInvalidFilter)
		require.Equal(t, audit.Filter{}, f, "%q", text)
		require.Equal(t, fmt.Sprintf("audit: invalid query, at byte %d: %s", wrong.Offset, wrong.Message), err.Error())
		require.LessOrEqual(t, wrong.Offset+wrong.Length, len(text), "%q", text)
		before := strings.ToValidUTF8(text[:wrong.Offset], "?")
		word := strings.ToValidUTF8(text[wrong.Offset:wrong.Offset+wrong.Length], "?")
		printable := strings.NewReplacer("\xff", "?", "\x00", "?").Replace(text)
		fmt.Fprintf(&shown, "%s\n%s%s\n\t%s\n\n", printable, strings.Repeat(" ", len([]rune(before))), strings.Repeat("^", max(1, len([]rune(word)))), wrong.Message)
	}
	golden(t, "query_errors.golden", shown.String())
}

func TestAQueryIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("x", audit.MaxQueryBytes+1),
		strings.Repeat("\xff", 1<<20), strings.Repeat("-(", 1<<19), strings.Repeat(`"\`, 1<<19),
		"field:" + strings.Repeat("a,", 1000) + "a",
		strings.Repeat("-field:a ", 400) + strings.Repeat("a", 2000),
		"-(" + strings.Repeat("a ", 1000),
		"action:" + strings.Repeat("\u212a", 1300),
		"entity:" + strings.Repeat("tag,", 900) + "tga",
	} {
		_, err := audit.ParseQuery(text, nil)
		var wrong *audit.QueryError
		if err != nil {
			require.ErrorAs(t, err, &wrong)
			require.Less(t, len(err.Error()), 1000)
		}
	}
	_, err := audit.ParseQuery(strings.Repeat("x", audit.MaxQueryBytes+1), nil)
	require.EqualError(t, err, "audit: invalid query, at byte 4096: the query has 4097 bytes, more than 4096")
	_, err = audit.ParseQuery("field:"+strings.Repeat("a,", 1000)+"b", nil)
	require.EqualError(t, err, "audit: invalid query, at byte 2006: the query has more than 1000 values")
	f, err := audit.ParseQuery("field:"+strings.Repeat("a,", 999)+"b", nil)
	require.NoError(t, err)
	require.Len(t, f.Fields, 1000)
	_, err = audit.ParseQuery("action:"+strings.TrimSuffix(strings.Repeat("UPDATE_TASK,", 334), ","), nil)
	require.NoError(t, err)
	_, err = audit.ParseQuery("-action:"+strings.TrimSuffix(strings.Repeat("UPDATE_TASK,", 334), ","), nil)
	require.ErrorContains(t, err, "audit: invalid query, at byte 0: Except has 2672 values, more than 1000")
}

func TestTheWorkspaceNeverComesFromTheText(t *testing.T) {
	t.Parallel()
	_, err := audit.ParseQuery("workspace:w2", nil)
	require.ErrorContains(t, err, `unknown key "workspace"`)
	require.Equal(t, "entity:tag", audit.FormatQuery(audit.Filter{Workspace: "w1", Types: []audit.EntityType{"tag"}}, nil))
}

func TestAFilterThatCannotBeSaidGivesATextThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]audit.Filter{
		"a year of five digits":   {To: time.Date(10000, 1, 1, 0, 0, 0, 1, time.UTC)},
		"the last day of 9999":    {From: day(2026, 1, 1), To: time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)},
		"a year before Christ":    {From: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)},
		"From after To":           {From: day(2026, 1, 2), To: day(2026, 1, 1)},
		"an empty exception":      {Except: []audit.Filter{{}}},
		"an empty action":         {Actions: []audit.Action{{}}},
		"an unknown ownership":    {Actions: []audit.Action{{Ownership: "mine"}}},
		"an empty type":           {Types: []audit.EntityType{""}},
		"an entity without an id": {Entities: []audit.Entity{{Type: "tag"}}},
		"an empty field":          {Fields: []string{""}},
		"no valid UTF-8":          {Text: "\xff"},
		"a NUL":                   {Owners: []string{"\x00"}},
		"too much":                {Text: strings.Repeat("x", audit.MaxQueryBytes)},
	} {
		text := audit.FormatQuery(f, nil)
		_, err := audit.ParseQuery(text, nil)
		require.ErrorIs(t, err, audit.ErrInvalidFilter, "%s: %.200q", name, text)
	}
}

// sameQuestion is a text that two filters share if they find the same events.
func sameQuestion(f audit.Filter) string {
	spread := func(f audit.Filter) audit.Filter {
		var single []audit.Action
		for _, a := range f.Actions {
			if len(a.Origins) == 0 {
				single = append(single, a)
			}
			for _, o := range a.Origins {
				a.Origins = []audit.Origin{o}
				single = append(single, a)
			}
		}
		f.Actions = single
		return f
	}
	f = spread(f)
	f.Workspace = "w1"
	f.Except = slices.Clone(f.Except)
	for i := range f.Except {
		f.Except[i] = spread(f.Except[i])
	}
	return audit.CursorAfter(renamed(), f).String()
}

// anyFilter makes filters of what is hard to write down.
func anyFilter(rnd *rand.Rand) audit.Filter {
	words := []string{
		"a", "17", "u17", "system", "System", "unknown", "user", "key", "none", "None", "project", "tag", "updated", "created", "import", "self", "other", "*",
		"a b", " a", "a,b", "a:b", "a/b", "a.b", "..", `a"b`, `"`, `\`, `a\`, "-a", "(a", "a)", "é", "e\u0301", "日本", "a\nb", "\u00a0", "\u200b", "timer", "", "", "robot",
	}
	one := func() string { return words[rnd.IntN(len(words))] }
	full := func() string {
		for {
			if s := one(); s != "" {
				return s
			}
		}
	}
	some := func(often int, add func()) {
		if rnd.IntN(often) == 0 {
			for range 1 + rnd.IntN(3) {
				add()
			}
		}
	}
	moment := func() time.Time {
		at := time.Date(1850+rnd.IntN(300), 1, 1+rnd.IntN(366), 0, 0, 0, 0, time.UTC)
		return at.Add([]time.Duration{0, 0, -time.Hour, 3 * time.Hour, 12345678 * time.Microsecond}[rnd.IntN(5)])
	}
	conditions := func(often int) audit.Filter {
		var f audit.Filter
		if rnd.IntN(often) == 0 {
			f.From = moment()
		}
		if rnd.IntN(often) == 0 {
			f.To = moment()
		}
		if !f.From.IsZero() && !f.To.IsZero() && f.From.After(f.To) {
			f.From, f.To = f.To, f.From
		}
		some(often, func() { f.IDs = append(f.IDs, id(byte(rnd.IntN(9)))) })
		some(often, func() {
			f.Actors = append(f.Actors, audit.Actor{Kind: []audit.ActorKind{"user", "system", "key", "unknown", audit.ActorKind(full())}[rnd.IntN(5)], ID: one()})
		})
		some(often, func() {
			a := audit.Action{Type: audit.EntityType(one()), Operation: audit.Operation(one()), Ownership: []audit.Ownership{"", "self", "other"}[rnd.IntN(3)]}
			if rnd.IntN(3) == 0 {
				rows := audit.DefaultCatalog().All()
				a = rows[rnd.IntN(len(rows))].Action
			}
			some(2, func() { a.Origins = append(a.Origins, audit.Origin(one())) })
			if a.Type+audit.EntityType(a.Operation)+audit.EntityType(a.Ownership) != "" {
				f.Actions = append(f.Actions, a)
			}
		})
		some(often, func() { f.Types = append(f.Types, audit.EntityType(full())) })
		some(often, func() {
			f.Entities = append(f.Entities, audit.Entity{Type: audit.EntityType(full()), ID: full()})
		})
		some(often, func() { f.Owners = append(f.Owners, one()) })
		some(often, func() { f.Origins = append(f.Origins, audit.Origin(one())) })
		some(often, func() { f.Fields = append(f.Fields, full()) })
		some(often, func() { f.Causes = append(f.Causes, []uuid.UUID{{}, id(1), id(2)}[rnd.IntN(3)]) })
		some(often, func() { f.ChangeSets = append(f.ChangeSets, []uuid.UUID{{}, id(1), id(2)}[rnd.IntN(3)]) })
		if rnd.IntN(often) == 0 {
			f.Text = full()
		}
		return f
	}
	f := conditions(3)
	for range rnd.IntN(4) {
		if x := conditions(8); sameQuestion(x) != sameQuestion(audit.Filter{}) {
			f.Except = append(f.Except, x)
		}
	}
	return f
}

func TestEveryFilterCanBeWrittenAndReadBack(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	zones := []*audit.QueryOptions{nil, {Location: zone(t, "Europe/Berlin")}, {Location: zone(t, "America/Sao_Paulo"), Catalog: audit.DefaultCatalog().With(invoices())}, {Location: zone(t, "Pacific/Apia")}}
	for range 3000 {
		f, opts := anyFilter(rnd), zones[rnd.IntN(len(zones))]
		valid := f
		valid.Workspace = "w1"
		require.NoError(t, valid.Validate(), "seed %d", seed)
		text := audit.FormatQuery(f, opts)
		read, err := audit.ParseQuery(text, opts)
		require.NoError(t, err, "seed %d: %s", seed, text)
		require.Equal(t, sameQuestion(f), sameQuestion(read), "seed %d: %s\n%+v\n%+v", seed, text, f, read)
		require.Equal(t, text, audit.FormatQuery(read, opts), "seed %d: a filter has one text", seed)
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, q := range queries {
		f.Add(q.text)
	}
	for _, text := range wrongQueries {
		f.Add(text)
	}
	opts := &audit.QueryOptions{Location: zone(f, "America/Havana")}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := audit.ParseQuery(text, opts)
		if err != nil {
			var wrong *audit.QueryError
			require.ErrorAs(t, err, &wrong)
			require.GreaterOrEqual(t, wrong.Offset, 0)
			require.Positive(t, wrong.Length)
			require.LessOrEqual(t, wrong.Offset+wrong.Length, len(text))
			require.NotEmpty(t, wrong.Message)
			return
		}
		require.Empty(t, read.Workspace)
		written := audit.FormatQuery(read, opts)
		if len(written) > audit.MaxQueryBytes {
			return // quotes, full names of actions
		}
		again, err := audit.ParseQuery(written, opts)
		require.NoError(t, err, "%q became %q", text, written)
		require.Equal(t, read, again, "%q became %q", text, written)
		require.Equal(t, written, audit.FormatQuery(again, opts))
	})
}

// The documentation shows queries in blocks of their own, one on each line.
func TestTheQueriesOfTheDocumentationAreUnderstood(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("docs/query-language.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			text, _, _ := strings.Cut(line, "   ") // what it means stands behind it
			_, err := audit.ParseQuery(text, nil)
			require.NoError(t, err, text)
		}
	}
	for _, key := range []string{"actor", "action", "entity", "type", "owner", "origin", "field", "id", "cause", "changeset", "created"} {
		require.Contains(t, string(doc), "| `"+key+":` |")
	}
}
