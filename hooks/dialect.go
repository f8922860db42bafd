package hooks

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// dialect is what capture needs to know of a database. It is not taken from
// GORM's own lists of clauses, which claim more than MariaDB can do.
type dialect struct {
	db   *gorm.DB // quotes
	name string

	lock string // follows a SELECT that is to lock its rows, however they are to change
	// lockForUpdate follows one of rows whose keys stay as they are. PostgreSQL lets
	// others insert rows meanwhile that refer to them, and they may wait for each other
	// if we do not.
	lockForUpdate string
	// again follows a SELECT that reads rows once more after they were changed:
	// under MySQL's REPEATABLE READ only a locking read sees a row as it is, if
	// the statement found nothing to change in it.
	again string

	// Which statements give their rows back, so that no SELECT is needed. The
	// pure-Go SQLite driver makes RETURNING dearer than a SELECT by key.
	returnsInsert, returnsUpdate, returnsDelete bool
	// returnsKeys is whether an INSERT can be asked for its rows' keys, dear or not.
	returnsKeys bool

	// octets is the function for the length in bytes.
	octets string
	// valuesIn is written before the list of several composite keys.
	valuesIn string
}

// dialectOf asks the database what it is.
func dialectOf(ctx context.Context, db *gorm.DB) (dialect, error) {
	d := dialect{db: db, name: db.Name(), octets: "octet_length"}
	switch d.name {
	case "postgres":
		d.lock, d.lockForUpdate = " FOR UPDATE", " FOR NO KEY UPDATE"
		d.returnsInsert, d.returnsUpdate, d.returnsDelete = true, true, true
	case "mysql":
		d.lock, d.lockForUpdate, d.again = " FOR UPDATE", " FOR UPDATE", " FOR UPDATE"
		version, err := version(ctx, db, "SELECT VERSION()")
		if err != nil {
			return d, err
		}
		if maria := strings.Contains(strings.ToLower(version), "mariadb"); maria && atLeast(version, 10, 5) {
			d.returnsInsert, d.returnsDelete, d.returnsKeys = true, true, true
		}
	case "sqlite":
		d.valuesIn = "VALUES "
		version, err := version(ctx, db, "SELECT sqlite_version()")
		if err != nil {
			return d, err
		}
		d.returnsKeys = atLeast(version, 3, 35)
		if !atLeast(version, 3, 43) {
			d.octets = "length" // of characters; a limit for older engines
		}
	default:
		return d, fmt.Errorf("audit: the database %q is not supported; use sqlite, postgres or mysql (MariaDB)", d.name)
	}
	return d, nil
}

func version(ctx context.Context, db *gorm.DB, query string) (string, error) {
	var v string
	err := connection(db.Statement.ConnPool).QueryRowContext(ctx, query).Scan(&v)
	return v, err
}

// atLeast compares the first two numbers of a version such as "10.11.6-MariaDB"
// or "5.5.5-10.11.6-MariaDB".
func atLeast(version string, major, minor int) bool {
	version = strings.TrimPrefix(version, "5.5.5-")
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, _ := strconv.Atoi(parts[0])
	b, _ := strconv.Atoi(parts[1])
	return a > major || a == major && b >= minor
}

// quote quotes an identifier, or two joined by a dot.
func (d dialect) quote(name string) string {
	var b strings.Builder
	d.db.QuoteTo(&b, name)
	return b.String()
}

// bind is the placeholder of the n-th variable, counted from 1.
func (d dialect) bind(n int) string {
	if d.name == "postgres" {
		return "$" + strconv.Itoa(n)
	}
	return "?"
}

// prefixChars is how much of a long value is kept.
const prefixChars = 256

// maxMeasured is the size on disk over which PostgreSQL does not write out JSON
// to measure it: it is long for sure, since jsonb takes four times the place of
// its text at most, and the size on disk stands for its length.
const maxMeasured = 4 * audit.MaxValueBytes

// filler is how many constants are selected behind n expressions. SQLite keeps five
// names of each column, 56 bytes apiece, in one piece of memory. One of two to four
// thousand bytes, as 8 to 14 columns take, the pure-Go driver asks the system for,
// and gives back, each time, unless it has another in use; longer ones lie beside
// the pages of the cache, which are always there.
func (d dialect) filler(n int) int {
	if d.name == "sqlite" && n >= 8 && n < 15 {
		return 15 - n
	}
	return 0
}

// selected is how a column is selected: as it is or, if it may hold a long value,
// as two expressions, the value itself if it is not long, and a description of
// it, "length digest prefix", if it is, so that a long value never leaves the
// database. The digest and, on SQLite, the prefix cost a pass over the value:
// they are left out unless the statement at hand assigns it. Table qualifies
// the column; it may be empty.
func (d dialect) selected(c *column, table string, assigned bool) []string {
	v := d.quote(c.name)
	if table != "" {
		v = d.quote(table) + "." + v
	}
	switch {
	case d.name == "mysql" && c.typeName == "FLOAT":
		v += "+0e0" // a double: as text it has all its digits, and not only six
	case d.name == "sqlite" && c.key && (c.kind == kindTime || c.kind == kindDay):
		v = "+" + v // as it is kept: the driver would make a time of it, and of that another text
	}
	if !c.wide {
		return []string{v}
	}
	text := v
	if d.name == "postgres" && c.kind == kindJSON {
		text = v + "::text"
	}
	size := d.octets + "(" + text + ")"
	limit := strconv.Itoa(audit.MaxValueBytes)
	huge, unread := "", "" // what is so long that it is not even measured
	if d.name == "postgres" && c.kind == kindJSON && !assigned {
		stored := "pg_column_size(" + v + ")"
		huge = "WHEN " + stored + ">" + strconv.Itoa(maxMeasured) + " THEN "
		unread = huge + stored + "||' - ' "
		huge += "NULL "
	}
	return []string{
		"CASE " + huge + "WHEN " + size + "<=" + limit + " THEN " + text + " END",
		"CASE " + unread + "WHEN " + size + ">" + limit + " THEN " + d.described(c, v, text, size, assigned) + " END",
	}
}

// described is the description of a long value: v is its column, text what is
// read of it, size its length.
func (d dialect) described(c *column, v, text, size string, assigned bool) string {
	chars := strconv.Itoa(prefixChars)
	switch d.name {
	case "postgres":
		digest, prefix := "'-'", "encode(convert_to(left("+text+","+chars+"),'UTF8'),'hex')"
		raw := "convert_to(" + text + ",'UTF8')"
		if c.kind == kindBytes {
			raw, prefix = v, "encode(substring("+v+" from 1 for "+chars+"),'hex')"
		}
		if assigned {
			digest = "encode(sha256(" + raw + "),'hex')"
		}
		return size + "||' '||" + digest + "||' '||" + prefix
	case "mysql":
		digest := "'-'"
		if assigned {
			digest = "SHA2(" + v + ",256)"
		}
		return "CONCAT(" + size + ",' '," + digest + ",' ',HEX(LEFT(" + v + "," + chars + ")))"
	}
	prefix := "''"
	if assigned {
		prefix = "hex(substr(" + v + ",1," + chars + "))"
	}
	return size + "||' - '||" + prefix
}
