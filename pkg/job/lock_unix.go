//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package job

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// openLocked opens the file, or makes it, and locks it. The lock ends with the process, however that ends.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the caller's
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
	return f, nil
}

// syncFolder puts the file's name on disk, in case it was just made.
func syncFolder(path string) error {
	d, err := os.Open(path) //nolint:gosec // the path is the caller's
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
