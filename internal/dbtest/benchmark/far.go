package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit/store/sqlstore"
)

// A round trip to the server that is far away, and how many times GORM alone
// auditing may take there.
const (
	farAway = time.Millisecond
	maxFar  = 1.08
)

// measureFar measures operations on one row by way of a network, on PostgreSQL,
// where a statement on one row records itself and adds no round trip.
func (b *bench) measureFar(ctx context.Context, size size) (err error) {
	if b.database.Dialect != sqlstore.Postgres {
		return nil
	}
	host, err := hostOf(b.database.DSN)
	if err != nil {
		fmt.Printf("%s, with a delay: SKIPPED, nothing was measured: %v\n\n", b.database.Name, err)
		return nil
	}
	proxy, err := startDelay(ctx, host, farAway)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	dsn, err := proxy.dsn(b.database.DSN)
	if err != nil {
		return err
	}
	pool, err := sql.Open(b.database.Driver, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	bare, err := open(b.database, pool)
	if err != nil {
		return err
	}
	hooked, err := openHooked(b.database, pool)
	if err != nil {
		return err
	}
	skip := &gorm.Session{SkipDefaultTransaction: true}
	variants := []variant{
		bareEntries(bare), handEntries(bare, b.database), hookEntries(hooked),
		bareEntriesAs("bare, skip tx", bare.Session(skip)), hookEntriesAs("hooks, skip tx", hooked.Session(skip)),
	}
	results, err := b.measure(ctx, single(), variants, max(size.n/2, 3))
	if err != nil {
		return err
	}
	b.print(fmt.Sprintf("with a delay of %s; skip tx is with SkipDefaultTransaction", proxy), results, []string{
		"bare", "by hand", "hooks", "bare, skip tx", "hooks, skip tx",
		"hooks/bare", "hooks/by hand", "by hand/bare", "hooks, skip tx/bare", "hooks, skip tx/bare, skip tx",
	}, farGoals())
	return nil
}

// farGoals are for both ways to use GORM: without its default transaction row and
// event are one statement, and are compared with GORM alone in its usual way.
func farGoals() goals {
	g := each(single(), "hooks/bare", maxFar)
	for _, columns := range g {
		columns["hooks, skip tx/bare"] = maxFar
	}
	return g
}
