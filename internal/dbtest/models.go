package dbtest

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// The models of a workshop. Each is there for what makes it hard to audit.

// Customer has a unique key beside its id, a decimal, a fraction and a time
// that GORM sets.
type Customer struct {
	ID        uint
	Name      string  `gorm:"size:100" audit:"label"`
	Code      string  `gorm:"size:50;uniqueIndex"`
	Balance   Decimal `gorm:"type:decimal(12,2);default:0"`
	Rating    float64
	Visits    int
	UpdatedAt time.Time
}

// Order has every kind of relation, a default, a serializer and a soft delete.
type Order struct {
	ID         uint
	Name       string `gorm:"size:100" audit:"label"`
	Color      string `gorm:"size:20;default:blue"`
	CustomerID *uint
	Customer   *Customer
	Items      []Item
	Remarks    []Remark       `gorm:"polymorphic:Owner"`
	Labels     []Label        `gorm:"many2many:order_labels"`
	Extra      map[string]any `gorm:"serializer:json"`
	DeletedAt  gorm.DeletedAt
}

// Item belongs to an order or to none.
type Item struct {
	ID      uint
	OrderID *uint
	Name    string `gorm:"size:100" audit:"label"`
	Done    bool
	Spec    *Spec
}

// Spec is an item's only one.
type Spec struct {
	ID     uint
	ItemID *uint
	Body   string `gorm:"size:100"`
}

// Remark belongs to a record of any type.
type Remark struct {
	ID        uint
	OwnerID   uint
	OwnerType string `gorm:"size:50"`
	Body      string `gorm:"size:100"`
}

// Label marks orders and shifts.
type Label struct {
	ID   uint
	Name string `gorm:"size:50" audit:"label"`
}

// Shift is joined to its labels by a model with a column of its own, and
// embeds a struct.
type Shift struct {
	ID       uint
	Note     string `gorm:"size:100" audit:"label"`
	Start    time.Time
	Billable bool
	Marks    []Label `gorm:"many2many:shift_marks"`
	Stamp    `gorm:"embeddedPrefix:stamp_"`
}

// Stamp is embedded.
type Stamp struct {
	By string `gorm:"size:20"`
}

// ShiftMark joins shifts and labels.
type ShiftMark struct {
	ShiftID uint `gorm:"primaryKey"`
	LabelID uint `gorm:"primaryKey"`
	Weight  int
}

// Seat has a composite key of a text and a number.
type Seat struct {
	Room   string `gorm:"primaryKey;size:20"`
	Number int    `gorm:"primaryKey;autoIncrement:false"`
	Holder string `gorm:"size:20"`
}

// Device has a UUID for a key and holds what is easily bent on its way: bytes,
// JSON, decimals, times with zones, unsigned and long numbers, nulls.
type Device struct {
	ID       uuid.UUID `gorm:"type:char(36);primaryKey"`
	Name     string    `gorm:"size:100" audit:"label"`
	Photo    []byte
	Settings Document `gorm:"type:json"`
	Weight   Decimal  `gorm:"type:decimal(12,4)"`
	Price    Decimal  `gorm:"type:numeric;default:0"` // as many digits as are given, on PostgreSQL
	Ratio    float64
	Counter  int64
	Ports    uint8
	Active   *bool
	Nickname *string `gorm:"size:50"`
	Built    time.Time
	Seen     *time.Time
	Day      time.Time `gorm:"type:date"`
	Secret   string    `gorm:"size:50" audit:"redact"`
	Cache    string    `gorm:"size:50" audit:"-"`
	Fixed    string    `gorm:"size:5;<-:create"`
}

// Flag is soft-deleted by a number and not by a time.
type Flag struct {
	ID      uint
	Name    string `gorm:"size:50"`
	Removed Removed
}

// Pinned is guarded by an optimistic lock.
type Pinned struct {
	ID      uint
	Name    string `gorm:"size:50"`
	Version Version
}

// Hooked changes its statement in one hook and another table in the next.
type Hooked struct {
	ID   uint
	Name string `gorm:"size:50"`
	Slug string `gorm:"size:50"`
}

// ErrHook is the error of [Hooked]'s hook for the name "refused".
var ErrHook = errors.New("the hook refuses")

// BeforeCreate writes a column of its own record.
func (h *Hooked) BeforeCreate(*gorm.DB) error {
	h.Slug = "made by a hook"
	return nil
}

