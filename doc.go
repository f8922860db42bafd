// Package audit records who changed what in a Go backend.
package audit
