package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/sqlstore"
)

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
	kept    tally  // of all events that were checked

	begun   int            // histories so far
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

// vacuum does now and then what PostgreSQL does by itself, unless it is told not
// to: thousands of histories leave nothing but dead rows, which would all be read.
func (p *past) vacuum() error {
	p.begun++
	if p.oracle.dialect != "postgres" || p.begun%100 > 0 {
		return nil
	}
	tables := []string{"truth", sqlstore.DefaultTable}
	for _, t := range p.oracle.tables {
		tables = append(tables, t.name)
	}
	return p.raw.Exec("VACUUM ANALYZE " + strings.Join(tables, ", ")).Error
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
		err = errors.Join(p.rewind(), p.vacuum())
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
		p.checked = p.checked.Add(p.clock.step)
		n := slices.IndexFunc(events, func(e audit.Event) bool { return !e.Time.Before(p.checked.Truncate(time.Microsecond)) })
		if n < 0 {
			n = len(events)
		}
		p.wrong = append(p.wrong, p.oracle.Compare(truth, events[:n])...)
		p.kept.add(events[:n])
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

// tally tells sets of events apart: their number and a digest that does not
// depend on their order.
type tally struct {
	events int
	digest uint64
}

func (t *tally) add(events []audit.Event) {
	for i := range events {
		h := fnv.New64a()
		_, _ = h.Write(events[i].AppendJSON(nil))
		t.events++
		t.digest += h.Sum64()
	}
}

// since returns the events of writes from a time on, oldest first.
func (p *past) since(start time.Time) ([]audit.Event, error) {
	events, err := p.store.List(context.Background(), audit.Filter{
		Workspace: audit.DefaultWorkspace, From: start.Truncate(time.Microsecond), Except: ofPurges,
	}, audit.Position{}, 1_000_000)
	slices.Reverse(events)
	return events, err
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
