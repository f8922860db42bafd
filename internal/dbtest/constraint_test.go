package dbtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// The models of a port. Nothing in their tags tells what the database does when
// one is deleted: the tables are made by SQL.
type (
	// Port is recorded.
	Port struct {
		ID   int    `gorm:"primaryKey;autoIncrement:false"`
		Name string `gorm:"size:20;unique" audit:"label"`
	}
	// Dock is not recorded; its berths are.
	Dock struct {
		ID     int `gorm:"primaryKey;autoIncrement:false"`
		PortID *int
	}
	// Berth goes with its dock, and with the berth it is part of.
	Berth struct {
		ID     int  `gorm:"primaryKey;autoIncrement:false"`
		DockID *int `audit:"-"`
		PartOf *int
		Name   string `gorm:"size:20" audit:"label"`
	}
	// Ship loses its berth and its home, which it knows by name.
	Ship struct {
		ID      int `gorm:"primaryKey;autoIncrement:false"`
		BerthID *int
		Home    *string `gorm:"size:20"`
		Crew    []Hand  `gorm:"many2many:crews"`
	}
	// Hand works on ships.
	Hand struct {
		ID   int    `gorm:"primaryKey;autoIncrement:false"`
		Name string `gorm:"size:20" audit:"label"`
	}
	// Crew joins the two.
	Crew struct {
		ShipID int `gorm:"primaryKey;autoIncrement:false"`
		HandID int `gorm:"primaryKey;autoIncrement:false"`
	}
	// Cabin has a key of two columns.
	Cabin struct {
		ShipID int    `gorm:"primaryKey;autoIncrement:false"`
		Deck   string `gorm:"primaryKey;size:5"`
		Beds   int
	}
	// Guest sleeps in a cabin and goes or stays with it.
	Guest struct {
		ID     int `gorm:"primaryKey;autoIncrement:false"`
		ShipID *int
		Deck   *string `gorm:"size:5"`
	}
)

func portTables(dialect string) []string {
	tables := []string{
		"CREATE TABLE ports (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE)",
		"CREATE TABLE docks (id INT PRIMARY KEY, port_id INT, FOREIGN KEY (port_id) REFERENCES ports (id) ON DELETE CASCADE)",
		`CREATE TABLE berths (id INT PRIMARY KEY, dock_id INT, part_of INT, name VARCHAR(20) NOT NULL,
			FOREIGN KEY (dock_id) REFERENCES docks (id) ON DELETE CASCADE, FOREIGN KEY (part_of) REFERENCES berths (id) ON DELETE CASCADE)`,
		`CREATE TABLE ships (id INT PRIMARY KEY, berth_id INT, home VARCHAR(20), FOREIGN KEY (berth_id) REFERENCES berths (id) ON DELETE SET NULL,
			FOREIGN KEY (home) REFERENCES ports (name) ON DELETE SET NULL)`,
		"CREATE TABLE hands (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
		`CREATE TABLE crews (ship_id INT NOT NULL, hand_id INT NOT NULL, PRIMARY KEY (ship_id, hand_id),
			FOREIGN KEY (ship_id) REFERENCES ships (id) ON DELETE CASCADE, FOREIGN KEY (hand_id) REFERENCES hands (id) ON DELETE CASCADE)`,
		`CREATE TABLE cabins (ship_id INT NOT NULL, deck VARCHAR(5) NOT NULL, beds INT NOT NULL, PRIMARY KEY (ship_id, deck),
			FOREIGN KEY (ship_id) REFERENCES ships (id))`,
		`CREATE TABLE guests (id INT PRIMARY KEY, ship_id INT, deck VARCHAR(5),
			FOREIGN KEY (ship_id, deck) REFERENCES cabins (ship_id, deck) ON DELETE SET NULL)`,
	}
	if dialect == "sqlite" { // which takes the primary key if none is named
		tables[1] = "CREATE TABLE docks (id INT PRIMARY KEY, port_id INT REFERENCES Ports ON DELETE CASCADE)"
	}
	return tables
}

