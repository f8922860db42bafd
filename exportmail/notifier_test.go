package exportmail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/wneessen/go-mail"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
	"github.com/gormtrail/audit/exportmail"
	"github.com/gormtrail/audit/store/memstore"
)

// server is an SMTP server on loopback and what it was sent.
type server struct {
	addr  *net.TCPAddr
	roots *x509.CertPool // those that know its certificate

	mu       sync.Mutex
	refuse   error
	received []received
}

type received struct {
	from string
	to   []string
	data string
	tls  bool
	user string
}

// newServer starts a server, with STARTTLS and authentication if encrypted.
func newServer(t *testing.T, encrypted bool) *server {
	t.Helper()
	s := &server{roots: x509.NewCertPool()}
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, isTLS := c.TLSConnectionState()
		return &session{server: s, got: received{tls: isTLS}}, nil
	}))
	srv.Domain = "localhost"
	srv.ReadTimeout, srv.WriteTimeout = 20*time.Second, 20*time.Second
	if encrypted {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{s.certificate(t)}}
	} else {
		srv.AllowInsecureAuth = true
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = listener.Addr().(*net.TCPAddr)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(listener) }()
	t.Cleanup(func() {
		_ = srv.Close()
		_ = listener.Close() // the server may not have begun yet
		<-done
	})
	return s
}

// certificate makes one for 127.0.0.1.
func (s *server) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	s.roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (s *server) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received{}, s.received...)
}

func (s *server) refuses(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

type session struct {
	server *server
	got    received
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.got.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.got.to = append(s.got.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.refuse != nil {
		return s.server.refuse
	}
	s.got.data = string(data)
	s.server.received = append(s.server.received, s.got)
	return nil
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "s3cret" {
			return errors.New("wrong password")
		}
		s.got.user = user
		return nil
	}), nil
}

// client is one for the server.
func (s *server) client(t *testing.T, opts ...mail.Option) *mail.Client {
	t.Helper()
	opts = append([]mail.Option{
		mail.WithPort(s.addr.Port), mail.WithTimeout(10 * time.Second), mail.WithTLSPolicy(mail.TLSMandatory),
		mail.WithTLSConfig(&tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}),
		mail.WithSMTPAuth(mail.SMTPAuthPlain), mail.WithUsername("app"), mail.WithPassword("s3cret"),
	}, opts...)
	client, err := mail.NewClient("127.0.0.1", opts...)
	require.NoError(t, err)
	return client
}

var morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func ready() exportjob.Job {
	return exportjob.Job{
		ID: uuid.MustParse("0195a3b2-0000-7000-8000-000000000001"), Workspace: "w1", Requester: audit.Actor{Kind: audit.KindUser, ID: "17", Name: "Jo Ω"},
		Filter: audit.Filter{Workspace: "w1"}, Format: exportjob.CSV, Created: morning, Bound: morning.Add(-time.Hour), State: exportjob.Ready,
		Rows: 1234, Percent: 100, Finished: morning.Add(time.Minute), Size: 1_250_000, Expires: morning.Add(7 * 24 * time.Hour),
	}
}

func config() *exportmail.Config {
	return &exportmail.Config{
		From:    "Audit log <audit@example.com>",
		Address: func(_ context.Context, a audit.Actor) (string, error) { return "u" + a.ID + "@example.com", nil },
		Link: func(job exportjob.Job) string {
			return "https://app.example.com/audit/download?token=" + job.ID.String()
		},
	}
}

