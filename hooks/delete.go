package hooks

import "gorm.io/gorm"

// removesRows reports whether a statement of GORM's delete processor is a DELETE:
// a soft delete is an UPDATE, which no constraint follows.
func removesRows(stmt *gorm.Statement) bool {
	return stmt.Schema == nil || stmt.Unscoped || len(stmt.Schema.DeleteClauses) == 0
}

// followed is where a delete keeps the catalogue between two callbacks, if others
// cannot use it.
const followed = "audit:constraints"

// beginDelete is begin for a delete, which may change recorded rows though its
// own table is not recorded.
func (p *Plugin) beginDelete(db *gorm.DB) {
	if db.Error != nil || db.DryRun {
		return
	}
	p.tableOf(db.Statement) // which may be met now, before the constraints are read
	var c *catalogue
	if removesRows(db.Statement) {
		var err error
		if err = p.awaitMigrations(db); err != nil {
			_ = db.AddError(err)
			return
		}
		p.claimUnread(db, p.names.Load().of(db.Statement))
		if c, err = p.constraintsOrLose(db); err != nil {
			p.failBefore(db, err)
			return
		}
		if p.catalogue.Load() != c {
			note(db, followed, c)
		}
	}
	deletesAssociations := len(db.Statement.Selects) > 0
	if p.deleted(db.Statement, c) != nil && (deletesAssociations || !p.mayRunAlone(db.Statement)) {
		p.openTransaction(db)
	}
}

// beforeDelete is before for a delete.
func (p *Plugin) beforeDelete(db *gorm.DB) {
	c, _ := noted(db, followed).(*catalogue)
	if db.Error != nil || db.DryRun {
		return
	}
	if c == nil && removesRows(db.Statement) {
		var err error
		if c, err = p.constraintsOrLose(db); err != nil {
			p.failBefore(db, err)
			return
		}
	}
	if t := p.deleted(db.Statement, c); t != nil {
		p.capture(db, t, c)
	}
}

// deleted returns the table of a delete whose rows, or those that follow them,
// are recorded; nil if none are.
func (p *Plugin) deleted(stmt *gorm.Statement, c *catalogue) *table {
	if t := p.tableOf(stmt); t != nil {
		return t
	}
	names := p.names.Load()
	elsewhere := inClause(stmt, "FROM") // which is refused
	if t := names.find(elsewhere); t != nil || c == nil || len(c.bystanders) == 0 {
		return t
	}
	if t := c.bystanders[p.dialect.fold(names.short(elsewhere))]; t != nil {
		return t
	}
	return c.bystanders[p.dialect.fold(names.short(names.of(stmt)))]
}

// hasDependents reports whether a delete changes other rows than its own.
func (c *capture) hasDependents() bool {
	return c.catalogue != nil && len(c.catalogue.dependents[c.table]) > 0
}
