// Command quickstart records a change, reports it, and exports it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/sqlstore"
)

// Project is a model as any other.
type Project struct {
	ID     uint
	Name   string `audit:"label"`
	Budget int
}

func main() {
	ctx := context.Background()
	db, err := gorm.Open(sqlite.Open(":memory:"))
	check(err)
	pool, err := db.DB()
	check(err)
	pool.SetMaxOpenConns(1) // each connection would have an in-memory database of its own
	check(db.AutoMigrate(&Project{}))
	// Three things make an audit trail: a store, a recorder, and the plugin.
	store, err := sqlstore.New(pool, sqlstore.SQLite, nil)
	check(err)
	check(store.Migrate(ctx))
	rec, err := audit.New(store, nil)
	check(err)
	check(db.Use(hooks.New(rec, hooks.Model[Project](audit.TypeProject))))

	// Work as usual. The context says who acts.
	ctx = audit.WithActor(ctx, audit.Actor{ID: "17", Name: "Jo"})
	check(db.WithContext(ctx).Create(&Project{Name: "Gemini", Budget: 100}).Error)
	check(db.WithContext(ctx).Model(&Project{}).Where("budget < ?", 500).Updates(Project{Name: "Apollo", Budget: 500}).Error)

	events := audit.Query(ctx, store, audit.Filter{Workspace: audit.DefaultWorkspace})
	for e, err := range events {
		check(err)
		fmt.Println(e) // Jo updated project "Apollo": name: "Gemini" → "Apollo", budget: 100 → 500
	}
	_, err = audit.WriteCSV(os.Stdout, events, nil)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
