package hooks

import "gorm.io/gorm"

// setting is the key of what the plugin notes on a statement for a later
// callback. Copies of a statement have its settings, but those of another are
// not meant for them.
type setting struct {
	of   *gorm.Statement
	name string
}

// note leaves a value on the statement.
func note(db *gorm.DB, name string, value any) {
	db.Statement.Settings.Store(setting{db.Statement, name}, value)
}

// noted returns the value and forgets it: a statement may be run again, and what
// the application finds in it afterwards is its own. It is nil if there is none.
func noted(db *gorm.DB, name string) any {
	value, _ := db.Statement.Settings.LoadAndDelete(setting{db.Statement, name})
	return value
}
