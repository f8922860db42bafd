package exportjob

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// State is where a job stands.
type State string

// The states of a job. It is queued, then running, then one of the others; a
// ready one expires.
const (
	Queued    State = "queued"
	Running   State = "running"
	Ready     State = "ready"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	Expired   State = "expired"
)

// Open reports whether there is still something to wait for.
func (s State) Open() bool { return s == Queued || s == Running }

// Format is what the file is written in.
type Format string

// The formats of files.
const (
	CSV       Format = "csv"   // see [audit.WriteCSV]
	JSONLines Format = "jsonl" // see [audit.WriteJSONLines]
)

// Options say how the file is written. They are those of [audit.CSVOptions] and
// do nothing to [JSONLines].
type Options struct {
	// PerChange writes one row for each change instead of one for each event.
	PerChange bool
	// Raw leaves out what keeps spreadsheets from running a cell as a formula.
	Raw bool
	// BOM begins the file with a byte order mark.
	BOM bool
	// Zone is the time zone of the column Time, by its IANA name:
	// "Europe/Berlin". Empty is UTC. "Local" is refused: it is another zone on
	// another machine.
	Zone string
}

// csv are the options of [audit.WriteCSV].
func (o Options) csv(c *audit.Catalog) (audit.CSVOptions, error) {
	location, err := o.location()
	return audit.CSVOptions{PerChange: o.PerChange, Raw: o.Raw, BOM: o.BOM, Location: location, Catalog: c}, err
}

func (o Options) location() (*time.Location, error) {
	if o.Zone == "Local" {
		return nil, fmt.Errorf(`%w: the time zone "Local" is another one on another machine; name one, as "Europe/Berlin"`, ErrInvalid)
	}
	location, err := time.LoadLocation(o.Zone)
	if err != nil {
		return nil, fmt.Errorf("%w: there is no time zone %q", ErrInvalid, o.Zone)
	}
	return location, nil
}

// Request is what somebody asks [Queue.Submit] for.
type Request struct {
	// Workspace is the workspace that is read. It is required.
	Workspace string
	// Requester is who asks, and the only one who may see the job and its file.
	// It needs an id.
	Requester audit.Actor
	// Filter says which events are wanted. Its workspace is Workspace or empty.
	Filter audit.Filter
	// Format defaults to [CSV].
	Format Format
	// Options are for [CSV].
	Options Options
}

// Job is an export that was asked for. It is a value; to change it is for
// [Queue] and [Worker].
type Job struct {
	ID        uuid.UUID
	Workspace string
	Requester audit.Actor
	Filter    audit.Filter
	Format    Format
	Options   Options

	// Created is when the job was asked for, in UTC with microseconds.
	Created time.Time
	// Bound is the time before which events are read: Filter.To, but no later
	// than [Config.Lag] before Created. An event's time lies before its commit,
	// so younger events may not all be there yet. [Queue.Submit] settles it, so
	// the file does not depend on when it is written.
	Bound time.Time
	// State is where the job stands.
	State State
	// Reason says why the job failed, in words for the requester. Empty in
	// other states.
	Reason string
	// Rows is the number of events that are safe in the file: up to now while
	// it is written, all of them once it is ready. With Options.PerChange an
	// event has several rows in the file.
	Rows int64
	// Percent is how much of the time from the workspace's oldest event within
	// the filter to Bound has been read: 0 to 99, and 100 once it is ready.
	Percent int
	// Finished is when the job became ready, failed or was cancelled.
	Finished time.Time
	// Size is the file's length in bytes, and SHA256 its digest in hexadecimal.
	// They are set once the job is ready.
	Size   int64
	SHA256 string
	// Expires is when the file is removed. Zero until the job is ready.
	Expires time.Time
	// Notified is when the [Notifier] took the message. Zero until then.
	Notified time.Time

	// What follows is for stores and workers.

	// Slot is the job's place among the requester's open jobs, from 1 on. No two
	// open jobs of one requester share a place, which is how their number is
	// limited. 0 if the job holds none.
	Slot int
	// Due is when a worker looks at the job next: at once if it is queued, when
	// the lease of the one that writes it ends, when a message is tried again,
	// when the file expires. Zero is never.
	Due time.Time
	// Attempt counts the workers that took the job. Each writes a file of its
	// own, so that two never write to one.
	Attempt int
	// Notices counts the attempts to notify.
	Notices int
	// Checkpoint is what the next worker may go on from.
	Checkpoint Checkpoint
	// Version counts the changes of the stored job; see [Store.Update].
	Version int64
}

// Checkpoint is a beginning of the file that is complete and synced.
type Checkpoint struct {
	// Attempt is whose file it is.
	Attempt int
	// Size is its length in bytes, and SHA256 its digest in hexadecimal.
	Size   int64
	SHA256 string
	// Next is where reading goes on.
	Next audit.Cursor
}

// FileName is the name under which people download the file. It holds no text
// that anybody could have chosen.
func (j Job) FileName() string {
	name := "audit"
	if !j.Filter.From.IsZero() {
		name += "_" + j.Filter.From.UTC().Format("20060102T1504Z")
	}
	if !j.Bound.IsZero() {
		name += "_" + j.Bound.UTC().Format("20060102T1504Z")
	}
	return name + "." + j.Format.extension()
}

// ContentType is the media type of the file.
func (j Job) ContentType() string {
	if j.Format == JSONLines {
		return "application/jsonl; charset=utf-8"
	}
	return "text/csv; charset=utf-8; header=present"
}

func (f Format) extension() string {
	if f == JSONLines {
		return "jsonl"
	}
	return "csv"
}

// by reports whether the job is the requester's.
func (j Job) by(workspace string, requester audit.Actor) bool {
	return j.Workspace == workspace && j.Requester.Same(requester)
}

// wanted is the filter with the job's bound.
func (j Job) wanted() audit.Filter {
	f := j.Filter
	f.Workspace, f.To = j.Workspace, j.Bound
	return f
}

// at is the job as it stands at a time, though no worker may have noticed yet.
func (j Job) at(now time.Time) Job {
	if j.State == Ready && !now.Before(j.Expires) {
		j.State = Expired
	}
	return j
}
