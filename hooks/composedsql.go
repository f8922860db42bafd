package hooks

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gormtrail/audit"
)

// composeText makes the form of a statement that records itself; empty if the
// statement is not on one row, or is not a plain one.
func (c *capture) composeText(text string, variables int) string {
	stmt, l := c.db.Statement, c.layout
	if len(l.columns) > mostComposed || stmt.SQL.String() != text || c.kind != inserting && !c.pinsKey() {
		return ""
	}
	s := eventSQL{layout: l, kind: c.kind, set: c.assigned, entity: c.table.entity.kind, composer: c.plugin.composer}
	s.deletes = c.kind == updating && l.deleted >= 0 && len(c.assigned.set) == 1 && c.assigned.has(l.columns[l.deleted].name)
	s.given = c.kind == inserting && places(c.values(), c.table.keys) != nil
	list := func(column, name func(int) string) string {
		parts := make([]string, len(l.columns), len(l.columns)+1)
		for i := range l.columns {
			parts[i] = column(i) + " AS " + name(i)
		}
		if name(0) == oldSQL(0) {
			parts = append(parts, "xmin AS audit_version")
		}
		return strings.Join(parts, ",")
	}
	made := listVariables(variables) + s.texts()
	theirs := ""
	switch c.kind {
	case inserting:
		if c.wantsRows() {
			theirs = c.returning() + ","
			text += "\n," + list(s.now, newSQL) + made
		} else {
			text += "\nRETURNING " + list(s.now, newSQL) + made
		}
	case updating:
		set, where, ok := c.split(text)
		if !ok {
			return ""
		}
		old := func(i int) string { return c.plugin.dialect.quote(l.columns[i].name) }
		text = c.joinOld(set, where, list(old, oldSQL), "audit_old.*,"+list(s.now, newSQL)+made)
	case deleting:
		text += "\nRETURNING " + list(s.was, oldSQL) + made
	}
	const something = "audit_changes<>'[]'" // is recorded
	answer := "audit_doubt," + something + s.images()
	if c.alone {
		answer = "CASE WHEN audit_doubt THEN (left(audit_id,0)||" + literalSQL(doubtWord) + ")::boolean ELSE false END," + something
	}
	return "WITH audit_row AS (" + text + ")," +
		"audit_event AS MATERIALIZED (SELECT *,COALESCE(" + s.doubt() + ",false) AS audit_doubt FROM audit_row)," +
		"audit_written AS (" + c.plugin.composer.ComposeText("audit_event", s.computed(), variables+ownVariables) +
		" WHERE NOT audit_doubt AND " + something + ") " +
		"SELECT " + l.edition + theirs + answer + " FROM audit_event"
}

// mostComposed is how many columns a table may have of which old and new are returned:
// PostgreSQL returns up to 1,664, and each wide one takes four.
const mostComposed = 400

// ownVariables is the number of variables that composeArgs adds to those of the
// store.
const ownVariables = 6

// variableSQL is the nth of them, once listVariables has made columns of them.
func variableSQL(n int) string { return "audit_v" + strconv.Itoa(n) }

func listVariables(bound int) string {
	var b strings.Builder
	for n := 1; n <= ownVariables; n++ {
		kind := "text"
		if n == ownVariables {
			kind = "bigint" // the time
		}
		b.WriteString(",$" + strconv.Itoa(bound+n) + "::" + kind + " AS " + variableSQL(n))
	}
	return b.String()
}

// oldSQL and newSQL are a column of the row as it was and as it is. They are
// named as updateFrom names them.
func oldSQL(i int) string { return oldName(i, 0) }
func newSQL(i int) string { return "audit_n" + strconv.Itoa(i) }

// eventSQL are the expressions for the event of a row.
type eventSQL struct {
	layout   *layout
	entity   audit.EntityType
	composer audit.TxComposer
	kind     statementKind
	set      assignments
	deletes  bool // it is a soft delete
	given    bool // it is an INSERT of a key that the database does not make
}

// operation is what operationOf says; doubt tells where it would say another.
func (s *eventSQL) operation() audit.Operation {
	switch {
	case s.kind == inserting:
		return audit.Created
	case s.kind == deleting || s.deletes:
		return audit.Deleted
	}
	return audit.Updated
}

