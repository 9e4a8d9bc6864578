package streamer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// goOn plays dispatcher: it waits until the request is due again, and starts it
// by the sweep alone, for every wake message is lost.
func (s *system) goOn(key string) {
	s.t.Helper()
	for start := time.Now(); time.Since(start) < 25*time.Hour; {
		<-time.After(time.Minute)
		if err := s.invoke(s.t.Context(), s.dispatcher, c.SweepEvent); err != nil {
			s.t.Fatal(err)
		}
		it := s.store.item(key)
		if it.State.Terminal() {
			return
		}
		if it.Start == it.Epoch {
			s.mustRun(key, it.Epoch)
			return
		}
	}
	s.t.Fatal("the request was not offered again")
}

func TestRetryIf(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	notFound := &streamer.Error{Code: wire.CodeNotFound, Message: "no row"}
	asked := func(yes bool) streamer.Option {
		return streamer.RetryIf(func(err error) bool {
			if !errors.Is(err, boom) && !errors.Is(err, notFound) {
				panic(fmt.Sprint("asked about ", err))
			}
			return yes
		})
	}
	panics := streamer.RetryIf(func(error) bool { panic("at the disco") })
	tests := []struct {
		name  string
		err   error
		opts  []streamer.Option
		state request.State
	}{
		{"no", fmt.Errorf("wrapped: %w", boom), []streamer.Option{asked(false)}, request.Failed},
		{"yes", boom, []streamer.Option{asked(true)}, request.Pending},
		{"yes, no attempt left", boom, []streamer.Option{asked(true), streamer.Retry(1, linear)}, request.Failed},
		{"yes to one that says no itself", notFound, []streamer.Option{asked(true)}, request.Pending},
		{"not asked about Permanent", streamer.Permanent(boom), []streamer.Option{asked(true)}, request.Failed},
		{"not asked about RetryAfter", streamer.RetryAfter(time.Second, boom), []streamer.Option{asked(false)}, request.Pending},
		{"panics", boom, []streamer.Option{panics}, request.Pending},
		{"panics about one that says no", notFound, []streamer.Option{panics}, request.Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(returns(tt.err), tt.opts...), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.mustRun(key, 0)
				if it := s.store.item(key); it.State != tt.state {
					t.Errorf("%s, want %s", it.State, tt.state)
				}
				if said := strings.Contains(s.log.String(), "RetryIf panicked"); said != strings.HasPrefix(tt.name, "panics") {
					t.Errorf("log: %s", s.log)
				}
			})
		})
	}
}

// A wait longer than a message can be delayed is the sweep's.
func TestRetryAfterHours(t *testing.T) {
	t.Parallel()
	var began []time.Time
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) {
		if began = append(began, time.Now()); len(began) == 1 {
			return "", streamer.RetryAfter(3*time.Hour, nil)
		}
		return "done", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		if it := s.store.item(key); it.DueAt != it.RunAt {
			t.Errorf("due %d ms after it can run: the sweep waits for a message that is not sent", it.DueAt-it.RunAt)
		}
		s.goOn(key)
		if wait := began[1].Sub(began[0]); wait < 3*time.Hour || wait > 3*time.Hour+2*time.Minute {
			t.Errorf("the second attempt after %s", wait)
		}
	})
}

