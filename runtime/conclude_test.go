package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A connection that does not answer must not eat the time that is needed to
// write down what came of an attempt.
func TestSilentConnectionDoesNotCostTheOutcome(t *testing.T) {
	t.Parallel()
	until := func(what func(ctx context.Context, task *streamer.Task) error) job {
		return func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			for n := 1; ctx.Err() == nil; n++ {
				task.Progress(streamer.Progress{Percentage: float64(n % 100)})
				if n%10 == 0 {
					if err := task.Checkpoint(ctx, n); err != nil {
						return "", err
					}
				}
				select {
				case <-time.After(500 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			task.Progress(streamer.Progress{Percentage: 100, Message: "last"})
			return "", what(ctx, task)
		}
	}
	tests := map[string]struct {
		how     func(ctx context.Context, task *streamer.Task) error
		state   request.State
		attempt int64
	}{
		"it goes on":  {func(ctx context.Context, _ *streamer.Task) error { return ctx.Err() }, request.Pending, 0},
		"it fails":    {func(context.Context, *streamer.Task) error { return streamer.Permanent(errors.New("boom")) }, request.Failed, 1},
		"it succeeds": {func(context.Context, *streamer.Task) error { return nil }, request.Succeeded, 1},
	}
	for name, tt := range tests {
		for _, hangs := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second} {
			t.Run(name+" "+hangs.String(), func(t *testing.T) {
				t.Parallel()
				bubble(t, jobs(until(tt.how)), func(t *testing.T, s *system) {
					key := s.accept("r1", "job", `{}`)
					s.conns.hangs = hangs
					began := time.Now()
					var wrote time.Duration
					s.store.hang = func(_ context.Context, call string) error {
						if call == "continue" || call == "end" {
							wrote = time.Since(began)
						}
						return nil
					}
					s.mustRun(key, 0)
					it := s.store.item(key)
					if it.State != tt.state || it.Attempt != tt.attempt {
						t.Errorf("%s, attempt %d", it.State, it.Attempt)
					}
					if wrote > 15*time.Minute-5*time.Second {
						t.Errorf("written %s after the function began, which had 15 minutes", wrote)
					}
					if p := it.Progress; p == nil || p.Message != "last" {
						t.Errorf("stored progress is %+v", p)
					}
				})
			})
		}
	}
}

// What a handler has returned is judged by what had ended by then, however long
// the last frames take.
func TestVerdictIsThatOfTheHandlersTime(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		if err := task.Checkpoint(ctx, 1); err != nil {
			return "", err
		}
		deadline, _ := ctx.Deadline()
		time.Sleep(time.Until(deadline) - 500*time.Millisecond)
		task.Progress(streamer.Progress{Percentage: 50})
		time.Sleep(10 * time.Millisecond) // it is being sent
		return "", errors.New("the database said no")
	}, streamer.Retry(1, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.conns.hangs = 4 * time.Second
		s.mustRun(key, 0)
		if it := s.store.item(key); it.State != request.Failed || it.Failure.Code != string(wire.CodeInternal) {
			t.Errorf("%s %+v", it.State, it.Failure)
		}
	})
}

