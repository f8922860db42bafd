package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

// The words of the default catalogue, in its order.
var (
	clockifyTypes = []audit.EntityType{
		audit.TypeTimeEntry, audit.TypeProject, audit.TypeTask, audit.TypeClient, audit.TypeTag, audit.TypeExpense,
	}
	knownTypes      = append(slices.Clone(clockifyTypes), audit.TypeSettings, audit.TypeExport)
	knownOperations = []audit.Operation{audit.Created, audit.Restored, audit.Updated, audit.Deleted}
	knownOrigins    = []audit.Origin{
		"", audit.OriginTimer, audit.OriginManual, audit.OriginImport, audit.OriginKiosk, audit.OriginQuickBooks, audit.OriginAPI,
	}
	ordinaryOrigins = knownOrigins[:3]
	ownerships      = []audit.Ownership{audit.OwnershipNone, audit.OwnershipSelf, audit.OwnershipOther}
)

// kindOf is an event with all that its label depends on.
func kindOf(t audit.EntityType, op audit.Operation, origin audit.Origin, whose audit.Ownership) audit.Event {
	return audit.Event{
		Workspace: "w1", Operation: op, Origin: origin, Ownership: whose,
		Entity: audit.Entity{Type: t, ID: "1"},
	}
}

// everyKind is every event that the words make, as far as labels go.
func everyKind(types []audit.EntityType, operations []audit.Operation, origins []audit.Origin) []audit.Event {
	var events []audit.Event
	for _, t := range types {
		for _, op := range operations {
			for _, origin := range origins {
				for _, whose := range ownerships {
					events = append(events, kindOf(t, op, origin, whose))
				}
			}
		}
	}
	return events
}

func describe(e audit.Event) string {
	return fmt.Sprintf("%s %s origin=%q ownership=%q", e.Entity.Type, e.Operation, e.Origin, e.Ownership)
}

// invoices are the words of an application that also writes invoices.
func invoices() audit.CatalogWords {
	return audit.CatalogWords{
		Types: []audit.TypeWords{
			{Type: "invoice", Owned: true, Operations: []audit.Operation{audit.Created, "approved"}},
			{Type: "receipt", Noun: "till receipt", Short: "till"},
		},
		Operations: []audit.OperationWords{{Operation: "approved", Code: "APPROVE"}},
		Origins:    []audit.OriginWords{{Origin: "slack", Label: "Slack"}},
		Rows: []audit.CatalogRow{
			{Label: "Locked receipt", Action: audit.Action{Type: "receipt", Operation: "approved"}},
			{Label: "New tag", Code: "CREATE_TAG", Action: audit.Action{
				Type: "tag", Operation: "created", Origins: []audit.Origin{audit.OriginManual, audit.OriginTimer, ""},
			}},
		},
	}
}

func TestCatalogHasClockifys38LabelsAnd37Codes(t *testing.T) {
	t.Parallel()
	var (
		out    strings.Builder
		labels = map[string]bool{}
		codes  = map[string]bool{}
		types  []audit.EntityType
	)
	for _, g := range audit.DefaultCatalog().Groups() {
		fmt.Fprintf(&out, "%s\n", strings.ToUpper(g.Noun))
		for _, row := range g.Rows {
			fmt.Fprintf(&out, "  %-34s %s\n", row.Label, row.Code)
			if g.Type != audit.TypeSettings && g.Type != audit.TypeExport {
				labels[row.Label], codes[row.Code] = true, true
			}
		}
		types = append(types, g.Type)
	}
	require.Len(t, labels, 38)
	require.Len(t, codes, 37)
	require.Equal(t, knownTypes, types)
	golden(t, "catalog.golden", out.String())
}

