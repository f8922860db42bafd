package audit

// What the tests in package audit_test need of this package's own.

var CursorAfter = cursorAfter

// SealCell is the text as a cell of CSV.
func SealCell(text string, raw bool) string {
	b := sealCell([]byte(text), 0, raw)
	return string(b)
}
