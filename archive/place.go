package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Place keeps the files of archives. [Folder] is one; a bucket can be another. It
// differs from that of exports: nothing is ever replaced or removed here, and a
// file is complete as soon as it is there.
//
// Names hold lower-case letters, digits, "-" and ".", begin with a letter or digit
// and are at most 80 bytes long. A Place is safe for use by several goroutines, and
// by several processes, at once.
type Place interface {
	// Create makes a file of what write writes. Once it has returned nil, the file
	// is there, complete, even if the machine stops. After an error, that of
	// write among others, there is no such file. It returns an error that wraps
	// [io/fs.ErrExist] if there is one already, and leaves that as it is; of
	// several who create the same file at once, one succeeds.
	Create(ctx context.Context, name string, write func(io.Writer) error) error

	// Open opens a file for reading. It returns an error that wraps
	// [io/fs.ErrNotExist] if there is none.
	Open(ctx context.Context, name string) (io.ReadSeekCloser, error)

	// List returns the names that begin with the prefix, in any order. That the
	// Place itself is missing is an error, not an empty list.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Folder is a [Place] in a folder of the file system, by its path. The folder must
// exist, on a file system that knows hard links (not FAT), and nobody but the
// application should be able to write to it. Files are made for the process's user
// alone (0600).
//
// A process that is killed may leave a file whose name ends in ".part". Nobody reads
// it, and it may be removed.
type Folder string

var _ Place = Folder("")

// Create implements [Place].
func (f Folder) Create(_ context.Context, name string, write func(io.Writer) error) error {
	return f.within(name, func(root *os.Root) (err error) {
		part := name + "." + rand.Text() + ".part"
		file, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			removed := root.Remove(part)
			if err == nil {
				err = removed
			}
		}()
		err = write(file)
		if err == nil {
			err = file.Sync()
		}
		if closed := file.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
		// Unlike renaming, linking refuses a name that is taken. Both names lie in
		// the folder itself. A Root can link from Go 1.25 on.
		if err := os.Link(filepath.Join(string(f), part), filepath.Join(string(f), name)); err != nil {
			return err
		}
		if err := f.sync(); err != nil {
			return errors.Join(err, root.Remove(name))
		}
		return nil
	})
}

// Open implements [Place].
func (f Folder) Open(_ context.Context, name string) (io.ReadSeekCloser, error) {
	var file *os.File
	err := f.within(name, func(root *os.Root) error {
		info, err := root.Stat(name)
		if err == nil && !info.Mode().IsRegular() { // opening a pipe waits for its writer
			err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
		}
		if err == nil {
			file, err = root.Open(name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// List implements [Place].
func (f Folder) List(_ context.Context, prefix string) ([]string, error) {
	if f == "" {
		return nil, errNoPath
	}
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// sync makes the folder's list of names survive a stop of the machine.
func (f Folder) sync() error {
	if runtime.GOOS == "windows" { // cannot sync a folder
		return nil
	}
	dir, err := os.Open(string(f))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// within opens the folder so that no name leads out of it.
func (f Folder) within(name string, do func(*os.Root) error) error {
	if f == "" { // would be the folder in which the program was started
		return errNoPath
	}
	if err := checkName(name); err != nil {
		return err
	}
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return err
	}
	return errors.Join(do(root), root.Close())
}

var errNoPath = errors.New("archive: the Folder has no path")

// checkName allows the names of [Place].
func checkName(name string) error {
	if name == "" || len(name) > 80 || name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("archive: %q is no name of a file", name)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return fmt.Errorf("archive: %q is no name of a file", name)
		}
	}
	return nil
}