func TestCatalogNamesAnEvent(t *testing.T) {
	t.Parallel()
	const (
		self  = audit.OwnershipSelf
		other = audit.OwnershipOther
		none  = audit.OwnershipNone
	)
	for _, tt := range []struct {
		name        string
		event       audit.Event
		label, code string
	}{
		{"a timer", kindOf("time_entry", "created", "timer", self), "Created time (personal, timer)", "CREATE_TIME_PERSONAL_TIMER"},
		{"created by its owner without an origin is manual", kindOf("time_entry", "created", "", self), "Created time (personal, manual)", "CREATE_TIME_PERSONAL_MANUAL"},
		{"import goes before for other", kindOf("time_entry", "created", "import", other), "Created time (import)", "CREATE_TIME_IMPORT"},
		{"kiosk goes before for other", kindOf("time_entry", "created", "kiosk", other), "Created time (kiosk)", "CREATE_TIME_KIOSK"},
		{"for other goes before timer", kindOf("time_entry", "created", "timer", other), "Created time (for other)", "CREATE_TIME_FOR_OTHER"},
		{"the way of an update does not show if it is ordinary", kindOf("time_entry", "updated", "timer", self), "Updated time (personal)", "UPDATE_TIME_PERSONAL"},
		{"an update through the kiosk", kindOf("time_entry", "updated", "kiosk", self), "Updated time (personal, kiosk)", "UPDATE_TIME_PERSONAL_KIOSK"},
		{"created through the API for another", kindOf("time_entry", "created", "api", other), "Created time (for other, API)", "CREATE_TIME_FOR_OTHER_API"},
		{"a time entry without an owner", kindOf("time_entry", "restored", "", none), "Restored time", "RESTORE_TIME_UNOWNED"},
		{"a project restored", kindOf("project", "restored", "", none), "Restored project", "RESTORE_PROJECT"},
		{"a project created through the API", kindOf("project", "created", "api", none), "Created project (API)", "CREATE_PROJECT_API"},
		{"a project updated by an import", kindOf("project", "updated", "import", none), "Updated project (import)", "UPDATE_PROJECT_IMPORT"},
		{"a project does not show whose it is", kindOf("project", "updated", "manual", other), "Updated project", "UPDATE_PROJECT"},
		{"an own task updated", kindOf("task", "updated", "", self), "Updated task (personal)", "UPDATE_TASK"},
		{"another's task updated", kindOf("task", "updated", "", other), "Updated task (for other)", "UPDATE_TASK"},
		{"only updates of a task show whose it is", kindOf("task", "created", "kiosk", other), "Created task (kiosk)", "CREATE_TASK_KIOSK"},
		{"a task restored", kindOf("task", "restored", "", self), "Restored task", "RESTORE_TASK"},
		{"an expense imported", kindOf("expense", "created", "import", self), "Created expense (personal, import)", "CREATE_EXPENSE_PERSONAL_IMPORT"},
		{"an export of the log itself", kindOf(audit.TypeExport, audit.Exported, "", none), "Exported audit log", "EXPORT_AUDIT_LOG"},
		{"a download of the log itself", kindOf(audit.TypeExport, audit.Downloaded, "", none), "Downloaded audit log", "DOWNLOAD_AUDIT_LOG"},
		{"the settings of the log itself", kindOf(audit.TypeSettings, "updated", "", none), "Updated audit settings", "UPDATE_AUDIT_SETTINGS"},
		{"a type nobody told of", kindOf("invoice_line", "created", "", self), "Created invoice line", "CREATE_INVOICE_LINE"},
		{"an operation nobody told of", kindOf("invoice", "approved", "", none), "Approved invoice", "APPROVED_INVOICE"},
		{"an operation nobody told of on a type that has owners", kindOf("time_entry", "checked_out", "", self), "Checked out time (personal)", "CHECKED_OUT_TIME_PERSONAL"},
		{"an origin nobody told of", kindOf("project", "updated", "slack-bot", none), "Updated project (slack bot)", "UPDATE_PROJECT_SLACK_BOT"},
		{"nothing at all", audit.Event{}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.label, audit.DefaultCatalog().Label(tt.event))
			require.Equal(t, tt.code, audit.DefaultCatalog().Code(tt.event))
		})
	}
}

