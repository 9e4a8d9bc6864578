package lambda_test

import (
	"context"
	"testing"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// Ten instances that take 300 ms each to start, one at a time, with a limit of
// two seconds for each: the time in the queue counts for none of them.
func TestProcessesStartInTurns(t *testing.T) {
	t.Parallel()
	const n, each, busy = 10, 300 * time.Millisecond, 4 * time.Second
	c := newCloud(t, lambda.Options{InitLimit: 2 * time.Second}, lambda.ProcessOptions{Starts: 1})
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) { s.Env = map[string]string{"INIT_MS": "300"} }))
	begun := time.Now()
	failed := make(chan string, n)
	for range n {
		go func() {
			res, err := c.Invoke(context.Background(), "f", []byte(`{"do":"sleep","ms":4000}`), lambda.InvokeOptions{})
			if err != nil {
				failed <- err.Error()
			} else if failed <- ""; res.FunctionError != "" {
				t.Errorf("%s", res.Payload)
			}
		}()
	}
	for range n {
		if text := <-failed; text != "" {
			t.Error(text)
		}
	}
	if took := time.Since(begun); took < n*each+busy { // the last one begins when all have started
		t.Errorf("%d starts took %v: not one at a time", n, took)
	}
	if c.logged("INIT_REPORT") {
		t.Error("an instance was not ready within the limit, which includes its time in the queue")
	}
}

func TestCloseDoesNotWaitForTurns(t *testing.T) {
	t.Parallel()
	c := newCloud(t, lambda.Options{}, lambda.ProcessOptions{Starts: 1})
	put(t, c.Service, spec(t, "f", func(s *lambda.FunctionSpec) { s.Env = map[string]string{"INIT": "sleep"} }))
	ended := make(chan struct{})
	for range 5 {
		go func() {
			_, _ = c.Invoke(context.Background(), "f", []byte(`{}`), lambda.InvokeOptions{}) // ends with the service
			ended <- struct{}{}
		}()
	}
	until(t, "all five are accepted", func() bool { return len(c.Instances()) == 5 })
	begun := time.Now()
	c.Service.Close()
	for range 5 {
		<-ended
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("close took %v", took)
	}
}
