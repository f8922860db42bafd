package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/gormtrail/audit"
)

// Request says what to archive.
type Request struct {
	// Workspace is the workspace of the events. It is required.
	Workspace string
	// From and To are the range, within one month (UTC): From <= time < To.
	From, To time.Time
	// Events are the events in that range that are to be archived, newest first,
	// as audit.Query returns them. They may be read more than once.
	Events iter.Seq2[audit.Event, error]
	// CSV adds a file for people; see [Manifest.CSV].
	CSV bool
}

// Write makes an archive of the events: the data, the CSV if it was asked for, and
// the manifest last, since without it nothing is an archive. Then it reads all of
// it back; see [Store.Verify]. Without events it makes nothing and returns the zero
// Manifest.
//
// Nothing is ever replaced. If there is a file of the same name with other content,
// the error wraps [io/fs.ErrExist]; one with the same content, as a process leaves
// that was killed before it wrote the manifest, is taken as it is, and data of other
// events of the month is passed over. Other errors are
// those of the events and of the place, and [ErrDamaged] if what is read back is
// not what was written. After an error there is no new archive, except if it could
// not be verified.
func (s *Store) Write(ctx context.Context, r Request) (Manifest, error) {
	month := monthStart(r.From)
	if r.Workspace == "" || !r.From.Before(r.To) || r.To.After(month.AddDate(0, 1, 0)) || r.Events == nil {
		return Manifest{}, errors.New("archive: Write needs a workspace, a range within one month and events")
	}
	next, stop := iter.Pull2(r.Events)
	_, err, some := next()
	stop()
	if err != nil || !some {
		return Manifest{}, err
	}
	return s.write(ctx, r, month)
}

func (s *Store) write(ctx context.Context, r Request, month time.Time) (m Manifest, err error) {
	m = Manifest{Version: Version, Workspace: r.Workspace, From: r.From.UTC(), To: r.To.UTC(), SchemaVersion: 1}
	if m.Part, err = s.nextPart(ctx, r.Workspace, month); err != nil {
		return m, err
	}
	for {
		m.Data, err = s.create(ctx, m.base()+dataSuffix, func(w io.Writer) error { return m.writeData(w, r) })
		if !errors.Is(err, fs.ErrExist) || !s.isLeft(ctx, m) {
			break
		}
		m.Part++
	}
	if errors.Is(err, errNothing) {
		return Manifest{}, nil
	}
	if err != nil {
		return m, err
	}
	if r.CSV {
		file, err := s.create(ctx, m.base()+csvSuffix, func(w io.Writer) error { return s.writeCSV(ctx, w, m) })
		if err != nil {
			return m, err
		}
		m.CSV = &file
	}
	text, err := m.encode()
	if err != nil {
		return m, fmt.Errorf("archive: write %q: %w", m.Name(), err)
	}
	if err := m.check(m.Name()); err != nil {
		return m, err
	}
	if _, err := s.create(ctx, m.Name(), func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return m, err
	}
	return m, s.Verify(ctx, m)
}

// isLeft reports whether the file where data was to be written is the data of
// another archive of the month: of one that was interrupted before it had a
// manifest, or that somebody else is about to finish.
func (s *Store) isLeft(ctx context.Context, m Manifest) bool {
	file, err := open(ctx, s.place, m.base()+dataSuffix)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	z, err := gzip.NewReader(contextReader{ctx, file})
	if err != nil {
		return false
	}
	events := 0
	for e, err := range audit.ReadJSONLines(z) {
		if err != nil || e.Workspace != m.Workspace || !monthStart(e.Time).Equal(monthStart(m.From)) {
			return false
		}
		events++
	}
	return events > 0
}

// nextPart is the number of the month's next archive.
func (s *Store) nextPart(ctx context.Context, workspace string, month time.Time) (int, error) {
	manifests, err := s.Manifests(ctx, workspace, month, month.AddDate(0, 1, 0))
	if err != nil {
		return 0, err
	}
	next := 1
	for _, m := range manifests {
		next = max(next, m.Part+1)
	}
	return next, nil
}

// writeData writes the events and takes down what the manifest has to tell of them.
func (m *Manifest) writeData(w io.Writer, r Request) error {
	blocks := blockWriter{w: w}
	m.Events, m.Newest, m.Oldest = 0, time.Time{}, time.Time{}
	var last audit.Position
	for e, err := range r.Events {
		switch {
		case err != nil:
			return err
		case e.Workspace != r.Workspace || e.Time.Before(r.From) || !e.Time.Before(r.To):
			return fmt.Errorf("event %s is of another workspace or out of range", e.ID)
		case e.Position().Compare(last) <= 0:
			return fmt.Errorf("event %s is out of order", e.ID)
		}
		if err := blocks.add(e); err != nil {
			return err
		}
		if m.Events == 0 {
			m.Newest = e.Time.UTC()
		}
		m.Oldest, last = e.Time.UTC(), e.Position()
		m.SchemaVersion = max(m.SchemaVersion, e.SchemaVersion)
		m.Events++
	}
	if m.Events == 0 {
		return errNothing
	}
	err := blocks.flush()
	m.Blocks = blocks.blocks
	return err
}

