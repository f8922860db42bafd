package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

const (
	workspaces = 20
	authors    = 200 // of each workspace
	projects   = 60
	customers  = 100
	// live is how many time entries of a workspace people may still change.
	live = 400
)

// begin is the first instant of the year.
var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

const length = 365 * 24 * time.Hour

// year makes the events of a year, transaction by transaction in the order of
// time. Two years of the same number of events are the same.
type year struct {
	n, made int
	rng     *rand.Rand
	spaces  []*space
	renames audit.Cascade
	// Of the transaction at hand.
	events []audit.Event
	at     time.Time
}

func newYear(n int) *year {
	y := &year{
		n: n, rng: rand.New(rand.NewPCG(1, uint64(n))),
		renames: audit.Cascade{Parent: audit.TypeProject, Child: audit.TypeTimeEntry, Field: "project_id"},
	}
	for w := range workspaces {
		y.spaces = append(y.spaces, newSpace(w))
	}
	return y
}

// next returns the events of one transaction, which belong to one workspace. It
// returns none at the end of the year.
func (y *year) next() []audit.Event {
	if y.made == y.n {
		return nil
	}
	y.at = begin.Add(time.Duration(float64(length) * float64(y.made) / float64(y.n))).Truncate(time.Microsecond)
	y.events = y.events[:0]
	y.transaction(y.spaces[y.rng.IntN(workspaces)])
	y.events = y.events[:min(len(y.events), y.n-y.made)]
	y.made += len(y.events)
	return y.events
}

// transaction does what people do, as often as they do it.
func (y *year) transaction(s *space) {
	switch p := y.rng.IntN(1000); {
	case p < 480 || len(s.entries) < 10:
		y.createEntry(s)
	case p < 860:
		y.updateEntry(s)
	case p < 920:
		y.deleteEntry(s)
	case p < 950:
		y.changeProject(s)
	case p < 960:
		y.renameProject(s)
	default:
		y.other(s, p)
	}
}

// add appends an event of the transaction, as a Recorder and the hooks complete
// it.
func (y *year) add(e audit.Event) *audit.Event {
	e.Time, e.SchemaVersion = y.at, audit.SchemaVersion
	e.ID = y.id(len(y.events))
	e.ChangeSet = e.ID
	if len(y.events) > 0 {
		e.ChangeSet = y.events[0].ID
	}
	y.events = append(y.events, e)
	return &y.events[len(y.events)-1]
}

// id is a version 7 UUID of the transaction's nth event.
func (y *year) id(n int) uuid.UUID {
	var id uuid.UUID
	us := y.at.UnixMicro()
	tick := us/1000<<12 | us%1000<<12/1000 + int64(n)
	binary.BigEndian.PutUint64(id[:8], uint64(tick>>12)<<16|0x7000|uint64(tick&0xfff))
	binary.BigEndian.PutUint64(id[8:], y.rng.Uint64()>>2|1<<63)
	return id
}

// name is an id as applications have them.
func (y *year) name() string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], y.rng.Uint64()&^0xf000|0x4000)
	binary.BigEndian.PutUint64(id[8:], y.rng.Uint64()>>2|1<<63)
	return id.String()
}

func (y *year) request() audit.Request {
	return audit.Request{ID: strconv.FormatUint(y.rng.Uint64(), 36), Address: "203.0.113." + strconv.Itoa(y.rng.IntN(256))}
}

// space is a workspace with those who work in it.
type space struct {
	id       string
	users    []audit.Actor
	projects []*project
	entries  []*entry
	next     int // the entry to forget next
}

type project struct {
	id, first, name  string
	renamed, version int
}

func newSpace(w int) *space {
	s := &space{id: workspaceID(w)}
	for u := range authors {
		s.users = append(s.users, author(w, u))
	}
	for p := range projects {
		name := fmt.Sprintf("Project %d", p)
		s.projects = append(s.projects, &project{id: projectID(w, p), first: name, name: name})
	}
	return s
}

func fixedID(kind string, w, n int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %d of %d", kind, n, w)).String()
}

func workspaceID(w int) string  { return fixedID("workspace", w, 0) }
func projectID(w, p int) string { return fixedID("project", w, p) }

func author(w, u int) audit.Actor {
	return audit.Actor{
		Kind: audit.KindUser, ID: fixedID("user", w, u),
		Name: givenNames[u%len(givenNames)] + " " + familyNames[u/len(givenNames)%len(familyNames)],
	}
}

// customer is one of a hundred words, each in a hundredth of the labels.
func customer(n int) string { return familyNames[n/10%10] + givenNames[n%10] + " Ltd" }

var (
	givenNames = []string{
		"Ada", "Bo", "Chidi", "Dana", "Elif", "Farid", "Grace", "Hiro", "Ines", "Jo",
		"Kofi", "Lena", "Mara", "Nils", "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara",
	}
	familyNames = []string{"Abebe", "Bianchi", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Horvat", "Ito", "Jensen"}
	activities  = []string{
		"Weekly planning", "Code review", "Support", "Workshop", "Design of the new form", "Interview notes",
		"Invoice check", "Call", "Documentation", "Fix of the sync job", "Travel", "Training",
	}
)
