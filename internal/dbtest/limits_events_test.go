package dbtest

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// begins is a clause of a plugin that puts a query before the verb.
type begins struct{ verb string }

// Build implements clause.Expression.
func (begins) Build(clause.Builder) {}

// ModifyStatement implements gorm.StatementModifier.
func (b begins) ModifyStatement(stmt *gorm.Statement) {
	c := stmt.Clauses[b.verb]
	c.BeforeExpression = clause.Expr{SQL: "WITH few AS (SELECT 'at')"}
	stmt.Clauses[b.verb] = c
}

// TestEventsThatSayLess is the third table of docs/not-captured.md.
func TestEventsThatSayLess(t *testing.T) {
	t.Parallel()
	random := map[string]string{"postgres": "random() >= 0", "mysql": "RAND() >= 0"}
	refused := func(err error, text string) error {
		if err == nil || !errors.Is(err, audit.ErrAuditFailed) || !strings.Contains(err.Error(), text) {
			return fmt.Errorf("it is not refused by %q, but %w", text, err)
		}
		return nil
	}
	requireGaps(t, []gap{
		{"a DELETE that is random", "postgres mysql", nil, func(db *gorm.DB) error { return db.Where(random[db.Name()]).Delete(&Town{}).Error }, []string{
			`1/1 Jo deleted town 1 "": id 1 => -; land "at" => -`, `2/1 Jo deleted town 2 "": id 2 => -; land "be" => -`,
		}, "lands WHERE code = 'at' AND NOT EXISTS (SELECT 1 FROM towns)"},
		{"a DELETE that is random of rows with dependents", "postgres mysql", nil, func(db *gorm.DB) error {
			return refused(db.Where(random[db.Name()]).Delete(&Land{}).Error, `the conditions of a statement on table "lands" are random`)
		}, nil, "lands WHERE code = 'at'"},
		{"a clause that begins with WITH", "", nil, func(db *gorm.DB) error {
			return errors.Join(
				refused(db.Clauses(begins{"UPDATE"}).Model(&Town{ID: 1}).Update("land", "be").Error, `a statement on table "towns" is neither INSERT, UPDATE nor DELETE`),
				refused(db.Clauses(begins{"DELETE"}).Delete(&Town{ID: 1}).Error, `a statement on table "towns" is neither INSERT, UPDATE nor DELETE`),
			)
		}, nil, "towns WHERE land = 'at'"},
		{"the keys of several rows", "sqlite postgres", nil, func(db *gorm.DB) error {
			return db.Model(&Town{}).Where("1 = 1").Update("id", gorm.Expr("id + 10")).Error
		}, []string{
			`1/1 Jo deleted town 1 "": id 1 => -; land "at" => -`, `2/1 Jo deleted town 2 "": id 2 => -; land "be" => -`,
			`3/1 Jo created town 11 "": id - => 11; land - => "at"`, `4/1 Jo created town 12 "": id - => 12; land - => "be"`,
		}, "towns WHERE id = 11"},
		{"the keys of several rows on MariaDB", "mysql", nil, func(db *gorm.DB) error {
			return errors.Join(
				refused(db.Model(&Town{}).Where("1 = 1").Update("id", gorm.Expr("id + 10")).Error, `an UPDATE of the primary key of several rows of table "towns" cannot be followed on this database`),
				refused(db.Model(&Town{}).Where("id = 1").Update("id", gorm.Expr("id + 10")).Error, `an UPDATE that computes the primary key of table "towns" cannot be followed on this database`),
				db.Model(&Town{}).Where("id = 1").Update("id", 11).Error,
			)
		}, []string{`1/1 Jo updated town 1 "": id 1 => 11`}, "towns WHERE id = 11"},
		{"a key that is computed", "sqlite postgres", nil, func(db *gorm.DB) error {
			return db.Model(&Town{}).Where("id = 1").Update("id", gorm.Expr("id + 10")).Error
		}, []string{`1/1 Jo updated town 1 "": id 1 => 11`}, "towns WHERE id = 11"},
	})
}

