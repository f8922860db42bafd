package sqlstore

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// selectEvents is the statement that reads columns of the events after a
// position, newest first. It finds every event that the filter matches, and may
// find a few others; see [Store.ListTx]. A limit of 0 is none.
func (n names) selectEvents(columns string, f audit.Filter, after audit.Position, limit int) (string, []any) {
	return n.selectWay(older, columns, f, after, limit)
}

// selectBefore is the statement that reads columns of the events before a
// position, oldest first.
func (n names) selectBefore(columns string, f audit.Filter, before audit.Position, limit int) (string, []any) {
	return n.selectWay(newer, columns, f, before, limit)
}

// way is the direction in which events are read.
type way struct{ than, order string }

var (
	older = way{" < ", "DESC"}
	newer = way{" > ", "ASC"}
)

func (n names) selectWay(w way, columns string, f audit.Filter, from audit.Position, limit int) (string, []any) {
	parts := n.dialect.apart(f)
	text, args := n.selectParts(w, columns, parts, from, limit)
	if len(parts) > 1 && len(args) > maxMergedArgs {
		return n.selectParts(w, columns, []audit.Filter{f}, from, limit)
	}
	return text, args
}

// selectParts reads what at least one of the filters finds. No event may be
// found by two of them.
func (n names) selectParts(w way, columns string, parts []audit.Filter, from audit.Position, limit int) (string, []any) {
	q := query{dialect: n.dialect}
	// The limit is no variable: planners of prepared statements would not know
	// that it is small.
	by := ""
	if len(parts) > 1 { // what is merged is ordered by columns that are read
		by, columns = "by_", columns+", workspace AS by_workspace, time AS by_time, id AS by_id"
	}
	page := " ORDER BY "
	if n.dialect.ranged(parts[0], from) {
		page += by + "workspace " + w.order + ", "
	}
	page += by + "time " + w.order + ", " + by + "id " + w.order
	if limit > 0 {
		page += " LIMIT " + strconv.Itoa(limit)
	}
	for i, f := range parts {
		if i > 0 {
			q.write(" UNION ALL ")
		}
		if len(parts) > 1 && n.dialect != SQLite {
			// Each part is no longer than the page. PostgreSQL merges parts that
			// have an order of their own, SQLite those that have none.
			q.write("(")
			q.selectPart(n, w, columns, f, from)
			q.write(page, ")")
			continue
		}
		q.selectPart(n, w, columns, f, from)
	}
	q.write(page)
	return q.String(), q.args
}

func (q *query) selectPart(n names, w way, columns string, f audit.Filter, from audit.Position) {
	workspace := "workspace"
	if isFew(f) {
		workspace = q.unindexed(workspace)
	}
	q.write("SELECT ", columns, " FROM ", n.qualified(n.events), " WHERE ", workspace, " ")
	if n.dialect.ranged(f, from) {
		q.write(">= ")
		q.arg(f.Workspace)
		q.write(" AND workspace <= ")
	} else {
		q.write("= ")
	}
	q.arg(f.Workspace)
	q.conditions(w, f, from)
	q.except(f.Except)
}

// ranged reports whether the workspace is written as a range. MySQL takes an
// index for as many columns as are compared by "=" and looks at the time row by
// row, from the newest event on, unless the first column is a range, too.
func (d Dialect) ranged(f audit.Filter, from audit.Position) bool {
	return d == MySQL && !isFew(f) && (!from.IsZero() || !f.From.IsZero() || !f.To.IsZero())
}

// isFew reports whether the filter names what finds few events of many.
func isFew(f audit.Filter) bool { return few(f.IDs) || few(f.Causes) || few(f.ChangeSets) }

func few(ids []uuid.UUID) bool { return len(ids) > 0 && !slices.Contains(ids, uuid.Nil) }

// query builds a statement. What comes from a user becomes a variable.
type query struct {
	strings.Builder
	dialect Dialect
	args    []any
	// exact says that a condition must not find more than the filter does.
	exact bool
}

func (q *query) write(parts ...string) {
	for _, p := range parts {
		q.WriteString(p)
	}
}

func (q *query) arg(v any) {
	q.args = append(q.args, v)
	q.WriteString(q.dialect.placeholder(len(q.args)))
}

// conditions are those of the filter, its workspace and Except aside.
func (q *query) conditions(w way, f audit.Filter, from audit.Position) {
	q.between(w, f, from)
	q.ids("id", f.IDs)
	q.actors(f.Actors)
	q.actions(f.Actions)
	oneOf(q, q.unindexed("entity_type"), f.Types)
	q.entities(f.Entities)
	oneOf(q, "entity_owner", f.Owners)
	oneOf(q, "origin", f.Origins)
	q.fields(f.Fields)
	q.ids("cause", f.Causes)
	q.ids("change_set", f.ChangeSets)
	q.label(f.Text)
}

