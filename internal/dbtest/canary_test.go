package dbtest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// canary is in every secret. It must never be sung.
const canary = "CanaryBird"

// sings finds the canary as it is, in hex and in base64 wherever it begins.
func sings(b []byte) bool {
	lower := bytes.ToLower(b)
	if bytes.Contains(lower, []byte(strings.ToLower(canary))) || bytes.Contains(lower, []byte(hex.EncodeToString([]byte(canary)))) {
		return true
	}
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
		if bytes.Contains(b, []byte(text[4:len(text)-4])) {
			return true
		}
	}
	return false
}

// Locker has secrets in every kind of field.
type Locker struct {
	ID       string  `gorm:"primaryKey;size:40"`
	Title    string  `gorm:"size:200" audit:"label"`
	Password string  `gorm:"size:200"`
	Token    *string `gorm:"size:200"`
	APIKey   []byte
	Secrets  string        // long
	Settings Document      `gorm:"type:json"`
	Profile  lockerProfile `gorm:"serializer:json"`
	Gob      lockerProfile `gorm:"serializer:gob;type:bytes"`
	Extra    lockerMap     `gorm:"type:text"`
	Pair     lockerPair    `gorm:"type:text"`
	Payload  string        // JSON, though the column does not say so
	Blob     []byte        // JSON
	Big      Document      `gorm:"type:json"` // long
	Scratch  string        `gorm:"size:200" audit:"-"`
	Memo     string        `gorm:"size:200" audit:"redact"`
	Bare     string        `gorm:"size:200"` // hooks.Redact
	Hidden   string        `gorm:"size:200"` // hooks.Ignore
	Passcode string        `gorm:"size:200;default:CanaryBird of the database"`
	Echo     string        `gorm:"->;type:varchar(250) GENERATED ALWAYS AS (REPLACE(password, 'a', 'a')) STORED" audit:"redact"`
	Login    lockerLogin   `gorm:"embedded;embeddedPrefix:login_"`
	Unique   *string       `gorm:"size:200;unique" audit:"redact"`

	BadgeID *string      `gorm:"size:40"`
	Badge   *LockerBadge // its label is withheld
	CardID  *string      `gorm:"size:40"`
	Card    *LockerCard  // not registered, and its label is withheld
	ViaID   *string      `gorm:"size:200"`
	Via     *LockerPass  `gorm:"foreignKey:ViaID"` // its primary key is withheld
	Keys    []LockerKey  `gorm:"many2many:locker_keys_held"`
	Passes  []LockerPass `gorm:"many2many:locker_passes_held"`
	Removed gorm.DeletedAt
}

// lockerProfile has a secret by its name, one by its Go name and one by its tag.
type lockerProfile struct {
	Name string `json:"name"`
	Auth struct {
		Password string `json:"p"`
		Code     string `json:"code" audit:"redact"`
		Scratch  string `json:"scratch" audit:"-"`
		Tokens   []string
	} `json:"auth"`
}

func newLockerProfile(name, secret string) (p lockerProfile) {
	p.Name, p.Auth.Password, p.Auth.Code, p.Auth.Scratch, p.Auth.Tokens = name, secret, secret, secret, []string{secret}
	return p
}

// lockerMap is kept as JSON in a text.
type lockerMap map[string]any

func (m lockerMap) Value() (driver.Value, error) {
	b, err := json.Marshal(m)
	return string(b), err
}

func (m *lockerMap) Scan(v any) error { return json.Unmarshal(fmt.Append(nil, asText(v)), m) }

// lockerPair is kept as a text of its own kind.
type lockerPair struct{ User, Password string }

func (p lockerPair) Value() (driver.Value, error) { return p.User + ":" + p.Password, nil }

func (p *lockerPair) Scan(v any) error {
	p.User, p.Password, _ = strings.Cut(asText(v), ":")
	return nil
}

