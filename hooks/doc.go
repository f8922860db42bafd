// Package hooks records what GORM writes: it is a plugin that turns every
// create, update, delete and restore of a registered model into an audit event,
// in the transaction of the change.
//
//	store, err := sqlstore.New(sqlDB, sqlstore.Postgres, nil)
//	rec, err := audit.New(store, nil)
//	err = db.Use(hooks.New(rec,
//		hooks.Model[Project](audit.TypeProject, hooks.Cascade[TimeEntry]("project_id")),
//		hooks.Model[TimeEntry](audit.TypeTimeEntry),
//	))
//
// From then on the application works as before; who acts is said by the context
// of each statement, with audit.WithActor.
//
// # How a change is captured
//
// GORM works out the conditions of a statement step by step, and only the SQL it
// hands to the connection has them all. So while GORM runs a statement on a
// registered table, a stand-in takes the place of its connection. When the
// finished statement arrives, the stand-in
//
//  1. reads, and locks, the rows that match its conditions (nothing for a plain
//     INSERT; the rows it may collide with for an upsert),
//  2. runs the statement, unchanged but for the columns it is made to return
//     where the database does that cheaply,
//  3. reads the same rows again by their primary keys,
//  4. tells by the two images of each row what happened to it: that it was
//     created, updated, deleted or restored.
//
// The images are what the database holds, never the application's structs:
// defaults, roundings, generated columns and triggers show as they are. The
// events are written before GORM commits, with those of the associations that
// the same call saved, in one INSERT. If they cannot be written, the call fails
// with audit.ErrAuditFailed and its transaction is rolled back. Where GORM is
// told not to open a transaction, the plugin opens one.
//
// The plugin's own SQL runs on the statement's connection below GORM: it does
// not go through GORM's callbacks, scopes, log or cache of prepared statements,
// and changes neither RowsAffected nor the application's values.
//
// # What belongs to an event
//
// Rows of a join table show as elements on the model that declares the relation:
// a time entry's tags added and removed. References carry the label of what they
// refer to. Rows that the database removes or changes together with a deleted
// one, and those that merely show it, follow as events of their own; see
// [Cascade].
//
// # Stores that cannot join a transaction
//
// For a store that is no [audit.TxStore], such as memstore, and under
// [SeparateDatabase], events are held until the commit; those of a rolled-back
// transaction or savepoint are dropped.
package hooks