func TestTheRequesterIsToldByMail(t *testing.T) {
	t.Parallel()
	s := newServer(t, true)
	n, err := exportmail.New(s.client(t), config())
	require.NoError(t, err)
	require.NoError(t, n.Notify(context.Background(), ready()))
	require.NoError(t, n.Notify(context.Background(), ready()))
	all := s.all()
	require.Len(t, all, 2)
	got := all[0]
	require.True(t, got.tls, "STARTTLS")
	require.Equal(t, "app", got.user)
	require.Equal(t, "audit@example.com", got.from)
	require.Equal(t, []string{"u17@example.com"}, got.to)

	m, err := netmail.ReadMessage(strings.NewReader(got.data))
	require.NoError(t, err)
	require.Equal(t, `"Audit log" <audit@example.com>`, m.Header.Get("From"))
	to, err := m.Header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, []*netmail.Address{{Name: "Jo Ω", Address: "u17@example.com"}}, to)
	require.Equal(t, "Your export of the audit log is ready", m.Header.Get("Subject"))
	require.Equal(t, "auto-generated", m.Header.Get("Auto-Submitted"))
	require.Equal(t, "<export-0195a3b2-0000-7000-8000-000000000001@example.com>", m.Header.Get("Message-Id"))
	require.Equal(t, "Mon, 02 Mar 2026 09:01:00 +0000", m.Header.Get("Date"))
	require.Equal(t, "text/plain; charset=UTF-8", m.Header.Get("Content-Type"), "no attachment")
	require.Equal(t, "quoted-printable", m.Header.Get("Content-Transfer-Encoding"))
	require.Equal(t, `Hello Jo Ω,

the export of the audit log that you asked for on 2 March 2026 09:00 UTC is ready: 1234 events as CSV, 1.2 MB, with what was recorded before 2 March 2026 08:00 UTC.

https://app.example.com/audit/download?token=0195a3b2-0000-7000-8000-000000000001

The link is for you alone: you have to be signed in. It works until 9 March 2026 09:00 UTC; then the file is removed.
`, body(t, m))

	again, err := netmail.ReadMessage(strings.NewReader(all[1].data))
	require.NoError(t, err)
	require.Equal(t, m.Header.Get("Message-Id"), again.Header.Get("Message-Id"))
}

func TestNamesAndWordsMakeNoHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t, true)
	const evil = "Jo\r\nBcc: everybody@example.com\r\n\r\n<script>\u202e\u2028\x00\" <x@example.com>,"
	c := config()
	c.Text = func(exportjob.Job, string) (string, string) { return "Ready\r\nBcc: all@example.com", "body" }
	n, err := exportmail.New(s.client(t), c)
	require.NoError(t, err)
	job := ready()
	job.Requester.Name = evil
	require.NoError(t, n.Notify(context.Background(), job))
	got := s.all()[0]
	require.Equal(t, []string{"u17@example.com"}, got.to)
	m, err := netmail.ReadMessage(strings.NewReader(got.data))
	require.NoError(t, err)
	require.Empty(t, m.Header.Get("Bcc"))
	require.Equal(t, "Ready  Bcc: all@example.com", m.Header.Get("Subject"))
	to, err := m.Header.AddressList("To")
	require.NoError(t, err)
	require.Len(t, to, 1)
	require.Equal(t, "u17@example.com", to[0].Address)
	require.Equal(t, `Jo  Bcc: everybody@example.com    <script>  " <x@example.com>,`, to[0].Name)

	job.Requester.Name = ""
	n, err = exportmail.New(s.client(t), config())
	require.NoError(t, err)
	require.NoError(t, n.Notify(context.Background(), job))
	m, err = netmail.ReadMessage(strings.NewReader(s.all()[1].data))
	require.NoError(t, err)
	require.Equal(t, "<u17@example.com>", m.Header.Get("To"))
	require.True(t, strings.HasPrefix(body(t, m), "Hello,\n"))
}

func TestWhatIsNoAddressOrLinkIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, true)
	for name, change := range map[string]func(*exportmail.Config){
		"two addresses":     address("a@example.com, b@example.com"),
		"a header":          address("a@example.com\r\nBcc: b@example.com"),
		"a name":            address("Jo <a@example.com>"),
		"no address":        address("jo"),
		"a command":         address("a@example.com>\r\nRCPT TO:<b@example.com"),
		"a script":          link("javascript:alert(1)"),
		"a path":            link("/audit/download"),
		"a link of two":     link("https://example.com/ https://evil.example"),
		"a link and a line": link("https://example.com/\nSigned by your administrator"),
		"no link":           link(""),
		"a link to nowhere": link("https://"),
		"a file":            link("file:///etc/passwd"),
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			change(c)
			n, err := exportmail.New(s.client(t), c)
			require.NoError(t, err)
			require.ErrorContains(t, n.Notify(context.Background(), ready()), "returned what is no ")
		})
	}
	require.Empty(t, s.all())

	c := config()
	address("")(c)
	n, err := exportmail.New(s.client(t), c)
	require.NoError(t, err)
	require.NoError(t, n.Notify(context.Background(), ready()), "who has no address is not told")
	require.Empty(t, s.all())
}

func address(a string) func(*exportmail.Config) {
	return func(c *exportmail.Config) {
		c.Address = func(context.Context, audit.Actor) (string, error) { return a, nil }
	}
}

