package streamer_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// job is a handler of the action "job".
type job = func(ctx context.Context, task *streamer.Task, in text) (string, error)

func jobs(f job, opts ...streamer.Option) *streamer.App {
	app := streamer.New()
	streamer.HandleTask(app, "job", f, opts...)
	return app
}

// linear waits ten seconds for each attempt made.
func linear(n int) time.Duration { return time.Duration(n) * 10 * time.Second }

func TestSuccessIsStoredAndThenPushed(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, in text) (string, error) {
		call := streamer.CallFrom(ctx)
		if call.Caller.User != "alice" || call.Caller.Tenant != "acme" || !call.Caller.May("read") || call.Attempt != 1 || task.ID() != "r1" ||
			task.Attempt() != 1 || !strings.Contains(task.IdempotencyKey(), "r1") || streamer.CallerFrom(ctx).User != "alice" {
			t.Errorf("%+v", call)
		}
		return in.Text + "!", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{"text":"a"}`)
		s.conns.fault = func(string, wire.Frame) error {
			if st := s.store.item(key).State; st != request.Succeeded {
				t.Errorf("pushed while %s", st)
			}
			return nil
		}
		s.mustRun(key, 0)
		f := s.last("c1")
		if f.Type != wire.TypeComplete || string(f.Data) != `"a!"` || f.Cursor() != (wire.Cursor{Epoch: 2}) || f.RequestID != "r1" {
			t.Errorf("%+v", f)
		}
		if got := s.store.events(); !reflect.DeepEqual(got, []string{"accept", "claim", "end"}) {
			t.Errorf("%v", got)
		}
		it := s.store.item(key)
		if it.Epoch != 2 || it.Attempt != 1 || it.DueAt != 0 || it.Expires != it.Retained || it.Start != -1 {
			t.Errorf("%+v", it)
		}
		if !strings.Contains(s.emf.String(), `"Succeeded":1`) {
			t.Errorf("%s", s.emf)
		}
		for _, epoch := range []int64{0, 1, 2} { // doubled and late hints
			s.mustRun(key, epoch)
		}
		if n := len(s.store.events()); n != 3 {
			t.Errorf("%d events after doubled hints", n)
		}
	})
}

// TestVerdicts: what an attempt's error makes of the request.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	boom := errors.New("secret boom")
	tests := []struct {
		name  string
		f     job
		opts  []streamer.Option
		state request.State
		code  wire.Code
		after time.Duration // until the next attempt
	}{
		{"plain", returns(boom), []streamer.Option{streamer.Retry(2, linear)}, request.Pending, wire.CodeInternal, 10 * time.Second},
		{"plain, last attempt", returns(boom), []streamer.Option{streamer.Retry(1, linear)}, request.Failed, wire.CodeInternal, 0},
		{"panic", func(context.Context, *streamer.Task, text) (string, error) { panic(boom) }, []streamer.Option{streamer.Retry(2, linear)}, request.Pending, wire.CodeInternal, 10 * time.Second},
		{"later", returns(streamer.RetryAfter(42*time.Second, boom)), nil, request.Pending, wire.CodeInternal, 42 * time.Second},
		{"later, no reason", returns(streamer.RetryAfter(-1, nil)), nil, request.Pending, wire.CodeInternal, 0},
		{"later than the deadline", returns(streamer.RetryAfter(25*time.Hour, boom)), nil, request.Failed, wire.CodeInternal, 0},
		{"permanent", returns(streamer.Permanent(boom)), nil, request.Failed, wire.CodeInternal, 0},
		{"known", returns(&streamer.Error{Code: wire.CodeNotFound, Message: "no row"}), nil, request.Failed, wire.CodeNotFound, 0},
		{"invalid", returns(streamer.Invalid("payload.x", "no")), nil, request.Failed, wire.CodeValidation, 0},
		{"known and retryable", returns(&streamer.Error{Code: wire.CodeUnavailable, Retryable: true}), []streamer.Option{streamer.Retry(2, linear)},
			request.Pending, wire.CodeUnavailable, 10 * time.Second},
		{"too large", func(context.Context, *streamer.Task, text) (string, error) {
			return strings.Repeat("x", 350<<10), nil
		}, nil,
			request.Failed, wire.CodePayloadTooLarge, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(tt.f, tt.opts...), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{"text":"a"}`)
				s.mustRun(key, 0)
				it := s.store.item(key)
				if it.State != tt.state || it.Epoch != 2 || it.Failure == nil || it.Failure.Code != string(tt.code) {
					t.Fatalf("%+v, %+v", it, it.Failure)
				}
				if strings.Contains(it.Failure.Message, "secret") {
					t.Errorf("stored for the client: %q", it.Failure.Message)
				}
				if tt.state == request.Failed {
					if f := s.last("c1"); f.Code != tt.code || f.Epoch != 2 {
						t.Errorf("%+v", f)
					}
					return
				}
				at := time.Now().Add(tt.after)
				if it.RunAt != at.UnixMilli() || it.DueAt != at.Add(time.Minute).UnixMilli() || it.Start != -1 {
					t.Errorf("run_at %d, due_at %d, start %d", it.RunAt, it.DueAt, it.Start)
				}
				if got, want := s.wake.all(), []hint{{work.Hint{Key: key, Epoch: 2}, tt.after}}; !reflect.DeepEqual(got, want) {
					t.Errorf("wake %+v, want %+v", got, want)
				}
				if len(s.conns.of(wire.TypeError)) != 0 {
					t.Error("an attempt's error was pushed")
				}
			})
		})
	}
}

