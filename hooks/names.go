package hooks

import (
	"context"
	"maps"
	"strings"
	"unicode"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// names finds the captured tables by all the names a statement may have for
// them: in quotes, with the database schema it works in, with an alias and,
// where the database does not tell them apart, in other letters.
type names struct {
	tables map[string]*table
	home   string // the schema or database that a name without one means
	folds  bool   // letters are not told apart
	lowers bool   // they are made small unless a name is in quotes
}

// namesOf asks the database how it compares names.
func (d dialect) namesOf(ctx context.Context, db *gorm.DB) (names, error) {
	n := names{tables: map[string]*table{}}
	conn := connection(db.Statement.ConnPool)
	var err error
	switch d.name {
	case "postgres":
		n.lowers = true
		err = conn.QueryRowContext(ctx, "SELECT COALESCE(current_schema(),'')").Scan(&n.home)
	case "mysql":
		err = conn.QueryRowContext(ctx, "SELECT COALESCE(DATABASE(),''), @@lower_case_table_names>0").Scan(&n.home, &n.folds)
	default:
		n.home, n.folds = "main", true
	}
	return n, err
}

func (n *names) fold(name string) string {
	if n.folds {
		return strings.ToLower(name)
	}
	return name
}

// add makes a table be found.
func (n *names) add(t *table) {
	n.tables[n.fold(t.name)] = t
	if _, short, qualified := strings.Cut(t.name, "."); qualified && n.tables[n.fold(short)] == nil {
		n.tables[n.fold(short)] = t
	}
}

// find returns the table of a name; nil if it is not captured, which costs a
// look-up.
func (n *names) find(name string) *table {
	if t := n.tables[n.fold(name)]; t != nil {
		return t
	}
	if short := n.short(name); short != name {
		return n.tables[n.fold(short)]
	}
	return nil
}

// of is the name of a statement's table, without quotes and alias, as the database
// takes it: PostgreSQL makes small letters of those that are not in quotes.
func (n *names) of(stmt *gorm.Statement) string {
	if stmt.TableExpr == nil {
		return stmt.Table
	}
	// "tags AS g", `"public"."tags"`, "tags, words": the statement's Table may be an
	// alias.
	name := strings.TrimSpace(stmt.TableExpr.SQL)
	if name == "?" && len(stmt.TableExpr.Vars) == 1 {
		if t, ok := stmt.TableExpr.Vars[0].(clause.Table); ok && t.Name != clause.CurrentTable {
			return t.Name
		}
		return stmt.Table
	}
	if word, rest, _ := strings.Cut(name, " "); n.lowers && strings.EqualFold(word, "ONLY") {
		name = strings.TrimSpace(rest)
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r == ',' || r == '/' || unicode.IsSpace(r) }); i > 0 {
		name = name[:i]
	}
	if n.lowers && !strings.Contains(name, `"`) {
		name = strings.ToLower(name)
	}
	return unquote.Replace(name)
}

// short is a name without the schema that a name without one means.
func (n *names) short(name string) string {
	if home, short, qualified := strings.Cut(name, "."); qualified && n.home != "" && n.fold(home) == n.fold(n.home) {
		return short
	}
	return name
}

// with is the names and a table more, which takes the place of another of its name.
// Unlike one that is registered it is not found without its schema: that may be
// the name of another table.
func (n *names) with(t *table) *names {
	more := *n
	more.tables = maps.Clone(n.tables)
	more.tables[n.fold(t.name)] = t
	return &more
}

// joinsTables reports whether a statement's table is several, as MySQL takes them
// in an UPDATE.
func joinsTables(stmt *gorm.Statement) bool {
	if stmt.TableExpr == nil {
		return false
	}
	text := strings.ToUpper(stmt.TableExpr.SQL)
	return strings.Contains(text, ",") || strings.Contains(text, "JOIN ")
}

// joined returns one of a statement's several tables that is captured; nil if none
// is, or if it has only one.
func (n *names) joined(stmt *gorm.Statement) *table {
	if !joinsTables(stmt) {
		return nil
	}
	apart := func(r rune) bool { return r == ',' || r == '(' || r == ')' || unicode.IsSpace(r) }
	for _, word := range strings.FieldsFunc(unquote.Replace(stmt.TableExpr.SQL), apart) {
		if t := n.find(word); t != nil {
			return t
		}
	}
	return nil
}

// inClause is the table that a clause of a statement names; empty if it leaves that
// to the statement. It is INSERT, UPDATE or, of a DELETE, FROM.
func inClause(stmt *gorm.Statement, name string) string {
	var t clause.Table
	switch e := stmt.Clauses[name].Expression.(type) {
	case clause.Insert:
		t = e.Table
	case clause.Update:
		t = e.Table
	case clause.From:
		if len(e.Tables) > 0 {
			t = e.Tables[0]
		}
	}
	if t.Name == clause.CurrentTable {
		return ""
	}
	return t.Name
}

// misnamed is the table that a clause names though the statement has another; empty
// if there is none.
func (n *names) misnamed(stmt *gorm.Statement, kind statementKind) string {
	name := inClause(stmt, [...]string{inserting: "INSERT", updating: "UPDATE", deleting: "FROM"}[kind])
	if name == "" || n.fold(n.short(name)) == n.fold(n.short(n.of(stmt))) {
		return ""
	}
	return name
}

var unquote = strings.NewReplacer("`", "", `"`, "", "[", "", "]", "")
