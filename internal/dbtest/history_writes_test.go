package dbtest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
)

// arguments choose the rows and the values of a write: three numbers from 0 to
// 9, small so that writes meet.
type arguments [3]int

// row is an id among few; half of them are those of [Seed].
func (a arguments) row(i int) uint { return uint(a[i]%6 + 1) }

func (a arguments) seat() (room string, number int) {
	return []string{"a", "b", "c/d", "50%"}[a[0]%4], a[1]%3 + 1
}

func (a arguments) text(i int) string {
	return []string{"x", "y", "Ünï \u2028", "", `q"\'`, "x ", "X", "null", "1", "two words"}[a[i]]
}

func (a arguments) time(i int) time.Time {
	return []time.Time{seedTime, opTime, seedTime.UTC(), opTime.Add(time.Microsecond), opTime.Truncate(time.Second)}[a[i]%5]
}

func (a arguments) flag(i int) bool { return a[i]%2 == 1 }

// historyWrite is one call that an application makes, or a few that belong together.
type historyWrite func(db *gorm.DB, a arguments) error

// writes are what histories are made of, by name. Each changes rows for some
// arguments on some rows, which [TestRandomHistories] demands.
var writes = map[string]historyWrite{
	"create a label":                func(db *gorm.DB, a arguments) error { return db.Create(&Label{Name: a.text(0)}).Error },
	"create a label with its id":    func(db *gorm.DB, a arguments) error { return db.Create(&Label{ID: a.row(0), Name: a.text(1)}).Error },
	"create labels in one call":     func(db *gorm.DB, a arguments) error { return db.Create(labels(a)).Error },
	"create labels in batches":      func(db *gorm.DB, a arguments) error { return db.CreateInBatches(labels(a), 2).Error },
	"create a label from a map":     func(db *gorm.DB, a arguments) error { return db.Model(&Label{}).Create(named(a.text(0))).Error },
	"create a label by table alone": func(db *gorm.DB, a arguments) error { return db.Table("labels").Create(named(a.text(0))).Error },
	"create labels from maps": func(db *gorm.DB, a arguments) error {
		return db.Model(&Label{}).Create(&[]map[string]any{named(a.text(0)), named(a.text(1))}).Error
	},
	"upsert labels, all columns": func(db *gorm.DB, a arguments) error {
		return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&[]Label{{ID: a.row(0), Name: a.text(2)}, {ID: a.row(0) + 1, Name: a.text(1)}}).Error
	},
	"upsert labels or do nothing": func(db *gorm.DB, a arguments) error {
		return db.Clauses(clause.OnConflict{DoNothing: true}).Create(&[]Label{{ID: a.row(0), Name: a.text(2)}, {ID: a.row(1), Name: a.text(1)}}).Error
	},
	"save a label": func(db *gorm.DB, a arguments) error { return db.Save(&Label{ID: a.row(0), Name: a.text(1)}).Error },
	"save labels": func(db *gorm.DB, a arguments) error {
		return db.Save(&[]Label{{ID: a.row(0), Name: a.text(1)}, {Name: a.text(2)}}).Error
	},
	"update a label": func(db *gorm.DB, a arguments) error {
		return db.Model(&Label{ID: a.row(0)}).Update("name", a.text(1)).Error
	},
	"update labels": func(db *gorm.DB, a arguments) error {
		return db.Model(&Label{}).Where("name = ?", a.text(0)).Update("name", a.text(1)).Error
	},
	"move a label's key": func(db *gorm.DB, a arguments) error {
		return db.Model(&Label{ID: a.row(0)}).Update("id", a.row(1)+20).Error
	},
	"generic label write": func(db *gorm.DB, a arguments) error {
		return gorm.G[Label](db).Create(db.Statement.Context, &Label{Name: a.text(0)})
	},
	"update labels by table alone": func(db *gorm.DB, a arguments) error {
		return db.Table("labels").Where("id <= ?", a.row(0)).Updates(named(a.text(1))).Error
	},
	"delete a label": func(db *gorm.DB, a arguments) error { return db.Delete(&Label{}, a.row(0)).Error },
	"sweep what ids were made for": func(db *gorm.DB, _ arguments) error {
		return errors.Join(
			db.Where("id > 1000 AND id NOT IN (?) AND id NOT IN (?)", db.Table("order_labels").Select("label_id"), db.Table("shift_marks").Select("label_id")).Delete(&Label{}).Error,
			db.Where("id > 1000").Delete(&Remark{}).Error, db.Where("id > 1000").Delete(&Spec{}).Error,
			db.Where("id > 1000 AND id NOT IN (?)", db.Table("specs").Where("item_id IS NOT NULL").Select("item_id")).Delete(&Item{}).Error,
			db.Where("id > 1000").Delete(&Box{}).Error, db.Where("id > 1000").Delete(&Lid{}).Error)
	},

	"create a customer": func(db *gorm.DB, a arguments) error {
		return db.Create(&Customer{ID: a.row(0), Name: a.text(1), Code: code(a[2]), Balance: Decimal(fmt.Sprintf("%d.%02d", a[1], a[2])), Rating: 0.1 * float64(a[1])}).Error
	},
	"create selected columns": func(db *gorm.DB, a arguments) error {
		return db.Select("ID", "Name", "Code").Create(&Customer{ID: a.row(0), Name: a.text(1), Code: code(a[2]), Visits: 7}).Error
	},
	"upsert customers on their code": func(db *gorm.DB, a arguments) error {
		customers := []Customer{{ID: 11, Name: a.text(0), Code: code(a[1])}, {ID: 12, Name: a.text(1), Code: code(a[1] + 1), Visits: a[2]}}
		if db.Name() == "mysql" {
			// There the first may meet a row by its code and the second the same
			// row by its id: two changes for the triggers, one for an event.
			customers = customers[:1]
		}
		return db.Clauses(onCode(clause.AssignmentColumns([]string{"name", "visits"}))).Create(&customers).Error
	},
	"upsert a customer by an expression": func(db *gorm.DB, a arguments) error {
		return db.Clauses(onCode(clause.Assignments(map[string]any{"visits": gorm.Expr("customers.visits + 1")}))).
			Create(&Customer{ID: a.row(0), Name: a.text(1), Code: code(a[2])}).Error
	},
	"update by an expression": func(db *gorm.DB, a arguments) error {
		return db.Model(&Customer{ID: a.row(0)}).Update("visits", gorm.Expr("visits + ?", a[1])).Error
	},
	"update many by an expression": func(db *gorm.DB, a arguments) error {
		return db.Model(&Customer{}).Where("visits < 1000 AND id <= ?", a.row(0)).
			Updates(map[string]any{"visits": gorm.Expr("visits * 2 + id"), "name": gorm.Expr("UPPER(name)")}).Error
	},
	"update a column without hooks": func(db *gorm.DB, a arguments) error {
		return db.Model(&Customer{}).Where("visits > ?", a[0]).UpdateColumn("balance", Decimal(fmt.Sprintf("%d.5", a[1]))).Error
	},
	"update a code": func(db *gorm.DB, a arguments) error {
		return db.Model(&Customer{ID: a.row(0)}).Update("code", code(a[1])).Error
	},
	"delete a customer": func(db *gorm.DB, a arguments) error { return db.Delete(&Customer{ID: a.row(0)}).Error },
	"load and save a customer": func(db *gorm.DB, a arguments) error {
		var c Customer
		if err := db.First(&c, a.row(0)).Error; err != nil {
			return err
		}
		if a.flag(1) {
			c.Name, c.Rating = a.text(2), c.Rating/3
		}
		return db.Save(&c).Error
	},

	"create an order with relations": func(db *gorm.DB, a arguments) error {
		return db.Create(&Order{
			ID: a.row(0), Name: a.text(1), Customer: &Customer{ID: a.row(2), Name: a.text(0), Code: code(a[1])},
			Items:   []Item{{Name: a.text(2), Spec: &Spec{Body: a.text(1)}}, {ID: a.row(1), Name: a.text(0)}},
			Remarks: []Remark{{Body: a.text(0)}}, Labels: []Label{{ID: a.row(1), Name: a.text(0)}, {ID: a.row(2), Name: "l"}},
			Extra: map[string]any{"n": a[1], "t": a.text(2)},
		}).Error
	},
	"create a plain order": func(db *gorm.DB, a arguments) error {
		return db.Omit(clause.Associations).Create(&Order{ID: a.row(0), Name: a.text(1), Labels: []Label{{ID: 1}}}).Error
	},
	"update an order": func(db *gorm.DB, a arguments) error {
		return db.Model(&Order{ID: a.row(0)}).Updates(Order{Name: a.text(1), Color: a.text(2)}).Error
	},
	"empty selected columns": func(db *gorm.DB, a arguments) error {
		return db.Model(&Order{ID: a.row(0)}).Select("Name", "Color").Updates(Order{Color: a.text(1)}).Error
	},
	"update without omitted ones": func(db *gorm.DB, a arguments) error {
		return db.Model(&Order{ID: a.row(0)}).Omit("Color").Updates(map[string]any{"name": a.text(1), "color": "no"}).Error
	},
	"save an order": func(db *gorm.DB, a arguments) error {
		return db.Save(&Order{ID: a.row(0), Name: a.text(1), Color: "c", Extra: map[string]any{"k": a[2]}}).Error
	},
	"soft delete an order": func(db *gorm.DB, a arguments) error { return db.Delete(&Order{ID: a.row(0)}).Error },
	"soft delete orders": func(db *gorm.DB, a arguments) error {
		return db.Where("color = ? OR id = ?", a.text(0), a.row(1)).Delete(&Order{}).Error
	},
	"restore an order": func(db *gorm.DB, a arguments) error {
		return db.Unscoped().Model(&Order{ID: a.row(0)}).Update("deleted_at", nil).Error
	},
	"restore orders": func(db *gorm.DB, a arguments) error {
		return db.Unscoped().Model(&Order{}).Where("id < ?", a.row(0)).Update("deleted_at", nil).Error
	},
	"delete an order for good": func(db *gorm.DB, a arguments) error { return db.Unscoped().Delete(&Order{ID: a.row(0)}).Error },
	"delete an order with all": func(db *gorm.DB, a arguments) error {
		return db.Select("Items", "Labels", "Remarks").Delete(&Order{ID: a.row(0)}).Error
	},
	"delete all of it for good": deleteWholeOrder,
	"update orders, deleted ones": func(db *gorm.DB, a arguments) error {
		return db.Unscoped().Model(&Order{}).Where("id > ?", a.row(0)).Update("name", a.text(1)).Error
	},
	"append labels": func(db *gorm.DB, a arguments) error {
		return order(db, a, "Labels").Append(&Label{ID: a.row(1), Name: "x"}, &Label{Name: a.text(2)})
	},
	"replace labels": func(db *gorm.DB, a arguments) error {
		return order(db, a, "Labels").Replace(&Label{ID: a.row(1), Name: "x"}, &Label{ID: a.row(2), Name: "y"})
	},
	"take a label off": func(db *gorm.DB, a arguments) error { return order(db, a, "Labels").Delete(&Label{ID: a.row(1)}) },
	"clear labels":     func(db *gorm.DB, a arguments) error { return order(db, a, "Labels").Clear() },
	"append to two orders": func(db *gorm.DB, a arguments) error {
		return db.Model(&[]Order{{ID: a.row(0)}, {ID: a.row(1)}}).Association("Labels").Append(&Label{ID: a.row(2), Name: "p"}, &[]Label{{ID: 1, Name: "x"}})
	},
	"append items": func(db *gorm.DB, a arguments) error {
		return order(db, a, "Items").Append(&Item{ID: a.row(1), Name: a.text(2)}, &Item{Name: a.text(2)})
	},
	"replace items": func(db *gorm.DB, a arguments) error {
		return order(db, a, "Items").Replace(&Item{ID: a.row(1), Name: a.text(2)})
	},
	"clear items":                 func(db *gorm.DB, a arguments) error { return order(db, a, "Items").Clear() },
	"clear items and delete them": func(db *gorm.DB, a arguments) error { return order(db, a, "Items").Unscoped().Clear() },
	"replace the customer": func(db *gorm.DB, a arguments) error {
		return order(db, a, "Customer").Replace(&Customer{ID: a.row(1), Name: a.text(2), Code: code(a[2])})
	},
	"clear the customer":           func(db *gorm.DB, a arguments) error { return order(db, a, "Customer").Clear() },
	"append remarks":               func(db *gorm.DB, a arguments) error { return order(db, a, "Remarks").Append(&Remark{Body: a.text(1)}) },
	"clear remarks":                func(db *gorm.DB, a arguments) error { return order(db, a, "Remarks").Clear() },
	"load and save with relations": func(db *gorm.DB, a arguments) error { return saveOrder(db, a, false) },
	"load and save all of it":      func(db *gorm.DB, a arguments) error { return saveOrder(db, a, true) },

	"create an item": func(db *gorm.DB, a arguments) error {
		return db.Create(&Item{ID: a.row(0), OrderID: ref(a.row(1)), Name: a.text(2)}).Error
	},
	"update items": func(db *gorm.DB, a arguments) error {
		return db.Model(&Item{}).Where("order_id = ?", a.row(0)).Updates(map[string]any{"done": a.flag(1), "Name": a.text(2)}).Error
	},
	"update by a sub-query": func(db *gorm.DB, a arguments) error {
		return db.Model(&Item{}).Where("order_id IN (?)", db.Model(&Order{}).Select("id").Where("customer_id = ?", a.row(0))).Update("done", a.flag(1)).Error
	},
	"update the items of a slice": func(db *gorm.DB, a arguments) error {
		return db.Model(&[]Item{{ID: a.row(0)}, {ID: a.row(1)}}).Update("name", a.text(2)).Error
	},
	"delete items": func(db *gorm.DB, a arguments) error {
		return db.Where("done = ? AND name = ?", a.flag(0), a.text(1)).Delete(&Item{}).Error
	},
	"delete items by key": func(db *gorm.DB, a arguments) error { return db.Delete(&Item{}, []uint{a.row(0), a.row(1)}).Error },
	"generic update of items": func(db *gorm.DB, a arguments) error {
		_, err := gorm.G[Item](db).Where("id <= ?", a.row(0)).Update(db.Statement.Context, "name", a.text(1))
		return err
	},
	"first or create, and assign": func(db *gorm.DB, a arguments) error {
		return db.Where(Item{Name: a.text(0)}).Assign(map[string]any{"done": a.flag(1)}).FirstOrCreate(&Item{}).Error
	},

	"create a shift with marks": func(db *gorm.DB, a arguments) error {
		return db.Create(&Shift{ID: a.row(0), Note: a.text(1), Start: a.time(2), Billable: a.flag(1), Stamp: Stamp{By: a.text(0)}, Marks: []Label{{ID: a.row(2), Name: "m"}}}).Error
	},
	"replace marks": func(db *gorm.DB, a arguments) error {
		return db.Model(&Shift{ID: a.row(0)}).Association("Marks").Replace(&Label{ID: a.row(1), Name: "m"}, &Label{ID: a.row(2), Name: "n"})
	},
	"weigh marks": func(db *gorm.DB, a arguments) error {
		return db.Model(&ShiftMark{}).Where("label_id = ?", a.row(0)).Update("weight", a[1]).Error
	},
	"move a mark": func(db *gorm.DB, a arguments) error {
		return db.Model(&ShiftMark{ShiftID: a.row(0)%3 + 1, LabelID: a.row(1)%3 + 1}).Update("label_id", a.row(2)).Error
	},
	"delete a mark": func(db *gorm.DB, a arguments) error {
		return db.Delete(&ShiftMark{ShiftID: a.row(0), LabelID: a.row(1)}).Error
	},
	"save a shift": func(db *gorm.DB, a arguments) error {
		return db.Save(&Shift{ID: a.row(0), Note: a.text(1), Start: a.time(2)}).Error
	},
	"delete a shift": func(db *gorm.DB, a arguments) error {
		return db.Select(clause.Associations).Delete(&Shift{ID: a.row(0)}).Error
	},
	"update a shift": func(db *gorm.DB, a arguments) error {
		return db.Model(&Shift{ID: a.row(0)}).Updates(map[string]any{"stamp_by": a.text(1), "start": a.time(2)}).Error
	},
	"create a seat": func(db *gorm.DB, a arguments) error { return db.Create(seat(a)).Error },
	"save a seat":   func(db *gorm.DB, a arguments) error { return db.Save(seat(a)).Error },
	"update a seat": func(db *gorm.DB, a arguments) error { return db.Model(seat(a)).Update("holder", a.text(2)).Error },
	"update seats": func(db *gorm.DB, a arguments) error {
		return db.Model(&Seat{}).Where("number = ?", a[1]%3+1).Update("holder", a.text(2)).Error
	},
	"move a seat": func(db *gorm.DB, a arguments) error {
		return db.Model(seat(a)).Updates(map[string]any{"room": "a", "number": a[2]}).Error
	},
	"delete a seat": func(db *gorm.DB, a arguments) error { return db.Delete(seat(a)).Error },
	"upsert seats": func(db *gorm.DB, a arguments) error {
		return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&[]Seat{*seat(a), {Room: "a", Number: 9, Holder: a.text(2)}}).Error
	},
	"create a device": func(db *gorm.DB, a arguments) error { return db.Create(device(a)).Error },
	"save a device":   func(db *gorm.DB, a arguments) error { return db.Save(device(a)).Error },
	"delete a device": func(db *gorm.DB, a arguments) error { return db.Delete(&Device{ID: deviceID(byte(a[0] % 4))}).Error },
	"load and save a device": func(db *gorm.DB, a arguments) error {
		var d Device
		if err := db.First(&d, "id = ?", deviceID(byte(a[0]%4))).Error; err != nil {
			return err
		}
		d.Built = d.Built.In(time.FixedZone("", -7*60*60))
		if a.flag(1) {
			d.Counter, d.Secret = d.Counter+1, a.text(2)
		}
		return db.Save(&d).Error
	},
	"update a device": func(db *gorm.DB, a arguments) error {
		return db.Model(&Device{ID: deviceID(byte(a[0] % 4))}).Updates([]map[string]any{
			{"secret": a.text(2)},
			{"cache": a.text(2)},
			{"photo": nil},
			{"photo": []byte{0xff, byte(a[2])}},
			{"nickname": nil},
			{"nickname": a.text(2)},
			{"settings": document(a[2])},
			{"weight": "1.23456", "ratio": 1e-7},
			{"seen": a.time(2)},
			{"photo": []byte(strings.Repeat("p", audit.MaxValueBytes+a[2]))},
		}[a[1]]).Error
	},

	"create a flag":   func(db *gorm.DB, a arguments) error { return db.Create(&Flag{ID: a.row(0), Name: a.text(1)}).Error },
	"flag as removed": func(db *gorm.DB, a arguments) error { return db.Delete(&Flag{ID: a.row(0)}).Error },
	"flag as there": func(db *gorm.DB, a arguments) error {
		return db.Unscoped().Model(&Flag{}).Where("id <= ?", a.row(0)).Update("removed", 0).Error
	},
	"delete a flag":       func(db *gorm.DB, a arguments) error { return db.Unscoped().Delete(&Flag{ID: a.row(0)}).Error },
	"create under a lock": func(db *gorm.DB, a arguments) error { return db.Create(&Pinned{ID: a.row(0), Name: a.text(1)}).Error },
	"update under a lock": func(db *gorm.DB, a arguments) error {
		p := Pinned{ID: a.row(0)}
		if a.flag(1) {
			if err := db.First(&p).Error; err != nil {
				return err
			}
		} else {
			p.Version = 1 // mostly too old
		}
		return db.Model(&p).Update("name", a.text(2)).Error
	},
	"update with hooks": func(db *gorm.DB, a arguments) error {
		name := []string{"refused", a.text(1)}[min(a[2], 1)]
		return db.Model(&Hooked{ID: a.row(0), Name: name}).Updates(&Hooked{Name: name}).Error
	},
	"create with hooks": func(db *gorm.DB, a arguments) error { return db.Create(&Hooked{ID: a.row(0), Name: a.text(1)}).Error },
	"delete a hooked":   func(db *gorm.DB, a arguments) error { return db.Delete(&Hooked{ID: a.row(0)}).Error },

	"create a tree": func(db *gorm.DB, a arguments) error {
		return db.Create(&Folder{ID: a.row(0), Name: a.text(1), Children: []Folder{{ID: a.row(1), Name: a.text(2)}, {ID: a.row(2) + 6, Name: "leaf"}}}).Error
	},
	"move a folder": func(db *gorm.DB, a arguments) error {
		return db.Model(&Folder{ID: a.row(0)}).Update("parent_id", a.row(1)).Error
	},
	"free folders": func(db *gorm.DB, a arguments) error {
		return db.Model(&Folder{}).Where("parent_id = ?", a.row(0)).Update("parent_id", nil).Error
	},
	"delete a folder": func(db *gorm.DB, a arguments) error { return db.Delete(&Folder{ID: a.row(0)}).Error },

	"create a crate": func(db *gorm.DB, a arguments) error {
		return db.Create(&Crate{ID: a.row(0), Name: a.text(1), Boxes: []Box{{ID: a.row(1), Name: a.text(2)}, {Name: "b"}}, Lids: []Lid{{ID: a.row(2), Name: "l"}}}).Error
	},
	"rename a crate": func(db *gorm.DB, a arguments) error {
		return db.Model(&Crate{ID: a.row(0)}).Update("name", a.text(1)).Error
	},
	"rename crates": func(db *gorm.DB, a arguments) error {
		return db.Model(&Crate{}).Where("id > ?", a.row(0)).Update("name", a.text(1)).Error
	},
	"delete a crate":      func(db *gorm.DB, a arguments) error { return db.Delete(&Crate{ID: a.row(0)}).Error },
	"delete crates":       func(db *gorm.DB, a arguments) error { return db.Where("name = ?", a.text(0)).Delete(&Crate{}).Error },
	"delete boxes, crate": func(db *gorm.DB, a arguments) error { return db.Select("Boxes").Delete(&Crate{ID: a.row(0)}).Error },
	"move boxes": func(db *gorm.DB, a arguments) error {
		return db.Model(&Box{}).Where("crate_id = ?", a.row(0)).Update("crate_id", a.row(1)).Error
	},
	"move lids": func(db *gorm.DB, a arguments) error {
		return db.Model(&Lid{}).Where("id < ?", a.row(0)).Update("crate_id", a.row(1)).Error
	},
	"update nothing": func(db *gorm.DB, a arguments) error {
		return db.Model(&Label{}).Where("1 = 0").Update("name", a.text(0)).Error
	},
	"pretend to delete": func(db *gorm.DB, a arguments) error {
		return db.Session(&gorm.Session{DryRun: true}).Delete(&Label{ID: a.row(0)}).Error
	},
	"read":                  func(db *gorm.DB, a arguments) error { return db.First(&Label{}, a.row(0)).Error },
	"delete without a word": func(db *gorm.DB, a arguments) error { return db.Delete(&Label{}).Error },
}