func asText(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

type lockerLogin struct {
	User string `gorm:"size:200"`
	Word string `gorm:"size:200" audit:"redact"`
	PIN  string `gorm:"size:200"`
}

// LockerBadge is called by a secret.
type LockerBadge struct {
	ID      string `gorm:"primaryKey;size:40"`
	Secret  string `gorm:"size:200" audit:"label"`
	Removed gorm.DeletedAt
}

// LockerCard is not registered.
type LockerCard struct {
	ID    string `gorm:"primaryKey;size:40"`
	Token string `gorm:"size:200" audit:"label"`
}

// LockerPass is known by a secret.
type LockerPass struct {
	Token string `gorm:"primaryKey;size:200"`
	Title string `gorm:"size:200" audit:"label"`
}

// LockerKey is an element with a secret label.
type LockerKey struct {
	ID     string `gorm:"primaryKey;size:40"`
	Secret string `gorm:"size:200" audit:"label"`
}

// LockerKeyHeld joins lockers and keys, with secrets of its own.
type LockerKeyHeld struct {
	LockerID    string   `gorm:"primaryKey;size:40"`
	LockerKeyID string   `gorm:"primaryKey;size:40"`
	InviteToken string   `gorm:"size:200"`
	Note        string   `gorm:"size:200" audit:"redact"`
	Terms       Document `gorm:"type:json"`
}

// TableName is that of the relation.
func (LockerKeyHeld) TableName() string { return "locker_keys_held" }

// LockerPair has a secret in a composite key.
type LockerPair struct {
	Place  string `gorm:"primaryKey;size:40"`
	Secret string `gorm:"primaryKey;size:200"`
	Title  string `gorm:"size:200"`
}

// LockerNote has nothing but texts, which may hold JSON. PostgreSQL records it by
// itself where nothing has to be withheld.
type LockerNote struct {
	ID    string `gorm:"primaryKey;size:40"`
	Title string `gorm:"size:200" audit:"label"`
	Text  string
}

func lockerTables() []any {
	return []any{&LockerBadge{}, &LockerCard{}, &LockerPass{}, &LockerKey{}, &Locker{}, &LockerKeyHeld{}, &LockerPair{}, &LockerNote{}}
}

func lockerModels() []hooks.Option {
	return []hooks.Option{
		hooks.Model[Locker]("locker", hooks.Redact("bare"), hooks.Ignore("hidden")),
		hooks.Model[LockerBadge]("badge", hooks.Cascade[Locker]("badge_id")),
		hooks.Model[LockerPass]("pass", hooks.Cascade[Locker]("via_id"), hooks.Cascade[Locker]("Passes")),
		hooks.Model[LockerKey]("key", hooks.Cascade[Locker]("Keys")),
		hooks.Model[LockerPair]("pair"),
		hooks.Model[LockerNote]("note"),
	}
}

// newLocker is a locker whose secrets all are different from those of another n.
func newLocker(id string, n int) *Locker {
	s := fmt.Sprint(canary, " ", n)
	quoted := string(audit.AppendJSONString(nil, s))
	filler := strings.Repeat("x", audit.MaxValueBytes)
	return &Locker{
		ID: id, Title: fmt.Sprint("Locker ", n), Password: s, Token: text(s), APIKey: []byte(s), Secrets: s + filler,
		Settings: Document(`{"theme":"dark","smtp":{"password":` + quoted + `,"hosts":[{"api_key":[` + quoted + `]}]},"text":"{\"pin\":\"` + s + `\"}"}`),
		Profile:  newLockerProfile("Jo", s), Gob: newLockerProfile("Jo", s),
		Extra: lockerMap{"a": 1, "token": s}, Pair: lockerPair{"jo", s},
		Payload: ` {"user":"jo","secret":` + quoted + `}`, Blob: []byte(`{"secret":` + quoted + `}`),
		Big:     Document(`{"pin":` + quoted + `,"text":"` + filler + `"}`),
		Scratch: s, Memo: s, Bare: s, Hidden: s, Login: lockerLogin{"jo", s, s}, Unique: text(s + id),
	}
}

// lockerWrites are everything that is done to lockers. Those that fail say so by
// an error.
func lockerWrites() []func(db *gorm.DB) error {
	s := canary + " 9"
	update := func(column string, value any) func(db *gorm.DB) error {
		return func(db *gorm.DB) error { return db.Model(&Locker{ID: "l1"}).Update(column, value).Error }
	}
	return []func(db *gorm.DB) error{
		func(db *gorm.DB) error {
			l := newLocker("l1", 1)
			l.Badge, l.Card, l.Via = &LockerBadge{ID: "b1", Secret: s}, &LockerCard{ID: "c1", Token: s}, &LockerPass{Token: s, Title: "Pass"}
			l.Keys, l.Passes = []LockerKey{{ID: "k1", Secret: s}}, []LockerPass{{Token: s, Title: "Pass"}}
			return db.Create(l).Error
		},
		func(db *gorm.DB) error { return db.Create([]*Locker{newLocker("l2", 2), newLocker("l3", 3)}).Error },
		func(db *gorm.DB) error { return db.Omit(clause.Associations).Save(newLocker("l1", 4)).Error },
		func(db *gorm.DB) error {
			return db.Model(&Locker{}).Where("password LIKE ?", canary+"%").Updates(map[string]any{"password": s, "memo": s, "settings": Document(`{"otp":"` + s + `"}`)}).Error
		},
		update("settings", Document(`{"otp":"`+s+s+`"}`)),
		update("payload", `{"otp":"`+s+`", damaged`),
		update("password", gorm.Expr("REPLACE(password, ' ', ?)", s)),
		update("card_id", nil),
		func(db *gorm.DB) error {
			return db.Create(&LockerKeyHeld{LockerID: "l2", LockerKeyID: "k1", InviteToken: s, Note: s, Terms: Document(`{"pin":"` + s + `","a":1}`)}).Error
		},
		func(db *gorm.DB) error {
			return db.Model(&LockerKeyHeld{LockerID: "l2", LockerKeyID: "k1"}).Updates(map[string]any{"invite_token": s + s, "terms": Document(`{"pin":"` + s + s + `","a":1}`)}).Error
		},
		func(db *gorm.DB) error { return db.Model(&LockerBadge{ID: "b1"}).Update("secret", s+s).Error },
		func(db *gorm.DB) error { return db.Model(&LockerPass{Token: s}).Update("title", "Another").Error },
		func(db *gorm.DB) error { return db.Model(&LockerKey{ID: "k1"}).Update("secret", s+s).Error },
		func(db *gorm.DB) error { return db.Create(&LockerPair{Place: "p/1", Secret: s, Title: "a"}).Error },
		func(db *gorm.DB) error {
			return db.Model(&LockerPair{Place: "p/1", Secret: s}).Update("title", "b").Error
		},
		func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&LockerBadge{ID: "b1", Secret: s}).Error
		},
		func(db *gorm.DB) error { return db.Model(&Locker{ID: "l1"}).Association("Passes").Clear() },
		func(db *gorm.DB) error {
			return db.Exec("UPDATE lockers SET memo = '" + s + " raw' WHERE password = '" + s + "'").Error
		},
		func(db *gorm.DB) error { return db.Exec("UPDATE lockers SET memo = ?", s).Error },
		// What fails.
		func(db *gorm.DB) error {
			l := newLocker("l9", 1)
			l.Unique = text(canary + " 2l2")
			return db.Create(l).Error
		},
		func(db *gorm.DB) error { return db.Create(&LockerPass{Token: s}).Error },
		update("badge_id", s),
		update("no_such_column", s),
		func(db *gorm.DB) error {
			return db.Exec("UPDATE lockers SET no_such_column = '" + s + "'").Error
		},
		func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Model(&Locker{ID: "l2"}).Update("memo", s+s).Error, ErrHook)
			})
		},
		// JSON in a text.
		func(db *gorm.DB) error {
			return db.Create(&LockerNote{ID: "n1", Title: `{"pin":"` + s + `"}`, Text: "\n[{\"token\":\"" + s + "\"}]"}).Error
		},
		func(db *gorm.DB) error {
			return db.Model(&LockerNote{ID: "n1"}).Update("text", "\ufeff{\"token\":\""+s+s+"\"").Error
		},
		func(db *gorm.DB) error { return db.Model(&LockerNote{ID: "n1"}).Update("text", "plain").Error },
		func(db *gorm.DB) error { return db.Delete(&LockerNote{ID: "n1"}).Error },
		// The end of them.
		func(db *gorm.DB) error { return db.Delete(&Locker{ID: "l1"}).Error },
		func(db *gorm.DB) error {
			return db.Unscoped().Model(&Locker{ID: "l1"}).Update("removed", nil).Error
		},
		func(db *gorm.DB) error { return db.Unscoped().Select("Keys").Delete(&Locker{ID: "l1"}).Error },
		func(db *gorm.DB) error {
			return db.Unscoped().Where("settings IS NOT NULL").Select("Keys").Delete(&Locker{ID: "l2"}).Error
		},
		func(db *gorm.DB) error { return db.Delete(&LockerPair{}, "title = ?", "b").Error },
	}
}

