package hooks

import (
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/schema"

	"github.com/gormtrail/audit"
)

func TestSecretsWithinValuesAreWithheld(t *testing.T) {
	t.Parallel()
	plainly := func(s string) audit.Value { return audit.Value{JSON: json.RawMessage(s)} }
	partly := func(s string) audit.Value { return audit.Value{JSON: json.RawMessage(s), Form: audit.FormPartial} }
	redacted := audit.Value{Form: audit.FormRedacted}
	text := func(s string) cell { return cell{json: audit.AppendJSONString(nil, s)} }
	b64 := func(s string) cell {
		return cell{json: audit.AppendJSONString(nil, base64.StdEncoding.EncodeToString([]byte(s))), form: audit.FormBase64}
	}
	long := func(s string) cell { return cell{json: []byte(s), form: audit.FormShortened} }
	of := func(s string) cell { return cell{json: []byte(s)} }
	same := func(v cell) audit.Value { return audit.Value{JSON: v.json, Form: v.form} }
	deep := strings.Repeat(`{"a":[`, 9000) + `{"pin":1}` + strings.Repeat(`]}`, 9000)
	for _, tt := range []struct {
		name string
		cell cell
		want audit.Value
	}{
		{"a text under a name", of(`{"a":1,"password":"x","b":2}`), partly(`{"a":1,"password":"[withheld]","b":2}`)},
		{"a number, a boolean and null", of(`{"pin":1234,"otp":true,"cvv":null}`), partly(`{"pin":"[withheld]","otp":"[withheld]","cvv":"[withheld]"}`)},
		{"what is made of parts", of(`[{"token":{"a":["}"]},"b":[]},{"secrets":[1,[2,"]"]]}]`), partly(`[{"token":"[withheld]","b":[]},{"secrets":"[withheld]"}]`)},
		{"a name with escapes", of(`{"pass\u0077ord":"x","\"pin\"":"y"}`), partly(`{"pass\u0077ord":"[withheld]","\"pin\"":"[withheld]"}`)},
		{"a text that is a name's", of(`{"a":"password","b":["pin"]}`), plainly(`{"a":"password","b":["pin"]}`)},
		{"JSON within JSON", of(`{"a":"{\"pin\":1}","b":"{\"c\":1}","d":"[\"{\\\"pin\\\":1}\"]"}`), partly(`{"a":"[withheld]","b":"{\"c\":1}","d":"[withheld]"}`)},
		{"a place far down", of(deep), partly(strings.Replace(deep, `"pin":1`, `"pin":"[withheld]"`, 1))},
		{"no secret", of(`{"a":{"b":"c\\"}}`), plainly(`{"a":{"b":"c\\"}}`)},
		{"null", of(`null`), plainly(`null`)},
		{"a number", of(`1`), plainly(`1`)},
		{"JSON in a text", text(` {"pin":1}`), redacted},
		{"JSON in a text behind a mark", text("\ufeff\n{\"pin\":1}"), redacted},
		{"damaged JSON in a text", text(`{"a":'b',"pin" : 12`), redacted},
		{"JSON without a secret in a text", text(`{"a":1}`), same(text(`{"a":1}`))},
		{"a text that speaks of secrets", text(`the "password": none`), same(text(`the "password": none`))},
		{"an empty text", text(""), same(text(""))},
		{"JSON in bytes", b64(`{"pin":1}`), redacted},
		{"JSON in bytes that is no UTF-8", b64("{\"\xff\":1,\"pin\":1}"), redacted},
		{"JSON in bytes behind a mark", b64("\ufeff{\"pin\":1}"), redacted},
		{"bytes", b64("\x00\x01"), same(b64("\x00\x01"))},
		{"no bytes", b64(""), same(b64(""))},
		{"the beginning of long JSON", long(`{"length":70000,"prefix":"{\"pin\":12"}`), redacted},
		{"the beginning of long bytes", long(`{"length":70000,"prefix_base64":"` + base64.StdEncoding.EncodeToString([]byte(`{"pin":1`)) + `"}`), redacted},
		{"a long text", long(`{"length":70000,"prefix":"pin"}`), same(long(`{"length":70000,"prefix":"pin"}`))},
		{"what was not read", cell{}, audit.Value{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := (&secrets{}).value(tt.cell)
			require.Equal(t, tt.want, got)
			if len(got.JSON) > 0 && len(got.JSON) < 10_000 {
				require.True(t, json.Valid(got.JSON))
			}
			require.Equal(t, same(tt.cell), (&secrets{shown: true}).value(tt.cell), "it can be turned off")
		})
	}
}

