package dbtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gormtrail/audit"
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

func lines(history []move) string {
	var b strings.Builder
	for i, m := range history {
		fmt.Fprintf(&b, "%d %s\n", i+1, m)
	}
	return b.String()
}