func portRows() []any {
	ref := func(id int) *int { return &id }
	return []any{
		&[]Port{{1, "Bari"}, {2, "Kiel"}},
		&[]Dock{{1, ref(1)}, {2, ref(2)}, {3, nil}},
		&[]Berth{{1, ref(1), nil, "one"}, {2, nil, ref(1), "half"}, {3, ref(3), nil, "three"}, {4, nil, ref(2), "quarter"}},
		&[]Ship{{ID: 1, BerthID: ref(1), Home: text("Bari")}, {ID: 2, BerthID: ref(4)}, {ID: 3, Home: text("Kiel")}},
		&[]Hand{{1, "Jan"}, {2, "Ole"}},
		&[]Crew{{1, 1}, {1, 2}, {2, 1}},
		&[]Cabin{{1, "A", 2}, {3, "B", 1}},
		&[]Guest{{1, ref(1), text("A")}, {2, ref(3), text("B")}, {3, ref(1), nil}},
	}
}

// port is a database with these models.
func newPort(t *testing.T, database *Database) *workshop {
	t.Helper()
	w := &workshop{database: database, raw: openGorm(t, database), db: openGorm(t, database), clock: newClock()}
	for _, table := range portTables(database.Name) {
		require.NoError(t, w.raw.Exec(table).Error)
	}
	var err error
	w.oracle, err = InstallOracle(context.Background(), w.raw, Watch{Model: &Port{}, Type: "port"}, Watch{Model: &Berth{}, Type: "berth", Ignore: []string{"dock_id"}},
		Watch{Model: &Ship{}, Type: "ship"}, Watch{Model: &Hand{}, Type: "hand"}, Watch{Model: &Cabin{}, Type: "cabin"}, Watch{Model: &Guest{}, Type: "guest"})
	require.NoError(t, err)
	w.ctx = audit.WithActor(context.Background(), jo)
	w.store = wire(t, w.db, database, storeInDatabase, &audit.Config{Now: w.clock.Now}, []hooks.Option{
		hooks.Model[Port]("port"), hooks.Model[Berth]("berth"), hooks.Model[Ship]("ship"), hooks.Model[Hand]("hand"),
		hooks.Model[Cabin]("cabin"), hooks.Model[Guest]("guest"),
	})
	for _, rows := range portRows() {
		require.NoError(t, w.raw.Create(rows).Error)
	}
	return w
}

