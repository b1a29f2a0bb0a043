//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package job_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	journal "github.com/seed25095279/clusterlink-go/pkg/job"
)

// What does not keep what is written to it is no place for a journal.
func TestJournal_OnlyARegularFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, path := range []string{pipe, os.DevNull} {
		_, err := journal.Open(path)
		require.ErrorContains(t, err, path+": it is not a regular file")
	}
}
