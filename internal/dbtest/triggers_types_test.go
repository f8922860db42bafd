package dbtest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// Zoo has a column of every kind of type. Those that the model does not name are
// recorded all the same.
type Zoo struct {
	ID       int            `gorm:"primaryKey"`
	Name     string         `audit:"label"`
	Safe     Secrets        `gorm:"serializer:json"`
	Flag     bool           // a small number in the database
	Document map[string]any `gorm:"serializer:json"` // a text in the database
	Amount   string         // a numeric in the database
	Token    string
	Hidden   string `audit:"redact"`
	Noise    string `audit:"-"`
}

// Secrets are within a column.
type Secrets struct {
	Password string `json:"pw"`
	Pin      int    `audit:"show"`
	Memo     string `audit:"redact"`
}

const longName = "sixty_three_bytes_of_a_name_that_goes_on_and_on_until_it_ends__"

const zooTable = `CREATE DOMAIN short AS varchar(20);
CREATE TYPE mood AS ENUM ('sad', 'so ''la''', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE zoos (
	id int PRIMARY KEY, name text, safe text, flag int2, document text, amount numeric, token text, hidden text, noise text,
	b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, n numeric, n2 numeric(12,4), m money,
	t text, v varchar(300), c char(5), short short, cc "char", nm name, mood mood, pair pair,
	tj text, sj jsonb, sb bytea, by bytea, u uuid, j json, jb jsonb, x xml,
	ts timestamp, tz timestamptz, d date, ti time, tt timetz, iv interval,
	ia int[], ta text[], ba bytea[], tza timestamptz[], da date[], ja jsonb[], fa float8[],
	ip inet, ci cidr, bi bit(3), vb varbit, p point, r int4range, tr tstzrange, ve tsvector,
	g int GENERATED ALWAYS AS (i4 * 2) STORED, "quo""te" text, "Ünï-code ☃" text, "` + longName + `" text
)`

