package sqlstore

import (
	"errors"
	"strconv"
	"strings"
)

// Dialect is a kind of database. The zero Dialect is not valid.
type Dialect string

// The databases that are supported. MySQL stands for MariaDB too.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
	MySQL    Dialect = "mysql"
)

func (d Dialect) valid() bool { return d == SQLite || d == Postgres || d == MySQL }

// quote makes an identifier of a validated name.
func (d Dialect) quote(name string) string {
	if d == MySQL {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

// placeholder is the nth variable of a statement, counted from 1.
func (d Dialect) placeholder(n int) string {
	if d == Postgres {
		return "$" + strconv.Itoa(n)
	}
	return "?"
}

// duplicate reports whether the database refused a key that is there already.
//
// Asking the database would not do: a failed statement ends a transaction of
// PostgreSQL, and the key may stand twice in one statement. So the error is
// read, by what does not depend on the driver or on the server's language:
// drivers of PostgreSQL give the SQLSTATE, those of MySQL begin the message
// with the error's number, and SQLite's messages come from its engine. The
// primary key is the events' only unique one.
func (d Dialect) duplicate(err error) bool {
	if err == nil {
		return false
	}
	switch d {
	case Postgres:
		var state interface{ SQLState() string }
		return errors.As(err, &state) && state.SQLState() == "23505"
	case MySQL:
		return strings.Contains(strings.ToLower(err.Error()), "error 1062")
	default:
		return strings.Contains(err.Error(), "UNIQUE constraint failed")
	}
}