func returns(err error) job {
	return func(context.Context, *streamer.Task, text) (string, error) { return "", err }
}

func TestRetriesUntilItSucceeds(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		if task.Attempt() < 3 {
			panic("not yet")
		}
		return "done", nil
	}, streamer.Retry(3, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		for range 2 {
			sent := s.wake.all()
			h := sent[len(sent)-1]
			<-time.After(h.delay)
			if err := s.invoke(t.Context(), s.dispatcher, sqs(h.Hint)); err != nil {
				t.Fatal(err)
			}
			if it := s.store.item(key); it.Start != it.Epoch || it.State != request.Pending {
				t.Fatalf("not offered: %+v", it)
			}
			s.mustRun(key, h.Epoch)
		}
		if f := s.last("c1"); string(f.Data) != `"done"` || f.Epoch != 6 {
			t.Errorf("%+v", f)
		}
		if !strings.Contains(s.log.String(), `"stack"`) {
			t.Error("the panic's stack is not in the log")
		}
	})
}

func TestWhatIsNotRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		edit  func(a request.Attrs)
		state request.State
		code  wire.Code
	}{
		{"cancelled meanwhile", func(a request.Attrs) { a[c.AttrCancel] = true }, request.Cancelled, wire.CodeCancelled},
		{"deadline spent", func(a request.Attrs) { a[c.AttrDeadline] = time.Now().UnixMilli() }, request.Failed, wire.CodeTimeout},
		{"attempts spent", func(a request.Attrs) { a[c.AttrAttempt] = int64(3) }, request.Failed, wire.CodeInternal},
		{"action of another version", func(a request.Attrs) { a[c.AttrAction] = "gone" }, request.Pending, wire.CodeInvalidAction},
		{"input of another version", func(a request.Attrs) { a[c.AttrInput] = []byte("\x00" + `{"p":{"old":1}}`) }, request.Pending, wire.CodeValidation},
		{"input that is no JSON", func(a request.Attrs) { a[c.AttrInput] = []byte("\x00{") }, request.Failed, wire.CodeInternal},
		{"input that is gone", func(a request.Attrs) { a[c.AttrInput] = []byte("\x01B#none") }, request.Failed, wire.CodeInternal},
		{"input of an unknown kind", func(a request.Attrs) { a[c.AttrInput] = []byte{9} }, request.Pending, wire.CodeUnavailable},
		{"Validate panics", func(a request.Attrs) { a[c.AttrInput] = []byte("\x00" + `{"p":{"text":"panic"}}`) }, request.Pending, wire.CodeInternal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(context.Context, *streamer.Task, text) (string, error) { t.Error("it ran"); return "", nil })
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.store.edit(key, tt.edit)
				s.mustRun(key, 0)
				it := s.store.item(key)
				if it.State != tt.state || it.Failure.Code != string(tt.code) || it.State.Terminal() && s.last("c1").Code != tt.code {
					t.Errorf("%+v %+v", it, it.Failure)
				}
			})
		})
	}
}

func TestLargeResultGoesThroughHistory(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1000)
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) { return large, nil })
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{"text":"`+large+`"}`)
		s.mustRun(key, 0)
		if got := s.store.events(); !reflect.DeepEqual(got, []string{"blob", "accept", "claim", "blob", "end"}) {
			t.Errorf("%v", got)
		}
		if n := len(s.store.item(key).Output); n > 100 {
			t.Errorf("the item holds %d bytes of the output", n)
		}
		if f := s.last("c1"); string(f.Data) != `"`+large+`"` {
			t.Errorf("%d bytes", len(f.Data))
		}
		if err := s.invoke(t.Context(), s.processor, work.Hint{Key: key, Push: true}); err != nil {
			t.Fatal(err)
		}
		if got := s.conns.of(wire.TypeComplete); len(got) != 2 || string(got[1].Data) != `"`+large+`"` {
			t.Errorf("pushed again by a hint: %d frames", len(got))
		}
	})
}

func TestPushHint(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returns(nil)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		for _, h := range []work.Hint{{Key: key, Push: true}, {Key: "-/u/none", Push: true}} {
			if err := s.invoke(t.Context(), s.processor, h); err != nil || len(s.conns.frames) != 0 {
				t.Errorf("%v: %v", err, s.conns.frames)
			}
		}
		if err := s.invoke(t.Context(), s.processor, "no hint"); err == nil {
			t.Error("a payload that is no hint")
		}
	})
}
