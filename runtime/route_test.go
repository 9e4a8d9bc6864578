package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

type text struct {
	Text string `json:"text"`
	N    []int  `json:"n,omitempty"`
}

func (in text) Validate() error {
	switch in.Text {
	case "bad":
		return errors.New("is bad")
	case "worse":
		return streamer.Invalid("payload.text", "is worse")
	case "panic":
		panic("in Validate")
	}
	return nil
}

type loud struct{}

func (loud) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }

// handlers is an app with one action per way to behave.
func handlers() *streamer.App {
	app := streamer.New()
	streamer.Handle(app, "echo", func(_ context.Context, in text) (text, error) { return in, nil })
	streamer.Handle(app, "secret", func(_ context.Context, in text) (text, error) { return in, nil }, streamer.Require("read", "write"))
	streamer.Handle(app, "who", func(ctx context.Context, _ struct{}) (streamer.Call, error) { return streamer.CallFrom(ctx), nil })
	streamer.Handle(app, "panic", func(context.Context, struct{}) (int, error) { panic("oh") })
	streamer.Handle(app, "loud", func(context.Context, struct{}) (loud, error) { return loud{}, nil })
	streamer.Handle(app, "chan", func(context.Context, struct{}) (chan int, error) { return make(chan int), nil })
	streamer.Handle(app, "plain-error", func(context.Context, struct{}) (int, error) { return 0, errors.New("password is 123") })
	streamer.Handle(app, "known-error", func(context.Context, struct{}) (int, error) {
		return 0, &streamer.Error{Code: wire.CodeNotFound, Message: "no such row"}
	})
	streamer.Handle(app, "slow", func(ctx context.Context, _ struct{}) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	streamer.Handle(app, "large", func(context.Context, struct{}) (string, error) { return strings.Repeat("x", wire.MaxMessage), nil })
	streamer.Handle(app, "by-size", func(_ context.Context, in text) (text, error) { return in, nil },
		streamer.EstimateBy(func(in text) time.Duration {
			if in.Text == "boom" {
				panic("in EstimateBy")
			}
			return time.Duration(len(in.Text)) * time.Second
		}))
	streamer.HandleTask(app, "task", func(_ context.Context, _ *streamer.Task, in text) (text, error) { return in, nil })
	return app
}

func TestQuickAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       wire.Frame // Message is a part of the message
	}{
		{"answer", `{"id":"1","action":"echo","payload":{"text":"hi"}}`, wire.Frame{Type: "response", RequestID: "1", Data: json.RawMessage(`{"text":"hi"}`)}},
		{"unknown action", `{"id":"1","action":"nope"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeInvalidAction, Message: `no action "nope"`}},
		{"unknown builtin", `{"id":"1","action":"$nope"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeInvalidAction, Message: "$nope"}},
		{"no JSON", `{`, wire.Frame{Type: "error", Code: wire.CodeValidation, Message: "not a JSON object"}},
		{"no id", `{"action":"echo"}`, wire.Frame{Type: "error", Code: wire.CodeValidation, Details: []wire.Detail{{Path: "id", Reason: "is required"}}}},
		{"wrong type", `{"id":"1","action":"echo","payload":{"n":[1,"x"]}}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeValidation,
			Details: []wire.Detail{{Path: "payload.n[1]", Reason: "expected integer, got string"}}}},
		{"unknown field", `{"id":"1","action":"echo","payload":{"x":1}}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeValidation,
			Details: []wire.Detail{{Path: "payload.x", Reason: "unknown field"}}}},
		{"Validate", `{"id":"1","action":"echo","payload":{"text":"bad"}}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeValidation,
			Details: []wire.Detail{{Path: "payload", Reason: "is bad"}}}},
		{"Validate with path", `{"id":"1","action":"echo","payload":{"text":"worse"}}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeValidation,
			Details: []wire.Detail{{Path: "payload.text", Reason: "is worse"}}}},
		{"panic in Validate", `{"id":"1","action":"echo","payload":{"text":"panic"}}`, internal},
		{"panic in EstimateBy", `{"id":"1","action":"by-size","payload":{"text":"boom"}}`, internal},
		{"panic in handler", `{"id":"1","action":"panic"}`, internal},
		{"panic in result", `{"id":"1","action":"loud"}`, internal},
		{"result is no JSON", `{"id":"1","action":"chan"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeInternal, Message: "reference"}}, // and never will be
		{"plain error", `{"id":"1","action":"plain-error"}`, internal},
		{"known error", `{"id":"1","action":"known-error"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeNotFound, Message: "no such row"}},
		{"timeout", `{"id":"1","action":"slow"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeTimeout, Message: "reference", Retryable: true}},
		{"result too large", `{"id":"1","action":"large"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodePayloadTooLarge, Message: "131072"}},
		{"message too large", `{"id":"1","action":"echo","payload":{"text":"` + strings.Repeat("x", wire.MaxMessage) + `"}}`,
			wire.Frame{Type: "error", Code: wire.CodePayloadTooLarge}},
		{"forbidden", `{"id":"1","action":"secret"}`, wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeForbidden, Message: "permission write is required"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				got := s.says(alice, tt.body)
				if !strings.Contains(got.Message, tt.want.Message) {
					t.Errorf("message %q, want %q", got.Message, tt.want.Message)
				}
				if strings.Contains(got.Message, "password") {
					t.Errorf("the client was told %q", got.Message)
				}
				if ref := strings.TrimPrefix(got.Message, "internal error, reference "); ref != got.Message && !strings.Contains(s.log.String(), ref) {
					t.Errorf("reference %s is not in the log: %s", ref, s.log)
				}
				tt.want.Message = got.Message
				if len(tt.want.Details) == 0 {
					tt.want.Details = got.Details
				}
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("got %+v\nwant %+v", got, tt.want)
				}
				if n := len(s.store.events()); n != 0 {
					t.Errorf("a quick request made %d writes", n)
				}
			})
		})
	}
}

