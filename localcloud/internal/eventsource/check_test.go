package eventsource_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

// rights are what the role "role" is not allowed.
type rights struct {
	mu     sync.Mutex
	denied map[string]bool // action, on any resource
	asked  map[string]string
}

func newRights(denied ...string) *rights {
	r := &rights{denied: map[string]bool{}, asked: map[string]string{}}
	for _, action := range denied {
		r.denied[action] = true
	}
	return r
}

func (r *rights) deny(action string, denied bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied[action] = denied
}

func (r *rights) Authorize(ctx context.Context, action, resource string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, _ := account.CallerFrom(ctx)
	r.asked[action] = c.Role + " " + resource
	if r.denied[action] {
		return &account.Denied{Caller: c, Action: action, Resource: resource}
	}
	return nil
}

// checkedManager has a stream, a queue, and a function with that timeout.
func checkedManager(auth account.Authorizer, timeout time.Duration) *eventsource.Manager {
	return eventsource.NewManager(eventsource.Options{
		Authorizer: auth, Streams: newStream(), Queues: newQueue(), Send: func(context.Context, string, string) error { return nil },
		Function: func(string) (eventsource.Function, bool) {
			return eventsource.Function{Name: "f", ARN: "arn:f", Role: "role", Timeout: timeout}, true
		},
	})
}

// A mapping is not made without one of the rights that it needs.
func TestPutChecksRights(t *testing.T) {
	t.Parallel()
	queueSpec := eventsource.Spec{SourceARN: sourceQueue, Function: "f", Enabled: true}
	failing := streamSpec(func(s *eventsource.Spec) { s.OnFailureARN = sourceQueue })
	const cannot = "Cannot access stream " + streamARN + ". Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions"
	for action, tc := range map[string]struct {
		spec     eventsource.Spec
		resource string
		says     string
	}{
		"dynamodb:GetRecords":       {streamSpec(), streamARN, cannot},
		"dynamodb:GetShardIterator": {streamSpec(), streamARN, cannot},
		"dynamodb:DescribeStream":   {streamSpec(), streamARN, cannot},
		"dynamodb:ListStreams":      {streamSpec(), streamARN, cannot},
		"sqs:ReceiveMessage":        {queueSpec, sourceQueue, "The provided execution role does not have permissions to call ReceiveMessage on SQS"},
		"sqs:DeleteMessage":         {queueSpec, sourceQueue, "does not have permissions to call DeleteMessage on SQS"},
		"sqs:GetQueueAttributes":    {queueSpec, sourceQueue, "does not have permissions to call GetQueueAttributes on SQS"},
		"sqs:SendMessage":           {failing, sourceQueue, "does not have permissions to call SendMessage on SQS"},
	} {
		r := newRights(action)
		m := checkedManager(r, 0)
		_, err := m.Put(tc.spec)
		var bad *eventsource.Invalid
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), action) || !strings.Contains(err.Error(), "assumed-role/role/f") {
			t.Errorf("without %s: %v, want %q with the call and the role", action, err, tc.says)
		}
		if got := r.asked[action]; got != "role "+tc.resource {
			t.Errorf("%s asked as %q", action, got)
		}
		if len(m.Mappings()) != 0 {
			t.Errorf("without %s there is %+v", action, m.Mappings())
		}
		r.deny(action, false)
		if _, err := m.Put(tc.spec); err != nil {
			t.Errorf("with %s: %v", action, err)
		}
		m.Close()
	}
}

// What a mapping is about has to be there, and fit the function.
func TestPutChecksQueues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec    eventsource.Spec
		timeout time.Duration
		says    string
	}{
		"no queue":       {eventsource.Spec{SourceARN: sourceQueue + "x"}, 0, "NonExistentQueue"},
		"no destination": {streamSpec(func(s *eventsource.Spec) { s.OnFailureARN = sourceQueue + "x" }), 0, sourceQueue + "x: the specified queue does not exist"},
		"long function":  {eventsource.Spec{SourceARN: sourceQueue}, 31 * time.Second, "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds"},
		"just as long":   {eventsource.Spec{SourceARN: sourceQueue}, 30 * time.Second, ""},
	} {
		m := checkedManager(nil, tc.timeout)
		_, err := m.Put(tc.spec)
		if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
		m.Close()
	}
}

// A right that is taken away stops a mapping, which says so and goes on when it
// is back; a change that is refused leaves it as it was.
func TestRightsAreLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRights()
		w := newWorld(r, ok)
		defer w.Close()
		w.put(t, streamSpec())
		w.stream.put("a", "INSERT", `{}`)
		synctest.Wait()
		r.deny("dynamodb:GetRecords", true)
		w.stream.put("a", "INSERT", `{}`)
		w.stream.put("b", "INSERT", `{}`)
		pass(10 * time.Second)
		// The read that waited when the right was lost still found something.
		if n := len(w.seen()); n != 2 {
			t.Fatalf("invoked %v", w.seen())
		}
		w.stream.put("c", "INSERT", `{}`)
		pass(10 * time.Second)
		info, _ := w.Mapping("m")
		if !strings.HasPrefix(info.LastResult, "PROBLEM: ") || !strings.Contains(info.LastResult, "dynamodb:GetRecords") || len(w.seen()) != 2 || len(w.logs) == 0 {
			t.Fatalf("%+v, invoked %v, problems %q", info, w.seen(), w.logs)
		}
		if _, err := w.Put(streamSpec(func(s *eventsource.Spec) { s.BatchSize = 1 })); err == nil {
			t.Fatal("changed without the right")
		}
		r.deny("dynamodb:GetRecords", false)
		pass(time.Minute)
		if info, _ = w.Mapping("m"); len(w.seen()) != 3 || info.LastResult != "OK" || info.BatchSize != 100 {
			t.Fatalf("%+v, invoked %v after the right was given back", info, w.seen())
		}
	})
}
