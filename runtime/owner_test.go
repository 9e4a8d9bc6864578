package streamer_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// waiting runs until its context ends and returns the cause.
func waiting(cause *error) job {
	return func(ctx context.Context, _ *streamer.Task, _ text) (string, error) {
		<-ctx.Done()
		*cause = context.Cause(ctx)
		return "", ctx.Err()
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	t.Parallel()
	var cause error
	bubble(t, jobs(waiting(&cause), streamer.Retry(1, linear)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		time.AfterFunc(12*time.Second, func() { s.store.edit(key, func(a request.Attrs) { a[c.AttrCancel] = true }) })
		began := time.Now()
		s.mustRun(key, 0)
		if took := time.Since(began); !errors.Is(cause, streamer.ErrCancelled) || took.Round(10*time.Millisecond) != 20*time.Second {
			t.Errorf("%v after %v, want ErrCancelled by the second beat", cause, took)
		}
		if st := s.store.item(key).State; st != request.Cancelled || s.last("c1").Code != wire.CodeCancelled {
			t.Errorf("%s", st)
		}
	})
}

func TestSuccessDespiteCancelCounts(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, _ *streamer.Task, _ text) (string, error) { <-ctx.Done(); return "kept", nil })
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		time.AfterFunc(time.Second, func() { s.store.edit(key, func(a request.Attrs) { a[c.AttrCancel] = true }) })
		s.mustRun(key, 0)
		if f := s.last("c1"); string(f.Data) != `"kept"` {
			t.Errorf("%+v", f)
		}
	})
}

func TestRetryRefusedByTheFlagEndsCancelled(t *testing.T) {
	t.Parallel()
	var s *system
	var key string
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) {
		s.store.edit(key, func(a request.Attrs) { a[c.AttrCancel] = true })
		return "", errors.New("boom")
	})
	bubble(t, app, func(t *testing.T, sys *system) {
		s = sys
		key = s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		if st := s.store.item(key).State; st != request.Cancelled || s.last("c1").Code != wire.CodeCancelled || len(s.wake.all()) != 0 {
			t.Errorf("%s", st)
		}
	})
}

func TestLostOwnerWritesNothing(t *testing.T) {
	t.Parallel()
	rob := func(a request.Attrs) { a[c.AttrEpoch], a[c.AttrBy] = int64(7), "thief" }
	end := func(a request.Attrs) { rob(a); a[c.AttrState] = string(request.Cancelled) }
	tests := []struct {
		name  string
		rob   func(request.Attrs)
		cause error
	}{{"robbed", rob, streamer.ErrLost}, {"cancelled by the sweep", end, streamer.ErrCancelled}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var cause error
			bubble(t, jobs(waiting(&cause)), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				time.AfterFunc(time.Second, func() { s.store.edit(key, tt.rob) })
				s.mustRun(key, 0)
				if !errors.Is(cause, tt.cause) {
					t.Errorf("cause %v, want %v", cause, tt.cause)
				}
				if tt.cause == streamer.ErrLost && s.emf.String() != "" {
					t.Errorf("an outcome was counted: %s", s.emf)
				}
				if got := s.store.events(); !reflect.DeepEqual(got, []string{"accept", "claim"}) || len(s.conns.frames) != 0 {
					t.Errorf("%v, %v", got, s.conns.frames)
				}
			})
		})
	}
	t.Run("noticed at the end", func(t *testing.T) {
		t.Parallel()
		var s *system
		app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
			s.store.edit(task.IdempotencyKey(), rob)
			return strings.Repeat("x", 1000), nil
		})
		bubble(t, app, func(t *testing.T, sys *system) {
			s = sys
			key := s.accept("r1", "job", `{}`)
			s.mustRun(key, 0)
			if it := s.store.item(key); it.Epoch != 7 || it.State.Terminal() || len(s.conns.frames) != 0 || len(s.wake.all()) != 0 {
				t.Errorf("%+v %v", it, s.conns.frames)
			}
			if _, err := s.store.GetBlob(t.Context(), key, keys.Output(1)); err != nil {
				t.Error("what a loser stores is kept apart by its epoch:", err)
			}
		})
	})
}

// once makes the first call of that name fail.
func once(name string, err error) func(string) error {
	return func(call string) error {
		if call == name {
			name = ""
			return err
		}
		return nil
	}
}

func TestLostRepliesAreRecognised(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"end", "retry"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(context.Context, *streamer.Task, text) (string, error) {
				if call == "retry" {
					return "", errors.New("boom")
				}
				return "a", nil
			})
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.store.fault = once(call, errLost)
				s.mustRun(key, 0)
				n := len(slices.DeleteFunc(s.store.events(), func(e string) bool { return e != call }))
				if n != 1 || call == "end" && len(s.conns.of(wire.TypeComplete)) != 1 || call == "retry" && len(s.wake.all()) != 1 {
					t.Errorf("%v, %v", s.store.events(), s.conns.frames)
				}
			})
		})
	}
}

func TestStoreThatStaysDownIsLambdasBusiness(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"claim", "put blob", "end"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(context.Context, *streamer.Task, text) (string, error) { return strings.Repeat("x", 1000), nil })
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.store.fault = func(c string) error {
					if c == call {
						return errDown
					}
					return nil
				}
				if err := s.run(key, 0); !errors.Is(err, errDown) || len(s.conns.frames) != 0 {
					t.Errorf("%v, %v", err, s.conns.frames)
				}
			})
		})
	}
}

func TestLeaseIsRenewedAtAThird(t *testing.T) {
	t.Parallel()
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) {
		<-time.After(35 * time.Second)
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		began := time.Now()
		for _, at := range []time.Duration{5, 15, 25} {
			want := began.Add((at-5)*time.Second + 30*time.Second).UnixMilli()
			time.AfterFunc(at*time.Second, func() {
				if it := s.store.item(key); abs(it.Lease-want) > 10 || it.Beat != int64(at-5)/10 {
					t.Errorf("at %d s: lease %d, want %d; beat %d", at, it.Lease, want, it.Beat)
				}
			})
		}
		s.mustRun(key, 0)
		if got := s.store.events(); !reflect.DeepEqual(got, []string{"accept", "claim", "beat", "beat", "beat", "end"}) {
			t.Errorf("%v", got)
		}
	})
}

func TestBeatSurvivesAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, _ *streamer.Task, _ text) (string, error) {
		<-time.After(25 * time.Second)
		return "", ctx.Err()
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.fault = once("beat", errDown)
		s.mustRun(key, 0)
		if it := s.store.item(key); it.State != request.Succeeded || it.Beat != 2 {
			t.Errorf("%+v", it)
		}
	})
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		opts  []streamer.Option
		took  time.Duration
		state request.State
	}{
		{"of the function", []streamer.Option{streamer.Retry(2, linear)}, 15*time.Minute - 10*time.Second, request.Pending},
		{"of the request", []streamer.Option{streamer.Deadline(time.Minute)}, time.Minute, request.Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var cause error
			bubble(t, jobs(waiting(&cause), tt.opts...), func(t *testing.T, s *system) {
				key, began := s.accept("r1", "job", `{}`), time.Now()
				s.mustRun(key, 0)
				it := s.store.item(key)
				if took := time.Since(began); !errors.Is(cause, streamer.ErrDeadline) || took != tt.took || it.State != tt.state || it.Failure.Code != string(wire.CodeTimeout) {
					t.Errorf("%v after %v: %+v %+v", cause, took, it, it.Failure)
				}
			})
		})
	}
}
