//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package job

import (
	"errors"
	"os"
)

// openLocked fails: there is no way to lock a file here.
func openLocked(string) (*os.File, error) { return nil, errors.ErrUnsupported }
