package build

import (
	"bytes"
	"context"
	"os/exec"
	"runtime"
	"time"
)

// giveUp is how long the go command has to end once it was told to.
const giveUp = 2 * time.Second

// goCommand returns the go command. Run it with runGo.
func goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.WaitDelay = giveUp
	ownGroup(cmd)
	return cmd
}

// runGo runs the go command to its end. Neither it nor the compilers and linkers that
// it starts outlive the context, or this process, however that ends.
func runGo(ctx context.Context, cmd *exec.Cmd) error {
	dog := newWatchdog()
	// Where the kernel kills a child with its parent, the parent is the thread that
	// has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	if err == nil {
		dog.watch(cmd.Process.Pid)
		err = cmd.Wait()
	}
	// What was cancelled may have left compilers behind.
	dog.close(ctx.Err() != nil)
	return err
}

// ask runs the go command for its answer.
func ask(ctx context.Context, dir string, args ...string) (out []byte, said string, err error) {
	return askIn(ctx, dir, nil, args...)
}

// askIn is ask with an environment of its own, nil for that of this process.
func askIn(ctx context.Context, dir string, env []string, args ...string) (out []byte, said string, err error) {
	cmd := goCommand(ctx, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = runGo(ctx, cmd)
	return stdout.Bytes(), stderr.String(), err
}
