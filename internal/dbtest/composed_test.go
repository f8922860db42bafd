package dbtest

import (
	"context"
	"encoding/json"
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
	"github.com/gormtrail/audit/store/sqlstore"
)

// Parcel has a column of each type that a statement of PostgreSQL can record by
// itself.
type Parcel struct {
	ID          string `gorm:"primaryKey"`
	WorkspaceID string `audit:"workspace"`
	Keeper      string `audit:"owner"`
	Title       string `audit:"label"`
	Code        uuid.UUID
	Small       int16
	Count       int64
	Fragile     *bool
	Price       string `gorm:"type:numeric"`
	Fixed       string `gorm:"type:numeric(12,4)"`
	Sent        time.Time
	Local       *time.Time `gorm:"type:timestamp"`
	Due         *time.Time `gorm:"type:date"`
	Token       string
	Secret      string `audit:"redact"`
	Noise       string `audit:"-"`
	Doubled     int64  `gorm:"->;type:bigint GENERATED ALWAYS AS (count * 2) STORED"`
	DeletedAt   gorm.DeletedAt
}

// Counted has a key that the database makes.
type Counted struct {
	ID        uint
	Name      string `audit:"label"`
	DeletedAt int64
}

// Spot has a key of two parts, and no column with a meaning.
type Spot struct {
	Place string `gorm:"primaryKey"`
	Row   int    `gorm:"primaryKey;autoIncrement:false"`
	Note  *string
}

// onlyAppends is a store that cannot be a part of a larger statement.
type onlyAppends struct {
	audit.TxStore
	audit.TxLister
}

// key is a UUID: one that no other row ever had.
func key(name string) string { return uuid.NewSHA1(uuid.Nil, []byte(name)).String() }

// strangeTexts are values that PostgreSQL and Go might write differently.
var strangeTexts = []string{
	"", "plain", `"quoted" \ back`, "two\nlines\ttab\rend", "\x01\x1f\b\f", "\u007f\u0085\u2028\u202e\ufeff", "ünïcode ☃ 😀", "</script>", "'; DROP TABLE x; --",
	strings.Repeat("ä", 300), strings.Repeat("x", 600), strings.Repeat("long ", 20_000), strings.Repeat("長", 30_000), "null", "123", "%2F/",
}

