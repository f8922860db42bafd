package dbtest

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit/hooks"
)

// A Hive knows how many bees refer to it, and each bee has flights.
type (
	Hive struct {
		ID   int    `gorm:"primaryKey;autoIncrement:false"`
		Name string `gorm:"size:20;unique"`
		Bees int
	}
	Bee struct {
		ID     int `gorm:"primaryKey;autoIncrement:false"`
		HiveID *int
	}
	Cell struct {
		Tenant int `gorm:"primaryKey;autoIncrement:false"`
		ID     int `gorm:"primaryKey;autoIncrement:false"`
		HiveID *int
	}
	Flight struct {
		ID    int `gorm:"primaryKey;autoIncrement:false"`
		BeeID int
	}
)

func hives(t *testing.T) (*gorm.DB, func() []string) {
	t.Helper()
	return lands(t, Open(t, "postgres"), []string{
		"CREATE TABLE towns (id int PRIMARY KEY, land text)",
		"CREATE TABLE hives (id int PRIMARY KEY, name varchar(20) UNIQUE, bees int NOT NULL DEFAULT 0)",
		"CREATE TABLE bees (id int PRIMARY KEY, hive_id int REFERENCES hives (id) ON DELETE SET NULL)",
		"CREATE TABLE flights (id int PRIMARY KEY, bee_id int REFERENCES bees (id))",
		"INSERT INTO hives VALUES (1, 'a', 0), (2, 'b', 0)", "INSERT INTO bees VALUES (1, 1)",
	}, hooks.Model[Hive]("hive"), hooks.Model[Bee]("bee"), hooks.Model[Flight]("flight"))
}

// refer begins a transaction that inserts a row which refers to the first hive.
func refer(t *testing.T, db *gorm.DB) *gorm.DB {
	t.Helper()
	others, one := db.Begin(), 1
	t.Cleanup(func() { others.Rollback() })
	require.NoError(t, others.Create(&Bee{ID: 2, HiveID: &one}).Error)
	return others
}

// TestRowsMayBeReferredToWhileTheyAreUpdated as PostgreSQL allows it, in whatever way
// the update is made: nobody waits for a transaction that has inserted a row which
// refers to the updated one.
func TestRowsMayBeReferredToWhileTheyAreUpdated(t *testing.T) {
	t.Parallel()
	for name, update := range map[string]func(db *gorm.DB) error{
		"one row": func(db *gorm.DB) error { return db.Model(&Hive{ID: 1}).Update("bees", gorm.Expr("bees + 1")).Error },
		"rows by a condition": func(db *gorm.DB) error {
			return db.Model(&Hive{}).Where("id < 2").Update("bees", gorm.Expr("bees + 1")).Error
		},
		"Save": func(db *gorm.DB) error { return db.Save(&Hive{ID: 1, Name: "a", Bees: 1}).Error },
		"a joined update": func(db *gorm.DB) error {
			return db.Table("hives AS h").Clauses(clause.From{Tables: []clause.Table{{Name: "bees"}}}).Where("bees.hive_id = h.id").Update("bees", 1).Error
		},
		"an upsert": func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"bees"})}).Create(&Hive{ID: 1, Name: "a", Bees: 1}).Error
		},
		"an upsert that does nothing": func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{DoNothing: true}).Create(&Hive{ID: 1, Name: "a"}).Error
		},
		"hooks.Exec": func(db *gorm.DB) error {
			_, err := hooks.Exec(db.Model(&Hive{}).Where("id = 1"), "UPDATE hives SET bees = bees + 1 WHERE id = 1")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, recorded := hives(t)
			others := refer(t, db)
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("SET LOCAL lock_timeout = '5s'").Error)
				return update(tx)
			}))
			require.NoError(t, others.Commit().Error)
			want := []string{`1/1 Jo created bee 2 "": id - => 2; hive_id - => 1`}
			if name != "an upsert that does nothing" {
				want = append(want, `2/2 Jo updated hive 1 "": bees 0 => 1`)
			}
			require.Equal(t, want, recorded())
		})
	}
}

