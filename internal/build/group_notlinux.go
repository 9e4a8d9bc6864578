//go:build unix && !linux

package build

import "syscall"

// attributes are those of the leader of a process group.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
