// Package audit records who changed what in a Go backend: who, what, when, on
// which record, from which value to which value, and why it happened.
//
// Package hooks captures what GORM writes, in the transaction of the write. This
// package holds what does not depend on GORM: the events, what completes them,
// what finds them and what writes them down for others.
//
// # Recording
//
// Three things make an audit trail: a [Store] that keeps events, a [Recorder]
// that completes them, and the plugin of package hooks that captures them.
//
//	store, err := sqlstore.New(pool, sqlstore.Postgres, nil)
//	err = store.Migrate(ctx)
//	rec, err := audit.New(store, nil)
//	err = db.Use(hooks.New(rec,
//		hooks.Model[TimeEntry](audit.TypeTimeEntry),
//		hooks.Model[Project](audit.TypeProject, hooks.Cascade[TimeEntry]("project_id")),
//	))
//
// From then on the application writes as before, and each create, update, delete
// and restore of these models leaves an [Event]. If the event cannot be written
// the change fails with [ErrAuditFailed].
//
// What no hook can see is recorded by hand, with [Recorder.Record] or, inside a
// transaction, with [Recorder.RecordTx].
//
// # Who and why
//
// All that is known about the one who acts travels in the context, and nowhere
// else:
//
//	ctx = audit.WithActor(ctx, audit.Actor{ID: "17", Name: "Jo"})
//	ctx = audit.WithOrigin(ctx, audit.OriginImport)
//	ctx = audit.WithReason(ctx, "Forgot to stop the timer")
//	err = db.WithContext(ctx).Model(&project).Update("name", "Apollo").Error
//
// [Middleware] does so for web requests. A job that acts on somebody's behalf is
// [System] with an initiator, see [WithInitiator]. Without an actor the author is
// [Unknown], or the change fails if [Config.RequireActor] is set.
//
// # Events
//
// An event names the record ([Entity]), the [Operation], the [Origin] and whether
// the actor owns the record ([Ownership]). Its changes are what the database held
// before and after. Null and "not recorded" are different things, see [Value]. A
// column that holds JSON is one [Change]; [Change.Details] tells what is
// different inside it. [Diff] compares two values without any database.
//
// Events that belong together share a change set: those of one transaction, or
// of several joined by [WithChangeSet]. An event that another one led to names
// it as its cause. Where only the name of a parent changed, the events of its
// children are derived, see [Cascade].
//
// # What is recorded
//
// A [Gate] decides per workspace and entity type, and may change its mind while
// the program runs. [Switch] is one in memory, the settings of sqlstore are one
// in the database; without a gate all that is registered is recorded.
//
//	var gate audit.Switch
//	rec, err := audit.New(store, &audit.Config{Gate: &gate})
//	gate.Set("w1", true)
//	gate.SetType("w1", true, audit.TypeProject, audit.TypeTimeEntry)
//
// # Names
//
// A [Catalog] names events as people know them, "Updated time (for other)", and
// by codes, UPDATE_TIME_FOR_OTHER: the ones of Clockify's audit log, and those
// of an application's own types by [Catalog.With]. [Catalog.Actions] goes the
// other way and turns names into a [Filter].
//
// # Reading
//
// [Query] ranges over all events that a filter asks for, newest first, in
// constant memory; [QueryPage] reads one page and returns the [Cursor] of the
// next.
//
//	f := audit.Filter{Workspace: "w1", From: from, To: to, Actors: []audit.Actor{{ID: "17"}, audit.System}}
//	for event, err := range audit.Query(ctx, store, f) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event) // Jo updated project "Apollo": name: "Gemini" → "Apollo"
//	}
//	n, err := audit.WriteCSV(w, audit.Query(ctx, store, f), nil)
//
// [ParseQuery] makes a filter of a line that people write, such as
//
//	actor:u17 action:project.updated -entity:tag created:2026-11-01..2026-11-30 "acme"
//
// and [FormatQuery] makes the line of a filter. [QueryActors] lists the authors
// to choose from.
//
// Every filter names its workspace. [WriteCSV] is for people, [WriteJSONLines]
// for programs; [ReadJSONLines] reads the latter back without loss. [ExportCSV] and
// [ExportJSONLines] are the fast ways to a long file.
//
// Package exportjob exports in the background what takes too long for a request,
// and hands the file to the one who asked for it.
//
// # Stores
//
// Package store/sqlstore keeps events in SQLite, PostgreSQL, MariaDB or MySQL and
// joins the application's transactions; package store/memstore keeps them in
// memory. Others implement [Store], and [TxStore] if they can join a transaction;
// package store/storetest tests them.
//
// # Forgetting
//
// Package retention deletes events that have been kept for long enough, package
// archive keeps them in files before that. [Merge] reads both as one log.
package audit
