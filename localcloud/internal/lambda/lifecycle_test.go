package lambda_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

func hostArch() string { return runtime.GOARCH }

func TestProcessInit(t *testing.T) {
	t.Parallel()
	env := func(v string) func(*lambda.FunctionSpec) {
		return func(s *lambda.FunctionSpec) {
			s.Env = map[string]string{"INIT": v}
			s.Timeout = time.Second
		}
	}
	for _, tc := range []struct {
		name string
		spec lambda.FunctionSpec
		want string
	}{
		{"exit", spec(t, "exit", env("exit")), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 3"}`},
		{"timeout", spec(t, "timeout", env("sleep")), `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 1.00 seconds"}`},
		{"again", spec(t, "again", env("once"), func(s *lambda.FunctionSpec) { s.Timeout = 30 * time.Second }), `"text":"hi"`},
		{"missing", spec(t, "missing", func(s *lambda.FunctionSpec) { s.Code = fstest.MapFS{"other": {Data: []byte("x")}} }),
			`{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: ID Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}`},
		{"not a program", spec(t, "text", func(s *lambda.FunctionSpec) { s.Code = fstest.MapFS{"bootstrap": {Data: []byte("hello")}} }), `"Runtime.InvalidEntrypoint"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, lambda.Options{InitLimit: 2 * time.Second}, lambda.ProcessOptions{})
			put(t, c.Service, tc.spec)
			res := invoke(t, c.Service, tc.spec.Name, `{"do":"echo","text":"hi"}`)
			if got := strings.ReplaceAll(string(res.Payload), res.RequestID, "ID"); !strings.Contains(got, tc.want) {
				t.Fatalf("%s, want %s", got, tc.want)
			}
			if !c.logged("INIT_REPORT Init Duration: ") {
				t.Fatalf("no INIT_REPORT in %q", c.log())
			}
		})
	}
}

func TestProcessOfAnotherMachine(t *testing.T) {
	t.Parallel()
	other, declared := "arm64", "arm64"
	if hostArch() == "arm64" {
		other, declared = "amd64", "x86_64"
	}
	dir, err := buildBootstrap("other", other)
	if err != nil {
		t.Fatal(err)
	}
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	s := spec(t, "f", func(s *lambda.FunctionSpec) { s.Code, s.Architecture = os.DirFS(dir), declared })
	_, err = c.PutFunction(s)
	var bad *lambda.ArchitectureError
	if !errors.As(err, &bad) || bad.Declared || !strings.Contains(err.Error(), "linux/"+other) || !strings.Contains(err.Error(), hostArch()) {
		t.Fatalf("put function of another machine: %v", err)
	}
	s = spec(t, "f", func(s *lambda.FunctionSpec) { s.Architecture = declared })
	if _, err = c.PutFunction(s); !errors.As(err, &bad) || !bad.Declared {
		t.Fatalf("put function that declares another machine: %v", err)
	}
	if entries, _ := filepath.Glob(filepath.Join(dir, "*")); len(entries) != 1 {
		t.Fatalf("the source was changed: %v", entries)
	}
}

func TestProcessUpdateFinishesOldInvocations(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	old := call(t, c.Service, "f", `{}`).PID
	done := make(chan reply, 1)
	go func() { done <- call(t, c.Service, "f", `{"do":"sleep","ms":500}`) }()
	until(t, "the invocation runs", func() bool { return countLines(c.log(), "START") == 2 })
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) { s.Env = map[string]string{"V": "2"} }))
	r := call(t, c.Service, "f", `{"do":"env"}`)
	if r.Env["V"] != "2" {
		t.Fatalf("V = %q after the update", r.Env["V"])
	}
	if late := <-done; late.Text != "slept" || late.PID != old {
		t.Fatalf("the old invocation ended with %+v", late)
	}
	until(t, "the old process is gone", func() bool { return syscall.Kill(old, 0) != nil })
}

func countLines(lines []string, prefix string) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

func TestProcessSIGTERM(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bye")
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) { s.Env = map[string]string{"SIGTERM_FILE": file} }))
	call(t, c.Service, "f", `{}`)
	if err := c.DeleteFunction("f"); err != nil {
		t.Fatal(err)
	}
	until(t, "the handler of SIGTERM ran", func() bool { b, _ := os.ReadFile(file); return string(b) == "bye" })
}

// A binary that was built for coverage writes its counters when it is ended
// gracefully.
func TestProcessCoverage(t *testing.T) {
	t.Parallel()
	dir, err := buildBootstrap("cover", hostArch(), "-cover")
	if err != nil {
		t.Fatal(err)
	}
	counters := t.TempDir()
	c := newCloud(t, lambda.Options{Environ: map[string]string{"GOCOVERDIR": counters}}, lambda.ProcessOptions{GracefulStop: true})
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) { s.Code = os.DirFS(dir) }))
	call(t, c.Service, "f", `{}`)
	start := time.Now()
	c.Service.Close()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the end took %s", took)
	}
	if files, _ := filepath.Glob(filepath.Join(counters, "covcounters.*")); len(files) != 1 {
		t.Fatalf("%d files of counters", len(files))
	}
}
