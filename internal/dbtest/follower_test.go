package dbtest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// The models of a railway, whose keys are names that the database changes in all
// tables at once.
type (
	// Rail is a line.
	Rail struct {
		Code string `gorm:"primaryKey;size:9"`
		Name string `gorm:"size:9;unique"`
		Hubs []Hub  `gorm:"many2many:rail_hubs"`
	}
	// Train runs on a line.
	Train struct {
		ID     int     `gorm:"primaryKey;autoIncrement:false"`
		RailID *string `gorm:"size:9"`
		Sign   *string `gorm:"size:9"`
	}
	// Section is part of a line, and known by it.
	Section struct {
		RailID string `gorm:"primaryKey;size:9"`
		Number int    `gorm:"primaryKey;autoIncrement:false"`
	}
	// Signal stands in a section.
	Signal struct {
		ID     int `gorm:"primaryKey;autoIncrement:false"`
		RailID string
		Number int
	}
	// Hub is on several lines.
	Hub struct {
		ID string `gorm:"primaryKey;size:9"`
	}
	// Branch is a line that leads off another.
	Branch struct {
		Code  string  `gorm:"primaryKey;size:9"`
		OffOf *string `gorm:"size:9"`
	}
)

func railTables() []string {
	const follows = " ON UPDATE CASCADE)"
	return []string{
		"CREATE TABLE rails (code varchar(9) PRIMARY KEY, name varchar(9) NOT NULL UNIQUE)",
		`CREATE TABLE trains (id int PRIMARY KEY, rail_id varchar(9), sign varchar(9), FOREIGN KEY (rail_id) REFERENCES rails (code) ON UPDATE SET NULL,
			FOREIGN KEY (sign) REFERENCES rails (name)` + follows,
		"CREATE TABLE sections (rail_id varchar(9) NOT NULL, number int NOT NULL, PRIMARY KEY (rail_id, number), FOREIGN KEY (rail_id) REFERENCES rails (code)" + follows,
		"CREATE TABLE signals (id int PRIMARY KEY, rail_id varchar(9), number int, FOREIGN KEY (rail_id, number) REFERENCES sections (rail_id, number)" + follows,
		"CREATE TABLE hubs (id varchar(9) PRIMARY KEY)",
		`CREATE TABLE rail_hubs (rail_code varchar(9) NOT NULL, hub_id varchar(9) NOT NULL, PRIMARY KEY (rail_code, hub_id),
			FOREIGN KEY (rail_code) REFERENCES rails (code) ON UPDATE CASCADE, FOREIGN KEY (hub_id) REFERENCES hubs (id)` + follows,
		"CREATE TABLE branches (code varchar(9) PRIMARY KEY, off_of varchar(9), FOREIGN KEY (off_of) REFERENCES branches (code)" + follows,
		"INSERT INTO rails VALUES ('a', 'A'), ('b', 'B')", "INSERT INTO trains VALUES (1, 'a', 'A'), (2, 'b', 'B'), (3, NULL, 'A')",
		"INSERT INTO sections VALUES ('a', 1), ('a', 2), ('b', 1)", "INSERT INTO signals VALUES (1, 'a', 1), (2, 'b', 1)",
		"INSERT INTO hubs VALUES ('h')", "INSERT INTO rail_hubs VALUES ('a', 'h')", "INSERT INTO branches VALUES ('x', NULL), ('y', 'x'), ('s', 's')",
	}
}

