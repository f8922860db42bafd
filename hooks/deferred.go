package hooks

import (
	"context"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// deferredWarning is logged by db.Use.
const deferredWarning = `audit: this SQLite database begins its transactions as deferred: ` +
	`one that reads before it writes fails with "database is locked" where it could have waited; add _txlock=immediate to the DSN`

// findDeferred finds out whether SQLite's transactions begin as readers. One of
// those that reads and then wants to write does not wait for another writer,
// whatever the busy timeout: it fails at once. Since the plugin reads the old
// rows before GORM writes, it has to claim the database first then; see claim.
//
// SQLite does not say in which way a transaction began. But it refuses a
// checkpoint within one that has taken a lock already, and an immediate one has.
// The connection at hand is enough to see that. Whatever fails here, fails
// for a reason that is none of ours.
func (p *Plugin) findDeferred(ctx context.Context, db *gorm.DB) {
	if p.dialect.name != "sqlite" {
		return
	}
	tx := db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Begin()
	if tx.Error != nil {
		return
	}
	defer tx.Rollback()
	conn := connection(tx.Statement.ConnPool)
	var (
		busy, frames, moved int
		file                string
	)
	if conn.QueryRowContext(ctx, "PRAGMA main.wal_checkpoint").Scan(&busy, &frames, &moved) != nil {
		return
	}
	err := conn.QueryRowContext(ctx, "SELECT COALESCE(file,'') FROM pragma_database_list WHERE name='main'").Scan(&file)
	if err != nil || file == "" {
		return // one in memory has nobody to wait for
	}
	p.deferred = true
	db.Logger.Warn(ctx, deferredWarning)
}

// claim makes a deferred transaction of SQLite a writer before the plugin reads
// in it, by a statement that writes nothing. So it waits for other writers, as
// GORM's own statement does when it comes first. What fails here, the statement
// itself will meet: that it waited in vain, or that the application has read
// before in its transaction, which therefore cannot wait.
func (p *Plugin) claim(ctx context.Context, tx audit.DBTX, table string) {
	if p.deferred {
		_, _ = tx.ExecContext(ctx, "DELETE FROM "+p.dialect.quote(table)+" WHERE 0")
	}
}

// claimUnread is claim for a statement before which the catalogue is read.
func (p *Plugin) claimUnread(db *gorm.DB, table string) {
	if p.knownConstraints() == nil && inTransaction(db.Statement.ConnPool) {
		p.claim(db.Statement.Context, connection(db.Statement.ConnPool), table)
	}
}