// An input that cannot be read is no attempt of the handler's.
func TestUnreadableInputCostsNoAttempt(t *testing.T) {
	t.Parallel()
	ran := 0
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) { ran++; return "done", nil },
		streamer.Retry(1, linear), streamer.RetryIf(func(error) bool { t.Error("RetryIf was asked"); return false }))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{"text":"`+strings.Repeat("x", 1000)+`"}`)
		down := true
		s.store.fault = func(call string) error {
			if down && call == "get blob" {
				return errDown
			}
			return nil
		}
		s.mustRun(key, 0)
		it := s.store.item(key)
		if it.State != request.Pending || it.Attempt != 0 || it.Epoch != 2 || ran != 0 {
			t.Fatalf("%+v, the handler ran %d times", it, ran)
		}
		down = false
		time.Sleep(time.Until(time.UnixMilli(it.RunAt)))
		s.offer(key)
		s.mustRun(key, 2)
		if f := s.last("c1"); string(f.Data) != `"done"` || s.store.item(key).Attempt != 1 || ran != 1 {
			t.Errorf("%+v", f)
		}
	})
}

// offer lets the dispatcher's sweep offer what is due.
func (s *system) offer(key string) {
	s.t.Helper()
	if err := s.invoke(s.t.Context(), s.dispatcher, map[string]string{"streamer": "sweep"}); err != nil {
		s.t.Fatal(err)
	}
	if it := s.store.item(key); it.Start != it.Epoch {
		s.store.edit(key, func(a request.Attrs) { a[c.AttrDueAt] = time.Now().UnixMilli() })
		if err := s.invoke(s.t.Context(), s.dispatcher, map[string]string{"streamer": "sweep"}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// The lease is renewed while the input is read, while a handler reports without
// a pause, and while the result is stored.
func TestLeaseIsHeldThroughout(t *testing.T) {
	t.Parallel()
	const step = 25 * time.Second
	app := streamer.New()
	streamer.HandleTask(app, "job", func(ctx context.Context, task *streamer.Task, in text) (string, error) {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(300 * time.Microsecond) {
			task.Progress(streamer.Progress{Percentage: 1})
		}
		return strings.Repeat("y", 1000), nil
	}, streamer.ProgressEvery(time.Minute))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{"text":"`+strings.Repeat("x", 1000)+`"}`)
		var lapsed atomic.Bool
		s.store.hang = func(_ context.Context, call string) error {
			if it := s.store.item(key); it.State == request.Processing && time.Now().After(time.UnixMilli(it.Lease)) {
				lapsed.Store(true)
			}
			if call == "get blob" {
				time.Sleep(step)
			}
			return nil
		}
		failing := time.Time{}
		s.store.fault = func(call string) error {
			if call != "put blob" {
				return nil
			}
			if failing.IsZero() {
				failing = time.Now()
			}
			if time.Since(failing) < time.Minute {
				return errDown
			}
			return nil
		}
		s.mustRun(key, 0)
		if f := s.last("c1"); f.Type != wire.TypeComplete {
			t.Errorf("%+v", f)
		}
		if lapsed.Load() {
			t.Error("the lease has lapsed")
		}
	})
}

// odd is an error whose text panics when there is none.
type odd struct{ text *string }

func (o *odd) Error() string { return *o.text }

func TestErrorWhoseTextPanics(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.HandleTask(app, "job", func(context.Context, *streamer.Task, text) (string, error) { return "", (*odd)(nil) }, streamer.Retry(1, linear))
	streamer.Handle(app, "quick", func(context.Context, text) (string, error) { return "", &odd{} })
	bubble(t, app, func(t *testing.T, s *system) {
		if f := s.says(alice, `{"id":"q","action":"quick","payload":{}}`); f.Type != wire.TypeError || f.Code != wire.CodeInternal {
			t.Errorf("%+v", f)
		}
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		if it := s.store.item(key); it.State != request.Failed || !strings.Contains(s.log.String(), "stack") {
			t.Errorf("%+v", it)
		}
	})
}

// What is not UTF-8 would close the client's connection.
func TestFramesAreUTF8(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	bad := json.RawMessage("{\"a\":\"b\xffc\"}")
	streamer.HandleTask(app, "job", func(_ context.Context, task *streamer.Task, _ text) (json.RawMessage, error) {
		task.Progress(streamer.Progress{Metadata: bad})
		return bad, task.Emit(bad)
	})
	streamer.Handle(app, "quick", func(context.Context, text) (json.RawMessage, error) { return bad, nil })
	const want = "{\"a\":\"b\uFFFDc\"}"
	bubble(t, app, func(t *testing.T, s *system) {
		if f := s.says(alice, `{"id":"q","action":"quick","payload":{}}`); string(f.Data) != want {
			t.Errorf("response %q", f.Data)
		}
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		if f := s.last("c1"); string(f.Data) != want {
			t.Errorf("complete %q", f.Data)
		}
		for _, f := range s.conns.of(wire.TypePartial) {
			if string(f.Items[0]) != want {
				t.Errorf("partial %q", f.Items[0])
			}
		}
		for _, f := range s.conns.of(wire.TypeProgress) {
			if string(f.Metadata) != want {
				t.Errorf("progress %q", f.Metadata)
			}
		}
	})
}