// TestSecretsAreNeverWritten has secrets in every kind of field, does everything to
// them, and looks wherever the library writes something.
func TestSecretsAreNeverWritten(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, database *Database) {
		bare, bareLog := newLockers(t, Open(t, database.Name))
		want, _ := tryWrites(bare)
		db, log := newLockers(t, database)
		require.True(t, sings([]byte(strings.Join(want, "\n")+bareLog.text())), "the test can hear it")

		// SQLite's events are in another file: this one has the rows as well.
		events := database
		opts := lockerModels()
		if database.Name == "sqlite" {
			events = Open(t, "sqlite")
			opts = append(opts, hooks.SeparateDatabase())
		}
		store := wire(t, db, events, storeInDatabase, nil, opts)
		log.lines = nil
		got, errs := tryWrites(db)
		require.Equal(t, want, got, "errors are those of the database, as they are without us")
		require.Equal(t, bareLog.text(), log.text(), "and so are the lines of GORM's log")
		for _, err := range errs {
			require.NotErrorIs(t, err, audit.ErrAuditFailed)
		}

		told := eventsSince(t, store, audit.DefaultWorkspace, time.Time{})
		require.Greater(t, len(told), 30)
		requireSilence(t, store, told)
		dump := dumpTable(t, events, "audit_events")
		require.False(t, sings(dump), "the table of events")
		if database.Name == "sqlite" {
			path, _, _ := strings.Cut(strings.TrimPrefix(events.DSN, "file:"), "?")
			for _, suffix := range []string{"", "-wal"} {
				file, err := os.ReadFile(path + suffix)
				require.NoError(t, err)
				require.NotEmpty(t, file)
				require.False(t, sings(file), "the file%s", suffix)
			}
		}
		requireLockerEvents(t, told)
	})
}

