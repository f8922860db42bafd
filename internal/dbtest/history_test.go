package dbtest

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gormtrail/audit"
)

// gaps are what histories leave out because it is a limit that the documentation
// names; -history.omit= runs them all.
//
//   - update a device: SQLite tells a long value that was set to itself as changed
const gaps = "update a device"

// omitted reports whether histories leave something out.
func omitted(name string) bool { return slices.Contains(strings.Split(*historyOmit, ","), name) }

var (
	historyOps    = flag.Int("history.ops", 12_000, "how many writes the random histories make on each database")
	historySeed   = flag.Uint64("history.seed", 0, "the seed of the random histories; 0 takes a new one")
	historyOmit   = flag.String("history.omit", gaps, "writes that the random histories leave out, with commas between them")
	historyReplay = flag.String("history.replay", "", "a file with a failed history that is to be run instead of random ones")
)

// move is one thing that an application does: a write or, if Do is one of the
// three below, what holds others.
type move struct {
	Do   string    `json:"do"`
	With arguments `json:"with"`
	// Session tells how: through prepared statements, without GORM's own
	// transactions.
	Session string `json:"session,omitempty"`
	Within  []move `json:"within,omitempty"`
	// Undone is a transaction or a savepoint that is rolled back at its end.
	Undone bool `json:"undone,omitempty"`
	// Heedless is a transaction that goes on after a write has failed.
	Heedless bool `json:"heedless,omitempty"`
}

const (
	transaction = "transaction"
	savepoint   = "savepoint" // within a transaction
	byHand      = "transaction by hand"
)

var sessions = map[string]*gorm.Session{
	"": {}, "prepared": {PrepareStmt: true}, "untransacted": {SkipDefaultTransaction: true},
	"prepared, untransacted": {PrepareStmt: true, SkipDefaultTransaction: true},
}

func (m move) String() string {
	b, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// writes counts those that the move makes.
func (m move) writes() int {
	n := 0
	for _, in := range m.Within {
		n += in.writes()
	}
	return max(n, 1)
}

var errUndone = errors.New("the application changes its mind")

// run does what the move says and returns the error that an application would
// see.
func (m move) run(db *gorm.DB) error {
	db = db.Session(sessions[m.Session])
	switch m.Do {
	case transaction:
		return db.Transaction(m.within)
	case savepoint:
		if err := db.Transaction(m.within); again(err) {
			return err
		}
		return nil // what failed is undone, and the application goes on
	case byHand:
		return m.byHand(db)
	}
	return writes[m.Do](db, m.With)
}

func (m move) within(tx *gorm.DB) error {
	for _, in := range m.Within {
		if err := in.run(tx); err != nil && (!m.Heedless || again(err) || errors.Is(err, audit.ErrAuditFailed)) {
			return err
		}
	}
	if m.Undone {
		return errUndone
	}
	return nil
}

// byHand goes back to a savepoint in the middle if it is to be undone.
func (m move) byHand(db *gorm.DB) error {
	tx := db.Begin()
	err := tx.Error
	for i, in := range m.Within {
		if i == len(m.Within)/2 && m.Undone {
			err = cmp.Or(err, tx.SavePoint("half").Error)
		}
		if err == nil {
			err = in.run(tx)
		}
	}
	if m.Undone && len(m.Within) > 0 {
		err = cmp.Or(err, tx.RollbackTo("half").Error)
	}
	if err != nil {
		tx.Rollback()
		return err
	}
	return tx.Commit().Error
}

// again reports whether an application tries the transaction once more after
// this error: it met another one.
func again(err error) bool {
	if err == nil {
		return false
	}
	for _, s := range []string{
		"try the transaction again", // audit.ErrAuditFailed, rows moved
		"SQLSTATE 40001", "SQLSTATE 40P01", "Error 1213", "Error 1020", "SQLITE_BUSY",
	} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

// limit reports whether an error is one of the documented limits of a database.
func limit(err error) bool {
	return strings.Contains(err.Error(), "cannot be followed on this database")
}

// moves draws one move.
func moves(depth int, heedless bool) *rapid.Generator[move] {
	names := namesOfWrites()
	return rapid.Custom(func(t *rapid.T) move {
		var m move
		if depth < 3 && rapid.IntRange(0, 9).Draw(t, "kind") > []int{7, 6, 8}[depth] {
			m.Do = savepoint
			if depth == 0 {
				m.Do = rapid.SampledFrom([]string{transaction, byHand}).Draw(t, "kind of transaction")
				m.Session = rapid.SampledFrom([]string{"", "prepared"}).Draw(t, "session")
			}
			m.Undone = rapid.IntRange(0, 3).Draw(t, "undone") == 3
			m.Heedless = heedless && m.Do != byHand && rapid.Bool().Draw(t, "heedless")
			m.Within = rapid.SliceOfN(moves(depth+1, heedless), 1, 6).Draw(t, "within")
			return m
		}
		m.Do = names[rapid.Uint64().Draw(t, "write")%uint64(len(names))]
		for i := range m.With {
			m.With[i] = int(rapid.Uint8().Draw(t, "with")) % 10
		}
		if depth == 0 {
			m.Session = rapid.SampledFrom(slices.Sorted(maps.Keys(sessions))).Draw(t, "session")
		}
		return m
	})
}

// namesOfWrites are those that histories are made of, in order.
func namesOfWrites() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(writes)), omitted)
}

