package lambda_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// A process dies before, during and after an invocation, while it is frozen or
// about to be: every invocation still ends, with an answer or with the news.
func TestProcessKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{})
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) { s.Timeout = time.Minute }))
	answered, died, before := 0, 0, 0
	for range 60 {
		pid := living(t, c)
		if pid == before {
			t.Fatalf("process %d was killed and answers", pid)
		}
		before = pid
		ended := make(chan lambda.InvokeResult, 1)
		wait := time.Duration(rand.IntN(8000)) * time.Microsecond
		killed := make(chan error, 1)
		time.AfterFunc(wait, func() { killed <- syscall.Kill(pid, syscall.SIGKILL) })
		go func() {
			<-time.After(time.Duration(rand.IntN(8000)) * time.Microsecond)
			res, err := c.Invoke(context.Background(), "f", []byte(`{"do":"sleep","ms":1}`), lambda.InvokeOptions{})
			if err != nil {
				t.Error(err)
			}
			ended <- res
		}()
		select {
		case res := <-ended:
			switch {
			case res.FunctionError == "":
				answered++
			case strings.Contains(string(res.Payload), "signal: killed"):
				died++
			default:
				t.Errorf("ended with %s", res.Payload)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("an invocation has not ended; the process was killed %v after it was idle", wait)
		}
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d answered, %d died", answered, died)
	if answered == 0 {
		t.Error("no invocation was answered")
	}
}

// living is the process that answers; one that is dying may be met first.
func living(t *testing.T, c *cloud) (pid int) {
	t.Helper()
	until(t, "a process answers", func() bool {
		res := invoke(t, c.Service, "f", `{"do":"echo"}`)
		var r reply
		if res.FunctionError != "" {
			return false
		}
		if err := json.Unmarshal(res.Payload, &r); err != nil {
			t.Fatal(err)
		}
		pid = r.PID
		return true
	})
	return pid
}