// TestElementsOfRecordsInAFurtherTable are told if the model's own has a record of
// that id, which they seem to be of.
func TestElementsOfRecordsInAFurtherTable(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database, &gorm.Config{DisableForeignKeyConstraintWhenMigrating: true})
		require.NoError(t, errors.Join(db.AutoMigrate(officeTables()...), db.Exec("CREATE TABLE entries_2024 (id varchar(20) PRIMARY KEY, workspace_id varchar(20), user_id varchar(20), note varchar(50),"+
			" venture_id varchar(20), step_id varchar(20), deleted_at timestamp NULL, updated_at timestamp NULL)").Error))
		require.NoError(t, errors.Join(db.Create(&Entry{ID: "e1", WorkspaceID: "w1", Note: "of the other"}).Error, db.Create(&Word{ID: "x1", WorkspaceID: "w1", Name: "a"}).Error))
		require.Equal(t, []string{`1/1 Jo updated entry e1 "of the other" of  (other): +words null => "x1" (a)`}, recorder(t, database, officeModels()...)(func(db *gorm.DB) error {
			return errors.Join(
				db.Table("entries_2024").Model(&Entry{ID: "e1"}).Association("Words").Append(&Word{ID: "x1"}),
				db.Table("entries_2024").Model(&Entry{ID: "e2"}).Association("Words").Append(&Word{ID: "x1"}),
			)
		}))
		var n int64
		require.NoError(t, db.Table("entry_words").Count(&n).Error)
		require.EqualValues(t, 2, n)
	})
}

// The measures are met by values that only the database knows. They count their
// keys, or have them given by the application.
type (
	Measured struct {
		Code *string `gorm:"size:20"`
		At   string  `gorm:"size:40"`
		Size string  `gorm:"size:20"`
		Name string  `gorm:"size:20" audit:"label"`
	}
	Numbered struct {
		ID uint
		Measured
	}
	Given struct {
		ID uint `gorm:"primaryKey;autoIncrement:false"`
		Measured
	}
)

// TableName makes both one table.
func (Measured) TableName() string { return "measures" }

