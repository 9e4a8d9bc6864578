package lambda

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// exitWatch waits for the end of a process without holding a thread: a pidfd
// becomes readable then. Kernels without pidfds (before 5.4) cost a thread.
type exitWatch struct {
	fd   int
	file *os.File
}

func (w *exitWatch) attributes() *syscall.SysProcAttr {
	w.fd = -1
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, PidFD: &w.fd}
}

func (w *exitWatch) watch() {
	if w.fd >= 0 && syscall.SetNonblock(w.fd, true) == nil {
		w.file = os.NewFile(uintptr(w.fd), "pidfd")
	}
}

// await returns when the process has ended; it does not reap it.
func (w *exitWatch) await(pid int) {
	if w.file != nil {
		defer w.file.Close()
		if raw, err := w.file.SyscallConn(); err == nil && raw.Read(exited) == nil {
			return
		}
	}
	blockUntilExit(pid)
}

// exited says whether the process of a pidfd has ended, without reaping it.
func exited(fd uintptr) bool {
	const pPidfd = 3
	var info [128]byte // siginfo_t
	_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPidfd, fd, uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT, 0, 0)
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		return false
	}
	// si_signo is SIGCHLD when there is something to report, 0 when not.
	return errno != 0 || *(*int32)(unsafe.Pointer(&info)) != 0
}

// peakMemory returns the high-water mark of a process's resident memory in MB,
// 0 when it is not known.
func peakMemory(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0
	}
	kb, err := strconv.Atoi(string(fields[0]))
	if err != nil {
		return 0
	}
	return (kb + 1023) / 1024
}
