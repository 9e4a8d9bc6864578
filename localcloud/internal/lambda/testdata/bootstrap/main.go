// Command bootstrap is the function of this package's tests: the event says
// what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	MS   int    `json:"ms"`
	N    int    `json:"n"`
	Text string `json:"text"`
}

type reply struct {
	Text     string            `json:"text,omitempty"`
	N        int64             `json:"n,omitempty"`
	PID      int               `json:"pid,omitempty"`
	Request  string            `json:"request,omitempty"`
	ARN      string            `json:"arn,omitempty"`
	Trace    string            `json:"trace,omitempty"`
	Deadline int64             `json:"deadline,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Dir      string            `json:"dir,omitempty"`
}

var ticks, calls atomic.Int64

func handle(ctx context.Context, e event) (reply, error) {
	n := calls.Add(1)
	switch e.Do {
	case "", "echo":
		return reply{Text: e.Text, N: n, PID: os.Getpid()}, nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		trace, _ := ctx.Value("x-amzn-trace-id").(string)
		return reply{Text: lc.ClientContext.Custom["text"], Request: lc.AwsRequestID, ARN: lc.InvokedFunctionArn, Trace: trace, Deadline: deadline.UnixMilli()}, nil
	case "sleep":
		time.Sleep(time.Duration(e.MS) * time.Millisecond)
		return reply{Text: "slept", PID: os.Getpid()}, nil
	case "await": // until a file is there
		for {
			if _, err := os.Stat(e.Text); err == nil {
				return reply{}, nil
			}
			time.Sleep(100 * time.Millisecond)
		}
	case "error":
		return reply{}, errors.New(e.Text)
	case "panic":
		panic(e.Text)
	case "exit":
		os.Exit(e.N)
	case "big":
		return reply{Text: strings.Repeat("x", e.N)}, nil
	case "env":
		return environment(), nil
	case "print":
		fmt.Println("out " + e.Text)
		fmt.Fprintln(os.Stderr, "err "+e.Text)
		return reply{}, nil
	case "tick": // background work, which a freeze stops
		go func() {
			for {
				time.Sleep(time.Millisecond)
				ticks.Add(1)
			}
		}()
		return reply{}, nil
	case "ticks":
		return reply{N: ticks.Load()}, nil
	case "write":
		return reply{}, os.WriteFile(os.TempDir()+"/kept", []byte(e.Text), 0o600)
	case "read":
		b, err := os.ReadFile(os.TempDir() + "/kept")
		return reply{Text: string(b), N: n}, err
	case "child": // leaves a process behind
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			return reply{}, err
		}
		return reply{N: int64(cmd.Process.Pid), PID: os.Getpid()}, nil
	}
	return reply{}, errors.New("unknown event " + e.Do)
}

func environment() reply {
	r := reply{Env: map[string]string{}}
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		r.Env[k] = v
	}
	r.Dir, _ = os.Getwd()
	return r
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Hour)
	case "once": // hangs unless it was started before in this environment
		mark := os.TempDir() + "/started"
		if _, err := os.Stat(mark); err != nil {
			if err := os.WriteFile(mark, nil, 0o600); err != nil {
				panic(err)
			}
			time.Sleep(time.Hour)
		}
	}
	if ms, err := strconv.Atoi(os.Getenv("INIT_MS")); err == nil {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
	if file := os.Getenv("SIGTERM_FILE"); file != "" {
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() {
			_ = os.WriteFile(file, []byte("bye"), 0o600)
		}))
	}
	lambda.Start(handle)
}
