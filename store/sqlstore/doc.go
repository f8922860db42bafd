// Package sqlstore keeps audit events in SQLite, PostgreSQL, MySQL or MariaDB,
// over database/sql. It brings no driver and needs none in particular.
//
//	store, err := sqlstore.New(db, sqlstore.Postgres, nil)
//	err = store.Migrate(ctx) // or the SQL of Migrations in your own migrations
//	rec, err := audit.New(store, nil)
//
// # Transactions
//
// A [Store] writes inside the transaction of the change that it records, so
// that neither is committed without the other. It prepares no statements and
// never needs a second connection for that.
//
// # Tables
//
// There are four: the events, the settings of the workspaces (see [Settings]),
// the exports made in the background (see [Exports]) and the version of the
// other three. [Store.Protect] adds one on SQLite, [Partitions] one for each month.
// Time is an integer of microseconds, so
// that no time zone of a connection matters. The changes of an event are text,
// byte for byte as [audit.AppendStored] writes them.
//
// On SQLite, set a busy timeout and let transactions begin as immediate
// (_txlock=immediate in most drivers' DSNs): one that begins as a reader cannot
// wait to become a writer, and auditing reads before it writes.
package sqlstore
