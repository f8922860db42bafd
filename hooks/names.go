package hooks

import (
	"context"
	"strings"

	"gorm.io/gorm"
)

// names finds the captured tables by all the names a statement may have for
// them: in quotes, with the database schema it works in, with an alias and,
// where the database does not tell them apart, in other letters.
type names struct {
	tables map[string]*table
	home   string // the schema or database that a name without one means
	folds  bool   // letters are not told apart
}

// namesOf asks the database how it compares names.
func (d dialect) namesOf(ctx context.Context, db *gorm.DB) (names, error) {
	n := names{tables: map[string]*table{}}
	conn := connection(db.Statement.ConnPool)
	var err error
	switch d.name {
	case "postgres":
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
	name = n.fold(name)
	if t := n.tables[name]; t != nil {
		return t
	}
	if home, short, qualified := strings.Cut(name, "."); qualified && n.home != "" && home == n.fold(n.home) {
		return n.tables[short]
	}
	return nil
}

// tableName is the name of a statement's table, without quotes and alias.
func tableName(stmt *gorm.Statement) string {
	if stmt.TableExpr == nil {
		return stmt.Table
	}
	// "tags AS g", `"public"."tags"`: the statement's Table may be an alias.
	name, _, _ := strings.Cut(strings.TrimSpace(stmt.TableExpr.SQL), " ")
	return unquote.Replace(name)
}

var unquote = strings.NewReplacer("`", "", `"`, "", "[", "", "]", "")
