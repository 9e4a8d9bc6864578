package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

type handler = func(context.Context, []byte) ([]byte, error)

// sim is a Service whose instances are functions of the test.
type sim struct {
	*lambda.Service
	launcher *lambda.FuncLauncher

	mu       sync.Mutex
	launched []string // instance IDs
	sent     []sentMessage
	refuse   error // of every message
	meter    map[string]float64
}

type sentMessage struct {
	queue, caller string
	at            time.Time
	body          map[string]any
}

func (s *sim) Count(item string, n float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter[item] += n
}

func newSim(opts lambda.Options, h handler) *sim {
	s := &sim{meter: map[string]float64{}}
	s.launcher = lambda.NewFuncLauncher(func(p lambda.Process) (handler, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.launched = append(s.launched, p.InstanceID)
		return h, nil
	})
	opts.Launcher, opts.Meter = s.launcher, s
	opts.Send = func(ctx context.Context, queue, body string) error {
		if s.refuse != nil {
			return s.refuse
		}
		caller, _ := account.CallerFrom(ctx)
		m := sentMessage{queue: queue, caller: caller.Role, at: time.Now()}
		if err := json.Unmarshal([]byte(body), &m.body); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = append(s.sent, m)
		return nil
	}
	s.Service = lambda.New(opts)
	return s
}

func (s *sim) close() {
	s.Service.Close()
	s.launcher.Wait()
}

func (s *sim) launches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.launched)
}

func (s *sim) put(t *testing.T, name string, change ...func(*lambda.FunctionSpec)) {
	t.Helper()
	spec := lambda.FunctionSpec{Name: name, RoleName: "role-" + name, Timeout: 30 * time.Second}
	for _, c := range change {
		c(&spec)
	}
	put(t, s.Service, spec)
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func TestFuncTimeoutInVirtualTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSim(lambda.Options{}, func(ctx context.Context, b []byte) ([]byte, error) {
			if string(b) == `"hang"` {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			lc, _ := lambdacontext.FromContext(ctx)
			return json.Marshal(lc.AwsRequestID)
		})
		defer s.close()
		s.put(t, "f")
		for run := range 2 {
			res := invoke(t, s.Service, "f", `{}`)
			if string(res.Payload) != `"`+res.RequestID+`"` {
				t.Fatalf("run %d: %s", run, res.Payload)
			}
			start := time.Now()
			res = invoke(t, s.Service, "f", `"hang"`)
			if took := time.Since(start); took != 30*time.Second || !strings.Contains(string(res.Payload), "Task timed out after 30.00 seconds") {
				t.Fatalf("run %d: %s after %s", run, res.Payload, took)
			}
		}
		if n := s.launches(); n != 2 { // the second after the first's reset
			t.Fatalf("%d launches, want 2", n)
		}
	})
}

func TestFuncPanicAndKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSim(lambda.Options{}, func(ctx context.Context, b []byte) ([]byte, error) {
			switch string(b) {
			case `"panic"`:
				panic("boom")
			case `"wait"`:
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), lambda.ErrKilled) {
					t.Errorf("cause %v", context.Cause(ctx))
				}
				return nil, ctx.Err()
			}
			return b, nil
		})
		defer s.close()
		s.put(t, "f")
		if res := invoke(t, s.Service, "f", `"panic"`); string(res.Payload) != `{"errorMessage":"boom","errorType":"string"}` {
			t.Fatalf("%s", res.Payload)
		}
		go func() {
			time.Sleep(time.Second)
			s.mu.Lock()
			id := s.launched[len(s.launched)-1]
			s.mu.Unlock()
			if !s.launcher.Kill(id) {
				t.Errorf("no instance %s", id)
			}
		}()
		if res := invoke(t, s.Service, "f", `"wait"`); !strings.Contains(string(res.Payload), "Runtime exited with error: signal: killed") {
			t.Fatalf("%s", res.Payload)
		}
		if n := s.launches(); n != 2 {
			t.Fatalf("%d launches, want 2", n)
		}
	})
}

func TestConcurrency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSim(lambda.Options{Concurrency: 103}, func(context.Context, []byte) ([]byte, error) {
			time.Sleep(time.Second)
			return nil, nil
		})
		defer s.close()
		two, many := 2, 4
		s.put(t, "reserved", func(p *lambda.FunctionSpec) { p.Reserved = &two })
		s.put(t, "free")
		var bad *lambda.Invalid
		if _, err := s.PutFunction(lambda.FunctionSpec{Name: "greedy", RoleName: "r", Reserved: &many}); !errors.As(err, &bad) {
			t.Fatalf("reserve more than the account has: %v", err)
		}
		for _, tc := range []struct {
			function, reason string
			n, want          int
		}{{"reserved", lambda.ReasonReserved, 5, 2}, {"free", lambda.ReasonAccount, 120, 101}} {
			var wg sync.WaitGroup
			var mu sync.Mutex
			ok := 0
			for range tc.n {
				wg.Go(func() {
					_, err := s.Invoke(context.Background(), tc.function, nil, lambda.InvokeOptions{})
					mu.Lock()
					defer mu.Unlock()
					var throttled *lambda.Throttled
					if err == nil {
						ok++
					} else if !errors.As(err, &throttled) || throttled.Reason != tc.reason {
						t.Errorf("%s: %v, want reason %s", tc.function, err, tc.reason)
					}
				})
			}
			wg.Wait()
			if ok != tc.want {
				t.Errorf("%s: %d of %d ran, want %d", tc.function, ok, tc.n, tc.want)
			}
		}
		if n := s.launches(); n != 103 {
			t.Errorf("%d launches", n)
		}
		// Idle instances are reaped; then each is started anew.
		pass(5*time.Minute + time.Second)
		invoke(t, s.Service, "free", `{}`)
		if n := s.launches(); n != 104 {
			t.Errorf("%d launches after the idle time", n)
		}
		if s.meter[account.MeterInvocations] != 104 || s.meter[account.MeterGBSeconds] != 104*0.125 {
			t.Errorf("metered %v", s.meter)
		}
	})
}

