package report

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// Handler serves the audit page. Make one with [NewHandler]. It keeps nothing
// from one request to the next, starts no goroutine, and is safe for use by
// several goroutines at once.
type Handler struct {
	store   audit.Store
	opts    Options
	signer  signer
	assets  assets
	pages   pages
	choices choices
	// compressors are used one by one and hold nothing of what they compressed.
	compressors sync.Pool
}

var _ http.Handler = (*Handler)(nil)

// NewHandler returns the audit page of a store. opts are required, because
// [Options.Authorize] is. The error names the option that is wrong.
func NewHandler(store audit.Store, opts *Options) (*Handler, error) {
	if store == nil {
		return nil, errors.New("report: NewHandler needs a store, got nil")
	}
	if opts == nil {
		opts = new(Options)
	}
	o, err := opts.complete(store)
	if err != nil {
		return nil, err
	}
	h := &Handler{store: store, opts: o, signer: signer{o.Key}}
	if h.choices, err = newChoices(o.Catalog); err != nil {
		return nil, err
	}
	if h.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if h.pages, err = loadPages(); err != nil {
		return nil, err
	}
	return h, nil
}

// The bounds of requests.
const (
	maxQueryBytes = 16 << 10            // of a URL's query
	maxBodyBytes  = 16 << 10            // of a form that is posted
	maxLinkBytes  = maxQueryBytes - 512 // of a report's parameters, to which its links and its form add theirs
)

// request is a request that was let in.
type request struct {
	*Handler
	w     http.ResponseWriter
	r     *http.Request
	scope Scope
	// root leads from the request's URL to the handler's own root: "./", "../".
	root string
	// id is the one in the path, if there is one.
	id uuid.UUID
	// values are the parameters of the URL.
	values url.Values
	// now is when the request came.
	now time.Time
	// location is the reader's time zone.
	location *time.Location
	json     bool
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	scope, err := h.opts.Authorize(r)
	switch {
	case err != nil:
	case !scope.Read && !scope.Administer:
		err = audit.ErrForbidden
	default:
		if err = scope.validate(); err != nil {
			h.opts.Logger.ErrorContext(r.Context(), "report: a request was refused", "error", err)
		}
	}
	if err != nil {
		h.opts.OnError(w, r, err)
		return
	}
	q := &request{
		Handler: h, w: w, r: r, scope: scope, root: "./",
		now: h.opts.Now(), location: h.opts.Location, json: wantsJSON(r),
	}
	if err := q.serve(); err != nil {
		q.fail(err)
	}
}

// secure sets the headers of every answer. What people see of the log is kept
// by no cache, framed by no page, and loads nothing from elsewhere.
func secure(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "same-origin") // no-referrer would hide the origin of forms too
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Vary", "Accept, Accept-Encoding")
}

// serve finds the page that the end of the path names. What stands before it is
// where the handler is mounted, which it need not be told.
func (q *request) serve() error {
	segments := strings.Split(q.r.URL.Path, "/")
	if len(segments) == 1 && segments[0] == "" {
		return q.addSlash()
	}
	at := func(fromEnd int) string {
		if fromEnd >= len(segments) {
			return ""
		}
		return segments[len(segments)-1-fromEnd]
	}
	last := at(0)
	if at(1) == "assets" {
		if serve, ok := q.assets.handler(last); ok {
			return q.get(func() error { serve(q.w, q.r); return nil })
		}
	}
	if id, err := uuid.Parse(last); err == nil && id.String() == last {
		q.id = id
		switch at(1) {
		case "event":
			q.root = "../"
			return q.reading(q.event)
		case "changeset":
			q.root = "../"
			return q.reading(q.changeSet)
		}
	}
	if id, err := uuid.Parse(at(1)); err == nil && last == "" && id.String() == at(1) && (at(2) == "event" || at(2) == "changeset") {
		return notFound() // a page with a slash too many, and no place where one mounts this
	}
	switch last {
	case "":
		return q.reading(q.report)
	case "record":
		return q.reading(q.record)
	case "authors":
		return q.reading(q.allAuthors)
	case "export":
		return q.reading(q.export)
	case "settings":
		return q.settings()
	case "exports":
		return q.exports()
	case "download":
		return q.reading(q.download)
	}
	if id, err := uuid.Parse(at(1)); err == nil && last == "cancel" && at(2) == "exports" {
		q.id, q.root = id, "../../"
		return q.cancelExport()
	}
	return notFound()
}

// addSlash leads from the mounting point to the same with a slash, where
// relative links work.
func (q *request) addSlash() error {
	u, err := url.ParseRequestURI(q.r.RequestURI)
	if err != nil || u.Path == "" {
		return notFound()
	}
	to := url.URL{Path: "./" + path.Base(u.Path) + "/", RawQuery: u.RawQuery}
	q.w.Header().Set("Location", to.String())
	q.w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// reading serves a page of events.
func (q *request) reading(serve func() error) error {
	if !q.scope.Read {
		return notFound()
	}
	return q.get(serve)
}

// get serves a GET and refuses other methods.
func (q *request) get(serve func() error) error {
	if q.r.Method != http.MethodGet {
		q.w.Header().Set("Allow", http.MethodGet)
		return &problem{status: http.StatusMethodNotAllowed, message: "This page can only be read."}
	}
	if len(q.r.URL.RawQuery) > maxQueryBytes {
		return badParameter("", "The address is too long: its parameters have %d bytes, at most %d are read.", len(q.r.URL.RawQuery), maxQueryBytes)
	}
	values, err := url.ParseQuery(q.r.URL.RawQuery)
	if err != nil {
		return badParameter("", "The parameters of the address cannot be read.")
	}
	q.values = values
	return serve()
}

// formType is the type of the forms that are read.
const formType = "application/x-www-form-urlencoded"

// post reads the form of a POST from the handler's own pages.
func (q *request) post() (url.Values, error) {
	if !sameOrigin(q.r) {
		return nil, &problem{status: http.StatusForbidden, message: "This request came from another site and was refused."}
	}
	if len(q.r.URL.RawQuery) > 0 {
		return nil, badParameter("", "A form that is sent has no parameters in the address.")
	}
	// Of a body of another type a form has nothing, and an empty form asks for a
	// whole report.
	sent := q.r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(sent); (sent != "" || q.r.ContentLength != 0) && (err != nil || media != formType) {
		return nil, &problem{status: http.StatusUnsupportedMediaType, message: "A form is sent as " + formType + "."}
	}
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, maxBodyBytes)
	if err := q.r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, badParameter("", "The form cannot be read.")
	}
	return q.r.PostForm, nil
}

// sameOrigin reports whether a browser says that the request comes from a page
// of this site. One that says neither is no browser that people use, or no
// browser, and is refused as well.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && strings.EqualFold(origin.Host, r.Host)
}

// wantsJSON reports whether the request asks for JSON and not for a page.
func wantsJSON(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// only refuses parameters that a page does not know: one that was misspelt must
// not show more than was asked for.
func (q *request) only(known ...string) error {
	for name, values := range q.values {
		switch {
		case !contains(known, name):
			return badParameter(name, "There is no parameter %q. Known are %s.", clip(name, maxQuoted), listed(known))
		case len(values) > 1 && !repeatable(name):
			return badParameter(name, "The parameter %q is there %d times; one is possible.", name, len(values))
		}
	}
	return nil
}
