// Package hookstest is for the unit tests of programs that use hooks: it checks
// that no model was forgotten, which no other test would tell.
//
//	func TestEveryModelIsAudited(t *testing.T) {
//		db := open(t) // as the application opens it, with the plugin
//		hookstest.RequireModels(t, db, app.Models(), &Session{}, &Outbox{})
//	}
//
// What is exempt is named, so that leaving a model out is a decision that one
// can see. An exemption that has become needless fails as well.
//
// It is apart from package audittest because it needs GORM.
package hookstest

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/migrator"

	"github.com/gormtrail/audit/audittest"
	"github.com/gormtrail/audit/hooks"
)

// RequireModels ends the test unless every model that db.AutoMigrate(models...)
// migrates is registered with the plugin that db uses, or exempt. Those are the
// models themselves, the models they refer to, and the join tables of both. An
// element of exempt is a model or the name of a table.
//
// The test ends too if a model cannot be parsed, if db does not use the plugin,
// or if what is exempt is registered or not migrated.
func RequireModels(t audittest.TestingT, db *gorm.DB, models []any, exempt ...any) {
	t.Helper()
	var migrated, exempted []table
	var err error
	if migrated, err = migratedBy(db, models); err == nil {
		exempted, err = tablesOf(db, exempt)
	}
	if err != nil {
		t.Fatalf("hookstest: %v", err)
		return
	}
	require(t, db, migrated, exempted)
}

// RequireTables is [RequireModels] for programs that do not migrate by GORM: it
// looks at every table of the database that db is connected to (PostgreSQL: of
// its current schema). Tables of migration tools and those of the store,
// audit_events and others that begin so, are among them, and thus to be named in
// exempt. Those that SQLite keeps for itself are passed over.
func RequireTables(t audittest.TestingT, db *gorm.DB, exempt ...any) {
	t.Helper()
	names, err := db.Migrator().GetTables()
	if err != nil {
		t.Fatalf("hookstest: list the tables: %v", err)
		return
	}
	var there []table
	for _, name := range names {
		if db.Name() != "sqlite" || !strings.HasPrefix(name, "sqlite_") {
			there = append(there, table{name: name})
		}
	}
	exempted, err := tablesOf(db, exempt)
	if err != nil {
		t.Fatalf("hookstest: %v", err)
		return
	}
	require(t, db, there, exempted)
}

// table is a table and the model it is of, if known.
type table struct{ name, model string }

func (t table) String() string {
	if t.model == "" {
		return fmt.Sprintf("table %q", t.name)
	}
	return fmt.Sprintf("model %s (table %q)", t.model, t.name)
}

// is compares names. One without a database schema stands for any.
func (t table) is(u table) bool {
	_, a, schema := strings.Cut(t.name, ".")
	_, b, schema2 := strings.Cut(u.name, ".")
	return t.name == u.name || schema && !schema2 && a == u.name || schema2 && !schema && b == t.name
}

func among(tables []table, t table) bool { return slices.ContainsFunc(tables, t.is) }

// migratedBy lists the tables that GORM migrates when it is given the models.
func migratedBy(db *gorm.DB, models []any) ([]table, error) {
	if _, err := tablesOf(db, models); err != nil {
		return nil, err // GORM's own list would panic
	}
	fresh := db.Session(&gorm.Session{NewDB: true})
	m := migrator.Migrator{Config: migrator.Config{DB: fresh, Dialector: db.Dialector}}
	return tablesOf(db, m.ReorderModels(models, true))
}

// tablesOf finds the tables of models; a string is the name of one.
func tablesOf(db *gorm.DB, models []any) ([]table, error) {
	var tables []table
	for _, m := range models {
		if name, ok := m.(string); ok {
			tables = append(tables, table{name: name})
			continue
		}
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(m); err != nil {
			return nil, fmt.Errorf("GORM cannot parse %T as a model: %w", m, err)
		}
		// The type that GORM makes for a join table has no name.
		tables = append(tables, table{name: stmt.Schema.Table, model: stmt.Schema.ModelType.Name()})
	}
	return tables, nil
}

func require(t audittest.TestingT, db *gorm.DB, there, exempt []table) {
	t.Helper()
	plugin, ok := db.Plugins[(*hooks.Plugin)(nil).Name()].(*hooks.Plugin)
	if !ok {
		t.Fatalf("hookstest: the *gorm.DB does not use the plugin; call db.Use(hooks.New(...)) as the application does")
		return
	}
	var registered []table
	for _, r := range plugin.Registered() {
		registered = append(registered, table{name: r.Table})
	}
	var wrong []string
	for _, tab := range there {
		if !among(registered, tab) && !among(exempt, tab) {
			wrong = append(wrong, fmt.Sprintf("%s is neither registered nor exempt: its changes are not recorded", tab))
		}
	}
	for _, tab := range exempt {
		switch {
		case among(registered, tab):
			wrong = append(wrong, fmt.Sprintf("%s is exempt, but it is registered", tab))
		case !among(there, tab):
			wrong = append(wrong, fmt.Sprintf("%s is exempt, but it is not migrated", tab))
		}
	}
	if len(wrong) == 0 {
		return
	}
	slices.Sort(wrong)
	t.Fatalf("hookstest: not every model is accounted for\n\n    %s\n\nRegister a model with hooks.Model, or name it as exempt.", strings.Join(slices.Compact(wrong), "\n    "))
}