// past is a database with a history.
type past struct {
	*workshop
	read    int64 // the last row of truth that was looked at
	replay  *Replay
	truths  [][]RowChange // of each move since
	checked time.Time     // the last check
	wrong   []string
	eager   bool   // check after every move
	failed  []move // the last history that was wrong

	done    int            // writes so far
	changed map[string]int // rows that each write changed
	errors  map[string]int
}

// newPast opens a database that does not wait for its disk: nothing here is
// about what a power failure leaves. With text, MariaDB is sent statements with
// their values in them, which takes half the time and answers in other types.
func newPast(t *testing.T, name string, store newStore, text bool) *past {
	t.Helper()
	database := *Open(t, name)
	switch name {
	case "sqlite":
		database.DSN += "&_pragma=synchronous(0)"
	case "postgres":
		database.DSN += map[bool]string{true: "&", false: " "}[strings.Contains(database.DSN, "://")] + "synchronous_commit=off"
	case "mysql":
		database.DSN += "&interpolateParams=" + strconv.FormatBool(text)
	}
	pool, err := sql.Open(database.Driver, database.DSN)
	require.NoError(t, err)
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	database.pool = pool

	p := &past{changed: map[string]int{}, errors: map[string]int{}}
	cfg := quiet()
	cfg.NowFunc = func() time.Time {
		if p.workshop == nil {
			return opTime
		}
		return p.clock.Now()
	}
	p.workshop = newWorkshop(t, &database, store, cfg)
	p.clock.now = p.clock.now.Add(123456789) // no database keeps all digits
	if name == "mysql" {
		require.NoError(t, p.oracle.watchConstraints(context.Background()))
	}
	return p
}

