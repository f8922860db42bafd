package pagetest

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// renamed is the event that the tests open, by its row.
const renamed = `//summary[contains(., "Maya Lindqvist") and contains(., "Updated project") and contains(., "Gemini")]`

// rows are the events that a page shows, without what followed from them.
func (b *tab) rows() []string {
	b.t.Helper()
	return b.texts(".events > li > .event > summary")
}

func TestAReportIsChosenAndRun(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	b.click(`//summary[contains(., "Authors")]`)
	b.click(`//label[contains(., "Maya Lindqvist")]`)
	require.Equal(t, "1", b.text(".menu[open] .count"), "the menu counts what is ticked")
	b.click(`//summary[contains(., "Actions")]`)
	b.write(".menu[open] input[type=search]", "updated project")
	b.click(`//label[normalize-space()="Updated project"]`)
	b.write("input[name=text]", "Apollo")
	b.follow(`//button[normalize-space()="Run report" and not(@aria-hidden)]`)

	rows := b.rows()
	require.Len(t, rows, 3)
	for _, row := range rows {
		require.Contains(t, row, "Maya Lindqvist")
		require.Contains(t, row, "Updated project")
		require.Contains(t, row, "Apollo")
	}
	require.Contains(t, b.location(), "action=UPDATE_PROJECT")
	require.NotContains(t, b.location(), "owner=", "what is empty is not in the address")
	require.Contains(t, eval[string](b, `document.querySelector(".query input[name=q]").value`), `action:"Updated project"`, "the form shows as a query")

	b.follow(`//button[normalize-space()="Run query"]`)
	require.Equal(t, rows, b.rows(), "the query asks for the same")
}

func TestAnAuthorIsFoundAmongAll(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	b.open("audit/authors?action=UPDATE_PROJECT&text=Apollo")
	b.click(`//label[contains(., "Maya Lindqvist")]`)
	b.follow(`//button[normalize-space()="Run report"]`)
	require.Len(t, b.rows(), 3)
	require.Contains(t, b.location(), "action=UPDATE_PROJECT", "the rest of the report is as it was")
	require.Equal(t, "1", b.text(".menu .count"), "one author is ticked")
}

func TestASearchThatFindsNothingCanBeChanged(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	search := func(list, wanted string) {
		t.Helper()
		const nothing = "nothing is called this"
		b.write(list+" input[type=search]", nothing)
		require.Empty(t, b.texts(list+" label:not([hidden])"))
		b.write(list+" input[type=search]", strings.Repeat(kb.Backspace, len(nothing))+wanted)
		require.Equal(t, []string{wanted}, b.texts(list+" label:not([hidden])"))
	}
	b.click(`//summary[contains(., "Actions")]`)
	search(".menu[open]", "Updated project")
	b.open("audit/authors?actor=a&actor=b&actor=c&actor=d&actor=e&actor=f&actor=g&actor=h&actor=zebra")
	search(".people", "zebra")
	b.open("audit/?actor=a&actor=b&actor=c&actor=d&actor=e&actor=f&actor=g&actor=h&actor=zebra")
	b.click(`//summary[contains(., "Authors")]`)
	search(".menu[open]", "zebra")
}

func TestAnUpdateOpensToItsValues(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	b.open("audit/?action=UPDATE_PROJECT&text=Apollo")
	b.click(renamed)
	require.Equal(t, "Field\tPrevious value\tNew value\nname\tGemini\tApollo", b.text(".event[open] table"))
	require.Contains(t, b.text(".event[open] .say"), "Maya Lindqvist renamed project “Gemini” to “Apollo”.")

	b.follow(`//details[@class="event" and @open]/p/a[normalize-space()="This event"]`)
	require.Equal(t, "Maya Lindqvist renamed project “Gemini” to “Apollo”", b.text("h1"))
	require.NotEmpty(t, b.rows(), "what followed from it")
	b.open("audit/?action=UPDATE_PROJECT&text=Apollo")
	b.click(renamed)
	b.follow(`//details[@class="event" and @open]/p/a[normalize-space()="History of the record"]`)
	history := b.rows()
	require.Contains(t, history[len(history)-1], "Created project")
}