// TestUpsertsThatMeetRowsAsOnlyTheDatabaseKnows are refused on PostgreSQL. Elsewhere
// they leave no event if the application gives them a key, and else a wrong one.
func TestUpsertsThatMeetRowsAsOnlyTheDatabaseKnows(t *testing.T) {
	t.Parallel()
	columns := func(database, further string) string {
		key := map[string]string{"sqlite": "integer PRIMARY KEY", "postgres": "serial PRIMARY KEY", "mysql": "int AUTO_INCREMENT PRIMARY KEY"}[database]
		at := map[string]string{"sqlite": "text", "postgres": "timestamp(0)", "mysql": "datetime(0)"}[database]
		return "CREATE TABLE measures (id " + key + ", code varchar(20), at " + at + ", size decimal(5,1), name varchar(20)" + further + ")"
	}
	whole := func(m Measured) Measured {
		if m.At == "" {
			m.At = "2026-03-29 01:02:03"
		}
		if m.Size == "" {
			m.Size = "0"
		}
		return m
	}
	for _, c := range []struct {
		name, databases, further string
		statements               []string
		target                   string
		first, second            Measured
	}{
		{"an expression", "sqlite postgres", "", []string{"CREATE UNIQUE INDEX u ON measures (lower(code))"}, "lower(code)", Measured{Code: text("a")}, Measured{Code: text("A")}},
		{"a generated column", "sqlite postgres mysql", ", low varchar(20) GENERATED ALWAYS AS (lower(code)) STORED UNIQUE", nil, "low", Measured{Code: text("a")}, Measured{Code: text("A")}},
		{"a prefix", "mysql", ", UNIQUE (code(2))", nil, "code", Measured{Code: text("abc")}, Measured{Code: text("abd")}},
		{"another collation", "sqlite", "", []string{"CREATE UNIQUE INDEX u ON measures (code COLLATE NOCASE)"}, "code COLLATE NOCASE", Measured{Code: text("a")}, Measured{Code: text("A")}},
		{"another collation", "postgres", "", []string{
			"CREATE COLLATION ci (provider=icu, locale='und-u-ks-level2', deterministic=false)", "CREATE UNIQUE INDEX u ON measures (code COLLATE ci)",
		}, "code COLLATE ci", Measured{Code: text("a")}, Measured{Code: text("A")}},
		{"NULLS NOT DISTINCT", "postgres", "", []string{"CREATE UNIQUE INDEX u ON measures (code) NULLS NOT DISTINCT"}, "code", Measured{}, Measured{}},
		{"a precision", "postgres mysql", ", UNIQUE (at)", nil, "at", Measured{At: "2026-03-29 01:02:03"}, Measured{At: "2026-03-29 01:02:03.1"}},
		{"a scale", "postgres mysql", ", UNIQUE (size)", nil, "size", Measured{Size: "1.0"}, Measured{Size: "1.03"}},
		{"a trigger", "postgres", ", UNIQUE (code)", []string{
			"CREATE FUNCTION turns() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.code := reverse(NEW.code); RETURN NEW; END $$",
			"CREATE TRIGGER turns BEFORE INSERT ON measures FOR EACH ROW EXECUTE FUNCTION turns()",
		}, "code", Measured{Code: text("ab")}, Measured{Code: text("ab")}},
		{
			"a trigger", "mysql", ", UNIQUE (code)",
			[]string{"CREATE TRIGGER turns BEFORE INSERT ON measures FOR EACH ROW SET NEW.code = reverse(NEW.code)"},
			"code",
			Measured{Code: text("ab")},
			Measured{Code: text("ab")},
		},
	} {
		for name := range strings.FieldsSeq(c.databases) {
			row, met := whole(c.first), whole(c.second)
			row.Name, met.Name = "one", "two"
			for kind, model := range map[string]struct {
				option     hooks.Option
				row, again any
				want       string
			}{
				"given":   {hooks.Model[Given]("measure"), &Given{1, row}, &Given{2, met}, ""},
				"counted": {hooks.Model[Numbered]("measure"), &Numbered{1, row}, &Numbered{0, met}, "1/1 Jo created measure 1 "},
			} {
				t.Run(c.name+" on "+name+", a key that is "+kind, func(t *testing.T) {
					t.Parallel()
					database := Open(t, name)
					db := openGorm(t, database)
					for _, s := range append([]string{columns(name, c.further)}, c.statements...) {
						require.NoError(t, db.Exec(s).Error)
					}
					recorded := recorder(t, database, model.option)
					require.Len(t, recorded(func(db *gorm.DB) error { return db.Create(model.row).Error }), 1)
					var err error
					got := recorded(func(db *gorm.DB) error {
						on := clause.OnConflict{Columns: []clause.Column{{Name: c.target, Raw: true}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
						err = db.Clauses(on).Create(model.again).Error
						return nil
					})
					var names []string
					require.NoError(t, db.Table("measures").Pluck("name", &names).Error)
					if name == "postgres" {
						require.ErrorIs(t, err, audit.ErrAuditFailed)
						require.ErrorContains(t, err, `an upsert of table "measures" met a row that it had not found`)
						require.Empty(t, got)
						require.Equal(t, []string{"one"}, names)
						return
					}
					require.NoError(t, err)
					require.Equal(t, []string{"two"}, names)
					require.Len(t, got, btoi(model.want != ""))
					require.Truef(t, strings.HasPrefix(strings.Join(got, ""), model.want), "%q", got)
				})
			}
		}
	}
}

// TestAnUpsertThatAssignsAPrimaryKey to a row that it meets moves the row, or is
// refused.
func TestAnUpsertThatAssignsAPrimaryKey(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		require.NoError(t, openGorm(t, database).AutoMigrate(&Jot{}, &Port{}))
		recorded := recorder(t, database, hooks.Model[Jot]("jot"), hooks.Model[Port]("port"))
		port := func(id int) *Port { return &Port{ID: id, Name: "Bari"} }
		jot := func(id uint) *Jot { return &Jot{ID: id, Code: "a", Text: "t", UserID: 1, Kind: "std"} }
		require.Len(t, recorded(func(db *gorm.DB) error { return errors.Join(db.Create(port(1)).Error, db.Create(jot(1)).Error) }), 2)
		on := func(column string) clause.OnConflict {
			return clause.OnConflict{Columns: []clause.Column{{Name: column}}, DoUpdates: clause.AssignmentColumns([]string{"id"})}
		}
		var errs []error
		got := recorded(func(db *gorm.DB) error {
			constant := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.Assignments(map[string]any{"id": 7})}
			errs = []error{db.Clauses(on("code")).Create(jot(2)).Error, db.Clauses(constant).Create(port(2)).Error, db.Clauses(on("name")).Create(port(2)).Error}
			return nil
		})
		if database.Name != "postgres" {
			require.NoError(t, errs[2])
			require.Equal(t, []string{`1/1 Jo deleted port 1 "Bari": id 1 => -; name "Bari" => -`, `2/1 Jo created port 2 "Bari": id - => 2; name - => "Bari"`}, got)
			errs, got = errs[:2], nil
		}
		for _, err := range errs {
			require.ErrorContains(t, err, "an upsert that assigns the primary key")
		}
		require.Empty(t, got)

		var err error
		require.Empty(t, recorded(func(db *gorm.DB) error { err = db.Clauses(on("id")).Create(jot(2)).Error; return nil }))
		if database.Name == "mysql" { // which does not mind what it is told to meet rows by
			require.ErrorContains(t, err, "an upsert that assigns the primary key")
		}
		require.Error(t, err)
	})
}

