package pagetest

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/stretchr/testify/require"
)

// The users of the example.
const (
	admin    = "Maya Lindqvist"
	manager  = "Chloé Martin"
	member   = "Ben Okafor"
	stranger = "Daniel Weiss"
)

// programFolder is where the example is built, and all that it writes.
var programFolder string

// program builds the example and plays its week into the database week.db. It
// does so once; every site has a copy.
var program = sync.OnceValues(func() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "pagetest-"); err != nil {
		return "", err
	}
	programFolder = folder
	build := exec.Command("go", "build", "-C", "../../examples", "-o", filepath.Join(folder, "timesheet"), "./timesheet")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", err
	}
	fill := exec.Command(filepath.Join(folder, "timesheet"), "-db", filepath.Join(folder, "week.db"), "-csv", filepath.Join(folder, "week.csv"))
	fill.Stderr = os.Stderr
	return folder, fill.Run()
})

// served is the example as a process that serves, as people are told to start
// it.
type served struct {
	address string
	// end is Ctrl-C, and what the process ends with.
	end func() error
}

// serve starts the example on a database of its own.
func serve() (*served, error) {
	folder, err := program()
	if err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(folder, "site-")
	if err != nil {
		return nil, err
	}
	week, err := os.ReadFile(filepath.Join(folder, "week.db"))
	if err != nil {
		return nil, err
	}
	database := filepath.Join(own, "week.db")
	if err := os.WriteFile(database, week, 0o600); err != nil {
		return nil, err
	}
	process := exec.Command(filepath.Join(folder, "timesheet"), "-serve", "127.0.0.1:0", "-db", database)
	process.Stderr = os.Stderr
	printed, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	s := new(served)
	lines := bufio.NewScanner(printed)
	for s.address == "" && lines.Scan() {
		s.address, _ = strings.CutPrefix(lines.Text(), "Time tracker: ")
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, printed)
	}()
	s.end = func() error {
		err := process.Process.Signal(os.Interrupt)
		<-drained
		return errors.Join(err, process.Wait())
	}
	return s, nil
}

// site is the example, served for this test alone. It returns the address.
func site(t *testing.T) string {
	t.Helper()
	browserFor(t) // before anything is built in vain
	s, err := serve()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.end(), "Ctrl-C ends it cleanly") })
	return s.address
}

// shared is the example for all tests that change nothing. TestMain ends it.
var shared = sync.OnceValues(func() (*served, error) {
	s, err := serve()
	if err == nil {
		endShared = s.end
	}
	return s, err
})

var endShared = func() error { return nil }

// sharedSite is the address of the example for tests that change nothing.
func sharedSite(t *testing.T) string {
	t.Helper()
	browserFor(t)
	s, err := shared()
	require.NoError(t, err)
	return s.address
}

// as is a tab in which a user has signed in, on the first page of the audit log.
func as(t *testing.T, address, user string) *tab {
	t.Helper()
	b := signedIn(t, address, user)
	b.open("audit/")
	return b
}

// signedIn is a tab with a user's cookie, on no page yet.
func signedIn(t *testing.T, address, user string) *tab {
	t.Helper()
	response, err := http.Get(address)
	require.NoError(t, err)
	defer response.Body.Close()
	home, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	id := regexp.MustCompile(`value="([^"]+)">` + user).FindSubmatch(home)
	require.NotNil(t, id, "%s has no user %s", address, user)
	b := newTab(t, address)
	call(b, network.SetCookie, network.SetCookieParams{Name: "user", Value: string(id[1]), URL: address})
	return b
}

func TestOneSignsInByChoosingWhoOneIs(t *testing.T) {
	t.Parallel()
	b := newTab(t, sharedSite(t))
	b.open("audit/")
	require.Equal(t, b.base, b.location(), "who is nobody is led to where one chooses")
	b.follow(`//button[normalize-space()="` + stranger + `"]`)
	require.EqualValues(t, http.StatusForbidden, b.open("audit/"))
	b.open("")
	b.follow(`//button[normalize-space()="` + manager + `"]`)
	b.follow(`//a[normalize-space()="Audit log"]`)
	require.NotEmpty(t, b.rows())
	require.Equal(t, manager, b.text(".who"))
}
