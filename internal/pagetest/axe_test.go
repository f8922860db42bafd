package pagetest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// view is a page, or a page after something was done on it.
type view struct {
	name, path string
	prepare    func(b *tab)
}

// pages are all pages that there are, for the tests that look at each.
func pages(b *tab) []view {
	b.t.Helper()
	b.open("audit/?action=UPDATE_PROJECT&text=Apollo")
	href := func(text string) string {
		return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll("a")].find(a => a.textContent === %q).href`, text))
	}
	renamed := `[...document.querySelectorAll(".event")].find(e => e.textContent.includes("Gemini"))`
	event := eval[string](b, renamed+`.querySelector(".links a").href`)
	record := href("History of the record")
	b.open(event)
	changeSet := eval[string](b, `document.querySelector(".facts a[href*=changeset]").href`)
	return []view{
		{"the report", "audit/?size=20", nil},
		{"an opened update", "audit/?action=UPDATE_PROJECT", func(b *tab) { eval[any](b, renamed+`.open = true`) }},
		{"linked changes", "audit/?from=2026-03-04&to=2026-03-04&size=30", func(b *tab) {
			eval[any](b, `document.querySelectorAll("details.linked, details.event").forEach(d => d.open = true)`)
		}},
		{"the authors", "audit/?size=1", func(b *tab) { b.click(`//summary[contains(., "Authors")]`) }},
		{"all authors", "audit/authors?text=Apollo&actor=system", nil},
		{"the actions", "audit/?size=1", func(b *tab) { b.click(`//summary[contains(., "Actions")]`) }},
		{"more filters", "audit/?size=1", func(b *tab) { b.click(`//summary[contains(., "More filters")]`) }},
		{"an empty report", "audit/?text=" + url.QueryEscape("nothing is called this"), nil},
		{"a query that is wrong", "audit/?q=actor:u17+colour:red", nil},
		{"an event", event, nil},
		{"a record", record, nil},
		{"a change set", changeSet, nil},
		{"the settings", "audit/settings", nil},
		{"the exports", "audit/exports", nil},
		{"an export", "audit/export?range=7d", nil},
		{"an error", "audit/nothing", nil},
		{"the example's own page", "", nil},
	}
}

// axe is the script that looks for what keeps people from using a page.
func axe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if errors.Is(err, os.ErrNotExist) {
		missing(t, "axe-core", "run npm ci in the folder internal/pagetest")
	}
	require.NoError(t, err)
	return string(script)
}

// violations are what axe finds, each with the elements.
func (b *tab) violations(axe string) []string {
	b.t.Helper()
	eval[any](b, axe+"; 0")
	return eval[[]string](b, `axe.run(document, {preload: false, resultTypes: ["violations"]}).then(r => r.violations.map(v =>
		v.id + " (" + v.impact + "): " + v.help + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")))`)
}

func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	browserFor(t)
	script := axe(t)
	address := site(t)
	for _, look := range []string{"light", "dark"} {
		t.Run(look, func(t *testing.T) {
			t.Parallel()
			b := signedIn(t, address, admin)
			if look == "dark" {
				b.dark()
			}
			// One export that is there, or on its way.
			b.open("audit/export?action=UPDATE_PROJECT")
			b.follow(`//button[normalize-space()="Make it in the background"]`)
			for _, p := range pages(b) {
				b.open(p.path)
				if p.prepare != nil {
					p.prepare(b)
				}
				require.Empty(t, b.violations(script), p.name)
			}
			b.base = kinds(t)
			for _, path := range []string{"", "event/00000000-0000-7000-8000-000000000001"} {
				b.open(path)
				eval[any](b, `document.querySelectorAll("details.event, details.long").forEach(d => d.open = true)`)
				require.Empty(t, b.violations(script), "kinds of values, %s", path)
			}
		})
	}
}

func TestTheDarkLookIsDark(t *testing.T) {
	t.Parallel()
	b := signedIn(t, sharedSite(t), admin)
	luminance := `(() => { const [r, g, b] = getComputedStyle(document.body).%s.match(/\d+/g).map(Number); return 0.2126*r + 0.7152*g + 0.0722*b })()`
	b.open("audit/")
	require.Greater(t, eval[float64](b, fmt.Sprintf(luminance, "backgroundColor")), 200.0)
	b.dark()
	require.Less(t, eval[float64](b, fmt.Sprintf(luminance, "backgroundColor")), 60.0)
	require.Greater(t, eval[float64](b, fmt.Sprintf(luminance, "color")), 180.0)
}