// Filtering by the names that a report shows finds what the report shows.
func TestEveryNameFindsTheEventsThatBearIt(t *testing.T) {
	t.Parallel()
	c := audit.DefaultCatalog().With(invoices())
	types := append([]audit.EntityType{"invoice", "receipt"}, knownTypes...)
	if raceDetector { // it makes every look-up many times slower
		types = types[:3]
	}
	events := everyKind(
		types,
		append([]audit.Operation{"approved"}, knownOperations...),
		append([]audit.Origin{"slack"}, knownOrigins...),
	)
	filters := map[string]audit.Filter{}
	finds := func(name string, e audit.Event) bool {
		f, ok := filters[name]
		if !ok {
			actions, err := c.Actions(name)
			require.NoError(t, err)
			f = audit.Filter{Workspace: "w1", Actions: actions}
			require.NoError(t, c.Validate(f))
			filters[name] = f
		}
		return f.Matches(e)
	}
	inTable := map[string]bool{}
	for _, row := range c.All() {
		inTable[row.Label] = true
	}
	// without tells whether a label leaves out the ownership that others of
	// its kind tell. It asks for none, then.
	without := func(label string, e audit.Event) bool {
		e.Ownership = audit.OwnershipNone
		return !inTable[label] && c.Label(e) == label
	}

	labels := map[string]bool{}
	for _, e := range events {
		label, code := c.Label(e), c.Code(e)
		labels[label] = true
		require.True(t, finds(label, e), "%s is found by %q", describe(e), label)
		require.True(t, finds(strings.ToUpper(label), e), "the case of a label does not matter: %q", label)
		require.True(t, finds(code, e), "%s is found by %q", describe(e), code)
	}
	for label := range labels {
		for _, e := range events {
			if bears := c.Label(e) == label; bears != finds(label, e) && (bears || !without(label, e)) {
				t.Errorf("%q finds exactly what bears it; finds %s: %t", label, describe(e), !bears)
			}
		}
	}
	for _, row := range c.All() {
		for _, e := range events {
			if (audit.Filter{Workspace: "w1", Actions: []audit.Action{row.Action}}).Matches(e) {
				require.Equal(t, row.Label, c.Label(e), "what fits a row bears its label: %s", describe(e))
				require.Equal(t, row.Code, c.Code(e), "what fits a row bears its code: %s", describe(e))
			}
		}
	}
}

func TestACodeThatTwoLabelsShareFindsBoth(t *testing.T) {
	t.Parallel()
	actions, err := audit.DefaultCatalog().Actions("UPDATE_TASK")
	require.NoError(t, err)
	require.Equal(t, []audit.Action{
		{Type: "task", Operation: "updated", Origins: ordinaryOrigins, Ownership: "self"},
		{Type: "task", Operation: "updated", Origins: ordinaryOrigins, Ownership: "other"},
	}, actions)
}

func TestActionsAreFoundByTheirParts(t *testing.T) {
	t.Parallel()
	c := audit.DefaultCatalog().With(audit.CatalogWords{Types: []audit.TypeWords{{Type: "billing.invoice"}, {Type: "billing"}}})
	for name, want := range map[string]audit.Action{
		"project":                       {Type: "project"},
		"deleted":                       {Operation: "deleted"},
		"kiosk":                         {Origins: []audit.Origin{"kiosk"}},
		"other":                         {Ownership: "other"},
		" Project.Updated ":             {Type: "project", Operation: "updated"},
		"time_entry.created.kiosk":      {Type: "time_entry", Operation: "created", Origins: []audit.Origin{"kiosk"}},
		"time_entry.created.kiosk.self": {Type: "time_entry", Operation: "created", Origins: []audit.Origin{"kiosk"}, Ownership: "self"},
		"expense.other":                 {Type: "expense", Ownership: "other"},
		"billing.invoice.deleted":       {Type: "billing.invoice", Operation: "deleted"},
		"billing.deleted":               {Type: "billing", Operation: "deleted"},
	} {
		actions, err := c.Actions(name)
		require.NoError(t, err, name)
		require.Equal(t, []audit.Action{want}, actions, name)
	}
	for _, name := range []string{
		"", " ", ".", "project.", ".project", "project..updated", "updated.project", "projects.updated", "projectupdated",
		"project.updated.project", "invoice.created",
	} {
		_, err := c.Actions(name)
		require.ErrorIs(t, err, audit.ErrInvalidFilter, "%q", name)
	}
}

