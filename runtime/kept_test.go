package streamer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

// Checkpoints that are replaced do not pile up, and one that is held, or may be,
// is not overwritten.
func TestCheckpointsTakeTurns(t *testing.T) {
	t.Parallel()
	const rounds = 60
	state := func(n int) string { return fmt.Sprint(n, strings.Repeat("x", 500)) }
	var s *system
	held := func(key string) (n int) {
		it := s.store.item(key)
		if it.Checkpoint == nil {
			return 0
		}
		name := string(it.Checkpoint.State[1:])
		raw, err := s.store.GetBlob(t.Context(), key, name)
		var text string
		if err != nil || json.Unmarshal(raw, &text) != nil {
			t.Errorf("checkpoint %s: %q, %v", name, raw, err)
		}
		_, _ = fmt.Sscan(strings.TrimRight(text, "x"), &n)
		return n
	}
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		for n := 1; n <= rounds; n++ {
			if err := task.Checkpoint(ctx, state(n)); err != nil {
				return "", err
			}
			if got := held(task.IdempotencyKey()); got != n {
				t.Errorf("after checkpoint %d, %d is held", n, got)
			}
		}
		return "done", nil
	})
	bubble(t, app, func(t *testing.T, sys *system) {
		s = sys
		key := s.accept("r1", "job", `{}`)
		calls, before := 0, 0
		s.store.fault = func(call string) error {
			if call != "beat" {
				return nil
			}
			switch calls++; calls % 7 {
			case 2, 3:
				return errLost
			case 5:
				return errDown
			}
			return nil
		}
		s.store.watch = func(name string, _ []byte) { // in the middle of a write nothing that is held is lost
			before++
		}
		s.mustRun(key, 0)
		if f := s.last("c1"); f.Type != wire.TypeComplete || before < rounds {
			t.Errorf("%+v after %d writes", f, before)
		}
		n := 0
		for name := range s.store.blobs {
			if strings.Contains(name, "checkpoint") {
				n++
			}
		}
		if n > 4 {
			t.Errorf("%d checkpoints are kept", n)
		}
	})
}

// Nothing says whether an item or what it refers to expires first.
func TestWhatIsNotKeptIsNotFound(t *testing.T) {
	t.Parallel()
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) { return strings.Repeat("y", 1000), nil })
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		clear(s.store.blobs)
		for _, body := range []string{
			`{"id":"g","action":"$get","payload":{"request_id":"r1"}}`,
			`{"id":"f","action":"$fetch","payload":{"request_id":"r1","part":1}}`,
			`{"id":"r1","action":"job","payload":{}}`,
		} {
			if f := s.says(alice, body); f.Code != wire.CodeNotFound || f.Retryable {
				t.Errorf("%s: %+v", body, f)
			}
		}
		f := s.says(alice, `{"id":"s","action":"$resume","payload":{"requests":[{"request_id":"r1"}]}}`)
		if !strings.Contains(string(f.Data), `"code":"NOT_FOUND"`) {
			t.Errorf("%s", f.Data)
		}
	})
}
