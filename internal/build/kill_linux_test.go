package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamer-go/streamer/internal/build"
)

// envAct makes the test's own binary a program that builds, or the host of one.
const envAct = "STREAMER_TEST_BUILD_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(envAct) {
	case "host":
		os.Exit(host())
	case "program":
		_, err := build.Build(context.Background(), os.Getenv("CACHE"), build.Package{Dir: os.Getenv("MODULE")}, linux("amd64"))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// host runs the program as localcloud/deploy does.
func host() int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envAct+"=program")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	runtime.LockOSThread()
	fmt.Fprintln(os.Stderr, cmd.Run())
	return 1
}

// endless is an environment in which nothing that the go command compiles comes to an
// end, and a file that says when it compiles.
func endless(t *testing.T) (env []string, compiling string) {
	t.Helper()
	dir := t.TempDir()
	compiling, tool := filepath.Join(dir, "compiling"), filepath.Join(dir, "tool")
	if err := syscall.Mkfifo(compiling, 0o600); err != nil {
		t.Fatal(err)
	}
	// The go command asks each tool for its version first.
	write(t, tool, "#!/bin/sh\ncase \"$*\" in *-V=full*) exec \"$@\" ;; esac\necho now > '"+compiling+"'\nsleep 600\n")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"GOFLAGS=-toolexec=" + tool, "MODULE=" + module(t, "x"), "CACHE=" + filepath.Join(dir, "cache")}, compiling
}

// left is what still runs with a variable in its environment.
func left(variable string) (names []string) {
	found, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range found {
		environ, err := os.ReadFile(path)
		if err != nil || !slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return string(v) == variable }) {
			continue // gone, or of others
		}
		if line, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")); err == nil && len(line) > 0 {
			names = append(names, strings.TrimRight(strings.ReplaceAll(string(line), "\x00", " "), " "))
		}
	}
	return names
}

// allGone waits until nothing runs with the variable.
func allGone(t *testing.T, variable string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		names := left(variable)
		if len(names) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still running:\n%s", strings.Join(names, "\n"))
		}
	}
}

// However a host dies while its program builds, nothing goes on.
func TestNothingOutlivesAKill(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]string{"program": "program", "host of the program": "host"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, compiling := endless(t)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(append(os.Environ(), env...), envAct+"="+act)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.ReadFile(compiling); err != nil {
				t.Fatal(err)
			}
			mark := env[1]
			if names := left(mark); len(names) < 3 {
				t.Errorf("running are %q, want the program, go and a compiler", names)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			allGone(t, mark)
		})
	}
}

func TestNothingOutlivesACancelledBuild(t *testing.T) {
	env, compiling := endless(t)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(compiling) // at worst nothing is cancelled, and the build does not end
		cancel()
	}()
	cache := os.Getenv("CACHE")
	if _, err := build.Build(ctx, cache, build.Package{Dir: os.Getenv("MODULE")}, linux("amd64")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	allGone(t, env[1])
	if work, _ := filepath.Glob(filepath.Join(cache, "bin", "work-*")); len(work) > 0 {
		t.Errorf("left behind: %v", work)
	}
}