func TestAStatementThatRecordsItselfSaysWhatGoSays(t *testing.T) {
	t.Parallel()
	type step struct {
		name string
		do   func(db *gorm.DB) error
	}
	yes, no := true, false
	at := time.Date(2026, 3, 4, 5, 6, 7, 120_000_000, time.FixedZone("", 7200))
	old := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	of := func(id string) func(*gorm.DB) *gorm.DB {
		return func(db *gorm.DB) *gorm.DB { return db.Model(&Parcel{ID: id}) }
	}
	steps := []step{
		{"create", func(db *gorm.DB) error {
			return db.Create(&Parcel{ID: key("p1"), WorkspaceID: "w1", Keeper: "7", Title: "Box", Count: 3, Price: "1.50", Fixed: "2", Sent: at, Local: &at, Due: &day, Token: "t", Secret: "s", Noise: "n"}).Error
		}},
		{"create in another's name", func(db *gorm.DB) error {
			return db.Create(&Parcel{ID: key("p2"), WorkspaceID: "w1", Keeper: "8", Price: "NaN", Fixed: "-0.0001", Sent: old, Fragile: &yes}).Error
		}},
		{"create with nothing", func(db *gorm.DB) error { return db.Create(&Parcel{ID: key("p3"), Price: "0", Fixed: "0"}).Error }},
		{"update one column", func(db *gorm.DB) error { return of(key("p1"))(db).Update("count", 4).Error }},
		{"update to the same", func(db *gorm.DB) error { return of(key("p1"))(db).Update("count", 4).Error }},
		{"update of what is not recorded", func(db *gorm.DB) error { return of(key("p1"))(db).Update("noise", "m").Error }},
		{"update of secrets", func(db *gorm.DB) error {
			return of(key("p1"))(db).Updates(map[string]any{"token": "u", "secret": "v"}).Error
		}},
		{"update to an equal number", func(db *gorm.DB) error { return of(key("p1"))(db).Update("price", "1.5000").Error }},
		{"update of numbers", func(db *gorm.DB) error {
			return of(key("p1"))(db).Updates(map[string]any{"price": "123456789012345678901234567890.5", "fixed": "7.1", "small": -3}).Error
		}},
		{"update by an expression", func(db *gorm.DB) error {
			return of(key("p1"))(db).Update("count", gorm.Expr("count + small")).Error
		}},
		{"update of times", func(db *gorm.DB) error {
			return of(key("p1"))(db).Updates(map[string]any{"sent": at.Add(time.Microsecond), "local": nil, "due": day.AddDate(0, 0, 1)}).Error
		}},
		{"update to no time", func(db *gorm.DB) error {
			return of(key("p1"))(db).Updates(map[string]any{"sent": gorm.Expr("'infinity'::timestamptz"), "local": gorm.Expr("'0044-03-15 BC'::timestamp")}).Error
		}},
		{"update back", func(db *gorm.DB) error {
			return of(key("p1"))(db).Updates(map[string]any{"sent": at, "local": at}).Error
		}},
		{"update of a flag", func(db *gorm.DB) error { return of(key("p2"))(db).Update("fragile", &no).Error }},
		{"update of the owner", func(db *gorm.DB) error { return of(key("p2"))(db).Update("keeper", "7").Error }},
		{"update of a row that is not there", func(db *gorm.DB) error { return of(key("none"))(db).Update("count", 1).Error }},
		{"update by a condition in words", func(db *gorm.DB) error {
			return db.Model(&Parcel{}).Where("id = ?", key("p1")).Where("count > ? OR count < ?", 0, 0).Update("count", 9).Error
		}},
		{"update by an alternative", func(db *gorm.DB) error {
			return db.Model(&Parcel{}).Where("id = ?", key("p1")).Or("id = ?", key("p2")).Update("count", 10).Error
		}},
		{"save", func(db *gorm.DB) error {
			return db.Save(&Parcel{ID: key("p1"), WorkspaceID: "w1", Keeper: "7", Title: "Saved", Price: "2", Fixed: "2", Sent: at}).Error
		}},
		{"soft delete", func(db *gorm.DB) error { return db.Delete(&Parcel{ID: key("p1")}).Error }},
		{"update of a deleted row", func(db *gorm.DB) error { return of(key("p1"))(db.Unscoped()).Update("count", 11).Error }},
		{"restore", func(db *gorm.DB) error { return of(key("p1"))(db.Unscoped()).Update("deleted_at", nil).Error }},
		{"soft delete by key", func(db *gorm.DB) error { return db.Delete(&Parcel{}, "id = ?", key("p2")).Error }},
		{"hard delete", func(db *gorm.DB) error { return db.Unscoped().Delete(&Parcel{ID: key("p2")}).Error }},
		{"hard delete of several", func(db *gorm.DB) error { return db.Unscoped().Delete(&Parcel{}, []string{key("p1"), key("p3")}).Error }},
		{"create with a key of the database's", func(db *gorm.DB) error { return db.Create(&Counted{Name: "one"}).Error }},
		{"update by that key", func(db *gorm.DB) error { return db.Model(&Counted{ID: 1}).Update("name", "two").Error }},
		{"mark as deleted", func(db *gorm.DB) error { return db.Model(&Counted{ID: 1}).Update("deleted_at", 5).Error }},
		{"delete by that key", func(db *gorm.DB) error { return db.Delete(&Counted{}, 1).Error }},
		{"create with a key of two parts", func(db *gorm.DB) error { return db.Create(&Spot{Place: "a/b%", Row: 2}).Error }},
		{"update by two parts", func(db *gorm.DB) error {
			return db.Model(&Spot{}).Where(&Spot{Place: "a/b%", Row: 2}).Update("note", "x").Error
		}},
		{"update by one of them", func(db *gorm.DB) error { return db.Model(&Spot{}).Where("place = ?", "a/b%").Update("note", "y").Error }},
		{"delete by two parts", func(db *gorm.DB) error { return db.Delete(&Spot{Place: "a/b%", Row: 2}).Error }},
	}
	const secret = `{"password":"canary"}`
	steps = append(steps,
		step{"create with secrets in every meaning", func(db *gorm.DB) error {
			return db.Create(&Parcel{ID: key("p4"), Keeper: secret, WorkspaceID: secret, Price: "0", Fixed: "0"}).Error
		}},
		step{"update beside secrets", func(db *gorm.DB) error { return of(key("p4"))(db).Update("count", 5).Error }},
		step{"update to a day before Christ", func(db *gorm.DB) error {
			return of(key("p4"))(db).Update("due", gorm.Expr("'0044-03-15 BC'::date")).Error
		}},
		step{"update to a very long number", func(db *gorm.DB) error {
			return of(key("p4"))(db).Update("price", strings.Repeat("7", 100_000)).Error
		}},
		step{"delete of a very long number", func(db *gorm.DB) error { return db.Unscoped().Delete(&Parcel{ID: key("p4")}).Error }},
		step{"create by somebody strange", func(db *gorm.DB) error {
			ctx := audit.WithInitiator(audit.WithActor(db.Statement.Context, audit.Actor{ID: "7\xff"}), audit.Actor{ID: "9\x00"})
			ctx = audit.WithOrigin(audit.WithWorkspace(ctx, "w1"), audit.Origin("o\xff"+strings.Repeat("o", 300)))
			return db.WithContext(ctx).Create(&Parcel{ID: key("p5"), Keeper: "7", Price: "0", Fixed: "0"}).Error
		}},
		step{"a condition that ends in a comment", func(db *gorm.DB) error {
			return db.Model(&Counted{}).Where("id = ?", 1).Where("name <> 'x' -- why").Update("name", "z").Error
		}},
		step{"columns that are asked for twice", func(db *gorm.DB) error {
			twice := clause.Returning{Columns: []clause.Column{{Name: "id"}, {Name: "id"}}}
			return db.Clauses(twice).Create(&Counted{Name: "n"}).Error
		}},
	)
	for i, s := range strangeTexts {
		id := key(fmt.Sprint("s", i))
		steps = append(steps,
			step{"create with a strange text", func(db *gorm.DB) error {
				return db.Create(&Parcel{ID: id, Keeper: s, Title: s, Token: s, Secret: s, Noise: s, Price: "0", Fixed: "0"}).Error
			}},
			step{"update to a strange text", func(db *gorm.DB) error { return of(id)(db).Update("title", s+"!").Error }},
			step{"update beside a strange text", func(db *gorm.DB) error { return of(id)(db).Update("count", 1).Error }},
			step{"strange note", func(db *gorm.DB) error { return db.Create(&Spot{Place: "s", Row: i, Note: &s}).Error }},
			step{"soft delete with a strange text", func(db *gorm.DB) error { return db.Delete(&Parcel{ID: id}).Error }},
		)
		if s != "" && len(s) < 2000 {
			steps = append(steps,
				step{"create with a strange key", func(db *gorm.DB) error { return db.Create(&Spot{Place: s, Row: -1}).Error }},
				step{"delete by a strange key", func(db *gorm.DB) error { return db.Delete(&Spot{Place: s, Row: -1}).Error }})
		}
	}
	run := func(store func(*sqlstore.Store) audit.Store, skip bool) (map[string][]string, int) {
		d := Open(t, "postgres")
		watched, tap := tapInto(t, d)
		db := watched.Gorm(t)
		require.NoError(t, db.AutoMigrate(&Parcel{}, &Counted{}, &Spot{}))
		stored := storeInDatabase(t, d).(*sqlstore.Store)
		clock := newClock()
		rec, err := audit.New(store(stored), &audit.Config{Now: clock.Now})
		require.NoError(t, err)
		require.NoError(t, db.Use(hooks.New(rec, hooks.Model[Parcel](audit.TypeTimeEntry), hooks.Model[Counted]("counted"), hooks.Model[Spot]("spot"))))
		db = db.Session(&gorm.Session{NowFunc: clock.Now, SkipDefaultTransaction: skip})
		told, composed := map[string][]string{}, 0
		for i, s := range steps {
			clock.next()
			ctx := audit.WithActor(context.Background(), audit.Actor{ID: "7", Name: "Jo"})
			var before int64
			require.NoError(t, db.Raw("SELECT count(*) FROM audit_events").Scan(&before).Error)
			composed += len(tap.during(t, func() error { return s.do(db.WithContext(ctx)) }, "WITH audit_row"))
			var events []audit.Event
			for _, workspace := range []string{"w1", audit.DefaultWorkspace} {
				events = append(events, eventsSince(t, stored, workspace, clock.Now())...)
			}
			require.Equal(t, rec.Stats().Recorded, uint64(int(before)+len(events)), s.name)
			for _, e := range events {
				e.ID, e.ChangeSet = uuid.Nil, uuid.Nil
				for k := range e.Changes {
					e.Changes[k].Before.JSON, e.Changes[k].After.JSON = respell(t, e.Changes[k].Before.JSON), respell(t, e.Changes[k].After.JSON)
				}
				line, err := json.MarshalIndent(e, "", " ")
				require.NoError(t, err)
				key := fmt.Sprintf("%d %s", i, s.name)
				told[key] = append(told[key], string(line))
			}
		}
		return told, composed
	}
	want, none := run(func(s *sqlstore.Store) audit.Store { return onlyAppends{s, s} }, false)
	require.Zero(t, none)
	for _, skip := range []bool{false, true} {
		got, composed := run(func(s *sqlstore.Store) audit.Store { return s }, skip)
		for i, s := range steps {
			key := fmt.Sprintf("%d %s", i, s.name)
			require.Equal(t, want[key], got[key], key)
		}
		require.Greater(t, composed, len(steps)*3/5, "most of them are recorded by the statement itself")
	}
}