// was and now are a column of the row as it was and as it is, where a statement
// returns it; see joinOld.
func (s *eventSQL) was(i int) string {
	if s.kind == updating {
		return oldSQL(i)
	}
	return s.now(i)
}

func (s *eventSQL) now(i int) string {
	return s.layout.dialect.quote(s.layout.table) + "." + s.layout.dialect.quote(s.layout.columns[i].name)
}

// row is a column of the row that names the record: see unit.addRow.
func (s *eventSQL) row(i int) string {
	if s.kind == inserting {
		return s.now(i)
	}
	return s.was(i)
}

// text is a column as text; empty if there is no such column.
func (s *eventSQL) text(i int, x string) string {
	if i < 0 {
		return "''"
	}
	text, _ := s.layout.columns[i].plainSQL(x)
	return text
}

// texts are the columns of audit_row that the rest is made of. The statement returns
// them, so that they are made once and not each time that they are named.
func (s *eventSQL) texts() string {
	l := s.layout
	id := make([]string, len(l.keys))
	for i, k := range l.keys {
		if id[i] = s.text(k, s.row(k)); len(id) > 1 {
			id[i] = "replace(replace(" + id[i] + ",'%','%25'),'/','%2F')"
		}
	}
	label := ""
	if l.label >= 0 {
		if label = s.row(l.label); s.operation() == audit.Updated {
			label = s.now(l.label)
		}
	}
	workspace, owner := "''", "''"
	if l.workspace >= 0 {
		workspace = s.text(l.workspace, s.row(l.workspace))
	}
	if l.owner >= 0 {
		owner = s.text(l.owner, s.row(l.owner))
	}
	return "," + strings.Join(id, "||'/'||") + " AS audit_id," + s.text(l.label, label) + " AS audit_label," +
		workspace + " AS audit_workspace," + owner + " AS audit_owner," + s.changes() + " AS audit_changes"
}

// changes is what entity.change makes of the columns.
func (s *eventSQL) changes() string {
	var parts []string
	for i := range s.layout.columns {
		c := &s.layout.columns[i]
		if !c.audited {
			continue
		}
		head := literalSQL(`,{"f":` + string(audit.AppendJSONString(nil, c.name)))
		before, after := c.sideSQL("b", s.was(i)), c.sideSQL("a", s.now(i))
		switch {
		case s.kind == inserting:
			parts = append(append(append(parts, head), after...), "'}'")
		case s.kind == updating && s.set.has(c.name):
			change := slices.Concat([]string{head}, before, after, []string{"'}'"})
			parts = append(parts, "CASE WHEN "+c.differsSQL(s.was(i), s.now(i), true)+" THEN "+concatSQL(change)+" END")
		case s.kind == deleting || s.deletes:
			parts = append(append(append(parts, head), before...), "'}'")
		}
	}
	if len(parts) == 0 {
		return "'[]'"
	}
	return "'['||substr(" + concatSQL(parts) + ",2)||']'" // without the first comma
}

// doubt reports whether Go has to make the event: where a text is over its limit
// or has a character that PostgreSQL does not escape, where the id is empty, where
// another column has changed than those assigned or the row was deleted or restored
// by them, and where the row is of another workspace than the caller.
func (s *eventSQL) doubt() string {
	l := s.layout
	var doubts []string
	for i := range l.columns {
		c := &l.columns[i]
		involved := s.kind != updating || s.deletes || s.set.has(c.name) || i == l.label || i == l.owner || i == l.workspace
		if s.kind == updating && !s.set.has(c.name) {
			doubts = append(doubts, c.differsSQL(oldSQL(i), newSQL(i), false))
		}
		if c.doubtSQL("x") == "" || !involved {
			continue
		}
		if s.kind != inserting {
			doubts = append(doubts, c.doubtSQL(oldSQL(i)))
		}
		if s.kind == inserting || s.kind == updating && s.set.has(c.name) {
			doubts = append(doubts, c.doubtSQL(newSQL(i)))
		}
	}
	if s.kind == updating && l.deleted >= 0 {
		c := &l.columns[l.deleted]
		was, _ := c.deletedSQL(oldSQL(l.deleted))
		is, _ := c.deletedSQL(newSQL(l.deleted))
		if s.deletes {
			doubts = append(doubts, was, "NOT ("+is+")")
		} else if s.set.has(c.name) {
			doubts = append(doubts, "("+was+")<>("+is+")")
		}
	}
	over := func(x string, limit int) string { return "octet_length(" + x + ")>" + strconv.Itoa(limit) }
	doubts = append(doubts, over("audit_id", audit.MaxIDBytes), "audit_id=''", "audit_changes ~ '"+hiddenSQL+"'")
	if l.label >= 0 {
		doubts = append(doubts, over("audit_label", audit.MaxLabelBytes))
	}
	if l.owner >= 0 {
		doubts = append(doubts, over("audit_owner", audit.MaxIDBytes))
	}
	if l.workspace >= 0 {
		doubts = append(doubts, over("audit_workspace", audit.MaxIDBytes),
			"audit_workspace<>'' AND audit_workspace<>"+variableSQL(2))
	}
	if s.kind != inserting || s.given {
		doubts = append(doubts, s.changedMeanwhile(), s.isOlder())
	}
	return strings.Join(doubts, " OR ") // true if one is, whatever is null
}