// Owned and its line have keys that refer to their owner's.
type (
	Owner struct {
		ID    int         `gorm:"primaryKey;autoIncrement:false"`
		Owned *Owned      `gorm:"foreignKey:OwnerID"`
		Lines []OwnedLine `gorm:"foreignKey:OwnerID"`
	}
	Owned struct {
		OwnerID int `gorm:"primaryKey;autoIncrement:false"`
		Bio     string
	}
	OwnedLine struct {
		OwnerID int `gorm:"primaryKey;autoIncrement:false"`
		No      int `gorm:"primaryKey;autoIncrement:false"`
	}
)

// TestAnUpsertMayAssignTheKeyByWhichItMeetsARow as GORM does for associations.
func TestAnUpsertMayAssignTheKeyByWhichItMeetsARow(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		require.NoError(t, openGorm(t, database).AutoMigrate(&Owner{}, &Owned{}, &OwnedLine{}, &Jot{}))
		recorded := recorder(t, database, hooks.Model[Owner]("owner"), hooks.Model[Owned]("owned"), hooks.Model[OwnedLine]("line"), hooks.Model[Jot]("jot"))
		on := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"id", "text"})}
		require.Equal(t, []string{
			`1/1 Jo created owner 1 "": id - => 1`, `2/1 Jo created owned 1 "": owner_id - => 1; bio - => "b"`, `3/1 Jo created line 1/1 "": owner_id - => 1; no - => 1`,
			`4/2 Jo created line 1/2 "": owner_id - => 1; no - => 2`,
			`5/3 Jo created jot 1 "t": id - => 1; code - => "a"; text - => "t"; user_id - => 1; kind - => "std"`,
			`6/4 Jo updated jot 1 "u": text "t" => "u"`,
		}, recorded(func(db *gorm.DB) error {
			return errors.Join(
				db.Create(&Owner{ID: 1, Owned: &Owned{Bio: "b"}, Lines: []OwnedLine{{No: 1}}}).Error,
				db.Model(&Owner{ID: 1}).Association("Lines").Append(&OwnedLine{No: 2}),
				db.Create(&Jot{ID: 1, Code: "a", Text: "t", UserID: 1, Kind: "std"}).Error,
				db.Clauses(on).Create(&Jot{ID: 1, Code: "a", Text: "u", UserID: 1, Kind: "std"}).Error,
			)
		}))
	})
}

