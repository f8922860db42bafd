package exportjob

import (
	"context"
	"io"
)

// Place keeps the files of exports. [Folder] is one. All workers and all
// processes that let people download share one Place; where they do not, a
// worker cannot go on with another's file and starts anew.
//
// Names are up to 64 lower-case letters, digits, "-" and ".", and begin with a
// letter or digit. Errors are told apart with [io/fs.ErrNotExist]; a
// *fs.PathError's inner error is shown to the requester as the reason of a
// failure, the text of any other error is not.
//
// A Place is safe for use by several goroutines at once.
type Place interface {
	// Create makes an empty file that was not there before.
	Create(ctx context.Context, name string) (File, error)

	// Open opens a file for reading. It returns an error that wraps
	// [io/fs.ErrNotExist] if there is none.
	Open(ctx context.Context, name string) (io.ReadSeekCloser, error)

	// Rename gives a closed file another name, and replaces a file that has it.
	// Once it has returned, the file has that name even if the machine stops.
	Rename(ctx context.Context, from, to string) error

	// Remove removes a file. That there is none is no error.
	Remove(ctx context.Context, name string) error
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	// Sync returns once all that was written survives a stop of the machine.
	Sync() error
}
