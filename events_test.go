package audit_test

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gormtrail/audit"
)

// jsonOf is a value as it is in JSON.
func jsonOf(raw string) audit.Value { return audit.Value{JSON: json.RawMessage(raw)} }

// oneOfEveryKind tells a story in which every label of the catalogue and every
// form of a value occurs.
func oneOfEveryKind() []audit.Event {
	var events []audit.Event
	jo := audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo"}
	add := func(e audit.Event) {
		e.ID = id(byte(len(events) + 1))
		e.Time = noon.Add(time.Duration(len(events)) * 1500 * time.Millisecond)
		e.Workspace = "w1"
		e.SchemaVersion = audit.SchemaVersion
		if e.Actor.IsZero() {
			e.Actor = jo
		}
		if e.Entity.ID == "" {
			e.Entity.ID = "7"
		}
		events = append(events, e)
	}
	add(renamed())
	for _, row := range audit.DefaultCatalog().All() {
		a := row.Action
		e := audit.Event{Operation: a.Operation, Origin: a.Origins[0], Ownership: a.Ownership, Entity: audit.Entity{Type: a.Type, Label: "Apollo"}}
		name := audit.Change{Field: "name", Before: text("Gemini"), After: text("Apollo")}
		if a.Ownership != audit.OwnershipNone {
			e.Entity.Owner = "17"
		}
		if a.Ownership == audit.OwnershipOther {
			e.Actor = audit.Actor{Kind: audit.KindUser, ID: "18", Name: "Kim"}
		}
		switch a.Operation {
		case audit.Created, audit.Restored:
			name.Before = audit.Value{}
		case audit.Deleted:
			name.After = audit.Value{}
		}
		e.Changes = []audit.Change{name, {Field: "note", Before: name.Before, After: name.After}}
		add(e)
	}
	project := audit.Entity{Type: audit.TypeProject, ID: "7", Label: "Apollo"}
	entry := audit.Entity{Type: audit.TypeTimeEntry, ID: "3/4", Label: "Standup", Owner: "17"}
	one := func(c audit.Change) {
		add(audit.Event{Operation: audit.Updated, Entity: project, Changes: []audit.Change{c}})
	}

	one(audit.Change{Field: "note", Before: jsonOf(`null`), After: text("")})
	one(audit.Change{Field: "note", Before: text(""), After: text("none")})
	one(audit.Change{Field: "note", Before: audit.Value{}, After: text("(not recorded)")})
	one(audit.Change{Field: "note", Before: text(`"quoted"`), After: text("two\r\nlines, \"and\" a\ttab")})
	one(audit.Change{Field: "note", Before: text("safe"), After: text("\u202eegap evas")})
	one(audit.Change{Field: "formula", Before: text("=1+1"), After: text("'=1+1")})
	one(audit.Change{Field: "budget", Before: jsonOf(`-12.50`), After: jsonOf(`9007199254740993`)})
	one(audit.Change{Field: "billable", Before: jsonOf(`true`), After: jsonOf(`false`)})
	one(audit.Change{Field: "custom", Before: jsonOf(`{"po":"4711"}`), After: jsonOf(`{"po":"4712","tags":["a","b"]}`)})
	one(audit.Change{Field: "picture", Before: audit.Value{JSON: json.RawMessage(`"AAEC"`), Form: audit.FormBase64}, After: jsonOf(`null`)})
	one(audit.Change{Field: "note", Before: text("short"), After: audit.Value{
		JSON: json.RawMessage(`{"length":70000,"prefix":"` + strings.Repeat("x", 40) + `"}`), Form: audit.FormShortened,
	}})
	one(audit.Change{Field: "password", Before: audit.Value{Form: audit.FormRedacted}, After: audit.Value{Form: audit.FormRedacted}})
	one(audit.Change{Field: "client_id", Before: audit.Value{JSON: json.RawMessage(`"1"`), Label: "Acme"}, After: audit.Value{JSON: json.RawMessage(`"2"`), Label: "Acme"}})
	add(audit.Event{
		Actor: audit.System, Initiator: jo, Operation: audit.Updated, Entity: entry, Ownership: audit.OwnershipSelf, Cause: id(1), ChangeSet: id(3), Derived: true,
		Changes: []audit.Change{{Field: "project_id", Before: audit.Value{JSON: json.RawMessage(`"7"`), Label: "Gemini"}, After: audit.Value{JSON: json.RawMessage(`"7"`), Label: "Apollo"}}},
	})
	add(audit.Event{Operation: audit.Updated, Entity: entry, Ownership: audit.OwnershipSelf, Origin: audit.OriginKiosk, Changes: []audit.Change{
		{Field: "tags", Before: jsonOf(`null`), After: audit.Value{JSON: json.RawMessage(`"5"`), Label: "urgent"}, Element: true},
		{Field: "tags", Before: audit.Value{JSON: json.RawMessage(`"6"`), Label: "draft"}, After: jsonOf(`null`), Element: true},
	}})
	add(audit.Event{Actor: audit.Unknown, Operation: "approved", Entity: audit.Entity{Type: "invoice", ID: "9"}, Reason: "checked\nby hand"})
	return events
}