// zooValues are literals of SQL for the columns.
var zooValues = map[string][]string{
	"name":     {"'a'", "'b'", "repeat('ä', 70000)", "NULL"},
	"safe":     {`'{"pw":"canary","Pin":7,"Memo":["canary"],"x":{"api_key" : {"a":["canary"]}, "monkey":1}}'`, `'{"pw":"canary2","Pin":7}'`, `'canary'`, "NULL", `'{"Pin":7}'`, "'1'"},
	"flag":     {"0", "1", "2", "NULL"},
	"document": {`'{"b": 1.50, "a": [1, 2]}'`, `'{"a":[1,2],"b":1.5}'`, "'no JSON'", "''", "'null'", "NULL", `E'{"k":"\u2028\u007f"}'`},
	"amount":   {"12.50", "12.5", "'NaN'", "NULL"},
	"token":    {"'canary'", "'canary2'"},
	"hidden":   {"'canary'", "NULL"},
	"noise":    {"'canary'", "'x'"},
	"b":        {"true", "false", "NULL"},
	"i2":       {"-32768", "0"}, "i4": {"2147483", "-5"}, "i8": {"9223372036854775807", "-9223372036854775808"}, "o": {"4294967295", "1"},
	"f4": {"0.1", "1e6", "1e20", "1e21", "1e-6", "1e-7", "'-0'", "0", "'NaN'", "'Infinity'", "'-Infinity'", "16777216", "3.4028235e38", "1e-45", "NULL"},
	"f8": {"0.1", "1e15", "1e16", "123456789012345680", "1e20", "1e21", "1.5e300", "0.00001234", "0.000001", "0.0000009", "1e-7", "'-0'", "0", "1.0/3", "'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "NULL"},
	"n":  {"1", "1.0", "1.50", "123456789012345678901234567890.123456789", "0.0000000001", "-0.5", "'NaN'", "'Infinity'", "1e-40", "1e40"},
	"n2": {"1.5", "-99999999.9999"}, "m": {"1234.5"},
	"t": {
		"''", "'a'", `E'q"b\\s/n\nr\rt\tb\bf\f\x01\x1f\x7f'`, `U&'\0080\009f\00a0\061b\061c\200d\200e\200f\2027\2028\2029\202a\202e\202f\2065\2066\2069\206a\fefe\feff'`,
		"'<&>😀ä€'", "repeat('x', 65536)", "repeat('x', 65537)", "repeat('€', 21845)", "repeat('€', 30000)", `repeat(E'\n', 60000)`, `repeat('"', 70000)`, "NULL", "'null'", "'{}'", "'1'",
	},
	"v": {"'a'", "repeat('ä', 300)"}, "c": {"'a'", "'abcde'", "''"}, "short": {"'s'"}, "cc": {"'c'"}, "nm": {"'nm'"}, "mood": {"'sad'", "'so ''la'''"},
	"pair": {"ROW(1, 'x')", "ROW(NULL, NULL)", "NULL"},
	"by":   {"''", `'\x00ff'`, "decode(repeat('00ff10', 30), 'hex')", "decode(repeat('ab', 65536), 'hex')", "decode(repeat('ab', 65537), 'hex')"},
	"u":    {"'0198c5e0-0000-7000-8000-00000000000A'"},
	"j": {
		`'{"b" : 1.50, "a":[ 1,2 ] , "b":2}'`, `'{"b":2.0,"a":[1,2]}'`, "'null'", "NULL", `E' "a\\u0041\u2028 b"  '`, `'"a\u0000"'`, `'["a\u0000"]'`, `'"a b\\\" c"'`,
		`'{"n":123456789012345678901234567890.125,"e":1e-3,"f":1E5}'`, "('[' || repeat('1, ', 9000) || '1]')::json", `('"' || repeat('x', 70000) || '"')::json`, "'true'", "'{}'", "' [ ] '",
	},
	"jb": {`'{"b" : 1.50, "a":[ 1,2 ], "c": "x: y, \"z"}'`, `'{"b":1.5,"a":[1,2]}'`, "'null'", "NULL", `'"a b"'`, "to_jsonb(repeat('x', 70000))"},
	"x":  {"'<a/>'"},
	// Values with secrets in them.
	"tj": {
		`'{"password":"canary"}'`, `'{"password":"canary2"}'`, `E' [\n{"userPassword2" : [1, {"a": "canary"}]}]'`, `'{"a":{"API_KEY":1.5,"monkey":"m","b":[true,{"totp":null}]},"accessKey":"canary","keys":2}'`,
		`'{"\u0070assword":"canary"}'`, `'{"a":"{\"password\":\"canary\"}","b":" [1]"}'`, `'{"a":"tell","discard":1,"tokenize":2,"XMLToken":"canary","AuthKeys":{}}'`, `'{"token":"canary'`, `'{"token":'`, `'{"token"'`, `'{}'`, `'x {"token":"told"}'`,
		`'{"a":"' || repeat('x', 70000) || '","token":"canary"}'`, `'{"token":"canary","a":"' || repeat('x', 70000) || '"}'`, `'{"secret":12,"a":1} '`, `'"{\"token\":\"told\"}"'`,
	},
	"sj": {`'{"password":"canary"}'`, `'{"a":{"API_KEY":1.5,"b":[true,{"totp":null}]},"accessKey":"canary"}'`, `'{"a":"{\"password\":\"canary\"}"}'`, `'["{\"otp\":1}",{"otp":[1,[2]]},{"a":1}]'`, `'"{\"otp\":1}"'`, `'{"b":1,"pin":2}'`},
	"sb": {`convert_to('{"password":"canary"}', 'UTF8')`, `convert_to('{"passwords":"' || repeat('canary', 20000) || '"}', 'UTF8')`, `convert_to('{"a":1}', 'UTF8')`, `'\x7b00ff'`, `'\x7b22746f6b656e223a22ff22'`},

	"ts": {"'2026-03-28 22:30:00.123456'", "'2026-03-28 22:30:00.1'", "'2026-03-28'", "'0001-01-01'", "'12345-01-01 00:00:00'", "'infinity'", "'-infinity'", "NULL"},
	"tz": {"'2026-03-28 22:30:00.123456+02'", "'2026-03-28 22:30:00+00'", "'1970-01-01 00:00:00+00'", "'infinity'", "'0044-03-15 00:00:00+00 BC'", "'0001-01-01 00:00:00+00 BC'", "NULL"},
	"d":  {"'2026-03-28'", "'0999-01-01'", "'infinity'", "NULL"},
	"ti": {"'22:30:00.5'"}, "tt": {"'22:30:00+02'"}, "iv": {"'1 day 02:03:04'"},
	"ia": {"'{1,2,NULL}'", "'{}'", "ARRAY(SELECT generate_series(1, 20000))"}, "ta": {`'{a,"b c",NULL,"NULL"}'`}, "ba": {`ARRAY['\x00'::bytea]`}, "tza": {"'{2026-03-28 22:30:00+00}'"},
	"da": {"'{2026-03-28}'"}, "ja": {`ARRAY['{"a": 1}'::jsonb]`, "'{}'"}, "fa": {"'{1e20,0.1}'"},
	"ip": {"'192.0.2.1'", "'192.0.2.0/24'"}, "ci": {"'192.0.2.0/24'"}, "bi": {"B'101'"}, "vb": {"B'1'"}, "p": {"'(1,2)'"}, "r": {"'[1,5)'"}, "tr": {"'[2026-03-28 22:30:00+00,)'"}, "ve": {"'a b'::tsvector"},
	`quo"te`: {"'x'"}, "Ünï-code ☃": {"'x'"}, longName: {"'x'"},
}

// TestTriggersWriteEveryTypeAsHooksDo inserts each value, updates it to each of
// the others, and deletes it, with hooks on one side and triggers on the other.
func TestTriggersWriteEveryTypeAsHooksDo(t *testing.T) {
	t.Parallel()
	model := []hooks.Option{hooks.Model[Zoo]("zoo")}
	zoo := func() *Database {
		database := Open(t, "postgres")
		for statement := range strings.SplitSeq(zooTable, ";\n") {
			_, err := database.SQL().Exec(statement)
			require.NoError(t, err)
		}
		return database
	}
	hooked, bare := zoo(), zoo()
	db := openGorm(t, hooked)
	sides := [2]struct {
		*outside
		db *gorm.DB
	}{
		{&outside{database: hooked, store: newStoreOn(t, db, hooked, model)}, db},
		{installTriggers(t, bare, nil, nil, model), openGorm(t, bare)},
	}
	for _, column := range slices.Sorted(maps.Keys(zooValues)) {
		t.Run(column, func(t *testing.T) {
			values := zooValues[column]
			var told [2][]string
			for i, s := range sides {
				told[i] = linesOf(t, s.written(t, audit.DefaultWorkspace, func() {
					for _, value := range values {
						set := func(literal string) map[string]any { return map[string]any{column: gorm.Expr(literal)} }
						row := set(value)
						row["id"] = 1
						require.NoError(t, s.db.Model(&Zoo{}).Create(row).Error, value)
						for _, next := range append(slices.Clone(values), value) {
							require.NoError(t, s.db.Model(&Zoo{}).Where("id = 1").UpdateColumns(set(next)).Error, next)
						}
						require.NoError(t, s.db.Where("id = 1").Delete(&Zoo{}).Error)
					}
				}))
			}
			require.NotEmpty(t, told[0])
			for i := range min(len(told[0]), len(told[1])) {
				require.Equal(t, told[0][i], told[1][i])
			}
			require.Len(t, told[1], len(told[0]))
			require.NotContains(t, strings.Join(told[1], ""), "canary")
		})
	}
}

func newStoreOn(t *testing.T, db *gorm.DB, database *Database, opts []hooks.Option) *sqlstore.Store {
	t.Helper()
	return wire(t, db, database, storeInDatabase, nil, opts).(*sqlstore.Store)
}