// TestRowsThatFollowAKeyAreRecorded changes what others refer to.
func TestRowsThatFollowAKeyAreRecorded(t *testing.T) {
	t.Parallel()
	all := []hooks.Option{
		hooks.Model[Rail]("rail"), hooks.Model[Train]("train"), hooks.Model[Section]("section"), hooks.Model[Signal]("signal"),
		hooks.Model[Hub]("hub"), hooks.Model[Branch]("branch"),
	}
	cases := []struct {
		name    string
		not     string // databases that cannot do it, or do nothing of interest
		options []hooks.Option
		write   func(db *gorm.DB) error
		want    []string
	}{
		{"a primary key", "", all, func(db *gorm.DB) error {
			return db.Model(&Rail{Code: "a"}).Update("code", "c").Error
		}, []string{
			`1/1 Jo updated rail a "": code "a" => "c"; +hubs "h" => null`,
			`2/1 System for Jo updated rail c "" because of 1: +hubs null => "h"`,
			`3/1 System for Jo updated section a/1 "" because of 1: rail_id "a" => "c"`,
			`4/1 System for Jo updated section a/2 "" because of 1: rail_id "a" => "c"`,
			`5/1 System for Jo updated signal 1 "" because of 3: rail_id "a" => "c"`,
			`6/1 System for Jo updated train 1 "" because of 1: rail_id "a" => null`,
		}},
		{"a column that is unique", "", all, func(db *gorm.DB) error {
			return db.Save(&Rail{Code: "a", Name: "C"}).Error
		}, []string{
			`1/1 Jo updated rail a "": name "A" => "C"`,
			`2/1 System for Jo updated train 1 "" because of 1: sign "A" => "C"`,
			`3/1 System for Jo updated train 3 "" because of 1: sign "A" => "C"`,
		}},
		{"a column that keeps its value", "", all, func(db *gorm.DB) error {
			return db.Model(&Rail{Code: "a"}).Updates(map[string]any{"code": "a", "name": "A"}).Error
		}, nil},
		{"by hooks.Exec", "", all, func(db *gorm.DB) error {
			_, err := hooks.Exec(db.Model(&Rail{}).Where("code = ?", "b"), "UPDATE rails SET name = ? WHERE code = ?", "C", "b")
			return err
		}, []string{
			`1/1 Jo updated rail b "": name "B" => "C"`,
			`2/1 System for Jo updated train 2 "" because of 1: sign "B" => "C"`,
		}},
		{"several keys, which are told as by their own rows", "mysql", all, func(db *gorm.DB) error {
			return db.Model(&Rail{}).Where("1 = 1").Update("code", gorm.Expr("code || '2'")).Error
		}, []string{
			`1/1 Jo deleted rail a "": code "a" => -; name "A" => -; +hubs "h" => null`,
			`2/1 Jo deleted rail b "": code "b" => -; name "B" => -`,
			`3/1 Jo created rail a2 "": code - => "a2"; name - => "A"; +hubs null => "h"`,
			`4/1 Jo created rail b2 "": code - => "b2"; name - => "B"`,
			`5/1 System for Jo deleted section a/1 "" because of 1: rail_id "a" => -; number 1 => -`,
			`6/1 System for Jo deleted section a/2 "" because of 1: rail_id "a" => -; number 2 => -`,
			`7/1 System for Jo deleted section b/1 "" because of 2: rail_id "b" => -; number 1 => -`,
			`8/1 System for Jo created section a2/1 "" because of 3: rail_id - => "a2"; number - => 1`,
			`9/1 System for Jo created section a2/2 "" because of 3: rail_id - => "a2"; number - => 2`,
			`10/1 System for Jo created section b2/1 "" because of 4: rail_id - => "b2"; number - => 1`,
			`11/1 System for Jo updated signal 1 "" because of 5: rail_id "a" => "a2"`,
			`12/1 System for Jo updated signal 2 "" because of 7: rail_id "b" => "b2"`,
			`13/1 System for Jo updated train 1 "" because of 1: rail_id "a" => null`,
			`14/1 System for Jo updated train 2 "" because of 2: rail_id "b" => null`,
		}},
		{"a table between that is not recorded", "", []hooks.Option{hooks.Model[Rail]("rail"), hooks.Model[Signal]("signal")}, func(db *gorm.DB) error {
			return db.Model(&Rail{Code: "b"}).Update("code", "c").Error
		}, []string{
			`1/1 Jo updated rail b "": code "b" => "c"`,
			`2/1 System for Jo updated signal 2 "" because of 1: rail_id "b" => "c"`,
		}},
		{"rows of the same table", "mysql", all, func(db *gorm.DB) error {
			return db.Model(&Branch{Code: "x"}).Update("code", "z").Error
		}, []string{
			`1/1 Jo updated branch x "": code "x" => "z"`,
			`2/1 System for Jo updated branch y "" because of 1: off_of "x" => "z"`,
		}},
		{"a row that refers to itself", "mysql", all, func(db *gorm.DB) error {
			return db.Model(&Branch{Code: "s"}).Update("code", "z").Error
		}, []string{`1/1 Jo updated branch s "": code "s" => "z"; off_of "s" => "z"`}},
		{"several rows, of which one refers to another", "mysql", all, func(db *gorm.DB) error {
			return db.Model(&Branch{}).Where("code IN ?", []string{"x", "y"}).Update("code", gorm.Expr("code || '2'")).Error
		}, []string{
			`1/1 Jo deleted branch x "": code "x" => -; off_of null => -`, `2/1 Jo deleted branch y "": code "y" => -; off_of "x" => -`,
			`3/1 Jo created branch x2 "": code - => "x2"; off_of - => null`, `4/1 Jo created branch y2 "": code - => "y2"; off_of - => "x2"`,
		}},
		{"letters only", "sqlite postgres", all, func(db *gorm.DB) error {
			return db.Model(&Rail{Code: "b"}).Update("code", "B").Error
		}, []string{
			`1/1 Jo updated rail b "": code "b" => "B"`,
			`2/1 System for Jo updated section b/1 "" because of 1: rail_id "b" => "B"`,
			`3/1 System for Jo updated signal 2 "" because of 2: rail_id "b" => "B"`,
			`4/1 System for Jo updated train 2 "" because of 1: rail_id "b" => null`,
		}},
		{"the element of another", "", all, func(db *gorm.DB) error {
			return db.Model(&Hub{ID: "h"}).Update("id", "i").Error
		}, []string{
			`1/1 Jo updated hub h "": id "h" => "i"`,
			`2/1 System for Jo updated rail a "" because of 1: +hubs "h" => "i"`,
		}},
	}
	Each(t, func(t *testing.T, database *Database) {
		for _, c := range cases {
			if strings.Contains(c.not, database.Name) {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				database := Open(t, database.Name)
				raw, db := openGorm(t, database), openGorm(t, database)
				for _, text := range railTables() {
					require.NoError(t, raw.Exec(text).Error)
				}
				clock := newClock()
				store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now}, c.options)
				begin := clock.Now()
				require.NoError(t, c.write(db.WithContext(audit.WithActor(audit.WithWorkspace(context.Background(), "w1"), jo))))
				require.Equal(t, c.want, say(eventsSince(t, store, "w1", begin)))
			})
		}
	})
}

// TestSaveLocksNoRowsThatStayAsTheyAre though it assigns what they refer to.
func TestSaveLocksNoRowsThatStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mysql"} { // SQLite has one writer
		t.Run(name, func(t *testing.T) {
			database := Open(t, name)
			raw, db := openGorm(t, database), openGorm(t, database)
			for _, text := range railTables() {
				require.NoError(t, raw.Exec(text).Error)
			}
			wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Rail]("rail"), hooks.Model[Train]("train")})
			tx := raw.Begin()
			require.NoError(t, tx.Exec("UPDATE trains SET sign = NULL WHERE id = 3").Error)
			require.NoError(t, db.Save(&Rail{Code: "a", Name: "A"}).Error)
			require.NoError(t, tx.Rollback().Error)
		})
	}
}