// TestConstraintsOfTheDatabaseAreFollowed deletes what the database itself
// removes or changes other rows with.
func TestConstraintsOfTheDatabaseAreFollowed(t *testing.T) {
	t.Parallel()
	deletedPort := `1/1 Jo deleted port 1 "Bari": id 1 => -; name "Bari" => -`
	cases := []struct {
		name  string
		write func(db *gorm.DB) error
		want  []string
	}{
		{"a chain that leads through a table that is not recorded, by a key that is not primary, and to itself", func(db *gorm.DB) error {
			return db.Delete(&Port{ID: 1}).Error
		}, []string{
			deletedPort,
			`2/1 System for Jo updated ship 1 "" because of 1: berth_id 1 => null; home "Bari" => null`,
			`3/1 System for Jo deleted berth 1 "one" because of 1: id 1 => -; part_of null => -; name "one" => -`,
			`4/1 System for Jo deleted berth 2 "half" because of 3: id 2 => -; part_of 1 => -; name "half" => -`,
			`5/1 System for Jo deleted berth 4 "quarter" because of 4: id 4 => -; part_of 2 => -; name "quarter" => -`,
			`6/1 System for Jo updated ship 2 "" because of 5: berth_id 4 => null`,
		}},
		{"a parent that is not recorded", func(db *gorm.DB) error { return db.Delete(&Dock{}, []int{2, 3}).Error }, []string{
			`1/1 System for Jo deleted berth 3 "three": id 3 => -; part_of null => -; name "three" => -`,
		}},
		{"a parent that is not recorded, by the name of its table", func(db *gorm.DB) error {
			return db.Table("docks").Where("docks.id = 3").Delete(nil).Error
		}, []string{
			`1/1 System for Jo deleted berth 3 "three": id 3 => -; part_of null => -; name "three" => -`,
		}},
		{"rows that go with each other and are deleted at once", func(db *gorm.DB) error {
			return db.Delete(&Berth{}, []int{4, 2}).Error
		}, []string{
			`1/1 Jo deleted berth 2 "half": id 2 => -; part_of 1 => -; name "half" => -`,
			`2/1 Jo deleted berth 4 "quarter": id 4 => -; part_of 2 => -; name "quarter" => -`,
			`3/1 System for Jo updated ship 2 "" because of 2: berth_id 4 => null`,
		}},
		{"an element, whose rows of the join table go", func(db *gorm.DB) error { return db.Delete(&Hand{ID: 1}).Error }, []string{
			`1/1 Jo deleted hand 1 "Jan": id 1 => -; name "Jan" => -`,
			`2/1 System for Jo updated ship 1 "" because of 1: +crew 1 (Jan) => null`,
			`3/1 System for Jo updated ship 2 "" because of 1: +crew 1 (Jan) => null`,
		}},
		{"an owner, whose rows of the join table go", func(db *gorm.DB) error { return db.Delete(&Ship{ID: 2}).Error }, []string{
			`1/1 Jo deleted ship 2 "": id 2 => -; berth_id 4 => -; home null => -; +crew 1 (Jan) => null`,
		}},
		{"a key of two columns", func(db *gorm.DB) error { return db.Where("deck IN ?", []string{"A", "B"}).Delete(&Cabin{}).Error }, []string{
			`1/1 Jo deleted cabin 1/A "": ship_id 1 => -; deck "A" => -; beds 2 => -`,
			`2/1 Jo deleted cabin 3/B "": ship_id 3 => -; deck "B" => -; beds 1 => -`,
			`3/1 System for Jo updated guest 1 "" because of 1: ship_id 1 => null; deck "A" => null`,
			`4/1 System for Jo updated guest 2 "" because of 2: ship_id 3 => null; deck "B" => null`,
		}},
		{"a delete that a constraint refuses", func(db *gorm.DB) error {
			if db.Delete(&Ship{ID: 1}).Error == nil {
				return errors.New("it was not refused")
			}
			return nil
		}, nil},
	}
	Each(t, func(t *testing.T, database *Database) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				w := newPort(t, Open(t, database.Name))
				before, err := w.oracle.Snapshot(context.Background())
				require.NoError(t, err)
				w.clock.next()
				require.NoError(t, c.write(w.db.WithContext(w.ctx)))
				require.Zero(t, w.database.SQL().Stats().InUse)
				after, err := w.oracle.Snapshot(context.Background())
				require.NoError(t, err)
				events := w.events(t)
				require.Empty(t, w.oracle.Compare(after.Since(before), events))
				require.Equal(t, c.want, say(events))
			})
		}
	})
}

// TestWhatFollowsAStrangersDeleteIsAtomic deletes from a table that is not
// recorded where GORM opens no transaction.
func TestWhatFollowsAStrangersDeleteIsAtomic(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newPort(t, database)
		w.clock.next()
		db := w.db.WithContext(audit.WithWorkspace(w.ctx, "w1")).Session(&gorm.Session{SkipDefaultTransaction: true})
		require.NoError(t, w.raw.Exec("DROP TABLE audit_events").Error)
		require.ErrorIs(t, db.Delete(&Dock{ID: 3}).Error, audit.ErrAuditFailed)
		require.NoError(t, w.raw.First(&Dock{}, 3).Error)
		require.NoError(t, w.raw.First(&Berth{}, 3).Error)
		require.Zero(t, database.SQL().Stats().InUse)
	})
}