// requireSilence looks at all that is made of events for people and programs.
func requireSilence(t *testing.T, store audit.Store, told []audit.Event) {
	t.Helper()
	all := audit.Query(context.Background(), store, audit.Filter{Workspace: audit.DefaultWorkspace})
	var b bytes.Buffer
	for _, opts := range []*audit.CSVOptions{nil, {PerChange: true}, {Raw: true}} {
		_, err := audit.WriteCSV(&b, all, opts)
		require.NoError(t, err)
	}
	_, err := audit.WriteJSONLines(&b, all)
	require.NoError(t, err)
	require.NotEmpty(t, b.Bytes())
	require.False(t, sings(b.Bytes()), "an export")
	for _, e := range told {
		line := fmt.Sprintf("%s %v %+v", e, e, e)
		for _, c := range e.Changes {
			line += fmt.Sprintf("%s %v %+v %s", c, c.Details(), c, c.After.Text())
		}
		require.False(t, sings([]byte(line)), line)
	}
}

// requireLockerEvents requires that what is no secret is still told.
func requireLockerEvents(t *testing.T, told []audit.Event) {
	t.Helper()
	find := func(op audit.Operation, entity, field string) (found []audit.Change) {
		for _, e := range told {
			for _, c := range e.Changes {
				if e.Operation == op && string(e.Entity.Type) == entity && c.Field == field {
					found = append(found, c)
				}
			}
		}
		return found
	}
	redacted := audit.Value{Form: audit.FormRedacted}
	partial := func(s string) audit.Value { return audit.Value{JSON: json.RawMessage(s), Form: audit.FormPartial} }
	created := find(audit.Created, "locker", "profile")
	require.Len(t, created, 3)
	require.Equal(t, partial(`{"name":"Jo","auth":{"p":"[withheld]","code":"[withheld]","scratch":"[withheld]","Tokens":"[withheld]"}}`), created[0].After)
	for _, field := range []string{"password", "token", "api_key", "secrets", "gob", "extra", "pair", "payload", "blob", "memo", "bare", "passcode", "echo", "login_word", "login_pin", "unique"} {
		created := find(audit.Created, "locker", field)
		require.Len(t, created, 3, field)
		require.Equal(t, redacted, created[0].After, field)
	}
	for _, field := range []string{"scratch", "hidden"} {
		require.Empty(t, find(audit.Created, "locker", field), field)
	}
	settings := find(audit.Updated, "locker", "settings")
	last := settings[len(settings)-1]
	require.Equal(t, audit.Change{Field: "settings", Before: partial(`{"otp":"[withheld]"}`), After: partial(`{"otp":"[withheld]"}`)}, last, "that it changed is told")
	require.Equal(t, "settings: changed (withheld)", last.String())
	require.Equal(t, audit.Change{Field: "password", Before: redacted, After: redacted}, find(audit.Updated, "locker", "password")[0])
	require.NotEmpty(t, find(hooks.Executed, "locker", "statement"))

	require.Equal(t, []audit.Change{
		{Field: "text", Before: redacted, After: redacted},
		{Field: "text", Before: redacted, After: audit.Value{JSON: json.RawMessage(`"plain"`)}},
	}, find(audit.Updated, "note", "text"))
	require.Equal(t, []audit.Change{{Field: "title", Before: redacted}}, find(audit.Deleted, "note", "title"))

	held := find(audit.Updated, "locker", "keys")
	require.NotEmpty(t, held)
	require.True(t, slices.ContainsFunc(held, func(c audit.Change) bool {
		return c.After.Form == audit.FormPartial && strings.Contains(string(c.After.JSON), `"locker_key_id":"k1"`) && strings.Contains(string(c.After.JSON), `"a":1`)
	}), "%v", held)
	for _, e := range told {
		if e.Entity.Type == "pass" {
			require.Regexp(t, "^sha256:[0-9a-f]{32}$", e.Entity.ID)
		}
		if e.Entity.Type == "pair" {
			require.Regexp(t, "^p%2F1/sha256:[0-9a-f]{32}$", e.Entity.ID)
		}
	}
}

