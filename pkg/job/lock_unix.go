//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package job

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lockedFile is a file that is unlocked before closing. A child process that was just forked shares the open file and
// its lock.
type lockedFile struct{ *os.File }

func (f lockedFile) Close() error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.File.Close())
}

// openLocked opens a file and locks it against other writers. The lock ends with the process.
func openLocked(path string, flags int) (file, error) {
	f, err := os.OpenFile(path, flags, 0o600) //nolint:gosec // the path is the caller's
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return lockedFile{f}, nil
}

// syncFolder syncs the name of a new file to disk, if the file system allows this.
func syncFolder(path string) error {
	d, err := os.Open(path) //nolint:gosec // the path is the caller's
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	return folderError(err)
}

// folderError drops errors of file systems that sync no folder (EINVAL on CIFS), and of folders that may not be
// listed. Any other error, as of a failing disk, stays.
func folderError(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
