package lambda

import "syscall"

// exitWatch holds a thread per process here. There is no parent-death signal;
// the watchdog stands in for it.
type exitWatch struct{}

func (exitWatch) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
func (exitWatch) watch()                           {}
func (exitWatch) await(pid int)                    { blockUntilExit(pid) }

// peakMemory is not known here without more than the system library offers.
func peakMemory(int) int { return 0 }
