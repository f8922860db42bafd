//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is the time that the processors have spent on the program.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
