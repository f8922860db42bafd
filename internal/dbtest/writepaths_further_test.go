package dbtest

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// furtherWrites are those whose rows or errors are easily told wrongly.
func furtherWrites() []operation {
	return []operation{
		{name: "upsert on a unique value that the database computes", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Customer{}).Clauses(onCode(clause.AssignmentColumns([]string{"name"}))).
				Create(map[string]any{"name": "computed", "code": gorm.Expr("UPPER(?)", "a"), "visits": 1, "rating": 0, "updated_at": opTime}))
		}},
		{name: "update where a column is not there", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Where("nope = ?", 1).Update("name", "x"))
		}},
		{name: "delete where a column is not there", run: func(db *gorm.DB) outcome {
			return did(db.Where("nope = ?", 1).Delete(&Crate{}))
		}},
		{name: "update by a table name in quotes", run: func(db *gorm.DB) outcome {
			quoted := `"labels"`
			if db.Name() == "mysql" {
				quoted = "`labels`"
			}
			return did(db.Table(quoted).Where("id = 1").Updates(map[string]any{"name": "quoted"}))
		}},
	}
}

func TestFurtherWritesAreRecordedExactly(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exact(t, "further", newWorkshop(t, Open(t, name), storeInDatabase), newWorkshop(t, Open(t, name), nil), furtherWrites())
		})
	}
}

// TestTablesByAllTheirNames must not miss a write for the way in which the
// table is spelled.
func TestTablesByAllTheirNames(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		// Whether the database finds the table by a name that GORM writes down.
		names := map[string]bool{"labels AS g": true, "labels g": true, "labels  AS  g": true}
		switch database.Name {
		case "sqlite":
			maps.Copy(names, map[string]bool{"labels g": false, "main.labels": true, `"main"."labels"`: false, "LABELS": true, "Labels AS g": true})
		case "postgres":
			maps.Copy(names, map[string]bool{database.Namespace + ".labels": true, `"` + database.Namespace + `"."labels"`: true, "LABELS": false})
		case "mysql":
			maps.Copy(names, map[string]bool{database.Namespace + ".labels": true, "`" + database.Namespace + "`.`labels`": true})
		}
		for name, known := range names {
			t.Run(name, func(t *testing.T) {
				r := w.do(t, operation{run: func(db *gorm.DB) outcome {
					return did(db.Table(name).Where("id = ?", 1).Updates(map[string]any{"name": "by name"}))
				}})
				require.Equal(t, known, strings.Contains(r.outcome, `"Err": ""`), r.outcome)
				require.Equal(t, known, len(r.truth) == 1, "the row changes if the table is found")
				require.Empty(t, w.oracle.Compare(r.truth, r.events), r.outcome)
			})
		}
	})
}

// TestJoinedUpdatesAreOfTheTableByWhateverName has a FROM beside the table, of which
// GORM makes nothing on MySQL.
func TestJoinedUpdatesAreOfTheTableByWhateverName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		for title, items := range map[string]struct {
			of   func(db *gorm.DB) *gorm.DB
			name string
		}{
			"its own":                         {func(db *gorm.DB) *gorm.DB { return db.Model(&Item{}) }, "items"},
			"an alias":                        {func(db *gorm.DB) *gorm.DB { return db.Model(&Item{}).Table("items AS i") }, "i"},
			"an alias and no model":           {func(db *gorm.DB) *gorm.DB { return db.Table("items AS i") }, "i"},
			"the name of a table that exists": {func(db *gorm.DB) *gorm.DB { return db.Table("items AS labels") }, "labels"},
		} {
			t.Run(name+" "+title, func(t *testing.T) {
				t.Parallel()
				w := newWorkshop(t, Open(t, name), storeInDatabase)
				r := w.do(t, operation{run: func(db *gorm.DB) outcome {
					return did(items.of(db).Clauses(clause.From{Tables: []clause.Table{{Name: "orders"}}}).
						Where("orders.id = "+items.name+".order_id AND orders.name = ?", "one").Update("name", gorm.Expr("orders.name")))
				}})
				require.Len(t, r.truth, 2, r.outcome)
				require.Empty(t, w.oracle.Compare(r.truth, r.events))
			})
		}
	}
}

// TestUniqueKeysThatGORMDoesNotKnow are hit by upserts, too.
func TestUniqueKeysThatGORMDoesNotKnow(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		w.seed(t)
		require.NoError(t, w.raw.Exec("CREATE UNIQUE INDEX unknown_to_gorm ON labels (name)").Error)
		on := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.Assignments(map[string]any{"name": "hit"})}
		for name, upsert := range map[string]func(db *gorm.DB) outcome{
			"updates": func(db *gorm.DB) outcome { return did(db.Clauses(on).Create(&Label{Name: "x"})) },
			"does nothing": func(db *gorm.DB) outcome {
				return did(db.Clauses(clause.OnConflict{DoNothing: true}).Create(&[]Label{{Name: "y"}, {Name: "fresh"}}))
			},
			"updates by an id of its own": func(db *gorm.DB) outcome { return did(db.Clauses(on).Create(&Label{ID: 4000, Name: "z"})) },
		} {
			t.Run(name, func(t *testing.T) {
				r := w.do(t, operation{run: upsert})
				require.NotEmpty(t, r.truth, r.outcome)
				require.Empty(t, w.oracle.Compare(r.truth, r.events), r.outcome)
			})
		}
	})
}

// TestRacingUpsertsAreRecordedExactly lets upserts meet rows that come and go.
func TestRacingUpsertsAreRecordedExactly(t *testing.T) {
	t.Parallel()
	race(t, insertingIfAbsent, upserting, renaming, deleting, inTransaction)
}