// except leaves out what these filters find. Where the database would find more
// than a filter does, it would leave out too much: such filters are left to
// [Store.ListTx].
func (q *query) except(filters []audit.Filter) {
	filters = slices.DeleteFunc(slices.Clone(filters), func(f audit.Filter) bool { return len(f.Fields) > 0 || f.Text != "" })
	if len(filters) == 0 {
		return
	}
	q.exact = true
	q.write(" AND (")
	q.either(len(filters), func(i int) {
		q.write("(1 = 1")
		q.conditions(older, filters[i], audit.Position{})
		q.write(")")
	})
	q.write(") IS NOT TRUE") // a comparison with NULL is neither true nor false
	q.exact = false
}

// between bounds the time. A position replaces the bound on its side if it is
// stricter: SQLite uses one bound of an index on each side and checks a second
// one row by row.
func (q *query) between(w way, f audit.Filter, p audit.Position) {
	switch {
	case w == newer && !p.IsZero() && (f.From.IsZero() || !p.Time.Before(f.From)):
		q.beyond(w, p)
	case !f.From.IsZero():
		q.write(" AND time >= ")
		q.arg(ceilMicro(f.From))
	}
	switch {
	case w == older && !p.IsZero() && (f.To.IsZero() || p.Time.Before(f.To)):
		q.beyond(w, p)
	case !f.To.IsZero():
		q.write(" AND time < ")
		q.arg(ceilMicro(f.To))
	}
}

// beyond bounds the time and id by a position, which is left out itself.
func (q *query) beyond(w way, p audit.Position) {
	at := ceilMicro(p.Time)
	switch {
	case at != p.Time.UnixMicro(): // between two microseconds, no event is there
		if w == older {
			q.write(" AND time < ")
		} else {
			q.write(" AND time >= ")
		}
		q.arg(at)
	case q.dialect == MySQL: // does not use an index for pairs
		q.write(" AND time", strings.TrimSuffix(w.than, " "), "= ")
		q.arg(at)
		q.write(" AND (time", w.than)
		q.arg(at)
		q.write(" OR id", w.than)
		q.arg(q.dialect.uuid(&p.ID))
		q.write(")")
	default:
		q.write(" AND (time, id)", w.than, "(")
		q.arg(at)
		q.write(", ")
		q.arg(q.dialect.uuid(&p.ID))
		q.write(")")
	}
}

// ceilMicro is the first microsecond that is not before t, or the last or first of
// all if t is too far away.
func ceilMicro(t time.Time) int64 {
	const farthest = math.MaxInt64/1_000_000 - 1 // seconds
	switch s := t.Unix(); {
	case s > farthest:
		return math.MaxInt64
	case s < -farthest:
		return math.MinInt64
	}
	micro := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		micro++
	}
	return micro
}

// either writes n conditions of which one has to be true. They are nested in
// pairs, because SQLite refuses a chain of a thousand as too deep.
func (q *query) either(n int, condition func(i int)) {
	var write func(from, to int)
	write = func(from, to int) {
		if to-from == 1 {
			condition(from)
			return
		}
		q.write("(")
		write(from, (from+to)/2)
		q.write(" OR ")
		write((from+to)/2, to)
		q.write(")")
	}
	write(0, n)
}

// unindexed is the column kept from SQLite's choice of an index. Without
// statistics it takes the index of the records' histories for a type alone, or
// that of the list of authors for a kind, and then has to sort all events of the
// type for a page of them; and for a workspace the index of time, and then has to
// read all its events for one transaction's.
func (q *query) unindexed(column string) string {
	if q.dialect == SQLite {
		return "+" + column
	}
	return column
}

// in writes that a column has one of the values.
func in[T ~string](q *query, column string, values []T) {
	if q.exact && q.dialect == MySQL { // which passes over spaces at the end
		column = "CAST(" + column + " AS BINARY)"
	}
	q.write(column)
	if len(values) == 1 {
		q.write(" = ")
		q.arg(string(values[0]))
		return
	}
	q.write(" IN ")
	for i, v := range values {
		q.WriteByte("(,"[min(i, 1)])
		q.arg(string(v))
	}
	q.write(")")
}

func oneOf[T ~string](q *query, column string, values []T) {
	if len(values) > 0 {
		q.write(" AND ")
		in(q, column, values)
	}
}

