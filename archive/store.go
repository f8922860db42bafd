package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// Store is what the archives in a [Place] hold, as an [audit.Store] that can be
// read only: Append returns an error that wraps errors.ErrUnsupported. Reports,
// queries and exports work on it as they do on the live one; audit.Merge reads both
// as one.
//
// It reads the manifests of the months that a filter asks for and those blocks of
// their data that lie behind the position, each checked against its digest. It
// keeps nothing in memory between two calls. An event that is in two archives is
// found once.
//
// A Store is safe for use by several goroutines at once.
type Store struct{ place Place }

var _ audit.Store = (*Store)(nil)

// New returns the archives of a place. A nil place is an error.
func New(place Place) (*Store, error) {
	if place == nil {
		return nil, errors.New("archive: New needs a place, got nil")
	}
	return &Store{place}, nil
}

// Append implements [audit.Store].
func (s *Store) Append(context.Context, []audit.Event) error {
	return fmt.Errorf("archive: archives can be read only; see archive.Restore: %w", errors.ErrUnsupported)
}

// List implements [audit.Store]. It returns [ErrDamaged] and [ErrNewer] as
// [ReadManifest] does, for the archives that it has to look into.
func (s *Store) List(ctx context.Context, f audit.Filter, after audit.Position, limit int) (found []audit.Event, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("archive: limit is %d, must be at least 1", limit)
	}
	to := f.To
	if !after.IsZero() && (to.IsZero() || after.Time.Before(to)) {
		to = after.Time.Add(time.Microsecond) // events at the very time may follow
	}
	manifests, err := s.Manifests(ctx, f.Workspace, f.From, to)
	if err != nil {
		return nil, err
	}
	parts := make([]*part, len(manifests))
	for i, m := range manifests {
		parts[i] = &part{place: s.place, manifest: m, after: after, to: to}
		defer func() { err = errors.Join(err, parts[i].close()) }()
	}
	for len(found) < limit {
		e, err := newest(ctx, parts)
		if err != nil {
			return nil, err
		}
		if e == nil || e.Time.Before(f.From) {
			break
		}
		after = e.Position()
		for _, p := range parts {
			p.after = after
		}
		if f.Matches(*e) {
			found = append(found, *e)
		}
	}
	return found, nil
}

// newest is the newest event of the parts, which are in the order of time, nil if there
// is none. What is older as a whole is not opened for it.
func newest(ctx context.Context, parts []*part) (first *audit.Event, err error) {
	for _, p := range slices.Backward(parts) {
		if first != nil && p.manifest.Newest.Before(first.Time) {
			continue
		}
		e, err := p.peek(ctx)
		if err != nil {
			return nil, err
		}
		if e != nil && (first == nil || e.Position().Compare(first.Position()) < 0) {
			first = e
		}
	}
	return first, nil
}

// Manifests returns the manifests of the workspace's archives that have events, or
// may have, in a range, From <= time < To, by month and part. A zero time is open.
// Those of other months are not read. What a manifest says of its oldest event leaves
// it out of nothing: that shows when the event is read.
func (s *Store) Manifests(ctx context.Context, workspace string, from, to time.Time) ([]Manifest, error) {
	names, err := s.place.List(ctx, prefix(workspace))
	if err != nil {
		return nil, fmt.Errorf("archive: list the archives of workspace %q: %w", workspace, err)
	}
	var list []Manifest
	for _, name := range names {
		if !strings.HasSuffix(name, manifestSuffix) {
			continue
		}
		month, _, ok := monthOf(workspace, name)
		if !ok {
			return nil, damaged(name, "has not the name of a manifest; move it away")
		}
		if !from.IsZero() && !from.Before(month.AddDate(0, 1, 0)) || !to.IsZero() && !month.Before(to) {
			continue
		}
		m, err := s.manifest(ctx, name)
		if err != nil {
			return nil, err
		}
		if m.Workspace != workspace {
			return nil, damaged(name, "is of another workspace than its name tells")
		}
		if from.IsZero() || !m.Newest.Before(from) {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b Manifest) int {
		if c := monthStart(a.From).Compare(monthStart(b.From)); c != 0 {
			return c
		}
		return a.Part - b.Part
	})
	return list, nil
}

// manifest reads a manifest.
func (s *Store) manifest(ctx context.Context, name string) (m Manifest, err error) {
	file, err := s.place.Open(ctx, name)
	if err != nil {
		return m, fmt.Errorf("archive: open %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return ReadManifest(name, file)
}

// part is an archive that is being read.
type part struct {
	place    Place
	manifest Manifest
	// after and to are where reading goes on.
	after audit.Position
	to    time.Time

	file   io.ReadSeekCloser
	block  int           // that is read next
	events []audit.Event // of the block that was read, as far as they are ahead
}

// peek is the newest event that lies after the position, nil if there is none. It
// stays the caller's only until the next call.
func (p *part) peek(ctx context.Context) (*audit.Event, error) {
	for {
		for len(p.events) > 0 {
			e := &p.events[0]
			if e.Position().Compare(p.after) > 0 && (p.to.IsZero() || e.Time.Before(p.to)) {
				return e, nil
			}
			p.events = p.events[1:]
		}
		if p.block == len(p.manifest.Blocks) {
			return nil, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := p.read(ctx); err != nil {
			return nil, err
		}
	}
}

// read reads the next block.
func (p *part) read(ctx context.Context) (err error) {
	if p.file == nil {
		if p.file, err = open(ctx, p.place, p.manifest.Data.Name); err != nil {
			return err
		}
		p.block = p.manifest.firstBlock(p.after, p.to)
		offset := int64(0)
		for _, b := range p.manifest.Blocks[:p.block] {
			offset += b.Size
		}
		if _, err := p.file.Seek(offset, io.SeekStart); err != nil {
			return fmt.Errorf("archive: read %q: %w", p.manifest.Data.Name, err)
		}
	}
	_, p.events, err = p.manifest.readBlock(p.file, p.block)
	p.block++
	return err
}

func (p *part) close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}
