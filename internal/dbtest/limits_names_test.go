package dbtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// LongNamed has names of more bytes than PostgreSQL keeps.
type LongNamed struct {
	ID   int    `gorm:"primaryKey;autoIncrement:false"`
	Land string `gorm:"size:9"`
	Code string `gorm:"column:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc;unique"`
}

const cutName, cutColumn = "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt", "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

// TableName implements GORM's Tabler.
func (LongNamed) TableName() string { return cutName }

// TestNamesThatPostgreSQLCutsAreNotKnownAgain where the database tells them.
func TestNamesThatPostgreSQLCutsAreNotKnownAgain(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "postgres"), []string{
		usualLands[0], usualLands[1], usualLands[2],
		"CREATE TABLE " + cutName + " (id int PRIMARY KEY, land varchar(9) REFERENCES lands (code) ON DELETE CASCADE, " + cutColumn + " text UNIQUE)",
	}, hooks.Model[Land]("land"), hooks.Model[LongNamed]("long"))
	require.NoError(t, db.Create(&LongNamed{1, "at", "c"}).Error)
	on := clause.OnConflict{Columns: []clause.Column{{Name: cutColumn}}, DoUpdates: clause.AssignmentColumns([]string{"land"})}
	require.ErrorIs(t, db.Clauses(on).Create(&LongNamed{2, "be", "c"}).Error, audit.ErrAuditFailed)
	require.NoError(t, db.Delete(&Land{Code: "at"}).Error)
	kept := cutColumn[:63]
	require.Equal(t, []string{`1/1 Jo created long 1 "": id - => 1; land - => "at"; ` + kept + ` - => "c"`, `2/2 Jo deleted land at "": code "at" => -`}, recorded())
	require.ErrorIs(t, db.Take(&LongNamed{}).Error, gorm.ErrRecordNotFound)
}

// Report is a view of papers.
type Report struct {
	ID   int    `gorm:"primaryKey;autoIncrement:false"`
	Code string `gorm:"size:9"`
	N    int
}

var papers = []string{"CREATE TABLE towns (id int PRIMARY KEY, land text)", "CREATE TABLE papers (id int PRIMARY KEY, code varchar(9) UNIQUE, n int)", "INSERT INTO papers VALUES (1, 'a', 1)"}

// TestAViewHasNoIndexesOfItsOwn by which MariaDB could be asked for what an upsert meets.
func TestAViewHasNoIndexesOfItsOwn(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "mysql"), append(papers[:3:3], "CREATE VIEW reports AS SELECT * FROM papers"), hooks.Model[Report]("report"))
	require.NoError(t, db.Clauses(clause.OnConflict{DoUpdates: clause.AssignmentColumns([]string{"n"})}).Create(&Report{2, "a", 5}).Error)
	require.Empty(t, recorded())
	require.NoError(t, db.Take(&Report{}, "id = 1 AND n = 5").Error)
}

// TestAViewWhoseRowsCannotBeLocked of PostgreSQL cannot be written through.
func TestAViewWhoseRowsCannotBeLocked(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "postgres"), append(papers[:3:3], "CREATE VIEW reports AS SELECT id, code, max(n) AS n FROM papers GROUP BY id",
		"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'DELETE' THEN DELETE FROM papers WHERE id = OLD.id; RETURN OLD; END IF;"+
			" UPDATE papers SET n = NEW.n WHERE id = OLD.id; RETURN NEW; END $$",
		"CREATE TRIGGER i INSTEAD OF UPDATE OR DELETE ON reports FOR EACH ROW EXECUTE FUNCTION f()"), hooks.Model[Report]("report"))
	require.ErrorContains(t, db.Model(&Report{ID: 1}).Update("n", 5).Error, "is not allowed with GROUP BY")
	require.NoError(t, db.Where("n = 1").Delete(&Report{}).Error)
	require.Equal(t, []string{`1/1 Jo deleted report 1 "": id 1 => -; code "a" => -; n 1 => -`}, recorded())
}

// TestAnAttemptThatFindsNoConnectionIsMissing waits ten seconds, for SQLite is locked by
// the very transaction that waits.
func TestAnAttemptThatFindsNoConnectionIsMissing(t *testing.T) {
	t.Parallel()
	db, recorded := lands(t, Open(t, "sqlite"), usualLands, hooks.FailedWrites())
	require.NoError(t, db.Connection(func(c *gorm.DB) error {
		return c.Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&Town{ID: 3, Land: "ch"}).Error)
			require.NoError(t, tx.SavePoint("s").Error)
			require.Error(t, tx.Create(&Town{ID: 3, Land: "ch"}).Error)
			return tx.RollbackTo("s").Error
		})
	}))
	require.Equal(t, []string{`1/1 Jo created town 3 "": id - => 3; land - => "ch"`}, recorded())
}

// TestAttemptsWithinAConnectionAreApart since nobody watches the transactions that are
// begun there.
func TestAttemptsWithinAConnectionAreApart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mysql"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, recorded := lands(t, Open(t, name), usualLands, hooks.FailedWrites())
			require.NoError(t, db.Connection(func(c *gorm.DB) error {
				return c.Transaction(func(tx *gorm.DB) error {
					require.ErrorContains(t, hooks.RecordAttempt(tx, denied()), "a transaction that is not watched")
					require.NoError(t, tx.Create(&Town{ID: 3, Land: "ch"}).Error)
					require.NoError(t, tx.SavePoint("s").Error)
					require.Error(t, tx.Create(&Town{ID: 3, Land: "ch"}).Error)
					return tx.RollbackTo("s").Error
				})
			}))
			got := recorded()
			require.Len(t, got, 2)
			require.Equal(t, `1/1 Jo created town 3 "": id - => 3; land - => "ch"`, got[0])
			require.True(t, strings.HasPrefix(got[1], `2/2 Jo failed_to_create town 3 ""`), got[1]) // of another change set
		})
	}
}
