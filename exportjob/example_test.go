package exportjob_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/store/memstore"
)

// A request becomes a job, a worker writes the file, and the requester downloads
// it. In a program the store is sqlstore's, and worker.Run(ctx) runs in a
// goroutine of the host's.
func Example() {
	ctx := context.Background()
	jo := audit.Actor{ID: "17", Name: "Jo"}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	events := memstore.New()
	rec, err := audit.New(events, nil)
	check(err)
	check(rec.Record(audit.WithActor(ctx, jo), audit.Event{
		ID: uuid.UUID{15: 1}, Time: now.Add(-3 * time.Hour), Workspace: "w1", Operation: audit.Created, Entity: audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"},
	}))
	folder, err := os.MkdirTemp("", "exports")
	check(err)
	defer func() { check(os.RemoveAll(folder)) }()

	queue, err := exportjob.New(new(exportjob.Memory), exportjob.Folder(folder), rec, &exportjob.Config{
		Key: []byte("32 bytes that nobody else knows."),
		Now: func() time.Time { return now },
	})
	check(err)
	job, err := queue.Submit(ctx, exportjob.Request{Workspace: "w1", Requester: jo, Format: exportjob.JSONLines})
	check(err)
	fmt.Println(job.State, "with what was recorded before", job.Bound.Format(time.Kitchen))

	worker := &exportjob.Worker{Queue: queue, Events: events, Notifier: exportjob.NotifierFunc(func(_ context.Context, job exportjob.Job) error {
		fmt.Println(job.State, job.Rows, "events in", job.FileName())
		return nil
	})}
	_, err = worker.Work(ctx)
	check(err)

	content, err := queue.Open(ctx, "w1", jo, job.ID)
	check(err)
	_, err = io.Copy(os.Stdout, content)
	check(err)
	check(content.Close())
	// Output:
	// queued with what was recorded before 8:00AM
	// ready 1 events in audit_20260302T0800Z.jsonl
	// {"id":"00000000-0000-0000-0000-000000000001","time":"2026-03-02T06:00:00.000000Z","workspace":"w1","actor":{"kind":"user","id":"17","name":"Jo"},"operation":"created","entity":{"type":"project","id":"7","label":"Apollo"},"schema_version":1}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
