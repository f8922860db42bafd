package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// measured is how many events of a kind are written to tell the bytes of one.
const measured = 2000

// The goals, in bytes of the table on PostgreSQL, for rows whose keys are numbers,
// as those of gorm.Model are. A key that is a UUID takes 36 bytes wherever it
// stands, in four columns and in the images, since a log is read by people.
const (
	updateBytes = 300
	createBytes = 700
)

// Shift is a row of 13 columns.
type Shift struct {
	ID           string `gorm:"primaryKey;size:36"`
	WorkspaceID  string `gorm:"size:36" audit:"workspace"`
	UserID       string `gorm:"size:36" audit:"owner"`
	Description  string `gorm:"size:200" audit:"label"`
	Billable     bool
	ProjectID    string `gorm:"size:36"`
	TaskID       *string
	Start        time.Time
	End          *time.Time
	Type         string `gorm:"size:20"`
	Locked       bool
	RateAmount   int64
	RateCurrency string `gorm:"size:3"`
}

// naming is how an application names its records.
type naming struct {
	name   string
	of     func(kind string, n int) string
	judged bool // there are goals for it
}

func namings() []naming {
	return []naming{
		{"numbers", func(_ string, n int) string { return strconv.Itoa(n + 1) }, true},
		{"UUIDs", func(kind string, n int) string { return fixedID(kind, 0, n) }, false},
	}
}

// measureSizes writes rows through the hooks and prints what their events take.
func (o options) measureSizes(ctx context.Context) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "bytes per event\tids\ttable\tindexes\tgoal\t")
	missed := 0
	for _, name := range o.databases {
		for _, ids := range namings() {
			created, updated, err := sizes(ctx, name, ids)
			if errors.Is(err, dbtest.ErrUnavailable) {
				fmt.Fprintf(os.Stderr, "%s: SKIPPED, nothing was measured: %v\n", name, err)
				break
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			for _, line := range []struct {
				what string
				size footprint
				goal int
			}{{"create of 13 columns", created, createBytes}, {"update of one column", updated, updateBytes}} {
				goal, bad := "", false
				if name == "postgres" && ids.judged {
					goal, bad = strconv.Itoa(line.goal), line.size.table > line.goal
				}
				fmt.Fprintf(t, "%s, %s\t%s\t%s\t%d\t%s\t\n", name, line.what, ids.name, mark(strconv.Itoa(line.size.table), bad, &missed), line.size.indexes, goal)
			}
		}
	}
	_ = t.Flush()
	if o.check && missed > 0 {
		return fmt.Errorf("%d goals were missed", missed)
	}
	return nil
}

// sizes are the bytes of an event that tells of a created row, and of one that
// tells of one column.
func sizes(ctx context.Context, name string, ids naming) (created, updated footprint, err error) {
	db, drop, err := dbtest.New(ctx, name)
	if err != nil {
		return created, updated, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	store, err := sqlstore.New(db.SQL(), db.Dialect, nil)
	if err != nil {
		return created, updated, err
	}
	rec, err := audit.New(store, nil)
	if err != nil {
		return created, updated, err
	}
	g, err := gorm.Open(db.Dialector(), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return created, updated, err
	}
	err = errors.Join(store.Migrate(ctx), g.AutoMigrate(&Shift{}), g.Use(hooks.New(rec, hooks.Model[Shift](audit.TypeTimeEntry))))
	if err != nil {
		return created, updated, err
	}
	rows := make([]Shift, measured)
	for i := range rows {
		rows[i] = newShift(i, ids)
		if err := g.WithContext(who(ctx, &rows[i], i)).Create(&rows[i]).Error; err != nil {
			return created, updated, err
		}
	}
	before, err := measureFootprint(ctx, db)
	if err != nil {
		return created, updated, err
	}
	for i := range rows {
		r := &rows[i]
		if err := g.WithContext(who(ctx, r, i)).Model(r).Update("description", r.Description+", part two").Error; err != nil {
			return created, updated, err
		}
	}
	after, err := measureFootprint(ctx, db)
	return before.per(measured), footprint{after.table - before.table, after.indexes - before.indexes}.per(measured), err
}

// newShift is a row of one of 20 workspaces and 200 authors.
func newShift(i int, ids naming) Shift {
	end := begin.Add(time.Duration(i) * time.Minute)
	return Shift{
		ID: ids.of("shift", i), WorkspaceID: ids.of("workspace", i%workspaces), UserID: ids.of("user", i%authors),
		Description: activities[i%len(activities)] + ", " + customer(i%customers), Billable: i%3 > 0, ProjectID: ids.of("project", i%projects),
		Start: end.Add(-time.Hour), End: &end, Type: "REGULAR", RateAmount: 4500, RateCurrency: "EUR",
	}
}

func who(ctx context.Context, r *Shift, i int) context.Context {
	return audit.WithActor(audit.WithWorkspace(ctx, r.WorkspaceID), audit.Actor{ID: r.UserID, Name: author(0, i%authors).Name})
}

// footprint is how many bytes events take.
type footprint struct{ table, indexes int }

func (f footprint) per(events int) footprint { return footprint{f.table / events, f.indexes / events} }

// measureFootprint counts the pages of the events' table and of its indexes. The
// primary key is an index, except on MariaDB, where it holds the rows.
func measureFootprint(ctx context.Context, db *dbtest.Database) (f footprint, err error) {
	var query string
	switch db.Dialect {
	case sqlstore.SQLite:
		query = `SELECT sum(pgsize * (name = 'audit_events')), sum(pgsize * (name <> 'audit_events'))
			FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = 'audit_events')`
	case sqlstore.Postgres:
		// Without the maps of the pages, which are small beside many events.
		query = "SELECT pg_relation_size(oid) + pg_relation_size(reltoastrelid), pg_indexes_size(oid) FROM pg_class WHERE oid = 'audit_events'::regclass"
	default:
		// The statistics of small indexes are far off, and space is given to them
		// by the megabyte.
		query = `SELECT sum(index_name = 'PRIMARY') * @@innodb_page_size, sum(index_name <> 'PRIMARY') * @@innodb_page_size
			FROM information_schema.innodb_buffer_page
			WHERE page_type = 'INDEX' AND table_name = CONCAT('` + "`', DATABASE(), '`.`audit_events`" + `')`
	}
	err = db.SQL().QueryRowContext(ctx, query).Scan(&f.table, &f.indexes)
	return f, err
}
