package pagetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long a step in the browser may take.
const patience = 30 * time.Second

// missing skips the test for want of something, or fails it if everything has
// to be there.
func missing(t *testing.T, what, remedy string) {
	t.Helper()
	text := fmt.Sprintf("%s is missing; %s", what, remedy)
	if os.Getenv("AUDIT_TEST_REQUIRE_BROWSER") == "1" {
		t.Fatal(text)
	}
	t.Skip("SKIPPED, nothing was tested in a browser: " + text)
}

// chromium is the browser of all tests, started when the first one needs it and
// ended by TestMain.
var chromium = struct {
	sync.Mutex
	ctx   context.Context
	err   error
	close []func()
}{}

// errNoBrowser is the error of a machine without Chromium.
var errNoBrowser = errors.New("no browser")

// startChromium starts the browser, once.
func startChromium() (context.Context, error) {
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx != nil || chromium.err != nil {
		return chromium.ctx, chromium.err
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		chromium.err = errNoBrowser
		return nil, chromium.err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.WindowSize(1280, 800))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // the sandbox refuses to run as root
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	chromium.close = append(chromium.close, cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	chromium.close = append(chromium.close, cancel)
	if chromium.err = chromedp.Do(ctx); chromium.err == nil {
		chromium.ctx = ctx
	}
	return chromium.ctx, chromium.err
}

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(chromium.close) - 1; i >= 0; i-- {
		chromium.close[i]()
	}
	if err := endShared(); err != nil {
		fmt.Fprintln(os.Stderr, "the example does not end cleanly:", err)
		code = 1
	}
	if programFolder != "" {
		_ = os.RemoveAll(programFolder)
	}
	os.Exit(code)
}

// browserFor is the browser, without which the test is skipped.
func browserFor(t *testing.T) context.Context {
	t.Helper()
	if raceDetector {
		t.Skip("SKIPPED under the race detector: what the browser looks at runs in a process that it does not watch")
	}
	ctx, err := startChromium()
	if errors.Is(err, errNoBrowser) {
		missing(t, "Chromium", "install it, as with apt-get install chromium")
	}
	require.NoError(t, err)
	return ctx
}

// tab is a tab of the browser with cookies of its own. Whatever the browser
// complains of in it fails the test: errors of scripts, a violation of the
// content security policy, files that do not load.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	// complains is set by a test that wants the browser to.
	complains bool

	mu         sync.Mutex
	complaints []string
}

// newTab opens a tab for a site, which base is the address of.
func newTab(t *testing.T, base string) *tab {
	t.Helper()
	parent := browserFor(t)
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, base: base}
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	call(b, log.Enable, cdp.Empty{})
	call(b, audits.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	t.Cleanup(func() {
		_, _ = chromedp.Run(ctx, chromedp.Evaluate[int]("0")) // what it says before the answer has arrived
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.complains {
			require.NotEmpty(t, b.complaints, "the browser does not complain")
			return
		}
		require.Empty(t, b.complaints, "the browser complains")
	})
	return b
}

// listen keeps what the browser complains of.
func (b *tab) listen(event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		complaint = logged(e.Entry)
	case log.EventEntryAdded:
		complaint = logged(e.Entry)
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
	case runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
	case *audits.EventIssueAdded:
		complaint = issue(e.Issue)
	case audits.EventIssueAdded:
		complaint = issue(e.Issue)
	}
	if complaint != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, complaint)
		b.mu.Unlock()
	}
}

// issue is a violation of the content security policy, if the issue is one. The
// other kinds are advice.
func issue(i *audits.InspectorIssue) string {
	if i.Code != audits.InspectorIssueCodeContentSecurityPolicyIssue {
		return ""
	}
	return "content security policy: " + i.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective
}

// logged is an entry of the browser's log if it is a complaint. That a page was
// answered with an error is none: tests ask for such pages.
func logged(e *log.Entry) string {
	if e.Level != log.EntryLevelError && e.Level != log.EntryLevelWarning && e.Source != log.EntrySourceSecurity {
		return ""
	}
	if e.Source == log.EntrySourceNetwork && !strings.Contains(e.URL, "/assets/") {
		return ""
	}
	return fmt.Sprintf("%s: %s %s", e.Source, e.Text, e.URL)
}

// in runs an action and returns its value.
func in[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

// call sends the browser a command.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	v, err := chromedp.Call(b.ctx, command, params)
	require.NoError(b.t, err)
	return v
}

// eval is what a script returns.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	return in(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// open goes to a path of the site, or to a whole address, and returns the
// status.
func (b *tab) open(path string) int64 {
	b.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.base + path
	}
	return in(b, chromedp.NavigateResponse(path)).Status
}

// follow clicks on an element and waits for the page that it leads to.
func (b *tab) follow(selector string) {
	b.t.Helper()
	b.load(b.clicking(selector))
}

// load does what leads to another page and waits for that.
func (b *tab) load(action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, action)
	require.NoError(b.t, err)
}

// click clicks on an element.
func (b *tab) click(selector string) {
	b.t.Helper()
	in(b, b.clicking(selector))
}

// clicking is the click on what a CSS selector or, with a slash in front, an
// XPath finds first.
func (b *tab) clicking(selector string) chromedp.Action[chromedp.Void] {
	if strings.HasPrefix(selector, "/") {
		return chromedp.Click(chromedp.Search(selector))
	}
	return chromedp.Click(chromedp.CSS(selector))
}

// write writes into a control.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	in(b, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press presses keys, those of package kb among them.
func (b *tab) press(keys string, options ...chromedp.KeyOption) {
	b.t.Helper()
	in(b, chromedp.KeyEvent(keys, options...))
}

// text is what people read in an element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return in(b, chromedp.Text(chromedp.CSS(selector)))
}

// texts is what people read in all elements.
func (b *tab) texts(selector string) []string {
	b.t.Helper()
	return eval[[]string](b, fmt.Sprintf(`[...document.querySelectorAll(%q)].map(e => e.innerText.trim())`, selector))
}

// location is the address that one would share.
func (b *tab) location() string {
	b.t.Helper()
	return in(b, chromedp.Location())
}

// size sets the size of the window.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	in(b, chromedp.EmulateViewport(width, height))
}

// dark makes the reader one who prefers dark pages.
func (b *tab) dark() {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
}

// download does what leads to a download and returns the file.
func (b *tab) download(action chromedp.Action[chromedp.Void]) []byte {
	b.t.Helper()
	folder := b.t.TempDir()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	progress := chromedp.BrowserEvents(ctx, browser.DownloadProgress)
	events := true
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: folder, EventsEnabled: &events,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	require.NoError(b.t, err)
	require.NoError(b.t, chromedp.Do(ctx, action))
	for e, err := range progress {
		require.NoError(b.t, err)
		require.NotEqual(b.t, browser.DownloadProgressStateCanceled, e.State, "the download breaks off")
		if e.State != browser.DownloadProgressStateCompleted {
			continue
		}
		// Another tab's download may be done at the same time.
		file, err := os.ReadFile(filepath.Join(folder, e.GUID))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(b.t, err)
		return file
	}
	b.t.Fatal("nothing was downloaded")
	return nil
}
