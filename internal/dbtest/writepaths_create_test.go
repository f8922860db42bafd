package dbtest

import (
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// creates are the ways to insert rows, upserts included.
func creates() []operation {
	return []operation{
		{name: "create from a pointer to a struct", run: func(db *gorm.DB) outcome {
			l := Label{Name: "new"}
			return did(db.Create(&l), &l)
		}},
		{name: "create from a struct by value", run: func(db *gorm.DB) outcome {
			return did(db.Create(Seat{Room: "v", Number: 77}))
		}},
		{name: "create with defaults of the database", run: func(db *gorm.DB) outcome {
			o, c := Order{Name: "defaults"}, Customer{Name: "defaults", Code: "D"}
			return did(db.Create(&o), &o).and(did(db.Create(&c), &c))
		}},
		{name: "create from a pointer to a slice", run: func(db *gorm.DB) outcome {
			ls := []Label{{Name: "a"}, {Name: "b"}, {Name: "c"}}
			return did(db.Create(&ls), &ls)
		}},
		{name: "create from a slice of pointers", run: func(db *gorm.DB) outcome {
			ls := []*Label{{Name: "a"}, {Name: "b"}}
			return did(db.Create(ls), ls)
		}},
		{name: "create from a slice by value", run: func(db *gorm.DB) outcome {
			ls := []Label{{Name: "a"}, {Name: "b"}}
			return did(db.Create(ls), ls)
		}},
		{name: "create from an empty slice", run: func(db *gorm.DB) outcome {
			return did(db.Create(&[]Label{}))
		}},
		{name: "create some with ids and some without", run: func(db *gorm.DB) outcome {
			ls := []Label{{ID: 5000, Name: "a"}, {Name: "b"}, {ID: 6000, Name: "c"}}
			return did(db.Create(&ls), &ls)
		}},
		{name: "create in batches", run: func(db *gorm.DB) outcome {
			ls := []Label{{Name: "a"}, {Name: "b"}, {Name: "c"}}
			return did(db.CreateInBatches(&ls, 2), &ls)
		}},
		{name: "create in one batch", run: func(db *gorm.DB) outcome {
			ls := []Label{{Name: "a"}, {Name: "b"}}
			return did(db.CreateInBatches(&ls, 100), &ls)
		}},
		{name: "create from a map by field names", run: func(db *gorm.DB) outcome {
			m := map[string]any{"Name": "m"}
			return did(db.Model(&Label{}).Create(m), m)
		}},
		{name: "create from a pointer to a map", run: func(db *gorm.DB) outcome {
			m := map[string]any{"name": "m"}
			return did(db.Model(&Label{}).Create(&m), m)
		}},
		{name: "create from a slice of maps", run: func(db *gorm.DB) outcome {
			ms := []map[string]any{{"name": "m1"}, {"name": "m2"}}
			return did(db.Model(&Label{}).Create(ms), ms)
		}},
		{name: "create from a pointer to a slice of maps", run: func(db *gorm.DB) outcome {
			ms := []map[string]any{{"name": "m1"}, {"name": "m2"}}
			return did(db.Model(&Label{}).Create(&ms), ms)
		}},
		{name: "create from a map by table name alone", run: func(db *gorm.DB) outcome {
			m := map[string]any{"name": "m"}
			return did(db.Table("labels").Create(m), m)
		}},
		{name: "create from a map with an id by table name alone", run: func(db *gorm.DB) outcome {
			return did(db.Table("labels").Create(map[string]any{"id": 900, "name": "m"}))
		}},
		{name: "create from a map with an expression", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Create(map[string]any{"name": gorm.Expr("UPPER(?)", "low")}))
		}},
		{name: "create without an omitted column", run: func(db *gorm.DB) outcome {
			s := Shift{Note: "omit", Start: opTime, Billable: true}
			return did(db.Omit("Billable").Create(&s), &s)
		}},
		{name: "create with selected columns only", run: func(db *gorm.DB) outcome {
			c := Customer{Name: "selected", Code: "S", Visits: 7}
			return did(db.Select("Name", "Code").Create(&c), &c)
		}},
		{name: "create with a composite key", run: func(db *gorm.DB) outcome {
			s := Seat{Room: "c/d", Number: 9, Holder: "x"}
			return did(db.Create(&s), &s)
		}},
		{name: "create with a UUID and every kind of column", run: func(db *gorm.DB) outcome {
			no := false
			d := Device{
				ID: deviceID(9), Name: "näme \u2028 \"q\" \\", Photo: []byte{0xfe, 0, '"'}, Settings: Document(`{"z":[1,{"y":null}],"a":1e2}`),
				Weight: "0.00005", Ratio: 1e-7, Counter: -1 << 63, Active: &no, Built: opTime, Seen: &seedTime, Day: opTime, Secret: "s", Fixed: "x",
			}
			return did(db.Create(&d), d.ID, d.Name)
		}},
		{name: "create with null in every column that takes it", run: func(db *gorm.DB) outcome {
			d := Device{ID: deviceID(8), Built: seedTime, Day: seedTime}
			return did(db.Create(&d), d.ID)
		}},
		{name: "create with a serializer", run: func(db *gorm.DB) outcome {
			o := Order{Name: "extra", Extra: map[string]any{"k": []any{"v", 1.5}}}
			return did(db.Create(&o), &o)
		}},
		{name: "create with an embedded struct", run: func(db *gorm.DB) outcome {
			s := Shift{Note: "stamped", Start: seedTime, Stamp: Stamp{By: "al"}}
			return did(db.Create(&s), &s)
		}},
		{name: "create under an optimistic lock", run: func(db *gorm.DB) outcome {
			p := Pinned{Name: "new"}
			return did(db.Create(&p), &p)
		}},
		{name: "create with a hook that sets a column", run: func(db *gorm.DB) outcome {
			h := Hooked{Name: "new"}
			return did(db.Create(&h), &h)
		}},
		{name: "create as deleted already", run: func(db *gorm.DB) outcome {
			o := Order{Name: "stillborn", DeletedAt: gorm.DeletedAt{Time: seedTime, Valid: true}}
			return did(db.Create(&o), &o)
		}},
		{name: "create that breaks a unique key", run: func(db *gorm.DB) outcome {
			return did(db.Create(&[]Customer{{ID: 99, Name: "ok", Code: "Z"}, {ID: 98, Name: "dup", Code: "A"}}))
		}},
		{name: "create that breaks a foreign key", run: func(db *gorm.DB) outcome {
			o := Order{ID: 99, Name: "orphan", CustomerID: ref(12345)}
			return did(db.Create(&o))
		}},
		{name: "create with the user's own RETURNING", run: func(db *gorm.DB) outcome {
			o := Order{Name: "returned"}
			return did(db.Clauses(clause.Returning{}).Create(&o), &o)
		}},

		{name: "upsert that does nothing on a key that is there", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(clause.OnConflict{DoNothing: true}).Create(&[]Label{{ID: 1, Name: "zz"}, {ID: 50, Name: "new"}}))
		}},
		{name: "upsert that does nothing on a unique column that is there", run: func(db *gorm.DB) outcome {
			cs := []Customer{{Name: "zz", Code: "A"}, {Name: "nn", Code: "N"}}
			return did(db.Clauses(clause.OnConflict{DoNothing: true}).Create(&cs), &cs)
		}},
		{name: "upsert that finds everything there", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(clause.OnConflict{DoNothing: true}).Create(&[]Label{{ID: 1, Name: "zz"}, {ID: 2, Name: "zz"}}))
		}},
		{name: "upsert that updates one column of what is there", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(onCode(clause.AssignmentColumns([]string{"name"}))).
				Create(&[]Customer{{Name: "updated", Code: "A"}, {Name: "nn", Code: "N"}}))
		}},
		{name: "upsert that updates by an expression", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(onCode(clause.Assignments(map[string]any{"visits": gorm.Expr("customers.visits + 1")}))).
				Create(&Customer{Name: "ignored", Code: "A"}))
		}},
		{name: "upsert that updates to equal values", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(onCode(clause.AssignmentColumns([]string{"name"}))).Create(&Customer{Name: "Acme", Code: "A"}))
		}},
		{name: "upsert whose condition fails", run: func(db *gorm.DB) outcome {
			c := onCode(clause.AssignmentColumns([]string{"name"}))
			c.Where = clause.Where{Exprs: []clause.Expression{gorm.Expr("1 = 0")}}
			return did(db.Clauses(c).Create(&Customer{Name: "never", Code: "A"}))
		}},
		{name: "upsert that updates all columns", run: func(db *gorm.DB) outcome {
			ls := []Label{{ID: 1, Name: "all"}, {ID: 51, Name: "new"}}
			return did(db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&ls), &ls)
		}},
		{name: "upsert that restores a soft-deleted record", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Order{ID: 4, Name: "back", Color: "red"}))
		}},
		{name: "upsert on a composite key", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(clause.OnConflict{UpdateAll: true}).
				Create(&[]Seat{{Room: "a", Number: 1, Holder: "new"}, {Room: "z", Number: 1, Holder: "new"}}))
		}},
		{name: "upsert with the same unique value twice", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(clause.OnConflict{DoNothing: true}).
				Create(&[]Customer{{ID: 71, Name: "first", Code: "N"}, {ID: 72, Name: "second", Code: "N"}}))
		}},

		{name: "save a new record", run: func(db *gorm.DB) outcome {
			l := Label{Name: "s"}
			return did(db.Save(&l), &l)
		}},
		{name: "save an existing record", run: func(db *gorm.DB) outcome {
			return did(db.Save(&Label{ID: 1, Name: "saved"}))
		}},
		{name: "save an existing record with nothing changed", run: func(db *gorm.DB) outcome {
			return did(db.Save(&Label{ID: 1, Name: "x"}))
		}},
		{name: "save a record whose id is not there", run: func(db *gorm.DB) outcome {
			return did(db.Save(&Label{ID: 321, Name: "s"}))
		}},
		{name: "save a slice of old and new records", run: func(db *gorm.DB) outcome {
			ls := []Label{{ID: 1, Name: "s1"}, {Name: "new"}}
			return did(db.Save(&ls), &ls)
		}},
		{name: "save over a soft-deleted record", run: func(db *gorm.DB) outcome {
			return did(db.Save(&Order{ID: 4, Name: "resurrected", Color: "c"}))
		}},
		{name: "save a soft-deleted record unscoped", run: func(db *gorm.DB) outcome {
			return did(db.Unscoped().Save(&Order{ID: 4, Name: "restored", Color: "c"}))
		}},
		{name: "save with a composite key", run: func(db *gorm.DB) outcome {
			return did(db.Save(&Seat{Room: "a", Number: 1, Holder: "saved"}))
		}},
		{name: "save what was loaded, times and decimals untouched", run: func(db *gorm.DB) outcome {
			var d Device
			if err := db.First(&d, "id = ?", deviceID(1)).Error; err != nil {
				return failed(err)
			}
			return did(db.Save(&d))
		}},
		{name: "save what was loaded, in another time zone", run: func(db *gorm.DB) outcome {
			var d Device
			if err := db.First(&d, "id = ?", deviceID(1)).Error; err != nil {
				return failed(err)
			}
			d.Built = d.Built.In(time.FixedZone("", -7*60*60))
			d.Settings = Document(`{"a": [1, 2], "b": 1.5}`)
			return did(db.Save(&d))
		}},

		{name: "first or create that creates", run: func(db *gorm.DB) outcome {
			var l Label
			return did(db.Where(Label{Name: "absent"}).FirstOrCreate(&l), &l)
		}},
		{name: "first or create that finds", run: func(db *gorm.DB) outcome {
			var l Label
			return did(db.Where(Label{Name: "x"}).FirstOrCreate(&l), &l)
		}},
		{name: "first or create that finds and assigns", run: func(db *gorm.DB) outcome {
			var i Item
			return did(db.Where(Item{Name: "i1"}).Assign(Item{Done: true}).FirstOrCreate(&i), &i)
		}},
		{name: "first or init", run: func(db *gorm.DB) outcome {
			var l Label
			return did(db.Where(Label{Name: "absent"}).FirstOrInit(&l), &l)
		}},

		{name: "generic create", run: func(db *gorm.DB) outcome {
			l := Label{Name: "g"}
			return failed(gorm.G[Label](db).Create(db.Statement.Context, &l), &l)
		}},
		{name: "generic create in batches", run: func(db *gorm.DB) outcome {
			ls := []Label{{Name: "g"}, {Name: "h"}, {Name: "i"}}
			return failed(gorm.G[Label](db).CreateInBatches(db.Statement.Context, &ls, 2), &ls)
		}},
		{name: "generic create from assignments", run: func(db *gorm.DB) outcome {
			return failed(gorm.G[Label](db).Set(assign("name", "gs")).Create(db.Statement.Context))
		}},
	}
}

func ref(id uint) *uint { return &id }

func assign(column string, value any) clause.Assignment {
	return clause.Assignment{Column: clause.Column{Name: column}, Value: value}
}

// onCode is an upsert of customers by their code.
func onCode(set clause.Set) clause.OnConflict {
	return clause.OnConflict{Columns: []clause.Column{{Name: "code"}}, DoUpdates: set}
}
