package dbtest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// furnished is an office with a firm, its venture with a step, two words and
// two entries that show all of them; a third entry shows nothing.
func furnished(t *testing.T, database *Database, cfg *audit.Config) *office {
	t.Helper()
	o := newOffice(t, database, storeInDatabase, cfg)
	o.have(t,
		&Firm{ID: "f1", WorkspaceID: "w1", Name: "Acme"},
		&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini", FirmID: text("f1")},
		&Step{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "v1"},
		&[]Word{{ID: "x1", WorkspaceID: "w1", Name: "urgent"}, {ID: "x2", WorkspaceID: "w1", Name: "later"}},
		&[]Entry{
			{ID: "e1", WorkspaceID: "w1", UserID: text("u1"), Note: "one", VentureID: text("v1"), StepID: text("s1"), Words: []Word{{ID: "x1"}}},
			{ID: "e2", WorkspaceID: "w1", UserID: text("u2"), Note: "two", VentureID: text("v1"), Words: []Word{{ID: "x1"}, {ID: "x2"}}},
			{ID: "e3", WorkspaceID: "w1", Note: "three"},
		},
	)
	return o
}

// TestWhatFollowsFromAChange tells every event of a change and of what follows
// from it.
func TestWhatFollowsFromAChange(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		write func(db *gorm.DB) error
		want  []string
	}{
		{"a record created with elements is one event", func(db *gorm.DB) error {
			return db.Create(&Entry{ID: "e4", WorkspaceID: "w1", UserID: text("u1"), Note: "four", VentureID: text("v1"), Words: []Word{{ID: "x2", Name: "later"}}}).Error
		}, []string{
			`1/1 Jo created entry e4 "four" of u1 (self): id - => "e4"; workspace_id - => "w1"; user_id - => "u1"; note - => "four"; ` +
				`venture_id - => "v1" (Gemini); step_id - => null; deleted_at - => null; +words null => "x2" (later)`,
		}},
		{"elements added and removed show on the owner", func(db *gorm.DB) error {
			return errors.Join(db.Model(&Entry{ID: "e3"}).Association("Words").Append(&Word{ID: "x1"}, &Word{ID: "x2"}),
				db.Model(&Entry{ID: "e1"}).Association("Words").Delete(&Word{ID: "x1"}))
		}, []string{
			`1/1 Jo updated entry e3 "three" of  (other): +words null => "x1" (urgent); +words null => "x2" (later)`,
			`2/2 Jo updated entry e1 "one" of u1 (self): +words "x1" (urgent) => null`,
		}},
		{"a foreign key carries the labels of both ends", func(db *gorm.DB) error {
			return errors.Join(db.Create(&Venture{ID: "v2", WorkspaceID: "w1", Name: "Mercury"}).Error,
				db.Model(&Entry{}).Where("note IN ?", []string{"one", "three"}).Update("venture_id", "v2").Error,
				db.Model(&Entry{ID: "e1"}).Update("venture_id", nil).Error)
		}, []string{
			`1/1 Jo created venture v2 "Mercury": id - => "v2"; workspace_id - => "w1"; name - => "Mercury"; firm_id - => null`,
			`2/2 Jo updated entry e1 "one" of u1 (self): venture_id "v1" (Gemini) => "v2" (Mercury)`,
			`3/2 Jo updated entry e3 "three" of  (other): venture_id null => "v2" (Mercury)`,
			`4/3 Jo updated entry e1 "one" of u1 (self): venture_id "v2" (Mercury) => null`,
		}},
		{"a rename reaches those who show the name", func(db *gorm.DB) error {
			return db.Model(&Venture{ID: "v1"}).Update("name", "Apollo").Error
		}, []string{
			`1/1 Jo updated venture v1 "Apollo": name "Gemini" => "Apollo"`,
			`2/1 System for Jo updated entry e1 "one" of u1 (self) derived because of 1: venture_id "v1" (Gemini) => "v1" (Apollo)`,
			`3/1 System for Jo updated entry e2 "two" of u2 (other) derived because of 1: venture_id "v1" (Gemini) => "v1" (Apollo)`,
			`4/1 System for Jo updated step s1 "Plan" derived because of 1: venture_id "v1" (Gemini) => "v1" (Apollo)`,
		}},
		{"a rename to the same name reaches nobody", func(db *gorm.DB) error {
			return db.Model(&Venture{ID: "v1"}).Update("name", "Gemini").Error
		}, nil},
		{"a change of what children do not show reaches nobody", func(db *gorm.DB) error {
			return db.Model(&Step{ID: "s1"}).Update("workspace_id", "w1").Error
		}, nil},
		{"a rename goes through a chain", func(db *gorm.DB) error {
			return db.Model(&Firm{ID: "f1"}).Update("name", "Best").Error
		}, []string{
			`1/1 Jo updated firm f1 "Best": name "Acme" => "Best"`,
			`2/1 System for Jo updated venture v1 "Gemini" derived because of 1: firm_id "f1" (Acme) => "f1" (Best)`,
			`3/1 System for Jo updated entry e1 "one" of u1 (self) derived because of 2: venture_id.firm_id "f1" (Acme) => "f1" (Best)`,
			`4/1 System for Jo updated entry e2 "two" of u2 (other) derived because of 2: venture_id.firm_id "f1" (Acme) => "f1" (Best)`,
		}},
		{"a change of the named field of a parent reaches its children", func(db *gorm.DB) error {
			return db.Model(&Venture{ID: "v1"}).Update("firm_id", nil).Error
		}, []string{
			`1/1 Jo updated venture v1 "Gemini": firm_id "f1" (Acme) => null`,
			`2/1 System for Jo updated entry e1 "one" of u1 (self) derived because of 1: venture_id.firm_id "f1" (Acme) => null`,
			`3/1 System for Jo updated entry e2 "two" of u2 (other) derived because of 1: venture_id.firm_id "f1" (Acme) => null`,
		}},
		{"a rename of an element reaches the owners", func(db *gorm.DB) error {
			return db.Model(&Word{ID: "x1"}).Update("name", "now").Error
		}, []string{
			`1/1 Jo updated word x1 "now": name "urgent" => "now"`,
			`2/1 System for Jo updated entry e1 "one" of u1 (self) derived because of 1: +words "x1" (urgent) => "x1" (now)`,
			`3/1 System for Jo updated entry e2 "two" of u2 (other) derived because of 1: +words "x1" (urgent) => "x1" (now)`,
		}},
		{"an element that the database removes shows on the owners", func(db *gorm.DB) error {
			return db.Delete(&Word{ID: "x1"}).Error
		}, []string{
			`1/1 Jo deleted word x1 "urgent": id "x1" => -; workspace_id "w1" => -; name "urgent" => -`,
			`2/1 System for Jo updated entry e1 "one" of u1 (self) because of 1: +words "x1" (urgent) => null`,
			`3/1 System for Jo updated entry e2 "two" of u2 (other) because of 1: +words "x1" (urgent) => null`,
		}},
		{"a firm that is deleted leaves its ventures without one", func(db *gorm.DB) error {
			return db.Delete(&Firm{ID: "f1"}).Error
		}, []string{
			`1/1 Jo deleted firm f1 "Acme": id "f1" => -; workspace_id "w1" => -; name "Acme" => -`,
			`2/1 System for Jo updated venture v1 "Gemini" because of 1: firm_id "f1" (Acme) => null`,
			`3/1 System for Jo updated entry e1 "one" of u1 (self) derived because of 2: venture_id.firm_id "f1" (Acme) => null`,
			`4/1 System for Jo updated entry e2 "two" of u2 (other) derived because of 2: venture_id.firm_id "f1" (Acme) => null`,
		}},
		{"a step that is deleted leaves its entries without one", func(db *gorm.DB) error {
			return db.Where("name = ?", "Plan").Delete(&Step{}).Error
		}, []string{
			`1/1 Jo deleted step s1 "Plan": id "s1" => -; workspace_id "w1" => -; name "Plan" => -; venture_id "v1" (Gemini) => -`,
			`2/1 System for Jo updated entry e1 "one" of u1 (self) because of 1: step_id "s1" (Plan) => null`,
		}},
		{"a venture that is deleted takes its steps along, and what shows both changes once", func(db *gorm.DB) error {
			return db.Delete(&Venture{ID: "v1"}).Error
		}, []string{
			`1/1 Jo deleted venture v1 "Gemini": id "v1" => -; workspace_id "w1" => -; name "Gemini" => -; firm_id "f1" (Acme) => -`,
			`2/1 System for Jo updated entry e1 "one" of u1 (self) because of 1: venture_id "v1" (Gemini) => null; step_id "s1" (Plan) => null`,
			`3/1 System for Jo updated entry e2 "two" of u2 (other) because of 1: venture_id "v1" (Gemini) => null`,
			`4/1 System for Jo deleted step s1 "Plan" because of 1: id "s1" => -; workspace_id "w1" => -; name "Plan" => -; venture_id "v1" (Gemini) => -`,
		}},
		{"a soft delete and a restore", func(db *gorm.DB) error {
			return errors.Join(db.Delete(&Entry{ID: "e3"}).Error, db.Unscoped().Model(&Entry{ID: "e3"}).Update("deleted_at", nil).Error)
		}, []string{
			`1/1 Jo deleted entry e3 "three" of  (other): id "e3" => -; workspace_id "w1" => -; user_id null => -; note "three" => -; ` +
				`venture_id null => -; step_id null => -; deleted_at null => "2026-03-29T01:02:03.987Z"`,
			`2/2 Jo restored entry e3 "three" of  (other): id - => "e3"; workspace_id - => "w1"; user_id - => null; note - => "three"; ` +
				`venture_id - => null; step_id - => null; deleted_at "2026-03-29T01:02:03.987Z" => null`,
		}},
		{"a record that is deleted with its elements", func(db *gorm.DB) error {
			return db.Unscoped().Delete(&Entry{ID: "e1"}).Error
		}, []string{
			`1/1 Jo deleted entry e1 "one" of u1 (self): id "e1" => -; workspace_id "w1" => -; user_id "u1" => -; note "one" => -; ` +
				`venture_id "v1" (Gemini) => -; step_id "s1" (Plan) => -; deleted_at null => -; +words "x1" (urgent) => null`,
		}},
	}
	Each(t, func(t *testing.T, database *Database) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				o := furnished(t, Open(t, database.Name), nil)
				// SQLite and PostgreSQL would keep more of a time than MariaDB.
				o.db.Config.NowFunc = milliseconds
				require.Equal(t, c.want, o.told(t, c.write))
			})
		}
	})
}

