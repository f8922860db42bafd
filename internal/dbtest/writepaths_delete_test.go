package dbtest

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// deletes are the ways to delete rows.
func deletes() []operation {
	return []operation{
		{name: "delete by a record", run: func(db *gorm.DB) outcome { return did(db.Delete(&Label{ID: 3})) }},
		{name: "delete by a record by value", run: func(db *gorm.DB) outcome { return did(db.Delete(Label{ID: 3})) }},
		{name: "delete by a key", run: func(db *gorm.DB) outcome { return did(db.Delete(&Label{}, 3)) }},
		{name: "delete by keys", run: func(db *gorm.DB) outcome { return did(db.Delete(&Item{}, []int{2, 3})) }},
		{name: "delete by a slice of records", run: func(db *gorm.DB) outcome { return did(db.Delete(&[]Item{{ID: 2}, {ID: 3}})) }},
		{name: "delete by a condition", run: func(db *gorm.DB) outcome {
			return did(db.Where("name LIKE ? AND id > 1", "i%").Delete(&Item{}))
		}},
		{name: "delete by two keys at once", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{ID: 2}).Delete(&Item{ID: 2}))
		}},
		{name: "delete by table name alone", run: func(db *gorm.DB) outcome { return did(db.Table("labels").Where("id = 3").Delete(nil)) }},
		{name: "delete by table name alone with a map", run: func(db *gorm.DB) outcome {
			return did(db.Table("labels").Where("id = 3").Delete(&map[string]any{}))
		}},
		{name: "delete of a record that is not there", run: func(db *gorm.DB) outcome { return did(db.Delete(&Label{}, 9999)) }},
		{name: "delete without a condition is refused", run: func(db *gorm.DB) outcome { return did(db.Delete(&Label{})) }},
		{name: "delete that breaks a foreign key", run: func(db *gorm.DB) outcome { return did(db.Delete(&Label{}, 1)) }},
		{name: "delete by a composite key", run: func(db *gorm.DB) outcome { return did(db.Delete(&Seat{Room: "a", Number: 2})) }},
		{name: "delete by a UUID", run: func(db *gorm.DB) outcome { return did(db.Delete(&Device{ID: deviceID(1)})) }},
		{name: "delete of all rows", run: func(db *gorm.DB) outcome {
			return did(db.Session(&gorm.Session{AllowGlobalUpdate: true}).Delete(&Seat{}))
		}},
		{name: "delete with the user's own RETURNING", run: func(db *gorm.DB) outcome {
			var is []Item
			return did(db.Clauses(clause.Returning{}).Where("order_id = 2").Delete(&is), is)
		}},
		{name: "delete of the leaf of a tree in one table", run: func(db *gorm.DB) outcome { return did(db.Delete(&Folder{ID: 3})) }},

		{name: "soft delete", run: func(db *gorm.DB) outcome { return did(db.Delete(&Order{ID: 3})) }},
		{name: "soft delete by a condition", run: func(db *gorm.DB) outcome { return did(db.Where("color = ?", "red").Delete(&Order{})) }},
		{name: "soft delete of a record that is soft-deleted already", run: func(db *gorm.DB) outcome { return did(db.Delete(&Order{ID: 4})) }},
		{name: "soft delete by a flag", run: func(db *gorm.DB) outcome { return did(db.Delete(&Flag{ID: 1})) }},
		{name: "soft delete by a flag of what is flagged already", run: func(db *gorm.DB) outcome { return did(db.Delete(&Flag{ID: 3})) }},
		{name: "unscoped delete of a soft-deleted record", run: func(db *gorm.DB) outcome { return did(db.Unscoped().Delete(&Order{ID: 4})) }},
		{name: "unscoped delete of a live record", run: func(db *gorm.DB) outcome { return did(db.Unscoped().Delete(&Order{ID: 3})) }},
		{name: "unscoped delete of a flagged record", run: func(db *gorm.DB) outcome { return did(db.Unscoped().Delete(&Flag{ID: 3})) }},

		{name: "generic delete", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Item](db).Where("id = 3").Delete(db.Statement.Context)
			return failed(err, n)
		}},
		{name: "generic soft delete", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Order](db).Where("id = 3").Delete(db.Statement.Context)
			return failed(err, n)
		}},

		{name: "delete whose children go with it or lose it, by the database", blind: true, run: func(db *gorm.DB) outcome {
			return did(db.Delete(&Crate{ID: 1}))
		}},
		{name: "delete of children before their parent", run: func(db *gorm.DB) outcome {
			return did(db.Select("Boxes").Delete(&Crate{ID: 2}))
		}},
	}
}

