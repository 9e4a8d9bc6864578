package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// plain is an app with one plain handler, "do".
func plain(f func(ctx context.Context, in text) (string, error), opts ...streamer.Option) *streamer.App {
	app := streamer.New()
	streamer.Handle(app, "do", f, opts...)
	streamer.Handle(app, "echo", func(_ context.Context, in text) (text, error) { return in, nil })
	return app
}

const do = `{"id":"r1","action":"do","payload":{"text":"a"}}`

// polite returns when its context ends, with that error.
func polite(err func(ctx context.Context) error) func(ctx context.Context, in text) (string, error) {
	return func(ctx context.Context, _ text) (string, error) {
		<-ctx.Done()
		return "", err(ctx)
	}
}

func cause(ctx context.Context) error { return fmt.Errorf("stopped: %w", context.Cause(ctx)) }

func TestQuickDeadline(t *testing.T) {
	t.Parallel()
	done := func(after time.Duration) func(context.Context, text) (string, error) {
		return func(context.Context, text) (string, error) { <-time.After(after); return "done", nil }
	}
	tests := []struct {
		name    string
		handler func(context.Context, text) (string, error)
		opts    []streamer.Option
		took    time.Duration
		answer  string // type or code
		counted string
	}{
		{"the deployment's", polite(cause), nil, 10 * time.Second, "TIMEOUT", `"QuickTimeouts":1`},
		{"its own", polite(cause), []streamer.Option{streamer.Timeout(2 * time.Second)}, 2 * time.Second, "TIMEOUT", `"QuickTimeouts":1`},
		{"a result after it", done(10*time.Second + 900*time.Millisecond), nil, 10*time.Second + 900*time.Millisecond, "response", ""},
		{"ignored", done(time.Minute), nil, 11 * time.Second, "TIMEOUT", `"QuickTimeouts":1`},
		{"ignored, promotable", done(time.Minute), []streamer.Option{streamer.Promote()}, 11 * time.Second, "TIMEOUT", `"QuickTimeouts":1`},
		{"promoted", polite(cause), []streamer.Option{streamer.Promote()}, 10 * time.Second, "acknowledgment", ""},
		{"a result, promotable", done(10*time.Second + time.Millisecond), []streamer.Option{streamer.Promote()}, 10*time.Second + time.Millisecond, "response", ""},
		{"an answer, promotable", polite(func(context.Context) error { return &streamer.Error{Code: wire.CodeNotFound, Message: "no such row"} }),
			[]streamer.Option{streamer.Promote()}, 10 * time.Second, "NOT_FOUND", ""},
		{"final, promotable", polite(func(context.Context) error { return streamer.Permanent(errors.New("no")) }),
			[]streamer.Option{streamer.Promote()}, 10 * time.Second, "INTERNAL_ERROR", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, plain(tt.handler, tt.opts...), func(t *testing.T, s *system) {
				start := time.Now()
				f := s.says(alice, do)
				if f.Type != tt.answer && string(f.Code) != tt.answer {
					t.Errorf("answered %+v", f)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("after %v, want %v", took, tt.took)
				}
				if emf := s.emf.String(); (emf == "") != (tt.counted == "") || !strings.Contains(emf, tt.counted) {
					t.Errorf("counted %q", emf)
				}
				want := []string{}
				if tt.answer == "acknowledgment" {
					want = []string{"accept"}
				}
				if got := s.store.events(); len(got) != len(want) {
					t.Errorf("writes %q", got)
				}
				<-time.After(time.Minute)
			})
		})
	}
}

func TestPromotedRequestRunsInTheBackground(t *testing.T) {
	t.Parallel()
	var causes []error
	app := plain(func(ctx context.Context, in text) (string, error) {
		select {
		case <-ctx.Done():
			causes = append(causes, context.Cause(ctx))
			return "", ctx.Err()
		case <-time.After(time.Minute):
			return in.Text, nil
		}
	}, streamer.Promote())
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "do", `{"text":"a"}`)
		s.mustRun(key, 0)
		if f := s.last("c1"); f.Type != wire.TypeComplete || string(f.Data) != `"a"` {
			t.Errorf("%+v", f)
		}
		if len(causes) != 1 || !errors.Is(causes[0], streamer.ErrPromoted) {
			t.Errorf("%v", causes)
		}
	})
}

