package lambda_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var buildDir string

func TestMain(m *testing.M) {
	if os.Getenv("STREAMER_TEST_VICTIM") != "" {
		victim()
		return
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "lambda-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	if code == 0 {
		code = leaks()
	}
	os.Exit(code)
}

// leaks fails the run when goroutines of the packages under test are left.
func leaks() int {
	deadline := time.Now().Add(5 * time.Second)
	for {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		left := 0
		for _, g := range strings.Split(stacks, "\n\n") {
			if strings.Contains(g, "localcloud/internal/") && !strings.Contains(g, "lambda_test.leaks") {
				left++
			}
		}
		if left == 0 {
			return 0
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "%d goroutines are left:\n%s\n", left, stacks)
			return 1
		}
		runtime.Gosched()
	}
}

// bootstrap builds testdata/bootstrap once and returns its directory.
var bootstrap = sync.OnceValues(func() (string, error) { return buildBootstrap("bin", runtime.GOARCH) })

func buildBootstrap(name, arch string, flags ...string) (string, error) {
	dir := filepath.Join(buildDir, name)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", filepath.Join(dir, "bootstrap"), "./testdata/bootstrap")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build bootstrap: %w\n%s", err, out)
	}
	return dir, nil
}

// until polls for what happens outside of the test's control.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
		<-tick.C
	}
}
