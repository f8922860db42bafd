// Package pagetest tests the page of package report as people use it: in a
// browser, headless Chromium, on the example of examples/timesheet.
//
// The tests need Chromium (Debian's package chromium, or Chrome), and those of
// accessibility axe-core, which npm ci in this folder installs. What is missing
// is told by the tests that are skipped for it; with
// AUDIT_TEST_REQUIRE_BROWSER=1 they fail instead.
//
//	go test -run Screenshots -screenshots ../../docs/images .
//
// makes the pictures of the README.
package pagetest
