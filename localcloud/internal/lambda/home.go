//go:build linux || darwin

package lambda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	homePrefix = "localcloud-lambda-"
	// lockName is the file of a temporary home that its owner keeps locked. The
	// kernel ends the lock with the process, however that died, and no number
	// of a process that may be another's by now is involved.
	lockName = "owner.lock"
)

// makeHome makes a directory of this process alone in parent, whose lock it
// returns, and removes those there whose owner is gone.
func makeHome(parent string) (dir string, lock *os.File, err error) {
	sweepHomes(parent)
	for {
		if dir, err = os.MkdirTemp(parent, homePrefix); err != nil {
			return "", nil, err
		}
		name := filepath.Join(dir, lockName)
		lock, err = lockFile(name, os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
		if err == nil {
			if _, err = os.Lstat(name); err == nil {
				return dir, lock, nil
			}
			_ = lock.Close()
		}
		// Until it was locked it looked abandoned to whoever swept meanwhile.
		if !errors.Is(err, os.ErrNotExist) {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
}

// sweepHomes removes what owners that are gone left behind. What cannot be
// removed, another user's for one, stays.
func sweepHomes(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), homePrefix) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		// Without the file it is not known whether there is an owner.
		lock, err := lockFile(filepath.Join(dir, lockName), os.O_RDWR, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // its owner lives
		}
		_ = removeHome(dir, lock)
	}
}

// removeHome removes a directory whose lock is held, and ends the lock. The file
// goes last, so that a removal that was cut short is taken up by the next sweep.
func removeHome(dir string, lock *os.File) error {
	defer lock.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// lockFile opens and locks a file. It is closed on exec: processes of functions
// do not inherit the lock.
func lockFile(name string, flag, how int) (*os.File, error) {
	// Others may write to the directory of temporary files: no links, no pipes.
	f, err := os.OpenFile(name, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return f, nil
}