// BeforeUpdate refuses one name and writes a column otherwise.
func (h *Hooked) BeforeUpdate(tx *gorm.DB) error {
	if h.Name == "refused" {
		return ErrHook
	}
	tx.Statement.SetColumn("Slug", "set by a hook")
	return nil
}

// AfterUpdate writes to another table.
func (h *Hooked) AfterUpdate(tx *gorm.DB) error {
	return tx.Model(&Customer{}).Where("id = ?", 1).UpdateColumn("visits", gorm.Expr("visits + 1")).Error
}

// Folder refers to itself.
type Folder struct {
	ID       uint
	Name     string `gorm:"size:50" audit:"label"`
	ParentID *uint
	Children []Folder `gorm:"foreignKey:ParentID"`
}

// Crate has children that the database itself deletes and others whose foreign
// key it empties.
type Crate struct {
	ID    uint
	Name  string `gorm:"size:50" audit:"label"`
	Boxes []Box  `gorm:"constraint:OnDelete:CASCADE"`
	Lids  []Lid  `gorm:"constraint:OnDelete:SET NULL"`
}

// Box goes with its crate.
type Box struct {
	ID      uint
	CrateID uint
	Name    string `gorm:"size:50" audit:"label"`
}

// Lid outlives its crate.
type Lid struct {
	ID      uint
	CrateID *uint
	Name    string `gorm:"size:50" audit:"label"`
}

// Decimal is a number that is exact to its last digit.
type Decimal string

// Value implements driver.Valuer.
func (d Decimal) Value() (driver.Value, error) {
	if d == "" {
		return "0", nil
	}
	return string(d), nil
}

// Scan implements sql.Scanner. It cuts needless digits, which databases differ
// in.
func (d *Decimal) Scan(v any) error {
	if v == nil {
		*d = ""
		return nil
	}
	if b, ok := v.([]byte); ok {
		v = string(b)
	}
	r, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		return fmt.Errorf("dbtest: %v is no decimal", v)
	}
	s, err := canonicalDecimal(r.FloatString(10))
	*d = Decimal(s)
	return err
}

// Document is JSON as the application keeps it. Nil is null.
type Document json.RawMessage

// Value implements driver.Valuer.
func (d Document) Value() (driver.Value, error) {
	if d == nil {
		return nil, nil
	}
	return string(d), nil
}

// Scan implements sql.Scanner.
func (d *Document) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*d = nil
	case []byte:
		*d = append(Document(nil), v...)
	case string:
		*d = Document(v)
	default:
		return fmt.Errorf("dbtest: a %T is no document", v)
	}
	return nil
}

// GormDataType implements GORM's interface of that name.
func (Document) GormDataType() string { return "json" }

// Watches are all models with the entity types that the suites give them,
// parents first.
func Watches() []Watch {
	return []Watch{
		{Model: &Customer{}, Type: "customer"},
		{Model: &Order{}, Type: "order", Deleted: "deleted_at"},
		{Model: &Item{}, Type: "item"},
		{Model: &Spec{}, Type: "spec"},
		{Model: &Remark{}, Type: "remark"},
		{Model: &Label{}, Type: "label"},
		{Model: &Shift{}, Type: "shift"},
		{Model: &Seat{}, Type: "seat"},
		{Model: &Device{}, Type: "device", Ignore: []string{"cache"}, Redact: []string{"secret"}},
		{Model: &Flag{}, Type: "flag", Deleted: "removed"},
		{Model: &Pinned{}, Type: "pinned"},
		{Model: &Hooked{}, Type: "hooked"},
		{Model: &Folder{}, Type: "folder"},
		{Model: &Crate{}, Type: "crate"},
		{Model: &Box{}, Type: "box"},
		{Model: &Lid{}, Type: "lid"},
	}
}

// Migrate makes the tables of all models.
func Migrate(db *gorm.DB) error {
	if err := Setup(db); err != nil {
		return err
	}
	for _, w := range Watches() {
		if err := db.AutoMigrate(w.Model); err != nil {
			return fmt.Errorf("dbtest: migrate %T: %w", w.Model, err)
		}
	}
	return nil
}

// Setup tells GORM of the join table that has a model. Every *gorm.DB on the
// models needs it.
func Setup(db *gorm.DB) error {
	return db.SetupJoinTable(&Shift{}, "Marks", &ShiftMark{})
}