// TestConstraintsAreLookedUpAnewOnceTheyChange migrates after a delete.
func TestConstraintsAreLookedUpAnewOnceTheyChange(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newPort(t, database)
		db := w.db.WithContext(w.ctx)
		require.NoError(t, db.Delete(&Guest{ID: 3}).Error)
		require.NoError(t, db.Exec("CREATE TABLE pilots (id INT PRIMARY KEY)").Error)
		require.NoError(t, db.Exec("DROP TABLE guests").Error)
		require.NoError(t, db.Exec(`CREATE TABLE guests (id INT PRIMARY KEY, ship_id INT, deck VARCHAR(5),
			FOREIGN KEY (ship_id) REFERENCES pilots (id) ON DELETE CASCADE)`).Error)
		require.NoError(t, w.raw.Exec("INSERT INTO pilots (id) VALUES (5)").Error)
		require.NoError(t, w.raw.Exec("INSERT INTO guests (id, ship_id) VALUES (9, 5)").Error)
		w.clock.next()
		require.NoError(t, db.Table("pilots").Where("id = 5").Delete(nil).Error)
		require.Equal(t, []string{`1/1 System for Jo deleted guest 9 "": id 9 => -; ship_id 5 => -; deck null => -`}, say(w.events(t)))
	})
}

// TestADeclaredRuleReadsNoChildrenThatTheDatabaseLeavesAlone counts statements.
func TestADeclaredRuleReadsNoChildrenThatTheDatabaseLeavesAlone(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		watched, tap := tapInto(t, database)
		db := openGorm(t, watched, &gorm.Config{DisableForeignKeyConstraintWhenMigrating: true})
		require.NoError(t, db.AutoMigrate(&Venture{}, &Step{}))
		store := wire(t, db, watched, storeInDatabase, nil, []hooks.Option{hooks.Model[Venture]("venture", hooks.Cascade[Step]("venture_id")), hooks.Model[Step]("step")})
		db = db.WithContext(audit.WithActor(context.Background(), jo))
		require.NoError(t, db.Create(&[]Venture{{ID: "v1", WorkspaceID: "w1"}, {ID: "v2", WorkspaceID: "w1", Name: "Gemini"}}).Error)
		require.NoError(t, db.Create(&Step{ID: "s1", WorkspaceID: "w1", VentureID: "v2"}).Error)
		require.NoError(t, db.Delete(&Venture{ID: "v1"}).Error)
		var children int
		for _, s := range tap.during(t, func() error { return db.Delete(&Venture{ID: "v2"}).Error }, "SELECT") {
			if strings.Contains(s, "steps") {
				children++
				require.NotContains(t, s, "FOR UPDATE")
			}
		}
		require.Equal(t, 1, children, "those that show the name, once it is gone")
		events, err := store.List(context.Background(), audit.Filter{Workspace: "w1"}, audit.Position{}, 1)
		require.NoError(t, err)
		require.True(t, events[0].Derived)
	})
}

// Duty is what a hand has to do on a ship, which goes with the row that joins
// them.
type Duty struct {
	ID     int `gorm:"primaryKey;autoIncrement:false"`
	ShipID int
	HandID int
}

func TestWhatGoesWithAnElementIsRecorded(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database)
		for _, s := range []string{
			"CREATE TABLE ships (id INT PRIMARY KEY, berth_id INT, home VARCHAR(20))",
			"CREATE TABLE hands (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
			"CREATE TABLE crews (ship_id INT NOT NULL, hand_id INT NOT NULL, PRIMARY KEY (ship_id, hand_id))",
			"CREATE TABLE duties (id INT PRIMARY KEY, ship_id INT, hand_id INT, FOREIGN KEY (ship_id, hand_id) REFERENCES crews (ship_id, hand_id) ON DELETE CASCADE)",
			"INSERT INTO ships (id) VALUES (1)", "INSERT INTO hands (id, name) VALUES (2, 'Jo')", "INSERT INTO crews VALUES (1, 2)", "INSERT INTO duties VALUES (3, 1, 2)",
		} {
			require.NoError(t, db.Exec(s).Error)
		}
		store := wire(t, db, database, storeInDatabase, nil, []hooks.Option{hooks.Model[Ship]("ship"), hooks.Model[Hand]("hand"), hooks.Model[Duty]("duty")})
		require.NoError(t, db.Model(&Ship{ID: 1}).Association("Crew").Delete(&Hand{ID: 2}))
		require.Equal(t, []string{
			`1/1 Unknown updated ship 1 "": +crew 2 (Jo) => null`,
			`2/1 System deleted duty 3 "" because of 1: id 3 => -; ship_id 1 => -; hand_id 2 => -`,
		}, say(eventsSince(t, store, audit.DefaultWorkspace, time.Time{})))
	})
}
