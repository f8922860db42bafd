// Package archive keeps events outside of the database: in compressed files, one or
// a few for each workspace and month, that can be queried like the live log and put
// back into it. Package retention writes them before it deletes events.
//
//	store, err := archive.New(archive.Folder("/var/lib/app/archive"))
//	all := audit.Merge(live, store)                      // the log as if nothing had been deleted
//	page, err := audit.QueryPage(ctx, all, filter, cursor, 50)
//	n, err := archive.Restore(ctx, live, store, filter)  // back into the database
//
// # What is in the files
//
//	acme-822b33ad87c148a0-2025-03-1.jsonl.gz        the events, newest first, without loss
//	acme-822b33ad87c148a0-2025-03-1.csv.gz          the same for people, if asked for
//	acme-822b33ad87c148a0-2025-03-1.manifest.json   what is in them; see Manifest
//
// The name begins with letters and digits of the workspace's name and a digest of
// it, then come the month (UTC) and a number. The first file is plain gzip and JSON
// Lines: zcat and any program that reads JSON will do, without this package.
//
// # What can be relied on
//
// The manifest is written last: files without one are left-overs of a process that
// was killed, and nobody reads them. No file is ever replaced, changed or removed.
// All that is read is checked against digests, so that a file which is cut short or
// changed is an error ([ErrDamaged]) that names it, never an answer with something
// missing. That somebody removes an archive with its manifest shows in the log:
// the events of the type [audit.TypeLog] name the files.
//
// The digests are no signatures: who may write to the place may write another
// archive with digests that fit.
package archive