func TestOnePagesToTheEndAndBack(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	b.open("audit/?size=100")
	var forth [][]string
	for {
		forth = append(forth, b.rows())
		if !eval[bool](b, `!!document.querySelector("a[rel=next]")`) {
			break
		}
		b.follow("a[rel=next]")
	}
	require.Greater(t, len(forth), 4)
	for i := len(forth) - 1; i > 0; i-- {
		require.Equal(t, forth[i], b.rows(), "page %d", i+1)
		b.follow("a[rel=prev]")
	}
	require.Equal(t, forth[0], b.rows())
	b.follow(`//a[contains(., "Oldest")]`)
	last := b.rows()
	require.Equal(t, forth[len(forth)-1][len(forth[len(forth)-1])-1], last[len(last)-1])
}

func TestAnAddressIsShared(t *testing.T) {
	t.Parallel()
	address := sharedSite(t)
	b := as(t, address, admin)
	b.open("audit/?action=time_entry.updated&size=20")
	b.follow("a[rel=next]")
	other := as(t, address, manager)
	other.open(b.location())
	require.Equal(t, b.rows(), other.rows())

	limited := as(t, address, member)
	limited.open(b.location())
	require.Empty(t, limited.rows(), "who may not see time entries sees none")
	require.Contains(t, limited.text(".nothing"), "Nothing was recorded")
}

func TestAReportIsExportedAtOnce(t *testing.T) {
	t.Parallel()
	b := as(t, site(t), admin)
	b.open("audit/?action=UPDATE_PROJECT")
	file := b.download(chromedp.Click(chromedp.Search(`//a[normalize-space()="CSV"]`)))
	rows, err := csv.NewReader(strings.NewReader(string(file))).ReadAll()
	require.NoError(t, err)
	shown := eval[int](b, `document.querySelectorAll(".event:not(.context > .event)").length`)
	require.Len(t, rows, 1+shown, "a heading, and what the page shows")
	require.Contains(t, string(file), "name: Gemini")

	b.open("audit/?action=EXPORT_AUDIT_LOG")
	require.Len(t, b.rows(), 1, "the export is an event itself")
}

func TestAReportIsExportedInTheBackground(t *testing.T) {
	t.Parallel()
	b := as(t, site(t), admin)
	b.open("audit/?action=UPDATE_PROJECT")
	direct := b.download(chromedp.Click(chromedp.Search(`//a[normalize-space()="CSV"]`)))
	b.follow(`//a[starts-with(normalize-space(), "Options")]`)
	b.follow(`//button[normalize-space()="Make it in the background"]`)
	require.Equal(t, "Your exports", b.text("h1"))
	// The page looks again by itself until the file is there.
	in(b, chromedp.WaitVisible(chromedp.CSS("a[download]")))
	require.Equal(t, "ready", b.text(".job-state"))
	file := b.download(chromedp.Click(chromedp.CSS("a[download]")))
	require.Equal(t, string(direct), string(file), "the file is that of the export at once")
}

func TestATypeIsSwitchedOff(t *testing.T) {
	t.Parallel()
	address := site(t)
	b := as(t, address, admin)
	b.follow(`//nav//a[normalize-space()="Settings"]`)
	b.follow(`//li[.//span[normalize-space()="Project"]]//button`)
	require.Equal(t, "Off", b.text(`.switches li:has([value=project]) .state`))
	b.follow(`//a[normalize-space()="See who turned what"]`)
	rows := b.rows()
	require.Contains(t, rows[0], admin)
	b.click(".event > summary")
	require.Contains(t, b.text(".event[open] table"), "project\ttrue\tfalse")

	b.open("")
	b.write(`input[value="Apollo"]`, " Two")
	b.follow(`//form[.//input[@value="Apollo"]]//button`)
	b.open("audit/?type=project&range=today")
	require.Len(t, b.rows(), 3, "what was done while recording was off is not recorded")

	limited := as(t, address, member)
	require.NotContains(t, limited.text("nav"), "Settings")
	require.EqualValues(t, 404, limited.open("audit/settings"))
}

func TestWhatIsWrongIsShownWhereItIs(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	require.EqualValues(t, 400, b.open("audit/?q=actor:u17+colour:red"))
	require.Equal(t, "colour", b.text(".trouble mark"))
	require.Empty(t, b.rows())
	require.EqualValues(t, 400, b.open("audit/?from=2026-01-01&to=2026-03-01"))
	require.Contains(t, b.text(".trouble"), "30 days at most")
	require.Equal(t, "2026-01-01", eval[string](b, `document.querySelector("[name=from]").value`), "what was asked for is still there")
}
