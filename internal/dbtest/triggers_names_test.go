package dbtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

// TestTriggersOfStrangeNames has names that would end a text, a name, a function
// or a comment if they were not quoted.
func TestTriggersOfStrangeNames(t *testing.T) {
	t.Parallel()
	strange := `a'b"c\d$1$audit$--
{quote} %s ☃`
	quoted := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	database := Open(t, "postgres")
	schema := "s" + strange + strings.TrimPrefix(database.Namespace, "audit_test_")[:20]
	run(t, database.SQL(), "CREATE SCHEMA "+quoted(schema))
	t.Cleanup(func() { run(t, database.SQL(), "DROP SCHEMA "+quoted(schema)+" CASCADE") })
	long := strings.Repeat("ä", 31) + "x"
	run(t, database.SQL(),
		"CREATE TABLE "+quoted(schema)+"."+quoted(strange)+" ("+quoted(strange)+" text PRIMARY KEY, "+quoted(long)+" jsonb, "+quoted("me")+" text, "+quoted("op")+" text)",
		"CREATE TABLE "+quoted(schema)+"."+quoted(long)+" ("+quoted(strange)+" text PRIMARY KEY)")
	store, err := sqlstore.New(database.SQL(), sqlstore.Postgres, &sqlstore.Config{Table: "Forty_Bytes_0123456789012345678901234567", Schema: database.Namespace})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	triggers, err := store.Triggers([]audit.Table{
		{
			Name: schema + "." + strange, Type: audit.EntityType(strange), Key: []string{strange}, Label: "me", Owner: strange,
			Columns: []audit.Column{
				{Name: strange},
				{Name: long, Kind: audit.ColumnJSON, Parts: &audit.Parts{Withheld: []string{strange}}},
				{Name: "me"},
				{Name: "op", Parts: &audit.Parts{}},
			},
			References: []audit.Reference{{Column: "op", Table: schema + "." + long, Key: strange, Label: strange}},
		},
		{Name: schema + "." + long, Type: "long", Key: []string{strange}, Columns: []audit.Column{{Name: strange}}},
	}, &sqlstore.TriggersConfig{Recorder: &audit.Config{Workspace: `it's \ w1`}, Trusted: []string{`a '\ role`, "postgres"}})
	require.NoError(t, err)
	require.NoError(t, triggers.Install(t.Context()))
	require.NoError(t, triggers.Verify(t.Context()))

	o := &outside{database: database, store: store}
	run(t, database.SQL(), "INSERT INTO "+quoted(schema)+"."+quoted(long)+" VALUES ('1')")
	o.exec(t, "INSERT INTO "+quoted(schema)+"."+quoted(strange)+" VALUES ($1, jsonb_build_object($1::text, 'canary', 'b', 1), 'called', '1')", strange)
	events := eventsSince(t, store, `it's \ w1`, newClock().Now().AddDate(-9, 0, 0))
	require.Len(t, events, 2)
	json := string(audit.AppendJSONString(nil, strange))
	require.Equal(t, audit.Entity{Type: audit.EntityType(strange), ID: strange, Label: "called", Owner: strange}, events[1].Entity)
	require.Equal(t, []audit.Change{
		{Field: strange, After: raw(json)},
		{Field: long, After: audit.Value{JSON: []byte(`{"b":1,` + json + `:"[withheld]"}`), Form: audit.FormPartial}},
		{Field: "me", After: raw(`"called"`)},
		{Field: "op", After: audit.Value{JSON: []byte(`"1"`), Label: "1"}},
	}, events[1].Changes)
	require.NoError(t, triggers.Uninstall(t.Context()))
}

// TestTriggersKnowSecretsByTheirNames holds the function of the database against
// audit.Sensitive.
func TestTriggersKnowSecretsByTheirNames(t *testing.T) {
	t.Parallel()
	o := newOutside(t, nil)
	words := []string{
		"password", "passwords", "passwd", "pwd", "passphrase", "passphrases", "passcode", "passcodes", "passwordhash", "pin", "pincode", "otp", "totp",
		"cvv", "cvc", "secret", "secrets", "credential", "credentials", "cookie", "cookies", "jwt", "token", "tokens", "accesstoken", "authtoken",
		"refreshtoken", "apikey", "apikeys", "privatekey", "secretkey", "accesskey", "clientsecret", "key", "keys", "code", "codes", "api", "private",
		"access", "auth", "encryption", "signing", "session", "master", "ssh", "license", "recovery", "backup", "monkey", "discard", "tokenize", "spin", "x", "2",
	}
	var names []string
	for _, a := range words {
		title := strings.ToUpper(a[:1]) + a[1:]
		names = append(names, a, strings.ToUpper(a), title, "my"+title, "X"+title, a+"2", a+"_", "_"+a, "2"+title, a+"ID", "Öl"+title, a+"s")
		for _, b := range words {
			names = append(names, a+"_"+b, a+" "+strings.ToUpper(b), a+strings.ToUpper(b[:1])+b[1:], a+"7-"+b, a+b)
		}
	}
	rows, err := o.database.SQL().Query("SELECT n, audit_events_sensitive(n) FROM unnest($1::text[]) n", names)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		var sensitive bool
		require.NoError(t, rows.Scan(&name, &sensitive))
		require.Equal(t, audit.Sensitive(name), sensitive, name)
	}
	require.NoError(t, rows.Err())
}
