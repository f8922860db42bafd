package dbtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/audittest"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/hooks/hookstest"
)

// failedTest is a test that an assertion may fail.
type failedTest struct{ messages []string }

func (*failedTest) Helper() {}

func (f *failedTest) Fatalf(format string, args ...any) {
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}

// said are the lines of an assertion's failure that name what is wrong; none
// if it passes.
func said(t *testing.T, assert func(audittest.TestingT)) []string {
	t.Helper()
	f := &failedTest{}
	assert(f)
	if len(f.messages) == 0 {
		return nil
	}
	require.Len(t, f.messages, 1)
	head, rest, many := strings.Cut(f.messages[0], "\n\n")
	if !many {
		return []string{head}
	}
	require.Equal(t, "hookstest: not every model is accounted for", head)
	lines, remedy, _ := strings.Cut(rest, "\n\n")
	require.Equal(t, "Register a model with hooks.Model, or name it as exempt.", remedy)
	return strings.Split(strings.ReplaceAll(lines, "    ", ""), "\n")
}

// logged is a database with the office's models and a log for a test.
func logged(t *testing.T, opts ...hooks.Option) (*gorm.DB, *audittest.Log) {
	t.Helper()
	db := openGorm(t, Open(t, "sqlite"))
	require.NoError(t, db.AutoMigrate(officeTables()...))
	log := audittest.New(nil)
	require.NoError(t, db.Use(hooks.New(log.Recorder(), opts...)))
	return db.WithContext(audit.WithActor(context.Background(), jo)), log
}

func TestALogForATestRecordsWhatGORMWrites(t *testing.T) {
	t.Parallel()
	db, log := logged(t, officeModels()...)
	log.RequireNone(t)
	require.NoError(t, db.Create(&Firm{ID: "f1", WorkspaceID: "w1", Name: "Acme"}).Error)
	require.NoError(t, db.Create(&Venture{ID: "v1", WorkspaceID: "w1", Name: "Gemini", FirmID: text("f1")}).Error)
	require.NoError(t, db.Create(&Entry{ID: "e1", WorkspaceID: "w1", UserID: text("u1"), Note: "Standup", VentureID: text("v1"), Words: []Word{
		{ID: "x1", WorkspaceID: "w1", Name: "daily"}, {ID: "x2", WorkspaceID: "w1", Name: "urgent"},
	}}).Error)
	created := log.Require(t, audittest.Event{
		Operation: audit.Created, Entity: audit.Entity{Type: "entry", ID: "e1", Label: "Standup", Owner: "u1"}, Ownership: audit.OwnershipSelf,
		Changes: []audittest.Change{
			{Field: "words", Before: audit.ValueOf(nil), After: "x2"},
			{Field: "words", After: audit.Value{Label: "daily"}},
			{Field: "venture_id", Before: audit.Value{}, After: audit.Value{Label: "Gemini"}},
			{Field: "deleted_at", After: audit.ValueOf(nil)},
		},
	})
	require.Equal(t, log.Events()[2], created)

	log.Reset()
	require.NoError(t, db.Model(&Venture{ID: "v1"}).Update("name", "Apollo").Error)
	require.NoError(t, db.Model(&Venture{ID: "v1"}).Update("name", "Apollo").Error, "changes nothing")
	events := log.RequireExactly(t,
		audittest.Event{
			Operation: audit.Updated, Entity: audit.Entity{Type: "venture", ID: "v1"}, Actor: jo, Workspace: "w1",
			Changes: []audittest.Change{{Field: "name", Before: "Gemini", After: "Apollo"}}, NoOtherChanges: true,
		},
		audittest.Event{
			Derived: true, Operation: audit.Updated, Entity: audit.Entity{Type: "entry", ID: "e1"}, Actor: audit.System, Initiator: jo,
			Changes:        []audittest.Change{{Field: "venture_id", Before: audit.Value{Label: "Gemini"}, After: audit.Value{Label: "Apollo"}}},
			NoOtherChanges: true,
		},
	)
	require.Equal(t, events[0].ID, events[1].Cause)

	log.Reset()
	undone := errors.New("undone")
	require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
		require.NoError(t, tx.Delete(&Firm{ID: "f1"}).Error)
		log.RequireNone(t) // not yet committed
		return undone
	}), undone)
	log.RequireNone(t)
	require.NoError(t, db.Delete(&Firm{ID: "f1"}).Error)
	log.RequireNone(t, audittest.Event{Operation: audit.Deleted, Entity: audit.Entity{Type: "venture"}})
	log.Require(t, audittest.Event{Operation: audit.Deleted, Entity: audit.Entity{ID: "f1"}})
}

func TestALogForATestIsTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	run := func() []audit.Event {
		db, log := logged(t, officeModels()...)
		require.NoError(t, db.Create(&[]Word{{ID: "x1", WorkspaceID: "w1", Name: "a"}, {ID: "x2", WorkspaceID: "w1", Name: "b"}}).Error)
		require.NoError(t, db.Where("1=1").Delete(&Word{}).Error)
		return log.Events()
	}
	first := run()
	require.Len(t, first, 4)
	require.Equal(t, audittest.Start(), first[1].Time)
	require.Equal(t, audittest.Start().Add(time.Second), first[2].Time)
	require.Equal(t, first, run())
}

