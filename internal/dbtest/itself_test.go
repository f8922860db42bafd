package dbtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit/hooks"
)

// Twig hangs on another one, by its id or by its code.
type Twig struct {
	ID   int     `gorm:"primaryKey;autoIncrement:false"`
	Up   *int    `audit:"-"`
	Code string  `gorm:"size:9;unique"`
	Of   *string `gorm:"size:9"`
}

// TestRowsMayBeNamedBesideThoseTheyGoWith in one table that refers to itself. What a
// statement names and only a constraint changes has a cause.
func TestRowsMayBeNamedBesideThoseTheyGoWith(t *testing.T) {
	t.Parallel()
	const fill = "INSERT INTO twigs (id, up, code, of) VALUES (1, NULL, 'a', NULL), (2, 1, 'b', 'a'), (3, 2, 'c', 'b'), (4, NULL, 'd', NULL)"
	by := func(constraint string) []string {
		return []string{"CREATE TABLE twigs (id int PRIMARY KEY, up int, code varchar(9) UNIQUE, of varchar(9), " + constraint + ")", fill, "CREATE TABLE towns (id int PRIMARY KEY, land text)"}
	}
	removes, empties := by("FOREIGN KEY (up) REFERENCES twigs (id) ON DELETE CASCADE"), by("FOREIGN KEY (of) REFERENCES twigs (code) ON DELETE SET NULL")
	follows := by("FOREIGN KEY (of) REFERENCES twigs (code) ON UPDATE CASCADE")
	statement := func(where, text string) func(db *gorm.DB) error {
		return func(db *gorm.DB) error {
			_, err := hooks.Exec(db.Model(&Twig{}).Where(where), text)
			return err
		}
	}
	const one, two, three = `1/1 Jo deleted twig 1 "": id 1 => -; code "a" => -; of null => -`, `2/1 Jo deleted twig 2 "": id 2 => -; code "b" => -; of "a" => -`, `3/1 Jo deleted twig 3 "": id 3 => -; code "c" => -; of "b" => -`
	for _, c := range []struct {
		name, not string // a database that does not allow it
		tables    []string
		write     func(db *gorm.DB) error
		want      []string
	}{
		{"a delete of all", "", removes, func(db *gorm.DB) error { return db.Where("id < 4").Delete(&Twig{}).Error }, []string{one, two, three}},
		{"a delete of some by their keys", "", removes, func(db *gorm.DB) error { return db.Delete(&Twig{}, []int{1, 2}).Error }, []string{
			one, two, `3/1 System for Jo deleted twig 3 "" because of 2: id 3 => -; code "c" => -; of "b" => -`,
		}},
		{"raw SQL that meets one of them", "", removes, statement("1 = 1", "DELETE FROM twigs WHERE id = 1"), []string{
			one, `2/1 System for Jo deleted twig 2 "" because of 1: id 2 => -; code "b" => -; of "a" => -`, `3/1 System for Jo deleted twig 3 "" because of 2: id 3 => -; code "c" => -; of "b" => -`,
		}},
		{"raw SQL that meets none of them", "", removes, statement("id < 4", "DELETE FROM twigs WHERE id = 9"), nil},
		{"raw SQL that empties another", "", empties, statement("1 = 1", "DELETE FROM twigs WHERE id = 1"), []string{
			one, `2/1 System for Jo updated twig 2 "" because of 1: of "a" => null`,
		}},
		{"raw SQL that gives another a key", "mysql", follows, statement("1 = 1", "UPDATE twigs SET code = 'z' WHERE id = 1"), []string{
			`1/1 Jo updated twig 1 "": code "a" => "z"`, `2/1 System for Jo updated twig 2 "" because of 1: of "a" => "z"`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			Each(t, func(t *testing.T, database *Database) {
				if strings.Contains(c.not, database.Name) { // InnoDB refuses an ON UPDATE CASCADE within a table
					return
				}
				db, recorded := lands(t, database, c.tables, hooks.Model[Twig]("twig"))
				require.NoError(t, c.write(db))
				require.Equal(t, c.want, recorded())
				require.Zero(t, database.SQL().Stats().InUse)
			})
		})
	}
}
