package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Version is the version of the archives' form that this package writes.
const Version = 1

// Errors that callers may want to tell apart with errors.Is. Their messages name
// the file.
var (
	// ErrDamaged is returned for an archive that is not what it was when it was
	// written: its file is cut short, changed or missing, or its manifest says
	// what is not true.
	ErrDamaged = errors.New("archive: the archive is damaged")
	// ErrNewer is returned for an archive that a later version of this module
	// wrote.
	ErrNewer = errors.New("archive: the archive is of a newer version")
)

// Manifest says what is in an archive: some of a workspace's events of one month
// (UTC). It is kept beside the data, as JSON.
type Manifest struct {
	// Version is that of the archive's form; see [Version].
	Version int `json:"version"`
	// Workspace is the workspace of all its events.
	Workspace string `json:"workspace"`
	// Part counts the archives of the workspace's month from 1. There is more
	// than one if the types of events are kept for different times, if a hold
	// was lifted later, or if events came late.
	Part int `json:"part"`
	// From and To are the range that was archived: From <= time < To.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Events is the number of events, at least 1; Oldest and Newest are the times
	// of the first and the last of them.
	Events int       `json:"events"`
	Oldest time.Time `json:"oldest"`
	Newest time.Time `json:"newest"`
	// SchemaVersion is the highest of the events' versions.
	SchemaVersion int `json:"schema_version"`
	// Data is the file that holds the events, as audit.WriteJSONLines writes
	// them, newest first, compressed by gzip.
	Data File `json:"data"`
	// CSV is a file with the same events for people, as audit.WriteCSV writes
	// them, compressed by gzip. Nil if it was not asked for. It is never read.
	CSV *File `json:"csv,omitempty"`
	// Blocks are the pieces of Data, one after the other, each a gzip file of
	// its own. Only those that hold what is looked for are read.
	Blocks []Block `json:"blocks"`
}

// File is a file of an archive.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // in bytes
	SHA256 string `json:"sha256"` // in hexadecimal
}

// Block is a piece of [Manifest.Data].
type Block struct {
	Size   int64  `json:"size"` // in bytes, compressed
	SHA256 string `json:"sha256"`
	// Events is the number of events; Time and ID are those of the newest.
	Events int       `json:"events"`
	Time   time.Time `json:"time"`
	ID     uuid.UUID `json:"id"`
}

func (b Block) position() audit.Position { return audit.Position{Time: b.Time, ID: b.ID} }

const (
	dataSuffix     = ".jsonl.gz"
	csvSuffix      = ".csv.gz"
	manifestSuffix = ".manifest.json"

	monthForm = "2006-01"

	// maxManifest bounds what is read of a manifest, in bytes.
	maxManifest = 64 << 20
)

// prefix begins the names of a workspace's files: what people recognise, and a
// digest, because a workspace may have any name.
func prefix(workspace string) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, workspace)
	if slug = slug[:min(len(slug), 16)]; slug != "" {
		slug += "-"
	}
	return slug + digest([]byte(workspace))[:16] + "-"
}

// base begins the names of an archive's files.
func base(workspace string, month time.Time, part int) string {
	return prefix(workspace) + month.UTC().Format(monthForm) + "-" + strconv.Itoa(part)
}

// base begins the names of the archive's files.
func (m Manifest) base() string { return base(m.Workspace, m.From, m.Part) }

// Name is the name of the manifest's own file.
func (m Manifest) Name() string { return m.base() + manifestSuffix }

// Archived reports the names of the files, the data's first.
func (m Manifest) Archived() []string {
	names := []string{m.Data.Name, m.Name()}
	if m.CSV != nil {
		names = append(names, m.CSV.Name)
	}
	return names
}

// monthOf is the month and the part that the name of a workspace's manifest tells.
func monthOf(workspace, name string) (month time.Time, part int, ok bool) {
	rest := strings.TrimSuffix(strings.TrimPrefix(name, prefix(workspace)), manifestSuffix)
	if len(rest) < len(monthForm)+2 {
		return month, 0, false
	}
	month, err := time.Parse(monthForm, rest[:len(monthForm)])
	if err != nil {
		return month, 0, false
	}
	part, err = strconv.Atoi(rest[len(monthForm)+1:])
	return month, part, err == nil && name == base(workspace, month, part)+manifestSuffix
}

