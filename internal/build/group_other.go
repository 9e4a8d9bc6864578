//go:build !unix

package build

import "os/exec"

func ownGroup(*exec.Cmd) {}

// watchdog does nothing where there are no process groups.
type watchdog struct{}

func newWatchdog() watchdog { return watchdog{} }

func (watchdog) watch(int) {}

func (watchdog) close(bool) {}
