package lambda_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

func TestInvokeOutlivesItsCaller(t *testing.T) {
	for name, warm := range map[string]bool{"in a new instance": false, "in one that was there": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				finished := 0
				s := newSim(lambda.Options{Concurrency: 1}, func(_ context.Context, event []byte) ([]byte, error) {
					if string(event) == `"slow"` {
						time.Sleep(20 * time.Second)
						finished++
					}
					return event, nil
				})
				defer s.close()
				s.put(t, "f", func(f *lambda.FunctionSpec) { f.Timeout = 30 * time.Second })
				if warm {
					if _, err := s.Invoke(t.Context(), "f", []byte(`"quick"`), lambda.InvokeOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := s.Invoke(ctx, "f", []byte(`"slow"`), lambda.InvokeOptions{}); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("error %v", err)
				}
				var busy *lambda.Throttled
				if _, err := s.Invoke(t.Context(), "f", []byte(`"quick"`), lambda.InvokeOptions{}); !errors.As(err, &busy) {
					t.Fatalf("while it runs on: error %v", err)
				}
				pass(20 * time.Second)
				res, err := s.Invoke(t.Context(), "f", []byte(`"quick"`), lambda.InvokeOptions{})
				if err != nil || string(res.Payload) != `"quick"` || finished != 1 {
					t.Fatalf("afterwards: %s, error %v; finished %d times", res.Payload, err, finished)
				}
				if n := len(s.Instances()); n != 1 {
					t.Errorf("%d instances", n)
				}
			})
		})
	}
}

// TestLogIsCountedUnread: what nobody reads is billed like what is read.
func TestLogIsCountedUnread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counted := map[bool]float64{}
		for _, read := range []bool{true, false} {
			bytes, o := 0, lambda.Options{}
			if read {
				o.Log = func(_, _, line string) { bytes += len(line) }
			}
			s := newSim(o, func(_ context.Context, event []byte) ([]byte, error) {
				time.Sleep(1234567 * time.Microsecond)
				return event, nil
			})
			s.put(t, "f")
			for range 2 {
				if _, err := s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s.close()
			counted[read] = s.meter[account.MeterLogBytes]
			if read && counted[read] != float64(bytes) {
				t.Errorf("%v bytes counted, %d read", counted[read], bytes)
			}
		}
		if counted[true] != counted[false] || counted[true] < 400 {
			t.Errorf("%v bytes counted when they are read, %v when not", counted[true], counted[false])
		}
	})
}