type inner struct {
	Code     string `json:"c" audit:"redact"`
	Password string `json:"p"`
	Hidden   string `audit:"-"`
	PinCount int    `json:"pin_count" audit:"show"`
	Self     *inner
}

// closed writes itself by its methods.
type closed struct{ password string }

func (c closed) Value() (driver.Value, error) { return "user:" + c.password, nil }

type outer struct {
	Some []map[string]*inner
}

func TestNestedFieldsSayByTheirTagsWhatIsWithheld(t *testing.T) {
	t.Parallel()
	s := secretsOf(&schema.Field{FieldType: reflect.TypeFor[*outer]()}, false)
	require.Equal(t, map[string]bool{"c": true, "p": true, "Hidden": true, "pin_count": false}, s.told)
	v := s.value(cell{json: []byte(`{"Some":[{"x":{"c":"1","p":"2","pin_count":3}}]}`)})
	require.Equal(t, audit.Value{JSON: json.RawMessage(`{"Some":[{"x":{"c":"[withheld]","p":"[withheld]","pin_count":3}}]}`), Form: audit.FormPartial}, v)

	// What is written otherwise than as JSON cannot be looked through.
	for _, c := range []cell{{json: []byte(`"1:2"`)}, {json: []byte(`"AAE="`), form: audit.FormBase64}} {
		require.Equal(t, audit.Value{Form: audit.FormRedacted}, s.value(c))
		require.Equal(t, audit.Value{Form: audit.FormRedacted}, secretsOf(&schema.Field{FieldType: reflect.TypeFor[closed]()}, false).value(c))
		require.Equal(t, audit.Value{JSON: c.json, Form: c.form}, secretsOf(&schema.Field{FieldType: reflect.TypeFor[string]()}, false).value(c))
	}
	require.Equal(t, audit.Value{JSON: json.RawMessage("null")}, s.value(cell{json: []byte("null")}))
}

func FuzzMaskedJSONIsJSONWithoutItsSecrets(f *testing.F) {
	f.Add(`{"a":[1,{"pin":"canary"}],"b":"{\"pin\":\"canary\"}"}`)
	f.Add(`{"password" : [ "canary" , {"x":"]"} ] }`)
	f.Add(`["pin",{"pin":{"pin":1}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &secrets{}
		_ = s.hides([]byte(text)) // whatever it is
		if !json.Valid([]byte(text)) {
			return
		}
		masked, some := s.mask([]byte(text))
		require.True(t, json.Valid(masked), "%s", masked)
		before, err := decodeDocument([]byte(text))
		if err != nil {
			return // nested deeper than can be decoded
		}
		after, err := decodeDocument(masked)
		require.NoError(t, err)
		require.Equal(t, blot(before), blot(after))
		if !some {
			require.Equal(t, text, string(masked))
		}
		again, _ := s.mask(masked)
		require.Equal(t, string(masked), string(again))
	})
}

// blot does to decoded JSON what mask does to its text.
func blot(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			if v[name] = blot(v[name]); audit.Sensitive(name) {
				v[name] = "[withheld]"
			}
		}
	case []any:
		for i := range v {
			v[i] = blot(v[i])
		}
	case string:
		if (&secrets{}).nested(audit.AppendJSONString(nil, v)) {
			return "[withheld]"
		}
	}
	return v
}