var internal = wire.Frame{Type: "error", RequestID: "1", Code: wire.CodeInternal, Message: "reference", Retryable: true}

func TestHandlerKnowsItsCaller(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		f := s.says(alice, `{"id":"7","action":"who","metadata":{"a":1}}`)
		var got streamer.Call
		if err := json.Unmarshal(f.Data, &got); err != nil {
			t.Fatal(err)
		}
		want := streamer.Call{ID: "7", Action: "who", Metadata: []byte(`{"a":1}`), Caller: streamer.Caller{User: "alice", Tenant: "acme", Permissions: []string{"read"}}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestExpiredTokenIsRefusedAndClosed(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		who := alice
		who.expires = 0
		f := s.says(who, `{"id":"1","action":"echo"}`)
		if f.Code != wire.CodeUnauthorized || f.RequestID != "1" || !reflect.DeepEqual(s.conns.closed, []string{"c1"}) {
			t.Errorf("%+v, closed %v", f, s.conns.closed)
		}
	})
}

func TestEventWithoutAuthorizerIsAnError(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		for _, event := range []string{
			`{"body":"{}","requestContext":{"connectionId":"c"}}`, `{`,
			`{"body":"{}","requestContext":{"authorizer":{"user":"u","exp":"9999999999","permissions":"read"}}}`,
		} {
			if err := s.invoke(t.Context(), s.router, event); err == nil {
				t.Errorf("%s: no error", event)
			}
		}
	})
}

func TestEstimateDecides(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		if f := s.says(alice, `{"id":"1","action":"by-size","payload":{"text":"12345"}}`); f.Type != wire.TypeResponse {
			t.Errorf("at the threshold: %+v", f)
		}
		s.accept("2", "by-size", `{"text":"123456"}`)
	})
}

