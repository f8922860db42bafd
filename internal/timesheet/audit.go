package timesheet

import (
	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
)

// AuditModels registers the models that Clockify's audit log knows, and
// Category, with what each shows of the others: a time entry its project, the
// project's client, its task and its tags.
func AuditModels() []hooks.Option {
	return []hooks.Option{
		hooks.Model[Client](audit.TypeClient,
			hooks.Cascade[Project]("client_id")),
		hooks.Model[Project](audit.TypeProject,
			hooks.Cascade[TimeEntry]("project_id", "client_id"),
			hooks.Cascade[Task]("project_id"),
			hooks.Cascade[Expense]("project_id")),
		hooks.Model[Task](audit.TypeTask,
			hooks.Cascade[TimeEntry]("task_id"),
			hooks.Cascade[Expense]("task_id")),
		hooks.Model[Tag](audit.TypeTag,
			hooks.Cascade[TimeEntry]("Tags")),
		hooks.Model[Category](TypeCategory,
			hooks.Cascade[Expense]("category_id")),
		hooks.Model[TimeEntry](audit.TypeTimeEntry),
		hooks.Model[Expense](audit.TypeExpense),
	}
}
