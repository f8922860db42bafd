// Package exportjob exports the audit log in the background: what takes too long
// for a web request becomes a job, and a file that its requester downloads when
// it is ready.
//
// # Four parts
//
// A [Store] keeps the jobs, in the audit log's own database for one, and a
// [Place] the files. A [Queue] is what people's requests go to; a [Worker] writes
// the files.
//
//	queue, err := exportjob.New(store.Exports(), exportjob.Folder("/var/lib/app/exports"), rec, &exportjob.Config{Key: key})
//	job, err := queue.Submit(ctx, exportjob.Request{Workspace: "w1", Requester: jo, Filter: f})
//
//	worker := &exportjob.Worker{Queue: queue, Events: store}
//	err = worker.Run(ctx) // in a goroutine of the host; it ends with ctx
//
// Any number of workers may run, in any number of processes that share store and
// place. Each takes a job for a minute at a time and says again and again that it
// is still there. If one dies, another takes the job when that minute is over and
// goes on from what was safe in the file; the file is the same, byte for byte, as
// if nobody had died.
//
// # What is in the file
//
// The events that the filter finds and that are older than the job's bound, which
// lies an hour before the request; see [Job.Bound]. Memory does not grow with
// their number.
//
// # Who gets it
//
// The requester, in the same workspace, until it expires. To anybody else there
// is no such job. A link made with [Queue.Token] names the job, the requester and
// the expiry and is signed; it does not replace the sign-in, since whoever it is
// forwarded to is not the requester. Each request for an export and each download
// is an event of the audit log.
package exportjob