func TestAcceptStoresOnce(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{"text":"a"}`)
		it := s.store.item(key)
		now := time.Now()
		if it.State != request.Pending || it.Start != 0 || it.DueAt != now.Add(6*time.Minute).UnixMilli() || it.Max != 3 ||
			it.Deadline != now.Add(24*time.Hour).UnixMilli() || it.Retained != now.Add(48*time.Hour).Unix() || it.Watchers["c1"] == 0 {
			t.Errorf("%+v", it)
		}
		again := s.says(client{"alice", "acme", "c2", `[]`, time.Hour}, `{"id":"r1","action":"task","payload":{"text":"a"}}`)
		if again.Type != wire.TypeAcknowledgment || again.Status != "PENDING" || s.store.item(key).Watchers["c2"] == 0 {
			t.Errorf("the same again: %+v", again)
		}
		if f := s.says(alice, `{"id":"r1","action":"task","payload":{"text":"b"}}`); f.Code != wire.CodeConflict || f.Placed {
			t.Errorf("another payload: %+v", f)
		}
		bob := client{"bob", "acme", "c3", `[]`, time.Hour}
		if f := s.says(bob, `{"id":"r1","action":"task","payload":{"text":"b"}}`); f.Type != wire.TypeAcknowledgment {
			t.Errorf("another user's id is another request: %+v", f)
		}
		s.mustRun(key, 0)
		f := s.says(alice, `{"id":"r1","action":"task","payload":{"text":"a"}}`)
		if f.Type != wire.TypeComplete || string(f.Data) != `{"text":"a"}` || f.Epoch != 2 {
			t.Errorf("after its end: %+v", f)
		}
	})
}

func TestOldWatchersMakeRoom(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		for i := range 20 {
			<-time.After(time.Minute)
			s.says(client{"alice", "acme", fmt.Sprint("d", i), "", time.Hour}, `{"id":"r1","action":"task","payload":{}}`)
		}
		w := s.store.item(key).Watchers
		if len(w) != 8 || w["d19"] == 0 || w["d12"] == 0 || w["c1"] != 0 {
			t.Errorf("%v", w)
		}
	})
}

func TestTombstoneAnswersCancelled(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := keys.Request("acme", "alice", "r1")
		if _, err := s.store.Do(t.Context(), request.Tombstone, key, request.Attrs{
			c.AttrState: string(request.Cancelled), c.AttrEpoch: int64(0), c.AttrExpires: int64(1), c.AttrBy: "x",
		}); err != nil {
			t.Fatal(err)
		}
		if f := s.says(alice, `{"id":"r1","action":"task"}`); f.Code != wire.CodeCancelled || !f.Terminal() {
			t.Errorf("%+v", f)
		}
	})
}

func TestUnknownOutcomeOfAcceptIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"accept", "put blob", "watch"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				body := `{"id":"r1","action":"task","payload":{"text":"` + strings.Repeat("x", 600) + `"}}`
				if call == "watch" {
					s.says(client{"alice", "acme", "c9", "", time.Hour}, body)
				}
				down := true
				s.store.fault = func(what string) error {
					if down && what == call {
						return errLost
					}
					return nil
				}
				f := s.says(alice, body)
				if f.Code != wire.CodeUnavailable || !f.Retryable || !f.SameID || f.Placed {
					t.Errorf("%+v", f)
				}
				down = false
				if f := s.says(alice, body); f.Type != wire.TypeAcknowledgment {
					t.Errorf("the same id afterwards: %+v", f)
				}
			})
		})
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{"text":"a"}`)
		get := func(who client, id string) wire.Frame {
			return s.says(who, `{"id":"g","action":"$get","payload":{"request_id":"`+id+`"}}`)
		}
		var st struct {
			Status string
			Result text
		}
		if err := json.Unmarshal(get(alice, "r1").Data, &st); err != nil || st.Status != "PENDING" {
			t.Errorf("%+v %v", st, err)
		}
		s.mustRun(key, 0)
		if err := json.Unmarshal(get(alice, "r1").Data, &st); err != nil || st.Status != "SUCCEEDED" || st.Result.Text != "a" {
			t.Errorf("%+v %v", st, err)
		}
		bob := client{"bob", "acme", "c3", `[]`, time.Hour}
		for _, f := range []wire.Frame{get(bob, "r1"), get(alice, "r2")} {
			if f.Code != wire.CodeNotFound {
				t.Errorf("%+v", f)
			}
		}
		if f := get(bob, "../alice/r1"); f.Code != wire.CodeValidation || f.Details[0].Path != "payload.request_id" {
			t.Errorf("%+v", f)
		}
		if f := get(alice, ""); f.Code != wire.CodeValidation || f.Details[0].Path != "payload.request_id" {
			t.Errorf("%+v", f)
		}
		s.store.fault = func(string) error { return errDown }
		if f := get(alice, "r1"); f.Code != wire.CodeUnavailable {
			t.Errorf("%+v", f)
		}
	})
}

func TestHelloAndPing(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		var hello struct {
			Protocol, User, Tenant string
			Max                    int    `json:"max_message_bytes"`
			Token                  string `json:"token_expires_at"`
			Ends                   string `json:"connection_expires_at"`
		}
		if err := json.Unmarshal(s.says(alice, `{"id":"1","action":"$hello"}`).Data, &hello); err != nil {
			t.Fatal(err)
		}
		token, err1 := time.Parse(time.RFC3339, hello.Token)
		ends, err2 := time.Parse(time.RFC3339, hello.Ends)
		if err := errors.Join(err1, err2); err != nil || hello.User != "alice" || hello.Protocol != wire.Protocol || hello.Max != wire.MaxMessage ||
			!token.Equal(time.Now().Add(time.Hour)) || !ends.Equal(time.Now().Add(2*time.Hour)) {
			t.Errorf("%+v %v", hello, err)
		}
		if f := s.says(alice, `{"id":"1","action":"$ping"}`); f.Type != wire.TypeResponse {
			t.Errorf("%+v", f)
		}
	})
}
