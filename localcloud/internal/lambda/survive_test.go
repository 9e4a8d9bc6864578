package lambda_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
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

func TestChildrenDieWithUs(t *testing.T) {
	t.Parallel()
	dir, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STREAMER_TEST_VICTIM="+dir, "STREAMER_TEST_DIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
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
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for _, pid := range pids {
		until(t, fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
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
