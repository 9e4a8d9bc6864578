package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// asks sends a built-in action and reads the data that it is answered with.
func (s *system) asks(who client, action, payload string, into any) wire.Frame {
	s.t.Helper()
	f := s.says(who, fmt.Sprintf(`{"id":"ask","action":%q,"payload":%s}`, action, payload))
	if f.Type != wire.TypeResponse {
		s.t.Fatalf("%s %s: %+v", action, payload, f)
	}
	if err := json.Unmarshal(f.Data, into); err != nil {
		s.t.Fatal(err)
	}
	return f
}

type cancelled struct {
	ID     string `json:"request_id"`
	Status string `json:"status"`
}

func (s *system) cancels(who client, id string) cancelled {
	s.t.Helper()
	var out cancelled
	s.asks(who, "$cancel", fmt.Sprintf(`{"request_id":%q}`, id), &out)
	return out
}

func TestCancelEndsWhatHasNotBegun(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{"text":"a"}`)
		other := alice
		other.connection = "c2"
		for range 2 { // the second finds it cancelled
			if got := s.cancels(other, "r1"); got != (cancelled{"r1", "CANCELLED"}) {
				t.Errorf("%+v", got)
			}
		}
		it := s.store.item(key)
		if it.State != request.Cancelled || it.Epoch != 1 || it.Expires != it.Retained || it.DueAt != 0 || it.Start != -1 {
			t.Errorf("%+v", it)
		}
		if f := s.last("c1"); f.Code != wire.CodeCancelled || f.Epoch != 1 || f.RequestID != "r1" {
			t.Errorf("the watcher was told %+v", f)
		}
		if !strings.Contains(s.emf.String(), `"Cancelled":1`) {
			t.Errorf("not counted: %s", s.emf)
		}
		s.mustRun(key, 0) // a start that was under way
		if got := s.store.item(key); got.State != request.Cancelled {
			t.Errorf("%+v", got)
		}
		if f := s.says(alice, `{"id":"r1","action":"task","payload":{"text":"a"}}`); f.Code != wire.CodeCancelled || !f.Terminal() {
			t.Errorf("sent again: %+v", f)
		}
	})
}

func TestCancelActionReachesTheHandler(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.HandleTask(app, "wait", func(ctx context.Context, _ *streamer.Task, _ struct{}) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "wait", `{}`)
		done := make(chan error, 1)
		go func() { done <- s.run(key, 0) }()
		synctest.Wait()
		for range 2 { // the second finds the flag raised
			if got := s.cancels(alice, "r1"); got.Status != "PROCESSING" {
				t.Errorf("%+v", got)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if f := s.last("c1"); f.Code != wire.CodeCancelled {
			t.Errorf("%+v", f)
		}
		if got := s.cancels(alice, "r1"); got.Status != "CANCELLED" {
			t.Errorf("%+v", got)
		}
	})
}

func TestCancelOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{"text":"a"}`)
		s.mustRun(key, 0)
		if got := s.cancels(alice, "r1"); got.Status != "SUCCEEDED" {
			t.Errorf("%+v", got)
		}
	})
}

func TestCancelOvertakesItsRequest(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		if got := s.cancels(alice, "r1"); got != (cancelled{"r1", "CANCELLED"}) {
			t.Errorf("%+v", got)
		}
		if f := s.says(alice, `{"id":"r1","action":"task","payload":{}}`); f.Code != wire.CodeCancelled || !f.Terminal() {
			t.Errorf("%+v", f)
		}
		it := s.store.item(keys.Request("acme", "alice", "r1"))
		if want := time.Now().Add(48 * time.Hour).Unix(); it.Expires != want || it.Retained != want || it.CreatedAt != time.Now().UnixMilli() {
			t.Errorf("%+v", it)
		}
		var st map[string]any
		s.asks(alice, "$get", `{"request_id":"r1"}`, &st)
		want := map[string]any{
			"request_id": "r1", "status": "CANCELLED", "attempt": 0.0, "epoch": 0.0,
			"created_at": st["created_at"], "retained_until": st["retained_until"],
			"error": map[string]any{"code": "CANCELLED", "message": "the request was cancelled", "retryable": false},
		}
		if !reflect.DeepEqual(st, want) {
			t.Errorf("%v", st)
		}
		bob := client{"bob", "acme", "c3", `[]`, time.Hour}
		if f := s.says(bob, `{"id":"r1","action":"task","payload":{}}`); f.Type != wire.TypeAcknowledgment {
			t.Errorf("another user's request was cancelled: %+v", f)
		}
	})
}