// begin empties all tables and lets the hooks record what [Seed] says.
func (p *past) begin() error {
	err := p.raw.Transaction(func(tx *gorm.DB) error {
		statements := []string{"UPDATE folders SET parent_id = NULL", "DELETE FROM order_labels", "DELETE FROM shift_marks"}
		for _, t := range slices.Backward(p.oracle.tables) {
			if t.Type != "" {
				statements = append(statements, "DELETE FROM "+t.name)
			}
		}
		for _, s := range append(statements, "DELETE FROM truth") {
			if err := tx.Exec(s).Error; err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err == nil {
		err = p.rewind()
	}
	p.replay = p.oracle.Replay()
	p.clock.next()
	p.checked, p.truths, p.wrong = p.clock.Now(), nil, nil
	if err != nil {
		return err
	}
	err = p.db.WithContext(p.ctx).Transaction(func(tx *gorm.DB) error {
		for _, s := range Seed() {
			if err := tx.Create(s).Error; err != nil {
				return fmt.Errorf("seed %T: %w", s, err)
			}
		}
		return tx.Model(&Order{ID: 1}).Association("Labels").Append(&Label{ID: 1}, &Label{ID: 2})
	})
	if err != nil {
		return err
	}
	truth, err := p.truth()
	p.truths = append(p.truths, truth)
	return err
}

// truth is what changed since it was last asked.
func (p *past) truth() ([]RowChange, error) {
	changes, last, err := p.oracle.readAfter(context.Background(), p.read)
	p.read = max(p.read, last)
	return changes, err
}

// act makes a move and notes what it changed.
func (p *past) act(m move) {
	p.clock.next()
	if wrong := p.move(m); wrong != "" {
		p.wrong = append(p.wrong, wrong)
	}
	truth, err := p.truth()
	p.changed[m.Do] += len(truth)
	p.truths = append(p.truths, truth)
	p.trouble(err)
}

// trouble is an error of the test itself.
func (p *past) trouble(err error) {
	if err != nil {
		p.wrong = append(p.wrong, err.Error())
	}
}

// check holds the events of each move since the last check against the truth
// and plays them. It reports whether all is well so far; if not, wrong says in
// sentences what is not.
func (p *past) check() bool {
	events, err := p.since(p.checked)
	p.trouble(err)
	for _, truth := range p.truths {
		p.checked = p.checked.Add(time.Minute)
		n := slices.IndexFunc(events, func(e audit.Event) bool { return !e.Time.Before(p.checked.Truncate(time.Microsecond)) })
		if n < 0 {
			n = len(events)
		}
		p.wrong = append(p.wrong, p.oracle.Compare(truth, events[:n])...)
		for _, complaint := range p.replay.Apply(events[:n]) {
			p.wrong = append(p.wrong, "replay: "+complaint)
		}
		events = events[n:]
	}
	p.truths = nil
	return len(p.wrong) == 0
}

// live runs a history from its beginning. Each move is held against the truth
// on its own, and the tables are rebuilt from the events at the end.
func (p *past) live(history iter.Seq[move]) (wrong []string) {
	p.trouble(p.begin())
	for m := range history {
		p.act(m)
		if (p.eager || len(p.truths) == movesPerCheck) && !p.check() {
			return p.wrong
		}
	}
	if p.check() {
		p.wrong = p.rebuilt()
	}
	return p.wrong
}

// movesPerCheck saves looking for the events of each move alone.
const movesPerCheck = 25

// rebuilt compares what the events have rebuilt with the tables.
func (p *past) rebuilt() (wrong []string) {
	snapshot, err := p.oracle.Snapshot(context.Background())
	if err != nil {
		return []string{err.Error()}
	}
	for _, complaint := range p.replay.Compare(snapshot) {
		wrong = append(wrong, "replay: "+complaint)
	}
	return wrong
}

// move makes one move. Nothing but the application itself may make it fail.
func (p *past) move(m move) (wrong string) {
	defer func() {
		if r := recover(); r != nil {
			wrong = fmt.Sprintf("%s: panic: %v", m, r)
		}
	}()
	p.done += m.writes()
	err := m.run(p.db.WithContext(p.ctx))
	if n := p.database.SQL().Stats().InUse; n > 0 {
		return fmt.Sprintf("%s: %d connections did not come back", m, n)
	}
	if err == nil || errors.Is(err, errUndone) {
		return ""
	}
	p.errors[m.Do]++
	if errors.Is(err, audit.ErrAuditFailed) && !limit(err) {
		return fmt.Sprintf("%s: %v", m, err)
	}
	return ""
}

// since returns the events from a time on, oldest first.
func (p *past) since(start time.Time) ([]audit.Event, error) {
	events, err := p.store.List(context.Background(), audit.Filter{Workspace: audit.DefaultWorkspace, From: start.Truncate(time.Microsecond)}, audit.Position{}, 1_000_000)
	slices.Reverse(events)
	return events, err
}

// readAfter is [Oracle.Read] from a row of truth on. It also returns the last.
func (o *Oracle) readAfter(ctx context.Context, last int64) (changes []RowChange, _ int64, err error) {
	rows, err := o.pool.QueryContext(ctx, "SELECT id, tbl, old, new FROM truth WHERE id > "+strconv.FormatInt(last, 10)+" ORDER BY id")
	if err != nil {
		return nil, last, err
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var old, new sql.NullString
		if err := rows.Scan(&last, &table, &old, &new); err != nil {
			return nil, last, err
		}
		if old == new {
			continue
		}
		t := o.table(table)
		c := RowChange{Table: table}
		if c.Before, err = t.row(old); err != nil {
			return nil, last, err
		}
		if c.After, err = t.row(new); err != nil {
			return nil, last, err
		}
		if !maps.Equal(c.Before, c.After) {
			changes = append(changes, c)
		}
	}
	return changes, last, rows.Err()
}

// watchConstraints makes the oracle see what MariaDB runs no trigger for: the
// rows that a foreign key deletes or empties together with the one they refer
// to. It goes by the database's own catalogue.
func (o *Oracle) watchConstraints(ctx context.Context) error {
	rows, err := o.pool.QueryContext(ctx, `SELECT k.TABLE_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE
		FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k
		ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME AND k.TABLE_NAME = r.TABLE_NAME
		WHERE r.CONSTRAINT_SCHEMA = DATABASE() AND r.DELETE_RULE IN ('CASCADE', 'SET NULL')`)
	if err != nil {
		return err
	}
	bodies := map[string]string{}
	for rows.Next() {
		var child, column, parent, key, action string
		if err := rows.Scan(&child, &column, &parent, &key, &action); err != nil {
			return joinClose(err, rows)
		}
		t := o.table(child)
		if t == nil {
			continue
		}
		after := "NULL"
		if action == "SET NULL" {
			emptied := *t
			emptied.columns = slices.Clone(t.columns)
			after = strings.ReplaceAll(o.image(&emptied, ""), "CAST(`"+column+"` AS CHAR)", "NULL")
		}
		bodies[parent] += fmt.Sprintf("INSERT INTO truth (tbl, old, new) SELECT '%s', %s, %s FROM %s WHERE %s = OLD.%s; ",
			child, o.image(t, ""), after, o.quote(child), o.quote(column), o.quote(key))
	}
	if err := joinClose(rows.Err(), rows); err != nil {
		return err
	}
	for parent, body := range bodies {
		if _, err := o.pool.ExecContext(ctx, fmt.Sprintf("CREATE TRIGGER constraints_of_%[1]s BEFORE DELETE ON `%[1]s` FOR EACH ROW BEGIN %[2]sEND", parent, body)); err != nil {
			return err
		}
	}
	return nil
}

// seedOfHistories is the flag or a new one, which is printed in any case.
func seedOfHistories(t *testing.T) uint64 {
	t.Helper()
	seed := *historySeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with -history.seed=%d -history.ops=%d", seed, *historyOps)
	return seed
}

// keep writes a failed history to a file and tells where.
func keep(t *testing.T, name string, history any) {
	t.Helper()
	dir := os.TempDir()
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		dir = t.ArtifactDir()
	}
	b, err := json.MarshalIndent(history, "", " ")
	require.NoError(t, err)
	file, err := os.CreateTemp(dir, "history-"+name+"-*.json")
	require.NoError(t, err)
	_, err = file.Write(b)
	require.NoError(t, errors.Join(err, file.Close()))
	path, err := filepath.Abs(file.Name())
	require.NoError(t, err)
	t.Logf("the history is kept in %s; run it again with -history.replay=%s", path, path)
}

// averageHistory is how many moves a history has, on average.
const averageHistory = 100

// TestRandomHistories runs random histories of one writer. After each move the
// events tell what row triggers saw, and at the end of each history they
// rebuild every table.
func TestRandomHistories(t *testing.T) {
	if *historyReplay != "" {
		t.Skip("a history that was kept is run instead")
	}
	seed := seedOfHistories(t)
	// A move is one write and a half on average; a quarter of all writes are for
	// concurrent writers.
	set(t, "rapid.seed", seed)
	set(t, "rapid.steps", averageHistory)
	set(t, "rapid.checks", max(1, *historyOps*3/4*2/3/averageHistory))
	set(t, "rapid.nofailfile", true)
	set(t, "rapid.shrinktime", reducing/4)
	for _, c := range []struct {
		name, database string
		store          newStore
	}{
		{"sqlite", "sqlite", storeInDatabase},
		{"postgres", "postgres", storeInDatabase},
		{"mysql", "mysql", storeInDatabase},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPast(t, c.database, c.store, true)
			defer func() {
				if p.failed != nil {
					history := reduce(p.failed, time.Now().Add(reducing), func(h []move) bool { return len(p.live(slices.Values(h))) > 0 })
					p.live(slices.Values(history))
					t.Logf("%s\nafter these moves:\n%s", strings.Join(p.wrong, "\n"), lines(history))
					keep(t, c.name, history)
				}
			}()
			start := time.Now()
			rapid.Check(t, func(r *rapid.T) {
				var history []move
				wrong := p.live(func(yield func(move) bool) {
					r.Repeat(map[string]func(*rapid.T){"move": func(r *rapid.T) {
						m := moves(0, c.database != "postgres" && !omitted("heedless")).Draw(r, "move")
						history = append(history, m)
						if !yield(m) {
							p.fail(r, history)
						}
					}})
				})
				if len(wrong) > 0 {
					p.fail(r, history)
				}
			})
			t.Logf("%d writes in %s", p.done, time.Since(start).Round(time.Millisecond))
			p.vouch(t)
		})
	}
}

