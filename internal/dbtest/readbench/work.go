package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gormtrail/audit"
)

// entry is a time entry: 13 columns.
type entry struct {
	id, description string
	owner           audit.Actor
	project         *project
	billable        bool
	start           time.Time
	minutes         int
}

// columns are the entry's row.
func (e *entry) columns(s *space) [13]field {
	return [...]field{
		{"id", text(e.id)},
		{"workspace_id", text(s.id)},
		{"user_id", audit.Value{JSON: quoted(e.owner.ID), Label: e.owner.Name}},
		{"description", text(e.description)},
		{"billable", boolean(e.billable)},
		{"project_id", e.project.value()},
		{"task_id", null},
		{"start", instant(e.start)},
		{"end", instant(e.end())},
		{"type", text("REGULAR")},
		{"locked", boolean(false)},
		{"hourly_rate_amount", number(int64(4500))},
		{"hourly_rate_currency", text("EUR")},
	}
}

func (e *entry) end() time.Time { return e.start.Add(time.Duration(e.minutes) * time.Minute) }

func (e *entry) entity() audit.Entity {
	return audit.Entity{Type: audit.TypeTimeEntry, ID: e.id, Label: e.description, Owner: e.owner.ID}
}

type field struct {
	name  string
	value audit.Value
}

func created(fields []field) []audit.Change {
	changes := make([]audit.Change, len(fields))
	for i, f := range fields {
		changes[i] = audit.Change{Field: f.name, After: f.value}
	}
	return changes
}

func deleted(fields []field) []audit.Change {
	changes := make([]audit.Change, len(fields))
	for i, f := range fields {
		changes[i] = audit.Change{Field: f.name, Before: f.value}
	}
	return changes
}

func updated(name string, before, after audit.Value) []audit.Change {
	return []audit.Change{{Field: name, Before: before, After: after}}
}

// person is the one who acts on an entry: mostly its owner.
func (y *year) person(s *space, owner audit.Actor) (audit.Actor, audit.Ownership) {
	if y.rng.IntN(100) < 85 {
		return owner, audit.OwnershipSelf
	}
	if other := s.users[y.rng.IntN(authors)]; !other.Same(owner) {
		return other, audit.OwnershipOther
	}
	return owner, audit.OwnershipSelf
}

func (y *year) createEntry(s *space) {
	e := &entry{
		id: y.name(), owner: s.users[y.rng.IntN(authors)], project: s.projects[y.rng.IntN(projects)], billable: y.rng.IntN(3) > 0,
		start: y.at.Add(-time.Hour).Truncate(time.Minute), minutes: 15 * (1 + y.rng.IntN(20)),
		description: activities[y.rng.IntN(len(activities))] + ", " + customer(y.rng.IntN(customers)),
	}
	actor, whose := y.person(s, e.owner)
	origin := []audit.Origin{audit.OriginTimer, audit.OriginTimer, audit.OriginManual, audit.OriginManual, audit.OriginImport, audit.OriginKiosk, audit.OriginAPI}[y.rng.IntN(7)]
	columns := e.columns(s)
	y.add(audit.Event{
		Workspace: s.id, Actor: actor, Operation: audit.Created, Origin: origin, Entity: e.entity(), Ownership: whose,
		Changes: created(columns[:]), Request: y.request(),
	})
	if len(s.entries) < live {
		s.entries = append(s.entries, e)
		return
	}
	s.entries[s.next] = e
	s.next = (s.next + 1) % live
}

func (y *year) updateEntry(s *space) {
	e := s.entries[y.rng.IntN(len(s.entries))]
	actor, whose := y.person(s, e.owner)
	var changes []audit.Change
	switch y.rng.IntN(4) {
	case 0:
		before := text(e.description)
		e.description = activities[y.rng.IntN(len(activities))] + ", " + customer(y.rng.IntN(customers))
		changes = updated("description", before, text(e.description))
	case 1:
		before := instant(e.end())
		e.minutes += 15
		changes = updated("end", before, instant(e.end()))
	case 2:
		e.billable = !e.billable
		changes = updated("billable", boolean(!e.billable), boolean(e.billable))
	default:
		before := e.project.value()
		e.project = s.projects[y.rng.IntN(projects)]
		changes = updated("project_id", before, e.project.value())
	}
	y.add(audit.Event{
		Workspace: s.id, Actor: actor, Operation: audit.Updated, Origin: audit.OriginManual, Entity: e.entity(), Ownership: whose,
		Changes: changes, Request: y.request(),
	})
}

