package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/internal/dbtest"
	"github.com/gormtrail/audit/store/sqlstore"
)

// bench is a database with all that is measured in it.
type bench struct {
	database *dbtest.Database
	raw      *gorm.DB       // without hooks, to prepare with
	changed  map[string]int // rows that preparing has changed, by table
	owed     map[string]int // rows that are owed to each log
	logged   int            // events that a log holds before anything is measured
	limits   *limits
}

// newBench makes the tables.
func newBench(ctx context.Context, database *dbtest.Database, logged int, limits *limits) (*bench, error) {
	raw, err := open(database, database.SQL())
	if err != nil {
		return nil, err
	}
	if err := raw.AutoMigrate(tables()...); err != nil {
		return nil, err
	}
	for _, log := range []string{sqlstore.DefaultTable, handLog, readyLog} {
		store, err := sqlstore.New(database.SQL(), database.Dialect, &sqlstore.Config{Table: log})
		if err != nil {
			return nil, err
		}
		if err := store.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	b := &bench{database: database, raw: raw, logged: logged, limits: limits, changed: map[string]int{}, owed: map[string]int{}}
	if err := raw.Create(&Project{ID: theProject, WorkspaceID: "w1", Name: "Apollo"}).Error; err != nil {
		return nil, err
	}
	return b, nil
}

// open opens GORM on a pool of connections to a database.
func open(database *dbtest.Database, pool *sql.DB) (*gorm.DB, error) {
	var dialector gorm.Dialector
	switch database.Dialect {
	case sqlstore.Postgres:
		dialector = postgres.New(postgres.Config{Conn: pool})
	case sqlstore.MySQL:
		dialector = mysql.New(mysql.Config{Conn: pool})
	default:
		dialector = &sqlite.Dialector{Conn: pool}
	}
	return gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
}

// openHooked is open with hooks.
func openHooked(database *dbtest.Database, pool *sql.DB) (*gorm.DB, error) {
	store, err := sqlstore.New(pool, database.Dialect, nil)
	if err != nil {
		return nil, err
	}
	rec, err := audit.New(store, nil)
	if err != nil {
		return nil, err
	}
	db, err := open(database, pool)
	if err != nil {
		return nil, err
	}
	return db, db.Use(hooks.New(rec,
		hooks.Model[hookEntry](audit.TypeTimeEntry), hooks.Model[hookCrowded](audit.TypeTimeEntry),
		hooks.Model[hookNumbered](audit.TypeTimeEntry), hooks.Model[hookCharged](audit.TypeTimeEntry)))
}

// measure runs every operation n times, the bulk ones a tenth of it, in turn for
// every variant.
func (b *bench) measure(ctx context.Context, operations []operation, variants []variant, n int) ([]result, error) {
	ctx = acting(ctx)
	var results []result
	for _, op := range operations {
		if err := b.settle(ctx, op, variants); err != nil {
			return nil, err
		}
		runs := n
		if op.rows > 1 {
			runs = max(n/10, 1)
		}
		r := result{op.name, map[string][]time.Duration{}}
		first := -1 // to warm up
		if runs == 1 {
			first = 0
		}
		for i := first; i < runs; i++ {
			for k := range variants {
				v := variants[(i+1+k)%len(variants)] // nobody always follows the same one
				took, err := b.run(ctx, op, v, i+1)
				if err != nil {
					return nil, err
				}
				if i >= 0 {
					r.times[v.name()] = append(r.times[v.name()], took)
				}
			}
		}
		results = append(results, r)
	}
	return results, nil
}

// settle makes of the tables of an operation what they are in use, where the logs
// hold events already.
func (b *bench) settle(ctx context.Context, op operation, variants []variant) error {
	for _, v := range variants {
		for v.log() != "" && b.owed[v.log()] < b.logged {
			if _, err := b.run(ctx, createMany(), v, 0); err != nil {
				return err
			}
		}
		if err := op.prepare(b, v.table(), 0); err != nil {
			return fmt.Errorf("prepare %s of %s: %w", op.name, v.name(), err)
		}
		for _, table := range []string{v.table(), v.log()} {
			if table == "" {
				continue
			}
			if err := b.settleTable(table); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleTable makes a table that has just been filled like one that was there
// before: the database has statistics of it, without which it may read every row by
// a wrong index, and PostgreSQL has done what its autovacuum would.
func (b *bench) settleTable(table string) error {
	begin := map[sqlstore.Dialect]string{sqlstore.SQLite: "ANALYZE ", sqlstore.Postgres: "VACUUM ANALYZE ", sqlstore.MySQL: "ANALYZE TABLE "}
	if err := b.raw.Exec(begin[b.database.Dialect] + table).Error; err != nil {
		return fmt.Errorf("settle %s: %w", table, err)
	}
	return nil
}

// acting is a context with an actor.
func acting(ctx context.Context) context.Context {
	return audit.WithActor(audit.WithWorkspace(ctx, "w1"), audit.Actor{ID: "u1", Name: "Jo"})
}

// run prepares an operation and runs it once.
func (b *bench) run(ctx context.Context, op operation, v variant, i int) (time.Duration, error) {
	if err := op.prepare(b, v.table(), i); err != nil {
		return 0, fmt.Errorf("prepare %s of %s: %w", op.name, v.name(), err)
	}
	start := time.Now()
	err := op.run(ctx, v, i)
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s of %s: %w", op.name, v.name(), err)
	}
	if v.log() != "" {
		b.owed[v.log()] += op.rows
	}
	return took, nil
}

// check counts the events in the logs. Triggers log what prepares, too.
func (b *bench) check(ctx context.Context) error {
	b.owed[triggerLog] += b.changed["trigger_entries"]
	b.owed[oursLog] += b.changed["ours_entries"]
	for _, log := range slices.Sorted(maps.Keys(b.owed)) {
		owed, recorded := b.owed[log], 0
		if owed == 0 {
			continue
		}
		if err := b.database.SQL().QueryRowContext(ctx, "SELECT count(*) FROM "+log).Scan(&recorded); err != nil {
			return err
		}
		fmt.Printf("%s: %d events of %d owed are in %s\n", b.database.Name, recorded, owed, log)
		if recorded != owed {
			return fmt.Errorf("%d events are in %s, %d were owed", recorded, log, owed)
		}
	}
	return nil
}