func link(l string) func(*exportmail.Config) {
	return func(c *exportmail.Config) { c.Link = func(exportjob.Job) string { return l } }
}

func TestAMessageThatCannotBeSentIsAnError(t *testing.T) {
	t.Parallel()
	notify := func(t *testing.T, s *server, opts ...mail.Option) error {
		n, err := exportmail.New(s.client(t, opts...), config())
		require.NoError(t, err)
		err = n.Notify(context.Background(), ready())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cret")
		require.Empty(t, s.all())
		return err
	}
	t.Run("no encryption, which the client demands", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, notify(t, newServer(t, false)), "STARTTLS")
	})
	t.Run("a certificate that nobody knows", func(t *testing.T) {
		t.Parallel()
		err := notify(t, newServer(t, true), mail.WithTLSConfig(&tls.Config{ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}))
		require.ErrorContains(t, err, "certificate")
	})
	t.Run("a wrong password", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, notify(t, newServer(t, true), mail.WithPassword("guess")), "AUTH")
	})
	t.Run("the server refuses", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, true)
		s.refuses(&smtp.SMTPError{Code: 451, Message: "try again"})
		require.ErrorContains(t, notify(t, s), "451")
	})
	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		require.ErrorContains(t, notify(t, &server{addr: listener.Addr().(*net.TCPAddr), roots: x509.NewCertPool()}), "refused")
	})
}

// TestAFileOutlivesAServerThatIsDown goes all the way, from the request to the
// link in the message.
func TestAFileOutlivesAServerThatIsDown(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newServer(t, true)
	s.refuses(&smtp.SMTPError{Code: 421, Message: "not now"})
	now := morning
	log := memstore.New()
	rec, err := audit.New(log, nil)
	require.NoError(t, err)
	queue, err := exportjob.New(new(exportjob.Memory), exportjob.Folder(t.TempDir()), rec, &exportjob.Config{Key: make([]byte, 32), Now: func() time.Time { return now }})
	require.NoError(t, err)
	c := config()
	c.Link = func(job exportjob.Job) string {
		return "https://app.example.com/audit/download?token=" + queue.Token(job)
	}
	n, err := exportmail.New(s.client(t), c)
	require.NoError(t, err)
	w := &exportjob.Worker{Queue: queue, Events: log, Notifier: n}
	jo := audit.Actor{ID: "17", Name: "Jo"}
	job, err := queue.Submit(ctx, exportjob.Request{Workspace: "w1", Requester: jo})
	require.NoError(t, err)

	_, err = w.Work(ctx)
	require.ErrorContains(t, err, "421")
	job, err = queue.Get(ctx, "w1", jo, job.ID)
	require.NoError(t, err)
	require.Equal(t, exportjob.Ready, job.State)
	require.Zero(t, job.Notified)

	s.refuses(nil)
	now = job.Due
	did, err := w.Work(ctx)
	require.NoError(t, err)
	require.True(t, did)
	job, err = queue.Get(ctx, "w1", jo, job.ID)
	require.NoError(t, err)
	require.Equal(t, now, job.Notified)
	m, err := netmail.ReadMessage(strings.NewReader(s.all()[0].data))
	require.NoError(t, err)
	_, token, found := strings.Cut(body(t, m), "token=")
	require.True(t, found)
	token, _, _ = strings.Cut(token, "\n")
	id, err := queue.Verify("w1", jo, token)
	require.NoError(t, err)
	content, err := queue.Open(ctx, "w1", jo, id)
	require.NoError(t, err)
	require.NoError(t, content.Close())
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	t.Parallel()
	client := (&server{addr: &net.TCPAddr{Port: 25}}).client(t)
	_, err := exportmail.New(nil, config())
	require.ErrorContains(t, err, "needs a client")
	for name, change := range map[string]func(*exportmail.Config){
		"address": func(c *exportmail.Config) { c.Address = nil },
		"link":    func(c *exportmail.Config) { c.Link = nil },
	} {
		c := config()
		change(c)
		_, err := exportmail.New(client, c)
		require.ErrorContains(t, err, "are required", name)
	}
	_, err = exportmail.New(client, nil)
	require.ErrorContains(t, err, "are required")
	for _, from := range []string{"", "audit", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com"} {
		c := config()
		c.From = from
		_, err := exportmail.New(client, c)
		require.ErrorContains(t, err, "exportmail: Config.From", from)
	}
}