// TestErrorsOfRecordingTellNoSecrets makes recording fail in every way that has
// a text of its own.
func TestErrorsOfRecordingTellNoSecrets(t *testing.T) {
	t.Parallel()
	secret := canary + " 1"
	update := func(db *gorm.DB) error {
		return db.Model(&LockerBadge{}).Where("secret = ?", secret).Update("secret", secret+secret).Error
	}
	armed := false
	panics := func() time.Time {
		if armed {
			panic(secret)
		}
		return opTime
	}
	Each(t, func(t *testing.T, database *Database) {
		for name, c := range map[string]struct {
			config  audit.Config
			options []hooks.Option
			spoil   string
			write   func(db *gorm.DB) error
			want    error
		}{
			"nobody acts":                {config: audit.Config{RequireActor: true}, write: update, want: audit.ErrNoActor},
			"a clock panics":             {config: audit.Config{Now: panics}, write: update, want: audit.ErrAuditFailed},
			"the events' table is gone":  {spoil: "DROP TABLE audit_events", write: update, want: audit.ErrAuditFailed},
			"the events' table is other": {spoil: "ALTER TABLE audit_events RENAME COLUMN changes TO others", write: update, want: audit.ErrAuditFailed},
			"raw SQL is refused": {options: []hooks.Option{hooks.RawSQL(hooks.RefuseRaw)}, want: hooks.ErrRawSQL, write: func(db *gorm.DB) error {
				return db.Exec("UPDATE locker_badges SET secret = '" + secret + "' WHERE secret LIKE '" + canary + "%'").Error
			}},
			"a statement changes rows that nobody named": {want: hooks.ErrUnnamedRows, write: func(db *gorm.DB) error {
				_, err := hooks.Exec(db.Model(&LockerBadge{}).Where("secret = ?", secret+secret), "UPDATE locker_badges SET secret = '"+secret+secret+"'")
				return err
			}},
		} {
			t.Run(name, func(t *testing.T) {
				own := Open(t, database.Name)
				db, _ := newLockers(t, own)
				require.NoError(t, db.Create(&LockerBadge{ID: "b1", Secret: secret}).Error)
				wire(t, db, own, storeInDatabase, &c.config, append(lockerModels(), c.options...))
				if c.spoil != "" {
					_, err := own.SQL().ExecContext(t.Context(), c.spoil)
					require.NoError(t, err)
				}
				armed = true
				err := c.write(db)
				armed = false
				require.ErrorIs(t, err, c.want)
				require.False(t, sings(fmt.Appendf(nil, "%v %+v %#v", err, err, err)), "%v", err)
				require.Zero(t, own.SQL().Stats().InUse)
			})
		}
	})
}

