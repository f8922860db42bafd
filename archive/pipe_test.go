//go:build unix

package archive_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestAPipeIsAnErrorThatNamesItAndNobodyWaitsForItsWriter(t *testing.T) {
	t.Parallel()
	r := newRig(t, 20, march)
	path := r.file(t, ".jsonl.gz")
	require.NoError(t, os.Remove(path))
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	listed := make(chan error, 1)
	go func() {
		_, err := r.archives.List(context.Background(), audit.Filter{Workspace: "Acme & Co."}, audit.Position{}, 1)
		listed <- err
	}()
	select {
	case err := <-listed:
		require.ErrorContains(t, err, "not a regular file")
		require.ErrorContains(t, err, filepath.Base(path))
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for somebody who writes into the pipe")
	}
}