// respell writes a value as Go does: JSON has several ways to write some
// characters.
func respell(t *testing.T, value json.RawMessage) json.RawMessage {
	if len(value) == 0 || value[0] != '"' {
		return value
	}
	var s string
	require.NoError(t, json.Unmarshal(value, &s))
	return audit.AppendJSONString(nil, s)
}

// A trigger that is made while the program runs changes a column that the
// statement does not assign.
func TestAStatementThatRecordsItselfSeesWhatTriggersChange(t *testing.T) {
	t.Parallel()
	d := Open(t, "postgres")
	db := d.Gorm(t)
	require.NoError(t, db.AutoMigrate(&Counted{}))
	store := wire(t, db, d, storeInDatabase, nil, []hooks.Option{hooks.Model[Counted]("counted")})
	require.NoError(t, db.Create(&Counted{Name: "a"}).Error)
	require.NoError(t, db.Model(&Counted{ID: 1}).Update("name", "b").Error)
	for _, q := range []string{
		"CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); NEW.deleted_at := NEW.deleted_at + 1; RETURN NEW; END $$",
		"CREATE TRIGGER loud BEFORE UPDATE ON counteds FOR EACH ROW EXECUTE FUNCTION loud()",
	} {
		_, err := d.SQL().Exec(q)
		require.NoError(t, err)
	}
	from := time.Now().UTC().Truncate(time.Microsecond)
	require.NoError(t, db.Model(&Counted{ID: 1}).Update("name", "c").Error)
	events := eventsSince(t, store, audit.DefaultWorkspace, from)
	require.Len(t, events, 1)
	require.Equal(t, audit.Updated, events[0].Operation)
	require.JSONEq(t, `[{"field":"name","before":"b","after":"C"},{"field":"deleted_at","before":0,"after":1}]`, string(audit.AppendChanges(nil, events[0].Changes)))
}