// requireBlocks waits until somebody waits for the transaction of tx.
func requireBlocks(t *testing.T, tx, others *gorm.DB) {
	t.Helper()
	var id, n int64
	me := map[string]string{"postgres": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[tx.Name()]
	waits := map[string]string{
		"postgres": "SELECT count(*) FROM pg_stat_activity WHERE ? = ANY(pg_blocking_pids(pid))",
		"mysql":    "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE 'UPDATE gates %' AND ID <> ?",
	}[tx.Name()]
	require.NoError(t, tx.Raw(me).Scan(&id).Error)
	require.Eventually(t, func() bool { return others.Raw(waits, id).Scan(&n).Error == nil && n > 0 }, 10*time.Second, 10*time.Millisecond)
}

// TestAnUpsertMayTakeARowThatAnotherInsertsForItsOwn has it read the row before the
// other is there, and meet it when it is.
func TestAnUpsertMayTakeARowThatAnotherInsertsForItsOwn(t *testing.T) {
	t.Parallel()
	const columns = " (id bigint PRIMARY KEY, name varchar(20), memo varchar(20), junk varchar(20))"
	gated := []string{
		"CREATE TABLE notes" + columns, "CREATE TABLE gates (n int)", "INSERT INTO gates VALUES (0)",
		"CREATE TRIGGER waits BEFORE INSERT ON notes FOR EACH ROW UPDATE gates SET n = n + 1",
	}
	for _, c := range []struct {
		name, database, isolation string
		tables                    []string
		refused                   string
	}{
		{"a plain table of PostgreSQL", "postgres", "", []string{"CREATE TABLE notes" + columns}, `an upsert of table "notes" met a row that it had not found`},
		{"partitions", "postgres", "", []string{"CREATE TABLE notes" + columns + " PARTITION BY RANGE (id)", "CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (100)"}, ""},
		{"a view", "postgres", "", []string{"CREATE TABLE all_notes" + columns, "CREATE VIEW notes AS SELECT * FROM all_notes"}, ""},
		{"MariaDB", "mysql", "REPEATABLE-READ", gated, "Deadlock found"},
		{"MariaDB if it reads what is committed", "mysql", "READ-COMMITTED", gated, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			database := Open(t, c.database)
			if c.isolation != "" {
				pool, err := sql.Open(database.Driver, database.DSN+"&tx_isolation=%27"+c.isolation+"%27")
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, pool.Close()) })
				database.pool = pool
			}
			db, recorded := found(t, database, c.tables...)
			tx := db.Begin()
			insert := func() { require.NoError(t, tx.Create(&Note{ID: 1, Name: "theirs"}).Error) }
			if c.isolation != "" { // the upsert must not wait where it reads, but at the gate
				require.NoError(t, tx.Exec("UPDATE gates SET n = 0").Error)
			} else {
				insert()
			}
			done := make(chan error, 1)
			go func() {
				done <- db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Note{ID: 1, Name: "ours"}).Error
			}()
			requireBlocks(t, tx, openGorm(t, database))
			if c.isolation != "" {
				insert()
			}
			require.NoError(t, tx.Commit().Error)
			want := []string{`1/1 Jo created note 1 "theirs": id - => 1; name - => "theirs"; memo - => - redacted`}
			if c.refused != "" {
				require.ErrorContains(t, <-done, c.refused)
			} else {
				require.NoError(t, <-done)
				want = append(want, `2/2 Jo created note 1 "ours": id - => 1; name - => "ours"; memo - => - redacted`)
			}
			require.Equal(t, want, recorded())
		})
	}
}

