// Package timesheet holds the GORM models of a time tracker, as Clockify's
// public API describes them. Tests and examples share it.
//
// Keys are set by the application. A nullable foreign key is emptied by the
// database itself when its target goes (ON DELETE SET NULL), which no GORM
// callback sees.
package timesheet

import (
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
)

// TypeCategory is the entity type of Category, which Clockify's audit log does
// not have.
const TypeCategory audit.EntityType = "category"

// TimeEntry is a stretch of time that a user has worked, or is working.
type TimeEntry struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	UserID      string `gorm:"size:36;not null;index" audit:"owner"`
	User        *User  `gorm:"constraint:OnDelete:RESTRICT"`
	Description string `audit:"label"`
	Billable    bool
	ProjectID   *string  `gorm:"size:36;index"`
	Project     *Project `gorm:"constraint:OnDelete:SET NULL"`
	TaskID      *string  `gorm:"size:36;index"`
	Task        *Task    `gorm:"constraint:OnDelete:SET NULL"`
	Tags        []Tag    `gorm:"many2many:time_entry_tags;constraint:OnDelete:CASCADE"`
	Start       time.Time
	// End is nil while the timer runs.
	End *time.Time
	// Type is one of the Entry constants.
	Type   string `gorm:"size:20"`
	Locked bool
	// KioskID is the kiosk at which the user clocked in. Nil for all others.
	KioskID      *string        `gorm:"size:36"`
	HourlyRate   Money          `gorm:"embedded;embeddedPrefix:hourly_rate_"`
	CostRate     Money          `gorm:"embedded;embeddedPrefix:cost_rate_"`
	CustomFields map[string]any `gorm:"serializer:json"`
	CreatedAt    time.Time      `audit:"-"`
	UpdatedAt    time.Time      `audit:"-"`
	DeletedAt    gorm.DeletedAt `gorm:"index"`
}

// The types of a time entry.
const (
	EntryRegular = "REGULAR"
	EntryBreak   = "BREAK"
	EntryHoliday = "HOLIDAY"
	EntryTimeOff = "TIME_OFF"
)

// Project is what time is worked on.
type Project struct {
	ID          string  `gorm:"primaryKey;size:36"`
	WorkspaceID string  `gorm:"size:36;not null;index" audit:"workspace"`
	Name        string  `gorm:"size:250" audit:"label"`
	ClientID    *string `gorm:"size:36;index"`
	Client      *Client `gorm:"constraint:OnDelete:SET NULL"`
	Color       string  `gorm:"size:7"`
	Billable    bool
	Public      bool
	Archived    bool
	Note        string
	HourlyRate  Money `gorm:"embedded;embeddedPrefix:hourly_rate_"`
	CostRate    Money `gorm:"embedded;embeddedPrefix:cost_rate_"`
	// EstimateSeconds is the time that the project may take; 0 is no estimate.
	EstimateSeconds int64
	// EstimateType is MANUAL, AUTO (the sum of the tasks') or empty.
	EstimateType string    `gorm:"size:20"`
	Budget       Money     `gorm:"embedded;embeddedPrefix:budget_"`
	Members      []User    `gorm:"many2many:memberships;constraint:OnDelete:CASCADE"`
	CreatedAt    time.Time `audit:"-"`
	UpdatedAt    time.Time `audit:"-"`
}

// Membership lets a user work on a project, at rates of their own.
type Membership struct {
	ProjectID  string `gorm:"primaryKey;size:36"`
	UserID     string `gorm:"primaryKey;size:36"`
	HourlyRate Money  `gorm:"embedded;embeddedPrefix:hourly_rate_"`
	CostRate   Money  `gorm:"embedded;embeddedPrefix:cost_rate_"`
}

// Task is a part of a project. It goes with its project.
type Task struct {
	ID          string   `gorm:"primaryKey;size:36"`
	WorkspaceID string   `gorm:"size:36;not null;index" audit:"workspace"`
	ProjectID   string   `gorm:"size:36;not null;index"`
	Project     *Project `gorm:"constraint:OnDelete:CASCADE"`
	Name        string   `gorm:"size:250" audit:"label"`
	// Status is TaskActive or TaskDone.
	Status     string  `gorm:"size:20"`
	AssigneeID *string `gorm:"size:36;index" audit:"owner"`
	Assignee   *User   `gorm:"constraint:OnDelete:SET NULL"`
	Billable   bool
	// EstimateSeconds is the time that the task may take; 0 is no estimate.
	EstimateSeconds int64
	HourlyRate      Money     `gorm:"embedded;embeddedPrefix:hourly_rate_"`
	CostRate        Money     `gorm:"embedded;embeddedPrefix:cost_rate_"`
	CreatedAt       time.Time `audit:"-"`
	UpdatedAt       time.Time `audit:"-"`
}

