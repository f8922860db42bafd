package audit

// What the tests in package audit_test need of this package's own.
var CursorAfter = cursorAfter
