//go:build !race

package pagetest

// raceDetector reports whether the tests run under the race detector.
const raceDetector = false
