package audit

import "sync"

// The table is Clockify's (help page "Audit log" for the labels, the public
// API's audit-log report for the codes). Its rows do not overlap, so their
// order is only that in which people see them.

// ordinary are the ways by which people work as a rule. A row whose action does
// not depend on the way stands for them; any other way shows in the label.
func ordinary() []Origin { return []Origin{"", OriginTimer, OriginManual} }

func by(o ...Origin) []Origin { return o }

func clockifyRows() []CatalogRow {
	const (
		self    = OwnershipSelf
		other   = OwnershipOther
		whoever = OwnershipNone
	)
	row := func(label, code string, t EntityType, op Operation, origins []Origin, whose Ownership) CatalogRow {
		return CatalogRow{Label: label, Code: code, Action: Action{Type: t, Operation: op, Origins: origins, Ownership: whose}}
	}
	return []CatalogRow{
		row("Created time (personal, timer)", "CREATE_TIME_PERSONAL_TIMER", TypeTimeEntry, Created, by(OriginTimer), self),
		// Created by its owner without an origin is manual.
		row("Created time (personal, manual)", "CREATE_TIME_PERSONAL_MANUAL", TypeTimeEntry, Created, by(OriginManual, ""), self),
		row("Created time (import)", "CREATE_TIME_IMPORT", TypeTimeEntry, Created, by(OriginImport), whoever),
		row("Created time (kiosk)", "CREATE_TIME_KIOSK", TypeTimeEntry, Created, by(OriginKiosk), whoever),
		row("Created time (for other)", "CREATE_TIME_FOR_OTHER", TypeTimeEntry, Created, ordinary(), other),
		row("Restored time (personal)", "RESTORE_TIME", TypeTimeEntry, Restored, ordinary(), self),
		row("Restored time (for other)", "RESTORE_TIME_FOR_OTHER", TypeTimeEntry, Restored, ordinary(), other),
		row("Updated time (personal)", "UPDATE_TIME_PERSONAL", TypeTimeEntry, Updated, ordinary(), self),
		row("Updated time (for other)", "UPDATE_TIME_FOR_OTHER", TypeTimeEntry, Updated, ordinary(), other),
		row("Deleted time (personal)", "DELETE_TIME_PERSONAL", TypeTimeEntry, Deleted, ordinary(), self),
		row("Deleted time (for other)", "DELETE_TIME_FOR_OTHER", TypeTimeEntry, Deleted, ordinary(), other),

		row("Created project", "CREATE_PROJECT", TypeProject, Created, ordinary(), whoever),
		row("Created project (import)", "CREATE_PROJECT_IMPORT", TypeProject, Created, by(OriginImport), whoever),
		row("Created project (QuickBooks)", "CREATE_PROJECT_QUICKBOOKS", TypeProject, Created, by(OriginQuickBooks), whoever),
		row("Updated project", "UPDATE_PROJECT", TypeProject, Updated, ordinary(), whoever),
		row("Deleted project", "DELETE_PROJECT", TypeProject, Deleted, ordinary(), whoever),

		row("Created task", "CREATE_TASK", TypeTask, Created, ordinary(), whoever),
		row("Created task (import)", "CREATE_TASK_IMPORT", TypeTask, Created, by(OriginImport), whoever),
		// Clockify has one code for both.
		row("Updated task (personal)", "UPDATE_TASK", TypeTask, Updated, ordinary(), self),
		row("Updated task (for other)", "UPDATE_TASK", TypeTask, Updated, ordinary(), other),
		row("Deleted task", "DELETE_TASK", TypeTask, Deleted, ordinary(), whoever),

		row("Created client", "CREATE_CLIENT", TypeClient, Created, ordinary(), whoever),
		row("Created client (import)", "CREATE_CLIENT_IMPORT", TypeClient, Created, by(OriginImport), whoever),
		row("Created client (QuickBooks)", "CREATE_CLIENT_QUICKBOOKS", TypeClient, Created, by(OriginQuickBooks), whoever),
		row("Updated client", "UPDATE_CLIENT", TypeClient, Updated, ordinary(), whoever),
		row("Deleted client", "DELETE_CLIENT", TypeClient, Deleted, ordinary(), whoever),

		row("Created tag", "CREATE_TAG", TypeTag, Created, ordinary(), whoever),
		row("Created tag (import)", "CREATE_TAG_IMPORT", TypeTag, Created, by(OriginImport), whoever),
		row("Updated tag", "UPDATE_TAG", TypeTag, Updated, ordinary(), whoever),
		row("Deleted tag", "DELETE_TAG", TypeTag, Deleted, ordinary(), whoever),

		row("Created expense (personal)", "CREATE_EXPENSE", TypeExpense, Created, ordinary(), self),
		row("Created expense (for other)", "CREATE_EXPENSE_FOR_OTHER", TypeExpense, Created, ordinary(), other),
		row("Restored expense (personal)", "RESTORE_EXPENSE", TypeExpense, Restored, ordinary(), self),
		row("Restored expense (for other)", "RESTORE_EXPENSE_FOR_OTHER", TypeExpense, Restored, ordinary(), other),
		row("Updated expense (personal)", "UPDATE_EXPENSE", TypeExpense, Updated, ordinary(), self),
		row("Updated expense (for other)", "UPDATE_EXPENSE_FOR_OTHER", TypeExpense, Updated, ordinary(), other),
		row("Deleted expense (personal)", "DELETE_EXPENSE", TypeExpense, Deleted, ordinary(), self),
		row("Deleted expense (for other)", "DELETE_EXPENSE_FOR_OTHER", TypeExpense, Deleted, ordinary(), other),
	}
}

// defaultCatalog is built once, on first use, and never changed.
var defaultCatalog = sync.OnceValue(func() *Catalog {
	crud := []Operation{Created, Updated, Deleted}
	return new(Catalog).extend(CatalogWords{
		Types: []TypeWords{
			{Type: TypeTimeEntry, Noun: "time entry", Short: "time", Owned: true},
			{Type: TypeProject, Noun: "project", Operations: crud},
			// Only updates of a task tell whose it is, and those are rows.
			{Type: TypeTask, Noun: "task", Operations: crud},
			{Type: TypeClient, Noun: "client", Operations: crud},
			{Type: TypeTag, Noun: "tag", Operations: crud},
			{Type: TypeExpense, Noun: "expense", Owned: true},
			{Type: TypeSettings, Noun: "audit settings", Operations: []Operation{Updated}},
			{Type: TypeExport, Noun: "audit export", Short: "audit log", Operations: []Operation{Exported, Downloaded}},
		},
		Operations: []OperationWords{
			{Operation: Created, Verb: "Created", Code: "CREATE"},
			{Operation: Restored, Verb: "Restored", Code: "RESTORE"},
			{Operation: Updated, Verb: "Updated", Code: "UPDATE"},
			{Operation: Deleted, Verb: "Deleted", Code: "DELETE"},
			{Operation: Exported, Verb: "Exported", Code: "EXPORT"},
			{Operation: Downloaded, Verb: "Downloaded", Code: "DOWNLOAD"},
		},
		Origins: []OriginWords{
			{Origin: OriginTimer, Label: "timer"},
			{Origin: OriginManual, Label: "manual"},
			{Origin: OriginImport, Label: "import"},
			{Origin: OriginKiosk, Label: "kiosk"},
			{Origin: OriginQuickBooks, Label: "QuickBooks"},
			{Origin: OriginAPI, Label: "API"},
		},
		Rows: clockifyRows(),
	})
})
