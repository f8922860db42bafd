package report_test

import (
	"testing"

	"github.com/gormtrail/audit/report"
)

func BenchmarkNewHandler(b *testing.B) {
	store := storyStore(b)
	for b.Loop() {
		_ = handler(b, store, report.Options{})
	}
}

func BenchmarkReport(b *testing.B) {
	h := handler(b, storeWith(b, many(1000)...), report.Options{})
	for b.Loop() {
		_ = get(b, h, "/")
	}
}
