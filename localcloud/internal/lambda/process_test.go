package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// cloud is a Service with real processes.
type cloud struct {
	*lambda.Service
	launcher *lambda.ProcessLauncher

	mu    sync.Mutex
	lines []string
}

func (c *cloud) log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
}

func (c *cloud) logged(part string) bool {
	return slices.ContainsFunc(c.log(), func(l string) bool { return strings.Contains(l, part) })
}

func newCloud(t testing.TB, opts lambda.Options, popts lambda.ProcessOptions) *cloud {
	t.Helper()
	l, err := lambda.NewProcessLauncher(popts)
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{launcher: l}
	opts.Launcher = l
	if opts.Log == nil {
		opts.Log = func(_, _, line string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.lines = append(c.lines, line)
		}
	}
	c.Service = lambda.New(opts)
	t.Cleanup(func() {
		c.Service.Close()
		l.Close()
	})
	return c
}

func spec(t testing.TB, name string, change ...func(*lambda.FunctionSpec)) lambda.FunctionSpec {
	t.Helper()
	dir, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	s := lambda.FunctionSpec{Name: name, RoleName: "role", Handler: "bootstrap", Runtime: "provided.al2023", Code: os.DirFS(dir), Timeout: 10 * time.Second}
	if hostArch() == "arm64" {
		s.Architecture = "arm64"
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func put(t testing.TB, s *lambda.Service, spec lambda.FunctionSpec) lambda.FunctionInfo {
	t.Helper()
	info, err := s.PutFunction(spec)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

type reply struct {
	Text, Request, ARN, Trace, Dir string
	N, Deadline                    int64
	PID                            int
	Env                            map[string]string
}

// call invokes and decodes the reply; function errors are fatal.
func call(t testing.TB, s *lambda.Service, function, event string) reply {
	t.Helper()
	res := invoke(t, s, function, event)
	if res.FunctionError != "" {
		t.Fatalf("invoke %s with %s: %s", function, event, res.Payload)
	}
	var r reply
	if err := json.Unmarshal(res.Payload, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func invoke(t testing.TB, s *lambda.Service, function, event string) lambda.InvokeResult {
	t.Helper()
	res, err := s.Invoke(context.Background(), function, []byte(event), lambda.InvokeOptions{})
	if err != nil {
		t.Fatalf("invoke %s with %s: %v", function, event, err)
	}
	return res
}

func TestProcessReusesInstance(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	first := call(t, c.Service, "f", `{"do":"echo","text":"a"}`)
	second := call(t, c.Service, "f", `{"do":"echo","text":"b"}`)
	if first.Text != "a" || second.Text != "b" || first.PID != second.PID || second.N != 2 {
		t.Fatalf("first %+v, second %+v: want the same process", first, second)
	}
}

func TestProcessContext(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	info := put(t, c.Service, spec(t, "f"))
	before := time.Now()
	res, err := c.Invoke(t.Context(), info.ARN, []byte(`{"do":"context"}`), lambda.InvokeOptions{
		TraceHeader: "Root=1-2-3", ClientContext: []byte(`{"custom":{"text":"hello"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	var r reply
	if err := json.Unmarshal(res.Payload, &r); err != nil {
		t.Fatal(err)
	}
	deadline := time.UnixMilli(r.Deadline).Sub(before)
	if r.Text != "hello" || r.Request != res.RequestID || r.ARN != info.ARN || r.Trace != "Root=1-2-3" || deadline < 9*time.Second || deadline > 20*time.Second {
		t.Fatalf("context %+v, deadline in %s", r, deadline)
	}
}

func TestProcessFailures(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	put(t, c.Service, spec(t, "short", func(s *lambda.FunctionSpec) { s.Timeout = time.Second }))
	for _, tc := range []struct{ name, event, want string }{
		{"error", `{"do":"error","text":"no"}`, `{"errorMessage":"no","errorType":"errorString"}`},
		{"panic", `{"do":"panic","text":"boom"}`, `"errorMessage":"boom","errorType":"string"`},
		{"exit 0", `{"do":"exit"}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`},
		{"exit 7", `{"do":"exit","n":7}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 7"}`},
		{"timeout", `{"do":"sleep","ms":60000}`, `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 1.00 seconds"}`},
		{"too large", `{"do":"big","n":6291600}`, `{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`},
	} {
		function := "f"
		if tc.name == "timeout" {
			function = "short"
		}
		res := invoke(t, c.Service, function, tc.event)
		got := strings.ReplaceAll(string(res.Payload), res.RequestID, "ID")
		if res.FunctionError != "Unhandled" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s %.300s, want %s", tc.name, res.FunctionError, got, tc.want)
		}
		if r := call(t, c.Service, function, `{"do":"echo","text":"again"}`); r.Text != "again" {
			t.Errorf("%s: no good instance afterwards: %+v", tc.name, r)
		}
	}
}

func TestProcessLargeResponse(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	if r := call(t, c.Service, "f", `{"do":"big","n":6000000}`); len(r.Text) != 6000000 {
		t.Fatalf("%d bytes", len(r.Text))
	}
	big := fmt.Sprintf(`{"do":"echo","text":%q}`, strings.Repeat("y", 6<<20-100))
	if r := call(t, c.Service, "f", big); len(r.Text) != 6<<20-100 {
		t.Fatalf("%d bytes", len(r.Text))
	}
}

func TestProcessKilledFromOutside(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	pid := call(t, c.Service, "f", `{}`).PID
	done := make(chan lambda.InvokeResult, 1)
	go func() {
		res, _ := c.Invoke(context.Background(), "f", []byte(`{"do":"sleep","ms":60000}`), lambda.InvokeOptions{})
		done <- res
	}()
	until(t, "the process runs", func() bool { return !frozen(pid) && len(c.log()) > 3 })
	start := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	res := <-done
	if !strings.Contains(string(res.Payload), `Runtime exited with error: signal: killed"`) || time.Since(start) > 5*time.Second {
		t.Fatalf("%s after %s", res.Payload, time.Since(start))
	}
	// One that dies while it is idle costs no invocation.
	pid = call(t, c.Service, "f", `{}`).PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the process is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	if again := call(t, c.Service, "f", `{}`); again.PID == pid {
		t.Fatalf("%+v", again)
	}
	if all := c.Instances(); len(all) != 1 || all[0].Function != "f" || all[0].PID == 0 || all[0].Busy {
		t.Fatalf("instances %+v", all)
	}
}

func TestProcessKeepsTempOverReset(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	call(t, c.Service, "f", `{"do":"write","text":"kept"}`)
	invoke(t, c.Service, "f", `{"do":"exit","n":1}`)
	if r := call(t, c.Service, "f", `{"do":"read"}`); r.Text != "kept" || r.N != 1 {
		t.Fatalf("after the reset %+v: want the file of before and a new process", r)
	}
}

func TestProcessEnvironment(t *testing.T) {
	t.Parallel()
	var revoked sync.Map
	opts := lambda.Options{
		Credentials: func(role, session string) map[string]string {
			return map[string]string{"AWS_ACCESS_KEY_ID": "AK-" + role + "-" + session, "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
		},
		Revoke:  func(id string) { revoked.Store(id, true) },
		Environ: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
	}
	c := newCloud(t, opts, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) {
		s.Env = map[string]string{"MINE": "yes"}
		s.MemoryMB = 256
	}))
	r := call(t, c.Service, "f", `{"do":"env"}`)
	for k, want := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AK-role-f", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_LAMBDA_FUNCTION_NAME": "f",
		"AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
		"_HANDLER": "bootstrap", "TZ": ":UTC", "MINE": "yes", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
		"LAMBDA_TASK_ROOT": r.Dir,
	} {
		if r.Env[k] != want {
			t.Errorf("%s = %q, want %q", k, r.Env[k], want)
		}
	}
	if !regexp.MustCompile(`^127\.0\.0\.1:\d+/env/[0-9a-f]{16}$`).MatchString(r.Env["AWS_LAMBDA_RUNTIME_API"]) {
		t.Errorf("AWS_LAMBDA_RUNTIME_API = %q", r.Env["AWS_LAMBDA_RUNTIME_API"])
	}
	for _, k := range []string{"AWS_EXECUTION_ENV", "HOME", "AWS_LAMBDA_LOG_FORMAT"} {
		if v, ok := r.Env[k]; ok {
			t.Errorf("%s = %q: want none (have %v)", k, v, slices.Sorted(maps.Keys(r.Env)))
		}
	}
	if err := c.DeleteFunction("f"); err != nil {
		t.Fatal(err)
	}
	until(t, "the credentials are revoked", func() bool { _, ok := revoked.Load("AK-role-f"); return ok })
	until(t, "the code is removed", func() bool { _, err := os.Stat(r.Dir); return errors.Is(err, os.ErrNotExist) })
}

func TestProcessLogLines(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	res, err := c.Invoke(t.Context(), "f", []byte(`{"do":"print","text":"x"}`), lambda.InvokeOptions{Tail: true})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(res.Tail), res.RequestID, "ID")
	want := regexp.MustCompile(`(?s)^START RequestId: ID Version: \$LATEST\n(out x\nerr x|err x\nout x)\nEND RequestId: ID\n` +
		`REPORT RequestId: ID\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t\n$`)
	if !want.MatchString(got) {
		t.Fatalf("tail %q", got)
	}
	if log := strings.Join(c.log(), "\n") + "\n"; log != string(res.Tail) {
		t.Fatalf("log %q, tail %q", log, res.Tail)
	}
}

func TestProcessFreezes(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f"))
	pid := call(t, c.Service, "f", `{}`).PID
	call(t, c.Service, "f", `{"do":"tick"}`)
	until(t, "the process is stopped", func() bool { return frozen(pid) })
	first := call(t, c.Service, "f", `{"do":"ticks"}`).N
	until(t, "the process is stopped again", func() bool { return frozen(pid) })
	<-time.After(300 * time.Millisecond) // real time that a running process would count
	if second := call(t, c.Service, "f", `{"do":"ticks"}`).N; second-first > 100 {
		t.Fatalf("background work counted %d in a frozen process", second-first)
	}
}

// frozen says whether a process is stopped.
func frozen(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "T")
}
