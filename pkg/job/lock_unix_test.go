//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package job

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func TestOpen_OnlyARegularFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	create := func(path string) (*Job, error) { return Create(path, plan(mirror.VerbPromote, "a"), Options{}) }
	for _, path := range []string{pipe, os.DevNull, t.TempDir()} {
		for _, f := range []func(string) (*Job, error){Open, Read, create} {
			_, err := f(path)
			require.ErrorContains(t, err, path+": it is not a regular file")
		}
	}
}

func TestCreate_InAFolderThatMayNotBeListed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Mkdir(folder, 0o300)) // root may list it all the same
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	path := filepath.Join(folder, "job")
	j, err := Create(path, plan(mirror.VerbPromote, "a"), Options{})
	require.NoError(t, err)
	require.NoError(t, j.Close())
	j, err = Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Close())
}

func TestSyncFolder_PassesOverWhatIsNoFailureOfTheDisk(t *testing.T) {
	require.NoError(t, folderError(nil))
	for _, err := range []error{syscall.EINVAL, syscall.EACCES, syscall.EPERM} {
		require.NoError(t, folderError(&fs.PathError{Op: "sync", Path: "/", Err: err}))
	}
	for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
		require.ErrorIs(t, folderError(&fs.PathError{Op: "sync", Path: "/", Err: err}), err)
	}
}