func TestAbandonedHandlersAreTold(t *testing.T) {
	t.Parallel()
	app := plain(func(context.Context, text) (string, error) { <-time.After(3 * time.Minute); return "late", nil })
	bubble(t, app, func(t *testing.T, s *system) {
		if f := s.says(alice, do); f.Code != wire.CodeTimeout || !f.Retryable {
			t.Fatalf("%+v", f)
		}
		if log := s.log.String(); !strings.Contains(log, "handler ignores its context") || !strings.Contains(log, `"action":"do"`) || strings.Contains(log, "still runs") {
			t.Errorf("log: %s", log)
		}
		told := func() int { return strings.Count(s.emf.String(), `"AbandonedHandlers":1`) }
		for i, want := range []int{1, 1, 2, 3, 3, 3} { // once a minute, and not when it has returned
			if f := s.says(alice, `{"id":"e","action":"echo","payload":{"text":"x"}}`); f.Type != wire.TypeResponse {
				t.Errorf("%+v", f)
			}
			if got := told(); got != want {
				t.Errorf("message %d: told %d times, want %d", i, got, want)
			}
			if i > 0 {
				<-time.After(time.Minute)
			} else {
				<-time.After(time.Second)
			}
		}
		if log := s.log.String(); !strings.Contains(log, `"msg":"abandoned handler still runs","action":"do","age":"11s"`) ||
			strings.Count(log, `"msg":"abandoned handler returned","action":"do","age":"3m0s"`) != 1 {
			t.Errorf("log: %s", log)
		}
	})
}

// TestAnotherAbandonedHandlerIsToldAtOnce: not only a minute after the last time.
func TestAnotherAbandonedHandlerIsToldAtOnce(t *testing.T) {
	t.Parallel()
	app := plain(func(context.Context, text) (string, error) { <-time.After(time.Minute); return "late", nil })
	bubble(t, app, func(t *testing.T, s *system) {
		for n := 1; n <= 2; n++ {
			if f := s.says(alice, do); f.Code != wire.CodeTimeout {
				t.Fatalf("%+v", f)
			}
			s.says(alice, `{"id":"e","action":"echo","payload":{"text":"x"}}`)
			if want := fmt.Sprintf(`"AbandonedHandlers":%d`, n); strings.Count(s.emf.String(), want) != 1 {
				t.Errorf("no %s in %s", want, s.emf.String())
			}
		}
		<-time.After(time.Minute)
	})
}

// TestQuickAnswersBeforeTheFunctionEnds: the function's own deadline may be near.
func TestQuickAnswersBeforeTheFunctionEnds(t *testing.T) {
	t.Parallel()
	app := plain(func(context.Context, text) (string, error) { <-time.After(time.Minute); return "late", nil })
	bubble(t, app, func(t *testing.T, s *system) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		if err := s.invoke(ctx, s.router, s.event(alice, do)); err != nil || ctx.Err() != nil {
			t.Errorf("%v, %v", err, ctx.Err())
		}
		<-time.After(time.Minute)
	})
}

// event is a message as the router gets it.
func (s *system) event(who client, body string) map[string]any {
	return map[string]any{"body": body, "requestContext": map[string]any{
		"connectionId": who.connection, "connectedAt": time.Now().UnixMilli(), "authorizer": map[string]string{
			"user": who.user, "tenant": who.tenant, "exp": fmt.Sprint(time.Now().Add(who.expires).Unix()),
		},
	}}
}

func TestIdempotentRunsOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500)
	tests := []struct {
		name, action string
		want         wire.Frame
	}{
		{"result", "ok", wire.Frame{Type: "response", Data: json.RawMessage(`"ok"`)}},
		{"large result", "long", wire.Frame{Type: "response", Data: json.RawMessage(`"` + long + `"`)}},
		{"error", "none", wire.Frame{Type: "error", Code: wire.CodeNotFound, Message: "no such row", Epoch: 2, Placed: true}},
		{"too large", "huge", wire.Frame{Type: "error", Code: wire.CodePayloadTooLarge, Epoch: 2, Placed: true}},
		{"panic", "oh", wire.Frame{Type: "error", Code: wire.CodeInternal, Retryable: true, Epoch: 2, Placed: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ran := 0
			app := plain(func(_ context.Context, in text) (string, error) {
				ran++
				switch in.Text {
				case "none":
					return "", &streamer.Error{Code: wire.CodeNotFound, Message: "no such row"}
				case "long":
					return long, nil
				case "huge":
					return strings.Repeat("x", wire.MaxMessage), nil
				case "oh":
					panic("oh")
				}
				return in.Text, nil
			}, streamer.Idempotent())
			bubble(t, app, func(t *testing.T, s *system) {
				body := fmt.Sprintf(`{"id":"r1","action":"do","payload":{"text":%q}}`, tt.action)
				for n := range 3 {
					f := s.says(alice, body)
					if f.Type != tt.want.Type || string(f.Data) != string(tt.want.Data) || f.Code != tt.want.Code || f.Retryable != tt.want.Retryable {
						t.Errorf("answer %d: %+v", n, f)
					}
					if f.Placed != tt.want.Placed || f.Epoch != tt.want.Epoch {
						t.Errorf("answer %d: %+v", n, f)
					}
				}
				if ran != 1 {
					t.Errorf("ran %d times", ran)
				}
				if f := s.says(alice, `{"id":"r1","action":"do","payload":{"text":"other"}}`); f.Code != wire.CodeConflict || f.Placed {
					t.Errorf("another payload: %+v", f)
				}
				if frames := append(s.conns.of(wire.TypeComplete), s.conns.of(wire.TypeError)...); len(frames) != 0 {
					t.Errorf("pushed to the one who is answered: %+v", frames)
				}
			})
		})
	}
}

// TestIdempotentWhileItRuns: a message that is sent again follows the first.
func TestIdempotentWhileItRuns(t *testing.T) {
	t.Parallel()
	app := plain(func(_ context.Context, in text) (string, error) { <-time.After(5 * time.Second); return in.Text, nil }, streamer.Idempotent())
	bubble(t, app, func(t *testing.T, s *system) {
		first := make(chan wire.Frame, 1)
		go func() { first <- s.says(alice, do) }()
		synctest.Wait()
		if f := s.says(elsewhere, do); f.Type != wire.TypeAcknowledgment || f.Status != "PROCESSING" || f.Epoch != 1 {
			t.Errorf("%+v", f)
		}
		if f := <-first; f.Type != wire.TypeResponse || string(f.Data) != `"a"` {
			t.Errorf("%+v", f)
		}
		if f := s.last("c2"); f.Type != wire.TypeComplete || string(f.Data) != `"a"` || f.Epoch != 2 {
			t.Errorf("%+v", f)
		}
		if n := len(s.conns.of(wire.TypeComplete)); n != 1 {
			t.Errorf("%d frames pushed", n)
		}
	})
}

// TestIdempotentRouterDies: what it leaves behind is offered when its lease is
// over, and a processor runs it.
func TestIdempotentRouterDies(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"accept", request.End.Name} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			ran := 0
			app := plain(func(_ context.Context, in text) (string, error) { ran++; return in.Text, nil }, streamer.Idempotent())
			bubble(t, app, func(t *testing.T, s *system) {
				down := true
				s.store.fault = func(call string) error {
					if down && call == lost {
						if lost == "accept" {
							return errLost
						}
						return errDown
					}
					return nil
				}
				if f := s.says(alice, do); f.Code != wire.CodeUnavailable || !f.SameID {
					t.Fatalf("%+v", f)
				}
				down = false
				if f := s.says(alice, do); f.Type != wire.TypeAcknowledgment || f.Status != "PROCESSING" {
					t.Errorf("sent again: %+v", f)
				}
				key := "acme/alice/r1"
				it := s.store.item(key)
				if it.Attempt != 1 || it.Start != -1 || it.Lease != it.DueAt || it.DueAt > time.Now().Add(20*time.Second).UnixMilli() {
					t.Errorf("%+v", it)
				}
				s.dispatch(c.SweepEvent)
				if it := s.store.item(key); it.State != request.Processing {
					t.Errorf("offered before its lease was over: %+v", it)
				}
				<-time.After(20 * time.Second)
				s.dispatch(c.SweepEvent)
				s.mustRun(key, 1)
				if f := s.last("c1"); f.Type != wire.TypeComplete || string(f.Data) != `"a"` {
					t.Errorf("%+v", f)
				}
				if f := s.says(alice, do); f.Type != wire.TypeResponse || string(f.Data) != `"a"` {
					t.Errorf("its outcome: %+v", f)
				}
				if want := map[string]int{"accept": 1, request.End.Name: 2}[lost]; ran != want {
					t.Errorf("ran %d times, want %d", ran, want)
				}
			})
		})
	}
}

