package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Events are read as texts. Drivers take longer for the 25 columns of a row than
// databases take to join them, so a row comes as one text, a character between
// its columns. A value that holds this character makes one too many of them;
// then the columns are read one by one.

// between stands between columns. The last one has none: it is JSON.
const between = '\x1f'

// errAmbiguous is returned for a row that cannot be taken apart.
var errAmbiguous = errors.New("a value holds the character that stands between columns")

// readColumns are the columns in the order in which they are read.
var readColumns = [...]struct {
	name string
	as   func(Dialect, string) string
}{
	{"id", Dialect.keyText},
	{"time", nil},
	{"workspace", nil},
	{"actor_kind", nil},
	{"actor_id", nil},
	{"actor_name", Dialect.orEmpty},
	{"initiator_kind", Dialect.orEmpty},
	{"initiator_id", Dialect.orEmpty},
	{"initiator_name", Dialect.orEmpty},
	{"operation", nil},
	{"origin", nil},
	{"entity_type", nil},
	{"entity_id", nil},
	{"entity_label", Dialect.orEmpty},
	{"entity_owner", nil},
	{"ownership", nil},
	{"cause", Dialect.idText},
	{"derived", nil},
	{"change_set", Dialect.idText},
	{"request_id", Dialect.orEmpty},
	{"request_address", Dialect.orEmpty},
	{"request_agent", Dialect.orEmpty},
	{"reason", Dialect.orEmpty},
	{"schema_version", nil},
	{"changes", nil},
}

// orEmpty is a text that is not null: joining would pass over it.
func (d Dialect) orEmpty(column string) string { return "coalesce(" + column + ", '')" }

// keyText is the primary key as a text. PostgreSQL and its drivers make one of a
// uuid by themselves.
func (d Dialect) keyText(column string) string {
	if d == Postgres {
		return column
	}
	return "hex(" + column + ")"
}

// idText is an id as a text.
func (d Dialect) idText(column string) string {
	if d == Postgres {
		column += "::text"
	}
	return d.orEmpty(d.keyText(column))
}

// oneByOne is what is selected of a row to read it column by column.
func (d Dialect) oneByOne() string {
	texts := make([]string, len(readColumns))
	for i, c := range readColumns {
		if texts[i] = c.name; c.as != nil {
			texts[i] = c.as(d, c.name)
		}
	}
	return strings.Join(texts, ", ")
}

// joined is what is selected of a row to read it as one text.
func (d Dialect) joined() string { return "concat_ws('" + string(between) + "', " + d.oneByOne() + ")" }

// form is what is selected of a row.
func (d Dialect) form(joined bool) string {
	if joined {
		return d.joined()
	}
	return d.oneByOne()
}

// joins reports whether the database can join texts, as SQLite can from 3.44 on.
func (s *Store) joins(ctx context.Context, tx audit.DBTX) (bool, error) {
	if s.names.dialect != SQLite {
		return true, nil
	}
	if known := s.engine.Load(); known != nil {
		return *known, nil
	}
	var version string
	if err := tx.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return false, err
	}
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	can := err == nil && (major > 3 || major == 3 && minor >= 44)
	s.engine.Store(&can)
	return can, nil
}

// scanner reads events from rows.
type scanner struct {
	event  audit.Event
	joined bool
	parsed func(changes string) ([]audit.Change, error)
	texts  [len(readColumns)]string
	row    nullable
	dest   []any
}

// newScanner returns a scanner that passes over the columns that are there to be
// ordered by. It reads changes by parsed.
func newScanner(rows *sql.Rows, joined bool, parsed func(string) ([]audit.Change, error)) (*scanner, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	s := &scanner{joined: joined, parsed: parsed, dest: make([]any, len(columns))}
	for i := range s.dest {
		switch {
		case joined && i == 0:
			s.dest[i] = &s.row
		case !joined && i < len(s.texts):
			s.dest[i] = (*nullable)(&s.texts[i])
		default:
			s.dest[i] = new(sql.RawBytes)
		}
	}
	return s, nil
}

// nullable is a text that is empty if it is NULL, which database/sql reads
// without reflection.
type nullable string

// Scan implements sql.Scanner.
func (t *nullable) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*t = ""
	case string:
		*t = nullable(src)
	case []byte:
		*t = nullable(src)
	case int64:
		*t = nullable(strconv.FormatInt(src, 10))
	default:
		return fmt.Errorf("%T is no text", src)
	}
	return nil
}

// scan reads the row at hand. The event is good until the next one is read.
func (s *scanner) scan(row *sql.Rows) (*audit.Event, error) {
	if err := row.Scan(s.dest...); err != nil {
		return nil, err
	}
	if s.joined && !s.split(string(s.row)) {
		return nil, errAmbiguous
	}
	if err := s.parse(); err != nil {
		return nil, fmt.Errorf("event %q: %w", s.texts[0], err)
	}
	return &s.event, nil
}

// split takes a row apart.
func (s *scanner) split(row string) bool {
	last := len(s.texts) - 1
	for i := range last {
		end := 0
		if row == "" || row[0] != between { // many are empty
			if end = strings.IndexByte(row, between); end < 0 {
				return false
			}
		}
		s.texts[i], row = row[:end], row[end+1:]
	}
	s.texts[last] = row
	return strings.IndexByte(row, between) < 0
}

// parse makes the event of the texts, in the order of readColumns.
func (s *scanner) parse() (err error) {
	t := &s.texts
	micros, wrongTime := strconv.ParseInt(t[1], 10, 64)
	version, wrongVersion := strconv.Atoi(t[23])
	s.event = audit.Event{
		Time: time.UnixMicro(micros).UTC(), Workspace: t[2],
		Actor:     audit.Actor{Kind: audit.ActorKind(t[3]), ID: t[4], Name: t[5]},
		Initiator: audit.Actor{Kind: audit.ActorKind(t[6]), ID: t[7], Name: t[8]},
		Operation: audit.Operation(t[9]), Origin: audit.Origin(t[10]),
		Entity:    audit.Entity{Type: audit.EntityType(t[11]), ID: t[12], Label: t[13], Owner: t[14]},
		Ownership: audit.Ownership(t[15]), Derived: t[17] != "0",
		Request: audit.Request{ID: t[19], Address: t[20], Agent: t[21]},
		Reason:  t[22], SchemaVersion: version,
	}
	e := &s.event
	if err := errors.Join(wrongTime, wrongVersion, parseID(&e.ID, t[0]), parseID(&e.Cause, t[16]), parseID(&e.ChangeSet, t[18])); err != nil {
		return err
	}
	changes, err := s.parsed(t[24])
	if len(changes) > 0 {
		e.Changes = changes
	}
	return err
}

// parseID reads an id; an empty text is none.
func parseID(id *uuid.UUID, text string) (err error) {
	if text != "" {
		*id, err = uuid.Parse(text)
	}
	return err
}