// damaged names what is wrong with a file.
func damaged(name, format string, args ...any) error {
	return fmt.Errorf("%w: %q %w", ErrDamaged, name, fmt.Errorf(format, args...))
}

// ReadManifest reads the manifest of that name. It checks all that can be known
// without the data, and returns [ErrDamaged] for what is not true, [ErrNewer] for
// a later version's, else the reader's error.
func ReadManifest(name string, r io.Reader) (Manifest, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return Manifest{}, fmt.Errorf("archive: read %q: %w", name, err)
	}
	if len(text) > maxManifest {
		return Manifest{}, damaged(name, "is longer than %d MiB", maxManifest>>20)
	}
	var version struct {
		Version       int `json:"version"`
		SchemaVersion int `json:"schema_version"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return Manifest{}, damaged(name, "is no JSON: %w", err)
	}
	if version.Version > Version || version.SchemaVersion > audit.SchemaVersion {
		return Manifest{}, newer(name, version.Version, version.SchemaVersion)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, damaged(name, "is no manifest: %w", err)
	}
	if err := m.check(name); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

func newer(name string, version, schema int) error {
	return fmt.Errorf("%w: %q is of version %d with events of version %d, this program knows %d and %d; upgrade github.com/gormtrail/audit",
		ErrNewer, name, version, schema, Version, audit.SchemaVersion)
}

// check checks that the manifest agrees with itself and with its name.
func (m Manifest) check(name string) error {
	month := monthStart(m.From)
	switch {
	case m.Version < 1:
		return damaged(name, "says that its version is %d", m.Version)
	case m.Workspace == "" || m.Part < 1 || m.From.Year() < 0 || m.From.Year() > 9999 || name != m.Name():
		return damaged(name, "has the name of another archive than the one it tells of")
	case !m.From.Before(m.To) || m.To.After(month.AddDate(0, 1, 0)):
		return damaged(name, "says that it goes from %s to %s, which is not within a month", m.From.Format(time.RFC3339), m.To.Format(time.RFC3339))
	case m.Oldest.Before(m.From) || m.Newest.Before(m.Oldest) || !m.Newest.Before(m.To):
		return damaged(name, "says that its events are not within its range")
	case m.Data.Name != m.base()+dataSuffix || m.CSV != nil && m.CSV.Name != m.base()+csvSuffix:
		return damaged(name, "names files that are not its own")
	case !isDigest(m.Data.SHA256) || m.CSV != nil && !isDigest(m.CSV.SHA256):
		return damaged(name, "lacks the digest of a file")
	case len(m.Blocks) == 0 || !m.Blocks[0].Time.Equal(m.Newest):
		return damaged(name, "does not tell of the block with its newest event")
	}
	return m.checkBlocks(name)
}

func (m Manifest) checkBlocks(name string) error {
	left, events := m.Data.Size, m.Events
	for i, b := range m.Blocks {
		switch {
		case b.Size < 1 || b.Size > left || b.Events < 1 || b.Events > events || b.Events > blockEvents || !isDigest(b.SHA256):
			return damaged(name, "tells of block %d what cannot be", i+1)
		case i > 0 && b.position().Compare(m.Blocks[i-1].position()) <= 0 || b.Time.Before(m.Oldest):
			return damaged(name, "tells of blocks that are not in the order of time")
		}
		left -= b.Size
		events -= b.Events
	}
	if left != 0 || events != 0 {
		return damaged(name, "tells of %d bytes and %d events more than its blocks have", left, events)
	}
	return nil
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && strings.ToLower(s) == s
}

// encode is the text of the manifest's file.
func (m Manifest) encode() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "\t")
	return append(text, '\n'), err
}

// monthStart is the beginning of the month, in UTC.
func monthStart(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// firstBlock is the first block that may hold events after the position and before
// the time; as many as there are blocks if none does.
func (m Manifest) firstBlock(after audit.Position, to time.Time) int {
	i := slices.IndexFunc(m.Blocks[1:], func(next Block) bool {
		return next.position().Compare(after) > 0 && (to.IsZero() || next.Time.Before(to))
	})
	if i < 0 {
		return len(m.Blocks) - 1
	}
	return i
}
