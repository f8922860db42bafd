package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/gormtrail/audit"

// listed is a package as go list tells of it. Files of tests do not count.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// packages lists the module's packages and all that they link.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	// The go command caches a test's result for as long as what the test itself
	// looked at stays the same. It does not see what go list looks at.
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	}))
	out := runGo(t, "list", "-deps", "-json=ImportPath,Standard,Imports,Deps,Module", "./...")
	all := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[p.ImportPath] = p
	}
}

func runGo(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), stderr.String())
	return out
}

func own(p listed) bool { return p.Module != nil && p.Module.Path == modulePath }

// TestDependenciesAreThoseThatWereReviewed compares what an application links
// and requires by using this module with a file that was reviewed. Versions are
// left out: go.mod has them, and a workspace raises them.
func TestDependenciesAreThoseThatWereReviewed(t *testing.T) {
	t.Parallel()
	all := packages(t)
	var b strings.Builder
	b.WriteString("# What each package links: other packages of this module, and other modules.\n# Made by go test -run TestDependencies -update.\n")
	for _, path := range slices.Sorted(func(yield func(string) bool) {
		for path, p := range all {
			if own(p) && !yield(path) {
				return
			}
		}
	}) {
		fmt.Fprintf(&b, "\n%s\n", path)
		links := map[string]bool{}
		for _, dep := range all[path].Deps {
			switch p := all[dep]; {
			case p.Standard || p.ImportPath == "":
			case own(p):
				links[dep] = true
			default:
				links[p.Module.Path] = true
			}
		}
		for _, link := range sortedKeys(links) {
			fmt.Fprintf(&b, "\t%s\n", link)
		}
	}
	var mod struct {
		Go      string
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(runGo(t, "mod", "edit", "-json"), &mod))
	require.Equal(t, "1.24.0", mod.Go, "the go line is what applications need at least; the go command raises it by itself, so set it back by hand")
	b.WriteString("\n# What go.mod requires.\n")
	for _, r := range mod.Require {
		if r.Indirect {
			r.Path += " (indirect)"
		}
		fmt.Fprintf(&b, "%s\n", r.Path)
	}

	const file = "testdata/dependencies.txt"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "Every application that uses this module links and updates its dependencies.\n"+
		"If a new one crept in, remove the import. If it is needed, or a package was added, run\n"+
		"go test -run TestDependencies -update . and say in the commit why.")
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	all := packages(t)
	const (
		root   = modulePath
		hooks  = modulePath + "/hooks"
		report = modulePath + "/report"
		store  = modulePath + "/store/"
		gorm   = "gorm.io/"
		differ = "github.com/r3labs/diff/v3"
	)
	require.Contains(t, all, root)
	require.Contains(t, all, hooks)
	for path, p := range all {
		if !own(p) {
			continue
		}
		for _, dep := range p.Deps {
			switch {
			case path == root:
				require.False(t, strings.HasPrefix(dep, modulePath+"/") || strings.HasPrefix(dep, gorm), "package audit must not link %s: it is for those who use neither", dep)
			case path == hooks:
				require.False(t, strings.HasPrefix(dep, store), "hooks must not link %s: an application brings the store of its choice", dep)
			case path == report:
				require.False(t, strings.HasPrefix(dep, gorm) || dep == hooks || strings.HasPrefix(dep, store), "report must not link %s: the page reads any store", dep)
			case strings.HasPrefix(path, store):
				require.False(t, strings.HasPrefix(dep, gorm) || dep == hooks, "%s must not link %s: a store works without GORM", path, dep)
			}
			if strings.HasPrefix(dep, "github.com/stretchr/testify") {
				require.Equal(t, modulePath+"/store/storetest", path, "only the package for tests may link testify")
			}
		}
		if slices.Contains(p.Imports, differ) {
			require.Equal(t, root, path, "only package audit imports the diff library")
		}
	}
	for _, driver := range []string{"glebarez", "jackc/pgx", "go-sql-driver", "mattn", "modernc.org"} {
		for path := range all {
			require.NotContains(t, path, driver, "the module brings no database driver")
		}
	}
}
