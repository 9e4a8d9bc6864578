package lambda_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// victim is this test binary as a local cloud of its own: it prints the PIDs
// of an idle, a busy and a left-behind process, and waits to be killed.
func victim() {
	l, err := lambda.NewProcessLauncher(lambda.ProcessOptions{})
	if err != nil {
		panic(err)
	}
	s := lambda.New(lambda.Options{Launcher: l, Dir: os.Getenv("STREAMER_TEST_DIR")})
	arch := "x86_64"
	if hostArch() == "arm64" {
		arch = "arm64"
	}
	if _, err := s.PutFunction(lambda.FunctionSpec{
		Name: "f", RoleName: "r", Code: os.DirFS(os.Getenv("STREAMER_TEST_VICTIM")), Architecture: arch, Timeout: 900 * time.Second,
	}); err != nil {
		panic(err)
	}
	t := &testing.T{}
	r := call(t, s, "f", `{"do":"child"}`)
	go call(t, s, "f", `{"do":"sleep","ms":600000}`)
	fmt.Printf("%d %d\n", r.PID, r.N)
	select {}
}

// startVictim runs a victim and returns what it prints.
func startVictim(t *testing.T, dir string, env ...string) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "STREAMER_TEST_VICTIM="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = cmd.Process.Kill(), cmd.Wait() // the test may have done both
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, f := range strings.Fields(line) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return cmd, pids
}

func TestChildrenDieWithUs(t *testing.T) {
	t.Parallel()
	dir, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	cmd, pids := startVictim(t, dir, "STREAMER_TEST_DIR="+t.TempDir())
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for _, pid := range pids {
		until(t, fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
	}
}

// What a killed process left in the directory of temporary files is removed by
// the next one, what belongs to one that lives is not.
func TestLeftHomesAreRemoved(t *testing.T) {
	t.Parallel()
	dir, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	if err := os.Mkdir(temp+"/localcloud-lambda-unknown", 0o755); err != nil {
		t.Fatal(err)
	}
	homes := func() map[string]bool {
		found, err := filepath.Glob(temp + "/localcloud-lambda-*")
		if err != nil {
			t.Fatal(err)
		}
		set := map[string]bool{}
		for _, name := range found {
			set[name] = true
		}
		return set
	}
	killed, pids := startVictim(t, dir, "TMPDIR="+temp)
	dead := homes()
	delete(dead, temp+"/localcloud-lambda-unknown")
	startVictim(t, dir, "TMPDIR="+temp)
	before := homes()
	if len(dead) != 1 || len(before) != 3 {
		t.Fatalf("homes %v, then %v", dead, before)
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	for _, pid := range pids {
		until(t, fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
	}
	startVictim(t, dir, "TMPDIR="+temp)
	after := homes()
	for name := range before {
		if after[name] == dead[name] {
			t.Errorf("%s: there %v, of the killed process %v", name, after[name], dead[name])
		}
	}
	if len(after) != 3 {
		t.Errorf("homes %v", after)
	}
}

// gone says whether a process has ended; nobody may have reaped it yet.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}