// images are the images of a row in doubt, as a reader scans them.
func (s *eventSQL) images() string {
	var b strings.Builder
	add := func(name func(int) string) {
		for i := range s.layout.columns {
			c := s.layout.columns[i]
			c.name = name(i)
			for _, e := range s.layout.dialect.selected(&c, "", s.set.has(s.layout.columns[i].name)) {
				b.WriteString(",CASE WHEN audit_doubt THEN " + e + " END")
			}
		}
	}
	if s.kind != inserting {
		add(oldSQL)
	}
	if s.kind != deleting {
		add(newSQL)
	}
	return b.String()
}

// workspace is the event's.
func (s *eventSQL) workspace() string {
	if s.layout.workspace < 0 {
		return variableSQL(1)
	}
	return "COALESCE(NULLIF(audit_workspace,'')," + variableSQL(1) + ")"
}

// isOlder reports whether the record has an event that is not older. Under SERIALIZABLE
// that is not asked but doubted: what a transaction reads of the log, others must not
// add to.
func (s *eventSQL) isOlder() string {
	return "CASE WHEN current_setting('transaction_isolation')='serializable' THEN true ELSE " +
		s.composer.ComposeNewer(s.workspace(), literalSQL(string(s.entity)), "audit_id", variableSQL(ownVariables)) + " END"
}

// changedMeanwhile reports whether the version of the row is another than the
// statement's snapshot has: somebody changed it while the statement waited. A row that
// is new must not be there at all.
func (s *eventSQL) changedMeanwhile() string {
	of := oldSQL
	if s.kind == inserting {
		of = newSQL
	}
	conditions := make([]string, len(s.layout.keys))
	for i, k := range s.layout.keys {
		conditions[i] = "s." + s.layout.dialect.quote(s.layout.columns[k].name) + "=" + of(k)
	}
	if s.kind == inserting {
		return "EXISTS (SELECT 1 FROM " + s.layout.dialect.quote(s.layout.table) + " s WHERE " + strings.Join(conditions, " AND ") + ")"
	}
	return "audit_version IS DISTINCT FROM (SELECT s.xmin FROM " + s.layout.dialect.quote(s.layout.table) + " s WHERE " + strings.Join(conditions, " AND ") + ")"
}

// computed are the parts of the event over audit_event.
func (s *eventSQL) computed() audit.ComputedEvent {
	ownership := "CASE WHEN audit_owner<>'' AND audit_owner=" + variableSQL(3) + " THEN '" + string(audit.OwnershipSelf) + "' ELSE '" + string(audit.OwnershipOther) + "' END"
	origin := "CASE WHEN audit_owner<>'' AND audit_owner=" + variableSQL(3) + " THEN " + variableSQL(4) + " ELSE " + variableSQL(5) + " END"
	if s.layout.owner < 0 {
		ownership, origin = literalSQL(string(audit.OwnershipNone)), variableSQL(5)
	}
	return audit.ComputedEvent{
		Workspace: s.workspace(), Operation: literalSQL(string(s.operation())), Origin: origin, Ownership: ownership,
		EntityID: "audit_id", EntityLabel: "audit_label", EntityOwner: "audit_owner", Changes: "audit_changes",
	}
}
