//go:build linux

package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gormtrail/audit/store/sqlstore"
)

// OwnServer is a server that belongs to one test, so that it may come to harm. It
// listens on 127.0.0.1 and needs no password. Run as root, it is the process of
// its own user.
type OwnServer struct {
	// Dir is the folder of its data.
	Dir string

	name    string
	port    int
	options []string
	process *exec.Cmd
	ended   chan struct{}
}

// FindOwnServer returns an error that says what is missing if there can be no
// [OwnServer] of the name, "postgres" or "mysql".
func FindOwnServer(name string) error {
	for _, program := range []string{installers[name], daemons[name]} {
		if _, err := programOf(program); err != nil {
			return err
		}
	}
	if os.Getuid() != 0 {
		return nil
	}
	_, err := userOf(name)
	return err
}

// NewOwnServer returns a server, "postgres" or "mysql", that has no files yet and
// does not run. The options are those of its program whenever it is started. The
// test is skipped if [FindOwnServer] finds none. The server ends with the test.
func NewOwnServer(t *testing.T, name string, options ...string) *OwnServer {
	t.Helper()
	if err := FindOwnServer(name); err != nil {
		t.Skipf("SKIPPED, a %s server of our own was not started: %v", name, err)
	}
	s := &OwnServer{name: name, Dir: filepath.Join(t.TempDir(), "data"), options: options, port: FreePort(t)}
	// Every folder on the way has to be open to the server's user.
	for dir := filepath.Dir(s.Dir); dir != os.TempDir() && dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755)) //nolint:gosec // see above
	}
	must(t, os.Mkdir(s.Dir, 0o700))
	if os.Getuid() == 0 {
		id, err := userOf(name)
		must(t, err)
		must(t, os.Chown(s.Dir, id, -1))
	}
	t.Cleanup(s.stop)
	return s
}

// Install makes the files of an empty server.
func (s *OwnServer) Install(t *testing.T) {
	t.Helper()
	args := []string{"--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D", s.Dir}
	if s.name == "mysql" {
		args = append([]string{"--no-defaults", "--datadir=" + s.Dir, "--auth-root-authentication-method=normal", "--skip-test-db"}, s.asUser()...)
		args = append(args, s.options...)
	}
	out, err := s.command(t, installers[s.name], args...).CombinedOutput()
	must(t, err, string(out))
}

// must fails the test at an error.
func must(t *testing.T, err error, told ...any) {
	t.Helper()
	if err != nil {
		t.Fatal(append([]any{err}, told...)...)
	}
}

// installers and daemons are the programs that make a server's files and that are
// the server.
var (
	installers = map[string]string{"postgres": "initdb", "mysql": "mariadb-install-db"}
	daemons    = map[string]string{"postgres": "postgres", "mysql": "mariadbd"}
)

func programOf(name string) (string, error) {
	paths, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", err
	}
	for _, path := range append(paths, "/usr/sbin/"+name) {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

// userOf is the number of the user that a server started by root becomes.
func userOf(name string) (int, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

// FreePort returns a port that nobody listens on, and that is given to nobody who
// does not ask for it.
func FreePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 15_000 + rand.IntN(15_000)                                    // connections of clients have theirs above
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // it is closed at once
		if err == nil {
			must(t, listener.Close())
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// asUser is the option that makes MariaDB change its user by itself.
func (s *OwnServer) asUser() []string {
	if os.Getuid() == 0 {
		return []string{"--user=mysql"}
	}
	return nil
}

func (s *OwnServer) command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := programOf(program)
	must(t, err)
	c := exec.Command(path, args...) //nolint:noctx // it ends by kill
	c.Dir = "/"
	// What it starts is of its group, and ends with it.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.name == "postgres" && os.Getuid() == 0 {
		id, err := userOf(s.name)
		must(t, err)
		c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)} //nolint:gosec // of a user
	}
	return c
}

// Start returns when the server answers. Further options are for this start
// alone. A server that was killed may have to be asked several times: parts of it
// die later than it does.
func (s *OwnServer) Start(t *testing.T, options ...string) {
	t.Helper()
	log := filepath.Join(filepath.Dir(s.Dir), "log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer func() { _ = file.Close() }()
	ctx, end := context.WithTimeout(context.Background(), time.Minute)
	defer end()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if s.process == nil {
			s.launch(t, file, options)
		}
		select {
		case <-s.ended:
			s.process = nil
		case <-again.C:
		case <-ctx.Done():
			text, _ := os.ReadFile(log) //nolint:gosec // our own
			t.Fatalf("the server does not answer: %s", text)
		}
		if s.process != nil && s.answers(ctx) {
			return
		}
	}
}

func (s *OwnServer) launch(t *testing.T, log *os.File, options []string) {
	t.Helper()
	args := []string{"-D", s.Dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"}
	if s.name == "mysql" {
		args = append([]string{
			"--no-defaults", "--datadir=" + s.Dir, "--socket=" + filepath.Join(s.Dir, "socket"), "--port=" + strconv.Itoa(s.port),
			"--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2",
		}, s.asUser()...)
	}
	s.process = s.command(t, daemons[s.name], append(append(args, s.options...), options...)...)
	s.process.Stderr, s.process.Stdout = log, log
	must(t, s.process.Start())
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait() // it was killed, or says why in its log
		close(ended)
	}()
}

func (s *OwnServer) answers(ctx context.Context) bool {
	pool, err := sql.Open(s.driver(), s.DSN(""))
	if err != nil {
		return false
	}
	defer func() { _ = pool.Close() }()
	return pool.PingContext(ctx) == nil
}

// Kill ends the server, and what it has started, without warning.
func (s *OwnServer) Kill() {
	if s.process != nil {
		_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL) // it may have ended by itself
		<-s.ended
		s.process = nil
	}
}

// stop ends the server so that it leaves nothing behind: PostgreSQL has memory
// that would outlive it.
func (s *OwnServer) stop() {
	if s.name == "postgres" && s.process != nil {
		_ = s.process.Process.Signal(syscall.SIGQUIT) // it may have ended by itself
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
		}
	}
	s.Kill()
}

func (s *OwnServer) driver() string { return servers[s.name].driver }

// DSN leads to a database of the server; to one that is always there if the name
// is empty.
func (s *OwnServer) DSN(database string) string {
	if s.name == "postgres" {
		return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, map[bool]string{true: "postgres", false: database}[database == ""])
	}
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s?parseTime=true&loc=UTC", s.port, database)
}

// Open makes a database on the server.
func (s *OwnServer) Open(t *testing.T) *Database {
	t.Helper()
	admin, err := sql.Open(s.driver(), s.DSN(""))
	must(t, err)
	defer func() { _ = admin.Close() }()
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE ours")
	must(t, err)
	return s.Reopen(t)
}

// Reopen opens the database that Open has made, on this server or on another one
// that has the same databases.
func (s *OwnServer) Reopen(t *testing.T) *Database {
	t.Helper()
	d := &Database{Name: s.name, Driver: s.driver(), DSN: s.DSN("ours"), Namespace: "ours", Dialect: map[string]sqlstore.Dialect{
		"postgres": sqlstore.Postgres, "mysql": sqlstore.MySQL,
	}[s.name]}
	d, drop, err := d.connect(func() error { return nil })
	must(t, err)
	t.Cleanup(func() { must(t, drop()) })
	return d
}
