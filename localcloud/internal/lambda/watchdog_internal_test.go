//go:build linux || darwin

package lambda

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// The launcher waits for the watchdog to be told: thousands of processes must
// not make that slow. What was taken back is spared, the rest is killed.
func TestWatchdogOfManyProcesses(t *testing.T) {
	t.Parallel()
	start := func() *exec.Cmd {
		cmd := exec.Command("sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	killed, spared := start(), start()
	defer func() { _, _ = spared.Process.Kill(), spared.Wait() }()
	dog, err := newWatchdog()
	if err != nil {
		t.Fatal(err)
	}
	const many, above = 4000, 1 << 23 // above all numbers that processes have
	begun := time.Now()
	dog.add(killed.Process.Pid)
	dog.add(spared.Process.Pid)
	for i := range many {
		dog.add(above + i)
	}
	for i := range many {
		dog.remove(above + many - 1 - i) // the newest first
	}
	dog.remove(spared.Process.Pid)
	dog.close()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("%d processes took %v", many, took)
	}
	if state := killed.Wait(); state == nil || state.Error() != "signal: killed" {
		t.Errorf("what was left ended with %v", state)
	}
	if err := spared.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("what was taken back is gone: %v", err)
	}
}