func TestWhatFollowsPassesThroughRecordedTypesOnly(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		gate := &audit.Switch{}
		gate.Set("w1", true)
		o := furnished(t, database, &audit.Config{Gate: gate})

		gate.SetType("w1", true, "firm", "entry") // ventures are between them
		require.Equal(t, []string{`1/1 Jo updated firm f1 "Best": name "Acme" => "Best"`}, o.told(t, func(db *gorm.DB) error {
			return db.Model(&Firm{ID: "f1"}).Update("name", "Best").Error
		}))
		require.Empty(t, o.told(t, func(db *gorm.DB) error {
			return db.Model(&Venture{ID: "v1"}).Update("name", "Apollo").Error
		}), "a parent that is not recorded makes no child's event")

		gate.SetType("w1", true, "venture")
		gate.SetType("w1", false, "entry")
		require.Equal(t, []string{`1/1 Jo updated venture v1 "Ares": name "Apollo" => "Ares"`}, o.told(t, func(db *gorm.DB) error {
			return db.Model(&Venture{ID: "v1"}).Update("name", "Ares").Error
		}))
	})
}

// TestWhatFollowsPassesOverDeletedRecords unless their rows change.
func TestWhatFollowsPassesOverDeletedRecords(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"}, &Word{ID: "x1", WorkspaceID: "w1", Name: "urgent"},
			&Entry{ID: "e1", WorkspaceID: "w1", Note: "gone", VentureID: text("v1"), Words: []Word{{ID: "x1"}}})
		require.NoError(t, o.raw.Delete(&Entry{ID: "e1"}).Error)
		require.Equal(t, []string{
			`1/1 Jo updated venture v1 "Apollo": name "Gemini" => "Apollo"`,
			`2/2 Jo updated word x1 "now": name "urgent" => "now"`,
		}, o.told(t, func(db *gorm.DB) error {
			return errors.Join(db.Model(&Venture{ID: "v1"}).Update("name", "Apollo").Error, db.Model(&Word{ID: "x1"}).Update("name", "now").Error)
		}))
		require.Equal(t, []string{
			`1/1 Jo deleted venture v1 "Apollo": id "v1" => -; workspace_id "w1" => -; name "Apollo" => -; firm_id null => -`,
			`2/1 System for Jo updated entry e1 "gone" of  (other) because of 1: venture_id "v1" (Apollo) => null`,
		}, o.told(t, func(db *gorm.DB) error { return db.Delete(&Venture{ID: "v1"}).Error }))
	})
}

func TestWhatFollowsIsPagedWithoutACap(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		const n = 2345
		o := newOffice(t, database, storeInDatabase, nil)
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"})
		entries := make([]Entry, n)
		for i := range entries {
			entries[i] = Entry{ID: numbered("e", i), WorkspaceID: "w1", VentureID: text("v1")}
		}
		require.NoError(t, o.raw.CreateInBatches(&entries, 500).Error)
		events := o.recorded(t, func(db *gorm.DB) error { return db.Model(&Venture{ID: "v1"}).Update("name", "Apollo").Error })
		require.Len(t, events, 1+n)
		seen := map[string]bool{}
		for _, e := range events[1:] {
			require.True(t, e.Derived)
			require.Equal(t, events[0].ID, e.Cause)
			require.Equal(t, events[0].ChangeSet, e.ChangeSet)
			seen[e.Entity.ID] = true
		}
		require.Len(t, seen, n, "each entry once")
	})
}
