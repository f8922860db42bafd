package sqlstore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGrantsGiveEachRoleItsPartAndNothingElse(t *testing.T) {
	t.Parallel()
	roles := Roles{Application: "app", Purger: "purge-bot", Reader: "Reports"}
	t.Run("PostgreSQL", func(t *testing.T) {
		got, err := Grants(Postgres, &Config{Schema: "trail"}, roles)
		require.NoError(t, err)
		require.Equal(t, []string{
			`REVOKE ALL PRIVILEGES ON TABLE "trail"."audit_events", "trail"."audit_events_settings", "trail"."audit_events_exports", "trail"."audit_events_schema" FROM PUBLIC, "app", "purge-bot", "Reports"`,
			`GRANT USAGE ON SCHEMA "trail" TO "app", "purge-bot", "Reports"`,
			`GRANT SELECT, INSERT ON TABLE "trail"."audit_events" TO "app"`,
			`GRANT SELECT, INSERT, UPDATE ON TABLE "trail"."audit_events_settings" TO "app"`,
			`GRANT SELECT, INSERT, UPDATE ON TABLE "trail"."audit_events_exports" TO "app"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_schema" TO "app"`,
			`GRANT SELECT, INSERT, DELETE ON TABLE "trail"."audit_events" TO "purge-bot"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_settings" TO "purge-bot"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_exports" TO "purge-bot"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_schema" TO "purge-bot"`,
			`GRANT SELECT ON TABLE "trail"."audit_events" TO "Reports"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_settings" TO "Reports"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_exports" TO "Reports"`,
			`GRANT SELECT ON TABLE "trail"."audit_events_schema" TO "Reports"`,
		}, got)
	})
	t.Run("MySQL", func(t *testing.T) {
		got, err := Grants(MySQL, nil, Roles{Application: "app@10.0.0.%", Purger: "purge-bot"})
		require.NoError(t, err)
		const rest = "CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE VIEW, SHOW VIEW, TRIGGER, GRANT OPTION"
		require.Equal(t, []string{
			"GRANT SELECT, INSERT ON TABLE `audit_events` TO `app`@`10.0.0.%`",
			"REVOKE UPDATE, DELETE, " + rest + " ON TABLE `audit_events` FROM `app`@`10.0.0.%`",
			"GRANT SELECT, INSERT, UPDATE ON TABLE `audit_events_settings` TO `app`@`10.0.0.%`",
			"REVOKE DELETE, " + rest + " ON TABLE `audit_events_settings` FROM `app`@`10.0.0.%`",
			"GRANT SELECT, INSERT, UPDATE ON TABLE `audit_events_exports` TO `app`@`10.0.0.%`",
			"REVOKE DELETE, " + rest + " ON TABLE `audit_events_exports` FROM `app`@`10.0.0.%`",
			"GRANT SELECT ON TABLE `audit_events_schema` TO `app`@`10.0.0.%`",
			"REVOKE INSERT, UPDATE, DELETE, " + rest + " ON TABLE `audit_events_schema` FROM `app`@`10.0.0.%`",
			"GRANT SELECT, INSERT, DELETE ON TABLE `audit_events` TO `purge-bot`",
			"REVOKE UPDATE, " + rest + " ON TABLE `audit_events` FROM `purge-bot`",
			"GRANT SELECT ON TABLE `audit_events_settings` TO `purge-bot`",
			"REVOKE INSERT, UPDATE, DELETE, " + rest + " ON TABLE `audit_events_settings` FROM `purge-bot`",
			"GRANT SELECT ON TABLE `audit_events_exports` TO `purge-bot`",
			"REVOKE INSERT, UPDATE, DELETE, " + rest + " ON TABLE `audit_events_exports` FROM `purge-bot`",
			"GRANT SELECT ON TABLE `audit_events_schema` TO `purge-bot`",
			"REVOKE INSERT, UPDATE, DELETE, " + rest + " ON TABLE `audit_events_schema` FROM `purge-bot`",
		}, got)
	})
}

func TestGrantsRefuseWhatTheyCannotDo(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		dialect Dialect
		cfg     *Config
		roles   Roles
		want    string
	}{
		"SQLite":                  {SQLite, nil, Roles{Application: "app"}, "sqlstore: SQLite has no roles to grant anything to; use Store.Protect, or the SQL of sqlstore.Protections, triggers that refuse to change and delete events: unsupported operation"},
		"no dialect":              {"", nil, Roles{Application: "app"}, `sqlstore: unknown dialect "", use sqlstore.SQLite, Postgres or MySQL`},
		"a table that is no name": {MySQL, &Config{Table: "a`b"}, Roles{Application: "app"}, "sqlstore: Table \"a`b\" must be up to 40 letters, digits and underscores, not beginning with a digit"},
		"no role":                 {Postgres, nil, Roles{}, "sqlstore: Roles names no role, name at least the Application"},
		"a quote":                 {Postgres, nil, Roles{Application: `a"b`}, `sqlstore: Roles.Application "a\"b" must be up to 63 letters, digits and "_-.$@"`},
		"a backtick":              {MySQL, nil, Roles{Purger: "a`b"}, "sqlstore: Roles.Purger \"a`b\" must be up to 63 letters, digits and \"_-.$\", and may go on with \"@\" and a host"},
		"a host that is none":     {MySQL, nil, Roles{Reader: "a@b@c"}, `sqlstore: Roles.Reader "a@b@c" must be up to 63 letters, digits and "_-.$", and may go on with "@" and a host`},
		"no host after the sign":  {MySQL, nil, Roles{Reader: "a@"}, `sqlstore: Roles.Reader "a@" must be up to 63 letters, digits and "_-.$", and may go on with "@" and a host`},
		"too long":                {Postgres, nil, Roles{Reader: long}, `sqlstore: Roles.Reader "` + long + `" must be up to 63 letters, digits and "_-.$@"`},
		"everybody":               {Postgres, nil, Roles{Reader: "public"}, `sqlstore: Roles.Reader "public" is everybody, name a role`},
		"everybody on MariaDB":    {MySQL, nil, Roles{Reader: "PUBLIC"}, `sqlstore: Roles.Reader "PUBLIC" is everybody, name a role`},
		"one role with two parts": {Postgres, nil, Roles{Application: "app", Purger: "app"}, `sqlstore: Roles.Purger "app" has another part already, let each part have a role of its own`},
		"one user with two names": {MySQL, nil, Roles{Application: "app", Reader: "app@%"}, `sqlstore: Roles.Reader "app@%" has another part already, let each part have a role of its own`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Grants(c.dialect, c.cfg, c.roles)
			require.EqualError(t, err, c.want)
			require.Nil(t, got)
		})
	}
}

func TestProtectionsAreWholeStatements(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		protect, unprotect, err := Protections(d, &Config{Table: strings.Repeat("t", maxTable)})
		require.NoError(t, err)
		require.NotEmpty(t, protect)
		for _, statement := range append(protect, unprotect...) {
			require.NotEmpty(t, statement)
			require.NotContains(t, statement, "{", "every name is filled in")
			require.NotContains(t, statement[len(statement)-1:], ";")
		}
		_, _, err = Protections(d, &Config{Table: "a b"})
		require.Error(t, err)
	}
}