func TestAStatementThatRecordsItselfKeepsErrorsApart(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		t.Run(fmt.Sprint("without default transactions: ", skip), func(t *testing.T) { keepErrorsApart(t, skip) })
	}
}

func keepErrorsApart(t *testing.T, skip bool) {
	t.Helper()
	d := Open(t, "postgres")
	cfg := quiet()
	cfg.SkipDefaultTransaction = skip
	db := d.Gorm(t, cfg)
	require.NoError(t, db.AutoMigrate(&Counted{}, &Parcel{}))
	wire(t, db, d, storeInDatabase, nil, []hooks.Option{hooks.Model[Counted]("counted"), hooks.Model[Parcel]("parcel")})
	require.NoError(t, db.Create(&Counted{ID: 5, Name: "a"}).Error)

	err := db.Create(&Counted{ID: 5, Name: "b"}).Error
	require.ErrorContains(t, err, "counteds_pkey")
	require.NotErrorIs(t, err, audit.ErrAuditFailed)

	ctx := audit.WithWorkspace(context.Background(), "w1")
	err = db.WithContext(ctx).Create(&Parcel{ID: key("p"), WorkspaceID: "w2", Price: "0", Fixed: "0"}).Error
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	require.ErrorIs(t, err, audit.ErrWorkspaceMismatch)
	var n int64
	require.NoError(t, db.Model(&Parcel{}).Count(&n).Error)
	require.Zero(t, n)

	require.NoError(t, db.Exec("ALTER TABLE audit_events RENAME TO elsewhere").Error)
	err = db.Create(&Counted{ID: 6, Name: "b"}).Error
	require.ErrorIs(t, err, audit.ErrAuditFailed)
	require.NoError(t, db.Model(&Counted{}).Where("id = ?", 6).Count(&n).Error)
	require.Zero(t, n)
}
