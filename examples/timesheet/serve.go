package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/backend"
	"github.com/gormtrail/audit/examples/timesheet/web"
	"github.com/gormtrail/audit/examples/timesheet/week"
	"github.com/gormtrail/audit/exportjob"
	auditreport "github.com/gormtrail/audit/report"
)

// site is the web site with the audit log on it, and the worker that writes its
// exports to a folder. This is all that an application does to have the page.
func (t *tracker) site(zone *time.Location, folder string) (http.Handler, *exportjob.Worker, error) {
	key := make([]byte, 32) // an application keeps one, so that its links outlive a restart
	_, _ = rand.Read(key)
	queue, err := exportjob.New(t.store.Exports(), exportjob.Folder(folder), t.rec, &exportjob.Config{
		Key: key, Now: t.clock.Now,
		Lag: time.Minute, // no transaction of this program takes longer
	})
	if err != nil {
		return nil, nil, err
	}
	site := web.New(backend.New(t.db, nil), week.Workspace)
	page, err := auditreport.NewHandler(t.store, &auditreport.Options{
		Authorize: site.Authorize, OnError: site.Refuse, Catalog: catalog, Location: zone,
		Settings: t.settings, Exports: queue, Recorder: t.rec, Now: t.clock.Now,
	})
	if err != nil {
		return nil, nil, err
	}
	handler, err := site.Handler(page)
	return handler, &exportjob.Worker{Queue: queue, Events: t.store, Catalog: catalog, Poll: time.Second}, err
}

// serve shows the audit log as a web page until ctx ends. The story's clock goes
// on from where the log ends.
func (t *tracker) serve(ctx context.Context, opts *options, stdout io.Writer) error {
	newest, err := t.store.List(ctx, audit.Filter{Workspace: week.Workspace}, audit.Position{}, 1)
	if err != nil {
		return err
	}
	for _, e := range newest {
		t.clock.Run(e.Time.Add(30 * time.Minute))
	}
	folder := t.path + "-exports"
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	handler, worker, err := t.site(opts.zone, folder)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", opts.serve)
	if err != nil {
		return fmt.Errorf("-serve: %w", err)
	}
	out := &printer{w: stdout}
	out.printf("Time tracker: http://%s/\nDatabase: %s; -db serves it again\nExports:  %s\nCtrl-C ends it.\n", listener.Addr(), absolute(t.path), absolute(folder))

	ctx, stop := context.WithCancel(ctx)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	var running sync.WaitGroup
	running.Go(func() { _ = worker.Run(ctx) }) // it ends with ctx, by the error of ctx
	running.Go(func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(last)
	})
	err = server.Serve(listener)
	stop()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, out.err)
}