// What no version can run yet is postponed at no cost, and given up when it is
// clear that none will come.
func TestPostponed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		payload string
		edit    func(request.Attrs)
		code    wire.Code
	}{
		{"unknown action", `{}`, func(a request.Attrs) { a[c.AttrAction] = "to.come" }, wire.CodeInvalidAction},
		{"unknown field", `{}`, func(a request.Attrs) { a[c.AttrInput] = []byte("\x00" + `{"p":{"to_come":1}}`) }, wire.CodeValidation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(context.Context, *streamer.Task, text) (string, error) { return "", errors.New("it ran") }, streamer.Retry(2, linear))
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", tt.payload)
				s.store.edit(key, tt.edit)
				first := time.Now()
				s.mustRun(key, 0)
				paused, last := time.Duration(0), time.Duration(0)
				for n := 0; ; n++ {
					it := s.store.item(key)
					if it.State == request.Failed {
						break
					}
					wait := time.Until(time.UnixMilli(it.RunAt))
					if it.Attempt != 0 || abs(it.Failure.Waited-(paused+wait).Milliseconds()) > 100 || wait < max(10*time.Second, min(last, time.Minute)) || wait > 66*time.Second {
						t.Fatalf("%d: attempt %d, waited %d, next after %s (before: %s)", n, it.Attempt, it.Failure.Waited, wait, last)
					}
					paused, last = paused+wait, min(wait, time.Minute)
					h := s.wake.taken()
					if len(h) != 1 || h[0].Epoch != it.Epoch || h[0].delay < wait || h[0].delay > wait+time.Millisecond {
						t.Fatalf("woken by %+v", h)
					}
					<-time.After(h[0].delay)
					if err := s.invoke(t.Context(), s.dispatcher, sqs(h[0].Hint)); err != nil {
						t.Fatal(err)
					}
					s.mustRun(key, it.Epoch)
				}
				if took := time.Since(first); took < 15*time.Minute || took > 17*time.Minute {
					t.Errorf("given up after %s", took)
				}
				if f := s.last("c1"); f.Code != tt.code || f.Retryable {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// A version that comes in time runs it, with all of its attempts.
func TestPostponedUntilDeployed(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		return "", fmt.Errorf("attempt %d", task.Attempt())
	}, streamer.Retry(2, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "to.come" })
		s.mustRun(key, 0)
		s.goOn(key)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "job" })
		s.goOn(key)
		if it := s.store.item(key); it.State != request.Pending || it.Attempt != 1 || it.Failure.Waited != 0 {
			t.Fatalf("%+v %+v", it, it.Failure)
		}
		// A rollback begins a wait of its own.
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "to.come" })
		s.goOn(key)
		if it := s.store.item(key); it.State != request.Pending || it.Failure.Waited > time.Minute.Milliseconds() {
			t.Fatalf("%+v %+v", it, it.Failure)
		}
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "job" })
		s.goOn(key)
		if it := s.store.item(key); it.State != request.Failed || it.Attempt != 2 {
			t.Errorf("%+v", it)
		}
	})
}

// Other waits are not counted: for its tenant's turn, or for the sweep after the
// function died.
func TestPostponedForLongInBetween(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returns(nil)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "to.come" })
		s.mustRun(key, 0)
		<-time.After(time.Hour)
		s.goOn(key)
		if it := s.store.item(key); it.State != request.Pending || it.Failure.Waited > time.Minute.Milliseconds() {
			t.Errorf("%+v %+v", it, it.Failure)
		}
	})
}

// What was cancelled while it was postponed ends.
func TestPostponedAndCancelled(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returns(nil)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "to.come" })
		s.mustRun(key, 0)
		s.goOn(key)
		s.says(alice, `{"id":"c","action":"$cancel","payload":{"request_id":"r1"}}`)
		if it := s.store.item(key); it.State != request.Cancelled {
			t.Errorf("%s", it.State)
		}
	})
}

// A continued request has got over what failed before.
func TestContinuationForgetsTheFailure(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		if err := task.Checkpoint(ctx, "half"); err != nil {
			return "", err
		}
		<-ctx.Done()
		return "", context.Cause(ctx)
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "to.come" })
		s.mustRun(key, 0)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrAction] = "job" })
		s.goOn(key)
		if it := s.store.item(key); it.State != request.Pending || it.Start != it.Epoch || it.Failure != nil {
			t.Errorf("%+v %+v", it, it.Failure)
		}
	})
}

func TestTheDeadAreListed(t *testing.T) {
	t.Parallel()
	lane := func(s *system, key string) (string, int64) {
		a := s.store.raw(key)
		name, _ := a[c.AttrLane].(string)
		at, _ := a[c.AttrLaneAt].(int64)
		return name, at
	}
	want := keys.Dead(keys.DueShard(keys.Request("acme", "alice", "r1"), c.DueShards))
	t.Run("failed by its handler", func(t *testing.T) {
		t.Parallel()
		bubble(t, jobs(returns(streamer.Permanent(errors.New("boom")))), func(t *testing.T, s *system) {
			key := s.accept("r1", "job", `{}`)
			s.mustRun(key, 0)
			if name, at := lane(s, key); name != want || at != time.Now().UnixMilli() {
				t.Errorf("%q at %d", name, at)
			}
		})
	})
	t.Run("failed by the sweep", func(t *testing.T) {
		t.Parallel()
		bubble(t, jobs(returns(nil), streamer.Deadline(time.Hour)), func(t *testing.T, s *system) {
			key := s.accept("r1", "job", `{}`)
			<-time.After(2 * time.Hour)
			if err := s.invoke(t.Context(), s.dispatcher, c.SweepEvent); err != nil {
				t.Fatal(err)
			}
			if name, at := lane(s, key); name != want || at != time.Now().UnixMilli() {
				t.Errorf("%q at %d", name, at)
			}
		})
	})
	for name, f := range map[string]job{
		"succeeded": returns(nil), "to be retried": returns(errors.New("boom")),
	} {
		t.Run(name+" is not", func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(f), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.mustRun(key, 0)
				if name, _ := lane(s, key); name != "" {
					t.Errorf("it is on the list %q", name)
				}
			})
		})
	}
}

func abs(n int64) int64 { return max(n, -n) }