func TestNoNamesAskForNoActions(t *testing.T) {
	t.Parallel()
	actions, err := audit.DefaultCatalog().Actions()
	require.NoError(t, err)
	require.Empty(t, actions)
}

func TestAnUnknownNameIsNamedAndNearOnesSuggested(t *testing.T) {
	t.Parallel()
	c := audit.DefaultCatalog()
	for name, message := range map[string]string{
		"Updated projet":         `audit: invalid filter: unknown action "Updated projet"; did you mean "Updated project" or "UPDATE_PROJECT"?`,
		"UPDATE_TSAK":            `audit: invalid filter: unknown action "UPDATE_TSAK"; did you mean "UPDATE_TASK" or "UPDATE_TAG"?`,
		"expense.updatd":         `audit: invalid filter: unknown action "expense.updatd"; did you mean "expense.updated"?`,
		"Sang":                   `audit: invalid filter: unknown action "Sang"; add it with Catalog.With if it is right`,
		strings.Repeat("x", 999): `audit: invalid filter: unknown action "` + strings.Repeat("x", 188) + `…"; add it with Catalog.With if it is right`,
	} {
		_, err := c.Actions("Created tag", name)
		require.ErrorIs(t, err, audit.ErrInvalidFilter)
		require.EqualError(t, err, message)
	}
}

func TestAnApplicationAddsItsOwnWords(t *testing.T) {
	t.Parallel()
	c := audit.DefaultCatalog().With(invoices())
	for _, tt := range []struct {
		event       audit.Event
		label, code string
	}{
		{kindOf("invoice", "created", "", "self"), "Created invoice (personal)", "CREATE_INVOICE_PERSONAL"},
		{kindOf("invoice", "approved", "slack", "other"), "Approved invoice (for other, Slack)", "APPROVE_INVOICE_FOR_OTHER_SLACK"},
		{kindOf("project", "approved", "", ""), "Approved project", "APPROVE_PROJECT"},
		{kindOf("receipt", "created", "", "self"), "Created till", "CREATE_TILL"},
		{kindOf("receipt", "approved", "slack", "self"), "Locked receipt", "LOCKED_RECEIPT"},
		{kindOf("tag", "created", "", ""), "New tag", "CREATE_TAG"},
		{kindOf("tag", "created", "import", ""), "Created tag (import)", "CREATE_TAG_IMPORT"},
		{kindOf("time_entry", "created", "timer", "self"), "Created time (personal, timer)", "CREATE_TIME_PERSONAL_TIMER"},
	} {
		require.Equal(t, tt.label, c.Label(tt.event))
		require.Equal(t, tt.code, c.Code(tt.event))
	}
	require.Equal(t, "till receipt", c.Noun("receipt"))
	require.Equal(t, "time entry", c.Noun("time_entry"))
	require.Equal(t, "stock item", c.Noun("stock_item"), "even if nobody told of it")

	groups := c.Groups()
	require.Len(t, groups, 10)
	row := func(label, code string, op audit.Operation, whose audit.Ownership) audit.CatalogRow {
		return audit.CatalogRow{Label: label, Code: code, Action: audit.Action{Type: "invoice", Operation: op, Origins: ordinaryOrigins, Ownership: whose}}
	}
	require.Equal(t, audit.CatalogGroup{Type: "invoice", Noun: "invoice", Rows: []audit.CatalogRow{
		row("Created invoice (personal)", "CREATE_INVOICE_PERSONAL", "created", "self"),
		row("Created invoice (for other)", "CREATE_INVOICE_FOR_OTHER", "created", "other"),
		row("Approved invoice (personal)", "APPROVE_INVOICE_PERSONAL", "approved", "self"),
		row("Approved invoice (for other)", "APPROVE_INVOICE_FOR_OTHER", "approved", "other"),
	}}, groups[8])
	require.Equal(t, "Created tag", audit.DefaultCatalog().Label(kindOf("tag", "created", "", "")), "With leaves the catalogue it is called on as it was")
}