// fail ends a history. From then on each move is checked at once, so that rapid
// has less to shrink; it goes by the text of the error, which is always alike.
func (p *past) fail(r *rapid.T, history []move) {
	p.failed, p.eager = history, true
	r.Fatal("the events are not what happened")
}

// reducing is the time for making a failed history shorter after rapid has
// tried.
const reducing = 20 * time.Second

// reduce leaves moves out, and parts of them, for as long as what is left still
// fails. It knows what moves are, where rapid knows numbers only.
func reduce(history []move, deadline time.Time, fails func([]move) bool) []move {
	try := func(i, n int, instead ...move) bool {
		shorter := slices.Replace(slices.Clone(history), i, i+n, instead...)
		if time.Now().After(deadline) || !fails(shorter) {
			return false
		}
		history = shorter
		return true
	}
	for n := len(history) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(history); {
			if !try(i, n) {
				i += n
			}
		}
	}
	for i := 0; i < len(history); {
		m := history[i]
		plain := m
		plain.Session = ""
		switch {
		case try(i, 1):
		case len(m.Within) > 0 && !m.Undone && try(i, 1, m.Within...):
		case slices.ContainsFunc(m.less(), func(less move) bool { return try(i, 1, less) }):
		case m.Session != "" && try(i, 1, plain):
		default:
			i++
		}
	}
	return history
}

