//go:build linux || darwin

package lambda

import (
	"os"
	"strconv"
	"syscall"
)

// watchdogScript keeps the process groups that it is told, and kills them when
// its input ends, which it does however the writer died. Each is a variable, for
// to take one out of a long string costs the shell more than a process does.
const watchdogScript = `trap '' INT TERM HUP
while read -r op pid; do
	case $op in
	+) eval "group$pid=1" ;;
	-) unset "group$pid" ;;
	esac
done
set | while IFS== read -r name value; do
	case $name in
	group[0-9]*) kill -s KILL -- "-${name#group}" 2>/dev/null ;;
	esac
done
exit 0`

// watchdog is a shell that outlives this process by a moment. On Linux the
// parent-death signal is faster, but reaches only the process itself, not what
// it started.
type watchdog struct {
	pid  int
	pipe *os.File
}

func newWatchdog() (*watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		w.Close()
		return nil, err
	}
	defer null.Close()
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", watchdogScript}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/bin:/bin"},
		Files: []uintptr{r.Fd(), null.Fd(), null.Fd()},
		// A group of its own: an interrupt from the terminal is not for it.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		w.Close()
		return nil, err
	}
	return &watchdog{pid: pid, pipe: w}, nil
}

func (d *watchdog) add(pid int)    { d.tell("+ ", pid) }
func (d *watchdog) remove(pid int) { d.tell("- ", pid) }

// tell writes one line, which is short enough to be written in one piece. That
// the watchdog is gone is no reason to stop working.
func (d *watchdog) tell(op string, pid int) {
	_, _ = d.pipe.WriteString(op + strconv.Itoa(pid) + "\n")
}

func (d *watchdog) close() {
	d.pipe.Close()
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(d.pid, &ws, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
