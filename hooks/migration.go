package hooks

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

// forget makes the table be looked up anew: it may have been migrated.
func (t *table) forget() {
	t.layout.Store(nil)
	t.indexes.Store(nil)
}
