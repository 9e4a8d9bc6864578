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

	"github.com/aws/aws-lambda-go/events"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

const sourceQueue = "arn:aws:sqs:us-east-1:000000000000:work"

// queue keeps messages until they are deleted; what was received stays hidden.
type queue struct {
	mu      sync.Mutex
	ready   []eventsource.Message
	deleted []string
	callers map[string]bool
	signal  chan struct{}
	n       int
}

func newQueue() *queue { return &queue{signal: make(chan struct{}, 1), callers: map[string]bool{}} }

func (q *queue) put(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range bodies {
		q.n++
		q.ready = append(q.ready, eventsource.Message{
			ID: fmt.Sprint("m", q.n), Receipt: fmt.Sprint("r", q.n), Body: b, MD5OfBody: "md5",
			Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

func (q *queue) VisibilityTimeout(arn string) (time.Duration, bool) {
	return 30 * time.Second, arn == sourceQueue
}

func (q *queue) ReceiveMessages(ctx context.Context, _ string, max int, wait time.Duration) ([]eventsource.Message, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		q.mu.Lock()
		c, _ := account.CallerFrom(ctx)
		q.callers[c.Role] = true
		if n := min(max, len(q.ready)); n > 0 {
			out := q.ready[:n:n]
			q.ready = q.ready[n:]
			if len(q.ready) > 0 {
				select {
				case q.signal <- struct{}{}:
				default:
				}
			}
			q.mu.Unlock()
			return out, nil
		}
		q.mu.Unlock()
		select {
		case <-q.signal:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *queue) DeleteMessages(_ context.Context, _ string, receipts []string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deleted = append(q.deleted, receipts...)
	return nil
}

func (q *queue) gone() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := slices.Clone(q.deleted)
	slices.Sort(out)
	return out
}

func newQueueManager(q *queue, invoke func(events.SQSEvent) (eventsource.Result, error)) *eventsource.Manager {
	return eventsource.NewManager(eventsource.Options{
		Queues: q,
		Function: func(string) (eventsource.Function, bool) {
			return eventsource.Function{Name: "f", ARN: "arn:f", Role: "role"}, true
		},
		Invoke: func(_ context.Context, _ string, payload []byte) (eventsource.Result, error) {
			var ev events.SQSEvent
			if err := json.Unmarshal(payload, &ev); err != nil {
				return eventsource.Result{}, err
			}
			return invoke(ev)
		},
	})
}

func putQueueMapping(t *testing.T, m *eventsource.Manager, change ...func(*eventsource.Spec)) {
	t.Helper()
	s := eventsource.Spec{SourceARN: sourceQueue, Function: "f", Enabled: true}
	for _, c := range change {
		c(&s)
	}
	if _, err := m.Put(s); err != nil {
		t.Fatal(err)
	}
}

func TestQueueRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue()
		var got events.SQSMessage
		m := newQueueManager(q, func(ev events.SQSEvent) (eventsource.Result, error) {
			got = ev.Records[0]
			return eventsource.Result{}, nil
		})
		defer m.Close()
		putQueueMapping(t, m)
		pass(time.Minute) // longer than one receive waits
		q.put(`{"a":1}`)
		synctest.Wait()
		if got.MessageId != "m1" || got.ReceiptHandle != "r1" || got.Body != `{"a":1}` || got.Md5OfBody != "md5" || got.EventSourceARN != sourceQueue ||
			got.EventSource != "aws:sqs" || got.AWSRegion != "us-east-1" || got.Attributes["ApproximateReceiveCount"] != "1" || got.MessageAttributes == nil {
			t.Fatalf("record %+v", got)
		}
		if d := q.gone(); !slices.Equal(d, []string{"r1"}) {
			t.Fatalf("deleted %v", d)
		}
		if len(q.callers) != 1 || !q.callers["role"] {
			t.Fatalf("received as %v", q.callers)
		}
	})
}

func TestQueueOutcomes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		report bool
		res    eventsource.Result
		err    error
		want   []string
	}{
		{"success", false, eventsource.Result{}, nil, []string{"r1", "r2", "r3"}},
		{"failure", false, eventsource.Result{FunctionError: "Unhandled"}, nil, nil},
		{"throttle", false, eventsource.Result{}, errors.New("Rate Exceeded."), nil},
		{"items ignored", false, eventsource.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"m2"}]}`)}, nil, []string{"r1", "r2", "r3"}},
		{"items", true, eventsource.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"m2"}]}`)}, nil, []string{"r1", "r3"}},
		{"no items", true, eventsource.Result{Payload: []byte(`{"batchItemFailures":[]}`)}, nil, []string{"r1", "r2", "r3"}},
		{"unknown item", true, eventsource.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"m9"}]}`)}, nil, nil},
		{"empty item", true, eventsource.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":""}]}`)}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := newQueue()
				m := newQueueManager(q, func(events.SQSEvent) (eventsource.Result, error) { return tc.res, tc.err })
				defer m.Close()
				q.put("a", "b", "c")
				putQueueMapping(t, m, func(s *eventsource.Spec) { s.ReportItemFailures = tc.report })
				pass(time.Minute)
				if d := q.gone(); !slices.Equal(d, tc.want) {
					t.Fatalf("deleted %v, want %v", d, tc.want)
				}
			})
		})
	}
}

func TestQueueBatchAndWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue()
		var mu sync.Mutex
		var sizes []string
		start := time.Now()
		m := newQueueManager(q, func(ev events.SQSEvent) (eventsource.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			sizes = append(sizes, fmt.Sprintf("%g:%d", time.Since(start).Seconds(), len(ev.Records)))
			return eventsource.Result{}, nil
		})
		defer m.Close()
		q.put(strings.Split(strings.Repeat("x", 30), "")...)
		putQueueMapping(t, m, func(s *eventsource.Spec) { s.BatchSize, s.Window = 25, 5*time.Second })
		pass(time.Minute)
		if got := fmt.Sprint(sizes); got != "[0:25 5:5]" {
			t.Fatalf("batches %s", got)
		}
	})
}

func TestQueueConcurrency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue()
		var mu sync.Mutex
		running, most, total := 0, 0, 0
		m := newQueueManager(q, func(events.SQSEvent) (eventsource.Result, error) {
			mu.Lock()
			running++
			total++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return eventsource.Result{}, nil
		})
		defer m.Close()
		q.put(strings.Split(strings.Repeat("x", 20), "")...)
		putQueueMapping(t, m, func(s *eventsource.Spec) { s.BatchSize, s.MaxConcurrency = 1, 3 })
		pass(time.Minute)
		if most != 3 || total != 20 {
			t.Fatalf("%d invocations, at most %d at once", total, most)
		}
	})
}

func TestQueueFilterDeletesTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue()
		var bodies []string
		m := newQueueManager(q, func(ev events.SQSEvent) (eventsource.Result, error) {
			for _, r := range ev.Records {
				bodies = append(bodies, r.Body)
			}
			return eventsource.Result{}, nil
		})
		defer m.Close()
		q.put(`{"n":1}`, `{"n":2}`, `text`)
		putQueueMapping(t, m, func(s *eventsource.Spec) { s.Filters = []string{`{"body":{"n":[{"numeric":[">",1]}]}}`} })
		pass(time.Minute)
		if fmt.Sprint(bodies) != `[{"n":2}]` || len(q.gone()) != 3 {
			t.Fatalf("invoked with %v, deleted %v", bodies, q.gone())
		}
	})
}
