package exportmail

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// Config is how a [Notifier] works. From, Address and Link are required.
type Config struct {
	// From is the sender, as "Audit log <audit@example.com>".
	From string

	// Address returns the requester's e-mail address, as "jo@example.com". An
	// empty one means that there is none, and the requester is not told. An error
	// lets it be tried again.
	Address func(ctx context.Context, requester audit.Actor) (string, error)

	// Link returns the URL at which the requester downloads the file: the
	// report's, with the job's token; see [exportjob.Queue.Token]. It begins with
	// "https://" or "http://".
	Link func(job exportjob.Job) string

	// Location is the time zone of what the message tells. Defaults to UTC.
	Location *time.Location

	// Text returns subject and body, for other words or another language. Line
	// breaks in a subject become spaces. Defaults to English.
	Text func(job exportjob.Job, link string) (subject, body string)
}

// Notifier is an [exportjob.Notifier] that sends an e-mail. It is safe for use by
// several goroutines at once.
type Notifier struct {
	client *mail.Client
	cfg    Config
	from   *netmail.Address
}

var _ exportjob.Notifier = (*Notifier)(nil)

// New returns a Notifier that sends by client, which has the server, the policy
// of encryption and the credentials. It returns an error for what is missing.
func New(client *mail.Client, cfg *Config) (*Notifier, error) {
	switch {
	case client == nil:
		return nil, errors.New("exportmail: New needs a client, got nil; mail.NewClient of github.com/wneessen/go-mail makes one")
	case cfg == nil || cfg.Address == nil || cfg.Link == nil:
		return nil, errors.New("exportmail: Config.From, Config.Address and Config.Link are required")
	}
	from, err := netmail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("exportmail: Config.From %q: %w", cfg.From, err)
	}
	n := &Notifier{client: client, cfg: *cfg, from: from}
	if n.cfg.Location == nil {
		n.cfg.Location = time.UTC
	}
	if n.cfg.Text == nil {
		n.cfg.Text = n.english
	}
	return n, nil
}

// Notify implements [exportjob.Notifier]. A message that is sent twice has the
// same Message-ID both times, by which mailboxes tell that it is one.
func (n *Notifier) Notify(ctx context.Context, job exportjob.Job) error {
	address, err := n.cfg.Address(ctx, job.Requester)
	if err != nil {
		return fmt.Errorf("exportmail: look up the address of the requester: %w", err)
	}
	if address == "" {
		return nil
	}
	message, err := n.message(job, address)
	if err != nil {
		return err
	}
	if err := n.client.DialAndSendWithContext(ctx, message); err != nil {
		return fmt.Errorf("exportmail: %w", err)
	}
	return nil
}

// message is the message about the job.
func (n *Notifier) message(job exportjob.Job, address string) (*mail.Msg, error) {
	to, err := netmail.ParseAddress(address)
	if err != nil || to.Name != "" {
		return nil, errors.New("exportmail: Config.Address returned what is no e-mail address")
	}
	to.Name = oneLine(job.Requester.Name)
	link := n.cfg.Link(job)
	if u, err := url.Parse(link); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || oneLine(link) != link || strings.Contains(link, " ") {
		return nil, errors.New("exportmail: Config.Link returned what is no URL that begins with https:// or http://")
	}
	subject, body := n.cfg.Text(job, link)
	m := mail.NewMsg()
	m.FromMailAddress(n.from)
	m.AddToMailAddress(to)
	m.Subject(oneLine(subject))
	m.SetDateWithValue(job.Finished)
	m.SetMessageIDWithValue("export-" + job.ID.String() + n.from.Address[strings.LastIndex(n.from.Address, "@"):])
	m.SetGenHeader("Auto-Submitted", "auto-generated") // no replies by those on holiday
	m.SetBodyString(mail.TypeTextPlain, body)
	return m, nil
}

// english is the message by default.
func (n *Notifier) english(job exportjob.Job, link string) (subject, body string) {
	at := func(t time.Time) string { return t.In(n.cfg.Location).Format("2 January 2006 15:04 MST") }
	greeting := "Hello,"
	if name := oneLine(job.Requester.Name); name != "" {
		greeting = "Hello " + name + ","
	}
	format := "CSV"
	if job.Format == exportjob.JSONLines {
		format = "JSON Lines"
	}
	body = fmt.Sprintf(`%s

the export of the audit log that you asked for on %s is ready: %s as %s, %s, with what was recorded before %s.

%s

The link is for you alone: you have to be signed in. It works until %s; then the file is removed.
`, greeting, at(job.Created), count(job.Rows), format, bytes(job.Size), at(job.Bound), link, at(job.Expires))
	return "Your export of the audit log is ready", body
}

// count is a number of events in words.
func count(n int64) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}

// bytes is a length as people read it.
func bytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// oneLine makes spaces of line breaks and other control characters, and drops
// those that change the direction of writing.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}
