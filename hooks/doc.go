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
// # Best effort
//
// Under [audit.Config.BestEffort] a change that cannot be recorded goes through,
// and what is missing is counted, reported and told of in the log. Each part of
// the recording runs within a savepoint then, because PostgreSQL lets nothing
// follow a statement that failed: four to six small statements more for each
// write. A statement that fails in the form that the plugin gave it is run once more
// as GORM made it, so one that waits for a lock in vain waits twice. Where GORM
// opens no transaction, the one that the plugin opens is part of the write: if its
// COMMIT fails, so does the write.
//
// What is missing is counted when its statement has run: one for each row that
// the statement affected, and none for rows that the database changes by itself
// or that merely show it. It belongs to the workspace that the values given to GORM
// name, else to that of the context. If the transaction is rolled back afterwards,
// too many are told of, never too few. The log tells of them after the next
// transaction that is begun by GORM and records something.
//
// What still fails, fails for a reason of the application's own: audit.ErrNoActor,
// audit.ErrWorkspaceMismatch, [ErrRawSQL], and what [Exec] and [Record] were called
// for. A transaction that the database has rolled back, or a connection that is
// lost, ends the change in either mode.
//
// # Attempts
//
// What is rolled back leaves nothing, so a change that was refused or that failed
// does not show. [RecordAttempt] records one so that it outlives the transaction,
// [FailedWrites] does so by itself, and audit.Recorder.Attempt does it around
// whatever may fail.
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
