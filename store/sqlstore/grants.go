package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Roles are the database's roles, or users, that [Grants] is for. An empty one
// is left out.
//
// On PostgreSQL a role has the name that the catalog shows. On MySQL a name is
// that of a role or of a user at any host, "app", or of a user at a host,
// "app@10.0.0.%".
type Roles struct {
	// Application inserts and reads events, and reads and writes settings and
	// exports.
	Application string

	// Purger reads and deletes events, and reads the rest. It inserts too: what it
	// deletes, it tells of in the same transaction.
	Purger string

	// Reader reads events, settings and exports.
	Reader string
}

// Grants returns the SQL that lets each role do its part and nothing else with
// the tables, for PostgreSQL and MySQL. Each text is one statement without a
// semicolon at its end. The roles and the tables must exist. Run them, in one
// transaction on PostgreSQL, as the role that owns the tables, and again after
// each upgrade. SQLite has no roles: there Grants returns an error that wraps
// errors.ErrUnsupported and names [Store.Protect] instead.
//
// Privileges add up, and some cannot be taken away by these statements:
//
//   - On PostgreSQL those of the tables' owner, of superusers, and of roles of
//     which the role is a member. Let the application connect as a role that
//     does not own the tables. It needs USAGE on their schema, which is granted
//     if [Config.Schema] names it.
//   - On MySQL those on the whole database or server, as by GRANT ALL ON app.*.
//     If the application has them, keep the tables in a database of their own,
//     named by [Config.Schema].
//
// It returns an error if no role is named, one is named twice, or a name is
// not up to 63 letters, digits and the signs "_", "-", "." and "$", on
// PostgreSQL "@" too.
func Grants(d Dialect, cfg *Config, roles Roles) ([]string, error) {
	n, err := cfg.names(d)
	if err != nil {
		return nil, err
	}
	if d == SQLite {
		return nil, fmt.Errorf("sqlstore: SQLite has no roles to grant anything to; use Store.Protect, or the SQL of sqlstore.Protections, triggers that refuse to change and delete events: %w", errors.ErrUnsupported)
	}
	parts, err := n.parts(roles)
	if err != nil {
		return nil, err
	}
	if d == Postgres {
		return n.grantsOfPostgres(parts), nil
	}
	return n.grantsOfMySQL(parts), nil
}

// part is what one role may do.
type part struct {
	// role is quoted.
	role string
	// events is for the events' table, kept for those of settings and exports.
	events, kept []string
}

func (n names) parts(roles Roles) ([]part, error) {
	var parts []part
	for _, p := range []struct {
		field, name  string
		events, kept []string
	}{
		{"Application", roles.Application, []string{"SELECT", "INSERT"}, []string{"SELECT", "INSERT", "UPDATE"}},
		{"Purger", roles.Purger, []string{"SELECT", "INSERT", "DELETE"}, []string{"SELECT"}},
		{"Reader", roles.Reader, []string{"SELECT"}, []string{"SELECT"}},
	} {
		if p.name == "" {
			continue
		}
		role, err := n.dialect.quoteRole(p.name)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: Roles.%s %w", p.field, err)
		}
		if slices.ContainsFunc(parts, func(other part) bool { return anyHost(other.role) == anyHost(role) }) {
			return nil, fmt.Errorf("sqlstore: Roles.%s %q has another part already, let each part have a role of its own", p.field, p.name)
		}
		parts = append(parts, part{role, p.events, p.kept})
	}
	if len(parts) == 0 {
		return nil, errors.New("sqlstore: Roles names no role, name at least the Application")
	}
	return parts, nil
}

// anyHost is a quoted role without the host that MySQL means if there is none.
func anyHost(role string) string { return strings.TrimSuffix(role, "@`%`") }

// grantsOfPostgres takes everything and gives what is due. In a transaction
// nobody notices.
func (n names) grantsOfPostgres(parts []part) []string {
	roles := make([]string, len(parts))
	for i, p := range parts {
		roles[i] = p.role
	}
	everybody := strings.Join(roles, ", ")
	tables := n.qualified(n.events) + ", " + n.qualified(n.settings) + ", " + n.qualified(n.exports) + ", " + n.qualified(n.version)
	list := []string{"REVOKE ALL PRIVILEGES ON TABLE " + tables + " FROM PUBLIC, " + everybody}
	if n.schema != "" {
		list = append(list, "GRANT USAGE ON SCHEMA "+n.dialect.quote(n.schema)+" TO "+everybody)
	}
	for _, p := range parts {
		list = append(list,
			"GRANT "+strings.Join(p.events, ", ")+" ON TABLE "+n.qualified(n.events)+" TO "+p.role,
			"GRANT "+strings.Join(p.kept, ", ")+" ON TABLE "+n.qualified(n.settings)+" TO "+p.role,
			"GRANT "+strings.Join(p.kept, ", ")+" ON TABLE "+n.qualified(n.exports)+" TO "+p.role,
			"GRANT SELECT ON TABLE "+n.qualified(n.version)+" TO "+p.role)
	}
	return list
}

// grantsOfMySQL gives what is due before it takes the rest: each statement
// counts at once, and taking from a role that has nothing is an error.
func (n names) grantsOfMySQL(parts []part) []string {
	var list []string
	for _, p := range parts {
		for _, t := range []struct {
			table string
			due   []string
		}{{n.events, p.events}, {n.settings, p.kept}, {n.exports, p.kept}, {n.version, []string{"SELECT"}}} {
			rest := slices.DeleteFunc([]string{
				"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE VIEW", "SHOW VIEW", "TRIGGER", "GRANT OPTION",
			}, func(privilege string) bool { return slices.Contains(t.due, privilege) })
			list = append(list,
				"GRANT "+strings.Join(t.due, ", ")+" ON TABLE "+n.qualified(t.table)+" TO "+p.role,
				"REVOKE "+strings.Join(rest, ", ")+" ON TABLE "+n.qualified(t.table)+" FROM "+p.role)
		}
	}
	return list
}

// quoteRole makes an identifier of a role's name.
func (d Dialect) quoteRole(name string) (string, error) {
	if d == MySQL {
		user, host, at := strings.Cut(name, "@")
		if !isRole(user, "") || at && !isRole(host, "%:/") {
			return "", fmt.Errorf(`%q must be up to 63 letters, digits and "_-.$", and may go on with "@" and a host`, name)
		}
		if at {
			return d.quote(user) + "@" + d.quote(host), nil
		}
	} else if !isRole(name, "@") {
		return "", fmt.Errorf(`%q must be up to 63 letters, digits and "_-.$@"`, name)
	}
	// Quoted or not, it is no role's name.
	if strings.EqualFold(name, "public") {
		return "", fmt.Errorf("%q is everybody, name a role", name)
	}
	return d.quote(name), nil
}

// isRole reports whether a name can be quoted as it is.
func isRole(name, also string) bool {
	if name == "" || len(name) > 63 {
		return false
	}
	for _, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !letter && !strings.ContainsRune("_-.$"+also, r) {
			return false
		}
	}
	return true
}