// associations are the ways to write through relations.
func associations() []operation {
	return []operation{
		{name: "create with all its relations", run: func(db *gorm.DB) outcome {
			o := Order{
				Name: "whole", Customer: &Customer{Name: "nc", Code: "NC"},
				Items: []Item{{Name: "ni", Spec: &Spec{Body: "b"}}, {Name: "nj"}}, Remarks: []Remark{{Body: "nr"}},
			}
			return did(db.Create(&o), &o)
		}},
		{name: "create with old and new elements", run: func(db *gorm.DB) outcome {
			o := Order{Name: "labelled", Labels: []Label{{ID: 1, Name: "x"}, {Name: "fresh"}}}
			return did(db.Create(&o), &o)
		}},
		{name: "create with elements over a join model", run: func(db *gorm.DB) outcome {
			s := Shift{Note: "marked", Start: opTime, Marks: []Label{{ID: 2, Name: "y"}, {ID: 3, Name: "z"}}}
			return did(db.Create(&s), &s)
		}},
		{name: "create several with elements", run: func(db *gorm.DB) outcome {
			os := []Order{{Name: "p", Labels: []Label{{ID: 1}, {ID: 2}}}, {Name: "q"}, {Name: "r", Labels: []Label{{ID: 2}}}}
			return did(db.Create(&os), &os)
		}},
		{name: "create that takes over another's child", run: func(db *gorm.DB) outcome {
			return did(db.Create(&Order{Name: "taker", Items: []Item{{ID: 3, Name: "i3"}}}))
		}},
		{name: "create without relations", run: func(db *gorm.DB) outcome {
			return did(db.Omit(clause.Associations).Create(&Order{Name: "alone", Labels: []Label{{ID: 1}}, Items: []Item{{Name: "never"}}}))
		}},
		{name: "create of a tree in one table", run: func(db *gorm.DB) outcome {
			f := Folder{Name: "n", Children: []Folder{{Name: "n1"}, {Name: "n2", Children: []Folder{{Name: "n21"}}}}}
			return did(db.Create(&f), &f)
		}},
		{name: "save with loaded relations", run: func(db *gorm.DB) outcome {
			var o Order
			if err := db.Preload("Items", byID).Preload("Customer").Preload("Labels", byID).First(&o, 1).Error; err != nil {
				return failed(err)
			}
			o.Name, o.Items[0].Name, o.Customer.Name = "oo", "not saved", "not saved"
			o.Items = append(o.Items, Item{Name: "appended"})
			return did(db.Save(&o), &o)
		}},
		{name: "save with all its relations in full", run: func(db *gorm.DB) outcome {
			var o Order
			if err := db.Preload("Items", byID).Preload("Customer").First(&o, 1).Error; err != nil {
				return failed(err)
			}
			o.Name, o.Items[0].Name, o.Customer.Name = "oo", "saved", "saved too"
			return did(db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&o), &o)
		}},
		{name: "append elements", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Labels").Append(&Label{ID: 3, Name: "z"}, &Label{Name: "ap"}))
		}},
		{name: "append an element that is there", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Labels").Append(&Label{ID: 1, Name: "x"}))
		}},
		{name: "append elements to several records", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&[]Order{{ID: 2}, {ID: 3}}).Association("Labels").Append(&Label{ID: 1}, &[]Label{{ID: 2}, {ID: 3}}))
		}},
		{name: "replace elements", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Labels").Replace(&Label{ID: 1, Name: "x"}, &Label{ID: 3, Name: "z"}))
		}},
		{name: "delete an element", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Labels").Delete(&Label{ID: 1}))
		}},
		{name: "clear elements", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Labels").Clear())
		}},
		{name: "replace elements over a join model", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Shift{ID: 1}).Association("Marks").Replace(&Label{ID: 3, Name: "z"}))
		}},
		{name: "write the join model itself", run: func(db *gorm.DB) outcome {
			return did(db.Create(&ShiftMark{ShiftID: 2, LabelID: 3, Weight: 1})).
				and(did(db.Model(&ShiftMark{ShiftID: 1, LabelID: 1}).Update("weight", 9))).
				and(did(db.Model(&ShiftMark{}).Where("shift_id = 1 AND label_id = 2").Update("label_id", 3))).
				and(did(db.Where("weight = 9").Delete(&ShiftMark{})))
		}},
		{name: "replace children", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Items").Replace(&Item{ID: 3, Name: "i3"}))
		}},
		{name: "delete a child from its parent", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Items").Delete(&Item{ID: 1}))
		}},
		{name: "clear children", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Items").Clear())
		}},
		{name: "clear children and delete them", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 2}).Association("Items").Unscoped().Clear())
		}},
		{name: "replace the parent", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Customer").Replace(&Customer{ID: 3, Name: "Coda", Code: "C"}))
		}},
		{name: "clear the parent", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Customer").Clear())
		}},
		{name: "append to a polymorphic relation", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Remarks").Append(&Remark{Body: "poly"}))
		}},
		{name: "clear a polymorphic relation", run: func(db *gorm.DB) outcome {
			return failed(db.Model(&Order{ID: 1}).Association("Remarks").Clear())
		}},
		{name: "delete with selected relations", run: func(db *gorm.DB) outcome {
			return did(db.Select("Items", "Remarks").Delete(&Order{ID: 2}))
		}},
		{name: "delete with the elements of its relation", run: func(db *gorm.DB) outcome {
			return did(db.Select("Labels").Delete(&Order{ID: 1}))
		}},
		{name: "unscoped delete with the elements of a join model", run: func(db *gorm.DB) outcome {
			return did(db.Select(clause.Associations).Delete(&Shift{ID: 1}))
		}},
		{name: "generic update of children", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Order](db).Where("id = 1").Set(clause.Association{
				Association: "Items", Type: clause.OpUpdate, Set: []clause.Assignment{assign("name", "ga")},
			}).Update(db.Statement.Context)
			return failed(err, n)
		}},
		{name: "generic unlinking of children", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Order](db).Where("id = 1").Set(clause.Association{Association: "Items", Type: clause.OpUnlink}).Update(db.Statement.Context)
			return failed(err, n)
		}},
		{name: "generic removal of elements", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Order](db).Where("id = 1").Set(clause.Association{Association: "Labels", Type: clause.OpDelete}).Update(db.Statement.Context)
			return failed(err, n)
		}},
		{name: "generic creation of children", run: func(db *gorm.DB) outcome {
			n, err := gorm.G[Order](db).Where("id = 1").Set(clause.Association{
				Association: "Items", Type: clause.OpCreate, Set: []clause.Assignment{assign("name", "gc")},
			}).Update(db.Statement.Context)
			return failed(err, n)
		}},
	}
}

func byID(db *gorm.DB) *gorm.DB { return db.Order("id") }