func TestRegisteredNamesEveryTableThatIsRecorded(t *testing.T) {
	t.Parallel()
	log := audittest.New(nil)
	plugin := hooks.New(log.Recorder(), officeModels()...)
	require.Empty(t, plugin.Registered(), "nothing is before db.Use")
	require.NoError(t, openGorm(t, Open(t, "sqlite")).Use(plugin))
	require.Equal(t, []hooks.Registration{
		{Table: "entries", Type: "entry"},
		{Table: "entry_words", Type: "entry", Relation: "words"},
		{Table: "firms", Type: "firm"},
		{Table: "steps", Type: "step"},
		{Table: "vaults", Type: "vault"},
		{Table: "ventures", Type: "venture"},
		{Table: "words", Type: "word"},
	}, plugin.Registered())
}

// Shelf is a table in a database schema of its own.
type Shelf struct {
	ID   string `gorm:"primaryKey"`
	Name string
}

func (Shelf) TableName() string { return "depot.shelves" }

func TestRegisteredNamesATableInASchemaOnce(t *testing.T) {
	t.Parallel()
	plugin := hooks.New(audittest.New(nil).Recorder(), hooks.Model[Shelf]("shelf"))
	db := openGorm(t, Open(t, "sqlite"))
	require.NoError(t, db.Use(plugin))
	require.Equal(t, []hooks.Registration{{Table: "depot.shelves", Type: "shelf"}}, plugin.Registered())
	hookstest.RequireModels(t, db, []any{&Shelf{}})
	hookstest.RequireModels(t, db, []any{&Shelf{}, "shelves"})
}

func TestEveryMigratedModelIsRegisteredOrExempt(t *testing.T) {
	t.Parallel()
	office, _ := logged(t, officeModels()...)
	bare, _ := logged(t)
	none := openGorm(t, Open(t, "sqlite"))
	for _, tt := range []struct {
		name   string
		assert func(audittest.TestingT)
		want   []string
	}{
		{"a model that was forgotten is named", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, office, officeTables())
		}, []string{`model Stray (table "strays") is neither registered nor exempt: its changes are not recorded`}},
		{"what is exempt by its model passes", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, office, officeTables(), &Stray{})
		}, nil},
		{"what is exempt by its table passes", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, office, officeTables(), "strays")
		}, nil},
		{"no models pass", func(ft audittest.TestingT) { hookstest.RequireModels(ft, bare, nil) }, nil},
		{"what GORM migrates along with a model is looked at", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, bare, []any{&Entry{}}, &Firm{})
		}, []string{
			`model Entry (table "entries") is neither registered nor exempt: its changes are not recorded`,
			`model Step (table "steps") is neither registered nor exempt: its changes are not recorded`,
			`model Venture (table "ventures") is neither registered nor exempt: its changes are not recorded`,
			`model Word (table "words") is neither registered nor exempt: its changes are not recorded`,
			`table "entry_words" is neither registered nor exempt: its changes are not recorded`,
		}},
		{"an exemption of what is registered fails", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, office, officeTables(), &Stray{}, &Vault{})
		}, []string{`model Vault (table "vaults") is exempt, but it is registered`}},
		{"an exemption of what is not there fails", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, office, officeTables(), &Stray{}, "sessions", &Shelf{})
		}, []string{
			`model Shelf (table "depot.shelves") is exempt, but it is not migrated`,
			`table "sessions" is exempt, but it is not migrated`,
		}},
		{"a table that was forgotten is named", func(ft audittest.TestingT) {
			hookstest.RequireTables(ft, office)
		}, []string{`table "strays" is neither registered nor exempt: its changes are not recorded`}},
		{"a table that is exempt passes", func(ft audittest.TestingT) {
			hookstest.RequireTables(ft, office, &Stray{})
		}, nil},
		{"a *gorm.DB without the plugin fails", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, none, officeTables())
		}, []string{"hookstest: the *gorm.DB does not use the plugin; call db.Use(hooks.New(...)) as the application does"}},
		{"what is no model fails", func(ft audittest.TestingT) {
			hookstest.RequireModels(ft, office, []any{17})
		}, []string{"hookstest: GORM cannot parse int as a model: unsupported data type: 17"}},
		{"what is exempt and no model fails", func(ft audittest.TestingT) {
			hookstest.RequireTables(ft, office, nil)
		}, []string{"hookstest: GORM cannot parse <nil> as a model: unsupported data type: <nil>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, said(t, tt.assert))
		})
	}
}

func TestTheTablesOfADatabaseAreRegisteredOrExempt(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		db := openGorm(t, database)
		require.NoError(t, db.AutoMigrate(officeTables()...))
		wire(t, db, database, storeInDatabase, nil, officeModels())
		own := []any{"audit_events", "audit_events_exports", "audit_events_schema", "audit_events_settings"}
		hookstest.RequireTables(t, db, append(own, &Stray{})...)
		require.Equal(t, []string{`table "strays" is neither registered nor exempt: its changes are not recorded`},
			said(t, func(ft audittest.TestingT) { hookstest.RequireTables(ft, db, own...) }))
	})
}

func TestTablesThatSQLiteKeepsForItselfArePassedOver(t *testing.T) {
	t.Parallel()
	db := openGorm(t, Open(t, "sqlite"))
	require.NoError(t, db.Use(hooks.New(audittest.New(nil).Recorder())))
	require.NoError(t, db.Exec("CREATE TABLE tickets (id INTEGER PRIMARY KEY AUTOINCREMENT)").Error)
	names, err := db.Migrator().GetTables()
	require.NoError(t, err)
	require.Contains(t, names, "sqlite_sequence")
	hookstest.RequireTables(t, db, "tickets")
}
