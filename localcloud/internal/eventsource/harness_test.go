package eventsource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

const (
	streamARN = "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/2026-01-01T00:00:00.000"
	queueARN  = "arn:aws:sqs:us-east-1:000000000000:failed"
)

// stream is a source of the test: what is put is read once.
type stream struct {
	mu     sync.Mutex
	items  []eventsource.Record
	signal chan struct{}
	n      int
}

func newStream() *stream { return &stream{signal: make(chan struct{}, 1)} }

// put adds a record of key and returns its sequence number.
func (s *stream) put(key, event string, image string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	seq := fmt.Sprintf("%03d", s.n)
	data := fmt.Sprintf(`{"eventID":"e%s","eventName":%q,"dynamodb":{"ApproximateCreationDateTime":%d,"Keys":{"pk":{"S":%q}},"NewImage":%s,"SequenceNumber":%q}}`,
		seq, event, time.Now().Unix(), key, image, seq)
	s.items = append(s.items, eventsource.Record{Data: json.RawMessage(data)})
	select {
	case s.signal <- struct{}{}:
	default:
	}
	return seq
}

func (s *stream) OpenStream(_ context.Context, arn, _ string) (eventsource.StreamReader, error) {
	if arn != streamARN {
		return nil, errors.New("no such stream")
	}
	return s, nil
}

func (s *stream) Close() {}

func (s *stream) Next(ctx context.Context, max int) ([]eventsource.Record, error) {
	for {
		s.mu.Lock()
		if n := min(max, len(s.items)); n > 0 {
			out := s.items[:n]
			s.items = s.items[n:]
			s.mu.Unlock()
			return out, nil
		}
		s.mu.Unlock()
		select {
		case <-s.signal:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// world is a Manager with one function whose invocations the test sees.
type world struct {
	*eventsource.Manager
	stream *stream
	start  time.Time

	mu    sync.Mutex
	calls []string // "<seconds> seq,seq,…"
	sent  []string
	logs  []string // problems
}

type invocation struct {
	seqs []string
	n    int // of all, from 1
}

func newWorld(auth account.Authorizer, answer func(invocation) (eventsource.Result, error)) *world {
	w := &world{stream: newStream(), start: time.Now()}
	w.Manager = eventsource.NewManager(eventsource.Options{
		Authorizer: auth,
		Streams:    w.stream,
		Function: func(ref string) (eventsource.Function, bool) {
			return eventsource.Function{Name: ref, ARN: "arn:aws:lambda:us-east-1:000000000000:function:" + ref, Role: "role"}, ref == "f"
		},
		Invoke: func(_ context.Context, _ string, payload []byte) (eventsource.Result, error) {
			var ev struct {
				Records []struct {
					DynamoDB struct{ SequenceNumber string } `json:"dynamodb"`
				}
			}
			if err := json.Unmarshal(payload, &ev); err != nil {
				return eventsource.Result{}, err
			}
			in := invocation{}
			for _, r := range ev.Records {
				in.seqs = append(in.seqs, r.DynamoDB.SequenceNumber)
			}
			w.mu.Lock()
			w.calls = append(w.calls, fmt.Sprintf("%g %s", time.Since(w.start).Seconds(), strings.Join(in.seqs, ",")))
			in.n = len(w.calls)
			w.mu.Unlock()
			return answer(in)
		},
		Send: func(ctx context.Context, _, body string) error {
			if c, _ := account.CallerFrom(ctx); c.Role != "role" {
				return errors.New("sent by " + c.ARN)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sent = append(w.sent, body)
			return nil
		},
		Problem: func(_, line string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.logs = append(w.logs, line)
		},
	})
	return w
}

func (w *world) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func ok(invocation) (eventsource.Result, error) {
	return eventsource.Result{RequestID: "r", ExecutedVersion: "$LATEST"}, nil
}

func failed() (eventsource.Result, error) {
	return eventsource.Result{RequestID: "r", ExecutedVersion: "$LATEST", FunctionError: "Unhandled"}, nil
}

func streamSpec(change ...func(*eventsource.Spec)) eventsource.Spec {
	s := eventsource.Spec{ID: "m", SourceARN: streamARN, Function: "f", StartingPosition: "LATEST", Enabled: true}
	for _, c := range change {
		c(&s)
	}
	return s
}

func (w *world) put(t *testing.T, spec eventsource.Spec) {
	t.Helper()
	if _, err := w.Put(spec); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("invoked\n  %q, want\n  %q", got, want)
	}
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func number(n int) *int { return &n }

// pass lets virtual time pass and everything in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
