package dbtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// moreTables are further tables of an office's models, as an application makes
// them for each year or tenant.
var moreTables = []string{
	"CREATE TABLE ventures_2024 (id varchar(20) PRIMARY KEY, workspace_id varchar(20), name varchar(50), firm_id varchar(20))",
	"CREATE TABLE steps_2024 (id varchar(20) PRIMARY KEY, workspace_id varchar(20), name varchar(50), venture_id varchar(20)," +
		" FOREIGN KEY (venture_id) REFERENCES ventures_2024 (id) ON DELETE CASCADE)",
}

func addTables(t *testing.T, o *office) {
	t.Helper()
	for _, text := range moreTables {
		require.NoError(t, o.raw.Exec(text).Error)
	}
}

func TestAModelMayHaveMoreTablesThanItsOwn(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		addTables(t, o)
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Mercury"}, &Step{ID: "s1", WorkspaceID: "w1", Name: "of the other", VentureID: "v1"})
		of2024 := func(db *gorm.DB) *gorm.DB { return db.Table("steps_2024") }
		require.Equal(t, []string{
			`1/1 Jo created venture v1 "Gemini": id - => "v1"; workspace_id - => "w1"; name - => "Gemini"; firm_id - => null`,
			`2/2 Jo created step s1 "Plan": id - => "s1"; workspace_id - => "w1"; name - => "Plan"; venture_id - => "v1" (Mercury)`,
			`3/3 Jo updated venture v1 "Apollo": name "Gemini" => "Apollo"`,
			`4/4 Jo updated venture v1 "Artemis": name "Apollo" => "Artemis"`,
			`5/5 Jo updated step s1 "Do": name "Plan" => "Do"`,
			`6/6 Jo updated venture v1 "Orion": name "Artemis" => "Orion"`,
			`7/6 Jo created venture v2 "Ares": id - => "v2"; workspace_id - => "w1"; name - => "Ares"; firm_id - => null`,
			`8/7 Jo executed venture * "": statement - => "update"; table - => "ventures_2024"; rows - => 2`,
			`9/8 Jo deleted venture v1 "Orion": id "v1" => -; workspace_id "w1" => -; name "Orion" => -; firm_id "f1" => -`,
			`10/8 System for Jo deleted step s1 "Do" because of 9: id "s1" => -; workspace_id "w1" => -; name "Do" => -; venture_id "v1" (Mercury) => -`,
		}, o.told(t, func(db *gorm.DB) error {
			db = db.WithContext(audit.WithWorkspace(o.ctx, "w1"))
			return errors.Join(
				db.Table("ventures_2024").Create(&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"}).Error,
				db.Scopes(of2024).Create(&Step{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "v1"}).Error,
				db.Table("ventures_2024").Model(&Venture{}).Where("id = ?", "v1").Update("name", "Apollo").Error,
				db.Table("ventures_2024").Where("id = ?", "v1").Updates(map[string]any{"name": "Artemis"}).Error,
				db.Table("steps_2024 AS s").Model(&Step{ID: "s1"}).Update("name", "Do").Error,
				db.Table("ventures_2024").Save(&[]Venture{{ID: "v1", WorkspaceID: "w1", Name: "Orion"}, {ID: "v2", WorkspaceID: "w1", Name: "Ares"}}).Error,
				db.Exec("UPDATE ventures_2024 SET firm_id = 'f1'").Error,
				db.Table("ventures_2024").Delete(&Venture{ID: "v1"}).Error,
			)
		}))
		require.Contains(t, o.db.Config.Plugins["audit"].(*hooks.Plugin).Registered(), hooks.Registration{Table: "ventures_2024", Type: "venture"})
	})
}

func TestExecKnowsTheFurtherTablesOfAModel(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		addTables(t, o)
		require.NoError(t, o.raw.Exec("INSERT INTO ventures_2024 (id, workspace_id, name) VALUES ('v1', 'w1', 'Gemini')").Error)
		o.have(t, &Venture{ID: "v1", WorkspaceID: "w1", Name: "Mercury"})
		require.Equal(t, []string{`1/1 Jo updated venture v1 "Ares": name "Gemini" => "Ares"`}, o.told(t, func(db *gorm.DB) error {
			_, err := hooks.Exec(db.Table("ventures_2024").Model(&Venture{}).Where("id = ?", "v1"), "UPDATE ventures_2024 SET name = ? WHERE id = ?", "Ares", "v1")
			return err
		}))
		_, err := hooks.Exec(o.db.Model(&Venture{}).Where("id = ?", "v1"), "UPDATE ventures_2024 SET name = ? WHERE id = ?", "Ares", "v1")
		require.ErrorContains(t, err, "the statement must write to this table")
	})
}

