package report

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed templates
var templates embed.FS

// pages are the templates.
type pages struct{ *template.Template }

func loadPages() (pages, error) {
	t, err := template.ParseFS(templates, "templates/*.html")
	return pages{t}, err
}

// page is what every page is made from.
type page struct {
	Title     string
	Root      string
	CSS, JS   string
	Icon      string
	Nav       []link
	Workspace string
	Who       string
	// Zone is the parameter that keeps the time zone, if it is not the default.
	Zone    string
	Problem *problemView
	Body    any
}

// link leads to another page.
type link struct {
	Text, Href string
	Current    bool
}

// problemView is an error as the page shows it.
type problemView struct {
	Status  int
	Title   string
	Message string
	// Before, Wrong and After are a query and the part of it that is wrong.
	Before, Wrong, After string
}

// write answers with the page of a template.
func (q *request) write(status int, name, title string, body any, shown *problemView) error {
	p := &page{
		Title: title, Root: q.root, CSS: q.assets.named(".css"), JS: q.assets.named(".js"), Icon: q.assets.named(".svg"),
		Nav: q.nav(name), Workspace: visible(q.scope.Workspace, false), Who: visible(q.scope.Actor.String(), false), Zone: q.zone(), Problem: shown, Body: body,
	}
	var b bytes.Buffer
	if err := q.pages.ExecuteTemplate(&b, name, p); err != nil {
		return err
	}
	q.send(status, "text/html; charset=utf-8", b.Bytes())
	return nil
}

// nav are the pages that the scope may see.
func (q *request) nav(current string) []link {
	var links []link
	if q.scope.Read {
		links = append(links, link{Text: "Report", Href: q.root, Current: current == "report"})
	}
	if q.background() {
		links = append(links, link{Text: "Exports", Href: q.root + "exports", Current: current == "exports"})
	}
	if q.scope.Administer && q.opts.Settings != nil {
		links = append(links, link{Text: "Settings", Href: q.root + "settings", Current: current == "settings"})
	}
	return links
}

// minCompressed is the length from which on compression is worth its while.
const minCompressed = 2 << 10

// send sends a whole answer, compressed for those who can read that: pages of
// events are repetitive.
func (q *request) send(status int, contentType string, content []byte) {
	q.w.Header().Set("Content-Type", contentType)
	if len(content) >= minCompressed && acceptsGzip(q.r) {
		if packed, err := q.compress(content); err == nil {
			content = packed
			q.w.Header().Set("Content-Encoding", "gzip")
		}
	}
	q.w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(content) // the reader has gone
}

// compress does so in half the time that the default level and a new writer for
// each answer take, for a sixth more of bytes.
func (h *Handler) compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	z, ok := h.compressors.Get().(*gzip.Writer)
	if !ok {
		var err error
		if z, err = gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil {
			return nil, err
		}
	}
	defer h.compressors.Put(z)
	z.Reset(&b)
	_, err := z.Write(content)
	err = errors.Join(err, z.Close())
	return b.Bytes(), err
}

// acceptsGzip reports whether the request names gzip without refusing it.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q := strings.TrimPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return strings.Trim(q, "0.") != "" || q == ""
		}
	}
	return false
}

// writeJSON answers a program.
func (q *request) writeJSON(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	q.send(status, "application/json", append(b, '\n'))
	return nil
}

// errorJSON is the form of an error for programs.
type errorJSON struct {
	Status    int    `json:"status"`
	Message   string `json:"message"`
	Parameter string `json:"parameter,omitempty"`
	Offset    *int   `json:"offset,omitempty"`
	Length    *int   `json:"length,omitempty"`
}

// fail answers with an error.
func (q *request) fail(err error) {
	p := q.problem(err)
	if q.json {
		err = q.writeJSON(p.status, map[string]errorJSON{"error": {Status: p.status, Message: p.message, Parameter: p.parameter, Offset: p.offset, Length: p.length}})
	} else {
		err = q.write(p.status, "problem", http.StatusText(p.status), nil, p.view(q.values.Get("q")))
	}
	if err != nil {
		q.log(err)
		http.Error(q.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// problem is the error as the reader is told it; what readers are not told is
// logged.
func (q *request) problem(err error) *problem {
	p, internal := asProblem(err)
	if internal {
		q.log(err)
	}
	return p
}

func (q *request) log(err error) {
	if q.r.Context().Err() != nil {
		return // the reader did not wait
	}
	q.opts.Logger.ErrorContext(q.r.Context(), "report: a page failed", "path", q.r.URL.Path, "error", err)
}
