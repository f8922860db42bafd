//go:build !unix

package main

import "time"

var started = time.Now()

// cpuTime is the time that has passed: nothing waits where it is asked for.
func cpuTime() time.Duration { return time.Since(started) }
