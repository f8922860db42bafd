package dbtest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// labelName is a smaller view of the labels' table.
type labelName struct {
	ID   uint
	Text string `gorm:"column:name"`
}

// TableName implements GORM's interface of that name.
func (labelName) TableName() string { return "labels" }

// edges are writes that few programs make.
func edges() []operation {
	return []operation{
		{name: "update of some rows in an order", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Item{}).Where("id > 0").Order("id DESC").Limit(1).Update("name", "limited"))
		}},
		{name: "delete of some rows in an order", run: func(db *gorm.DB) outcome {
			return did(db.Where("number > 0").Order("holder").Limit(1).Delete(&Seat{}))
		}},
		{name: "update through another model of the table", run: func(db *gorm.DB) outcome {
			return did(db.Model(&labelName{ID: 1}).Update("name", "view"))
		}},
		{name: "create through another model of the table", run: func(db *gorm.DB) outcome {
			l := labelName{Text: "view"}
			return did(db.Create(&l), &l)
		}},
		{name: "delete through another model of the table", run: func(db *gorm.DB) outcome {
			return did(db.Delete(&labelName{ID: 3}))
		}},
		{name: "update on one connection of the pool", run: func(db *gorm.DB) outcome {
			return failed(db.Connection(func(tx *gorm.DB) error { return tx.Model(&Label{ID: 1}).Update("name", "conn").Error }))
		}},
		{name: "upsert of several rows that hit the same one", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(onCode(clause.AssignmentColumns([]string{"name"}))).
				Create(&[]Customer{{ID: 81, Name: "first", Code: "A"}, {ID: 82, Name: "second", Code: "B"}, {ID: 83, Name: "third", Code: "C"}}))
		}},
		{name: "upsert that moves a row to another key", run: func(db *gorm.DB) outcome {
			return did(db.Clauses(onCode(clause.AssignmentColumns([]string{"name", "visits"}))).
				Create(&Customer{ID: 3, Name: "Coda's", Code: "C", Visits: 4}))
		}},
		{name: "update of a key in other letters", run: func(db *gorm.DB) outcome {
			return did(db.Table("seats").Where("room = 'a' AND number = 1").Updates(map[string]any{"NUMBER": 17}))
		}},
		{name: "update of a key with its table", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{ID: 3}).Updates(map[string]any{"labels.id": 300}))
		}},
		{name: "upsert by a key in other letters", run: func(db *gorm.DB) outcome {
			on := clause.OnConflict{Columns: []clause.Column{{Name: "ID"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
			return did(db.Table("labels").Clauses(on).Create(map[string]any{"ID": 1, "Name": "letters"}))
		}},
		{name: "upsert by a unique column in other letters", run: func(db *gorm.DB) outcome {
			return did(db.Table("customers").Clauses(onCode(clause.AssignmentColumns([]string{"name"}))).
				Create(map[string]any{"Code": "A", "Name": "letters", "rating": 1, "visits": 1}))
		}},
		{name: "update of a join table by the element in other letters", run: func(db *gorm.DB) outcome {
			return did(db.Table("order_labels").Where("order_id = 1 AND label_id = 2").Updates(map[string]any{"Label_ID": 3}))
		}},
		{name: "update of a join table by the owner in other letters", run: func(db *gorm.DB) outcome {
			return did(db.Table("order_labels").Where("order_id = 1 AND label_id = 2").Updates(map[string]any{"Order_ID": 2}))
		}},
		{name: "create from a map with another case of its field", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Seat{}).Create([]map[string]any{{"Room": "m", "Number": 1, "Holder": "x"}, {"Room": "m", "Number": 2, "Holder": "y"}}))
		}},
		{name: "a hook's write in a savepoint that rolls back", run: func(db *gorm.DB) outcome {
			return failed(db.Transaction(func(tx *gorm.DB) error {
				inner := tx.Transaction(func(tx *gorm.DB) error {
					return errors.Join(tx.Model(&Hooked{ID: 1}).Update("name", "undone").Error, ErrHook)
				})
				if !errors.Is(inner, ErrHook) {
					return inner
				}
				return tx.Model(&Hooked{ID: 2}).Update("name", "done").Error
			}))
		}},
		{name: "update of a row that was created in the same transaction", run: func(db *gorm.DB) outcome {
			return failed(db.Transaction(func(tx *gorm.DB) error {
				l := Label{ID: 91, Name: "a"}
				return errors.Join(tx.Create(&l).Error, tx.Model(&l).Update("name", "b").Error, tx.Delete(&l).Error)
			}))
		}},
		{name: "statements of one text that meet different rows", run: func(db *gorm.DB) outcome {
			var err error
			for id := range 3 {
				err = errors.Join(err, db.Model(&Label{}).Where("name <> ? AND id = ?", "none", id+1).Update("name", strconv.Itoa(id)).Error)
			}
			for id := range 3 {
				err = errors.Join(err, db.Where("id = ?", id+1).Delete(&Label{}).Error)
			}
			return failed(err)
		}},
		{name: "update under a condition with a question mark of its own", run: func(db *gorm.DB) outcome {
			var err error
			for id := range 2 {
				err = errors.Join(err, db.Model(&Label{}).Where("id = ? AND name <> '?'", id+1).Update("name", strconv.Itoa(id)).Error)
			}
			return failed(err)
		}},
		{name: "delete and create with the same key", run: func(db *gorm.DB) outcome {
			return failed(db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Delete(&Label{ID: 3}).Error, tx.Create(&Label{ID: 3, Name: "again"}).Error)
			}))
		}},
		{name: "delete of a whole tree in one table", blind: true, run: func(db *gorm.DB) outcome {
			return did(db.Where("id > ?", 1).Delete(&Folder{}))
		}},
		{name: "update of a key and more", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Seat{Room: "a", Number: 1}).Updates(map[string]any{"room": "moved", "holder": "new"}))
		}},
		{name: "update of a column that is not there", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{ID: 1}).Update("nope", "x"))
		}},
		{name: "create with a column that is not there", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Label{}).Create(map[string]any{"id": 5, "nope": "x"}))
		}},
		{name: "update to a value that is too long", run: func(db *gorm.DB) outcome {
			return did(db.Model(&Seat{}).Where("room = ?", "a").Update("holder", strings.Repeat("x", 21)))
		}},
	}
}

