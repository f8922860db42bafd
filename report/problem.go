package report

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gormtrail/audit"
)

// problem is an error that the page tells its reader, with the HTTP status. Its
// texts are sentences for people; they quote what the reader sent and nothing
// else.
type problem struct {
	status int
	// parameter is the one of the URL that is wrong. Empty if none is.
	parameter string
	message   string
	// offset and length are the place of the wrong word in a query. Nil if it is
	// not a query that is wrong.
	offset, length *int
}

func (p *problem) Error() string { return "report: " + p.message }

// badParameter is what is wrong with a parameter of the URL.
func badParameter(name, format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, parameter: name, message: fmt.Sprintf(format, args...)}
}

// badQuery is what is wrong with a text of the query language.
func badQuery(err error) *problem {
	p := badParameter("q", "%s", asSentence(err))
	var wrong *audit.QueryError
	if errors.As(err, &wrong) {
		p.message = strings.TrimRight(capital(wrong.Message), ".?") + "."
		p.offset, p.length = &wrong.Offset, &wrong.Length
	}
	return p
}

// view is the problem as the page shows it, with the query that is wrong.
func (p *problem) view(query string) *problemView {
	v := &problemView{Status: p.status, Title: http.StatusText(p.status), Message: visible(p.message, false)}
	switch p.status {
	case http.StatusBadRequest:
		v.Title = "This cannot be done as asked"
	case http.StatusConflict:
		v.Title = "This cannot be done now"
	}
	if p.offset == nil {
		return v
	}
	start := min(max(*p.offset, 0), len(query))
	end := min(max(start+*p.length, start), len(query))
	v.Before, v.Wrong, v.After = visible(query[:start], false), visible(query[start:end], false), visible(query[end:], false)
	if v.Wrong == "" {
		v.Wrong = "…" // something is missing here
	}
	return v
}

// asSentence is an error of packages audit and exportjob as people read it.
func asSentence(err error) string {
	text := strings.TrimPrefix(err.Error(), audit.ErrInvalidFilter.Error()+": ")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "audit: "), "exportjob: ")
	return strings.TrimSuffix(capital(forReaders(text)), ".") + "."
}

// forReaders is the text of an error whose advice is for those who read the log
// and not for those who wrote the program.
func forReaders(text string) string {
	return strings.Replace(text, "add it with Catalog.With if it is right", "check how it is written, or choose from the lists", 1)
}

// notFound is the answer for everything that is not there or may not be seen:
// nobody can tell the one from the other.
func notFound() *problem {
	return &problem{status: http.StatusNotFound, message: "There is nothing here, or nothing that you may see."}
}

// asProblem is the error as the reader is told it. What is not meant for
// readers becomes a 500 that says nothing; internal reports that.
func asProblem(err error) (p *problem, internal bool) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p, false
	case errors.As(err, &tooLarge):
		return &problem{status: http.StatusBadRequest, message: "The request is too long."}, false
	case errors.Is(err, audit.ErrInvalidFilter):
		return &problem{status: http.StatusBadRequest, message: asSentence(err)}, false
	}
	return &problem{status: http.StatusInternalServerError, message: "The audit log could not be read. The error was logged; try again later."}, true
}
