// Package exportmail tells people by e-mail that their export of the audit log is
// ready, over SMTP. It is a module of its own, so that package audit brings no
// mail library.
//
//	client, err := mail.NewClient("smtp.example.com", // github.com/wneessen/go-mail
//		mail.WithTLSPolicy(mail.TLSMandatory), mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover),
//		mail.WithUsername(user), mail.WithPassword(password))
//	notifier, err := exportmail.New(client, &exportmail.Config{
//		From:    "Audit log <audit@example.com>",
//		Address: func(ctx context.Context, a audit.Actor) (string, error) { return emailOf(ctx, a.ID) },
//		Link:    func(job exportjob.Job) string { return "https://app.example.com/audit/download?token=" + queue.Token(job) },
//	})
//	worker := &exportjob.Worker{Queue: queue, Events: store, Notifier: notifier}
//
// The message has a link and no attachment: the file would lie in mailboxes for
// good, and a large one would not be delivered. The link is of use to the
// requester alone, who has to be signed in.
package exportmail
