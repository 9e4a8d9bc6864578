//go:build linux || darwin

package lambda

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// spawner starts all processes from one operating system thread that lives as
// long as it does: the parent-death signal of Linux is sent when the thread
// that made the process ends.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	path, dir string
	env       []string
	files     [3]uintptr
	reply     chan spawnReply
}

type spawnReply struct {
	child *child
	err   error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for r := range s.requests {
		c, err := startChild(r)
		r.reply <- spawnReply{c, err}
	}
}

// close ends the thread. Children that still live are killed by that on Linux.
func (s *spawner) close() {
	close(s.requests)
	<-s.done
}

func (s *spawner) start(path, dir string, env []string, files [3]uintptr) (*child, error) {
	reply := make(chan spawnReply, 1)
	s.requests <- spawnRequest{path, dir, env, files, reply}
	r := <-reply
	return r.child, r.err
}

// child is a process with a process group of its own.
type child struct {
	pid int
	exitWatch

	mu     sync.Mutex // guards reaped: no signal goes to a pid that may be another's
	reaped bool
}

func startChild(r spawnRequest) (*child, error) {
	c := &child{}
	attr := c.attributes()
	attr.Setpgid = true
	pid, err := syscall.ForkExec(r.path, []string{r.path}, &syscall.ProcAttr{Dir: r.dir, Env: r.env, Files: r.files[:], Sys: attr})
	if err != nil {
		return nil, err
	}
	c.pid = pid
	c.watch()
	return c, nil
}

// signal sends to the whole process group.
func (c *child) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		_ = syscall.Kill(-c.pid, sig) // a group that is gone needs no signal
	}
}

func (c *child) stop()      { c.signal(syscall.SIGSTOP) }
func (c *child) cont()      { c.signal(syscall.SIGCONT) }
func (c *child) terminate() { c.signal(syscall.SIGTERM) }
func (c *child) kill()      { c.signal(syscall.SIGKILL) }

// ended says whether the process is reaped.
func (c *child) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reaped
}

// wait blocks until the process has ended, kills what it left in its group and
// returns how it ended: "" for exit status 0.
func (c *child) wait() string {
	var ws syscall.WaitStatus
	c.await(c.pid)
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = syscall.Kill(-c.pid, syscall.SIGKILL) // before the pid is free
	for {
		_, err := syscall.Wait4(c.pid, &ws, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		break
	}
	c.reaped = true
	switch {
	case ws.Signaled():
		return "signal: " + ws.Signal().String()
	case ws.ExitStatus() != 0:
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	}
	return ""
}

// blockUntilExit returns when a child has ended, without reaping it.
func blockUntilExit(pid int) {
	const pPid = 1
	var info [128]byte // siginfo_t
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPid, uintptr(pid), uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