// less is the move without one of those it holds.
func (m move) less() []move {
	var all []move
	for k := range m.Within {
		less := m
		less.Within = slices.Delete(slices.Clone(m.Within), k, k+1)
		all = append(all, less)
	}
	return all
}

func lines(history []move) string {
	var b strings.Builder
	for i, m := range history {
		fmt.Fprintf(&b, "%d %s\n", i+1, m)
	}
	return b.String()
}

// vouch asserts that histories are made of writes that write.
func (p *past) vouch(t *testing.T) {
	t.Helper()
	if p.done < 50_000 {
		return // too few to be sure
	}
	for _, name := range namesOfWrites() {
		if !idle[name] && p.changed[name] == 0 {
			t.Errorf("%q has never changed a row (%d errors)", name, p.errors[name])
		}
		if idle[name] && p.changed[name] > 0 {
			t.Errorf("%q has changed rows", name)
		}
	}
}

func set(t *testing.T, name string, value any) {
	t.Helper()
	require.NoError(t, flag.Set(name, fmt.Sprint(value)))
}

// TestTheHistoryThatWasKept runs a file of a failed history on each database.
func TestTheHistoryThatWasKept(t *testing.T) {
	if *historyReplay == "" {
		t.Skip("-history.replay names no file")
	}
	b, err := os.ReadFile(*historyReplay)
	require.NoError(t, err)
	var history []move
	require.NoError(t, json.Unmarshal(b, &history))
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, newPast(t, name, storeInDatabase, true).live(slices.Values(history)))
		})
	}
}
