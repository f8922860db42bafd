package report_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/report"
)

// hostile are texts that would run, or hide, on a page that took them for its
// own.
var hostile = []string{
	`<script>alert(1)</script>`,
	`"><script>alert(1)</script>`,
	`'><img src=x onerror=alert(1)>`,
	`<img src=x onerror=alert(1)>`,
	`</title><script>alert(1)</script>`,
	`</details></li></ol><script>alert(1)</script>`,
	`</textarea><svg onload=alert(1)>`,
	`javascript:alert(1)`,
	`data:text/html,<script>alert(1)</script>`,
	`" onfocus=alert(1) autofocus="`,
	"` onfocus=alert(1) ",
	` onmouseover=alert(1) x=`,
	`{{.Root}}{{template "top" .}}`,
	`<!--<script>alert(1)</script>-->`,
	`<![CDATA[<script>alert(1)</script>]]>`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	"<scr\x00ipt>alert(1)</script>",
	"\u202e<script>alert(1)</script>",
	"<script>\u2028alert(1)</script>",
	"＜script＞alert(1)＜/script＞",
	"\xff\xfe<script>",
}

var (
	// elements are the tags of a page, with what they hold.
	elements   = regexp.MustCompile(`(?s)<[a-zA-Z!/][^>]*>`)
	tagName    = regexp.MustCompile(`^</?[a-zA-Z!]+`)
	ownScript  = regexp.MustCompile(`^<script src="(\.\./|\./)assets/page\.[0-9a-f]{12}\.js" defer>$`)
	foreign    = regexp.MustCompile(`(?i)^<(img|svg|iframe|object|embed|style|base|textarea|!--|!\[)`)
	quotedText = regexp.MustCompile(`"[^"]*"`)
	handlers   = regexp.MustCompile(`(?i)[\s/](on[a-z]+|style|srcdoc)\s*=`)
	badScheme  = regexp.MustCompile(`(?i)^\s*(javascript|data|vbscript):`)
)

// inspector remembers the tags it has found harmless: pages have most of theirs
// in common.
type inspector map[string]bool

// requireHarmless finds no element on the page that the page does not make
// itself, and no character that hides others.
func (seen inspector) requireHarmless(t *testing.T, page, text string) {
	t.Helper()
	for _, tag := range elements.FindAllString(page, -1) {
		if seen[tag] {
			continue
		}
		seen[tag] = true
		switch strings.ToLower(tagName.FindString(tag)) {
		case "<script":
			require.True(t, ownScript.MatchString(tag), "%s: %s", text, tag)
		case "<!doctype", "</script":
		default:
			require.False(t, foreign.MatchString(tag), "%s: %s", text, tag)
		}
		require.False(t, handlers.MatchString(quotedText.ReplaceAllString(tag, `""`)), "%s: %s", text, tag)
		for _, link := range links.FindAllStringSubmatch(tag, -1) {
			require.False(t, badScheme.MatchString(html.UnescapeString(link[1])), "%s: %s", text, tag)
		}
	}
	shown := elements.ReplaceAllString(page, "") // what a control holds is not changed
	require.False(t, strings.ContainsAny(shown, "\u202e\u2028\x00"), "%s: a character that hides others", text)
}

func TestNothingThatIsRecordedRunsOnThePage(t *testing.T) {
	t.Parallel()
	pages := inspector{}
	for n, text := range hostile {
		stored := strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\uFFFD"), "\uFFFD")
		quoted, err := json.Marshal(stored)
		require.NoError(t, err)
		value := audit.Value{JSON: quoted}
		e := audit.Event{
			ID: id(1), Time: on(20, 9, 0), Operation: audit.Updated, Origin: audit.Origin(stored), Reason: stored,
			Actor: audit.Actor{Kind: audit.ActorKind(stored), ID: stored, Name: stored}, Initiator: audit.Actor{ID: stored, Name: stored},
			Entity:  audit.Entity{Type: audit.EntityType(stored), ID: stored, Label: stored, Owner: stored},
			Request: audit.Request{ID: stored, Address: stored, Agent: stored}, Ownership: audit.Ownership(stored),
			Changes: []audit.Change{
				{Field: stored, Before: value, After: audit.Value{JSON: json.RawMessage("1"), Label: stored}},
				{Field: stored, Before: audit.Value{JSON: quoted, Form: audit.Form(stored)}, After: audit.ValueOf(map[string]any{stored: stored})},
				{Field: stored, Element: true, Before: raw("null"), After: value},
				{Field: "long", Before: audit.ValueOf(strings.Repeat(stored, 200)), After: audit.ValueOf(strings.Repeat(stored, 10000))},
				{Field: "not JSON", Before: audit.Value{JSON: json.RawMessage(stored)}, After: audit.Value{JSON: json.RawMessage(`{` + stored), Form: audit.FormShortened}},
			},
		}
		created, own := e, e
		created.ID, created.Operation, created.Cause = id(2), audit.Created, e.ID
		own.ID, own.Operation = id(3), audit.Operation(stored)
		scope := everything
		scope.Workspace, scope.Actor = stored, audit.Actor{ID: stored, Name: stored}
		h := handler(t, storeWith(t, recorded(stored, []audit.Event{e, created, own})...), report.Options{
			Authorize: as(scope), Settings: newSettings(), Types: []audit.EntityType{audit.EntityType(stored)},
			Catalog: audit.DefaultCatalog().With(audit.CatalogWords{
				Types: []audit.TypeWords{{Type: audit.EntityType(stored), Noun: stored}}, Origins: []audit.OriginWords{{Origin: audit.Origin(stored), Label: stored}},
			}),
		})
		for _, target := range []string{
			"/", "/event/" + id(1).String(), "/event/" + id(2).String(), "/event/" + id(3).String(), "/settings", "/export",
			"/record?" + url.Values{"type": {stored}, "id": {stored}}.Encode(),
		} {
			w := get(t, h, target)
			require.Equal(t, 200, w.Code, "%d %q %s: %s", n, text, target, w.Body)
			pages.requireHarmless(t, w.Body.String(), fmt.Sprintf("%q on %s", text, target))
		}
	}
}

func TestNothingThatIsAskedForRunsOnThePage(t *testing.T) {
	t.Parallel()
	h := handler(t, storyStore(t), report.Options{Settings: newSettings()})
	pages := inspector{}
	for _, text := range hostile {
		for path, names := range map[string][]string{
			"/":                              {text, "unknown", "range", "from", "to", "tz", "actor", "action", "type", "record", "owner", "origin", "field", "text", "q", "size", "page"},
			"/export":                        {"format", "per", "raw", "text", "q"},
			"/record":                        {text, "type", "id", "tz"},
			"/settings":                      {text},
			"/event/" + id(3).String():       {text, "page"},
			"/" + url.PathEscape(text):       {"x"},
			"/event/" + url.PathEscape(text): {"x"},
		} {
			for _, name := range names {
				w := get(t, h, path+"?"+url.Values{name: {text}}.Encode())
				require.Contains(t, []int{200, 400, 404}, w.Code)
				pages.requireHarmless(t, w.Body.String(), fmt.Sprintf("%s: %s=%q", path, name, text))
			}
		}
		w := post(t, h, "/settings", url.Values{"type": {text}, "turn": {"on"}}.Encode())
		pages.requireHarmless(t, w.Body.String(), text)
	}
}