func TestAsyncRetriesAndDestinations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var times []time.Duration
		start := time.Now()
		ids := map[string]bool{}
		s := newSim(lambda.Options{}, func(ctx context.Context, b []byte) ([]byte, error) {
			if string(b) == `"good"` {
				return []byte(`{"ok":true}`), nil
			}
			mu.Lock()
			defer mu.Unlock()
			lc, _ := lambdacontext.FromContext(ctx)
			ids[lc.AwsRequestID] = true
			times = append(times, time.Since(start))
			return nil, errors.New("no")
		})
		defer s.close()
		s.put(t, "f")
		if err := s.PutAsyncConfig("f", lambda.AsyncSpec{OnFailureARN: "arn:aws:sqs:us-east-1:000000000000:bad", OnSuccessARN: "arn:aws:sqs:us-east-1:000000000000:good"}); err != nil {
			t.Fatal(err)
		}
		res, err := s.Invoke(t.Context(), "f", []byte(`{"a":1}`), lambda.InvokeOptions{Async: true})
		if err != nil || res.StatusCode != 202 || len(res.Payload) != 0 {
			t.Fatalf("%+v %v", res, err)
		}
		pass(10 * time.Minute)
		if want := "[0s 1m0s 3m0s]"; fmt.Sprint(times) != want || len(ids) != 1 || !ids[res.RequestID] {
			t.Fatalf("invoked at %v, want %s; ids %v", times, want, ids)
		}
		if len(s.sent) != 1 || s.sent[0].queue != "arn:aws:sqs:us-east-1:000000000000:bad" || s.sent[0].caller != "role-f" {
			t.Fatalf("sent %+v", s.sent)
		}
		checkRecord(t, s.sent[0].body, `{"version":"1.0","requestContext":{"requestId":"`+res.RequestID+`","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},`+
			`"requestPayload":{"a":1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no","errorType":"errorString"}}`)
		res, _ = s.Invoke(t.Context(), "f", []byte(`"good"`), lambda.InvokeOptions{Async: true})
		synctest.Wait()
		checkRecord(t, s.sent[1].body, `{"version":"1.0","requestContext":{"requestId":"`+res.RequestID+`","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"Success","approximateInvokeCount":1},`+
			`"requestPayload":"good","responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":{"ok":true}}`)
	})
}

// checkRecord compares a record but for its timestamp.
func checkRecord(t *testing.T, got map[string]any, want string) {
	t.Helper()
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", got["timestamp"].(string)); err != nil {
		t.Error(err)
	}
	delete(got, "timestamp")
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	g, _ := json.Marshal(got)
	n, _ := json.Marshal(w)
	if string(g) != string(n) {
		t.Errorf("record\n%s, want\n%s", g, n)
	}
}

func TestAsyncThrottles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		ran := 0
		s := newSim(lambda.Options{}, func(context.Context, []byte) ([]byte, error) {
			mu.Lock()
			ran++
			mu.Unlock()
			time.Sleep(10 * time.Second)
			return nil, nil
		})
		defer s.close()
		one, zero := 1, 0
		s.put(t, "f", func(p *lambda.FunctionSpec) { p.Reserved = &one })
		for range 5 {
			if _, err := s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{Async: true}); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Hour)
		if ran != 5 {
			t.Fatalf("%d of 5 throttled events ran", ran)
		}
		// One that never gets a turn ends at its age.
		if err := s.PutAsyncConfig("f", lambda.AsyncSpec{MaxAge: time.Minute, OnFailureARN: "arn:aws:sqs:us-east-1:000000000000:bad"}); err != nil {
			t.Fatal(err)
		}
		s.put(t, "f", func(p *lambda.FunctionSpec) { p.Reserved = &one; p.Timeout = 900 * time.Second })
		for range 8 {
			_, _ = s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{Async: true})
		}
		pass(time.Hour)
		if len(s.sent)+ran != 13 || len(s.sent) == 0 {
			t.Fatalf("%d ran, %d records", ran, len(s.sent))
		}
		ctx := s.sent[0].body["requestContext"].(map[string]any)
		if ctx["condition"] != "EventAgeExceeded" || ctx["approximateInvokeCount"] != 0.0 {
			t.Fatalf("record %v", s.sent[0].body)
		}
		// Switched off: at once.
		s.put(t, "f", func(p *lambda.FunctionSpec) { p.Reserved = &zero })
		before := len(s.sent)
		_, _ = s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{Async: true})
		synctest.Wait()
		if len(s.sent) != before+1 {
			t.Fatal("no record of an event for a function that is switched off")
		}
	})
}

func TestClosePendingEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSim(lambda.Options{}, func(ctx context.Context, b []byte) ([]byte, error) {
			if string(b) == `"run"` {
				<-ctx.Done()
			}
			return nil, errors.New("no")
		})
		s.put(t, "f")
		for _, p := range []string{`"retry"`, `"run"`} {
			if _, err := s.Invoke(t.Context(), "f", []byte(p), lambda.InvokeOptions{Async: true}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		start := time.Now()
		s.close()
		s.close()
		if time.Since(start) > time.Second {
			t.Fatalf("close took %s", time.Since(start))
		}
		if _, err := s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{}); err == nil {
			t.Fatal("a closed service invokes")
		}
	})
}

// pass lets virtual time pass and everything in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