// The instants that the seed and the operations use. No database cuts them
// alike.
var (
	seedTime = time.Date(2026, 3, 28, 22, 30, 0, 123456789, time.FixedZone("", 2*60*60))
	opTime   = time.Date(2026, 3, 29, 1, 2, 3, 987654321, time.UTC)
)

// Seed is what every operation starts from. The database's own sequences must
// not hand out its ids.
func Seed() []any {
	ref := func(id uint) *uint { return &id }
	yes, nick := true, "nick"
	return []any{
		&[]Customer{
			{ID: 1, Name: "Acme", Code: "A", Balance: "12.35", Rating: 0.1, Visits: 3, UpdatedAt: seedTime},
			{ID: 2, Name: "Best", Code: "B", UpdatedAt: seedTime},
			{ID: 3, Name: "Coda", Code: "C", UpdatedAt: seedTime},
		},
		&[]Order{
			{ID: 1, Name: "one", Color: "red", CustomerID: ref(1), Extra: map[string]any{"b": 1, "a": []any{"x", nil}}},
			{ID: 2, Name: "two", Color: "red", CustomerID: ref(1)},
			{ID: 3, Name: "three", Color: "green", CustomerID: ref(2)},
			{ID: 4, Name: "gone", Color: "red", DeletedAt: gorm.DeletedAt{Time: seedTime, Valid: true}},
		},
		&[]Item{{ID: 1, OrderID: ref(1), Name: "i1"}, {ID: 2, OrderID: ref(1), Name: "i2"}, {ID: 3, OrderID: ref(2), Name: "i3"}},
		&[]Spec{{ID: 1, ItemID: ref(1), Body: "s1"}},
		&[]Remark{{ID: 1, OwnerID: 1, OwnerType: "orders", Body: "r1"}, {ID: 2, OwnerID: 1, OwnerType: "others", Body: "r2"}},
		&[]Label{{ID: 1, Name: "x"}, {ID: 2, Name: "y"}, {ID: 3, Name: "z"}},
		&[]Shift{{ID: 1, Note: "early", Start: seedTime, Stamp: Stamp{By: "jo"}}, {ID: 2, Note: "late", Start: seedTime.Add(time.Hour)}},
		&[]ShiftMark{{ShiftID: 1, LabelID: 1, Weight: 5}, {ShiftID: 1, LabelID: 2}},
		&[]Seat{{Room: "a", Number: 1, Holder: "jo"}, {Room: "a", Number: 2, Holder: "al"}, {Room: "b", Number: 1, Holder: "jo"}},
		&[]Device{
			{
				ID: deviceID(1), Name: "d1", Photo: []byte{0xff, 0, 1}, Settings: Document(`{"b":1.50, "a":[1,2]}`), Weight: "12.3456", Price: "1.5",
				Ratio: 1.0 / 3, Counter: 1<<62 + 1, Ports: 255, Active: &yes, Nickname: &nick, Built: seedTime, Seen: &seedTime,
				Day: time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), Secret: "hunter2", Cache: "c", Fixed: "ab",
			},
			{ID: deviceID(2), Name: "d2", Built: seedTime, Day: time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)},
		},
		&[]Flag{{ID: 1, Name: "f1"}, {ID: 2, Name: "f2"}, {ID: 3, Name: "f3", Removed: 1}},
		&[]Pinned{{ID: 1, Name: "p1", Version: 1}, {ID: 2, Name: "p2", Version: 1}},
		&[]Hooked{{ID: 1, Name: "h1"}, {ID: 2, Name: "h2"}},
		&[]Folder{{ID: 1, Name: "root"}, {ID: 2, Name: "sub", ParentID: ref(1)}, {ID: 3, Name: "leaf", ParentID: ref(2)}},
		&[]Crate{{ID: 1, Name: "crate"}, {ID: 2, Name: "other"}},
		&[]Box{{ID: 1, CrateID: 1, Name: "b1"}, {ID: 2, CrateID: 1, Name: "b2"}},
		&[]Lid{{ID: 1, CrateID: ref(1), Name: "l1"}},
	}
}

// deviceID is the n-th key of the devices.
func deviceID(n byte) uuid.UUID { return uuid.UUID{0: 0xd, 15: n} }

// joinRows are seeded by SQL, because the join table has no model.
const joinRows = "INSERT INTO order_labels (order_id, label_id) VALUES (1, 1), (1, 2)"
