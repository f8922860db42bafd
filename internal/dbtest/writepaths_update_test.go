package dbtest

import (
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// updates are the ways to change rows.
func updates() []operation {
	set := func(column string, value any) map[string]any { return map[string]any{column: value} }
	return []operation{
		{name: "update a column of a loaded record", run: func(db *gorm.DB) outcome {
			var l Label
			if err := db.First(&l, 1).Error; err != nil {
				return failed(err)
			}
			return did(db.Model(&l).Update("name", "q"), &l)
		}},
		{name: "update from a struct", run: func(db *gorm.DB) outcome {
			i := Item{ID: 1}
			return did(db.Model(&i).Updates(Item{Name: "u", Done: true}), &i)
		}},
		{name: "update from a pointer to a struct with the key", run: func(db *gorm.DB) outcome {
			return did(db.Updates(&Item{ID: 1, Name: "u"}))
		}},
		{name: "update from a struct with the key by value", run: func(db *gorm.DB) outcome {
			return did(db.Updates(Item{ID: 1, Name: "u"}))
		}},
		{name: "update from a map by field and column names", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{ID: 1}).Updates(map[string]any{"Name": "u", "done": true}))
		}},
		{name: "update many rows by a condition", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{}).Where("order_id = ?", 1).Updates(Item{Name: "many"}))
		}},
		{name: "update that makes its own condition false", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{}).Where("name = ?", "i1").Update("name", "renamed"))
		}},
		{name: "update that makes some rows look like others", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{}).Where("name <> ?", "i3").Update("name", "i3"))
		}},
		{name: "update by an expression", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Customer{ID: 1}).Update("visits", gorm.Expr("visits + ?", 5)))
		}},
		{name: "update many rows by an expression", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Customer{}).Where("id < ?", 3).Updates(map[string]any{"visits": gorm.Expr("visits * 2 + id"), "name": gorm.Expr("UPPER(name)")}))
		}},
		{name: "update by a subquery", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{ID: 1}).Update("name", db.Model(&Customer{}).Select("name").Where("id = 2")))
		}},
		{name: "update where a subquery says", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{}).Where("order_id IN (?)", db.Model(&Order{}).Select("id").Where("customer_id = 1")).Update("done", true))
		}},
		{name: "update selected columns to zero", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Order{ID: 1}).Select("Name", "Color").Updates(Order{}))
		}},
		{name: "update without an omitted column", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Order{ID: 1}).Omit("Color").Updates(map[string]any{"name": "o", "color": "no"}))
		}},
		{name: "update of a column without hooks", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Customer{ID: 1}).UpdateColumn("name", "uc"))
		}},
		{name: "update of columns without hooks, many rows", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Customer{}).Where("id < 3").UpdateColumns(set("name", "uc")))
		}},
		{name: "update in a session that skips hooks", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{SkipHooks: true}).Model(&Hooked{ID: 1}).Update("name", "skipped"))
		}},
		{name: "update of the records of a slice", run: func(db *gorm.DB) outcome {
			return did(db.Model(&[]Item{{ID: 1}, {ID: 3}}).Update("name", "slice"))
		}},
		{name: "update of a slice whose last record has no key", run: func(db *gorm.DB) outcome {
			return did(db.Model(&[]Item{{ID: 1}, {}}).Where("done = ?", false).Update("name", "slice"))
		}},
		{name: "update of the key itself", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{ID: 3}).Update("id", 333))
		}},
		{name: "update to the value that is there", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{ID: 1}).Update("name", "x"))
		}},
		{name: "update of some rows to the value that they have", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Where("id IN ?", []int{1, 2}).Update("name", "x"))
		}},
		{name: "update of a record that is not there", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{ID: 9999}).Update("name", "x"))
		}},
		{name: "update with nothing to set", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{ID: 1}).Updates(map[string]any{}))
		}},
		{name: "update without a condition is refused", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Update("name", "x"))
		}},
		{name: "update that breaks a unique key", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Customer{ID: 1}).Update("code", "B"))
		}},
		{name: "update of all rows", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{AllowGlobalUpdate: true}).Model(&Label{}).Update("name", "all"))
		}},
		{name: "update of all rows that are not soft-deleted", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{AllowGlobalUpdate: true}).Model(&Order{}).Update("name", "all"))
		}},
		{name: "update of all rows, soft-deleted ones too", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{AllowGlobalUpdate: true}).Unscoped().Model(&Order{}).Update("name", "all"))
		}},
		{name: "update by table name alone", run: func(db *gorm.DB) outcome {
			return did(db.Table("labels").Where("id = ?", 1).Updates(set("name", "tm")))
		}},
		{name: "update by table name alone of a table with soft delete", run: func(db *gorm.DB) outcome {
			return did(db.Table("orders").Where("color = ?", "red").Updates(set("color", "x")))
		}},
		{name: "update by a table's alias", run: func(db *gorm.DB) outcome {
			return did(db.Table("labels AS g").Where("g.id = ?", 1).Updates(set("name", "al")))
		}},
		{name: "update by table name and model", run: func(db *gorm.DB) outcome {
			return did(db.Table("labels").Model(&Label{}).Where("id = ?", 1).Update("name", "both"))
		}},
		{name: "update by a composite key", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Seat{Room: "a", Number: 1}).Update("holder", "r"))
		}},
		{name: "update by half of a composite key", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Seat{Room: "a"}).Update("holder", "r"))
		}},
		{name: "update by a UUID, every kind of column", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Device{ID: deviceID(1)}).Updates(map[string]any{
				"photo": []byte{1, 2, 0xff}, "settings": Document(`{"a":[1,3],"b":1.5}`), "weight": Decimal("12.34564"), "ratio": 2.0 / 3,
				"counter": -5, "ports": 0, "active": nil, "nickname": nil, "built": opTime, "seen": nil, "secret": "other", "cache": "other", "fixed": "ignored",
			}))
		}},
		{name: "update to values that are equal but written otherwise", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Device{ID: deviceID(1)}).Updates(map[string]any{
				"settings": Document(`{"a":[1, 2],"b":1.5}`), "weight": Decimal("12.345600"), "price": Decimal("1.50"), "built": seedTime.UTC(), "active": true,
			}))
		}},
		{name: "update of an ignored column alone", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Device{ID: deviceID(1)}).Update("cache", "other"))
		}},
		{name: "update from null to a value", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Device{ID: deviceID(2)}).Updates(map[string]any{
				"photo": []byte{0xff}, "settings": Document(`{}`), "active": false, "nickname": "", "seen": opTime,
			}))
		}},
		{name: "update of alternative conditions", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Order{}).Where("name = ?", "one").Or("name = ?", "gone").Update("color", "or"))
		}},
		{name: "update of alternative conditions beside a key", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Order{ID: 1}).Where("name = ?", "one").Or("name = ?", "two").Update("color", "or"))
		}},
		{name: "update by a scope", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Scopes(func(d *gorm.DB) *gorm.DB { return d.Where("id > 1") }).Update("name", "sc"))
		}},
		{name: "update by a struct and a map as conditions", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{}).Where(&Item{Name: "i1"}).Where(map[string]any{"done": false}).Not("id = ?", 3).Update("name", "sm"))
		}},
		{name: "update that meets its optimistic lock", run: func(db *gorm.DB) outcome {
			p := Pinned{ID: 1, Version: 1}
			return did(db.Model(&p).Update("name", "n"), &p)
		}},
		{name: "update from a struct that meets its optimistic lock", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Pinned{ID: 1, Version: 1}).Updates(Pinned{Name: "n"}))
		}},
		{name: "update that misses its optimistic lock", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Pinned{ID: 1, Version: 9}).Update("name", "n"))
		}},
		{name: "update whose hooks set a column and write elsewhere", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Hooked{ID: 1}).Updates(set("name", "hh")))
		}},
		{name: "update that a hook refuses", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Hooked{ID: 1, Name: "refused"}).Updates(set("name", "zz")))
		}},
		{name: "update of a serialized column", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Order{ID: 1}).Select("Extra").Updates(Order{Extra: map[string]any{"a": 1}}))
		}},
		{name: "update with the user's own RETURNING", run: func(db *gorm.DB) outcome {
			var is []Item
			return did(db.Model(&is).Clauses(clause.Returning{}).Where("order_id = ?", 1).Update("done", true), len(is))
		}},
		{name: "update with the user's own RETURNING of one column", run: func(db *gorm.DB) outcome {
			var is []Item
			return did(db.Model(&is).Clauses(clause.Returning{Columns: []clause.Column{{Name: "name"}}}).Where("id = ?", 1).Update("done", true), is)
		}},
		{name: "update by a SET clause", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Clauses(clause.Set{assign("name", "cs")}).Where("id = 1").Updates(map[string]any{}))
		}},
		{name: "update of a parent in a tree of one table", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Folder{ID: 3}).Update("parent_id", 1))
		}},
		{name: "restore of a soft-deleted record", run: func(db *gorm.DB) outcome {
			return did(db.Unscoped().Model(&Order{}).Where("id = 4").Update("deleted_at", nil))
		}},
		{name: "restore and rename in one statement", run: func(db *gorm.DB) outcome {
			return did(db.Unscoped().Model(&Order{}).Where("id = 4").Updates(map[string]any{"deleted_at": nil, "name": "back"}))
		}},
		{name: "restore of a record that is flagged as removed", run: func(db *gorm.DB) outcome {
			return did(db.Unscoped().Model(&Flag{}).Where("id = 3").Update("removed", 0))
		}},
		{name: "soft delete by an update", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Order{ID: 1}).Update("deleted_at", opTime))
		}},

		{name: "generic update", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Item](db).Where("order_id = 1").Update(db.Statement.Context, "name", "g")
			return failed(err, n)
		}},
		{name: "generic update from a struct", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Item](db).Where("order_id = 1").Updates(db.Statement.Context, Item{Name: "g"})
			return failed(err, n)
		}},
		{name: "generic update from assignments", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Item](db).Where("order_id = 1").Set(assign("name", "gs")).Update(db.Statement.Context)
			return failed(err, n)
		}},
		{name: "generic update of a model with hooks", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Hooked](db).Where("id = 1").Update(db.Statement.Context, "name", "g")
			return failed(err, n)
		}},

		{name: "update in a transaction that commits", run: func(db *gorm.DB) outcome {
			return failed(db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Create(&Label{ID: 70, Name: "tx"}).Error, tx.Model(&Label{ID: 1}).Update("name", "tx").Error)
			}))
		}},
		{name: "update in a transaction that rolls back", run: func(db *gorm.DB) outcome {
			return failed(db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Create(&Label{ID: 70, Name: "tx"}).Error, tx.Model(&Label{ID: 1}).Update("name", "tx").Error, ErrHook)
			}))
		}},
		{name: "update in a savepoint that rolls back", run: func(db *gorm.DB) outcome {
			return failed(db.Transaction(func(tx *gorm.DB) error {
				outer := tx.Model(&Label{ID: 1}).Update("name", "outer").Error
				inner := tx.Transaction(func(tx *gorm.DB) error {
					return errors.Join(tx.Model(&Label{ID: 2}).Update("name", "inner").Error, ErrHook)
				})
				if !errors.Is(inner, ErrHook) {
					return inner
				}
				return errors.Join(outer, tx.Model(&Label{ID: 3}).Update("name", "after").Error)
			}))
		}},
		{name: "update in a transaction begun by hand", run: func(db *gorm.DB) outcome {
			tx := db.Begin()
			first := did(tx.Model(&Label{ID: 1}).Update("name", "hand"))
			return first.and(failed(tx.Commit().Error))
		}},
		{name: "update without GORM's own transaction", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{SkipDefaultTransaction: true}).Model(&Label{ID: 1}).Update("name", "nt"))
		}},
		{name: "update through prepared statements", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{PrepareStmt: true}).Model(&Label{ID: 1}).Update("name", "ps"))
		}},
		{name: "update as a dry run", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{DryRun: true}).Model(&Label{ID: 1}).Update("name", "dr"))
		}},
		{name: "update rendered as SQL only", run: func(db *gorm.DB) outcome {
			return outcome{Values: []any{db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Model(&Label{ID: 1}).Update("name", "dr") })}}
		}},
		{name: "update twice through one chain", run: func(db *gorm.DB) outcome {
			q := db.Model(&Item{}).Where("order_id = ?", 1)
			return did(q.Update("name", "one")).and(did(q.Update("done", true)))
		}},
	}
}
