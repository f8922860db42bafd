package report

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/exportjob"
)

// exportView is the page that asks how to export a report.
type exportView struct {
	Range, Zone string
	Query       string
	// Kept are the parameters of the report, for the forms.
	Kept []parameter
	// TooLong is set for a report that cannot be exported while one waits, and
	// Most is how many events can be.
	TooLong    bool
	Most       string
	Background bool
	Format     exportjob.Format
	PerChange  bool
	Raw        bool
	BOM        bool
}

// exportParameters are the names of an export in the URL: those of the report,
// and how the file is written.
func exportParameters() []string {
	return append([]string{"format", "per", "raw", "bom"}, formParameters...)
}

// exported is an export that was asked for.
type exported struct {
	filter audit.Filter
	// format is empty if nothing says which.
	format  exportjob.Format
	options exportjob.Options
}

// readExport reads which export the parameters ask for.
func (q *request) readExport() (x exported, err error) {
	if x.filter, err = q.wholly(exportParameters()); err != nil {
		return x, err
	}
	switch x.format = exportjob.Format(q.values.Get("format")); x.format {
	case "", exportjob.CSV, exportjob.JSONLines:
	default:
		return x, badParameter("format", "There is no format %q. There are csv and jsonl.", clip(string(x.format), maxQuoted))
	}
	switch q.values.Get("per") {
	case "", "event":
	case "change":
		x.options.PerChange = true
	default:
		return x, badParameter("per", "A file has a row for each event or for each change: per is event or change.")
	}
	if x.options.Raw, err = q.flag("raw"); err != nil {
		return x, err
	}
	if x.options.BOM, err = q.flag("bom"); err != nil {
		return x, err
	}
	x.options.Zone = q.location.String()
	return x, nil
}

// flag is a parameter that is 1 or missing.
func (q *request) flag(name string) (bool, error) {
	switch q.values.Get(name) {
	case "":
		return false, nil
	case "1":
		return true, nil
	}
	return false, badParameter(name, "%s is 1, or left out.", capital(name))
}

// export streams the report as a file or, if it is not said how or the file is
// too long for that, asks.
func (q *request) export() error {
	if !q.scope.Export {
		return &problem{status: http.StatusForbidden, message: "You may read this log, but not export it."}
	}
	x, err := q.readExport()
	if err != nil {
		return err
	}
	tooLong := false
	if x.format != "" {
		if tooLong, err = q.tooLong(x.filter); err != nil {
			return err
		}
		if !tooLong {
			return q.stream(x)
		}
		if q.json {
			return &problem{status: http.StatusConflict, message: fmt.Sprintf("The report has more than %s events. Post it to exports, which makes the file in the background.", grouped(int64(q.opts.MaxDirectExport)))}
		}
	}
	view := exportView{
		Range: q.rangeText(x.filter), Zone: q.location.String(), Query: visible(audit.FormatQuery(x.filter, q.language()), false),
		TooLong: tooLong, Most: grouped(int64(q.opts.MaxDirectExport)), Background: q.background(),
		Format: x.format, PerChange: x.options.PerChange, Raw: x.options.Raw, BOM: x.options.BOM,
		Kept: listedParameters(q.parameters(q.formOf(x.filter, ""))),
	}
	return q.write(http.StatusOK, "export", "Export", view, nil)
}

// background reports whether the scope may have files made in the background.
func (q *request) background() bool {
	return q.scope.Read && q.scope.Export && q.opts.Exports != nil && q.scope.Actor.ID != ""
}

// tooLong reports whether the file is one for the queue. Without a queue none is.
func (q *request) tooLong(f audit.Filter) (bool, error) {
	scoped, any := q.scope.apply(f)
	if !any || !q.background() {
		return false, nil
	}
	n := 0
	for _, err := range audit.Query(q.r.Context(), q.store, scoped) {
		if err != nil {
			return false, err
		}
		if n++; n > q.opts.MaxDirectExport {
			return true, nil
		}
	}
	return false, nil
}