// TestWhatTakesEffectInAFailedCallIsRecorded if the application commits it.
func TestWhatTakesEffectInAFailedCallIsRecorded(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"})
		want := []string{`1/1 Jo created firm f1 "Acme": id - => "f1"; workspace_id - => "w1"; name - => "Acme"`}
		if database.Name == "postgres" {
			want = nil
		}
		require.Equal(t, want, o.told(t, func(db *gorm.DB) error {
			tx := db.Begin()
			require.Error(t, tx.Create(&Venture{ID: "v1", WorkspaceID: "w1", Firm: &Firm{ID: "f1", WorkspaceID: "w1", Name: "Acme"}}).Error)
			require.Equal(t, want == nil, tx.Commit().Error != nil)
			return nil
		}))
		var firms int64
		require.NoError(t, o.raw.Model(&Firm{}).Count(&firms).Error)
		require.EqualValues(t, len(want), firms)
	})
}

// TestWhatIsToldOfLongValues differs by whether the statement assigns them.
func TestWhatIsToldOfLongValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", audit.MaxValueBytes+1)
	length, prefix, digest := `{"length":65537`, `,"prefix":"`+long[:256]+`"`, fmt.Sprintf(`,"sha256":"%x"`, sha256.Sum256([]byte(long)))
	Each(t, func(t *testing.T, database *Database) {
		l := newLuggage(t, database)
		assigned, unassigned := length+prefix+digest+"} shortened", length+prefix+"} shortened"
		var again []string
		if database.Name == "sqlite" {
			assigned, unassigned = length+prefix+"} shortened", length+"} shortened"
			again = []string{`1/1 Unknown updated luggage 1 "": text ` + assigned + ` => ` + assigned}
		}
		require.Equal(t, []string{`1/1 Unknown created luggage 1 "": id - => 1; name - => ""; text - => ` + assigned + `; bytes - => null; json - => null; other - => 0`},
			l.told(t, func(db *gorm.DB) error { return db.Create(&Luggage{ID: 1, Text: &long}).Error }))
		require.Equal(t, again, l.told(t, func(db *gorm.DB) error { return db.Model(&Luggage{ID: 1}).Update("text", &long).Error }))
		require.Equal(t, []string{`1/1 Unknown deleted luggage 1 "": id 1 => -; name "" => -; text ` + unassigned + ` => -; bytes null => -; json null => -; other 0 => -`},
			l.told(t, func(db *gorm.DB) error { return db.Delete(&Luggage{ID: 1}).Error }))
	})
}

// TestLongJSONOfPostgreSQLIsAsLongAsOnDisk where the statement does not assign it.
func TestLongJSONOfPostgreSQLIsAsLongAsOnDisk(t *testing.T) {
	t.Parallel()
	l := newLuggage(t, Open(t, "postgres"))
	var b strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&b, "%x", sha256.Sum256([]byte(fmt.Sprint(i))))
	}
	long := `"` + b.String() + strings.Repeat("x", 200_000) + `"`
	require.Contains(t, l.told(t, func(db *gorm.DB) error { return db.Create(&Luggage{ID: 1, JSON: Document(long)}).Error })[0], fmt.Sprintf(`json - => {"length":%d,"prefix":`, len(long)))
	var onDisk int
	require.NoError(t, l.raw.Raw("SELECT pg_column_size(json) FROM luggages").Scan(&onDisk).Error)
	require.Greater(t, onDisk, 256<<10)
	require.Less(t, onDisk, len(long))
	require.Contains(t, l.told(t, func(db *gorm.DB) error { return db.Delete(&Luggage{ID: 1}).Error })[0], fmt.Sprintf(`json {"length":%d} shortened => -`, onDisk))
}

