package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

var command struct {
	once sync.Once
	path string
	err  error
}

// streamer returns a command line of the built binary, with a variable that
// its processes inherit or not, and a temporary directory of its own.
func streamer(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	command.once.Do(func() {
		command.path = filepath.Join(filepath.Dir(shared.dir), "streamer")
		build := []string{"build", "-o", command.path}
		if os.Getenv("STREAMER_COVER_DIR") != "" {
			build = append(build, "-cover", "-covermode=atomic", "-coverpkg=github.com/streamer-go/streamer/...")
		}
		out, err := exec.Command("go", append(build, "../../cmd/streamer")...).CombinedOutput()
		if err != nil {
			command.err = errors.Join(err, errors.New(string(out)))
		}
	})
	if command.err != nil {
		t.Fatal(command.err)
	}
	cmd := exec.CommandContext(bounded(t), command.path, args...)
	cmd.Dir = "../.."
	cmd.WaitDelay = patience // whatever it left behind may hold its output open
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	if dir := os.Getenv("STREAMER_COVER_DIR"); dir != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	return cmd
}

// event is a line of streamer -json.
type event struct {
	Type, URL, Token, Text string
	Files                  []string
	Frame                  *wire.Frame
	Code                   *int
}

func TestDemo(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	cmd := streamer(t, "demo", "-json", "-out", out)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	seen := map[string]int{}
	var files []string
	for line := range bytes.Lines(stdout) {
		var e event
		read(t, line, &e)
		seen[e.Type]++
		if e.Frame != nil {
			seen[e.Frame.Type]++
		}
		if e.Code != nil && *e.Code != 0 {
			t.Errorf("exit event says %d", *e.Code)
		}
		files = append(files, e.Files...)
	}
	for _, want := range []string{"ready", "result", "exit", wire.TypeResponse, wire.TypeAcknowledgment, wire.TypeProgress, wire.TypeComplete} {
		if seen[want] == 0 {
			t.Errorf("no %s among %v", want, seen)
		}
	}
	if len(files) != 2 {
		t.Errorf("files %v, want two", files)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() < 500 || filepath.Dir(file) != out {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}

// ready starts streamer dev on the tests' program and waits until it is up.
func ready(t *testing.T, dir string, stderr io.Writer) (*exec.Cmd, event) {
	t.Helper()
	cmd := streamer(t, "dev", "-json", "-user", "dev", "-permissions", "secrets:read", "./tests/e2e")
	cmd.Env, cmd.Stderr = append(cmd.Env, "E2E_DIR="+dir, "TMPDIR="+dir), stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it should have ended
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal("streamer dev ended before it was ready: ", err)
		}
		var e event
		if json.Unmarshal(line, &e) == nil && e.Type == "ready" {
			return cmd, e
		}
	}
}

func TestDev(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"killed": syscall.SIGKILL, "interrupted": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd, e := ready(t, dir, nil)
			conn, err := client.Dial(bounded(t), e.URL, e.Token, client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			call(t, conn, client.Message{Action: "echo.secret", Payload: app.Echo{Text: "a"}}, nil)
			if len(under(dir)) < 2 {
				t.Errorf("processes %v: want connect and router", under(dir))
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if signal == os.Interrupt && err != nil {
				t.Error("streamer dev:", err)
			}
			eventually(t, "every process is gone", patience, func() bool { return len(under(dir)) == 0 })
			if left, err := os.ReadDir(dir); signal == os.Interrupt && (err != nil || len(left) > 0) {
				t.Errorf("left in the temporary directory: %v, %v", left, err)
			}
		})
	}
}

// Two of one program run side by side; the second says that it is not alone.
func TestDevBesideAnother(t *testing.T) {
	t.Parallel()
	alone, first := ready(t, t.TempDir(), nil)
	var stderr bytes.Buffer
	beside, second := ready(t, t.TempDir(), &stderr)
	for _, e := range []event{first, second} {
		conn, err := client.Dial(bounded(t), e.URL, e.Token, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	for _, cmd := range []*exec.Cmd{alone, beside} {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(stderr.String(), "runs already, in process ") {
		t.Errorf("the second said %q", stderr.String())
	}
}

// under finds the functions' processes whose code is in a directory.
func under(dir string) []int {
	return processes("", "LAMBDA_TASK_ROOT="+dir)
}

func TestProgramsThatDoNotCompile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, text string }{
		"program":  {"infra/main.go", "package main\n\nfunc main() { nothing() }\n"},
		"handlers": {"app/cmd/handlers/main.go", "package main\n\nfunc main() { nothing() }\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := streamer(t, "dev", "-json", broken(t, tt.file, tt.text)).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 3 {
				t.Fatalf("%v, want exit code 3\n%s", err, out)
			}
			if !regexp.MustCompile(`main\.go:3:15: undefined: nothing`).Match(out) {
				t.Errorf("file and line are not named:\n%s", out)
			}
		})
	}
}

// broken is the tests' program in a directory of its own, with that text in a file.
func broken(t *testing.T, file, text string) (dir string) {
	t.Helper()
	// Inside of the module, or the program finds none of its imports; a directory
	// that begins with _ is no package of ours.
	dir, err := os.MkdirTemp(".", "_broken-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // left behind, it is ignored
	for _, name := range []string{"infra/main.go", "infra/Pulumi.yaml"} {
		raw, err := os.ReadFile(name)
		if err == nil {
			err = write(filepath.Join(dir, name), raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := write(filepath.Join(dir, file), []byte(text)); err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDevTellsOfHandlersThatPanic: before anybody sends them a message.
func TestDevTellsOfHandlersThatPanic(t *testing.T) {
	t.Parallel()
	cmd := streamer(t, "dev", "-json", broken(t, "app/cmd/handlers/main.go", "package main\n\nfunc main() { panic(\"no handlers today\") }\n"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it should have ended
	told := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.Contains(lines.Text(), "no handlers today") && !told {
			told = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !told {
		t.Errorf("told of the panic: %v; %v", told, err)
	}
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"no command":      {nil, 2},
		"unknown command": {[]string{"deploy"}, 2},
		"unknown flag":    {[]string{"dev", "-nothing"}, 2},
		"two directories": {[]string{"dev", "a", "b"}, 2},
		"no project":      {[]string{"dev", t.TempDir()}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := streamer(t, tt.args...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tt.code || len(out) == 0 {
				t.Errorf("%v, want exit code %d and a reason\n%s", err, tt.code, out)
			}
		})
	}
}
