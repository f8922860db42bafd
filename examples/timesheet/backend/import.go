package backend

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/clockify"
	"github.com/gormtrail/audit/internal/timesheet"
)

// importBatch is how many rows one INSERT carries.
const importBatch = 200

// Imported counts what an import added.
type Imported struct {
	Users, Clients, Projects, Tasks, Tags, Entries int
}

// Import adds the entries of a Clockify report, and the users, clients,
// projects, tasks and tags they name that are not there yet, all in one
// transaction. Progress, if not nil, is told how many entries are in; it must
// not touch the database.
func (b *Backend) Import(ctx context.Context, entries []clockify.Entry, progress func(done, total int)) (Imported, error) {
	ctx = audit.WithOrigin(ctx, audit.OriginImport)
	var n Imported
	err := b.write(ctx, func(tx *gorm.DB) error {
		im, err := b.newImport(ctx, tx)
		if err != nil {
			return err
		}
		rows := make([]timesheet.TimeEntry, len(entries))
		for i, e := range entries {
			rows[i] = im.entry(e)
		}
		if err := im.createMissing(tx); err != nil {
			return err
		}
		for from := 0; from < len(rows); from += importBatch {
			batch := rows[from:min(from+importBatch, len(rows))]
			if err := tx.Omit("Tags.*").Create(&batch).Error; err != nil {
				return fmt.Errorf("import the entries of lines %d to %d: %w", entries[from].Line, entries[from+len(batch)-1].Line, err)
			}
			if progress != nil {
				progress(from+len(batch), len(rows))
			}
		}
		n = Imported{len(im.users.fresh), len(im.clients.fresh), len(im.projects.fresh), len(im.tasks.fresh), len(im.tags.fresh), len(rows)}
		return nil
	})
	return n, err
}

// importing knows the records that entries refer to: those of the workspace
// and those that the import adds.
type importing struct {
	workspace string
	newID     func() string
	users     index[timesheet.User]
	clients   index[timesheet.Client]
	projects  index[timesheet.Project]
	tasks     index[timesheet.Task]
	tags      index[timesheet.Tag]
}

// index finds the ids of records by what people know them by.
type index[T any] struct {
	ids   map[string]string
	fresh []T
}

// id finds a record, or adds the one that build makes for a new id.
func (x *index[T]) id(newID func() string, build func(id string) T, key ...string) string {
	k := strings.Join(key, "\x00")
	id, ok := x.ids[k]
	if !ok {
		id = newID()
		x.ids[k] = id
		x.fresh = append(x.fresh, build(id))
	}
	return id
}

// load reads the workspace's records into an index.
func load[T any](ctx context.Context, tx *gorm.DB, x *index[T], key func(T) (id string, key []string)) error {
	var all []T
	if err := tx.Scopes(in(ctx)).Find(&all).Error; err != nil {
		return err
	}
	x.ids = make(map[string]string, len(all))
	for _, record := range all {
		id, k := key(record)
		x.ids[strings.Join(k, "\x00")] = id
	}
	return nil
}

func (b *Backend) newImport(ctx context.Context, tx *gorm.DB) (*importing, error) {
	im := &importing{workspace: audit.WorkspaceFrom(ctx), newID: b.newID}
	for _, read := range []func() error{
		func() error {
			return load(ctx, tx, &im.users, func(u timesheet.User) (string, []string) { return u.ID, userKey(u.Name, u.Email) })
		},
		func() error {
			return load(ctx, tx, &im.clients, func(c timesheet.Client) (string, []string) { return c.ID, []string{c.Name} })
		},
		func() error {
			return load(ctx, tx, &im.projects, func(p timesheet.Project) (string, []string) {
				return p.ID, []string{deref(p.ClientID), p.Name}
			})
		},
		func() error {
			return load(ctx, tx, &im.tasks, func(t timesheet.Task) (string, []string) { return t.ID, []string{t.ProjectID, t.Name} })
		},
		func() error {
			return load(ctx, tx, &im.tags, func(t timesheet.Tag) (string, []string) { return t.ID, []string{t.Name} })
		},
	} {
		if err := read(); err != nil {
			return nil, fmt.Errorf("read what the workspace has: %w", err)
		}
	}
	return im, nil
}

// createMissing inserts what the entries name and the workspace lacks.
func (im *importing) createMissing(tx *gorm.DB) error {
	for _, fresh := range []struct {
		what  string
		rows  any
		count int
	}{
		{"users", im.users.fresh, len(im.users.fresh)},
		{"clients", im.clients.fresh, len(im.clients.fresh)},
		{"projects", im.projects.fresh, len(im.projects.fresh)},
		{"tasks", im.tasks.fresh, len(im.tasks.fresh)},
		{"tags", im.tags.fresh, len(im.tags.fresh)},
	} {
		if fresh.count == 0 {
			continue
		}
		if err := tx.CreateInBatches(fresh.rows, importBatch).Error; err != nil {
			return fmt.Errorf("import the %s: %w", fresh.what, err)
		}
	}
	return nil
}

// entry is the time entry of a row of the report.
func (im *importing) entry(e clockify.Entry) timesheet.TimeEntry {
	entry := timesheet.TimeEntry{
		ID: im.newID(), WorkspaceID: im.workspace, Description: e.Description, Billable: e.Billable,
		Start: e.Start.UTC(), Type: e.Type, HourlyRate: timesheet.Money{Amount: e.Rate, Currency: e.Currency},
	}
	if !e.End.IsZero() {
		end := e.End.UTC()
		entry.End = &end
	}
	entry.UserID = im.users.id(im.newID, func(id string) timesheet.User {
		return timesheet.User{ID: id, WorkspaceID: im.workspace, Name: e.User, Email: e.Email}
	}, userKey(e.User, e.Email)...)
	var client string
	if e.Client != "" {
		client = im.client(e.Client, e.Currency)
	}
	if e.Project != "" {
		project := im.project(e.Project, client, e.Billable)
		entry.ProjectID = &project
		if e.Task != "" {
			task := im.tasks.id(im.newID, func(id string) timesheet.Task {
				return timesheet.Task{ID: id, WorkspaceID: im.workspace, ProjectID: project, Name: e.Task, Status: timesheet.TaskActive}
			}, project, e.Task)
			entry.TaskID = &task
		}
	}
	for _, name := range e.Tags {
		tag := im.tags.id(im.newID, func(id string) timesheet.Tag {
			return timesheet.Tag{ID: id, WorkspaceID: im.workspace, Name: name}
		}, name)
		entry.Tags = append(entry.Tags, timesheet.Tag{ID: tag})
	}
	return entry
}

func (im *importing) client(name, currency string) string {
	return im.clients.id(im.newID, func(id string) timesheet.Client {
		return timesheet.Client{ID: id, WorkspaceID: im.workspace, Name: name, Currency: currency}
	}, name)
}

func (im *importing) project(name, client string, billable bool) string {
	return im.projects.id(im.newID, func(id string) timesheet.Project {
		return timesheet.Project{
			ID: id, WorkspaceID: im.workspace, Name: name, ClientID: nullable(client),
			Color: "#607D8B", Billable: billable, Public: true,
		}
	}, client, name)
}

// userKey is by what a user is known: the address, or without one the name.
func userKey(name, email string) []string {
	if email != "" {
		return []string{"email", strings.ToLower(email)}
	}
	return []string{"name", name}
}

func deref(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}