// errNothing says that there are no events any more, though there were.
var errNothing = errors.New("there is nothing to archive")

// writeCSV writes the events of the archive's data once more, for people.
func (s *Store) writeCSV(ctx context.Context, w io.Writer, m Manifest) error {
	z := gzip.NewWriter(w)
	p := &part{place: s.place, manifest: m}
	events := func(yield func(audit.Event, error) bool) {
		for {
			e, err := p.peek(ctx)
			if err != nil {
				yield(audit.Event{}, err)
				return
			}
			if e == nil {
				return
			}
			p.after = e.Position()
			if !yield(*e, nil) {
				return
			}
		}
	}
	_, err := audit.WriteCSV(z, events, nil)
	return errors.Join(err, z.Close(), p.close())
}

// sum counts and digests what is written.
type sum struct {
	size int64
	hash hash.Hash
}

func newSum() *sum { return &sum{hash: sha256.New()} }

func (s *sum) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	return s.hash.Write(b)
}

func (s *sum) file(name string) File {
	return File{Name: name, Size: s.size, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}

// create creates a file, or takes the one that is there if it has the same content.
func (s *Store) create(ctx context.Context, name string, write func(io.Writer) error) (File, error) {
	written := newSum()
	err := s.place.Create(ctx, name, func(w io.Writer) error {
		written = newSum()
		return write(io.MultiWriter(w, written))
	})
	switch {
	case err == nil:
		return written.file(name), nil
	case !errors.Is(err, fs.ErrExist):
		return File{}, fmt.Errorf("archive: write %q: %w", name, err)
	}
	written = newSum()
	if err := write(written); err != nil {
		return File{}, fmt.Errorf("archive: write %q: %w", name, err)
	}
	there, failed := s.digest(ctx, name)
	if failed != nil {
		return File{}, failed
	}
	if there != written.file(name) {
		return File{}, fmt.Errorf("archive: %q is there already and holds something else; move it away: %w", name, err)
	}
	return there, nil
}

// digest reads a file.
func (s *Store) digest(ctx context.Context, name string) (f File, err error) {
	file, err := open(ctx, s.place, name)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	read := newSum()
	if _, err := io.Copy(read, contextReader{ctx, file}); err != nil {
		return f, fmt.Errorf("archive: read %q: %w", name, err)
	}
	return read.file(name), nil
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// Verify reads the files of an archive, all of them, and checks that they are what
// the manifest says: each event's workspace, time and place in the order, the
// number of events, the lengths and the digests; and that the manifest that is kept
// is the one given. It returns [ErrDamaged] if anything differs.
func (s *Store) Verify(ctx context.Context, m Manifest) error {
	kept, err := s.manifest(ctx, m.Name())
	if err != nil {
		return err
	}
	given, err := m.encode()
	if err != nil {
		return fmt.Errorf("archive: verify %q: %w", m.Name(), err)
	}
	if text, err := kept.encode(); err != nil || !bytes.Equal(text, given) {
		return damaged(m.Name(), "is not the manifest that was written")
	}
	if err := s.verifyData(ctx, m); err != nil {
		return err
	}
	if m.CSV == nil {
		return nil
	}
	there, err := s.digest(ctx, m.CSV.Name)
	if err != nil {
		return err
	}
	if there != *m.CSV {
		return damaged(m.CSV.Name, "is not the file that its manifest tells of")
	}
	return nil
}

func (s *Store) verifyData(ctx context.Context, m Manifest) (err error) {
	name := m.Data.Name
	file, err := open(ctx, s.place, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	read := newSum()
	var last audit.Position
	for i := range m.Blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		packed, events, err := m.readBlock(file, i)
		if err != nil {
			return err
		}
		if events[0].Position().Compare(last) <= 0 {
			return damaged(name, "has events out of order in block %d", i+1)
		}
		last = events[len(events)-1].Position()
		_, _ = read.Write(packed) // never fails
	}
	rest, err := io.Copy(read, file)
	switch {
	case err != nil:
		return fmt.Errorf("archive: read %q: %w", name, err)
	case rest > 0:
		return damaged(name, "is %d bytes longer than its manifest says", rest)
	case read.file(name) != m.Data:
		return damaged(name, "has another digest than its manifest says")
	case !last.Time.Equal(m.Oldest):
		return damaged(name, "ends with another event than its manifest says")
	}
	return nil
}
