//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package job

import "errors"

// openLocked fails: the library knows no lock for files of this system.
func openLocked(string, int) (file, error) { return nil, errors.ErrUnsupported }
