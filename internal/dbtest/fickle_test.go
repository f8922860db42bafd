package dbtest

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit/hooks"
)

// numbers are what is left out to compare events in whatever order.
var numbers = regexp.MustCompile(`^\d+/\d+ | because of \d+`)

// TestALimitMeansTheRowsThatAreRecorded though MariaDB takes rows as an index has them,
// and might read another one than it changes by.
func TestALimitMeansTheRowsThatAreRecorded(t *testing.T) {
	t.Parallel()
	returning := clause.Returning{}
	for _, c := range []struct {
		name  string
		write func(db *gorm.DB) *gorm.DB
		rows  int64
	}{
		{"an update", func(db *gorm.DB) *gorm.DB { return db.Model(&Town{}).Where("1 = 1").Limit(1).Update("land", "b") }, 1},
		{"an update of several", func(db *gorm.DB) *gorm.DB {
			return db.Model(&Town{}).Where("id > ? OR id < ?", 1, 9).Order("land").Limit(2).Update("land", "b")
		}, 2},
		{"a delete", func(db *gorm.DB) *gorm.DB { return db.Where("1 = 1").Limit(1).Delete(&Town{}) }, 1},
		{"a delete that gives its rows back", func(db *gorm.DB) *gorm.DB { return db.Clauses(returning).Where("1 = 1").Limit(2).Delete(&[]Town{}) }, 2},
		{"a delete without conditions", func(db *gorm.DB) *gorm.DB {
			return db.Session(&gorm.Session{AllowGlobalUpdate: true}).Order("land DESC").Limit(1).Delete(&Town{})
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			database := Open(t, "mysql")
			db, recorded := lands(t, database, []string{
				"CREATE TABLE towns (id int PRIMARY KEY, land varchar(9), KEY (land))",
				"CREATE TABLE bees (id int PRIMARY KEY, hive_id int, FOREIGN KEY (hive_id) REFERENCES towns (id) ON DELETE CASCADE)",
				"INSERT INTO towns VALUES (1,'z'),(2,'y'),(3,'a')", "INSERT INTO bees VALUES (1,1),(2,2),(3,3)",
			}, hooks.Model[Bee]("bee"))
			before, after := map[int]string{}, map[int]string{}
			read := func(into map[int]string) {
				var towns []Town
				require.NoError(t, openGorm(t, database).Find(&towns).Error)
				for _, town := range towns {
					into[town.ID] = town.Land
				}
			}
			read(before)
			done := c.write(db)
			require.NoError(t, done.Error)
			require.Equal(t, c.rows, done.RowsAffected)
			read(after)
			var want []string
			for id, land := range before {
				if is, there := after[id]; !there {
					want = append(want, fmt.Sprintf(`Jo deleted town %d "": id %[1]d => -; land %q => -`, id, land), fmt.Sprintf(`System for Jo deleted bee %d "": id %[1]d => -; hive_id %[1]d => -`, id))
				} else if is != land {
					want = append(want, fmt.Sprintf(`Jo updated town %d "": land %q => %q`, id, land, is))
				}
			}
			require.Len(t, want, map[bool]int{true: int(c.rows), false: 2 * int(c.rows)}[len(after) == len(before)])
			got := recorded()
			for i := range got {
				got[i] = numbers.ReplaceAllString(got[i], "")
			}
			require.ElementsMatch(t, want, got)
		})
	}
}

// TestAJobThatIsTakenMeanwhileIsTheOneThatIsRecorded passes over what is locked, and
// would find the other one free when it comes back.
func TestAJobThatIsTakenMeanwhileIsTheOneThatIsRecorded(t *testing.T) {
	t.Parallel()
	database := Open(t, "postgres")
	db, recorded := lands(t, database, []string{
		"CREATE TABLE towns (id int PRIMARY KEY, land text)", "CREATE TABLE bees (id int PRIMARY KEY, hive_id int REFERENCES towns (id) ON DELETE CASCADE)",
		"INSERT INTO towns VALUES (1,'a'),(2,'b')", "INSERT INTO bees VALUES (1,1),(2,2)",
	}, hooks.Model[Bee]("bee"))
	other := openGorm(t, database).Begin()
	defer other.Rollback()
	require.NoError(t, other.Exec("SELECT FROM towns WHERE id = 1 FOR UPDATE").Error)
	require.NoError(t, other.Exec("LOCK TABLE towns IN SHARE MODE").Error) // stops the DELETE, and not the SELECT before it
	done := make(chan error, 1)
	go func() {
		next := db.Model(&Town{}).Select("id").Order("id").Limit(1).Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"})
		done <- db.Where("id = (?)", next).Delete(&Town{}).Error
	}()
	requireBlocks(t, other, openGorm(t, database))
	require.NoError(t, other.Commit().Error)
	require.NoError(t, <-done)
	require.Equal(t, []string{
		`1/1 Jo deleted town 2 "": id 2 => -; land "b" => -`, `2/1 System for Jo deleted bee 2 "" because of 1: id 2 => -; hive_id 2 => -`,
	}, recorded())
	require.NoError(t, db.Take(&Town{}, 1).Error)
	require.ErrorIs(t, db.Take(&Town{}, 2).Error, gorm.ErrRecordNotFound)
}
