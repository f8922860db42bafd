package report

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// Options are how a [Handler] works. Authorize is required; the zero value of
// each of the others works as its comment says.
type Options struct {
	// Authorize tells what a request may see. It is required, and called for
	// every request before anything else, those for the style sheet and the
	// script among them.
	//
	// An error refuses the request, and so does a Scope that may neither read
	// nor administer. The answer tells nothing but that: it is the same for
	// every path and method. See OnError.
	//
	// It must be safe for use by several goroutines at once.
	Authorize func(r *http.Request) (Scope, error)

	// OnError answers a request that was refused, for example with a redirect
	// to the page where users sign in. The error is that of Authorize, or
	// audit.ErrForbidden; it must not reach the client. Defaults to an answer
	// of the status alone: 401 for audit.ErrUnauthenticated, 403 for
	// audit.ErrForbidden and 500 for any other error.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Catalog has the names of actions, and so the choice of them. Defaults to
	// audit.DefaultCatalog.
	Catalog *audit.Catalog

	// Authors lists users of the application that people may choose as authors
	// although the log has nothing of them yet, or that are archived by now.
	// Those in the log, and System, are there anyway. If all of them are many, the
	// report offers those of its events and leads to a page of all. A Scope with
	// Only is offered none but those of the events it may see. Defaults to none.
	Authors func(ctx context.Context, workspace string) ([]Author, error)

	// Location is the time zone of days and times for a request that names
	// none. Defaults to UTC. Readers choose others by their names, such as
	// Europe/Berlin; on a machine without time zones, import time/tzdata. It
	// must be one that time.LoadLocation knows by its name, and not time.Local,
	// because addresses name it and are read on other machines.
	Location *time.Location

	// MaxDays is the longest range of a report, in days. Defaults to 30
	// (Clockify, Audit log). A negative one is no limit. Histories of single
	// records, change sets and events are not limited.
	MaxDays int

	// Exports is the queue for exports in the background. The host runs its
	// worker; see package exportjob. Only a request whose Scope names an Actor
	// with an id may use it. Defaults to none: then every export streams.
	Exports *exportjob.Queue

	// Recorder records the exports that stream. One that cannot be recorded is
	// not handed out. Defaults to a Recorder of the store with the zero
	// audit.Config.
	Recorder *audit.Recorder

	// MaxDirectExport is how many events at most are exported while the reader
	// waits, if there is a queue for longer exports. Defaults to 10000. It does
	// not count without Exports: then exports of every length stream.
	MaxDirectExport int

	// Settings keep what each workspace records; the settings of a sqlstore do.
	// Defaults to none: then there is no page for them.
	Settings Settings

	// Types are the entity types that the page of settings lists. Defaults to
	// those of Catalog but [audit.TypeSettings] and [audit.TypeExport]. A type that
	// is on is listed in any case.
	Types []audit.EntityType

	// Key signs the cursors of pages, in 32 bytes or more. Handlers that serve
	// one site together need the same one. Defaults to a random key: then links
	// to further pages work until the program ends.
	Key []byte

	// Now is the clock by which days such as today are reckoned. Defaults to
	// time.Now.
	Now func() time.Time

	// Logger gets the errors that readers are not told. Defaults to
	// slog.Default.
	Logger *slog.Logger
}

// Author is a user whom people may choose as the author of events.
type Author struct {
	Actor audit.Actor
	// Archived users are marked as such.
	Archived bool
}

// Settings are what each workspace records. A change is itself an event, which
// Set writes, by the actor of the context. *sqlstore.Settings are Settings.
type Settings interface {
	// Get returns a workspace's settings.
	Get(ctx context.Context, workspace string) (audit.Switches, error)
	// Set changes a workspace's settings: change gets them as they are and
	// turns some. It may call change more than once.
	Set(ctx context.Context, workspace string, change func(*audit.Switches)) error
}

// The defaults of Options.
const (
	defaultMaxDays         = 30
	defaultMaxDirectExport = 10000
	minKey                 = 32
)

// complete returns the options with their defaults, or says which is wrong.
func (o Options) complete(store audit.Store) (Options, error) {
	switch {
	case o.Authorize == nil:
		return o, errors.New("report: Options.Authorize is nil; it tells what a request may see, and without it everybody would see everything")
	case o.MaxDirectExport < 0:
		return o, fmt.Errorf("report: Options.MaxDirectExport is %d, use 0 for %d", o.MaxDirectExport, defaultMaxDirectExport)
	case len(o.Key) > 0 && len(o.Key) < minKey:
		return o, fmt.Errorf("report: Options.Key has %d bytes, needs %d or more", len(o.Key), minKey)
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if _, err := loadZone(o.Location.String()); err != nil {
		return o, fmt.Errorf("report: Options.Location is %q, which has no name that time.LoadLocation knows everywhere; use one like Europe/Berlin", o.Location)
	}
	if o.OnError == nil {
		o.OnError = refuse
	}
	if o.Catalog == nil {
		o.Catalog = audit.DefaultCatalog()
	}
	if o.MaxDays == 0 {
		o.MaxDays = defaultMaxDays
	}
	if o.MaxDirectExport == 0 {
		o.MaxDirectExport = defaultMaxDirectExport
	}
	if len(o.Types) == 0 {
		for _, g := range o.Catalog.Groups() {
			if g.Type != audit.TypeSettings && g.Type != audit.TypeExport {
				o.Types = append(o.Types, g.Type)
			}
		}
	}
	if len(o.Key) == 0 {
		o.Key = make([]byte, minKey)
		_, _ = rand.Read(o.Key) // ends the program rather than fail
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Recorder == nil {
		var err error
		if o.Recorder, err = audit.New(store, nil); err != nil {
			return o, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// refuse answers a request that Authorize refused.
func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, audit.ErrUnauthenticated):
		status = http.StatusUnauthorized
	case errors.Is(err, audit.ErrForbidden):
		status = http.StatusForbidden
	}
	http.Error(w, http.StatusText(status), status)
}