// ids finds these; the zero id stands for NULL.
func (q *query) ids(column string, ids []uuid.UUID) {
	if len(ids) == 0 {
		return
	}
	var set []*uuid.UUID
	for i := range ids {
		if ids[i] != uuid.Nil {
			set = append(set, &ids[i])
		}
	}
	null := len(set) < len(ids)
	switch {
	case len(set) == 0:
		q.write(" AND ", column, " IS NULL")
		return
	case null:
		q.write(" AND (", column, " IS NULL OR ", column, " IN ")
	default:
		q.write(" AND ", column, " IN ")
	}
	for i, id := range set {
		q.WriteByte("(,"[min(i, 1)])
		q.arg(q.dialect.uuid(id))
	}
	q.write(")")
	if null {
		q.write(")")
	}
}

// actors are compared by kind and id. One author's events are in the order of
// their index; those of several are not.
func (q *query) actors(actors []audit.Actor) {
	kinds, ids := grouped(actors, func(a audit.Actor) (audit.ActorKind, string) {
		return cmp.Or(a.Kind, audit.KindUser), a.ID
	})
	if len(kinds) == 0 {
		return
	}
	q.write(" AND ")
	kind := "actor_kind"
	if len(actors) > 1 {
		kind = q.unindexed(kind)
	}
	q.either(len(kinds), func(i int) {
		q.write("(")
		in(q, kind, kinds[i:i+1])
		q.write(" AND ")
		in(q, "actor_id", ids[kinds[i]])
		q.write(")")
	})
}

// entities are compared by type and id.
func (q *query) entities(entities []audit.Entity) {
	types, ids := grouped(entities, func(e audit.Entity) (audit.EntityType, string) { return e.Type, e.ID })
	if len(types) == 0 {
		return
	}
	q.write(" AND ")
	q.either(len(types), func(i int) {
		q.write("(")
		in(q, "entity_type", types[i:i+1])
		q.write(" AND ")
		in(q, "entity_id", ids[types[i]])
		q.write(")")
	})
}

// grouped collects the ids of each kind, in the order in which the kinds come.
func grouped[T any, K comparable](values []T, of func(T) (K, string)) (kinds []K, ids map[K][]string) {
	ids = make(map[K][]string)
	for _, v := range values {
		kind, id := of(v)
		if _, seen := ids[kind]; !seen {
			kinds = append(kinds, kind)
		}
		ids[kind] = append(ids[kind], id)
	}
	return kinds, ids
}

// actions match if all their parts do.
func (q *query) actions(actions []audit.Action) {
	if len(actions) == 0 {
		return
	}
	q.write(" AND ")
	q.either(len(actions), func(i int) {
		a := actions[i]
		and := "("
		part := func(column string, values ...string) {
			q.write(and)
			in(q, column, values)
			and = " AND "
		}
		if a.Type != "" {
			part(q.unindexed("entity_type"), string(a.Type))
		}
		if a.Operation != "" {
			part("operation", string(a.Operation))
		}
		if len(a.Origins) > 0 {
			origins := make([]string, len(a.Origins))
			for i, o := range a.Origins {
				origins[i] = string(o)
			}
			part("origin", origins...)
		}
		if a.Ownership != "" {
			part("ownership", string(a.Ownership))
		}
		q.write(")")
	})
}

// fields finds the text with which a change of the field begins. A value in
// JSON may hold the same text, but that in a string has its quotes escaped.
func (q *query) fields(fields []string) {
	if len(fields) == 0 {
		return
	}
	q.write(" AND ")
	q.either(len(fields), func(i int) {
		begin := string(audit.AppendJSONString([]byte(`{"f":`), fields[i]))
		q.contains("changes", "", begin)
	})
}

// label finds a part of the label. Functions instead of LIKE, so that nothing
// in the text has a meaning.
func (q *query) label(text string) {
	if text == "" {
		return
	}
	q.write(" AND ")
	q.contains("entity_label", "lower", text)
}

// contains writes that a column contains a text, both passed through a
// function if there is one.
func (q *query) contains(column, function, text string) {
	switch q.dialect {
	case SQLite:
		q.write("instr(", function, "(", column, "), ", function, "(")
		q.arg(text)
		q.write(")) > 0")
	case Postgres:
		// The collation "C" makes lower mean ASCII, whatever the database's.
		q.write("strpos(", function, "(", column, ` COLLATE "C"), `, function, "(")
		q.arg(text)
		q.write(`::text COLLATE "C")) > 0`)
	default:
		q.write("LOCATE(", function, "(")
		q.arg(text)
		q.write("), ", function, "(", column, ")) > 0")
	}
}