// idle are the writes that never change a row.
var idle = map[string]bool{"update nothing": true, "pretend to delete": true, "read": true, "delete without a word": true}

func labels(a arguments) *[]Label {
	return &[]Label{{Name: a.text(0)}, {Name: a.text(1)}, {Name: a.text(2)}}
}

func named(name string) map[string]any { return map[string]any{"name": name} }

func code(n int) string { return string(rune('A' + n)) }

func seat(a arguments) *Seat {
	room, number := a.seat()
	return &Seat{Room: room, Number: number, Holder: a.text(2)}
}

func document(n int) Document {
	return []Document{nil, Document(`{"b":1.50,"a":[1,2]}`), Document(`{"a":[1, 2],"b":1.5}`), Document(`[]`), Document(`"x"`)}[n%5]
}

func device(a arguments) *Device {
	yes := a.flag(2)
	at := a.time(2)
	return &Device{
		ID: deviceID(byte(a[0] % 4)), Name: a.text(1), Photo: []byte{0xff, 0, byte(a[1])}, Settings: document(a[2]), Weight: Decimal(fmt.Sprintf("%d.00005", a[1])),
		Ratio: 1 / float64(a[2]+3), Counter: 1<<62 + int64(a[1]), Ports: uint8(a[2]), Active: &yes, Built: at, Seen: &at,
		Day: at.UTC().Truncate(24 * time.Hour), Secret: a.text(1), Cache: a.text(2), Fixed: "ab",
	}
}