func TestWordsWithoutANameAreIgnored(t *testing.T) {
	t.Parallel()
	c := audit.DefaultCatalog().With(audit.CatalogWords{
		Types:      []audit.TypeWords{{Noun: "nothing"}},
		Operations: []audit.OperationWords{{Verb: "Did"}},
		Origins:    []audit.OriginWords{{Label: "whence"}},
		Rows:       []audit.CatalogRow{{Label: "Any"}, {Action: audit.Action{Type: "tag", Operation: "created"}}},
	})
	require.Equal(t, audit.DefaultCatalog(), c)
}

func TestANilAndAZeroCatalogAreTheDefaultOne(t *testing.T) {
	t.Parallel()
	e := kindOf("time_entry", "updated", "kiosk", "self")
	for name, c := range map[string]*audit.Catalog{"nil": nil, "zero": new(audit.Catalog)} {
		require.Equal(t, "Updated time (personal, kiosk)", c.Label(e), name)
		require.Equal(t, "UPDATE_TIME_PERSONAL_KIOSK", c.Code(e), name)
		require.Equal(t, "time entry", c.Noun("time_entry"), name)
		require.Equal(t, audit.DefaultCatalog().All(), c.All(), name)
		require.NoError(t, c.Validate(audit.Filter{Workspace: "w1", Types: []audit.EntityType{"tag"}}), name)
		_, err := c.Actions("Deleted tag")
		require.NoError(t, err, name)
		require.Equal(t, "Created invoice (personal)", c.With(invoices()).Label(kindOf("invoice", "created", "", "self")), name)
	}
}

func TestACatalogCannotBeChangedThroughWhatItTakesOrReturns(t *testing.T) {
	t.Parallel()
	words := invoices()
	c := audit.DefaultCatalog().With(words)
	words.Types[0].Operations[0] = "broken"
	words.Rows[1].Action.Origins[0] = "broken"
	rows := c.All()
	for i := range rows {
		for j := range rows[i].Action.Origins {
			rows[i].Action.Origins[j] = "broken"
		}
		rows[i].Label = "broken"
	}
	actions, err := c.Actions("Deleted tag")
	require.NoError(t, err)
	actions[0].Origins[0] = "broken"
	require.Equal(t, audit.DefaultCatalog().With(invoices()), c)
}

func TestACatalogIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := new(audit.Catalog)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := c.Actions("Deleted tag", "expense")
			_ = c.With(invoices()).All()
			_ = c.Label(kindOf("tag", "restored", "api", ""))
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}

func TestValidateNamesWhatTheCatalogDoesNotKnow(t *testing.T) {
	t.Parallel()
	c := audit.DefaultCatalog()
	for _, tt := range []struct {
		name    string
		filter  audit.Filter
		message string
	}{
		{"what the filter itself refuses", audit.Filter{}, `audit: invalid filter: Workspace is empty; every read names its workspace`},
		{"a type", audit.Filter{Workspace: "w1", Types: []audit.EntityType{"tag", "projects"}}, `audit: invalid filter: unknown entity type "projects"; did you mean "project"?`},
		{"the type of a record", audit.Filter{Workspace: "w1", Entities: []audit.Entity{{Type: "timeentry", ID: "1"}}}, `audit: invalid filter: unknown entity type "timeentry"; did you mean "time_entry"?`},
		{"the type of an action", audit.Filter{Workspace: "w1", Actions: []audit.Action{{Type: "invoice"}}}, `audit: invalid filter: unknown entity type "invoice"; add it with Catalog.With if it is right`},
		{"the operation of an action", audit.Filter{Workspace: "w1", Actions: []audit.Action{{Operation: "update"}}}, `audit: invalid filter: unknown operation "update"; did you mean "updated"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := c.Validate(tt.filter)
			require.ErrorIs(t, err, audit.ErrInvalidFilter)
			require.EqualError(t, err, tt.message)
		})
	}
	own := audit.Filter{
		Workspace: "w1", Types: []audit.EntityType{"invoice"}, Actions: []audit.Action{{Type: "receipt", Operation: "approved"}, {Ownership: "self"}},
		Entities: []audit.Entity{{Type: "invoice", ID: "1"}}, Origins: []audit.Origin{"never heard of"},
	}
	require.Error(t, c.Validate(own))
	require.NoError(t, c.With(invoices()).Validate(own))
}