// TestCancelChoosesAgain: between reading and writing the request moves on.
func TestCancelChoosesAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		move       func(a request.Attrs)
	}{
		{"claimed meanwhile", "PROCESSING", func(a request.Attrs) { a[c.AttrState], a[c.AttrEpoch] = "PROCESSING", int64(1) }},
		{"ended meanwhile", "FAILED", func(a request.Attrs) { a[c.AttrState], a[c.AttrEpoch] = "FAILED", int64(2) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				key := s.accept("r1", "task", `{"text":"a"}`)
				s.store.hang = func(_ context.Context, call string) error {
					if call == request.CancelPending.Name {
						s.store.edit(key, tt.move)
					}
					return nil
				}
				if got := s.cancels(alice, "r1"); got.Status != tt.want {
					t.Errorf("%+v", got)
				}
				if it := s.store.item(key); it.Cancel != (tt.want == "PROCESSING") {
					t.Errorf("%+v", it)
				}
			})
		})
	}
	t.Run("always", func(t *testing.T) {
		t.Parallel()
		bubble(t, handlers(), func(t *testing.T, s *system) {
			key := s.accept("r1", "task", `{"text":"a"}`)
			tries := 0
			s.store.hang = func(_ context.Context, call string) error {
				if call == "get" {
					return nil
				}
				tries++
				s.store.edit(key, func(a request.Attrs) {
					a[c.AttrState] = map[bool]string{true: "PROCESSING", false: "PENDING"}[call == request.CancelPending.Name]
				})
				return nil
			}
			f := s.says(alice, `{"id":"x","action":"$cancel","payload":{"request_id":"r1"}}`)
			if f.Code != wire.CodeUnavailable || !f.SameID || tries != 5 {
				t.Errorf("after %d tries: %+v", tries, f)
			}
		})
	})
}

func TestCancelWhereTheStoreFails(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"get", request.CancelPending.Name} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				s.accept("r1", "task", `{"text":"a"}`)
				down := true
				s.store.fault = func(what string) error {
					if down && what == call {
						return errLost // it may have happened
					}
					return nil
				}
				if f := s.says(alice, `{"id":"x","action":"$cancel","payload":{"request_id":"r1"}}`); f.Code != wire.CodeUnavailable || !f.Retryable {
					t.Errorf("%+v", f)
				}
				down = false
				if got := s.cancels(alice, "r1"); got.Status != "CANCELLED" {
					t.Errorf("again: %+v", got)
				}
			})
		})
	}
}

// TestCancelIsAnsweredWhateverBecomesOfThePush: one watcher gets it, one is gone,
// one is busy and one refuses.
func TestCancelIsAnsweredWhateverBecomesOfThePush(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		s.accept("r1", "task", `{"text":"a"}`)
		for i, fault := range []error{push.ErrGone, push.ErrBusy, errors.New("refused")} {
			who := alice
			who.connection = fmt.Sprint("d", i)
			s.says(who, `{"id":"r1","action":"task","payload":{"text":"a"}}`)
			was := s.conns.fault
			s.conns.fault = func(id string, f wire.Frame) error {
				if id == who.connection {
					return fault
				}
				if was != nil {
					return was(id, f)
				}
				return nil
			}
		}
		if got := s.cancels(alice, "r1"); got.Status != "CANCELLED" {
			t.Errorf("%+v", got)
		}
		if f := s.last("c1"); f.Code != wire.CodeCancelled {
			t.Errorf("%+v", f)
		}
		if log := s.log.String(); strings.Contains(log, `"d0"`) || !strings.Contains(log, `"d1"`) || !strings.Contains(log, "refused") {
			t.Errorf("log: %s", log)
		}
	})
}

func TestBuiltinPayloadsAreChecked(t *testing.T) {
	t.Parallel()
	many := strings.Repeat(`{"request_id":"a"},`, 20)
	tests := []struct{ action, payload, path string }{
		{"$cancel", `{}`, "payload.request_id"},
		{"$cancel", `{"request_id":"a/b"}`, "payload.request_id"},
		{"$cancel", `{"request_id":"a","why":1}`, "payload.why"},
		{"$resume", `{}`, "payload.requests"},
		{"$resume", `{"requests":[]}`, "payload.requests"},
		{"$resume", `{"requests":[` + many + `{"request_id":"b"}]}`, "payload.requests"},
		{"$resume", `{"requests":[{"request_id":"b"},{"request_id":"b"}]}`, "payload.requests[1].request_id"},
		{"$resume", `{"requests":[{"request_id":"b"},{"request_id":""}]}`, "payload.requests[1].request_id"},
		{"$resume", `{"requests":[{"request_id":"b","partials":-1}]}`, "payload.requests[0].request_id"},
		{"$resume", `{"requests":[{"request_id":"b","epoch":"1"}]}`, "payload.requests[0].epoch"},
		{"$sync", `{"requests":[` + strings.Repeat(many, 5) + `{"request_id":"b"}]}`, "payload.requests"},
		{"$list", `{"status":"DONE"}`, "payload.status"},
		{"$list", `{"limit":0}`, "payload.limit"},
		{"$list", `{"limit":51}`, "payload.limit"},
		{"$list", `{"after":"../x"}`, "payload.after"},
	}
	bubble(t, handlers(), func(t *testing.T, s *system) {
		for _, tt := range tests {
			f := s.says(alice, fmt.Sprintf(`{"id":"x","action":%q,"payload":%s}`, tt.action, tt.payload))
			if f.Code != wire.CodeValidation || len(f.Details) == 0 || f.Details[0].Path != tt.path {
				t.Errorf("%s %s: %+v", tt.action, tt.payload, f)
			}
		}
		if n := len(s.store.events()); n > 0 {
			t.Errorf("%d writes", n)
		}
	})
}
