package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud/deploy"
	"github.com/streamer-go/streamer/runtime/wire"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want options // without defaults
		bad  bool
	}{
		"nothing":          {nil, options{dir: "."}, false},
		"directory":        {[]string{"a"}, options{dir: "a"}, false},
		"flags, directory": {[]string{"-json", "a"}, options{dir: "a", json: true}, false},
		"directory, flags": {[]string{"a", "--json", "-v", "-concurrency", "7"}, options{dir: "a", json: true, verbose: true, concurrency: 7}, false},
		"two directories":  {[]string{"a", "-v", "b"}, options{}, true},
		"unknown flag":     {[]string{"-x"}, options{}, true},
		"config": {
			[]string{"-config", "maxJobs=7", "a", "--config=a:b=c=d", "-config", "empty="},
			options{dir: "a", config: values{"maxJobs": "7", "a:b": "c=d", "empty": ""}}, false,
		},
		"config without value": {[]string{"-config", "maxJobs"}, options{}, true},
		"config without key":   {[]string{"-config", "=7"}, options{}, true},
		"number that is no":    {[]string{"-concurrency", "many"}, options{}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(append([]string{"dev"}, tt.args...), ".", io.Discard)
			if tt.bad {
				if err == nil {
					t.Errorf("got %+v, want an error", got)
				}
				return
			}
			tt.want.out, tt.want.user = "reports-out", "dev"
			if tt.want.config == nil {
				tt.want.config = values{}
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		code int
	}{
		"none":                      {nil, exitDone},
		"failure":                   {errors.New("x"), exitFailed},
		"program does not compile":  {errors.Join(&build.Error{Package: "d", Output: "main.go:1:2: x"}), exitCompile},
		"handlers do not compile":   {&deploy.Error{Program: "handlers.package does not build: x"}, exitCompile},
		"no project":                {fmt.Errorf("start: %w", devhost.ErrNoProject), exitUsage},
		"program fails for another": {&deploy.Error{Program: "panic: x"}, exitFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, err bytes.Buffer
			if got := exitCode(newPrinter(options{json: true}, &out, &err), tt.err); got != tt.code {
				t.Errorf("got %d, want %d", got, tt.code)
			}
			if (tt.err != nil) != strings.Contains(out.String(), `"type":"failed"`) || (tt.err != nil) != (err.Len() > 0) {
				t.Errorf("printed %q and %q", out.String(), err.String())
			}
		})
	}
}

func TestRunWithoutWork(t *testing.T) {
	t.Parallel()
	for args, code := range map[string]int{"": exitUsage, "help": exitDone, "nothing": exitUsage, "dev a b": exitUsage} {
		var out, err bytes.Buffer
		if got := run(strings.Fields(args), &out, &err); got != code || out.Len()+err.Len() == 0 {
			t.Errorf("%q: got %d, %q, %q", args, got, out.String(), err.String())
		}
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newPrinter(options{json: true}, &out, io.Discard)
	p.say("for people")
	p.frame(wire.Frame{Type: wire.TypeProgress, RequestID: "r", Percentage: 5})
	p.bar(wire.Frame{Percentage: 5})
	code := 0
	p.event(event{Type: "exit", Code: &code})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if !strings.Contains(lines[1], `"code":0`) {
		t.Errorf("the exit says no code: %s", lines[1])
	}
}

func TestSaveReport(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	p := newPrinter(options{}, io.Discard, io.Discard)
	if err := saveReport(wire.Frame{Data: []byte(`{"title":"t","html":"<p>","csv":"a,b"}`)}, dir, p); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "report.csv")); err != nil || string(raw) != "a,b" {
		t.Errorf("got %q, %v", raw, err)
	}
	for _, data := range []string{`[]`, `{"title":"t"}`} {
		if err := saveReport(wire.Frame{Data: []byte(data)}, dir, p); err == nil {
			t.Errorf("%s was saved", data)
		}
	}
}