// TestElementsAreOfTheRecordThatIsSavedWithThem though its row is in another table
// than its model's own, which has a record of the same id.
func TestElementsAreOfTheRecordThatIsSavedWithThem(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		require.NoError(t, o.raw.Exec("CREATE TABLE entries_2024 (id varchar(20) PRIMARY KEY, workspace_id varchar(20), user_id varchar(20), note varchar(50),"+
			" venture_id varchar(20), step_id varchar(20), deleted_at timestamp NULL, updated_at timestamp NULL)").Error)
		o.have(t, &Entry{ID: "e1", WorkspaceID: "w1", Note: "of the other"}, &Word{ID: "x1", WorkspaceID: "w1", Name: "a"})
		require.Equal(t, []string{
			`1/1 Jo created entry e1 "new" of  (other): id - => "e1"; workspace_id - => "w1"; user_id - => null; note - => "new"; venture_id - => null; step_id - => null; deleted_at - => null; +words null => "x1" (a)`,
		}, o.told(t, func(db *gorm.DB) error {
			return db.Table("entries_2024").Omit("Words.*").Create(&Entry{ID: "e1", WorkspaceID: "w1", Note: "new", Words: []Word{{ID: "x1"}}}).Error
		}))
	})
}

func TestAllLeavesATableOutThatIsExcepted(t *testing.T) {
	t.Parallel()
	o := allOffice(t, Open(t, "sqlite"), hooks.All("ventures_2024"), hooks.Model[Venture]("venture"), hooks.Model[Step]("step"))
	addTables(t, o)
	require.Equal(t, []string{
		`1/1 Jo created step s1 "Plan": id - => "s1"; workspace_id - => "w1"; name - => "Plan"; venture_id - => "v1"`,
	}, o.told(t, func(db *gorm.DB) error {
		return errors.Join(
			db.Table("ventures_2024").Create(&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"}).Error,
			db.Table("steps_2024").Create(&Step{ID: "s1", WorkspaceID: "w1", Name: "Plan", VentureID: "v1"}).Error,
		)
	}))
}

func TestAnUpdateOfSeveralTablesIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, Open(t, "mysql"), storeInDatabase)
	require.NoError(t, w.raw.Exec("CREATE TABLE outsiders (id bigint PRIMARY KEY, alias varchar(20))").Error)
	for tables, refused := range map[string]bool{
		"labels, orders": true, "labels,orders": true, "outsiders, labels": true, "`labels` l JOIN outsiders ON outsiders.id = l.id": true,
		"outsiders INNER JOIN outsiders o ON o.id = outsiders.id": false,
	} {
		r := w.do(t, operation{run: func(db *gorm.DB) outcome {
			return did(db.Table(tables).Where("1 = 1").Updates(map[string]any{"alias": "several"}))
		}})
		require.Equal(t, refused, strings.Contains(r.outcome, "an UPDATE of several tables, "), "%s: %s", tables, r.outcome)
		require.Empty(t, r.truth)
		require.Empty(t, r.events)
	}
}

// TestATableThatAClauseNamesIsRefused unless the statement has it, too.
func TestATableThatAClauseNamesIsRefused(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		w := newWorkshop(t, database, storeInDatabase)
		require.NoError(t, w.raw.Exec("CREATE TABLE outsiders (id varchar(20) PRIMARY KEY, name varchar(20))").Error)
		type Outsider struct {
			ID, Name string
		}
		label, outsider := clause.Table{Name: "labels"}, clause.Table{Name: "outsiders"}
		for name, write := range map[string]func(db *gorm.DB) *gorm.DB{
			"an UPDATE of one that is recorded": func(db *gorm.DB) *gorm.DB {
				return db.Clauses(clause.Update{Table: label}).Model(&Outsider{}).Where("1 = 1").Update("name", "x")
			},
			"an UPDATE of one that is not": func(db *gorm.DB) *gorm.DB {
				return db.Clauses(clause.Update{Table: outsider}).Model(&Label{}).Where("1 = 1").Update("name", "x")
			},
			"an INSERT into one that is recorded": func(db *gorm.DB) *gorm.DB {
				return db.Clauses(clause.Insert{Table: label}).Create(&Outsider{ID: "1"})
			},
			"a DELETE from one that is recorded": func(db *gorm.DB) *gorm.DB {
				return db.Clauses(clause.From{Tables: []clause.Table{label}}).Where("1 = 1").Delete(&Outsider{})
			},
		} {
			r := w.do(t, operation{run: func(db *gorm.DB) outcome { return did(write(db)) }})
			require.Contains(t, r.outcome, "in which a clause names table", name)
			require.Empty(t, r.truth, name)
			require.Empty(t, r.events, name)
		}
		r := w.do(t, operation{run: func(db *gorm.DB) outcome {
			return did(db.Clauses(clause.Update{Table: label}).Model(&Label{}).Where("1 = 0").Update("name", "x"))
		}})
		require.NotContains(t, r.outcome, "in which")
	})
}

