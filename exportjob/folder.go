package exportjob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Folder is a [Place] in a folder of the file system, by its path. The folder
// must exist and be on one file system; nobody but the application should be
// able to read it. Files are made for the process's user alone (0600).
//
// It is looked up at each call, so a folder that is missing or full makes a job
// fail and not the program.
type Folder string

var _ Place = Folder("")

// Create implements [Place].
func (f Folder) Create(_ context.Context, name string) (File, error) {
	var file File
	err := f.within(name, func(root *os.Root) (err error) {
		// EXCL: neither a file nor a link that is there already is written to.
		file, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	return file, err
}

// Open implements [Place].
func (f Folder) Open(_ context.Context, name string) (io.ReadSeekCloser, error) {
	var file *os.File
	err := f.within(name, func(root *os.Root) (err error) {
		file, err = root.Open(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Rename implements [Place].
func (f Folder) Rename(_ context.Context, from, to string) error {
	if err := errors.Join(checkName(from), checkName(to), f.check()); err != nil {
		return err
	}
	// Both names lie in the folder itself, and renaming follows no links. A Root
	// can rename from Go 1.25 on.
	if err := os.Rename(filepath.Join(string(f), from), filepath.Join(string(f), to)); err != nil {
		return err
	}
	return f.sync()
}

// Remove implements [Place].
func (f Folder) Remove(_ context.Context, name string) error {
	err := f.within(name, func(root *os.Root) error { return root.Remove(name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
	if err := checkName(name); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return err
	}
	return errors.Join(do(root), root.Close())
}

func (f Folder) check() error {
	if f == "" { // would be the folder in which the program was started
		return errors.New("exportjob: the Folder has no path")
	}
	return nil
}

// checkName allows the names of [Place].
func checkName(name string) error {
	if name == "" || len(name) > 64 || name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("exportjob: %q is no name of a file", name)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return fmt.Errorf("exportjob: %q is no name of a file", name)
		}
	}
	return nil
}
