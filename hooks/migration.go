package hooks

import "gorm.io/gorm"

// changesTables reports whether SQL changes what tables look like, by the words
// that its statements begin with. Of what PostgreSQL's DO runs nothing is known,
// so it is taken for a migration, too.
func changesTables(dialect, text string) bool {
	l := &lexer{dialect: dialect, text: text}
	begins := true
	for t, ok := l.next(); ok; t, ok = l.next() {
		if begins && t.isOne([]string{"ALTER", "CREATE", "DROP", "RENAME", "DO"}) {
			return true
		}
		begins = t.kind == ';'
	}
	return false
}

// forgetTables makes all that is known of tables be looked up anew.
func (p *Plugin) forgetTables() {
	for _, t := range p.known() {
		if t != nil {
			t.forget()
		}
	}
	p.catalogue.Store(nil)
}

// migration marks a statement that changes tables.
const migration = "audit:migration"

// afterMigration forgets once more what was looked up while a migration waited for
// those who used the tables: they have seen them as they were. Failed or not, it
// may have changed some. While its transaction is open, all others are locked out
// who would look at the columns.
func (p *Plugin) afterMigration(db *gorm.DB) {
	if migrated, _ := noted(db, migration).(bool); migrated {
		p.forgetTables()
	}
}

// forget makes the table be looked up anew: it may have been migrated.
func (t *table) forget() {
	t.layout.Store(nil)
	t.indexes.Store(nil)
}