// stream writes the file while the reader waits. That it was exported is
// recorded first; what cannot be recorded is not handed out.
func (q *request) stream(x exported) error {
	scoped, any := q.scope.apply(x.filter)
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	job := exportjob.Job{
		ID: id, Workspace: q.scope.Workspace, Requester: q.scope.Actor, Filter: scoped, Format: x.format, Options: x.options,
		Created: q.now.UTC(), Bound: scoped.To,
	}
	ctx := q.r.Context()
	if err := q.opts.Recorder.Record(q.acting(ctx), job.Event(audit.Exported)); err != nil {
		return err
	}
	events := audit.Query(ctx, q.store, scoped)
	if !any {
		events = nil
	}
	header := q.w.Header()
	header.Set("Content-Type", job.ContentType())
	header.Set("Content-Disposition", `attachment; filename="`+job.FileName()+`"`)
	if x.format == exportjob.JSONLines {
		_, err = audit.WriteJSONLines(q.w, events)
	} else {
		_, err = audit.WriteCSV(q.w, events, &audit.CSVOptions{
			PerChange: x.options.PerChange, Raw: x.options.Raw, BOM: x.options.BOM, Location: q.location, Catalog: q.opts.Catalog,
		})
	}
	if err != nil {
		// The status is gone. Half a file must not look like a whole one.
		q.log(err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// jobView is an export in the background as the page shows it.
type jobView struct {
	ID      string
	Created string
	Stamp   string
	State   exportjob.State
	Name    string
	Query   string
	// Told says how far it is, why it failed, or until when it is there.
	Told     string
	Percent  int
	Open     bool
	Download string
}

// exportsView is the page of the exports.
type exportsView struct {
	Jobs []jobView
	// Waiting is set as long as one of them is open.
	Waiting bool
	Zone    string
}

// jobJSON is an export for programs.
type jobJSON struct {
	ID       uuid.UUID       `json:"id"`
	State    exportjob.State `json:"state"`
	Format   string          `json:"format"`
	Query    string          `json:"query"`
	Created  string          `json:"created"`
	Bound    string          `json:"bound"`
	Rows     int64           `json:"rows"`
	Percent  int             `json:"percent"`
	Reason   string          `json:"reason,omitempty"`
	Size     int64           `json:"size,omitempty"`
	SHA256   string          `json:"sha256,omitempty"`
	Expires  string          `json:"expires,omitempty"`
	Download string          `json:"download,omitempty"`
}

// maxJobs is how many exports the page lists.
const maxJobs = 50

// exports lists the reader's exports, and takes new ones.
func (q *request) exports() error {
	if !q.background() {
		return notFound()
	}
	switch q.r.Method {
	case http.MethodGet:
		return q.get(q.listExports)
	case http.MethodPost:
		return q.submit()
	}
	q.w.Header().Set("Allow", "GET, POST")
	return &problem{status: http.StatusMethodNotAllowed, message: "Exports can be read, and a new one can be asked for."}
}

func (q *request) listExports() error {
	if err := errors.Join(q.only("tz"), q.readZone()); err != nil {
		return err
	}
	jobs, err := q.opts.Exports.List(q.r.Context(), q.scope.Workspace, q.scope.Actor, maxJobs)
	if err != nil && len(jobs) == 0 {
		return err
	}
	if err != nil {
		q.log(err) // those that can be read are worth showing
	}
	view := exportsView{Zone: q.location.String()}
	list := []jobJSON{}
	for _, job := range jobs {
		if !q.scope.covers(job.Filter) {
			continue
		}
		view.Jobs = append(view.Jobs, q.job(job))
		view.Waiting = view.Waiting || job.State.Open()
		list = append(list, q.jobJSON(job))
	}
	if q.json {
		return q.writeJSON(http.StatusOK, map[string]any{"exports": list})
	}
	return q.write(http.StatusOK, "exports", "Exports", view, nil)
}

// submit puts an export into the queue.
func (q *request) submit() error {
	values, err := q.post()
	if err != nil {
		return err
	}
	q.values = values
	x, err := q.readExport()
	if err != nil {
		return err
	}
	scoped, any := q.scope.apply(x.filter)
	if !any {
		return badParameter("", "This report has no events that you may see.")
	}
	job, err := q.opts.Exports.Submit(q.acting(q.r.Context()), exportjob.Request{
		Workspace: q.scope.Workspace, Requester: q.scope.Actor, Filter: scoped, Format: x.format, Options: x.options,
	})
	switch {
	case errors.Is(err, exportjob.ErrTooMany), errors.Is(err, exportjob.ErrUnsettled), errors.Is(err, exportjob.ErrInvalid):
		return &problem{status: http.StatusConflict, message: asSentence(err)}
	case err != nil:
		return err
	}
	q.w.Header().Set("Location", q.href("exports", nil))
	if q.json {
		return q.writeJSON(http.StatusCreated, q.jobJSON(job))
	}
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// cancelExport ends an export that is queued or running.
func (q *request) cancelExport() error {
	if !q.background() {
		return notFound()
	}
	if q.r.Method != http.MethodPost {
		q.w.Header().Set("Allow", http.MethodPost)
		return &problem{status: http.StatusMethodNotAllowed, message: "An export is cancelled by its button."}
	}
	if _, err := q.post(); err != nil {
		return err
	}
	_, err := q.opts.Exports.Cancel(q.acting(q.r.Context()), q.scope.Workspace, q.scope.Actor, q.id)
	switch {
	case errors.Is(err, exportjob.ErrNotFound):
		return notFound()
	case errors.Is(err, exportjob.ErrFinished): // then there is nothing left to do
	case err != nil:
		return err
	}
	q.w.Header().Set("Location", q.root+"exports")
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// download hands out the file of an export to the one who asked for it, as long
// as the scope still covers what is in it.
func (q *request) download() error {
	if !q.background() {
		return notFound()
	}
	if err := q.only("token"); err != nil {
		return err
	}
	ctx, queue, workspace, actor := q.acting(q.r.Context()), q.opts.Exports, q.scope.Workspace, q.scope.Actor
	id, err := queue.Verify(workspace, actor, q.values.Get("token"))
	if err != nil {
		return jobProblem(err)
	}
	job, err := queue.Get(ctx, workspace, actor, id)
	if err == nil && !q.scope.covers(job.Filter) {
		err = exportjob.ErrNotFound
	}
	if err != nil {
		return jobProblem(err)
	}
	content, err := queue.Open(ctx, workspace, actor, id)
	if err != nil {
		return jobProblem(err)
	}
	defer func() { _ = content.Close() }()
	header := q.w.Header()
	header.Set("Content-Type", content.Type)
	header.Set("Content-Disposition", `attachment; filename="`+content.Name+`"`)
	header.Set("ETag", `"`+content.SHA256+`"`)
	http.ServeContent(q.w, q.r, "", content.Modified, content)
	return nil
}

// jobProblem is an error of the queue as the reader is told it.
func jobProblem(err error) error {
	switch {
	case errors.Is(err, exportjob.ErrExpired):
		return &problem{status: http.StatusGone, message: "This export has expired. Make it again."}
	case errors.Is(err, exportjob.ErrNotFound), errors.Is(err, exportjob.ErrNotReady):
		return notFound()
	}
	return err
}

// job is an export as the page shows it.
func (q *request) job(job exportjob.Job) jobView {
	v := jobView{
		ID: job.ID.String(), Created: job.Created.In(q.location).Format("2 January 2006, 15:04:05"), Stamp: rfc(job.Created),
		State: job.State, Name: job.FileName(), Query: visible(audit.FormatQuery(unscoped(job.Filter), q.language()), false), Percent: job.Percent, Open: job.State.Open(),
	}
	switch job.State {
	case exportjob.Running:
		v.Told = fmt.Sprintf("%d %%, %s", job.Percent, plural(int(job.Rows), "event", "events"))
	case exportjob.Ready:
		v.Told = fmt.Sprintf("%s, %s bytes; there until %s", plural(int(job.Rows), "event", "events"), grouped(job.Size), job.Expires.In(q.location).Format("2 January 2006, 15:04"))
		v.Download = q.downloadHref(job)
	case exportjob.Failed:
		v.Told = capital(job.Reason)
	}
	return v
}

func (q *request) downloadHref(job exportjob.Job) string {
	return q.root + "download?" + url.Values{"token": {q.opts.Exports.Token(job)}}.Encode()
}

func (q *request) jobJSON(job exportjob.Job) jobJSON {
	j := jobJSON{
		ID: job.ID, State: job.State, Format: string(job.Format), Query: audit.FormatQuery(unscoped(job.Filter), q.language()),
		Created: rfc(job.Created), Bound: rfc(job.Bound), Rows: job.Rows, Percent: job.Percent, Reason: job.Reason,
		Size: job.Size, SHA256: job.SHA256, Expires: rfc(job.Expires),
	}
	if job.State == exportjob.Ready {
		j.Download = q.downloadHref(job)
	}
	return j
}

// unscoped is a filter without the workspace, which goes without saying.
func unscoped(f audit.Filter) audit.Filter {
	f.Workspace = ""
	return f
}