// TestAnUpdateOfAUniqueColumnHoldsNothingWhileItWaits for those who have referred to
// the row, and who may write to it yet.
func TestAnUpdateOfAUniqueColumnHoldsNothingWhileItWaits(t *testing.T) {
	t.Parallel()
	for name, update := range map[string]func(db *gorm.DB) error{
		"one row": func(db *gorm.DB) error { return db.Model(&Hive{ID: 1}).Update("name", "z").Error },
		"rows by a condition": func(db *gorm.DB) error {
			return db.Model(&Hive{}).Where("bees < 9 AND id = 1").Update("name", "z").Error
		},
		"several columns": func(db *gorm.DB) error {
			return db.Model(&Hive{ID: 1}).Updates(map[string]any{"name": "z", "bees": gorm.Expr("bees")}).Error
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, recorded := hives(t)
			others := refer(t, db)
			done := make(chan error, 1)
			go func() { done <- update(db) }()
			requireBlocks(t, others, db.Session(&gorm.Session{NewDB: true}))
			require.NoError(t, others.Model(&Hive{ID: 1}).Update("bees", gorm.Expr("bees + 1")).Error)
			require.NoError(t, others.Commit().Error)
			require.NoError(t, <-done)
			require.Equal(t, []string{
				`1/1 Jo created bee 2 "": id - => 2; hive_id - => 1`, `2/1 Jo updated hive 1 "": bees 0 => 1`, `3/2 Jo updated hive 1 "": name "a" => "z"`,
			}, recorded())
		})
	}
}

// TestSaveIsTakenToLeaveUniqueColumnsAsTheyAre and asks for more than it has if one
// changes.
func TestSaveIsTakenToLeaveUniqueColumnsAsTheyAre(t *testing.T) {
	t.Parallel()
	db, _ := hives(t)
	others := refer(t, db)
	done := make(chan error, 1)
	go func() { done <- db.Save(&Hive{ID: 1, Name: "z"}).Error }()
	requireBlocks(t, others, db.Session(&gorm.Session{NewDB: true}))
	err := others.Model(&Hive{ID: 1}).Update("bees", gorm.Expr("bees + 1")).Error
	require.NoError(t, others.Rollback().Error)
	require.ErrorContains(t, errors.Join(err, <-done), "deadlock detected")
}

// TestColumnsThatAreEmptiedApartFromAKeyAreLockedWithIt though PostgreSQL would not.
func TestColumnsThatAreEmptiedApartFromAKeyAreLockedWithIt(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "postgres"), []string{
		"CREATE TABLE towns (id int PRIMARY KEY, land text)", "CREATE TABLE hives (tenant int, id int, PRIMARY KEY (tenant, id))",
		"CREATE TABLE cells (tenant int, id int, hive_id int, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, hive_id) REFERENCES hives ON DELETE SET NULL (hive_id))",
		"CREATE TABLE eggs (tenant int, cell int, FOREIGN KEY (tenant, cell) REFERENCES cells)",
		"INSERT INTO hives VALUES (1, 1)", "INSERT INTO cells VALUES (1, 1, 1)",
	}, hooks.Model[Cell]("cell"))
	others := db.Begin()
	defer others.Rollback()
	require.NoError(t, others.Exec("INSERT INTO eggs VALUES (1, 1)").Error)
	remove := func() error {
		return db.Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Exec("SET LOCAL lock_timeout = '50ms'").Error)
			return tx.Table("hives").Where("id = 1").Delete(nil).Error
		})
	}
	require.ErrorContains(t, remove(), "55P03")
	require.NoError(t, others.Commit().Error)
	require.NoError(t, remove())
	require.Equal(t, []string{`1/1 System for Jo updated cell 1/1 "": hive_id 1 => null`}, recorded())
}

// TestTransactionsThatInsertAndCountDoNotWaitForEachOther: each inserts a row and
// then counts it where both refer to.
func TestTransactionsThatInsertAndCountDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	one := 1
	db, recorded := hives(t)
	var inserted, done sync.WaitGroup
	inserted.Add(2)
	errs := make([]error, 2)
	for i := range errs {
		done.Go(func() {
			errs[i] = db.Transaction(func(tx *gorm.DB) error {
				err := tx.Create(&Bee{ID: 2 + i, HiveID: &one}).Error
				inserted.Done()
				inserted.Wait()
				if err != nil {
					return err
				}
				return tx.Model(&Hive{ID: 1}).Update("bees", gorm.Expr("bees + 1")).Error
			})
		})
	}
	done.Wait()
	require.Equal(t, make([]error, 2), errs)
	require.Len(t, recorded(), 4)
}

// TestRowsMayBeReferredToWhileTheyAreEmptied by a constraint.
func TestRowsMayBeReferredToWhileTheyAreEmptied(t *testing.T) {
	t.Parallel()
	db, recorded := hives(t)
	others := db.Begin()
	defer others.Rollback()
	require.NoError(t, others.Create(&Flight{ID: 1, BeeID: 1}).Error)
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
		require.NoError(t, tx.Exec("SET LOCAL lock_timeout = '5s'").Error)
		return tx.Delete(&Hive{ID: 1}).Error
	}))
	require.NoError(t, others.Commit().Error)
	require.Equal(t, []string{
		`1/1 Jo created flight 1 "": id - => 1; bee_id - => 1`,
		`2/2 Jo deleted hive 1 "": id 1 => -; name "a" => -; bees 0 => -`, `3/2 System for Jo updated bee 1 "" because of 2: hive_id 1 => null`,
	}, recorded())
}