// TestJSONIsComparedByWhatItMeans so that some changes leave no event.
func TestJSONIsComparedByWhatItMeans(t *testing.T) {
	t.Parallel()
	document := func(s string) Document {
		if s == "" {
			return nil
		}
		return Document(s)
	}
	Each(t, func(t *testing.T, database *Database) {
		l := newLuggage(t, database)
		for _, c := range []struct {
			name, from, to string
			told           bool
		}{
			{"from SQL's null to JSON's", ``, `null`, false},
			{"from JSON's null to SQL's", `null`, ``, false},
			{"a name that stands twice, in what is passed over", `{"a":1,"a":2}`, `{"a":3,"a":2}`, false},
			{"a name that stands twice, in what counts", `{"a":1,"a":2}`, `{"a":1,"a":3}`, true},
			{"an exponent, beyond a double", `{"n":9007199254740993e0}`, `{"n":9007199254740992e0}`, false},
			{"an exponent, within a double", `{"n":1e2}`, `{"n":1e3}`, true},
			{"digits beyond a double without an exponent", `{"n":9007199254740993}`, `{"n":9007199254740992}`, true},
		} {
			require.NoError(t, l.raw.Save(&Luggage{ID: 1, JSON: document(c.from)}).Error)
			var want []string
			if c.told {
				want = []string{`1/1 Unknown updated luggage 1 "": json ` + c.from + ` => ` + c.to}
			}
			require.Equal(t, want, l.told(t, func(db *gorm.DB) error { return db.Model(&Luggage{ID: 1}).Update("json", document(c.to)).Error }), c.name)
			var n int64
			require.NoError(t, l.raw.Raw("SELECT count(*) FROM luggages WHERE COALESCE(CAST(json AS char(40)), '') = ?", c.to).Scan(&n).Error)
			require.EqualValues(t, 1, n, c.name)
		}
	})
}

// TestKeysThatCountInStepsComeBackFromTheDatabase which MySQL does not return.
func TestKeysThatCountInStepsComeBackFromTheDatabase(t *testing.T) {
	t.Parallel()
	database := Open(t, "mysql")
	pool, err := sql.Open(database.Driver, database.DSN+"&auto_increment_increment=3")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	database.pool = pool
	require.NoError(t, openGorm(t, database).AutoMigrate(&Gauge{}))
	require.Equal(t, []string{
		`1/1 Jo created gauge 1 "": id - => 1; value - => 5`, `2/1 Jo created gauge 4 "": id - => 4; value - => 6`, `3/1 Jo created gauge 7 "": id - => 7; value - => 7`,
	}, recorder(t, database, hooks.Model[Gauge]("gauge"))(func(db *gorm.DB) error { return db.Create(&[]Gauge{{Value: 5}, {Value: 6}, {Value: 7}}).Error }))
}

// TestAssociationsAreSeveralChangeSets where GORM takes several steps.
func TestAssociationsAreSeveralChangeSets(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		o.have(t, &[]Word{{ID: "x1", WorkspaceID: "w1", Name: "a"}, {ID: "x2", WorkspaceID: "w1", Name: "b"}}, &Entry{ID: "e1", WorkspaceID: "w1", Note: "one"})
		words := func(db *gorm.DB) *gorm.Association { return db.Model(&Entry{ID: "e1"}).Association("Words") }
		replace := func(db *gorm.DB) error {
			return errors.Join(words(db).Append(&Word{ID: "x1"}), words(db).Replace(&Word{ID: "x2"}), words(db).Delete(&Word{ID: "x2"}), words(db).Append(&Word{ID: "x1"}), words(db).Clear())
		}
		told := func(sets ...int) (lines []string) {
			for i, change := range []string{`null => "x1" (a)`, `null => "x2" (b)`, `"x1" (a) => null`, `"x2" (b) => null`, `null => "x1" (a)`, `"x1" (a) => null`} {
				lines = append(lines, fmt.Sprintf(`%d/%d Jo updated entry e1 "one" of  (other): +words %s`, i+1, sets[i], change))
			}
			return lines
		}
		require.Equal(t, told(1, 2, 3, 4, 5, 6), o.told(t, replace))
		require.Equal(t, told(1, 1, 1, 1, 1, 1), o.told(t, func(db *gorm.DB) error { return db.Transaction(replace) }))
		require.Equal(t, told(1, 1, 1, 1, 1, 1), o.told(t, func(db *gorm.DB) error {
			return replace(db.WithContext(audit.WithChangeSet(o.ctx, uuid.Must(uuid.NewV7()))))
		}))
	})
}