func (y *year) deleteEntry(s *space) {
	i := y.rng.IntN(len(s.entries))
	e := s.entries[i]
	last := len(s.entries) - 1
	s.entries[i] = s.entries[last]
	s.entries, s.next = s.entries[:last], 0
	actor, whose := y.person(s, e.owner)
	columns := e.columns(s)
	y.add(audit.Event{
		Workspace: s.id, Actor: actor, Operation: audit.Deleted, Origin: audit.OriginManual, Entity: e.entity(), Ownership: whose,
		Changes: deleted(columns[:]), Request: y.request(),
	})
}

func (p *project) value() audit.Value { return audit.Value{JSON: quoted(p.id), Label: p.name} }

func (p *project) entity() audit.Entity {
	return audit.Entity{Type: audit.TypeProject, ID: p.id, Label: p.name}
}

// project is one to change, often the first.
func (y *year) project(s *space) *project {
	if y.rng.IntN(4) == 0 {
		return s.projects[0]
	}
	return s.projects[y.rng.IntN(projects)]
}

func (y *year) changeProject(s *space) {
	p := y.project(s)
	p.version++
	y.add(audit.Event{
		Workspace: s.id, Actor: s.users[y.rng.IntN(authors)], Operation: audit.Updated, Origin: audit.OriginManual, Entity: p.entity(),
		Changes: updated("note", text(fmt.Sprintf("Version %d", p.version-1)), text(fmt.Sprintf("Version %d", p.version))), Request: y.request(),
	})
}

// renameProject changes what the project's time entries show.
func (y *year) renameProject(s *space) {
	p := y.project(s)
	before := p.name
	p.renamed++
	p.name = fmt.Sprintf("%s, part %d", p.first, p.renamed)
	renamed := *y.add(audit.Event{
		Workspace: s.id, Actor: s.users[y.rng.IntN(authors)], Operation: audit.Updated, Origin: audit.OriginManual, Entity: p.entity(),
		Changes: updated("name", text(before), text(p.name)), Request: y.request(),
	})
	for _, e := range s.entries {
		if e.project == p {
			derived := y.renames.Derive(renamed, e.entity(), y.renames.Follows(renamed, "name"))
			derived.Ownership = audit.OwnershipOther
			y.add(derived)
		}
	}
}

// other are changes of which there are few.
func (y *year) other(s *space, p int) {
	types := []audit.EntityType{audit.TypeTask, audit.TypeClient, audit.TypeTag, audit.TypeExpense}
	e := audit.Event{Workspace: s.id, Actor: s.users[y.rng.IntN(authors)], Origin: audit.OriginManual, Request: y.request()}
	e.Entity = audit.Entity{Type: types[p%len(types)], ID: y.name(), Label: customer(y.rng.IntN(customers))}
	if e.Entity.Type == audit.TypeExpense {
		e.Entity.Owner, e.Ownership = e.Actor.ID, audit.OwnershipSelf
	}
	label := text(e.Entity.Label)
	row := []field{{"id", text(e.Entity.ID)}, {"workspace_id", text(s.id)}, {"name", label}, {"archived", boolean(false)}}
	switch p % 3 {
	case 0:
		e.Operation, e.Changes = audit.Created, created(row)
	case 1:
		e.Operation, e.Changes = audit.Updated, updated("archived", boolean(false), boolean(true))
	default:
		e.Operation, e.Changes = audit.Deleted, deleted(row)
	}
	y.add(e)
}

var null = audit.Value{JSON: json.RawMessage("null")}

func text(s string) audit.Value { return audit.Value{JSON: quoted(s)} }

// quoted is plain text as JSON. Nothing here needs to be escaped.
func quoted(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }

func boolean(b bool) audit.Value { return audit.Value{JSON: strconv.AppendBool(nil, b)} }

func number(n int64) audit.Value { return audit.Value{JSON: strconv.AppendInt(nil, n, 10)} }

func instant(t time.Time) audit.Value {
	b := make([]byte, 0, 24)
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339)
	return audit.Value{JSON: append(b, '"')}
}
