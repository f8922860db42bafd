//go:build linux

package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit/store/sqlstore"
)

// ownServer is a server that belongs to one test, so that it may come to harm.
type ownServer struct {
	name, dir string
	port      int
	options   []string
	process   *exec.Cmd
	ended     chan struct{}
}

// newOwnServer makes the files of a server and starts it. The test is skipped if
// the programs are not here, or may not be run as their own user.
func newOwnServer(t *testing.T, name string, options ...string) *ownServer {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("SKIPPED, a %s server of our own was not started: only root may run it as its user", name)
	}
	s := &ownServer{name: name, dir: filepath.Join(t.TempDir(), "data"), options: options}
	install := s.program(t, map[string]string{"postgres": "initdb", "mysql": "mariadb-install-db"}[name])
	s.program(t, map[string]string{"postgres": "postgres", "mysql": "mariadbd"}[name])
	// Every folder on the way has to be open to the server's user.
	for dir := filepath.Dir(s.dir); dir != os.TempDir() && dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // see above
	}
	require.NoError(t, os.Mkdir(s.dir, 0o700))
	require.NoError(t, os.Chown(s.dir, s.id(t), -1))
	args := []string{"--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D", s.dir}
	if name == "mysql" {
		args = append([]string{"--no-defaults", "--user=mysql", "--datadir=" + s.dir, "--auth-root-authentication-method=normal", "--skip-test-db"}, options...)
	}
	out, err := s.command(t, install, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	require.NoError(t, err)
	s.port = listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of tcp
	require.NoError(t, listener.Close())
	t.Cleanup(func() { s.kill() })
	s.start(t)
	return s
}

func (s *ownServer) program(t *testing.T, name string) string {
	t.Helper()
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	for _, path := range append(paths, "/usr/sbin/"+name) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED, a %s server of our own was not started: %v", s.name, err)
	}
	return path
}

func (s *ownServer) id(t *testing.T) int {
	t.Helper()
	u, err := user.Lookup(s.name)
	if err != nil {
		t.Skipf("SKIPPED, a %s server of our own was not started: %v", s.name, err)
	}
	id, err := strconv.Atoi(u.Uid)
	require.NoError(t, err)
	return id
}

func (s *ownServer) command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(program, args...) //nolint:noctx // it ends by kill
	c.Dir = "/"
	id := uint32(s.id(t)) //nolint:gosec // of a user
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}, Pdeathsig: syscall.SIGKILL}
	if s.name == "mysql" {
		c.SysProcAttr.Credential = nil // it changes its user by itself
	}
	return c
}

// start returns when the server answers. A server that was killed may have to be
// asked several times: parts of it die later than it does.
func (s *ownServer) start(t *testing.T) {
	t.Helper()
	log := filepath.Join(filepath.Dir(s.dir), "log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer file.Close()
	ctx, end := context.WithTimeout(context.Background(), time.Minute)
	defer end()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if s.process == nil {
			s.launch(t, file)
		}
		select {
		case <-s.ended:
			s.process = nil
		case <-again.C:
		case <-ctx.Done():
			text, _ := os.ReadFile(log) //nolint:gosec // our own
			require.Fail(t, "the server does not answer", "%s", text)
		}
		if s.process != nil && s.answers(ctx) {
			return
		}
	}
}

func (s *ownServer) launch(t *testing.T, log *os.File) {
	t.Helper()
	if s.name == "postgres" {
		s.process = s.command(t, s.program(t, "postgres"), append([]string{
			"-D", s.dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
		}, s.options...)...)
	} else {
		s.process = s.command(t, s.program(t, "mariadbd"), append([]string{
			"--no-defaults", "--user=mysql", "--datadir=" + s.dir, "--socket=" + filepath.Join(s.dir, "socket"), "--port=" + strconv.Itoa(s.port),
			"--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2",
		}, s.options...)...)
	}
	s.process.Stderr, s.process.Stdout = log, log
	require.NoError(t, s.process.Start())
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait() // it was killed, or says why in its log
		close(ended)
	}()
}

func (s *ownServer) answers(ctx context.Context) bool {
	pool, err := sql.Open(s.driver(), s.dsn(""))
	if err != nil {
		return false
	}
	defer pool.Close()
	return pool.PingContext(ctx) == nil
}

// kill ends the server without warning.
func (s *ownServer) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		<-s.ended
		s.process = nil
	}
}

func (s *ownServer) driver() string { return servers[s.name].driver }

func (s *ownServer) dsn(database string) string {
	if s.name == "postgres" {
		return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, map[bool]string{true: "postgres", false: database}[database == ""])
	}
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s?parseTime=true&loc=UTC", s.port, database)
}

// open makes a database on the server.
func (s *ownServer) open(t *testing.T) *Database {
	t.Helper()
	admin, err := sql.Open(s.driver(), s.dsn(""))
	require.NoError(t, err)
	defer admin.Close()
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE ours")
	require.NoError(t, err)
	d := &Database{Name: s.name, Driver: s.driver(), DSN: s.dsn("ours"), Namespace: "ours", Dialect: map[string]sqlstore.Dialect{
		"postgres": sqlstore.Postgres, "mysql": sqlstore.MySQL,
	}[s.name]}
	d, drop, err := d.connect(func() error { return nil })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, drop()) })
	return d
}
