package eventsource_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

// With several lanes, a key that fails does not hold up the others, and keeps
// its own order.
func TestStreamParallelization(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		order := map[string][]string{}
		keys := map[string]string{}
		healed := false
		w := newWorld(nil, func(in invocation) (eventsource.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, seq := range in.seqs {
				if keys[seq] == "bad" && !healed {
					return failed()
				}
			}
			for _, seq := range in.seqs {
				order[keys[seq]] = append(order[keys[seq]], seq)
			}
			return ok(in)
		})
		defer w.Close()
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.Parallelization, s.BatchSize = 10, 1 }))
		wantOrder := map[string][]string{}
		mu.Lock()
		for i := range 40 {
			key := []string{"bad", "b", "c", "d", "e", "f", "g", "h"}[i%8]
			seq := w.stream.put(key, "INSERT", `{}`)
			keys[seq] = key
			wantOrder[key] = append(wantOrder[key], seq)
		}
		mu.Unlock()
		synctest.Wait()
		mu.Lock()
		if len(order) < 4 || order["bad"] != nil {
			t.Errorf("while one key fails: %v", order)
		}
		healed = true
		mu.Unlock()
		pass(time.Hour)
		if fmt.Sprint(order) != fmt.Sprint(wantOrder) {
			t.Errorf("order %v, want %v", order, wantOrder)
		}
	})
}

// A changed mapping goes on where it was: nothing is lost, nothing doubled.
func TestStreamUpdateKeepsPosition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, func(in invocation) (eventsource.Result, error) {
			if in.n <= 2 {
				return failed()
			}
			return ok(in)
		})
		defer w.Close()
		for range 5 {
			w.stream.put("a", "INSERT", `{}`)
		}
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.BatchSize = 2 }))
		pass(1500 * time.Millisecond)
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.BatchSize = 3 }))
		pass(time.Minute)
		want(t, w.seen(), "0 001,002", "1 001,002", "1.5 001,002,003", "1.5 004,005")
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.Enabled = false }))
		w.stream.put("a", "INSERT", `{}`)
		pass(time.Minute)
		if len(w.seen()) != 4 {
			t.Fatalf("a disabled mapping invoked: %q", w.seen())
		}
		if err := w.Delete("m"); err != nil {
			t.Fatal(err)
		}
		var missing *eventsource.NotFound
		if err := w.Delete("m"); !errors.As(err, &missing) {
			t.Fatalf("delete again: %v", err)
		}
	})
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(nil, ok)
	defer w.Close()
	for _, tc := range []struct {
		name   string
		change func(*eventsource.Spec)
		want   string
	}{
		{"filter", func(s *eventsource.Spec) { s.Filters = []string{`{"a":1}`} }, "Invalid filter pattern definition."},
		{"source", func(s *eventsource.Spec) { s.SourceARN = "arn:aws:kinesis:us-east-1:0:stream/x" }, "not supported locally"},
		{"stream", func(s *eventsource.Spec) { s.SourceARN += "x" }, "Stream not found: " + streamARN + "x"},
		{"function", func(s *eventsource.Spec) { s.Function = "g" }, "Function not found: g"},
		{"batch", func(s *eventsource.Spec) { s.BatchSize = 10001 }, "batch size"},
		{"window", func(s *eventsource.Spec) { s.Window = time.Hour }, "batching window"},
		{"lanes", func(s *eventsource.Spec) { s.Parallelization = 11 }, "parallelization"},
		{"position", func(s *eventsource.Spec) { s.StartingPosition = "" }, "starting position"},
		{"retries", func(s *eventsource.Spec) { s.MaxRetries = number(-2) }, "retry attempts"},
		{"age", func(s *eventsource.Spec) { s.MaxAge = time.Second }, "record age"},
		{"destination", func(s *eventsource.Spec) { s.OnFailureARN = "arn:aws:sns:x" }, "failure destination"},
		{"queue", func(s *eventsource.Spec) { s.SourceARN = queueARN; s.StartingPosition = "" }, "no such service"},
		{"filters", func(s *eventsource.Spec) { s.Filters = slices.Repeat([]string{`{"a":[1]}`}, 6) }, "want at most 5"},
	} {
		_, err := w.Put(streamSpec(tc.change))
		var bad *eventsource.Invalid
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	w.put(t, streamSpec())
	var twice *eventsource.Conflict
	if _, err := w.Put(streamSpec(func(s *eventsource.Spec) { s.ID = "other" })); !errors.As(err, &twice) {
		t.Errorf("a second mapping of the same pair: %v", err)
	}
}