// logLines is GORM's log, without how long things took and where they were
// called.
type logLines struct{ lines []string }

func (l *logLines) Printf(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

var logNoise = regexp.MustCompile(`\[\d+\.\d+ms\]|\S*\.go:\d+|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*|audit_test_[a-z0-9]+`)

func (l *logLines) text() string { return logNoise.ReplaceAllString(strings.Join(l.lines, "\n"), "") }

// newLockers makes the tables, and a GORM that logs everything.
func newLockers(t *testing.T, database *Database) (*gorm.DB, *logLines) {
	t.Helper()
	raw := openGorm(t, database)
	require.NoError(t, raw.SetupJoinTable(&Locker{}, "Keys", &LockerKeyHeld{}))
	require.NoError(t, raw.AutoMigrate(lockerTables()...))
	log := &logLines{}
	db := database.Gorm(t, &gorm.Config{
		Logger:  logger.New(log, logger.Config{LogLevel: logger.Info}),
		NowFunc: func() time.Time { return opTime },
	})
	require.NoError(t, db.SetupJoinTable(&Locker{}, "Keys", &LockerKeyHeld{}))
	log.lines = nil
	return db, log
}

// tryWrites does all the writes, and returns the texts of their errors.
func tryWrites(db *gorm.DB) (texts []string, errs []error) {
	for i, write := range lockerWrites() {
		err := write(db.WithContext(context.Background()))
		texts, errs = append(texts, logNoise.ReplaceAllString(fmt.Sprint(i, ": ", err), "")), append(errs, err)
	}
	return texts, errs
}

// dumpTable is all that a table holds.
func dumpTable(t *testing.T, database *Database, table string) []byte {
	t.Helper()
	rows, err := database.SQL().Query("SELECT * FROM " + table) //nolint:noctx // a test's
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var dump bytes.Buffer
	for rows.Next() {
		values, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		require.NoError(t, rows.Scan(dest...))
		for _, v := range values {
			fmt.Fprintf(&dump, "%s\n", asText(v))
		}
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, dump.Bytes())
	return dump.Bytes()
}
