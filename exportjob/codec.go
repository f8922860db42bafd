package exportjob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

const (
	// maxName is the length in bytes of what stores index, as of events.
	maxName = 191
	// maxFilter is the length in bytes of a filter in JSON.
	maxFilter = 60 << 10
)

// stored is the form in which jobs are kept. A field may be added; one that an
// older program does not know makes it refuse the job.
type stored struct {
	V          int             `json:"v"`
	ID         uuid.UUID       `json:"id"`
	Workspace  string          `json:"workspace"`
	Requester  audit.Actor     `json:"requester"`
	Filter     json.RawMessage `json:"filter"`
	Format     Format          `json:"format"`
	PerChange  bool            `json:"per_change,omitempty"`
	Raw        bool            `json:"raw,omitempty"`
	BOM        bool            `json:"bom,omitempty"`
	Zone       string          `json:"zone,omitempty"`
	Created    time.Time       `json:"created"`
	Bound      time.Time       `json:"bound"`
	State      State           `json:"state"`
	Reason     string          `json:"reason,omitempty"`
	Rows       int64           `json:"rows,omitempty"`
	Percent    int             `json:"percent,omitempty"`
	Finished   time.Time       `json:"finished,omitzero"`
	Size       int64           `json:"size,omitempty"`
	SHA256     string          `json:"sha256,omitempty"`
	Expires    time.Time       `json:"expires,omitzero"`
	Notified   time.Time       `json:"notified,omitzero"`
	Slot       int             `json:"slot,omitempty"`
	Due        time.Time       `json:"due,omitzero"`
	Attempt    int             `json:"attempt,omitempty"`
	Notices    int             `json:"notices,omitempty"`
	Checkpoint *checkpoint     `json:"checkpoint,omitempty"`
}

type checkpoint struct {
	Attempt int          `json:"attempt"`
	Size    int64        `json:"size"`
	SHA256  string       `json:"sha256"`
	Next    audit.Cursor `json:"next"`
}

// storedVersion is the version of the form.
const storedVersion = 1

// EncodeJob returns the job as JSON, all but its Version, for a [Store] to keep.
func EncodeJob(j Job) ([]byte, error) {
	filter, err := encodeFilter(j.Filter)
	if err != nil {
		return nil, err
	}
	s := stored{
		V: storedVersion, ID: j.ID, Workspace: j.Workspace, Requester: j.Requester, Filter: filter, Format: j.Format,
		PerChange: j.Options.PerChange, Raw: j.Options.Raw, BOM: j.Options.BOM, Zone: j.Options.Zone,
		Created: j.Created, Bound: j.Bound, State: j.State, Reason: j.Reason, Rows: j.Rows, Percent: j.Percent, Finished: j.Finished,
		Size: j.Size, SHA256: j.SHA256, Expires: j.Expires, Notified: j.Notified,
		Slot: j.Slot, Due: j.Due, Attempt: j.Attempt, Notices: j.Notices,
	}
	if c := j.Checkpoint; c != (Checkpoint{}) {
		s.Checkpoint = &checkpoint{c.Attempt, c.Size, c.SHA256, c.Next}
	}
	return json.Marshal(s)
}

// DecodeJob reads what [EncodeJob] returned; Version stays 0. What a newer
// program has written and this one does not know, be it a part of the filter, is
// an error, since without it the export would be another one.
func DecodeJob(text []byte) (Job, error) {
	var s stored
	if err := strictly(text, &s); err != nil {
		return Job{}, fmt.Errorf("exportjob: a stored export cannot be read by this version: %w", err)
	}
	if s.V != storedVersion {
		return Job{}, fmt.Errorf("exportjob: a stored export is of version %d, this program knows %d; upgrade github.com/gormtrail/audit", s.V, storedVersion)
	}
	filter, err := decodeFilter(s.Filter)
	if err != nil {
		return Job{}, fmt.Errorf("exportjob: the filter of export %s cannot be read by this version: %w", s.ID, err)
	}
	j := Job{
		ID: s.ID, Workspace: s.Workspace, Requester: s.Requester, Filter: filter, Format: s.Format,
		Options: Options{PerChange: s.PerChange, Raw: s.Raw, BOM: s.BOM, Zone: s.Zone},
		Created: s.Created, Bound: s.Bound, State: s.State, Reason: s.Reason, Rows: s.Rows, Percent: s.Percent, Finished: s.Finished,
		Size: s.Size, SHA256: s.SHA256, Expires: s.Expires, Notified: s.Notified,
		Slot: s.Slot, Due: s.Due, Attempt: s.Attempt, Notices: s.Notices,
	}
	if c := s.Checkpoint; c != nil {
		j.Checkpoint = Checkpoint{c.Attempt, c.Size, c.SHA256, c.Next}
	}
	return j, nil
}

// encodeFilter returns the fields of the filter that are set, so that a program
// that does not know a new field can still read filters without it.
func encodeFilter(f audit.Filter) (json.RawMessage, error) { return json.Marshal(setFields(plain(f))) }

func setFields(f audit.Filter) map[string]any {
	set := map[string]any{}
	v := reflect.ValueOf(f)
	for _, field := range reflect.VisibleFields(v.Type()) {
		if value := v.FieldByIndex(field.Index); field.IsExported() && !value.IsZero() {
			set[field.Name] = value.Interface()
		}
	}
	if len(f.Except) > 0 {
		except := make([]any, len(f.Except))
		for i, x := range f.Except {
			except[i] = setFields(x)
		}
		set["Except"] = except
	}
	return set
}

// plain is the filter with times that are equal after they were stored.
func plain(f audit.Filter) audit.Filter {
	f.From, f.To = plainTime(f.From), plainTime(f.To)
	f.Except = slices.Clone(f.Except)
	for i := range f.Except {
		f.Except[i] = plain(f.Except[i])
	}
	return f
}

// plainTime is t without zone and monotonic clock.
func plainTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}

func decodeFilter(text []byte) (audit.Filter, error) {
	var f audit.Filter
	if err := strictly(text, &f); err != nil {
		return audit.Filter{}, err
	}
	if f.Workspace == "" {
		return audit.Filter{}, errors.New("it names no workspace")
	}
	return f, nil
}

// checkFilter refuses a filter that would be another one after it was stored, as
// one with bytes that are no text, and one that is too long.
func checkFilter(f audit.Filter) error {
	text, err := encodeFilter(f)
	if err != nil {
		return fmt.Errorf("%w: it cannot be stored: %w", audit.ErrInvalidFilter, err)
	}
	if len(text) > maxFilter {
		return fmt.Errorf("%w: it has %d bytes, more than the %d of an export's", audit.ErrInvalidFilter, len(text), maxFilter)
	}
	if again, err := decodeFilter(text); err != nil || !reflect.DeepEqual(plain(f), again) {
		return fmt.Errorf("%w: it holds what cannot be stored, bytes that are not UTF-8 perhaps", audit.ErrInvalidFilter)
	}
	return nil
}

// strictly reads one JSON value whose every field is known.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the end")
	}
	return nil
}