func TestIdempotentPromoted(t *testing.T) {
	t.Parallel()
	slow := func(ctx context.Context, in text) (string, error) {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(20 * time.Second):
			return in.Text, nil
		}
	}
	opts := []streamer.Option{streamer.Idempotent(), streamer.Promote()}
	t.Run("handed on", func(t *testing.T) {
		t.Parallel()
		bubble(t, plain(slow, opts...), func(t *testing.T, s *system) {
			if f := s.says(alice, do); f.Type != wire.TypeAcknowledgment || f.Status != "PENDING" || f.Epoch != 2 {
				t.Fatalf("%+v", f)
			}
			key := "acme/alice/r1"
			if it := s.store.item(key); it.Start != 2 || it.Attempt != 0 || it.DueAt != time.Now().Add(6*time.Minute).UnixMilli() {
				t.Errorf("%+v", it)
			}
			s.mustRun(key, 2)
			if f := s.last("c1"); f.Type != wire.TypeComplete || string(f.Data) != `"a"` {
				t.Errorf("%+v", f)
			}
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		bubble(t, plain(slow, opts...), func(t *testing.T, s *system) {
			go func() {
				<-time.After(time.Second)
				if got := s.cancels(elsewhere, "r1"); got.Status != "PROCESSING" {
					t.Errorf("%+v", got)
				}
			}()
			f := s.says(alice, do)
			it := s.store.item("acme/alice/r1")
			if f.Code != wire.CodeCancelled || !f.Terminal() || it.State != request.Cancelled {
				t.Errorf("%+v", f)
			}
			if it.LaneAt != 0 {
				t.Error("it is on the list of the dead")
			}
		})
	})
	t.Run("ignores its context", func(t *testing.T) {
		t.Parallel()
		ran := 0
		app := plain(func(context.Context, text) (string, error) { ran++; <-time.After(time.Minute); return "late", nil }, opts...)
		bubble(t, app, func(t *testing.T, s *system) {
			if f := s.says(alice, do); f.Code != wire.CodeTimeout || !f.Terminal() {
				t.Errorf("%+v", f)
			}
			<-time.After(2 * time.Minute)
			s.dispatch(c.SweepEvent)
			if f := s.says(alice, do); f.Code != wire.CodeTimeout || ran != 1 {
				t.Errorf("ran %d times: %+v", ran, f)
			}
		})
	})
}

func TestQuickOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"no time":  func() { streamer.Timeout(0) },
		"too long": func() { streamer.Timeout(26 * time.Second) },
		"long handler": func() {
			streamer.HandleTask(streamer.New(), "a", func(context.Context, *streamer.Task, text) (text, error) { return text{}, nil }, streamer.Idempotent())
		},
		"estimate of a long handler": func() {
			streamer.HandleTask(streamer.New(), "a", func(context.Context, *streamer.Task, text) (text, error) { return text{}, nil }, streamer.Estimate(time.Second))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if v, _ := recover().(string); !strings.HasPrefix(v, "streamer: ") {
					t.Errorf("panic %q", v)
				}
			}()
			f()
		})
	}
}

// A router that keeps its goroutine runs handlers as one that does not, also when
// one of them is given up, and several at once.
func TestRouterThatKeepsItsGoroutine(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	app := streamer.New()
	streamer.Handle(app, "do", func(_ context.Context, in text) (string, error) {
		switch in.Text {
		case "deaf":
			<-release
		case "panic":
			panic("oh")
		case "exit":
			runtime.Goexit()
		}
		return in.Text, nil
	}, streamer.Timeout(10*time.Millisecond))
	message := streamer.Message(app, streamer.Parts{Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Out: io.Discard, Alone: true})
	ask := func(text, want string) {
		t.Helper()
		got := string(message(t.Context(), fmt.Sprintf(`{"id":"r","action":"do","payload":{"text":%q}}`, text)))
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
	for range 3 {
		ask("a", `"data":"a"`)
		ask("panic", `"INTERNAL_ERROR"`)
		ask("exit", `"INTERNAL_ERROR"`)
	}
	ask("deaf", `"TIMEOUT"`)
	ask("b", `"data":"b"`)
	close(release)
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() { ask(fmt.Sprint("c", n), fmt.Sprintf(`"data":"c%d"`, n)) })
	}
	all.Wait()
}
