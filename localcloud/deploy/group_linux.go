package deploy

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the command the leader of a process group that dies with the
// context and, should this process be killed, with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