func TestRareWritesAreRecordedExactly(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			audited, bare := newWorkshop(t, Open(t, name), storeInDatabase), newWorkshop(t, Open(t, name), nil)
			exact(t, "edges", audited, bare, edges())
		})
	}
}

// TestTriggersThatRewriteRows are seen, because images come from the database.
func TestTriggersThatRewriteRows(t *testing.T) {
	t.Parallel()
	triggers := map[string][]string{
		"sqlite": {
			"CREATE TRIGGER rewrite_i AFTER INSERT ON labels BEGIN UPDATE labels SET name = upper(name) WHERE id = NEW.id; END",
			"CREATE TRIGGER rewrite_u AFTER UPDATE ON labels WHEN NEW.name <> upper(NEW.name) BEGIN UPDATE labels SET name = upper(name) WHERE id = NEW.id; END",
		},
		"postgres": {
			"CREATE FUNCTION rewrite() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END'",
			"CREATE TRIGGER rewrite BEFORE INSERT OR UPDATE ON labels FOR EACH ROW EXECUTE FUNCTION rewrite()",
		},
		"mysql": {
			"CREATE TRIGGER rewrite_i BEFORE INSERT ON labels FOR EACH ROW SET NEW.name = upper(NEW.name)",
			"CREATE TRIGGER rewrite_u BEFORE UPDATE ON labels FOR EACH ROW SET NEW.name = upper(NEW.name)",
		},
	}
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		for _, s := range triggers[database.Name] {
			require.NoError(t, w.raw.Exec(s).Error)
		}
		for name, write := range map[string]func(db *gorm.DB) outcome{
			"create":      func(db *gorm.DB) outcome { return did(db.Create(&Label{Name: "new"})) },
			"update":      func(db *gorm.DB) outcome { return did(db.Model(&Label{ID: 1}).Update("name", "changed")) },
			"update many": func(db *gorm.DB) outcome { return did(db.Model(&Label{}).Where("id > 0").Update("name", "changed")) },
		} {
			t.Run(name, func(t *testing.T) {
				r := w.do(t, operation{blind: true, run: write})
				require.NotEmpty(t, r.truth, r.outcome)
				require.Empty(t, w.oracle.Compare(r.truth, r.events), r.outcome)
			})
		}
	})
}

// Odd has names that must be quoted and a key that the database makes.
type Odd struct {
	ID     uuid.UUID `gorm:"type:char(36);primaryKey"`
	Order  int       `gorm:"column:order"`
	Name   string    `gorm:"column:Full Name;size:20" audit:"label"`
	Before string    `gorm:"column:before;size:20"`
	Old    string    `gorm:"column:audit_old_order;size:20"`
}

func TestOddNamesAndKeysThatTheDatabaseMakes(t *testing.T) {
	t.Parallel()
	made := map[string]string{
		"sqlite":   `(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(6))))`,
		"postgres": `gen_random_uuid()`, "mysql": `(uuid())`,
	}
	columns := map[bool]string{
		false: `CREATE TABLE "odds" ("id" char(36) PRIMARY KEY DEFAULT %, "order" int, "Full Name" varchar(20), "before" varchar(20), "audit_old_order" varchar(20))`,
		true:  "CREATE TABLE `odds` (`id` char(36) PRIMARY KEY DEFAULT %, `order` int, `Full Name` varchar(20), `before` varchar(20), `audit_old_order` varchar(20))",
	}
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database)
		require.NoError(t, db.Exec(replacePercent(columns[database.Name == "mysql"], made[database.Name])).Error)
		clock := newClock()
		store := wire(t, db, database, storeInDatabase, &audit.Config{Now: clock.Now, Workspace: "w1"}, []hooks.Option{hooks.Model[Odd]("odd")})
		oracle, err := InstallOracle(context.Background(), db, Watch{Model: &Odd{}, Type: "odd"})
		require.NoError(t, err)

		require.NoError(t, db.Create(&[]Odd{{ID: deviceID(1), Order: 1, Name: "a"}, {ID: deviceID(2), Order: 2, Name: "b"}}).Error)
		require.NoError(t, db.Model(&Odd{}).Where("1 = 1").Updates(map[string]any{"order": gorm.Expr("? + 1", clause.Column{Name: "order"}), "Full Name": "c", "before": "d"}).Error)
		require.NoError(t, db.Model(&Odd{ID: deviceID(1)}).Update("audit_old_order", "e").Error)
		require.NoError(t, db.Where("1 = 1").Delete(&Odd{}).Error)
		truth, err := oracle.Read(context.Background())
		require.NoError(t, err)
		require.Len(t, truth, 7)
		require.Empty(t, oracle.Compare(truth, eventsSince(t, store, "w1", clock.Now())))
	})
}
