//go:build unix

package build

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// ownGroup gives the command a process group of its own, all of which is interrupted
// with the context: the go command itself waits for its compilers.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// watchdogScript is told a process group. It kills the group when its input ends,
// which it does however the writer died, unless it is told another line before.
const watchdogScript = `trap '' INT TERM HUP
read -r group || exit 0
read -r done || kill -s KILL -- "-$group"`

// watchdog is a shell that outlives this process by a moment: nothing else knows what
// the go command has started once both are gone. Nil: there is none.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// newWatchdog starts one. That there is no shell is no reason not to build.
func newWatchdog() *watchdog {
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	defer r.Close()
	// A group of its own: what ends us is not for it.
	cmd := &exec.Cmd{
		Path: "/bin/sh", Args: []string{"sh", "-c", watchdogScript}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"},
		Stdin: r, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if cmd.Start() != nil {
		w.Close()
		return nil
	}
	return &watchdog{cmd, w}
}

func (d *watchdog) watch(pid int) {
	if d != nil {
		_, _ = d.pipe.WriteString(strconv.Itoa(pid) + "\n") // at worst it is gone
	}
}

// close ends the watchdog, and with kill what is left of the group.
func (d *watchdog) close(kill bool) {
	if d == nil {
		return
	}
	if !kill {
		_, _ = d.pipe.WriteString("done\n") // at worst it is gone
	}
	d.pipe.Close()
	_ = d.cmd.Wait() // it has nothing to say
}
