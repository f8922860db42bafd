package backend

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/timesheet"
)

// CreateClient adds a client.
func (b *Backend) CreateClient(ctx context.Context, name, currency string) (string, error) {
	c := timesheet.Client{ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), Name: name, Currency: currency}
	return c.ID, create(ctx, b, &c)
}

// ClientByName finds a client.
func (b *Backend) ClientByName(ctx context.Context, name string) (timesheet.Client, error) {
	return find[timesheet.Client](ctx, b, "name", name)
}

// RenameClient gives a client another name. Its projects show it.
func (b *Backend) RenameClient(ctx context.Context, id, name string) error {
	return change[timesheet.Client](ctx, b, id, map[string]any{"name": name})
}

// DeleteClient deletes a client. Its projects stay, without a client.
func (b *Backend) DeleteClient(ctx context.Context, id string) error {
	return remove[timesheet.Client](ctx, b, id)
}

// CreateProject adds a project; client may be empty.
func (b *Backend) CreateProject(ctx context.Context, name, client string, rate timesheet.Money) (string, error) {
	p := timesheet.Project{
		ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), Name: name,
		ClientID: nullable(client), Color: "#03A9F4", Billable: true, Public: true, HourlyRate: rate,
	}
	return p.ID, create(ctx, b, &p)
}

// RenameProject gives a project another name. Its time entries, tasks and
// expenses show it.
func (b *Backend) RenameProject(ctx context.Context, id, name string) error {
	return change[timesheet.Project](ctx, b, id, map[string]any{"name": name})
}

// Projects lists the projects, by name.
func (b *Backend) Projects(ctx context.Context) ([]timesheet.Project, error) {
	return list[timesheet.Project](ctx, b)
}

// SmallestProject finds the project, other than one, that has the fewest time
// entries but has some.
func (b *Backend) SmallestProject(ctx context.Context, other string) (timesheet.Project, error) {
	var p timesheet.Project
	err := b.db.WithContext(ctx).Scopes(in(ctx)).Joins("JOIN time_entries ON time_entries.project_id = projects.id").
		Where("projects.id <> ?", other).Group("projects.id").Order("COUNT(*), projects.name").Take(&p).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = fmt.Errorf("%w: a project with time entries", ErrNotFound)
	}
	return p, err
}

// MoveProject puts a project under another client; empty takes it out.
func (b *Backend) MoveProject(ctx context.Context, id, client string) error {
	return change[timesheet.Project](ctx, b, id, map[string]any{"client_id": nullable(client)})
}

// AddMembers lets users work on a project.
func (b *Backend) AddMembers(ctx context.Context, id string, users ...timesheet.User) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		return tx.Model(&timesheet.Project{ID: id}).Omit("Members.*").Association("Members").Append(users)
	})
}

// ArchiveProject puts a project away and marks its tasks done.
func (b *Backend) ArchiveProject(ctx context.Context, id string) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		err := one[timesheet.Project](id, tx.Model(&timesheet.Project{}).Scopes(in(ctx)).Where("id = ?", id).Update("archived", true))
		if err != nil {
			return err
		}
		return tx.Model(&timesheet.Task{}).Where("project_id = ? AND status <> ?", id, timesheet.TaskDone).
			Update("status", timesheet.TaskDone).Error
	})
}

// DeleteProject deletes a project with its tasks. Time entries and expenses
// stay, without a project.
func (b *Backend) DeleteProject(ctx context.Context, id string) error {
	return remove[timesheet.Project](ctx, b, id)
}

// CreateTask adds a task to a project; assignee may be empty.
func (b *Backend) CreateTask(ctx context.Context, project, name, assignee string) (string, error) {
	t := timesheet.Task{
		ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), ProjectID: project, Name: name,
		Status: timesheet.TaskActive, AssigneeID: nullable(assignee), Billable: true,
	}
	return t.ID, create(ctx, b, &t)
}

// RenameTask gives a task another name.
func (b *Backend) RenameTask(ctx context.Context, id, name string) error {
	return change[timesheet.Task](ctx, b, id, map[string]any{"name": name})
}

// FinishTask marks a task done.
func (b *Backend) FinishTask(ctx context.Context, id string) error {
	return change[timesheet.Task](ctx, b, id, map[string]any{"status": timesheet.TaskDone})
}

// AssignTask gives a task to a user.
func (b *Backend) AssignTask(ctx context.Context, id, user string) error {
	return change[timesheet.Task](ctx, b, id, map[string]any{"assignee_id": nullable(user)})
}

// DeleteTask deletes a task. Time on it stays with the project.
func (b *Backend) DeleteTask(ctx context.Context, id string) error {
	return remove[timesheet.Task](ctx, b, id)
}

// CreateTag adds a tag.
func (b *Backend) CreateTag(ctx context.Context, name string) (string, error) {
	t := timesheet.Tag{ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), Name: name}
	return t.ID, create(ctx, b, &t)
}

// RenameTag gives a tag another name on all that is marked with it.
func (b *Backend) RenameTag(ctx context.Context, id, name string) error {
	return change[timesheet.Tag](ctx, b, id, map[string]any{"name": name})
}

// DeleteTag deletes a tag and takes it off all that is marked with it.
func (b *Backend) DeleteTag(ctx context.Context, id string) error {
	return remove[timesheet.Tag](ctx, b, id)
}

// Customer is a client with its projects as QuickBooks sends them.
type Customer struct {
	Name     string
	Projects []string
}

// SyncQuickBooks adds the customers of QuickBooks, and their projects, that
// the workspace does not have. It runs as a job of the system, on behalf of
// the user who connected QuickBooks: the actor of ctx.
func (b *Backend) SyncQuickBooks(ctx context.Context, customers []Customer) error {
	ctx = audit.WithInitiator(ctx, audit.ActorFrom(ctx))
	ctx = audit.WithOrigin(audit.WithActor(ctx, audit.System), audit.OriginQuickBooks)
	return b.write(ctx, func(tx *gorm.DB) error {
		im, err := b.newImport(ctx, tx)
		if err != nil {
			return err
		}
		for _, c := range customers {
			client := im.client(c.Name, "")
			for _, name := range c.Projects {
				im.project(name, client, true)
			}
		}
		return im.createMissing(tx)
	})
}