// The states of a task.
const (
	TaskActive = "ACTIVE"
	TaskDone   = "DONE"
)

// Client is whom projects are done for.
type Client struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	Name        string `gorm:"size:250" audit:"label"`
	Email       string `gorm:"size:250"`
	Address     string
	Note        string
	Currency    string `gorm:"size:3"`
	Archived    bool
	CreatedAt   time.Time `audit:"-"`
	UpdatedAt   time.Time `audit:"-"`
}

// Tag is a word that time entries are marked with.
type Tag struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	Name        string `gorm:"size:250" audit:"label"`
	Archived    bool
	CreatedAt   time.Time `audit:"-"`
	UpdatedAt   time.Time `audit:"-"`
}

// Expense is money that a user has spent.
type Expense struct {
	ID          string    `gorm:"primaryKey;size:36"`
	WorkspaceID string    `gorm:"size:36;not null;index" audit:"workspace"`
	UserID      string    `gorm:"size:36;not null;index" audit:"owner"`
	User        *User     `gorm:"constraint:OnDelete:RESTRICT"`
	Date        time.Time `gorm:"type:date"`
	ProjectID   *string   `gorm:"size:36;index"`
	Project     *Project  `gorm:"constraint:OnDelete:SET NULL"`
	TaskID      *string   `gorm:"size:36;index"`
	Task        *Task     `gorm:"constraint:OnDelete:SET NULL"`
	CategoryID  *string   `gorm:"size:36;index"`
	Category    *Category `gorm:"constraint:OnDelete:SET NULL"`
	// Quantity counts the category's units; 1 where it has no price.
	Quantity float64
	Total    Money  `gorm:"embedded;embeddedPrefix:total_"`
	Notes    string `audit:"label"`
	Billable bool
	// ReceiptID is the file of the receipt. Nil if there is none.
	ReceiptID *string        `gorm:"size:36"`
	CreatedAt time.Time      `audit:"-"`
	UpdatedAt time.Time      `audit:"-"`
	DeletedAt gorm.DeletedAt `gorm:"index"`
}

// Category is a kind of expense.
type Category struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	Name        string `gorm:"size:250" audit:"label"`
	// Unit is what Price is for, as "km". Empty if expenses name their total.
	Unit      string `gorm:"size:20"`
	Price     Money  `gorm:"embedded;embeddedPrefix:price_"`
	Archived  bool
	CreatedAt time.Time `audit:"-"`
	UpdatedAt time.Time `audit:"-"`
}

// User is somebody who works in the workspace.
type User struct {
	ID          string `gorm:"primaryKey;size:36"`
	WorkspaceID string `gorm:"size:36;not null;index" audit:"workspace"`
	Name        string `gorm:"size:250" audit:"label"`
	Email       string `gorm:"size:250"`
	Archived    bool
	CreatedAt   time.Time `audit:"-"`
	UpdatedAt   time.Time `audit:"-"`
}

// Money is an amount in the minor units of a currency, as 1250 and "EUR" for
// 12.50 euros. The zero Money means that no amount is set.
type Money struct {
	Amount   int64
	Currency string `gorm:"size:3"`
}

// Models returns a value of every model, parents first.
func Models() []any {
	return []any{
		&User{}, &Client{}, &Project{}, &Membership{}, &Task{}, &Tag{}, &Category{}, &TimeEntry{}, &Expense{},
	}
}

// Setup tells GORM that Membership joins projects and users. Call it once for
// each *gorm.DB, before anything uses the models.
func Setup(db *gorm.DB) error {
	if err := db.SetupJoinTable(&Project{}, "Members", &Membership{}); err != nil {
		return fmt.Errorf("timesheet: join projects and users: %w", err)
	}
	return nil
}

// Migrate calls Setup and makes the tables.
func Migrate(db *gorm.DB) error {
	if err := Setup(db); err != nil {
		return err
	}
	if err := db.AutoMigrate(Models()...); err != nil {
		return fmt.Errorf("timesheet: make the tables: %w", err)
	}
	return nil
}