func order(db *gorm.DB, a arguments, relation string) *gorm.Association {
	return db.Model(&Order{ID: a.row(0)}).Association(relation)
}

// saveOrder loads an order with its relations and saves it changed.
func saveOrder(db *gorm.DB, a arguments, full bool) error {
	var o Order
	if err := db.Preload("Items", byID).Preload("Customer").Preload("Labels", byID).First(&o, a.row(0)).Error; err != nil {
		return err
	}
	o.Name = a.text(1)
	if len(o.Items) > 0 {
		o.Items[0].Name = a.text(2)
	}
	if o.Customer != nil {
		o.Customer.Visits++
	}
	return db.Session(&gorm.Session{FullSaveAssociations: full}).Save(&o).Error
}

// deleteWholeOrder removes an order and what refers to it, in one transaction.
func deleteWholeOrder(db *gorm.DB, a arguments) error {
	return db.Transaction(func(tx *gorm.DB) error {
		o := &Order{ID: a.row(0)}
		if err := tx.Model(o).Association("Labels").Clear(); err != nil {
			return err
		}
		if err := tx.Model(&Item{}).Where("order_id = ?", o.ID).Update("order_id", nil).Error; err != nil {
			return err
		}
		return tx.Unscoped().Delete(o).Error
	})
}
