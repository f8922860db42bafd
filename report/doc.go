// Package report is the audit log as a web page that an application mounts: a
// report by date, author, action and more, the history of a record, every event
// under an address of its own, exports, and the settings of what is recorded.
//
//	page, err := report.NewHandler(store, &report.Options{Authorize: authorize})
//	mux.Handle("/audit/", page)
//
// It uses the standard library alone, loads nothing from elsewhere, and works
// without JavaScript.
//
// # Who sees what
//
// [Options.Authorize] is asked for every request and returns its [Scope]: the
// workspace, perhaps some of its records only, and whether the request may read,
// export and administer. There is no default, so that a forgotten check is an
// error of [NewHandler] and not a public log. The scope limits every filter anew
// on every request: no link, cursor or id of another workspace shows anything.
//
//	func authorize(r *http.Request) (report.Scope, error) {
//		user, err := session(r) // yours
//		if err != nil {
//			return report.Scope{}, fmt.Errorf("%w: %w", audit.ErrUnauthenticated, err)
//		}
//		return report.Scope{
//			Workspace:  user.Workspace,
//			Actor:      audit.Actor{ID: user.ID, Name: user.Name},
//			Read:       user.Admin,
//			Export:     user.Admin,
//			Administer: user.Owner,
//		}, nil
//	}
//
// # Where it is mounted
//
// Anywhere: at the root, under a prefix, behind http.StripPrefix. The handler
// looks at the end of the path only and links relatively, so it need not be told.
// The path it is mounted at ends with a slash, and not in event/ or changeset/
// and an id, which would be pages.
//
// # The state is in the address
//
// A report can be kept as a bookmark and sent to somebody else, who sees of it
// what they may see. An unknown parameter is an error, never a wider result. The
// form and the query language of [audit.ParseQuery] ask for the same, and the
// page translates each into the other.
//
// # For programs
//
// With Accept: application/json the same addresses answer programs. The file
// docs/report-api.md tells the parameters and the forms of the answers.
//
// # What it protects against
//
// Every answer has a Content-Security-Policy that allows the page's own style
// sheet and script and nothing else, is kept by no cache and framed by no page. A
// form that is posted from another site is refused, by Sec-Fetch-Site or Origin;
// a program that posts has to send one of them. The cursors of pages are signed
// with [Options.Key]. Files of CSV are safe against formulas, unless asked for
// raw.
package report
