package build

import "syscall"

// attributes are those of the leader of a process group, which dies with the thread
// that has started it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