// Rowlet is what an application writes to the table of vaults, without its tags.
type Rowlet struct {
	ID   string `gorm:"primaryKey;size:20"`
	Name string
	Memo string
}

// Nameonly is the same without a key.
type Nameonly struct{ Name string }

func TestAllTakesAModelsWordForItsOwnTable(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := allOffice(t, database, hooks.All(&Stray{}))
		require.Equal(t, []string{
			`1/1 Jo created vaults 1 "": id - => "1"; name - => "n"; memo - => "m"; password - => - redacted; api_key - => - redacted; monkey - => null; scratch - => null`,
			`2/2 Jo created vaults 2 "n": id - => "2"; name - => "n"; memo - => - redacted; password - => - redacted; api_key - => - redacted; monkey - => ""`,
			`3/3 Jo created words 3 "n": id - => "3"; workspace_id - => ""; name - => "n"`,
		}, o.told(t, func(db *gorm.DB) error {
			return errors.Join(
				db.Table("vaults").Create(&Rowlet{ID: "1", Name: "n", Memo: "m"}).Error,
				db.Create(&Vault{ID: "2", Name: "n", Memo: "m"}).Error,
				db.Table("words").Where("id = ?", "none").Updates(&Nameonly{Name: "n"}).Error,
				db.Create(&Word{ID: "3", Name: "n"}).Error,
				db.Table(database.Namespace+".strays").Create(&Stray{ID: "4"}).Error,
				db.Create(&Stray{ID: "5"}).Error,
			)
		}))
	})
}

func TestMoreTablesAreFoundByAllTheirNames(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		o := newOffice(t, database, storeInDatabase, nil)
		addTables(t, o)
		spelled := []string{"?", "ventures_2024\tAS v", "ventures_2024/* */ AS v", database.Namespace + ".ventures_2024"}
		switch database.Name {
		case "sqlite":
			spelled = append(spelled[:3], "main.ventures_2024", "VENTURES_2024", `"main"."Ventures_2024" AS v`)
		case "postgres":
			spelled = append(spelled, "Ventures_2024 AS v", `ONLY ventures_2024`)
		}
		for _, model := range []any{nil, &Venture{}} {
			for _, name := range spelled {
				require.Len(t, o.told(t, func(db *gorm.DB) error {
					if err := db.Table("ventures_2024").Create(&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini"}).Error; err != nil {
						return err
					}
					table := db.Table(name)
					if name == "?" {
						table = db.Table(name, clause.Table{Name: "ventures_2024"})
					}
					if model != nil {
						table = table.Model(model)
					}
					if err := table.Where("1 = 1").Updates(map[string]any{"name": "Apollo"}).Error; err != nil {
						return err
					}
					return db.Table("ventures_2024").Delete(&Venture{ID: "v1"}).Error
				}), 3, name)
			}
		}
	})
}

// TestMoreTablesMayBeMetAtOnce by many goroutines, each table by several of them.
func TestMoreTablesMayBeMetAtOnce(t *testing.T) {
	t.Parallel()
	const tables, writers = 4, 3
	o := newOffice(t, Open(t, "postgres"), storeInDatabase, nil)
	for i := range tables {
		require.NoError(t, o.raw.Exec(strings.Replace(moreTables[0], "2024", fmt.Sprint(i), 1)).Error)
	}
	o.clock.next()
	var wait sync.WaitGroup
	errs := make([]error, tables*writers)
	for i := range errs {
		wait.Go(func() {
			table, id := fmt.Sprintf("ventures_%d", i%tables), fmt.Sprint(i)
			errs[i] = o.db.WithContext(o.ctx).Table(table).Create(&Venture{ID: id, WorkspaceID: "w1", Name: table}).Error
		})
	}
	wait.Wait()
	require.NoError(t, errors.Join(errs...))
	told := map[string]string{}
	for _, e := range eventsSince(t, o.store, "w1", o.clock.Now()) {
		told[e.Entity.ID] = e.Entity.Label
	}
	require.Len(t, told, tables*writers)
	for i := range errs {
		require.Equal(t, fmt.Sprintf("ventures_%d", i%tables), told[fmt.Sprint(i)])
	}
}
