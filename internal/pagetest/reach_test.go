package pagetest

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// focused is what has the focus, as people know it, with the width of its
// outline.
type focused struct {
	Name    string `json:"name"`
	Outline string `json:"outline"`
}

// focus tells what has the focus.
func (b *tab) focus() focused {
	b.t.Helper()
	return eval[focused](b, `(() => {
		const e = document.activeElement, s = getComputedStyle(e);
		if (e === document.body) return {name: "", outline: ""};
		const name = e.getAttribute("aria-label") || (e.matches("input, select") ? e.name : e.innerText) || e.tagName;
		return {name: name.trim().split("\n")[0], outline: s.outlineStyle === "none" ? "" : s.outlineWidth};
	})()`)
}

// tabTo presses the tab key until something has the focus, which everything on
// the way shows.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	var passed []string
	for range 80 {
		b.press(kb.Tab)
		f := b.focus()
		if f.Name == "" {
			break // round the end of the page
		}
		require.NotEmpty(b.t, f.Outline, "%s has the focus and does not show it", f.Name)
		if f.Name == name {
			return
		}
		passed = append(passed, f.Name)
	}
	b.t.Fatalf("%s is not reached by the tab key, only %q", name, passed)
}

func TestThePageIsUsedByTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	b := as(t, sharedSite(t), admin)
	b.press(kb.Tab)
	require.Equal(t, "Skip to the content", b.focus().Name, "the first thing")
	// In the order in which they stand there.
	for _, name := range []string{"Report", "Exports", "Settings", "from", "to", "tz", "Today", "Last month", "Authors"} {
		b.tabTo(name)
	}
	b.press(kb.Enter)
	require.True(t, eval[bool](b, `document.querySelector(".menu").open`))
	b.press(kb.Escape)
	require.False(t, eval[bool](b, `document.querySelector(".menu").open`))
	require.Equal(t, "Authors", b.focus().Name, "one is back where one was")

	b.tabTo("text")
	in(b, chromedp.KeyEvent("Apollo"))
	b.load(chromedp.KeyEvent(kb.Enter))
	require.Contains(t, b.location(), "text=Apollo")
	require.Contains(t, b.location(), "from=2026-02-28&to=2026-03-06", "Enter runs the report and changes no range")

	row := b.texts(".event > summary > time")
	b.tabTo(row[0])
	require.False(t, eval[bool](b, `document.querySelector(".event").open`))
	b.press(kb.Enter)
	require.True(t, eval[bool](b, `document.querySelector(".event").open`))
	b.tabTo("This event")
	b.tabTo("History of the record")
	b.load(chromedp.KeyEvent(kb.Enter))
	require.Contains(t, b.text("h1"), "Apollo")

	summary := `document.activeElement === document.querySelectorAll(".events summary")[%d]`
	eval[any](b, `document.querySelector(".events summary").focus()`)
	b.press(kb.ArrowDown)
	require.True(t, eval[bool](b, fmt.Sprintf(summary, 1)))
	b.press(kb.ArrowUp)
	require.True(t, eval[bool](b, fmt.Sprintf(summary, 0)))
}

func TestTheKeyboardTurnsASwitch(t *testing.T) {
	t.Parallel()
	b := as(t, site(t), admin)
	b.open("audit/settings")
	b.tabTo("Turn off") // the first one is that of the workspace
	b.load(chromedp.KeyEvent(kb.Enter))
	require.Equal(t, "Off", b.text(".master .state"))
}

func TestThePageWorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	b := signedIn(t, site(t), admin)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open("audit/")
	require.True(t, eval[bool](b, `document.querySelector(".copy") === null || document.querySelector(".copy").hidden`), "the script has not run")

	b.click(`//summary[contains(., "Actions")]`)
	b.click(`//label[normalize-space()="Updated project"]`)
	b.follow(`//button[normalize-space()="Run report" and not(@aria-hidden)]`)
	require.Contains(t, b.location(), "action=UPDATE_PROJECT")
	b.click(renamed)
	require.Contains(t, b.text(".event[open] table"), "name\tGemini\tApollo")
	b.follow(`//details[@class="event" and @open]/p/a[normalize-space()="This event"]`)
	require.Contains(t, b.text("h1"), "renamed project")

	b.open("audit/?size=100")
	first := b.rows()
	b.follow("a[rel=next]")
	require.NotEqual(t, first, b.rows())
	b.follow("a[rel=prev]")
	require.Equal(t, first, b.rows())

	b.open("audit/?action=UPDATE_PROJECT")
	direct := b.download(chromedp.Click(chromedp.Search(`//a[normalize-space()="CSV"]`)))
	b.follow(`//a[starts-with(normalize-space(), "Options")]`)
	b.follow(`//button[normalize-space()="Make it in the background"]`)
	for !eval[bool](b, `!!document.querySelector("a[download]")`) {
		b.follow(`//a[normalize-space()="Look again"]`)
	}
	require.Equal(t, string(direct), string(b.download(chromedp.Click(chromedp.CSS("a[download]")))))

	b.open("audit/settings")
	b.follow(`//li[.//span[normalize-space()="Tag"]]//button`)
	require.Equal(t, "Off", b.text(`.switches li:has([value=tag]) .state`))
}

func TestNothingRunsOutOfANarrowWindow(t *testing.T) {
	t.Parallel()
	address := sharedSite(t)
	b := signedIn(t, address, admin)
	b.size(320, 640)
	check := func(what string) {
		t.Helper()
		wide := eval[[]string](b, `[...document.querySelectorAll("body *")].filter(e => {
			const r = e.getBoundingClientRect();
			return e.checkVisibility() && r.width > 0 && r.right > innerWidth + 1 && !e.closest(".pointed, .long, .skip, .vh");
		}).map(e => e.tagName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right))`)
		require.Empty(t, wide, "%s is wider than the window", what)
		require.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320, what)
	}
	for _, p := range pages(b) {
		b.open(p.path)
		if p.prepare != nil {
			p.prepare(b)
		}
		check(p.name)
	}
	b.base = kinds(t)
	for _, path := range []string{"", "event/00000000-0000-7000-8000-000000000001", "event/00000000-0000-7000-8000-000000000002"} {
		b.open(path)
		eval[any](b, `document.querySelectorAll("details.event, details.long").forEach(d => d.open = true)`)
		check("the page of kinds " + path)
	}
}
