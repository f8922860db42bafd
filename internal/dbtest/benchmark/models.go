package main

import (
	"time"

	"gorm.io/gorm"
)

// Entry is what is written. GORM embeds exported structs only.
type Entry struct {
	ID string `gorm:"primaryKey;size:36"`
	Work
}

// Work is all of an entry but its key.
type Work struct {
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	UserID      string `gorm:"size:36;not null" audit:"owner"`
	Crowd       int    `gorm:"index"`
	Description string `gorm:"size:200" audit:"label"`
	Billable    bool
	Amount      int64
	Started     time.Time
	Ended       *time.Time
	DeletedAt   gorm.DeletedAt `gorm:"index"` // as gorm.Model has it
}

// Entries with a key that the application makes, in a table for each variant.
type (
	bareEntry    struct{ Entry }
	handEntry    struct{ Entry }
	hookEntry    struct{ Entry }
	plainEntry   struct{ Entry }
	triggerEntry struct{ Entry }
	oursEntry    struct{ Entry } // with the triggers of package sqlstore
	readyEntry   struct{ Entry }
	bareCrowded  struct{ Entry } // among very many
	hookCrowded  struct{ Entry }
)

// Numbered is an entry whose key the database makes.
type Numbered struct {
	ID int64
	Work
}

type (
	bareNumbered struct{ Numbered }
	handNumbered struct{ Numbered }
	hookNumbered struct{ Numbered }
)

// Project is what a Charged entry refers to.
type Project struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null" audit:"workspace"`
	Name        string `gorm:"size:200" audit:"label"`
}

// Charged is an entry with a foreign key, whose label hooks looks up.
type Charged struct {
	Entry
	ProjectID string `gorm:"size:36;not null"`
	Project   *Project
}

type (
	bareCharged struct{ Charged }
	handCharged struct{ Charged }
	hookCharged struct{ Charged }
)

// theProject is the one that all entries are charged to.
const theProject = "00000000-0000-4000-8000-000000000002"

// tables are those that GORM makes.
func tables() []any {
	return []any{
		&bareEntry{}, &handEntry{}, &hookEntry{}, &plainEntry{}, &triggerEntry{}, &oursEntry{}, &readyEntry{}, &bareCrowded{}, &hookCrowded{},
		&bareNumbered{}, &handNumbered{}, &hookNumbered{}, &Project{}, &bareCharged{}, &handCharged{}, &hookCharged{},
	}
}
